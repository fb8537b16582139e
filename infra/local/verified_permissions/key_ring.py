"""Public keys of token issuers, parsed once: by issuer, key id and the key's own text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import jwt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_KEPT_KEYS: Final = 1000


class KeyRing:
    """Parsed keys. A replaced key has another text, and so is parsed anew."""

    def __init__(self) -> None:
        self._parsed: dict[tuple[str, str, str], jwt.PyJWK] = {}

    def key(
        self, signing_keys: Callable[[str], Mapping[str, Any]], issuer: str, key_id: str
    ) -> jwt.PyJWK:
        """The issuer's key of that id.

        Args:
            signing_keys: issuer -> JWK set; raises LookupError for an issuer that it does not know.
            issuer: the token's `iss`, which the identity source vouches for.
            key_id: the token's `kid`.

        Raises:
            LookupError: the issuer or the key is not known.
        """
        for entry in signing_keys(issuer)["keys"]:
            # A symmetric key would let whoever may read the key set sign tokens: never taken.
            if (
                entry.get("kid") == key_id
                and entry.get("use", "sig") == "sig"
                and entry.get("kty") != "oct"
            ):
                identity = (issuer, key_id, str(entry))
                if identity not in self._parsed:
                    # Issuers choose their key ids, so what is kept of them is bounded.
                    if len(self._parsed) >= _KEPT_KEYS:
                        self._parsed.clear()
                    self._parsed[identity] = jwt.PyJWK(entry)
                return self._parsed[identity]
        raise LookupError(key_id)
