"""What a call would make of the account: how many of each counted thing would stand after it."""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infra.local.cloud.emulator import Emulator

    Parameters = Mapping[str, Any]


class Account:
    """The emulator's state, counted as AWS counts.

    Ask within a request: its account and region are the emulator's context.
    """

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def after(self, row: str, parameters: Parameters) -> int:
        """How many there would be of what a row counts; 0 where the call would fail anyhow."""
        return _COUNTED[row](self._emulator, parameters)


def _named(parameters: Parameters, kind: str) -> str:
    """A thing or group that is given by name or by ARN."""
    return str(
        parameters.get(f"{kind}Name") or str(parameters.get(f"{kind}Arn", "")).rpartition("/")[2]
    )


def _groups_after(emulator: Emulator, parameters: Parameters) -> set[str]:
    thing = emulator.module("services.iot")._things.get(_named(parameters, "thing"))
    held = set[str]() if thing is None else set[str](thing.get("thingGroupNames") or ())
    return held | {_named(parameters, "thingGroup")}


def _ancestry(emulator: Emulator, group: str) -> list[str]:
    """A group and the groups above it, the nearest first."""
    groups, found = emulator.module("services.iot")._thing_groups, [group]
    while parent := ((groups.get(found[-1]) or {}).get("thingGroupMetadata") or {}).get(
        "parentGroupName"
    ):
        found.append(str(parent))
    return found


def _hierarchy(emulator: Emulator, parameters: Parameters) -> int:
    root = _ancestry(emulator, _named(parameters, "thingGroup"))[-1]
    held = _groups_after(emulator, parameters)
    return sum(_ancestry(emulator, group)[-1] == root for group in held)


def _children(emulator: Emulator, parameters: Parameters) -> int:
    parent = parameters.get("parentGroupName")
    groups = emulator.module("services.iot")._thing_groups
    children = {
        name
        for name, group in groups.items()
        if (group.get("thingGroupMetadata") or {}).get("parentGroupName") == parent
    }
    return len(children | {parameters["thingGroupName"]}) if parent else 0


def _levels(emulator: Emulator, parameters: Parameters) -> int:
    parent = parameters.get("parentGroupName")
    return 1 + len(_ancestry(emulator, parent)) if parent else 1


def _attributes(emulator: Emulator, parameters: Parameters, *, typed: bool) -> int:
    thing = emulator.module("services.iot")._things.get(parameters["thingName"]) or {}
    kind = parameters.get("thingTypeName") or thing.get("thingTypeName")
    payload = parameters.get("attributePayload") or {}
    if bool(kind and not parameters.get("removeThingType")) is not typed:
        return 0
    kept = (thing.get("attributes") or {}) if payload.get("merge") or not payload else {}
    return sum(bool(value) for value in (kept | (payload.get("attributes") or {})).values())


def _versions(store: str, name: str) -> Callable[[Emulator, Parameters], int]:
    def after(emulator: Emulator, parameters: Parameters) -> int:
        found = getattr(emulator.module("services.iot"), store).get(parameters[name])
        return 0 if found is None else len(found["versions"]) + 1

    return after


def _attached(emulator: Emulator, parameters: Parameters) -> int:
    held = emulator.module("services.iot")._policies_attached_to(parameters["target"])
    return len({policy["policyName"] for policy in held} | {parameters["policyName"]})


def _without_space(text: object) -> int:
    return len("".join(str(text).split()))


def _inline(emulator: Emulator, parameters: Parameters) -> int:
    role = emulator.module("services.iam")._roles.get(parameters["RoleName"])
    if role is None:
        return 0
    policies = role["InlinePolicies"] | {parameters["PolicyName"]: parameters["PolicyDocument"]}
    return sum(_without_space(document) for document in policies.values())


def _one_more(module: str, store: str, name: str) -> Callable[[Emulator, Parameters], int]:
    """One more of a store's entries, unless the one that is to be made stands already."""

    def after(emulator: Emulator, parameters: Parameters) -> int:
        held = getattr(emulator.module(f"services.{module}"), store)
        return len(held) + (not name or parameters[name] not in held)

    return after


def _of_pool(part: str) -> Callable[[Emulator, Parameters], int]:
    def after(emulator: Emulator, parameters: Parameters) -> int:
        pool = emulator.module("services.cognito")._user_pools.get(parameters["UserPoolId"])
        return 0 if pool is None else len(pool.get(part) or ()) + 1

    return after


_COUNTED: Final[Mapping[str, Callable[[Emulator, Parameters], int]]] = {
    "groups-of-a-thing": lambda emulator, given: len(_groups_after(emulator, given)),
    "groups-of-one-hierarchy": _hierarchy,
    "children-of-a-group": _children,
    "levels-of-a-hierarchy": _levels,
    "attributes-of-a-typed-thing": lambda emulator, given: _attributes(emulator, given, typed=True),
    "attributes-of-an-untyped-thing": lambda emulator, given: _attributes(
        emulator, given, typed=False
    ),
    "provisioning-templates": _one_more("iot", "_provisioning_templates", "templateName"),
    "domain-configurations": _one_more("iot", "_domain_configurations", "domainConfigurationName"),
    "versions-of-a-template": _versions("_provisioning_templates", "templateName"),
    "versions-of-a-device-policy": _versions("_policies", "policyName"),
    "policies-of-a-certificate": _attached,
    "characters-of-a-device-policy": lambda _, given: _without_space(given["policyDocument"]),
    "targets-of-a-job": lambda _, given: len(given["targets"]),
    "streams": _one_more("firehose", "_streams", "DeliveryStreamName"),
    "roles": _one_more("iam", "_roles", "RoleName"),
    "characters-of-inline-policies": _inline,
    "characters-of-a-trust-policy": lambda _, given: _without_space(
        given.get("AssumeRolePolicyDocument") or given.get("PolicyDocument")
    ),
    "user-pools": _one_more("cognito", "_user_pools", ""),
    "clients-of-a-pool": _of_pool("_clients"),
    "groups-of-a-pool": _of_pool("_groups"),
    "resource-servers-of-a-pool": _of_pool("_resource_servers"),
    "networks": _one_more("ec2", "_vpcs", ""),
    "addresses": _one_more("ec2", "_addresses", ""),
}
