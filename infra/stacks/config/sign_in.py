"""How a tenant's people sign in, as its stack file says it under `sign_in`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from infra.stacks.config.section import Section

# Source: Cognito developer guide, "Configuring a user pool domain": the prefix may hold none of the three words.
_DOMAIN_PREFIX: Final = re.compile(
    r"(?!.*(?:aws|amazon|cognito))[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
_FLOWS: Final = {
    "srp": "ALLOW_USER_SRP_AUTH",
    "password": "ALLOW_USER_PASSWORD_AUTH",
    "admin-password": "ALLOW_ADMIN_USER_PASSWORD_AUTH",
}


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """How a tenant's people sign in.

    Attributes:
        domain_prefix: host of the sign-in page before `.auth.<region>.amazoncognito.com`; one in the world.
        callback_urls: where the page may send a person back to; https, or http on localhost.
        logout_urls: the same after signing out.
        mfa: `off`, `optional` or `on` (authenticator app).
        flows: Cognito's names of the sign-in calls allowed beside the page; none unless the file asks.
        token_minutes: life of ID and access tokens.
        refresh_days: life of a refresh token.
    """

    domain_prefix: str
    callback_urls: tuple[str, ...]
    logout_urls: tuple[str, ...]
    mfa: str
    flows: tuple[str, ...]
    token_minutes: int
    refresh_days: int


def read_sign_in(section: Section) -> SignIn:
    """Read and check what a stack file says under `sign_in`.

    Raises:
        ConfigError: file, key and what would be right.
    """
    flows = section.texts("flows", ())
    for index, flow in enumerate(flows):
        if flow not in _FLOWS:
            raise section.error(
                f"flows[{index}]", f"must be one of {', '.join(_FLOWS)}, is `{flow}`"
            )
    sign_in = SignIn(
        domain_prefix=section.matching(
            "domain_prefix",
            _DOMAIN_PREFIX,
            "a-z, 0-9 and inner `-`, at most 63 characters, without `aws`, `amazon` and `cognito`",
        ),
        callback_urls=section.urls("callback_urls"),
        logout_urls=section.urls("logout_urls"),
        mfa=section.choice("mfa", ("off", "optional", "on"), "optional"),
        flows=tuple(_FLOWS[flow] for flow in flows),
        token_minutes=section.number("token_minutes", 60, least=5, most=1440),
        refresh_days=section.number("refresh_days", 30, least=1, most=3650),
    )
    section.finish()
    return sign_in
