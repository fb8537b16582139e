"""Every IAM document, linted: no wildcard action, scoped resources, no tenant at another's."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from infra import names
from infra.stacks import iam
from infra.stacks.platform_stack import flow_logs, status_rule, task_roles
from infra.stacks.tenant_stack import bucket, service_role, telemetry
from service.adapters.memory.user_pool import MemoryUserPool
from service.domain.artifacts import is_artifact_name
from service.domain.budgets import Bucket
from service.domain.device_logs import LOGS_PREFIX
from service.domain.files import file_key
from service.domain.rates import Rate
from tests.infra.granted import ACCOUNT, ARNS, PERMISSIONS, TABLE, listed

TRUSTS: dict[str, dict[str, Any]] = {
    "service": task_roles.task_trust(account_id=ACCOUNT),
    "status rule": status_rule.trust(account_id=ACCOUNT),
    "tenant": service_role.trust(
        ARNS.role("/", "cedarfleet-service"), ARNS.role("/", "cedarfleet-worker")
    ),
    "timer": task_roles.timer_trust(account_id=ACCOUNT),
    "presign": bucket.presign_trust(tenant="acme", arns=ARNS),
    "telemetry": telemetry.trust(account_id=ACCOUNT),
    "flow logs": flow_logs.trust(account_id=ACCOUNT, region="eu-central-1"),
    "iot log": iam.trust("iot.amazonaws.com", ACCOUNT),
}
# AWS knows no resource for these (source: service authorization reference): `*`, and nothing else,
# grants them.
WITHOUT_RESOURCE = {
    "ecr:GetAuthorizationToken",
    "iot:AttachThingPrincipal",
    "iot:CreateCertificateFromCsr",
}


@pytest.mark.parametrize("name", PERMISSIONS)
def test_every_statement_names_its_actions(name: str) -> None:
    """Allow only, each action spelled out."""
    for statement in PERMISSIONS[name]["Statement"]:
        assert statement["Effect"] == "Allow"
        assert statement["Sid"].isalnum()
        for action in listed(statement["Action"]):
            assert re.fullmatch(r"[a-z0-9-]+:[A-Z][A-Za-z]+", action), action


@pytest.mark.parametrize("name", PERMISSIONS)
def test_every_statement_names_its_resources(name: str) -> None:
    """`*` stands where AWS knows no resource, nothing else does; an ARN is this account's."""
    for statement in PERMISSIONS[name]["Statement"]:
        if WITHOUT_RESOURCE & set(listed(statement["Action"])):
            assert statement["Resource"] == "*"
        for resource in listed(statement["Resource"]):
            if resource == "*":
                assert set(listed(statement["Action"])) <= WITHOUT_RESOURCE
            elif not resource.startswith("arn:aws:s3:::"):
                assert ACCOUNT in resource
                assert "*" not in resource.split(ACCOUNT)[0]


@pytest.mark.parametrize("name", ["tenant", "presign"])
def test_every_resource_of_a_tenant_names_the_tenant(name: str) -> None:
    """What is shared has its reason: tables (leading key), type, certificates."""
    shared = {
        ARNS.iot("thingtype/cedarfleet-device"),
        ARNS.iot("cert/*"),
        ARNS.policy_store("ps1"),
        ARNS.user_pool("eu-central-1_acme"),
    }
    for statement in PERMISSIONS[name]["Statement"]:
        for resource in listed(statement["Resource"]):
            if resource in shared or resource == "*":
                continue
            if ":table/" in resource:
                # A person's key alone can be deleted, and only of the one partition.
                keys = (
                    {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["acme--people"]}}
                    if "dynamodb:DeleteItem" in listed(statement["Action"])
                    else {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["acme--*"]}}
                )
                assert statement["Condition"] == keys | {
                    "Null": {
                        "dynamodb:LeadingKeys": "false"
                    },  # without it an absent key would pass: fail closed
                }
                continue
            last = re.split(r"[:/]", resource, maxsplit=5)[-1]
            assert re.search(r"(^|/|-)acme(--\*|-|$)", last), resource
            assert not re.search(r"acme\*", resource), (
                "a prefix without its separator reaches tenant `acme2` too"
            )


# By which key each service says for which account it comes.
SERVICES = {
    "ecs-tasks.amazonaws.com": "aws:SourceAccount",
    "firehose.amazonaws.com": "sts:ExternalId",
    "iot.amazonaws.com": "aws:SourceAccount",
    "scheduler.amazonaws.com": "aws:SourceAccount",
    "vpc-flow-logs.amazonaws.com": "aws:SourceAccount",
}
# What the roles of a tenant are assumed for; the platform's serve every tenant.
SOURCES: dict[str, dict[str, Any]] = {
    "presign": {"ArnLike": {"aws:SourceArn": ARNS.iot("job/acme--*")}},
    "flow logs": {
        "ArnLike": {"aws:SourceArn": f"arn:aws:ec2:eu-central-1:{ACCOUNT}:vpc-flow-log/*"}
    },
}


@pytest.mark.parametrize("name", TRUSTS)
def test_every_role_is_assumed_by_those_who_need_it(name: str) -> None:
    """Each service under the account's own hand, or our programs; never everybody."""
    for statement in TRUSTS[name]["Statement"]:
        assert statement["Action"] == "sts:AssumeRole"
        ((kind, principal),) = statement["Principal"].items()
        if kind == "Service":
            assert principal in SERVICES
            own = SERVICES[principal]
            assert {"StringEquals": {own: ACCOUNT}} | SOURCES.get(name, {}) == statement[
                "Condition"
            ]
        else:
            roles = ("cedarfleet-service", "cedarfleet-worker")
            assert principal == [f"arn:aws:iam::{ACCOUNT}:role/{role}" for role in roles]


def test_the_presign_role_is_passed_to_iot_only() -> None:
    """The service hands the role to IoT Jobs, and to nothing else that could run with it."""
    passes = [
        s for s in PERMISSIONS["tenant"]["Statement"] if "iam:PassRole" in listed(s["Action"])
    ]
    assert [(s["Action"], s["Condition"]) for s in passes] == [
        (["iam:PassRole"], {"StringEquals": {"iam:PassedToService": "iot.amazonaws.com"}})
    ]


def test_the_service_can_assume_tenant_roles_only() -> None:
    """The path admits the tenants' roles and none of the others that the program makes."""
    resource = next(
        s["Resource"] for s in PERMISSIONS["service"]["Statement"] if s["Sid"] == "BecomeOneTenant"
    )
    admitted = re.compile(re.escape(resource).replace(r"\*", ".*"))

    assert admitted.fullmatch(ARNS.role(names.TENANT_ROLE_PATH, names.tenant_role("acme")))
    for other in (
        ARNS.role(names.PRESIGN_ROLE_PATH, names.presign_role("acme")),
        ARNS.role("/", "cedarfleet-status-rule"),
        ARNS.role("/", "cedarfleet-execution"),
    ):
        assert admitted.fullmatch(other) is None


def test_the_accounts_buckets_and_the_tenants_rows_are_apart() -> None:
    """The service's role reaches no row of a tenant, and no tenant's role a bucket of all."""
    keys = {
        name: [
            condition["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
            for one in PERMISSIONS[name]["Statement"]
            if TABLE in listed(one["Resource"]) and (condition := one["Condition"])
        ]
        for name in ("service", "tenant")
    }
    assert keys == {"service": [["budget#*"]], "tenant": [["acme--*"]]}
    shared = Bucket(name="x", rate=Rate(per_second=1, burst=1))
    acmes = replace(shared, tenant=MemoryUserPool("acme").tenant)
    assert (shared.key[:7], acmes.key[:6]) == ("budget#", "acme--")


def test_uploads_and_logs_alone_are_written() -> None:
    """The tenant's role writes uploaded versions and devices' logs, and files of no other name."""
    resources = [
        resource
        for statement in PERMISSIONS["tenant"]["Statement"]
        if {"s3:PutObject", "s3:DeleteObject"} & set(listed(statement["Action"]))
        for resource in listed(statement["Resource"])
    ]
    bucket = "arn:aws:s3:::acme-artifacts-1"
    assert resources == [f"{bucket}/{file_key('*')}", f"{bucket}/{LOGS_PREFIX}*"]
    assert not is_artifact_name(file_key("01JD0000000000000000000000"))


def test_the_tenants_policy_fits_into_a_role() -> None:
    """An inline policy holds 10,240 characters without whitespace, also for the longest names."""
    document = service_role.permissions(
        tenant="t" * 32,
        arns=names.Arns(region="ap-southeast-1", account_id=ACCOUNT),
        store_id="p" * 22,
        bucket="b" * 63,
        pool_id="p" * 55,
        commands_table="cedarfleet-commands",
        audit_table="cedarfleet-audit",
    )
    assert len(re.sub(r"\s", "", json.dumps(document))) < 10_240
