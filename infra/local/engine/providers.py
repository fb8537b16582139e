"""Which provider makes a resource: explicit ones, the default ones; and their default tags."""

from __future__ import annotations

import json
import threading
import uuid
from typing import TYPE_CHECKING, Any

from infra.local.engine.errors import ProgramError
from infra.local.engine.snapshot import Resource
from infra.local.engine.urns import make, name_of, type_chain
from infra.local.engine.values import is_unknown, reveal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.engine.handler import Cloud
    from infra.local.engine.project import StackConfig
    from infra.local.engine.state import StackState


def is_default(urn: str) -> bool:
    """Whether the engine added the provider by itself; like the CLI, it does not name those."""
    return type_chain(urn).startswith("pulumi:providers:") and name_of(urn).startswith("default")


class Providers:
    """The providers of one run.

    The embedded cloud is the same behind each of them: of a provider's settings only region and
    default tags count.
    """

    def __init__(self, state: StackState, project: str, config: StackConfig, cloud: Cloud) -> None:
        self._state = state
        self._project = project
        self._config = config
        self._cloud = cloud
        self._tags: dict[str, dict[str, str]] = {}
        self._mutex = threading.Lock()

    def declare(self, urn: str, inputs: Mapping[str, Any]) -> None:
        """Take note of a provider that the program registers; its nested settings are JSON texts.

        Raises:
            ProgramError: It is for another region than the embedded cloud's.
        """
        region = inputs.get("region")
        if region is not None and not is_unknown(region) and reveal(region) != self._cloud.region:
            raise ProgramError(
                f"{urn}: region `{reveal(region)}`: the embedded cloud is in {self._cloud.region}"
            )
        settings = reveal(inputs.get("defaultTags"))
        if isinstance(settings, str) and not is_unknown(settings):
            settings = json.loads(settings)
        self._tags[urn] = (settings.get("tags") or {}) if isinstance(settings, dict) else {}

    def tags(self, reference: str) -> dict[str, str]:
        """Default tags of a provider."""
        return self._tags.get(reference.rpartition("::")[0], {})

    def reference(self, given: str, token: str, version: str, user: str) -> str:
        """Return ``<urn>::<id>`` of the provider of a resource or function.

        Args:
            given: What the program says, empty for the default provider.
            token: Type or function, e.g. ``aws:s3/bucket:Bucket``.
            version: Of the SDK that the program uses.
            user: URN or token that the error names.

        Raises:
            ProgramError: ``pulumi:disable-default-providers`` forbids the default one.
        """
        if given:
            return given
        package = token.partition(":")[0]
        disabled = self._config.flag("pulumi:disable-default-providers")
        if package != "pulumi" and (package in disabled or "*" in disabled):
            raise ProgramError(
                f"Default provider for '{package}' disabled. "
                f"'{user}' must use an explicit provider."
            )
        return self._default(package, version)

    def _default(self, package: str, version: str) -> str:
        kind = f"pulumi:providers:{package}"
        name = f"default_{version.replace('.', '_')}" if version else "default"
        urn = make(self._state.stack, self._project, "", kind, name)
        with self._mutex:
            known = self._state.snapshot.done.get(urn)
            if known is None:
                former = self._state.snapshot.base.get(urn)
                inputs: dict[str, Any] = {
                    key.removeprefix(f"{package}:"): value
                    for key, value in self._config.values.items()
                    if key.startswith(f"{package}:")
                }
                self.declare(urn, inputs)
                if version:
                    inputs["version"] = version
                identity = former.id if former else str(uuid.uuid4())
                known = Resource(urn=urn, type=kind, id=identity, inputs=inputs, outputs=inputs)
                self._state.put(known)
        return f"{urn}::{known.id}"
