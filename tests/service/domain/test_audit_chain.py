"""Links, checkpoints and what was noted of a chain are read in one form, or not at all."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service.domain.audit_chain import VERSION, Checkpoint, Link, Noted, UnreadableLinkError
from service.domain.audit_entries import canonical

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

LINK = Link(
    tenant="acme",
    number=1,
    previous="",
    entries=(("01JD0000000000000000000000", "ab"),),
    total=1,
    made_at=2,
    settled=1,
)
NOTED = Noted(at=5, number=4, link="ab", made_at=3, oldest=1, oldest_at=2)


def changed(text: str, **members: object) -> str:
    """The document with other members; `None` takes one away."""
    found: dict[str, Any] = json.loads(text) | members
    return canonical({name: value for name, value in found.items() if value is not None})


def test_a_link_is_read_in_its_one_spelling() -> None:
    """Of our version, with numbers that are numbers."""
    assert Link.read(LINK.text) == LINK
    for text in (
        changed(LINK.text, version=VERSION + 1),
        f" {LINK.text}",
        changed(LINK.text, number=True),
        changed(LINK.text, total="1"),
        changed(LINK.text, total=None),
        changed(LINK.text, more=1),
    ):
        with pytest.raises(UnreadableLinkError):
            Link.read(text)


@pytest.mark.parametrize("member", ["version", *asdict(NOTED)])
def test_what_was_noted_is_read_whole(member: str) -> None:
    """Each member is there, and of its kind."""
    assert Noted.read(NOTED.text) == NOTED
    for wrong in (None, [], 2 if member in {"link", "version"} else "1"):
        with pytest.raises(UnreadableLinkError):
            Noted.read(changed(NOTED.text, **{member: wrong}))


def signed(key: Any) -> Checkpoint:
    """A checkpoint over the link, by a key of any kind."""
    public: PublicKeyTypes = key.public_key()
    message = Checkpoint.message(LINK, at=9)
    is_ed25519 = isinstance(key, ed25519.Ed25519PrivateKey)
    signature = key.sign(message) if is_ed25519 else key.sign(message, ec.ECDSA(hashes.SHA256()))
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Checkpoint(
        tenant="acme",
        number=1,
        link=LINK.hash,
        total=1,
        at=9,
        key=base64.b64encode(der).decode(),
        signature=base64.b64encode(signature).decode(),
    )


def test_one_kind_of_key_signs() -> None:
    """P-256 and no other curve or kind, though the signature itself is good."""
    good = signed(ec.generate_private_key(ec.SECP256R1()))
    assert good.is_signed
    assert not replace(good, total=2).is_signed
    assert not replace(good, key="no key").is_signed
    assert not signed(ec.generate_private_key(ec.SECP384R1())).is_signed
    assert not signed(ed25519.Ed25519PrivateKey.generate()).is_signed


@pytest.mark.parametrize("member", ["version", "number", "link", "at", "key", "signature", "more"])
def test_a_checkpoint_is_read_whole(member: str) -> None:
    """Each member is there and of its kind, and there is no other."""
    document = signed(ec.generate_private_key(ec.SECP256R1())).document()
    assert Checkpoint.of(document).document() == document
    for wrong in ([], 2 if member in {"version", "link", "key", "signature"} else "1"):
        with pytest.raises(UnreadableLinkError):
            Checkpoint.of(document | {member: wrong})
    if member != "more":
        with pytest.raises(UnreadableLinkError):
            Checkpoint.of({name: one for name, one in document.items() if name != member})
