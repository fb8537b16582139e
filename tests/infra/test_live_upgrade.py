"""What 0.1.0 stamped and filled is stamped by the program of today: nothing is lost, or flips."""

from __future__ import annotations

import itertools
import json
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import cedarpy
import pytest

from infra.local.engine import Op
from infra.policies import load
from infra.policies.cases.personas import PERSONAS
from infra.policies.cases.reference_fleet import ReferenceFleet
from infra.policies.cases.requests import all_requests
from infra.stacks.config.tenants import of_tenant
from tests.infra.conftest import ROOT, Project, copy_project, running_cloud
from tests.infra.policies.conftest import store_allows
from tests.infra.releases.record import RELEASES
from tests.infra.releases.revived import revive
from tests.infra.stamped import resources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.policies.cases.requests import AuthorizationRequest

RELEASE: Final = "0.1.0"
DEVICE: Final = "press-07"
# Everybody who decides differently, once each; each question is asked again and again.
TITLES: Final = ("Manager", "Operator", "Technician certified for line-press", "IT staff of zone-h")


@dataclass(frozen=True, kw_only=True)
class Questions:
    """What is asked of acme's store, and what 0.1.0 answered."""

    project: Project
    store: str
    asked: tuple[AuthorizationRequest, ...]

    def answers(self) -> list[bool]:
        """The store's, now."""
        client = self.project.cloud.client("verifiedpermissions")
        return [store_allows(client, self.store, request) for request in self.asked]


@pytest.fixture(scope="module")
def revived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A cloud with the platform and acme as the release left them."""
    with running_cloud(tmp_path_factory.mktemp("revived-cloud")) as cloud:
        project = Project(copy_project(tmp_path_factory.mktemp("revived")), cloud)
        revive(RELEASE, project, ("platform", "acme"))
        yield project


def test_the_first_up_loses_and_flips_nothing(revived: Project) -> None:
    """Rows, files, people and devices stay, each decision is 0.1.0's; a second `up` is idle."""
    questions = of_acme(revived)
    kept = fill(revived)
    before = questions.answers()
    assert {True, False} <= set(before)

    wrong: list[str] = []
    rounds, done = [0], threading.Event()

    def ask() -> None:
        client = revived.cloud.client("verifiedpermissions")
        for index in itertools.cycle(range(len(questions.asked))):
            if index == 0 and rounds[0] and done.is_set():
                return
            request = questions.asked[index]
            if store_allows(client, questions.store, request) is not before[index]:
                wrong.append(f"{request.principal} {request.action} {request.resource}")
            rounds[0] += index == len(questions.asked) - 1

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        changes = [one for stack in ("platform", "acme") for one in revived.up(stack).changes]
    finally:
        done.set()
        asker.join()

    assert wrong == []
    assert rounds[0] > 1
    assert questions.answers() == before
    changed = {one.urn.rpartition("::")[2] for one in changes if one.op is Op.UPDATE}
    assert "policies-schema" in changed, "the schema was to change under the old policies"
    assert revived.engine.outputs("acme").outputs["policy_store_id"] == questions.store
    assert found(revived) == kept
    for stack in ("platform", "acme"):
        changes = revived.engine.preview(stack).changes
        assert [str(one) for one in changes if one.op is not Op.READ] == []


def test_old_policies_are_valid_under_the_new_schema() -> None:
    """Between PutSchema and the new policies the store is whole: STRICT takes each of them."""
    bundle = load(ROOT / "policies", of_tenant(ROOT, "acme"))
    schema = cedarpy.Schema.from_json_str(bundle.schema_json)
    statements = [
        one["inputs"]["definition"]["static"]["statement"]
        for one in recorded("Policy")
        if "static" in one["inputs"]["definition"]
    ]
    assert len(statements) > 15
    invalid = {
        text: errors
        for text in statements
        if (errors := [str(each) for each in cedarpy.validate_policies(text, schema).errors])
    }
    assert invalid == {}


def recorded(kind: str) -> list[dict[str, Any]]:
    """Resources of acme's policy store, as the release wrote them down."""
    state = json.loads((RELEASES / RELEASE / "acme.json").read_text())
    return [
        one
        for one in state["deployment"]["resources"]
        if one["type"].rpartition(":")[2] == kind and ":verifiedpermissions/" in one["type"]
    ]


def of_acme(project: Project) -> Questions:
    """Each action that 0.1.0 knew, by some people, of a device with the facts that 0.1.0 knew."""
    store, pool = made_of(project, "Schema policies-schema")["policyStoreId"], pool_of(project)
    (schema,) = recorded("Schema")
    known = json.loads(schema["inputs"]["definition"]["value"])["Fleet"]
    facts = known["entityTypes"]["Device"]["shape"]["attributes"].keys()
    fleet = ReferenceFleet.read(project.root / "policies")
    device = fleet.device(DEVICE)
    device = replace(
        device, attributes={name: one for name, one in device.attributes.items() if name in facts}
    )
    asked = [
        request
        for persona in PERSONAS
        if persona.title.startswith(TITLES)
        for action, _, request in all_requests(
            persona.bearer(fleet), persona.context, {DEVICE: device}, tenant="acme", pool_id=pool
        )
        if action in known["actions"]
    ]
    return Questions(project=project, store=store, asked=tuple(asked))


def fill(project: Project) -> dict[str, Any]:
    """What a day of 0.1.0 leaves: rows of each table, a file, a device in a line; all of it."""
    client = project.cloud.client
    for table, key in (("commands", "thing"), ("audit", "partition")):
        item = {key: {"S": f"acme--{DEVICE}"}, "sk": {"S": "1"}, "what": {"S": table}}
        client("dynamodb").put_item(TableName=f"cedarfleet-{table}", Item=item)
    client("s3").put_object(Bucket=bucket(project), Key="recipes/old.bin", Body=b"old")
    client("iot").create_thing(
        thingName=f"acme--{DEVICE}", attributePayload={"attributes": {"kind": "press"}}
    )
    client("iot").add_thing_to_thing_group(thingGroupName="acme", thingName=f"acme--{DEVICE}")
    client("cognito-idp").admin_create_user(
        UserPoolId=pool_of(project), Username="kim@acme.example", MessageAction="SUPPRESS"
    )
    return found(project)


def found(project: Project) -> dict[str, Any]:
    """What tenants would miss."""
    client = project.cloud.client
    rows = {
        table: client("dynamodb").scan(TableName=f"cedarfleet-{table}")["Items"]
        for table in ("commands", "audit")
    }
    thing = client("iot").describe_thing(thingName=f"acme--{DEVICE}")
    return {
        **rows,
        "issuers": sorted(
            one["issuer"]["S"]
            for one in client("dynamodb").scan(TableName="cedarfleet-tenants")["Items"]
            if "tenant" in one
        ),
        "file": client("s3").head_object(Bucket=bucket(project), Key="recipes/old.bin")["ETag"],
        "thing": (thing["thingId"], thing["attributes"]),
        "people": [
            one["Username"]
            for one in client("cognito-idp").list_users(UserPoolId=pool_of(project))["Users"]
        ],
    }


def made_of(project: Project, name: str) -> dict[str, Any]:
    """The inputs of a resource of acme."""
    return {one.name: one.inputs for one in resources(project.root, "acme")}[name]


def bucket(project: Project) -> str:
    """Acme's."""
    return made_of(project, "BucketVersioning artifacts-versions")["bucket"]


def pool_of(project: Project) -> str:
    """Acme's people."""
    return made_of(project, "UserGroup identity-managers")["userPoolId"]
