"""The reference fleet is one: what is varied in comparisons is what the cases ask about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.policies import PolicyError
from infra.policies.cases.personas import PERSONAS
from infra.policies.cases.reference_fleet import TENANT_ID, ReferenceFleet
from service.cedar.entities import DEVICE, GROUP
from tests.infra.policies.conftest import FLEET

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("device", ["press-07", "pump-03", "infusion-12"])
def test_device_is_that_of_the_file(device: str):
    """A device of the matrix, made of its parts, has the entities that the engine gets."""
    for entity in FLEET.device(device).entities(TENANT_ID):
        assert entity == FLEET.entities[entity.uid]


def test_every_device_and_person_is_in_the_matrix_or_a_case():
    """Each persona is a person of the file, with the groups that stand there as parents."""
    for persona in PERSONAS:
        bearer = persona.bearer(FLEET)
        (person,) = (one for one in FLEET.entities.values() if one.uid.id == persona.user)
        assert [uid.id for uid in person.parents if uid.type == GROUP] == list(bearer.groups)
    devices = {uid.id for uid in FLEET.entities if uid.type == DEVICE}
    assert devices <= set(FLEET.resources())


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("entities.json", "{", "policies/cases/entities.json: Expecting property name"),
        ("entities.json", "{}", "policies/cases/entities.json: the entities must be a list"),
        ("grants.yaml", "a: 1", "policies/cases/grants.yaml: must be a list of grants"),
        ("grants.yaml", "- name: x", "policies/cases/grants.yaml: "),
        ("grants.yaml", "- [", "policies/cases/grants.yaml: "),
        ("grants.yaml", None, "policies/cases/grants.yaml: "),
    ],
)
def test_malformed_fleet_is_refused(files: Path, file: str, text: str | None, words: str):
    """A file that is missing or says something else is one problem that names it."""
    path = files / "policies" / "cases" / file
    path.unlink()
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(PolicyError) as refused:
        ReferenceFleet.read(files / "policies")
    assert str(refused.value).startswith(words)
