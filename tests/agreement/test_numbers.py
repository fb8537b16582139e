"""Numbers in two places that must agree: each pair, with what happens where they do not."""

from __future__ import annotations

from typing import Final, get_args, get_type_hints

import msgspec
import pytest
from cedarfleet_device import wire
from cedarfleet_device.config import ConnectionConfig

from infra.local.cloud.limits import table
from infra.stacks.platform_stack.balancer import DEREGISTRATION_SECONDS, IDLE_SECONDS
from infra.stacks.platform_stack.service import STOP_SECONDS
from infra.stacks.platform_stack.status_rule import KEEP_SECONDS
from service.adapters.aws.client.sessions import SESSION_SECONDS
from service.api.commands import CommandBody
from service.settings import AwsSettings, HttpSettings, JobSettings, RecordSettings

HTTP: Final = HttpSettings()
AWS: Final = AwsSettings(region="eu-central-1")
LONGEST_COMMAND: Final = next(
    one.le
    for one in get_args(get_type_hints(CommandBody, include_extras=True)["timeout_seconds"])
    if isinstance(one, msgspec.Meta) and one.le is not None
)

# what must hold -> (smaller, larger)
SMALLER: Final = {
    "a device asks for no longer session than AWS's broker keeps": (
        ConnectionConfig().session_expiry_seconds,
        table.SESSION_SECONDS,
    ),
    "an idle connection is closed by the load balancer, never under its next request": (
        IDLE_SECONDS + 1,
        HTTP.keep_alive_seconds,
    ),
    "a request ends before the load balancer gives it up": (AWS.deadline_seconds + 1, IDLE_SECONDS),
    "all attempts of a call fit into its deadline": (
        AWS.max_attempts * (AWS.connect_seconds + AWS.read_seconds) - 2,
        AWS.deadline_seconds,
    ),
    "open requests end before the task is killed": (HTTP.shutdown_seconds + 5, STOP_SECONDS),
    "a request ends while its task is still told to stop": (
        AWS.deadline_seconds,
        HTTP.shutdown_seconds,
    ),
    "the load balancer has let a task go before it is killed": (
        DEREGISTRATION_SECONDS,
        STOP_SECONDS,
    ),
    "no command waits longer than the broker keeps it": (
        LONGEST_COMMAND,
        ConnectionConfig().session_expiry_seconds,
    ),
    "no device asks for more than the broker grants": (
        ConnectionConfig().session_expiry_seconds,
        wire.SESSION_EXPIRY_SECONDS,
    ),
    "a presigned URL does not outlive an hour's session": (
        JobSettings(url_ttl_seconds=3600).url_ttl_seconds,
        SESSION_SECONDS,
    ),
    "a state stays as long as its command": (RecordSettings().record_seconds, KEEP_SECONDS),
    "a command stays as long as its states": (KEEP_SECONDS, RecordSettings().record_seconds),
}


@pytest.mark.parametrize("what", list(SMALLER))
def test_two_numbers_agree(what: str) -> None:
    """The first is at most the second, by the defaults that the platform is stamped with."""
    smaller, larger = SMALLER[what]
    assert smaller <= larger
