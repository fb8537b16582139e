"""The reference fleet: people, devices, groups, files and grants of `policies/cases`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self, cast

import yaml

from infra.policies.cases.cedar_json import SchemaReader
from infra.policies.cases.requests import Resource
from infra.policies.files.bundle import Grant, PolicyError, TenantPolicies
from infra.policies.files.load import read_schema
from service.cedar.entities import DEVICE, DEVICE_GROUP, GROUP, ROOT_GROUP, TENANT, USER
from service.cedar.request import TokenBearer
from service.cedar.statement import Problem
from service.cedar.values import EntityUid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from service.cedar.entities import Entity

TENANT_ID: Final = "acme"
OTHER_TENANT: Final = "globex"
POOL_ID: Final = "eu-central-1_reference"
# 00:00 at +01:00, inside a window of 22:00-04:00; and 12:00, outside.
NIGHT: Final = datetime(2026, 11, 22, 23, 0, tzinfo=UTC)
NOON: Final = datetime(2026, 11, 22, 11, 0, tzinfo=UTC)

_ENTITIES: Final = "cases/entities.json"
_GRANTS: Final = "cases/grants.yaml"


@dataclass(frozen=True, kw_only=True)
class ReferenceFleet:
    """What ``policies/cases`` says of people, devices and grants, not bound to a user pool.

    Attributes:
        entities: of ``entities.json``.
        grants: of ``grants.yaml``.
    """

    entities: Mapping[EntityUid, Entity]
    grants: tuple[Grant, ...]

    @classmethod
    def read(cls, root: Path) -> Self:
        """The fleet of ``root``, the folder ``policies``.

        Raises:
            PolicyError: a file is missing, or not of the form of ``policies/README.md``.
        """
        reader = SchemaReader(read_schema(root))
        file = _ENTITIES
        try:
            entities = reader.entities(json.loads((root / file).read_text(encoding="utf-8")))
            file = _GRANTS
            grants = _grants(yaml.safe_load((root / file).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
            shown = (root / file).relative_to(root.parent).as_posix()
            raise PolicyError((Problem(file=shown, line=0, words=str(error)),)) from error
        return cls(entities=entities, grants=grants)

    @property
    def policies(self) -> TenantPolicies:
        """The fleet's tenant with its grants and no policies of its own."""
        return TenantPolicies(tenant=TENANT_ID, grants=self.grants)

    def resources(self) -> dict[str, Resource]:
        """What is asked about in the matrix, by its heading."""
        press = self.device("press-07")
        return {
            "the tenant": Resource(type=TENANT),
            "press-07": press,
            "pump-03": self.device("pump-03"),
            "infusion-12": self.device("infusion-12"),
            "group line-press": Resource(type=DEVICE_GROUP, id="line-press"),
            "group zone-hall-1": Resource(type=DEVICE_GROUP, id="zone-hall-1"),
            "globex's press-07": Resource(
                type=DEVICE,
                id=press.id,
                groups=press.groups,
                attributes=press.attributes,
                tenant=OTHER_TENANT,
            ),
        }

    def device(self, device: str) -> Resource:
        """One device, as a resource that may be varied."""
        entity = self.entities[EntityUid(DEVICE, device)]
        attributes = {name: value for name, value in entity.attributes.items() if name != "tenant"}
        groups = [group for group in _ids(entity.parents, DEVICE_GROUP) if group != ROOT_GROUP]
        return Resource(
            type=DEVICE,
            id=device,
            groups=tuple(groups),
            attributes=attributes,
            tags=entity.tags,
        )

    def bearer(self, user: str) -> TokenBearer:
        """One person, who comes with an ID token."""
        entity = self.entities[EntityUid(USER, user)]
        claims = {name: str(value) for name, value in entity.attributes.items()}
        return TokenBearer(subject=user, groups=tuple(_ids(entity.parents, GROUP)), claims=claims)


def _ids(uids: Iterable[EntityUid], kind: str) -> list[str]:
    return [uid.id for uid in uids if uid.type == kind]


def _grants(document: object) -> tuple[Grant, ...]:
    if not isinstance(document, list):
        raise TypeError("must be a list of grants, as in a tenant's stack file")
    return tuple(Grant(**item) for item in cast("list[dict[str, Any]]", document))
