"""What comes out of an evaluation: decisions are values that carry their reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Union


class Refusal(StrEnum):
    """Why a decision is a denial."""

    FORBIDDEN = "forbidden"  # a forbid policy matched
    NOT_PERMITTED = "not_permitted"  # no permit policy matched
    EVALUATION_FAILED = "evaluation_failed"  # a policy could not be evaluated


class Decider(StrEnum):
    """Who decided; whoever it was, the decision must be the same."""

    STORE = "store"
    COPY = "copy"  # of the store's policies, in this process


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """Yes; the permit policies that said so, by the names of our files."""

    policies: tuple[str, ...]
    by: Decider = field(default=Decider.STORE, compare=False)


@dataclass(frozen=True, kw_only=True)
class Denied:
    """No; the forbid policies that said so, if any did."""

    reason: Refusal
    policies: tuple[str, ...] = ()
    by: Decider = field(default=Decider.STORE, compare=False)

    @property
    def explanation(self) -> str:
        """The reason in words, for the person who was refused."""
        match self.reason:
            case Refusal.FORBIDDEN:
                return f"forbidden by policy {', '.join(f'`{name}`' for name in self.policies)}"
            case Refusal.NOT_PERMITTED:
                return "no policy permits it"
            case Refusal.EVALUATION_FAILED:
                return "a policy could not be evaluated, which counts as a denial"


Decision = Union[Allowed, Denied]  # noqa: UP007 - runtime alias


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What the engine answered to one request, and what we make of it.

    Attributes:
        engine_allows: the engine's word: a permit matched and no forbid did.
        policies: the determining policies, sorted.
        errors: of policies that the engine left out because they failed, in its words.
    """

    engine_allows: bool
    policies: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether the request is allowed."""
        # Fail closed: Cedar skips a policy that fails, and it may be a forbid.
        return self.engine_allows and not self.errors

    @property
    def decision(self) -> Decision:
        """The decision that the evaluation amounts to."""
        if self.allowed:
            return Allowed(policies=self.policies)
        # What the engine would allow has permits for its policies: they are no reason to refuse.
        if self.engine_allows or (self.errors and not self.policies):
            return Denied(reason=Refusal.EVALUATION_FAILED)
        reason = Refusal.FORBIDDEN if self.policies else Refusal.NOT_PERMITTED
        return Denied(reason=reason, policies=self.policies)

    def __str__(self) -> str:
        names = ", ".join(self.policies)
        return ("yes" if self.allowed else "no") + (f": {names}" if names else "")
