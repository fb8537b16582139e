"""Where the time of a request went: spans, one in another, for whoever gathers them.

A span names what was done, never what was said: no token, no address with a signature, no text of a
caller, and of an error its kind alone.
"""

from __future__ import annotations

from contextlib import nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

Note: TypeAlias = "str | int | bool"


class SpanKind(StrEnum):
    """Which side of a call a span is."""

    SERVER = "server"
    INTERNAL = "internal"
    CLIENT = "client"


class Span(Protocol):
    """Something that takes time, while it does."""

    def rename(self, name: str) -> None:
        """Give it the name that became known while it ran."""
        ...

    def note(self, name: str, value: Note) -> None:
        """Say something of it; names are those of OpenTelemetry's semantic conventions or ours."""
        ...

    def fail(self, kind: str) -> None:
        """It came to nothing; ``kind`` is a static word, a code or a class, and quotes nothing."""
        ...


class Traces(Protocol):
    """Makes spans; never fails, never waits."""

    def span(
        self, name: str, kind: SpanKind, *, carrier: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Span]:
        """A span for what is done within ``with``, in the one that is open there.

        Args:
            name: of few values, as a label of a measure.
            kind: which side of a call it is.
            carrier: headers of a request, by names in lower case, that may say in whose trace it
                is; ``None``: in the one that is open.
        """
        ...


class _Untraced:
    """Makes no spans."""

    def span(
        self,
        name: str,  # noqa: ARG002 - the port's
        kind: SpanKind,  # noqa: ARG002 - the port's
        *,
        carrier: Mapping[str, str] | None = None,  # noqa: ARG002 - the port's
    ) -> AbstractContextManager[Span]:
        """Nothing."""
        return nullcontext(_NO_SPAN)


class _NoSpan:
    def rename(self, name: str) -> None:
        pass

    def note(self, name: str, value: Note) -> None:
        pass

    def fail(self, kind: str) -> None:
        pass


_NO_SPAN: Final = _NoSpan()
UNTRACED: Final = _Untraced()
"""For programs and tests that nobody traces; whoever finds it makes no span at all."""
