"""What tenants/Pulumi.platform.yaml asks for: its types, and what they cannot say alone."""

import re
from ipaddress import IPv4Network
from typing import Any, Final, Self

from msgspec import Struct

from infra.stacks.config.limits import (
    FIRST_CELL,
    AccessLogDays,
    CanaryPair,
    CellName,
    FirewallMode,
    FirewallRequests,
    Host,
    ImageTag,
    IotLogLevel,
    KeyRotationDays,
    LogDays,
    MailAddress,
    MonthlyDollars,
    NatGateways,
    Tasks,
    ZoneId,
    Zones,
)
from infra.stacks.config.reading import ConfigError, WrongValueError, once, read
from infra.stacks.config.terms import Tiers

_PRIVATE: Final = tuple(
    IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
)  # RFC 1918
_PREFIX: Final = 16  # the subnets are cut from a /16


class PlatformConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`cedarfleet:platform` of tenants/Pulumi.platform.yaml.

    Attributes:
        domain_name: host of the API, e.g. `api.cedarfleet.example`.
        hosted_zone_id: Route 53 zone of that host; proves the certificate and gets the address.
        cell: what this platform is called among those of other accounts; tenants name it.
        device_endpoint: name that devices dial, in the same zone; none: AWS's own, which keeps
            every device in this account for good.
        image_tag: tag of the service's image in the platform's repository; none until the first
            image is pushed.
        cidr: private address range of the network, a /16.
        availability_zones: two zones of the region.
        nat_gateways: one for each zone; of 1 the other zone's tasks cannot leave without it.
        tasks_min: service tasks that always run.
        tasks_max: the most that autoscaling starts.
        log_days: how long logs are kept.
        access_log_days: how long the load balancer's own are; none: it writes none.
        isolation_canary: two tenants whose boundary the worker tries all the time; none: nobody
            does, and no alarm rings.
        tiers: named sets of terms, of which each tenant's file may name one.
        firewall: what the firewall before the load balancer does with what its rules match; none:
            there is no firewall.
        firewall_requests: how many requests a minute it lets one address make.
        flow_log_days: how long the network's own log is kept; none: it writes none.
        iot_log_level: from which level on IoT Core writes a log; none: we do not set it.
        monthly_dollars: what a month of the account may cost; none: no budget tells of a surge.
        key_rotation_days: from one rotation of the key that seals secrets to the next.
        mail_from: who invites people, by SES, in a domain of the zone; none: Cognito's own sender.
        protect: whether what holds data refuses to be deleted.
    """

    domain_name: Host
    hosted_zone_id: ZoneId
    cell: CellName = FIRST_CELL
    device_endpoint: Host | None = None
    image_tag: ImageTag | None = None
    cidr: str = "10.20.0.0/16"
    availability_zones: Zones
    nat_gateways: NatGateways = 2
    tasks_min: Tasks = 2
    tasks_max: Tasks = 10
    log_days: LogDays = 30
    access_log_days: AccessLogDays | None = None
    isolation_canary: CanaryPair | None = None
    tiers: Tiers = {}
    firewall: FirewallMode | None = None
    firewall_requests: FirewallRequests = 9000
    flow_log_days: LogDays | None = None
    iot_log_level: IotLogLevel | None = None
    monthly_dollars: MonthlyDollars | None = None
    key_rotation_days: KeyRotationDays = 365
    mail_from: MailAddress | None = None
    protect: bool = True

    def __post_init__(self) -> None:
        """Refuse what the type of one value alone cannot."""
        _check_network(self.cidr)
        once("availability_zones", self.availability_zones)
        once("isolation_canary", self.isolation_canary or ())
        if self.device_endpoint == self.domain_name:
            raise WrongValueError(
                "device_endpoint", "must be another host than domain_name, where the API is"
            )
        if self.tasks_max < self.tasks_min:
            raise WrongValueError(
                "tasks_max", f"must be at least tasks_min ({self.tasks_min}), is {self.tasks_max}"
            )

    @classmethod
    def read(cls, file: str, data: Any, *, region: str) -> Self:
        """Read and check what a file says under `cedarfleet:platform`.

        Args:
            file: path of the stack file, for messages.
            data: what stands under the key.
            region: the stack's AWS region; the zones must be its own.

        Raises:
            ConfigError: file, key and what would be right.
        """
        where = f"{file}: cedarfleet:platform"
        config = read(cls, where, data)
        for index, zone in enumerate(config.availability_zones):
            if re.fullmatch(rf"{re.escape(region)}[a-z]", zone) is None:
                raise ConfigError(
                    f"{where}.availability_zones[{index}]: must be a zone of aws:region such as "
                    f"`{region}a`, is `{zone}`"
                )
        return config


def _check_network(cidr: str) -> None:
    try:
        network = IPv4Network(cidr)
    except ValueError as error:
        raise WrongValueError("cidr", f"must be an IPv4 network, is `{cidr}`") from error
    if network.prefixlen != _PREFIX:
        raise WrongValueError("cidr", f"must be a /{_PREFIX}, is `{cidr}`")
    if not any(network.subnet_of(block) for block in _PRIVATE):
        # Hosts of the internet that have the addresses would be out of the service's reach.
        raise WrongValueError(
            "cidr", f"must be private (in {', '.join(map(str, _PRIVATE))}), is `{cidr}`"
        )
