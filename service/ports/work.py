"""Work for the background worker: what waits for its turn, and what waits for its time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from service.domain.work import ReceivedWork, Work


class WorkQueue(Protocol):
    """Work that waits for its turn; each message is given out at least once."""

    async def send(self, work: Sequence[Work], *, delay_seconds: int = 0) -> None:
        """Keep each message durably; after an error some may be kept, and some not.

        Args:
            work: what is to be done.
            delay_seconds: before which it is given to nobody; at most 900.
        """
        ...

    async def receive(self) -> Sequence[ReceivedWork]:
        """Messages that nobody else is given for a while; waits some seconds for the first."""
        ...

    async def done(self, received: ReceivedWork) -> None:
        """Give this message out no more."""
        ...

    async def hold(self, received: ReceivedWork) -> None:
        """Give this message to nobody else for as long again as it is held at first."""
        ...

    async def postpone(self, received: ReceivedWork, *, seconds: int) -> None:
        """Give this message out again, and not before ``seconds`` have passed."""
        ...


class Timers(Protocol):
    """Work that waits for its time; one piece a name."""

    async def wake(self, name: str, at: datetime, work: Work) -> None:
        """Send ``work`` to the queue at that time, or up to a minute later.

        It replaces what the name stood for.

        Args:
            name: at most 64 of ``A-Z a-z 0-9 . _ -``, prefixed by its tenant.
            at: of which whole seconds count.
            work: what is sent.
        """
        ...

    async def forget(self, name: str) -> None:
        """Send nothing under this name any more; one that is not known is fine."""
        ...
