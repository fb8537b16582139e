"""An installer for devices with RAUC: two slots, of which the boot loader starts the good one.

By its command line: ``rauc install BUNDLE``, ``rauc status --detailed --output-format=json`` and
``rauc status mark-good|mark-bad|mark-active SLOT`` (source: ``rauc --help`` and ``rauc status
--help`` of RAUC 1.8, its "Using RAUC", "Reacting to a successfully booted system"; the JSON: its
src/main.c, ``r_status_formatter_json``). RAUC verifies the bundle's own signature as well. Not run
with a boot loader: the tests have a program that answers in this form.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device.installs.bounded import StepError
from cedarfleet_device.installs.programs import run_for_output, run_program
from cedarfleet_device.installs.steps import Installer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cedarfleet_device.installs.steps import Update

PACKAGE: Final = "firmware"
_REBOOT: Final = ("systemctl", "reboot")


class RaucInstaller(Installer):
    """Installs RAUC's bundles as the package ``firmware``.

    Args:
        command: name or path of ``rauc``.
        limit_seconds: of each call.
        reboot: command that has the device start again.
    """

    def __init__(
        self, command: str = "rauc", *, limit_seconds: float, reboot: Sequence[str] = _REBOOT
    ) -> None:
        self._command = command
        self._limit = limit_seconds
        self._reboot = reboot

    def installed(self, package: str) -> str | None:
        """The version of the bundle in the slot that was booted."""
        if package != PACKAGE:
            return None
        for slot in self._slots().values():
            if slot.get("state") == "booted":
                bundle = slot.get("slot_status", {}).get("bundle", {})
                return bundle.get("version")
        return None

    def install(self, update: Update) -> bool:
        """Write the other slot, which the boot loader tries next."""
        if update.package != PACKAGE:
            raise StepError(f"RAUC installs `{PACKAGE}`, not `{update.package}`")
        self._run("install", str(update.file))
        return True

    def reboot(self, update: Update) -> None:
        """Start the device again."""
        del update
        code, line = run_program(self._reboot, {}, seconds=self._limit)
        if code != 0:
            raise StepError(f"`{' '.join(self._reboot)}` failed (exit code {code}): {line}")

    def commit(self, update: Update) -> None:
        """The slot that runs is good: the boot loader counts its starts no more."""
        del update
        self._run("status", "mark-good", "booted")

    def roll_back(self, update: Update) -> bool:
        """The former slot is started again; whether the new one runs, so that it takes a reboot."""
        if self.installed(PACKAGE) == update.version:
            self._run("status", "mark-bad", "booted")
            self._run("status", "mark-active", "other")
            return True
        # Never started: what runs stays the one that is started.
        self._run("status", "mark-active", "booted")
        return False

    def _slots(self) -> dict[str, dict[str, Any]]:
        text = self._run("status", "--detailed", "--output-format=json")
        try:
            # What it warns of stands on lines of its own.
            (answer,) = (line for line in text.splitlines() if line.startswith("{"))
            slots: list[dict[str, dict[str, Any]]] = json.loads(answer)["slots"]
            return {name: slot for each in slots for name, slot in each.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StepError(f"`rauc status` does not answer in its JSON: {error}") from error

    def _run(self, *arguments: str) -> str:
        code, output = run_for_output([self._command, *arguments], {}, seconds=self._limit)
        if code != 0:
            line = (output.strip().splitlines() or ["without a word"])[-1][:500]
            raise StepError(f"`rauc {' '.join(arguments[:2])}` failed (exit code {code}): {line}")
        return output
