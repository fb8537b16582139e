"""The engine's errors, split by who must act.

The tree::

    EngineError
    ├── ProjectError           the author of Pulumi.yaml or of a stack file
    ├── StateError             whoever touched the state on disk
    │   └── StackLockedError   wait for the other run
    ├── ProgramError           the author of the program: duplicate names, unknown types
    ├── ProtectedError         the operator: something that must not be lost would be
    ├── GuardedError           the author of the program: it breaks rules of the project
    └── DeploymentFailedError  see the failures: a handler or the cloud refused
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.local.engine.result import Result


class EngineError(Exception):
    """Base of everything that the engine raises on purpose."""


class ProjectError(EngineError):
    """``Pulumi.yaml`` or a stack's configuration cannot be used."""


class StateError(EngineError):
    """The state on disk cannot be read or decrypted."""


class StackLockedError(StateError):
    """Another run holds the stack."""


class ProgramError(EngineError):
    """The program asks for what this engine cannot or must not do."""


class ProtectedError(EngineError):
    """Protected resources would be deleted or replaced.

    Attributes:
        verb: ``delete`` or ``replace``.
        urns: the resources.
    """

    def __init__(self, verb: str, urns: tuple[str, ...]) -> None:
        super().__init__(
            f"unable to {verb} {', '.join(urns)}: protected; first deploy with protect=False"
        )
        self.verb = verb
        self.urns = urns


class GuardedError(EngineError):
    """Resources break rules; nothing was made.

    Attributes:
        refusals: (resource, what is wrong), each once.
    """

    def __init__(self, refusals: tuple[tuple[str, str], ...]) -> None:
        words = "; ".join(f"{shown}: {wrong}" for shown, wrong in refusals)
        super().__init__(f"nothing was made, since the guardrails refuse {words}")
        self.refusals = refusals


@dataclass(frozen=True)
class Failure:
    """One step that failed: ``operation`` is a verb such as ``creating``."""

    urn: str
    operation: str
    reason: str

    def __str__(self) -> str:
        return f"{self.operation} {self.urn}: {self.reason}"


class DeploymentFailedError(EngineError):
    """Steps failed; what was done before is in the state, and the next run goes on from there.

    Attributes:
        failures: The steps that failed.
        result: What was done.
    """

    def __init__(self, failures: tuple[Failure, ...], result: Result) -> None:
        super().__init__("; ".join(str(failure) for failure in failures))
        self.failures = failures
        self.result = result
