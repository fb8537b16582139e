"""One verb on one stack, with what is told before and after: terms, a first time, another tier."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from infra.commands import stack_run
from infra.commands.life_events import NotToldError
from infra.stacks.config.reading import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from infra.commands.after_stamping import AfterStamping
    from infra.commands.run_report import RunReport
    from infra.commands.stack_run import Engine, Outcome, Places
    from infra.commands.terms_change import TermsChange


def once(
    engine: Engine,
    report: RunReport,
    places: Places,
    around: AfterStamping | None,
    stack: str,
    *,
    accepts: bool | None,
) -> Outcome:
    """Run the report's verb on a stack.

    A tenant that would lose something is not stamped, unless that is accepted.

    Args:
        engine: whoever stamps.
        report: of the run.
        places: where it reads and writes.
        around: what is looked up before and told after; ``None``: nothing.
        stack: its name.
        accepts: whether it may lose something; ``None``: what it loses is told and accepted.
    """
    log = places.logs / report.stacks[stack].log
    began = time.monotonic()
    try:
        change = None if around is None or accepts is None else around.change(stack)
        terms = () if change is None else tuple(change.lines())
        if change is not None and change.loss and not accepts:
            return _refused(change, terms, log, began)
        tell = around.begin(stack, change) if around and report.verb == "up" else None
        outcome = stack_run.run(engine, report.verb, stack, places=places, log=log)
        if terms:
            with log.open("a", encoding="utf-8") as said:
                said.write("\n".join(("", *terms, "")))
        if tell is not None and outcome.went_well:
            tell()
    except (BotoCoreError, ClientError, NotToldError) as error:
        # The stack may be stamped: it is failed all the same, so that the next run tells it.
        words = f"the tenant's terms, onboarding or move are not known, noted or told: {error}"
        return stack_run.Outcome(code=1, seconds=time.monotonic() - began, said=(words,))
    except ConfigError as error:  # the file was right when the run began
        return stack_run.Outcome(code=1, seconds=0.0, said=(str(error),))
    return replace(outcome, terms=terms)


def _refused(change: TermsChange, terms: tuple[str, ...], log: Path, began: float) -> Outcome:
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("\n".join((*terms, change.refusal, "")), encoding="utf-8")
    seconds = time.monotonic() - began
    return stack_run.Outcome(code=1, seconds=seconds, said=(change.refusal,), terms=terms)
