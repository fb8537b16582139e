"""What tenants/Pulumi.platform.yaml asks for: read into a frozen dataclass, refused before any resource is made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

from infra.stacks.config.section import Section

_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_IMAGE_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_HOST: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
# Source: CloudWatch Logs API reference, PutRetentionPolicy; the program never keeps a log for ever.
_LOG_DAYS: Final = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192,
    2557, 2922, 3288, 3653,
)  # fmt: skip
_PRIVATE: Final = tuple(
    IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
)  # RFC 1918


@dataclass(frozen=True, kw_only=True)
class PlatformConfig:
    """`cedarfleet:platform` of tenants/Pulumi.platform.yaml.

    Attributes:
        domain_name: host of the API, e.g. `api.cedarfleet.example`.
        hosted_zone_id: Route 53 zone of that host; proves the certificate and gets the address.
        image_tag: tag of the service's image in the platform's repository; none until the first image is pushed.
        cidr: private address range of the network, a /16.
        availability_zones: two zones of the region.
        tasks_min: service tasks that always run.
        tasks_max: the most that autoscaling starts.
        log_days: how long logs are kept.
        protect: whether what holds data refuses to be deleted.
    """

    domain_name: str
    hosted_zone_id: str
    image_tag: str | None
    cidr: str
    availability_zones: tuple[str, str]
    tasks_min: int
    tasks_max: int
    log_days: int
    protect: bool

    @classmethod
    def read(cls, file: str, data: object, *, region: str) -> PlatformConfig:
        """Read and check what `file` says under `cedarfleet:platform`.

        Args:
            file: path of the stack file, for messages.
            data: what stands under the key.
            region: the stack's AWS region; the zones must be its own.

        Raises:
            ConfigError: file, key and what would be right.
        """
        section = Section(f"{file}: cedarfleet:platform", data)
        config = cls(
            domain_name=section.matching("domain_name", _HOST, "a host name of lower-case labels"),
            hosted_zone_id=section.matching("hosted_zone_id", _WORD, "the id of a Route 53 zone"),
            image_tag=_image_tag(section),
            cidr=_network(section),
            availability_zones=_zones(section, region),
            tasks_min=section.number("tasks_min", 2, least=1, most=100),
            tasks_max=section.number("tasks_max", 10, least=1, most=100),
            log_days=section.number("log_days", 30, least=_LOG_DAYS[0], most=_LOG_DAYS[-1]),
            protect=section.truth("protect", default=True),
        )
        if config.tasks_max < config.tasks_min:
            raise section.error(
                "tasks_max",
                f"must be at least tasks_min ({config.tasks_min}), is {config.tasks_max}",
            )
        if config.log_days not in _LOG_DAYS:
            known = ", ".join(str(days) for days in _LOG_DAYS)
            raise section.error(
                "log_days",
                f"must be one of {known} (CloudWatch knows no other), is {config.log_days}",
            )
        section.finish()
        return config


def _image_tag(section: Section) -> str | None:
    if section.text("image_tag", None) is None:
        return None
    return section.matching(
        "image_tag", _IMAGE_TAG, "a tag of at most 128 letters, digits, `_`, `.` and `-`"
    )


def _zones(section: Section, region: str) -> tuple[str, str]:
    zones = section.texts("availability_zones")
    if len(zones) != 2:  # noqa: PLR2004 - the load balancer needs two, and the network is laid out for two
        raise section.error("availability_zones", f"must name two zones, names {len(zones)}")
    for index, zone in enumerate(zones):
        if re.fullmatch(rf"{re.escape(region)}[a-z]", zone) is None:
            raise section.error(
                f"availability_zones[{index}]",
                f"must be a zone of aws:region such as `{region}a`, is `{zone}`",
            )
    return zones[0], zones[1]


def _network(section: Section) -> str:
    text = section.text("cidr", "10.20.0.0/16")
    try:
        network = IPv4Network(text)
    except ValueError as error:
        raise section.error("cidr", f"must be an IPv4 network, is `{text}`") from error
    if network.prefixlen != 16:  # noqa: PLR2004 - the subnets are cut from a /16
        raise section.error("cidr", f"must be a /16, is `{text}`")
    if not any(network.subnet_of(block) for block in _PRIVATE):
        # Hosts of the internet that have the addresses would be out of the service's reach.
        raise section.error(
            "cidr", f"must be private (in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16), is `{text}`"
        )
    return text
