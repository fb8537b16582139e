"""So many tenants that one command stamps; imported by test and benchmark, not collected.

The command runs in a process of its own, as an operator's, on a cloud that holds AWS's rates.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml

from infra.commands import run_report
from infra.stacks.config import stack_file
from tests.infra.conftest import ROOT, Project, copy_project, running_cloud

if TYPE_CHECKING:
    from collections.abc import Generator

    from infra.commands.run_report import RunReport

_NOTHING_COMPILED: Final = "PYTHONDONTWRITEBYTECODE"
_MODEL: Final = "globex"  # with policies and a grant of its own
_COMMAND: Final = (
    "import sys, pathlib; from infra.__main__ import main; "
    "sys.exit(main(sys.argv[2:], root=pathlib.Path(sys.argv[1])))"
)
_KILOBYTES_A_MEGABYTE: Final = 1024


@dataclass
class Release:
    """What was seen of one run of the command.

    Attributes:
        code: of its process; negative: the signal that ended it.
        ended: tenants whose end it told, in that order.
        memory: MB that it held at most, as each was told.
        said: all its lines.
    """

    code: int = 0
    ended: list[str] = field(default_factory=list[str])
    memory: list[float] = field(default_factory=list[float])
    said: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, kw_only=True)
class PlentyOfTenants:
    """A platform that is stamped, and files of tenants that are not.

    Attributes:
        project: with its cloud.
        tenants: their ids; no other has a file.
        state: the folder of `make up`.
    """

    project: Project
    tenants: tuple[str, ...]
    state: Path

    @property
    def report_file(self) -> Path:
        """Of every run here."""
        return self.state / "release.json"

    @property
    def report(self) -> RunReport:
        """As it stands."""
        return run_report.read(self.report_file)

    def release(self, *, parallel: int, kill_after: int = 0, resumed: bool = False) -> Release:
        """Run `tenants up` to its end, or kill it.

        Args:
            parallel: stacks at once.
            kill_after: `kill -9` once so many tenants were told to be done; 0: never.
            resumed: go on with the run of before, instead of `--all`.
        """
        which = ["--resume", str(self.report_file)] if resumed else ["--all"]
        places = ["--engine", "embedded", "--state", str(self.state)]
        report = [] if resumed else ["--report", str(self.report_file)]
        words = ["tenants", "up", *which, "--parallel", str(parallel), *report, *places]
        seen = Release()
        with subprocess.Popen(
            [sys.executable, "-c", _COMMAND, str(self.project.root), *words],
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                seen.said.append(line.rstrip())
                tenant = line.removeprefix("canary ").partition(": done, ")[0]
                if tenant in self.tenants:
                    seen.ended.append(tenant)
                    seen.memory.append(_most_memory(process.pid))
                if kill_after and len(seen.ended) == kill_after:
                    process.send_signal(signal.SIGKILL)
                    break
            seen.code = process.wait()
        return seen

    def _environment(self) -> dict[str, str]:
        """As an operator's: what is compiled once is kept, beside the runs if not in its place."""
        kept = {key: one for key, one in os.environ.items() if key != _NOTHING_COMPILED}
        beside = {"PYTHONPYCACHEPREFIX": str(self.state / "compiled")}
        own = {"PYTHONUNBUFFERED": "1"} | (beside if _NOTHING_COMPILED in os.environ else {})
        return {**kept, **own, "PYTHONPATH": str(ROOT)}


@contextmanager
def plenty_of_tenants(folder: Path, number: int, *, pace: float = 1) -> Generator[PlentyOfTenants]:
    """A cloud of its own with a platform, and as many tenants' files.

    Args:
        folder: empty.
        number: of tenants.
        pace: how many times as fast as AWS its rates are.
    """
    for name in ("cloud", "project", "state"):
        (folder / name).mkdir()
    # A stream a tenant: who has more than fifty has asked AWS for more (docs/quotas.md).
    quotas = f"streams={number}"
    with running_cloud(folder / "cloud", pace=pace, quotas=quotas) as cloud:
        project = Project(copy_project(folder / "project"), cloud)
        project.up("platform")
        ids = tuple(f"tenant-{place:03}" for place in range(number))
        _write_files(project.root, ids)
        state = folder / "state"
        (state / "stacks").symlink_to(project.root / "state")
        keys = ("endpoint_url", "region", "account_id", "environment")
        (state / "cloud.json").write_text(json.dumps({key: getattr(cloud, key) for key in keys}))
        yield PlentyOfTenants(project=project, tenants=ids, state=state)


def _write_files(root: Path, ids: tuple[str, ...]) -> None:
    model = (root / stack_file.shown(_MODEL)).read_text(encoding="utf-8")
    for file in (root / "tenants").glob("Pulumi.*.yaml"):
        if file.name != "Pulumi.platform.yaml":
            file.unlink()
    for tenant in ids:
        document = yaml.safe_load(model)
        asked = document["config"]["cedarfleet:tenant"]
        asked["display_name"] = f"The tenant {tenant}"
        asked["sign_in"]["domain_prefix"] = f"cedarfleet-{tenant}"
        text = yaml.safe_dump(document, sort_keys=False)
        (root / stack_file.shown(tenant)).write_text(text, encoding="utf-8")


def _most_memory(pid: int) -> float:
    """MB that a process has held at most (source: proc_pid_status(5), `VmHWM`)."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / _KILOBYTES_A_MEGABYTE
    return 0.0  # it has ended
