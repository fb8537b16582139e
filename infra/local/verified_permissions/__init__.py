"""Amazon Verified Permissions on a laptop: the whole API, answered by Cedar. See README.md."""

from .app import VerifiedPermissions
from .call import Caller
from .contents import Visibility
from .errors import AccessDenied
from .journal import JournalError

__all__ = ["AccessDenied", "Caller", "JournalError", "VerifiedPermissions", "Visibility"]
