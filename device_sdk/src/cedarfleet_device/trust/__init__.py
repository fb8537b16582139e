"""Which files a device may have: those that keys have signed that were never in the cloud.

``keys`` is P-256 as the runtime has it, ``root`` the list of keys that a device pins and how a new
one takes its place, ``policy`` what a device asks of a file, ``signing`` the program
``cedarfleet-sign`` of whoever releases files. The form is TUF's root kept small
(theupdateframework.github.io/specification, 5.3).
"""
