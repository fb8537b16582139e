"""The engine's front: preview, up, refresh, destroy and outputs of one project's stacks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from infra.local.engine import refreshing
from infra.local.engine.errors import DeploymentFailedError, EngineError, ProgramError, StateError
from infra.local.engine.monitor import Monitor
from infra.local.engine.program import Program, Surroundings, execute, from_file
from infra.local.engine.project import Project, StackConfig
from infra.local.engine.providers import Providers
from infra.local.engine.run import Run
from infra.local.engine.state import StackState
from infra.local.engine.steps import StepFailedError, Steps
from infra.local.engine.urns import STACK_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from infra.local.engine.handler import Cloud, Handler, Invoke
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
        self._program = program or from_file(self.project.program)
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
            _refuse_missing(run, [run.handler(item.type, item.urn) for item in managed])
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

    def outputs(self, stack: str) -> Result:
        """Return the stack's outputs without running anything.

        Raises:
            StateError: The stack was never deployed.
        """
        return Run(self._handlers, preview=False).result(self._deployed(stack).snapshot)

    def _refresh(self, state: StackState) -> Result:
        run = Run(self._handlers, preview=False)
        _tell_interrupted(state, run)
        refreshing.refresh(state, self._cloud, run)
        if run.failures:
            raise DeploymentFailedError(run.failures, run.result(state.snapshot))
        return run.result(state.snapshot)

    def _deploy(self, stack: str, state: StackState, *, preview: bool) -> Result:
        config = self.project.stack_config(stack, self._passphrase)
        run = Run(self._handlers, preview=preview)
        _tell_interrupted(state, run)
        steps = Steps(state, self._cloud, run)
        monitor = self._monitor(state, steps, run, config)
        surroundings = Surroundings(
            project=self.project.name,
            stack=stack,
            root=self.project.root,
            config=config,
            parallel=self._parallel,
            preview=preview,
        )
        try:
            execute(self._program, monitor, run, surroundings)
            _refuse_missing(run)
            steps.finish()
        except Exception as error:
            if run.failures:
                raise DeploymentFailedError(run.failures, run.result(state.snapshot)) from error
            if isinstance(error, EngineError):
                raise
            said = _said_by_the_program(error)
            raise ProgramError(f"the program failed: {type(said).__name__}: {said}") from error
        return run.result(state.snapshot)

    def _monitor(self, state: StackState, steps: Steps, run: Run, config: StackConfig) -> Monitor:
        return Monitor(
            project=self.project.name,
            program_dir=self.project.program.parent,
            state=state,
            steps=steps,
            providers=Providers(state, self.project.name, config, self._cloud),
            run=run,
            cloud=self._cloud,
            invokes=self._invokes,
            stack_outputs=partial(self._outputs_of, running=state.stack),
        )

    def _outputs_of(self, name: str, *, running: str) -> dict[str, Any]:
        """Outputs (wire values) of a stack; the running one's are those of its last run.

        It is named ``stack``, ``project/stack`` or ``organization/project/stack``.
        """
        *_, project, stack = (
            ["", self.project.name, *name.split("/")] if "/" not in name else name.split("/")
        )
        state = StackState(self._state_dir, project, stack)
        if not state.exists:
            if (project, stack) == (self.project.name, running):
                return {}
            raise ProgramError(f"stack reference `{name}`: deploy `{stack}` first")
        found = [item.outputs for item in state.snapshot.resources() if item.type == STACK_TYPE]
        return found[0] if found else {}

    def _state(self, stack: str) -> StackState:
        return StackState(self._state_dir, self.project.name, stack)

    def _deployed(self, stack: str) -> StackState:
        state = self._state(stack)
        if not state.exists:
            raise StateError(f"stack `{stack}` was never deployed here ({self._state_dir})")
        return state


def _said_by_the_program(error: BaseException) -> BaseException:
    """What the program raised, without the SDK's words around it.

    Those name the input by the address of an object (``pulumi.runtime.rpc``, "While processing
    input").
    """
    while " has risen: " in str(error) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _refuse_missing(run: Run, _looked_up: object = None) -> None:
    if run.missing:  # fail closed
        types = "; ".join(f"{kind} (of {urn})" for kind, urn in sorted(run.missing.items()))
        raise ProgramError(f"no resource handler for {types}")


def _tell_interrupted(state: StackState, run: Run) -> None:
    for operation in state.snapshot.pending.values():
        run.warn(f"an earlier run was interrupted while {operation.kind} {operation.resource.urn}")
