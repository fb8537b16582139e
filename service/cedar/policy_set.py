"""All policies that decide together: static ones, templates and their links, with the schema."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from service.cedar.binding import bind, bind_uid
from service.cedar.statement import named_entities, statement_est

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from service.cedar.statement import Effect
    from service.cedar.values import EntityUid


@dataclass(frozen=True, kw_only=True)
class Link:
    """One template-linked policy; ``template`` is a key of ``PolicySet.templates``."""

    id: str
    template: str
    principal: EntityUid
    resource: EntityUid


@dataclass(frozen=True, kw_only=True)
class PolicySet:
    """What a policy store holds or is to hold; keys are our ids, not those of the store.

    Attributes:
        schema: in Cedar's JSON form, or the text of a ``.cedarschema`` file.
        static: id -> statement.
        templates: id -> statement.
        links: policies made of templates.
    """

    schema: str
    static: Mapping[str, str]
    templates: Mapping[str, str]
    links: tuple[Link, ...]

    @property
    def effects(self) -> dict[str, Effect]:
        """Id of each static policy -> its effect."""
        return {name: statement_est(text)["effect"] for name, text in self.static.items()}

    def statements(self) -> tuple[str, ...]:
        """Policies and templates."""
        return (*self.static.values(), *self.templates.values())

    def entities(self) -> Iterator[EntityUid]:
        """Everything that the policies and links name."""
        for text in self.statements():
            yield from named_entities(statement_est(text))
        for link in self.links:
            yield from (link.principal, link.resource)

    def bound(self, *, tenant: str, pool_id: str) -> PolicySet:
        """The set that the files describe as the tenant's store is to hold it (see ``binding``)."""

        def texts(statements: Mapping[str, str]) -> dict[str, str]:
            return {
                name: bind(text, tenant=tenant, pool_id=pool_id)
                for name, text in statements.items()
            }

        def uid(entity: EntityUid) -> EntityUid:
            return bind_uid(entity, tenant=tenant, pool_id=pool_id)

        return replace(
            self,
            static=texts(self.static),
            templates=texts(self.templates),
            links=tuple(
                replace(link, principal=uid(link.principal), resource=uid(link.resource))
                for link in self.links
            ),
        )
