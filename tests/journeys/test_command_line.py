"""Each command of the command line's page, as it stands there, against a real `make up`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from infra.local.cloud.ports import listen
from infra.local.people import add_person
from infra.local.running_cloud import RunningCloud
from tests.journeys.test_up import running
from tests.service.generated_client import generator

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "service" / "clients" / "python" / "README.md"
PERMISSIONS: Final = ROOT / "docs" / "permissions.md"
BIN: Final = Path(sys.executable).parent
AWAY: Final = "press-42"  # has a thing, and no agent
_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND: Final = re.compile(
    r"(CEDARFLEET_\w+=\S+ )?cedarfleet |python -m infra policies diff \S+ --rec"
)
_API: Final = "https://api.example.com"
_LONGEST: Final = 200.0  # seconds


def documented(page: Path) -> list[str]:
    """The page's commands in their order, without what is said behind them."""
    found = _FENCE.findall(page.read_text())
    blocks = "".join(text for kind, text in found if kind in {"", "sh"})
    lines = [line.partition("   ")[0].strip() for line in blocks.splitlines()]
    return [line for line in lines if _COMMAND.match(line)]


@dataclass
class Shell:
    """A terminal of somebody at acme.

    Attributes:
        names: what the page leaves to its reader -> what it is here.
    """

    folder: Path
    state: Path
    cloud: RunningCloud
    names: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def people(self) -> dict[str, Any]:
        """Who can sign in, and where the API is."""
        return json.loads((self.state / "people.json").read_text())

    def environment(self) -> dict[str, str]:
        """A home of its own, and a browser in which acme's manager signs in."""
        kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        manager = self.people["acme"]["managers"]
        return (
            kept
            | self.cloud.environment
            | {
                "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
                "HOME": str(self.folder),
                "XDG_CONFIG_HOME": str(self.folder / "config"),
                "XDG_STATE_HOME": str(self.folder / "state"),
                "COLUMNS": "200",
                "BROWSER": f"{sys.executable} -m tests.journeys.browser %s &",
                "CEDARFLEET_TEST_EMAIL": manager["email"],
                "CEDARFLEET_TEST_PASSWORD": manager["password"],
            }
        )

    def words(self, line: str) -> str:
        """A command of the page, with its names."""
        for name, value in self.names.items():
            line = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", value, line)
        return line

    def run(self, line: str) -> str:
        """Type it; what it printed, once it has ended well."""
        done = subprocess.run(
            ["sh", "-c", self.words(line)],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LONGEST,
            check=False,
        )
        assert done.returncode == 0, f"{self.words(line)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def said(self, line: str) -> Any:
        """The same with `--json`."""
        return json.loads(self.run(f"{line} --json"))

    def call(self, method: str, path: str, **body: Any) -> Any:
        """The API, beside the command line."""
        known = self.people
        answer = httpx.request(
            method,
            f"{known['api']}{path}",
            headers={"Authorization": f"Bearer {known['acme']['managers']['token']}"},
            timeout=30,
            trust_env=False,
            **body,
        )
        assert answer.is_success, answer.text
        return answer.json()

    def watch(self, path: str, until: Callable[[Any], bool]) -> Any:
        """Read until it is so."""
        ends = time.monotonic() + _LONGEST
        while not until(found := self.call("GET", path)):
            assert time.monotonic() < ends, found
            time.sleep(0.2)
        return found

    @contextmanager
    def following(self, line: str) -> Generator[subprocess.Popen[str]]:
        """A command that goes on until it is ended."""
        process = subprocess.Popen(
            ["sh", "-c", f"exec {self.words(line)}"],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """Beside a `make up`, with what the page's reader has already."""
    generator().ensure()
    state, folder = tmp_path / "state", tmp_path / "home"
    (folder / "build").mkdir(parents=True)
    (folder / "build" / "steel.bin").write_bytes(os.urandom(4096))
    with running(state), closing(RunningCloud(state / "cloud.json")) as cloud:
        shell = Shell(folder=folder, state=state, cloud=cloud)
        iot, cognito = cloud.client("iot"), cloud.client("cognito-idp")
        iot.create_thing(thingName=f"acme--{AWAY}")
        iot.add_thing_to_thing_group(thingGroupName="acme", thingName=f"acme--{AWAY}")
        shell.watch("/v1/devices", lambda seen: AWAY in {one["id"] for one in seen["devices"]})
        [pool] = [
            one["Id"]
            for one in cognito.list_user_pools(MaxResults=60)["UserPools"]
            if "acme" in one["Name"]
        ]
        add_person(
            cognito, pool, email="lee@acme.example", groups=["technicians"], region="eu-central"
        )
        page = httpx.get(f"{shell.people['api']}/sign-in/acme", trust_env=False).json()
        shell.names = {_API: shell.people["api"], "...": shell.people["api"]}
        for name in ("command_line", "agent"):
            shell.names[name] = free_callback(cognito, pool, page[name])
        yield shell


def free_callback(cognito: Any, pool: str, client_id: str) -> str:
    """An address of this machine to which an app client sends people back.

    The one that is stamped has a port that another program may have.
    """
    client = cognito.describe_user_pool_client(UserPoolId=pool, ClientId=client_id)
    known = {
        name: value
        for name, value in client["UserPoolClient"].items()
        if name not in {"ClientSecret", "CreationDate", "LastModifiedDate"} and value != ""
    }
    with listen(purpose="a sign-in", wanted=0, remembered=0) as listener:
        url = f"http://localhost:{listener.getsockname()[1]}/callback"
    cognito.update_user_pool_client(**known | {"CallbackURLs": [*known["CallbackURLs"], url]})
    return url


@pytest.mark.timeout(600)
def test_each_command_of_the_page_does_what_it_says(shell: Shell) -> None:
    """In their order, each ends well; what one tells the next is given."""
    commands = iter(documented(PAGE))

    def typed(begins: str, more: str = "") -> str:
        """The next command of the page, which must be this one."""
        line = next(commands)
        assert line.startswith(begins), line
        return f"{line} {more}".strip()

    shell.run(typed("cedarfleet login --api", "--callback command_line"))
    assert "manager" in shell.run("cedarfleet whoami")
    as_machine = typed("CEDARFLEET_CLIENT_SECRET=... cedarfleet login --machine")
    assert [one["id"] for one in shell.said(typed("cedarfleet devices"))] == ["press-07"]
    assert shell.said(typed("cedarfleet send"))["state"] == "succeeded"
    assert shell.said(typed("cedarfleet campaign begin"))["counts"] == {"succeeded": 1}
    begun = shell.said(f"cedarfleet campaign begin reboot --device {AWAY}")
    shell.names["CAMPAIGN"] = begun["id"]
    assert shell.said(typed("cedarfleet campaign devices")) == []
    shell.run(typed("cedarfleet campaign cancel"))
    _follow(shell, typed("cedarfleet events"))
    shell.names["FILE"] = shell.said(typed("cedarfleet upload"))["id"]
    plan = shell.said(typed("cedarfleet rollout plan"))
    assert [one["verdict"] for one in plan["devices"]] == ["allowed"]
    shell.names["PLAN"] = plan["id"]
    assert shell.said(typed("cedarfleet rollout apply"))["counts"] == {"succeeded": 1}
    assert shell.said(typed("cedarfleet wanted set"))["version"] == "2.1.0"
    assert shell.said(typed("cedarfleet wanted show"))["wanted"]["state"] == "active"
    shell.run(typed("cedarfleet wanted end"))
    assert [one["device"] for one in shell.said(typed("cedarfleet versions"))] == ["press-07"]
    shell.names["GRANT"] = shell.said(typed("cedarfleet grants give"))["id"]
    assert shell.said(typed("cedarfleet grants revoke"))["state"] in {"revoking", "revoked"}
    assert shell.said(typed("cedarfleet may"))["allowed"]
    assert "managers-everything" in shell.run(typed("cedarfleet why"))
    chain = shell.watch("/v1/audit/chain", lambda seen: seen["signed"] is not None)
    shell.run(typed("cedarfleet audit export"))
    shell.names["FINGERPRINT"] = chain["signed"]["key"]
    assert shell.said(typed("cedarfleet audit verify"))["verified"]
    shell.run(typed("cedarfleet login --agent", "--callback agent"))
    shell.run(typed("cedarfleet mcp", "< /dev/null"))
    assert next(commands, "") == "", "a command of the page that nobody ran"
    said = [shell.run(line) for line in documented(PERMISSIONS)]
    assert len(said) == 5
    assert all("managers-everything" in one for one in said[:2]), said[:2]
    # The trail of this very hour, put to the store's policies and the files': they are the same.
    assert re.search(r"0 of \d+ recorded decisions flip", said[-1]), said[-1]
    made = shell.call("POST", "/v1/machines", json={"id": "ci", "scopes": ["view"]})
    as_machine = as_machine.replace("SECRET=...", f"SECRET={made['secret']['secret']}")
    shell.run(re.sub(r"ID$", made["machine"]["client_id"], as_machine))
    assert "acme" in shell.run("cedarfleet whoami")


def _follow(shell: Shell, line: str) -> None:
    """Follow until a command that is sent meanwhile is told, and its cursor is kept."""
    cursor = shell.folder / ".fleet-cursor"
    with shell.following(line) as process:
        ends = time.monotonic() + _LONGEST
        while not cursor.exists():
            assert process.poll() is None
            assert time.monotonic() < ends
            time.sleep(0.05)
        sent = shell.said("cedarfleet send press-07 reboot --reason 'to be told'")["id"]
        assert process.stdout is not None
        told: dict[str, Any] = {"data": {}}
        while told["data"].get("command") != sent:
            told = json.loads(process.stdout.readline())
    assert told["type"].startswith("command.")
