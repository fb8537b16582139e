"""The service: its image's repository, its log, and Fargate tasks that scale with their load."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pulumi
import pulumi_aws as aws

from infra import names
from infra.stacks.platform_stack import task_roles
from infra.stacks.platform_stack.network import SERVICE_PORT, Network
from infra.stacks.platform_stack.scaling import scale

if TYPE_CHECKING:
    from infra.stacks.config.platform import PlatformConfig
    from infra.stacks.platform_stack.alarms import Alarms
    from infra.stacks.platform_stack.audit_key import AuditKey
    from infra.stacks.platform_stack.balancer import Balancer
    from infra.stacks.platform_stack.tables import Tables
    from infra.stacks.platform_stack.webhook_key import WebhookKey
    from infra.stacks.platform_stack.work import Work

_CPU = 1024  # 1 vCPU
_MEMORY = 2048  # MiB
_WORKERS: Final = 2
"""Tasks of the worker: one does the work, and the other goes on when it dies."""
METRICS_PORT: Final = 9464
STOP_SECONDS: Final = 40
"""From SIGTERM to SIGKILL (Fargate: at most 120): the service ends its open requests before."""


@dataclass(frozen=True, kw_only=True)
class ServiceArgs:
    """Where the service runs, what it reads, and how many of it there are.

    Attributes:
        config: which image runs (none before the first is pushed, and then no task runs), how many
            tasks, how long logs are kept, and whether images are when the repository would go.
        region: AWS region.
        account_id: twelve digits.
        network: subnets and security group of the tasks.
        balancer: what sends them requests.
        alarms: some of which take a deployment back.
        tables: whose names the service is told, and whose registry it may read.
        work: the queue that they hand work over by, and the worker's timers.
        audit_key: with which the worker signs checkpoints of the audit trails.
        webhook_key: with which the service seals secrets of webhooks, and the worker opens them.
        iot_data_endpoint: host of the account's data plane (boto3's own is for tests only; source:
            AWS CLI reference, "iot-data").
        device_endpoint: name of ours that devices dial; none: that host.
    """

    config: PlatformConfig
    region: str
    account_id: pulumi.Output[str]
    network: Network
    balancer: Balancer
    alarms: Alarms
    tables: Tables
    work: Work
    audit_key: AuditKey
    webhook_key: WebhookKey
    iot_data_endpoint: pulumi.Output[str]
    device_endpoint: pulumi.Output[str | None]


class Service(pulumi.ComponentResource):
    """ECR repository, log group, roles, ECS cluster, task definition, service, autoscaling."""

    role_arn: pulumi.Output[str]
    worker_role_arn: pulumi.Output[str]
    repository_url: pulumi.Output[str]
    log_group: pulumi.Output[str]

    def __init__(
        self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:platform:Api", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._name = name
        repository = self._repository(args)
        log = aws.cloudwatch.LogGroup(
            f"{name}-log",
            name="/cedarfleet/service",
            retention_in_days=args.config.log_days,
            opts=self._child,
        )
        task_role, task_grant = self._role(
            "service",
            names.SERVICE_ROLE,
            args,
            pulumi.Output.all(
                args.account_id,
                args.tables.tenants.arn,
                args.work.queue.arn,
                args.tables.commands.arn,
                args.webhook_key.key.arn,
            ).apply(
                lambda known: task_roles.service_permissions(
                    account_id=known[0],
                    tenants_arn=known[1],
                    work_arn=known[2],
                    commands_arn=known[3],
                    webhook_key_arn=known[4],
                )
            ),
        )
        worker_role, worker_grant = self._role(
            "worker",
            names.WORKER_ROLE,
            args,
            pulumi.Output.all(
                args.account_id,
                args.tables.tenants.arn,
                args.work.queue.arn,
                args.work.timer_role.arn,
                args.tables.commands.arn,
                args.audit_key.key.arn,
                args.webhook_key.key.arn,
            ).apply(
                lambda known: task_roles.worker_permissions(
                    account_id=known[0],
                    tenants_arn=known[1],
                    work_arn=known[2],
                    schedules_arn=f"arn:aws:scheduler:{args.region}:{known[0]}"
                    ":schedule/default/*--*",
                    timer_role_arn=known[3],
                    commands_arn=known[4],
                    audit_key_arn=known[5],
                    webhook_key_arn=known[6],
                    bus_arn=f"arn:aws:events:{args.region}:{known[0]}:event-bus/default",
                )
            ),
        )
        execution_role, execution_grant = self._role(
            "execution",
            names.EXECUTION_ROLE,
            args,
            pulumi.Output.all(repository.arn, log.arn).apply(
                lambda known: task_roles.execution_permissions(
                    repository_arn=known[0], log_group_arn=known[1]
                )
            ),
        )
        self.role_arn = task_role.arn
        self.worker_role_arn = worker_role.arn
        self.repository_url = repository.repository_url
        self.log_group = log.name
        if args.config.image_tag is not None:
            image = pulumi.Output.concat(repository.repository_url, ":", args.config.image_tag)
            task = self._task(args, image, execution_role=execution_role, task_role=task_role)
            worker = self._task(
                args, image, execution_role=execution_role, task_role=worker_role, worker=True
            )
            cluster = self._run(args, task, after=[task_grant, execution_grant])
            self._run_worker(args, cluster, worker, after=[worker_grant, execution_grant])
        self.register_outputs({"role_arn": self.role_arn, "repository_url": self.repository_url})

    def _task(
        self,
        args: ServiceArgs,
        image: pulumi.Output[str],
        *,
        execution_role: aws.iam.Role,
        task_role: aws.iam.Role,
        worker: bool = False,
    ) -> aws.ecs.TaskDefinition:
        return aws.ecs.TaskDefinition(
            f"{self._name}-{'worker-task' if worker else 'task'}",
            family=f"cedarfleet-{'worker' if worker else 'service'}",
            requires_compatibilities=["FARGATE"],
            network_mode="awsvpc",
            cpu=str(_CPU),
            memory=str(_MEMORY),
            runtime_platform={"operating_system_family": "LINUX", "cpu_architecture": "ARM64"},
            execution_role_arn=execution_role.arn,
            task_role_arn=task_role.arn,
            container_definitions=pulumi.Output.all(
                image=image,
                log_group=self.log_group,
                tenants=args.tables.tenants.name,
                devices=args.tables.devices.name,
                iot_data=args.iot_data_endpoint,
                dialled=pulumi.Output.all(args.device_endpoint, args.iot_data_endpoint).apply(
                    lambda hosts: hosts[0] or hosts[1]
                ),
                commands=args.tables.commands.name,
                audit=args.tables.audit.name,
                audit_key=args.audit_key.key.arn,
                webhook_key=args.webhook_key.key.arn,
                trusted_proxies=",".join(args.network.public_cidrs),
                work=args.work.queue.url,
                timer_role=args.work.timer_role.arn,
            ).apply(lambda known: json.dumps([_container(args, known, worker=worker)])),
            opts=self._child,
        )

    def _repository(self, args: ServiceArgs) -> aws.ecr.Repository:
        repository = aws.ecr.Repository(
            f"{self._name}-images",
            name=names.IMAGES,
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            force_delete=not args.config.protect,
            opts=self._child,
        )
        rule: dict[str, Any] = {
            "rulePriority": 1,
            "description": "keep the last 30 images",
            "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 30},
            "action": {"type": "expire"},
        }
        aws.ecr.LifecyclePolicy(
            f"{self._name}-images",
            repository=repository.name,
            policy=json.dumps({"rules": [rule]}),
            opts=self._child,
        )
        return repository

    def _role(
        self,
        label: str,
        role_name: str,
        args: ServiceArgs,
        permissions: pulumi.Output[dict[str, Any]],
    ) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
        trust = args.account_id.apply(
            lambda account: json.dumps(task_roles.task_trust(account_id=account))
        )
        role = aws.iam.Role(
            f"{self._name}-{label}", name=role_name, assume_role_policy=trust, opts=self._child
        )
        grant = aws.iam.RolePolicy(
            f"{self._name}-{label}",
            name=label,
            role=role.name,
            policy=permissions.apply(json.dumps),
            opts=self._child,
        )
        return role, grant

    def _run(
        self, args: ServiceArgs, task: aws.ecs.TaskDefinition, *, after: list[aws.iam.RolePolicy]
    ) -> aws.ecs.Cluster:
        cluster = aws.ecs.Cluster(
            f"{self._name}-cluster",
            name="cedarfleet",
            settings=[{"name": "containerInsights", "value": "enabled"}],
            opts=self._child,
        )
        service = aws.ecs.Service(
            f"{self._name}-service",
            name="service",
            cluster=cluster.arn,
            task_definition=task.arn,
            launch_type="FARGATE",
            desired_count=args.config.tasks_min,
            deployment_minimum_healthy_percent=100,
            deployment_maximum_percent=200,
            deployment_circuit_breaker={"enable": True, "rollback": True},
            # A release that lives and answers wrongly is taken back too: ECS watches for some
            # minutes after the last old task went (its developer guide, "How CloudWatch alarms
            # detect Amazon ECS deployment failures": "computes this time period based on the alarm
            # configuration").
            alarms={
                "alarm_names": args.alarms.of_a_release,
                "enable": True,
                "rollback": True,
            },
            health_check_grace_period_seconds=60,
            # Otherwise `up` succeeds while ECS still rolls the deployment back.
            wait_for_steady_state=True,
            network_configuration={
                "subnets": args.network.private_subnet_ids,
                "security_groups": [args.network.service_security_group_id],
                "assign_public_ip": False,
            },
            load_balancers=[
                {
                    "target_group_arn": args.balancer.target_group_arn,
                    "container_name": "service",
                    "container_port": SERVICE_PORT,
                }
            ],
            # Autoscaling owns the count from then on. A target group takes tasks only once a
            # listener forwards to it, and a task that comes before its way to AWS or its rights
            # would fail, and the first deployment with it.
            opts=pulumi.ResourceOptions.merge(
                self._child,
                pulumi.ResourceOptions(
                    ignore_changes=["desiredCount"],
                    depends_on=[args.balancer.https_listener, *args.network.ways_out, *after],
                ),
            ),
        )
        scale(self._name, args.config, args.balancer, cluster, service, opts=self._child)
        return cluster

    def _run_worker(
        self,
        args: ServiceArgs,
        cluster: aws.ecs.Cluster,
        task: aws.ecs.TaskDefinition,
        *,
        after: list[aws.iam.RolePolicy],
    ) -> None:
        """Tasks that nobody calls; more of them make no job sooner, since the rate is AWS's."""
        aws.ecs.Service(
            f"{self._name}-worker",
            name="worker",
            cluster=cluster.arn,
            task_definition=task.arn,
            launch_type="FARGATE",
            desired_count=_WORKERS,
            deployment_minimum_healthy_percent=50,
            deployment_maximum_percent=200,
            deployment_circuit_breaker={"enable": True, "rollback": True},
            wait_for_steady_state=True,
            network_configuration={
                "subnets": args.network.private_subnet_ids,
                "security_groups": [args.network.service_security_group_id],
                "assign_public_ip": False,
            },
            opts=pulumi.ResourceOptions.merge(
                self._child,
                pulumi.ResourceOptions(depends_on=[*args.network.ways_out, *after]),
            ),
        )


def _container(args: ServiceArgs, known: dict[str, Any], *, worker: bool) -> dict[str, Any]:
    environment = {
        # Inside the task, whose security group admits the load balancer only.
        "CEDARFLEET_HOST": "0.0.0.0",  # noqa: S104 - as said above
        "CEDARFLEET_PORT": str(SERVICE_PORT),
        # On loopback, which the containers of one task share: no port that is mapped or forwarded.
        "CEDARFLEET_METRICS_PORT": str(METRICS_PORT),
        "CEDARFLEET_METRICS_LINE_SECONDS": "60",
        "CEDARFLEET_TENANTS_TABLE": known["tenants"],
        "CEDARFLEET_DEVICES_TABLE": known["devices"],
        "CEDARFLEET_IOT_DATA_ENDPOINT": known["iot_data"],
        "CEDARFLEET_DEVICE_ENDPOINT": known["dialled"],
        "CEDARFLEET_COMMANDS_TABLE": known["commands"],
        "CEDARFLEET_AUDIT_TABLE": known["audit"],
        "CEDARFLEET_AUDIT_KEY": known["audit_key"],
        "CEDARFLEET_WEBHOOK_KEY": known["webhook_key"],
        "CEDARFLEET_WORK_QUEUE_URL": known["work"],
        "CEDARFLEET_TIMER_ROLE_ARN": known["timer_role"],
        # The load balancer's subnets: what it says of the caller's address is believed, and what
        # nobody else says.
        "CEDARFLEET_TRUSTED_PROXIES": known["trusted_proxies"],
        "AWS_REGION": args.region,
    }
    if args.config.isolation_canary is not None:
        environment["CEDARFLEET_ISOLATION_CANARY"] = ",".join(args.config.isolation_canary)
    name = "worker" if worker else "service"
    return {
        "name": name,
        "image": known["image"],
        "command": ["python", "-m", "service", name.replace("service", "api")],
        "essential": True,
        "readonlyRootFilesystem": True,
        "stopTimeout": STOP_SECONDS,
        "portMappings": [] if worker else [{"containerPort": SERVICE_PORT, "protocol": "tcp"}],
        "environment": [{"name": name, "value": value} for name, value in environment.items()],
        "linuxParameters": {"initProcessEnabled": True},
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": known["log_group"],
                "awslogs-region": args.region,
                "awslogs-stream-prefix": name,
                "mode": "non-blocking",
            },
        },
    }
