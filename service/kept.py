"""A property that is worked out once for its object and kept there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class kept(Generic[T]):  # noqa: N801 - reads as the decorator that it is, like ``property``
    """``functools.cached_property`` as it is from Python 3.12 on: without a lock.

    The one of 3.11 takes a lock of all objects each time, which costs as much as what is kept here
    (Python 3.12, "What's New"). What is worked out must be the same whoever does it.
    """

    def __init__(self, work_out: Callable[[Any], T]) -> None:
        self._work_out = work_out
        self._name = ""
        self.__doc__ = work_out.__doc__

    def __set_name__(self, owner: type[object], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type[object]) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[object]) -> T: ...
    def __get__(self, instance: object | None, owner: type[object]) -> T | Self:
        if instance is None:
            return self
        # From now on it is found there before this is asked.
        found = vars(instance)[self._name] = self._work_out(instance)
        return found
