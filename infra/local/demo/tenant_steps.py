"""The demo's steps of a tenant that runs itself: a file, a device, a person, a machine, a grant."""

from __future__ import annotations

import hashlib
import secrets
import time
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httpx

from infra.local import devices
from infra.local.cloud.limits.table import CEDAR_POLICY
from infra.local.demo.preparation import DemoRun, ok
from infra.local.demo.report import StepError
from infra.local.demo.tenant_app import TenantApp
from infra.local.devices import Device
from infra.local.loopback import NO_AUTHORITIES
from infra.local.people import Person, SignInError, machine_token
from infra.local.setup import MIB, random_file

if TYPE_CHECKING:
    from collections.abc import Mapping

SECOND: Final = "press-08"
_UPLOADED: Final = "recipes/brass-90.bin"
_SIZE: Final = 9 * MIB  # more than one part
_OVER: Final = frozenset({"succeeded", "failed", "expired", "interrupted", "canceled"})
_REVOKED_SECONDS: Final = 5
"""Within which a revocation is known everywhere (docs/adr/0036)."""


def file_is_uploaded(run: DemoRun) -> None:
    """A manager uploads a version in parts; devices get it once its whole digest was found."""
    with run.report.step("the manager uploads a file by the API, and delivers it") as step:
        app, device = run.apps["acme", "managers"], run.devices["acme"]
        content = random_file(_SIZE)
        digest = hashlib.sha256(content).hexdigest()
        bill = hashlib.sha256(b"the bill of materials").hexdigest()
        begun = ok(
            app.post(
                "/v1/files",
                {
                    "name": _UPLOADED,
                    "size": _SIZE,
                    "sha256": digest,
                    "package": {"name": "recipes", "version": "1.0"},
                    "sbom": {"sha256": bill, "url": "https://acme.example/sbom/recipes-1.0.json"},
                },
            ),
            HTTPStatus.CREATED,
        )
        run.uploaded = begun["id"]
        early = app.post("/v1/downloads", {"device": device.device, "file": begun["id"]})
        step.check(
            early.status_code == HTTPStatus.CONFLICT,
            f"{begun['parts']} parts to come: nobody can be sent it before ({early.status_code})",
        )
        _send(app, begun, content)
        ok(app.post(f"/v1/files/{begun['id']}/complete", {}), HTTPStatus.ACCEPTED)
        known = app.watch(
            f"/v1/files/{begun['id']}", lambda view: view["state"] in {"available", "refused"}
        )
        step.check(
            known["state"] == "available", f"read as a whole by the worker: {known['state']}"
        )
        watch = app.accepted("/v1/downloads", {"device": device.device, "file": begun["id"]})
        done = app.watch(watch, lambda view: view["state"] in {"succeeded", "failed"})
        there = hashlib.sha256((device.downloads / _UPLOADED).read_bytes()).hexdigest()
        step.check(
            done["state"] == "succeeded" and there == digest,
            "on the device's disk, identical (SHA-256)",
        )


def _send(app: TenantApp, file: Mapping[str, Any], content: bytes) -> None:
    """Send the parts to S3 by their signed URLs, as a page of the tenant's app would."""
    size = file["part_size"]
    parts = [content[start : start + size] for start in range(0, len(content), size)]
    numbered = [
        {"number": number, "sha256": hashlib.sha256(part).hexdigest()}
        for number, part in enumerate(parts, 1)
    ]
    signed = ok(app.post(f"/v1/files/{file['id']}/parts", {"parts": numbered}))["parts"]
    with httpx.Client(timeout=30, trust_env=False, verify=NO_AUTHORITIES) as browser:
        for part, where in zip(parts, signed, strict=True):
            browser.put(where["url"], headers=where["headers"], content=part).raise_for_status()


def device_is_added(run: DemoRun) -> None:
    """A device is registered before it exists, tagged and put into a line; then it comes."""
    with run.report.step("a second device: registered, tagged, put into its line, let in") as step:
        app = run.apps["acme", "managers"]
        made = ok(app.post("/v1/devices", {"id": SECOND}), HTTPStatus.CREATED)
        step.check(not made["device"]["enrolled"], f"{SECOND} is registered; its code is told once")
        tagged = ok(app.patch(f"/v1/devices/{SECOND}/tags", {"tags": {"building": "7"}}))
        path, lines = f"/v1/devices/{SECOND}/groups", ["line-press", "zone-hall-1"]
        stale = f'"{"0" * 16}"'
        refused = app.put(path, {"groups": lines}, if_match=stale)
        step.check(
            refused.status_code == HTTPStatus.PRECONDITION_FAILED,
            "a change of another state than it has (If-Match): 412",
        )
        put = ok(app.put(path, {"groups": lines}, if_match=refused.headers["ETag"]))
        found = ok(app.get("/v1/devices?group=line-press&tag=building:7"))["devices"]
        step.check(
            [one["id"] for one in found] == [SECOND] and put["groups"] == lines,
            f"tag building:{tagged['tags']['building']}, in {', '.join(lines)}: found by both",
        )
        device = Device(
            tenant="acme", device=SECOND, folder=run.setup.state_dir / "devices" / "acme" / SECOND
        )
        devices.install(run.setup.cloud, device)
        devices.keep_code(device, made["code"])
        words = devices.enroll(device, url=run.url)
        step.check(words is None, "let in by its code, with a key of its own")
        child = run.setup.start_device(device)
        run.processes.enter_context(child)
        told = app.watch(
            "/v1/devices?version=firmware:1.0.0&group=line-press&tag=building:7",
            lambda page: [one["id"] for one in page["devices"]] == [SECOND],
        )
        step.check(told, f"process {child.pid} connected, and said what runs on it: firmware 1.0.0")


def line_is_asked(run: DemoRun) -> None:
    """One command goes to each device of a line, decided device by device."""
    with run.report.step("a command to a line, as a campaign") as step:
        app = run.apps["acme", "managers"]
        wanted = {"name": "run-diagnostics", "group": "line-press"}
        watch = app.accepted("/v1/campaigns", wanted)
        page = app.watch(
            f"{watch}/devices",
            lambda view: bool(view["devices"]) and all(one["is_final"] for one in view["devices"]),
        )
        states = {one["device"]: one["state"] for one in page["devices"]}
        step.check(
            states == dict.fromkeys((run.devices["acme"].device, SECOND), "succeeded"),
            f"run-diagnostics for line-press, each decided by itself: {states}",
        )


def events_are_followed(run: DemoRun) -> None:
    """Who follows the tenant's events sees a command come, run and end; another tenant nothing."""
    with run.report.step("events, live: a command is followed to its end") as step:
        app, device = run.apps["acme", "managers"], run.devices["acme"].device
        with app.events(seconds=20) as events:
            wanted = {"name": "run-diagnostics"}
            command = ok(app.post(f"/v1/devices/{device}/commands", wanted), HTTPStatus.ACCEPTED)[
                "id"
            ]
            seen: list[str] = []
            for event in events:
                if event["data"].get("command") == command and event["type"] == "command.state":
                    seen.append(event["data"]["state"])
                    if seen[-1] in _OVER:
                        break
        step.check(seen[-1:] == ["succeeded"], f"of {device}, as it happened: {', '.join(seen)}")
        with run.apps["globex", "managers"].events(seconds=0, after="0-0") as events:
            told = [event for event in events if event["data"].get("command") == command]
        step.check(told == [], "globex is told nothing of it")


def person_is_invited(run: DemoRun) -> None:
    """A person of the tenant is invited by its manager and signs in."""
    with run.report.step("the manager invites a person") as step:
        app, email = run.apps["acme", "managers"], "kim@acme.example"
        invited = ok(
            app.post("/v1/people", {"email": email, "groups": ["technicians"]}), HTTPStatus.CREATED
        )
        run.guest_id = invited["id"]
        # Cognito sends the first password by mail, which a laptop does not have.
        password = f"Aa1-{secrets.token_urlsafe(18)}"
        run.setup.cloud.client("cognito-idp").admin_set_user_password(
            UserPoolId=run.setup.stacks["acme"]["user_pool_id"],
            Username=invited["id"],
            Password=password,
            Permanent=True,
        )
        person = Person(email=email, groups=("technicians",), password=password)
        token = run.setup.sign_in("acme", person)
        run.guest = run.processes.enter_context(TenantApp(run.url, token))
        me = ok(run.guest.get("/v1/me"))
        step.check(me["groups"] == ["technicians"], f"{email} signs in: {', '.join(me['groups'])}")


def grant_ends(run: DemoRun) -> None:
    """The person gets a line until a moment; when the time is over, it is over."""
    with run.report.step("a grant with a reason, and its end") as step:
        app, guest = run.apps["acme", "managers"], run.guest
        path = f"/v1/devices/{run.devices['acme'].device}"
        step.check(guest.get(path).status_code == HTTPStatus.FORBIDDEN, "not on this line: 403")
        begun = datetime.now(UTC)
        # Longer than a changed policy takes until it decides.
        until = begun.replace(microsecond=0) + timedelta(seconds=CEDAR_POLICY.figure + 6)
        given = {
            "template": "technician-for-line",
            "person": run.guest_id,
            "group": "line-press",
            "until": f"{until:%Y-%m-%dT%H:%M:%SZ}",
            "reason": "Lee is away",
        }
        grant = ok(app.post("/v1/grants", given), HTTPStatus.CREATED)
        sent = guest.answered(f"{path}/commands", {"name": "run-diagnostics"}, HTTPStatus.FORBIDDEN)
        after = (datetime.now(UTC) - begun).total_seconds()
        watch = ok(sent, HTTPStatus.ACCEPTED)["url"]
        done = app.watch(watch, lambda view: view["is_final"])
        step.check(
            done["state"] == "succeeded",
            f"technician-for-line until {until:%H:%M:%S} UTC: a command, {after:.1f} s later (as on"
            f" AWS, not at once): {done['state']}",
        )
        over = guest.comes(path, HTTPStatus.FORBIDDEN)
        late = (over - until).total_seconds()
        step.check(over >= until, f"403 again {late:.2f} s after the end, not before")
        listed = [one["id"] for one in ok(app.get("/v1/grants"))["grants"]]
        step.check(grant["id"] in listed, f"still listed, with who gave it: {grant['given_by']}")


def person_is_disabled(run: DemoRun) -> None:
    """The person is refused seconds after being disabled, with a token that has not run out."""
    with run.report.step("the manager disables the person") as step:
        begun = datetime.now(UTC)
        ok(run.apps["acme", "managers"].post(f"/v1/people/{run.guest_id}/disable", {}))
        late = (run.guest.comes("/v1/me", HTTPStatus.UNAUTHORIZED) - begun).total_seconds()
        step.check(
            late <= _REVOKED_SECONDS, f"401 after {late:.1f} s, though the token has not run out"
        )


def machine_is_rotated(run: DemoRun) -> None:
    """A machine gets a second secret, both are good, and the first one ends."""
    with run.report.step("a machine's credential is made, and rotated") as step:
        app, cloud = run.apps["acme", "managers"], run.setup.cloud
        made = ok(app.post("/v1/machines", {"id": "scada", "scopes": ["view"]}), HTTPStatus.CREATED)
        path, client = "/v1/machines/scada/secrets", made["machine"]["client_id"]

        def signed_in(secret: str) -> TenantApp:
            token = machine_token(at=cloud.endpoint_url, client_id=client, secret=secret)
            return run.processes.enter_context(TenantApp(run.url, token))

        first = signed_in(made["secret"]["secret"])
        stop = first.post(
            f"/v1/devices/{run.devices['acme'].device}/commands", {"name": "run-diagnostics"}
        )
        step.check(
            first.get("/v1/devices").status_code == HTTPStatus.OK
            and stop.status_code == HTTPStatus.FORBIDDEN,
            "scope `view`: lists devices, commands none (403)",
        )
        second = ok(app.post(path, {}), HTTPStatus.CREATED)
        next_one = signed_in(second["secret"])
        step.check(
            next_one.get("/v1/devices").status_code == HTTPStatus.OK
            and first.get("/v1/devices").status_code == HTTPStatus.OK,
            "two secrets, both good",
        )
        begun = datetime.now(UTC)
        ok(app.delete(f"{path}/{made['secret']['id']}"))
        late = (first.comes("/v1/devices", HTTPStatus.UNAUTHORIZED) - begun).total_seconds()
        step.check(late <= _REVOKED_SECONDS, f"the first is deleted: 401 after {late:.1f} s")
        try:
            signed_in(made["secret"]["secret"])
        except SignInError:
            step.check(holds=True, what="it gets no token any more")
        else:
            step.check(holds=False, what="a deleted secret gets no token")
        # Tokens of the second in which the first was deleted count no more either.
        until = datetime.now(UTC) + timedelta(seconds=3 * _REVOKED_SECONDS)
        while (
            status := signed_in(second["secret"]).get("/v1/devices").status_code
        ) != HTTPStatus.OK:
            if datetime.now(UTC) > until:
                raise StepError(f"the second's new token is refused: {status}")
            time.sleep(0.5)
        step.check(holds=True, what="the second gets one, and it is good")
