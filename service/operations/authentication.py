"""From the ``Authorization`` header to a principal, whose tenant the verified token alone tells."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from service.bounded_cache import BoundedCache, size_of
from service.domain.identities import Principal, TokenUse, UnverifiedToken
from service.domain.tenants import TenantStatus, is_issuer
from service.errors import TenantSuspendedError, TokenFault, UnauthenticatedError
from service.operations.token_proof import proved

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from service.domain.identities import VerifiedClaims
    from service.domain.tenants import Tenant
    from service.operations.machine_admission import MachineAdmission
    from service.operations.revocations import Revocations
    from service.ports.signing_keys import SigningKeys
    from service.ports.tenants import TenantRegistry
    from service.settings import TokenSettings

_OF_A_PERSON: Final = frozenset({"username", "cognito:groups"})
"""Claims of a person's access token; a machine's has neither, and its subject is its client."""


class Authenticate:
    """Verifies bearer tokens, each once; what was proved is remembered, never past ``exp``."""

    def __init__(
        self,
        *,
        tenants: TenantRegistry,
        signing_keys: SigningKeys,
        clock: Callable[[], datetime],
        settings: TokenSettings,
        revocations: Revocations,
        machines: MachineAdmission,
    ) -> None:
        self._tenants = tenants
        self._signing_keys = signing_keys
        self._clock = clock
        self._settings = settings
        self._revocations = revocations
        self._machines = machines
        # By the text, which the principal holds anyway: a table compares it to the last character,
        # and its hash is keyed anew in each process (PEP 456).
        self._verified: BoundedCache[str, Principal] = BoundedCache(
            max_entries=settings.cache_entries, max_bytes=settings.cache_bytes
        )

    async def __call__(self, authorization: str | None) -> Principal:
        """Who calls.

        Raises:
            UnauthenticatedError: no bearer token, one that proves nothing, or one that was revoked.
            TenantSuspendedError: the token is good, its tenant is suspended.
            UnavailableError: the registry, the pool's keys, the tenant's machines or revocations
                cannot be read; nothing was proved.
        """
        text = _bearer(authorization)
        known = self._verified.get(text)
        if known is not None:
            tenant = await self._tenants.find(known.tenant.issuer)
            # Fail closed: whoever was proved before is nobody without the row of now.
            if tenant is None:
                raise _unknown_issuer()
            # Fail closed: by another row of its tenant the same claims may prove nobody.
            principal = known if known.tenant is tenant else _principal(text, known.claims, tenant)
        else:
            token = UnverifiedToken.read(text, max_bytes=self._settings.max_bytes)
            tenant = await self._tenant(token.issuer)
            principal = _principal(text, await self._verify(token, tenant), tenant)
        if principal is not known:
            self._keep(principal)
        if principal.expires_at <= self._clock().timestamp():
            raise UnauthenticatedError("token expired", TokenFault.EXPIRED)
        is_made_here = principal.client_id not in tenant.client_ids
        # Fail closed: of the pool's other app clients the tokens of our own machines count alone.
        if is_made_here and not await self._machines.admits(tenant, principal.client_id):
            raise UnauthenticatedError("token of another app client", TokenFault.WRONG_KIND)
        if tenant.status is not TenantStatus.ACTIVE:
            raise TenantSuspendedError(tenant.id)
        await self._revocations.check(principal)
        if is_made_here:
            self._machines.seen(tenant, principal.client_id)
        return principal

    async def still(self, principal: Principal) -> None:
        """Go on only if a caller who was let in would be let in now, as far as revocation tells.

        Raises:
            UnauthenticatedError: the token has expired, or was revoked.
            TenantSuspendedError: the tenant is suspended.
            UnavailableError: nobody says whether (fail closed).
        """
        if principal.expires_at <= self._clock().timestamp():
            raise UnauthenticatedError("token expired", TokenFault.EXPIRED)
        tenant = await self._tenant(principal.tenant.issuer)
        if tenant.status is not TenantStatus.ACTIVE:
            raise TenantSuspendedError(tenant.id)
        await self._revocations.check(principal)

    def _keep(self, principal: Principal) -> None:
        self._verified.put(
            principal.token,
            principal,
            seconds=min(
                self._settings.cache_seconds, principal.expires_at - self._clock().timestamp()
            ),
            # The tenant's row is the registry's, and shared.
            size=size_of(principal.claims) + size_of(principal.token),
        )

    async def _tenant(self, issuer: str) -> Tenant:
        tenant = await self._tenants.find(issuer) if is_issuer(issuer) else None
        if tenant is None:
            raise _unknown_issuer()
        return tenant

    async def _verify(self, token: UnverifiedToken, tenant: Tenant) -> VerifiedClaims:
        key = await self._signing_keys.find(tenant, token.key_id)
        if key is None:
            raise UnauthenticatedError("token signed with an unknown key", TokenFault.NOT_PROVED)
        # The pool's clock is the wall's, whatever moment policies are asked for.
        return proved(token, key, issuer=tenant.issuer, now=time.time())


def _unknown_issuer() -> UnauthenticatedError:
    return UnauthenticatedError("token of an unknown issuer", TokenFault.UNKNOWN_TENANT)


def _bearer(authorization: str | None) -> str:
    scheme, _, text = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not text:
        raise UnauthenticatedError("no bearer token", TokenFault.MISSING)
    return text


def _principal(text: str, claims: VerifiedClaims, tenant: Tenant) -> Principal:
    try:
        use = TokenUse(claims["token_use"])
    except (ValueError, TypeError) as error:
        raise UnauthenticatedError("token of an unknown use", TokenFault.WRONG_KIND) from error
    client_id = claims.get("aud" if use is TokenUse.ID else "client_id")
    # Fail closed: a list of audiences is no string.
    if not isinstance(client_id, str) or not client_id:
        raise UnauthenticatedError("token of another app client", TokenFault.WRONG_KIND)
    # Fail closed: machines that were made at run time send access tokens alone.
    if use is TokenUse.ID and client_id not in tenant.client_ids:
        raise UnauthenticatedError("token of another app client", TokenFault.WRONG_KIND)
    subject, expires_at, groups, email = (
        claims.get(name) for name in ("sub", "exp", "cognito:groups", "email")
    )
    if not isinstance(subject, str) or not subject or type(expires_at) is not int:
        raise UnauthenticatedError("token without subject or integer expiry", TokenFault.WRONG_KIND)
    # Fail closed: people send ID tokens.
    if use is TokenUse.ACCESS and (subject != client_id or _OF_A_PERSON & claims.keys()):
        raise UnauthenticatedError("access token of a person", TokenFault.WRONG_KIND)
    return Principal(
        tenant=tenant,
        subject=subject,
        token_use=use,
        groups=tuple(group for group in groups if isinstance(group, str))
        if isinstance(groups, list)
        else (),
        email=email if isinstance(email, str) else None,
        client_id=client_id,
        expires_at=expires_at,
        claims=claims,
        token=text,
    )
