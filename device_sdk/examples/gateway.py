"""A gateway whose application is two folders and a link: new versions are confirmed, or undone.

    cedarfleet-device run --config device.toml --handlers gateway.py

A version is a tar archive with a program ``app`` in it, described by ``cedarfleet-sign manifest
--package app``. It is unpacked beside the one that runs; the link ``current`` says which one that
is, and is moved in one step.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path

from cedarfleet_device import Agent, Command, Installer, Update

FOLDER = Path("versions")  # in the folder that the agent was started in
CURRENT = Path("current")


def point_to(version: Path) -> None:
    """Move the link: at every instant it names one whole version."""
    fresh = CURRENT.with_name("current.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(version)
    fresh.replace(CURRENT)


class Gateway(Installer):
    """Two versions side by side."""

    def installed(self, package: str) -> str | None:
        """What the link names."""
        return CURRENT.readlink().name if package == "app" and CURRENT.is_symlink() else None

    def not_now(self, update: Update) -> str | None:
        """While somebody keeps it busy."""
        del update
        return "busy: `busy` is there" if Path("busy").exists() else None

    def install(self, update: Update) -> bool:
        """Unpack; again is harmless. The application takes no reboot."""
        folder = FOLDER / update.version
        shutil.rmtree(folder, ignore_errors=True)
        with tarfile.open(update.file) as archive:
            archive.extractall(folder, filter="data")
        point_to(folder)
        return False

    def works(self, update: Update) -> bool:
        """Whether the application says so itself."""
        del update
        done = subprocess.run([CURRENT / "app", "--self-test"], check=False, timeout=60)
        return done.returncode == 0

    def commit(self, update: Update) -> None:
        """Keep this version and the one before."""
        kept = {update.version, update.former}
        for folder in FOLDER.iterdir():
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def roll_back(self, update: Update) -> bool:
        """The former version, where there is one."""
        if update.former is not None:
            point_to(FOLDER / update.former)
        else:
            CURRENT.unlink(missing_ok=True)
        return False


installer = Gateway()


def register(agent: Agent) -> None:
    """What else the gateway does; the tenant's file must list it."""

    @agent.command("run-diagnostics", idempotent=True)
    def versions(_: Command) -> dict[str, object]:
        return {"app": installer.installed("app")}
