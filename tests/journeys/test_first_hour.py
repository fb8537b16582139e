"""Every command of the first hour, and of a device's first minutes, against a real `make up`."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "first-hour.md"
README: Final = ROOT / "device_sdk" / "README.md"
_FIRST_MINUTES: Final = "## From nothing to a running handler\n"  # of the device's page
_FENCE: Final = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE: Final = re.compile(r"`([^`\n]+)`")
# What begins like this is a command, wherever it stands.
_COMMANDS: Final = ("make ", "python ", "cedarfleet-device ", "rm ", "cat ", ".venv/bin/")
_PATIENCE_SECONDS: Final = 240.0  # a loaded machine is slow, not wrong


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block of commands, with the output that the page shows below it.

    Attributes:
        line: of the page.
        page: where it stands.
        commands: for `sh`.
        terminal: name of the terminal of its own in which it goes on running; nothing for one that
            ends.
        after: name of the terminal that the reader ends before.
        refused: whether the page says that the last command is refused.
        shown: lines that must appear in the output; `...` stands for anything.
    """

    line: int
    page: str = PAGE.name
    commands: str
    terminal: str = ""
    after: str = ""
    refused: bool = False
    shown: tuple[str, ...] = ()

    def missing(self, output: str) -> list[str]:
        """The lines that the page shows and the output lacks."""
        patterns = {line: ".*".join(map(re.escape, line.split("..."))) for line in self.shown}
        return [line for line, pattern in patterns.items() if not re.search(pattern, output)]


def blocks(page: str) -> Iterator[Block]:
    """The commands in their order; a fence that is neither commands nor output is refused."""
    waiting: Block | None = None
    for fence in _FENCE.finditer(page):
        kind, *words = fence["info"].split()
        said = {name: value for name, _, value in (word.partition("=") for word in words)}
        assert said.keys() <= {"terminal", "after", "refused", "file"}, fence["info"]
        line = page[: fence.start()].count("\n") + 1
        if kind == "text":
            assert waiting is not None, f"line {line}: output of no command"
            yield replace(waiting, shown=tuple(fence["text"].splitlines()))
            waiting = None
            continue
        if waiting is not None:
            yield waiting
            waiting = None
        if kind == "python" and "file" in said:  # what the reader saves under that name
            saved = f"cat > {said['file']} <<'SAVED'\n{fence['text']}SAVED\n"
            yield Block(line=line, commands=saved)
            continue
        assert kind == "sh", f"line {line}: a fence `{kind}` is not run"
        waiting = Block(
            line=line,
            commands=fence["text"],
            terminal=said.get("terminal", ""),
            after=said.get("after", ""),
            refused="refused" in said,
        )
    if waiting is not None:
        yield waiting


def walk() -> Iterator[Block]:
    """The first hour; a device's first minutes come before its cloud is ended."""
    readme = README.read_text(encoding="utf-8")
    minutes = readme.split(_FIRST_MINUTES, 1)[1].split("Or put them in a function", 1)[0]
    for block in blocks(PAGE.read_text(encoding="utf-8")):
        if block.after == "cloud":
            yield from (replace(each, page=README.name) for each in blocks(minutes))
        yield block


class Terminal:
    """A terminal in which a command of the page goes on running; leaving it is Ctrl-C."""

    def __init__(self, block: Block, *, folder: Path, environment: dict[str, str]) -> None:
        self._block = block
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            ["sh", "-e", "-c", block.commands],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # Ctrl-C reaches the whole group, as it does in a terminal
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._news:
                self._lines.append(line)
                self._news.notify_all()
        with self._news:
            self._lines.append("(ended)\n")
            self._news.notify_all()

    def await_shown(self) -> None:
        """Wait for what the page shows of it."""
        with self._news:
            assert self._news.wait_for(
                lambda: not self._block.missing("".join(self._lines)) or self._ended,
                _PATIENCE_SECONDS,
            ), "".join(self._lines)
            assert not self._ended, "".join(self._lines)

    @property
    def _ended(self) -> bool:
        return self._lines[-1:] == ["(ended)\n"]

    def interrupt(self) -> None:
        """Press Ctrl-C and wait for the end."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGINT)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(10)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.interrupt()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files of this work tree as a fresh clone has them, and the `.venv` that `make` makes."""
    folder = tmp_path / "cedarfleet"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
            # Older than the environment, which `make` would else install from this folder.
            os.utime(folder / name, (0, 0))
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


@pytest.mark.timeout(1200)
def test_the_first_hour_happens_as_the_page_says(checkout: Path, tmp_path: Path) -> None:
    """Each block of commands goes well, or is refused where the page says so, and prints that."""
    kept = tmp_path / "variables.sh"
    kept.touch()
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "CEDARFLEET_", "PYTEST_"))
    } | {
        "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}",
    }
    terminals: dict[str, Terminal] = {}
    begun = time.monotonic()
    try:
        for block in walk():
            if block.terminal:
                terminals[block.terminal] = Terminal(
                    block, folder=checkout, environment=environment
                )
                terminals[block.terminal].await_shown()
                continue
            if block.after:
                for each in [*terminals] if block.after == "cloud" else [block.after]:
                    terminals[each].interrupt()
            # A shell a block; what it sets, the next one has.
            script = f". {kept}\nset -a\ntrap 'export -p > {kept}' EXIT\nset -e\n{block.commands}"
            done = subprocess.run(
                ["sh", "-c", script],
                cwd=checkout,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=_PATIENCE_SECONDS,
                check=False,
            )
            said = f"{block.page}:{block.line}: {done.stdout[-4000:]}"
            assert (done.returncode != 0) is block.refused, said
            assert block.missing(done.stdout) == [], said
            print(f"{time.monotonic() - begun:6.1f} s  {block.page} line {block.line}")
    finally:
        for terminal in reversed(terminals.values()):
            terminal.interrupt()
    left = subprocess.run(
        ["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "orchard" not in left.stdout
    assert not list(checkout.rglob("*orchard*.yaml"))


def test_no_command_of_the_page_stands_outside_its_blocks() -> None:
    """What the prose names as a command is one that a block runs."""
    page = PAGE.read_text(encoding="utf-8")
    run = "\n".join(block.commands for block in blocks(page))
    prose = _FENCE.sub("", page)
    named = [code for code in _INLINE.findall(prose) if code.startswith(_COMMANDS)]
    assert named
    assert [code for code in named if code not in run] == []
