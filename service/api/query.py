"""Query parameters, each of which the route must know, and headers, each of which stands once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar.params import HeaderParameter, QueryParameter

from service.errors import InvalidRequestError
from service.nearest_name import did_you_mean

if TYPE_CHECKING:
    from litestar import Request


def check_query(request: Request[Any, Any, Any]) -> None:
    """Refuse what a route would not look at: a filter with a slip would show everything.

    Raises:
        InvalidRequestError: names the parameter, and those that there are.
    """
    known = {
        field.kwarg_definition.name or name: field
        for name, field in request.route_handler.parsed_fn_signature.parameters.items()
        if isinstance(field.kwarg_definition, QueryParameter)
    }
    given = request.query_params
    for name in given.keys():  # noqa: SIM118 - of a multi-dict, not of a dict
        if name not in known:
            meant = did_you_mean(name, known)
            names = ", ".join(sorted(known)) or "none"
            raise InvalidRequestError(
                name[:100], f"no such parameter here; there are: {names}{meant}"
            )
        # Fail closed: which of the two is meant, nobody knows.
        if not known[name].is_non_string_sequence and len(given.getall(name)) > 1:
            raise InvalidRequestError(name, "stands twice")


def check_headers(request: Request[Any, Any, Any]) -> None:
    """Refuse a header of the route that stands twice.

    Raises:
        InvalidRequestError: names it.
    """
    for field in request.route_handler.parsed_fn_signature.parameters.values():
        known = field.kwarg_definition
        name = known.name if isinstance(known, HeaderParameter) else None
        # Fail closed: which of the two is meant, nobody knows.
        if name is not None and len(request.headers.getall(name, [])) > 1:
            raise InvalidRequestError(name, "stands twice")
