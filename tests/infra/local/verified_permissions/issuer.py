"""Who signs tokens, as a user pool or another provider of identities does."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

Json = Any  # what travels, before anybody has looked at it


@dataclass
class Issuer:
    """Signs tokens as a user pool does."""

    url: str
    key_id: str = "key-1"
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    algorithm: str = "RS256"

    def jwks(self) -> dict[str, Any]:
        """The public half, as the issuer publishes it."""
        public: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [public | {"kid": self.key_id, "use": "sig", "alg": self.algorithm}]}

    def sign(self, **claims: Json) -> str:
        """A token with these claims beside issuer and a minute to expiry, unless given."""
        return jwt.encode(
            {"iss": self.url, "exp": int(time.time()) + 60, **claims},
            self.key,
            self.algorithm,
            {"kid": self.key_id},
        )

    def identity_token(self, **claims: Json) -> str:
        """An ID token of alice."""
        return self.sign(**{"sub": "alice", "aud": "web", "token_use": "id", **claims})

    def access_token(self, **claims: Json) -> str:
        """An access token of alice."""
        return self.sign(**{"sub": "alice", "client_id": "web", "token_use": "access", **claims})
