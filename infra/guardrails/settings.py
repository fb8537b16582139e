"""What settings of single types must say: closed, encrypted, kept, contained; a table a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from infra.guardrails import reasons

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from infra.guardrails.declared import Declared

_EVERYBODY: Final = frozenset({"0.0.0.0/0", "::/0"})
_BLOCKS: Final = (
    "blockPublicAcls",
    "blockPublicPolicy",
    "ignorePublicAcls",
    "restrictPublicBuckets",
)


def by_kind(
    kinds: Mapping[str, Callable[[Declared], Iterator[str]]],
) -> Callable[[Declared], Iterator[str]]:
    """A rule that asks each type its own question, and others none."""

    def check(declared: Declared) -> Iterator[str]:
        if (own := kinds.get(declared.kind)) is not None:
            yield from own(declared)

    return check


def _acl(declared: Declared) -> Iterator[str]:
    if str(declared.inputs.get("acl") or "private") != "private":
        yield f"acl `{declared.inputs['acl']}`"


def _public_access(declared: Declared) -> Iterator[str]:
    yield from (f"`{key}` is off" for key in _BLOCKS if declared.inputs.get(key) is not True)


def _ingress(declared: Declared) -> Iterator[str]:
    source = {declared.inputs.get("cidrIpv4"), declared.inputs.get("cidrIpv6")}
    ports = {declared.inputs.get("fromPort"), declared.inputs.get("toPort")}
    if source & _EVERYBODY and not (len(ports) == 1 and ports <= reasons.OPEN_PORTS.keys()):
        shown = "-".join(str(port) for port in sorted(ports, key=str))
        yield f"ports {shown} are open to every address"


def _subnet(declared: Declared) -> Iterator[str]:
    if declared.inputs.get("mapPublicIpOnLaunch"):
        yield "what starts in it gets a public address"


def _tasks(declared: Declared) -> Iterator[str]:
    if (declared.inputs.get("networkConfiguration") or {}).get("assignPublicIp"):
        yield "its tasks get public addresses"


def _sign_up(declared: Declared) -> Iterator[str]:
    config = declared.inputs.get("adminCreateUserConfig") or {}
    if config.get("allowAdminCreateUserOnly") is not True:
        yield "everybody may sign up"


NOT_PUBLIC: Final = by_kind(
    {
        "aws:cognito/userPool:UserPool": _sign_up,
        "aws:ec2/subnet:Subnet": _subnet,
        "aws:ecs/service:Service": _tasks,
        "aws:s3/bucket:Bucket": _acl,
        "aws:s3/bucketAcl:BucketAcl": _acl,
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _public_access,
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _ingress,
    }
)


def _table_key(declared: Declared) -> Iterator[str]:
    if (declared.inputs.get("serverSideEncryption") or {}).get("enabled") is not True:
        yield "not under a key of KMS"


def _queue_key(declared: Declared) -> Iterator[str]:
    if not (declared.inputs.get("sqsManagedSseEnabled") or declared.inputs.get("kmsMasterKeyId")):
        yield "messages are not encrypted"


def _topic_key(declared: Declared) -> Iterator[str]:
    named = declared.name in reasons.NOT_ENCRYPTED_BY_US
    if not (named or declared.inputs.get("kmsMasterKeyId")):
        yield "messages are not encrypted"


def _rotation(declared: Declared) -> Iterator[str]:
    """KMS rotates symmetric keys alone (source: its developer guide, "Rotating AWS KMS keys")."""
    spec = declared.inputs.get("customerMasterKeySpec") or "SYMMETRIC_DEFAULT"
    if spec == "SYMMETRIC_DEFAULT" and declared.inputs.get("enableKeyRotation") is not True:
        yield "is never rotated"


def _tls(declared: Declared) -> Iterator[str]:
    inputs = declared.inputs
    if inputs.get("protocol") in {"HTTPS", "TLS"}:
        if "TLS13-1-" not in str(inputs.get("sslPolicy")):
            yield f"policy `{inputs.get('sslPolicy')}` admits old TLS"
    elif any(action.get("type") != "redirect" for action in inputs["defaultActions"]):
        yield "answers without TLS"


ENCRYPTED: Final = by_kind(
    {
        "aws:dynamodb/table:Table": _table_key,
        "aws:kms/key:Key": _rotation,
        "aws:lb/listener:Listener": _tls,
        "aws:sns/topic:Topic": _topic_key,
        "aws:sqs/queue:Queue": _queue_key,
    }
)


def _log_days(declared: Declared) -> Iterator[str]:
    if not declared.inputs.get("retentionInDays"):
        yield "no `retentionInDays`: logs would be kept, and paid, for ever"


def _moments(declared: Declared) -> Iterator[str]:
    if (declared.inputs.get("pointInTimeRecovery") or {}).get("enabled") is not True:
        yield "cannot be restored to a moment"


def _versions(declared: Declared) -> Iterator[str]:
    if (declared.inputs.get("versioningConfiguration") or {}).get("status") != "Enabled":
        yield "no versions are kept"


def _errors(declared: Declared) -> Iterator[str]:
    if not declared.inputs.get("errorAction"):
        yield "what it cannot write is lost: no `errorAction`"


KEPT: Final = by_kind(
    {
        "aws:cloudwatch/logGroup:LogGroup": _log_days,
        "aws:dynamodb/table:Table": _moments,
        "aws:iot/topicRule:TopicRule": _errors,
        "aws:s3/bucketVersioning:BucketVersioning": _versions,
    }
)


def _store_mode(declared: Declared) -> Iterator[str]:
    mode = (declared.inputs.get("validationSettings") or {}).get("mode")
    if mode != "STRICT":
        yield f"takes policies that its schema does not allow (mode `{mode}`)"


STRICT: Final = by_kind({"aws:verifiedpermissions/policyStore:PolicyStore": _store_mode})


def _images(declared: Declared) -> Iterator[str]:
    if declared.inputs.get("imageTagMutability") != "IMMUTABLE":
        yield "a tag may come to mean another image"
    if (declared.inputs.get("imageScanningConfiguration") or {}).get("scanOnPush") is not True:
        yield "images are not scanned"


def _sign_in(declared: Declared) -> Iterator[str]:
    if "implicit" in (declared.inputs.get("allowedOauthFlows") or []):
        yield "tokens travel in addresses (flow `implicit`)"
    if declared.inputs.get("preventUserExistenceErrors") not in (None, "ENABLED"):
        yield "tells strangers who has an account"


def _headers(declared: Declared) -> Iterator[str]:
    if declared.inputs.get("dropInvalidHeaderFields") is not True:
        yield "passes malformed headers on"


def _samples(declared: Declared) -> Iterator[str]:
    """AWS keeps samples with all headers (source: WAFV2 API reference, GetSampledRequests)."""
    told = [declared.inputs, *(declared.inputs.get("rules") or [])]
    if any((one.get("visibilityConfig") or {}).get("sampledRequestsEnabled") for one in told):
        yield "samples of requests show tokens"


def _redacted(declared: Declared) -> Iterator[str]:
    fields = declared.inputs.get("redactedFields") or []
    hidden = {(field.get("singleHeader") or {}).get("name") for field in fields}
    yield from (
        f"writes the header `{header}` into its log"
        for header in ("authorization", "cookie")
        if header not in hidden
    )


CONTAINED: Final = by_kind(
    {
        "aws:cognito/userPoolClient:UserPoolClient": _sign_in,
        "aws:ecr/repository:Repository": _images,
        "aws:lb/loadBalancer:LoadBalancer": _headers,
        "aws:wafv2/webAcl:WebAcl": _samples,
        "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": _redacted,
    }
)
