"""EC2: routes, and which subnet follows which route table."""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra.local.engine.handler import Handler, Made
from infra.local.resources.absence import absent_is_fine, unless_absent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.engine.handler import Cloud


_THROUGH: Final = {"GatewayId": "gatewayId", "NatGatewayId": "natGatewayId"}


class Route(Handler):
    """`aws.ec2.Route` through an internet or a NAT gateway."""

    replace_on = frozenset({"routeTableId", "destinationCidrBlock"})

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateRoute."""
        cloud.client("ec2").create_route(**_route(inputs))
        return Made(f"{inputs['routeTableId']}_{inputs['destinationCidrBlock']}", dict(inputs))

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """ReplaceRoute."""
        del id, old
        cloud.client("ec2").replace_route(**_route(inputs))
        return dict(inputs)

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """Whether the table has a route to that destination, and through what."""
        table, _, destination = id.partition("_")
        answer = unless_absent(cloud.client("ec2").describe_route_tables, RouteTableIds=[table])
        tables = answer["RouteTables"] if answer else []
        routes = [route for one in tables for route in one["Routes"]]
        for route in routes:
            if route.get("DestinationCidrBlock") == destination:
                through = {key: route.get(name) for name, key in _THROUGH.items()}
                known = {key: value for key, value in outputs.items() if key not in through}
                return known | {key: value for key, value in through.items() if value}
        return None

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteRoute."""
        del id
        with absent_is_fine():
            cloud.client("ec2").delete_route(
                RouteTableId=outputs["routeTableId"],
                DestinationCidrBlock=outputs["destinationCidrBlock"],
            )


class RouteTableAssociation(Handler):
    """`aws.ec2.RouteTableAssociation` of a subnet."""

    replace_on = frozenset({"subnetId", "routeTableId"})
    delete_before_replace = True

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """AssociateRouteTable."""
        made = cloud.client("ec2").associate_route_table(
            SubnetId=inputs["subnetId"], RouteTableId=inputs["routeTableId"]
        )
        return Made(made["AssociationId"], dict(inputs))

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """Nothing of it can be changed in place."""
        del cloud, id, old
        return dict(inputs)

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """Whether the table still has the association."""
        answer = unless_absent(
            cloud.client("ec2").describe_route_tables, RouteTableIds=[outputs["routeTableId"]]
        )
        tables = answer["RouteTables"] if answer else []
        known = [
            link["RouteTableAssociationId"]
            for one in tables
            for link in one.get("Associations", [])
        ]
        return outputs if id in known else None

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DisassociateRouteTable."""
        del outputs
        with absent_is_fine():
            cloud.client("ec2").disassociate_route_table(AssociationId=id)


def _route(inputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "RouteTableId": inputs["routeTableId"],
        "DestinationCidrBlock": inputs["destinationCidrBlock"],
        **{argument: inputs[key] for argument, key in _THROUGH.items() if key in inputs},
    }


HANDLERS: Final[Mapping[str, Handler]] = {
    "aws:ec2/route:Route": Route(),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": RouteTableAssociation(),
}
