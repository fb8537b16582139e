"""A decision of the audit trail, asked again: its request, as the entry has written it down."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from service.cedar.entities import Entity
from service.cedar.request import AuthorizationRequest, TokenBearer
from service.cedar.values import EntityUid, parse_datetime, parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.cedar.values import Value

_Scalar: TypeAlias = datetime | timedelta | IPv4Address | IPv6Address


class NotRecordedError(ValueError):
    """The entry does not say what was asked, or not any more: nobody can ask it again."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One decision, and what it decided.

    Attributes:
        entry_id: of the trail.
        at: as the entry writes it.
        who: the person's pseudonym.
        principal: who it was.
        allowed: what was said.
        policies: by which.
        bearer: who asked, as their token told it.
        request: without the bearer's own entities.
    """

    entry_id: str
    at: object
    who: str
    principal: EntityUid
    allowed: bool
    policies: tuple[str, ...]
    bearer: TokenBearer
    request: AuthorizationRequest

    def asked(self, attributes: frozenset[str], *, pool_id: str) -> AuthorizationRequest:
        """The request with its bearer, as an evaluation needs it.

        Args:
            attributes: what the schema has of a person's claims.
            pool_id: of the tenant.
        """
        known = {name: text for name, text in self.bearer.claims.items() if name in attributes}
        bearer = TokenBearer(
            subject=self.bearer.subject,
            groups=self.bearer.groups,
            claims=known,
            scopes=self.bearer.scopes,
            client_id=self.bearer.client_id,
        )
        return self.request.with_bearer(bearer, pool_id=pool_id)


def recorded(entry: Mapping[str, Any]) -> Recorded:
    """A decision of an entry as ``GET /v1/audit`` answers it.

    Raises:
        NotRecordedError: it is no decision, its person was forgotten, or it is of a release that
            wrote less down.
    """
    asked, claims, principal = (entry.get(name) for name in ("asked", "claims", "principal"))
    if not asked or not claims or not principal:
        raise NotRecordedError("what was asked is not in the entry")
    try:
        uid = EntityUid("Fleet::User", str(principal))
        entities = tuple(_entity(one) for one in asked["entities"])
        request = AuthorizationRequest(
            principal=uid,
            action=entry["action"],
            resource=entities[0].uid,
            context={name: value_of(value) for name, value in asked["context"].items()},
            entities=entities,
        )
        return Recorded(
            entry_id=entry["id"],
            at=entry["at"],
            who=entry["who"],
            principal=uid,
            allowed=entry["decision"] == "ALLOW",
            policies=tuple(entry["policies"]),
            bearer=_bearer(claims),
            request=request,
        )
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise NotRecordedError(f"what was asked cannot be read: {type(error).__name__}") from error


def value_of(document: Any) -> Value:
    """A value of Cedar's JSON form; the way back from ``values.json_value``.

    Raises:
        ValueError: it is of no form that is known here.
    """
    match document:
        case {"__extn": {"fn": str(function), "arg": str(argument)}}:
            return _extension(function, argument)
        case {"__entity": {"type": str(kind), "id": str(name)}}:
            return EntityUid(kind, name)
        case bool() | int() | str():
            return document
        case list():
            return tuple(value_of(one) for one in cast("list[Any]", document))
        case dict():
            members = cast("dict[str, Any]", document)
            return {name: value_of(one) for name, one in members.items()}
        case _:
            raise ValueError(f"no value of Cedar's: {type(document).__name__}")


def _extension(function: str, argument: str) -> _Scalar:
    match function:
        case "datetime":
            return parse_datetime(argument)
        case "duration":
            return parse_duration(argument)
        case "ip":
            return ip_address(argument)
        case _:
            raise ValueError(f"no extension that is known here: `{function}`")


def _entity(document: Mapping[str, Any]) -> Entity:
    return Entity(
        uid=EntityUid(**document["uid"]),
        attributes={name: value_of(one) for name, one in document["attrs"].items()},
        parents=tuple(EntityUid(**one) for one in document["parents"]),
        tags=document.get("tags", {}),
    )


def _bearer(claims: Mapping[str, Any]) -> TokenBearer:
    groups = tuple(claims.get("cognito:groups", ()))
    if claims.get("token_use") == "access":
        return TokenBearer(
            subject=claims["sub"],
            groups=groups,
            scopes=tuple(claims["scope"].split()),
            client_id=claims["client_id"],
        )
    texts = {name: text for name, text in claims.items() if isinstance(text, str)}
    return TokenBearer(subject=claims["sub"], groups=groups, claims=texts)
