"""Signing in: a person in the browser (code with PKCE), a machine with its secret; tokens renewed.

Sources: RFC 6749 (OAuth 2.0) 4.1, 4.4 and 6; RFC 7636 (PKCE); RFC 8252 (native apps) 7.3; OpenID
Connect Core 3.1.3.7; Cognito developer guide, "The token issuer endpoint".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self, cast
from urllib.parse import quote, urlencode, urlsplit

import httpx

from cedarfleet.errors import SignInError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

ELSEWHERE: Final = "cedarfleet.elsewhere"
"""Extension of a request that is none of the API's: its answer is not the API's either."""
TIMEOUT: Final = httpx.Timeout(30.0, connect=10.0)  # seconds; the API ends what lasts longer
_EARLY_SECONDS: Final = 30  # a token is renewed that long before it ends
_SCOPES: Final = "openid email profile"
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, kw_only=True)
class Session:
    """Who is signed in where.

    Attributes:
        api: URL of the API.
        sign_in: URL of the tenant's sign-in page.
        client_id: the app client.
        token: of a person the ID token, of a machine the access token.
        expires_at: of the token, seconds since the epoch.
        refresh_token: ``None``: of a machine, which proves itself by its secret again.
        secret: of a machine; never written down.
    """

    api: str
    sign_in: str
    client_id: str
    token: str = field(repr=False)
    expires_at: float
    refresh_token: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)

    def renewal(self) -> httpx.Request | None:
        """The request for the next token; ``None``: only whoever signed in can get one."""
        if self.refresh_token is not None:
            form = {"grant_type": "refresh_token", "refresh_token": self.refresh_token}
            return _token_request(self.sign_in, form | {"client_id": self.client_id})
        if self.secret is not None:
            form = {"grant_type": "client_credentials"}
            return _token_request(self.sign_in, form, basic=(self.client_id, self.secret))
        return None

    def renewed(self, response: httpx.Response) -> Self:
        """The session with the tokens of an answer; a refresh token that is not told again stays.

        Raises:
            SignInError: the endpoint refused.
        """
        tokens = _tokens(response)
        return replace(
            self,
            token=tokens["id_token" if self.secret is None else "access_token"],
            expires_at=time.time() + float(tokens.get("expires_in", 0)),
            refresh_token=tokens.get("refresh_token", self.refresh_token),
        )


class Bearer(httpx.Auth):
    """Puts the session's token on each request to the API, and renews it before it ends.

    Args:
        session: who is signed in.
        keep: is told of a session whose token was renewed.
    """

    def __init__(self, session: Session, keep: Callable[[Session], None] = lambda _: None) -> None:
        self.session = session
        self._keep = keep

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """See ``httpx.Auth``: the same for its sync and its async client.

        Raises:
            SignInError: the token has ended, and no other is given.
        """
        if self.session.expires_at - _EARLY_SECONDS <= time.time():
            renewal = self.session.renewal()
            if renewal is not None:
                self.session = self.session.renewed((yield renewal))
                self._keep(self.session)
        request.headers["Authorization"] = f"Bearer {self.session.token}"
        yield request

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """See ``httpx.Auth``: a token's answer is read here, the API's where it is asked for.

        Events are an answer without an end, which ``requires_response_body`` would wait for.
        """
        flow = self.auth_flow(request)
        asked = next(flow)
        while True:
            response = yield asked
            if ELSEWHERE in asked.extensions:
                response.read()
            try:
                asked = flow.send(response)
            except StopIteration:
                return

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """The same, to be awaited."""
        flow = self.auth_flow(request)
        asked = next(flow)
        while True:
            response = yield asked
            if ELSEWHERE in asked.extensions:
                await response.aread()
            try:
                asked = flow.send(response)
            except StopIteration:
                return


def token_bearer(api: str, token: str) -> Bearer:
    """A bearer of a token that somebody else renews."""
    return Bearer(Session(api=api, sign_in="", client_id="", token=token, expires_at=float("inf")))


def machine(
    *, api: str, sign_in: str, client_id: str, secret: str, proxies: bool = True
) -> Session:
    """A machine's session: grant `client_credentials`, with every scope of its client.

    Raises:
        SignInError: the endpoint refused, or does not answer.
    """
    asked = Session(
        api=api, sign_in=sign_in, client_id=client_id, token="", expires_at=0, secret=secret
    )
    request = asked.renewal()
    assert request is not None  # noqa: S101 - there is a secret
    return asked.renewed(_sent(request, proxies=proxies))


@dataclass(frozen=True, kw_only=True)
class SignInPage:
    """Where a tenant's people sign in, and as which app client each program.

    Attributes:
        sign_in: URL of the page.
        command_line: app client of ``cedarfleet``; ``None``: the tenant has none.
        agent: of agents that act for people; ``None`` likewise.
    """

    sign_in: str
    command_line: str | None
    agent: str | None


def sign_in_page(api: str, tenant: str, *, proxies: bool = True) -> SignInPage:
    """What the API tells of a tenant's sign-in, to anybody.

    Raises:
        SignInError: there is no such tenant, or what came is no answer of the API's.
    """
    request = httpx.Request(
        "GET", f"{api}/sign-in/{quote(tenant, safe='')}", extensions={"timeout": TIMEOUT.as_dict()}
    )
    response = _sent(request, proxies=proxies, whose="the API")
    if response.status_code == HTTPStatus.NOT_FOUND:
        raise SignInError(f"there is no tenant `{tenant}`")
    try:
        found: Any = response.json()
        page = SignInPage(
            sign_in=found["sign_in"], command_line=found["command_line"], agent=found["agent"]
        )
    except (ValueError, LookupError, TypeError) as error:
        raise SignInError("the API does not tell where to sign in: say --sign-in") from error
    # Fail closed: a code or a secret goes to this address.
    return replace(page, sign_in=checked_url(page.sign_in))


def checked_url(url: str) -> str:
    """An address that a token or a secret may be sent to.

    Raises:
        SignInError: it is neither HTTPS nor of this machine.
    """
    split = urlsplit(url)
    # Fail closed: whoever stands between would read the token.
    if split.scheme != "https" and not (split.scheme == "http" and split.hostname in _LOCAL):
        raise SignInError(f"`{url}` is no address to send a token to: HTTPS, or this machine")
    return url.rstrip("/")


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One sign-in of a person in a browser, from its URL to the session.

    Attributes:
        callback: where the page sends the browser back to; one of the client's, to the letter.
    """

    api: str
    sign_in: str
    client_id: str
    callback: str
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)
    state: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @property
    def url(self) -> str:
        """For the browser."""
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.callback,
            "scope": _SCOPES,
            "state": self.state,
            "nonce": self.nonce,
            "code_challenge": _unpadded(hashlib.sha256(self.verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        return f"{self.sign_in}/oauth2/authorize?{urlencode(asked)}"

    def code(self, returned: dict[str, str]) -> str:
        """The code that the browser brought back.

        Raises:
            SignInError: it brought none, or one of somebody else's sign-in.
        """
        # Fail closed: a code that this program did not ask for is another's (RFC 6749, 10.12).
        if not hmac.compare_digest(returned.get("state", ""), self.state):
            raise SignInError("the browser came back from a sign-in that did not begin here")
        if "code" not in returned:
            raise SignInError(f"the sign-in page said `{returned.get('error', 'nothing')}`")
        return returned["code"]

    def session(self, code: str, *, proxies: bool = True) -> Session:
        """The session that the code is exchanged for.

        Raises:
            SignInError: the endpoint refused, or the token is of another sign-in.
        """
        form = {
            "grant_type": "authorization_code",
            "client_id": self.client_id,
            "code": code,
            "redirect_uri": self.callback,
            "code_verifier": self.verifier,
        }
        tokens = _tokens(_sent(_token_request(self.sign_in, form), proxies=proxies))
        # Its signature is for the service to verify; it came from the endpoint itself (OpenID
        # Connect Core 3.1.3.7, 6).
        if _claims(tokens["id_token"]).get("nonce") != self.nonce:
            raise SignInError("the token is of another sign-in")
        return Session(
            api=self.api,
            sign_in=self.sign_in,
            client_id=self.client_id,
            token=tokens["id_token"],
            expires_at=time.time() + float(tokens.get("expires_in", 0)),
            refresh_token=tokens.get("refresh_token"),
        )


def _token_request(
    sign_in: str, form: dict[str, str], *, basic: tuple[str, str] | None = None
) -> httpx.Request:
    headers = {}
    if basic is not None:
        headers["Authorization"] = f"Basic {base64.b64encode(':'.join(basic).encode()).decode()}"
    return httpx.Request(
        "POST",
        f"{sign_in}/oauth2/token",
        data=form,
        headers=headers,
        extensions={ELSEWHERE: True, "timeout": TIMEOUT.as_dict()},
    )


def _sent(
    request: httpx.Request, *, proxies: bool, whose: str = "the sign-in page"
) -> httpx.Response:
    try:
        with httpx.Client(timeout=TIMEOUT, trust_env=proxies) as http:
            return http.send(request)
    except httpx.TransportError as error:
        raise SignInError(f"{whose} does not answer: {type(error).__name__}") from error


def _tokens(response: httpx.Response) -> dict[str, Any]:
    try:
        document: Any = response.json()
    except ValueError:
        document = None
    found = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    if response.status_code != HTTPStatus.OK or not {"id_token", "access_token"} & found.keys():
        words = found.get("error", "no token")
        raise SignInError(f"no token was given: {response.status_code} `{words}`; sign in again")
    return found


def _claims(token: str) -> dict[str, Any]:
    try:
        payload = token.split(".")[1]
        found: Any = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError) as error:
        raise SignInError("what was given is no token") from error
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
