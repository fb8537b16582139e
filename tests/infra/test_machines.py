"""A tenant's program, from stack file to API: secret, token, and what its scopes allow."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from infra.local.processes import Child
from infra.stacks.config.limits import SCOPES
from tests.infra.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.infra.conftest import Project

DEVICE, THING = "press-61", "acme--press-61"
RECIPE, FIRMWARE = "recipes/machines.json", "firmware/machines.bin"


@dataclass(frozen=True, kw_only=True)
class Factory:
    """The service as a process, and the cloud whose token endpoint machines use."""

    http: httpx.Client
    endpoint_url: str
    outputs: Mapping[str, Any]

    def ask_for_token(self, secret: str, **form: str) -> httpx.Response:
        """The client credentials grant of acme's manufacturing execution system."""
        basic = (self.outputs["machine_clients"]["mes"], secret)
        form = {"grant_type": "client_credentials", **form}
        return httpx.post(
            f"{self.endpoint_url}/oauth2/token", data=form, auth=basic, timeout=30, trust_env=False
        )

    def token(self, **form: str) -> str:
        """A token that was given."""
        answer = self.ask_for_token(self.outputs["machine_secrets"]["mes"], **form)
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    def call(self, token: str, method: str, path: str, body: object = None) -> httpx.Response:
        """One request of the machine."""
        return self.http.request(
            method, path, headers={"Authorization": f"Bearer {token}"}, json=body
        )


@pytest.fixture(scope="module")
def factory(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Factory]:
    """Acme as stamped from its file, with one press and two files."""
    platform, acme = (
        project.engine.outputs("platform").outputs,
        project.engine.outputs("acme").outputs,
    )
    iot = project.cloud.client("iot")
    iot.create_thing(thingName=THING, attributePayload={"attributes": {"kind": "press"}})
    iot.add_thing_to_thing_group(thingGroupName="acme", thingName=THING)
    digest = {"sha256": hashlib.sha256(b"1").hexdigest()}
    for name in (RECIPE, FIRMWARE):
        project.cloud.client("s3").put_object(
            Bucket=acme["bucket"], Key=name, Body=b"1", Metadata=digest
        )
    child = Child(
        name="service",
        command=[sys.executable, "-m", "service"],
        environment=project.cloud.environment_of(platform["service_role_arn"])
        | {
            "CEDARFLEET_JWKS_URL_TEMPLATE": (
                f"{project.cloud.endpoint_url}/{{pool}}/.well-known/jwks.json"
            ),
            "CEDARFLEET_WORK_QUEUE_URL": platform["work_queue"],
        },
        log_file=tmp_path_factory.mktemp("service") / "service.log",
    )
    with child:
        url = child.await_event("service.listening", seconds=60)["url"]
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
            yield Factory(http=http, endpoint_url=project.cloud.endpoint_url, outputs=acme)
    iot.delete_thing(thingName=THING)


def test_a_machine_does_what_its_scopes_say_and_no_more(factory: Factory) -> None:
    """View and operate: it lists devices and runs one; files and firmware need a scope more."""
    token = factory.token()
    listed = factory.call(token, "GET", "/v1/devices")
    assert listed.status_code == 200, listed.text
    assert DEVICE in {device["id"] for device in listed.json()["devices"]}
    sent = factory.call(token, "POST", f"/v1/devices/{DEVICE}/commands", {"name": "reboot"})
    assert sent.status_code == 202, sent.text
    for artifact, deciding in ((RECIPE, []), (FIRMWARE, ["firmware-in-maintenance-window"])):
        refused = factory.call(
            token, "POST", "/v1/downloads", {"device": DEVICE, "artifact": artifact}
        )
        assert refused.status_code == 403, refused.text
        assert set(deciding) <= set(refused.json()["policies"]), refused.text


def test_a_token_of_fewer_scopes_does_less(factory: Factory) -> None:
    """A program that asks for `fleet/view` alone may look, whatever else its client could have."""
    token = factory.token(scope="fleet/view")
    assert factory.call(token, "GET", "/v1/devices").status_code == 200
    assert (
        factory.call(
            token, "POST", f"/v1/devices/{DEVICE}/commands", {"name": "reboot"}
        ).status_code
        == 403
    )


def test_no_token_without_the_secret_or_for_another_scope(factory: Factory) -> None:
    """A wrong secret is refused, and so is a scope that the file does not give the machine."""
    assert factory.ask_for_token("wrong").json()["error"] == "invalid_client"
    secret = factory.outputs["machine_secrets"]["mes"]
    assert factory.ask_for_token(secret, scope="fleet/update").status_code == 400


def test_a_machine_is_of_one_tenant(factory: Factory, project: Project) -> None:
    """Its token is acme's: globex's devices are not found, globex's store refuses the token."""
    token = factory.token()
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["iss"] == factory.outputs["issuer"]
    assert (claims["token_use"], claims["scope"]) == ("access", "fleet/operate fleet/view")
    client = project.cloud.client("verifiedpermissions")
    store = project.engine.outputs("globex").outputs["policy_store_id"]
    with pytest.raises(client.exceptions.ValidationException):
        client.is_authorized_with_token(
            policyStoreId=store,
            accessToken=token,
            action={"actionType": "Fleet::Action", "actionId": "ListDevices"},
            resource={"entityType": "Fleet::Tenant", "entityId": "globex"},
        )


def test_nobody_signs_in_through_a_machines_client(factory: Factory, project: Project) -> None:
    """The client knows the one grant, and no flow by which a person could use it."""
    client = project.cloud.client("cognito-idp").describe_user_pool_client(
        UserPoolId=factory.outputs["user_pool_id"],
        ClientId=factory.outputs["machine_clients"]["mes"],
    )["UserPoolClient"]
    assert client["AllowedOAuthFlows"] == ["client_credentials"]
    assert client["ExplicitAuthFlows"] == ["ALLOW_REFRESH_TOKEN_AUTH"]


@pytest.mark.parametrize("scope", SCOPES)
def test_each_scope_is_one_that_a_policy_asks_for(scope: str) -> None:
    """What a stack file can give is what the base policies know."""
    policies = (ROOT / "policies" / "static").glob("machines-*.cedar")
    assert any(
        f'context.token.scope.contains("fleet/{scope}")' in path.read_text() for path in policies
    )


def test_no_token_outlives_the_refresh_token(project: Project) -> None:
    """Longer tokens lengthen the refresh token too: Cognito refuses a client whose do not."""
    path = project.root / "tenants" / "Pulumi.acme.yaml"
    text = path.read_text()
    document = yaml.safe_load(text)
    sign_in = document["config"]["cedarfleet:tenant"]["sign_in"]
    try:
        project.change("acme", sign_in=sign_in | {"token_minutes": 1440})
        changes = project.engine.preview("acme").changes
    finally:
        path.write_text(text)
    (client,) = [one for one in changes if one.urn.endswith("client-mes")]
    assert set(client.keys) == {"accessTokenValidity", "idTokenValidity", "refreshTokenValidity"}
