"""The Pulumi program, the operator's command, and the embedded cloud for a laptop."""

from importlib.util import find_spec

if find_spec("cedarfleet_device") is None:  # the first that a Python without our packages lacks
    raise ImportError(
        "this Python has not what Cedarfleet needs: in the folder of the checkout "
        "`make .venv/.synced` installs it, and `. .venv/bin/activate` has this terminal use it"
    )
