"""What is done to one resource: create, update, replace, delete; journalled before and after."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from infra.local.engine.checks import Difference, check, differ, ignore
from infra.local.engine.errors import EngineError, ProtectedError
from infra.local.engine.providers import is_default
from infra.local.engine.result import Op
from infra.local.engine.urns import name_of
from infra.local.engine.values import for_handler, from_handler, hide, is_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from infra.local.engine.handler import Cloud, Handler
    from infra.local.engine.run import Run
    from infra.local.engine.snapshot import Resource
    from infra.local.engine.state import StackState

_T = TypeVar("_T")


class StepFailedError(EngineError):
    """A step failed (or was not begun because another failed); the run knows the failures."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A managed resource as the program wants it; ``resource.inputs`` are the program's own."""

    resource: Resource
    handler: Handler
    old: Resource | None = None
    tags: dict[str, str] = field(default_factory=dict[str, str])
    ignore_changes: tuple[str, ...] = ()
    replace_on: tuple[str, ...] = ()
    delete_before_replace: bool | None = None  # None: the handler and the name decide


class Steps:
    """Carries out the steps of one run; in a preview without handler and without journal."""

    def __init__(self, state: StackState, cloud: Cloud, run: Run) -> None:
        self._state = state
        self._cloud = cloud
        self._run = run
        self._interrupted = dict(state.snapshot.pending)
        self._cascaded: dict[str, Resource] = {}

    def deploy(self, wanted: Wanted) -> Resource:
        """Bring a resource to what the program wants; returns its new state.

        In a preview, outputs that are not known are absent and the id of a new resource is empty.

        Raises:
            StepFailedError: The handler failed.
            ProtectedError: It would have to be replaced but is protected.
        """
        handler, resource = wanted.handler, wanted.resource
        old = wanted.old or self._adopt(wanted)
        name = name_of(resource.urn)
        if old is None:
            inputs = check(handler, name, resource.inputs, tags=wanted.tags)
            cascaded = resource.urn in self._cascaded
            made = self._create(wanted, inputs)
            self._run.note(Op.REPLACE if cascaded else Op.CREATE, resource.urn, resource.type)
            self._state.put(made)
            return made
        inputs = check(handler, name, resource.inputs, old=old.inputs, tags=wanted.tags)
        inputs = ignore(old.inputs, inputs, wanted.ignore_changes)
        difference = differ(handler, old.inputs, inputs, wanted.replace_on)
        if difference.replacing:
            return self._replace(wanted, old, difference)
        if difference.keys:
            updated = self._update(wanted, old, inputs)
            self._run.note(Op.UPDATE, resource.urn, resource.type, difference.keys)
        else:
            updated = self._made(resource, inputs, old.id, old.outputs, old)
            self._run.note(Op.SAME, resource.urn, resource.type)
        self._state.put(updated, old.urn)
        return updated

    def delete(self, doomed: Iterable[Resource]) -> None:
        """Delete what the program no longer has, dependents first.

        What no handler made is only forgotten.

        Raises:
            ProtectedError: One of them is protected; nothing is deleted then.
            StepFailedError: A handler failed or there is none.
        """
        resources = list(doomed)
        refuse_protected(resources)
        gone = {item.urn for item in resources}
        for resource in reversed(resources):
            kept = resource.retain_on_delete or resource.deleted_with in gone
            self._remove(resource, forget=kept)
            # The other half of a replacement is not news.
            if not resource.delete and not is_default(resource.urn):
                self._run.note(Op.DELETE, resource.urn, resource.type)

    def finish(self) -> None:
        """Delete what the program did not register; only for a program that came to its end."""
        base = list(self._state.snapshot.base.values())
        registered = self._state.snapshot.done
        self.delete(base)
        for urn, resource in self._cascaded.items():
            if urn not in registered:
                self._run.note(Op.DELETE, urn, resource.type)

    def _replace(self, wanted: Wanted, old: Resource, difference: Difference) -> Resource:
        resource = wanted.resource
        refuse_protected([old], verb="replace")
        first = (
            difference.delete_first
            if wanted.delete_before_replace is None
            else wanted.delete_before_replace
        )
        if first:
            dependents = self._dependents(old)
            refuse_protected(dependents, verb="replace")
            for dependent in reversed(dependents):
                self._remove(dependent)
                self._cascaded[dependent.urn] = dependent
            self._remove(old)
        inputs = check(wanted.handler, name_of(resource.urn), resource.inputs, tags=wanted.tags)
        inputs = ignore(old.inputs, inputs, wanted.ignore_changes)
        made = self._create(wanted, inputs)
        keys = dict.fromkeys((*difference.replacing, *difference.keys))
        self._run.note(Op.REPLACE, resource.urn, resource.type, keys)
        self._state.put(made, old.urn, replacing=not first)
        return made

    def _dependents(self, root: Resource) -> list[Resource]:
        """Resources that cannot outlive ``root``: an input from it forces their replacement."""
        lost = {root.urn}
        found: list[Resource] = []
        for item in list(self._state.snapshot.base.values()):
            handler = (
                self._run.handler(item.type, item.urn)
                if item.is_managed and not item.delete
                else None
            )
            keys = {
                key for key, urns in item.property_dependencies.items() if lost.intersection(urns)
            }
            if handler is not None and keys & handler.replace_on:
                lost.add(item.urn)
                found.append(item)
        return found

    def _adopt(self, wanted: Wanted) -> Resource | None:
        """Find what a create made whose process died before it could write that down."""
        operation = self._interrupted.get(wanted.resource.urn)
        if self._run.preview or operation is None or operation.kind != "creating":
            return None
        tried = operation.resource
        found = wanted.handler.find(self._cloud, for_handler(tried.inputs))
        outputs = found and wanted.handler.read(self._cloud, found, for_handler(tried.inputs))
        if not found or not outputs:
            return None
        self._run.warn(f"{tried.urn}: adopted `{found}`, which an interrupted run had made")
        return self._made(tried, tried.inputs, found, from_handler(outputs))

    def _create(self, wanted: Wanted, inputs: dict[str, Any]) -> Resource:
        resource = replace(wanted.resource, inputs=inputs)
        if self._run.preview:
            return self._made(resource, inputs, "", inputs)
        made = self._attempt(
            "creating", resource, lambda: wanted.handler.create(self._cloud, for_handler(inputs))
        )
        return self._made(
            resource, inputs, made.id, self._outputs(wanted.handler, inputs, made.outputs)
        )

    def _update(self, wanted: Wanted, old: Resource, inputs: dict[str, Any]) -> Resource:
        resource, handler = replace(wanted.resource, inputs=inputs, id=old.id), wanted.handler
        if self._run.preview:
            known = {
                key: value for key, value in old.outputs.items() if key not in handler.unstable
            }
            return self._made(resource, inputs, old.id, {**known, **inputs}, old)
        outputs = self._attempt(
            "updating",
            resource,
            lambda: handler.update(
                self._cloud, old.id, for_handler(old.outputs), for_handler(inputs)
            ),
        )
        return self._made(resource, inputs, old.id, self._outputs(handler, inputs, outputs), old)

    def _outputs(
        self, handler: Handler, inputs: dict[str, Any], outputs: dict[str, Any]
    ) -> dict[str, Any]:
        tags = {"tagsAll": for_handler(inputs).get("tags", {})} if handler.taggable else {}
        return from_handler({**tags, **outputs})

    def _made(
        self,
        resource: Resource,
        inputs: dict[str, Any],
        id_: str,
        outputs: dict[str, Any],
        old: Resource | None = None,
    ) -> Resource:
        now = datetime.now(UTC).isoformat()
        secret = {
            *resource.additional_secret_outputs,
            *(key for key, value in inputs.items() if is_secret(value)),
        }
        hidden = hide({key: value for key, value in outputs.items() if key != "__defaults"}, secret)
        unchanged = old is not None and (old.inputs, old.outputs) == (inputs, hidden)
        return replace(
            resource,
            inputs=inputs,
            id=id_,
            outputs=hidden,
            created=(old and old.created) or now,
            modified=old.modified if old and unchanged else now,
        )

    def _remove(self, resource: Resource, *, forget: bool = False) -> None:
        if resource.is_managed and not forget:
            handler = self._run.handler(resource.type, resource.urn)
            if handler is None:
                self._run.fail(
                    resource.urn, "deleting", LookupError(f"no handler for {resource.type}")
                )
                raise StepFailedError(resource.urn)
            if not self._run.preview:
                outputs = for_handler(resource.outputs)
                self._attempt(
                    "deleting", resource, lambda: handler.delete(self._cloud, resource.id, outputs)
                )
        self._state.drop(resource.key)

    def _attempt(self, operation: str, resource: Resource, call: Callable[[], _T]) -> _T:
        if self._run.is_ending:
            raise StepFailedError(f"{resource.urn}: not begun, because the run is ending")
        self._state.begin(operation, resource)
        try:
            return call()
        except Exception as error:
            self._state.abandon(resource.urn)
            self._run.fail(resource.urn, operation, error)
            raise StepFailedError(f"{operation} {resource.urn}: {error}") from error


def refuse_protected(resources: Iterable[Resource], verb: str = "delete") -> None:
    """Raise if one of the resources is protected.

    Raises:
        ProtectedError: Names all of them.
    """
    protected = tuple(item.urn for item in resources if item.protect and not item.delete)
    if protected:  # fail closed
        raise ProtectedError(verb, protected)
