"""How one more of each counted thing is made: a method a row of the table, named after it."""

# ruff: noqa: D102 - as said above

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infra.local.cloud import EmbeddedCloud

Making = Callable[[], object]

_DOCUMENT = json.dumps({"Version": "2012-10-17", "Statement": []})
_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"Service": "iot.amazonaws.com"},
            }
        ],
    }
)
_TEMPLATE = json.dumps(
    {
        "Parameters": {"AWS::IoT::Certificate::Id": {"Type": "String"}},
        "Resources": {
            "certificate": {
                "Type": "AWS::IoT::Certificate",
                "Properties": {
                    "CertificateId": {"Ref": "AWS::IoT::Certificate::Id"},
                    "Status": "Active",
                },
            }
        },
    }
)


def new(what: str) -> str:
    """A name that nothing has."""
    return f"{what}-{uuid.uuid4().hex[:8]}"


class Makers:
    """How one more of each counted thing is made: a method a row, named after it."""

    def __init__(self, cloud: EmbeddedCloud) -> None:
        self.cloud = cloud
        self.iot, self.iam = cloud.client("iot"), cloud.client("iam")
        self.cognito = cloud.client("cognito-idp")

    def _thing(self, **given: Any) -> str:
        name = new("thing")
        self.iot.create_thing(thingName=name, **given)
        return name

    def _group(self, parent: str | None = None) -> str:
        name = new("group")
        self.iot.create_thing_group(
            thingGroupName=name, **({"parentGroupName": parent} if parent else {})
        )
        return name

    def _pool(self) -> str:
        pool = self.cognito.create_user_pool(PoolName=new("pool"))["UserPool"]["Id"]
        return str(pool)

    def _role(self) -> str:
        name = new("role")
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=_TRUST)
        return name

    def _member(self, thing: str, group: str) -> None:
        self.iot.add_thing_to_thing_group(thingName=thing, thingGroupName=group)

    def groups_of_a_thing(self) -> Making:
        thing = self._thing()
        return lambda: self._member(thing, self._group())

    def groups_of_one_hierarchy(self) -> Making:
        thing, root = self._thing(), self._group()
        return lambda: self._member(thing, self._group(root))

    def children_of_a_group(self) -> Making:
        root = self._group()
        return lambda: self._group(root)

    def levels_of_a_hierarchy(self) -> Making:
        last: list[str | None] = [None]

        def one() -> None:
            last[0] = self._group(last[0])

        return one

    def _attributed(self, **given: Any) -> Making:
        thing, number = self._thing(**given), iter(range(1000))
        return lambda: self.iot.update_thing(
            thingName=thing,
            attributePayload={"attributes": {f"a{next(number)}": "x"}, "merge": True},
        )

    def attributes_of_a_typed_thing(self) -> Making:
        kind = new("type")
        self.iot.create_thing_type(thingTypeName=kind)
        return self._attributed(thingTypeName=kind)

    def attributes_of_an_untyped_thing(self) -> Making:
        return self._attributed()

    def _template(self, role: str) -> str:
        name = new("t")
        self.iot.create_provisioning_template(
            templateName=name,
            templateBody=_TEMPLATE,
            provisioningRoleArn=f"arn:aws:iam::{self.cloud.account_id}:role/{role}",
        )
        return name

    def domain_configurations(self) -> Making:
        made = self.cloud.client("acm").request_certificate(
            DomainName="*.devices.example", ValidationMethod="DNS"
        )
        arn = made["CertificateArn"]

        def one() -> None:
            name = new("domain")
            self.iot.create_domain_configuration(
                domainConfigurationName=name,
                domainName=f"{name}.devices.example",
                serverCertificateArns=[arn],
            )

        return one

    def streams(self) -> Making:
        return lambda: self.cloud.client("firehose").create_delivery_stream(
            DeliveryStreamName=new("stream")
        )

    def provisioning_templates(self) -> Making:
        role = self._role()
        return lambda: self._template(role)

    def versions_of_a_template(self) -> Making:
        role, names = self._role(), []

        def one() -> None:
            if names:
                self.iot.create_provisioning_template_version(
                    templateName=names[0], templateBody=_TEMPLATE
                )
            else:
                names.append(self._template(role))

        return one

    def _policy(self) -> str:
        name = new("policy")
        self.iot.create_policy(policyName=name, policyDocument=_DOCUMENT)
        return name

    def versions_of_a_device_policy(self) -> Making:
        names: list[str] = []

        def one() -> None:
            if names:
                self.iot.create_policy_version(policyName=names[0], policyDocument=_DOCUMENT)
            else:
                names.append(self._policy())

        return one

    def policies_of_a_certificate(self) -> Making:
        target = self.iot.create_keys_and_certificate(setAsActive=True)["certificateArn"]
        return lambda: self.iot.attach_policy(policyName=self._policy(), target=target)

    def characters_of_a_device_policy(self) -> Making:
        statement = {"Effect": "Deny", "Action": "iot:Connect", "Resource": "*"}
        return _longer(
            {"Version": "2012-10-17", "Statement": [statement]},
            "Sid",
            lambda text: self.iot.create_policy(policyName=new("policy"), policyDocument=text),
        )

    def targets_of_a_job(self) -> Making:
        arn = f"arn:aws:iot:{self.cloud.region}:{self.cloud.account_id}:thing/"
        targets: list[str] = []

        def one() -> None:
            targets.append(arn + self._thing())
            self.iot.create_job(jobId=new("job"), targets=targets, document="{}")

        return one

    def roles(self) -> Making:
        return self._role

    def characters_of_inline_policies(self) -> Making:
        role = self._role()
        statement = {"Effect": "Deny", "Action": "iot:Connect", "Resource": "*"}
        return _longer(
            {"Version": "2012-10-17", "Statement": [statement]},
            "Sid",
            lambda text: self.iam.put_role_policy(
                RoleName=role, PolicyName="one", PolicyDocument=text
            ),
        )

    def characters_of_a_trust_policy(self) -> Making:
        return _longer(
            json.loads(_TRUST),
            "Sid",
            lambda text: self.iam.create_role(RoleName=new("r"), AssumeRolePolicyDocument=text),
        )

    def user_pools(self) -> Making:
        return self._pool

    def clients_of_a_pool(self) -> Making:
        pool = self._pool()
        return lambda: self.cognito.create_user_pool_client(UserPoolId=pool, ClientName=new("c"))

    def groups_of_a_pool(self) -> Making:
        pool = self._pool()
        return lambda: self.cognito.create_group(UserPoolId=pool, GroupName=new("g"))

    def resource_servers_of_a_pool(self) -> Making:
        pool = self._pool()
        return lambda: self.cognito.create_resource_server(
            UserPoolId=pool, Identifier=new("i"), Name="n"
        )

    def networks(self) -> Making:
        return lambda: self.cloud.client("ec2").create_vpc(CidrBlock="10.99.0.0/16")

    def addresses(self) -> Making:
        return lambda: self.cloud.client("ec2").allocate_address(Domain="vpc")


def _longer(document: dict[str, Any], name: str, put: Callable[[str], object]) -> Making:
    """Put a document that has one character more each time."""
    length = iter(range(1, 1_000_000))

    def one() -> None:
        document["Statement"][0][name] = "a" * next(length)
        put(json.dumps(document, separators=(",", ":")))

    return one
