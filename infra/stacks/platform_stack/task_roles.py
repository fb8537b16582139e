"""What the service's tasks may do themselves: become one tenant at a time, and read the registry to know which."""

from __future__ import annotations

from typing import Any

from infra import names


def task_trust(*, account_id: str) -> dict[str, Any]:
    """ECS tasks of this account may assume the role (source: ECS developer guide, task IAM roles)."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "ecs-tasks.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": account_id}},
            }
        ],
    }


def service_permissions(*, account_id: str, tenants_arn: str) -> dict[str, Any]:
    """Assume tenant roles, which only the path of their ARN admits, and read the registry.

    Everything that touches a tenant's data is done in that tenant's session; this role has no write at all.
    """
    path = names.TENANT_ROLE_PATH
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "BecomeOneTenant",
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Resource": f"arn:aws:iam::{account_id}:role{path}cedarfleet-*",
            },
            {
                "Sid": "ReadRegistry",
                "Effect": "Allow",
                "Action": "dynamodb:GetItem",
                "Resource": tenants_arn,
            },
        ],
    }


def execution_permissions(*, repository_arn: str, log_group_arn: str) -> dict[str, Any]:
    """What ECS itself needs to start a task: pull this one image, write this one log."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Login",
                "Effect": "Allow",
                "Action": "ecr:GetAuthorizationToken",
                "Resource": "*",  # the action knows no resource (source: ECR service authorization page)
            },
            {
                "Sid": "Pull",
                "Effect": "Allow",
                "Action": [
                    "ecr:BatchGetImage",
                    "ecr:GetDownloadUrlForLayer",
                    "ecr:BatchCheckLayerAvailability",
                ],
                "Resource": repository_arn,
            },
            {
                "Sid": "Log",
                "Effect": "Allow",
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": f"{log_group_arn}:*",
            },
        ],
    }
