"""One stack's state on disk: a deployment file in Pulumi's format, and a journal since.

A run appends one line per change, so that a deployment of n resources writes O(n) bytes, and folds
the journal into the file when it ends. A process that dies leaves the journal; the next run reads
file and journal. A torn last line is what was being written at that moment: it is ignored. The
first line says which file the journal extends: after a death between folding and removing it, it
extends no longer what is there, and is ignored as a whole. Lines reach the kernel at once, so they
survive the death of the process; the file itself is synced to disk.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from typing import IO, TYPE_CHECKING, Any, Final

from infra.local.engine.errors import StackLockedError, StateError
from infra.local.engine.keyring import Crypter, Keyring
from infra.local.engine.snapshot import Pending, Resource, Snapshot

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_FORMAT: Final = 3  # apitype.DeploymentV3


class StackState:
    """Reads and writes one stack.

    Every change of ``snapshot`` goes through the methods here, from any thread; they write the
    journal first when one is open. Live changes and replayed ones take the same way, so what is in
    memory is what a later run will read.
    """

    def __init__(self, folder: Path, project: str, stack: str) -> None:
        """Load the stack; one that was never deployed is empty.

        Raises:
            StateError: File or journal is damaged or of another format, or its secrets cannot be
                decrypted.
        """
        self.stack = stack
        self._file = folder / "stacks" / project / f"{stack}.json"
        self._journal_file = self._file.with_suffix(".journal")
        self._journal: IO[str] | None = None
        self._keyring = Keyring(folder)
        self._crypter: Crypter | None = None
        self._mutex = threading.Lock()
        self._generation = ""
        self.exists = self._file.exists() or self._journal_file.exists()
        self.snapshot = self._load()

    @contextmanager
    def lock(self) -> Generator[None]:
        """Hold the stack for writing: reload, open the journal, fold it at the end in any case.

        Raises:
            StackLockedError: Another run holds it; names the process.
        """
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._file.with_suffix(".lock").open("a+") as holder:
            try:
                # The kernel frees it when the process dies.
                fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder.seek(0)
                raise StackLockedError(
                    f"stack `{self.stack}` is being changed by process {holder.read().strip()}: "
                    "wait for it to end"
                ) from error
            holder.truncate(0)
            holder.write(str(os.getpid()))
            holder.flush()
            self.snapshot = self._load()
            self._write_file()
            with self._journal_file.open("w") as journal:
                journal.write(json.dumps({"extends": self._generation}) + "\n")
                journal.flush()
                self._journal = journal
                try:
                    yield
                finally:
                    self._journal = None
                    self._write_file()
                    self._journal_file.unlink()

    def begin(self, kind: str, resource: Resource) -> None:
        """See ``Snapshot.begin``."""
        self._change({"begin": kind, "resource": self._seal(resource)})

    def abandon(self, urn: str) -> None:
        """See ``Snapshot.abandon``."""
        self._change({"abandon": urn})

    def put(self, resource: Resource, was: str = "", *, replacing: bool = False) -> None:
        """See ``Snapshot.put``."""
        self._change({"put": self._seal(resource), "was": was, "replacing": replacing})

    def amend(self, resource: Resource) -> None:
        """See ``Snapshot.amend``."""
        self._change({"amend": self._seal(resource)})

    def drop(self, key: str) -> None:
        """See ``Snapshot.drop``."""
        self._change({"drop": key})

    def _change(self, entry: dict[str, Any]) -> None:
        with self._mutex:
            if self._journal is not None:  # none is open in a preview
                self._journal.write(json.dumps(entry) + "\n")
                self._journal.flush()
            self._replay(self.snapshot, entry)

    def _replay(self, snapshot: Snapshot, entry: dict[str, Any]) -> None:
        match entry:
            case {"begin": kind, "resource": resource}:
                snapshot.begin(kind, self._open(resource))
            case {"abandon": urn}:
                snapshot.abandon(urn)
            case {"put": resource, "was": was, "replacing": replacing}:
                snapshot.put(self._open(resource), was, replacing=replacing)
            case {"amend": resource}:
                snapshot.amend(self._open(resource))
            case {"drop": key}:
                snapshot.drop(key)
            case _:
                raise StateError(f"{self._journal_file}: no such entry: {sorted(entry)}")

    def _load(self) -> Snapshot:
        snapshot = Snapshot([], [])
        if self._file.exists():
            snapshot = self._read_file()
        if self._journal_file.exists():
            *lines, _torn = self._journal_file.read_text().split("\n")
            entries = [json.loads(line) for line in lines]
            if entries and entries[0] == {"extends": self._generation}:
                for entry in entries[1:]:
                    self._replay(snapshot, entry)
        return Snapshot(snapshot.resources(), list(snapshot.pending.values()))

    def _read_file(self) -> Snapshot:
        try:
            document = json.loads(self._file.read_text())
            if document["version"] != _FORMAT:
                raise StateError(
                    f"{self._file} is a deployment of version {document['version']}, not {_FORMAT}"
                )
            deployment = document["deployment"]
            self._generation = deployment["manifest"]["time"]
            salt = deployment["secrets_providers"]["state"]["salt"]
            self._crypter = self._keyring.crypter(salt)
            resources = [self._open(item) for item in deployment.get("resources", [])]
            pending = [
                Pending(item["type"], self._open(item["resource"])) for item in _pending(deployment)
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise StateError(f"{self._file} is no Pulumi deployment: {error!r}") from error
        return Snapshot(resources, pending)

    def _write_file(self) -> None:
        release = f"v{version('pulumi')}"
        self._generation = datetime.now(UTC).isoformat()
        deployment: dict[str, Any] = {
            "manifest": {
                "time": self._generation,
                "magic": hashlib.sha256(
                    release.encode()
                ).hexdigest(),  # Pulumi checks it against the version
                "version": release,
            },
            "secrets_providers": {
                "type": "passphrase",
                "state": {"salt": self._sealer().salt_state},
            },
            "resources": [self._seal(resource) for resource in self.snapshot.resources()],
        }
        if self.snapshot.pending:
            deployment["pending_operations"] = [
                {"resource": self._seal(operation.resource), "type": operation.kind}
                for operation in self.snapshot.pending.values()
            ]
        draft = self._file.with_suffix(".tmp")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            json.dump({"version": _FORMAT, "deployment": deployment}, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(self._file)

    def _sealer(self) -> Crypter:
        self._crypter = self._crypter or self._keyring.crypter()
        return self._crypter

    def _seal(self, resource: Resource) -> dict[str, Any]:
        return self._sealer().seal(resource.to_json())

    def _open(self, data: dict[str, Any]) -> Resource:
        return Resource.from_json(self._sealer().open(data))


def _pending(deployment: dict[str, Any]) -> list[dict[str, Any]]:
    return deployment.get("pending_operations") or []
