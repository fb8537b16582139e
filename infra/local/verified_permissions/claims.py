"""From verified claims to a principal, its groups, its attributes and ``context.token``.

Source: Verified Permissions user guide, "Mapping identity provider tokens to schema". What the
guide leaves open is decided here: with a schema, claims that it does not declare are left out;
numbers with a fraction and nulls, which Cedar does not have, are left out always.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from .errors import Field, InvalidInputError
from .identity_sources import cognito_pool

if TYPE_CHECKING:
    from .records import IdentitySource
    from .schema_shapes import Record, SchemaShapes
    from .tokens import Use, VerifiedClaims

_INT64: Final = range(-(2**63), 2**63)
_GROUPS: Final = "cognito:groups"  # never an attribute, with or without a group configuration
_DOTTED: Final = ("cognito", "custom")  # principal.custom.dept is principal["custom:dept"]


@dataclass(frozen=True, kw_only=True)
class TokenPrincipal:
    """Who the tokens say is asking.

    Attributes:
        uid: Cedar ``{"type", "id"}``.
        entity: the principal as a Cedar entity, its groups as parents.
        access: the access token's claims, if there is one.
        reserved: entity types that a request may not define beside a token, with their names in the
            refusal.
    """

    uid: dict[str, str]
    entity: dict[str, Any]
    access: VerifiedClaims | None
    reserved: dict[str, str]


def principal(
    source: IdentitySource,
    tokens: dict[Use, VerifiedClaims],
    shapes: SchemaShapes | None,
) -> TokenPrincipal:
    """The principal of one or two verified tokens.

    Raises:
        InvalidInputError: the tokens are of two users, or a claim cannot be mapped.
    """
    pool = cognito_pool(source)
    cognito = pool is not None
    configuration = source.configuration[
        "cognitoUserPoolConfiguration" if cognito else "openIdConnectConfiguration"
    ]
    ids = {
        use: _principal_id(claims, configuration, use, cognito=cognito)
        for use, claims in tokens.items()
    }
    if len(set(ids.values())) != 1:
        raise InvalidInputError(
            Field("/accessToken", "The identity token and the access token are of two users.")
        )
    prefix = pool if cognito else configuration.get("entityIdPrefix")
    groups = configuration.get("groupConfiguration") or {}
    group_type, group_claim = groups.get("groupEntityType"), groups.get("groupClaim", _GROUPS)
    parents: dict[str, dict[str, str]] = {}
    if group_type is not None:
        for claims in tokens.values():
            for name in _group_names(claims.get(group_claim)):
                parents[name] = {"type": group_type, "id": _prefixed(prefix, name)}
    uid = {"type": source.principal_type, "id": _prefixed(prefix, next(iter(ids.values())))}
    attributes: dict[str, Any] = {}
    if (identity := tokens.get("identityToken")) is not None:
        hidden = _GROUPS if cognito else group_claim
        declared = shapes.entity_attributes(source.principal_type) if shapes is not None else None
        attributes = _attributes(identity, hidden=hidden, dotted=cognito, use="identityToken")
        if shapes is not None:
            attributes = _projected(attributes, declared or {}, shapes, source.principal_type)
    reserved = {source.principal_type: "PrincipalEntityType"}
    if group_type is not None:
        reserved.setdefault(group_type, "GroupEntityType")
    return TokenPrincipal(
        uid=uid,
        entity={"uid": uid, "attrs": attributes, "parents": list(parents.values())},
        access=tokens.get("accessToken"),
        reserved=reserved,
    )


def with_token(
    context: dict[str, Any],
    who: TokenPrincipal,
    action: dict[str, str],
    shapes: SchemaShapes | None,
    path: str,
) -> dict[str, Any]:
    """The request's context with the access token's claims under ``token``.

    With a schema, ``token`` appears only for actions whose context declares it.

    Raises:
        InvalidInputError: the request brings a ``token`` of its own.
    """
    if who.access is None:
        return context
    if "token" in context:
        raise InvalidInputError(
            Field(path, "`token` is made from the access token and cannot be given.")
        )
    claims = _attributes(who.access, hidden=_GROUPS, dotted=True, use="accessToken")
    if shapes is None:
        if isinstance(claims.get("scope"), str):
            claims["scope"] = claims["scope"].split()
        return context | {"token": claims}
    declared = shapes.context_attributes(action["type"], action["id"]).get("token")
    if declared is None:
        return context
    attributes = shapes.record_attributes(declared, action["type"])
    return context | {"token": _projected(claims, attributes, shapes, action["type"])}


def _principal_id(
    claims: VerifiedClaims, configuration: dict[str, Any], use: Use, *, cognito: bool
) -> str:
    claim = "sub"
    if not cognito:
        selection = configuration["tokenSelection"]
        chosen = selection.get("identityTokenOnly") or selection.get("accessTokenOnly") or {}
        claim = chosen.get("principalIdClaim") or claim
    found = claims.get(claim)
    if not isinstance(found, str) or not found:
        raise InvalidInputError(
            Field(f"/{use}", f"The token has no claim `{claim}` that could be the principal.")
        )
    return found


def _prefixed(prefix: str | None, name: str) -> str:
    return f"{prefix}|{name}" if prefix else name


def _group_names(claim: Any) -> list[str]:
    if isinstance(claim, str):
        return claim.split()
    return (
        [name for name in cast("list[Any]", claim) if isinstance(name, str)]
        if isinstance(claim, list)
        else []
    )


def _attributes(claims: VerifiedClaims, *, hidden: str, dotted: bool, use: Use) -> dict[str, Any]:
    """Claims as Cedar values; with ``dotted`` those of Cognito also as nested records."""
    result: dict[str, Any] = {}
    for name, claim in claims.items():
        # `__entity`, `__extn` and `__expr` are escapes of Cedar's JSON: a claim must stay data.
        if name == hidden or name.partition(":")[2].startswith("__") or name.startswith("__"):
            continue
        converted = _cedar_value(claim)
        if converted is None:
            continue
        result[name] = converted
    if not dotted:
        return result
    for prefix in _DOTTED:
        inner = {
            name.partition(":")[2]: value
            for name, value in result.items()
            if name.startswith(f"{prefix}:")
        }
        if inner and prefix in result:
            raise InvalidInputError(
                Field(
                    f"/{use}",
                    f"The token has a claim `{prefix}` beside claims that start with `{prefix}:`.",
                )
            )
        if inner:
            result[prefix] = inner
    return result


def _cedar_value(claim: Any) -> Any:
    if isinstance(claim, (bool, str)):
        return claim
    if isinstance(claim, int):
        return claim if claim in _INT64 else None
    if isinstance(claim, list):
        items = [_cedar_value(item) for item in cast("list[Any]", claim)]
        return None if any(item is None for item in items) else items
    if isinstance(claim, dict):
        members = {name: _cedar_value(item) for name, item in cast("dict[str, Any]", claim).items()}
        return {
            name: item
            for name, item in members.items()
            if item is not None and not name.startswith("__")
        }
    return None


def _projected(
    values: dict[str, Any], declared: Record, shapes: SchemaShapes, near: str
) -> dict[str, Any]:
    """Only what the schema declares, in the declared type where the issuer's is mere habit."""
    result: dict[str, Any] = {}
    for name, kind in declared.items():
        if name not in values:
            continue
        value, resolved = values[name], shapes.resolve(kind, near)
        # Cognito sends custom attributes as strings.
        match resolved.get("type"):
            case "Record" if isinstance(value, dict):
                value = _projected(
                    cast("dict[str, Any]", value),
                    shapes.record_attributes(kind, near),
                    shapes,
                    near,
                )
            case "Set" if isinstance(value, str):  # `scope` is words in one string
                value = value.split()
            case "String" if isinstance(value, (bool, int)):
                value = json.dumps(value)
            case "Boolean" if value in (
                "true",
                "false",
            ):
                value = value == "true"
            case _:
                pass
        result[name] = value
    return result
