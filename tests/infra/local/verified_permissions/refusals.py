"""How a test says that a call must be refused, and looks at the refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

Json = Any  # what travels, before anybody has looked at it


def refused(call: Callable[..., object], **request: Json) -> Json:
    """The response of the error that the call must raise."""
    with pytest.raises(ClientError) as raised:
        call(**request)
    return raised.value.response


def fields(response: Json) -> list[tuple[str, str]]:
    """Path and message of every field at fault; the response must be a ValidationException."""
    assert response["Error"]["Code"] == "ValidationException", response
    return [(item["path"], item["message"]) for item in response["fieldList"]]


def refusal(call: Callable[..., object], **request: Json) -> tuple[str, str]:
    """Path and message of the first field of the ValidationException that the call must raise."""
    return fields(refused(call, **request))[0]
