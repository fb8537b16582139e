"""The built-in command that has a device send its logs, and where they go.

Whoever sends ``upload-logs`` gives no arguments. The service adds, each time that it leaves, the
address of a bucket and the fields of one form that it signs: S3 then takes one object under one
name and of a bounded size (docs: Amazon S3 API reference, "POST Policy"). The fields are a
credential: the service keeps them nowhere, and the device in its memory alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from cedarfleet_device.wire import form

if TYPE_CHECKING:
    from typing import Self

UPLOAD_LOGS: Final = "upload-logs"
MAX_LOGS_BYTES: Final = 4 * 1024 * 1024  # of what is uploaded, compressed
_MOST_FIELDS: Final = 16


@dataclass(frozen=True, kw_only=True)
class LogUpload:
    """Where a device's logs go.

    Attributes:
        url: the form is sent there.
        fields: of the form, as they are, in front of its file.
        max_bytes: of the file; a larger one is refused.
    """

    url: str = field(repr=False)
    fields: dict[str, str] = field(repr=False)
    max_bytes: int

    @property
    def key(self) -> str:
        """The name of the object that it becomes."""
        return self.fields.get("key", "")

    def arguments(self) -> dict[str, Any]:
        """As they travel in the command."""
        return {"url": self.url, "fields": dict(self.fields), "max_bytes": self.max_bytes}

    @classmethod
    def of(cls, arguments: dict[str, Any]) -> Self:
        """Read and check what came.

        Raises:
            WireError: not of the form; shows no value.
        """
        known = {"url", "fields", "max_bytes"}
        form.require(set(arguments) == known, "arguments", "`url`, `fields` and `max_bytes`")
        url, fields, most = arguments["url"], arguments["fields"], arguments["max_bytes"]
        form.require(isinstance(url, str), "url", "a text")
        form.require(
            isinstance(fields, dict)
            and len(cast("dict[str, Any]", fields)) <= _MOST_FIELDS
            and all(isinstance(each, str) for each in cast("dict[str, Any]", fields).values())
            and "key" in fields,
            "fields",
            f"at most {_MOST_FIELDS} texts, one of them `key`",
        )
        form.require(
            type(most) is int and 0 < most <= MAX_LOGS_BYTES, "max_bytes", f"1 to {MAX_LOGS_BYTES}"
        )
        return cls(url=url, fields=fields, max_bytes=most)
