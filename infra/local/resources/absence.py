"""What AWS says of a thing that is not there, in the words of each service."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_EXACT: Final = frozenset(
    {
        "404",
        "AWS.SimpleQueueService.NonExistentQueue",
        "ClusterNotFoundException",
        "DashboardNotFoundError",
        "LifecyclePolicyNotFoundException",
        "NoSuchBucket",
        "NoSuchEntity",
        "NotFoundException",
        "QueueDoesNotExist",
        "RepositoryNotFoundException",
        "ResourceNotFoundException",
        "ServerSideEncryptionConfigurationNotFoundError",
    }
)
# EC2: InvalidVpcID.NotFound, InvalidGroup.NotFound, NatGatewayNotFound ...; S3: NoSuchBucketPolicy,
# NoSuchLifecycle...
_SUFFIXES: Final = (".NotFound", "NotFound", ".Malformed")


def is_absent(error: ClientError) -> bool:
    """Whether the service refused because the thing does not exist."""
    details = error.response.get("Error", {})
    code = str(details.get("Code", ""))
    # ECS has no code of its own for a task definition that it does not know.
    if code == "ClientException":
        return "Unable to describe task definition" in str(details.get("Message", ""))
    return code in _EXACT or code.endswith(_SUFFIXES) or code.startswith("NoSuch")


def unless_absent(call: Callable[..., Any], **arguments: object) -> Any:
    """The answer of `call`, or `None` where the thing does not exist."""
    try:
        return call(**arguments)
    except ClientError as error:
        if is_absent(error):
            return None
        raise


@contextmanager
def absent_is_fine() -> Generator[None]:
    """For deletes: that the thing is gone already is what was wanted."""
    try:
        yield
    except ClientError as error:
        if not is_absent(error):
            raise
