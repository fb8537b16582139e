"""Each row of AWS's limits: what it allows passes, one more is refused with AWS's own error."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud.limits.clock import Clock
from infra.local.cloud.limits.counts import COUNTS
from infra.local.cloud.limits.enforcing import (
    PACE_VARIABLE,
    Limits,
    PaceError,
    QuotasError,
    pace_from,
    quotas_from,
)
from infra.local.cloud.limits.shapes import service_model
from infra.local.cloud.limits.table import BOUNDS, DELAYS, RATES
from tests.infra.local.cloud.limits.devices import plain
from tests.infra.local.cloud.limits.makers import Makers

if TYPE_CHECKING:
    from infra.local.cloud import EmbeddedCloud
    from infra.local.cloud.limits.rows import Count, Rate
    from tests.infra.local.cloud.limits.makers import Making

_MODELLED = [row for row in (*COUNTS, *RATES) if row.service not in {"mqtt", "ec2"}]


def ids(row: Any) -> str:
    """A row by its name."""
    return row.id


def _refusal(one: Making, most: int) -> tuple[int, Any]:
    """Call until a call is refused; how many passed before it, and the refusal.

    Raises:
        AssertionError: none was, ``most`` times.
    """
    for passed in range(most):
        try:
            one()
        except ClientError as error:
            return passed, error
    raise AssertionError(f"{most} calls were not refused")


def _number(refusal: Any) -> int:
    return int(refusal.response["Error"]["Message"].split()[2])


@pytest.mark.parametrize("row", COUNTS, ids=ids)
def test_one_more_than_the_quota_is_refused(row: Count, embedded_cloud: EmbeddedCloud) -> None:
    """At the figure a call passes; beyond it AWS's own error code comes.

    A large figure is lowered to just above what stands, so that the test stays small.
    """
    one = getattr(Makers(embedded_cloud), row.id.replace("-", "_"))()
    with embedded_cloud.limits.changed(figures={row.id: 0}):
        would_be = _number(_refusal(one, 3)[1])
    figure = row.figure if row.figure <= 10 else would_be + 1
    with embedded_cloud.limits.changed(figures={row.id: figure}):
        passed, refusal = _refusal(one, figure + 3)

    assert passed > 0
    assert _number(refusal) == figure + 1
    assert refusal.response["Error"]["Code"] == row.code
    assert refusal.response["ResponseMetadata"]["HTTPStatusCode"] == row.status


@pytest.mark.parametrize("row", RATES, ids=ids)
def test_a_call_too_many_in_a_second_waits(row: Rate) -> None:
    """A second's worth passes at once, no more, and half a second later half of it."""
    clock = Clock(lambda: 0.0)
    limits = Limits(clock=clock, pace=1)

    def take(times: int, key: str = "") -> int:
        return sum(limits.take(row, key) for _ in range(times))

    assert take(int(row.figure) + 1) == row.figure
    clock.advance(0.5)
    assert take(int(row.figure) + 1) == row.figure // 2
    clock.advance(60)
    assert take(int(row.figure) + 1) == row.figure
    assert limits.take(row, "another store or client")


@pytest.mark.parametrize("row", _MODELLED, ids=ids)
def test_error_code_is_one_that_aws_documents(row: Count | Rate) -> None:
    """The model of each operation lists the code, so that no caller learns a wrong one."""
    model = service_model(row.service)
    for operation in row.operations:
        errors = model.operation_model(operation).error_shapes
        known = {shape.name for shape in errors}
        known |= {shape.metadata.get("error", {}).get("code", "") for shape in errors}
        # What every operation has in common these list nowhere (KMS: developer guide, "Throttling
        # AWS KMS requests", which is the row's page or beside it).
        assert row.code in known or row.service in {"verifiedpermissions", "kms"}


def test_every_row_says_where_aws_says_it() -> None:
    """No figure without a page, no row twice."""
    rows = [*COUNTS, *RATES, *BOUNDS, *DELAYS]

    assert all(row.page.startswith("https://docs.aws.amazon.com/") for row in rows)
    assert len({row.id for row in rows}) == len(rows)


def test_the_eleventh_look_at_a_job_is_throttled(embedded_cloud: EmbeddedCloud) -> None:
    """Over HTTP too: AWS's throttling error, which boto3 knows to retry; then time passes."""
    iot = plain(embedded_cloud, "iot")
    limits = embedded_cloud.limits
    with limits.changed(pace=1), limits.clock.stopped():
        codes = [_code(lambda: iot.describe_job(jobId="none")) for _ in range(16)]
        limits.clock.advance(1)
        later = _code(lambda: iot.describe_job(jobId="none"))

    assert codes[:10] == ["ResourceNotFoundException"] * 10
    assert codes[-1] == "ThrottlingException"
    assert later == "ResourceNotFoundException"


def test_each_policy_store_has_its_own_rate(embedded_cloud: EmbeddedCloud) -> None:
    """Ten policies a second a store; another store is not slowed down by it."""
    policies = plain(embedded_cloud, "verifiedpermissions")
    stores = [
        policies.create_policy_store(validationSettings={"mode": "OFF"})["policyStoreId"]
        for _ in range(2)
    ]

    def create(store: str) -> str:
        definition = {"static": {"statement": "permit(principal, action, resource);"}}
        return _code(lambda: policies.create_policy(policyStoreId=store, definition=definition))

    limits = embedded_cloud.limits
    with limits.changed(pace=1), limits.clock.stopped():
        codes = [create(stores[0]) for _ in range(14)]
        assert create(stores[1]) == ""
    assert codes[:10] == [""] * 10
    assert codes[-1] == "ThrottlingException"


def _code(call: Making) -> str:
    try:
        call()
    except ClientError as error:
        answer: Any = error.response
        return str(answer["Error"]["Code"])
    return ""


def test_pace_is_told_where_it_is_not_aws_own() -> None:
    """A benchmark's output says that rates are scaled."""
    assert Limits(pace=1).words == "AWS's quotas, rates and delays hold"
    assert "SCALED: 100 times as fast" in Limits(pace=100).words


@pytest.mark.parametrize("text", ["0", "-1", "fast", "inf", ""])
def test_pace_that_is_none_is_refused(text: str) -> None:
    """Nobody switches the limits off by a slip of the pen."""
    with pytest.raises(PaceError, match=PACE_VARIABLE):
        pace_from(text)


def test_an_account_may_have_asked_for_more() -> None:
    """A raised quota holds at its own figure, and the output says that it is none of AWS's."""
    limits = Limits(pace=1, raised=quotas_from("streams=51,user-pools=2000"))
    assert limits.words.endswith(
        "quotas RAISED: streams 51, user-pools 2000 (CEDARFLEET_AWS_QUOTAS)"
    )
    for number, refused in ((51, False), (52, True)):
        after = {"streams": number}.__getitem__
        assert bool(limits.too_many("firehose", "CreateDeliveryStream", after)) == refused


@pytest.mark.parametrize("text", ["stream=51", "streams", "streams=", "streams=-1", "streams=many"])
def test_a_quota_that_is_none_is_refused(text: str) -> None:
    """What was written is named, and what there is."""
    with pytest.raises(QuotasError, match=f"`{text}` is no quota .*there are .*streams"):
        quotas_from(text)


def test_sleeper_wakes_up_when_time_is_advanced() -> None:
    """Nothing waits for a delay of minutes."""

    async def sleep(clock: Clock) -> float:
        sleeper = asyncio.create_task(clock.sleep(3600))
        await asyncio.sleep(0)
        clock.advance(3600)
        await sleeper
        return clock.now()

    assert asyncio.run(sleep(Clock(lambda: 0.0))) == 3600
