"""One request on its way through an operation: its caller, and the state it may read and change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .errors import Field, InvalidInputError, NotFoundError
from .records import Policy, PolicyStore, Template, alias_key

if TYPE_CHECKING:
    from .deciding import Decider
    from .state import State

ALIAS_PREFIX: Final = "policy-store-alias/"
NAME_PREFIX: Final = "name/"

_Named = TypeVar("_Named", Policy, Template)

SigningKeys = Callable[[str], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Whom the authenticator recognised: an account in a region."""

    account_id: str
    region: str


@dataclass(frozen=True, kw_only=True)
class Call:
    """A checked request.

    Attributes:
        request: the JSON body; it satisfies the operation's model.
        at: seconds since the epoch; the one clock of the request.
        signing_keys: issuer -> JWK set; raises LookupError for an issuer that it does not know.
        consistency_delay_seconds: for so long a new store is not found, as may happen on AWS.
    """

    operation: str
    request: dict[str, Any]
    caller: Caller
    at: float
    state: State
    decider: Decider
    signing_keys: SigningKeys
    consistency_delay_seconds: float

    @property
    def now(self) -> str:
        """``at`` in the API's form."""
        return timestamp(self.at)

    def store(self, given: str | None = None) -> PolicyStore:
        """The policy store that the request names by id or alias.

        Raises:
            NotFoundError: no such store for this caller.
        """
        name = given if given is not None else self.request["policyStoreId"]
        found = find_store(self.state, self.caller, name)
        if found is None or self.at - found.created_at < self.consistency_delay_seconds:
            raise NotFoundError(
                "Policy Store does not exist.", resource_id=name, resource_type="POLICY_STORE"
            )
        return found

    def policy(self, store: PolicyStore, reference: str) -> Policy | None:
        """A policy by id or ``name/...``."""
        return _by_reference(self.state.policies.get(store.id, {}), reference)

    def template(self, store: PolicyStore, reference: str) -> Template | None:
        """A template by id or ``name/...``."""
        return _by_reference(self.state.templates.get(store.id, {}), reference)

    def required_template(self, store: PolicyStore, reference: str) -> Template:
        """A template by id or ``name/...``.

        Raises:
            NotFoundError: there is none.
        """
        found = self.template(store, reference)
        if found is None:
            raise NotFoundError(
                "Policy Template does not exist.",
                resource_id=reference,
                resource_type="POLICY_TEMPLATE",
            )
        return found


Operation = Callable[[Call], dict[str, Any]]


def find_store(state: State, caller: Caller, name: str) -> PolicyStore | None:
    """The caller's store by id or by an active alias; another account's or region's is none."""
    if name.startswith(ALIAS_PREFIX):
        alias = state.aliases.get(alias_key(caller.account_id, caller.region, name))
        if alias is None or alias.state != "Active":
            return None
        name = alias.store
    store = state.stores.get(name)
    if store is None or (store.account, store.region) != (caller.account_id, caller.region):
        return None
    return store


def checked_name(name: str | None, path: str = "/name") -> str | None:
    """A policy's or template's name as it is stored; an empty one is none.

    Raises:
        InvalidInputError: the ``name/`` prefix or what follows it is missing.
    """
    if not name:
        return None
    if not name.startswith(NAME_PREFIX) or name == NAME_PREFIX:
        raise InvalidInputError(
            Field(path, f"Invalid format. A name must be prefixed with {NAME_PREFIX}.")
        )
    return name


def timestamp(at: float) -> str:
    """ISO-8601 in UTC, e.g. ``2023-05-16T20:33:01.730817+00:00``."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")


def _by_reference(table: dict[str, _Named], reference: str) -> _Named | None:
    if reference.startswith(NAME_PREFIX):
        return next((item for item in table.values() if item.name == reference), None)
    return table.get(reference)
