"""EC2: the network. Its parts are made, looked up and deleted by calls of one pattern."""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from infra.local.engine.handler import Handler, Made
from infra.local.resources.absence import absent_is_fine, unless_absent
from infra.local.resources.tags import changed, differ, pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infra.local.engine.handler import Cloud


@dataclass(frozen=True, kw_only=True)
class Part:
    """How one kind of network part is made.

    Attributes:
        kind: EC2's name of it, for `TagSpecifications`, e.g. `vpc`.
        make: the create call's name.
        answer: where the made thing stands in the answer; empty: the answer is the thing.
        key: name of its id in the answer and of the argument of the delete call.
        arguments: from the inputs to the create call's arguments.
        look: the describe call and the argument that takes a list of ids.
        drop: the delete call.
        after: settings that the create call does not take.
        before_drop: what must be undone before the delete.
        settings: what `after` has set, as it is now.
    """

    kind: str
    make: str
    answer: str
    key: str
    arguments: Callable[[dict[str, Any]], dict[str, Any]]
    look: tuple[str, str]
    drop: str
    after: Callable[[Any, str, dict[str, Any]], None] | None = None
    before_drop: Callable[[Any, str, dict[str, Any]], None] | None = None
    settings: Callable[[Any, str], dict[str, Any]] | None = None
    outputs: Mapping[str, str] = field(default_factory=dict[str, str])
    drop_key: str | None = None


def retag(client: Any, id: str, old: dict[str, Any], inputs: dict[str, Any]) -> None:
    """Set the tags of an EC2 resource and remove those that are gone."""
    if tags := pairs(inputs):
        client.create_tags(Resources=[id], Tags=tags)
    if gone := changed(old, inputs):
        client.delete_tags(Resources=[id], Tags=[{"Key": key} for key in gone])


class NetworkPart(Handler):
    """Handler of one kind of part; only tags can change in place."""

    taggable = True

    def __init__(self, part: Part, *fixed: str) -> None:
        self._part = part
        self.replace_on = frozenset(fixed)

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """Make it, tagged."""
        client, part = cloud.client("ec2"), self._part
        tags = [{"ResourceType": part.kind, "Tags": pairs(inputs)}] if pairs(inputs) else []
        answer = getattr(client, part.make)(
            **part.arguments(inputs), **({"TagSpecifications": tags} if tags else {})
        )
        made = answer[part.answer] if part.answer else answer
        if part.after is not None:
            part.after(client, made[part.key], inputs)
        return Made(made[part.key], {**inputs, **self._outputs(cloud, made[part.key], made)})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """Tags, and settings that have calls of their own."""
        client = cloud.client("ec2")
        retag(client, id, old, inputs)
        names = inputs.keys() - {"tags"}
        if self._part.after is not None and differ(old, inputs, *names):
            self._part.after(client, id, inputs)
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """Whether it is there, and with which settings of a call of their own."""
        call, argument = self._part.look
        answer = unless_absent(getattr(cloud.client("ec2"), call), **{argument: [id]})
        if answer is None:
            return None
        found = next((value for value in answer.values() if isinstance(value, list)), [])
        existing = [one for one in found if one.get("State") != "deleted"]
        if not existing:
            return None
        settings = self._part.settings
        return outputs if settings is None else {**outputs, **settings(cloud.client("ec2"), id)}

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """Delete it."""
        client, part = cloud.client("ec2"), self._part
        with absent_is_fine():
            if part.before_drop is not None:
                part.before_drop(client, id, outputs)
            key = part.drop_key or part.key
            getattr(client, part.drop)(**{key: [id] if key.endswith("s") else id})

    def _outputs(self, cloud: Cloud, made_id: str, made: dict[str, Any]) -> dict[str, Any]:
        arn = f"arn:aws:ec2:{cloud.region}:{cloud.account_id}:{self._part.kind}/{made_id}"
        return {
            "arn": arn,
            **{name: made.get(key) for name, key in self._part.outputs.items() if made.get(key)},
        }


def _vpc_dns(client: Any, vpc_id: str, inputs: dict[str, Any]) -> None:
    client.modify_vpc_attribute(
        VpcId=vpc_id, EnableDnsSupport={"Value": inputs.get("enableDnsSupport", True)}
    )
    client.modify_vpc_attribute(
        VpcId=vpc_id, EnableDnsHostnames={"Value": inputs.get("enableDnsHostnames", False)}
    )


def _vpc_dns_now(client: Any, vpc_id: str) -> dict[str, Any]:
    def now(attribute: str) -> bool:
        answer = client.describe_vpc_attribute(VpcId=vpc_id, Attribute=attribute)
        return bool(answer[attribute[:1].upper() + attribute[1:]]["Value"])

    return {name: now(name) for name in ("enableDnsSupport", "enableDnsHostnames")}


def _attach(client: Any, gateway_id: str, inputs: dict[str, Any]) -> None:
    gateway = client.describe_internet_gateways(InternetGatewayIds=[gateway_id])[
        "InternetGateways"
    ][0]
    if not gateway.get("Attachments"):
        client.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=inputs["vpcId"])


def _detach(client: Any, gateway_id: str, outputs: dict[str, Any]) -> None:
    client.detach_internet_gateway(InternetGatewayId=gateway_id, VpcId=outputs["vpcId"])


VPC: Final = Part(
    kind="vpc",
    make="create_vpc",
    answer="Vpc",
    key="VpcId",
    arguments=lambda inputs: {"CidrBlock": inputs["cidrBlock"]},
    look=("describe_vpcs", "VpcIds"),
    drop="delete_vpc",
    after=_vpc_dns,
    settings=_vpc_dns_now,
)
SUBNET: Final = Part(
    kind="subnet",
    make="create_subnet",
    answer="Subnet",
    key="SubnetId",
    arguments=lambda inputs: {
        "VpcId": inputs["vpcId"],
        "CidrBlock": inputs["cidrBlock"],
        "AvailabilityZone": inputs["availabilityZone"],
    },
    look=("describe_subnets", "SubnetIds"),
    drop="delete_subnet",
)
GATEWAY: Final = Part(
    kind="internet-gateway",
    make="create_internet_gateway",
    answer="InternetGateway",
    key="InternetGatewayId",
    arguments=lambda _: {},
    look=("describe_internet_gateways", "InternetGatewayIds"),
    drop="delete_internet_gateway",
    after=_attach,
    before_drop=_detach,
)
ADDRESS: Final = Part(
    kind="elastic-ip",
    make="allocate_address",
    answer="",
    key="AllocationId",
    arguments=lambda inputs: {"Domain": inputs.get("domain", "vpc")},
    look=("describe_addresses", "AllocationIds"),
    drop="release_address",
    outputs={"publicIp": "PublicIp", "allocationId": "AllocationId"},
)
NAT: Final = Part(
    kind="natgateway",
    make="create_nat_gateway",
    answer="NatGateway",
    key="NatGatewayId",
    arguments=lambda inputs: {
        "SubnetId": inputs["subnetId"],
        "AllocationId": inputs["allocationId"],
    },
    look=("describe_nat_gateways", "NatGatewayIds"),
    drop="delete_nat_gateway",
)
ROUTE_TABLE: Final = Part(
    kind="route-table",
    make="create_route_table",
    answer="RouteTable",
    key="RouteTableId",
    arguments=lambda inputs: {"VpcId": inputs["vpcId"]},
    look=("describe_route_tables", "RouteTableIds"),
    drop="delete_route_table",
)
ENDPOINT: Final = Part(
    kind="vpc-endpoint",
    make="create_vpc_endpoint",
    answer="VpcEndpoint",
    key="VpcEndpointId",
    arguments=lambda inputs: {
        "VpcId": inputs["vpcId"],
        "ServiceName": inputs["serviceName"],
        "VpcEndpointType": inputs["vpcEndpointType"],
        "RouteTableIds": inputs.get("routeTableIds", []),
    },
    look=("describe_vpc_endpoints", "VpcEndpointIds"),
    drop="delete_vpc_endpoints",
    drop_key="VpcEndpointIds",
)


HANDLERS: Final[Mapping[str, Handler]] = {
    "aws:ec2/vpc:Vpc": NetworkPart(VPC, "cidrBlock"),
    "aws:ec2/subnet:Subnet": NetworkPart(SUBNET, "vpcId", "cidrBlock", "availabilityZone"),
    "aws:ec2/internetGateway:InternetGateway": NetworkPart(GATEWAY, "vpcId"),
    "aws:ec2/eip:Eip": NetworkPart(ADDRESS, "domain"),
    "aws:ec2/natGateway:NatGateway": NetworkPart(NAT, "subnetId", "allocationId"),
    "aws:ec2/routeTable:RouteTable": NetworkPart(ROUTE_TABLE, "vpcId"),
    "aws:ec2/vpcEndpoint:VpcEndpoint": NetworkPart(
        ENDPOINT, "vpcId", "serviceName", "vpcEndpointType", "routeTableIds"
    ),
}
