"""Which groups a tenant has, and into which of them a device can be put together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from service.cedar.group_tree import MAX_ANCESTORS, CircularGroupsError, with_ancestors
from service.domain.groups import DeviceGroup, check_groups, find_group
from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.adapters.memory.user_pool import MemoryUserPool
    from service.domain.tenants import Tenant


@pytest.fixture
def tenant(pools: tuple[MemoryUserPool, MemoryUserPool]) -> Tenant:
    """Two lines, and a group that lies in as many as policies decide on beside root and tenant."""
    above = tuple(f"above-{number}" for number in range(MAX_ANCESTORS - 2))
    groups = {"line-press": (), "line-pump": (), "deep": above[1:], **dict.fromkeys(above, ())}
    return replace(pools[0].tenant, groups=groups)


@pytest.mark.parametrize(
    ("name", "there"), [("all", True), ("line-press", True), ("ward", False), ("", False)]
)
def test_a_group_is_found_when_the_tenant_has_it(tenant: Tenant, name: str, *, there: bool) -> None:
    """The root group too, which no file names; nobody gets one of another tenant."""
    expected = DeviceGroup(tenant="acme", id=name) if there else None
    assert find_group(tenant, name) == expected


def test_the_root_group_alone_is_the_root() -> None:
    """Every device is in it; of another group somebody is put in."""
    found = {name: DeviceGroup(tenant="acme", id=name).is_root for name in ("all", "line-press")}
    assert found == {"all": True, "line-press": False}


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        (["line-press", "line-pump"], None),
        (["deep"], None),
        (["deep", "line-press"], "these lie in 101 groups together; .* at most 100"),
        (["line-press", "line-press"], "`line-press` stands twice"),
        (["line-press", "all"], "leave `all` out"),
        (["line-pres"], "no group `line-pres`; it has: above-0, .*; did you mean `line-press`"),
        (["x"], "no group `x`; it has: [^;]*$"),
    ],
)
def test_groups_that_go_together(tenant: Tenant, groups: Sequence[str], words: str | None) -> None:
    """Known ones, each once, in no more groups together than policies decide on."""
    if words is None:
        check_groups(tenant, groups)
        return
    with pytest.raises(InvalidRequestError, match=words) as caught:
        check_groups(tenant, groups)
    assert caught.value.field == "groups"


@pytest.mark.parametrize(
    ("parents", "circle"),
    [
        ({"a": ("a",)}, "`a` in `a`"),
        ({"a": ("b",), "b": ("c",), "c": ("b",)}, "`b` in `c` in `b`"),
    ],
)
def test_a_group_that_lies_in_itself_is_named(
    parents: dict[str, tuple[str, ...]], circle: str
) -> None:
    """With the way that leads back; groups that meet above are no circle."""
    with pytest.raises(CircularGroupsError, match=circle):
        with_ancestors(["a"], parents)
    assert with_ancestors(["a", "b"], {"a": ("c", "d"), "b": ("d",)}) == ("a", "b", "c", "d")
