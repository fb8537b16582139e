"""What the check says: before it begins, what it will make; at the end, each row's outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.aws_check.rows import ROWS, Outcome, Settled, unanswered
from infra.aws_check.sandbox import TAG

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.aws_check.sandbox import Sandbox

_WIDTH = 97


def plan(sandbox: Sandbox, *, who: str) -> Iterator[str]:
    """Where, what and how much, before anything is made."""
    name = sandbox.tenant
    yield f"This asks {where(sandbox)} as {who}."
    yield f"It makes at most {sandbox.calls.most} calls and these, all named `{name}...`,"
    yield f"tagged `{TAG}={sandbox.id}` where AWS has tags, and takes them away again:"
    yield "  IAM role with one policy; thing group, IoT policy, one thing"
    yield "  with certificate, one job, one rule; policy store; user pool with one person; table"
    yield "Up to 320 MQTT messages, at most 20 minutes. Cost, by AWS's price lists: a few cents."


def where(sandbox: Sandbox) -> str:
    """Who answers, as the reader must know it."""
    if sandbox.calls.endpoint_url is not None:
        return f"the embedded cloud at {sandbox.calls.endpoint_url}, which is not AWS,"
    return f"AWS, account {sandbox.account_id}, region {sandbox.calls.region},"


def table(sandbox: Sandbox, outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    """Each row with what was answered, and how many calls it took."""
    by = "the embedded cloud answered" if sandbox.calls.endpoint_url is not None else "AWS answered"
    for row in ROWS:
        outcome = outcomes.get(row.id, unanswered("not asked: interrupted"))
        yield "-" * _WIDTH
        yield row.statement
        yield f"  asked:   {row.calls or 'nothing'}"
        if outcome.settled is Settled.NO_CALL:
            yield f"  because: {outcome.answer}"
        else:
            yield f"  {by}: {outcome.answer}"
        yield f"  settled: {outcome.settled.value}"
    yield "-" * _WIDTH
    yield f"{len(sandbox.calls.made)} calls of at most {sandbox.calls.most}"
