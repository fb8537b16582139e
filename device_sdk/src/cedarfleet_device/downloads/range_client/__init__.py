"""An HTTP/1.1 client that asks one server for ranges of one object.

``url`` takes a presigned URL apart. ``connection`` connects, asks and receives into the caller's
buffer, over ``tls`` where the URL is https. ``answers`` is what came, and the errors that a round
of fetching ends with; ``acceptance`` says which of them an answer calls for.
"""
