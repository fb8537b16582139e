"""Takes away what the check made, the last first, whatever happened in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from infra.aws_check.calls import OutOfCallsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.aws_check.calls import AwsCalls
    from infra.aws_check.waiting import Waiting

# "It can take up to five minutes after a policy is detached before it's ready to be deleted"
# (source: IoT API reference, DeletePolicy).
_AGAIN_SECONDS: Final = 5 * 60
_GONE: Final = frozenset(
    {
        "NoSuchBucket",
        "NoSuchEntity",
        "NoSuchEntityException",
        "NotFoundException",
        "ResourceNotFoundException",
    }
)


@dataclass(frozen=True, kw_only=True)
class _Leftover:
    what: str
    take_away: Callable[[], object]


class Leftovers:
    """What stands in the account because of this program.

    Args:
        calls: keeps the calls for it.
        waiting: before what AWS still refuses is tried again.
    """

    def __init__(self, calls: AwsCalls, waiting: Waiting) -> None:
        self._calls, self._waiting = calls, waiting
        self._stand: list[_Leftover] = []

    def expect(self, what: str, take_away: Callable[[], object], *, calls: int = 1) -> None:
        """Say how to take something away, before it is made: an answer may be lost.

        Args:
            what: kind and name.
            take_away: does it.
            calls: how many that takes; 0: they are reserved.

        Raises:
            OutOfCallsError: there are not enough left, so it must not be made.
        """
        if calls:
            self._calls.reserve(calls)
        self._stand.append(_Leftover(what=what, take_away=take_away))

    def take_away(self) -> list[str]:
        """Take everything away; a line for each thing that still stands.

        What is refused is tried once more, as long as calls are left.
        """
        with self._calls.cleaning():
            refused = self._pass()
            if refused and self._calls.left > 0:
                self._waiting.pause(_AGAIN_SECONDS)
                refused = self._pass()
        return refused

    def _pass(self) -> list[str]:
        refused: list[str] = []
        stand: list[_Leftover] = []
        for each in reversed(self._stand):
            try:
                each.take_away()
            except (ClientError, BotoCoreError, OutOfCallsError) as error:
                if not is_gone(error):
                    stand.insert(0, each)
                    refused.append(f"{each.what}: {error}")
        self._stand = stand
        return refused


def is_gone(error: Exception) -> bool:
    """Whether AWS says that there is no such thing."""
    return code(error) in _GONE


def code(error: Exception) -> str:
    """AWS's code of an error; its kind where AWS gave none."""
    answer: Any = getattr(error, "response", {})
    return str(answer.get("Error", {}).get("Code", type(error).__name__))
