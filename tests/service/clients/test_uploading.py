"""An upload that is cut off, or whose program is killed, goes on with what is missing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet import ConflictError, NotFoundError, UnreachableError, UploadError
from cedarfleet.generated.api.default import begin_file, complete_file, read_file, sign_parts
from cedarfleet.generated.models import FileOut, PartsOut
from cedarfleet.steps import Call, Pause, Put
from cedarfleet.uploading import upload

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

PART = 4  # bytes
CONTENT = b"one.two.tri.and the rest"
API = "https://api.example.com"


class KilledError(Exception):
    """The program ends here, in the midst of it."""


@dataclass
class Bucket:
    """What the service and the bucket answer, and what they were sent.

    Attributes:
        cuts: connections that are cut before anything is stored.
        kills: after so many parts the program is no more.
        forgets: the program is no more as it is told that its upload has begun.
    """

    cuts: int = 0
    kills: int | None = None
    forgets: bool = False
    known: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    keys: dict[str, str] = field(default_factory=dict[str, str])
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict[str, dict[int, bytes]])
    puts: list[bytes] = field(default_factory=list[bytes])
    pauses: list[float] = field(default_factory=list[float])

    def take(self, steps: Generator[Any, Any, FileOut]) -> FileOut:
        """Take steps to their end."""
        outcome: Any = None
        failure: Exception | None = None
        while True:
            try:
                step = steps.send(outcome) if failure is None else steps.throw(failure)
            except StopIteration as end:
                return end.value
            outcome, failure = None, None
            try:
                outcome = self.outcome(step)
            except (ConflictError, NotFoundError, UnreachableError) as error:
                failure = error

    def outcome(self, step: Any) -> Any:
        """Of one step."""
        if isinstance(step, Pause):
            self.pauses.append(step.seconds)
            return None
        if isinstance(step, Put):
            return self.put(step)
        assert isinstance(step, Call)
        given = step.arguments
        if step.operation is begin_file:
            return self.begun(given["body"].to_dict(), given["idempotency_key"])
        if given["file_id"] not in self.known:
            raise NotFoundError(404, {"type": "urn:cedarfleet:problem:not-found"}, None)
        file = self.known[given["file_id"]]
        if step.operation is sign_parts:
            [part] = given["body"].parts
            url = f"{file['id']}/{part.number}"
            one = {"number": part.number, "url": url, "headers": {}}
            return PartsOut.from_dict({"parts": [one], "expires_at": "2026-11-30T06:00:00Z"})
        if step.operation is complete_file:
            if len(self.parts[file["id"]]) < file["parts"]:
                raise ConflictError(409, {"detail": "these parts have not come whole: 1"}, None)
            whole = b"".join(content for _, content in sorted(self.parts[file["id"]].items()))
            file["state"] = "available" if whole == CONTENT else "refused"
            return FileOut.from_dict(dict(file))
        assert step.operation is read_file
        return FileOut.from_dict(dict(file))

    def put(self, step: Put) -> int:
        """A part comes, or its connection is cut."""
        if self.cuts:
            self.cuts -= 1
            raise UnreachableError("nobody answers: ReadError")
        if self.kills is not None and len(self.puts) == self.kills:
            raise KilledError
        file_id, _, number = step.url.partition("/")
        self.parts[file_id][int(number)] = step.content
        self.puts.append(step.content)
        return 200

    def begun(self, body: dict[str, Any], key: str) -> FileOut:
        """A version that is to come, one for each key."""
        file_id = self.keys.setdefault(key, f"file-{len(self.keys)}")
        parts = -(-body["size"] // PART)
        made = {**body, "id": file_id, "state": "uploading", "parts": parts, "part_size": PART}
        unknown = dict.fromkeys(("sbom", "problem", "created_at", "changed_at"))
        self.known.setdefault(file_id, {"package": None, "created_by": "p", **unknown, **made})
        self.parts.setdefault(file_id, {})
        if self.forgets:
            raise KilledError
        return FileOut.from_dict(dict(self.known[file_id]))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Six parts."""
    made = tmp_path / "recipe.bin"
    made.write_bytes(CONTENT)
    return made


def uploaded(bucket: Bucket, file: Path, told: list[int] | None = None) -> FileOut:
    """The file, sent from a program with a journal."""
    told = [] if told is None else told
    return bucket.take(
        upload(
            file,
            "recipes/recipe.bin",
            package=None,
            seconds=1,
            progress=lambda sent, _: told.append(sent),
            journals=file.parent / "journals",
            api=API,
        )
    )


def journals(file: Path) -> list[Path]:
    """What is kept of uploads that were cut off."""
    return sorted((file.parent / "journals").glob("*"))


def test_a_killed_upload_sends_what_is_missing(file: Path) -> None:
    """Killed after each number of parts, it goes on: each part is sent once, the whole is right."""
    for number in range(6):
        bucket = Bucket(kills=number)
        with pytest.raises(KilledError):
            uploaded(bucket, file)
        [journal] = journals(file)
        assert "http" not in journal.read_text(), "no URL and no token"
        bucket.kills = None
        told: list[int] = []
        assert uploaded(bucket, file, told).state == "available"
        assert b"".join(bucket.puts) == CONTENT
        assert told == [PART * sent for sent in range(number, 7)]
        assert (len(bucket.keys), journals(file)) == (1, [])


def test_an_upload_is_begun_once(file: Path) -> None:
    """Killed before it knows the id, the next run begins the same one again, by its key."""
    bucket = Bucket(forgets=True)
    with pytest.raises(KilledError):
        uploaded(bucket, file)
    bucket.forgets = False
    assert uploaded(bucket, file).id == "file-0"
    assert len(bucket.keys) == 1


def test_a_cut_connection_sends_its_part_again(file: Path) -> None:
    """After pauses that grow; a part is sent once more, and no other."""
    bucket = Bucket(cuts=3)
    assert uploaded(bucket, file).state == "available"
    assert b"".join(bucket.puts) == CONTENT
    assert bucket.pauses == [1.0, 2.0, 4.0]


def test_nobody_answers_for_good(file: Path) -> None:
    """Half a minute later it is told; the journal stays, and another run goes on."""
    bucket = Bucket(cuts=6)
    with pytest.raises(UnreachableError):
        uploaded(bucket, file)
    assert sum(bucket.pauses) == 31.0
    assert uploaded(bucket, file).state == "available"
    assert len(bucket.keys) == 1


def test_another_content_is_another_upload(file: Path) -> None:
    """What was sent of a file that has changed counts for nothing."""
    bucket = Bucket(kills=3)
    with pytest.raises(KilledError):
        uploaded(bucket, file)
    file.write_bytes(CONTENT[::-1])
    bucket.kills = None
    with pytest.raises(UploadError, match="refused"):
        uploaded(bucket, file)  # this bucket knows one content as right
    assert bucket.parts["file-1"] != bucket.parts["file-0"]
    assert b"".join(bucket.puts[3:]) == CONTENT[::-1]


def test_an_upload_that_is_gone_begins_anew(file: Path) -> None:
    """Dropped after seven days, refused, of another tenant, or in a journal that is no JSON."""
    for spoil in ("gone", "refused", "journal", "form"):
        bucket = Bucket(kills=2)
        with pytest.raises(KilledError):
            uploaded(bucket, file)
        [journal] = journals(file)
        if spoil == "gone":
            del bucket.known["file-0"]
        elif spoil == "refused":
            bucket.known["file-0"]["state"] = "refused"
        else:
            journal.write_text("no JSON" if spoil == "journal" else json.dumps([1]))
        bucket.kills = None
        bucket.puts.clear()
        assert uploaded(bucket, file).id == "file-1", spoil
        assert b"".join(bucket.puts) == CONTENT, "all of it"


def test_a_journal_that_is_wrong_costs_one_run(file: Path) -> None:
    """Parts that it has and the bucket has not: that run is told no, and the next sends all."""
    bucket = Bucket(kills=2)
    with pytest.raises(KilledError):
        uploaded(bucket, file)
    bucket.kills = None
    bucket.parts["file-0"].clear()
    with pytest.raises(UploadError, match="have not come"):
        uploaded(bucket, file)
    assert journals(file) == []
    assert uploaded(bucket, file).state == "available"
