"""The role that the service assumes for a tenant: its store, connections, jobs, files and rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from infra import names
from infra.stacks import iam

if TYPE_CHECKING:
    from infra.stacks.outputs import PlatformOutputs
    from infra.stacks.tenant_stack.bucket import Bucket
    from infra.stacks.tenant_stack.policy_store import PolicyStore
    from infra.stacks.tenant_stack.user_pool import UserPool


@dataclass(frozen=True, kw_only=True)
class ServiceRoleArgs:
    """Who may assume the role, and what it reaches."""

    tenant: str
    platform: PlatformOutputs
    policy_store: PolicyStore
    bucket: Bucket
    user_pool: UserPool


class ServiceRole(pulumi.ComponentResource):
    """The tenant's role with its one inline policy."""

    role_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: ServiceRoleArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:tenant:Access", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            f"{name}-role",
            name=names.tenant_role(args.tenant),
            path=names.TENANT_ROLE_PATH,
            description=f"the service acting for {args.tenant}",
            max_session_duration=3600,
            assume_role_policy=pulumi.Output.all(
                args.platform.service_role_arn, args.platform.arns
            ).apply(
                # By its name: a platform of the release before does not tell it yet.
                lambda known: json.dumps(trust(known[0], known[1].role("/", names.WORKER_ROLE)))
            ),
            opts=child,
        )
        aws.iam.RolePolicy(
            f"{name}-role",
            name="one-tenant",
            role=role.name,
            policy=pulumi.Output.all(
                arns=args.platform.arns,
                store_id=args.policy_store.store_id,
                bucket=args.bucket.bucket,
                pool_id=args.user_pool.pool_id,
                commands_table=args.platform.commands_table,
                audit_table=args.platform.audit_table,
            ).apply(lambda known: json.dumps(permissions(tenant=args.tenant, **known))),
            opts=child,
        )
        self.role_arn = role.arn
        self.register_outputs({"role_arn": self.role_arn})


def trust(service_role_arn: str, worker_role_arn: str) -> iam.Document:
    """The task roles of service and worker, and nobody else, may act for the tenant."""
    return iam.trust_roles(service_role_arn, worker_role_arn)


def permissions(
    *,
    tenant: str,
    arns: names.Arns,
    store_id: str,
    bucket: str,
    pool_id: str,
    commands_table: str,
    audit_table: str,
) -> iam.Document:
    """Exactly what the service does for a tenant.

    What is known of a device stands in the devices table, so nothing of IoT Core's registry is
    listed or searched; `iot:SearchIndex` AWS cannot confine to a tenant. A device that enrols gets
    thing and certificate by this role. For signing, and for attaching to a thing, AWS knows no
    resource: there the condition of the tenants' IoT policies, on the name of the thing
    (`iot_policies`), keeps tenants apart.

    CreateJob lists job *and* targets as resources, so a job with a foreign target is refused. The
    shared tables are confined by the leading key, and by `Null` since a `ForAllValues` condition
    holds when the key is absent (fail closed): no Scan, no PartiQL. A device's facts can be written
    and not deleted. The audit trail can be read and added to; that a row is not written over is the
    service's condition, since IAM knows none for it, and shows in the trail's chain
    (docs/adr/0042).
    """
    prefix = names.thing_prefix(tenant)
    things, jobs = arns.iot(f"thing/{prefix}*"), arns.iot(f"job/{prefix}*")
    group = arns.iot(f"thinggroup/{names.thing_group(tenant)}")
    presign = arns.role(names.PRESIGN_ROLE_PATH, names.presign_role(tenant))
    files = arns.bucket(bucket)
    own_rows = {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": [f"{prefix}*"]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    to_iot = {"StringEquals": {"iam:PassedToService": "iot.amazonaws.com"}}
    return iam.document(
        iam.allow(
            "Decide",
            # The batch operation asks for the same permission (source: Verified Permissions API,
            # BatchIsAuthorizedWithToken: it "doesn't have its own IAM permission"). Without a token
            # the worker asks again for whoever began a rollout, when a wave of it begins.
            ["verifiedpermissions:IsAuthorized", "verifiedpermissions:IsAuthorizedWithToken"],
            arns.policy_store(store_id),
        ),
        # For the copy that reads are decided by (docs/adr/0025). BatchGetPolicy "doesn't have its
        # own IAM permission" but GetPolicy's (source: Verified Permissions API, BatchGetPolicy).
        iam.allow(
            "ReadPolicies",
            [
                f"verifiedpermissions:{action}"
                for action in (
                    "GetPolicy",
                    "GetPolicyTemplate",
                    "GetSchema",
                    "ListPolicies",
                    "ListPolicyTemplates",
                )
            ],
            arns.policy_store(store_id),
        ),
        # For grants with an end (docs/adr/0038): AWS knows no condition on what a policy says, so
        # what else is written so shows by the digest alone (docs/adr/0025).
        iam.allow(
            "Grant",
            ["verifiedpermissions:CreatePolicy", "verifiedpermissions:DeletePolicy"],
            arns.policy_store(store_id),
        ),
        # People are invited, put into groups and signed out by the API; nothing of the pool itself,
        # and nobody's password or attributes, can be changed.
        iam.allow(
            "People",
            [
                f"cognito-idp:{action}"
                for action in (
                    "AdminAddUserToGroup",
                    "AdminCreateUser",
                    "AdminDisableUser",
                    "AdminEnableUser",
                    "AdminGetUser",
                    "AdminListGroupsForUser",
                    "AdminRemoveUserFromGroup",
                    "AdminUserGlobalSignOut",
                    "ListUsers",
                )
            ],
            arns.user_pool(pool_id),
        ),
        # Machines are made, rotated and revoked by the API (docs/adr/0039).
        iam.allow(
            "Machines",
            [
                f"cognito-idp:{action}"
                for action in (
                    "AddUserPoolClientSecret",
                    "CreateUserPoolClient",
                    "DeleteUserPoolClient",
                    "DeleteUserPoolClientSecret",
                    "ListUserPoolClientSecrets",
                    "ListUserPoolClients",
                )
            ],
            arns.user_pool(pool_id),
        ),
        iam.allow("SendCommands", ["iot:Publish"], arns.iot(f"topic/fleet/{prefix}*")),
        iam.allow(
            "SendDirectCommands",
            ["iot:SendDirectMessage"],
            arns.iot(f"client/{prefix}*"),
            # Source: AWS IoT Core developer guide, "Direct messaging policy examples".
            when={"StringLike": {"iot:Topic": f"fleet/{prefix}*"}},
        ),
        # The client id of a device is its thing's name (the resource's form: AWS IoT Core
        # developer guide, "AWS IoT Core action resources").
        iam.allow(
            "Connections",
            ["iot:DeleteConnection", "iot:GetConnection"],
            arns.iot(f"client/{prefix}*"),
        ),
        # A named shadow's ARN goes on with its name (source: AWS IoT developer guide, "AWS IoT Core
        # action resources").
        iam.allow("States", ["iot:GetThingShadow", "iot:UpdateThingShadow"], things),
        iam.allow(
            "OwnDevices",
            ["dynamodb:PutItem", "dynamodb:Query"],
            arns.table(names.DEVICES_TABLE),
            when=own_rows,
        ),
        iam.allow(
            "MakeThings",
            ["iot:AddThingToThingGroup", "iot:CreateThing"],
            [things, group, arns.iot(f"thingtype/{names.THING_TYPE}")],
        ),
        iam.allow(
            "Identify",
            ["iot:AttachPolicy", "iot:DescribeCertificate", "iot:UpdateCertificate"],
            [arns.iot("cert/*"), arns.iot(f"policy/{names.device_policy(tenant)}")],
        ),
        iam.allow("Retire", ["iot:ListJobExecutionsForThing", "iot:ListThingPrincipals"], things),
        # Neither knows a resource (source: AWS IoT service authorization page): an ARN would match
        # no call.
        iam.allow("Enrol", ["iot:AttachThingPrincipal", "iot:CreateCertificateFromCsr"], "*"),
        iam.allow("Jobs", ["iot:CreateJob"], [jobs, things]),
        iam.allow("JobsMade", ["iot:CancelJob", "iot:ListJobExecutionsForJob"], jobs),
        # What waits for a device that was retired; the first asks for job and thing (source: AWS
        # IoT service authorization page).
        iam.allow("JobsOfRetired", ["iot:CancelJobExecution"], [jobs, things]),
        iam.allow("SignDownloads", ["iam:PassRole"], presign, when=to_iot),
        # Without the right to list, S3 answers 403 for a file that does not exist, instead of 404.
        iam.allow("ListFiles", ["s3:ListBucket"], files),
        iam.allow("Files", ["s3:GetObject"], f"{files}/*"),
        # Parts are sent with URLs that this role signs; no file of another name can be written
        # (what each call asks for: S3 user guide, "Uploading and copying objects using multipart
        # upload", permissions).
        iam.allow(
            "Uploads",
            [
                "s3:AbortMultipartUpload",
                "s3:DeleteObject",
                "s3:GetObjectVersion",
                "s3:ListMultipartUploadParts",
                "s3:PutObject",
            ],
            f"{files}/{names.UPLOADS_PREFIX}*",
        ),
        # A device's form is signed by this role, so it must be allowed what the form does (docs: S3
        # API reference, "POST Object": "you must have WRITE access on a bucket").
        iam.allow("Logs", ["s3:PutObject"], f"{files}/{names.LOGS_PREFIX}*"),
        iam.allow(
            "OwnCommands",
            ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:Query"],
            arns.table(commands_table),
            when=own_rows,
        ),
        iam.allow(
            "OwnAudit",
            ["dynamodb:PutItem", "dynamodb:Query"],
            arns.table(audit_table),
            when=own_rows,
        ),
        # Erasing a person's key is the one thing that is ever taken away of a trail.
        iam.allow(
            "OwnPeople",
            ["dynamodb:DeleteItem", "dynamodb:GetItem"],
            arns.table(audit_table),
            when={
                "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [f"{prefix}people"]},
                "Null": {"dynamodb:LeadingKeys": "false"},
            },
        ),
    )
