"""Desired and reported state: a maker's handlers bring about what is asked for, key by key.

``handlers`` is what a maker writes, ``memory`` what a device remembers of what it did, ``listener``
asks the cloud and answers it.
"""
