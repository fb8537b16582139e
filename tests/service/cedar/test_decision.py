"""What an evaluation amounts to: a decision that fails closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.cedar.decision import Allowed, Denied, Evaluation, Refusal

if TYPE_CHECKING:
    from service.cedar.decision import Decision


def test_an_allow_with_errors_is_a_denial() -> None:
    """An error may hide a forbid, so it denies; a denial keeps its policies."""

    def decided(*, allowed: bool, policies: tuple[str, ...], errors: int) -> Decision:
        return Evaluation(engine_allows=allowed, policies=policies, errors=("?",) * errors).decision

    failed = Denied(reason=Refusal.EVALUATION_FAILED)
    assert decided(allowed=True, policies=("p",), errors=0) == Allowed(policies=("p",))
    assert decided(allowed=True, policies=("p",), errors=1) == failed
    assert decided(allowed=False, policies=(), errors=1) == failed
    assert decided(allowed=False, policies=("f",), errors=1) == Denied(
        reason=Refusal.FORBIDDEN, policies=("f",)
    )
    assert decided(allowed=False, policies=(), errors=0) == Denied(reason=Refusal.NOT_PERMITTED)


def test_an_evaluation_is_printed_with_its_policies() -> None:
    """Whether it is allowed, as people compare it in a table."""
    assert str(Evaluation(engine_allows=True, policies=("a", "b"))) == "yes: a, b"
    assert str(Evaluation(engine_allows=False)) == "no"
    assert str(Evaluation(engine_allows=True, errors=("failed",))) == "no"
