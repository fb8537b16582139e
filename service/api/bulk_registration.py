"""Register many devices at once: rows of CSV or JSON lines in, a line of JSON a row out."""

import csv
import io
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, post
from litestar.datastructures import State
from litestar.params import QueryParameter
from litestar.response import Stream
from msgspec import Struct

from service.api.guard import needs
from service.api.parameters import Caller, Ops, utc
from service.api.registration import NewDeviceBody
from service.domain.permissions import Permission
from service.errors import CallerError, InvalidRequestError
from service.operations.bulk_registration import MAX_ROWS, RowResult
from service.operations.registration import NewDevice

MAX_BYTES: Final = 4 * 1024 * 1024
LINES: Final = "application/x-ndjson"
TABLE: Final = "text/csv"
ANSWER: Final = "text/plain"
"""Lines of JSON, by a name that clients made of the description can read."""
_TAG: Final = "tag."
RenewCodes = Annotated[
    bool,
    QueryParameter(description="new codes for those of the rows that are registered and not in"),
]


class RowOut(Struct, frozen=True, omit_defaults=True):
    """What came of one row; ``code`` is shown this once."""

    row: int
    device: str
    status: str
    code: str = ""
    expires_at: str = ""
    problem: str = ""

    @classmethod
    def of(cls, result: RowResult) -> "RowOut":
        """A row for the answer."""
        made = result.registered
        until = utc(made.expires_at) if made else None
        return cls(
            row=result.row,
            device=result.device,
            status=result.status,
            code=made.code if made else "",
            expires_at=until.isoformat() if until else "",
            problem=result.problem,
        )


@post(
    "/registrations",
    opt=needs(Permission.REGISTER_DEVICE),
    status_code=200,
    media_type=ANSWER,
    request_max_body_size=MAX_BYTES,
)
async def register_devices(
    request: Request[Any, Any, State],
    access: Caller,
    operations: Ops,
    *,
    renew_codes: RenewCodes = False,
) -> Stream:
    """Register up to 10,000 devices, a result a row, in order, as they are stored.

    The body is `text/csv` with a head (`id`, `groups` separated by blanks, attributes, `tag.NAME`)
    or `application/x-ndjson` (each line as `POST /v1/devices` takes it). It may be sent again.
    """
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    rows = read_rows(await request.body(), declared)
    bulk = operations.bulk_registration
    allowed = await bulk.allowed(access, rows)

    async def lines() -> AsyncIterator[bytes]:
        async for result in bulk.store(access, rows, allowed, renew_codes=renew_codes):
            yield msgspec.json.encode(RowOut.of(result)) + b"\n"

    return Stream(lines(), media_type=ANSWER, status_code=200)


def read_rows(body: bytes, declared: str) -> list[NewDevice | CallerError]:
    """The rows of a body: each a device, or what is wrong with it.

    Args:
        body: UTF-8.
        declared: its media type.

    Raises:
        InvalidRequestError: neither CSV nor JSON lines, no rows, or too many.
    """
    if declared not in {LINES, TABLE}:
        raise InvalidRequestError("content-type", f"must be `{TABLE}` or `{LINES}`")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequestError("body", "must be UTF-8") from error
    rows: list[NewDevice | CallerError] = []
    for row in _of_table(text) if declared == TABLE else _of_lines(text):
        if len(rows) == MAX_ROWS:
            raise InvalidRequestError("body", f"has more than {MAX_ROWS} rows: send it in parts")
        rows.append(row)
    if not rows:
        raise InvalidRequestError("body", "has no rows")
    return rows


def _of_lines(text: str) -> Iterator[NewDevice | CallerError]:
    for line in text.splitlines():
        if not line.strip():
            continue
        try:
            yield msgspec.json.decode(line, type=NewDeviceBody).device()
        except InvalidRequestError as error:
            yield error
        except msgspec.ValidationError as error:
            problem, _, path = str(error).partition(" - at `$")
            yield InvalidRequestError(path.strip("`.") or "row", problem)
        except (msgspec.DecodeError, RecursionError):
            yield InvalidRequestError("row", "must be one JSON object")


def _of_table(text: str) -> Iterator[NewDevice | CallerError]:
    table = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        head = next(table, [])
        if "id" not in head or len(set(head)) != len(head):
            raise InvalidRequestError("body", "the first row must name the columns, once, and `id`")
        for cells in table:
            if not cells:
                continue
            if len(cells) != len(head):
                words = f"has {len(cells)} cells, the head has {len(head)}"
                yield InvalidRequestError("row", words)
                continue
            yield _of_cells(dict(zip(head, cells, strict=True)))
    except csv.Error as error:
        raise InvalidRequestError("body", f"line {table.line_num}: {error}") from error


def _of_cells(cells: dict[str, str]) -> NewDevice | CallerError:
    given = {name: text for name, text in cells.items() if text}
    body = {
        "id": given.pop("id", ""),
        "groups": given.pop("groups", "").split(),
        "tags": {
            name.removeprefix(_TAG): given.pop(name)
            for name in list(given)
            if name.startswith(_TAG)
        },
        "attributes": given,
    }
    try:
        return msgspec.convert(body, NewDeviceBody).device()
    except InvalidRequestError as error:
        return error
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        return InvalidRequestError(path.strip("`.") or "row", problem)
