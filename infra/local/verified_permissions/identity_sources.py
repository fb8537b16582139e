"""Operations on identity sources: whose tokens a store accepts, and as what they come in."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from . import client_tokens
from .errors import Field, InvalidInputError, NotFoundError, QuotaExceededError
from .pages import page
from .records import IdentitySource, PolicyStore, new_id

if TYPE_CHECKING:
    from .call import Call

MAX_SOURCES: Final = 1  # per store
DEFAULT_PRINCIPAL_TYPE: Final = "AWS::Cognito"  # as AWS's own answers show

_POOL_ARN: Final = re.compile(
    r"arn:([^:]+):cognito-idp:([^:]+):(\d{12}):userpool/([\w-]+_[0-9a-zA-Z]+)"
)


def create_identity_source(call: Call) -> dict[str, Any]:
    """CreateIdentitySource: a Cognito pool of the same account, or an OIDC issuer with keys."""
    store = call.store()
    if (earlier := client_tokens.earlier_answer(call, "IDENTITY_SOURCE")) is not None:
        return earlier
    if len(call.state.sources.get(store.id, {})) >= MAX_SOURCES:
        raise QuotaExceededError(
            "Identity Source Limit Exceeded.", resource_type="IDENTITY_SOURCE", resource_id=store.id
        )
    configuration = call.request["configuration"]
    source = IdentitySource(
        id=new_id(),
        store=store.id,
        configuration=configuration,
        principal_type=_principal_type(call, configuration),
        created=call.now,
        updated=call.now,
        order=call.state.next_order(),
    )
    _check_issuer(call, configuration, "/configuration")
    return client_tokens.commit_created(
        call, source, resource_id=source.id, response=_summary(source)
    )


def get_identity_source(call: Call) -> dict[str, Any]:
    """GetIdentitySource."""
    return _item(_required(call, call.store()))


def list_identity_sources(call: Call) -> dict[str, Any]:
    """ListIdentitySources: any of the filters may match."""
    filters = call.request.get("filters") or []
    wanted = {
        item["principalEntityType"]
        for item in filters
        if item.get("principalEntityType") is not None
    }
    sources = call.state.sources.get(call.store().id, {}).values()
    shown, more = page(
        call, [source for source in sources if not wanted or source.principal_type in wanted]
    )
    return {"identitySources": [_item(source) for source in shown], **more}


def update_identity_source(call: Call) -> dict[str, Any]:
    """UpdateIdentitySource: the configuration; the principal type stays unless it is sent."""
    source = _required(call, call.store())
    configuration = call.request["updateConfiguration"]
    principal_type = call.request.get("principalEntityType") or source.principal_type
    _check_issuer(call, configuration, "/updateConfiguration")
    updated = replace(
        source, configuration=configuration, principal_type=principal_type, updated=call.now
    )
    call.state.commit(put=[updated])
    return _summary(updated)


def delete_identity_source(call: Call) -> dict[str, Any]:
    """DeleteIdentitySource: from then on the store refuses every token."""
    call.state.commit(delete=[_required(call, call.store())])
    return {}


def cognito_pool(source: IdentitySource) -> str | None:
    """The user pool's id, or None for an OIDC source."""
    cognito = source.configuration.get("cognitoUserPoolConfiguration")
    return None if cognito is None else cognito["userPoolArn"].rpartition("/")[2]


def issuer_of(configuration: dict[str, Any]) -> str:
    """The ``iss`` that tokens of this configuration carry."""
    cognito = configuration.get("cognitoUserPoolConfiguration")
    if cognito is None:
        return configuration["openIdConnectConfiguration"]["issuer"]
    match = _POOL_ARN.fullmatch(cognito["userPoolArn"])
    assert match is not None  # noqa: S101 - _check_issuer let it in
    suffix = ".cn" if match[1] == "aws-cn" else ""
    return f"https://cognito-idp.{match[2]}.amazonaws.com{suffix}/{match[4]}"


def _check_issuer(call: Call, configuration: dict[str, Any], path: str) -> None:
    cognito = configuration.get("cognitoUserPoolConfiguration")
    if cognito is not None:
        path = f"{path}/cognitoUserPoolConfiguration/userPoolArn"
        match = _POOL_ARN.fullmatch(cognito["userPoolArn"])
        if match is None or not match[4].startswith(f"{match[2]}_"):
            raise InvalidInputError(
                Field(path, "Must be the ARN of a user pool, in the pool's region.")
            )
        if match[3] != call.caller.account_id:
            raise InvalidInputError(
                Field(path, "The user pool must be in the account of the policy store.")
            )
        missing = "The user pool does not exist, or its signing keys are not known here."
    else:
        issuer = configuration["openIdConnectConfiguration"]["issuer"]
        path = f"{path}/openIdConnectConfiguration/issuer"
        if "?" in issuer or "#" in issuer:
            raise InvalidInputError(Field(path, "An issuer has no query and no fragment."))
        missing = f"Failed to deserialize discovery document from issuer: {issuer}"
    try:
        call.signing_keys(issuer_of(configuration))
    except LookupError as error:
        raise InvalidInputError(Field(path, missing)) from error  # fail closed


def _principal_type(call: Call, configuration: dict[str, Any]) -> str:
    given = call.request.get("principalEntityType")
    if given is not None:
        return given
    if "openIdConnectConfiguration" in configuration:
        raise InvalidInputError(
            Field("/principalEntityType", "Invalid PrincipalEntityType, must not be empty")
        )
    return DEFAULT_PRINCIPAL_TYPE


def _required(call: Call, store: PolicyStore) -> IdentitySource:
    reference = call.request["identitySourceId"]
    source = call.state.sources.get(store.id, {}).get(reference)
    if source is None:
        raise NotFoundError(
            "Identity Source does not exist.",
            resource_id=reference,
            resource_type="IDENTITY_SOURCE",
        )
    return source


def _summary(source: IdentitySource) -> dict[str, Any]:
    return {
        "identitySourceId": source.id,
        "policyStoreId": source.store,
        "createdDate": source.created,
        "lastUpdatedDate": source.updated,
    }


def _item(source: IdentitySource) -> dict[str, Any]:
    """With the deprecated ``details`` that AWS still sends for Cognito."""
    item = _summary(source) | {"principalEntityType": source.principal_type}
    cognito = source.configuration.get("cognitoUserPoolConfiguration")
    if cognito is None:
        return item | {"configuration": source.configuration}
    issuer, client_ids = issuer_of(source.configuration), cognito.get("clientIds") or []
    return item | {
        "configuration": {
            "cognitoUserPoolConfiguration": {**cognito, "clientIds": client_ids, "issuer": issuer}
        },
        "details": {
            "clientIds": client_ids,
            "userPoolArn": cognito["userPoolArn"],
            "discoveryUrl": issuer,
            "openIdIssuer": "COGNITO",
        },
    }
