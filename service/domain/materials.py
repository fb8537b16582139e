"""Software bills of materials as they are uploaded, and which of their components are asked for.

Read are the JSON forms: CycloneDX (source: cyclonedx.org, "CycloneDX JSON Reference", `components`,
nested ones too) and SPDX 2 (source: SPDX specification 2.3, clause 7, `packages`, with the purl
among `externalRefs`). XML, tag-value and SPDX 3 are not read, and nothing is known of them.
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import unquote

from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BYTES: Final = 4 * 1024 * 1024
"""Of a bill of materials that is read; of a larger one nothing is known. JSON of empty lists alone
takes thirty times as much once it is read."""
MOST_COMPONENTS: Final = 5_000
MOST_STORED: Final = 300_000
"""Bytes of what is stored of one (a row has 400 KB; source: DynamoDB developer guide, "Service,
account, and table quotas in Amazon DynamoDB")."""
MAX_TEXT: Final = 300
_MOST_READ: Final = 8 * MOST_STORED  # bytes of JSON behind the packed text
_PURL: Final = "pkg:"


@dataclass(frozen=True, kw_only=True)
class Component:
    """One component.

    Attributes:
        name: with its group or namespace before a slash, if it has one.
        version: empty, if the bill does not say it.
        purl: package URL (source: package-url/purl-spec on GitHub); empty, if it has none.
    """

    name: str
    version: str = ""
    purl: str = ""


@dataclass(frozen=True, kw_only=True)
class Materials:
    """What one bill of materials names.

    Attributes:
        file_id: of the uploaded version that it is.
        name: that version's name.
        size: its bytes.
        sha256: its digest.
        components: of it, or those that were asked for.
        is_whole: whether all of its components were kept.
    """

    file_id: str
    name: str
    size: int
    sha256: str
    components: tuple[Component, ...]
    is_whole: bool

    def fitting(self) -> Materials:
        """As many of the components as can be stored."""
        kept = self
        while kept.components:
            try:
                kept.packed()
            except ValueError:
                half = kept.components[: len(kept.components) // 2]
                kept = replace(kept, components=half, is_whole=False)
            else:
                break
        return kept

    def packed(self) -> str:
        """The components as they are stored, at most ``MOST_STORED`` characters of ASCII.

        Raises:
            ValueError: they are more, or more than is read of what was stored.
        """
        rows = [[one.name, one.version, one.purl] for one in self.components]
        whole = json.dumps(rows).encode()
        # What repeats itself packs well: a row of few bytes may hold more than is read again.
        if len(whole) > _MOST_READ:
            raise ValueError("too large to be read again")
        text = base64.b64encode(zlib.compress(whole)).decode()
        if len(text) > MOST_STORED:
            raise ValueError("too large to be stored")
        return text

    @staticmethod
    def unpacked(text: str) -> tuple[Component, ...]:
        """Components of what was stored."""
        return tuple(_components(_unzipped(text)))

    @staticmethod
    def fitting_in(text: str, wanted: WantedComponent, *, most: int) -> tuple[Component, ...]:
        """The first of the components of what was stored that fit; the others are let go.

        A bill takes 2 MB and tenths of a second once it is unpacked, and one request looks at
        hundreds: so text in which the name stands nowhere is not read.
        """
        whole = _unzipped(text)
        if not wanted.may_be_in(whole):
            return ()
        return tuple(islice(filter(wanted.fits, _components(whole)), most))


def read_components(content: bytes) -> tuple[tuple[Component, ...], bool] | None:
    """The components that a file names, and whether these are all; ``None``: it is no bill of ours.

    Args:
        content: of the file, at most ``MOST_BYTES``, from whoever uploaded it.
    """
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    if said.get("bomFormat") == "CycloneDX":
        found = _of_cyclonedx(said)
    elif str(said.get("spdxVersion", "")).startswith("SPDX-2."):
        found = _of_spdx(said)
    else:
        return None
    components: dict[Component, None] = {}
    is_whole = True
    for one in found:
        if not one.name or not _can_be_told(one) or len(components) == MOST_COMPONENTS:
            is_whole = False
            continue
        components[one] = None
    return tuple(components), is_whole


@dataclass(frozen=True, kw_only=True)
class WantedComponent:
    """What is asked for: a name, and a version if one is given; or a package URL.

    Attributes:
        name: with or without its group; of a package URL all of it before the version.
        version: ``None``: any.
    """

    name: str
    version: str | None
    is_purl: bool

    @classmethod
    def of(cls, text: str) -> Self:
        """What ``log4j-core``, ``log4j-core@2.14.1`` or ``pkg:maven/a/b@2.14.1`` asks for.

        Raises:
            InvalidRequestError: it names nothing.
        """
        is_purl = text.startswith(_PURL)
        whole = _without_qualifiers(text) if is_purl else text
        # A scoped name, `@angular/core`, begins with what parts a version from other names.
        name, at, version = whole[1:].rpartition("@")
        name, version = (whole[:1] + name, version) if at else (whole, "")
        if not name or name == _PURL or len(text) > MAX_TEXT or (at and not version):
            raise InvalidRequestError(
                "component", "must be like `log4j-core`, `log4j-core@2.14.1` or `pkg:maven/a/b@1`"
            )
        return cls(
            name=unquote(name) if is_purl else name,
            version=(unquote(version) if is_purl else version) if at else None,
            is_purl=is_purl,
        )

    def may_be_in(self, stored: bytes) -> bool:
        """Whether a component of stored JSON may fit; ``False``: none does."""
        spelt = json.dumps(self.name)[1:-1].encode()
        # Of a package URL the same may be spelt in another way.
        return spelt in stored or (self.is_purl and b"%" in stored)

    def fits(self, one: Component) -> bool:
        """Whether a component is what is asked for."""
        if self.is_purl:
            if not one.purl:
                return False
            known = WantedComponent.of(one.purl)
            return known.name == self.name and self.version in (None, known.version)
        names = {one.name, one.name.rpartition("/")[2]}
        return self.name in names and self.version in (None, one.version)


def _unzipped(text: str) -> bytes:
    return zlib.decompressobj().decompress(base64.b64decode(text), _MOST_READ)


def _components(stored: bytes) -> Iterator[Component]:
    for name, version, purl in json.loads(stored):
        yield Component(name=name, version=version, purl=purl)


def _without_qualifiers(purl: str) -> str:
    return purl.partition("#")[0].partition("?")[0]


def _of_cyclonedx(said: dict[str, Any]) -> Iterator[Component]:
    waiting = [said]
    while waiting:
        nested = waiting.pop().get("components")
        for one in nested if isinstance(nested, list) else ():
            if not isinstance(one, dict):
                continue
            waiting.append(one)
            group, name = _text(one, "group"), _text(one, "name")
            yield Component(
                name=f"{group}/{name}" if group and name else name,
                version=_text(one, "version"),
                purl=_purl(_text(one, "purl")),
            )


def _of_spdx(said: dict[str, Any]) -> Iterator[Component]:
    packages = said.get("packages")
    for one in packages if isinstance(packages, list) else ():
        if not isinstance(one, dict):
            continue
        references = one.get("externalRefs")
        purls = [
            _text(reference, "referenceLocator")
            for reference in (references if isinstance(references, list) else ())
            if isinstance(reference, dict) and reference.get("referenceType") == "purl"
        ]
        yield Component(
            name=_text(one, "name"),
            version=_text(one, "versionInfo"),
            purl=_purl(next(iter(purls), "")),
        )


def _purl(text: str) -> str:
    """A package URL that can be asked for, or nothing."""
    try:
        return text if text.startswith(_PURL) and WantedComponent.of(text) else ""
    except InvalidRequestError:
        return ""


def _can_be_told(one: Component) -> bool:
    """Whether each text is short, and can be written in an answer.

    JSON may escape half of a pair of surrogates (source: RFC 8259, section 8.2), which is no
    character and has no UTF-8.
    """
    texts = (one.name, one.version, one.purl)
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return max(map(len, texts)) <= MAX_TEXT


def _text(said: dict[str, Any], name: str) -> str:
    found = said.get(name)
    return found if isinstance(found, str) else ""
