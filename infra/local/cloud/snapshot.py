"""Writes the emulator's memory to one file soon after each change; kill -9 loses little.

The file is one line of JSON (format, emulator version, SHA-256 of the rest) and then the services'
states as the emulator's own encoder writes them. It is replaced as a whole; a file whose sum does
not match is not loaded. Bodies of S3 objects are not in it: the emulator writes those to disk
itself before it answers. MQTT sessions do not survive.
"""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
import logging
import time
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from infra.local.cloud.emulator import PINNED_VERSION
from infra.local.cloud.errors import StateDamagedError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from infra.local.cloud.emulator import Emulator
    from infra.local.cloud.front_door import Application, Receive, Scope, Send
    from infra.local.cloud.state_directory import StateDirectory

_FILE: Final = "snapshot.json"
_FORMAT: Final = 1
_QUIET_SECONDS: Final = (
    0.25  # how long after a change the file is written: changes in between are written with it
)
_BUSY_SHARE: Final = 10  # and at least this many times as long as the last writing took
_PING: Final = b"\xc0\0"  # PINGREQ
_READS: Final = (
    "Get",
    "List",
    "Describe",
    "BatchGet",
    "Query",
    "Scan",
    "IsAuthorized",
    "BatchIsAuthorized",
    "Search",
)

_log = logging.getLogger(__name__)


class Snapshots:
    """ASGI application in front of ``inner`` that notes changes, and the writer of the file.

    Use from the server's loop only: there no request of the emulator is half done, bar Cognito's,
    which run in threads.
    """

    def __init__(
        self, *, emulator: Emulator, directory: StateDirectory, inner: Application
    ) -> None:
        self._emulator = emulator
        self._directory = directory
        self._inner = inner
        self._changed = asyncio.Event()
        self._took = 0.0
        self._watch_broker()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; afterwards note a change unless the request could make none."""
        try:
            await self._inner(scope, receive, send)
        finally:
            if scope["type"] != "http" or not _only_reads(scope):
                self._changed.set()

    def _watch_broker(self) -> None:
        """Note a change whenever an MQTT client sends something: a job's state, a shadow."""

        def noted(original: Any) -> Any:
            async def feed(session: Any, data: bytes, limit: int) -> Any:
                try:
                    return await original(session, data, limit)
                finally:
                    if data != _PING:
                        self._changed.set()

            return feed

        self._emulator.replace("services.iot", "_feed_session", noted)

    def load(self) -> None:
        """Give every service its state of the last run.

        Raises:
            StateDamagedError: the file is torn, of another version, or a service refuses its state.
        """
        path = self._directory.path / _FILE
        body = read(path)
        if body is None:
            return
        persistence, app = self._emulator.module("core.persistence"), self._emulator.app
        for name, state in json.loads(body, object_hook=persistence._json_object_hook).items():
            try:
                app._get_module(app._state_map[name]).load_persisted_state(state)
            except Exception as error:
                raise _damaged(path, f"holds a state of {name} that cannot be loaded") from error

    def save(self) -> None:
        """Write the file now."""
        started = time.monotonic()
        encode = self._emulator.module("core.persistence")._json_default
        getters = self._emulator.app._build_persistence_save_dict()
        with self._uncopied("dynamodb"), self._uncopied("iot"):
            states = {name: state for name, get in getters.items() if (state := get()) is not None}
            body = json.dumps(states, default=encode, separators=(",", ":")).encode()
        self._directory.write(_FILE, compose(body))
        self._took = time.monotonic() - started

    async def save_now(self) -> None:
        """Write the file; what was changed before the call is in it when this returns.

        Raises:
            OSError: it cannot be written.
        """
        while True:
            try:
                return self.save()
            except RuntimeError:  # a Cognito thread changed a dictionary meanwhile
                await asyncio.sleep(_QUIET_SECONDS / 10)

    @contextmanager
    def _uncopied(self, name: str) -> Generator[None]:
        """Let a service hand out its state without a deep copy, five times as slow as the encoding.

        Right only because all of these services' work is done on this loop, and nothing else runs
        on it meanwhile.
        """
        service = self._emulator.module(f"services.{name}")
        service.copy = SimpleNamespace(copy=copy.copy, deepcopy=lambda value: value)
        try:
            yield
        finally:
            service.copy = copy

    async def keep_saving(self) -> None:
        """Write after changes until cancelled."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(max(_QUIET_SECONDS, self._took * _BUSY_SHARE))
            self._changed.clear()
            try:
                self.save()
            except RuntimeError:  # a Cognito thread changed a dictionary meanwhile
                self._changed.set()
            except OSError as error:
                _log.warning(
                    "the state of the embedded cloud could not be written: %s; trying again", error
                )
                self._changed.set()
            except Exception:  # noqa: BLE001 - logged; a writer that ended would lose everything
                _log.exception(
                    "the state of the embedded cloud could not be written; "
                    "the next change tries again"
                )


def compose(body: bytes) -> bytes:
    """The content of the file."""
    header = {
        "format": _FORMAT,
        "emulator": PINNED_VERSION,
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    return json.dumps(header).encode() + b"\n" + body


def read(path: Path) -> bytes | None:
    """The body of the file, or None when there is no file.

    Raises:
        StateDamagedError: it is not the whole of what ``compose`` made, with this version of the
            emulator.
    """
    try:
        header, _, body = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    try:
        claimed = json.loads(header)
        known = claimed["format"] == _FORMAT and claimed["emulator"] == PINNED_VERSION
        whole = claimed["sha256"] == hashlib.sha256(body).hexdigest()
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, "is damaged") from error
    if not known:
        raise _damaged(path, "was written by another version")
    if not whole:
        raise _damaged(path, "is damaged")  # fail closed: never load half a state
    return body


def _damaged(path: Path, how: str) -> StateDamagedError:
    return StateDamagedError(f"`{path}` {how}: delete `{path.parent}` to start with an empty cloud")


def _only_reads(scope: Scope) -> bool:
    if scope["method"] in ("GET", "HEAD", "OPTIONS"):
        return True
    target = next(
        (value for key, value in scope["headers"] if key.lower() == b"x-amz-target"), b""
    ).decode("latin-1")
    return target.rpartition(".")[2].startswith(_READS)
