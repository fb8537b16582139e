"""The facts that a tenant sets on its devices: refused in the caller's words if of another form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.cedar.device_facts import ONE_OFFSET, DeviceFactError, has_two_offsets, read_fact
from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping


def check_attributes(changes: Mapping[str, str | None]) -> None:
    """Refuse changes that could not be read back.

    Raises:
        InvalidRequestError: an attribute is not of its form.
    """
    for name, text in changes.items():
        if text is None:
            continue
        try:
            read_fact(name, text)
        except DeviceFactError as error:
            raise InvalidRequestError(name, str(error)) from error


def check_one_offset(stored: Mapping[str, str], changes: Mapping[str, str | None]) -> None:
    """Refuse changes that would leave a device with a time zone beside a fixed offset.

    Raises:
        InvalidRequestError: names the attribute that was given, and how to change over.
    """
    if not has_two_offsets({**stored, **changes}):
        return
    given, other = (
        ("time_zone", "utc_offset") if changes.get("time_zone") else ("utc_offset", "time_zone")
    )
    raise InvalidRequestError(
        given, f"{ONE_OFFSET}: to change over, set `{other}` to null in the same request"
    )
