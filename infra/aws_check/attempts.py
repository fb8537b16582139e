"""Keeps one refusal from hiding what the other probes find out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from infra.aws_check.calls import OutOfCallsError
from infra.aws_check.leftovers import code
from infra.aws_check.rows import Outcome, unanswered
from infra.aws_check.sandbox import NotMadeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


def attempted(
    rows: Iterable[str], probe: Callable[[], Mapping[str, Outcome]]
) -> Mapping[str, Outcome]:
    """What a probe finds out of its rows; why they stay open, if it was refused.

    Args:
        rows: their ids.
        probe: asks.
    """
    try:
        return probe()
    except ClientError as error:
        return dict.fromkeys(rows, unanswered(f"refused, {code(error)}: {error}"))
    except (BotoCoreError, NotMadeError, OutOfCallsError, OSError) as error:
        return dict.fromkeys(rows, unanswered(str(error)))
