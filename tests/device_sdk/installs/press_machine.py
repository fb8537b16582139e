"""A machine of two slots whose steps a test lets fail, over the processes that it runs."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cedarfleet_device.installs.installation import Installation, InstallOutcome
from cedarfleet_device.installs.limits import InstallConfig
from cedarfleet_device.installs.record import InstallFiles
from cedarfleet_device.installs.steps import Installer, Update
from cedarfleet_device.wire import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NEW = Manifest(
    name="firmware/press.img", size=3, sha256="0" * 64, package="firmware", version="2.0.0"
)


@dataclass(kw_only=True)
class Press(Installer):
    """A device of two slots, whose steps the test lets fail."""

    runs: str = "1.0.0"
    other: str = ""
    committed: str = "1.0.0"
    reboots: bool = True
    healthy: bool = True
    busy: list[str] = field(default_factory=list[str])
    fails: dict[str, BaseException] = field(default_factory=dict[str, BaseException])
    steps: list[str] = field(default_factory=list[str])
    rebooted: threading.Event = field(default_factory=threading.Event)

    def installed(self, package: str) -> str | None:
        """Of the slot that runs."""
        return self.runs if package == "firmware" else None

    def not_now(self, update: Update) -> str | None:
        """As the test says."""
        del update
        return self.busy.pop(0) if self.busy else None

    def install(self, update: Update) -> bool:
        """Into the other slot, or over what runs."""
        self._step("install")
        if self.reboots:
            self.other = update.version
        else:
            self.runs = update.version
        return self.reboots

    def reboot(self, update: Update) -> None:
        """The machine is told to go."""
        del update
        self._step("reboot")
        self.rebooted.set()

    def works(self, update: Update) -> bool:
        """As the test says."""
        del update
        self._step("works")
        return self.healthy

    def commit(self, update: Update) -> None:
        """What runs stays."""
        del update
        self._step("commit")
        self.committed = self.runs

    def roll_back(self, update: Update) -> bool:
        """Back to what was committed."""
        del update
        self._step("roll_back")
        self.other = ""
        if not self.reboots:
            self.runs = self.committed
            return False
        if self.runs == self.committed:
            return False
        self.other = self.committed
        return True

    def start_again(self) -> None:
        """What a reboot does."""
        self.rebooted.clear()
        if self.other:
            self.runs, self.other = self.other, ""

    def _step(self, name: str) -> None:
        self.steps.append(name)
        if name in self.fails:
            raise self.fails[name]


@dataclass(kw_only=True)
class Machine:
    """Processes of one device, one after the other."""

    folder: Path
    press: Press = field(default_factory=Press)
    boots: int = 0
    online: bool = True
    limits: dict[str, object] = field(default_factory=dict[str, object])
    told: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    fetched: int = 0

    def process(self) -> Installation:
        """A new process, in this start of the machine."""
        quick: dict[str, object] = {
            "limit_seconds": 20,
            "reboot_seconds": 20,
            "confirm_seconds": 0.2,
        }
        return Installation(
            self.press,
            files=InstallFiles(self.folder),
            limits=InstallConfig(**(quick | self.limits)),  # pyright: ignore[reportArgumentType]
            online=lambda: self.online,
            clock=lambda: 0,
            boot=f"boot {self.boots}",
        )

    def ask(self, process: Installation, manifest: Manifest = NEW) -> InstallOutcome | None:
        """The job as the cloud tells it, again after each start."""

        def fetch() -> Path:
            self.fetched += 1
            return self.folder / "press.img"

        return process.carry_out(
            "job", manifest, fetch=fetch, tell=self.told.append, cancelled=lambda: False
        )

    def until_reboot(self, act: Callable[[Installation], object] | None = None) -> None:
        """Run a process until it asks for a reboot, and end it; the machine starts again."""
        process = self.process()
        running = threading.Thread(target=lambda: (act or self.ask)(process), daemon=True)
        running.start()
        assert self.press.rebooted.wait(20)
        process.stop()
        running.join(20)
        assert not running.is_alive()
        self.boots += 1
        self.press.start_again()

    def finish(self) -> InstallOutcome:
        """A process that comes to the end of the install."""
        outcome = self.ask(self.process())
        assert outcome is not None
        return outcome

    @property
    def states(self) -> list[str]:
        """What was told, in order."""
        return [each["state"] for each in self.told]
