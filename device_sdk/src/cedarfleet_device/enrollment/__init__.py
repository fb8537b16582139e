"""How a device gets its certificate, and later a new one.

``provisioning`` is the beginning: a claim, handed to the installer, is exchanged for a certificate
of the device's own. ``rotation`` renews it over the device's own connection, by two commands: a new
key is made here, and a new certificate counts once the broker has accepted it. Both keep key and
certificate by ``identity``.
"""
