"""The package of the generated models reads each when it is first named."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cedarfleet.generated import models


def test_each_model_is_found_by_its_name() -> None:
    """Laziness loses no name."""
    found = {name: getattr(models, name) for name in models.__all__}

    assert {name: model.__name__ for name, model in found.items()} == {name: name for name in found}


def test_no_model_is_made_up() -> None:
    """A misspelt name is an error, as with any module."""
    with pytest.raises(AttributeError, match="has no attribute 'Unicorn'"):
        _ = models.Unicorn  # pyright: ignore[reportAttributeAccessIssue] - that is what is asked


def test_a_start_reads_only_the_models_that_it_names() -> None:
    """Who starts the command line does not pay for all of them."""
    asked = (
        "import sys, cedarfleet.command_line, cedarfleet.generated.models as models;"
        "print(*(name for name in models.__all__ if models._MODULES[name][1:] in"
        " {one.rpartition('.')[2] for one in sys.modules if '.generated.models.' in one}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True, timeout=60
    )

    read = set(done.stdout.split())
    assert "Accepted" in read
    assert len(read) < len(models.__all__) / 2
