"""The chain over a tenant's audit trail: links that hold digests of entries, and signatures.

A link holds the digests of the entries that came since the one before it, and the hash of that one;
a checkpoint is a signature over the hash of a link, and so over all that came before.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Self, cast

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from service.domain.audit_entries import canonical, digest

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION: Final = 1
BEGINNING: Final = "0" * 64
"""What the first link names as the one before it."""
MOST_ENTRIES: Final = 1_000
"""Of one link: some 100 KB, of the 400 that a row may have (source: DynamoDB developer guide,
"Service, account, and table quotas in Amazon DynamoDB", item size)."""


class UnreadableLinkError(ValueError):
    """The document is no link or checkpoint of ours, or one of a later release."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """One link of a tenant's chain.

    Attributes:
        number: 1, 2, 3, ...
        previous: hash of the link before.
        entries: id and digest of each entry, in their order.
        total: how many entries the chain has up to this link.
        made_at: milliseconds since the epoch, by the worker's clock.
        settled: entries of an earlier time than this, in milliseconds, are in the chain.
    """

    tenant: str
    number: int
    previous: str
    entries: tuple[tuple[str, str], ...]
    total: int
    made_at: int
    settled: int

    @property
    def hash(self) -> str:
        """SHA-256 over all that the link says."""
        return digest(self.text)

    @property
    def text(self) -> str:
        """Canonical JSON of the link."""
        return canonical(self.document)

    @property
    def document(self) -> dict[str, Any]:
        """The link in JSON."""
        return {
            "version": VERSION,
            "tenant": self.tenant,
            "number": self.number,
            "previous": self.previous,
            "entries": [list(one) for one in self.entries],
            "total": self.total,
            "made_at": self.made_at,
            "settled": self.settled,
        }

    @classmethod
    def read(cls, text: str) -> Self:
        """A link of its text.

        Raises:
            UnreadableLinkError: it is none.
        """
        try:
            found = cast("dict[str, Any]", json.loads(text))
            version = found.pop("version")
            entries = tuple((str(one), str(hashed)) for one, hashed in found.pop("entries"))
            link = cls(entries=entries, **found)
            is_of_us = version == VERSION and link.text == text
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UnreadableLinkError(f"no link: {type(error).__name__}") from error
        # Fail closed: another spelling would be another hash, and a text may be of any kind.
        if not is_of_us or not all(
            type(one) is int for one in (link.number, link.total, link.made_at, link.settled)
        ):
            raise UnreadableLinkError("no link of this version and spelling")
        return link

    @classmethod
    def after(
        cls,
        head: Link | None,
        entries: tuple[tuple[str, str], ...],
        *,
        tenant: str,
        made_at: int,
        settled: int,
    ) -> Self:
        """The link that follows ``head``, or the first of all."""
        return cls(
            tenant=tenant,
            number=head.number + 1 if head else 1,
            previous=head.hash if head else BEGINNING,
            entries=entries,
            total=(head.total if head else 0) + len(entries),
            made_at=made_at,
            settled=max(settled, head.settled if head else 0),
        )


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A signature over a link's hash.

    Attributes:
        number: of the link.
        link: its hash.
        total: of the link.
        at: milliseconds since the epoch.
        key: the public key, DER (SubjectPublicKeyInfo), in base64.
        signature: ECDSA over P-256 and SHA-256, DER, in base64.
    """

    tenant: str
    number: int
    link: str
    total: int
    at: int
    key: str
    signature: str

    @staticmethod
    def message(link: Link, *, at: int) -> bytes:
        """What is signed."""
        return _message(
            tenant=link.tenant, number=link.number, link=link.hash, total=link.total, at=at
        )

    @property
    def fingerprint(self) -> str:
        """Of the key: SHA-256 of its DER, in hex."""
        return fingerprint(base64.b64decode(self.key))

    @property
    def is_signed(self) -> bool:
        """Whether the signature is of this key over what the checkpoint says."""
        said = _message(
            tenant=self.tenant, number=self.number, link=self.link, total=self.total, at=self.at
        )
        try:
            key = load_der_public_key(base64.b64decode(self.key, validate=True))
            signature = base64.b64decode(self.signature, validate=True)
            # Fail closed: one kind of key, and one curve.
            if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
                return False
            key.verify(signature, said, ec.ECDSA(hashes.SHA256()))
        except (InvalidSignature, UnsupportedAlgorithm, binascii.Error, ValueError):
            return False
        return True

    def document(self) -> dict[str, Any]:
        """The checkpoint in JSON."""
        return {
            "version": VERSION,
            "tenant": self.tenant,
            "number": self.number,
            "link": self.link,
            "total": self.total,
            "at": self.at,
            "key": self.key,
            "signature": self.signature,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """A checkpoint of its document.

        Raises:
            UnreadableLinkError: it is none.
        """
        members = dict(document)
        if members.pop("version", None) != VERSION:
            raise UnreadableLinkError("no checkpoint of this version")
        try:
            found = cls(**members)
        except TypeError as error:
            raise UnreadableLinkError("no checkpoint: it has other members") from error
        # Fail closed: a member may be of any kind.
        if not _are(int, found.number, found.total, found.at) or not _are(
            str, found.tenant, found.link, found.key, found.signature
        ):
            raise UnreadableLinkError("no checkpoint: a member is of another kind")
        return found


@dataclass(frozen=True, kw_only=True)
class Noted:
    """How far a chain was found whole: what must still be there the next time.

    Attributes:
        at: when, in milliseconds since the epoch, as all times here.
        number: of the last link that was there.
        link: its hash.
        made_at: of it.
        oldest: number of the first link that was looked at.
        oldest_at: of that link's earliest entry.
    """

    at: int
    number: int
    link: str
    made_at: int
    oldest: int
    oldest_at: int

    @property
    def text(self) -> str:
        """Canonical JSON of it."""
        return canonical({"version": VERSION, **asdict(self)})

    @classmethod
    def read(cls, text: str) -> Self:
        """What was noted, of its text.

        Raises:
            UnreadableLinkError: it is none.
        """
        try:
            members = cast("dict[str, Any]", json.loads(text))
            version = members.pop("version")
            found = cls(**members)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UnreadableLinkError(f"nothing noted: {type(error).__name__}") from error
        numbers = (found.at, found.number, found.made_at, found.oldest, found.oldest_at)
        # Fail closed: a member may be of any kind.
        if version != VERSION or not _are(int, *numbers) or not _are(str, found.link):
            raise UnreadableLinkError("nothing noted of this version")
        return found


def _are(kind: type, *given: object) -> bool:
    return all(type(one) is kind for one in given)


def fingerprint(key: bytes) -> str:
    """Of a public key in DER: SHA-256, in hex."""
    return hashlib.sha256(key).hexdigest()


def _message(*, tenant: str, number: int, link: str, total: int, at: int) -> bytes:
    # The first member keeps the key from signing anything else by mistake.
    return canonical(
        {
            "signs": "cedarfleet audit checkpoint",
            "version": VERSION,
            "tenant": tenant,
            "number": number,
            "link": link,
            "total": total,
            "at": at,
        }
    ).encode()
