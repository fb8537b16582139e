"""What the service's tasks may do: become one tenant at a time, and read the registry."""

from __future__ import annotations

from typing import Final

from infra import names
from infra.stacks import iam

# A call may have several events: each of this kind, or none is let in. Without `Null` an absent
# key would pass: fail closed (source: EventBridge user guide, "Using IAM policy conditions", and
# IAM user guide, "Multivalued context keys").
USAGE_ALONE: Final = {
    "ForAllValues:StringEquals": {
        "events:source": ["cedarfleet.tenants"],
        "events:detail-type": ["tenant.usage"],
    },
    "Null": {"events:source": "false", "events:detail-type": "false"},
}


def task_trust(*, account_id: str) -> iam.Document:
    """ECS tasks of this account may assume the role (source: ECS developer guide)."""
    return iam.trust("ecs-tasks.amazonaws.com", account_id)


def service_permissions(
    *, account_id: str, tenants_arn: str, commands_arn: str, work_arn: str, webhook_key_arn: str
) -> iam.Document:
    """Assume tenant roles, read the registry, and hand work to the worker.

    Everything that touches a tenant's data is done in that tenant's session; what this role writes
    by itself are ids in messages, and the rows of the buckets that all tenants share
    (docs/adr/0022).
    """
    return iam.document(
        *_for_tenants(account_id=account_id, tenants_arn=tenants_arn),
        # Digests of the policies that it has copies of, many tenants' at once (docs/adr/0025); the
        # worker has no copies.
        iam.allow("ReadDigests", "dynamodb:BatchGetItem", tenants_arn),
        iam.allow("HandOver", "sqs:SendMessage", work_arn),
        # What it seals it cannot open: a secret is told once, and then the worker's alone.
        iam.allow("SealSecrets", "kms:Encrypt", webhook_key_arn),
        take_of_the_account(commands_arn),
    )


def worker_permissions(
    *,
    account_id: str,
    tenants_arn: str,
    commands_arn: str,
    work_arn: str,
    schedules_arn: str,
    timer_role_arn: str,
    audit_key_arn: str,
    webhook_key_arn: str,
    bus_arn: str,
) -> iam.Document:
    """As the service, and take work off the queue, and set the timers that send more of it.

    Args:
        account_id: twelve digits.
        tenants_arn: of the registry.
        commands_arn: of the table with the bucket that holds the account's rate of jobs.
        work_arn: of the work queue.
        schedules_arn: of all timers; each is named after a tenant.
        timer_role_arn: that a timer is given.
        audit_key_arn: of the key that signs checkpoints; nobody but the worker signs.
        webhook_key_arn: of the key that seals secrets of webhooks; the worker alone opens them.
        bus_arn: of the account's default event bus, which is told of days of usage.
    """
    to_scheduler = {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
    return iam.document(
        *_for_tenants(account_id=account_id, tenants_arn=tenants_arn),
        iam.allow(
            "Work",
            [
                "sqs:ReceiveMessage",
                "sqs:DeleteMessage",
                "sqs:ChangeMessageVisibility",
                "sqs:SendMessage",
            ],
            work_arn,
        ),
        take_of_the_account(commands_arn),
        iam.allow(
            "Timers",
            ["scheduler:CreateSchedule", "scheduler:UpdateSchedule", "scheduler:DeleteSchedule"],
            schedules_arn,
        ),
        iam.allow("TimersSend", "iam:PassRole", timer_role_arn, when=to_scheduler),
        iam.allow("SignAudit", ["kms:GetPublicKey", "kms:Sign"], audit_key_arn),
        iam.allow("OpenSecrets", "kms:Decrypt", webhook_key_arn),
        iam.allow("TellUsage", "events:PutEvents", bus_arn, when=USAGE_ALONE),
    )


def timer_trust(*, account_id: str) -> iam.Document:
    """Schedules of this account may assume the role (source: Scheduler user guide)."""
    return iam.trust("scheduler.amazonaws.com", account_id)


def timer_permissions(*, work_arn: str) -> iam.Document:
    """What a timer does: send its message to the work queue."""
    return iam.document(iam.allow("Send", "sqs:SendMessage", work_arn))


def _for_tenants(*, account_id: str, tenants_arn: str) -> list[iam.Statement]:
    """Assume tenant roles, which only the path of their ARN admits, and read the registry."""
    path = names.TENANT_ROLE_PATH
    return [
        iam.allow(
            "BecomeOneTenant",
            "sts:AssumeRole",
            f"arn:aws:iam::{account_id}:role{path}cedarfleet-*",
        ),
        iam.allow("ReadRegistry", "dynamodb:GetItem", tenants_arn),
        # A device that enrols, or subscribes, names its tenant, and has no token whose issuer is
        # the row's key.
        iam.allow(
            "FindTenant", "dynamodb:Query", f"{tenants_arn}/index/{names.TENANTS_BY_TENANT_INDEX}"
        ),
    ]


def take_of_the_account(commands_arn: str) -> iam.Statement:
    """Take tokens of the buckets that belong to no tenant: rates that AWS gives the account.

    No tenant's role reaches their keys, and this statement reaches no tenant's.
    """
    return iam.allow(
        "TakeOfTheAccount",
        "dynamodb:UpdateItem",
        commands_arn,
        when={
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["budget#*"]},
            # Without it an absent key would pass: fail closed.
            "Null": {"dynamodb:LeadingKeys": "false"},
        },
    )


def execution_permissions(*, repository_arn: str, log_group_arn: str) -> iam.Document:
    """What ECS itself needs to start a task: pull this one image, write this one log."""
    return iam.document(
        # The action knows no resource (source: ECR service authorization page).
        iam.allow("Login", "ecr:GetAuthorizationToken", "*"),
        iam.allow(
            "Pull",
            [
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
                "ecr:BatchCheckLayerAvailability",
            ],
            repository_arn,
        ),
        iam.allow("Log", ["logs:CreateLogStream", "logs:PutLogEvents"], f"{log_group_arn}:*"),
    )
