"""An entry of the audit trail as it is kept and exported: a text that its digest is made of.

What tells of the person stands in it sealed by a key of that person alone, and the person under a
pseudonym that is made of the same key. Whoever erases the key makes both dead; the text, its digest
and the chain of digests stay as they are (docs/adr/0042).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service.cedar.decision import Denied

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.domain.audit import AuditRecord

VERSION: Final = 1
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12  # source: NIST SP 800-38D, section 8.2
_PERSONAL: Final = ("source_ip", "reason")
"""What of the context tells of the person, or may: it is sealed."""


_LOOKED_FOR: Final = frozenset({"ViewPeople"})
"""Whose subject may be anybody's name, or nobody's: it is sealed with who asked."""


class UnreadableEntryError(ValueError):
    """The text is no entry of ours, or one of a later release."""


def canonical(document: Any) -> str:
    """The one text of a document of JSON that its digest is made of.

    Raises:
        ValueError: it holds what JSON has no word for.
    """
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(text: str) -> str:
    """SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class PersonKey:
    """The key of one person, or machine, of a tenant."""

    person: str
    secret: bytes = field(repr=False)

    @classmethod
    def fresh(cls, person: str) -> Self:
        """A key that nobody has yet."""
        return cls(person=person, secret=secrets.token_bytes(_KEY_BYTES))

    @property
    def pseudonym(self) -> str:
        """The name under which the person stands in the trail; without the key nobody makes it."""
        return f"p-{self._derived(b'pseudonym').hex()[:32]}"

    def seal(self, text: str, *, bound_to: str) -> str:
        """The text, readable by this key alone, and only as what it is bound to."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self._derived(b"seal")).encrypt(nonce, text.encode(), bound_to.encode())
        return base64.b64encode(nonce + sealed).decode()

    def open(self, sealed: str, *, bound_to: str) -> str:
        """The text that was sealed.

        Raises:
            UnreadableEntryError: by another key, bound to something else, or changed.
        """
        try:
            data = base64.b64decode(sealed, validate=True)
            nonce, rest = data[:_NONCE_BYTES], data[_NONCE_BYTES:]
            return AESGCM(self._derived(b"seal")).decrypt(nonce, rest, bound_to.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise UnreadableEntryError("the sealed part is not of this key") from error

    def _derived(self, what: bytes) -> bytes:
        return hmac.new(self.secret, b"cedarfleet audit " + what, hashlib.sha256).digest()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry.

    Attributes:
        entry_id: ULID; of a decision the decision's id.
        at: milliseconds since the epoch.
        text: canonical JSON of ``document``.
    """

    entry_id: str
    at: int
    text: str

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """An entry of its document."""
        return cls(entry_id=document["id"], at=document["at"], text=canonical(document))

    @classmethod
    def read(cls, text: str) -> Self:
        """An entry of its text.

        Raises:
            UnreadableEntryError: it is none.
        """
        try:
            document = cast("dict[str, Any]", json.loads(text))
            entry_id: object = document["id"]
            at: object = document["at"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UnreadableEntryError(f"no entry: {type(error).__name__}") from error
        if not isinstance(entry_id, str) or not isinstance(at, int):
            raise UnreadableEntryError("no entry: its id is no text, or its time no number")
        return cls(entry_id=entry_id, at=at, text=text)

    @property
    def document(self) -> dict[str, Any]:
        """What it says."""
        return json.loads(self.text)

    @property
    def digest(self) -> str:
        """SHA-256 of the text, in hex."""
        return digest(self.text)

    def opened(self, key: PersonKey) -> dict[str, Any]:
        """What was sealed: ``principal``, ``claims``, ``source_ip``, ``reason``.

        Raises:
            UnreadableEntryError: by another key, or nothing was sealed.
        """
        document = self.document
        sealed = document.get("sealed")
        if not isinstance(sealed, str):
            raise UnreadableEntryError("nothing in it is sealed")
        return json.loads(key.open(sealed, bound_to=_bound(document)))


def entry_of(
    record: AuditRecord, key: PersonKey | None, of_person: PersonKey | None = None
) -> Entry:
    """The entry of a decision.

    Args:
        record: as it was made.
        key: of ``record.person``; ``None`` for what no person did.
        of_person: of ``record.of_person``.
    """
    about = dict(record.about)
    if of_person is not None:
        about["person"] = of_person.pseudonym
    denied = record.decision if isinstance(record.decision, Denied) else None
    question = record.question
    context = dict(question.context) if question else {}
    personal: dict[str, Any] = {
        "principal": record.principal,
        "source_ip": record.source_ip,
        "reason": record.emergency_reason,
        "claims": dict(question.claims) if question else {},
        **({"subject": record.subject} if record.action in _LOOKED_FOR else {}),
        "context": {name: context.pop(name) for name in _PERSONAL if name in context},
    }
    document: dict[str, Any] = {
        "version": VERSION,
        "kind": "decision",
        "id": record.audit_id,
        "at": record.at,
        "tenant": record.tenant,
        "who": key.pseudonym if key else record.principal,
        "action": str(record.action),
        "resource": record.resource,
        "decision": "DENY" if denied else "ALLOW",
        "policies": list(record.decision.policies),
        "decided_by": str(record.decision.by),
        "request_id": record.request_id,
    }
    document |= {
        name: value
        for name, value in {
            "reason": str(denied.reason) if denied else None,
            "emergency": True if record.emergency_reason is not None else None,
            "subject": None if _names_somebody(record) else record.subject,
            "about": about or None,
            "change": (
                {"before": record.change.before, "after": record.change.after}
                if record.change
                else None
            ),
            "asked": (
                {"context": context, "entities": [dict(one) for one in question.entities]}
                if question
                else None
            ),
        }.items()
        if value is not None
    }
    if key is not None:
        document["sealed"] = key.seal(canonical(personal), bound_to=_bound(document))
    elif record.source_ip is not None:
        document["source_ip"] = record.source_ip
    return Entry.of(document)


def _names_somebody(record: AuditRecord) -> bool:
    """Whether the subject is a person's name, and so does not stand there for everybody."""
    return record.of_person is not None or record.action in _LOOKED_FOR


def _bound(document: Mapping[str, Any]) -> str:
    return f"{document['tenant']} {document['id']}"
