"""Facts of the tenant's own: set by who may, read by policies, shown with devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from litestar.testing import TestClient

from service.adapters.memory.authorizer import CedarAuthorizer
from service.adapters.memory.memory_ports import MemoryPorts
from service.adapters.memory.user_pool import MemoryUserPool
from service.cedar.policy_set import PolicySet
from service.domain.devices import Device
from service.domain.tags import MAX_TAGS
from service.operations.operations import Operations
from service.settings import TokenSettings
from tests.service.conftest import POLICIES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx
    from litestar import Litestar

    from tests.service.conftest import ServiceUnderTest

PATH = "/v1/devices/press-01/tags"


def tag(service: ServiceUnderTest, *, as_: str = "managers", **tags: str | None) -> httpx.Response:
    """Ask for tags of press-01."""
    return service.call("PATCH", PATH, as_=as_, json={"tags": tags})


def problem(answer: httpx.Response) -> str:
    """What a refused request is told."""
    assert answer.status_code == 400, answer.text
    (error,) = answer.json()["errors"]
    return f"{error['field']}: {error['problem']}"


def test_a_manager_sets_and_removes_tags(service: ServiceUnderTest) -> None:
    """What is named is set or removed, the rest stays, the other facts too; lists show them."""
    before = service.device("press-01")
    answer = tag(service, building="7", customer="Müller & Söhne")
    assert answer.status_code == 200, answer.text
    assert answer.json()["tags"] == {"building": "7", "customer": "Müller & Söhne"}
    assert tag(service, building=None, floor="2").status_code == 200
    shown = service.call("GET", "/v1/devices").json()["devices"]
    expected = {"customer": "Müller & Söhne", "floor": "2"}
    assert [device["tags"] for device in shown] == [expected, {}, {}]
    assert service.call("GET", "/v1/devices/press-01").json()["tags"] == expected
    after = service.device("press-01")
    assert (after.attributes, after.groups) == (before.attributes, before.groups)
    assert after.version == before.version + 2


def test_a_tag_is_audited_before_it_is_set(service: ServiceUnderTest) -> None:
    """Once as the device was and once as it would be, with the names of the tags."""
    tag(service, floor=None, building="7")
    trail = service.ports.audit.trail
    assert [(one.action, one.subject) for one in trail] == [
        ("SetDeviceTags", "building, floor removed")
    ] * 2


def test_it_staff_alone_certify(service: ServiceUnderTest) -> None:
    """Nobody else sets or removes who certified a device; they set nothing else."""
    for group, tags, status, policies in (
        ("managers", {"certified_by": "me"}, 403, ["certified-by-it-staff"]),
        ("it-staff", {"certified_by": "Kim"}, 200, None),
        ("it-staff", {"building": "7"}, 403, []),
        ("it-staff", {"building": "7", "certified_by": "Kim"}, 403, []),
        ("managers", {"building": "7", "certified_by": None}, 403, ["certified-by-it-staff"]),
        ("managers", {"building": "7"}, 200, None),
    ):
        answer = tag(service, as_=group, **tags)
        assert answer.status_code == status, answer.text
        assert answer.json().get("policies") == policies
    assert service.device("press-01").tags == {"building": "7", "certified_by": "Kim"}


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({}, "tags: give at least one tag to set"),
        ({"7th": "x"}, "tags: `7th`: must be a letter and up to 63 letters, digits"),
        ({"__entity": "x"}, "tags: `__entity`: must be a letter"),
        ({"a b": None}, "tags: `a b`: must be a letter"),
        ({"building": " 7"}, "tags.building: must be 1 to 128 printable characters"),
        ({"building": "7\n"}, "tags.building: must be 1 to 128 printable characters"),
        ({"building": "\u200b"}, "tags.building: must be 1 to 128 printable characters"),
        ({"building": ""}, "tags[...]: Expected `str` of length >= 1"),
        ({"building": "7" * 129}, "tags[...]: Expected `str` of length <= 128"),
        ({"b" * 65: "7"}, "tags: Expected `str` of length <= 64 in a name"),
        ({"building": 7}, "tags[...]: Expected `str | null`, got `int`"),
        ({f"t{number}": "x" for number in range(MAX_TAGS + 1)}, "tags: Expected `object` of"),
    ],
)
def test_tags_of_another_form_are_refused(
    service: ServiceUnderTest, tags: dict[str, str | None], words: str
) -> None:
    """By the name of the tag; nothing is asked and nothing changes."""
    assert words in problem(service.call("PATCH", PATH, json={"tags": tags}))
    assert service.device("press-01").tags == {}
    assert service.ports.audit.trail == []


def test_a_device_has_fifty_tags_at_most(service: ServiceUnderTest) -> None:
    """The next is refused until one is removed, in the same request if need be."""
    names = [f"t{number}".ljust(64, "x") for number in range(MAX_TAGS)]
    full = dict.fromkeys(names, "x" * 128)
    assert tag(service, **full).status_code == 200
    assert "would have 51 tags; it can have at most 50" in problem(tag(service, building="7"))
    swapped = {"tags": {"building": "7", names[0]: None}}
    assert service.call("PATCH", PATH, json=swapped).status_code == 200
    assert len(service.device("press-01").tags) == MAX_TAGS


def test_an_operator_sets_no_tag(service: ServiceUnderTest) -> None:
    """Refused with the policy's name; a device of another tenant is not found."""
    answer = tag(service, as_="operators", building="7")
    assert (answer.status_code, answer.json()["policies"]) == (403, ["operators-view-only"])
    assert service.device("press-01").tags == {}
    body = {"tags": {"building": "7"}}
    assert service.call("PATCH", "/v1/devices/pump-01/tags", json=body).status_code == 404


HOUSEKEEPERS = """
@id("housekeepers")
permit (
  principal in Fleet::Group::"housekeepers",
  action == Fleet::Action::"SetDeviceTags",
  resource
)
when { resource.hasTag("building") && resource.getTag("building") == "7" };
"""


@pytest.fixture(scope="module")
def pool() -> MemoryUserPool:
    """A tenant whose file names its tags."""
    return MemoryUserPool("acme", lists={"tags": frozenset({"building", "floor"})})


@pytest.fixture
def patch(
    app: Litestar,
    pool: MemoryUserPool,
) -> Callable[[Mapping[str, str], Mapping[str, str | None]], httpx.Response]:
    """Changes the tags of a device that has some, as a keeper of building 7."""
    own = PolicySet(
        schema=(POLICIES / "schema.cedarschema").read_text(),
        static={"housekeepers": HOUSEKEEPERS},
        templates={},
        links=(),
    )
    ports = MemoryPorts.around(CedarAuthorizer(POLICIES, {"acme": own}))
    pool.join(ports)
    app.state.operations = Operations(ports, TokenSettings())
    headers = {"Authorization": f"Bearer {pool.id_token('keeper', ['housekeepers'])}"}

    def ask(stands: Mapping[str, str], changes: Mapping[str, str | None]) -> httpx.Response:
        ports.devices.add(Device(tenant="acme", id="press-01", tags=stands))
        with TestClient(app) as client:
            return client.patch(PATH, headers=headers, json={"tags": changes})

    return ask


@pytest.mark.parametrize(
    ("stands", "changes", "status"),
    [
        ({"building": "7"}, {"floor": "2"}, 200),
        ({"building": "7"}, {"building": "8"}, 403),
        ({"building": "7"}, {"building": None}, 403),
        ({"building": "8"}, {"building": "7"}, 403),
        ({}, {"building": "7"}, 403),
    ],
)
def test_nobody_tags_a_device_over_their_border(
    patch: Callable[[Mapping[str, str], Mapping[str, str | None]], httpx.Response],
    stands: dict[str, str],
    changes: dict[str, str | None],
    status: int,
) -> None:
    """Policies see the tags as they are and as they would be: not out, and not in."""
    assert patch(stands, changes).status_code == status


def test_a_tag_is_one_that_the_tenants_file_lists(
    patch: Callable[[Mapping[str, str], Mapping[str, str | None]], httpx.Response],
) -> None:
    """A slip is told with the list; what stands there from before can be removed."""
    assert problem(patch({"building": "7"}, {"flor": "2"})) == (
        "tags.flor: `flor` is none of the `tags` of the tenant's file: building, floor; "
        "did you mean `floor`?"
    )
    assert patch({"building": "7", "old": "x"}, {"old": None}).status_code == 200
