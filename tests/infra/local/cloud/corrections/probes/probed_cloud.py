"""What the probes share: the running cloud, devices, and sessions of roles with a given policy."""

from __future__ import annotations

import json
import threading
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from raw_mqtt import RawDevice

from infra.local.clients import MODELS
from tests.certificates import certified

if TYPE_CHECKING:
    from infra.local.cloud import EmbeddedCloud

ALLOW_ALL = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}],
}


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A registered device: its thing and its certificate."""

    thing: str
    certificate_id: str
    certificate: str
    key: str


class ProbedCloud:
    """Made once per probe process."""

    def __init__(self, cloud: EmbeddedCloud) -> None:
        self.cloud = cloud
        models = botocore.session.Session()
        models.register_component("data_loader", MODELS)  # which are read already
        self._session = boto3.Session(botocore_session=models, region_name=cloud.region)
        self._making = threading.Lock()
        self.arn = f"arn:aws:iot:{cloud.region}:{cloud.account_id}"

    def device(self) -> Identity:
        """A new thing with an active certificate that may do everything."""
        iot, thing = self.cloud.client("iot"), f"acme--{uuid.uuid4().hex[:8]}"
        iot.create_policy(policyName=f"all-{thing}", policyDocument=json.dumps(ALLOW_ALL))
        iot.create_thing(thingName=thing)
        made = certified(iot)
        iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])
        iot.attach_policy(policyName=f"all-{thing}", target=made["certificateArn"])
        return Identity(
            thing=thing,
            certificate_id=made["certificateId"],
            certificate=made["certificatePem"],
            key=made["keyPair"]["PrivateKey"],
        )

    def connect(
        self, identity: Identity, *, keep_alive: int = 60, will_topic: str = "", clean: bool = True
    ) -> RawDevice:
        """A connection of this device, accepted by the broker."""
        device = RawDevice(
            port=self.cloud.mqtt_port,
            ca_file=self.cloud.ca_file,
            certificate=identity.certificate,
            key=identity.key,
        )
        assert (
            device.connect(
                identity.thing, keep_alive=keep_alive, will_topic=will_topic, clean=clean
            )
            == 0
        )
        return device

    def claim(self, template: str) -> dict[str, Any]:
        """A claim of a new provisioning template, as CreateProvisioningClaim answers it."""
        iot, iam = self.cloud.client("iot"), self.cloud.client("iam")
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "iot.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        name = f"provisioning-{template}"
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document(trust))["Role"][
            "Arn"
        ]
        properties = {"CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}, "Status": "Active"}
        body = json.dumps(
            {
                "Parameters": {"AWS::IoT::Certificate::Id": {"Type": "String"}},
                "Resources": {
                    "certificate": {"Type": "AWS::IoT::Certificate", "Properties": properties}
                },
            }
        )
        iot.create_provisioning_template(
            templateName=template, templateBody=body, enabled=True, provisioningRoleArn=role
        )
        return iot.create_provisioning_claim(templateName=template)

    def session_client(self, service: str, *statements: dict[str, Any]) -> Any:
        """A client whose session may do what ``statements`` say."""
        iam, name = self.cloud.client("iam"), f"role-{uuid.uuid4().hex[:8]}"
        root = {"AWS": f"arn:aws:iam::{self.cloud.account_id}:root"}
        trust = {"Effect": "Allow", "Principal": root, "Action": "sts:AssumeRole"}
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document(trust))["Role"][
            "Arn"
        ]
        iam.put_role_policy(
            RoleName=name, PolicyName="given", PolicyDocument=_document(*statements)
        )
        credentials = self.cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="probe")[
            "Credentials"
        ]
        return self.plain_client(
            service,
            credentials["AccessKeyId"],
            credentials["SecretAccessKey"],
            credentials["SessionToken"],
        )

    def plain_client(
        self, service: str, key: str, secret: str, token: str | None = None, **config: Any
    ) -> Any:
        """A client with these keys and no retries."""
        return self._client(
            service,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(retries={"max_attempts": 0}, **config),
        )

    def unsigned_client(self, service: str) -> Any:
        """A client of anyone."""
        return self._client(service, config=Config(signature_version=UNSIGNED))

    def _client(self, service: str, **how: Any) -> Any:
        with self._making:  # which is not thread-safe
            return self._session.client(
                service,  # pyright: ignore[reportCallIssue, reportArgumentType] - known at run time
                endpoint_url=self.cloud.endpoint_url,
                **how,
            )


def allow(action: str | list[str], resource: str | list[str], **condition: Any) -> dict[str, Any]:
    """An IAM statement."""
    statement: dict[str, Any] = {"Effect": "Allow", "Action": action, "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})


def _document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
