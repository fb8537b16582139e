"""A cloud that is a folder, with handlers for it: each resource is a file.

So other processes see it too. As a script, `folder_cloud.py FOLDER [what the CLI adds]`, it is the
provider of the package `box` for the real CLI.
"""

# ruff: noqa: A002, ARG002 - Pulumi's words, and the protocol's arguments

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from infra.local.engine import Handler, Made
from infra.local.pulumi_provider import PulumiProvider, serve


@dataclass(frozen=True)
class FolderCloud:
    """Resources are ``<id>.json``, handler calls lines of ``calls.log``.

    ``refuse-<name>`` makes a create fail.
    """

    folder: Path
    region: str = "eu-central-1"
    account_id: str = "123456789012"
    endpoint_url: str = "http://127.0.0.1:0"

    def client(self, service: str, /) -> Path:
        """The folder stands for every client."""
        return self.folder

    def note(self, call: str) -> None:
        """Log a call."""
        with (self.folder / "calls.log").open("a") as log:
            log.write(f"{call}\n")

    def calls(self) -> list[str]:
        """Return the calls since the last time, and forget them."""
        log = self.folder / "calls.log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines

    def boxes(self) -> dict[str, dict[str, Any]]:
        """Everything that exists."""
        return {
            file.stem: json.loads(file.read_text()) for file in sorted(self.folder.glob("*.json"))
        }


class BoxHandler(Handler):
    """A box has a name, a material that cannot change, and a size that can."""

    replace_on = frozenset({"name", "material", "inside"})
    autoname = "name"
    taggable = True

    def create(self, cloud: Any, inputs: dict[str, Any]) -> Made:
        """Write its file, unless it is refused."""
        cloud.note(f"create {inputs['name']}")
        if (cloud.folder / f"refuse-{inputs['name']}").exists():
            raise PermissionError(f"not allowed to make {inputs['name']}")
        file = cloud.folder / f"{inputs['name']}.json"
        draft = file.with_suffix(".draft")
        draft.write_text(
            json.dumps(
                {key: str(value) if key == "content" else value for key, value in inputs.items()}
            )
        )
        file.hardlink_to(draft)  # at once, and two of one name cannot stand side by side
        draft.unlink()
        if (cloud.folder / "slow").exists():
            print(".", end="", flush=True)  # a fault test counts what is made,
            os.read(0, 1)  # and says when it may be recorded
        if (cloud.folder / "wait").exists():  # a fault test ends the process at this point
            with (cloud.folder / "wait").open() as pipe:
                pipe.read()
        return Made(
            inputs["name"],
            {**inputs, "arn": f"arn:box:{inputs['name']}", "key": f"key-of-{inputs['name']}"},
        )

    def update(
        self,
        cloud: Any,
        id: str,
        old: dict[str, Any],
        inputs: dict[str, Any],
    ) -> dict[str, Any]:
        """Write its file again."""
        cloud.note(f"update {id}")
        (cloud.folder / f"{id}.json").write_text(json.dumps(inputs))
        return {**old, **inputs}

    def read(self, cloud: Any, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """Read its file."""
        cloud.note(f"read {id}")
        file = cloud.folder / f"{id}.json"
        if not file.exists():
            return None
        return {
            "arn": f"arn:box:{id}",
            "key": f"key-of-{id}",
            **outputs,
            **json.loads(file.read_text()),
        }

    def delete(self, cloud: Any, id: str, outputs: dict[str, Any]) -> None:
        """Remove its file."""
        cloud.note(f"delete {id}")
        (cloud.folder / f"{id}.json").unlink(missing_ok=True)

    def find(self, cloud: Any, inputs: dict[str, Any]) -> str | None:
        """Look for a file of that name."""
        return inputs["name"] if (cloud.folder / f"{inputs['name']}.json").exists() else None


class NoteHandler(BoxHandler):
    """A resource that the cloud does not have."""

    recorded = True


HANDLERS: dict[str, Handler] = {"box:index:Box": BoxHandler(), "box:index:Note": NoteHandler()}
INVOKES = {"box:index:getRegion": lambda cloud, _args: {"region": cloud.region}}


class Box(pulumi.CustomResource):
    """A box in a program; ``arn`` and ``key`` are outputs."""

    arn: pulumi.Output[str]
    key: pulumi.Output[str]
    name: pulumi.Output[str]

    def __init__(
        self,
        resource_name: str,
        opts: pulumi.ResourceOptions | None = None,
        kind: str = "Box",
        **inputs: object,
    ) -> None:
        props: dict[str, Any] = {"name": None, "arn": None, "key": None, "tagsAll": None, **inputs}
        super().__init__(f"box:index:{kind}", resource_name, props, opts)


def chain() -> None:
    """Three boxes, each with the address of the one before."""
    first = Box("first", name="first", size=1)
    second = Box("second", name="second", of=first.arn)
    third = Box("third", name="third", of=second.arn)
    pulumi.export("arn", third.arn)


def many() -> None:
    """A hundred boxes with drawn names."""
    for number in range(100):
        Box(f"box-{number}", size=number)


if __name__ == "__main__":
    serve(PulumiProvider("box", "1.0.0", FolderCloud(Path(sys.argv[1])), HANDLERS, INVOKES))
