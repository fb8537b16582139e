"""What a tenant's tier does not offer is refused in words; what stands of it goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from litestar.routes import HTTPRoute

from service.api.guard import Needs
from service.domain.features import Feature
from service.operations.operations import Operations
from service.settings import TokenSettings

if TYPE_CHECKING:
    import httpx

    from tests.service.conftest import ServiceUnderTest

HOOK: Final = {"url": "https://hooks.example.com/in", "nouns": ["device"]}
BEGINS: Final[dict[Feature, tuple[str, str, dict[str, Any]]]] = {
    Feature.CAMPAIGNS: ("POST", "/v1/campaigns", {"name": "reboot", "group": "line-press"}),
    Feature.MACHINES: ("POST", "/v1/machines", {"id": "mes", "scopes": ["view"]}),
    Feature.WANTED_VERSIONS: (
        "PUT",
        "/v1/groups/line-press/wanted-versions/control",
        {"version": "1"},
    ),
    Feature.WEBHOOKS: ("POST", "/v1/webhooks", HOOK),
}


def sold(service: ServiceUnderTest, *lacking: Feature, tier: str | None = "starter") -> None:
    """Give acme another tier, as a process finds it that starts now."""
    rows, issuer = service.ports.tenants.rows, service.acme.tenant.issuer
    rows[issuer] = replace(rows[issuer], tier=tier, lacking=frozenset(lacking))
    service.app.state.operations = Operations(service.ports, TokenSettings())


def begin(service: ServiceUnderTest, feature: Feature) -> httpx.Response:
    """Begin something of a feature, as somebody who may."""
    method, path, body = BEGINS[feature]
    return service.call(method, path, json=body)


def test_every_feature_has_its_route(service: ServiceUnderTest) -> None:
    """Each is begun by one, and by none that only reads, ends or rotates."""
    begun = [
        (stated.feature, next(iter(handler.http_methods)), f"{route.path_format}")
        for route in service.app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if isinstance(stated := handler.opt.get("access"), Needs) and stated.feature is not None
    ]
    assert sorted(feature for feature, *_ in begun) == sorted(Feature)
    assert {method for _, method, _ in begun} == {"POST", "PUT"}


@pytest.mark.parametrize("feature", Feature)
def test_what_a_tier_lacks_is_refused(service: ServiceUnderTest, feature: Feature) -> None:
    """With the feature and the tier; every other feature is begun as before."""
    sold(service, feature)
    refused = begin(service, feature)
    assert refused.status_code == 403, refused.text
    problem = refused.json()
    assert problem["type"] == "urn:cedarfleet:problem:not-in-tier"
    assert (problem["feature"], problem["tier"]) == (feature, "starter")
    assert f"tier `starter` has no {feature.replace('-', ' ')}" in problem["detail"]
    assert service.ports.audit.trail == []
    for other in set(Feature) - {feature}:
        answer = begin(service, other)
        assert answer.json().get("type") != problem["type"], other
    sold(service)
    assert begin(service, feature).json().get("type") != problem["type"]


def test_what_was_made_before_goes_on(service: ServiceUnderTest) -> None:
    """A webhook of a tier that had them is listed, rotated, disabled and taken away."""
    made = begin(service, Feature.WEBHOOKS).json()["webhook"]["id"]
    sold(service, *Feature)
    assert begin(service, Feature.WEBHOOKS).status_code == 403
    listed = service.call("GET", "/v1/webhooks").json()["webhooks"]
    assert [one["id"] for one in listed] == [made]
    path = f"/v1/webhooks/{made}"
    for method, ending in (("POST", "/rotate"), ("POST", "/disable"), ("POST", "/enable")):
        assert service.call(method, path + ending).status_code == 200, ending
    assert service.call("DELETE", path).status_code == 200


@pytest.mark.parametrize("group", ["managers", "operators"])
def test_everybody_is_told_of_the_tier(service: ServiceUnderTest, group: str) -> None:
    """Of its name and of what it lacks, as a refusal would say; and of none where none is."""
    sold(service, Feature.WEBHOOKS, Feature.CAMPAIGNS)
    me = service.call("GET", "/v1/me", as_=group).json()
    assert (me["tier"], me["not_in_tier"]) == ("starter", ["campaigns", "webhooks"])
    sold(service, tier=None)
    me = service.call("GET", "/v1/me", as_=group).json()
    assert (me["tier"], me["not_in_tier"]) == (None, [])


def test_terms_without_a_name_refuse_too(service: ServiceUnderTest) -> None:
    """A row that lacks a feature and names no tier."""
    sold(service, Feature.WEBHOOKS, tier=None)
    problem = begin(service, Feature.WEBHOOKS).json()
    assert problem["tier"] is None
    assert "the tenant's terms have no webhooks" in problem["detail"]
