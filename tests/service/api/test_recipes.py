"""Each line of ``docs/api.md`` does what the page says: its curls are asked of the real routes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shlex
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from service.domain.work import Work, WorkKind
from service.settings import JobSettings

if TYPE_CHECKING:
    import httpx

    from tests.service.conftest import ServiceUnderTest

PAGE: Final = Path(__file__).parents[3] / "docs" / "api.md"
BLOCK: Final = re.compile(r"```sh\n(.*?)```", re.DOTALL)
TAG: Final = re.compile(
    r"(?P<name>[A-Z]+)=\$\((?P<command>curl .*) -o /dev/null -w '%header[{]etag[}]'(?P<rest> .*)\)"
)
TAKEN: Final = re.compile(r"(?P<name>[A-Z0-9]+)=\$\((?P<command>curl .*) \| jq -r (?P<path>.*)\)")
STEEL: Final = b'{"temperature": 900}'


@dataclass
class Shell:
    """A shell that knows ``curl`` and what stands in a file of steel, and remembers variables."""

    service: ServiceUnderTest
    variables: dict[str, str] = field(default_factory=dict[str, str])
    asked: list[tuple[str, str, int]] = field(default_factory=list[tuple[str, str, int]])

    def run(self, line: str) -> None:
        """One line of the page."""
        if (tag := TAG.fullmatch(line)) is not None:
            self.variables[tag["name"]] = self.curl(tag["command"] + tag["rest"]).headers["ETag"]
        elif (taken := TAKEN.fullmatch(line)) is not None:
            answer = self.curl(taken["command"])
            self.variables[taken["name"]] = _at(answer.json(), taken["path"])
        elif line.startswith("curl "):
            self.curl(line)
        else:
            name, _, command = line.partition("=")
            known = {
                "$(wc -c < steel.json)": str(len(STEEL)),
                "$(sha256sum steel.json | cut -d' ' -f1)": hashlib.sha256(STEEL).hexdigest(),
                "$(date -u -d '+2 hours' +%Y-%m-%dT%H:%M:%SZ)": (
                    f"{datetime.now(UTC) + timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}"
                ),
            }
            self.variables[name] = known[command]

    def curl(self, command: str) -> httpx.Response:
        """What the API, or S3, answers; anything but a success is a fault of the page."""
        words = iter(shlex.split(self._filled(command))[1:])
        method, url, headers, body = "", "", dict[str, str](), b""
        for word in words:
            if word == "-X":
                method = next(words)
            elif word == "-H":
                name, _, text = next(words).partition(": ")
                headers[name] = text
            elif word == "-d":
                body = next(words).encode()
            elif word == "--data-binary":
                assert next(words) == "@steel.json"
                body = STEEL
            elif word not in {"-sS", "-sSN"}:
                url = word
        if not url.startswith("http://api.test/"):
            return self._to_s3(method, headers, body)
        method = method or ("POST" if body else "GET")
        answer = self.service.client.request(
            method, url.removeprefix("http://api.test"), headers=headers, content=body or None
        )
        assert answer.is_success, (command, answer.text)
        self.asked.append((method, url, answer.status_code))
        work(self.service)
        return answer

    def _to_s3(self, method: str, headers: dict[str, str], body: bytes) -> Any:
        assert (method, list(headers)) == ("PUT", ["x-amz-checksum-sha256"])
        [file] = self.service.ports.file_records.once.records.values()
        self.service.ports.file_objects.send(file, 1, body)

    def _filled(self, command: str) -> str:
        # Of single quotes too, where the page closes and opens them around a variable.
        # A tag has quotation marks of its own, which a shell leaves alone within others.
        return re.sub(
            r"\$([A-Z][A-Z0-9]*)",
            lambda match: self.variables[match[1]].replace('"', '\\"'),
            command,
        )


def work(service: ServiceUnderTest) -> None:
    """Have the worker verify what waits for it."""
    worker = service.app.state.operations.worker(JobSettings())

    async def scenario() -> None:
        for received in await service.ports.work_queue.receive():
            if Work.decode(received.text).kind is WorkKind.VERIFY_FILE:
                await worker.handle(received)

    asyncio.run(scenario())


def _at(document: Any, path: str) -> str:
    found = document
    for name in re.findall(r"[A-Za-z0-9_-]+", path.strip("'")):
        found = found[int(name)] if isinstance(found, list) else found[name]
    return found


def test_every_recipe_of_the_page_works(service: ServiceUnderTest) -> None:
    """In its order, with the variables that it sets; each answer is a success."""
    token = service.acme.id_token("boss", ["managers"])
    shell = Shell(service, variables={"API": "http://api.test", "TOKEN": token})
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    for line in "".join(blocks).splitlines():
        shell.run(line)
    [file] = service.ports.file_records.once.records.values()
    assert file.state == "retired"
    delivered = service.ports.download_records.once.records.values()
    assert {one.file_id for one in delivered} == {file.file_id}
    assert json.dumps(shell.asked).count("/v1/files") > 5
    assert len(blocks) == 22
    assert not service.ports.granted_policies.held
    assert service.device("press-02").groups == ("cell-9", "line-press")
