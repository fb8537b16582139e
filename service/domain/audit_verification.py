"""Whether an export of the audit trail is whole and unchanged, told from its lines alone.

An export is JSON Lines: one ``export``, then for each link of the chain its entries in their order,
the ``link``, and the ``checkpoint`` of it if there is one, and last one ``end``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from service.domain.audit_chain import BEGINNING, Checkpoint, Link, UnreadableLinkError
from service.domain.audit_entries import Entry, UnreadableEntryError, canonical

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

VERSION: Final = 1
UNSIGNED_MS: Final = 10 * 60_000
"""How old the last link may be, as the export ends, without a signature over it."""
_MOST_PROBLEMS: Final = 20


@dataclass(kw_only=True)
class Verified:
    """What was found.

    Attributes:
        problems: what shows that the export is not what was written down; empty: it is.
        first: number of the first link.
        last: of the last one.
        signed: of the last one that a checkpoint covers; 0: none is.
        signed_at: of the checkpoint, in milliseconds since the epoch.
        unsigned: entries behind it: the open tail.
        ends: on devices, of commands and downloads, that its entries tell of.
        keys: fingerprints of the keys that signed.
    """

    tenant: str = ""
    entries: int = 0
    first: int = 0
    last: int = 0
    head: str = ""
    signed: int = 0
    signed_at: int = 0
    unsigned: int = 0
    ends: int = 0
    keys: set[str] = field(default_factory=set[str])
    problems: list[str] = field(default_factory=list[str])


@dataclass(kw_only=True)
class Verification:
    """Reads the lines of an export, or of several that follow one another.

    Attributes:
        trusted: fingerprints of the keys that may sign, noted elsewhere; none: any key may, and
            then the export proves only that it agrees with itself.
        heads: hash of each link, by its number, that was noted earlier and must be there.
    """

    trusted: Collection[str] = ()
    heads: Mapping[int, str] = field(default_factory=dict[int, str])
    _found: Verified = field(default_factory=Verified)
    _link: Link | None = None
    _waiting: list[Entry] = field(default_factory=list[Entry])
    _seen: set[str] = field(default_factory=set[str])
    _noted: set[int] = field(default_factory=set[int])
    _ended_at: int = 0

    def verify(self, exports: Iterable[Iterable[str]]) -> Verified:
        """What the exports prove, and what speaks against them."""
        for lines in exports:
            self._read(lines)
        found = self._found
        if self._link is None:
            self._wrong("there is no link of the chain in it")
        elif found.signed == 0:
            self._wrong("nothing in it is signed")
        elif found.signed < self._link.number and self._ended_at - self._link.made_at > UNSIGNED_MS:
            self._wrong(
                f"links {found.signed + 1} to {self._link.number} are not signed, and were made"
                f" more than {UNSIGNED_MS // 60_000} minutes before it ends"
            )
        for number in sorted(self.heads.keys() - self._noted):
            self._wrong(f"link {number}, which was noted, is not in it")
        return found

    def _read(self, lines: Iterable[str]) -> None:
        kinds: list[str] = []
        counts = {"entry": 0, "link": 0}
        for number, text in enumerate(lines, start=1):
            if len(self._found.problems) >= _MOST_PROBLEMS:
                return
            try:
                line = cast("dict[str, Any]", json.loads(text))
                # Fail closed: of two spellings another reader may see another thing.
                if canonical(line) != text.rstrip("\n"):
                    self._wrong(f"line {number}: it is not in its one spelling")
                kind, body = str(line["line"]), cast("dict[str, Any]", line.get("body", {}))
                if kinds and kinds[-1] == "end":
                    self._wrong(f"line {number}: there is something behind its end")
                if (kind == "export") is not (number == 1):
                    self._wrong(f"line {number}: an export begins with one line `export`")
                kinds.append(kind)
                self._line(kind, body, f"line {number}", counts)
            except (
                UnreadableEntryError,
                UnreadableLinkError,
                ValueError,
                KeyError,
                TypeError,
                AttributeError,
                RecursionError,
            ) as error:
                # Of what stands in an entry nothing is repeated.
                said = str(error) if isinstance(error, UnreadableLinkError) else "it is of no form"
                self._wrong(f"line {number}: {said}")
        if not kinds or kinds[-1] != "end":
            self._wrong("it is cut off: its last line is no `end`")
        if self._waiting:
            self._wrong(f"{len(self._waiting)} entries behind the last link are of no link")
            self._waiting.clear()

    def _line(self, kind: str, body: dict[str, Any], where: str, counts: dict[str, int]) -> None:
        match kind:
            case "export":
                self._begin(body, where)
            case "entry":
                counts["entry"] += 1
                self._entry(body, where)
            case "link":
                counts["link"] += 1
                self._chain(Link.read(canonical(body)), where)
            case "checkpoint":
                self._signed(Checkpoint.of(body), where)
            case "end":
                self._ended_at = int(body["at"])
                if (body["entries"], body["links"]) != (counts["entry"], counts["link"]):
                    self._wrong(
                        f"{where}: it has {counts['entry']} entries in {counts['link']} links, and"
                        f" says {body['entries']} in {body['links']}"
                    )
            case _:
                # Fail closed: what is not known is not known to be harmless.
                self._wrong(f"{where}: an export has no such line")

    def _begin(self, body: dict[str, Any], where: str) -> None:
        if body["version"] != VERSION:
            self._wrong(f"{where}: it is of another version than {VERSION}")
        tenant = str(body["tenant"])
        if self._found.tenant and tenant != self._found.tenant:
            self._wrong(f"{where}: it is of `{tenant}`, and not of `{self._found.tenant}`")
        self._found.tenant = self._found.tenant or tenant

    def _entry(self, body: dict[str, Any], where: str) -> None:
        entry = Entry.of(body)
        if body.get("tenant") != self._found.tenant:
            self._wrong(f"{where}: the entry is of another tenant")
        if entry.entry_id in self._seen:
            self._wrong(f"{where}: entry {entry.entry_id} stands twice")
        self._seen.add(entry.entry_id)
        if body.get("kind") == "outcome":
            # Of a command there is one; of a download each device stands by its name.
            self._found.ends += len(body["outcome"].get("devices", (1,)))
        self._waiting.append(entry)

    def _chain(self, link: Link, where: str) -> None:
        found, before = self._found, self._link
        if link.tenant != found.tenant:
            self._wrong(f"{where}: link {link.number} is of another tenant")
        expected = before.number + 1 if before else link.number
        if link.number != expected:
            self._wrong(f"{where}: link {link.number} stands where {expected} should")
        previous = before.hash if before else BEGINNING if link.number == 1 else link.previous
        if link.previous != previous:
            self._wrong(f"{where}: link {link.number} does not follow the one before it")
        if before is not None and link.total != before.total + len(link.entries):
            self._wrong(f"{where}: link {link.number} counts its entries wrongly")
        self._entries_of(link, where)
        noted = self.heads.get(link.number)
        if noted is not None:
            self._noted.add(link.number)
            if noted != link.hash:
                self._wrong(f"{where}: link {link.number} is not the one that was noted")
        self._link = link
        found.first = found.first or link.number
        found.last, found.head = link.number, link.hash
        found.entries += len(link.entries)
        found.unsigned += len(link.entries)

    def _entries_of(self, link: Link, where: str) -> None:
        there = [(entry.entry_id, entry.digest) for entry in self._waiting]
        self._waiting.clear()
        if there == [*link.entries]:
            return
        named, standing = dict(link.entries), dict(there)
        for entry_id in named.keys() - standing.keys():
            self._wrong(f"{where}: entry {entry_id} of link {link.number} is missing")
        for entry_id in standing.keys() - named.keys():
            self._wrong(f"{where}: entry {entry_id} is none of link {link.number}")
        for entry_id in named.keys() & standing.keys():
            if named[entry_id] != standing[entry_id]:
                self._wrong(f"{where}: entry {entry_id} of link {link.number} was changed")
        if len(there) == len(link.entries) and named == standing:
            self._wrong(f"{where}: the entries of link {link.number} are not in its order")

    def _signed(self, checkpoint: Checkpoint, where: str) -> None:
        link, found = self._link, self._found
        if not checkpoint.is_signed:
            self._wrong(f"{where}: the signature of checkpoint {checkpoint.number} is not good")
            return
        found.keys.add(checkpoint.fingerprint)
        if self.trusted and checkpoint.fingerprint not in self.trusted:
            self._wrong(
                f"{where}: checkpoint {checkpoint.number} is signed by another key,"
                f" {checkpoint.fingerprint}"
            )
            return
        said = (checkpoint.tenant, checkpoint.number, checkpoint.link, checkpoint.total)
        if link is None or said != (link.tenant, link.number, link.hash, link.total):
            self._wrong(f"{where}: checkpoint {checkpoint.number} is not of the link before it")
            return
        found.signed, found.signed_at, found.unsigned = link.number, checkpoint.at, 0

    def _wrong(self, problem: str) -> None:
        self._found.problems.append(problem)
