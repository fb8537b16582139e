"""KMS: keys that sign, and keys that seal."""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra.local.engine.handler import Handler, Made
from infra.local.resources.absence import absent_is_fine, unless_absent
from infra.local.resources.tags import changed, differ, pairs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.engine.handler import Cloud

_GONE: Final = frozenset({"PendingDeletion", "PendingReplicaDeletion"})


class Key(Handler):
    """`aws.kms.Key`, with the key policy that AWS gives by itself: IAM decides.

    Source: KMS developer guide, "Default key policy".
    """

    replace_on = frozenset({"customerMasterKeySpec", "keyUsage"})
    taggable = True

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateKey."""
        made = cloud.client("kms").create_key(
            Description=inputs.get("description", ""),
            KeySpec=inputs.get("customerMasterKeySpec", "SYMMETRIC_DEFAULT"),
            KeyUsage=inputs.get("keyUsage", "ENCRYPT_DECRYPT"),
            Tags=pairs(inputs, "TagKey", "TagValue"),
        )["KeyMetadata"]
        if inputs.get("enableKeyRotation"):
            _rotate(cloud, made["KeyId"], inputs)
        return Made(made["KeyId"], {**inputs, "arn": made["Arn"], "keyId": made["KeyId"]})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """UpdateKeyDescription, rotation, and the tags."""
        client = cloud.client("kms")
        if differ(old, inputs, "description"):
            client.update_key_description(KeyId=id, Description=inputs.get("description", ""))
        if differ(old, inputs, "enableKeyRotation", "rotationPeriodInDays"):
            if inputs.get("enableKeyRotation"):
                _rotate(cloud, id, inputs)
            else:
                client.disable_key_rotation(KeyId=id)
        if tags := pairs(inputs, "TagKey", "TagValue"):
            client.tag_resource(KeyId=id, Tags=tags)
        if gone := changed(old, inputs):
            client.untag_resource(KeyId=id, TagKeys=gone)
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """DescribeKey; a key that waits for its deletion is none."""
        answer = unless_absent(cloud.client("kms").describe_key, KeyId=id)
        if answer is None or answer["KeyMetadata"]["KeyState"] in _GONE:
            return None
        found = answer["KeyMetadata"]
        read = {**outputs, "description": found.get("Description", ""), "arn": found["Arn"]}
        if "enableKeyRotation" in outputs:
            status = cloud.client("kms").get_key_rotation_status(KeyId=id)
            read["enableKeyRotation"] = status["KeyRotationEnabled"]
            if "rotationPeriodInDays" in outputs:
                read["rotationPeriodInDays"] = status.get("RotationPeriodInDays")
        return read

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """ScheduleKeyDeletion: it can be called back until then."""
        with absent_is_fine():
            cloud.client("kms").schedule_key_deletion(
                KeyId=id, PendingWindowInDays=int(outputs.get("deletionWindowInDays", 30))
            )


def _rotate(cloud: Cloud, key: str, inputs: dict[str, Any]) -> None:
    """EnableKeyRotation; of a key that rotates it changes the period (source: its API page)."""
    period = inputs.get("rotationPeriodInDays")
    told = {} if period is None else {"RotationPeriodInDays": period}
    cloud.client("kms").enable_key_rotation(KeyId=key, **told)


HANDLERS: Final[Mapping[str, Handler]] = {"aws:kms/key:Key": Key()}
