"""The end of a tenant, in steps that are written down and may be repeated; then the proof."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from infra import names
from infra.commands import file_lines, life_events, shared_rows
from infra.commands.account import Belongings
from infra.commands.life_events import Happened, LifeEvent
from infra.commands.offboarding import record, removal, traces
from infra.stacks.config import stack_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infra.commands.account import Account
    from infra.commands.offboarding.record import Record
    from infra.commands.stack_run import Outcome

OPERATORS_PARTITION: Final = "#offboarded"
"""Of the audit table: certificates of tenants that are gone; no tenant's rows begin with `#`."""
TOLD: Final = "told"
"""Of the record: the event bus knows that the tenant is gone."""
_PASSES: Final = 2
_AGAIN: Final = ("certificates", "things", "jobs", "timers", "rows")
_BACKUP_DAYS: Final = 35  # source: DynamoDB developer guide, "Point-in-time recovery"


class StackError(Exception):
    """A run of the tenant's stack failed; says which and where its log is."""


@dataclass(frozen=True, kw_only=True)
class Offboarding:
    """One tenant's end.

    Attributes:
        account: where it stands.
        folder: keeps record, logs, certificate, and what was its file.
        root: the project's folder.
        run_stack: runs a verb on the tenant's stack; how it ended.
        suspend: turns the tenant off; called with the reason.
        export: writes the tenant's archive into the folder; its SHA-256, or the empty text if
            none was wanted.
        say: told of each step.
        kept: what is done.
    """

    account: Account
    folder: Path
    root: Path
    run_stack: Callable[[str], Outcome]
    suspend: Callable[[str], None]
    export: Callable[[], str]
    say: Callable[[str], None]
    kept: Record
    _steps: dict[str, Callable[[], dict[str, int]]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        steps = {
            "suspend": self._suspend,
            "export": self._export,
            "inventory": self._inventory,
            "certificates": self._certificates,
            "things": self._things,
            "jobs": self._jobs,
            "timers": self._timers,
            "unprotect": self._unprotect,
            "destroy": self._destroy,
            "rows": self._rows,
        }
        object.__setattr__(self, "_steps", steps)

    @property
    def belongings(self) -> Belongings:
        """What is the tenant's, as far as is known."""
        identifiers = {arn.rsplit("/", 1)[1] for arn in self.kept.certificates}
        return Belongings(tenant=self.kept.tenant, ids=frozenset({*self.kept.ids, *identifiers}))

    def run(self) -> bool:
        """Whether nothing is left, and the certificate of it is written.

        Raises:
            botocore.exceptions.ClientError: AWS refused; what was said until then is done.
            LeftError: a part could not be taken away.
            NotToldError: the event bus does not take that it is suspended, or gone.
            StackError: the stack could not be changed or destroyed.
            SuspensionError: the tenant could not be turned off.
        """
        for _ in range(_PASSES):
            for step, does in self._steps.items():
                if step in self.kept.done:
                    continue
                did = does()
                self.kept.done[step] = did
                record.write(self.kept, self.folder)
                self.say(f"{step}: {', '.join(f'{n} {what}' for what, n in did.items()) or 'done'}")
            searched = self._searched()
            if not any(one.found for one in searched):
                file = self.root / stack_file.shown(self.kept.tenant)
                (self.folder / file.name).write_bytes(file.read_bytes())
                self._certify(searched)
                tell_offboarded(self.account, self.kept, self.folder)
                put_away(self.root, self.kept.tenant, self.folder, say=self.say)
                return True
            # Rules write rows of things that went for some time yet: these are tried again, now and
            # when the command is repeated.
            for step in _AGAIN:
                self.kept.done.pop(step)
            record.write(self.kept, self.folder)
        return False

    def _suspend(self) -> dict[str, int]:
        self.suspend(self.kept.reason)
        return {}

    def _export(self) -> dict[str, int]:
        self.kept.export_sha256 = self.export()
        return {"archives": int(bool(self.kept.export_sha256))}

    def _inventory(self) -> dict[str, int]:
        """Before anything goes: afterwards no list tells which certificates there were."""
        found = self.account.tenant(self.kept.tenant)
        self.kept.ids = [found.pool_id, found.store_id]
        self.kept.things = list(removal.things(self.account, self.belongings))
        self.kept.certificates = list(
            removal.certificates(self.account, self.belongings, self.kept.things)
        )
        return {"things": len(self.kept.things), "certificates": len(self.kept.certificates)}

    def _certificates(self) -> dict[str, int]:
        listed = removal.certificates(
            self.account, self.belongings, removal.things(self.account, self.belongings)
        )
        self.kept.certificates = sorted({*self.kept.certificates, *listed})
        record.write(self.kept, self.folder)  # one that is detached is in no list any more
        gone = sum(
            removal.remove_certificate(self.account, self.belongings, arn)
            for arn in self.kept.certificates
        )
        # What somebody else's thing holds stays, and is no trace of this tenant any more.
        if shared := len(self.kept.certificates) - gone:
            self.kept.certificates = [
                arn for arn in self.kept.certificates if not self._is_there(arn)
            ]
            return {"deleted": gone, "left to other holders": shared}
        return {"deleted": gone}

    def _is_there(self, arn: str) -> bool:
        iot = self.account.client("iot")
        try:
            iot.describe_certificate(certificateId=arn.rsplit("/", 1)[1])
        except iot.exceptions.ResourceNotFoundException:
            return False
        return True

    def _things(self) -> dict[str, int]:
        listed = removal.things(self.account, self.belongings)
        self.kept.things = sorted({*self.kept.things, *listed})
        for thing in self.kept.things:
            removal.remove_thing(self.account, thing)
        return {"deleted": len(self.kept.things)}

    def _jobs(self) -> dict[str, int]:
        return {"deleted": removal.remove_jobs(self.account, self.belongings)}

    def _timers(self) -> dict[str, int]:
        return {"deleted": removal.remove_timers(self.account, self.belongings)}

    def _unprotect(self) -> dict[str, int]:
        file_lines.mark(self.root, self.kept.tenant, "protect", on=False)
        self._ran("up")
        return {}

    def _destroy(self) -> dict[str, int]:
        self._ran("destroy")
        return {}

    def _ran(self, verb: str) -> None:
        outcome = self.run_stack(verb)
        if not outcome.went_well:
            raise StackError(
                f"`{verb}` of the stack failed with code {outcome.code}: "
                + " / ".join(outcome.said)
            )

    def _rows(self) -> dict[str, int]:
        """Until there are none: of the things that went, rules write rows for a while."""
        counts: dict[str, int] = {}
        while True:
            removed = removal.remove_rows(self.account, self.belongings)
            for table, count in removed.items():
                counts[f"of {table}"] = counts.get(f"of {table}", 0) + count
            if not any(removed.values()):
                return counts

    def _searched(self) -> list[traces.Searched]:
        searched = list(
            traces.search(self.account, self.belongings, things=tuple(self.kept.things))
        )
        for one in searched:
            for name in one.found:
                self.say(f"left: {one.store}: {name}")
        looked_at = sum(one.looked_at for one in searched)
        left = sum(len(one.found) for one in searched)
        self.say(f"proof: {len(searched)} stores, {looked_at} entries looked at, {left} left")
        return searched

    def _certify(self, searched: list[traces.Searched]) -> None:
        kept, ended = self.kept, datetime.now(UTC)
        said = {
            "format": record.FORMAT,
            "tenant": kept.tenant,
            "reason": kept.reason,
            "by": kept.by,
            "account": self.account.client("sts").get_caller_identity()["Account"],
            "region": self.account.region,
            "began_at": kept.began_at,
            "ended_at": ended.isoformat(timespec="seconds"),
            "done": kept.done,
            "export": {"sha256": kept.export_sha256} if kept.export_sha256 else "none was wanted",
            "searched": {one.store: one.looked_at for one in searched},
            "left": {},
            "ends_by_itself": self._ends_by_itself(ended),
            "not_searched": dict(traces.UNSEARCHED),
        }
        whole = record.certify(self.folder, said)
        self.account.client("dynamodb").put_item(
            TableName=names.AUDIT_TABLE,
            Item={
                "partition": {"S": OPERATORS_PARTITION},
                "sk": {"S": f"{kept.tenant} {kept.began_at}"},
                "sha256": {"S": whole["sha256"]},
                "by": {"S": kept.by},
                "ended_at": {"S": whole["ended_at"]},
            },
        )
        self.say(f"certificate: {self.folder / record.CERTIFICATE}, SHA-256 {whole['sha256']}")

    def _ends_by_itself(self, ended: datetime) -> dict[str, str]:
        """What nobody can take out of a backup or log, and the day on which it ends."""
        ends: dict[str, str] = {}
        for table in shared_rows.tables(self.account):
            held = self.account.client("dynamodb").describe_continuous_backups(TableName=table)
            recovery = held["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
            if recovery["PointInTimeRecoveryStatus"] == "ENABLED":
                days = int(recovery.get("RecoveryPeriodInDays", _BACKUP_DAYS))
                ends[f"backups of table {table}"] = _day(ended, days)
        for group in self.account.pages("logs", "describe_log_groups", "logGroups"):
            if "cedarfleet" in group["logGroupName"]:
                days = group.get("retentionInDays")
                ends[f"log group {group['logGroupName']}"] = (
                    _day(ended, days) if days else "never: it has no retention"
                )
        return ends


def tell_offboarded(account: Account, kept: Record, folder: Path) -> None:
    """Tell that the tenant is gone, and note that.

    Args:
        account: where it was.
        kept: of the whole offboarding.
        folder: with the certificate.

    Raises:
        botocore.exceptions.ClientError: AWS refused.
        NotToldError: the event bus does not take it.
    """
    said = json.loads((folder / record.CERTIFICATE).read_text(encoding="utf-8"))
    life_events.tell(
        account,
        LifeEvent(
            happened=Happened.OFFBOARDED,
            tenant=kept.tenant,
            at=said["ended_at"],
            by=kept.by,
            since=kept.began_at,
        ),
    )
    kept.done[TOLD] = {}
    record.write(kept, folder)


def put_away(root: Path, tenant: str, folder: Path, *, say: Callable[[str], None]) -> None:
    """Take the tenant's file out of the stack files, so that nobody's `up --all` makes it anew.

    Only if it is the one that was copied into the folder: a tenant may be stamped under that id
    again, and has another file then.
    """
    file = root / stack_file.shown(tenant)
    if file.exists() and file.read_bytes() == (folder / file.name).read_bytes():
        file.unlink()
        say(f"{stack_file.shown(tenant)} is in {folder} now: commit that")


def _day(ended: datetime, days: int) -> str:
    return (ended + timedelta(days=days)).date().isoformat()
