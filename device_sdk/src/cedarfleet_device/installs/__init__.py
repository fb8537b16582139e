"""New versions on a device: installed, proven in their time, or given up for the former one.

``installation`` is the course of one install over reboots and power cuts; ``record`` what of it is
on the disk. ``steps`` is what a maker writes; ``programs`` and ``rauc`` are two of it that are
there. Rules without I/O: ``versions`` (which is later), ``window`` (when it may begin), ``limits``
(the table ``[installs]``). ``bounded`` ends the wait for a step that does not end.
"""
