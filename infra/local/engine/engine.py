"""The engine's front: preview, up, refresh, destroy and outputs of one project's stacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.local.engine import refreshing
from infra.local.engine.errors import DeploymentFailedError, StateError
from infra.local.engine.guarding import NoGuard
from infra.local.engine.project import Project
from infra.local.engine.run import Run
from infra.local.engine.state import StackState
from infra.local.engine.steps import StepFailedError, Steps

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from infra.local.engine.guarding import Guard
    from infra.local.engine.handler import Cloud, Handler, Invoke
    from infra.local.engine.program import Program
    from infra.local.engine.result import Result


class Engine:
    """Deploys the stacks of one Pulumi project to one cloud.

    Several stacks may be deployed at once, from several threads or processes; one stack only once
    at a time.
    """

    def __init__(
        self,
        project_dir: Path,
        state_dir: Path,
        cloud: Cloud,
        handlers: Mapping[str, Handler],
        invokes: Mapping[str, Invoke],
        *,
        program: Program | None = None,
        guard: Guard | None = None,
        parallel: int = 16,
        passphrase: str | None = None,
    ) -> None:
        """Read the project.

        Args:
            project_dir: Holds ``Pulumi.yaml``.
            state_dir: Gets state and encryption key; mode 0700 if made here.
            cloud: Where resources are made.
            handlers: Resource type -> handler.
            invokes: Function token -> function.
            program: Instead of the file that ``Pulumi.yaml`` names.
            guard: What else must be right before a resource is made; none: nothing.
            parallel: How many resources may be under way at once.
            passphrase: Decrypts ``secure:`` values of the stacks' configuration.

        Raises:
            ProjectError: ``Pulumi.yaml`` cannot be used.
        """
        self.project = Project.read(project_dir)
        self._state_dir = state_dir
        self._cloud = cloud
        self._handlers = handlers
        self._invokes = invokes
        self._program = program
        self._guard = guard or NoGuard()
        self._parallel = parallel
        self._passphrase = passphrase

    def preview(self, stack: str) -> Result:
        """Say what ``up`` would do.

        Makes nothing, and calls handlers only for ``read`` of what the program looks up.

        Raises:
            EngineError: As ``up``.
        """
        return self._deploy(stack, self._state(stack), preview=True)

    def up(self, stack: str, *, refresh: bool = False) -> Result:
        """Bring the stack to what the program says; what a preview refuses changes nothing.

        Args:
            stack: its name.
            refresh: first bring its state to what is in the cloud, as ``pulumi up --refresh`` does.

        Raises:
            ProjectError: The stack's configuration cannot be used.
            ProgramError: The program failed or asks for something that does not exist here, e.g. a
                resource type without handler.
            ProtectedError: Something protected would be lost.
            GuardedError: Something breaks a rule of the guard's.
            DeploymentFailedError: Steps failed. What was done is in the state; ``up`` again goes on
                from there.
            StateError: The state is damaged, or another run holds the stack.
        """
        state = self._state(stack)
        with state.lock():
            if refresh:
                self._refresh(state)
            self._deploy(stack, self._state(stack), preview=True)
            return self._deploy(stack, state, preview=False)

    def destroy(self, stack: str) -> Result:
        """Delete every resource of the stack, dependents first.

        Raises:
            ProtectedError: One is protected; nothing is deleted then.
            DeploymentFailedError: A delete failed; what is left is in the state.
            StateError: The stack was never deployed, or see ``up``.
        """
        state = self._deployed(stack)
        with state.lock():
            run = Run(self._handlers, preview=False)
            _tell_interrupted(state, run)
            steps = Steps(state, self._cloud, run)
            managed = [item for item in state.snapshot.resources() if item.is_managed]
            for item in managed:
                run.handler(item.type, item.urn)
            run.refuse_missing()
            try:
                steps.finish()
            except StepFailedError as error:
                raise DeploymentFailedError(run.failures, run.result(state.snapshot)) from error
            return run.result(state.snapshot)

    def refresh(self, stack: str) -> Result:
        """Bring the state to what is in the cloud.

        What is gone there is dropped, so that ``up`` makes it again.

        Raises:
            DeploymentFailedError: A resource could not be read.
            StateError: As ``destroy``.
        """
        state = self._deployed(stack)
        with state.lock():
            return self._refresh(state)

    def drift(self, stack: str) -> Result:
        """Say what ``refresh`` would change; writes nothing.

        Raises:
            DeploymentFailedError: A resource could not be read.
            StateError: As ``destroy``.
        """
        # Without the lock no journal is open: what changes is this copy in memory.
        return self._refresh(self._deployed(stack), preview=True)

    def outputs(self, stack: str) -> Result:
        """Return the stack's outputs without running anything.

        Raises:
            StateError: The stack was never deployed.
        """
        return Run(self._handlers, preview=False).result(self._deployed(stack).snapshot)

    def _refresh(self, state: StackState, *, preview: bool = False) -> Result:
        run = Run(self._handlers, preview=preview)
        _tell_interrupted(state, run)
        refreshing.refresh(state, self._cloud, run)
        if run.failures:
            raise DeploymentFailedError(run.failures, run.result(state.snapshot))
        return run.result(state.snapshot)

    def _deploy(self, stack: str, state: StackState, *, preview: bool) -> Result:
        # Only a program needs Pulumi, whose import is half of what a command like `outputs` takes.
        from infra.local.engine.deployment import Deployment  # noqa: PLC0415 - as it says above

        config = self.project.stack_config(stack, self._passphrase)
        run = Run(self._handlers, preview=preview)
        _tell_interrupted(state, run)
        deployment = Deployment(
            project=self.project,
            config=config,
            state=state,
            state_dir=self._state_dir,
            cloud=self._cloud,
            invokes=self._invokes,
            guard=self._guard,
            run=run,
        )
        return deployment.execute(self._program, parallel=self._parallel)

    def _state(self, stack: str) -> StackState:
        return StackState(self._state_dir, self.project.name, stack)

    def _deployed(self, stack: str) -> StackState:
        state = self._state(stack)
        if not state.exists:
            raise StateError(f"stack `{stack}` was never deployed here ({self._state_dir})")
        return state


def _tell_interrupted(state: StackState, run: Run) -> None:
    for operation in state.snapshot.pending.values():
        run.warn(f"an earlier run was interrupted while {operation.kind} {operation.resource.urn}")
