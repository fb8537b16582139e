"""A disk that loses power: what was synced stays, of the rest any part may be lost.

It asks a question before each sync, and whenever the test likes: does all hold that was promised,
whatever a loss of power at this instant leaves? Bytes and modes stay as they were at the last sync
of their file. Of the names that changed in a folder since its last sync any may have changed on the
disk or not, in any order, but a rename is one step (ext4, xfs and btrfs keep to that; POSIX says
nothing).
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cedarfleet_device.files import Disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_MOST_CHANGES = 10  # of names that no sync has made durable: each doubles what may be left


@dataclass(frozen=True)
class Kept:
    """What is left of a file; a mode that was never synced is None."""

    content: bytes
    mode: int | None


class VolatileDisk(Disk):
    """Watches a folder, in which everything that stands there is durable at first.

    Args:
        root: the folder, with all that is or comes below it.
        holds: asked of each state that a loss of power might leave: files by their names from
            ``root``; asserts what must hold.
    """

    def __init__(self, root: Path, holds: Callable[[Mapping[str, Kept]], None]) -> None:
        self.syncs = 0
        self._root, self._holds = root, holds
        self._files: dict[int, Kept] = {}  # by inode
        self._names: dict[str, dict[str, int]] = {}  # inodes by name, by folder
        self._held: dict[int, int] = {}  # handles, so that no inode is used anew

    def __enter__(self) -> Self:
        for folder, inodes in self._look().items():
            self._names[folder] = inodes
        for inode, handle in self._held.items():
            self._files[inode] = self._as_it_is(handle)
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._held.values():
            os.close(handle)

    def sync(self, handle: int) -> None:
        """A file with its mode, or the names of a folder."""
        self.lose_power()
        super().sync(handle)
        found = os.fstat(handle)
        if stat.S_ISDIR(found.st_mode):
            path = Path(f"/proc/self/fd/{handle}").readlink()
            folder = os.path.relpath(path, self._root)
            if not folder.startswith(".."):
                self._names[folder] = self._look()[folder]
        else:
            self._files[found.st_ino] = self._as_it_is(handle)

    def sync_data(self, handle: int) -> None:
        """A file without its mode."""
        self.lose_power()
        super().sync_data(handle)
        inode, now = os.fstat(handle).st_ino, self._as_it_is(handle)
        before = self._files.get(inode)
        self._files[inode] = Kept(now.content, None if before is None else before.mode)

    def lose_power(self, asked: Callable[[Mapping[str, Kept]], None] | None = None) -> None:
        """Ask of each state that may be left: ``holds``, or another question."""
        self.syncs += asked is None
        seen: list[dict[str, Kept]] = []
        for state in self._states():
            if state not in seen:
                seen.append(state)
                (asked or self._holds)(state)

    def _states(self) -> Iterator[dict[str, Kept]]:
        now = self._look()
        changes = [
            (folder, change)
            for folder in now.keys() | self._names.keys()
            for change in _changes(self._names.get(folder, {}), now.get(folder, {}))
        ]
        assert len(changes) <= _MOST_CHANGES, changes
        for made in product((False, True), repeat=len(changes)):
            names = {folder: dict(inodes) for folder, inodes in self._names.items()}
            for (folder, change), happened in zip(changes, made, strict=True):
                if happened:
                    inodes = names.setdefault(folder, {})
                    for name, inode in change.items():
                        if inode is None:
                            inodes.pop(name, None)
                        else:
                            inodes[name] = inode
            yield dict(self._reachable(names, "."))

    def _reachable(
        self, names: Mapping[str, Mapping[str, int]], folder: str
    ) -> Iterator[tuple[str, Kept]]:
        for name, inode in names.get(folder, {}).items():
            path = os.path.normpath(f"{folder}/{name}")
            if path in names or (self._root / path).is_dir():
                yield from self._reachable(names, path)
            else:
                yield path, self._files.get(inode, Kept(b"", None))

    def _look(self) -> dict[str, dict[str, int]]:
        """Inodes by name, by folder, as they are; holds each file."""
        found: dict[str, dict[str, int]] = {}
        for folder, _, _ in os.walk(self._root):
            inodes: dict[str, int] = {}
            for each in os.scandir(folder):
                inodes[each.name] = each.inode()
                if each.is_file(follow_symlinks=False) and each.inode() not in self._held:
                    self._held[each.inode()] = os.open(each.path, os.O_RDONLY)
            found[os.path.relpath(folder, self._root)] = inodes
        return found

    @staticmethod
    def _as_it_is(handle: int) -> Kept:
        found = os.fstat(handle)
        # By a handle of its own: the one that is synced may be for writing only.
        content = Path(f"/proc/self/fd/{handle}").read_bytes()
        return Kept(content, stat.S_IMODE(found.st_mode))


def _changes(before: Mapping[str, int], now: Mapping[str, int]) -> list[dict[str, int | None]]:
    """What must become durable in one step each: a name's inode from now on, None: it is gone."""
    gone = {inode: name for name, inode in before.items() if name not in now}
    changes: list[dict[str, int | None]] = []
    for name, inode in now.items():
        if before.get(name) != inode:
            former = gone.pop(inode, None)
            changes.append({name: inode} if former is None else {name: inode, former: None})
    return changes + [{name: None} for name in gone.values()]
