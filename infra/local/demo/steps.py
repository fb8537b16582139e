"""The steps of the demo, in order. Each does one thing for real and checks what came of it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from infra.local.demo.in_the_browser import console_is_walked
from infra.local.demo.leaving_steps import (
    drift_is_found,
    tenant_is_suspended,
    tenant_leaves,
)
from infra.local.demo.permission_steps import (
    policies_are_proved,
    policy_is_replayed,
    refusal_is_explained,
)
from infra.local.demo.preparation import DemoRun, ok
from infra.local.demo.rollout_steps import (
    audit_is_verified,
    late_device_is_brought,
    plan_says_who,
    rollout_begins,
    rollout_ends,
    version_is_wanted,
)
from infra.local.demo.tenant_steps import (
    device_is_added,
    events_are_followed,
    file_is_uploaded,
    grant_ends,
    line_is_asked,
    machine_is_rotated,
    person_is_disabled,
    person_is_invited,
)
from infra.local.setup import FIRMWARE, RECIPE, TENANTS

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

FINAL_STATES: Final = frozenset(
    {"succeeded", "failed", "rejected", "expired", "interrupted", "canceled"}
)


def manager_lists(run: DemoRun) -> None:
    """A manager sees the tenant's devices, and no others."""
    with run.report.step("the manager lists devices") as step:
        for tenant in TENANTS:
            device = run.devices[tenant].device
            page = run.apps[tenant, "managers"].watch("/v1/devices", _connected(device))
            names = [each["id"] for each in page["devices"]]
            step.check(names == [device], f"{tenant}: {names}, connected")


def manager_downloads(run: DemoRun) -> None:
    """A file of 24 MiB reaches the device; every byte is compared."""
    for tenant in TENANTS:
        with run.report.step(f"{tenant}'s manager downloads a file to the device") as step:
            device, recipe = run.devices[tenant], run.recipes[tenant]
            app = run.apps[tenant, "managers"]
            watch = app.accepted("/v1/downloads", {"device": device.device, "artifact": RECIPE})
            done = app.watch(watch, lambda view: view["state"] in FINAL_STATES)
            step.check(done["state"] == "succeeded", f"the download's state is {done['state']}")
            delivered = device.downloads / RECIPE
            digest = hashlib.sha256(delivered.read_bytes()).hexdigest()
            size = delivered.stat().st_size
            step.check(
                digest == recipe.sha256, f"{size:,} bytes on the device's disk, identical (SHA-256)"
            )


def operator_is_refused(run: DemoRun) -> None:
    """An operator sees the devices and may not send files; the refusal names the policy."""
    with run.report.step("the operator lists, and is refused the download") as step:
        for tenant in TENANTS:
            device, app = run.devices[tenant].device, run.apps[tenant, "operators"]
            names = [each["id"] for each in ok(app.get("/v1/devices"))["devices"]]
            step.check(names == [device], f"{tenant}: lists {names}")
            refused = app.post("/v1/downloads", {"device": device, "artifact": RECIPE})
            step.check(*_refusal(refused, "operators-view-only"))


def command_runs(run: DemoRun) -> None:
    """A command runs in the device's process, and its result comes back."""
    with run.report.step("a command runs on the device") as step:
        for tenant in TENANTS:
            device, app = run.devices[tenant].device, run.apps[tenant, "managers"]
            watch = app.accepted(
                f"/v1/devices/{device}/commands", {"name": TENANTS[tenant].measure}
            )
            done = app.watch(watch, lambda view: view["is_final"])
            states = [each["state"] for each in done["history"]]
            step.check(done["state"] == "succeeded", f"{tenant}: {' > '.join(states)}")
            answered = done["detail"].get("process")
            step.check(
                answered == run.children[tenant].pid,
                f"answered by the device's process {answered}",
            )


def tenants_are_apart(run: DemoRun) -> None:
    """Acme's token opens nothing of globex: not by the API, not at globex's policy store."""
    with run.report.step("one tenant's token opens nothing of another") as step:
        foreign, app = run.devices["globex"].device, run.apps["acme", "managers"]
        missing = app.get("/v1/devices/no-such-device")
        for answer, words in (
            (app.get(f"/v1/devices/{foreign}"), f"GET /v1/devices/{foreign}"),
            (
                app.post(f"/v1/devices/{foreign}/commands", {"name": "run-diagnostics"}),
                "a command to it",
            ),
            (
                app.post("/v1/downloads", {"device": foreign, "artifact": RECIPE}),
                "a download to it",
            ),
        ):
            step.check(answer.status_code == HTTPStatus.NOT_FOUND, f"{words}: 404")
        step.check(
            missing.status_code == HTTPStatus.NOT_FOUND,
            "the same answer as for a device that is nowhere",
        )
        store = run.setup.stacks["globex"]["policy_store_id"]
        try:
            _decide(run, store, run.tokens["acme", "managers"])
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            step.check(
                code == "ValidationException",
                f"acme's token at globex's policy store: refused, {code}",
            )
        else:
            step.check(holds=False, what="globex's policy store refuses acme's token")
        own = _decide(run, store, run.tokens["globex", "managers"])
        step.check(own == "ALLOW", "globex's own token there: ALLOW")


def window_decides(run: DemoRun) -> None:
    """The same person asks the same: refused outside the maintenance window, accepted inside."""
    with run.report.step("the maintenance window decides by time") as step:
        device = run.devices["acme"].device
        manager, staff = run.apps["acme", "managers"], run.apps["acme", "it-staff"]
        now = datetime.now(UTC)
        patched = {"utc_offset": "+00:00", "security_patch": f"{now - timedelta(days=60):%Y-%m-%d}"}
        body = {"device": device, "artifact": FIRMWARE}
        closed, opened = _window(now, after_hours=6), _window(now, after_hours=-1)
        ok(manager.patch(f"/v1/devices/{device}", patched | {"window": closed}))
        step.check(
            *_refusal(
                staff.post("/v1/downloads", body),
                "firmware-in-maintenance-window",
                f"{closed} UTC: ",
            )
        )
        ok(manager.patch(f"/v1/devices/{device}", {"window": opened}))
        done = staff.watch(
            staff.accepted("/v1/downloads", body), lambda view: view["state"] in FINAL_STATES
        )
        step.check(
            done["state"] == "succeeded", f"{opened} UTC, now {now:%H:%M}: firmware {done['state']}"
        )


def emergency_decides(run: DemoRun) -> None:
    """A responder acts on a device of high criticality, in a declared emergency only."""
    with run.report.step("an emergency opens what is shut otherwise") as step:
        device = run.devices["acme"].device
        manager, responder = (
            run.apps["acme", "managers"],
            run.apps["acme", "emergency-responders"],
        )
        stop: dict[str, Any] = {"name": "stop"}
        declared = stop | {"emergency": {"reason": "smoke at the press"}}
        path = f"/v1/devices/{device}/commands"
        ok(manager.patch(f"/v1/devices/{device}", {"criticality": "high"}))
        refused = responder.post(path, stop)
        step.check(refused.status_code == HTTPStatus.FORBIDDEN, "no emergency: 403")
        done = responder.watch(responder.accepted(path, declared), lambda view: view["is_final"])
        step.check(done["state"] == "succeeded", f"declared, with a reason: {done['state']}")
        ok(manager.patch(f"/v1/devices/{device}", {"criticality": "low"}))
        refused = responder.post(path, declared)
        step.check(
            refused.status_code == HTTPStatus.FORBIDDEN,
            f"declared, low criticality: {refused.status_code}",
        )


def _decide(run: DemoRun, store: str, token: str) -> str:
    """Ask globex's policy store directly whether this token's person may list globex's devices."""
    client = run.setup.cloud.client("verifiedpermissions")
    return str(
        client.is_authorized_with_token(
            policyStoreId=store,
            identityToken=token,
            action={"actionType": "Fleet::Action", "actionId": "ListDevices"},
            resource={"entityType": "Fleet::Tenant", "entityId": "globex"},
            context={
                "contextMap": {
                    "now": {"datetime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")},
                    "emergency": {"boolean": False},
                }
            },
        )["decision"]
    )


def _connected(device: str) -> Callable[[dict[str, Any]], bool]:
    """Whether a page of devices shows this one as connected."""

    def shows(page: dict[str, Any]) -> bool:
        return any(
            each["id"] == device and (each["connectivity"] or {}).get("connected")
            for each in page["devices"]
        )

    return shows


def _refusal(answer: httpx.Response, policy: str, before: str = "") -> tuple[bool, str]:
    """Whether the answer is a 403 that names the policy, and the words for it."""
    named = answer.status_code == HTTPStatus.FORBIDDEN and policy in answer.text
    return named, f"{before}403, decided by `{policy}`" + (
        "" if named else f"; came {answer.status_code}"
    )


def _window(now: datetime, *, after_hours: int) -> str:
    """A window of two hours that begins so many hours after now."""
    begin = now + timedelta(hours=after_hours)
    return f"{begin:%H:%M}-{begin + timedelta(hours=2):%H:%M}"


STEPS: Final = (
    manager_lists,
    manager_downloads,
    operator_is_refused,
    command_runs,
    device_is_added,
    rollout_begins,
    line_is_asked,
    events_are_followed,
    tenants_are_apart,
    window_decides,
    emergency_decides,
    refusal_is_explained,
    plan_says_who,
    file_is_uploaded,
    version_is_wanted,
    person_is_invited,
    grant_ends,
    person_is_disabled,
    machine_is_rotated,
    policy_is_replayed,
    policies_are_proved,
    audit_is_verified,
    console_is_walked,
    rollout_ends,
    late_device_is_brought,
    drift_is_found,
    tenant_is_suspended,
    tenant_leaves,
)
