"""What the stacks export, and how a tenant's stack reads the platform's: each name is a field."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Final, Self

import pulumi

from infra import names
from infra.stacks.config.limits import FIRST_CELL
from infra.stacks.config.reading import ConfigError

# Outputs that no tenant's stack needs: it can be previewed against a platform that has none yet.
_NOT_FOR_TENANTS: Final = {"for_tenants": False}


@dataclass(frozen=True, kw_only=True)
class _Outputs:
    def export(self) -> None:
        """Make each field an output of the stack that runs, under the field's name."""
        for one in fields(self):
            pulumi.export(one.name, getattr(self, one.name))


@dataclass(frozen=True, kw_only=True)
class PlatformOutputs(_Outputs):
    """What the platform's stack exports, and a tenant's stack knows of it.

    Attributes:
        region: of the platform; every tenant's stack is in the same.
        cidr: of its network.
        availability_zones: of its subnets.
        account_id: twelve digits.
        tenants_table: where the registry rows go.
        devices_table: what is known of each device.
        iot_data_endpoint: host of the account's own MQTT and data plane.
        device_endpoint: name of ours that devices dial; none: `iot_data_endpoint`.
        cell: what the platform is called; none before it was stamped with one.
        commands_table: shared table that each tenant's role reaches its own rows of.
        audit_table: the same for the audit trail.
        audit_key: ARN of the key that signs checkpoints of the audit trails.
        webhook_key: ARN of the key that seals the secrets of webhooks.
        thing_type: type of every device.
        status_errors_queue: URL of the queue of states that could not be written.
        service_role_arn: who may assume the tenants' roles.
        worker_role_arn: who may, too.
        work_queue: URL of the queue of work for the worker.
        dead_work_queue: URL of the queue of work that nobody could do.
        timer_role_arn: with which a timer sends to the work queue.
        service_url: of the API.
        image_repository: where the service's images are pushed to.
        log_group: of the service.
        alarms_topic_arn: where alarms are sent.
        mail_from: who invites people; none: Cognito's own sender.
        mail_identity: ARN of its domain in SES.
    """

    region: pulumi.Output[str]
    cidr: pulumi.Output[str] = field(metadata=_NOT_FOR_TENANTS)
    availability_zones: pulumi.Output[list[str]] = field(metadata=_NOT_FOR_TENANTS)
    account_id: pulumi.Output[str]
    tenants_table: pulumi.Output[str]
    devices_table: pulumi.Output[str] = field(metadata=_NOT_FOR_TENANTS)
    iot_data_endpoint: pulumi.Output[str] = field(metadata=_NOT_FOR_TENANTS)
    device_endpoint: pulumi.Output[str | None] = field(metadata=_NOT_FOR_TENANTS)
    cell: pulumi.Output[str] = field(metadata=_NOT_FOR_TENANTS)
    commands_table: pulumi.Output[str]
    audit_table: pulumi.Output[str]
    audit_key: pulumi.Output[str] = field(metadata=_NOT_FOR_TENANTS)
    webhook_key: pulumi.Output[str] = field(metadata=_NOT_FOR_TENANTS)
    thing_type: pulumi.Output[str]
    status_errors_queue: pulumi.Output[str]
    service_role_arn: pulumi.Output[str]
    worker_role_arn: pulumi.Output[str] = field(metadata=_NOT_FOR_TENANTS)
    work_queue: pulumi.Output[str] = field(metadata=_NOT_FOR_TENANTS)
    dead_work_queue: pulumi.Output[str] = field(metadata=_NOT_FOR_TENANTS)
    timer_role_arn: pulumi.Output[str] = field(metadata=_NOT_FOR_TENANTS)
    service_url: pulumi.Output[str]
    image_repository: pulumi.Output[str]
    log_group: pulumi.Output[str]
    alarms_topic_arn: pulumi.Output[str]
    mail_from: pulumi.Output[str | None] = field(metadata=_NOT_FOR_TENANTS)
    mail_identity: pulumi.Output[str | None] = field(metadata=_NOT_FOR_TENANTS)

    @classmethod
    def read(cls, *, region: str, cell: str) -> Self:
        """The platform stack's outputs, as known after its last `up`.

        Args:
            region: this stack's region. Another one than the platform's fails every resource of the
                stack before it is made, since the provider waits for the answer.
            cell: that the tenant's file names; likewise.
        """
        stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{names.PLATFORM_STACK}"
        reference = pulumi.StackReference("platform", stack_name=stack)
        return cls._checked(
            {
                one.name: reference.require_output(one.name)
                if one.metadata.get("for_tenants", True)
                else reference.get_output(one.name)
                for one in fields(cls)
            },
            region=region,
            cell=cell,
        )

    @classmethod
    def known(cls, outputs: pulumi.Input[dict[str, Any]], *, region: str, cell: str) -> Self:
        """The platform stack's outputs, as a mapping that somebody has.

        Args:
            outputs: name -> value; one that a tenant needs and that is not there fails what needs
                it, by its name.
            region: as in ``read``.
            cell: as in ``read``.
        """
        found = pulumi.Output.from_input(outputs)

        def one_of(name: str, *, needed: bool) -> pulumi.Output[Any]:
            return found.apply(lambda all_of: _taken(all_of, name, needed=needed))

        return cls._checked(
            {
                one.name: one_of(one.name, needed=one.metadata.get("for_tenants", True))
                for one in fields(cls)
            },
            region=region,
            cell=cell,
        )

    @classmethod
    def _checked(cls, found: dict[str, pulumi.Output[Any]], *, region: str, cell: str) -> Self:
        found["region"] = pulumi.Output.all(found["region"], found["cell"]).apply(
            lambda known: _same(region=known[0], cell=known[1], asked=(region, cell))
        )
        return cls(**found)

    def as_mapping(self) -> pulumi.Output[dict[str, Any]]:
        """Name -> value."""
        return pulumi.Output.all(**{one.name: getattr(self, one.name) for one in fields(self)})

    @property
    def arns(self) -> pulumi.Output[names.Arns]:
        """Builder of ARNs of this account and region."""
        return pulumi.Output.all(self.region, self.account_id).apply(
            lambda known: names.Arns(region=known[0], account_id=known[1])
        )


def _taken(outputs: dict[str, Any], name: str, *, needed: bool) -> Any:
    if needed and outputs.get(name) is None:
        raise ConfigError(f"the platform's stack has no output `{name}`: stamp it first")
    return outputs.get(name)


def _same(*, region: str, cell: str | None, asked: tuple[str, str]) -> str:
    file = f"tenants/Pulumi.{pulumi.get_stack()}.yaml"
    if region != asked[0]:
        raise ConfigError(
            f"{file}: aws:region: must be the platform's region `{region}`, is `{asked[0]}`"
        )
    if (cell or FIRST_CELL) != asked[1]:
        raise ConfigError(
            f"{file}: cedarfleet:tenant.cell: the platform of this account is cell "
            f"`{cell or FIRST_CELL}`, the file asks for `{asked[1]}`: stamp with the credentials "
            "and the state backend of that cell (docs/operations.md)"
        )
    return region


@dataclass(frozen=True, kw_only=True)
class TenantOutputs(_Outputs):
    """What a tenant's stack exports: what operators, tenants' programs and devices are set up with.

    Attributes:
        tenant: its id.
        issuer: of the tokens of its people and machines.
        user_pool_id: of its people.
        client_id: of the app that people sign in with.
        console_client_id: of the console.
        cli_client_id: of the command line.
        agent_client_id: of agents that act for people.
        machine_clients: machine -> client id.
        machine_secrets: machine -> client secret; a secret output.
        sign_in_url: of its sign-in page.
        policy_store_id: of its policies.
        policy_names: id of a stamped policy -> our name of it.
        thing_group: of all its devices.
        bucket: of its files.
        presign_role_arn: with which IoT Jobs signs download URLs.
        role_arn: with which the service acts for it.
    """

    tenant: str
    issuer: pulumi.Output[str]
    user_pool_id: pulumi.Output[str]
    client_id: pulumi.Output[str]
    console_client_id: pulumi.Output[str]
    cli_client_id: pulumi.Output[str]
    agent_client_id: pulumi.Output[str]
    machine_clients: pulumi.Output[dict[str, str]]
    machine_secrets: pulumi.Output[dict[str, str]]
    sign_in_url: pulumi.Output[str]
    policy_store_id: pulumi.Output[str]
    policy_names: pulumi.Output[dict[str, str]]
    thing_group: pulumi.Output[str]
    bucket: pulumi.Output[str]
    presign_role_arn: pulumi.Output[str]
    role_arn: pulumi.Output[str]
