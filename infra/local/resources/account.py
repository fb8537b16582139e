"""Provider functions: who and where am I, and where is what is the account's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.engine.handler import Cloud, Invoke


def _caller_identity(cloud: Cloud, arguments: dict[str, Any]) -> dict[str, Any]:
    del arguments
    answer = cloud.client("sts").get_caller_identity()
    return {
        "accountId": answer["Account"],
        "arn": answer["Arn"],
        "userId": answer["UserId"],
        "id": answer["Account"],
    }


def _iot_endpoint(cloud: Cloud, arguments: dict[str, Any]) -> dict[str, Any]:
    kind = arguments["endpointType"]
    answer = cloud.client("iot").describe_endpoint(endpointType=kind)
    return {"endpointAddress": answer["endpointAddress"], "endpointType": kind, "id": cloud.region}


INVOKES: Final[Mapping[str, Invoke]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": _caller_identity,
    "aws:iot/getEndpoint:getEndpoint": _iot_endpoint,
}
