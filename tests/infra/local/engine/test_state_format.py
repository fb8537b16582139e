"""The state on disk: Pulumi's deployment format, secrets encrypted, written by changes."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pulumi
import pytest

from infra.local.engine import StateError
from infra.local.engine.keyring import Crypter
from tests.infra.local.engine.folder_cloud import Box

if TYPE_CHECKING:
    from tests.infra.local.engine.conftest import StoreProject

_URN = {"type": "string", "pattern": "^urn:pulumi:[^:]+::[^:]+::.+::.+$"}
_URNS = {"type": "array", "items": _URN}
_RESOURCE: dict[str, Any] = {
    "type": "object",
    "required": ["urn", "custom", "type"],
    "additionalProperties": False,
    "properties": {
        "urn": _URN,
        "custom": {"type": "boolean"},
        "delete": {"type": "boolean"},
        "id": {"type": "string"},
        "type": {"type": "string"},
        "inputs": {"type": "object"},
        "outputs": {"type": "object"},
        "parent": _URN,
        "protect": {"type": "boolean"},
        "external": {"type": "boolean"},
        "dependencies": _URNS,
        "provider": {"type": "string", "pattern": "^urn:pulumi:.+::pulumi:providers:.+::.+::.+$"},
        "propertyDependencies": {"type": "object", "additionalProperties": _URNS},
        "additionalSecretOutputs": {"type": "array", "items": {"type": "string"}},
        "retainOnDelete": {"type": "boolean"},
        "deletedWith": _URN,
        "created": {"type": "string", "format": "date-time"},
        "modified": {"type": "string", "format": "date-time"},
    },
}
DEPLOYMENT: dict[str, Any] = {
    "type": "object",
    "required": ["version", "deployment"],
    "additionalProperties": False,
    "properties": {
        "version": {"const": 3},
        "deployment": {
            "type": "object",
            "required": ["manifest"],
            "additionalProperties": False,
            "properties": {
                "manifest": {
                    "type": "object",
                    "required": ["time", "magic", "version"],
                    "additionalProperties": False,
                    "properties": {key: {"type": "string"} for key in ("time", "magic", "version")},
                },
                "secrets_providers": {
                    "type": "object",
                    "required": ["type"],
                    "properties": {
                        "type": {"const": "passphrase"},
                        "state": {"required": ["salt"]},
                    },
                },
                "resources": {"type": "array", "items": _RESOURCE},
                "pending_operations": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["resource", "type"],
                        "properties": {
                            "resource": _RESOURCE,
                            "type": {
                                "enum": ["creating", "updating", "deleting", "reading", "importing"]
                            },
                        },
                    },
                },
            },
        },
    },
}
"""What this engine writes of Pulumi's schema (apitype: deployments, resources, version 3)."""


def deployment(store: StoreProject, stack: str = "dev") -> dict[str, Any]:
    """The state file of a stack."""
    return json.loads((store.root / "state" / "stacks" / "store" / f"{stack}.json").read_text())


def treasure() -> None:
    """A box with a secret going in, and one coming out."""
    box = Box(
        "box",
        pulumi.ResourceOptions(additional_secret_outputs=["key"]),
        name="box",
        code=pulumi.Output.secret("open sesame"),
    )
    Box("lid", pulumi.ResourceOptions(parent=box, protect=True), of=box.arn, copy=box.key)
    pulumi.export("key", box.key)
    pulumi.export("arn", box.arn)


def test_the_state_is_a_pulumi_deployment(store: StoreProject) -> None:
    """The file follows Pulumi's schema; each resource stands after what it depends on."""
    store(treasure).up("dev")
    document = deployment(store)
    jsonschema.validate(document, DEPLOYMENT)
    seen: set[str] = set()
    for resource in document["deployment"]["resources"]:
        needs = {resource.get("parent", ""), resource.get("provider", "").rpartition("::")[0]}
        assert needs | set(resource.get("dependencies", [])) <= seen | {""}
        seen.add(resource["urn"])
    assert len(seen) == 4
    (store.root / "boxes" / "refuse-third").touch()


def test_no_secret_is_on_disk_in_clear(store: StoreProject) -> None:
    """Secrets, and what is computed from them, are ciphertext in every file and never printed."""
    result = store(treasure).up("dev")
    assert result.outputs["key"] == "key-of-box"
    assert result.secret_outputs == {"key"}
    assert not any("key-of-box" in line for line in result.lines())
    assert "key-of-box" not in repr(result)
    files = [file for file in (store.root / "state").rglob("*") if file.is_file()]
    assert files
    for file in files:
        assert "sesame" not in file.read_text()
        assert "key-of-box" not in file.read_text()
    assert store.cloud.boxes()["box"]["code"] == "open sesame"
    assert store(treasure).up("dev").changes == ()
    assert store(treasure).outputs("dev").outputs["key"] == "key-of-box"


def test_the_key_is_for_the_owner_alone_and_is_missed(store: StoreProject) -> None:
    """Passphrase and state are 0600; without the right passphrase the state is refused."""
    store(treasure).up("dev")
    folder = store.root / "state"
    for name in ("passphrase.json", "stacks/store/dev.json"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    kept = (folder / "passphrase.json").read_text()
    (folder / "passphrase.json").write_text(
        json.dumps({**json.loads(kept), "passphrase": "another"})
    )
    with pytest.raises(StateError, match="wrong passphrase"):
        store(treasure).outputs("dev")
    (folder / "passphrase.json").unlink()
    with pytest.raises(StateError, match=r"passphrase\.json is missing"):
        store(treasure).up("dev")


def test_secrets_have_the_form_of_pulumis_passphrase_provider() -> None:
    """What is sealed opens with the salt state alone; a flipped bit is noticed."""
    crypter = Crypter("correct horse")
    version, _salt, check = crypter.salt_state.split(":", 2)
    assert version == "v1"
    assert Crypter("correct horse", crypter.salt_state).decrypt(check) == "pulumi"
    sealed = crypter.encrypt("text")
    with pytest.raises(StateError):
        crypter.decrypt(sealed[:-4] + ("AAA=" if not sealed.endswith("AAA=") else "BBB="))


def test_bytes_written_grow_with_the_number_of_resources(store: StoreProject) -> None:
    """Five times the resources write at most six times the bytes: a step appends."""

    def written(count: int) -> int:
        before = _bytes_written()
        store(lambda: [Box(f"box-{number}") for number in range(count)]).up(
            "dev" if count < 50 else "other"
        )
        return _bytes_written() - before

    small, large = written(20), written(100)
    assert 0 < large < 6 * small


def _bytes_written() -> int:
    """By this thread, which the engine runs in: another one may be an embedded cloud's."""
    lines = Path("/proc/thread-self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])
