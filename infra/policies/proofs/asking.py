"""Puts questions about policies to the prover, if it was built."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from infra.policies.proofs.written_out import Written

PROVER: Final = ("infra", "policies", "prover")
"""Its folder in a checkout."""
TARGET: Final = Path(".prover")
"""What is made of it, in a checkout; in no commit, and not among our sources, which tests read."""
PROGRAM: Final = TARGET / "release" / "cedarfleet-prover"
SOLVER: Final = TARGET / "cvc5"
NOT_BUILT: Final = TARGET / "not-built.txt"
"""Why the last build came to nothing, in a line."""
_SECONDS: Final = 1200.0


class NotProvedError(Exception):
    """The prover is not there, or did not answer: nothing is proved."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """Something that is to hold of every request.

    Attributes:
        kind: ``implies``: whatever ``left`` allows, ``right`` allows; ``never_errors`` and
            ``never_matches`` are of the one policy of ``left``.
        left: name of a set.
        right: likewise.
        until_refuted: whether one kind of request that refutes it is all that is wanted.
    """

    id: str
    kind: Literal["implies", "never_errors", "never_matches"]
    left: str
    right: str = ""
    until_refuted: bool = False

    def json(self) -> dict[str, Any]:
        """As the prover reads it."""
        sets = (
            {"left": self.left, "right": self.right}
            if self.kind == "implies"
            else {"set": self.left}
        )
        return {"id": self.id, "kind": self.kind, "until_refuted": self.until_refuted, **sets}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was found of a question for one action and type of resource.

    Attributes:
        request: one of which it does not hold, with ``entities``, in Cedar's JSON forms; ``None``:
            it is proved.
    """

    id: str
    action: str
    resource: str
    request: Mapping[str, Any] | None


@dataclass(kw_only=True)
class Document:
    """Questions with the sets that they speak of.

    Attributes:
        schema: in Cedar's JSON form.
    """

    schema: Mapping[str, Any]
    sets: dict[str, Written] = field(default_factory=dict[str, "Written"])
    questions: list[Question] = field(default_factory=list[Question])

    def json(self) -> dict[str, Any]:
        """As the prover reads it."""
        return {
            "schema": self.schema,
            "sets": {
                name: {"staticPolicies": policies, "templates": {}, "templateLinks": []}
                for name, policies in self.sets.items()
            },
            "questions": [one.json() for one in self.questions],
        }


class Prover(Protocol):
    """Whatever answers."""

    def ask(self, document: Document) -> Sequence[Answer]:
        """One answer for each question and each kind of request, until it is refuted.

        Raises:
            NotProvedError: there is no answer.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class BuiltProver:
    """The program that ``make prove`` built.

    Attributes:
        program: its path.
        environment: of its process, with the solver.
    """

    program: Path
    environment: Mapping[str, str]

    def ask(self, document: Document) -> Sequence[Answer]:
        """See ``Prover``."""
        asked = json.dumps(document.json(), sort_keys=True)
        # What was proved once of the same policies, by the same program, is so for good.
        digest = hashlib.sha256(self.program.read_bytes() + asked.encode()).hexdigest()
        kept = self.program.parent.parent / "answered" / f"{digest}.jsonl"
        if kept.is_file():
            return answers_of(document, kept.read_text(encoding="utf-8").splitlines())
        try:
            done = subprocess.run(  # noqa: S603 - our own program
                [self.program],
                input=asked,
                env=dict(self.environment),
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotProvedError(f"the prover did not answer: {error}") from error
        if done.returncode != 0:
            raise NotProvedError(f"the prover failed: {done.stderr.strip()[-500:]}")
        answers = answers_of(document, done.stdout.splitlines())
        kept.parent.mkdir(exist_ok=True)
        _write_whole(kept, done.stdout)
        return answers


@dataclass(frozen=True)
class NoProver:
    """Says why nothing is proved."""

    why: str

    def ask(self, document: Document) -> Sequence[Answer]:  # noqa: ARG002 - the protocol's
        """Raise: there is no answer."""
        raise NotProvedError(self.why)


def prover_of(root: Path) -> Prover:
    """The prover of this checkout, or one that says why there is none."""
    try:
        return find_prover(root)
    except NotProvedError as error:
        return NoProver(str(error))


def answers_of(document: Document, lines: Iterable[str]) -> list[Answer]:
    """What the prover wrote.

    Raises:
        NotProvedError: a question has fewer answers than there are kinds of requests, and none that
            refutes it; or the last line is missing.
    """
    *told, last = [json.loads(line) for line in lines] or [{}]
    # Fail closed: what was cut off, or passed over, proves nothing.
    if not last.get("done"):
        raise NotProvedError("the prover ended before its last word")
    answers = [
        Answer(
            id=one["id"],
            action=one["action"],
            resource=one["resource"],
            request=one["request"] if one["outcome"] == "refuted" else None,
        )
        for one in told
        if one["outcome"] == "proved" or one["request"] is not None
    ]
    for question in document.questions:
        found = [one for one in answers if one.id == question.id]
        settled = question.until_refuted and any(one.request is not None for one in found)
        if not settled and len(found) != last["environments"]:
            raise NotProvedError(f"`{question.id}` was not answered for each kind of request")
    return answers


def _write_whole(path: Path, text: str) -> None:
    beside = path.with_suffix(f".{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def find_prover(root: Path, environment: Mapping[str, str] = os.environ) -> BuiltProver:
    """The prover of this checkout, with cvc5 of the path or the bindings that were put beside it.

    Raises:
        NotProvedError: it was not built, or there is no solver.
    """
    program = root / PROGRAM
    if not program.is_file():
        raise NotProvedError(f"the prover is not built: {_why(root)}")
    if solver := environment.get("CVC5") or shutil.which("cvc5", path=environment.get("PATH")):
        return BuiltProver(program=program, environment={**environment, "CVC5": solver})
    bindings = root / SOLVER
    if not bindings.is_dir():
        raise NotProvedError(f"the solver cvc5 is not there: {_why(root)}")
    return BuiltProver(
        program=program,
        environment={
            **environment,
            "CVC5": str(root.joinpath(*PROVER, "cvc5")),
            "PYTHONPATH": str(bindings),
            # The interpreter whose bindings they are stands first under its common name.
            "PATH": os.pathsep.join(
                [str(Path(sys.executable).parent), environment.get("PATH", "")]
            ),
        },
    )


def _why(root: Path) -> str:
    try:
        return (root / NOT_BUILT).read_text(encoding="utf-8").strip()
    except OSError:
        return "`make prove` does that, where cargo is"
