"""S3: buckets."""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from infra.local.engine.handler import Handler, Made
from infra.local.resources.absence import absent_is_fine, unless_absent
from infra.local.resources.tags import differ, pairs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.engine.handler import Cloud


class Bucket(Handler):
    """`aws.s3.Bucket`, named by `bucket`, or by `bucketPrefix` and a random end."""

    replace_on = frozenset({"bucket", "bucketPrefix"})
    taggable = True

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateBucket and its tags."""
        client = cloud.client("s3")
        name = inputs.get("bucket") or f"{inputs['bucketPrefix']}{secrets.token_hex(6)}"
        client.create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": cloud.region}
        )
        if pairs(inputs):
            self._tag(cloud, name, inputs)
        return Made(name, _outputs(cloud, name, inputs))

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """Tags, and whether a delete takes the objects along."""
        if differ(old, inputs, "tags"):
            self._tag(cloud, id, inputs)
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """HeadBucket."""
        return None if unless_absent(cloud.client("s3").head_bucket, Bucket=id) is None else outputs

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteBucket; with `forceDestroy` every version of every object first."""
        client = cloud.client("s3")
        with absent_is_fine():
            if outputs.get("forceDestroy"):
                for page in client.get_paginator("list_object_versions").paginate(Bucket=id):
                    for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                        client.delete_object(
                            Bucket=id, Key=entry["Key"], VersionId=entry["VersionId"]
                        )
            client.delete_bucket(Bucket=id)

    def _tag(self, cloud: Cloud, name: str, inputs: dict[str, Any]) -> None:
        # The whole set at once; an empty one cannot be put.
        if tags := pairs(inputs):
            cloud.client("s3").put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})
        else:
            cloud.client("s3").delete_bucket_tagging(Bucket=name)


def _outputs(cloud: Cloud, name: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        **properties,
        "bucket": name,
        "arn": f"arn:aws:s3:::{name}",
        "region": cloud.region,
        "bucketDomainName": f"{name}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{name}.s3.{cloud.region}.amazonaws.com",
    }


HANDLERS: Final[Mapping[str, Handler]] = {"aws:s3/bucket:Bucket": Bucket()}
