"""`python -m infra tenants`: one verb over many stacks, or one tenant turned off and on.

Exit code 0: done, or no drift; 1: something is wrong, and the report says of which stacks; 4:
`drift` found some. A run that was stopped or killed goes on with `--resume REPORT`.
"""

from __future__ import annotations

import argparse
import signal
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from infra.commands import (
    aws_failure,
    new_tenant,
    rings,
    run_report,
    selection,
    stack_run,
    stamping,
    tenant_freeze,
    tenant_switch,
    tenant_usage,
    tier_move,
)
from infra.commands.account import Account
from infra.commands.after_stamping import AfterStamping
from infra.commands.file_lines import FileStyleError
from infra.commands.offboarding import command as offboarding
from infra.commands.run_report import ReportError
from infra.commands.stack_run import DRIFTED
from infra.commands.tenant_archive import command as archives
from infra.policies import PolicyError
from infra.stacks.config import file_schema
from infra.stacks.config.reading import ConfigError
from infra.stacks.config.tenants import configured, of_tier, tenants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from infra.commands.run_report import RunReport
    from infra.commands.stack_run import Outcome

GROUP: Final = "tenants"
ABOUT: Final = "All tenants' stacks at once."
VERBS: Final = {
    "list": "the tenants that have a file, and what each asks for",
    "preview": "what `up` would do to each, and which decisions would flip",
    "up": "stamp them: a canary first, then the others, until one fails",
    "drift": "what of each is otherwise than its state and files say",
    "move": "bring one tenant to another tier, and stamp it",
    "new": "write the file of a new tenant, and check it",
    "schema": "write anew what editors complete a tenant's file from",
    "invite": "invite a person of a tenant, as its first manager",
    "suspend": "turn one tenant off, in seconds: people, machines, policies, devices",
    "resume": "restore a tenant that was suspended, as it was",
    "freeze": "let nobody change a tenant, a group's devices, or all tenants, in seconds",
    "thaw": "end that",
    "usage": "what each used, day by day, as it was counted",
    "export": "write a tenant's data into one file, with digests",
    "import": "bring such a file into a tenant that is stamped on another platform",
    "offboard": "take a tenant away with all it left, prove it, and certify it",
    "destroy": "destroy a tenant's stack, and nothing that no stack made",
}
_HEAD: Final = ("tenant", "name", "tier", "cell", "state", "groups", "lines", "machines", "grants")
_RUNS: Final = "runs"
_SHOWN: Final = 10  # tenants of a line; the report names all
_PARALLEL: Final = 4  # of 16 resources each: the control plane's rates are of the whole account


def add_arguments(verbs: Mapping[str, argparse.ArgumentParser]) -> None:
    """Give the parser of each verb its arguments."""
    new_tenant.add_new_arguments(verbs["new"])
    new_tenant.add_invite_arguments(verbs["invite"])
    tenant_switch.add_arguments(verbs["suspend"], suspends=True)
    tenant_switch.add_arguments(verbs["resume"], suspends=False)
    tenant_freeze.add_arguments(verbs["freeze"], freezes=True)
    tenant_freeze.add_arguments(verbs["thaw"], freezes=False)
    tenant_usage.add_arguments(verbs["usage"])
    archives.add_export_arguments(verbs["export"])
    archives.add_import_arguments(verbs["import"])
    offboarding.add_offboard_arguments(verbs["offboard"])
    offboarding.add_destroy_arguments(verbs["destroy"])
    tier_move.add_arguments(verbs["move"])
    _add_run_arguments(verbs["move"])
    verbs["move"].set_defaults(canary=None, parallel=1, failures=0, resume=None)
    verbs["list"].add_argument("--tier", help="those of this tier alone")
    for verb in ("preview", "up", "drift"):
        parser = verbs[verb]
        which = selection.add_arguments(parser)
        which.add_argument(
            "--resume", type=Path, metavar="REPORT", help="go on with the run of this report"
        )
        parser.add_argument("--canary", help="the tenant that goes first (default: the first)")
        parser.add_argument(
            "--parallel",
            type=_positive,
            default=_PARALLEL,
            metavar="N",
            help="stacks at once after the canary (default: %(default)s)",
        )
        parser.add_argument(
            "--failures",
            type=_count,
            default=0,
            metavar="N",
            help="go on until more than so many have failed (default: %(default)s)",
        )
        _add_run_arguments(parser)
    verbs["up"].add_argument(
        "--accept",
        action="store_true",
        help="also where a tenant has what its tier or its file allows no more",
    )


def _add_run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--report",
        type=Path,
        help="file of the report (default: one in .cedarfleet/runs/)",
    )
    parser.add_argument(
        "--engine",
        choices=("auto", "pulumi", "embedded"),
        default="auto",
        help="the CLI, or the laptop's of `make up` (default: the CLI where there is one)",
    )
    parser.add_argument(
        "--state", type=Path, default=Path(".cedarfleet"), help="folder of `make up`"
    )


def run(options: argparse.Namespace, *, root: Path) -> int:
    """Do what was asked for, or say on the standard error what is wrong."""
    try:
        done: dict[str, Callable[[], int]] = {
            "list": partial(_list, root, options.__dict__.get("tier")),
            "move": partial(_move, options, root),
            "new": partial(new_tenant.new, options, root=root),
            "schema": partial(_schema, root),
            "invite": partial(new_tenant.invite, options, root=root),
            "suspend": partial(tenant_switch.run, options, root=root),
            "resume": partial(tenant_switch.run, options, root=root),
            "freeze": partial(tenant_freeze.run, options, root=root),
            "thaw": partial(tenant_freeze.run, options, root=root),
            "usage": partial(tenant_usage.run, options, root=root),
            "export": partial(archives.export, options, root=root),
            "import": partial(archives.bring, options, root=root),
            "offboard": partial(offboarding.offboard, options, root=root),
            "destroy": partial(offboarding.destroy, options, root=root),
        }
        return done.get(options.verb, partial(_run, options, root))()
    except (ConfigError, FileStyleError, PolicyError, ReportError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _list(root: Path, tier: str | None) -> int:
    for line in _listed(root, of_tier(root, tier) if tier else tenants(root)):
        _say(line)
    return 0


def _move(options: argparse.Namespace, root: Path) -> int:
    engine = stack_run.chosen(root, options.state.resolve(), wanted=options.engine)
    try:
        stamps = tier_move.begin(options, root=root, account=Account.stamped_by(engine, root))
    except (BotoCoreError, ClientError) as error:
        sys.stderr.write(f"move {options.tenant}: {aws_failure.words(error)}; it may be repeated\n")
        return 1
    if not stamps:
        return 0
    # From here on it is a release of one tenant; the row of the move has it told at the end.
    options.verb, options.tenant, options.tier, options.all = "up", [options.tenant], None, False
    options.accept = None  # what it loses is told, and accepted
    return _run(options, root)


def _schema(root: Path) -> int:
    (root / "tenants" / file_schema.FILE).write_text(file_schema.render(), encoding="utf-8")
    return 0


def _listed(root: Path, stacks: list[str]) -> Iterator[str]:
    rows: list[list[str]] = [[*_HEAD]]
    for tenant in stacks:
        asked = configured(root, tenant)
        counts = (asked.groups, asked.lines, asked.machines, asked.grants)
        state = "suspended" if asked.suspended else "active"
        row = [tenant, asked.display_name, asked.tier or "-", asked.cell, state]
        rows.append([*row, *(str(len(each)) for each in counts)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _run(options: argparse.Namespace, root: Path) -> int:
    state: Path = options.state.resolve()
    engine = stack_run.chosen(root, state, wanted=options.engine)
    if options.resume:
        file: Path = options.resume.resolve()
        report = run_report.read(file)
        if report.verb != options.verb:
            raise ReportError(f"{file}: is of `{report.verb}`, not of `{options.verb}`")
        selection.known(root, report.stacks)
    else:
        began = datetime.now(UTC)
        default = state / _RUNS / f"{began:%Y%m%dT%H%M%S}-{options.verb}.json"
        file = (options.report or default).resolve()
        stacks = selection.selected(options, root)
        if options.canary is not None and options.canary not in stacks:
            raise ConfigError(f"--canary: `{options.canary}` is none of {', '.join(stacks)}")
        report = rings.planned(
            options.verb,
            stacks,
            canary=options.canary,
            engine=engine.name,
            began_at=began.isoformat(timespec="seconds"),
            logs=f"{file.stem}-logs",
        )
    places = stack_run.Places(root=root, logs=file.parent, locks=state / _RUNS / "locks")
    try:
        around = None if options.verb == "drift" else AfterStamping.of(engine, root)
    except (BotoCoreError, ClientError) as error:
        sys.stderr.write(f"{options.verb}: {aws_failure.words(error)}; nothing is begun\n")
        return 1
    accepts = options.accept if options.verb == "up" else True
    with _Progress(report) as progress:
        going = rings.RingRun(
            report,
            file,
            once=partial(stamping.once, engine, report, places, around, accepts=accepts),
            limits=rings.Limits(parallel=options.parallel, failures=options.failures),
            tell=progress.tell,
        )
        before = signal.signal(signal.SIGINT, lambda *_: going.stop())
        try:
            whole = going.run()
        finally:
            signal.signal(signal.SIGINT, before)
    for line in _summary(report, file):
        _say(line)
    if not whole:
        return 1
    return DRIFTED if report.count("drifted") else 0


class _Progress:
    """Lines as stacks begin and end, with a bar where a person looks on."""

    def __init__(self, report: RunReport) -> None:
        self._report = report
        columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
        console = Console(highlight=False)
        self._bar = Progress(
            *columns, console=console, transient=True, disable=not console.is_terminal
        )
        self._task = self._bar.add_task(report.verb, total=len(report.stacks))

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *ended: object) -> None:
        self._bar.stop()

    def tell(self, stack: str, outcome: Outcome | None) -> None:
        """Say that a stack begins, or how it ended."""
        ring = "canary " if self._report.stacks[stack].ring == 0 else ""
        if outcome is None:
            self._bar.update(self._task, description=f"{self._report.verb} {stack}")
            return
        done = self._report.count("done", "drifted")
        self._bar.update(self._task, completed=done)
        state = self._report.stacks[stack].state
        words = _essence(outcome) if outcome.went_well else f"exit code {outcome.code}"
        told = (*outcome.terms, f"{ring}{stack}: {state}, {words} ({outcome.seconds:.1f} s)")
        self._bar.console.print("\n".join(told), markup=False, soft_wrap=True)


def _essence(outcome: Outcome) -> str:
    """What counts of all that a stack said."""
    last = [line.strip() for line in outcome.said if line.strip()][-1:]
    return "; ".join(outcome.told or last) or "nothing to say"


def _summary(report: RunReport, file: Path) -> Iterator[str]:
    done, all_of_them = report.count("done", "drifted"), len(report.stacks)
    yield f"{done} of {all_of_them} done by {report.engine}; report: {file}"
    terms = [name for name, stack in report.stacks.items() if stack.terms]
    if terms:
        yield f"other terms for {len(terms)} of {all_of_them}: {_named(terms)}"
    flips = [f"{name} ({stack.flips})" for name, stack in report.stacks.items() if stack.flips]
    if flips:
        yield f"decisions flip in {len(flips)} of {all_of_them}: {_named(flips)}; see the logs"
    for name, stack in report.stacks.items():
        if stack.state == "drifted":
            yield f"{name}: drifted, see {file.parent / stack.log}"
        if stack.state == "failed":
            yield f"{name}: failed, see {file.parent / stack.log}"
            yield from (f"  {line}" for line in stack.said)
    if waiting := report.count("waiting"):
        go_on = f"python -m infra tenants {report.verb} --resume {file}"
        yield f"{waiting} were not begun; go on with: {go_on}"


def _named(those: list[str]) -> str:
    more = f" and {len(those) - _SHOWN} more" if len(those) > _SHOWN else ""
    return ", ".join(those[:_SHOWN]) + more


def _positive(text: str) -> int:
    return _number(text, least=1)


def _count(text: str) -> int:
    return _number(text, least=0)


def _number(text: str, *, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"`{text}` must be a whole number, {least} or more")
    return int(text)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
