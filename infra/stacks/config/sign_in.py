"""How a tenant's people sign in: the part `sign_in` of its stack file."""

from typing import Annotated

from msgspec import Meta, Struct

from infra.stacks.config.limits import (
    PROVIDERS,
    SOCIAL,
    ClaimName,
    DomainPrefix,
    HttpsUrl,
    MappedAttribute,
    Mfa,
    OidcScope,
    ProviderName,
    RefreshDays,
    SecretName,
    SignInFlow,
    Text,
    TokenMinutes,
    Urls,
)
from infra.stacks.config.reading import WrongValueError, once


class Oidc(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An OpenID Connect provider, at which the tenant's pool is registered as a client (ADR 0069).

    Attributes:
        issuer: under which its discovery document stands.
        client_id: of the pool, at the provider.
        client_secret: where the client's secret stands in Secrets Manager, in the platform's
            account and region; the secret itself is in no file.
        attributes: of a person in the pool -> claim that it is taken from, at each sign-in.
        scopes: what the pool asks for.
    """

    issuer: HttpsUrl
    client_id: Text
    client_secret: SecretName
    attributes: dict[MappedAttribute, ClaimName]
    scopes: Annotated[tuple[OidcScope, ...], Meta(min_length=1)] = ("openid", "email", "profile")

    def __post_init__(self) -> None:
        """Refuse what would give no ID token, and people whom nobody could tell apart."""
        once("scopes", self.scopes)
        if "openid" not in self.scopes:
            raise WrongValueError("scopes", "must have `openid`: without it there is no ID token")
        _tells_who(self.attributes)


class Saml(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A SAML 2.0 provider (ADR 0069).

    Attributes:
        metadata_url: its metadata, which Cognito reads again by itself.
        attributes: of a person in the pool -> SAML attribute that it is taken from, at each
            sign-in.
    """

    metadata_url: HttpsUrl
    attributes: dict[MappedAttribute, ClaimName]

    def __post_init__(self) -> None:
        """Refuse people whom nobody could tell apart."""
        _tells_who(self.attributes)


def _tells_who(attributes: dict[MappedAttribute, ClaimName]) -> None:
    if "email" not in attributes:
        raise WrongValueError("attributes", "must map `email`: people are listed by it")


class SignIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a tenant's people sign in.

    Attributes:
        domain_prefix: host of the sign-in page before `.auth.<region>.amazoncognito.com`; one in
            the world.
        callback_urls: where the page may send a person back to.
        logout_urls: the same after signing out.
        mfa: whether an authenticator app is asked for; none: as its tier says.
        flows: sign-in calls allowed beside the page; none unless the file asks.
        oidc: where people of the tenant's own organization sign in by OpenID Connect, by name; the
            page offers it beside passwords.
        saml: the same by SAML.
        token_minutes: life of ID and access tokens.
        refresh_days: life of a refresh token.
    """

    domain_prefix: DomainPrefix
    callback_urls: Urls
    logout_urls: Urls
    mfa: Mfa | None = None
    flows: tuple[SignInFlow, ...] = ()
    oidc: Annotated[dict[ProviderName, Oidc], Meta(max_length=PROVIDERS)] = {}
    saml: Annotated[dict[ProviderName, Saml], Meta(max_length=PROVIDERS)] = {}
    token_minutes: TokenMinutes = 60
    refresh_days: RefreshDays = 30

    def __post_init__(self) -> None:
        """Refuse what stands twice."""
        for key in ("callback_urls", "logout_urls", "flows"):
            once(key, getattr(self, key))
        for key in ("oidc", "saml"):
            for name in getattr(self, key):
                if name in SOCIAL:
                    raise WrongValueError(f"{key}.{name}", "Cognito knows this name as another's")
        for name in self.oidc.keys() & self.saml.keys():
            raise WrongValueError(f"saml.{name}", "stands in `oidc` too")

    @property
    def mapped(self) -> frozenset[MappedAttribute]:
        """Attributes of a person that some provider tells."""
        providers = (*self.oidc.values(), *self.saml.values())
        return frozenset(each for provider in providers for each in provider.attributes)
