"""The maker of mutants: each kind of change, nothing that does not compile, and a fair choice."""

from __future__ import annotations

from pathlib import Path

from tests.mutants.critical import CRITICAL, EQUIVALENT
from tests.mutants.mutations import mutants, sample

ROOT = Path(__file__).parents[2]

SOURCE = '''
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import this


class Door:
    """Ä door."""

    def open(self, key: int, names: list[str]) -> int:
        if not self.shut and key < 4:
            raise ValueError("ß")
        log.info("door.opened", odd=key > 5)
        if key > 5:
            log.warning("door.odd")
        self.turn(key)
        return sum(1 for name in names if name) - 1
'''


def test_mutants_are_of_every_kind() -> None:
    """Conditions, comparisons, `and`, `not`, numbers, raised errors and calls are changed."""
    found = {mutant.key.partition(": ")[2] for mutant in mutants(SOURCE)}
    assert found == {
        "`not self.shut and key < 4` -> `(not self.shut or key < 4)`",
        "`not self.shut and key < 4` -> `(not (not self.shut and key < 4))`",
        "`not self.shut` -> `(self.shut)`",
        "`key < 4` -> `(key <= 4)`",
        '`raise ValueError("ß")` -> `pass`',
        "`self.turn(key)` -> `pass`",
        "`sum(1 for name in names if name) - 1` -> `(sum((1 for name in names if name)) - 2)`",
        "`name` -> `(not (name))`",
    }


def test_a_mutant_changes_its_own_place_only() -> None:
    """File and mutant differ by exactly the two texts, also behind letters of two bytes."""
    for mutant in mutants(SOURCE):
        assert mutant.function == "Door.open"
        compile(mutant.source, "<mutant>", "exec")
        assert len(mutant.source) - len(SOURCE) == len(mutant.after) - len(mutant.before)
        assert mutant.after in mutant.source.splitlines()[mutant.line - 1]


def test_two_mutants_of_the_same_words_are_told_apart() -> None:
    """Of one that changes nothing the reason must not spare its twin."""
    source = "def f(x):\n    if x > 1:\n        x += 1\n    return x > 1\n"
    words = "f: `x > 1` -> `(x >= 1)`"
    assert [one.key for one in mutants(source)] == [words, f"{words} (2)"]


def test_a_sample_is_spread_and_repeats() -> None:
    """The same seed chooses the same mutants, some of the beginning and some of the end."""
    every = mutants(SOURCE * 5)
    chosen = sample(every, 10, "1")
    assert chosen == sample(every, 10, "1")
    assert len(chosen) == 10
    third = len(SOURCE.splitlines()) * 5 // 3
    assert chosen[0].line < third
    assert chosen[-1].line > 2 * third
    assert sample(every, 1000, "1") == every


def test_every_critical_file_and_its_tests_exist() -> None:
    """A file that has moved is moved in the list too, or `make mutants` would not try it."""
    tests = {each for asked in CRITICAL.values() for each in asked if each.startswith("tests/")}
    named = {*CRITICAL, *EQUIVALENT, *tests}
    assert sorted(name for name in named if not (ROOT / name.partition("::")[0]).exists()) == []


def test_every_equivalent_mutant_is_one_of_its_file() -> None:
    """A line that has changed loses its reason, or the next mutant there would be spared."""
    found = {
        file: {one.key for one in mutants((ROOT / file).read_text(encoding="utf-8"))}
        for file in EQUIVALENT
    }
    stale = [
        (file, key) for file, known in EQUIVALENT.items() for key in known.keys() - found[file]
    ]
    assert stale == []
