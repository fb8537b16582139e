"""The reference fleet: devices, groups and grants by which the policies are judged, in cases, matrix and diff."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from infra.policies.bundle import Grant, TenantPolicies
from infra.policies.question import Artifact, Circumstances, Question, Target, Who

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TENANT_ID: Final = "acme"
OTHER_TENANT: Final = "globex"
POOL_ID: Final = "eu-central-1_reference"
NIGHT: Final = datetime(
    2026, 11, 22, 23, 0, tzinfo=UTC
)  # 00:00 at +01:00: inside a window of 22:00-04:00
NOON: Final = datetime(2026, 11, 22, 11, 0, tzinfo=UTC)  # 12:00 at +01:00: outside

_TENANT_ACTIONS: Final = ("ListDevices",)
_DEVICE_ACTIONS: Final = (
    "ViewDevice",
    "ViewCommand",
    "ViewDownload",
    "OperateDevice",
    "StopDevice",
    "SetParameters",
    "MaintainDevice",
    "DownloadFile",
    "UpdateFirmware",
    "ConfigureDevice",
)
_GROUP_ACTIONS: Final = ("ViewDownload", "DownloadFile", "UpdateFirmware")
ACTIONS: Final = (*_TENANT_ACTIONS, *_DEVICE_ACTIONS)

_HALL_1: Final = {"region": "eu-central", "utc_offset": "+01:00", "window": "22:00-04:00"}
PRESS: Final = Target(
    kind="device",
    id="press-07",
    groups=("line-press", "zone-hall-1"),
    attributes={**_HALL_1, "kind": "press", "criticality": "high", "security_patch": "2026-09-01"},
)
PUMP: Final = Target(
    kind="device",
    id="pump-03",
    groups=("line-pump", "zone-hall-1"),
    attributes={**_HALL_1, "kind": "pump", "criticality": "low", "security_patch": "2026-11-10"},
)
INFUSION: Final = Target(
    kind="device",
    id="infusion-12",
    groups=("ward-3",),
    attributes={"kind": "infusion", "criticality": "high", "region": "us-east"},
)
THE_TENANT: Final = Target(kind="tenant")
LINE: Final = Target(kind="group", id="line-press")
ZONE: Final = Target(kind="group", id="zone-hall-1")
FOREIGN: Final = Target(
    kind="device",
    id=PRESS.id,
    groups=PRESS.groups,
    attributes=PRESS.attributes,
    tenant=OTHER_TENANT,
)

TARGETS: Final = {
    "the tenant": THE_TENANT,
    "press-07": PRESS,
    "pump-03": PUMP,
    "infusion-12": INFUSION,
    "group line-press": LINE,
    "group zone-hall-1": ZONE,
    "globex's press-07": FOREIGN,
}

GRANTS: Final = (
    Grant(
        id="line-press-certified",
        template="certified-for-line",
        principal='Fleet::Group::"certified-line-press"',
        resource='Fleet::DeviceGroup::"line-press"',
    ),
    Grant(
        id="hall-1-firmware",
        template="firmware-for-zone",
        principal='Fleet::Group::"it-staff"',
        resource='Fleet::DeviceGroup::"zone-hall-1"',
    ),
    Grant(
        id="kim-until-december",
        template="technician-for-line",
        principal='Fleet::User::"kim"',
        resource='Fleet::DeviceGroup::"line-pump"',
        until=datetime(2026, 12, 1, tzinfo=UTC),
    ),
    Grant(
        id="lee-until-november",
        template="technician-for-line",
        principal='Fleet::User::"lee"',
        resource='Fleet::DeviceGroup::"line-pump"',
        until=datetime(2026, 11, 1, tzinfo=UTC),
    ),
    Grant(
        id="sam-tonight",
        template="break-glass",
        principal='Fleet::User::"sam"',
        resource='Fleet::DeviceGroup::"ward-3"',
        until=datetime(2026, 11, 23, 0, 30, tzinfo=UTC),
    ),
)
REFERENCE: Final = TenantPolicies(tenant=TENANT_ID, grants=GRANTS)


def ask(
    who: Who, about: Circumstances, targets: Mapping[str, Target]
) -> Iterator[tuple[str, str, Question]]:
    """Action, name of the target and question for everything that can be asked of the targets.

    An action that delivers something comes with the artifact of ``about``, or else with one that befits it.
    """
    usual = {"DownloadFile": Artifact(kind="file"), "UpdateFirmware": Artifact(kind="firmware")}
    for action in ACTIONS:
        artifact = (about.artifact or usual[action]) if action in usual else None
        for name, target in targets.items():
            if applies(action, target):
                circumstances = replace(about, artifact=artifact)
                yield (
                    action,
                    name,
                    Question(who=who, action=action, target=target, circumstances=circumstances),
                )


def applies(action: str, target: Target) -> bool:
    """Whether the schema lets ``action`` be asked of ``target``."""
    return (
        action
        in {"tenant": _TENANT_ACTIONS, "group": _GROUP_ACTIONS, "device": _DEVICE_ACTIONS}[
            target.kind
        ]
    )
