"""What parts of the API that do not call each other tell each other of a request, in its state."""

from __future__ import annotations

from typing import Final

LEFT: Final = "left"
"""Its caller was gone before the body had come."""
PROBLEM: Final = "problem"
"""The slug of the problem that it was answered with."""
FAREWELL: Final = "farewell"
"""The last bytes of a stream whose reader is given up, if it has any."""
CONTENT_POLICY: Final = "content_policy"
"""What its answer lets a browser load, if that is anything."""
CACHING: Final = "caching"
"""How long its answer may be kept, if it may."""
