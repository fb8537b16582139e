"""Keys of a stack's file that stand since its first `up`: another value is refused in words.

AWS would refuse the change half way, or what everything hangs on would be made anew. What stands is
read from the stack's own outputs, which a stack may refer to (source: pulumi/pulumi#3722) and which
Pulumi keeps over a failed run (source: pulumi/pulumi#15754).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi

from infra.stacks.config import stack_file
from infra.stacks.config.reading import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable


def _as_it_is(output: Any) -> Any:
    return output


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A key that stands.

    Attributes:
        key: place in the stack's file.
        asked: what the file says.
        output: of the stack that says what stands; a stack that has none yet has nothing to keep.
        reads: makes of the output what the file would say.
        why: it cannot change.
        instead: what to do.
    """

    key: str
    asked: Any
    output: str
    reads: Callable[[Any], Any] = _as_it_is
    why: str
    instead: str


def keep(region: pulumi.Input[str], *kept: Kept) -> pulumi.Output[str]:
    """The region, once nothing asks for another value of what stands.

    The provider waits for it, so a refusal fails every resource before it is made, changed or
    deleted; the preview too.

    Args:
        region: of the stack.
        kept: the keys that stand.
    """
    stack = pulumi.get_stack()
    own = pulumi.StackReference(
        "own", stack_name=f"{pulumi.get_organization()}/{pulumi.get_project()}/{stack}"
    )

    def checked(known: list[Any]) -> str:
        for one, output in zip(kept, known[1:], strict=True):
            stands = None if output is None else one.reads(output)
            if stands not in (None, one.asked):
                raise ConfigError(
                    f"{stack_file.shown(stack)}: {one.key}: is `{_shown(stands)}` since this stack "
                    f"was made and cannot become `{_shown(one.asked)}`: {one.why}. Put "
                    f"`{_shown(stands)}` back, or {one.instead}"
                )
        return known[0]

    return pulumi.Output.all(region, *(own.get_output(one.output) for one in kept)).apply(checked)


def _shown(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
