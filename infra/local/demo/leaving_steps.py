"""The demo's last steps: a drift is found, a tenant is turned off, leaves, and is proven gone.

Minutes that AWS takes until a device is shut out pass on the cloud's own clock, which is set
forward; what is measured is this machine's time.
"""

from __future__ import annotations

import json
import shutil
import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from infra.commands import suspension
from infra.commands.account import Account
from infra.commands.offboarding.offboard import Offboarding
from infra.commands.offboarding.record import CERTIFICATE, Record, digest
from infra.commands.revocation import Watch
from infra.commands.stack_run import Outcome
from infra.commands.tenant_archive.command import exported
from infra.local.demo.report import StepError
from infra.local.engine import Engine, kind_and_name
from infra.local.people import SignInError
from infra.local.resources import HANDLERS, INVOKES
from infra.local.setup import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from infra.local.demo.preparation import DemoRun

LEAVER: Final = "globex"
_REASON: Final = "the contract is over"
_EFFECT_SECONDS: Final = 60.0
_AWS_MINUTES: Final = 600.0  # in which a policy of devices is known everywhere


def drift_is_found(run: DemoRun) -> None:
    """What somebody changed by hand is named; the state stays as it is."""
    with run.report.step("a setting that was changed by hand is found") as step:
        s3, bucket = run.setup.cloud.client("s3"), run.setup.stacks[LEAVER]["bucket"]
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
        drifted = _engine(run, ROOT).drift(LEAVER)
        found = [kind_and_name(change.urn) for change in drifted.changes]
        step.check(len(found) == 1 and "bucketVersioning" in found[0], f"drift: {', '.join(found)}")
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def tenant_is_suspended(run: DemoRun) -> None:
    """From the command to the effect: requests, sign-in, devices; the neighbour notices nothing."""
    with run.report.step(f"{LEAVER} is suspended") as step:
        app, account = run.apps[LEAVER, "managers"], _account(run)
        step.check(app.get("/v1/devices").status_code == HTTPStatus.OK, "its manager is let in")
        began = time.perf_counter()
        step.check(_suspend(run, account), "its devices stay away, over the minutes AWS takes")
        ended = time.perf_counter()
        while app.get("/v1/devices").status_code == HTTPStatus.OK:
            if time.perf_counter() - ended > _EFFECT_SECONDS:
                raise StepError(f"expected: its manager is refused within {_EFFECT_SECONDS:.0f} s")
        step.check(
            ended - began < _EFFECT_SECONDS,
            f"its manager is refused {time.perf_counter() - began:.1f} s after the command",
        )
        try:
            run.setup.sign_in(LEAVER, run.people[LEAVER]["managers"])
        except SignInError:
            step.checks.append("nobody signs in any more")
        else:
            step.check(None, "nobody signs in any more")
        other = run.apps["acme", "managers"].get("/v1/devices").status_code
        step.check(other == HTTPStatus.OK, "acme notices nothing")


def tenant_leaves(run: DemoRun) -> None:
    """It is handed its data, taken away, and every store is searched for what is left."""
    with run.report.step(f"{LEAVER} leaves, and is proven gone") as step:
        folder, root = run.setup.state_dir / f"{LEAVER}-left", _files(run)
        account, said = _account(run), list[str]()
        run.children[LEAVER].stop()

        def suspend(reason: str) -> None:
            step.check(_suspend(run, account, reason=reason), "suspended")

        def run_stack(verb: str) -> Outcome:
            # AWS lets go of a policy minutes after the last certificate.
            run.setup.cloud.limits.clock.advance(_AWS_MINUTES)
            engine, began = _engine(run, root), time.monotonic()
            result = engine.up(LEAVER) if verb == "up" else engine.destroy(LEAVER)
            return Outcome(
                code=0, seconds=time.monotonic() - began, said=tuple(result.lines())[-1:]
            )

        offboarding = Offboarding(
            account=account,
            folder=folder,
            root=root,
            run_stack=run_stack,
            suspend=suspend,
            export=lambda: exported(LEAVER, account, folder, root=root, say=said.append),
            say=said.append,
            kept=Record(
                tenant=LEAVER,
                reason=_REASON,
                by=account.caller,
                began_at=datetime.now(UTC).isoformat(timespec="seconds"),
            ),
        )
        step.check(offboarding.run(), "nothing is left")
        step.checks += [
            line for line in said if line.startswith(("audit.jsonl: verified", "proof: "))
        ]
        certificate = json.loads((folder / CERTIFICATE).read_text())
        step.check(
            certificate["sha256"] == digest(certificate),
            f"certificate with SHA-256 {certificate['sha256'][:12]}…, backups end "
            f"{max(certificate['ends_by_itself'].values())}",
        )


def _account(run: DemoRun) -> Account:
    cloud = run.setup.cloud
    return Account(client=cloud.client, region=cloud.region)


def _engine(run: DemoRun, root: Path) -> Engine:
    return Engine(root, run.setup.state_dir / "stacks", run.setup.cloud, HANDLERS, INVOKES)


def _suspend(run: DemoRun, account: Account, *, reason: str = _REASON) -> bool:
    limits = run.setup.cloud.limits

    def pause(seconds: float) -> None:
        limits.clock.advance(10.0 if seconds >= 1 else seconds)

    return suspension.suspend(
        account.tenant(LEAVER),
        by=account.caller,
        reason=reason,
        watch=Watch(quiet_seconds=_AWS_MINUTES, now=limits.clock.now, pause=pause),
        say=lambda _: None,
    )


def _files(run: DemoRun) -> Path:
    """A copy of the stack files: the checkout's stay when the tenant's is put away."""
    root = run.setup.state_dir / "files"
    root.mkdir()
    for name in ("infra", "policies"):
        (root / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "Pulumi.yaml", root)
    shutil.copytree(ROOT / "tenants", root / "tenants")
    return root
