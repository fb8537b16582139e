"""IoT Core's registry: thing types, thing groups, policies, fleet index, events."""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from infra.local.engine.handler import Handler, Made
from infra.local.resources.absence import absent_is_fine, unless_absent
from infra.local.resources.iam import same_json
from infra.local.resources.tags import differ, pairs, retag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.engine.handler import Cloud


# The provider tries for so long to delete a type that it has deprecated (source: its
# `thing_type.go`); AWS wants five minutes in between.
_DEPRECATED_SECONDS: Final = 6 * 60
_TOO_EARLY: Final = "Please wait for 5 minutes after deprecation"
_LONGEST_PAUSE_SECONDS: Final = 10.0


class ThingType(Handler):
    """`aws.iot.ThingType`."""

    replace_on = frozenset({"name", "properties"})
    autoname = "name"
    taggable = True

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateThingType."""
        properties = inputs.get("properties", {})
        made = cloud.client("iot").create_thing_type(
            thingTypeName=inputs["name"],
            thingTypeProperties={
                "thingTypeDescription": properties.get("description", ""),
                "searchableAttributes": properties.get("searchableAttributes", []),
            },
            tags=pairs(inputs),
        )
        return Made(inputs["name"], {**inputs, "arn": made["thingTypeArn"]})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """Only tags can change in place."""
        del id
        retag(cloud.client("iot"), old["arn"], old, inputs)
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """DescribeThingType; that somebody has deprecated it shows."""
        answer = unless_absent(cloud.client("iot").describe_thing_type, thingTypeName=id)
        if answer is None:
            return None
        now = answer.get("thingTypeProperties", {})
        searched = now.get("searchableAttributes", [])
        known = outputs.get("properties", {}).get("searchableAttributes", [])
        properties = {
            "description": now.get("thingTypeDescription", ""),
            # A set, of which AWS keeps no order.
            "searchableAttributes": known if sorted(known) == sorted(searched) else searched,
        }
        return {
            **outputs,
            "name": id,
            "arn": answer["thingTypeArn"],
            "properties": _as_known(outputs.get("properties", {}), properties),
            **({"deprecated": True} if answer["thingTypeMetadata"].get("deprecated") else {}),
        }

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """Deprecate, then delete as soon as AWS does it, after five minutes."""
        del outputs
        client = cloud.client("iot")
        deadline, pause = time.monotonic() + _DEPRECATED_SECONDS, 0.01
        with absent_is_fine():
            client.deprecate_thing_type(thingTypeName=id)
            while True:
                try:
                    client.delete_thing_type(thingTypeName=id)
                except ClientError as error:
                    if _TOO_EARLY not in str(error) or time.monotonic() > deadline:
                        raise
                    time.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                else:
                    return


class ThingGroup(Handler):
    """`aws.iot.ThingGroup`, of the static kind."""

    replace_on = frozenset({"name", "parentGroupName"})
    autoname = "name"
    taggable = True
    unstable = frozenset({"version"})

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateThingGroup."""
        parent = (
            {"parentGroupName": inputs["parentGroupName"]} if "parentGroupName" in inputs else {}
        )
        made = cloud.client("iot").create_thing_group(
            thingGroupName=inputs["name"],
            thingGroupProperties=_group(inputs),
            tags=pairs(inputs),
            **parent,
        )
        return Made(made["thingGroupName"], {**inputs, "arn": made["thingGroupArn"], "version": 1})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """UpdateThingGroup of the version that is known, unless only tags differ; then those."""
        client, version = cloud.client("iot"), old["version"]
        if differ(old, inputs, "properties"):
            version = client.update_thing_group(
                thingGroupName=id,
                thingGroupProperties=_group(inputs),
                expectedVersion=old["version"],
            )["version"]
        retag(client, old["arn"], old, inputs)
        return {**old, **inputs, "version": version}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """DescribeThingGroup; properties that somebody else has changed show, and the version."""
        answer = unless_absent(cloud.client("iot").describe_thing_group, thingGroupName=id)
        if answer is None:
            return None
        now = answer.get("thingGroupProperties", {})
        properties = {
            "description": now.get("thingGroupDescription", ""),
            "attributePayload": {"attributes": now.get("attributePayload", {}).get("attributes")},
        }
        return {
            **outputs,
            "name": id,
            "arn": answer["thingGroupArn"],
            "version": answer["version"],
            "properties": _as_known(outputs.get("properties", {}), properties),
        }

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteThingGroup; members only lose their membership."""
        del outputs
        with absent_is_fine():
            cloud.client("iot").delete_thing_group(thingGroupName=id)

    def find(self, cloud: Cloud, inputs: dict[str, Any]) -> str | None:
        """The group of that name."""
        return inputs["name"] if self.read(cloud, inputs["name"], {}) is not None else None


class Policy(Handler):
    """`aws.iot.Policy`; a change is a new default version."""

    replace_on = frozenset({"name"})
    autoname = "name"
    taggable = True
    unstable = frozenset({"defaultVersionId"})

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreatePolicy."""
        made = cloud.client("iot").create_policy(
            policyName=inputs["name"], policyDocument=inputs["policy"], tags=pairs(inputs)
        )
        return Made(
            made["policyName"],
            {**inputs, "arn": made["policyArn"], "defaultVersionId": made["policyVersionId"]},
        )

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """CreatePolicyVersion; where AWS keeps no more versions, the lowest goes, and once more."""
        client = cloud.client("iot")
        if inputs["policy"] != old.get("policy"):
            wanted = {"policyName": id, "policyDocument": inputs["policy"], "setAsDefault": True}
            try:
                made = client.create_policy_version(**wanted)
            except client.exceptions.VersionsLimitExceededException:
                lowest = self._other_versions(client, id)[0]
                client.delete_policy_version(policyName=id, policyVersionId=lowest)
                made = client.create_policy_version(**wanted)
            version = made["policyVersionId"]
        else:
            version = old["defaultVersionId"]
        retag(client, old["arn"], old, inputs)
        return {**old, **inputs, "defaultVersionId": version}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """GetPolicy; a document that somebody else has changed shows."""
        answer = unless_absent(cloud.client("iot").get_policy, policyName=id)
        if answer is None:
            return None
        return {
            **outputs,
            "name": id,
            "arn": answer["policyArn"],
            "policy": same_json(outputs.get("policy"), answer["policyDocument"]),
            "defaultVersionId": answer["defaultVersionId"],
        }

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """Delete old versions first, as the provider does; a policy in use is refused, as on AWS.

        Certificates that still carry it were made at run time; whom they belong to, nobody here
        can know (API reference of AWS IoT, DeletePolicy: "A policy cannot be deleted if it has
        non-default versions or it is attached to any certificate").
        """
        del outputs
        client = cloud.client("iot")
        with absent_is_fine():
            for version in self._other_versions(client, id):
                client.delete_policy_version(policyName=id, policyVersionId=version)
            client.delete_policy(policyName=id)

    def find(self, cloud: Cloud, inputs: dict[str, Any]) -> str | None:
        """The policy of that name."""
        return inputs["name"] if self.read(cloud, inputs["name"], {}) is not None else None

    def _other_versions(self, client: Any, name: str) -> list[str]:
        versions = client.list_policy_versions(policyName=name)["policyVersions"]
        return sorted((v["versionId"] for v in versions if not v["isDefaultVersion"]), key=int)


class IndexingConfiguration(Handler):
    """`aws.iot.IndexingConfiguration`: one in an account and region, so a delete leaves it."""

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """UpdateIndexingConfiguration."""
        things = inputs.get("thingIndexingConfiguration", {})
        groups = inputs.get("thingGroupIndexingConfiguration", {})
        cloud.client("iot").update_indexing_configuration(
            thingIndexingConfiguration={
                "thingIndexingMode": things.get("thingIndexingMode", "OFF"),
                "thingConnectivityIndexingMode": things.get("thingConnectivityIndexingMode", "OFF"),
            },
            thingGroupIndexingConfiguration={
                "thingGroupIndexingMode": groups.get("thingGroupIndexingMode", "OFF")
            },
        )
        return Made(cloud.region, dict(inputs))

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """UpdateIndexingConfiguration."""
        del id, old
        return self.create(cloud, inputs).outputs

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """GetIndexingConfiguration; that somebody has switched the index off shows."""
        del id
        now = cloud.client("iot").get_indexing_configuration()
        things, groups = now["thingIndexingConfiguration"], now["thingGroupIndexingConfiguration"]
        return {
            **outputs,
            "thingIndexingConfiguration": {
                key: things.get(key, "OFF")
                for key in ("thingIndexingMode", "thingConnectivityIndexingMode")
            },
            "thingGroupIndexingConfiguration": {
                "thingGroupIndexingMode": groups.get("thingGroupIndexingMode", "OFF")
            },
        }

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """Nothing, as the real provider does."""


class EventConfigurations(Handler):
    """`aws.iot.EventConfigurations`: one in an account and region, so a delete leaves it."""

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """UpdateEventConfigurations: the kinds that are named; the others stay as they are."""
        named = {kind: {"Enabled": on} for kind, on in inputs["eventConfigurations"].items()}
        cloud.client("iot").update_event_configurations(eventConfigurations=named)
        return Made(cloud.region, dict(inputs))

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """UpdateEventConfigurations."""
        del id, old
        return self.create(cloud, inputs).outputs

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """DescribeEventConfigurations: all kinds, as the real provider reads them."""
        del id
        now = cloud.client("iot").describe_event_configurations()["eventConfigurations"]
        return {
            **outputs,
            "eventConfigurations": {kind: state["Enabled"] for kind, state in now.items()},
        }

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """Nothing, as the real provider does."""


def _as_known(known: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """What AWS says now, without what is empty and was never named."""
    return {key: value for key, value in now.items() if key in known or _said(value)}


def _said(value: Any) -> bool:
    return any(map(_said, value.values())) if isinstance(value, dict) else bool(value)


def _group(inputs: dict[str, Any]) -> dict[str, Any]:
    properties = inputs.get("properties", {})
    return {
        "thingGroupDescription": properties.get("description", ""),
        "attributePayload": {
            "attributes": properties.get("attributePayload", {}).get("attributes", {})
        },
    }


HANDLERS: Final[Mapping[str, Handler]] = {
    "aws:iot/thingType:ThingType": ThingType(),
    "aws:iot/thingGroup:ThingGroup": ThingGroup(),
    "aws:iot/policy:Policy": Policy(),
    "aws:iot/indexingConfiguration:IndexingConfiguration": IndexingConfiguration(),
    "aws:iot/eventConfigurations:EventConfigurations": EventConfigurations(),
}
