"""``upload-logs``: packs the agent's log and the maker's, and sends them to the tenant's bucket.

The form by which S3 takes them comes with the command and is a credential: it is taken out before
the command is stored, held in memory until the command runs, and told nobody.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import re
import threading
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device import wire
from cedarfleet_device.commands.handlers import Command, Handler, Handlers
from cedarfleet_device.diagnostics.kept_log import KeptLog
from cedarfleet_device.diagnostics.redaction import redacted
from cedarfleet_device.errors import CommandFailedError, ConfigError
from cedarfleet_device.log import LOGGER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cedarfleet_device.config import DeviceConfig
    from cedarfleet_device.wire import CommandMessage, LogUpload

_LIMIT_SECONDS: Final = 240.0  # the form may end sooner: the service says how it counts
_MOST_FORMS: Final = 16
_MOST_LOGS: Final = 8
_TAIL_BYTES: Final = 1024 * 1024
_LEAST_TAIL_BYTES: Final = 16 * 1024
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_OWN: Final = "agent"


class LogUploads:
    """The logs of one agent, and the built-in command that sends them.

    Args:
        config: the device.
    """

    def __init__(self, config: DeviceConfig) -> None:
        self._config = config
        self._kept = KeptLog(config.state_dir / "logs", most_bytes=config.logs.keep_bytes)
        self._files: dict[str, Path] = {}
        self._lock = threading.Lock()
        self._forms: OrderedDict[str, LogUpload] = OrderedDict()

    def register(self, handlers: Handlers) -> None:
        """Add the handler."""
        handlers.add(
            wire.UPLOAD_LOGS,
            Handler(function=self._upload, idempotent=False, time_limit_seconds=_LIMIT_SECONDS),
        )

    def add(self, name: str, file: Path) -> None:
        """Send this file's last lines too.

        Raises:
            ConfigError: the name is none, or taken; or there are too many.
        """
        if _NAME.fullmatch(name) is None or name == _OWN or name in self._files:
            raise ConfigError(
                f"the log `{name}` must have a name of its own, of a-z, 0-9 and `-`, not `{_OWN}`"
            )
        if len(self._files) == _MOST_LOGS:
            raise ConfigError(f"the log `{name}` is one too many: at most {_MOST_LOGS}")
        self._files = {**self._files, name: file}

    def keep(self) -> None:
        """From now on events of this process are kept, as far as its logger lets them through.

        Of several agents of one process the first keeps them.
        """
        if self._config.logs.keep_bytes == 0 or any(
            isinstance(each, KeptLog) for each in LOGGER.handlers
        ):
            return
        # Without a handler Python itself prints warnings: with ours it would fall silent.
        if not LOGGER.hasHandlers() and logging.lastResort is not None:
            LOGGER.addHandler(logging.lastResort)
        LOGGER.addHandler(self._kept)

    def close(self) -> None:
        """Keep no more; again is harmless."""
        LOGGER.removeHandler(self._kept)
        self._kept.close()

    def withhold(self, message: CommandMessage) -> CommandMessage:
        """The command without its form, which is held until it runs.

        Raises:
            WireError: what came is no form.
        """
        if message.name != wire.UPLOAD_LOGS:
            return message
        form = wire.LogUpload.of(message.arguments)
        with self._lock:
            self._forms[message.command_id] = form
            while len(self._forms) > _MOST_FORMS:
                self._forms.popitem(last=False)
        return replace(message, arguments={})

    def _upload(self, command: Command) -> dict[str, Any]:
        # Imported here: HTTP and TLS cost memory that a device which never sends logs need not pay.
        from cedarfleet_device.diagnostics.form_upload import send_form  # noqa: PLC0415 - see above

        with self._lock:
            form = self._forms.pop(command.command_id, None)
        if form is None:
            raise CommandFailedError(
                "the agent was started again since the command came, or has too many of them:"
                " where the logs go was not kept; send it again"
            )
        packed = self._packed(form.max_bytes)
        command.progress(step="sending", bytes=len(packed))
        send_form(form, packed, limits=self._config.downloads, stopped=command.stopped)
        digest = hashlib.sha256(packed).hexdigest()
        return {"key": form.key, "bytes": len(packed), "sha256": digest}

    def _packed(self, most_bytes: int) -> bytes:
        """The logs, compressed; of each only as much as fits."""
        tail = _TAIL_BYTES
        while tail >= _LEAST_TAIL_BYTES:
            text = "\n".join(self._lines(tail))
            packed = gzip.compress(f"{text}\n".encode(errors="replace"), compresslevel=6, mtime=0)
            if len(packed) <= most_bytes:
                return packed
            tail //= 2
        raise CommandFailedError(f"the logs do not fit into {most_bytes} bytes")

    def _lines(self, tail: int) -> Iterator[str]:
        for file in self._kept.files():
            yield from redacted(_tail(file, tail))
        for name, file in sorted(self._files.items()):
            for line in redacted(_tail(file, tail)):
                yield json.dumps({"log": name, "line": line}, ensure_ascii=False)


def _tail(file: Path, most_bytes: int) -> list[str]:
    """The last lines of a file, whole; of one that cannot be read, why."""
    try:
        with file.open("rb") as opened:
            size = opened.seek(0, 2)
            begin = opened.seek(max(0, size - most_bytes))
            content = opened.read(most_bytes)
    except OSError as error:
        return [json.dumps({"log.unreadable": str(error.strerror)})]
    if begin:
        _, _, content = content.partition(b"\n")
    return content.decode(errors="replace").splitlines()
