"""A copy of the policy files to break, and policy stores of a Verified Permissions endpoint."""

from __future__ import annotations

import json
import shutil
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from infra.local.processes import Child
from infra.policies import load
from infra.policies.cases.reference_fleet import POOL_ID, TENANT_ID, ReferenceFleet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from types_boto3_verifiedpermissions import VerifiedPermissionsClient

    from infra.policies.store.update_order import Piece, Step
    from service.cedar.policy_set import PolicySet
    from service.cedar.request import AuthorizationRequest
    from service.cedar.values import EntityUid

PROJECT = Path(__file__).parents[3]
FLEET = ReferenceFleet.read(PROJECT / "policies")
REGION = "eu-central-1"
KEY = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLEEXAMPLE00", "AWS_SECRET_ACCESS_KEY": uuid.uuid4().hex}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A copy of ``policies`` and ``tenants`` that a test may change."""
    for folder in ("policies", "tenants"):
        shutil.copytree(PROJECT / folder, tmp_path / folder)
    return tmp_path


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Verified Permissions endpoint in a process of its own."""
    command = [sys.executable, "-m", "infra.local.verified_permissions", "--port", "0"]
    log = tmp_path_factory.mktemp("endpoint") / "log"
    with Child(
        name="verified permissions", command=command, environment=KEY, log_file=log
    ) as child:
        yield child.await_event("verified_permissions.listening", seconds=20)["url"]


@pytest.fixture(scope="session")
def environment(endpoint: str) -> dict[str, str]:
    """What a child process needs to reach the endpoint."""
    return {**KEY, "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": REGION}


@pytest.fixture(scope="session")
def client(endpoint: str) -> VerifiedPermissionsClient:
    """The ordinary boto3 client, at the endpoint."""
    return boto3.client(
        "verifiedpermissions",
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id=KEY["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEY["AWS_SECRET_ACCESS_KEY"],
    )


def store_allows(client: Any, store_id: str, request: AuthorizationRequest) -> bool:
    """Ask a policy store; an answer with errors counts as a denial, as in the service."""
    answer = client.is_authorized(
        policyStoreId=store_id,
        principal=_identifier(request.principal),
        action={"actionType": "Fleet::Action", "actionId": request.action},
        resource=_identifier(request.resource),
        context={"cedarJson": json.dumps(request.json()["context"])},
        entities={"cedarJson": json.dumps([entity.json() for entity in request.entities])},
    )
    return answer["decision"] == "ALLOW" and not answer["errors"]


@dataclass
class LiveStore:
    """One policy store that a test fills step by step, as the Pulumi program would."""

    client: VerifiedPermissionsClient
    id: str
    policies: dict[Any, str] = field(default_factory=dict[Any, str])
    templates: dict[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def made(cls, client: VerifiedPermissionsClient, schema_json: str) -> LiveStore:
        """An empty store with the schema."""
        store = client.create_policy_store(validationSettings={"mode": "STRICT"})["policyStoreId"]
        client.put_schema(policyStoreId=store, definition={"cedarJson": schema_json})
        return cls(client=client, id=store)

    def take(self, step: Step) -> None:
        """Make one step."""
        if step.verb == "delete":
            self.client.delete_policy(
                policyStoreId=self.id, policyId=self.policies.pop(step.piece.content)
            )
        else:
            definition = self._definition(step.piece)
            created = self.client.create_policy(policyStoreId=self.id, definition=definition)
            self.policies[step.piece.content] = created["policyId"]

    def allows(self, request: AuthorizationRequest) -> bool:
        """Ask the endpoint."""
        return store_allows(self.client, self.id, request)

    def _definition(self, piece: Piece) -> Any:
        if piece.principal is None or piece.resource is None:
            return {"static": {"statement": piece.statement, "description": piece.name}}
        if piece.statement not in self.templates:
            made = self.client.create_policy_template(
                policyStoreId=self.id, statement=piece.statement
            )
            self.templates[piece.statement] = made["policyTemplateId"]
        return {
            "templateLinked": {
                "policyTemplateId": self.templates[piece.statement],
                "principal": _identifier(piece.principal),
                "resource": _identifier(piece.resource),
            }
        }


@pytest.fixture
def store_of(client: VerifiedPermissionsClient) -> Callable[[str], LiveStore]:
    """Makes an empty store with the given schema."""
    return lambda schema_json: LiveStore.made(client, schema_json)


@pytest.fixture
def live_store(store_of: Callable[[str], LiveStore], policies: PolicySet) -> LiveStore:
    """An empty store with the project's schema."""
    return store_of(policies.schema)


@pytest.fixture(scope="session")
def policies() -> PolicySet:
    """The base policies with the grants of the reference fleet."""
    bundle = load(PROJECT / "policies", FLEET.policies)
    return bundle.policy_set.bound(tenant=TENANT_ID, pool_id=POOL_ID)


def _identifier(entity: EntityUid) -> dict[str, str]:
    return {"entityType": entity.type, "entityId": entity.id}
