"""The platform's stack, assembled: read it from top to bottom.

Logical names and type tokens are those of the first release and stay: another one would have AWS
make the resource anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws

from infra.stacks.kept import Kept, keep
from infra.stacks.outputs import PlatformOutputs
from infra.stacks.platform_stack.access_logs import AccessLogs, AccessLogsArgs
from infra.stacks.platform_stack.alarms import Alarms, AlarmsArgs
from infra.stacks.platform_stack.audit_key import AuditKey, AuditKeyArgs
from infra.stacks.platform_stack.balancer import Balancer, BalancerArgs
from infra.stacks.platform_stack.bill import Bill, BillArgs
from infra.stacks.platform_stack.dashboard import Dashboard, DashboardArgs
from infra.stacks.platform_stack.device_endpoint import DeviceEndpoint, DeviceEndpointArgs
from infra.stacks.platform_stack.firewall import Firewall, FirewallArgs
from infra.stacks.platform_stack.flow_logs import FlowLogs, FlowLogsArgs
from infra.stacks.platform_stack.iot import Iot, IotArgs
from infra.stacks.platform_stack.iot_log import IotLog, IotLogArgs
from infra.stacks.platform_stack.mail import Mail, MailArgs
from infra.stacks.platform_stack.network import Network, NetworkArgs
from infra.stacks.platform_stack.service import Service, ServiceArgs
from infra.stacks.platform_stack.tables import Tables, TablesArgs
from infra.stacks.platform_stack.webhook_key import WebhookKey, WebhookKeyArgs
from infra.stacks.platform_stack.work import Work, WorkArgs
from infra.stacks.provider import stack_provider, through

if TYPE_CHECKING:
    from infra.stacks.config.platform import PlatformConfig


_ANOTHER: Final = "make another platform, in an account of its own (docs/operations.md)"


def stamp_platform(config: PlatformConfig, *, region: str) -> None:
    """Make what all tenants share, and export what their stacks need to know of it."""
    provider = stack_provider(region=keep(region, *_kept(config, region)), tenant="none")
    opts = through(provider)
    account_id = aws.get_caller_identity_output(
        opts=pulumi.InvokeOutputOptions(provider=provider)
    ).account_id

    tables = Tables("tables", TablesArgs(protect=config.protect), opts)
    iot_data_endpoint = aws.iot.get_endpoint_output(
        endpoint_type="iot:Data-ATS", opts=pulumi.InvokeOutputOptions(provider=provider)
    ).endpoint_address
    audit_key = AuditKey("audit", AuditKeyArgs(protect=config.protect), opts)
    sealing = WebhookKeyArgs(protect=config.protect, rotation_days=config.key_rotation_days)
    webhook_key = WebhookKey("webhooks", sealing, opts)
    work = Work("work", WorkArgs(account_id=account_id), opts)
    iot = Iot("fleet", IotArgs(tables=tables, work=work, account_id=account_id), opts)
    network = Network("network", NetworkArgs(config=config, region=region), opts)
    access_logs = None
    if config.access_log_days is not None:
        kept_for = AccessLogsArgs(
            days=config.access_log_days,
            protect=config.protect,
            region=region,
            account_id=account_id,
        )
        access_logs = AccessLogs("access-logs", kept_for, opts)
    stands = BalancerArgs(config=config, network=network, access_logs=access_logs)
    balancer = Balancer("balancer", stands, opts)
    _watch(config, network, balancer, region=region, account_id=account_id, opts=opts)
    endpoint = DeviceEndpoint(
        "devices", DeviceEndpointArgs(config=config, iot_data_endpoint=iot_data_endpoint), opts
    )
    mail = None
    if config.mail_from is not None:
        sender = MailArgs(sender=config.mail_from, zone_id=config.hosted_zone_id)
        mail = Mail("mail", sender, opts)
    runs = config.image_tag is not None
    watched = AlarmsArgs(
        balancer=balancer,
        tables=tables,
        iot=iot,
        work=work,
        runs=runs,
        is_tried=runs and config.isolation_canary is not None,
        firewall=config.firewall,
        region=region,
    )
    alarms = Alarms("alarms", watched, opts)
    if config.monthly_dollars is not None:
        expected = BillArgs(
            monthly_dollars=config.monthly_dollars,
            topic_arn=alarms.topic_arn,
            account_id=account_id,
            region=region,
        )
        Bill("bill", expected, opts)
    service = Service(
        "api",
        ServiceArgs(
            config=config,
            region=region,
            account_id=account_id,
            network=network,
            balancer=balancer,
            alarms=alarms,
            tables=tables,
            work=work,
            audit_key=audit_key,
            webhook_key=webhook_key,
            iot_data_endpoint=iot_data_endpoint,
            device_endpoint=endpoint.host,
        ),
        opts,
    )
    shown = DashboardArgs(region=region, balancer=balancer, work=work, service=service)
    Dashboard("dashboard", shown, opts)

    PlatformOutputs(
        region=pulumi.Output.from_input(region),
        cidr=network.cidr,
        availability_zones=network.availability_zones,
        account_id=account_id,
        tenants_table=tables.tenants.name,
        devices_table=tables.devices.name,
        iot_data_endpoint=iot_data_endpoint,
        device_endpoint=endpoint.host,
        cell=pulumi.Output.from_input(config.cell),
        commands_table=tables.commands.name,
        audit_table=tables.audit.name,
        audit_key=audit_key.key.arn,
        webhook_key=webhook_key.key.arn,
        thing_type=iot.thing_type,
        status_errors_queue=iot.errors.url,
        service_role_arn=service.role_arn,
        worker_role_arn=service.worker_role_arn,
        work_queue=work.queue.url,
        dead_work_queue=work.dead.url,
        timer_role_arn=work.timer_role.arn,
        service_url=balancer.url,
        image_repository=service.repository_url,
        log_group=service.log_group,
        alarms_topic_arn=alarms.topic_arn,
        mail_from=pulumi.Output.from_input(config.mail_from),
        mail_identity=pulumi.Output.from_input(None if mail is None else mail.identity_arn),
    ).export()


def _watch(
    config: PlatformConfig,
    network: Network,
    balancer: Balancer,
    *,
    region: str,
    account_id: pulumi.Output[str],
    opts: pulumi.ResourceOptions,
) -> None:
    """What an operator switches on by the file: firewall, and logs of the network and of IoT."""
    if config.firewall is not None:
        before = FirewallArgs(
            balancer=balancer,
            mode=config.firewall,
            requests=config.firewall_requests,
            log_days=config.log_days,
            account_id=account_id,
            region=region,
        )
        Firewall("firewall", before, opts)
    if config.flow_log_days is not None:
        flows = FlowLogsArgs(
            network=network, days=config.flow_log_days, region=region, account_id=account_id
        )
        FlowLogs("flow-logs", flows, opts)
    if config.iot_log_level is not None:
        told = IotLogArgs(
            level=config.iot_log_level, log_days=config.log_days, account_id=account_id
        )
        IotLog("iot-log", told, opts)


def _kept(config: PlatformConfig, region: str) -> list[Kept]:
    return [
        Kept(
            key="aws:region",
            asked=region,
            output="region",
            why="everything of this platform is there, tables with their rows too",
            instead=_ANOTHER,
        ),
        Kept(
            key="cedarfleet:platform.cidr",
            asked=config.cidr,
            output="cidr",
            why="AWS changes no network's range and moves no load balancer to another network",
            instead=_ANOTHER,
        ),
        Kept(
            key="cedarfleet:platform.availability_zones",
            asked=list(config.availability_zones),
            output="availability_zones",
            why="a subnet is of one zone, and AWS makes no second one of its range beside it",
            instead=_ANOTHER,
        ),
        Kept(
            key="cedarfleet:platform.cell",
            asked=config.cell,
            output="cell",
            why="the files of its tenants name it",
            instead=_ANOTHER,
        ),
        Kept(
            key="cedarfleet:platform.device_endpoint",
            asked=config.device_endpoint,
            output="device_endpoint",
            why="devices in the field dial it, and would find nobody",
            instead="move them to another cell first (docs/operations.md)",
        ),
    ]
