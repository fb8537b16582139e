"""The steps of the demo, in order. Each does one thing for real and checks what came of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from infra.local import break_glass
from infra.local.landscape import CAST, PLATFORM, ROOT, Landscape, random_file
from infra.local.scenario.tenant_app import TenantApp

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    import httpx

    from infra.local.devices import Device
    from infra.local.landscape import Artifact
    from infra.local.people import Person
    from infra.local.processes import Child
    from infra.local.scenario.report import Report

MIB: Final = 1024 * 1024
RECIPE: Final = "recipes/steel-240.bin"
RECIPE_BYTES: Final = 24 * MIB
FIRMWARE: Final = "firmware/press-2.1.0.bin"
TENANTS: Final = tuple(CAST)
PRIVATE: Final = 0o600
FINAL_STATES: Final = frozenset({"succeeded", "failed", "rejected", "expired", "interrupted", "canceled"})


@dataclass(kw_only=True)
class Story:
    """What the steps hand to each other; `open_for_good` ends every process when the story ends."""

    landscape: Landscape
    report: Report
    processes: ExitStack
    url: str = ""
    people: dict[str, dict[str, Person]] = field(default_factory=dict[str, "dict[str, Person]"])
    apps: dict[tuple[str, str], TenantApp] = field(default_factory=dict[tuple[str, str], TenantApp])
    tokens: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    recipes: dict[str, Artifact] = field(default_factory=dict[str, "Artifact"])
    devices: dict[str, Device] = field(default_factory=dict[str, "Device"])
    children: dict[str, Child] = field(default_factory=dict[str, "Child"])

    def tell(self) -> None:
        """Run every step; the first that fails ends the story with its error."""
        self.stamp()
        self.prepare()
        self.start_devices()
        self.start_service()
        self.sign_in()
        self.manager_lists()
        self.manager_downloads()
        self.operator_is_refused()
        self.command_runs()
        self.tenants_are_apart()
        self.window_decides()
        self.emergency_decides()
        self.break_glass_ends()

    def stamp(self) -> None:
        """`pulumi up` for the platform and for each tenant, by the in-process engine."""
        for stack in (PLATFORM, *TENANTS):
            with self.report.step(f"stamp {stack}") as step:
                result = self.landscape.stamp(stack)
                made = len(result.changes)
                step.check(made, f"{made} resources made from tenants/Pulumi.{stack}.yaml")
                if result.recorded:
                    kinds = sorted({urn.split("::")[2].split("$")[-1].split(":")[-1] for urn in result.recorded})
                    step.checks.append(f"only recorded, not made here: {', '.join(kinds)}")
        with self.report.step("stamp acme again") as step:
            again = self.landscape.stamp("acme")
            step.check(not again.changes, f"nothing changes: {again.same} resources stay as they are")

    def prepare(self) -> None:
        """People in the pools, files in the buckets."""
        with self.report.step("add people and files") as step:
            for tenant in TENANTS:
                self.people[tenant] = self.landscape.add_people(tenant)
                self.recipes[tenant] = self.landscape.upload(tenant, RECIPE, random_file(RECIPE_BYTES))
                self.landscape.upload(tenant, FIRMWARE, random_file(MIB))
                groups = ", ".join(self.people[tenant])
                step.check(self.recipes[tenant].size == RECIPE_BYTES, f"{tenant}: {groups}; {RECIPE} of 24 MiB")

    def start_devices(self) -> None:
        """Each device makes its key, trades a five-minute claim for a certificate, and runs as its own process."""
        for tenant in TENANTS:
            with self.report.step(f"provision and start {tenant}'s device") as step:
                device = self.devices[tenant] = self.landscape.install_device(tenant)
                mode = (device.folder / "device.key").stat().st_mode & 0o777
                step.check(mode == PRIVATE, f"{device.thing}: own key, mode 0600; the claim is gone")
                child = self.landscape.start_device(device)
                self.processes.enter_context(child)
                self.children[tenant] = child
                step.check(child.pid, f"process {child.pid} connected with its certificate (MQTT 5, mutual TLS)")

    def start_service(self) -> None:
        """The service as its own process, with sessions of its task role."""
        with self.report.step("start the service") as step:
            child, self.url = self.landscape.start_service()
            self.processes.enter_context(child)
            with TenantApp(self.url) as nobody:
                step.check(nobody.get("/health/ready").status_code == HTTPStatus.OK, f"process {child.pid} is ready")
                unsigned = nobody.get("/v1/devices").status_code
                step.check(unsigned == HTTPStatus.UNAUTHORIZED, "without a token: 401")

    def sign_in(self) -> None:
        """Everybody signs in on their tenant's page, with code and PKCE."""
        with self.report.step("sign in") as step:
            for tenant in TENANTS:
                for group, person in self.people[tenant].items():
                    token = self.tokens[tenant, group] = self.landscape.sign_in(tenant, person)
                    self.apps[tenant, group] = self.processes.enter_context(TenantApp(self.url, token))
                    me = self._ok(self.apps[tenant, group].get("/v1/me"))
                    step.check(me["tenant"] == tenant and me["groups"] == [group], f"{person.email}: {tenant}, {group}")

    def manager_lists(self) -> None:
        """A manager sees the tenant's devices, and no others."""
        with self.report.step("the manager lists devices") as step:
            for tenant in TENANTS:
                device = self.devices[tenant].device
                page = self.apps[tenant, "managers"].watch("/v1/devices", _connected(device))
                names = [each["id"] for each in page["devices"]]
                step.check(names == [device], f"{tenant}: {names}, connected")

    def manager_downloads(self) -> None:
        """A file of 24 MiB reaches the device; every byte is compared."""
        for tenant in TENANTS:
            with self.report.step(f"{tenant}'s manager downloads a file to the device") as step:
                device, recipe = self.devices[tenant], self.recipes[tenant]
                app = self.apps[tenant, "managers"]
                watch = app.accepted("/v1/downloads", {"device": device.device, "artifact": RECIPE})
                done = app.watch(watch, lambda view: view["state"] in FINAL_STATES)
                step.check(done["state"] == "succeeded", f"the download's state is {done['state']}")
                delivered = device.downloads / RECIPE
                digest = hashlib.sha256(delivered.read_bytes()).hexdigest()
                size = delivered.stat().st_size
                step.check(digest == recipe.sha256, f"{size:,} bytes on the device's disk, identical (SHA-256)")

    def operator_is_refused(self) -> None:
        """An operator sees the devices and may not send files; the refusal names the policy."""
        with self.report.step("the operator lists, and is refused the download") as step:
            for tenant in TENANTS:
                device, app = self.devices[tenant].device, self.apps[tenant, "operators"]
                names = [each["id"] for each in self._ok(app.get("/v1/devices"))["devices"]]
                step.check(names == [device], f"{tenant}: lists {names}")
                refused = app.post("/v1/downloads", {"device": device, "artifact": RECIPE})
                step.check(*_refusal(refused, "operators-view-only"))

    def command_runs(self) -> None:
        """A command runs in the device's process, and its result comes back."""
        with self.report.step("a command runs on the device") as step:
            for tenant in TENANTS:
                device, app = self.devices[tenant].device, self.apps[tenant, "managers"]
                watch = app.accepted(f"/v1/devices/{device}/commands", {"name": CAST[tenant].measure})
                done = app.watch(watch, lambda view: view["is_final"])
                states = [each["state"] for each in done["history"]]
                step.check(done["state"] == "succeeded", f"{tenant}: {' > '.join(states)}")
                answered = done["detail"].get("process")
                step.check(answered == self.children[tenant].pid, f"answered by the device's process {answered}")

    def tenants_are_apart(self) -> None:
        """Acme's token opens nothing of globex: not by the API, not at globex's policy store."""
        with self.report.step("one tenant's token opens nothing of another") as step:
            foreign, app = self.devices["globex"].device, self.apps["acme", "managers"]
            missing = app.get("/v1/devices/no-such-device")
            for answer, words in (
                (app.get(f"/v1/devices/{foreign}"), f"GET /v1/devices/{foreign}"),
                (app.post(f"/v1/devices/{foreign}/commands", {"name": "run-diagnostics"}), "a command to it"),
                (app.post("/v1/downloads", {"device": foreign, "artifact": RECIPE}), "a download to it"),
            ):
                step.check(answer.status_code == HTTPStatus.NOT_FOUND, f"{words}: 404")
            step.check(missing.status_code == HTTPStatus.NOT_FOUND, "the same answer as for a device that is nowhere")
            store = self.landscape.stacks["globex"]["policy_store_id"]
            try:
                self._decide(store, self.tokens["acme", "managers"])
            except ClientError as error:
                code = error.response.get("Error", {}).get("Code")
                step.check(code == "ValidationException", f"acme's token at globex's policy store: refused, {code}")
            else:
                step.check(holds=False, what="globex's policy store refuses acme's token")
            own = self._decide(store, self.tokens["globex", "managers"])
            step.check(own == "ALLOW", "globex's own token there: ALLOW")

    def window_decides(self) -> None:
        """The same request of the same person: refused outside the maintenance window, accepted inside."""
        with self.report.step("the maintenance window decides by time") as step:
            device = self.devices["acme"].device
            manager, staff = self.apps["acme", "managers"], self.apps["acme", "it-staff"]
            now = datetime.now(UTC)
            patched = {"utc_offset": "+00:00", "security_patch": f"{now - timedelta(days=60):%Y-%m-%d}"}
            body = {"device": device, "artifact": FIRMWARE}
            shut, opened = _window(now, after_hours=6), _window(now, after_hours=-1)
            self._ok(manager.patch(f"/v1/devices/{device}", patched | {"window": shut}))
            step.check(*_refusal(staff.post("/v1/downloads", body), "firmware-in-maintenance-window", f"{shut} UTC: "))
            self._ok(manager.patch(f"/v1/devices/{device}", {"window": opened}))
            done = staff.watch(staff.accepted("/v1/downloads", body), lambda view: view["state"] in FINAL_STATES)
            step.check(done["state"] == "succeeded", f"{opened} UTC, now {now:%H:%M}: firmware {done['state']}")

    def emergency_decides(self) -> None:
        """A responder acts on a device of high criticality, in a declared emergency only."""
        with self.report.step("an emergency opens what is shut otherwise") as step:
            device = self.devices["acme"].device
            manager, responder = self.apps["acme", "managers"], self.apps["acme", "emergency-responders"]
            stop: dict[str, Any] = {"name": "stop"}
            declared = stop | {"emergency": {"reason": "smoke at the press"}}
            path = f"/v1/devices/{device}/commands"
            self._ok(manager.patch(f"/v1/devices/{device}", {"criticality": "high"}))
            refused = responder.post(path, stop)
            step.check(refused.status_code == HTTPStatus.FORBIDDEN, "no emergency: 403")
            done = responder.watch(responder.accepted(path, declared), lambda view: view["is_final"])
            step.check(done["state"] == "succeeded", f"declared, with a reason: {done['state']}")
            self._ok(manager.patch(f"/v1/devices/{device}", {"criticality": "low"}))
            refused = responder.post(path, declared)
            step.check(refused.status_code == HTTPStatus.FORBIDDEN, f"declared, low criticality: {refused.status_code}")

    def break_glass_ends(self) -> None:
        """Somebody gets a device for a while; when the time is over, it is over."""
        with self.report.step("a break-glass grant ends by itself") as step:
            outputs, device = self.landscape.stacks["acme"], self.devices["acme"].device
            cloud, responder = self.landscape.cloud, self.apps["acme", "emergency-responders"]
            path = f"/v1/devices/{device}"
            before = responder.get(path).status_code
            step.check(before == HTTPStatus.FORBIDDEN, "a responder looks at a device of low criticality: 403")
            until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=4)
            break_glass.lend(
                cloud.client("verifiedpermissions"),
                ROOT / "policies",
                store_id=outputs["policy_store_id"],
                tenant="acme",
                pool_id=outputs["user_pool_id"],
                person=self._ok(responder.get("/v1/me"))["principal"].split("|")[1],
                device=device,
                until=until,
            )
            lent = responder.get(path).status_code
            step.check(lent == HTTPStatus.OK, f"lent until {until:%H:%M:%S} UTC: {lent}")
            over = responder.refused(path)
            late = (over - until).total_seconds()
            step.check(over >= until, f"403 again {late:.2f} s after the end, not before")

    def _decide(self, store: str, token: str) -> str:
        """Ask globex's policy store directly whether this token's person may list globex's devices."""
        client = self.landscape.cloud.client("verifiedpermissions")
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

    @staticmethod
    def _ok(answer: httpx.Response) -> dict[str, Any]:
        if answer.status_code != HTTPStatus.OK:
            raise AssertionError(f"{answer.request.method} {answer.url.path}: {answer.status_code} {answer.text[:500]}")
        document: dict[str, Any] = answer.json()
        return document


def _connected(device: str) -> Callable[[dict[str, Any]], bool]:
    """Whether a page of devices shows this one as connected."""

    def shows(page: dict[str, Any]) -> bool:
        return any(each["id"] == device and (each["connectivity"] or {}).get("connected") for each in page["devices"])

    return shows


def _refusal(answer: httpx.Response, policy: str, before: str = "") -> tuple[bool, str]:
    """Whether the answer is a 403 that names the policy, and the words for it."""
    named = answer.status_code == HTTPStatus.FORBIDDEN and policy in answer.text
    return named, f"{before}403, decided by `{policy}`" + ("" if named else f"; came {answer.status_code}")


def _window(now: datetime, *, after_hours: int) -> str:
    """A window of two hours that begins so many hours after now."""
    begin = now + timedelta(hours=after_hours)
    return f"{begin:%H:%M}-{begin + timedelta(hours=2):%H:%M}"
