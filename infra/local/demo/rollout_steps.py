"""The demo's steps of a rollout: a plan with a denial, two waves; and the trail, checked."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from infra.local.demo.preparation import DemoRun, ok
from infra.local.demo.tenant_steps import SECOND
from infra.local.processes import inherited
from infra.local.setup import FIRMWARE, ROOT, random_file

if TYPE_CHECKING:
    from pathlib import Path

_IN_WAVES: Final = "recipes/copper-30.bin"
_BY_WINDOW: Final = "firmware-in-maintenance-window"
_VERIFY_SECONDS: Final = 60
_ENDS: Final = frozenset({"succeeded", "failed", "canceled"})


def rollout_begins(run: DemoRun) -> None:
    """A file goes to a line in two waves; the second waits until the first has ended."""
    with run.report.step("a rollout in two waves begins") as step:
        app = run.apps["acme", "managers"]
        run.setup.upload("acme", _IN_WAVES, random_file(4096))
        wanted = {
            "artifact": _IN_WAVES,
            "group": "line-press",
            "waves": [{"devices": 1}],
            "ended_percent": 100,
        }
        plan = ok(app.post("/v1/downloads/plan", wanted), HTTPStatus.CREATED)
        step.check(plan["waves"] == [1, 1], "planned for line-press: one device, then the other")
        watch = app.accepted("/v1/downloads", {"plan": plan["id"]})
        run.rollout = plan["id"]
        seen = app.watch(watch, lambda view: "succeeded" in _states(view).values())
        states = _states(seen)
        step.check(
            states == {run.devices["acme"].device: "succeeded", SECOND: "created"},
            f"exactly that plan is started: {states}",
        )


def plan_says_who(run: DemoRun) -> None:
    """Before anything is sent, a plan says which device is refused, and by which policy."""
    with run.report.step("a plan says which devices would be refused, and why") as step:
        manager, staff = run.apps["acme", "managers"], run.apps["acme", "it-staff"]
        now = datetime.now(UTC)
        begin = now + timedelta(hours=6)
        shut = f"{begin:%H:%M}-{begin + timedelta(hours=2):%H:%M}"
        patched = f"{now - timedelta(days=60):%Y-%m-%d}"
        facts = {"utc_offset": "+00:00", "security_patch": patched, "window": shut}
        ok(manager.patch(f"/v1/devices/{SECOND}", facts))
        asked = {"artifact": FIRMWARE, "group": "zone-hall-1"}
        answer = staff.answered("/v1/downloads/plan", asked, HTTPStatus.SERVICE_UNAVAILABLE)
        plan = ok(answer, HTTPStatus.CREATED)
        step.check(
            plan["denied_by"] == {_BY_WINDOW: 1},
            f"firmware for zone-hall-1, now: 1 of {plan['reach']['targets']} devices denied by"
            f" `{_BY_WINDOW}`; nothing was sent",
        )


def version_is_wanted(run: DemoRun) -> None:
    """A group wants a version, and a device joins it; the worker then brings it, in its time."""
    with run.report.step("a group wants a version, and a device joins it later") as step:
        app = run.apps["acme", "managers"]
        group = {"id": "brass", "parents": ["line-press"]}
        ok(app.post("/v1/groups", group), HTTPStatus.CREATED)
        wish = "/v1/groups/brass/wanted-versions/recipes"
        made = ok(app.put(wish, {"file": run.uploaded}))
        step.check(made["version"] == "1.0", "brass wants `recipes` 1.0; nobody is in it")
        ok(app.post("/v1/groups/brass/members", {"put_in": [SECOND]}))
        step.checks.append(f"{SECOND} joins; nobody sends it anything")


def late_device_is_brought(run: DemoRun) -> None:
    """The device that joined later was brought to the version, beside the other steps."""
    with run.report.step("who joined later has the wanted version") as step:
        app = run.apps["acme", "managers"]
        brought = app.watch(
            "/v1/downloads?group=brass",
            lambda view: any(one["state"] in _ENDS for one in view["downloads"]),
            seconds=150,
        )
        states = [one["state"] for one in brought["downloads"]]
        step.check(states == ["succeeded"], f"{SECOND} was brought to it: {states}")
        runs = app.watch(
            "/v1/versions/recipes?version=1.0",
            lambda view: SECOND in {one["device"] for one in view["devices"]},
            seconds=150,  # the wish is looked at again a minute after its batch at the soonest
        )
        step.check(bool(runs["devices"]), f"{SECOND} is listed as running it")


def rollout_ends(run: DemoRun) -> None:
    """The second wave has begun by itself, once the first had ended."""
    with run.report.step("the second wave begins by itself") as step:
        app = run.apps["acme", "managers"]
        done = app.watch(
            f"/v1/downloads/{run.rollout}",
            lambda view: _ENDS.issuperset(_states(view).values()),
            seconds=120,
        )
        states = _states(done)
        step.check(
            set(states.values()) == {"succeeded"}, f"decided again for who began it: {states}"
        )


def audit_is_verified(run: DemoRun) -> None:
    """The trail is taken away and checked by itself; a copy with one changed word is refused."""
    with run.report.step("the audit trail proves itself, and a changed copy does not") as step:
        app = run.apps["acme", "managers"]
        chain = app.watch("/v1/audit/chain", lambda view: view["signed"] is not None, seconds=90)
        export, changed = (run.setup.state_dir / f"{name}.jsonl" for name in ("acme", "changed"))
        answer = app.get("/v1/audit/export")
        step.check(answer.status_code == HTTPStatus.OK, f"exported: {chain['entries']} entries")
        export.write_text(answer.text, encoding="utf-8")
        code, said = _verified(export, key=chain["signed"]["key"])
        step.check(code == 0, said.splitlines()[0])
        text = answer.text.replace("StopDevice", "ViewDevice", 1)
        step.check(text != answer.text, "in a copy, one `StopDevice` is made `ViewDevice`")
        changed.write_text(text, encoding="utf-8")
        code, said = _verified(changed, key=chain["signed"]["key"])
        step.check(code == 1, " ".join(said.split()))


def _states(download: dict[str, Any]) -> dict[str, str]:
    """Each device's state; `counts` are those of the worker's last look."""
    return {one["device"]: one["state"] for one in download["deliveries"]}


def _verified(export: Path, *, key: str) -> tuple[int, str]:
    """What `verify-audit` says, as a process that knows nothing but the file."""
    done: Any = subprocess.run(  # noqa: S603 - our own program, no shell
        [sys.executable, "-m", "service", "verify-audit", str(export), f"--key={key}"],
        cwd=ROOT,
        env=inherited(),
        capture_output=True,
        text=True,
        timeout=_VERIFY_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout
