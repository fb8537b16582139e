"""Who a caller is: corrections to the emulator's reading of access keys."""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.local.cloud.signatures import claimed_signature, covers_body

if TYPE_CHECKING:
    from infra.local.cloud.emulator import Emulator

_EVALUATOR = "core.iam_evaluator"
_ALSO_IMPORTED_BY = ("services.sts", "services.s3")


def root_key_is_one_and_verified(emulator: Emulator) -> None:
    """Know one root key, verified; else ``test`` and any 12 digits are root with any secret."""
    evaluator = emulator.module(_EVALUATOR)
    root = emulator.root
    not_checked = evaluator._SESSION_TOKEN_NOT_CHECKED

    # The blank key stays: it is how an unsigned, public Cognito operation looks. Unsigned calls of
    # anything else are refused as anonymous.
    def is_root(access_key_id: str) -> bool:
        return not access_key_id or access_key_id == root.access_key_id

    def resolve(original: Any) -> Any:
        def resolve_credential(
            access_key_id: str, account_id: str | None = None, session_token: Any = not_checked
        ) -> Any:
            if access_key_id != root.access_key_id:
                return original(access_key_id, account_id, session_token)
            if failure := evaluator._validate_session_token(None, session_token):
                return failure
            return evaluator.ResolvedCredential(
                access_key_id=access_key_id,
                secret_access_key=root.secret_access_key,
                account_id=emulator.account_id,
                principal_arn=f"arn:aws:iam::{emulator.account_id}:root",
                principal_id=emulator.account_id,
                principal_type="Root",
                source_access_key_id=access_key_id,
            )

        return resolve_credential

    emulator.replace(_EVALUATOR, "is_root_access_key", lambda _: is_root)
    # So that its signature is verified too.
    emulator.replace(_EVALUATOR, "_is_root_key", lambda _: lambda _key: False)
    emulator.replace(_EVALUATOR, "resolve_credential", resolve)
    for module in _ALSO_IMPORTED_BY:
        emulator.replace(module, "resolve_credential", lambda _: evaluator.resolve_credential)
    emulator.replace("services.sts", "is_root_access_key", lambda _: is_root)


def only_signature_version_4_counts(emulator: Emulator) -> None:
    """Take any other Authorization header (``Bearer x``) for anonymous, not for root.

    This holds past the front door too.
    """
    evaluator = emulator.module(_EVALUATOR)

    def correction(original: Any) -> Any:
        def pin(
            method: str,
            raw_path: str,
            query: dict[str, Any],
            headers: list[tuple[bytes, bytes]],
            handshake: bool = False,
        ) -> None:
            original(method, raw_path, query, headers, handshake)
            authorized = any(name.lower() == b"authorization" for name, _ in headers)
            if authorized and claimed_signature(headers, b"") is None:
                evaluator._anonymous.set(True)  # fail closed

        return pin

    emulator.replace("app", "pin_signed_request", correction)


def signature_covers_the_body(emulator: Emulator) -> None:
    """Check the hash in ``x-amz-content-sha256``; unchecked, a signature takes any body.

    On S3 ``UNSIGNED-PAYLOAD`` and chunked bodies stay what they are on AWS.
    """
    sigv4 = emulator.module("core.sigv4")

    def correction(original: Any) -> Any:
        def failure(  # noqa: PLR0917 - as it is called
            signature: Any,
            secret: str,
            method: str,
            raw_path: str,
            query: dict[str, Any],
            headers: dict[str, str],
            body: bytes,
            **options: bool,
        ) -> tuple[str, str] | None:
            if not covers_body(headers, body, service=signature.service):
                return "SignatureDoesNotMatch", sigv4.SIGNATURE_MISMATCH  # fail closed
            return original(signature, secret, method, raw_path, query, headers, body, **options)

        return failure

    emulator.replace("core.sigv4", "header_signature_failure", correction)
