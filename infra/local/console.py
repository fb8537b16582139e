"""The web console on a laptop: at the API's port, where the client must send people back to.

Cognito takes plain HTTP on localhost alone (source: Cognito API, CreateUserPoolClient,
`CallbackURLs`), so that is the console's host, and not the number 127.0.0.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from infra import names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.cloud import EmbeddedCloud

# What the description of a client holds and a change of it does not take.
_NOT_ASKED: Final = frozenset({"ClientSecret", "CreationDate", "LastModifiedDate"})
_LOCAL: Final = "localhost"


def console_url(tenant: str, *, api: str) -> str:
    """Where a browser on this machine finds the tenant's console."""
    return f"{_origin(api)}{names.console_path(tenant)}"


def open_console(cloud: EmbeddedCloud, outputs: Mapping[str, Any], *, api: str) -> str:
    """Add this machine's address to what the stack says of client and bucket; gives the address.

    A change of a client sets what it leaves out to its default (source: Cognito API,
    UpdateUserPoolClient), so all that the client has is said again.

    Args:
        cloud: where the stack was stamped.
        outputs: of the tenant's stack.
        api: URL of the API.
    """
    cognito, s3 = cloud.client("cognito-idp"), cloud.client("s3")
    page = console_url(outputs["tenant"], api=api)
    client = cognito.describe_user_pool_client(
        UserPoolId=outputs["user_pool_id"], ClientId=outputs["console_client_id"]
    )["UserPoolClient"]
    kept = {name: value for name, value in client.items() if name not in _NOT_ASKED and value != ""}
    cognito.update_user_pool_client(
        **kept
        | {
            "CallbackURLs": _with(client["CallbackURLs"], page + names.CONSOLE_CALLBACK),
            "LogoutURLs": _with(client["LogoutURLs"], page),
        }
    )
    rules = s3.get_bucket_cors(Bucket=outputs["bucket"])["CORSRules"]
    origins, origin = rules[0]["AllowedOrigins"], _origin(api)
    first = rules[0] | {"AllowedOrigins": [*origins, *([] if origin in origins else [origin])]}
    s3.put_bucket_cors(
        Bucket=outputs["bucket"], CORSConfiguration={"CORSRules": [first, *rules[1:]]}
    )
    return page


def _with(stamped: list[str], added: str) -> list[str]:
    """What the stack says, and this; ports of earlier runs are somebody else's by now."""
    kept = [one for one in stamped if urlsplit(one).hostname != _LOCAL or one == added]
    return [*kept, *([] if added in kept else [added])]


def _origin(api: str) -> str:
    return f"http://{_LOCAL}:{urlsplit(api).port}"
