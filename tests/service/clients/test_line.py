"""Who the command line acts for: a part of an environment is no session, and is told so."""

from __future__ import annotations

import pytest
from cedarfleet.command_line.line import Line
from cedarfleet.errors import SignInError


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"CEDARFLEET_TOKEN": "x"}, "CEDARFLEET_TOKEN is set and CEDARFLEET_API is not"),
        (
            {"CEDARFLEET_CLIENT_SECRET": "x"},
            "CEDARFLEET_CLIENT_SECRET is set and CEDARFLEET_API is not",
        ),
        (
            {"CEDARFLEET_CLIENT_SECRET": "x", "CEDARFLEET_API": "http://localhost:1"},
            "CEDARFLEET_CLIENT_SECRET is set and CEDARFLEET_CLIENT_ID is not",
        ),
        (
            {
                "CEDARFLEET_CLIENT_SECRET": "x",
                "CEDARFLEET_API": "http://localhost:1",
                "CEDARFLEET_CLIENT_ID": "y",
            },
            "Set CEDARFLEET_TENANT",
        ),
    ],
)
def test_a_part_of_an_environment_is_refused(environment: dict[str, str], words: str) -> None:
    """Which variable is missing is said, before anything is sent to anybody."""
    with pytest.raises(SignInError, match=words):
        Line(environment=environment).fleet()
