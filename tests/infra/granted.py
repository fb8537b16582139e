"""What the stacks' roles are granted, and what no journey can show; imported by tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from infra import names
from infra.stacks import deploy_role
from infra.stacks.platform_stack import device_events, flow_logs, iot_log, status_rule, task_roles
from infra.stacks.tenant_stack import bucket, service_role, telemetry

ACCOUNT = "123456789012"
ARNS = names.Arns(region="eu-central-1", account_id=ACCOUNT)
WORK = f"arn:aws:sqs:eu-central-1:{ACCOUNT}:cedarfleet-work"
TABLE = ARNS.table("cedarfleet-commands")

PERMISSIONS: dict[str, dict[str, Any]] = {
    "service": task_roles.service_permissions(
        account_id=ACCOUNT,
        tenants_arn=ARNS.table("cedarfleet-tenants"),
        commands_arn=TABLE,
        work_arn=WORK,
        webhook_key_arn=f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/5678abcd",
    ),
    "worker": task_roles.worker_permissions(
        account_id=ACCOUNT,
        tenants_arn=ARNS.table("cedarfleet-tenants"),
        work_arn=WORK,
        schedules_arn=f"arn:aws:scheduler:eu-central-1:{ACCOUNT}:schedule/default/*--*",
        timer_role_arn=ARNS.role("/", "cedarfleet-timer"),
        audit_key_arn=f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/1234abcd",
        webhook_key_arn=f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/5678abcd",
        commands_arn=TABLE,
        bus_arn=f"arn:aws:events:eu-central-1:{ACCOUNT}:event-bus/default",
    ),
    "timer": task_roles.timer_permissions(work_arn=WORK),
    "execution": task_roles.execution_permissions(
        repository_arn=f"arn:aws:ecr:eu-central-1:{ACCOUNT}:repository/cedarfleet-service",
        log_group_arn=f"arn:aws:logs:eu-central-1:{ACCOUNT}:log-group:/cedarfleet/service",
    ),
    "status rule": status_rule.permissions(
        commands_arn=TABLE, errors_arn=f"arn:aws:sqs:eu-central-1:{ACCOUNT}:errors"
    ),
    "device events rule": device_events.permissions(
        devices_arn=ARNS.table("cedarfleet-devices"),
        errors_arn=f"arn:aws:sqs:eu-central-1:{ACCOUNT}:errors",
        work_arn=WORK,
    ),
    "flow logs": flow_logs.permissions(
        log_group_arn=f"arn:aws:logs:eu-central-1:{ACCOUNT}:log-group:/cedarfleet/network"
    ),
    "iot log": iot_log.permissions(
        log_group_arn=f"arn:aws:logs:eu-central-1:{ACCOUNT}:log-group:AWSIotLogsV2"
    ),
    "tenant": service_role.permissions(
        tenant="acme",
        arns=ARNS,
        store_id="ps1",
        bucket="acme-artifacts-1",
        pool_id="eu-central-1_acme",
        commands_table="cedarfleet-commands",
        audit_table="cedarfleet-audit",
    ),
    "presign": bucket.presign_permissions(bucket="acme-artifacts-1"),
    "telemetry": telemetry.permissions(
        tenant="acme",
        arns=ARNS,
        bucket="acme-artifacts-1",
        commands_table="cedarfleet-commands",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Role:
    """A kind of role.

    Attributes:
        name: of the role, of tenant `acme` where each tenant has one.
        document: what it is granted.
        unseen: actions that no journey shows it use -> why they are granted.
    """

    name: str
    document: dict[str, Any]
    unseen: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def actions(self) -> set[str]:
        """Every action that it is granted."""
        return {
            action
            for statement in self.document["Statement"]
            for action in listed(statement["Action"])
        }


def listed(value: str | list[str]) -> list[str]:
    """IAM allows one where it allows many."""
    return [value] if isinstance(value, str) else value


_BY_THE_PROVIDER: Final = (
    "not run: of the real provider, of the last release, or a change that no test makes"
)
_BY_AWS: Final = "not run: here rules, timers and streams write without asking IAM"


def _of_aws(name: str, document: str, why: str = _BY_AWS) -> Role:
    """A role with which AWS itself acts, not a program of ours."""
    role = Role(name=name, document=PERMISSIONS[document])
    return Role(name=name, document=role.document, unseen=dict.fromkeys(role.actions, why))


GRANTED: Final[dict[str, Role]] = {
    "service": Role(
        name=names.SERVICE_ROLE,
        document=PERMISSIONS["service"],
    ),
    "worker": Role(
        name=names.WORKER_ROLE,
        document=PERMISSIONS["worker"],
        unseen={
            "iam:PassRole": "not run: here CreateSchedule asks for no role that it is given",
        },
    ),
    "tenant": Role(
        name=names.tenant_role("acme"),
        document=PERMISSIONS["tenant"],
        unseen={
            "cognito-idp:ListUserPoolClients": "looks for machines that a killed process left, "
            "once an hour: tests/service/adapters/aws/every_call.py",
            "dynamodb:DeleteItem": "erases a person's key: tests/infra/test_isolation.py",
            "s3:AbortMultipartUpload": "ends an upload that nobody completes, after its time: "
            "tests/service/adapters/aws/every_call.py",
            "s3:ListBucket": "logs of a device; a file that is not there is 404 by it: "
            "tests/infra/test_isolation.py",
        },
    ),
    "presign": Role(
        name=names.presign_role("acme"),
        document=PERMISSIONS["presign"],
        unseen={
            "s3:GetObject": "a job of an earlier release names no version; those of now do",
        },
    ),
    "telemetry": _of_aws(names.telemetry_role("acme"), "telemetry"),
    "status": _of_aws(names.STATUS_ROLE, "status rule"),
    "events": _of_aws(names.DEVICE_EVENTS_ROLE, "device events rule"),
    "timer": _of_aws(names.TIMER_ROLE, "timer"),
    "execution": _of_aws(
        names.EXECUTION_ROLE, "execution", "not run: here a task is a process, without ECS"
    ),
    "flows": _of_aws(
        names.FLOW_LOGS_ROLE, "flow logs", "not run: here no network writes who spoke to whom"
    ),
    "iotlog": _of_aws(
        names.IOT_LOG_ROLE, "iot log", "not run: here IoT Core writes no log of its own"
    ),
    "deploy": Role(
        name=deploy_role.NAME,
        document={
            "Statement": [
                statement
                for document in deploy_role.policies(
                    region="eu-central-1", account_id=ACCOUNT
                ).values()
                for statement in document["Statement"]
            ]
        },
        unseen=dict.fromkeys(deploy_role.only_by_provider(), _BY_THE_PROVIDER),
    ),
}


def role_of(name: str) -> str | None:
    """The kind of a role of the stacks; one of each tenant's is of the kind of acme's."""
    for kind, role in GRANTED.items():
        if name == role.name or name == role.name.replace("acme", "globex"):
            return kind
    return None
