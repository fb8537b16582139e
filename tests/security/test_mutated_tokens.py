"""Mutants of a valid token: each one-step change of it, and thousands of longer ones."""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING

from tests.security.accepted import accepted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.adapters.memory.user_pool import MemoryUserPool
    from service.operations.authentication import Authenticate

_BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_RANDOM_MUTANTS = 2_000


def mutants(token: str) -> Iterator[str]:
    """Every small change: of a bit or character, deletions, doublings, truncations, insertions."""
    for index, character in enumerate(token):
        head, tail = token[:index], token[index + 1 :]
        yield from (head + chr(ord(character) ^ (1 << bit)) + tail for bit in range(8))
        yield head + tail
        yield head + character * 2 + tail
        yield head
        if index % 8 == 0:
            yield from (head + other + tail for other in _BASE64URL if other != character)
    for extra in ("=", "==", ".", "A", "AA", " ", "\n", "\x00", "%", ",x", ".x"):
        yield token + extra
        yield extra + token
        yield token.replace(".", extra + ".", 1)
    header, payload, signature = token.split(".")
    yield from (
        f"{payload}.{header}.{signature}",
        f"{header}.{payload}",
        f"{header}.{payload}.",
        f"{header}..{signature}",
    )
    yield from (
        f".{payload}.{signature}",
        f"{header}.{payload}.{signature}.{signature}",
        token + "." + token,
        "..",
        "",
    )


def test_no_mutant_of_a_valid_token_is_accepted(
    authenticate: Authenticate, acme: MemoryUserPool
) -> None:
    """Every one-step change of a valid ID token is refused, and so are random longer ones."""
    seed = int(os.environ.get("CEDARFLEET_SEED") or time.time_ns() % 1_000_000)
    chance = random.Random(seed)  # noqa: S311 - a test's reproducible choice
    token = acme.id_token("alice", ["managers"])
    assert accepted(authenticate, [token]) == (1, [token])

    def scrambled() -> str:
        characters = list(token)
        for _ in range(chance.randint(2, 6)):
            position = chance.randrange(len(characters))
            match chance.randrange(4):
                case 0:
                    characters[position] = chance.choice(_BASE64URL)
                case 1:
                    del characters[position]
                case 2:
                    characters.insert(position, chance.choice(_BASE64URL + ".=+/"))
                case _:
                    other = chance.randrange(len(characters))
                    characters[position], characters[other] = (
                        characters[other],
                        characters[position],
                    )
        return "".join(characters)

    tried = {*mutants(token), *(scrambled() for _ in range(_RANDOM_MUTANTS))} - {token}
    count, through = accepted(authenticate, tried)
    print(f"{count} mutants of one valid token refused; seed {seed} (CEDARFLEET_SEED)")
    assert count > 10_000
    assert through == []
