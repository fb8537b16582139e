"""The state in memory: every record by its key, changed in transactions that are on disk first."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from .contents import Contents, History
from .journal import Journal
from .records import (
    Alias,
    ClientToken,
    IdentitySource,
    Policy,
    PolicyStore,
    Record,
    StoredSchema,
    Template,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .contents import Visibility

_log = logging.getLogger(__name__)


class State:
    """All policy stores of the endpoint.

    Not thread-safe: one event loop owns it, and an operation never awaits between reading and
    committing.

    Args:
        folder: of the journal; None keeps nothing.
        visibility: how late decisions see a change; None: at once.

    Attributes:
        policies: by store id, then by policy id, in order of creation; likewise ``templates`` and
            ``sources``.
    """

    def __init__(self, folder: Path | None = None, *, visibility: Visibility | None = None) -> None:
        self.stores: dict[str, PolicyStore] = {}
        self.schemas: dict[str, StoredSchema] = {}
        self.policies: dict[str, dict[str, Policy]] = {}
        self.templates: dict[str, dict[str, Template]] = {}
        self.sources: dict[str, dict[str, IdentitySource]] = {}
        self.aliases: dict[str, Alias] = {}
        self.tokens: dict[str, ClientToken] = {}
        self._revisions: Counter[str] = Counter()
        self._last_order = 0
        self._history = None if visibility is None else History(visibility)
        self._journal = Journal(folder) if folder is not None else None
        if self._journal is not None:
            try:
                for action, record in self._journal.load():
                    self._apply(action, record)
            except BaseException:
                self._journal.close()
                raise

    def commit(self, *, put: Sequence[Record] = (), delete: Sequence[Record] = ()) -> None:
        """Make one transaction durable, then visible.

        Raises:
            OSError: the disk refused; nothing has changed.
        """
        if self._journal is not None:
            self._journal.append(put=put, delete=delete)
        if self._history is not None:
            for store in {self._place(record)[0] for record in (*put, *delete)} - {None}:
                self._history.note(str(store), self.contents(str(store)))
        for record in put:
            self._apply("put", record)
        for record in delete:
            self._apply("delete", record)
        if self._journal is not None and self._journal.wants_rewrite:
            try:
                self._journal.rewrite(self._records())
            except OSError:
                # The change is durable; the journal keeps growing until a rewrite succeeds.
                _log.exception(
                    "verified_permissions.rewrite_failed",
                    extra={"journal": str(self._journal.path)},
                )

    def revision(self, store_id: str) -> int:
        """Counts up with every change that may alter a decision of the store."""
        return self._revisions[store_id]

    def contents(self, store_id: str) -> Contents:
        """What the store holds; as it will be after later changes too."""
        return Contents(
            revision=self.revision(store_id),
            schema=self.schemas.get(store_id),
            policies=self.policies.get(store_id, {}),
            templates=self.templates.get(store_id, {}),
            sources=self.sources.get(store_id, {}),
        )

    def seen(self, store_id: str) -> Contents:
        """What decisions see of the store."""
        now = self.contents(store_id)
        return now if self._history is None else self._history.seen(store_id, now)

    def next_order(self) -> int:
        """The place of the next new record in every list."""
        return self._last_order + 1

    def close(self) -> None:
        """Let the files go."""
        if self._journal is not None:
            self._journal.close()

    def _apply(self, action: str, record: Record) -> None:
        store, table, key = self._place(record)
        if action == "put":
            table[key] = record
            self._last_order = max(self._last_order, getattr(record, "order", 0))
        else:
            table.pop(key, None)
            if isinstance(record, PolicyStore):
                for children in (self.schemas, self.policies, self.templates, self.sources):
                    children.pop(record.id, None)
        if store is not None:
            self._revisions[store] += 1

    # One return for each kind of record.
    def _place(self, record: Record) -> tuple[str | None, dict[str, Any], str]:  # noqa: PLR0911
        """The store whose decisions the record may alter, its table and its key there."""
        match record:
            case PolicyStore():
                return record.id, self.stores, record.id
            case StoredSchema():
                return record.store, self.schemas, record.store
            case Policy():
                return record.store, self.policies.setdefault(record.store, {}), record.id
            case Template():
                return record.store, self.templates.setdefault(record.store, {}), record.id
            case IdentitySource():
                return record.store, self.sources.setdefault(record.store, {}), record.id
            case Alias():
                return None, self.aliases, record.key
            case ClientToken():
                return None, self.tokens, record.key
            case _:
                raise TypeError(f"no table for {type(record).__name__}")

    def _records(self) -> list[Record]:
        flat: list[Record] = [*self.stores.values(), *self.schemas.values()]
        for table in (self.policies, self.templates, self.sources):
            for children in table.values():
                flat.extend(children.values())
        return [*flat, *self.aliases.values(), *self.tokens.values()]
