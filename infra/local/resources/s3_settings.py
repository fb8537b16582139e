"""S3: the settings of a bucket, each a resource of its own: put, get and delete of one document."""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra.local.engine.handler import Handler, Made
from infra.local.resources.absence import absent_is_fine, unless_absent
from infra.local.resources.iam import same_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infra.local.engine.handler import Cloud


_OURS: Final = frozenset({"bucket", "region", "__defaults"})
_PUBLIC_ACCESS: Final = "PublicAccessBlockConfiguration"
_BLOCKS: Final = (
    "blockPublicAcls",
    "blockPublicPolicy",
    "ignorePublicAcls",
    "restrictPublicBuckets",
)


class BucketSetting(Handler):
    """One setting of a bucket; its id is the bucket's name.

    Args:
        setting: the operations' common name in boto3: `put_<setting>`, `get_<setting>`,
            `delete_<setting>`.
        document: from the inputs to the arguments of the put.
        removable: whether a delete call exists; without one the setting leaves with its bucket.
    """

    replace_on = frozenset({"bucket"})

    def __init__(
        self,
        setting: str,
        document: Callable[[dict[str, Any]], dict[str, Any]],
        *,
        removable: bool = True,
    ) -> None:
        self._setting, self._document, self._removable = setting, document, removable

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """Put the document."""
        getattr(cloud.client("s3"), f"put_{self._setting}")(
            Bucket=inputs["bucket"], **self._document(inputs)
        )
        return Made(inputs["bucket"], dict(inputs))

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """Put the document over the old one."""
        del id, old
        return self.create(cloud, inputs).outputs

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """The document, if there is one; what somebody else has changed of it shows."""
        answer = unless_absent(getattr(cloud.client("s3"), f"get_{self._setting}"), Bucket=id)
        if answer is None:
            return None
        if "Policy" in answer:
            return {**outputs, "policy": same_json(outputs.get("policy"), answer["Policy"])}
        if self._setting == "bucket_versioning":
            return {**outputs, "versioningConfiguration": {"status": answer.get("Status")}}
        [(name, wanted)] = self._document(outputs).items()
        # Of lifecycle and CORS, S3 answers the rules alone.
        now = answer.get(name, {key: answer.get(key, []) for key in wanted})
        if _holds(now, wanted):
            return outputs
        if name == _PUBLIC_ACCESS:
            return {**outputs, **{key: now.get(_member(key), False) for key in _BLOCKS}}
        # What differs shows as AWS has it, under the one input that is not the bucket.
        [only] = outputs.keys() - _OURS
        return {**outputs, only: now}

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """Delete the document."""
        del outputs
        # S3 names one pair of calls unevenly: PutBucketLifecycleConfiguration,
        # DeleteBucketLifecycle.
        setting = self._setting.replace("_lifecycle_configuration", "_lifecycle")
        if self._removable:
            with absent_is_fine():
                getattr(cloud.client("s3"), f"delete_{setting}")(Bucket=id)


def _holds(now: Any, wanted: Any) -> bool:
    """Whether a document holds all that is wanted; S3 adds members of its own."""
    if isinstance(wanted, dict):
        return isinstance(now, dict) and all(
            _holds(now.get(key), value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(now, list) and len(now) == len(wanted) and all(map(_holds, now, wanted))
    return bool(now == wanted)


def _public_access(inputs: dict[str, Any]) -> dict[str, Any]:
    return {_PUBLIC_ACCESS: {_member(key): inputs.get(key, False) for key in _BLOCKS}}


def _member(key: str) -> str:
    """An input's name as AWS writes it."""
    return key[:1].upper() + key[1:]


def _ownership(inputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "OwnershipControls": {"Rules": [{"ObjectOwnership": inputs["rule"]["objectOwnership"]}]}
    }


def _versioning(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"VersioningConfiguration": {"Status": inputs["versioningConfiguration"]["status"]}}


def _encryption(inputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "ServerSideEncryptionConfiguration": {
            "Rules": [
                {
                    "ApplyServerSideEncryptionByDefault": {
                        "SSEAlgorithm": rule["applyServerSideEncryptionByDefault"]["sseAlgorithm"]
                    }
                }
                for rule in inputs["rules"]
            ]
        }
    }


def _lifecycle(inputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "LifecycleConfiguration": {"Rules": [_lifecycle_rule(rule) for rule in inputs["rules"]]}
    }


def _lifecycle_rule(rule: dict[str, Any]) -> dict[str, Any]:
    written = {
        "ID": rule["id"],
        "Status": rule["status"],
        "Filter": {"Prefix": rule.get("filter", {}).get("prefix", "")},
        "NoncurrentVersionExpiration": {
            "NoncurrentDays": rule["noncurrentVersionExpiration"]["noncurrentDays"]
        },
    }
    if "abortIncompleteMultipartUpload" in rule:
        days = rule["abortIncompleteMultipartUpload"]["daysAfterInitiation"]
        written["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": days}
    if "expiration" in rule:
        written["Expiration"] = {"Days": rule["expiration"]["days"]}
    return written


def _cors(inputs: dict[str, Any]) -> dict[str, Any]:
    members = ("allowedHeaders", "allowedMethods", "allowedOrigins", "exposeHeaders")
    return {
        "CORSConfiguration": {
            "CORSRules": [
                {_member(key): rule[key] for key in members if key in rule}
                | {"MaxAgeSeconds": int(rule["maxAgeSeconds"])}
                for rule in inputs["corsRules"]
            ]
        }
    }


def _policy(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"Policy": inputs["policy"]}


_ENCRYPTION: Final = (
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
)
HANDLERS: Final[Mapping[str, Handler]] = {
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": BucketSetting(
        "public_access_block", _public_access
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": BucketSetting(
        "bucket_ownership_controls", _ownership
    ),
    "aws:s3/bucketVersioning:BucketVersioning": BucketSetting(
        "bucket_versioning", _versioning, removable=False
    ),
    _ENCRYPTION: BucketSetting("bucket_encryption", _encryption),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": BucketSetting(
        "bucket_lifecycle_configuration", _lifecycle
    ),
    "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration": BucketSetting("bucket_cors", _cors),
    "aws:s3/bucketPolicy:BucketPolicy": BucketSetting("bucket_policy", _policy),
}
