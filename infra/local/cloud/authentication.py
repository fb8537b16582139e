"""Answers what the Verified Permissions endpoint asks of the cloud around it.

That is: who signed a request, does IAM allow it, and what are a user pool's keys.

Both are answered by the emulator in this process, never over HTTP: a fetch inside the server's loop
waits for itself.
"""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from infra.local.cloud.signatures import claimed_signature, covers_body
from infra.local.verified_permissions import AccessDenied, Caller

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.cloud.emulator import Emulator

_ISSUER = re.compile(
    r"https://cognito-idp\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/"
    r"(?P<pool>(?P=region)_[A-Za-z0-9]+)"
)
_SERVICE = "verifiedpermissions"


class Authentication:
    """The emulator's own signature check and policy evaluation, for an endpoint beside it."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def authenticate(
        self, headers: Mapping[str, str], body: bytes, operation: str, resource_arn: str | None
    ) -> Caller:
        """The caller of a signed ``POST /``, if IAM allows the operation on the resource.

        Raises:
            AccessDenied: not signed, wrongly signed, not allowed, or too fast.
        """
        app, evaluator = self._emulator.app, self._emulator.module("core.iam_evaluator")
        known, raw = (
            dict(headers),
            [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        )
        signature = claimed_signature(raw, b"")
        # Fail closed: also a signature in the query, which no client of this API makes.
        if signature is None:
            raise AccessDenied(
                "MissingAuthenticationTokenException", "The Authorization header is missing.", 403
            )
        if signature.service != _SERVICE:
            words = f"Credential should be scoped to correct service: '{_SERVICE}'."
            raise AccessDenied("SignatureDoesNotMatch", words, 403)
        if not covers_body(headers, body, service=_SERVICE):
            raise AccessDenied(
                "SignatureDoesNotMatch", "x-amz-content-sha256 is not the SHA-256 of the body.", 403
            )
        key, region = app.extract_access_key_id(known, {}), app.extract_region(known)
        try:
            app.set_request_account_id(app._request_account_scope(key))
        except evaluator.AmbiguousAccessKeyError as error:
            raise AccessDenied(
                "InvalidClientTokenId",
                "The security token included in the request is invalid.",
                403,
            ) from error
        app.set_request_region(region)
        app.set_request_client_ip("127.0.0.1")
        app.pin_request_origin("127.0.0.1", False)
        app.pin_signed_request("POST", "/", {}, raw)
        evaluator.pin_signed_body(body)
        action, resource = f"{_SERVICE}:{operation}", resource_arn or "*"
        denied: Any = evaluator.enforce(key, action, _SERVICE, region, resource_arn=resource)
        if isinstance(denied, evaluator.AuthError):
            raise AccessDenied(denied.code, denied.message, 403)
        if denied is not None:
            words = (
                f"User: {denied.principal_arn} is not authorized to perform: {action} "
                f"on resource: {resource}"
            )
            raise AccessDenied("AccessDeniedException", words, 400)
        self._throttle(headers.get("x-amz-target", ""), resource_arn)
        return Caller(account_id=self._emulator.account_id, region=region)

    def _throttle(self, target: str, resource_arn: str | None) -> None:
        """Refuse what comes faster than AWS answers it, store by store."""
        store = (resource_arn or "").rpartition("/")[2]
        rate = self._emulator.limits.too_fast(
            _SERVICE, target.rpartition(".")[2], {"policyStoreId": store}
        )
        if rate is not None:
            raise AccessDenied(rate.code, f"Rate exceeded ({rate.id})", rate.status)

    def signing_keys(self, issuer: str) -> dict[str, Any]:
        """The JWK set of a user pool.

        Raises:
            LookupError: the issuer is no user pool of this cloud; the emulator itself would answer
                with a default key.
        """
        cognito, match = self._emulator.module("services.cognito"), _ISSUER.fullmatch(issuer)
        pools = cognito._user_pools.all_items()
        scope = (self._emulator.account_id, match["region"], match["pool"]) if match else None
        if match is None or all(known != scope for known, _ in pools):
            raise LookupError(f"`{issuer}` is no user pool of this cloud")  # fail closed
        keys: dict[str, Any] = json.loads(cognito.well_known_jwks(match["pool"])[2])
        return keys
