"""The demo's client of the API, as a tenant's app would be: HTTP calls with a person's token."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self

import httpx

from infra.local.demo.report import StepError
from infra.local.loopback import NO_AUTHORITIES

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

_SECONDS: Final = 15.0
_PAUSE_SECONDS: Final = 0.05


class TenantApp:
    """The API as one person sees it; without a token, as anybody does."""

    def __init__(self, url: str, token: str | None = None) -> None:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=_SECONDS, trust_env=False, verify=NO_AUTHORITIES
        )

    def get(self, path: str) -> httpx.Response:
        """GET, whatever the status."""
        return self._http.get(path)

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """POST, whatever the status."""
        return self._http.post(path, json=body)

    def patch(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """PATCH, whatever the status."""
        return self._http.patch(path, json=body)

    def put(
        self, path: str, body: dict[str, Any], *, if_match: str | None = None
    ) -> httpx.Response:
        """PUT, whatever the status, of the state that ``if_match`` names."""
        headers = {} if if_match is None else {"If-Match": if_match}
        return self._http.put(path, json=body, headers=headers)

    def delete(self, path: str) -> httpx.Response:
        """DELETE, whatever the status."""
        return self._http.delete(path)

    def accepted(self, path: str, body: dict[str, Any]) -> str:
        """POST what must be accepted, and return where to watch it.

        Raises:
            StepError: another answer than 202.
        """
        answer = self.post(path, body)
        if answer.status_code != HTTPStatus.ACCEPTED:
            raise StepError(
                f"POST {path} must be accepted, came {answer.status_code}: {answer.text[:500]}"
            )
        return str(answer.json()["url"])

    def watch(
        self, path: str, until: Callable[[dict[str, Any]], bool], *, seconds: float = 60.0
    ) -> dict[str, Any]:
        """Read ``path`` until ``until`` holds of it, as an app that polls would.

        Raises:
            StepError: it never held.
        """
        deadline = time.monotonic() + seconds
        while True:
            answer = self.get(path)
            if answer.status_code == HTTPStatus.OK and until(document := answer.json()):
                return document
            if time.monotonic() > deadline:
                raise StepError(
                    f"GET {path} did not come to its end in {seconds:g} s, "
                    f"last: {answer.text[:500]}"
                )
            time.sleep(_PAUSE_SECONDS)

    @contextmanager
    def events(
        self, *, seconds: int, after: str | None = None
    ) -> Generator[Iterator[dict[str, Any]]]:
        """The tenant's events, as they come for so many seconds; behind ``after``, or from now on.

        Raises:
            StepError: another answer than 200.
        """
        headers = {} if after is None else {"Last-Event-ID": after}
        with self._http.stream(
            "GET", "/v1/events", params={"seconds": seconds}, headers=headers
        ) as answer:
            if answer.status_code != HTTPStatus.OK:
                raise StepError(f"GET /v1/events: {answer.status_code}")
            yield _told(answer.iter_lines())

    def answered(
        self, path: str, body: dict[str, Any], not_yet: HTTPStatus, *, seconds: float = 30.0
    ) -> httpx.Response:
        """POST until the answer is another than ``not_yet``.

        Raises:
            StepError: it never was.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            answer = self.post(path, body)
            if answer.status_code != not_yet:
                return answer
            time.sleep(_PAUSE_SECONDS)
        raise StepError(f"POST {path} was answered by {not_yet.value} for {seconds:g} s")

    def comes(self, path: str, status: HTTPStatus, *, seconds: float = 30.0) -> datetime:
        """Read ``path`` until it is answered by this status, and return when that had come.

        Raises:
            StepError: it never was.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            answer = self.get(path)
            if answer.status_code == status:
                return datetime.now(UTC)
            time.sleep(_PAUSE_SECONDS)
        raise StepError(f"GET {path} was not answered by {status.value} within {seconds:g} s")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _told(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The events of a stream's lines; its own last word is none."""
    for line in lines:
        name, _, text = line.partition(": ")
        if name == "data" and "type" in (event := json.loads(text)):
            yield event
