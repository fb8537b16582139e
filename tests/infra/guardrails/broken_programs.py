"""For each guardrail a program that breaks it, and the same program mended; imported by tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pulumi
import pulumi_aws as aws

if TYPE_CHECKING:
    from collections.abc import Callable

TAGS: Final = {"tenant": "acme", "stack": "cedarfleet/acme", "managed-by": "pulumi"}
ACCOUNT: Final = "123456789012"
TABLE: Final = f"arn:aws:dynamodb:eu-central-1:{ACCOUNT}:table/cedarfleet-commands"
TLS: Final = "ELBSecurityPolicy-TLS13-1-2-2021-06"
BALANCER: Final = f"arn:aws:elasticloadbalancing:eu-central-1:{ACCOUNT}:loadbalancer/app/x/1"


def tagged(tags: dict[str, str] | None = None, *, protect: bool = False) -> pulumi.ResourceOptions:
    """Options of a resource whose provider has default tags."""
    provider = aws.Provider(
        "aws", region="eu-central-1", default_tags={"tags": TAGS if tags is None else tags}
    )
    return pulumi.ResourceOptions(provider=provider, protect=protect)


def _grant(**statement: Any) -> None:
    told = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": TABLE} | statement
    aws.iam.RolePolicy(
        "grant",
        role="cedarfleet-acme",
        policy=json.dumps({"Version": "2012-10-17", "Statement": [told]}),
        opts=tagged(),
    )


def _role(principal: Any, **condition: Any) -> None:
    told = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal} | condition
    aws.iam.Role("role", assume_role_policy=json.dumps({"Statement": told}), opts=tagged())


def _table(*, protect: bool = True, **changed: Any) -> None:
    said: dict[str, Any] = {
        "hash_key": "id",
        "attributes": [{"name": "id", "type": "S"}],
        "billing_mode": "PAY_PER_REQUEST",
        "point_in_time_recovery": {"enabled": True},
        "server_side_encryption": {"enabled": True},
        "deletion_protection_enabled": True,
    }
    aws.dynamodb.Table("table", **said | changed, opts=tagged(protect=protect))


def _bucket(*, leave_out: str = "", protect: bool = True, **changed: Any) -> None:
    opts = tagged()
    said: dict[str, Any] = {"force_destroy": not protect}
    bucket = aws.s3.Bucket(
        "files",
        **said | changed,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(protect=protect)),
    )
    parts: dict[str, Callable[[], object]] = {
        "access": lambda: aws.s3.BucketPublicAccessBlock(
            "access",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=opts,
        ),
        "policy": lambda: aws.s3.BucketPolicy("policy", bucket=bucket.id, policy="{}", opts=opts),
        "versions": lambda: aws.s3.BucketVersioning(
            "versions",
            bucket=bucket.id,
            versioning_configuration={"status": "Enabled"},
            opts=opts,
        ),
        "encryption": lambda: aws.s3.BucketServerSideEncryptionConfiguration(
            "encryption",
            bucket=bucket.id,
            rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
            opts=opts,
        ),
    }
    for name, part in parts.items():
        if name != leave_out:
            part()


def _data(*, all_of_it: bool) -> None:
    _table()
    aws.kms.Key(
        "key",
        enable_key_rotation=True,
        opts=pulumi.ResourceOptions(
            provider=aws.Provider("other", region="eu-central-1", default_tags={"tags": TAGS}),
            protect=all_of_it,
        ),
    )


def _access(**changed: Any) -> None:
    keys = (
        "block_public_acls",
        "block_public_policy",
        "ignore_public_acls",
        "restrict_public_buckets",
    )
    said: dict[str, Any] = dict.fromkeys(keys, True)
    aws.s3.BucketPublicAccessBlock("access", bucket="files", **said | changed, opts=tagged())


def _open(**changed: Any) -> None:
    said: dict[str, Any] = {"from_port": 443, "to_port": 443, "cidr_ipv4": "0.0.0.0/0"}
    aws.vpc.SecurityGroupIngressRule(
        "in", security_group_id="sg-1", ip_protocol="tcp", **said | changed, opts=tagged()
    )


def _pool(**changed: Any) -> None:
    said: dict[str, Any] = {
        "admin_create_user_config": {"allow_admin_create_user_only": True},
        "deletion_protection": "INACTIVE",
    }
    aws.cognito.UserPool("pool", **said | changed, opts=tagged())


def _listener(**changed: Any) -> None:
    said: dict[str, Any] = {"port": 443, "protocol": "HTTPS", "ssl_policy": TLS} | changed
    kind = said.pop("does", "forward")
    aws.lb.Listener(
        "way-in",
        load_balancer_arn=BALANCER,
        default_actions=[{"type": kind}],
        **said,
        opts=tagged(),
    )


def _store(mode: str) -> None:
    aws.verifiedpermissions.PolicyStore(
        "store",
        validation_settings={"mode": mode},
        deletion_protection="DISABLED",
        opts=tagged(),
    )


def _rule(**changed: Any) -> None:
    said: dict[str, Any] = {
        "enabled": True,
        "sql": "SELECT * FROM 'a'",
        "sql_version": "2016-03-23",
        "error_action": {"sqs": {"role_arn": "r", "queue_url": "q", "use_base64": False}},
    }
    aws.iot.TopicRule("rule", **said | changed, opts=tagged())


def _repository(**changed: Any) -> None:
    said: dict[str, Any] = {
        "image_tag_mutability": "IMMUTABLE",
        "image_scanning_configuration": {"scan_on_push": True},
    }
    aws.ecr.Repository("images", **said | changed, opts=tagged())


def _client(flow: str, **changed: Any) -> None:
    aws.cognito.UserPoolClient(
        "app", user_pool_id="p", allowed_oauth_flows=[flow], **changed, opts=tagged()
    )


def _balancer(**changed: Any) -> None:
    aws.lb.LoadBalancer("balancer", **changed, opts=tagged())


def _acl(*, samples: bool) -> None:
    aws.wafv2.WebAcl(
        "rules",
        scope="REGIONAL",
        default_action={"allow": {}},
        visibility_config={
            "cloudwatch_metrics_enabled": True,
            "metric_name": "x",
            "sampled_requests_enabled": samples,
        },
        opts=tagged(),
    )


def _acl_log(*headers: str) -> None:
    aws.wafv2.WebAclLoggingConfiguration(
        "log",
        resource_arn=f"arn:aws:wafv2:eu-central-1:{ACCOUNT}:regional/webacl/x/1",
        log_destination_configs=[f"arn:aws:logs:eu-central-1:{ACCOUNT}:log-group:aws-waf-logs-x"],
        redacted_fields=[{"single_header": {"name": header}} for header in headers],
        opts=tagged(),
    )


def _made(resource: object) -> None:
    """A program of one resource."""
    del resource


def _subnet(**changed: Any) -> None:
    aws.ec2.Subnet("front", vpc_id="vpc-1", cidr_block="10.0.0.0/24", **changed, opts=tagged())


def _versions(status: str) -> None:
    aws.s3.BucketVersioning(
        "versions", bucket="files", versioning_configuration={"status": status}, opts=tagged()
    )


def _tasks(*, assign_public_ip: bool) -> None:
    aws.ecs.Service(
        "service",
        network_configuration={"subnets": ["s"], "assign_public_ip": assign_public_ip},
        opts=tagged(),
    )


@dataclass(frozen=True, kw_only=True)
class Case:
    """A program that breaks a rule.

    Attributes:
        rule: its name.
        says: words of the refusal.
        broken: the program.
        mended: the same without the fault.
    """

    rule: str
    says: str
    broken: Callable[[], None]
    mended: Callable[[], None]


_MINE: Final = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
_IOT: Final = {"Service": "iot.amazonaws.com"}
CASES: Final = (
    Case(
        rule="actions-named",
        says="action `dynamodb:*` has a wildcard",
        broken=lambda: _grant(Action=["dynamodb:*"]),
        mended=_grant,
    ),
    Case(
        rule="actions-named",
        says="`NotAction` grants",
        broken=lambda: _grant(NotAction="iam:PassRole"),
        mended=_grant,
    ),
    Case(
        rule="resources-named",
        says="`*` is the resource of dynamodb:GetItem",
        broken=lambda: _grant(Resource="*"),
        mended=lambda: _grant(Action="ecr:GetAuthorizationToken", Resource="*"),
    ),
    Case(
        rule="resources-named",
        says="names no account",
        broken=lambda: _grant(Resource=TABLE.replace(ACCOUNT, "*")),
        mended=_grant,
    ),
    Case(
        rule="resources-named",
        says="names no account",
        broken=lambda: _grant(Action="s3:GetObject", Resource="arn:aws:s3:::*"),
        mended=lambda: _grant(Action="s3:GetObject", Resource="arn:aws:s3:::acme/*"),
    ),
    Case(
        rule="resources-named",
        says="`NotResource` grants",
        broken=lambda: _grant(NotResource=TABLE),
        mended=_grant,
    ),
    Case(
        rule="trust-confined",
        says="grants to everybody",
        broken=lambda: _role("*"),
        mended=lambda: _role({"AWS": f"arn:aws:iam::{ACCOUNT}:role/cedarfleet-service"}),
    ),
    Case(
        rule="trust-confined",
        says="`iot.amazonaws.com` may come for another account",
        broken=lambda: _role(_IOT),
        mended=lambda: _role(_IOT, Condition=_MINE),
    ),
    Case(
        rule="not-public",
        says="`blockPublicPolicy` is off",
        broken=lambda: _access(block_public_policy=False),
        mended=_access,
    ),
    Case(
        rule="not-public",
        says="ports 22 are open",
        broken=lambda: _open(from_port=22, to_port=22),
        mended=_open,
    ),
    Case(
        rule="not-public",
        says="ports 443-8443 are open",
        broken=lambda: _open(to_port=8443),
        mended=lambda: _open(from_port=8443, to_port=8443, cidr_ipv4="10.20.0.0/16"),
    ),
    Case(
        rule="not-public",
        says="everybody may sign up",
        broken=lambda: _pool(admin_create_user_config={}),
        mended=_pool,
    ),
    Case(
        rule="not-public",
        says="acl `public-read`",
        broken=lambda: _bucket(acl="public-read"),
        mended=_bucket,
    ),
    Case(
        rule="not-public",
        says="gets a public address",
        broken=lambda: _subnet(map_public_ip_on_launch=True),
        mended=_subnet,
    ),
    Case(
        rule="not-public",
        says="its tasks get public addresses",
        broken=lambda: _tasks(assign_public_ip=True),
        mended=lambda: _tasks(assign_public_ip=False),
    ),
    Case(
        rule="encrypted",
        says="not under a key of KMS",
        broken=lambda: _table(server_side_encryption={"enabled": False}),
        mended=_table,
    ),
    Case(
        rule="encrypted",
        says="messages are not encrypted",
        broken=lambda: _made(aws.sqs.Queue("work", opts=tagged())),
        mended=lambda: _made(aws.sqs.Queue("work", sqs_managed_sse_enabled=True, opts=tagged())),
    ),
    Case(
        rule="encrypted",
        says="messages are not encrypted",
        broken=lambda: _made(aws.sns.Topic("told", opts=tagged())),
        mended=lambda: _made(aws.sns.Topic("alarms-alarms", opts=tagged())),
    ),
    Case(
        rule="encrypted",
        says="is never rotated",
        broken=lambda: _made(aws.kms.Key("key", opts=tagged())),
        mended=lambda: _made(aws.kms.Key("key", enable_key_rotation=True, opts=tagged())),
    ),
    Case(
        rule="encrypted",
        says="admits old TLS",
        broken=lambda: _listener(ssl_policy="ELBSecurityPolicy-2016-08"),
        mended=_listener,
    ),
    Case(
        rule="encrypted",
        says="answers without TLS",
        broken=lambda: _listener(port=80, protocol="HTTP", ssl_policy=None),
        mended=lambda: _listener(port=80, protocol="HTTP", ssl_policy=None, does="redirect"),
    ),
    Case(
        rule="kept",
        says="for ever",
        broken=lambda: _made(aws.cloudwatch.LogGroup("log", opts=tagged())),
        mended=lambda: _made(aws.cloudwatch.LogGroup("log", retention_in_days=30, opts=tagged())),
    ),
    Case(
        rule="kept",
        says="cannot be restored",
        broken=lambda: _table(point_in_time_recovery=None),
        mended=_table,
    ),
    Case(
        rule="kept",
        says="what it cannot write is lost",
        broken=lambda: _rule(error_action=None),
        mended=_rule,
    ),
    Case(
        rule="kept",
        says="no versions are kept",
        broken=lambda: _versions("Suspended"),
        mended=lambda: _versions("Enabled"),
    ),
    Case(
        rule="tagged",
        says="sets no default tag managed-by, stack",
        broken=lambda: _made(
            aws.cloudwatch.LogGroup("log", retention_in_days=1, opts=tagged({"tenant": "acme"}))
        ),
        mended=lambda: _made(aws.cloudwatch.LogGroup("log", retention_in_days=1, opts=tagged())),
    ),
    Case(
        rule="stores-strict",
        says="(mode `OFF`)",
        broken=lambda: _store("OFF"),
        mended=lambda: _store("STRICT"),
    ),
    Case(
        rule="deletion-agrees",
        says="`deletionProtectionEnabled` and `protect` do not agree",
        broken=lambda: _table(deletion_protection_enabled=False),
        mended=_table,
    ),
    Case(
        rule="deletion-agrees",
        says="`deletionProtection` and `protect` do not agree",
        broken=lambda: _pool(deletion_protection="ACTIVE"),
        mended=_pool,
    ),
    Case(
        rule="deletion-agrees",
        says="`forceDestroy` and `protect` do not agree",
        broken=lambda: _bucket(force_destroy=True),
        mended=_bucket,
    ),
    Case(
        rule="contained",
        says="a tag may come to mean another image",
        broken=lambda: _repository(image_tag_mutability="MUTABLE"),
        mended=_repository,
    ),
    Case(
        rule="contained",
        says="images are not scanned",
        broken=lambda: _repository(image_scanning_configuration=None),
        mended=_repository,
    ),
    Case(
        rule="contained",
        says="tells strangers",
        broken=lambda: _client("code", prevent_user_existence_errors="LEGACY"),
        mended=lambda: _client("code", prevent_user_existence_errors="ENABLED"),
    ),
    Case(
        rule="contained",
        says="passes malformed headers on",
        broken=lambda: _balancer(drop_invalid_header_fields=False),
        mended=lambda: _balancer(drop_invalid_header_fields=True),
    ),
    Case(
        rule="contained",
        says="samples of requests show tokens",
        broken=lambda: _acl(samples=True),
        mended=lambda: _acl(samples=False),
    ),
    Case(
        rule="contained",
        says="the header `authorization`",
        broken=lambda: _acl_log("cookie"),
        mended=lambda: _acl_log("authorization", "cookie"),
    ),
    Case(
        rule="contained",
        says="flow `implicit`",
        broken=lambda: _client("implicit"),
        mended=lambda: _client("code"),
    ),
    *(
        Case(
            rule="buckets-private",
            says=says,
            broken=lambda part=part: _bucket(leave_out=part),
            mended=_bucket,
        )
        for part, says in (
            ("access", "public access is not blocked"),
            ("policy", "no policy that refuses plain HTTP"),
            ("versions", "no versions are kept"),
            ("encryption", "no encryption is set"),
        )
    ),
    Case(
        rule="data-protected",
        says="is not protected, as other data",
        broken=lambda: _data(all_of_it=False),
        mended=lambda: _data(all_of_it=True),
    ),
)
