"""Pulumi's resource monitor as a plain object: what the SDK calls for each declared resource.

The protocol is pulumi.resource.ResourceMonitor of the SDK's own version (pinned in pyproject.toml);
method names and messages are its. Requests arrive on the SDK's worker threads, each already waiting
for what it depends on.
"""

# ruff: noqa: N802 - the methods have the protocol's names

from __future__ import annotations

import threading
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import empty_pb2
from pulumi.runtime.proto import resource_pb2 as pb

from infra.local.engine import transforms, urns
from infra.local.engine.checks import with_hashes
from infra.local.engine.errors import GuardedError, ProgramError
from infra.local.engine.guarding import Asked
from infra.local.engine.result import Op
from infra.local.engine.snapshot import Resource
from infra.local.engine.steps import StepFailedError, Wanted
from infra.local.engine.structs import from_struct, to_struct
from infra.local.engine.values import (
    UNKNOWN,
    for_handler,
    from_handler,
    hide,
    is_secret,
    is_unknown,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pulumi.runtime.proto.callback_pb2 import Callback

    from infra.local.engine.guarding import Guard
    from infra.local.engine.handler import Cloud, Handler, Invoke
    from infra.local.engine.providers import Providers
    from infra.local.engine.run import Run
    from infra.local.engine.state import StackState
    from infra.local.engine.steps import Steps

_REFERENCE: Final = "pulumi:pulumi:StackReference"
_PROVIDER: Final = "pulumi:providers:"
_FEATURES: Final = ("SECRETS", "RESOURCE_REFERENCES", "ALIAS_SPECS", "DELETED_WITH", "TRANSFORMS")


class Monitor:
    """Answers the SDK for one run of the program."""

    def __init__(
        self,
        *,
        project: str,
        program_dir: Path,
        state: StackState,
        steps: Steps,
        providers: Providers,
        run: Run,
        cloud: Cloud,
        invokes: Mapping[str, Invoke],
        guard: Guard,
        stack_outputs: Callable[[str], dict[str, Any]],
    ) -> None:
        self._project = project
        self._program_dir = program_dir
        self._state = state
        self._steps = steps
        self._providers = providers
        self._run = run
        self._cloud = cloud
        self._invokes = invokes
        self._guard = guard
        self._stack_outputs = stack_outputs
        self._aliases = urns.Aliases(state.stack, project)
        self._transforms: list[Callback] = []
        self._claimed: set[str] = set()
        self._mutex = threading.Lock()

    def GetDeploymentInfo(self, _request: object) -> pb.DeploymentInfo:
        """Say what this engine can do."""
        features = [
            pb.ResourceMonitorFeature.Value(f"RESOURCE_MONITOR_FEATURE_{name}")
            for name in _FEATURES
        ]
        return pb.DeploymentInfo(supportedFeatures=features)

    def SupportsFeature(self, _request: object) -> pb.SupportsFeatureResponse:
        """Answer for the features that GetDeploymentInfo did not list."""
        return pb.SupportsFeatureResponse(hasSupport=False)

    def SignalAndWaitForShutdown(self, _request: object) -> empty_pb2.Empty:
        """Nothing of the program is needed after its end: there are no delete hooks."""
        return empty_pb2.Empty()

    def RegisterStackTransform(self, request: Callback) -> empty_pb2.Empty:
        """Remember a transform of every resource."""
        self._transforms.append(request)
        return empty_pb2.Empty()

    def RegisterResource(self, request: pb.RegisterResourceRequest) -> pb.RegisterResourceResponse:
        """Bring one resource about.

        Raises:
            ProgramError: Its URN is taken, or it uses an option that this engine does not have.
            GuardedError: It breaks a rule, which its preview could not see.
            StepFailedError: Its handler failed.
        """
        if request.type != urns.STACK_TYPE:
            transforms.apply(request, [*request.transforms, *self._transforms])
        urn = self._claim(request.parent, request.type, request.name)
        _refuse_unsupported(request, urn)
        former = self._aliases.of(
            urn, request.parent, request.type, request.name, list(request.aliases)
        )
        base = self._state.snapshot.base
        old = next((base[known] for known in [urn, *former] if known in base), None)
        wire = with_hashes(from_struct(request.object), self._program_dir)
        resource = Resource(
            urn=urn,
            type=request.type,
            custom=request.custom,
            inputs=wire,
            parent=request.parent,
            protect=request.protect,
            dependencies=sorted(request.dependencies),
            property_dependencies={
                key: sorted(item.urns) for key, item in request.propertyDependencies.items()
            },
            additional_secret_outputs=sorted(request.additionalSecretOutputs),
            retain_on_delete=request.retainOnDelete,
            deleted_with=request.deletedWith,
        )
        if not request.custom or request.type.startswith("pulumi:"):
            return self._keep(resource, old)
        handler = self._run.handler(request.type, urn)
        if handler is None:
            # The program asks for it only now that it knows the outputs of others.
            if not self._run.preview:
                # Fail closed.
                raise ProgramError(f"no resource handler for {request.type} (of {urn})")
            # All that are missing are named together at the end of the preview.
            return pb.RegisterResourceResponse(urn=urn, object=to_struct(wire))
        reference = self._providers.reference(request.provider, request.type, request.version, urn)
        self._ask(Asked.of(resource, self._providers.tags(reference)))
        wanted = Wanted(
            resource=replace(resource, provider=reference),
            handler=handler,
            old=old,
            tags=self._providers.tags(reference),
            ignore_changes=tuple(request.ignoreChanges),
            replace_on=tuple(request.replaceOnChanges),
            delete_before_replace=request.deleteBeforeReplace
            if request.deleteBeforeReplaceDefined
            else None,
        )
        made = self._steps.deploy(wanted)
        return pb.RegisterResourceResponse(urn=urn, id=made.id, object=to_struct(made.outputs))

    def RegisterResourceOutputs(
        self, request: pb.RegisterResourceOutputsRequest
    ) -> empty_pb2.Empty:
        """Take the outputs of a component or the stack; one that failed keeps those it had."""
        if not self._run.is_ending:
            known = self._state.snapshot.done[request.urn]
            self._state.amend(replace(known, outputs=from_struct(request.outputs)))
        return empty_pb2.Empty()

    def ReadResource(self, request: pb.ReadResourceRequest) -> pb.ReadResourceResponse:
        """Look up what exists outside of the stack: another's outputs, or a resource by its id.

        Raises:
            ProgramError: There is no such stack, resource or type.
        """
        urn = self._claim(request.parent, request.type, request.name)
        if request.id == UNKNOWN:
            return pb.ReadResourceResponse(urn=urn, id=UNKNOWN, properties=request.properties)
        if request.type == _REFERENCE:
            outputs = self._stack_outputs(request.id)
            secret = sorted(name for name, value in outputs.items() if is_secret(value))
            found: dict[str, Any] = {
                "name": request.id,
                "outputs": outputs,
                "secretOutputNames": secret,
            }
        else:
            found = self._look_up(self._run.handler(request.type, urn), request, urn)
        former = self._state.snapshot.base.get(urn)
        resource = Resource(
            urn=urn,
            type=request.type,
            id=request.id,
            external=True,
            inputs=from_struct(request.properties),
            outputs=hide(found, request.additionalSecretOutputs),
            parent=request.parent,
            dependencies=sorted(request.dependencies),
            provider=self._providers.reference(
                request.provider, request.type, request.version, urn
            ),
        )
        same = former is not None and (former.id, former.outputs) == (resource.id, resource.outputs)
        self._run.note(Op.SAME if same else Op.READ, urn, request.type)
        self._state.put(resource)
        return pb.ReadResourceResponse(
            urn=urn, id=request.id, properties=to_struct(resource.outputs)
        )

    def Invoke(self, request: pb.ResourceInvokeRequest) -> pb.ResourceInvokeResponse:
        """Call a provider function.

        Raises:
            ProgramError: The local provider has no such function, or it failed.
        """
        function = self._invokes.get(request.tok)
        if function is None:
            raise ProgramError(f"the local provider has no function `{request.tok}`")
        self._providers.reference(request.provider, request.tok, request.version, request.tok)
        try:
            answer = function(self._cloud, for_handler(from_struct(request.args)))
        except Exception as error:
            raise ProgramError(f"function `{request.tok}`: {error}") from error
        found: dict[str, Any] = {"return": to_struct(from_handler(answer))}  # a keyword of Python
        return pb.ResourceInvokeResponse(**found)

    def _claim(self, parent: str, kind: str, name: str) -> str:
        urn = urns.make(self._state.stack, self._project, parent, kind, name)
        with self._mutex:
            if urn in self._claimed:
                raise ProgramError(f"Duplicate resource URN '{urn}'; try giving it a unique name")
            self._claimed.add(urn)
        return urn

    def _keep(self, resource: Resource, old: Resource | None) -> pb.RegisterResourceResponse:
        """Register what needs no handler: the stack, components, providers."""
        outputs = old.outputs if old is not None and not resource.custom else {}
        identity = ""
        if resource.type.startswith(_PROVIDER):
            self._providers.declare(resource.urn, resource.inputs)
            identity = old.id if old is not None and old.id else str(uuid.uuid4())
            outputs = resource.inputs
        changed = sorted(
            key
            for key in (
                {*resource.inputs, *old.inputs} if old is not None and resource.custom else ()
            )
            if old is not None and resource.inputs.get(key) != old.inputs.get(key)
        )
        op = Op.CREATE if old is None else Op.UPDATE if changed else Op.SAME
        self._run.note(op, resource.urn, resource.type, changed)
        self._state.put(replace(resource, id=identity, outputs=outputs), old.urn if old else "")
        return pb.RegisterResourceResponse(
            urn=resource.urn, id=identity, object=to_struct(resource.inputs)
        )

    def _ask(self, asked: Asked) -> None:
        """Ask the guard; a preview tells all refusals together, at its end."""
        self._run.asked.append(asked)
        refusals = [(urns.kind_and_name(asked.urn), one) for one in self._guard.of_resource(asked)]
        if self._run.preview:
            self._run.refusals += refusals
        elif refusals:
            raise GuardedError(tuple(refusals))  # fail closed

    def _look_up(
        self, handler: Handler | None, request: pb.ReadResourceRequest, urn: str
    ) -> dict[str, Any]:
        known = from_struct(request.properties)
        if handler is None or is_unknown(known):
            return known
        try:
            found = handler.read(self._cloud, request.id, for_handler(known))
        except Exception as error:
            self._run.fail(urn, "reading", error)
            raise StepFailedError(urn) from error
        if found is None:
            raise ProgramError(f"{urn}: there is no {request.type} `{request.id}`")
        return from_handler(found)


def _refuse_unsupported(request: pb.RegisterResourceRequest, urn: str) -> None:
    used = {
        "remote components": request.remote,
        "import_": bool(request.importId),
        "replace_with": bool(request.replace_with),
        "replacement_trigger": request.HasField("replacement_trigger"),
        "hooks": request.HasField("hooks") and bool(request.hooks.ByteSize()),
        "state migrations": bool(request.state_migrations),
    }
    for option, is_used in used.items():
        if is_used:
            raise ProgramError(f"{urn}: the local engine has no {option}")  # fail closed
