"""The tenants' client as it is built, and acme's press-07 as a process of its own."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from infra.local.cloud.ports import listen
from tests.service.generated_client import generator

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

# Before the tests are imported: what they import of the client is made of this checkout's service.
generator().ensure()

PROGRAM: Final = Path(sys.executable).with_name("cedarfleet")
DEVICE: Final = "press-07"
_LONGEST: Final = 120.0  # seconds


@dataclass
class Terminal:
    """A person's terminal, or a script's: a folder of settings and variables of its own."""

    deployed: DeployedService
    folder: Path
    variables: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def session(self) -> Path:
        """The file of the session."""
        return self.folder / "cedarfleet" / "session.json"

    def environment(self) -> dict[str, str]:
        """Of each program that is started here; this machine's proxies are none of the cloud's."""
        kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        own = {"XDG_CONFIG_HOME": str(self.folder), "XDG_STATE_HOME": str(self.folder / "state")}
        return kept | own | {"COLUMNS": "200"} | self.variables

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """``cedarfleet`` with these words, to its end."""
        # once the client is generated
        from tests.service.adapters.on_the_embedded_cloud.clients.run import run  # noqa: PLC0415

        return run(words, self.environment(), seconds=_LONGEST)

    def as_person(self, group: str) -> Terminal:
        """The same with a token of somebody of acme, who signed in elsewhere."""
        self.variables |= {
            "CEDARFLEET_API": str(self.deployed.http.base_url),
            "CEDARFLEET_TOKEN": self.deployed.token("acme", group),
        }
        return self


@pytest.fixture
def terminal(deployed: DeployedService, tmp_path: Path) -> Terminal:
    """Where nobody is signed in."""
    return Terminal(deployed=deployed, folder=tmp_path)


@pytest.fixture
def callback(deployed: DeployedService) -> str:
    """An address of this machine that acme's app client of the command line sends people back to.

    The one that is stamped has a port that another program may have.
    """
    return with_callback(deployed, "cli_client_id")


def with_callback(deployed: DeployedService, app: str) -> str:
    """Have an app client of acme's send people back to a port that is free."""
    cognito = deployed.setup.cloud.client("cognito-idp")
    outputs = deployed.setup.stacks["acme"]
    client = cognito.describe_user_pool_client(
        UserPoolId=outputs["user_pool_id"], ClientId=outputs[app]
    )["UserPoolClient"]
    with listen(purpose="a sign-in", wanted=0, remembered=0) as listener:
        url = f"http://localhost:{listener.getsockname()[1]}/callback"
    unasked = {"ClientSecret", "CreationDate", "LastModifiedDate"}
    kept: dict[str, Any] = {
        name: value for name, value in client.items() if name not in unasked and value != ""
    }
    cognito.update_user_pool_client(**kept | {"CallbackURLs": [*client["CallbackURLs"], url]})
    return url


@pytest.fixture(scope="module")
def press(deployed: DeployedService) -> Iterator[str]:
    """A device that enrolled itself, and answers."""
    setup = deployed.setup
    url, token = str(deployed.http.base_url).rstrip("/"), deployed.token("acme", "managers")
    agent = setup.start_device(setup.let_in("acme", url=url, token=token))
    try:
        yield DEVICE
    finally:
        agent.stop()
