"""The guardrails as Pulumi's CLI asks them: the pack in a process of its own, over its protocol."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from infra.guardrails import RULES, STACK_RULES
from infra.local.engine.values import UNKNOWN
from tests.infra.guardrails.broken_programs import TABLE, TAGS

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

PACK = Path(__file__).parents[3] / "infra" / "guardrails"
pytestmark = pytest.mark.skipif(
    not (PACK.parents[1] / ".policy-pack").is_dir(),
    reason="the pack is not complete here: make guardrails",
)
TABLE_KIND = "aws:dynamodb/table:Table"
GRANT = "aws:iam/rolePolicy:RolePolicy"


@contextmanager
def started() -> Generator[Any]:
    """The pack as the CLI starts it; what it says first is its port."""
    with subprocess.Popen(
        [sys.executable, "-u", "-W", "ignore", "-m", "pulumi.policy", "127.0.0.1:0", str(PACK)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port.isdigit(), "the pack ended"
        try:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                stub: Any = analyzer_pb2_grpc.AnalyzerStub(channel)
                yield stub
        finally:
            process.kill()


@pytest.fixture(scope="module")
def pack() -> Iterator[Any]:
    """One pack for the tests of this file."""
    with started() as stub:
        yield stub


def struct(values: dict[str, Any]) -> struct_pb2.Struct:
    """JSON as the protocol has it."""
    made = struct_pb2.Struct()
    made.update(values)
    return made


def urn(kind: str, name: str) -> str:
    """As the CLI writes it."""
    return f"urn:pulumi:acme::cedarfleet::{kind}::{name}"


def told(kind: str, name: str, inputs: dict[str, Any], *, protect: bool = False) -> dict[str, Any]:
    """A resource with a provider that has our tags, as the CLI tells it."""
    provider = analyzer_pb2.AnalyzerProviderResource(
        type="pulumi:providers:aws",
        urn=urn("pulumi:providers:aws", "aws"),
        name="aws",
        properties=struct({"defaultTags": json.dumps({"tags": TAGS})}),
    )
    return {
        "type": kind,
        "name": name,
        "urn": urn(kind, name),
        "properties": struct(inputs),
        "options": analyzer_pb2.AnalyzerResourceOptions(protect=protect),
        "provider": provider,
    }


def grant(resource: str) -> dict[str, Any]:
    """An inline policy on one resource."""
    statement = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": resource}
    return told(GRANT, "grant", {"role": "r", "policy": json.dumps({"Statement": statement})})


def test_the_pack_has_every_rule_and_each_is_mandatory(pack: Any) -> None:
    """A rule that the engine knows, the CLI knows too, and none only warns."""
    info = pack.GetAnalyzerInfo(empty_pb2.Empty())

    assert {one.name for one in info.policies} == {rule.name for rule in (*RULES, *STACK_RULES)}
    assert {one.enforcementLevel for one in info.policies} == {analyzer_pb2.MANDATORY}


def test_the_pack_refuses_a_grant_on_everything(pack: Any) -> None:
    """Rule and words are the engine's; on the one table the pack has nothing to say."""
    broken = pack.Analyze(analyzer_pb2.AnalyzeRequest(**grant("*")))
    kept = pack.Analyze(analyzer_pb2.AnalyzeRequest(**grant(TABLE)))

    (found,) = broken.diagnostics
    assert found.policyName == "resources-named"
    assert "`*` is the resource of dynamodb:GetItem" in found.message
    assert found.enforcementLevel == analyzer_pb2.MANDATORY
    assert list(kept.diagnostics) == []


def test_the_pack_waits_for_what_is_not_known_yet(pack: Any) -> None:
    """In a preview it says that it could not look, which is no violation."""
    unknown = told(GRANT, "grant", {"role": "r", "policy": UNKNOWN})
    levels = {
        one.enforcementLevel
        for one in pack.Analyze(analyzer_pb2.AnalyzeRequest(**unknown)).diagnostics
    }
    assert levels == {analyzer_pb2.ADVISORY}


def test_the_pack_sees_the_tags_of_the_provider(pack: Any) -> None:
    """Without the provider's default tags a resource is refused."""
    bare = grant(TABLE)
    del bare["provider"]
    (found,) = pack.Analyze(analyzer_pb2.AnalyzeRequest(**bare)).diagnostics
    assert found.policyName == "tagged"


def test_the_pack_sees_a_stack_as_a_whole(pack: Any) -> None:
    """Data that is unprotected beside protected data, and a bucket with nothing around it."""
    resources = [
        analyzer_pb2.AnalyzerResource(**told(kind, name, {}, protect=protect))
        for kind, name, protect in (
            (TABLE_KIND, "one", True),
            (TABLE_KIND, "two", False),
            ("aws:s3/bucket:Bucket", "files", True),
        )
    ]
    for kind in (
        "aws:s3/bucketPolicy:BucketPolicy",
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "aws:s3/bucketVersioning:BucketVersioning",
    ):
        part = analyzer_pb2.AnalyzerResource(**told(kind, "part", {}))
        part.propertyDependencies["bucket"].urns.append(urn("aws:s3/bucket:Bucket", "files"))
        resources.append(part)
    answer = pack.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=resources))
    assert {(one.policyName, one.urn.rpartition("::")[2]) for one in answer.diagnostics} == {
        ("data-protected", "two"),
        ("buckets-private", "files"),
    }
    assert sum("encryption" in one.message for one in answer.diagnostics) == 1
