"""One mapping of a stack file, read strictly: what it does not know it refuses, and says file and key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, overload

if TYPE_CHECKING:
    import re

_MISSING: Final = object()
T = TypeVar("T")


class ConfigError(ValueError):
    """A stack file does not say what it must; the message names file and key."""


class Section:
    """Typed, checked access to one mapping; each key is read once, then `finish` refuses the rest.

    Args:
        where: file and key so far, e.g. `tenants/Pulumi.acme.yaml: cedarfleet:tenant`.
        data: what stands there.

    Raises:
        ConfigError: it is no mapping with text keys.
    """

    def __init__(self, where: str, data: object) -> None:
        if not isinstance(data, dict) or not all(
            isinstance(key, str) for key in cast("dict[object, object]", data)
        ):
            raise ConfigError(f"{where}: must be a mapping, is `{data!r}`")
        self._where = where
        self._data = cast("dict[str, object]", data)
        self._read: set[str] = set()

    def error(self, key: str, words: str) -> ConfigError:
        """A refusal of the value of `key`; the caller raises it."""
        return ConfigError(f"{self._where}.{key}: {words}")

    def finish(self) -> None:
        """Refuse every key that nobody has read.

        Raises:
            ConfigError: there is one.
        """
        if unknown := sorted(self._data.keys() - self._read):
            known = ", ".join(f"`{key}`" for key in sorted(self._read))
            raise self.error(unknown[0], f"unknown key; known are {known}")

    @overload
    def text(self, key: str) -> str: ...
    @overload
    def text(self, key: str, default: T) -> str | T: ...
    def text(self, key: str, default: object = _MISSING) -> object:
        """A text that is not empty."""
        value = self._value(key, default)
        if value is not default and (not isinstance(value, str) or not value):
            raise self.error(key, f"must be a text, is `{value!r}`")
        return value

    def matching(self, key: str, form: re.Pattern[str], words: str) -> str:
        """A text of a form; `words` say what the form is."""
        value = self.text(key)
        if form.fullmatch(value) is None:
            raise self.error(key, f"must be {words}, is `{value}`")
        return value

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        """One of `choices`."""
        # YAML 1.1 reads a bare `on` or `off` as a truth value; both are words here.
        value = {True: "on", False: "off"}.get(
            cast("Any", self._value(key, default)), self._value(key, default)
        )
        if value not in choices:
            raise self.error(key, f"must be one of {', '.join(choices)}, is `{value}`")
        return cast("str", value)

    def number(self, key: str, default: int, *, least: int, most: int) -> int:
        """A whole number from `least` to `most`."""
        value = self._value(key, default)
        if type(value) is not int or not least <= value <= most:
            raise self.error(key, f"must be a whole number from {least} to {most}, is `{value!r}`")
        return value

    def truth(self, key: str, *, default: bool) -> bool:
        """`true` or `false`."""
        value = self._value(key, default)
        if not isinstance(value, bool):
            raise self.error(key, f"must be true or false, is `{value!r}`")
        return value

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """A list of texts, none twice."""
        value = self._value(key, _MISSING if default is None else list(default))
        if not isinstance(value, list):
            raise self.error(key, f"must be a list, is `{value!r}`")
        items = cast("list[object]", value)
        for index, item in enumerate(items):
            if not isinstance(item, str) or not item:
                raise self.error(f"{key}[{index}]", f"must be a text, is `{item!r}`")
            if item in items[:index]:
                raise self.error(f"{key}[{index}]", f"`{item}` stands twice")
        return tuple(cast("list[str]", items))

    def all_matching(self, key: str, form: re.Pattern[str], words: str) -> tuple[str, ...]:
        """A list of at least one text, each of a form."""
        values = self.texts(key)
        if not values:
            raise self.error(key, "must not be empty")
        for index, value in enumerate(values):
            if form.fullmatch(value) is None:
                raise self.error(f"{key}[{index}]", f"must be {words}, is `{value}`")
        return values

    def urls(self, key: str) -> tuple[str, ...]:
        """A list of addresses that a browser may be sent to: https, or http on localhost."""
        urls = self.texts(key)
        for index, url in enumerate(urls):
            if not url.startswith(("https://", "http://localhost:", "http://localhost/")):
                raise self.error(
                    f"{key}[{index}]", f"must be https, or http on localhost, is `{url}`"
                )
        return urls

    def named(self, key: str, form: re.Pattern[str]) -> dict[str, str]:
        """A mapping of names of a form to texts."""
        table = self.table(key)
        for name in table:
            if form.fullmatch(name) is None:
                raise self.error(f"{key}.{name}", "must be lower-case words joined by single `-`")
        return table

    def table(self, key: str) -> dict[str, str]:
        """A mapping of texts to texts."""
        section = self.section(key)
        return {name: section.text(name) for name in section.names()}

    def names(self) -> tuple[str, ...]:
        """The keys as the file has them."""
        return tuple(self._data)

    def section(self, key: str, default: dict[str, object] | None = None) -> Section:
        """A mapping of its own; the caller reads and finishes it."""
        return Section(
            f"{self._where}.{key}", self._value(key, _MISSING if default is None else default)
        )

    def sections(self, key: str) -> tuple[Section, ...]:
        """A list of mappings, none where the key is absent."""
        value = self._value(key, [])
        if not isinstance(value, list):
            raise self.error(key, f"must be a list, is `{value!r}`")
        items = cast("list[object]", value)
        return tuple(
            Section(f"{self._where}.{key}[{index}]", item) for index, item in enumerate(items)
        )

    def _value(self, key: str, default: object) -> object:
        self._read.add(key)
        value = self._data.get(key, default)
        if value is _MISSING:
            raise self.error(key, "missing")
        return value
