"""Finds the keys of token issuers when the endpoint runs alone: in files and at URLs.

They are named on the command line.
"""

from __future__ import annotations

import json
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_KEPT_SECONDS: Final = 60.0
_TIMEOUT_SECONDS: Final = 3.0
_MAX_BYTES: Final = 1024 * 1024


class IssuersError(Exception):
    """A ``--jwks`` argument is not of its form."""


@dataclass
class Issuers:
    """Issuer -> place of its JWK set. A place is read again after a minute, so keys may be rotated.

    Reading a URL holds the endpoint up for at most three seconds; it must not be a URL that the
    endpoint itself serves.
    """

    places: Mapping[str, str]
    clock: Callable[[], float] = time.monotonic
    _read: dict[str, tuple[float, dict[str, Any]]] = field(
        default_factory=dict[str, tuple[float, dict[str, Any]]]
    )

    @classmethod
    def parse(cls, arguments: Iterable[str]) -> Self:
        """From ``ISSUER=FILE-OR-URL`` arguments.

        Raises:
            IssuersError: one is not of that form.
        """
        places: dict[str, str] = {}
        for argument in arguments:
            issuer, separator, place = argument.partition("=")
            if not separator or not issuer.startswith("https://") or not place:
                raise IssuersError(f"`{argument}` is not ISSUER=FILE-OR-URL with an https issuer")
            places[issuer] = place
        return cls(places)

    def signing_keys(self, issuer: str) -> Mapping[str, Any]:
        """The issuer's JWK set.

        Raises:
            LookupError: the issuer was not named, or its keys cannot be read now.
        """
        if issuer not in self.places:
            raise LookupError(issuer)
        at, keys = self._read.get(issuer, (0.0, None))
        if keys is None or self.clock() - at > _KEPT_SECONDS:
            keys = _load(self.places[issuer])
            self._read[issuer] = (self.clock(), keys)
        return keys


def _load(place: str) -> dict[str, Any]:
    try:
        if place.startswith(("http://", "https://")):
            # Only http and https, see the line above.
            with urllib.request.urlopen(place, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
                text = answer.read(_MAX_BYTES)
        else:
            text = Path(place).read_bytes()
        document = json.loads(text)
    except (OSError, ValueError) as error:
        raise LookupError(f"no keys at `{place}`: {error}") from error
    if not isinstance(document, dict) or not isinstance(
        cast("dict[str, Any]", document).get("keys"), list
    ):
        # One error for every unusable place.
        raise LookupError(f"no JWK set at `{place}`")  # noqa: TRY004
    return cast("dict[str, Any]", document)
