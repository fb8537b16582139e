"""What a tenant's file says of a command beside its action: wrong words are told before `up`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.stacks.config.reading import ConfigError
from service.domain.command_rules import rules_of
from tests.infra.stacks.config.test_tenant import changed, read_file, tenant

SCHEMA = {"type": "object", "properties": {"speed": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"stopp": {}}, "command_rules.stopp: `stopp` is no command; there are: `reboot`"),
        ({"stop": {"needs_reasons": True}}, "did you mean `needs_reason`?"),
        ({"stop": {"timeout_seconds": 0}}, "must be a whole number from 1 to 3600"),
        (
            {"stop": {"timeout_seconds": 61, "max_timeout_seconds": 60}},
            "command_rules.stop.timeout_seconds: must be at most `max_timeout_seconds`, 60",
        ),
        (
            {"stop": {"parameters": {"type": "object", "requierd": []}}},
            "command_rules.stop.parameters.requierd: is no keyword that may be used",
        ),
        ({"stop": {"parameters": {"$ref": "https://x"}}}, "stop.parameters.type: must be"),
        ({"stop": {"description": "a\nb"}}, "must be printable characters"),
    ],
)
def test_wrong_rules_of_a_command_are_told(rules: dict[str, Any], words: str) -> None:
    """With the key and what would be right."""
    with pytest.raises(ConfigError) as refused:
        tenant(changed(read_file("acme"), "command_rules", rules))
    assert words in str(refused.value)


def test_the_service_reads_the_rules_that_the_file_says() -> None:
    """What `up` takes, the service takes, member by member."""
    from msgspec import structs  # noqa: PLC0415 - as the registry's row is made

    said = {"stop": {"parameters": SCHEMA, "needs_reason": True, "max_timeout_seconds": 90}}
    config = tenant(changed(read_file("acme"), "command_rules", said))
    rules = rules_of(json.loads(json.dumps(structs.asdict(config.command_rules["stop"]))))
    assert (rules.parameters, rules.needs_reason, rules.max_timeout_seconds) == (SCHEMA, True, 90)
    assert rules.timeout_seconds == 60
