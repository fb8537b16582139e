"""Cognito: sign-in, and who may write which attribute; else any user can become any other."""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from infra.local.cloud.emulator import Emulator

_COGNITO: Final = "services.cognito"
_CREATING: Final = ("SignUp", "AdminCreateUser")
_VERIFIED: Final = frozenset({"email_verified", "phone_number_verified"})
_STANDARD: Final = _VERIFIED | frozenset(
    {
        "sub",
        "name",
        "family_name",
        "given_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
    }
    | {
        "website",
        "email",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "phone_number",
        "address",
        "updated_at",
    }
)
_FIXED_CODES: Final = frozenset({"123456", "654321"})
_CHALLENGE_SECONDS: Final = 180.0  # AWS: AuthSessionValidity of an app client, default 3 minutes
_SESSION_CHALLENGES: Final = frozenset(
    {"NEW_PASSWORD_REQUIRED", "SOFTWARE_TOKEN_MFA", "SMS_MFA", "MFA_SETUP"}
)


def groups_can_be_updated(emulator: Emulator) -> None:
    """Know UpdateGroup; without, a group that changes is deleted, and its members lose it."""
    cognito = emulator.module(_COGNITO)

    def correction(original: Any) -> Any:
        async def dispatch(action: str, data: dict[str, Any]) -> Any:
            if action != "UpdateGroup":
                return await original(action, data)
            answer = cognito._get_group(data)
            if answer[0] == HTTPStatus.OK:
                pool, _ = cognito._resolve_pool(data["UserPoolId"])
                changed = ("Description", "RoleArn", "Precedence")
                pool["_groups"][data["GroupName"]] |= {
                    key: data[key] for key in changed if key in data
                } | {"LastModifiedDate": cognito._now_epoch()}
                answer = cognito._get_group(data)
            return answer

        return dispatch

    emulator.replace(_COGNITO, "_dispatch_idp", correction)


def left_out_protection_is_off(emulator: Emulator) -> None:
    """Set threat protection to its default, off, where UpdateUserPool leaves it out.

    "If you don't provide a value for an attribute, Amazon Cognito sets it to its default value"
    (source: Cognito API, UpdateUserPool). Else a tenant that left a tier would seem protected.
    """
    cognito = emulator.module(_COGNITO)

    def correction(original: Any) -> Any:
        def update(data: dict[str, Any]) -> Any:
            answer = original(data)
            if answer[0] == HTTPStatus.OK and "UserPoolAddOns" not in data:
                pool, _ = cognito._resolve_pool(data["UserPoolId"])
                pool.pop("UserPoolAddOns", None)
            return answer

        return update

    emulator.replace(_COGNITO, "_update_user_pool", correction)


def codes_are_random(emulator: Emulator) -> None:
    """Draw sign-up and reset codes; else, always 123456 and 654321, they give accounts away."""
    cognito = emulator.module(_COGNITO)

    def sent(original: Any) -> Any:
        def send(
            pool: Any, username: str, attributes: Any, code: str, attribute_name: str = "email"
        ) -> Any:
            user, fresh = cognito._resolve_user(pool, username)[0], secrets.token_hex(8)
            for key in ("_reset_code", "_confirmation_code"):
                if user is not None and user.get(key) == code:
                    user[key] = fresh
            return original(pool, username, attributes, fresh, attribute_name=attribute_name)

        return send

    def checked(original: Any) -> Any:
        # A code that was never sent (a user without e-mail address) is still a fixed one: no code
        # was issued.
        # Fail closed.
        return lambda issued, code: original(None if issued in _FIXED_CODES else issued, code)

    emulator.replace(_COGNITO, "_send_verification_email", sent)
    emulator.replace(_COGNITO, "_code_error", checked)
    emulator.replace(_COGNITO, "_EMAIL_OTP_CODE", lambda _: secrets.token_hex(8))


def attribute_rules_hold(emulator: Emulator) -> None:
    """Refuse undeclared, immutable and not writable attributes; who writes ``sub`` is another."""
    cognito = emulator.module(_COGNITO)

    def correction(original: Any) -> Any:
        def run(handler: Any, action: str, data: dict[str, Any]) -> Any:
            return _attribute_error(cognito, action, data) or original(handler, action, data)

        return run

    emulator.replace(_COGNITO, "_run_idp_handler", correction)


def _attribute_error(cognito: Any, action: str, data: dict[str, Any]) -> Any:
    """The refusal of a request that writes an attribute which it may not, or None."""
    client: dict[str, Any] = {}
    _enter_scope(cognito, action, data)
    if action == "SignUp":
        pool, _ = cognito._pool_for_client(data.get("ClientId"))
        client = (pool or {}).get("_clients", {}).get(data.get("ClientId")) or {}
    elif action in ("AdminCreateUser", "AdminUpdateUserAttributes"):
        pool = cognito._user_pools.get(data.get("UserPoolId"))
    elif action == "UpdateUserAttributes":
        pool = cognito._user_pool_for_access_token(data.get("AccessToken"))[1]
        client_id = cognito._token_claims(data.get("AccessToken")).get("client_id")
        client = (pool or {}).get("_clients", {}).get(client_id) or {}
    else:
        return None
    declared = {entry["Name"]: entry for entry in (pool or {}).get("SchemaAttributes", ())}
    for attribute in data.get("UserAttributes") or ():
        name = attribute["Name"]
        schema = declared.get(name) or declared.get(name.removeprefix("custom:")) or {}
        if refusal := _refusal(name, schema, action, client.get("WriteAttributes")):
            return cognito.error_response_json(*refusal, 400)
    return None


def _refusal(
    name: str, schema: dict[str, Any], action: str, writable: list[str] | None
) -> tuple[str, str] | None:
    """Why this operation may not write this attribute, as AWS says it (code and words), or None."""
    if name not in _STANDARD and not (name.startswith("custom:") and schema):
        words = (
            f"Attributes did not conform to the schema: "
            f"Type for attribute {{{name}}} could not be determined"
        )
        return "InvalidParameterException", words
    if name == "sub" or (
        action not in _CREATING and name.startswith("custom:") and schema.get("Mutable") is False
    ):
        return "InvalidParameterException", f"user.{name}: Attribute cannot be updated."
    by_person = not action.startswith("Admin")
    if by_person and (name in _VERIFIED or (writable and name not in writable)):
        return "NotAuthorizedException", "A client attempted to write unauthorized attribute"
    return None


def sign_up_can_be_closed(emulator: Emulator) -> None:
    """``AllowAdminCreateUserOnly`` is ignored: anyone could become a user of a tenant."""
    cognito = emulator.module(_COGNITO)

    def correction(original: Any) -> Any:
        def run(handler: Any, action: str, data: dict[str, Any]) -> Any:
            if action == "SignUp":
                _enter_scope(cognito, action, data)
                pool, _ = cognito._pool_for_client(data.get("ClientId"))
                if ((pool or {}).get("AdminCreateUserConfig") or {}).get(
                    "AllowAdminCreateUserOnly"
                ):
                    words = "SignUp is not permitted for this user pool"
                    return cognito.error_response_json("NotAuthorizedException", words, 400)
            return original(handler, action, data)

        return run

    emulator.replace(_COGNITO, "_run_idp_handler", correction)


def drawn_password_fits_its_pool(emulator: Emulator) -> None:
    """Draw a temporary password as long as the pool asks for; else the emulator refuses its own.

    AWS: a temporary password "must conform to the password policy"; without one, "Amazon Cognito
    generates one for you" (API reference of Cognito, AdminCreateUser, TemporaryPassword).
    """
    cognito = emulator.module(_COGNITO)

    def correction(original: Any) -> Any:
        def run(handler: Any, action: str, data: dict[str, Any]) -> Any:
            if action == "AdminCreateUser" and not data.get("TemporaryPassword"):
                pool = cognito._user_pools.get(data.get("UserPoolId")) or {}
                policy = (pool.get("Policies") or {}).get("PasswordPolicy") or {}
                drawn = cognito._generate_temp_password()
                missing = max(0, policy.get("MinimumLength", 0) - len(drawn))
                data = data | {"TemporaryPassword": drawn + secrets.token_hex(missing)[:missing]}
            return original(handler, action, data)

        return run

    emulator.replace(_COGNITO, "_run_idp_handler", correction)


def refreshed_token_keeps_its_groups(emulator: Emulator) -> None:
    """Refresh at the token endpoint as the API does; else the tokens lose the person's groups.

    AWS: a refresh at `/oauth2/token` gives "new ID and access tokens" (Cognito developer guide,
    "The token issuer endpoint"), of the person as of any other sign-in.
    """
    cognito = emulator.module(_COGNITO)

    def correction(original: Any) -> Any:
        def token(
            data: Any, query: Any, raw_body: bytes = b"", headers: dict[str, str] | None = None
        ) -> Any:
            form = dict(parse_qsl(raw_body.decode("utf-8", errors="replace")))
            if form.get("grant_type") != "refresh_token":
                return original(data, query, raw_body, headers)
            client, secret = cognito._authenticate_client(headers or {}, form)
            given = form.get("refresh_token", "")
            return cognito._oauth2_refresh_api_issued_token(given, client, secret)

        return token

    emulator.replace(_COGNITO, "_oauth2_token", correction)


def refresh_token_can_be_revoked(emulator: Emulator) -> None:
    """Serve the revocation endpoint; else whoever signs out leaves a refresh token that counts.

    AWS: "revokes the refresh token itself and all subsequent access and identity tokens"; 200 with
    an empty body, `invalid_request` without a token, `unsupported_token_type` for one of another
    kind, `invalid_client` (401) for a client that is none (Cognito developer guide, "The token
    revocation endpoint").
    """
    cognito = emulator.module(_COGNITO)

    def refused(word: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> Any:
        return status.value, {"Content-Type": "application/json"}, json.dumps({"error": word})

    def correction(original: Any) -> Any:
        async def handle(method: str, path: str, headers: Any, body: bytes, query: Any) -> Any:
            if path != "/oauth2/revoke" or method != "POST":
                return await original(method, path, headers, body, query)
            form = dict(parse_qsl(body.decode("utf-8", errors="replace")))
            client_id, secret = cognito._authenticate_client(headers, form)
            _, _, client = cognito._find_pool_by_client_id(client_id)
            # Fail closed: one of another client, or with a secret that is not the client's.
            if client is None or secret != (client.get("ClientSecret") or ""):
                return refused("invalid_client", HTTPStatus.UNAUTHORIZED)
            if not (given := form.get("token")):
                return refused("invalid_request")
            claims = cognito._token_claims(given)
            if claims.get("token_use") != "refresh" or claims.get("client_id") != client_id:
                return refused("unsupported_token_type")
            cognito._revoke_token({"Token": given})
            return HTTPStatus.OK.value, {}, b""

        return handle

    emulator.replace(_COGNITO, "handle_request", correction)


@dataclass(frozen=True, kw_only=True)
class _Challenge:
    pool: str
    username: str
    name: str
    until: float


def challenge_needs_its_session(emulator: Emulator) -> None:
    """Ask a challenge's answer for its session; else anyone could set anyone's password."""
    cognito = emulator.module(_COGNITO)
    issued: dict[
        str, _Challenge
    ] = {}  # by session; lost with the process, as a three-minute secret may be

    def correction(original: Any) -> Any:
        def run(handler: Any, action: str, data: dict[str, Any]) -> Any:
            if not action.endswith(("InitiateAuth", "RespondToAuthChallenge")):
                return original(handler, action, data)
            _enter_scope(cognito, action, data)
            answer, pool = data.get("ChallengeResponses") or {}, _pool_of(cognito, action, data)
            session = str(data.get("Session"))
            username = _username(cognito, pool, answer or data.get("AuthParameters") or {})
            if (
                action.endswith("RespondToAuthChallenge")
                and data.get("ChallengeName") in _SESSION_CHALLENGES
            ):
                held = issued.get(session)
                expected = (pool.get("Id"), username, data.get("ChallengeName"))
                if (
                    held is None
                    or held.until < time.monotonic()
                    or (held.pool, held.username, held.name) != expected
                ):
                    words = "Invalid session for the user."
                    # Fail closed.
                    return cognito.error_response_json("NotAuthorizedException", words, 400)
            status, headers, body = original(handler, action, data)
            outcome = json.loads(body) if status == 200 else {}  # noqa: PLR2004 - HTTP OK
            if outcome:
                issued.pop(session, None)
            if outcome.get("ChallengeName") in _SESSION_CHALLENGES and username:
                _remember(
                    issued,
                    str(outcome["Session"]),
                    _Challenge(
                        pool=pool["Id"],
                        username=username,
                        name=outcome["ChallengeName"],
                        until=time.monotonic() + _CHALLENGE_SECONDS,
                    ),
                )
            return status, headers, body

        return run

    emulator.replace(_COGNITO, "_run_idp_handler", correction)


def _remember(issued: dict[str, _Challenge], session: str, challenge: _Challenge) -> None:
    now = time.monotonic()
    for stale in [known for known, held in list(issued.items()) if held.until < now]:
        issued.pop(stale, None)
    issued[session] = challenge


def _enter_scope(cognito: Any, action: str, data: dict[str, Any]) -> None:
    """Look for the pool where the operation will: an unsigned one is served in its own region."""
    if action in cognito._UNSIGNED_IDP_ACTIONS:
        cognito._pin_unsigned_idp_scope(data)


def _pool_of(cognito: Any, action: str, data: dict[str, Any]) -> dict[str, Any]:
    if action.startswith("Admin"):
        return cognito._user_pools.get(data.get("UserPoolId")) or {}
    return cognito._pool_for_client(data.get("ClientId"))[0] or {}


def _username(cognito: Any, pool: dict[str, Any], parameters: dict[str, Any]) -> str | None:
    """The user's own name, whichever alias the request used."""
    user = cognito._resolve_user(pool, parameters.get("USERNAME"))[0] if pool else None
    return user["Username"] if user else None
