"""Counts the calls that leave this program, and makes none beyond what it may.

Counted is each request that a client sends, by the client's own event ``before-send``: a retry
would be a request too, so there are none.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from botocore.config import Config

if TYPE_CHECKING:
    from collections.abc import Generator

    import boto3

MOST_CALLS: Final = 50
_PLAIN: Final = Config(
    connect_timeout=5,
    read_timeout=30,
    retries={"total_max_attempts": 1},
    s3={"addressing_style": "path"},
)


class OutOfCallsError(RuntimeError):
    """One more call would leave too few for taking away what was made."""


class AwsCalls:
    """Clients of one account, whose calls are counted together.

    Args:
        session: ordinary credentials and region.
        endpoint_url: of another cloud than AWS.
        most: calls that may be made.

    Attributes:
        made: each call, e.g. ``iot.CreateThing``, in order.
    """

    def __init__(
        self,
        session: boto3.Session,
        *,
        endpoint_url: str | None = None,
        most: int = MOST_CALLS,
    ) -> None:
        self.made: list[str] = []
        self.most = most
        self.endpoint_url = endpoint_url
        self._session = session
        self._clients: dict[tuple[str, str | None], Any] = {}
        self._reserved = 0
        self._cleaning = False

    @property
    def region(self) -> str:
        """Where everything is."""
        return str(self._session.region_name)

    @property
    def left(self) -> int:
        """Calls that may still be made, those for taking away not counted."""
        return self.most - len(self.made) - (0 if self._cleaning else self._reserved)

    def client(self, service: str, *, endpoint_url: str | None = None) -> Any:
        """The client of a service, made once."""
        key = service, endpoint_url
        if key not in self._clients:
            any_client: Any = self._session.client
            url = endpoint_url or self.endpoint_url
            client = any_client(service, endpoint_url=url, config=_PLAIN)
            client.meta.events.register("before-send", self._count)
            self._clients[key] = client
        return self._clients[key]

    def reserve(self, calls: int) -> None:
        """Keep calls for taking something away that is about to be made.

        Raises:
            OutOfCallsError: there are not enough of them, also for making it.
        """
        if self.left < calls + 1:
            raise OutOfCallsError(f"{self.most} calls are not enough for it")
        self._reserved += calls

    def release(self, calls: int) -> None:
        """Give back reserved calls that are not needed any more."""
        self._reserved -= calls

    @contextmanager
    def cleaning(self) -> Generator[None]:
        """Calls in here may be the reserved ones."""
        self._cleaning = True
        try:
            yield
        finally:
            self._cleaning = False

    def close(self) -> None:
        """Let the connections go."""
        for client in self._clients.values():
            client.close()

    def _count(self, *, event_name: str, **_: object) -> None:
        # Fail closed: botocore hands the error to the caller instead of sending the request.
        if self.left < 1:
            raise OutOfCallsError(f"{self.most} calls are made, or kept for taking things away")
        self.made.append(event_name.removeprefix("before-send."))
