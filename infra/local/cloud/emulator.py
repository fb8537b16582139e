"""ministack as a library: imported once, with its settings, and corrected by name.

Its settings are environment variables read at import and its state is module-global: a process has
one emulator, ever.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import os
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import UnknownServiceError

from infra.local.cloud.errors import EmbeddedCloudError, EmulatorChangedError
from infra.local.cloud.limits import shapes

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Generator
    from pathlib import Path

    from botocore.model import ServiceModel

    from infra.local.clients import RootKeys
    from infra.local.cloud.limits.enforcing import Limits
    from infra.local.cloud.rights import Rights

PINNED_VERSION: Final = "1.5.33"


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """The loaded emulator and what its corrections need to know."""

    app: Any
    root: RootKeys
    account_id: str
    region: str
    mqtt_listener: socket.socket
    mqtt_port: int
    limits: Limits
    rights: Rights

    def module(self, name: str) -> Any:
        """A module of the emulator, e.g. ``services.iot``."""
        return importlib.import_module(f"ministack.{name}")

    def replace(self, module: str, name: str, correction: Callable[[Any], object]) -> None:
        """Set ``module.name`` (or ``Class.method``) to what ``correction`` makes of the original.

        Raises:
            EmulatorChangedError: there is no such name.
        """
        owner: Any = self.module(module)
        *path, last = name.split(".")
        for part in path:
            owner = getattr(owner, part)
        if not hasattr(owner, last):
            raise EmulatorChangedError(
                f"ministack has no `{module}.{name}`: install ministack=={PINNED_VERSION}"
            )
        setattr(owner, last, correction(getattr(owner, last)))


def load(
    *,
    root: RootKeys,
    account_id: str,
    region: str,
    gateway_port: int,
    mqtt_listener: socket.socket,
    s3_directory: Path,
    keys_directory: Path,
    limits: Limits,
    rights: Rights,
) -> Emulator:
    """Import the emulator with these settings.

    Raises:
        EmbeddedCloudError: this process has loaded it before.
        EmulatorChangedError: not the pinned version.
    """
    installed = importlib.metadata.version("ministack")
    if installed != PINNED_VERSION:
        raise EmulatorChangedError(
            f"ministack {installed} is installed, the corrections are for {PINNED_VERSION}"
        )
    mqtt_port = int(mqtt_listener.getsockname()[1])
    settings = {
        "AUTH": "true",
        "GATEWAY_PORT": str(gateway_port),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_PORT": str(mqtt_port),
        "MINISTACK_HOST": "localhost",
        "MINISTACK_REGION": region,
        "MINISTACK_ACCOUNT_ID": account_id,
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(s3_directory),
        "STATE_DIR": str(keys_directory),
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent.sock",  # never talk to the Docker of this machine
        "LOG_LEVEL": "WARNING",
    }
    _claim_process()
    os.environ.update(settings)
    with _root_logger_untouched():
        app: Any = importlib.import_module("ministack.app")
    loaded = Emulator(
        app=app,
        root=root,
        account_id=account_id,
        region=region,
        mqtt_listener=mqtt_listener,
        mqtt_port=mqtt_port,
        limits=limits,
        rights=rights,
    )
    _share_models(loaded)
    return loaded


def _share_models(emulator: Emulator) -> None:
    """Let the emulator's answers look into the models that are parsed already.

    By itself it parses each in a session of its own, when a service first answers.
    """
    names: dict[str, str] = emulator.module("core.responses")._BOTOCORE_NAME  # noqa: SLF001 - all it has

    def model(service: str) -> ServiceModel | None:
        try:
            return shapes.service_model(names.get(service, service))
        except UnknownServiceError:
            return None

    emulator.replace("core.responses", "_service_model", lambda _: cache(model))


_loaded = False


def _claim_process() -> None:
    global _loaded  # noqa: PLW0603 - the emulator's own state is global to the process
    if _loaded:
        raise EmbeddedCloudError(
            "this process has already run an embedded cloud: start another process for a second one"
        )
    _loaded = True


@contextmanager
def _root_logger_untouched() -> Generator[None]:
    """Importing the emulator configures the root logger of its host."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    placeholder = logging.NullHandler()
    root.addHandler(placeholder)  # basicConfig does nothing when a handler is there
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
