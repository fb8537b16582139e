"""Writes the tables of docs/cost.md: `python -m tests.benchmarks.cost`; a test holds it to them.

What a request costs comes from the calls that are counted (`quotas.prices`); what stands whether
anybody calls or not, from the program and the price list below.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infra.stacks.platform_stack import firewall
from infra.stacks.platform_stack import service as program
from service.domain.isolation import Part
from service.operations.isolation_canary import IsolationCanary
from service.settings import RecordSettings
from tests.benchmarks import quotas

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PAGE: Final = Path(__file__).parents[2] / "docs" / "cost.md"
READ_ON: Final = "2026-11-30"
HOURS: Final = 730
"""Of a month, as AWS's calculator counts."""
MINUTES: Final = HOURS * 60
ALARMS: Final = 30
"""Of a platform that runs; tests/infra/stacks/platform_stack/test_alarms.py counts them."""
AUDIT_DAYS: Final = RecordSettings().audit_seconds // (24 * 3600)
_TRIED: Final[Any] = {one.name: one.default for one in fields(IsolationCanary)}
TRIED_SECONDS: Final[float] = _TRIED["seconds"]
"""From one trial of the boundary between tenants to the next."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A price of AWS's list, in us-east-1.

    Attributes:
        dollars: for one.
        of: what one is.
        source: AWS's page; the figures were read in others' words of it, since no page of AWS could
            be fetched.
    """

    dollars: float
    of: str
    source: str


UNITS: Final[Mapping[str, Unit]] = {
    "web-acl": Unit(dollars=5, of="web ACL and month", source="AWS WAF pricing"),
    "web-rule": Unit(dollars=1, of="rule or managed group, and month", source="AWS WAF pricing"),
    "web-request": Unit(dollars=0.6e-6, of="request that it looks at", source="AWS WAF pricing"),
    "mail": Unit(dollars=0.1e-3, of="message", source="Amazon SES pricing"),
    "flow-gb": Unit(
        dollars=0.50, of="GB of AWS's own logs taken in", source="CloudWatch pricing, vended logs"
    ),
    "vcpu": Unit(dollars=0.03238, of="vCPU-hour, Linux on ARM", source="AWS Fargate pricing"),
    "memory": Unit(dollars=0.00356, of="GB-hour, Linux on ARM", source="AWS Fargate pricing"),
    "nat": Unit(dollars=0.045, of="hour of a NAT gateway", source="Amazon VPC pricing"),
    "nat-gb": Unit(dollars=0.045, of="GB through it", source="Amazon VPC pricing"),
    "address": Unit(dollars=0.005, of="hour of a public IPv4 address", source="Amazon VPC pricing"),
    "balancer": Unit(dollars=0.0225, of="hour", source="Elastic Load Balancing pricing"),
    "lcu": Unit(dollars=0.008, of="LCU-hour", source="Elastic Load Balancing pricing"),
    "key": Unit(dollars=1, of="key and month", source="AWS Key Management Service pricing"),
    "alarm": Unit(dollars=0.10, of="alarm of one metric and month", source="CloudWatch pricing"),
    "log-gb": Unit(dollars=0.50, of="GB of logs taken in", source="CloudWatch pricing"),
    "machine": Unit(dollars=6, of="app client and month", source="Amazon Cognito pricing, M2M"),
    "token": Unit(dollars=0.00225, of="token of a machine", source="Amazon Cognito pricing, M2M"),
    "lite": Unit(dollars=0.0055, of="person and month, Lite", source="Amazon Cognito pricing"),
    "essentials": Unit(
        dollars=0.015, of="person and month, Essentials", source="Amazon Cognito pricing"
    ),
    "plus": Unit(dollars=0.02, of="person and month, Plus", source="Amazon Cognito pricing"),
    "minute": Unit(dollars=0.08e-6, of="minute of a connection", source="AWS IoT Core pricing"),
    "message": Unit(dollars=1e-6, of="message of up to 5 KB", source="AWS IoT Core pricing"),
    "rule": Unit(dollars=0.15e-6, of="rule that a message meets", source="AWS IoT Core pricing"),
    "action": Unit(dollars=0.15e-6, of="action of a rule", source="AWS IoT Core pricing"),
    "write": Unit(dollars=0.625e-6, of="write of up to 1 KB", source="Amazon DynamoDB pricing"),
    "read": Unit(dollars=0.125e-6, of="read of up to 4 KB", source="Amazon DynamoDB pricing"),
    "queue": Unit(dollars=0.4e-6, of="request of a standard queue", source="Amazon SQS pricing"),
    "stream-gb": Unit(dollars=0.029, of="GB, 5 KB a record", source="Amazon Data Firehose pricing"),
    "job": Unit(dollars=0.003, of="remote action", source="AWS IoT Device Management pricing"),
    "out-gb": Unit(dollars=0.09, of="GB to the internet", source="Amazon EC2 pricing"),
    "list": Unit(dollars=5e-6, of="list of a bucket", source="Amazon S3 pricing"),
    "shadow": Unit(dollars=1.25e-6, of="read of a shadow", source="AWS IoT Core pricing"),
    "decision": Unit(
        dollars=5e-6, of="request for a decision", source="Amazon Verified Permissions pricing"
    ),
    "policy-read": Unit(
        dollars=40e-6, of="policy management request", source="Amazon Verified Permissions pricing"
    ),
}


TASKS_MIN: Final = 2
_ZONES: Final = 2
_REQUEST_LINE_KB: Final = 0.6  # a request's line in the log
_STATES: Final = 3  # that a device reports of a command: received, running, and how it ended
_POLLS: Final = 2
_CONNECTION_MESSAGES: Final = 5  # CONNECT, SUBSCRIBE, two of presence, the versions
_KB_PER_GB: Final = 1_000_000
_UNIT_KB: Final = 4  # of a read
_ENTRY_KB: Final = 2  # of the audit trail with its part of a link: of the demo's, 1.8 to 2.0
_PAIR: Final = 2  # tenants, of each of which one trial asks for its own and for the other's
_OF_A_TRIAL: Final = {"read": 3, "write": 1, "list": 1, "decision": 1, "shadow": 1}
"""What one tenant's part of a trial costs; people are asked about for nothing."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of a table: what, how it is computed, and the dollars."""

    what: str
    formula: str
    dollars: float


FLEETS: Final[tuple[tuple[int, int, float, int], ...]] = (
    (1, 100, 1, 0),
    (10, 1_000, 5, 1),
    (100, 1_000, 5, 2),
    (300, 300, 5, 1),
)


def table(rows: list[Row]) -> list[str]:
    """A table with its sum, where the rows make one."""
    lines = ["| what | formula | $ |", "|---|---|---|"]
    return lines + [f"| {row.what} | {row.formula} | {row.dollars:,.2f} |" for row in rows]


class Bill:
    """The sums, by a price list."""

    def __init__(self, units: Mapping[str, Unit]) -> None:
        self._units = units

    def _cost(self, **counts: float) -> float:
        """So many of each unit."""
        return sum(
            self._units[name.replace("_", "-")].dollars * count for name, count in counts.items()
        )

    def platform(self) -> list[Row]:
        """A month of a platform that nobody uses."""
        vcpu, gigabytes = program._CPU / 1024, program._MEMORY / 1024
        tasks = TASKS_MIN + program._WORKERS
        addresses = 2 * _ZONES
        return [
            Row(
                what="tasks",
                formula=f"({TASKS_MIN} of the service + {program._WORKERS} of the worker) x"
                f" {HOURS} h x ({vcpu:g} vCPU + {gigabytes:g} GB)",
                dollars=self._cost(vcpu=tasks * HOURS * vcpu, memory=tasks * HOURS * gigabytes),
            ),
            Row(
                what="NAT gateways",
                formula=f"{_ZONES} x {HOURS} h",
                dollars=self._cost(nat=_ZONES * HOURS),
            ),
            Row(
                what="public addresses",
                formula=f"{_ZONES} of NAT + {_ZONES} of the balancer, x {HOURS} h",
                dollars=self._cost(address=addresses * HOURS),
            ),
            Row(
                what="load balancer",
                formula=f"{HOURS} h, at most one LCU",
                dollars=self._cost(balancer=HOURS, lcu=HOURS),
            ),
            Row(what="keys", formula="audit and webhooks", dollars=self._cost(key=2)),
            Row(what="alarms", formula=f"{ALARMS}", dollars=self._cost(alarm=ALARMS)),
        ]

    def switches(self) -> list[Row]:
        """What a key of the platform's file adds in a month, or saves."""
        groups = len(firewall.rules(requests=1, mode="block"))
        trials = int(HOURS * 3600 / TRIED_SECONDS)
        return [
            Row(
                what="`firewall`",
                formula=f"a web ACL + {groups} rules and managed groups",
                dollars=self._cost(web_acl=1, web_rule=groups),
            ),
            Row(
                what="and each million requests",
                formula="looked at",
                dollars=self._cost(web_request=1_000_000),
            ),
            Row(
                what="`flow_log_days`, `iot_log_level`",
                formula="each GB of lines",
                dollars=self._cost(flow_gb=1),
            ),
            Row(
                what="`mail_from`",
                formula="each 1,000 invitations",
                dollars=self._cost(mail=1000),
            ),
            Row(
                what="`isolation_canary`",
                formula=f"{program._WORKERS} workers x {trials:,} trials x {_PAIR} tenants x 2 x "
                f"{len(Part)} calls, as if AWS charged those that it refuses",
                dollars=self._cost(
                    **{
                        name: program._WORKERS * trials * _PAIR * 2 * count
                        for name, count in _OF_A_TRIAL.items()
                    }
                ),
            ),
            Row(
                what="`monthly_dollars`",
                formula="two budgets without actions: AWS's first two are free",
                dollars=0,
            ),
            Row(
                what="`nat_gateways: 1`",
                formula=f"one gateway and address less, {HOURS} h",
                dollars=-self._cost(nat=HOURS, address=HOURS),
            ),
        ]

    def tenant(self) -> list[Row]:
        """A month of a tenant, without its devices."""
        seconds = HOURS * 3600
        return [
            Row(
                what="pool, policy store, roles, bucket, rule, stream, rows",
                formula="nothing while nobody uses them",
                dollars=0,
            ),
            Row(
                what="a machine, a token an hour",
                formula=f"an app client + {HOURS} tokens",
                dollars=self._cost(machine=1, token=HOURS),
            ),
            Row(
                what="a machine, a token a day",
                formula="an app client + 30 tokens",
                dollars=self._cost(machine=1, token=30),
            ),
            Row(
                what="100 people of a tier with threat protection",
                formula="100 x Plus; nobody is free",
                dollars=self._cost(plus=100),
            ),
            Row(
                what="100 people of a tier that remembers passwords",
                formula="100 x Essentials, beyond the account's 10,000 free",
                dollars=self._cost(essentials=100),
            ),
            Row(
                what="100 people of any other tier",
                formula="100 x Lite, beyond the account's 10,000 free",
                dollars=self._cost(lite=100),
            ),
            Row(
                what="copies of its policies, in each task while requests come all the time",
                formula="a consistent read in 2 s (two units), 3 management requests in 5 min",
                dollars=self._cost(read=2 * seconds / 2, policy_read=3 * seconds / 300),
            ),
            Row(
                what="its audit trail verified once a day, of 1,000 entries a day",
                formula=f"{HOURS / 24:.1f} x {AUDIT_DAYS} days' entries of {_ENTRY_KB} KB, read "
                "whole and consistently",
                dollars=self._cost(read=HOURS / 24 * AUDIT_DAYS * 1000 * _ENTRY_KB / _UNIT_KB),
            ),
            Row(
                what="events or webhooks that somebody follows, in each task",
                formula="a read a second",
                dollars=self._cost(read=seconds),
            ),
        ]

    def devices(self) -> list[Row]:
        """A month of 1,000 devices."""
        count, days = 1000, HOURS / 24
        telemetry = self._cost(rule=1, action=2, write=1, stream_gb=5 / _KB_PER_GB)
        connection = self._cost(
            message=_CONNECTION_MESSAGES, rule=_CONNECTION_MESSAGES, action=2, write=2, queue=2
        )
        return [
            Row(
                what="connected all the time",
                formula=f"1,000 x {MINUTES:,} min; pings are free from 30 s on",
                dollars=self._cost(minute=count * MINUTES),
            ),
            Row(
                what="one connection a day",
                formula=f"{_CONNECTION_MESSAGES} messages, the rules that they meet, two rows, and "
                "what the worker is told",
                dollars=count * days * connection,
            ),
            Row(
                what="telemetry, a message a minute",
                formula="rule, 2 actions, a write, a record of Firehose; no message (Basic Ingest)",
                dollars=count * MINUTES * telemetry,
            ),
            Row(
                what="a file of 100 MB to each",
                formula="a remote action and 0.1 GB out, each",
                dollars=self._cost(job=count, out_gb=count * 0.1),
            ),
        ]

    def commands(self) -> list[Row]:
        """A million commands to connected devices."""
        million, of_requests = 1_000_000, quotas.prices()
        requests = 1 + _POLLS
        state = self._cost(message=1, rule=1, action=1, write=1)
        return [
            Row(
                what="sent",
                formula="`POST /v1/devices/{device}/commands` ([quotas](quotas.md))",
                dollars=of_requests["POST /v1/devices/{device}/commands"],
            ),
            Row(
                what="states",
                formula=f"{_STATES} x (message, rule, action, write)",
                dollars=million * _STATES * state,
            ),
            Row(
                what="asked for",
                formula=f"{_POLLS} x `GET /v1/commands/{{command_id}}`",
                dollars=_POLLS * of_requests["GET /v1/commands/{command_id}"],
            ),
            Row(
                what="log",
                formula=f"{requests} lines of {_REQUEST_LINE_KB:g} KB",
                dollars=self._cost(log_gb=million * requests * _REQUEST_LINE_KB / _KB_PER_GB),
            ),
            Row(
                what="traffic out",
                formula=f"{requests} answers of 1 KB",
                dollars=self._cost(out_gb=million * requests / _KB_PER_GB),
            ),
        ]

    def fleet(
        self, *, tenants: int, devices_each: int, commands_a_day: float, machines: int
    ) -> float:
        """Dollars of a month of a platform, all in.

        Args:
            tenants: on the platform.
            devices_each: of a tenant, connected all the time, one connection a day, no telemetry.
            commands_a_day: to each device.
            machines: of a tenant, a token a day.
        """
        of_tenant = self.tenant()
        of_devices = {row.what: row.dollars for row in self.devices()}
        sent = tenants * devices_each * commands_a_day * HOURS / 24
        return (
            sum(row.dollars for row in self.platform())
            + tenants * machines * next(r.dollars for r in of_tenant if r.what.endswith("a day"))
            + tenants
            * TASKS_MIN
            * next(row.dollars for row in of_tenant if row.what.startswith("copies"))
            + tenants
            * devices_each
            / 1000
            * (of_devices["connected all the time"] + of_devices["one connection a day"])
            + sent / 1_000_000 * sum(row.dollars for row in self.commands())
        )

    def blocks(self) -> dict[str, list[str]]:
        """Each table of the page, by its heading."""
        total = Row(
            what="**together**", formula="", dollars=sum(row.dollars for row in self.platform())
        )
        sent = Row(
            what="**together**", formula="", dollars=sum(row.dollars for row in self.commands())
        )
        fleets: list[str] = []
        for tenants, each, often, machines in FLEETS:
            dollars = self.fleet(
                tenants=tenants, devices_each=each, commands_a_day=often, machines=machines
            )
            fleets.append(f"| {tenants:,} | {each:,} | {often:g} | {machines} | {dollars:,.0f} |")
        units = [
            f"| {unit.of} | {unit.dollars * 1e6:,.3f} a million | {unit.source} |"
            if unit.dollars < 1e-4
            else f"| {unit.of} | {unit.dollars:g} | {unit.source} |"
            for unit in self._units.values()
        ]
        made: dict[str, Callable[[], list[str]]] = {
            "A platform, a month": lambda: table([*self.platform(), total]),
            "What keys of the platform's file add": lambda: table(self.switches()),
            "A tenant, a month": lambda: table(self.tenant()),
            "1,000 devices, a month": lambda: table(self.devices()),
            "A million commands": lambda: table([*self.commands(), sent]),
            "All in": lambda: [
                "| tenants | devices each | commands a device, a day | machines each | $ a month |",
                "|---|---|---|---|---|",
                *fleets,
            ],
            "Prices": lambda: ["| one | $ | AWS's page |", "|---|---|---|", *units],
        }
        return {heading: write() for heading, write in made.items()}


def rewritten(page: str) -> str:
    """The page with each table as it is computed now; what else stands there stays."""
    parts = page.split("\n## ")
    for index, part in enumerate(parts):
        heading, _, body = part.partition("\n")
        if (lines := Bill(UNITS).blocks().get(heading)) is not None:
            words = [line for line in body.rstrip("\n").split("\n") if not line.startswith("|")]
            text = "\n".join(words).strip("\n")
            parts[index] = (
                f"{heading}\n" + (f"{text}\n\n" if text else "") + "\n".join(lines) + "\n"
            )
    return "\n## ".join(parts)


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{PAGE.name}: {len(Bill(UNITS).blocks())} tables\n")
