"""HTTP to the API: every answer that is none of success becomes an exception.

The generated operations take an ``AuthenticatedClient`` and hand back what they parsed, a problem
as well. With the clients made here a problem is raised before they see it, from each of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import httpx

from cedarfleet.errors import OF_STATUS, ApiError, UnexpectedAnswerError
from cedarfleet.generated.client import AuthenticatedClient
from cedarfleet.sign_in import ELSEWHERE, TIMEOUT

if TYPE_CHECKING:
    from cedarfleet.sign_in import Bearer


@dataclass(kw_only=True)
class Connections:
    """The clients of one person or machine: sync, async, and those for bytes of files.

    Args:
        api: URL of the API, without ``/v1``.
        bearer: the token of each request to the API, and of none other.
        proxies: whether the variables of the environment name proxies (as httpx reads them).
    """

    api: str
    bearer: Bearer
    proxies: bool = True
    _sync: AuthenticatedClient | None = field(default=None, init=False, repr=False)
    _async: AuthenticatedClient | None = field(default=None, init=False, repr=False)
    _files: httpx.Client | None = field(default=None, init=False, repr=False)
    _async_files: httpx.AsyncClient | None = field(default=None, init=False, repr=False)

    @property
    def sync(self) -> AuthenticatedClient:
        """What a generated ``sync`` takes."""
        if self._sync is None:
            self._sync = self._described().set_httpx_client(
                httpx.Client(
                    base_url=self.api,
                    auth=self.bearer,
                    timeout=TIMEOUT,
                    trust_env=self.proxies,
                    event_hooks={"response": [_raise]},
                )
            )
        return self._sync

    @property
    def asynchronous(self) -> AuthenticatedClient:
        """What a generated ``asyncio`` takes."""
        if self._async is None:
            self._async = self._described().set_async_httpx_client(
                httpx.AsyncClient(
                    base_url=self.api,
                    auth=self.bearer,
                    timeout=TIMEOUT,
                    trust_env=self.proxies,
                    event_hooks={"response": [_raise_async]},
                )
            )
        return self._async

    @property
    def files(self) -> httpx.Client:
        """For signed URLs, which need no token: none goes to the bucket."""
        self._files = self._files or httpx.Client(timeout=TIMEOUT, trust_env=self.proxies)
        return self._files

    @property
    def async_files(self) -> httpx.AsyncClient:
        """The same."""
        self._async_files = self._async_files or httpx.AsyncClient(
            timeout=TIMEOUT, trust_env=self.proxies
        )
        return self._async_files

    def close(self) -> None:
        """Close what was opened to be used synchronously."""
        if self._sync is not None:
            self._sync.get_httpx_client().close()
        if self._files is not None:
            self._files.close()

    async def aclose(self) -> None:
        """Close what was opened to be used asynchronously."""
        if self._async is not None:
            await self._async.get_async_httpx_client().aclose()
        if self._async_files is not None:
            await self._async_files.aclose()

    def _described(self) -> AuthenticatedClient:
        # The token is the clients' own: `bearer` may renew it.
        return AuthenticatedClient(base_url=self.api, token="")


def _raise(response: httpx.Response) -> None:
    if response.is_success or ELSEWHERE in response.request.extensions:
        return
    response.read()
    raise _error(response)


async def _raise_async(response: httpx.Response) -> None:
    if response.is_success or ELSEWHERE in response.request.extensions:
        return
    await response.aread()
    raise _error(response)


def _error(response: httpx.Response) -> ApiError | UnexpectedAnswerError:
    try:
        problem: Any = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict) or "type" not in problem:
        return UnexpectedAnswerError(f"{response.status_code} without a problem document")
    status = response.status_code
    return OF_STATUS.get(status, ApiError)(
        status, cast("dict[str, Any]", problem), _seconds(response.headers.get("retry-after"))
    )


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdecimal() else None
