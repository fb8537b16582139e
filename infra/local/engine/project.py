"""Reads ``Pulumi.yaml`` and a stack's configuration file as the CLI does, without the CLI."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import yaml
from yaml.composer import ComposerError

from infra.local.engine.errors import ProjectError
from infra.local.engine.keyring import Crypter

if TYPE_CHECKING:
    from pathlib import Path

    from infra.local.engine.values import Value

_TYPES: Final[dict[str, type | tuple[type, ...]]] = {
    "string": (str, int, float, bool),  # YAML reads 12 as a number; the CLI takes it for a string
    "integer": int,
    "boolean": bool,
    "array": list,
    "object": dict,
}


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """Configuration values as the SDK wants them: text, or JSON text for lists and maps."""

    values: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    secret_keys: frozenset[str] = frozenset()

    def flag(self, key: str) -> list[str]:
        """Return a value that is a list of texts, e.g. ``pulumi:disable-default-providers``."""
        return json.loads(self.values.get(key, "[]"))


@dataclass(frozen=True, kw_only=True)
class Project:
    """What ``Pulumi.yaml`` says.

    Attributes:
        program: The file that the Python runtime executes.
        config_dir: Holds ``Pulumi.<stack>.yaml``.
        declared: The ``config:`` block.
    """

    name: str
    root: Path
    program: Path
    config_dir: Path
    declared: dict[str, Any]

    @classmethod
    def read(cls, root: Path) -> Project:
        """Read ``Pulumi.yaml`` in ``root``.

        Raises:
            ProjectError: Missing, not YAML, without a name, or not a Python project; says which.
        """
        file = root / "Pulumi.yaml"
        data = _read_yaml(file)
        runtime = data.get("runtime")
        if (runtime.get("name") if isinstance(runtime, dict) else runtime) != "python":
            raise ProjectError(f"{file}: `runtime` must be python")
        if not isinstance(data.get("name"), str):
            raise ProjectError(f"{file}: `name` is missing")
        main = root / data.get("main", ".")
        return cls(
            name=data["name"],
            root=root,
            program=main / "__main__.py" if main.is_dir() else main,
            config_dir=root / data.get("stackConfigDir", "."),
            declared=data.get("config") or {},
        )

    def stacks(self) -> list[str]:
        """Names of the stacks that have a configuration file."""
        return sorted(
            file.name.removeprefix("Pulumi.").removesuffix(".yaml") for file in self._files()
        )

    def stack_config(self, stack: str, passphrase: str | None = None) -> StackConfig:
        """Merge the project's defaults with the stack's file.

        Args:
            stack: Its name.
            passphrase: Decrypts ``secure:`` values of the passphrase provider.

        Raises:
            ProjectError: No such file, a key without value, a value of another type than declared,
                or a ``secure:`` value that cannot be decrypted here.
        """
        file = self.config_dir / f"Pulumi.{stack}.yaml"
        if not file.exists():
            raise ProjectError(
                f"no stack `{stack}`: {file} does not exist; there are: {', '.join(self.stacks())}"
            )
        data = _read_yaml(file)
        given: dict[str, Any] = {
            self._key(key): value for key, value in (data.get("config") or {}).items()
        }
        defaults, secret = self._defaults(file, given)
        values: dict[str, str] = {}
        for key, value in {**defaults, **given}.items():
            if isinstance(value, dict) and set(value) == {"secure"}:
                values[key] = _decrypt(
                    file, key, value["secure"], data.get("encryptionsalt"), passphrase
                )
                secret.add(key)
            elif "secure" in _json(value) and _has_secure(value):
                raise ProjectError(
                    f"{file}: `{key}`: a `secure` value inside a list or map is not read here"
                )
            else:
                values[key] = _text(value)
        return StackConfig(values=values, secret_keys=frozenset(secret))

    def _defaults(self, file: Path, given: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
        defaults: dict[str, Any] = {}
        secret: set[str] = set()
        for name, declaration in self.declared.items():
            key = self._key(name)
            if not isinstance(declaration, dict):
                defaults[key] = declaration
                continue
            kind = declaration.get("type")
            if kind is not None and kind not in _TYPES:
                raise ProjectError(
                    f"{self.root / 'Pulumi.yaml'}: `{name}`: no such type `{kind}`; "
                    + ", ".join(_TYPES)
                )
            if declaration.get("secret"):
                secret.add(key)
            value = declaration.get("default", declaration.get("value"))
            if key not in given and value is None:
                raise ProjectError(f"{file}: missing configuration value `{key}`")
            if key in given and kind and not _is(given[key], kind):
                raise ProjectError(f"{file}: `{key}` must be of type {kind}, not `{given[key]}`")
            if value is not None:
                defaults[key] = value
        return defaults, secret

    def _key(self, key: str) -> str:
        return key if ":" in key else f"{self.name}:{key}"

    def _files(self) -> list[Path]:
        return list(self.config_dir.glob("Pulumi.*.yaml"))


def _is(value: Value, kind: str) -> bool:
    if isinstance(value, dict) and set(value) == {"secure"}:
        return True  # checked by nobody: the CLI does not look inside either
    return isinstance(value, _TYPES[kind]) and not (kind == "integer" and isinstance(value, bool))


def _has_secure(value: Value) -> bool:
    if isinstance(value, dict):
        return set(value) == {"secure"} or any(_has_secure(item) for item in value.values())
    return isinstance(value, list) and any(_has_secure(item) for item in value)


def _text(value: Value) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (list, dict, bool)) or value is None:
        return _json(value)
    return _time(value) if isinstance(value, date) else str(value)


def _json(value: Value) -> str:
    return json.dumps(value, separators=(",", ":"), default=_time)


def _time(value: date) -> str:
    """A timestamp that stands without quotes, as the CLI hands it on: Go's ``time.Time.String``."""
    if not isinstance(value, datetime):
        value = datetime.combine(value, time())
    moment = value if value.tzinfo else value.replace(tzinfo=UTC)  # YAML's rule
    text = moment.replace(tzinfo=None, microsecond=0).isoformat(sep=" ")
    if moment.microsecond:
        text += f".{moment.microsecond:06d}".rstrip("0")
    return f"{text} {moment:%z} {'UTC' if moment.tzinfo is UTC else f'{moment:%z}'}"


def _decrypt(file: Path, key: str, value: str, salt: str | None, passphrase: str | None) -> str:
    if not salt:
        raise ProjectError(
            f"{file}: `{key}` is encrypted by a provider that only the Pulumi CLI can ask"
        )
    if passphrase is None:
        raise ProjectError(f"{file}: `{key}` is encrypted: set PULUMI_CONFIG_PASSPHRASE")
    return Crypter(passphrase, salt).decrypt(value)


class _EachKeyOnce(yaml.SafeLoader):
    """Refuses a mapping that has a key twice, as the CLI's reader does (Go's yaml.v3).

    PyYAML would silently keep the last; "mapping keys must be unique" (source: YAML 1.2.2,
    3.2.1.1).
    """

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """As every mapping; here no merge key (`<<`) has been resolved yet."""
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                words = f"the key `{key.value}` stands a second time"
                raise ComposerError(None, None, words, key.start_mark)
            seen.add(key.value)
        return node


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        data = copy.deepcopy(_parsed(file.read_text())) or {}
    except FileNotFoundError as error:
        raise ProjectError(f"{file} does not exist") from error
    except yaml.YAMLError as error:
        raise ProjectError(f"{file} is not YAML: {_slip(error)}") from error
    if not isinstance(data, dict):
        raise ProjectError(f"{file} must hold a map")
    return data


# Each run of a stack, and its preview before it, reads the files of the project anew.
@lru_cache(maxsize=256)
def _parsed(text: str) -> Any:
    return yaml.load(text, _EachKeyOnce)  # noqa: S506 - a safe loader


def _slip(error: yaml.YAMLError) -> str:
    """Where the reader stopped and why, in one line."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return " ".join(str(error).split())
    at = error.problem_mark
    return f"line {at.line + 1}, column {at.column + 1}: {error.problem}"
