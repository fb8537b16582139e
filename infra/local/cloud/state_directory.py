"""The folder that keeps a cloud between runs: one owner at a time, readable by its user only.

Holds ``lock``, ``root-keys.json``, ``ports.json``, ``snapshot.json`` (see ``snapshot``),
``broker-ca.pem``, ``s3/`` (objects, written by the emulator at once), ``pool-keys/`` (with which
Cognito signs), ``verified-permissions/`` and ``emulator.log``. The snapshot contains passwords and
private keys in the clear.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from infra.local.clients import RootKeys
from infra.local.cloud.errors import EmbeddedCloudError, StateDamagedError, StateInUseError

if TYPE_CHECKING:
    from pathlib import Path

_PRIVATE_DIRECTORY = 0o700
_PRIVATE_FILE = 0o600


@dataclass(frozen=True, kw_only=True)
class Ports:
    """TCP ports on loopback; 0 = not chosen."""

    gateway: int = 0
    mqtt: int = 0


class StateDirectory:
    """One state directory, held by this process from construction to ``close``.

    Raises:
        StateInUseError: another process holds it.
        EmbeddedCloudError: the path is no directory, or belongs to another user.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        try:
            self.path.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        except FileExistsError as error:
            raise EmbeddedCloudError(
                f"the state directory `{path}` is a file: name a directory"
            ) from error
        if self.path.stat().st_uid != os.getuid():
            raise EmbeddedCloudError(
                f"the state directory `{path}` belongs to another user: name one of your own"
            )
        self.path.chmod(_PRIVATE_DIRECTORY)
        self._lock = os.open(
            self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE
        )
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._lock, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._lock)
            raise StateInUseError(
                f"the state directory `{path}` is in use by process {holder}: "
                "stop it, or name another directory"
            ) from error
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._lock)

    def private_directory(self, name: str) -> Path:
        """A sub-directory, made when missing."""
        path = self.path / name
        path.mkdir(mode=_PRIVATE_DIRECTORY, exist_ok=True)
        return path

    def root_keys(self) -> RootKeys:
        """The keys of earlier runs, else new ones."""
        stored = self._read("root-keys.json")
        if stored is None:
            keys = RootKeys.random()
            self.write("root-keys.json", json.dumps(asdict(keys)).encode())
            return keys
        try:
            return RootKeys(**stored)
        except TypeError as error:
            raise self._damaged("root-keys.json") from error

    def ports(self) -> Ports:
        """The ports of the last run."""
        try:
            return Ports(**(self._read("ports.json") or {}))
        except TypeError as error:
            raise self._damaged("ports.json") from error

    def remember(self, ports: Ports) -> None:
        """Keep the ports for the next run."""
        self.write("ports.json", json.dumps(asdict(ports)).encode())

    def write(self, name: str, content: bytes) -> Path:
        """Replace a file as a whole: a reader, or a crash, sees the old content or the new."""
        path, fresh = self.path / name, self.path / f"{name}.new"
        descriptor = os.open(
            fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _PRIVATE_FILE
        )
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        directory = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        return path

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            document = json.loads((self.path / name).read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise self._damaged(name) from error
        if not isinstance(document, dict):
            raise self._damaged(name)
        return document

    def _damaged(self, name: str) -> StateDamagedError:
        return StateDamagedError(
            f"`{self.path / name}` is damaged: delete `{self.path}` to start with an empty cloud"
        )
