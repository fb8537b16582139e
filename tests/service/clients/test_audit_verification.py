"""The tenant's own check of an export finds what the service's check finds, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet.audit_verification import TamperedError, Trail
from cedarfleet.command_line import main

from service.domain.audit_entries import canonical
from service.domain.audit_verification import Verification
from tests.service.domain.test_audit_verification import (
    SPOILT,
    TAMPERS,
    counted,
    grown,
    lines_of,
    places,
    spoilt,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from service.adapters.memory.user_pool import MemoryUserPool
    from tests.service.audited import AuditedTenant


WORDS = {
    "a beginning of its own": "does not follow the link before",
    "behind another link": "does not follow the link before",
    "a number left out": "a link is missing before it",
    "a number twice": "a link is missing before it",
    "a total too high": "counts its entries otherwise",
    "a total too low": "counts its entries otherwise",
    "of another tenant": "of another tenant",
}


@pytest.fixture(scope="module")
def audited(pools: tuple[MemoryUserPool, MemoryUserPool]) -> AuditedTenant:
    """Acme's trail: five links, of which the first, third and fifth are signed."""
    return grown(pools[0].tenant, 5)


def checked(lines: list[dict[str, Any]], **known: Any) -> Trail:
    """What the client finds."""
    trail = Trail(**known)
    trail.read([canonical(line) + "\n" for line in lines])
    trail.finish()
    return trail


def test_both_checks_find_the_same(audited: AuditedTenant) -> None:
    """Entries, head, key and what is not signed, of the same export."""
    found = checked(lines_of(audited), keys=frozenset({audited.fingerprint}))
    other = Verification(trusted={audited.fingerprint}).verify([audited.export()])
    assert other.problems == []
    assert (found.entries, found.last, found.head, found.unsigned, found.signers) == (
        other.entries,
        other.last,
        other.head,
        other.unsigned,
        other.keys,
    )


@pytest.mark.parametrize("tamper", [tamper for tamper, _ in TAMPERS], ids=lambda one: one.__name__)
def test_each_tampering_is_found(
    audited: AuditedTenant,
    tamper: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
) -> None:
    """Whatever the service's check finds, the client's does."""
    with pytest.raises(TamperedError):
        checked(tamper(lines_of(audited)), keys=frozenset({audited.fingerprint}))


@pytest.mark.parametrize("name", SPOILT)
def test_a_link_made_wrong_is_seen_though_signed(audited: AuditedTenant, name: str) -> None:
    """The right key over a wrong link proves nothing, for the tenant's check as well."""
    with pytest.raises(TamperedError, match=WORDS[name]):
        checked(spoilt(audited, name), keys=frozenset({audited.fingerprint}))


def test_each_member_of_link_and_checkpoint_counts(audited: AuditedTenant) -> None:
    """One that is changed, left out or added shows."""
    for kind in ("link", "checkpoint", "export", "end"):
        place = places(lines_of(audited), kind)[0]
        for member in [*lines_of(audited)[place]["body"], "another"]:
            if (kind, member) in {("export", "first"), ("end", "at"), ("end", "next")}:
                continue  # where the next export begins proves nothing
            lines = lines_of(audited)
            body = lines[place]["body"]
            if kind in {"export", "end"} and member == "another":
                continue  # said of the export, by whoever sends it: nothing rests on it
            body[member] = "x" if not isinstance(body.get(member), str) else body[member][:-1] + "!"
            with pytest.raises(TamperedError):
                checked(lines)


def test_a_head_that_was_noted_must_be_there(audited: AuditedTenant) -> None:
    """An older export, or another chain, lacks it."""
    head = checked(lines_of(audited)).head
    assert checked(lines_of(audited), heads={5: head}).last == 5
    for heads in ({5: "0" * 64}, {6: head}):
        with pytest.raises(TamperedError):
            checked(lines_of(audited), heads=heads)
    shorter = lines_of(audited)
    del shorter[places(shorter, "checkpoint")[1] + 1 : -1]
    with pytest.raises(TamperedError, match="noted"):
        checked(counted(shorter), heads={5: head})


def test_the_command_line_checks_a_file(
    audited: AuditedTenant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0 and the head to note, or 1 and where it shows."""
    file = tmp_path / "trail.jsonl"
    file.write_text("".join(audited.export()))
    with pytest.raises(SystemExit) as good:
        main(["audit", "verify", str(file), "--key", audited.fingerprint, "--json"], {})
    assert good.value.code == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["verified"], said["tenant"]) == (True, "acme")
    file.write_text(file.read_text().replace("ALLOW", "DENY_", 1))
    with pytest.raises(SystemExit) as bad:
        main(["audit", "verify", str(file)], {})
    assert bad.value.code == 1
    assert "NOT VERIFIED: line " in capsys.readouterr().out
