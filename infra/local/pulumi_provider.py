"""The resource handlers behind Pulumi's provider protocol, for the real ``pulumi`` CLI.

The protocol is pulumirpc.ResourceProvider: the CLI starts an executable
``pulumi-resource-<package>`` and reads the port that it prints. Never install this under the name
``pulumi-resource-aws`` on PATH, and never name it in ``Pulumi.yaml``: it would take the place of
the real provider. A test puts it in a private ``PULUMI_HOME``.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2_grpc
from pulumi.runtime.proto import provider_pb2 as pb

from infra.local.engine.checks import check, differ, ignore
from infra.local.engine.structs import from_struct, to_struct
from infra.local.engine.urns import name_of, type_chain
from infra.local.engine.values import for_handler, from_handler, reveal
from infra.local.resources import HANDLERS, INVOKES
from infra.local.running_cloud import RunningCloud

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from google.protobuf.struct_pb2 import Struct

    from infra.local.engine.handler import Cloud, Handler, Invoke

# ruff: noqa: ARG002, N802 - the methods have the protocol's names and signatures


class PulumiProvider(provider_pb2_grpc.ResourceProviderServicer):
    """One provider package, made of handlers."""

    def __init__(
        self,
        package: str,
        version: str,
        cloud: Cloud,
        handlers: Mapping[str, Handler],
        invokes: Mapping[str, Invoke],
    ) -> None:
        self._package = package
        self._version = version
        self._cloud = cloud
        self._handlers = handlers
        self._invokes = invokes
        self._tags: dict[str, str] = {}

    def Handshake(self, request: object, context: object) -> pb.ProviderHandshakeResponse:
        """Agree on secrets."""
        return pb.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: object, context: object) -> empty_pb2.Empty:
        """Nothing to attach to."""
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: object, context: object) -> plugin_pb2.PluginInfo:
        """Say the version."""
        return plugin_pb2.PluginInfo(version=self._version)

    def GetSchema(self, request: object, context: object) -> pb.GetSchemaResponse:
        """Say the name; types are not described."""
        return pb.GetSchemaResponse(
            schema=json.dumps({"name": self._package, "version": self._version})
        )

    def CheckConfig(
        self, request: pb.CheckRequest, context: grpc.ServicerContext
    ) -> pb.CheckResponse:
        """Refuse a provider for another region than the cloud's."""
        region = reveal(from_struct(request.news)).get("region", self._cloud.region)
        if region != self._cloud.region:
            reason = f"region `{region}`: the embedded cloud is in {self._cloud.region}"
            # Fail closed.
            return pb.CheckResponse(failures=[pb.CheckFailure(property="region", reason=reason)])
        return pb.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: pb.DiffRequest, context: grpc.ServicerContext) -> pb.DiffResponse:
        """Settings may change in place."""
        return _difference(sorted(_changed(request.old_inputs or request.olds, request.news)))

    def Configure(
        self, request: pb.ConfigureRequest, context: grpc.ServicerContext
    ) -> pb.ConfigureResponse:
        """Take the default tags; nested settings are JSON texts."""
        settings = reveal(from_struct(request.args)).get("defaultTags") or {}
        self._tags = (json.loads(settings) if isinstance(settings, str) else settings).get(
            "tags"
        ) or {}
        return pb.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Invoke(self, request: pb.InvokeRequest, context: grpc.ServicerContext) -> pb.InvokeResponse:
        """Call a function."""
        function = self._invokes.get(request.tok)
        if function is None:
            _refuse(context, f"the local provider has no function `{request.tok}`")
        answer = _guarded(
            context, lambda: function(self._cloud, for_handler(from_struct(request.args)))
        )
        found: dict[str, Any] = {"return": to_struct(from_handler(answer))}  # a keyword of Python
        return pb.InvokeResponse(**found)

    def Check(self, request: pb.CheckRequest, context: grpc.ServicerContext) -> pb.CheckResponse:
        """Draw names and merge tags, as the in-process engine does."""
        handler = self._handlers.get(_type(request.urn))
        if handler is None:
            reason = f"no resource handler for {_type(request.urn)}"
            return pb.CheckResponse(failures=[pb.CheckFailure(reason=reason)])  # fail closed
        old = from_struct(request.olds) or None
        inputs = check(
            handler, name_of(request.urn), from_struct(request.news), old=old, tags=self._tags
        )
        return pb.CheckResponse(inputs=to_struct(inputs))

    def Diff(self, request: pb.DiffRequest, context: grpc.ServicerContext) -> pb.DiffResponse:
        """Say what differs and what that forces."""
        old = from_struct(request.old_inputs or request.olds)
        new = ignore(old, from_struct(request.news), request.ignoreChanges)
        found = differ(self._handlers[_type(request.urn)], old, new)
        return _difference(found.keys, found.replacing, delete_first=found.delete_first)

    def Create(self, request: pb.CreateRequest, context: grpc.ServicerContext) -> pb.CreateResponse:
        """Make it, or in a preview say what is known of it."""
        handler, inputs = self._handlers[_type(request.urn)], from_struct(request.properties)
        if request.preview:
            return pb.CreateResponse(properties=_outputs(handler, inputs, inputs))
        made = _guarded(context, lambda: handler.create(self._cloud, for_handler(inputs)))
        return pb.CreateResponse(id=made.id, properties=_outputs(handler, inputs, made.outputs))

    def Update(self, request: pb.UpdateRequest, context: grpc.ServicerContext) -> pb.UpdateResponse:
        """Change it in place."""
        handler, inputs = self._handlers[_type(request.urn)], from_struct(request.news)
        old = from_struct(request.olds)
        if request.preview:
            known = {key: value for key, value in old.items() if key not in handler.unstable}
            return pb.UpdateResponse(properties=_outputs(handler, inputs, {**known, **inputs}))
        outputs = _guarded(
            context,
            lambda: handler.update(self._cloud, request.id, for_handler(old), for_handler(inputs)),
        )
        return pb.UpdateResponse(properties=_outputs(handler, inputs, outputs))

    def Read(self, request: pb.ReadRequest, context: grpc.ServicerContext) -> pb.ReadResponse:
        """Read it; an empty id says that it is gone."""
        handler, known = (
            self._handlers[_type(request.urn)],
            for_handler(from_struct(request.properties)),
        )
        found = _guarded(context, lambda: handler.read(self._cloud, request.id, known))
        if found is None:
            return pb.ReadResponse()
        inputs = {key: found.get(key, value) for key, value in from_struct(request.inputs).items()}
        return pb.ReadResponse(
            id=request.id, properties=to_struct(from_handler(found)), inputs=to_struct(inputs)
        )

    def Delete(self, request: pb.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Delete it."""
        handler, known = (
            self._handlers[_type(request.urn)],
            for_handler(from_struct(request.properties)),
        )
        _guarded(context, lambda: handler.delete(self._cloud, request.id, known))
        return empty_pb2.Empty()

    def Cancel(self, request: object, context: object) -> empty_pb2.Empty:
        """Calls are short: they are let to end."""
        return empty_pb2.Empty()


def _type(urn: str) -> str:
    return type_chain(urn).rpartition("$")[2]


def _outputs(handler: Handler, inputs: dict[str, Any], outputs: dict[str, Any]) -> Struct:
    tags = {"tagsAll": for_handler(inputs).get("tags", {})} if handler.taggable else {}
    found = from_handler({**tags, **outputs})
    found.pop("__defaults", None)
    return to_struct(found)


def _changed(old: Struct, new: Struct) -> set[str]:
    before, after = from_struct(old), from_struct(new)
    return {key for key in {*before, *after} if before.get(key) != after.get(key)}


def _difference(keys: Any, replacing: Any = (), *, delete_first: bool = False) -> pb.DiffResponse:
    some = pb.DiffResponse.DIFF_SOME if keys else pb.DiffResponse.DIFF_NONE
    return pb.DiffResponse(
        changes=some, diffs=keys, replaces=replacing, deleteBeforeReplace=delete_first
    )


def _guarded(context: grpc.ServicerContext, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - every error of a handler is told to the engine
        _refuse(context, f"{type(error).__name__}: {error}")


def _refuse(context: grpc.ServicerContext, reason: str) -> NoReturn:
    context.abort(grpc.StatusCode.UNKNOWN, reason)
    raise AssertionError(reason)  # abort has raised


def serve(provider: PulumiProvider) -> None:
    """Listen on a free loopback port, print it as the CLI expects, stay until ended."""
    server = grpc.server(
        ThreadPoolExecutor(32), options=[("grpc.max_receive_message_length", 400 << 20)]
    )
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)  # noqa: T201 - the protocol
    server.wait_for_termination()


def main() -> None:
    """Serve the project's handlers as the package ``aws``; the CLI's own arguments are ignored."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.local.pulumi_provider", description=__doc__
    )
    parser.add_argument(
        "--cloud", type=Path, required=True, help="the cloud.json of a running embedded cloud"
    )
    parser.add_argument("--version", required=True, help="of the SDK, e.g. 7.51.1")
    given, _ = parser.parse_known_args()
    serve(PulumiProvider("aws", given.version, RunningCloud(given.cloud), HANDLERS, INVOKES))


if __name__ == "__main__":
    sys.exit(main())
