"""The row of a registration in the devices table, beside those of its device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.domain.enrolments import Enrolment

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEXTS = ("tenant", "device", "code_digest", "key", "thing_id", "certificate_id")
_NUMBERS = ("expires_at", "tries", "version")


def enrolment_item(enrolment: Enrolment) -> dict[str, Any]:
    """The row; what is empty has no column."""
    texts = {name: getattr(enrolment, name) for name in _TEXTS}
    item: dict[str, Any] = {
        "partition": {"S": f"{enrolment.tenant}--devices"},
        "sk": {"S": f"{enrolment.device}#enrolment#{enrolment.registration}"},
        **{name: {"S": text} for name, text in texts.items() if text},
        **{name: {"N": str(getattr(enrolment, name))} for name in _NUMBERS},
    }
    if enrolment.enrolled_at is not None:
        item["enrolled_at"] = {"N": str(enrolment.enrolled_at)}
    return item


def enrolment_of(item: Mapping[str, Any]) -> Enrolment:
    """The enrolment of a row.

    Raises:
        KeyError: a column is missing.
        ValueError: a number is none.
    """
    done = item.get("enrolled_at")
    return Enrolment(
        tenant=item["tenant"]["S"],
        device=item["device"]["S"],
        registration=item["sk"]["S"].rpartition("#")[2],
        code_digest=item["code_digest"]["S"],
        expires_at=int(item["expires_at"]["N"]),
        tries=int(item["tries"]["N"]),
        key=item.get("key", {}).get("S", ""),
        thing_id=item.get("thing_id", {}).get("S", ""),
        certificate_id=item.get("certificate_id", {}).get("S", ""),
        enrolled_at=None if done is None else int(done["N"]),
        version=int(item["version"]["N"]),
    )
