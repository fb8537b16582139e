"""Asks AWS for every row, in an order in which each probe finds what it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from infra.aws_check.attempts import attempted
from infra.aws_check.probes import account, devices, jobs, policies
from infra.aws_check.rows import ROWS, Outcome, Settled

if TYPE_CHECKING:
    from infra.aws_check.sandbox import Sandbox

_One = Callable[["Sandbox"], Outcome]
_Some = Callable[["Sandbox"], Mapping[str, Outcome]]


def _alone(row: str, probe: _One) -> tuple[tuple[str, ...], _Some]:
    return (row,), lambda sandbox: {row: probe(sandbox)}


# The device is revoked last but one, since everything else may need it.
PROBES: Final[tuple[tuple[tuple[str, ...], _Some], ...]] = (
    (("repeated-enrolment",), devices.let_in),
    (("job-role", "plus-in-placeholder"), jobs.presigned),
    _alone("group-membership", devices.group_membership),
    (("simultaneous-writes", "cedar-policy", "claims-outside-schema"), policies.policies),
    _alone("tenant-role", account.tenant_role),
    _alone("error-codes", jobs.error_codes),
    (
        ("ttl-number", "publishes", "data-endpoint", "delete-connection", "certificate-status"),
        devices.connected,
    ),
    _alone("rates", account.rates),
)


def ask(sandbox: Sandbox, outcomes: dict[str, Outcome], said: Callable[[str], None]) -> None:
    """Ask for each row, and write down what came of it.

    Args:
        sandbox: where.
        outcomes: gets each as it comes, so that an interrupted run has them too.
        said: is told what is asked.
    """
    for row in ROWS:
        if row.reason:
            outcomes[row.id] = Outcome(settled=Settled.NO_CALL, answer=row.reason)
    for rows, probe in PROBES:
        said(f"asking: {', '.join(rows)} ({len(sandbox.calls.made)} calls so far)")
        outcomes |= attempted(rows, lambda probe=probe: probe(sandbox))
