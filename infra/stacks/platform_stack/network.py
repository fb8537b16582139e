"""The service's network: two zones, public subnets for the balancer, private ones for tasks."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

if TYPE_CHECKING:
    from infra.stacks.config.platform import PlatformConfig

SERVICE_PORT = 8000
_HTTP = 80
_HTTPS = 443


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """What the file says of the address range and the zones, and the region they are in."""

    config: PlatformConfig
    region: str


class Network(pulumi.ComponentResource):
    """VPC, subnets, ways out, and who may talk to whom.

    Tasks leave through one NAT gateway in each zone, or through the first zone's alone if the file
    says so; endpoints alone would not do, since tasks read the signing keys of user pools, and a
    pool with a domain cannot be reached by PrivateLink (source: Cognito developer guide). S3 and
    DynamoDB traffic takes free gateway endpoints instead. Only the load balancer reaches the tasks.

    Attributes:
        cidr: of the network as it stands, not as the file asks for it.
        availability_zones: likewise, in the file's order.
        way_in: after it a load balancer can stand in the public subnets; AWS refuses one without a
            gateway.
        ways_out: after them a task in the private subnets reaches AWS, and so its image.
    """

    cidr: pulumi.Output[str]
    availability_zones: pulumi.Output[list[str]]
    vpc_id: pulumi.Output[str]
    public_cidrs: list[str]
    public_subnet_ids: list[pulumi.Output[str]]
    private_subnet_ids: list[pulumi.Output[str]]
    balancer_security_group_id: pulumi.Output[str]
    service_security_group_id: pulumi.Output[str]
    way_in: pulumi.Resource
    ways_out: list[pulumi.Resource]

    def __init__(
        self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:platform:Network", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._name = name
        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=args.config.cidr,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags={"Name": "cedarfleet"},
            opts=self._child,
        )
        self.cidr, self.vpc_id = vpc.cidr_block, vpc.id
        self._add_subnets(args)
        self._add_security_groups()
        self.register_outputs({"vpc_id": self.vpc_id})

    def _add_subnets(self, args: NetworkArgs) -> None:
        gateway = aws.ec2.InternetGateway(
            f"{self._name}-gateway", vpc_id=self.vpc_id, opts=self._child
        )
        public = self._route_table("public")
        self.way_in = aws.ec2.Route(
            f"{self._name}-public-out",
            route_table_id=public.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway.id,
            opts=self._child,
        )
        blocks = list(IPv4Network(args.config.cidr).subnets(new_prefix=20))
        self.public_cidrs = [str(block) for block in blocks[: len(args.config.availability_zones)]]
        self.public_subnet_ids, self.private_subnet_ids, self.ways_out = [], [], []
        private_tables: list[pulumi.Output[str]] = []
        zones: list[pulumi.Output[str]] = []
        gateways: list[aws.ec2.NatGateway] = []
        for index, zone in enumerate(args.config.availability_zones):
            front = self._subnet(f"public-{index}", self.public_cidrs[index], zone, public)
            private = self._route_table(f"private-{index}")
            back = self._subnet(f"private-{index}", str(blocks[8 + index]), zone, private)
            if index < args.config.nat_gateways:
                gateways.append(self._nat(index, front))
            self.ways_out.append(self._way_out(index, gateways[-1], private))
            self.public_subnet_ids.append(front.id)
            self.private_subnet_ids.append(back.id)
            private_tables.append(private.id)
            zones.append(back.availability_zone)
        self.availability_zones = pulumi.Output.all(*zones)
        for service in ("s3", "dynamodb"):
            aws.ec2.VpcEndpoint(
                f"{self._name}-{service}",
                vpc_id=self.vpc_id,
                service_name=f"com.amazonaws.{args.region}.{service}",
                vpc_endpoint_type="Gateway",
                route_table_ids=private_tables,
                opts=self._child,
            )

    def _nat(self, index: int, front: aws.ec2.Subnet) -> aws.ec2.NatGateway:
        # A public address and a NAT gateway need the attached internet gateway, which none of their
        # inputs names (source: registry documentation of both).
        after = pulumi.ResourceOptions.merge(
            self._child, pulumi.ResourceOptions(depends_on=[self.way_in])
        )
        address = aws.ec2.Eip(f"{self._name}-nat-{index}", domain="vpc", opts=after)
        return aws.ec2.NatGateway(
            f"{self._name}-nat-{index}", allocation_id=address.id, subnet_id=front.id, opts=after
        )

    def _way_out(
        self, index: int, nat: aws.ec2.NatGateway, private: aws.ec2.RouteTable
    ) -> aws.ec2.Route:
        return aws.ec2.Route(
            f"{self._name}-private-{index}-out",
            route_table_id=private.id,
            destination_cidr_block="0.0.0.0/0",
            nat_gateway_id=nat.id,
            opts=self._child,
        )

    def _subnet(
        self, label: str, cidr: str, zone: str, table: aws.ec2.RouteTable
    ) -> aws.ec2.Subnet:
        subnet = aws.ec2.Subnet(
            f"{self._name}-{label}",
            vpc_id=self.vpc_id,
            cidr_block=cidr,
            availability_zone=zone,
            map_public_ip_on_launch=False,
            tags={"Name": f"cedarfleet-{label}"},
            opts=self._child,
        )
        aws.ec2.RouteTableAssociation(
            f"{self._name}-{label}", subnet_id=subnet.id, route_table_id=table.id, opts=self._child
        )
        return subnet

    def _route_table(self, label: str) -> aws.ec2.RouteTable:
        return aws.ec2.RouteTable(
            f"{self._name}-{label}",
            vpc_id=self.vpc_id,
            tags={"Name": f"cedarfleet-{label}"},
            opts=self._child,
        )

    def _add_security_groups(self) -> None:
        balancer = self._security_group(
            "balancer", "the load balancer: HTTPS from anywhere, HTTP to be redirected"
        )
        service = self._security_group(
            "service", "the tasks of the service: reached by the load balancer only"
        )
        self.balancer_security_group_id, self.service_security_group_id = balancer.id, service.id
        for port in (_HTTP, _HTTPS):
            aws.vpc.SecurityGroupIngressRule(
                f"{self._name}-balancer-in-{port}",
                security_group_id=balancer.id,
                cidr_ipv4="0.0.0.0/0",
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                opts=self._child,
            )
        aws.vpc.SecurityGroupEgressRule(
            f"{self._name}-balancer-to-service",
            security_group_id=balancer.id,
            referenced_security_group_id=service.id,
            ip_protocol="tcp",
            from_port=SERVICE_PORT,
            to_port=SERVICE_PORT,
            opts=self._child,
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{self._name}-service-from-balancer",
            security_group_id=service.id,
            referenced_security_group_id=balancer.id,
            ip_protocol="tcp",
            from_port=SERVICE_PORT,
            to_port=SERVICE_PORT,
            opts=self._child,
        )
        aws.vpc.SecurityGroupEgressRule(
            f"{self._name}-service-to-aws",
            security_group_id=service.id,
            cidr_ipv4="0.0.0.0/0",
            ip_protocol="tcp",
            from_port=_HTTPS,
            to_port=_HTTPS,
            opts=self._child,
        )

    def _security_group(self, label: str, description: str) -> aws.ec2.SecurityGroup:
        return aws.ec2.SecurityGroup(
            f"{self._name}-{label}",
            name=f"cedarfleet-{label}",
            description=description,
            vpc_id=self.vpc_id,
            opts=self._child,
        )
