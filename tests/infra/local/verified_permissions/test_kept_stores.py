"""Compiled stores are kept for the next decision, as many as may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from infra.local.verified_permissions.contents import Contents
from infra.local.verified_permissions.deciding import Decider

if TYPE_CHECKING:
    from infra.local.verified_permissions.state import State

KEPT = 100


class EmptyStores:
    """Stores of any name, each at the revision that the test says."""

    def __init__(self) -> None:
        self.revision = 1

    def seen(self, _: str) -> Contents:
        """A store without anything."""
        return Contents(revision=self.revision, schema=None, policies={}, templates={}, sources={})


def test_a_hundred_stores_are_compiled_once() -> None:
    """Of one more, the one used longest ago is compiled anew; so is one that has changed."""
    stores, decider = EmptyStores(), Decider()

    def compiled(number: int) -> object:
        return decider.compiled(cast("State", stores), f"store-{number}")

    kept = [compiled(number) for number in range(KEPT)]
    assert compiled(0) is kept[0]
    compiled(KEPT)
    assert compiled(0) is kept[0]
    assert compiled(2) is kept[2]
    assert compiled(1) is not kept[1]
    stores.revision = 2
    assert compiled(0) is not kept[0]
