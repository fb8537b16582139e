"""The project's guardrails, asked by the embedded engine on every preview and `up`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra import guardrails
from infra.local.engine import UNKNOWN_INPUT, Asked

if TYPE_CHECKING:
    from collections.abc import Sequence


class Guardrails:
    """An engine's guard that knows the rules of `infra/guardrails/`."""

    def of_resource(self, asked: Asked, /) -> Sequence[str]:
        """What a resource breaks."""
        return guardrails.of_resource(_declared(asked))

    def of_stack(self, asked: Sequence[Asked], /) -> Sequence[tuple[Asked, str]]:
        """What the resources of a stack break together."""
        seen = [(_declared(one), one) for one in asked]
        wrong = guardrails.of_stack([declared for declared, _ in seen])
        return [
            (next(one for declared, one in seen if declared is broken), words)
            for broken, words in wrong
        ]


def _declared(asked: Asked) -> guardrails.Declared:
    return guardrails.Declared(
        kind=asked.type,
        name=asked.name,
        inputs=guardrails.plain(asked.inputs, unknown=UNKNOWN_INPUT),
        protect=asked.protect,
        tags=asked.tags,
        refers_to=asked.refers_to,
    )
