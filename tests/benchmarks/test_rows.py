"""The arithmetic of the benchmarks' table."""

from __future__ import annotations

import pytest

from tests.benchmarks.rows import compare, interleaved


def test_a_comparison_is_of_the_rounds_and_not_of_the_medians():
    """The ratio is the median of the rounds' own ratios, the worst is noted, the target decides."""
    row = compare(
        name="x", ours=[10, 30, 20], reference=[10, 10, 20], unit="MiB/s", at_least=1.5, note="here"
    )
    assert (row.ours, row.reference, row.ratio, row.met, row.rounds) == (20, 10, 1, False, 3)
    assert row.note == "worst 1.00x; here"
    assert compare(name="x", ours=[2, 4], reference=[4, 4], unit="s", at_most=0.8).met
    assert (
        compare(name="x", ours=[2, 4], reference=[4, 4], unit="s", at_most=0.8).note
        == "worst 1.00x"
    )


def test_a_comparison_needs_two_equal_series_and_one_target():
    """Rounds that are not pairs, or a row without a target, are an error."""
    with pytest.raises(ValueError, match="`x`"):
        compare(name="x", ours=[1], reference=[1, 2], unit="s", at_most=1)
    with pytest.raises(ValueError, match="`x`"):
        compare(name="x", ours=[1], reference=[1], unit="s")


def test_interleaved_rounds_turn_their_order():
    """Each is measured in every round, and none is always the first."""
    order: list[str] = []

    def measured(name: str) -> float:
        order.append(name)
        return float(len(order))

    first, second = interleaved(2, lambda: measured("a"), lambda: measured("b"))
    assert order == ["a", "b", "b", "a"]
    assert (first, second) == ([1, 4], [2, 3])
