"""Runs the program's resource transforms, by calls back into the SDK before registering."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import grpc
from pulumi.runtime.proto import callback_pb2, callback_pb2_grpc, resource_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

_LISTS: Final = {
    "depends_on": "dependencies",
    "ignore_changes": "ignoreChanges",
    "replace_on_changes": "replaceOnChanges",
    "additional_secret_outputs": "additionalSecretOutputs",
    "aliases": "aliases",
}
_SCALARS: Final = {
    "version": "version",
    "provider": "provider",
    "plugin_download_url": "pluginDownloadURL",
    "deleted_with": "deletedWith",
}
_OPTIONAL: Final = {"protect": "protect", "retain_on_delete": "retainOnDelete"}
"""Names of the same option in TransformResourceOptions and in RegisterResourceRequest."""


def apply(
    request: resource_pb2.RegisterResourceRequest, callbacks: Iterable[callback_pb2.Callback]
) -> None:
    """Change the request in place, as each transform says in turn.

    Raises:
        grpc.RpcError: A transform raised; the details say what.
    """
    for callback in callbacks:
        call = callback_pb2.CallbackInvokeRequest(
            token=callback.token, request=_question(request).SerializeToString()
        )
        with grpc.insecure_channel(callback.target) as channel:
            answer = callback_pb2_grpc.CallbacksStub(channel).Invoke(call)
        _take(request, resource_pb2.TransformResponse.FromString(answer.response))


def _question(request: resource_pb2.RegisterResourceRequest) -> resource_pb2.TransformRequest:
    options = resource_pb2.TransformResourceOptions()
    for ours, theirs in _LISTS.items():
        getattr(options, ours).extend(getattr(request, theirs))
    for ours, theirs in {**_SCALARS, **_OPTIONAL}.items():
        setattr(options, ours, getattr(request, theirs))
    if request.deleteBeforeReplaceDefined:
        options.delete_before_replace = request.deleteBeforeReplace
    for package, provider in request.providers.items():
        options.providers[package] = provider
    options.custom_timeouts.CopyFrom(request.customTimeouts)
    return resource_pb2.TransformRequest(
        type=request.type,
        name=request.name,
        custom=request.custom,
        parent=request.parent,
        properties=request.object,
        options=options,
    )


def _take(
    request: resource_pb2.RegisterResourceRequest, answer: resource_pb2.TransformResponse
) -> None:
    request.object.CopyFrom(answer.properties)
    if not answer.HasField("options"):
        return
    options = answer.options
    for ours, theirs in _LISTS.items():
        request.ClearField(theirs)  # pyright: ignore[reportArgumentType] - from the table
        getattr(request, theirs).extend(getattr(options, ours))
    for ours, theirs in _SCALARS.items():
        setattr(request, theirs, getattr(options, ours))
    for ours, theirs in _OPTIONAL.items():
        if options.HasField(ours):  # pyright: ignore[reportArgumentType] - from the table
            setattr(request, theirs, getattr(options, ours))
    request.deleteBeforeReplaceDefined = options.HasField("delete_before_replace")
    request.deleteBeforeReplace = options.delete_before_replace
    request.ClearField("providers")
    request.providers.update(options.providers)
