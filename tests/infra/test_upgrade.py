"""What a release stamped stays: the program of today replaces and deletes none of it."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any, Final

import pytest

from infra.local.engine import Op
from infra.policies import load
from infra.stacks.config.tenants import of_tenant
from service.cedar.binding import bind
from service.cedar.statement import statement_est
from tests.infra.conftest import ROOT, Project, copy_project
from tests.infra.releases.record import RELEASES, STACKS

if TYPE_CHECKING:
    from pathlib import Path

RECORDED: Final = sorted(
    folder.name for folder in RELEASES.iterdir() if (folder / "platform.json").exists()
)

_CLAIM: Final = "a device comes in by the service and a code of its own (ADR 0019)"
_CANCEL: Final = (
    "who brings firmware to a zone may cancel it too; what changed is a new one beside the old"
)
_WORDS: Final = (
    "@when and @unless say its conditions in words now, which `test_words_alone_are_new` holds; in "
    "place AWS changes actions and conditions alone (Verified Permissions API reference, "
    "UpdateStaticPolicyDefinition)"
)
_LINE: Final = "a line is no thing group any more: which devices are in it is a fact of theirs"
_WORDED: Final = {
    "acme": ("quality-inspectors-see-presses",),
    "globex": ("infusion-firmware-by-managers", "operators-own-region"),
}
_WORDED_OF_ALL: Final = (
    "emergency-needs-reason",
    "emergency-responders-act",
    "emergency-responders-view",
    "firmware-in-maintenance-window",
    "firmware-is-no-file",
    "firmware-to-groups-member-by-member",
    "firmware-when-patch-is-old",
    "it-staff-no-operation",
    "machines-operate",
    "machines-update",
    "machines-view",
    "operations-managers-change-nothing",
    "operators-view-only",
    "process-engineers-no-maintenance",
    "tenant-guard",
    "tenant-guard-artifact",
)
# (release, stack, operation, logical name) -> why the program of today may do it to what the
# release stamped
MEANT: Final[dict[tuple[str, str, str, str], str]] = {
    ("0.1.0", "platform", "replace", "api-task"): (
        "a task definition is a new revision with each change; the service rolls over to it"
    ),
    ("0.1.0", "platform", "delete", "fleet-index"): (
        "nothing reads the fleet index any more; AWS keeps the account's setting, and "
        "docs/operations.md says how to switch it off"
    ),
    **{
        ("0.1.0", tenant, "delete", name): _CLAIM
        for tenant in ("acme", "globex")
        for name in ("fleet-claim", "fleet-provisioning")
    },
    **{
        ("0.1.0", tenant, "delete", f"fleet-{line}"): _LINE
        for tenant, lines in {
            "acme": ("line-press", "line-pump", "zone-hall-1"),
            "globex": ("ward-3", "ward-5"),
        }.items()
        for line in lines
    },
    **{
        ("0.1.0", tenant, "replace", f"policies-{policy}"): _CANCEL
        for tenant, link in {"acme": "firmware-hall-1", "globex": "firmware-ward-5"}.items()
        for policy in ("template-firmware-for-zone", f"link-{link}")
    },
    **{
        ("0.1.0", tenant, "replace", f"policies-policy-{policy}"): _WORDS
        for tenant, own in _WORDED.items()
        for policy in (*_WORDED_OF_ALL, *own)
    },
    ("0.1.0", "acme", "replace", "policies-template-certified-for-line"): _WORDS,
    ("0.1.0", "acme", "replace", "policies-link-technicians-line-press"): (
        "a link names its template, which is a new one beside the old"
    ),
}


@pytest.fixture(params=RECORDED)
def upgraded(
    request: pytest.FixtureRequest, project: Project, tmp_path: Path
) -> tuple[str, Project]:
    """A release, and the program of today over the state that it left."""
    release: str = request.param
    made = Project(copy_project(tmp_path), project.cloud)
    folder = made.root / "state" / "stacks" / "cedarfleet"
    folder.mkdir(parents=True)
    shutil.copyfile(RELEASES / release / "passphrase.json", made.root / "state" / "passphrase.json")
    for stack in STACKS:
        shutil.copyfile(RELEASES / release / f"{stack}.json", folder / f"{stack}.json")
    return release, made


def test_an_upgrade_replaces_nothing(upgraded: tuple[str, Project]) -> None:
    """Types, names and parents stay: what is replaced or deleted is meant, with a reason."""
    release, project = upgraded
    lost: set[tuple[str, str, str, str]] = set()
    for stack in STACKS:
        result = project.engine.preview(stack)
        assert result.same > 30, "the recorded state was not read"
        lost |= {
            (release, stack, str(change.op), change.urn.rpartition("::")[2])
            for change in result.changes
            if change.op in (Op.REPLACE, Op.DELETE)
        }
    assert lost == {key for key in MEANT if key[0] == release}


@pytest.mark.parametrize("tenant", ["acme", "globex"])
def test_words_alone_are_new(tenant: str) -> None:
    """Policies replaced for their words decide by the same conditions as the release's."""
    meant = {name for (_, stack, _, name), why in MEANT.items() if (stack, why) == (tenant, _WORDS)}
    state = json.loads((RELEASES / "0.1.0" / f"{tenant}.json").read_text())
    recorded = {
        one["urn"].rpartition("::")[2]: one.get("inputs", {})
        for one in state["deployment"]["resources"]
    }
    pool = recorded["identity-managers"]["userPoolId"]
    bundle = load(ROOT / "policies", of_tenant(ROOT, tenant))
    today = {f"policies-policy-{one.id}": one.statement for one in bundle.static} | {
        f"policies-template-{one.id}": one.statement for one in bundle.templates
    }
    other = {
        name
        for name in meant
        if _without_words(bind(today[name], tenant=tenant, pool_id=pool))
        != _without_words(_statement(recorded[name]))
    }
    assert len(meant) > 15
    assert other == set()


def _statement(inputs: dict[str, Any]) -> str:
    return inputs.get("statement") or inputs["definition"]["static"]["statement"]


def _without_words(statement: str) -> dict[str, Any]:
    est = statement_est(statement)
    kept = {
        name: value
        for name, value in est.get("annotations", {}).items()
        if name not in {"when", "unless"}
    }
    return est | {"annotations": kept}


def test_a_lost_name_is_seen(upgraded: tuple[str, Project]) -> None:
    """A resource under another logical name is a deletion: the test above can fail."""
    _, project = upgraded
    file = project.root / "state" / "stacks" / "cedarfleet" / "platform.json"
    file.write_text(file.read_text().replace("::network-vpc", "::network-range"))
    changes = project.engine.preview("platform").changes
    ops = {change.urn.rpartition("::")[2]: change.op for change in changes}
    assert (ops["network-range"], ops["network-vpc"]) == (Op.DELETE, Op.CREATE)
