"""An export of the audit trail proves itself, and whoever tampers with it is found out."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from service.adapters.memory.audit import MemoryAuditSigner
from service.domain.audit_chain import Checkpoint, Link
from service.domain.audit_entries import Entry, canonical
from service.domain.audit_verification import UNSIGNED_MS, Verification
from service.verify_audit import main
from tests.service.audited import AuditedTenant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from service.adapters.memory.user_pool import MemoryUserPool
    from service.domain.audit_verification import Verified

Lines = list[dict[str, Any]]
ENTRIES_OF_A_LINK = 4


def grown(tenant: Any, links: int) -> AuditedTenant:
    """A trail of links with four entries each; every second link is signed."""
    audited = AuditedTenant(tenant=tenant)
    for number in range(links):
        audited.write(ENTRIES_OF_A_LINK)
        audited.now += timedelta(seconds=10 if number % 2 else 70)
        audited.link()
    return audited


@pytest.fixture(scope="module")
def audited(pools: tuple[MemoryUserPool, MemoryUserPool]) -> AuditedTenant:
    """Acme's trail: six links, of which 1, 3, 5 are signed, and the sixth by a look of its own."""
    acme = grown(pools[0].tenant, 6)
    acme.now += timedelta(seconds=70)
    acme.link()
    assert sorted(acme.chain.signed["acme"]) == [1, 3, 5, 6]
    return acme


@pytest.fixture(scope="module")
def globex(pools: tuple[MemoryUserPool, MemoryUserPool], audited: AuditedTenant) -> AuditedTenant:
    """Globex's trail, signed by the same key."""
    other = AuditedTenant(tenant=pools[1].tenant, signer=audited.signer)
    other.write(ENTRIES_OF_A_LINK)
    other.link()
    return other


def lines_of(audited: AuditedTenant) -> Lines:
    """An export, read."""
    return [json.loads(line) for line in audited.export()]


def found(audited: AuditedTenant, lines: Lines, **noted: Any) -> Verified:
    """What a check says that knows the key."""
    texts = [canonical(line) + "\n" for line in lines]
    return Verification(trusted={audited.fingerprint}, **noted).verify([texts])


def places(lines: Lines, kind: str) -> list[int]:
    """Where lines of a kind stand."""
    return [place for place, line in enumerate(lines) if line["line"] == kind]


def counted(lines: Lines) -> Lines:
    """The lines with an end that counts them, as a careful hand would write it."""
    end = lines[-1]
    assert end["line"] == "end"
    end["body"] |= {
        "entries": len(places(lines, "entry")),
        "links": len(places(lines, "link")),
    }
    return lines


def chained_anew(lines: Lines, tenant: str = "acme") -> Lines:
    """The lines with links that agree with the entries again, as a skilled hand would make them."""
    made: Lines = []
    head: Link | None = None
    waiting: list[Entry] = []
    for line in lines:
        body = line["body"]
        if line["line"] == "entry":
            waiting.append(Entry.of(body))
        elif line["line"] == "link":
            head = Link.after(
                head,
                tuple((one.entry_id, one.digest) for one in waiting),
                tenant=tenant,
                made_at=body["made_at"],
                settled=body["settled"],
            )
            waiting.clear()
            made.append({"line": "link", "body": head.document})
            continue
        elif line["line"] == "checkpoint" and head is not None:
            body = body | {"link": head.hash, "total": head.total, "number": head.number}
        made.append({"line": line["line"], "body": body})
    return counted(made)


def dropped(lines: Lines) -> Lines:
    """An entry is taken out."""
    del lines[places(lines, "entry")[5]]
    return counted(lines)


def reordered(lines: Lines) -> Lines:
    """Two entries of a link change their places."""
    first, second = places(lines, "entry")[4:6]
    lines[first], lines[second] = lines[second], lines[first]
    return lines


def changed(lines: Lines) -> Lines:
    """Another decision."""
    lines[places(lines, "entry")[5]]["body"]["decision"] = "DENY"
    return lines


def inserted(lines: Lines) -> Lines:
    """An entry that nobody made, in a link that is made to hold it."""
    place = places(lines, "entry")[5]
    added = json.loads(json.dumps(lines[place]))
    added["body"]["id"] = "7" + added["body"]["id"][1:]
    return chained_anew([*lines[:place], added, *lines[place:]])


def cut_off(lines: Lines) -> Lines:
    """The last lines are lost."""
    return lines[:-3]


def swapped(lines: Lines) -> Lines:
    """The whole is given out as another tenant's."""
    text = json.dumps(lines).replace('"acme"', '"globex"')
    return chained_anew(json.loads(text), "globex")


def forged(lines: Lines) -> Lines:
    """A checkpoint says another link, under the signature that it had."""
    place = places(lines, "checkpoint")[1]
    link = next(line for line in lines[:place][::-1] if line["line"] == "link")["body"]
    lines[place]["body"] |= {"total": link["total"] + 1}
    return lines


def duplicated(lines: Lines) -> Lines:
    """An entry stands twice, and its link says so."""
    place = places(lines, "entry")[5]
    return chained_anew([*lines[:place], lines[place], *lines[place:]])


def cut_between(lines: Lines) -> Lines:
    """A link between two checkpoints is taken out with its entries."""
    second, third = places(lines, "link")[1:3]
    begin = places(lines, "checkpoint")[0] + 1
    assert begin < second < third
    return counted([*lines[:begin], *lines[second + 1 :]])


def with_another_key(lines: Lines) -> Lines:
    """All is made anew and signed by a key of the forger's own."""
    lines[places(lines, "entry")[5]]["body"]["decision"] = "DENY"
    made, signer = chained_anew(lines), MemoryAuditSigner()
    link: Link | None = None
    for line in made:
        if line["line"] == "link":
            link = Link.read(canonical(line["body"]))
        if line["line"] == "checkpoint" and link is not None:
            message = Checkpoint.message(link, at=line["body"]["at"])
            key, signature = asyncio.run(signer.public_key()), asyncio.run(signer.sign(message))
            line["body"] |= {
                "key": base64.b64encode(key).decode(),
                "signature": base64.b64encode(signature).decode(),
            }
    return made


def rewritten(lines: Lines) -> Lines:
    """An entry of a link that nobody signed is changed, and that link agrees with it again.

    Nothing else shows it: what follows says the hash of the link as it was.
    """
    entry = lines[places(lines, "entry")[5]]["body"]
    entry["decision"] = "DENY"
    link = lines[places(lines, "link")[1]]["body"]
    link["entries"][1] = [entry["id"], Entry.of(entry).digest]
    return lines


def slipped_in(lines: Lines) -> Lines:
    """An entry that nobody made stands before a link, which does not name it."""
    place = places(lines, "entry")[5]
    added = json.loads(json.dumps(lines[place]))
    added["body"]["id"] = "7" + added["body"]["id"][1:]
    return counted([*lines[:place], added, *lines[place:]])


def left_over(lines: Lines) -> Lines:
    """An entry that nobody made stands behind the last link."""
    added = json.loads(json.dumps(lines[places(lines, "entry")[5]]))
    added["body"]["id"] = "7" + added["body"]["id"][1:]
    return counted([*lines[:-1], added, lines[-1]])


def ended_twice(lines: Lines) -> Lines:
    """Something stands behind its end."""
    return [*lines, lines[-1]]


def begun_twice(lines: Lines) -> Lines:
    """It begins once more in its midst."""
    place = places(lines, "link")[2]
    return [*lines[: place + 1], lines[0], *lines[place + 1 :]]


def annotated(lines: Lines) -> Lines:
    """A line of a kind that nobody knows."""
    return [lines[0], {"line": "note", "body": {}}, *lines[1:]]


TAMPERS: tuple[tuple[Callable[[Lines], Lines], str], ...] = (
    (dropped, "is missing"),
    (reordered, "are not in its order"),
    (changed, "was changed"),
    (inserted, "is not good|is not of the link"),
    (cut_off, "it is cut off"),
    (swapped, "is not good"),
    (forged, "the signature of checkpoint 3 is not good"),
    (with_another_key, "is signed by another key"),
    (duplicated, "stands twice"),
    (cut_between, "stands where 2 should"),
    (rewritten, "link 3 does not follow the one before it"),
    (slipped_in, "is none of link 2"),
    (left_over, "1 entries behind the last link are of no link"),
    (ended_twice, "there is something behind its end"),
    (begun_twice, "an export begins with one line `export`"),
    (annotated, "an export has no such line"),
)

SPOILT: dict[str, tuple[int, dict[str, Any], str]] = {
    "a beginning of its own": (1, {"previous": "1" * 64}, "does not follow"),
    "behind another link": (4, {"previous": "1" * 64}, "does not follow"),
    "a number left out": (4, {"number": 5}, "stands where 4 should"),
    "a number twice": (4, {"number": 3}, "stands where 4 should"),
    "a total too high": (4, {"total": 17}, "counts its entries wrongly"),
    "a total too low": (4, {"total": 15}, "counts its entries wrongly"),
    "of another tenant": (4, {"tenant": "globex"}, "of another tenant"),
}
"""Name -> number of the link that is wrong, its members, and what is said of it."""


def spoilt(audited: AuditedTenant, name: str) -> Lines:
    """The export as it would be if the worker itself made a link wrong, and signed it."""
    number, members, _ = SPOILT[name]
    head: Link | None = None
    made: Lines = []
    for line in lines_of(audited):
        body = line["body"]
        if line["line"] == "link":
            body["previous"] = head.hash if head else body["previous"]
            body |= members if body["number"] == number else {}
            head = Link.read(canonical(body))
        elif line["line"] == "checkpoint" and head is not None:
            message = Checkpoint.message(head, at=body["at"])
            signature = asyncio.run(audited.signer.sign(message))
            body |= {name: getattr(head, name) for name in ("tenant", "number", "total")}
            body |= {"link": head.hash, "signature": base64.b64encode(signature).decode()}
        made.append(line)
    return made


def test_an_export_proves_itself(audited: AuditedTenant) -> None:
    """Every entry in it, up to the last signature; nothing speaks against it."""
    verified = found(audited, lines_of(audited))
    assert verified.problems == []
    assert (verified.entries, verified.first, verified.last) == (24, 1, 6)
    assert (verified.signed, verified.unsigned, verified.tenant) == (6, 0, "acme")


@pytest.mark.parametrize(
    ("tamper", "said"), TAMPERS, ids=[tamper.__name__ for tamper, _ in TAMPERS]
)
def test_a_tampered_export_is_refused(
    audited: AuditedTenant, tamper: Callable[[Lines], Lines], said: str
) -> None:
    """Each of sixteen ways is seen, and named."""
    lines = lines_of(audited)
    verified = found(audited, tamper(lines))
    problems = "\n".join(verified.problems)
    assert any(one in problems for one in said.split("|")), problems


def test_a_changed_entry_is_named_alone(audited: AuditedTenant) -> None:
    """One word for one fault: nothing is said of an order that is as it was."""
    problems = found(audited, changed(lines_of(audited))).problems
    assert [one.partition(" of link 2 ")[2] for one in problems] == ["was changed"]


@pytest.mark.parametrize("name", SPOILT)
def test_a_link_made_wrong_is_seen_though_signed(audited: AuditedTenant, name: str) -> None:
    """The right key over a wrong link proves nothing: each of its members is counted anew."""
    said = "\n".join(found(audited, spoilt(audited, name)).problems)
    assert SPOILT[name][2] in said, said
    assert "signature" not in said, "it is signed well: the link alone shows it"


def test_a_shorter_export_misses_a_head_that_was_noted(
    audited: AuditedTenant,
) -> None:
    """Cut back to an earlier checkpoint it is an older export: only who noted more can tell."""
    lines = lines_of(audited)
    cut = counted([*lines[: places(lines, "checkpoint")[1] + 1], lines[-1]])
    assert found(audited, cut).problems == []
    head = audited.chain.links["acme"][5]
    noted = {6: head.hash}
    assert found(audited, cut, heads=noted).problems == ["link 6, which was noted, is not in it"]
    assert found(audited, lines_of(audited), heads=noted).problems == []
    other = found(audited, lines_of(audited), heads={6: "0" * 64})
    assert "is not the one that was noted" in other.problems[0]


def test_entries_of_another_tenant_are_none_of_this_one(
    audited: AuditedTenant, globex: AuditedTenant
) -> None:
    """A link of another tenant with its good signature, put behind one's own, is seen."""
    lines, others = lines_of(audited), lines_of(globex)
    verified = found(audited, counted([*lines[:-1], *others[1:-1], lines[-1]]))
    assert any("of another tenant" in one for one in verified.problems)


def test_an_open_tail_is_named_and_may_not_be_old(audited: AuditedTenant) -> None:
    """Entries of links behind the last signature are counted; soon they must be signed."""
    lines = lines_of(audited)
    unsigned = [
        line for line in lines if line["body"].get("number") != 6 or "link" not in line["body"]
    ]
    verified = found(audited, unsigned)
    assert (verified.problems, verified.signed, verified.unsigned) == ([], 5, ENTRIES_OF_A_LINK)
    made_at = lines[places(lines, "link")[-1]]["body"]["made_at"]
    unsigned[-1]["body"]["at"] = made_at + UNSIGNED_MS
    assert found(audited, unsigned).problems == []
    unsigned[-1]["body"]["at"] += 1
    [problem] = found(audited, unsigned).problems
    assert problem.startswith("links 6 to 6 are not signed, and were made")
    # What is signed to its end may be of any age.
    lines[-1]["body"]["at"] += 1000 * UNSIGNED_MS
    assert found(audited, lines).problems == []
    none = [line for line in lines if line["line"] != "checkpoint"]
    assert found(audited, none).problems == ["nothing in it is signed"]


def test_exports_that_follow_one_another_are_checked_as_one(audited: AuditedTenant) -> None:
    """The second begins where the first ends; in the other order they do not follow."""
    whole = audited.export()
    place = [place for place, line in enumerate(whole) if '"line":"checkpoint"' in line][1]
    end = json.loads(whole[-1])
    first = [json.loads(line) for line in whole[: place + 1]]
    parts = [
        [canonical(line) + "\n" for line in counted([*first, end])],
        audited.export(first=4),
    ]
    check = Verification(trusted={audited.fingerprint})
    assert (check.verify(parts).problems, check.verify([]).entries) == ([], 24)
    assert Verification(trusted={audited.fingerprint}).verify(parts[::-1]).problems
    begins = json.loads(parts[1][0])
    begins["body"]["tenant"] = "globex"
    check = Verification(trusted={audited.fingerprint})
    other = [canonical(begins) + "\n", *parts[1][1:]]
    [problem] = check.verify([parts[0], other]).problems
    assert problem == "line 1: it is of `globex`, and not of `acme`"


def test_what_is_wrong_with_one_export_is_said_of_it_alone(audited: AuditedTenant) -> None:
    """An entry that no link of its export holds is none of the export that follows."""
    whole = audited.export()
    first = [json.loads(line) for line in whole]
    last_link = places(first, "link")[2]
    again = first[places(first, "entry")[0]]
    part = counted([*first[: last_link + 1], again, first[-1]])
    check = Verification(trusted={audited.fingerprint})
    problems = check.verify(
        [[canonical(line) + "\n" for line in part], audited.export(first=4)]
    ).problems
    assert len([one for one in problems if "of no link" in one]) == 1
    assert not [one for one in problems if "link 4" in one]


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{", '{"line":"export"}', '{"line":"new","body":{}}', '{"line": "export"}'],
)
def test_what_is_no_export_is_refused(text: str) -> None:
    """Whatever it is, it is said and never raised; nothing of it is repeated."""
    assert Verification().verify([[text]]).problems


@pytest.mark.parametrize("member", ["previous", "number", "total", "entries", "made_at", "tenant"])
def test_each_member_of_a_link_is_held(audited: AuditedTenant, member: str) -> None:
    """A change of any of them is seen, also in the last link."""
    lines = lines_of(audited)
    body = lines[places(lines, "link")[-1]]["body"]
    body[member] = {"previous": "1" * 64, "entries": [], "tenant": "globex"}.get(member, 7)
    assert found(audited, lines).problems


def test_a_line_that_is_none_is_said_by_its_kind(audited: AuditedTenant) -> None:
    """Of a link what is wrong with it; of an entry nothing that stands in it."""
    lines = lines_of(audited)
    lines[places(lines, "link")[0]]["body"]["version"] = 2
    assert "no link of this version and spelling" in "\n".join(found(audited, lines).problems)
    lines = lines_of(audited)
    place = places(lines, "entry")[0]
    lines[place]["body"] = {"secret": "x"}
    problems = found(audited, lines).problems
    assert f"line {place + 1}: it is of no form" in problems
    assert "secret" not in "".join(problems)


def run(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """What the command says."""
    code = main(arguments)
    told = capsys.readouterr()
    return code, told.out + told.err


def test_the_command_says_what_it_found(
    audited: AuditedTenant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 with what is proven and by which key, 1 with what is wrong, 2 where nothing was checked."""
    file = tmp_path / "acme.jsonl"
    file.write_text("".join(audited.export()), encoding="utf-8")
    key, head = audited.fingerprint, audited.chain.links["acme"][2]
    noted = ["--key", key, "--head", f"3:{head.hash}"]
    code, told = run([str(file), *noted], capsys)
    assert (code, "verified: 24 entries of `acme`" in told, f"key: {key}" in told) == (
        0,
        True,
        True,
    )
    assert "was not checked" in run([str(file)], capsys)[1]
    code, told = run([str(file), "--key", "0" * 64], capsys)
    assert (code, "signed by another key" in told) == (1, True)
    assert run([str(tmp_path / "nothing.jsonl")], capsys)[0] == 2
    for wrong in (["--key", "short"], ["--head", "3"], ["--head", f"x:{head.hash}"]):
        with pytest.raises(SystemExit):
            main([str(file), *wrong])
    capsys.readouterr()


def test_a_signature_counts_by_its_curve_and_key_alone(audited: AuditedTenant) -> None:
    """A key of another kind, or a signature that is none, is never good."""
    good = audited.chain.signed["acme"][1]
    assert good.is_signed
    for wrong in (
        replace(good, at=good.at + 1),
        replace(good, signature="AAAA"),
        replace(good, signature="no base64"),
        replace(good, key="AAAA"),
    ):
        assert not wrong.is_signed
