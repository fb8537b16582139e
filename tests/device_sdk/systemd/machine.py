"""A machine whose process 1 is a real systemd, in namespaces of its own.

Its root is a folder of the test.

The network is the host's, so that loopback leads to the test. Its control groups have no
controllers: limits such as ``MemoryMax`` are accepted, but nothing enforces them here.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

HOLDER = Path(__file__).with_name("machine_process.py")
SYSTEMD = Path("/lib/systemd/systemd")
UNITS = Path("/lib/systemd/system")
TARGETS = ("basic", "multi-user", "network-online", "shutdown", "sysinit", "time-sync")
_PRIVATE = ["unshare", "--mount", "--propagation", "private"]
_TRY = (
    'mount -t cgroup2 try "$1"; mkdir "$1/$2"; ls "$1/$2/cgroup.kill" || err=$?; rmdir "$1/$2";'
    ' exit "${err:-0}"'
)
_ALL_USERS = ["0", "0", "4294967295"]  # man user_namespaces(7): the map of the initial one
_SECONDS = 30.0


def missing(folder: Path) -> str | None:
    """Why there can be no machine here, and what would help; None: there can.

    Args:
        folder: an empty one, for a try.
    """
    if os.geteuid() != 0 or Path("/proc/self/uid_map").read_text().split() != _ALL_USERS:
        return (
            "run as root, and not of a user namespace: a systemd of the test's own needs users and"
            " control groups"
        )
    if not SYSTEMD.exists() or shutil.which("systemctl") is None:
        return "install systemd (Debian package of that name)"
    lacking = [
        each for each in ("unshare", "nsenter", "mount", "pivot_root") if shutil.which(each) is None
    ]
    if lacking:
        return f"install util-linux, which brings {', '.join(lacking)}"
    inside = [*_PRIVATE, "--fork", "--pid", "--uts", "--ipc", "--cgroup", "sh", "-euc", _TRY]
    tried = subprocess.run(
        [*inside, "sh", str(folder), secrets.token_hex(6)],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode:
        return (
            "namespaces with a control group cannot be made here (Linux 5.14, cgroup2):"
            f" {tried.stderr.strip()}"
        )
    return None


def lay_out(root: Path) -> None:
    """Make the folders and files that a systemd starts from; programs are the host's ``/usr``."""
    for each in (
        "dev",
        "etc/systemd/system",
        "home",
        "opt",
        "proc",
        "root",
        "run",
        "sys",
        "tmp",
        "usr",
        "var/lib",
    ):
        (root / each).mkdir(parents=True)
    for each in ("bin", "lib", "lib64", "sbin"):
        (root / each).symlink_to(f"usr/{each}")
    (root / "var/run").symlink_to("/run")
    (root / "tmp").chmod(0o1777)
    for each in TARGETS:
        shutil.copy(UNITS / f"{each}.target", root / "etc/systemd/system")
    shutil.copy("/etc/ld.so.cache", root / "etc")
    (root / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"
    )
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    # Else systemd takes it for a first boot.
    (root / "etc/machine-id").write_text(f"{secrets.token_hex(16)}\n")


class Machine:
    """A machine that is up while its context lasts; leaving it is a power cut.

    Attributes:
        root: its file system, also while it is off.
        console: what its systemd said so far.
        pid: of its systemd, as the host counts.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.console: list[str] = []
        self.pid = 0
        self._news = threading.Condition()
        self._read = 0

    def __enter__(self) -> Self:
        self._master, self._slave = os.openpty()  # systemd logs to a terminal or not at all
        self._reader = threading.Thread(target=self._listen, name="console", daemon=True)
        self._reader.start()
        self._holder = subprocess.Popen(
            [*_PRIVATE, sys.executable, "-I", str(HOLDER), str(self.root), os.ttyname(self._slave)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the test, which then ends it in order
        )
        try:
            assert self._holder.stdout is not None
            self.pid = int(self._holder.stdout.readline())
            self.await_console("Startup finished")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._holder.communicate(timeout=_SECONDS)  # ends its input
        finally:
            os.close(self._slave)
            self._reader.join(_SECONDS)
            os.close(self._master)
        assert self._holder.returncode == 0, "the holder left something behind"

    @property
    def holder_pid(self) -> int:
        """Of the process that holds it, and that ends it when we are gone."""
        return self._holder.pid

    def run(self, *command: str) -> str:
        """Run a program inside, as root; its output."""
        inside = [
            "nsenter",
            f"--target={self.pid}",
            "--mount",
            "--pid",
            "--uts",
            "--ipc",
            "--cgroup",
            "--",
            *command,
        ]
        done = subprocess.run(
            inside, capture_output=True, text=True, timeout=_SECONDS * 2, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}\n{self._tail()}"
        return done.stdout

    def show(self, unit: str) -> Mapping[str, str]:
        """All properties of a unit."""
        lines = self.run("systemctl", "show", unit).splitlines()
        return dict(each.split("=", 1) for each in lines if "=" in each)

    def await_console(self, words: str) -> str:
        """The next line of systemd's with these words, passing those before it."""

        def found() -> str | None:
            while self._read < len(self.console):
                self._read += 1
                if words in self.console[self._read - 1]:
                    return self.console[self._read - 1]
            return None

        with self._news:
            line = self._news.wait_for(found, _SECONDS)
        assert line, f"systemd did not say `{words}` within {_SECONDS} s\n{self._tail()}"
        return line

    def _tail(self) -> str:
        return "\n".join(["its last words:", *self.console[-15:]])

    def _listen(self) -> None:
        with os.fdopen(os.dup(self._master), "r", errors="replace", newline="\n") as console:
            try:
                for line in console:
                    with self._news:
                        self.console.append(line.strip())
                        self._news.notify_all()
            except OSError:  # EIO: the last holder of the terminal has gone
                return
