"""What IoT Core needs once: thing type, index, events, and the rules that write rows of devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from infra import names
from infra.stacks.platform_stack import device_events, job_events, live_events, status_rule

if TYPE_CHECKING:
    from infra.stacks.platform_stack.tables import Tables
    from infra.stacks.platform_stack.work import Work


@dataclass(frozen=True, kw_only=True)
class IotArgs:
    """The tables, of which the rules write two, the work, and the account that they run in."""

    tables: Tables
    work: Work
    account_id: pulumi.Output[str]


class Iot(pulumi.ComponentResource):
    """Thing type, registry events, rules with roles and error queue."""

    rule: aws.iot.TopicRule
    errors: aws.sqs.Queue
    thing_type: pulumi.Output[str]

    def __init__(
        self, name: str, args: IotArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:platform:Fleet", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        thing_type = aws.iot.ThingType(
            f"{name}-type",
            name=names.THING_TYPE,
            # Nothing searches by them any more; without them AWS would make another type, which it
            # cannot under the same name, and whose predecessor it keeps while things are of it.
            properties={
                "description": "a device managed by Cedarfleet",
                "searchable_attributes": ["kind", "region", "criticality"],
            },
            opts=self._child,
        )
        aws.iot.EventConfigurations(
            f"{name}-events",
            event_configurations=device_events.EVENTS,
            opts=self._child,
        )
        self.errors = aws.sqs.Queue(
            f"{name}-status-errors",
            name=names.STATUS_ERRORS_QUEUE,
            message_retention_seconds=14 * 24 * 3600,
            sqs_managed_sse_enabled=True,
            opts=self._child,
        )
        status_role, status_grant = self._status_role(name, args)
        self.rule = self._commands_rule(
            f"{name}-status",
            (names.STATUS_RULE, "states that devices report, beside the command's record"),
            status_rule.STATUS_SQL,
            args,
            role=status_role,
            grant=status_grant,
        )
        self._commands_rule(
            f"{name}-job-ended",
            (names.JOB_ENDED_RULE, "how jobs ended on devices, beside the download's record"),
            job_events.SQL,
            args,
            role=status_role,
            grant=status_grant,
        )
        self._event_rules(name, args)
        self.thing_type = thing_type.name
        self.register_outputs(
            {"rule": self.rule.name, "errors": self.errors.url, "thing_type": self.thing_type}
        )

    def _status_role(self, name: str, args: IotArgs) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
        """With which rules write into the commands table."""
        role = aws.iam.Role(
            f"{name}-status",
            name=names.STATUS_ROLE,
            description="IoT rule that records command states",
            assume_role_policy=pulumi.Output.json_dumps(
                args.account_id.apply(lambda account: status_rule.trust(account_id=account))
            ),
            opts=self._child,
        )
        grant = aws.iam.RolePolicy(
            f"{name}-status",
            name="write-states",
            role=role.name,
            policy=pulumi.Output.json_dumps(
                pulumi.Output.all(args.tables.commands.arn, self.errors.arn).apply(
                    lambda arns: status_rule.permissions(commands_arn=arns[0], errors_arn=arns[1])
                )
            ),
            opts=self._child,
        )
        return role, grant

    def _commands_rule(
        self,
        label: str,
        said: tuple[str, str],
        sql: str,
        args: IotArgs,
        *,
        role: aws.iam.Role,
        grant: aws.iam.RolePolicy,
    ) -> aws.iot.TopicRule:
        """A rule that writes rows of the commands table; `said` are its name and description."""
        name, description = said
        return aws.iot.TopicRule(
            label,
            name=name,
            description=description,
            enabled=True,
            sql=sql,
            sql_version=status_rule.SQL_VERSION,
            dynamodbv2s=[
                {"role_arn": role.arn, "put_item": {"table_name": args.tables.commands.name}}
            ],
            error_action={
                "sqs": {"role_arn": role.arn, "queue_url": self.errors.url, "use_base64": False}
            },
            opts=pulumi.ResourceOptions.merge(
                self._child, pulumi.ResourceOptions(depends_on=[grant])
            ),
        )

    def _event_rules(self, name: str, args: IotArgs) -> None:
        role = aws.iam.Role(
            f"{name}-device-events",
            name=names.DEVICE_EVENTS_ROLE,
            description="IoT rules that record what happens to devices",
            assume_role_policy=pulumi.Output.json_dumps(
                args.account_id.apply(lambda account: status_rule.trust(account_id=account))
            ),
            opts=self._child,
        )
        grant = aws.iam.RolePolicy(
            f"{name}-device-events",
            name="write-events",
            role=role.name,
            policy=pulumi.Output.json_dumps(
                pulumi.Output.all(
                    args.tables.devices.arn, self.errors.arn, args.work.queue.arn
                ).apply(
                    lambda arns: device_events.permissions(
                        devices_arn=arns[0], errors_arn=arns[1], work_arn=arns[2]
                    )
                )
            ),
            opts=self._child,
        )
        rules = {event: (f"are {event}", sql) for event, sql in device_events.RULES.items()}
        rules["versions"] = ("tell their versions", device_events.VERSIONS)
        for event, (said, sql) in rules.items():
            aws.iot.TopicRule(
                f"{name}-device-{event}",
                name=f"{names.DEVICE_EVENTS_RULE}_{event}",
                description=f"devices that {said}, each in a row of its own",
                enabled=True,
                sql=sql,
                sql_version=status_rule.SQL_VERSION,
                dynamodbv2s=[
                    {"role_arn": role.arn, "put_item": {"table_name": args.tables.devices.name}}
                ],
                error_action={
                    "sqs": {"role_arn": role.arn, "queue_url": self.errors.url, "use_base64": False}
                },
                opts=pulumi.ResourceOptions.merge(
                    self._child, pulumi.ResourceOptions(depends_on=[grant])
                ),
            )
        work = {
            f"{name}-device-subscribed": (
                f"{names.DEVICE_EVENTS_RULE}_subscribed",
                "devices that subscribe anew, for the worker",
                device_events.SUBSCRIBED,
            ),
            **{
                f"{name}-live-{event.replace('_', '-')}": (
                    f"{names.LIVE_EVENTS_RULE}_{event}",
                    f"{event.replace('_', ' ')}, for the worker to tell",
                    sql,
                )
                for event, sql in live_events.RULES.items()
            },
        }
        for label, (rule, description, sql) in work.items():
            aws.iot.TopicRule(
                label,
                name=rule,
                description=description,
                enabled=True,
                sql=sql,
                sql_version=status_rule.SQL_VERSION,
                sqs=[
                    {"role_arn": role.arn, "queue_url": args.work.queue.url, "use_base64": False},
                ],
                error_action={
                    "sqs": {"role_arn": role.arn, "queue_url": self.errors.url, "use_base64": False}
                },
                opts=pulumi.ResourceOptions.merge(
                    self._child, pulumi.ResourceOptions(depends_on=[grant])
                ),
            )
