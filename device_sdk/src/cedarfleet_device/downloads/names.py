"""Turn an artifact's name into path components that cannot leave the download folder, or refuse it.

The rules are those of the strictest file system that a device may have (FAT on an SD card
included), so that a name means the same file everywhere. Pure: what stands on the disk already
(symlinks, another case) is ``target``'s business.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

from cedarfleet_device.downloads.outcomes import DownloadRefusedError, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_COMPONENT_BYTES: Final = 200  # NAME_MAX is 255; temporary names beside the target stay below it
MAX_DEPTH: Final = 16
MAX_NAME_BYTES: Final = 1024  # longest S3 key

# Source: Microsoft, "Naming Files, Paths, and Namespaces": reserved with any extension, in any
# case.
_DEVICES: Final = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{port}{n}" for port in ("com", "lpt") for n in "0123456789¹²³"]
)
_SEPARATORS_ELSEWHERE: Final = frozenset('\\:*?"<>|')


def components(name: str) -> tuple[str, ...]:
    """Folders and file of ``name``: ``recipes/steel.json`` -> ``("recipes", "steel.json")``.

    Raises:
        DownloadRefusedError: ``Reason.NAME``; says which rule the name breaks.
    """
    try:
        length = len(name.encode())
    except UnicodeEncodeError as error:
        raise _refused(name, "it is not valid Unicode") from error
    if not 0 < length <= MAX_NAME_BYTES:
        raise _refused(name, f"it has {length} bytes, 1 to {MAX_NAME_BYTES} are allowed")
    parts = tuple(name.split("/"))
    if len(parts) > MAX_DEPTH:
        raise _refused(name, f"it is {len(parts)} levels deep, {MAX_DEPTH} are allowed")
    for part in parts:
        if (problem := _problem(part)) is not None:
            raise _refused(name, problem)
    return parts


def same_file_elsewhere(part: str, existing: Iterable[str]) -> str | None:
    """An entry of ``existing``, spelled otherwise, that some file systems take for ``part``.

    They are those for which case or Unicode form do not count.
    """
    folded = _fold(part)
    return next((entry for entry in existing if entry != part and _fold(entry) == folded), None)


def _problem(part: str) -> str | None:
    """The first rule that one component breaks, in words."""
    stem = part.split(".", 1)[0].rstrip(" ").casefold()
    rules = (
        (part == "", "it is absolute or has an empty component"),
        (
            part.startswith("."),
            "a component begins with a dot",
        ),  # `.`, `..`, hidden files, our own temporary names
        (
            part.endswith((".", " ")) or part.startswith(" "),
            "a component begins or ends with a space, or ends with a dot",
        ),
        (
            len(part.encode()) > MAX_COMPONENT_BYTES,
            f"a component is longer than {MAX_COMPONENT_BYTES} bytes",
        ),
        (
            not part.isprintable(),
            "it contains a control or invisible character, or a space that is not the common one",
        ),
        (not _SEPARATORS_ELSEWHERE.isdisjoint(part), 'it contains one of \\ : * ? " < > |'),
        (stem in _DEVICES, "a component is a device name"),
        (unicodedata.normalize("NFC", part) != part, "it is not in Unicode form NFC"),
        # Compatibility forms may fold to what the rules above refuse: fullwidth full stops are `..`
        # to some tools.
        (
            unicodedata.normalize("NFKC", part) != part,
            "it contains a compatibility character, such as a fullwidth letter",
        ),
    )
    return next((words for broken, words in rules if broken), None)


def _fold(part: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", part).casefold())


def _refused(name: str, problem: str) -> DownloadRefusedError:
    shown = name[:80].encode("unicode_escape").decode()
    return DownloadRefusedError(Reason.NAME, f"artifact name `{shown}` is refused: {problem}")
