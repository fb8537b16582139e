"""Property tests have one seed a run, which is given back, and told where one fails."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import hypothesis.core
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import pytest_runtest_makereport

OPTION = "--hypothesis-seed"


@given(st.integers())
def a_property(_number: int) -> None:
    """Holds."""


def reported(config: pytest.Config, test: object, *, failed: bool) -> list[tuple[str, str]]:
    """What stands in the report of a test."""
    item: Any = SimpleNamespace(obj=test, config=config)
    report: Any = SimpleNamespace(failed=failed, sections=[])
    hook = pytest_runtest_makereport(item)
    next(hook)
    with pytest.raises(StopIteration):
        hook.send(report)
    return report.sections


def test_property_tests_have_the_seed_that_was_given(request: pytest.FixtureRequest) -> None:
    """That of the environment, or of the option, or a new one; Hypothesis uses it for each."""
    seed = int(str(request.config.getoption(OPTION)))
    assert hypothesis.core.global_force_seed == seed
    if given_seed := os.environ.get("CEDARFLEET_SEED"):
        assert seed == int(given_seed)


def test_the_report_of_a_failed_property_says_its_seed(request: pytest.FixtureRequest) -> None:
    """Not that of one that holds, nor of a test without examples."""
    seed = request.config.getoption(OPTION)
    said = [("seed", f"CEDARFLEET_SEED={seed}")]
    assert reported(request.config, a_property, failed=True) == said
    assert reported(request.config, a_property, failed=False) == []
    assert reported(request.config, reported, failed=True) == []
