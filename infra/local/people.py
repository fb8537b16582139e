"""People of a tenant's user pool: added by its administrator, signed in through its own page.

The sign-in is the one of a browser: authorization code with PKCE (RFC 7636) on Cognito's managed
login page, whose form is filled in here. No password flow of the API is needed, so no tenant has to
allow one.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
import secrets
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from infra.local.loopback import NO_AUTHORITIES

if TYPE_CHECKING:
    from collections.abc import Sequence

_INPUT: Final = re.compile(r"<input\b[^>]*>")
_ATTRIBUTE: Final = re.compile(r'(\w+)="([^"]*)"')
_SECONDS: Final = 10.0


class SignInError(Exception):
    """The pool's page did not let the person in; the message never holds a password or a token."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody with a password that is valid from the start.

    Attributes:
        email: also the user name.
        groups: Cognito groups of the pool.
        password: made at random.
    """

    email: str
    groups: tuple[str, ...]
    password: str = field(repr=False)


def add_person(
    cognito: Any,
    pool_id: str,
    *,
    email: str,
    groups: Sequence[str],
    region: str | None = None,
    password: str | None = None,
) -> Person:
    """Make sure that the pool has this person in these groups, with this password.

    Args:
        cognito: a boto3 client of `cognito-idp`.
        pool_id: the tenant's pool.
        email: also the user name.
        groups: each must exist in the pool.
        region: becomes the claim `custom:region`.
        password: that of the last run; without it a new random one.
    """
    attributes = [{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}]
    if region is not None:
        attributes.append({"Name": "custom:region", "Value": region})
    person = Person(
        email=email,
        groups=tuple(groups),
        password=password or f"Aa1-{secrets.token_urlsafe(18)}",
    )
    try:
        cognito.admin_create_user(
            UserPoolId=pool_id,
            Username=email,
            UserAttributes=attributes,
            TemporaryPassword=person.password,
            MessageAction="SUPPRESS",
        )
    except cognito.exceptions.UsernameExistsException:
        cognito.admin_update_user_attributes(
            UserPoolId=pool_id, Username=email, UserAttributes=attributes
        )
    cognito.admin_set_user_password(
        UserPoolId=pool_id, Username=email, Password=person.password, Permanent=True
    )
    for group in groups:
        cognito.admin_add_user_to_group(UserPoolId=pool_id, Username=email, GroupName=group)
    return person


@dataclass(frozen=True, kw_only=True)
class SignInPage:
    """Where people of one tenant sign in.

    Attributes:
        at: base of the page, on AWS the pool's domain; here the embedded cloud.
        client_id: the app client.
        callback_url: one of the client's; nobody listens there, its code is taken from the
            redirect.
    """

    at: str
    client_id: str
    callback_url: str

    @classmethod
    def of(cls, cognito: Any, *, at: str, pool_id: str, client_id: str) -> Self:
        """The page of an app client, with a callback URL on this machine if the client has one."""
        client = cognito.describe_user_pool_client(UserPoolId=pool_id, ClientId=client_id)
        urls: list[str] = client["UserPoolClient"]["CallbackURLs"]
        here = [url for url in urls if urlsplit(url).hostname == "localhost"]
        return cls(at=at, client_id=client_id, callback_url=(here or urls)[0])

    def asked(self) -> dict[str, str]:
        """What an app asks the page for."""
        return {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.callback_url,
            "scope": "openid email profile",
        }

    @property
    def url(self) -> str:
        """For a browser."""
        return f"{self.at}/oauth2/authorize?{urlencode(self.asked())}"


def sign_in(page: SignInPage, person: Person) -> str:
    """Sign in on the pool's page and return the ID token.

    Raises:
        SignInError: the page refused, or answered with another `state` or `nonce`.
    """
    verifier, state, nonce = (secrets.token_urlsafe(48) for _ in range(3))
    challenge = (
        base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    )
    asked = page.asked() | {
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    with httpx.Client(
        base_url=page.at, timeout=_SECONDS, trust_env=False, verify=NO_AUTHORITIES
    ) as browser:
        form = browser.get("/oauth2/authorize", params=asked)
        if form.status_code != HTTPStatus.OK:
            raise SignInError(f"the sign-in page answered {form.status_code}")
        answer = browser.post(
            "/login",
            data=_hidden_fields(form.text)
            | {"username": person.email, "password": person.password},
        )
        returned = parse_qs(urlsplit(answer.headers.get("location", "")).query)
        if (
            answer.status_code != HTTPStatus.FOUND
            or returned.get("state") != [state]
            or "code" not in returned
        ):
            raise SignInError(
                f"`{person.email}` was not let in: the page answered {answer.status_code}"
            )
        tokens = browser.post(
            "/oauth2/token",
            data={
                "grant_type": "authorization_code",
                "client_id": page.client_id,
                "code": returned["code"][0],
                "redirect_uri": page.callback_url,
                "code_verifier": verifier,
            },
        )
    if tokens.status_code != HTTPStatus.OK:
        raise SignInError(f"the code was not exchanged: {tokens.status_code}")
    return str(tokens.json()["id_token"])


def _hidden_fields(page: str) -> dict[str, str]:
    """Names and values of the form's inputs that carry a value."""
    inputs = (dict(_ATTRIBUTE.findall(tag)) for tag in _INPUT.findall(page))
    return {
        each["name"]: html.unescape(each["value"])
        for each in inputs
        if "name" in each and "value" in each
    }


def machine_token(*, at: str, client_id: str, secret: str) -> str:
    """The access token of a machine, with every scope that its client has.

    Grant `client_credentials` (RFC 6749, 4.4) at the pool's token endpoint.

    Raises:
        SignInError: the endpoint refused.
    """
    answer = httpx.post(
        f"{at}/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=(client_id, secret),
        timeout=_SECONDS,
        trust_env=False,
        verify=NO_AUTHORITIES,
    )
    if answer.status_code != HTTPStatus.OK:
        raise SignInError(f"the machine was not let in: {answer.status_code}")
    return str(answer.json()["access_token"])
