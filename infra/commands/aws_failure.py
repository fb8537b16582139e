"""Says in words why AWS was not asked, and what to set: the same of every command."""

from __future__ import annotations

from typing import Final

from botocore.exceptions import (
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)

_LAPTOP: Final = (
    "for the cloud of `make up`, which sets all that is needed: "
    'eval "$(python -m infra.local.aws environment)"'
)
_CREDENTIALS: Final = (
    "no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; "
    f"{_LAPTOP}"
)


def words(error: Exception) -> str:
    """What went wrong, and of credentials and a region that are missing how to name them.

    Args:
        error: what boto3 raised, or another error of a command, whose own words these are.
    """
    match error:
        case NoCredentialsError():
            return _CREDENTIALS
        case PartialCredentialsError() | ProfileNotFound():
            return f"{error}; {_LAPTOP}"
        case NoRegionError():
            return f"no AWS region: set AWS_REGION; {_LAPTOP}"
        case _:
            return str(error)
