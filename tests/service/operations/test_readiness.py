"""Whoever asks whether the process is ready, and however often, costs one probe a second."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from service.errors import UnavailableError, UpstreamError
from service.operations.readiness import Readiness


@dataclass
class Registry:
    """Answers when the test says so."""

    failing: UpstreamError | None = None
    asked: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def find(self, issuer: str) -> None:
        """Nobody looks for a tenant here."""

    async def named(self, tenant_id: str) -> None:
        """Nor by name."""

    async def check(self) -> None:
        """Waits for the gate."""
        self.asked += 1
        await self.gate.wait()
        if self.failing is not None:
            raise self.failing


@dataclass
class Seconds:
    """A clock of the test."""

    at: float = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.at


@pytest.mark.parametrize("failing", [None, UnavailableError("DynamoDB"), UpstreamError("no")])
def test_all_share_one_probe_and_its_outcome(failing: UpstreamError | None) -> None:
    """A thousand who ask at once, one of whom leaves, and all within the next second."""

    async def scenario() -> None:
        registry, now = Registry(failing), Seconds()
        readiness = Readiness(registry=registry, now=now)

        async def is_ready() -> bool:
            try:
                await readiness.check()
            except UnavailableError as error:
                assert "tenant registry" in str(error)  # noqa: PT017 - both outcomes are right
                return False
            return True

        asking = [asyncio.ensure_future(is_ready()) for _ in range(1000)]
        await asyncio.sleep(0)
        asking.pop(0).cancel()
        now.at += 30  # the probe took so long
        registry.gate.set()
        assert set(await asyncio.gather(*asking)) == {failing is None}
        now.at += 0.9
        assert await is_ready() is (failing is None)
        assert registry.asked == 1
        registry.failing = None
        now.at += 0.2
        assert await is_ready()
        assert registry.asked == 2

    asyncio.run(scenario())
