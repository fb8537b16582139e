"""`cedarfleet` as people and scripts type it, against the service, the pool and a real device."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import time
from typing import TYPE_CHECKING, Any

import httpx

from tests.service.adapters.on_the_embedded_cloud.clients.conftest import PROGRAM

if TYPE_CHECKING:
    from pathlib import Path

    from infra.local.people import Person
    from tests.service.adapters.on_the_embedded_cloud.clients.conftest import Terminal
    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

_INPUT = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


def returned(url: str, person: Person) -> str:
    """Where the sign-in page sends the browser of this person back to."""
    with httpx.Client(timeout=20, trust_env=False) as browser:
        form = browser.get(url)
        assert form.status_code == 200, form.text
        hidden = dict(_INPUT.findall(form.text))
        answer = browser.post(
            form.url.join("/login"),
            data={**hidden, "username": person.email, "password": person.password},
        )
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


def login(terminal: Terminal, callback: str, *flags: str) -> subprocess.Popen[str]:
    """``cedarfleet login`` of a person of acme, which waits for the browser."""
    options = {
        "api": str(terminal.deployed.http.base_url),
        "tenant": "acme",
        "callback": callback,
    }
    return subprocess.Popen(
        [
            *(PROGRAM, "login", "--no-browser", *flags),
            *(f"--{name}={one}" for name, one in options.items()),
        ],
        env=terminal.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def asked(process: subprocess.Popen[str]) -> str:
    """The address that a person opens."""
    assert process.stderr is not None
    words = process.stderr.readline()
    assert words.startswith("Sign in at "), words
    return words.removeprefix("Sign in at ").strip()


def signed_in(terminal: Terminal, callback: str, group: str = "managers") -> None:
    """Somebody of acme signs in with the browser."""
    process = login(terminal, callback)
    back = returned(asked(process), terminal.deployed.people["acme"][group])
    assert httpx.get(back, trust_env=False).status_code == 200
    output, words = process.communicate(timeout=30)
    assert (process.returncode, output) == (0, ""), words


def test_a_person_signs_in_by_the_browser(terminal: Terminal, callback: str) -> None:
    """The tokens stand in a file of this user alone, and in nothing that is printed."""
    assert terminal.run("devices").returncode == 3
    signed_in(terminal, callback)
    assert stat.S_IMODE(terminal.session.stat().st_mode) == 0o600
    kept = json.loads(terminal.session.read_text())
    listed = terminal.run("devices", "--json")
    assert listed.returncode == 0, listed.stderr
    assert {"press-01", "press-02"} <= {one["id"] for one in json.loads(listed.stdout)}
    told = terminal.run("whoami")
    assert "manager@acme.example of acme (managers), tier standard, until" in told.stdout
    everything = told.stdout + told.stderr + listed.stdout + listed.stderr
    assert kept["token"] not in everything
    assert kept["refresh_token"] not in everything
    assert terminal.run("logout").returncode == 0
    assert not terminal.session.exists()


def test_nobody_signs_in_to_no_tenant(terminal: Terminal, deployed: DeployedService) -> None:
    """The API tells whose page there is: a slip in the name is told before a browser opens."""
    api = f"--api={deployed.http.base_url}"
    missing = terminal.run("login", api, "--tenant", "acmee", "--no-browser")
    assert missing.returncode == 3
    assert "there is no tenant `acmee`" in missing.stderr
    assert terminal.run("login", api, "--no-browser").returncode == 2
    assert terminal.run("login", api, "--tenant", "acme", "--machine").returncode == 2


def test_a_token_is_renewed_before_it_ends(terminal: Terminal, callback: str) -> None:
    """What is over is renewed by the refresh token, and the new one is kept."""
    signed_in(terminal, callback)
    kept = json.loads(terminal.session.read_text())
    terminal.session.write_text(json.dumps(kept | {"token": "ended", "expires_at": 0}))
    assert terminal.run("whoami").returncode == 0
    renewed = json.loads(terminal.session.read_text())
    assert renewed["token"] != "ended"
    assert renewed["expires_at"] > time.time()
    assert stat.S_IMODE(terminal.session.stat().st_mode) == 0o600


def test_a_session_open_to_others_is_not_used(terminal: Terminal, callback: str) -> None:
    """A file that others can read is no secret: nobody is signed in by it."""
    signed_in(terminal, callback)
    terminal.session.chmod(0o640)
    refused = terminal.run("devices")
    assert refused.returncode == 3
    assert "open to others" in refused.stderr


def test_a_code_of_another_sign_in_is_refused(terminal: Terminal, callback: str) -> None:
    """A code that comes with another `state` was begun by somebody else, and is not exchanged."""
    process = login(terminal, callback)
    back = httpx.URL(returned(asked(process), terminal.deployed.people["acme"]["managers"]))
    httpx.get(back.copy_set_param("state", "another"), trust_env=False)
    _, words = process.communicate(timeout=30)
    assert process.returncode == 3
    assert "did not begin here" in words
    assert not terminal.session.exists()


def test_no_token_goes_to_plain_http(terminal: Terminal) -> None:
    """An address elsewhere must be HTTPS, before anything is sent to it."""
    terminal.variables |= {"CEDARFLEET_API": "http://api.example.com", "CEDARFLEET_TOKEN": "t"}
    refused = terminal.run("devices")
    assert refused.returncode == 3
    assert "no address to send a token to" in refused.stderr


def test_a_machine_sends_a_command_and_waits(terminal: Terminal, press: str) -> None:
    """By its secret alone, in CI: the device's own answer in JSON, and its outcome as exit code."""
    outputs = terminal.deployed.setup.stacks["acme"]
    terminal.variables |= {
        "CEDARFLEET_API": str(terminal.deployed.http.base_url),
        "CEDARFLEET_TENANT": "acme",
        "CEDARFLEET_CLIENT_ID": outputs["machine_clients"]["mes"],
        "CEDARFLEET_CLIENT_SECRET": outputs["machine_secrets"]["mes"],
    }
    sent = terminal.run("send", press, "reboot", "--wait", "--json")
    assert sent.returncode == 0, sent.stderr
    ended = json.loads(sent.stdout)
    assert (ended["state"], ended["detail"]["restarted"]) == ("succeeded", False)
    # A command that fails on its device ends with 1, and says why.
    terminal.as_person("managers")
    failed = terminal.run("send", press, "set-parameters", "--wait")
    assert failed.returncode == 1, failed.stderr
    assert "no parameter was given" in failed.stdout


def test_a_refusal_is_told_in_words(terminal: Terminal) -> None:
    """Who is refused is told why, beforehand and when it is done; scripts get the exit code 4."""
    operator = terminal.as_person("operators")
    refused = operator.run("send", "press-01", "stop")
    assert refused.returncode == 4, refused.stdout
    assert refused.stderr.startswith("Refused:")
    assert operator.run("may", "stop", "--device", "press-01").returncode == 4
    assert operator.run("may", "ViewDevice", "--device", "press-01").returncode == 0
    why = operator.run("why", "stop", "--device", "press-01")
    assert why.returncode == 4
    assert "forbid operators-view-only applies" in why.stdout, why.stdout + why.stderr
    document: dict[str, Any] = json.loads(
        operator.run("why", "stop", "--device", "press-01", "--json").stdout
    )
    assert document["policies"] == ["operators-view-only"]
    assert operator.run("may", "stop", "--device", "no-such").returncode == 4
    assert operator.run("grants", "--json").returncode == 4


def test_a_file_is_uploaded_planned_and_delivered(
    terminal: Terminal, press: str, tmp_path: Path
) -> None:
    """Two parts are verified; the plan says what will be; applied, its device gets the file."""
    manager, file = terminal.as_person("managers"), tmp_path / "steel.bin"
    file.write_bytes(bytes(8 * 2**20) + b"the rest")
    uploaded = manager.run("upload", str(file), "recipes/by-hand.bin", "--json")
    assert uploaded.returncode == 0, uploaded.stderr
    assert json.loads(uploaded.stdout)["state"] == "available"
    planned = manager.run("rollout", "plan", "recipes/by-hand.bin", "--device", press, "--json")
    assert planned.returncode == 0, planned.stderr
    plan = json.loads(planned.stdout)
    assert [(one["device"], one["verdict"]) for one in plan["devices"]] == [(press, "allowed")]
    applied = manager.run("rollout", "apply", plan["id"], "--wait", "--json")
    assert applied.returncode == 0, applied.stderr
    assert json.loads(applied.stdout)["counts"] == {"succeeded": 1}
    watched = manager.run("rollout", "watch", json.loads(applied.stdout)["id"])
    assert watched.returncode == 0
    assert "succeeded: 1 succeeded" in watched.stdout


def test_a_killed_upload_goes_on(
    terminal: Terminal, tmp_path: Path, deployed: DeployedService
) -> None:
    """SIGKILL in the midst of it: the bucket keeps what it had, and is sent the rest."""
    manager, file = terminal.as_person("managers"), tmp_path / "large.bin"
    with file.open("wb") as stream:
        stream.truncate(10 * 8 * 2**20)
    words = ("upload", str(file), "recipes/large.bin", "--json")
    journals = terminal.folder / "state" / "cedarfleet" / "uploads"
    known: dict[str, Any] = {"sent": []}

    def signings() -> int:
        """How often a part's URL was asked for."""
        log = (deployed.setup.state_dir / "service.log").read_text()
        return sum("/v1/files/" in one and "/parts" in one for one in log.splitlines())

    asked_before = signings()
    first = subprocess.Popen(
        [PROGRAM, *words], env=terminal.environment(), stdout=subprocess.PIPE, text=True
    )
    while not known["sent"]:
        assert first.poll() is None, "it has ended before it could be killed"
        known = next((json.loads(one.read_text()) for one in journals.glob("*.json")), known)
    first.kill()
    first.communicate()
    s3, bucket = deployed.setup.cloud.client("s3"), deployed.setup.stacks["acme"]["bucket"]
    [upload] = [
        one
        for one in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
        if one["Key"].endswith(known["file_id"])
    ]
    asked = {"Bucket": bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
    before = {part["PartNumber"] for part in s3.list_parts(**asked)["Parts"]}
    assert 0 < len(before) < 10
    again = manager.run(*words)
    assert again.returncode == 0, again.stderr
    uploaded = json.loads(again.stdout)
    assert (uploaded["id"], uploaded["state"]) == (known["file_id"], "available")
    assert list(journals.glob("*")) == []
    assert signings() - asked_before in {10, 11}, "each part once, but the one that was cut off"


def test_the_trail_is_exported_and_proves_itself(terminal: Terminal, tmp_path: Path) -> None:
    """An export of the running service holds, by the key that the chain names."""
    manager, file = terminal.as_person("managers"), tmp_path / "trail.jsonl"
    assert manager.run("send", "press-01", "reboot").returncode == 0
    terminal.deployed.watch("/v1/audit/chain", lambda seen: seen["signed"] is not None, seconds=90)
    chain = terminal.deployed.call("GET", "/v1/audit/chain").json()
    assert manager.run("audit", "export", str(file)).returncode == 0
    verified = manager.run("audit", "verify", str(file), "--key", chain["signed"]["key"], "--json")
    assert verified.returncode == 0, verified.stdout
    assert json.loads(verified.stdout)["entries"] >= 1
    assert manager.run("audit", "verify", str(file), "--key", "0" * 64).returncode == 1


def test_the_trail_is_listed(terminal: Terminal) -> None:
    """Who may see it gets entries with all that policies saw; who may not, the exit code 4."""
    manager = terminal.as_person("managers")
    assert manager.run("send", "press-01", "stop").returncode == 0
    options = ("--action", "StopDevice", "--device", "press-01", "--most", "1")
    [entry] = json.loads(manager.run("audit", "list", *options, "--json").stdout)
    assert (entry["decision"], entry["policies"]) == ("ALLOW", ["managers-everything"])
    assert {"now", "emergency", "source_ip"} <= entry["asked"]["context"].keys()
    assert "StopDevice" in manager.run("audit", "list", *options).stdout
    assert terminal.as_person("operators").run("audit", "list").returncode == 4


def test_scripts_tell_outcomes_apart(terminal: Terminal, deployed: DeployedService) -> None:
    """Each kind of end has a code of its own; with `--json` the problem is JSON too."""
    manager = terminal.as_person("managers")
    assert manager.run("send", "press-01", "stop", "no JSON").returncode == 2
    missing = manager.run("send", "no-such", "stop", "--json")
    assert missing.returncode == 5
    assert json.loads(missing.stderr)["type"] == "urn:cedarfleet:problem:not-found"
    assert manager.run("send", "press-01", "no-such").returncode == 6
    slow = manager.run("send", "press-02", "reboot", "--wait", "--patience", "0")
    assert slow.returncode == 7
    terminal.variables["CEDARFLEET_TOKEN"] = deployed.token("acme", "managers")[:-4] + "AAAA"
    assert manager.run("devices").returncode == 3
    terminal.variables["CEDARFLEET_API"] = "http://127.0.0.1:9"
    assert manager.run("devices").returncode == 8


def test_the_shell_completes_commands(terminal: Terminal) -> None:
    """The completion that the help names knows the commands."""
    terminal.variables |= {
        "_CEDARFLEET_COMPLETE": "bash_complete",
        "COMP_WORDS": "cedarfleet de",
        "COMP_CWORD": "1",
    }
    assert terminal.run().stdout.strip() == "plain,devices"
