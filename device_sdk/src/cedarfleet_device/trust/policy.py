"""What a device asks of a file before it fetches a byte: who signed it, and that it is for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cedarfleet_device.trust.root import MAX_ROOT_BYTES, TrustError
from cedarfleet_device.wire import Manifest, WireError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cedarfleet_device.trust.root import Trusted
    from cedarfleet_device.wire import DownloadDocument

_PREFIX, _SUFFIX = "trust/", ".root.json"


class TrustPolicy:
    """The one answer to "may this file come in?".

    Args:
        trusted: the keys; None: the installer has pinned none, and nothing has to be signed.
        kind: of this device; empty: none is known.
        clock: milliseconds since the epoch; the latest of what the device and the cloud say.
    """

    def __init__(self, trusted: Trusted | None, *, kind: str, clock: Callable[[], int]) -> None:
        self._trusted = trusted
        self._kind = kind
        self._clock = clock

    def is_root(self, document: DownloadDocument) -> bool:
        """Whether the file is a new list of keys, which says by itself who signed it."""
        name = document.name
        return self._trusted is not None and name.startswith(_PREFIX) and name.endswith(_SUFFIX)

    def adopt(self, content: bytes) -> int:
        """Believe a new list of keys; its version.

        Raises:
            TrustError: it must not take the place of the one that is believed.
            OSError: it cannot be kept.
        """
        if self._trusted is None:
            raise TrustError("this device has no `trust_file`")
        return self._trusted.adopt(content)

    def manifest(self, document: DownloadDocument) -> Manifest | None:
        """What the file's maker says of it; None: a file without a manifest, which may come.

        Raises:
            TrustError: it must not come in; the message says why.
        """
        signed = document.manifest
        if self.is_root(document):
            if signed is not None or document.size > MAX_ROOT_BYTES:
                raise TrustError(
                    f"a list of keys has no manifest, and at most {MAX_ROOT_BYTES} bytes"
                )
            return None
        if signed is None:
            if self._trusted is not None:  # fail closed
                raise TrustError("it is not signed, and this device takes signed files only")
            return None
        if self._trusted is not None:
            root = self._trusted.root
            if (missing := root.missing(root.release, signed)) is not None:
                raise TrustError(missing)
        try:
            manifest = Manifest.decode(signed.text.encode())
        except WireError as error:
            raise TrustError(f"its manifest is none: {error}") from error
        self._check(document, manifest)
        return manifest

    def _check(self, document: DownloadDocument, manifest: Manifest) -> None:
        said = (manifest.name, manifest.size, manifest.sha256)
        if said != (document.name, document.size, document.sha256):
            raise TrustError("its manifest is of another file: name, size and SHA-256 must agree")
        if manifest.kinds and self._kind not in manifest.kinds:
            raise TrustError(
                f"it is for {', '.join(manifest.kinds)}; this device is"
                f" {self._kind or 'of no kind that its file names (`kind`)'}"
            )
        # Fail closed: at the very instant it counts as expired.
        if manifest.expires_at is not None and self._clock() >= manifest.expires_at:
            raise TrustError("its manifest has expired: it must be signed anew")
