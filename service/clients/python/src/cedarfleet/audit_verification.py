"""Whether an export of the audit trail is whole and unchanged, by the tenant itself.

Written by the format alone (``docs/audit.md``), apart from the service that writes the trail: two
readers that agree are worth more than one. Only hashes, the links' order and signatures count;
nothing is fetched.

Source: ADR 0042; an export is JSON Lines: ``export``, for each link its ``entry`` lines, ``link``
and perhaps ``checkpoint``, then ``end``. Canonical JSON: sorted members, no blanks, ASCII.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_VERSION: Final = 1
_BEGINNING: Final = "0" * 64
_UNSIGNED_MS: Final = 10 * 60_000
"""How old the last link may be, as the export ends, without a signature over it."""


class TamperedError(Exception):
    """The export is not what was written down; the words say where it shows."""


@dataclass(kw_only=True)
class Trail:
    """What a check has found; one after the other takes exports that follow one another.

    Attributes:
        keys: fingerprints of the keys that may sign; none: any may, and then the export proves only
            that it agrees with itself.
        heads: number of a link -> its hash, as it was noted earlier.
        tenant: whose trail it is.
        entries: in links.
        unsigned: of these behind the last signature.
        last: number of the last link; 0: there is none.
        head: its hash.
        signed: number of the last link that a signature covers.
        signers: fingerprints of the keys that signed.
    """

    keys: frozenset[str] = frozenset()
    heads: Mapping[int, str] = field(default_factory=dict[int, str])
    tenant: str = ""
    entries: int = 0
    unsigned: int = 0
    last: int = 0
    head: str = ""
    signed: int = 0
    signers: set[str] = field(default_factory=set[str])
    _total: int = 0
    _made_at: int = 0
    _ended_at: int = 0
    _waiting: list[list[str]] = field(default_factory=list[list[str]])
    _known: set[str] = field(default_factory=set[str])
    _noted: set[int] = field(default_factory=set[int])

    def read(self, lines: Iterable[str]) -> None:
        """Take an export.

        Raises:
            TamperedError: at the first line that shows it.
        """
        kinds: list[str] = []
        for number, text in enumerate(lines, 1):
            try:
                line: Any = json.loads(text)
                kind, body = line["line"], line["body"]
                # Of two spellings another reader may see another thing.
                _hold(_canonical(line) == text.rstrip("\n"), "it is not in its one spelling")
                _hold((kind == "export") is (number == 1), "an export begins with `export`, once")
                _hold("end" not in kinds, "there is something behind its end")
                self._line(kind, body, kinds)
            except TamperedError as error:
                raise TamperedError(f"line {number}: {error}") from error
            except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
                # Of what stands in an entry nothing is repeated.
                raise TamperedError(f"line {number}: it is of no form") from error
            kinds.append(kind)
        _hold(kinds[-1:] == ["end"], "it is cut off: its last line is no `end`")

    def finish(self) -> None:
        """Say that there is no more.

        Raises:
            TamperedError: something that must be there is not.
        """
        _hold(self.last > 0, "there is no link of the chain in it")
        _hold(self.signed > 0, "nothing in it is signed")
        late = self._ended_at - self._made_at > _UNSIGNED_MS
        _hold(self.signed == self.last or not late, "its last links are not signed, and are old")
        missing = self.heads.keys() - self._noted
        _hold(not missing, f"links that were noted are not in it: {sorted(missing)}")

    def _line(self, kind: str, body: Mapping[str, Any], kinds: list[str]) -> None:
        match kind:
            case "export":
                _hold(body["version"] == _VERSION, "it is of another version")
                _hold(self.tenant in {"", body["tenant"]}, "it is of another tenant")
                self.tenant = body["tenant"]
            case "entry":
                _hold(body["tenant"] == self.tenant, "the entry is of another tenant")
                _hold(body["id"] not in self._known, "the entry stands twice")
                self._known.add(body["id"])
                self._waiting.append([body["id"], _digest(body)])
            case "link":
                self._link(body)
            case "checkpoint":
                self._checkpoint(body)
            case "end":
                counted = [kinds.count("entry"), kinds.count("link")]
                _hold([body["entries"], body["links"]] == counted, "it counts otherwise")
                _hold(not self._waiting, "entries behind the last link are of no link")
                self._ended_at = body["at"]
            case _:
                # Fail closed: what is not known is not known to be harmless.
                raise TamperedError("an export has no such line")

    def _link(self, body: Mapping[str, Any]) -> None:
        number, follows = body["number"], self.last > 0
        _hold(frozenset(body) == _LINK, "the link has other members")
        _hold(body["version"] == _VERSION, "the link is of another version")
        _hold(body["tenant"] == self.tenant, "the link is of another tenant")
        _hold(_is_count(number) and _is_count(body["total"]), "the link has no number or total")
        _hold(not follows or number == self.last + 1, "a link is missing before it")
        previous = self.head if follows else _BEGINNING if number == 1 else body["previous"]
        _hold(body["previous"] == previous, "it does not follow the link before it")
        _hold(
            not follows or body["total"] == self._total + len(body["entries"]),
            "the link counts its entries otherwise",
        )
        _hold(body["entries"] == self._waiting, "its entries are not those that stand before it")
        self._waiting = []
        self.last, self.head = number, _digest(body)
        self._total, self._made_at = body["total"], body["made_at"]
        self.entries += len(body["entries"])
        self.unsigned += len(body["entries"])
        if number in self.heads:
            _hold(self.heads[number] == self.head, "the link is not the one that was noted")
            self._noted.add(number)

    def _checkpoint(self, body: Mapping[str, Any]) -> None:
        said = [body[name] for name in ("version", "tenant", "number", "link", "total")]
        here = [_VERSION, self.tenant, self.last, self.head, self._total]
        _hold(said == here, "the checkpoint is not of the link before it")
        der = base64.b64decode(body["key"], validate=True)
        message = {"signs": "cedarfleet audit checkpoint"} | {
            name: value for name, value in body.items() if name not in {"key", "signature"}
        }
        _hold(
            _is_signed(der, base64.b64decode(body["signature"], validate=True), message),
            "the signature of the checkpoint is not good",
        )
        signer = hashlib.sha256(der).hexdigest()
        _hold(not self.keys or signer in self.keys, f"it is signed by another key: {signer}")
        self.signers.add(signer)
        self.signed, self.unsigned = self.last, 0


_LINK: Final = frozenset(
    {"version", "tenant", "number", "previous", "entries", "total", "made_at", "settled"}
)


def _is_count(value: object) -> bool:
    return type(value) is int and value > 0


def _is_signed(der: bytes, signature: bytes, message: Mapping[str, Any]) -> bool:
    try:
        key = load_der_public_key(der)
        # Fail closed: one kind of key, and one curve.
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
            return False
        key.verify(signature, _canonical(message).encode(), ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _hold(holds: bool, words: str) -> None:
    if not holds:
        raise TamperedError(words)


def _canonical(document: Any) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(document: Any) -> str:
    return hashlib.sha256(_canonical(document).encode()).hexdigest()
