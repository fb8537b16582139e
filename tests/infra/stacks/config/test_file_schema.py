"""The schema that editors complete from says what the types say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml
from jsonschema import Draft202012Validator

from infra.stacks.config import file_schema
from tests.infra.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = json.loads(file_schema.render())
FILES = sorted((ROOT / "tenants").glob("Pulumi.*.yaml"))
TENANTS = [file for file in FILES if file.name != "Pulumi.platform.yaml"]


def test_the_file_in_tenants_is_what_the_types_give() -> None:
    """`python -m infra tenants schema` writes it anew."""
    assert (ROOT / "tenants" / file_schema.FILE).read_text() == file_schema.render()
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("file", TENANTS, ids=lambda file: file.name)
def test_a_tenants_file_fits_and_a_slip_does_not(file: Path) -> None:
    """A key that is misspelt, a value of another form, and a missing one are each told."""
    document = yaml.safe_load(file.read_text())
    validator = Draft202012Validator(SCHEMA)
    assert not [*validator.iter_errors(document)]
    tenant = document["config"]["cedarfleet:tenant"]
    for wrong in (
        tenant | {"grups": {}},
        tenant | {"groups": {"No Blanks": "in names"}},
        tenant | {"artifact_days": "many"},
        {key: value for key, value in tenant.items() if key != "sign_in"},
    ):
        slip = {"config": {**document["config"], "cedarfleet:tenant": wrong}}
        assert [*validator.iter_errors(slip)]
