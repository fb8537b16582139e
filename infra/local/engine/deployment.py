"""One run of the program against one stack: makes what it declares, deletes what it did before."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from infra.local.engine.errors import DeploymentFailedError, EngineError, ProgramError
from infra.local.engine.monitor import Monitor
from infra.local.engine.program import Surroundings, execute, from_file
from infra.local.engine.providers import Providers
from infra.local.engine.state import StackState
from infra.local.engine.steps import Steps
from infra.local.engine.urns import STACK_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from infra.local.engine.guarding import Guard
    from infra.local.engine.handler import Cloud, Invoke
    from infra.local.engine.program import Program
    from infra.local.engine.project import Project, StackConfig
    from infra.local.engine.result import Result
    from infra.local.engine.run import Run


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What a run works on.

    Attributes:
        project: whose program runs.
        config: of the stack.
        state: of the stack; changed unless the run is a preview.
        state_dir: of all stacks, which the program may refer to.
        cloud: where resources are made.
        invokes: function token -> function.
        guard: asked of each resource, and of all.
        run: what is counted and told.
    """

    project: Project
    config: StackConfig
    state: StackState
    state_dir: Path
    cloud: Cloud
    invokes: Mapping[str, Invoke]
    guard: Guard
    run: Run

    def execute(self, program: Program | None, *, parallel: int) -> Result:
        """Run the program; without one, that of the project's file.

        Raises:
            ProgramError: it failed, or asks for something that does not exist here.
            GuardedError: something breaks a rule.
            DeploymentFailedError: steps failed.
            EngineError: see ``Engine.up``.
        """
        state, run = self.state, self.run
        steps = Steps(state, self.cloud, run)
        surroundings = Surroundings(
            project=self.project.name,
            stack=state.stack,
            root=self.project.root,
            config=self.config,
            parallel=parallel,
            preview=run.preview,
        )
        try:
            execute(
                program or from_file(self.project.program), self._monitor(steps), run, surroundings
            )
            run.refuse_missing()
            run.refuse_unguarded(self.guard)
            steps.finish()
        except Exception as error:
            if run.failures:
                raise DeploymentFailedError(run.failures, run.result(state.snapshot)) from error
            if isinstance(error, EngineError):
                raise
            said = _said_by_the_program(error)
            raise ProgramError(f"the program failed: {type(said).__name__}: {said}") from error
        return run.result(state.snapshot)

    def _monitor(self, steps: Steps) -> Monitor:
        return Monitor(
            project=self.project.name,
            program_dir=self.project.program.parent,
            state=self.state,
            steps=steps,
            providers=Providers(self.state, self.project.name, self.config, self.cloud),
            run=self.run,
            cloud=self.cloud,
            invokes=self.invokes,
            guard=self.guard,
            stack_outputs=partial(self._outputs_of, running=self.state.stack),
        )

    def _outputs_of(self, name: str, *, running: str) -> dict[str, Any]:
        """Outputs (wire values) of a stack; the running one's are those of its last run.

        It is named ``stack``, ``project/stack`` or ``organization/project/stack``.
        """
        *_, project, stack = (
            ["", self.project.name, *name.split("/")] if "/" not in name else name.split("/")
        )
        state = StackState(self.state_dir, project, stack)
        if not state.exists:
            if (project, stack) == (self.project.name, running):
                return {}
            raise ProgramError(f"stack reference `{name}`: deploy `{stack}` first")
        found = [item.outputs for item in state.snapshot.resources() if item.type == STACK_TYPE]
        return found[0] if found else {}


def _said_by_the_program(error: BaseException) -> BaseException:
    """What the program raised, without the SDK's words around it.

    Those name the input by the address of an object (``pulumi.runtime.rpc``, "While processing
    input").
    """
    while " has risen: " in str(error) and error.__cause__ is not None:
        error = error.__cause__
    return error
