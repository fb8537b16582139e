"""How a device gets its certificate, and later a new one.

``enroll`` is the beginning: a one-time code, handed to the installer, and a key that is made here
get a certificate of the device's own from the API (``service``). ``rotation`` renews it over the
device's own connection, by two commands: a new key is made here, and a new certificate counts once
the broker has accepted it. Both keep key and certificate by ``identity``.
"""
