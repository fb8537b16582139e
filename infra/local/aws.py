"""`python -m infra.local.aws iot list-things`: calls of the AWS CLI, at the cloud of `make up`.

For the calls of this project's documents where there is no AWS CLI: operations, options and answers
are named as there (`--thing-name press-07`), lists and maps are written as JSON or in its shorthand
(`Name=email,Value=a@b.example`), and `--query` and `--output text` cut the answer. The CLI's own
`wait`, `cp`, waiters and paging are not here: an answer is one page. `s3api` is the service of S3.

`python -m infra.local.aws environment` prints what any other program of AWS needs to find this
cloud, keys included: `eval "$(python -m infra.local.aws environment)"`.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from contextlib import closing
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jmespath
from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError
from jmespath.exceptions import JMESPathError

from infra.local.running_cloud import CloudNotRunningError, RunningCloud

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from botocore.model import OperationModel, Shape

_ALIASES: Final = {"s3api": "s3"}
_ENVIRONMENT: Final = "environment"
_RENAMED: Final = {("Subscribe", "--endpoint"): "--notification-endpoint"}
"""Options that the CLI calls otherwise than AWS's model (source: aws-cli's `argrename.py`,
`sns.subscribe.endpoint`)."""


class UsageError(Exception):
    """The command line does not fit the service's model; says what would."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make one call; 0 and its answer, or 1 and the reason on the standard error."""
    given, options = _parser().parse_known_args(arguments)
    try:
        with closing(RunningCloud(given.state / "cloud.json")) as cloud:
            if given.service == _ENVIRONMENT:
                lines = _exports(cloud)
            else:
                lines = _call(cloud, given, options)
            for line in lines:
                print(line)  # noqa: T201 - a command line speaks on stdout
    except (UsageError, CloudNotRunningError, BotoCoreError, ClientError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - and complains on stderr
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infra.local.aws",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("service", help="e.g. iot, cognito-idp, s3api; or `environment`")
    parser.add_argument("operation", nargs="?", default="", help="e.g. describe-endpoint")
    parser.add_argument("--query", help="JMESPath: which part of the answer to print")
    parser.add_argument("--output", choices=("json", "text"), default="json")
    parser.add_argument(
        "--state",
        type=Path,
        default=Path(".cedarfleet"),
        help="folder of `make up` (default: .cedarfleet)",
    )
    return parser


def _exports(cloud: RunningCloud) -> Iterator[str]:
    for name, value in cloud.environment.items():
        yield f"export {name}={shlex.quote(value)}"


def _call(cloud: RunningCloud, given: argparse.Namespace, options: list[str]) -> Iterator[str]:
    service: str = given.service
    client = cloud.client(_ALIASES.get(service, service))
    names = {xform_name(name, "-"): name for name in client.meta.service_model.operation_names}
    if given.operation not in names:
        raise UsageError(_unknown(f"{service} has no operation", given.operation, names))
    model: OperationModel = client.meta.service_model.operation_model(names[given.operation])
    asked = parameters(model, options)
    answer = getattr(client, xform_name(model.name))(**asked)
    answer.pop("ResponseMetadata", None)
    for name, part in answer.items():
        if hasattr(part, "read"):
            answer[name] = part.read().decode("utf-8", "replace")
    try:
        shown = jmespath.search(given.query, answer) if given.query else answer
    except JMESPathError as error:
        raise UsageError(f"--query {given.query}: {error}") from error
    if given.output == "text":
        return _as_text(shown)
    return iter([json.dumps(shown, indent=4, default=str)] if shown else [])


def _as_text(shown: Any) -> Iterator[str]:
    """One line a list, tabs between its values, as the CLI has it; a map's values likewise."""
    parts = list(shown.values()) if isinstance(shown, dict) else shown
    if not isinstance(parts, list):
        yield "None" if parts is None else str(parts)
    elif any(isinstance(part, (list, dict)) for part in parts):
        for part in parts:
            yield from _as_text(part)
    elif parts:
        yield "\t".join(map(str, parts))


def parameters(model: OperationModel, options: list[str]) -> dict[str, Any]:
    """What the options say, in the types of the operation's input.

    Raises:
        UsageError: an option that the operation does not have, or a value that is not of its type.
    """
    members: dict[str, Shape] = dict(model.input_shape.members) if model.input_shape else {}
    plain = {f"--{xform_name(name, '-')}": name for name in members}
    names = {_RENAMED.get((model.name, option), option): name for option, name in plain.items()}
    refusals = {f"--no-{option[2:]}": name for option, name in names.items()}
    found: dict[str, Any] = {}
    for option, values in _grouped(options):
        if option in refusals:
            found[refusals[option]] = False
            continue
        if option not in names:
            raise UsageError(_unknown(f"{model.name} has no option", option, names))
        name = names[option]
        try:
            found[name] = _value(members[name], values)
        except ValueError as error:
            raise UsageError(f"{option}: {error}") from error
    return found


def _grouped(options: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Each option with the values behind it."""
    name, values = "", list[str]()
    for word in options:
        # As argparse, which the CLI reads by: what has a blank is a value (`-----BEGIN KEY`).
        if word.startswith("--") and not re.search(r"\s", word):
            if name:
                yield name, values
            name, values = word, []
        elif not name:
            raise UsageError(f"`{word}` stands before any option")
        else:
            values.append(word)
    if name:
        yield name, values


def _value(shape: Any, values: list[str]) -> Any:
    """The words behind an option as the type of its shape.

    Raises:
        ValueError: they are none.
    """
    kind: str = shape.type_name
    if kind == "boolean" and not values:
        return True
    if not values:
        raise ValueError("needs a value")
    first = values[0]
    if first.startswith("file://"):
        first = Path(first.removeprefix("file://")).read_text(encoding="utf-8")
        values = [first]
    if kind in {"list", "structure", "map"} and first.lstrip()[:1] in {"{", "["}:
        try:
            return json.loads(first)
        except ValueError as error:
            raise ValueError(f"is no JSON: {error}") from error
    if kind == "list":
        return [_one(shape.member, word) for word in values]
    if len(values) > 1:
        raise ValueError(f"takes one value, not {len(values)}")
    return _one(shape, first)


def _one(shape: Any, word: str) -> Any:
    kind: str = shape.type_name
    if kind in {"structure", "map"}:
        return _shorthand(shape, word)
    if kind == "list":
        return [_one(shape.member, part) for part in word.split(",")]
    return _PLAIN.get(kind, str)(word)


def _truth(word: str) -> bool:
    if word not in {"true", "false"}:
        raise ValueError(f"must be true or false, is `{word}`")
    return word == "true"


def _shorthand(shape: Any, word: str) -> dict[str, Any]:
    """`Name=email,Value=x` as a structure or a map."""
    found: dict[str, Any] = {}
    for part in word.split(","):
        key, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"`{part}` must be NAME=VALUE, or the whole JSON")
        if shape.type_name == "structure" and key not in shape.members:
            raise ValueError(_unknown(f"{shape.name} has no", key, shape.members))
        member = shape.members[key] if shape.type_name == "structure" else shape.value
        found[key] = _one(member, value)
    return found


_PLAIN: Final[Mapping[str, Callable[[str], Any]]] = {
    "boolean": _truth,
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
    "blob": lambda word: Path(word.removeprefix("fileb://")).read_bytes(),
}


def _unknown(words: str, name: str, known: Any) -> str:
    near = get_close_matches(name, list(known), n=3)
    return f"{words} `{name}`; " + (
        f"near are {', '.join(near)}" if near else f"there are {', '.join(sorted(known))}"
    )


if __name__ == "__main__":
    sys.exit(main())
