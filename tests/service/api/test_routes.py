"""What must hold for every route, found by walking the application."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cedarfleet_device import wire
from jsonschema import Draft202012Validator
from litestar import Router, get
from litestar.di import NamedDependency, Provide
from litestar.params import SkipValidation  # noqa: TC002 - Litestar reads it at run time
from litestar.testing import TestClient

from service.api import problem_documents
from service.api.app import create_app
from service.api.guard import (
    ByCode,
    Needs,
    SignedIn,
    decided_middleware,
    guard,
    needs,
    provide_access,
    provide_operations,
)
from service.domain.permissions import Permission
from service.errors import CedarfleetError
from service.operations.authorization import Access  # noqa: TC001 - as above
from service.operations.operations import Operations
from service.settings import HttpSettings, TokenSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litestar import Litestar

    from tests.service.conftest import ServiceUnderTest

NOTHING = "/v1/openapi/{path:str}"  # Litestar's own answer to what is not there
PUBLIC = {
    "/health/live": 200,
    "/health/ready": 200,
    "/v1/openapi": 200,
    "/v1/openapi/openapi.json": 200,
    NOTHING: 404,
    "/v1/docs": 200,
    "/v1/docs/redoc.js": 200,
    "": 200,
    "/console/{tenant:str}": 404,
    "/console/{tenant:str}/{path:path}": 404,
    "/console-files/{digest:str}/{file:path}": 404,
    "/sign-in/{tenant:str}": 404,
}
BY_CODE = "/v1/enrolments"  # a device has no token yet: the code in the body proves it, or nothing


def handlers(app: Litestar) -> Iterator[tuple[str, str, Any]]:
    """Path, method and handler of every route, without Litestar's own OPTIONS and HEAD."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            for method in sorted(handler.http_methods - {"OPTIONS", "HEAD"}):
                yield route.path, method, handler


def test_every_route_states_its_action_or_is_public(service: ServiceUnderTest) -> None:
    """No route of ours is without a statement; the public ones are known by name."""
    walked = 0
    for path, method, handler in handlers(service.app):
        walked += 1
        stated = handler.opt.get("access")
        if path.rstrip("/") in PUBLIC:
            assert not isinstance(stated, Needs | SignedIn), (method, path)
        else:
            assert isinstance(stated, Needs | SignedIn | ByCode), (method, path)
            assert path.startswith("/v1/")
    assert walked >= 12


def test_every_action_is_asked_by_some_route(service: ServiceUnderTest) -> None:
    """A permission that no route asks for would be a promise that nothing keeps."""
    stated = [handler.opt.get("access") for _, _, handler in handlers(service.app)]
    asked = {action for access in stated if isinstance(access, Needs) for action in access.actions}
    assert asked == set(Permission)


def test_one_route_takes_a_code_instead_of_a_token(service: ServiceUnderTest) -> None:
    """No other route lets anybody in without a token."""
    by_code = [
        (method, path)
        for path, method, handler in handlers(service.app)
        if isinstance(handler.opt.get("access"), ByCode)
    ]
    assert by_code == [("POST", BY_CODE)]
    assert service.client.post(BY_CODE, json={}).status_code == 400


def test_every_route_but_the_public_ones_wants_a_token(service: ServiceUnderTest) -> None:
    """Without a token each answers 401, whatever the path and body."""
    for path, method, _ in handlers(service.app):
        if path == BY_CODE:
            continue
        answer = service.client.request(method, re.sub(r"\{[^}]+\}", "press-01", path))
        assert answer.status_code == PUBLIC.get(path.rstrip("/"), 401), (method, path)


def test_options_and_head_say_nothing_and_break_nothing(service: ServiceUnderTest) -> None:
    """OPTIONS names a path's methods, with and without a token; HEAD is none of them."""
    for path in {path for path, _, _ in handlers(service.app)} - {NOTHING}:
        url = re.sub(r"\{[^}]+\}", "press-01", path)
        methods = {method for other, method, _ in handlers(service.app) if other == path}
        for headers in (
            {},
            {"Authorization": f"Bearer {service.acme.id_token('boss', ['managers'])}"},
        ):
            options = service.client.request("OPTIONS", url, headers=headers)
            assert (options.status_code, options.content) == (204, b""), path
            # Litestar names the methods of the handler that came first on the path.
            assert (
                {"OPTIONS"} < set(options.headers["Allow"].split(", ")) <= methods | {"OPTIONS"}
            ), path
            head = service.client.request("HEAD", url, headers=headers)
            assert head.status_code == 405, path


def test_permissions_are_the_schemas_actions() -> None:
    """The enum equals the leaf actions of the Cedar schema; groups of actions are not asked for."""
    schema = (Path(__file__).parents[3] / "policies" / "schema.cedarschema").read_text(
        encoding="utf-8"
    )
    text = re.sub(r"//[^\n]*", "", schema)
    declared = re.findall(r"\baction\s+([^;]+?)\s+(?:in\s+\[[^\]]*\]\s+)?appliesTo", text)
    leaves = {name.strip() for names in declared for name in names.split(",")}
    assert leaves == {str(permission) for permission in Permission}


def test_every_error_of_ours_has_its_line_in_the_table() -> None:
    """Each concrete error maps to a status; only the operator's own faults are 500."""

    def leaves(kind: type[CedarfleetError]) -> Iterator[type[CedarfleetError]]:
        children = kind.__subclasses__()
        if not children:
            yield kind
        for child in children:
            yield from leaves(child)

    unmapped = {
        kind.__name__ for kind in leaves(CedarfleetError) if kind not in problem_documents.STATUS
    }
    assert unmapped == {"ConfigurationError"}


def test_a_route_that_forgets_to_ask_answers_nothing(service: ServiceUnderTest) -> None:
    """A handler that answers without a decision, or asks for what it does not state, is 500."""

    @get("/forgets", opt=needs(Permission.VIEW_DEVICE))
    async def forgets() -> dict[str, str]:
        return {"secret": "data"}

    @get("/lies", opt=needs(Permission.VIEW_DEVICE))
    async def lies(access: NamedDependency[SkipValidation[Access]]) -> dict[str, str]:
        await access.require(Permission.LIST_DEVICES, service.device("press-01").entities({}))
        return {"secret": "data"}

    @get("/silent")
    async def silent() -> dict[str, str]:
        return {"secret": "data"}

    operations = Operations(service.ports, TokenSettings())
    app = create_app(operations, HttpSettings(body_max_bytes=4096))
    app.register(
        Router(
            path="/extra",
            route_handlers=[forgets, lies, silent],
            guards=[guard],
            middleware=[decided_middleware],
            dependencies={
                "access": Provide(provide_access),
                "operations": Provide(provide_operations),
            },
        )
    )
    headers = {"Authorization": f"Bearer {service.acme.id_token('boss', ['managers'])}"}
    with TestClient(app, raise_server_exceptions=False) as client:
        for path in ("/extra/forgets", "/extra/lies", "/extra/silent"):
            answer = client.get(path, headers=headers)
            assert answer.status_code == 500, path
            assert "secret" not in answer.text
        # The fault is ours whoever asks, so a route without a statement looks at no token.
        assert client.get("/extra/silent").status_code == 500


def test_the_description_names_every_route_and_the_bearer_scheme(service: ServiceUnderTest) -> None:
    """OpenAPI is served without a token, and lists each path of version 1."""
    document = service.client.get("/v1/openapi").json()
    paths = {
        path
        for path, _, _ in handlers(service.app)
        if path.startswith("/v1/") and path.rstrip("/") not in PUBLIC
    }
    assert {re.sub(r":str", "", path) for path in paths} == set(document["paths"])
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_each_operation_is_named_and_tells_its_problems(service: ServiceUnderTest) -> None:
    """A generated client has `send_command`, and every error in one form."""
    document = service.client.get("/v1/openapi").json()
    operations = [each for item in document["paths"].values() for each in item.values()]
    names = [each["operationId"] for each in operations]
    assert sorted(set(names)) == sorted(names)
    assert {"send_command", "list_devices", "start_download"} <= set(names)
    assert all(re.fullmatch("[a-z_]+", name) for name in names)
    for each in operations:
        refused = {status: answer for status, answer in each["responses"].items() if status > "399"}
        assert {"400", "401", "403", "429", "500", "502", "503"} <= set(refused), each
        assert {
            answer["content"]["application/problem+json"]["schema"]["$ref"]
            for answer in refused.values()
        } == {"#/components/schemas/Problem"}


def test_every_status_of_the_table_has_words(service: ServiceUnderTest) -> None:
    """A new error with a status of its own is told by the document, or this fails."""
    told = {int(status) for status in described_statuses(service)}
    assert {int(status) for status, _ in problem_documents.STATUS.values()} <= told


def described_statuses(service: ServiceUnderTest) -> set[str]:
    """All statuses that some operation may answer."""
    document = service.client.get("/v1/openapi").json()
    return {
        status
        for item in document["paths"].values()
        for each in item.values()
        for status in each["responses"]
    }


def test_the_domains_values_are_told(service: ServiceUnderTest) -> None:
    """States and forms come from the domain's tables; a pattern accepts what the domain does."""
    document = service.client.get("/v1/openapi").json()
    schemas = document["components"]["schemas"]
    assert set(wire.CommandState) <= set(schemas["CommandOut"]["properties"]["state"]["enum"])
    changes = schemas["DevicePatch"]["properties"]
    for name, good, bad in (
        ("utc_offset", "-03:30", "+15:00"),
        ("window", "22:00-04:00", "24:00-04:00"),
        ("time_zone", "America/Argentina/Ushuaia", "Berlin"),
        ("kind", "press.2", "a b"),
    ):
        validator = Draft202012Validator(changes[name])
        assert validator.is_valid(good), name
        assert not validator.is_valid(bad), name
        assert validator.is_valid(None), name
    parameters = document["paths"]["/v1/devices/{device}"]["get"]["parameters"]
    [device] = [one for one in parameters if one["in"] == "path"]
    assert re.search(device["schema"]["pattern"], "press-07")
    assert not re.search(device["schema"]["pattern"], "press 07")
