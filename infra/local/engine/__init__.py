"""An in-process Pulumi engine: runs a project's program without the CLI, keeps state on disk."""

from infra.local.engine.engine import Engine
from infra.local.engine.errors import (
    DeploymentFailedError,
    EngineError,
    GuardedError,
    ProgramError,
    ProjectError,
    ProtectedError,
    StackLockedError,
    StateError,
)
from infra.local.engine.guarding import UNKNOWN_INPUT, Asked, Guard, NoGuard
from infra.local.engine.handler import Cloud, Handler, Invoke, Made
from infra.local.engine.result import Change, Op, Result
from infra.local.engine.urns import kind_and_name

__all__ = [
    "UNKNOWN_INPUT",
    "Asked",
    "Change",
    "Cloud",
    "DeploymentFailedError",
    "Engine",
    "EngineError",
    "Guard",
    "GuardedError",
    "Handler",
    "Invoke",
    "Made",
    "NoGuard",
    "Op",
    "ProgramError",
    "ProjectError",
    "ProtectedError",
    "Result",
    "StackLockedError",
    "StateError",
    "kind_and_name",
]
