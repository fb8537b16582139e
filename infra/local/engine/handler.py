"""What the engine asks of its caller: the cloud it deploys to, one handler per resource type."""

# ruff: noqa: A002 - `id` is Pulumi's word

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable


class Cloud(Protocol):
    """Where resources are made: an account in one region of an AWS-shaped endpoint."""

    @property
    def region(self) -> str:
        """AWS region, e.g. ``eu-central-1``."""
        ...

    @property
    def account_id(self) -> str:
        """Twelve digits."""
        ...

    @property
    def endpoint_url(self) -> str:
        """One URL that answers every AWS API."""
        ...

    def client(self, service: str, /) -> Any:
        """A boto3 client with the account's root credentials; thread-safe."""
        ...


@dataclass(frozen=True)
class Made:
    """What a create made: the provider's id, and every output in camelCase (inputs included)."""

    id: str
    outputs: dict[str, Any]


class Handler(Protocol):
    """Makes, changes, reads and deletes resources of one Pulumi type.

    Subclass it to inherit the defaults below. Properties are plain JSON values in camelCase:
    secrets are unwrapped, whole numbers are ``int``, absent is absent (never ``None``), assets are
    ``pulumi.Asset`` or ``pulumi.Archive``. Calls come from several threads at once, so a handler
    keeps no state of its own. Whatever a method raises fails the deployment with the resource's
    URN; nothing is recorded for a create that raised, so a create that takes several calls must
    undo the earlier ones before it raises.

    Attributes:
        replace_on: Inputs that AWS cannot change in place ("Changing this forces replacement" in
            the registry).
        autoname: Input that gets ``<logical name>-<7 hex digits>`` where the program does not set
            it.
        taggable: Whether the type has ``tags``; the provider's default tags are then merged into
            that input, and the output ``tagsAll`` is set for the handler.
        delete_before_replace: Whether two of it cannot stand side by side. Not needed for a fixed
            name in ``autoname``'s input: the engine sees that one itself.
        unstable: Outputs that an update may change; a preview of an update shows them as unknown.
        recorded: Whether ``create`` only records the resource: nothing stands behind it in this
            cloud.
    """

    replace_on: frozenset[str] = frozenset()
    autoname: str | None = None
    taggable: bool = False
    delete_before_replace: bool = False
    unstable: frozenset[str] = frozenset()
    recorded: bool = False

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """Make it."""
        ...

    def update(
        self,
        cloud: Cloud,
        id: str,
        old: dict[str, Any],
        inputs: dict[str, Any],
    ) -> dict[str, Any]:
        """Change it in place; ``old`` holds the outputs so far. Returns all outputs."""
        ...

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """Return its outputs as they are in the cloud now, or ``None`` if it is gone.

        ``outputs`` is what the state knows (empty for a resource that the program only looks up);
        keys that the cloud does not return are handed back as they came.
        """
        ...

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """Remove it; succeeds when it is gone already."""
        ...

    def find(self, cloud: Cloud, inputs: dict[str, Any]) -> str | None:
        """Return the id of what an interrupted create of exactly ``inputs`` left behind.

        ``None``: nothing, or unknown.

        Asked only after a create that was cut short by the death of the process. What is found is
        read and adopted.
        """
        del cloud, inputs
        return None


Invoke: TypeAlias = "Callable[[Cloud, dict[str, Any]], dict[str, Any]]"
"""A provider function such as ``aws:index/getRegion:getRegion``.

Plain arguments in camelCase to plain results.
"""
