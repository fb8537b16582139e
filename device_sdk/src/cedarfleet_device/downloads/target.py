"""One file's target below the download folder: no symlink is followed, each change is atomic.

Every step works on a handle of the target's own directory, so that nobody who swaps a component for
a symlink meanwhile can lead it elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import stat
from hashlib import sha256
from typing import TYPE_CHECKING

from cedarfleet_device.downloads.names import components, same_file_elsewhere
from cedarfleet_device.downloads.outcomes import DownloadRefusedError, Reason
from cedarfleet_device.files import DISK, Disk

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

_COPY_BYTES = 1024 * 1024


class Target:
    """Target, temporary file and previous file of one artifact, all in one directory.

    Attributes:
        path: where the file ends up.
        key: stands for the name in file names of our own.
    """

    def __init__(self, folder: Path, name: str, *, disk: Disk = DISK) -> None:
        """Open the target's directory, making the ones that are missing (mode 0750).

        Raises:
            DownloadRefusedError: ``Reason.NAME``: the name, or what stands in its way.
                ``Reason.DISK``: a directory cannot be made or opened.
        """
        self._disk = disk
        *parents, self._name = components(name)
        self.key = sha256(name.encode()).hexdigest()[:32]
        self.path = folder.joinpath(*parents, self._name)
        self._part, self._previous = f".{self.key}.part", f".{self.key}.previous"
        try:
            disk.make_folder(folder, mode=0o750)
            # The maker chose the folder itself, perhaps by a symlink to another disk: only what is
            # below it is judged.
            self._directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise DownloadRefusedError(
                Reason.DISK, f"cannot open the download folder `{folder}`: {error}"
            ) from error
        try:
            for parent in parents:
                self._descend(parent)
            self._check_target()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the directory."""
        os.close(self._directory)

    def open_part(self) -> int:
        """A handle of the temporary file, made when it is missing (mode 0600).

        Raises:
            DownloadRefusedError: ``Reason.DISK``: something else bears its name.
            OSError: the directory cannot be written.
        """
        is_new = not self.has_part()
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        handle = os.open(self._part, flags, 0o600, dir_fd=self._directory)
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            os.close(handle)
            raise DownloadRefusedError(
                Reason.DISK, f"`{self._part}` beside the target is no file of ours"
            )
        if is_new:  # the journal will count on its bytes
            self._sync_names()
        return handle

    def holds(self, size: int, digest: str) -> bool:
        """Whether a file of ``size`` bytes with this SHA-256 stands at the target.

        Raises:
            OSError: it cannot be read.
        """
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            handle = os.open(self._name, flags, dir_fd=self._directory)
        except FileNotFoundError:
            return False
        try:
            if os.fstat(handle).st_size != size:
                return False
            found = sha256()
            while chunk := os.read(handle, _COPY_BYTES):
                found.update(chunk)
        finally:
            os.close(handle)
        return found.hexdigest() == digest

    def has_part(self) -> bool:
        """Whether the temporary file exists."""
        return self._has(self._part)

    def drop_part(self) -> None:
        """Remove the temporary file, if any."""
        self._drop(self._part)

    def free_bytes(self) -> int:
        """What the file system has for us."""
        numbers = os.fstatvfs(self._directory)
        return numbers.f_bavail * numbers.f_frsize

    def put(self, *, keep_previous: bool) -> None:
        """Move the temporary file, already fsynced, to the target.

        At every instant a whole file stands there.

        Args:
            keep_previous: also keep what stood there, for ``roll_back``.
        """
        if keep_previous:
            self._drop(self._previous)
            if self._has(self._name):
                self._link_previous()
        os.replace(self._part, self._name, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        self._sync_names()

    def roll_back(self) -> None:
        """Give the target its previous file back, or remove it when there was none."""
        if self._has(self._previous):
            os.replace(
                self._previous, self._name, src_dir_fd=self._directory, dst_dir_fd=self._directory
            )
        else:
            self._drop(self._name)
        self._sync_names()

    def drop_previous(self) -> None:
        """Forget the previous file, if any."""
        self._drop(self._previous)

    def _descend(self, parent: str) -> None:
        """Exchange the directory for its child ``parent``."""
        self._refuse_other_spelling(parent)
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(parent, 0o750, dir_fd=self._directory)
                self._sync_names()
            child = os.open(
                parent,
                os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC,
                dir_fd=self._directory,
            )
        except NotADirectoryError as error:  # O_DIRECTORY with O_NOFOLLOW says so of a symlink too
            raise DownloadRefusedError(
                Reason.NAME, f"`{parent}` on the way to the target is no plain folder"
            ) from error
        except OSError as error:
            raise DownloadRefusedError(
                Reason.DISK, f"cannot open the folder `{parent}`: {error.strerror}"
            ) from error
        os.close(self._directory)
        self._directory = child

    def _check_target(self) -> None:
        self._refuse_other_spelling(self._name)
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(self._name, dir_fd=self._directory, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode):
                raise DownloadRefusedError(
                    Reason.NAME, f"the target `{self._name}` is a symlink, folder or device"
                )

    def _refuse_other_spelling(self, part: str) -> None:
        entries = os.listdir(self._directory)  # noqa: PTH208 - of a handle
        if (other := same_file_elsewhere(part, entries)) is not None:
            raise DownloadRefusedError(
                Reason.NAME,
                f"`{part}` would be the same file as `{other}`"
                " where case or Unicode form do not count",
            )

    def _sync_names(self) -> None:
        """Make what was made, moved or removed in the directory durable."""
        self._disk.sync(self._directory)

    def _has(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._directory, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def _drop(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._directory)
            self._sync_names()

    def _link_previous(self) -> None:
        try:
            os.link(
                self._name,
                self._previous,
                src_dir_fd=self._directory,
                dst_dir_fd=self._directory,
                follow_symlinks=False,
            )
        except OSError:  # FAT has no links: copy
            source = os.open(
                self._name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._directory
            )
            with open(source, "rb") as old:  # noqa: PTH123 - of a handle
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                copy = os.open(self._previous, flags, 0o600, dir_fd=self._directory)
                with open(copy, "wb") as new:  # noqa: PTH123 - of a handle
                    while chunk := old.read(_COPY_BYTES):
                        new.write(chunk)
                    new.flush()
                    self._disk.sync(copy)
        self._sync_names()
