"""The resource handlers behind Pulumi's provider protocol, called over a real socket."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc

from infra.local.engine.structs import from_struct, to_struct
from infra.local.engine.values import UNKNOWN, secret
from tests.infra.local.engine import folder_cloud
from tests.infra.local.engine.folder_cloud import FolderCloud

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).parents[3]
_URN = "urn:pulumi:dev::store::store:index:Shelf$box:index:Box::box"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> FolderCloud:
    """One folder for the module."""
    return FolderCloud(tmp_path_factory.mktemp("boxes"))


@pytest.fixture(scope="module")
def provider(cloud: FolderCloud) -> Iterator[Any]:
    """A plugin process with default tags, and a stub that speaks to it."""
    command = [
        sys.executable,
        str(Path(folder_cloud.__file__)),
        str(cloud.folder),
        "127.0.0.1:1",
    ]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        with grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
            stub: Any = provider_pb2_grpc.ResourceProviderStub(channel)
            tags = to_struct({"defaultTags": '{"tags": {"tenant": "acme"}}'})
            assert stub.Configure(pb.ConfigureRequest(args=tags)).acceptSecrets
            yield stub
        process.terminate()


def checked(
    provider: Any, news: dict[str, Any], olds: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Inputs after Check."""
    answer = provider.Check(
        pb.CheckRequest(urn=_URN, news=to_struct(news), olds=to_struct(olds or {}))
    )
    assert not answer.failures
    return from_struct(answer.inputs)


def test_a_resource_lives_through_the_protocol(provider: Any, cloud: FolderCloud) -> None:
    """Check, create, diff, update, read, delete; with default tags and a name that stays."""
    inputs = checked(provider, {"size": 1, "code": secret("sesame")})
    assert inputs["tags"] == {"tenant": "acme"}
    made = provider.Create(pb.CreateRequest(urn=_URN, properties=to_struct(inputs)))
    assert cloud.boxes()[made.id]["code"] == "sesame"
    assert from_struct(made.properties)["tagsAll"] == {"tenant": "acme"}
    bigger = checked(provider, {"size": 2, "code": secret("sesame")}, inputs)
    assert bigger["name"] == inputs["name"]
    old = to_struct(inputs)
    difference = provider.Diff(
        pb.DiffRequest(
            urn=_URN, id=made.id, olds=made.properties, old_inputs=old, news=to_struct(bigger)
        )
    )
    assert (list(difference.diffs), list(difference.replaces)) == (["size"], [])
    provider.Update(
        pb.UpdateRequest(urn=_URN, id=made.id, olds=made.properties, news=to_struct(bigger))
    )
    assert cloud.boxes()[made.id]["size"] == 2
    read = pb.ReadRequest(urn=_URN, id=made.id, properties=made.properties, inputs=old)
    assert from_struct(provider.Read(read).inputs)["size"] == 2
    provider.Delete(pb.DeleteRequest(urn=_URN, id=made.id, properties=made.properties))
    assert provider.Read(read).id == ""
    assert cloud.boxes() == {}


def test_a_fixed_name_is_deleted_before_it_is_replaced(provider: Any) -> None:
    """Diff tells the engine what forces a replacement and which goes first."""
    old, new = ({"name": "fixed", "material": material} for material in ("oak", "elm"))
    difference = provider.Diff(
        pb.DiffRequest(urn=_URN, id="fixed", old_inputs=to_struct(old), news=to_struct(new))
    )
    assert list(difference.replaces) == ["material"]
    assert difference.deleteBeforeReplace


def test_a_preview_makes_nothing(provider: Any, cloud: FolderCloud) -> None:
    """Unknown inputs pass through a preview of a create."""
    properties = to_struct({"name": "x", "of": UNKNOWN})
    made = provider.Create(pb.CreateRequest(urn=_URN, properties=properties, preview=True))
    assert from_struct(made.properties)["of"] == UNKNOWN
    assert cloud.boxes() == {}


def test_refusals_say_why(provider: Any, cloud: FolderCloud) -> None:
    """An unknown type or function, another region, a handler's error: each in words."""
    crate = provider.Check(
        pb.CheckRequest(urn=_URN.replace("Box::", "Crate::"), news=to_struct({}))
    )
    assert "no resource handler for box:index:Crate" in crate.failures[0].reason
    region = provider.CheckConfig(
        pb.CheckRequest(urn=_URN, news=to_struct({"region": "us-east-1"}))
    )
    assert "embedded cloud is in eu-central-1" in region.failures[0].reason
    with pytest.raises(grpc.RpcError, match="no function `box:index:getMoon`"):
        provider.Invoke(pb.InvokeRequest(tok="box:index:getMoon"))
    (cloud.folder / "refuse-bad").touch()
    with pytest.raises(grpc.RpcError, match="PermissionError: not allowed to make bad"):
        provider.Create(pb.CreateRequest(urn=_URN, properties=to_struct({"name": "bad"})))
