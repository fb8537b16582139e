"""What is stored: one frozen record per thing that the API can create; JSON in, JSON out."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ID_LENGTH: Final = 22  # as the ids that AWS makes


def new_id() -> str:
    """A fresh 22-character id of letters and digits."""
    return "".join(secrets.choice(_BASE58) for _ in range(_ID_LENGTH))


@dataclass(frozen=True, kw_only=True)
class Record:
    """A row of the state; ``key`` is unique among all rows of its class."""

    @property
    def key(self) -> str:
        """The row's identity in state and journal."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """The row as JSON members."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The row back from ``to_json``."""
        return cls(**data)


@dataclass(frozen=True, kw_only=True)
class PolicyStore(Record):
    """A policy store.

    Times are ISO-8601 strings; ``created_at`` is seconds since the epoch; ``order`` sorts lists.
    """

    id: str
    account: str
    region: str
    mode: str
    protected: bool
    description: str | None
    encryption: dict[str, Any]
    tags: dict[str, str]
    created: str
    updated: str
    created_at: float
    order: int

    @property
    def key(self) -> str:
        """Its id."""
        return self.id

    @property
    def arn(self) -> str:
        """The store's ARN, which has no region."""
        return store_arn(self.account, self.id)


@dataclass(frozen=True, kw_only=True)
class StoredSchema(Record):
    """The schema of one store, its text as it came."""

    store: str
    text: str
    namespaces: list[str]
    created: str
    updated: str

    @property
    def key(self) -> str:
        """Its store: a store has one schema."""
        return self.store


@dataclass(frozen=True, kw_only=True)
class Policy(Record):
    """A static policy (``statement``) or a link (``template``, ``principal``, ``resource``)."""

    id: str
    store: str
    statement: str | None = None
    description: str | None = None
    template: str | None = None
    principal: dict[str, str] | None = None
    resource: dict[str, str] | None = None
    name: str | None = None
    created: str
    updated: str
    order: int

    @property
    def key(self) -> str:
        """Store and id."""
        return f"{self.store}/{self.id}"


@dataclass(frozen=True, kw_only=True)
class Template(Record):
    """A policy template."""

    id: str
    store: str
    statement: str
    description: str | None = None
    name: str | None = None
    created: str
    updated: str
    order: int

    @property
    def key(self) -> str:
        """Store and id."""
        return f"{self.store}/{self.id}"


@dataclass(frozen=True, kw_only=True)
class IdentitySource(Record):
    """Who signs the tokens of a store; ``configuration`` is the request's union member."""

    id: str
    store: str
    configuration: dict[str, Any]
    principal_type: str
    created: str
    updated: str
    order: int

    @property
    def key(self) -> str:
        """Store and id."""
        return f"{self.store}/{self.id}"


@dataclass(frozen=True, kw_only=True)
class Alias(Record):
    """Another name of a store, unique in its account and region; ``name`` carries the prefix."""

    name: str
    account: str
    region: str
    store: str
    state: str
    created: str
    order: int

    @property
    def key(self) -> str:
        """Account, region and name."""
        return alias_key(self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        """The alias's ARN, which has a region."""
        return f"arn:aws:verifiedpermissions:{self.region}:{self.account}:{self.name}"


@dataclass(frozen=True, kw_only=True)
class ClientToken(Record):
    """The answer of a create under a client token; ``expires_at`` in seconds since the epoch."""

    account: str
    region: str
    operation: str
    token: str
    request_hash: str
    resource_id: str
    response: dict[str, Any] = field(default_factory=dict[str, Any])
    expires_at: float

    @property
    def key(self) -> str:
        """Account, region, operation and token."""
        return client_token_key(self.account, self.region, self.operation, self.token)


def store_arn(account: str, store_id: str) -> str:
    """The ARN of a policy store."""
    return f"arn:aws:verifiedpermissions::{account}:policy-store/{store_id}"


def alias_key(account: str, region: str, name: str) -> str:
    """The key of an alias."""
    return f"{account}/{region}/{name}"


def client_token_key(account: str, region: str, operation: str, token: str) -> str:
    """The key of a client token."""
    return f"{account}/{region}/{operation}/{token}"


KINDS: Final[dict[str, type[Record]]] = {
    kind.__name__: kind
    for kind in (PolicyStore, StoredSchema, Policy, Template, IdentitySource, Alias, ClientToken)
}
