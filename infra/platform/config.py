"""What tenants/Pulumi.platform.yaml asks for: read into a frozen dataclass, refused before any resource is made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

from infra.section import Section

_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_HOST: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")


@dataclass(frozen=True, kw_only=True)
class PlatformConfig:
    """`cedarfleet:platform` of tenants/Pulumi.platform.yaml.

    Attributes:
        domain_name: host of the API, e.g. `api.cedarfleet.example`.
        hosted_zone_id: Route 53 zone of that host; proves the certificate and gets the address.
        image_tag: tag of the service's image in the platform's repository.
        cidr: address range of the network, a /16.
        availability_zones: two zones of the region.
        tasks_min: service tasks that always run.
        tasks_max: the most that autoscaling starts.
        log_days: how long logs are kept.
        protect: whether what holds data refuses to be deleted.
    """

    domain_name: str
    hosted_zone_id: str
    image_tag: str
    cidr: str
    availability_zones: tuple[str, str]
    tasks_min: int
    tasks_max: int
    log_days: int
    protect: bool

    @classmethod
    def read(cls, file: str, data: object) -> PlatformConfig:
        """Read and check what `file` says under `cedarfleet:platform`.

        Raises:
            ConfigError: file, key and what would be right.
        """
        section = Section(f"{file}: cedarfleet:platform", data)
        zones = section.texts("availability_zones")
        if len(zones) != 2:  # noqa: PLR2004 - the load balancer needs two, and the network is laid out for two
            raise section.error("availability_zones", f"must name two zones, names {len(zones)}")
        config = cls(
            domain_name=section.matching("domain_name", _HOST, "a host name of lower-case labels"),
            hosted_zone_id=section.matching("hosted_zone_id", _WORD, "the id of a Route 53 zone"),
            image_tag=section.matching("image_tag", _WORD, "an image tag"),
            cidr=_network(section),
            availability_zones=(zones[0], zones[1]),
            tasks_min=section.number("tasks_min", 2, least=1, most=100),
            tasks_max=section.number("tasks_max", 10, least=1, most=100),
            log_days=section.number("log_days", 30, least=1, most=3653),
            protect=section.truth("protect", default=True),
        )
        if config.tasks_max < config.tasks_min:
            raise section.error("tasks_max", f"must be at least tasks_min ({config.tasks_min}), is {config.tasks_max}")
        section.finish()
        return config


def _network(section: Section) -> str:
    text = section.text("cidr", "10.20.0.0/16")
    try:
        network = IPv4Network(text)
    except ValueError as error:
        raise section.error("cidr", f"must be an IPv4 network, is `{text}`") from error
    if network.prefixlen != 16:  # noqa: PLR2004 - the subnets are cut from a /16
        raise section.error("cidr", f"must be a /16, is `{text}`")
    return text
