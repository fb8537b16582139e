"""Every physical name that another program or a policy must know, and the ARNs built from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PLATFORM_STACK: Final = "platform"

# Tables keep their names for good: the service's settings default to them.
TENANTS_TABLE: Final = "cedarfleet-tenants"
COMMANDS_TABLE: Final = "cedarfleet-commands"
AUDIT_TABLE: Final = "cedarfleet-audit"
DEVICES_TABLE: Final = "cedarfleet-devices"
MANAGERS: Final = "managers"
"""The group that the base policies let administer a tenant."""
IMAGES: Final = "cedarfleet-service"
"""The ECR repository of the service's images."""
METRICS: Final = "Cedarfleet"
"""Namespace of the operator's own metrics in CloudWatch."""
SERVICE_METRICS: Final = "Cedarfleet/Service"
"""Namespace of what the service measures of itself."""
POLICY_DIFFERENCES: Final = "cedarfleet_policy_differences_total"
WORK: Final = "cedarfleet_work_total"
"""Messages that the worker took, by their `outcome`."""
DECISIONS: Final = "cedarfleet_decisions_total"
"""Decisions of policies, by their `outcome`."""
PROBLEMS: Final = "cedarfleet_problems_total"
"""Answers that tell of a problem, by its kind, `problem`."""
HAPPENED: Final = "cedarfleet_happened_total"
"""What devices and IoT Core told, by `event` and `how` it went."""
AUDIT_VERIFIED: Final = "cedarfleet_audit_verified_total"
"""Chains of audit trails that were verified, by their `outcome`."""
ISOLATION: Final = "cedarfleet_isolation_trials_total"
"""Trials of the boundary between tenants, by their `outcome`."""
DEVICES_THAT_DIFFER: Final = "DevicesThatDiffer"
TENANTS_BY_TENANT_INDEX: Final = "by-tenant"

STATUS_RULE: Final = "cedarfleet_command_status"  # a rule name allows no `-`
JOB_ENDED_RULE: Final = "cedarfleet_job_ended"
STATUS_ERRORS_QUEUE: Final = "cedarfleet-status-errors"
LIVE_EVENTS_RULE: Final = "cedarfleet_live"  # and what is told: `_command_state`, ...
DEVICE_EVENTS_RULE: Final = "cedarfleet_device"  # and what happened to it: `_created`, ...
THING_TYPE: Final = "cedarfleet-device"
DOMAIN_CONFIGURATION: Final = "cedarfleet-devices"
SERVICE_ROLE: Final = "cedarfleet-service"
WORKER_ROLE: Final = "cedarfleet-worker"
TIMER_ROLE: Final = "cedarfleet-timer"
EXECUTION_ROLE: Final = "cedarfleet-execution"
STATUS_ROLE: Final = "cedarfleet-status-rule"
FLOW_LOGS_ROLE: Final = "cedarfleet-flow-logs"
IOT_LOG_ROLE: Final = "cedarfleet-iot-log"
DEVICE_EVENTS_ROLE: Final = "cedarfleet-device-events-rule"

IOT_LOG: Final = "AWSIotLogsV2"  # IoT Core's own name of it
FIREWALL_LOG: Final = "aws-waf-logs-cedarfleet"  # WAF takes no other prefix
FLOW_LOG: Final = "/cedarfleet/network"

WORK_QUEUE: Final = "cedarfleet-work"
DEAD_WORK_QUEUE: Final = "cedarfleet-work-dead"

# What AWS leaves of its longest name: 37 of a bucket's prefix (`<tenant>-artifacts-`). The wire
# allows 32.
TENANT_CHARACTERS: Final = 26

# The service may assume what lies in the first path and nothing else; what IoT may be handed lies
# in the second.
TENANT_ROLE_PATH: Final = "/cedarfleet/tenants/"
PRESIGN_ROLE_PATH: Final = "/cedarfleet/presign/"
TELEMETRY_ROLE_PATH: Final = "/cedarfleet/telemetry/"
UPLOADS_PREFIX: Final = ".files/"  # of the keys of uploaded files in a tenant's bucket
LOGS_PREFIX: Final = ".logs/"  # of what devices send of themselves
TELEMETRY_PREFIX: Final = ".telemetry/"  # of what devices measure
_PRESIGN: Final = "-presign"
_TELEMETRY: Final = "-telemetry"
_PROVISIONING: Final = "-provisioning"  # a role of 0.1.0
_ROLE_SUFFIXES: Final = (_PRESIGN, _TELEMETRY, _PROVISIONING)

CONSOLE_CALLBACK: Final = "signed-in"
CLI_CALLBACK: Final = "http://localhost:8976/callback"
AGENT_CALLBACK: Final = "http://localhost:8977/callback"
"""Where the client's programs take a browser back; Cognito compares the whole address, port and all
(source: Cognito API, CreateUserPoolClient, `CallbackURLs`)."""


def console_path(tenant: str) -> str:
    """Where the service serves a tenant's console (`service/api/console.py`)."""
    return f"/console/{tenant}/"


def is_reserved(tenant: str) -> bool:
    """Whether a tenant of this id would take a name of the platform, or of another tenant.

    Role names are one space in an account, whatever their paths are.
    """
    platforms = {
        SERVICE_ROLE,
        WORKER_ROLE,
        TIMER_ROLE,
        EXECUTION_ROLE,
        STATUS_ROLE,
        DEVICE_EVENTS_ROLE,
        FLOW_LOGS_ROLE,
        IOT_LOG_ROLE,
    }
    return (
        tenant == PLATFORM_STACK
        or tenant_role(tenant) in platforms
        or tenant.endswith(_ROLE_SUFFIXES)
    )


def onboarding_row(tenant: str) -> str:
    """Key of the registry's row that says since when the tenant is there."""
    return f"onboarding of {tenant}"


def tier_move_row(tenant: str) -> str:
    """Key of the registry's row of a move to another tier that is not told yet."""
    return f"move of {tenant} to a tier"


def thing_group(tenant: str) -> str:
    """The one thing group of a tenant, with all its devices; its lines are Cedar's alone."""
    return tenant


def thing_prefix(tenant: str) -> str:
    """What a tenant's thing names and keys of shared tables start with: `acme--`."""
    return f"{tenant}--"


def device_policy(tenant: str) -> str:
    """The IoT policy of the tenant's devices."""
    return f"{tenant}-device"


def tenant_role(tenant: str) -> str:
    """The role that the service assumes for the tenant."""
    return f"cedarfleet-{tenant}"


def presign_role(tenant: str) -> str:
    """The role with which IoT Jobs signs download URLs."""
    return f"cedarfleet-{tenant}{_PRESIGN}"


def telemetry_role(tenant: str) -> str:
    """The role with which the tenant's telemetry is written."""
    return f"cedarfleet-{tenant}{_TELEMETRY}"


def telemetry_stream(tenant: str) -> str:
    """The Firehose stream of the tenant's telemetry."""
    return f"cedarfleet-{tenant}{_TELEMETRY}"


def telemetry_rows(tenant: str) -> str:
    """What the keys of a tenant's last values start with; the device's id follows."""
    return f"{thing_prefix(tenant)}telemetry#"


@dataclass(frozen=True, kw_only=True)
class Arns:
    """ARNs of one account and region.

    Attributes:
        region: e.g. `eu-central-1`.
        account_id: twelve digits.
    """

    region: str
    account_id: str

    def iot(self, resource: str) -> str:
        """`topic/fleet/x`, `thing/x`, `client/x` and so on."""
        return f"arn:aws:iot:{self.region}:{self.account_id}:{resource}"

    def table(self, name: str) -> str:
        """A DynamoDB table."""
        return f"arn:aws:dynamodb:{self.region}:{self.account_id}:table/{name}"

    def queue(self, name: str) -> str:
        """An SQS queue."""
        return f"arn:aws:sqs:{self.region}:{self.account_id}:{name}"

    def stream(self, name: str) -> str:
        """A Firehose stream."""
        return f"arn:aws:firehose:{self.region}:{self.account_id}:deliverystream/{name}"

    def role(self, path: str, name: str) -> str:
        """A role; `path` starts and ends with `/`."""
        return f"arn:aws:iam::{self.account_id}:role{path}{name}"

    def policy_store(self, store_id: str) -> str:
        """A policy store; its ARN has no region (source: its service authorization page)."""
        return f"arn:aws:verifiedpermissions::{self.account_id}:policy-store/{store_id}"

    def user_pool(self, pool_id: str) -> str:
        """A user pool (the form: service authorization page of Cognito user pools)."""
        return f"arn:aws:cognito-idp:{self.region}:{self.account_id}:userpool/{pool_id}"

    @staticmethod
    def bucket(name: str) -> str:
        """An S3 bucket; add `/*` for its objects."""
        return f"arn:aws:s3:::{name}"
