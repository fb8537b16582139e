"""The device's certificate and key.

``x509`` makes a key and a request for a certificate, and reads a certificate's key and last day,
with what the runtime has. ``credentials`` keeps the pair on disk: private, read with words for the
installer, and replaced together or not at all, also over a loss of power. How a pair comes to be
is told by ``enrollment``.
"""
