"""Numbers and names in two places that must agree, each pair with what it is for."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Final, get_args, get_type_hints

import msgspec
import pytest
import yaml
from cedarfleet_device import wire
from cedarfleet_device.config import ConnectionConfig, DownloadLimits
from msgspec import structs

from infra import names
from infra.local.cloud.limits import table
from infra.stacks.config.platform import PlatformConfig
from infra.stacks.config.tiers import Budget as TenantBudget
from infra.stacks.config.tiers import Rate as TenantRate
from infra.stacks.platform_stack.balancer import DEREGISTRATION_SECONDS, IDLE_SECONDS
from infra.stacks.platform_stack.firewall import WINDOW_SECONDS
from infra.stacks.platform_stack.scaling import REQUESTS_A_MINUTE
from infra.stacks.platform_stack.service import STOP_SECONDS
from infra.stacks.platform_stack.status_rule import KEEP_SECONDS
from infra.stacks.platform_stack.work import ATTEMPTS
from service.adapters.aws import tenants, things
from service.adapters.aws.authorizer import MAX_REQUESTS
from service.adapters.aws.broker import PROCESSING_SECONDS
from service.adapters.aws.client.credentials import SESSION_SECONDS
from service.api.commands import TimeoutSeconds
from service.domain.campaigns import BATCH_DEVICES
from service.domain.commands import CLAIM_MS
from service.domain.machines import MAX_ID
from service.domain.rates import DEFAULT, MOST_PER_SECOND, Budget
from service.domain.revocations import INTENT_MS, KEPT_SECONDS
from service.domain.work import LAST_ATTEMPT
from service.operations import machines, people
from service.operations.budgets import LEASE_SECONDS
from service.operations.campaign_sending import CAMPAIGN_COMMANDS
from service.operations.commands import DIRECT_MESSAGES
from service.operations.event_streams import HEARTBEAT_SECONDS, LOOK_SECONDS
from service.operations.once import SETTLE_SECONDS
from service.operations.revocations import FRESH_SECONDS
from service.settings import (
    AwsSettings,
    DirectMessageSettings,
    HttpSettings,
    JobSettings,
    RecordSettings,
)

AWS_MOST_MINUTES: Final = 10_080  # IoT API reference, TimeoutConfig: 1 minute to 7 days
HTTP: Final = HttpSettings()
AWS: Final = AwsSettings(region="eu-central-1")
LONGEST_COMMAND: Final = next(
    one.le
    for one in get_args(TimeoutSeconds)
    if isinstance(one, msgspec.Meta) and one.le is not None
)

PLATFORM: Final = {one.name: one.default for one in structs.fields(PlatformConfig)}
FILE: Final = Path(__file__).parents[2] / "tenants" / "Pulumi.platform.yaml"
TIERS: Final = yaml.safe_load(FILE.read_text())["config"]["cedarfleet:platform"]["tiers"]
REQUESTS: Final = DEFAULT[Budget.REQUESTS]
DECISIONS: Final = next(
    rate.figure for rate in table.RATES if "IsAuthorizedWithToken" in rate.operations
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
    "a stream has two heartbeats in what the load balancer lets it be idle": (
        3 * HEARTBEAT_SECONDS,
        IDLE_SECONDS,
    ),
    "a stream ends within five seconds of its token's revocation": (
        FRESH_SECONDS / 2 + 2 * LOOK_SECONDS,
        5,
    ),
    "a request ends before the load balancer gives it up": (
        HTTP.request_seconds + SETTLE_SECONDS + 1,
        IDLE_SECONDS,
    ),
    "a request has time for one call that ends by its own limit": (
        AWS.deadline_seconds,
        HTTP.request_seconds,
    ),
    "a claimed command is claimed again once its first request has ended": (
        1000 * (HTTP.request_seconds + SETTLE_SECONDS),
        CLAIM_MS,
    ),
    "a device's word is waited for no longer than any answer of AWS": (
        AWS.connect_seconds + DirectMessageSettings().confirm_seconds + PROCESSING_SECONDS,
        AWS.deadline_seconds,
    ),
    "all attempts of a call fit into its deadline": (
        AWS.max_attempts * (AWS.connect_seconds + AWS.read_seconds) - 2,
        AWS.deadline_seconds,
    ),
    "open requests end before the task is killed": (
        HTTP.drain_seconds + HTTP.shutdown_seconds + 5,
        STOP_SECONDS,
    ),
    "a request ends while its task is still told to stop": (
        HTTP.request_seconds + SETTLE_SECONDS,
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
    "a tenant asks no more of its policy store in a second than that answers": (
        REQUESTS.burst + REQUESTS.per_second * (1 + LEASE_SECONDS),
        DECISIONS,
    ),
    "the account's direct messages of a second stay within AWS's rate": (
        DIRECT_MESSAGES.rate.burst + DIRECT_MESSAGES.rate.per_second * (1 + LEASE_SECONDS),
        next(rate.figure for rate in table.RATES if "SendDirectMessage" in rate.operations),
    ),
    "campaigns leave half of the direct messages to people's own commands": (
        CAMPAIGN_COMMANDS.rate.per_second,
        DIRECT_MESSAGES.rate.per_second // 2,
    ),
    "the devices of a campaign's batch are one question to the store": (
        BATCH_DEVICES,
        MAX_REQUESTS,
    ),
    **{
        f"what the service asks of user pools in a second stays within {category}": (
            bucket.rate.burst + bucket.rate.per_second * (1 + LEASE_SECONDS),
            next(rate.figure for rate in table.RATES if rate.id == f"calls-of-{category}"),
        )
        for category, bucket in (
            ("UserUpdate", people.CHANGES),
            ("UserList", people.LISTS),
            ("UserResourceRead", people.READS),
            ("UserPoolClientUpdate", machines.CHANGES),
            ("UserPoolClientRead", machines.CHANGES),
        )
    },
    "a machine's timer has a name that EventBridge Scheduler takes": (
        len("t" * 32 + "--m-") + MAX_ID,
        64,
    ),
    "a change of a person is told for longer than it may take": (
        AWS.deadline_seconds,
        INTENT_MS // 1000,
    ),
    "a revocation is kept for longer than any token of a pool lives": (
        24 * 3600 + INTENT_MS // 1000,
        KEPT_SECONDS,
    ),
    **{
        f"a tenant of {tier} may spend its whole budget from one address": (
            rate["per_second"] * WINDOW_SECONDS + rate["burst"],
            PLATFORM["firewall_requests"],
        )
        for tier, rate in {
            "no tier": {"per_second": REQUESTS.per_second, "burst": REQUESTS.burst},
            **{name: one["budget"]["requests"] for name, one in TIERS.items() if "budget" in one},
        }.items()
    },
    "a tenant that spends its whole budget brings a task": (
        REQUESTS_A_MINUTE,
        REQUESTS.per_second * 60,
    ),
    "the worker knows which attempt is the last": (LAST_ATTEMPT, ATTEMPTS),
    "and the queue gives a message out no more often": (ATTEMPTS, LAST_ATTEMPT),
    "a state stays as long as its command": (RecordSettings().record_seconds, KEEP_SECONDS),
    "a command stays as long as its states": (KEEP_SECONDS, RecordSettings().record_seconds),
}


@pytest.mark.parametrize("what", list(SMALLER))
def test_two_numbers_agree(what: str) -> None:
    """The first is at most the second, by the defaults that the platform is stamped with."""
    smaller, larger = SMALLER[what]
    assert smaller <= larger


def test_a_file_without_budgets_means_the_services_own() -> None:
    """A row of an earlier release is served as one whose file says nothing would be."""
    file = structs.asdict(TenantBudget())
    assert {Budget(name): structs.asdict(rate) for name, rate in file.items()} == {
        name: asdict(rate) for name, rate in DEFAULT.items()
    }


def test_a_file_may_ask_for_what_the_service_reads() -> None:
    """The largest budget of a file is the largest of a row."""
    of_file = get_type_hints(TenantRate, include_extras=True)["per_second"]
    assert [one.le for one in get_args(of_file) if isinstance(one, msgspec.Meta)] == [
        MOST_PER_SECOND
    ]


def test_the_service_names_what_the_stacks_make() -> None:
    """Type and policy of a device that enrols, and the index by which its tenant is found."""
    assert things.THING_TYPE == names.THING_TYPE
    assert things.device_policy("acme") == names.device_policy("acme")
    assert tenants.BY_TENANT == names.TENANTS_BY_TENANT_INDEX


def test_a_job_waits_as_long_as_its_device_does() -> None:
    """A site's outage ends no download in the cloud that its devices still wait to go on with."""
    minutes = JobSettings().device_timeout_minutes
    assert minutes * 60 == DownloadLimits().unreachable_seconds
    assert minutes <= AWS_MOST_MINUTES
