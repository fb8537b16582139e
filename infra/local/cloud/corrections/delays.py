"""Changes are seen late, as on AWS; the emulator shows them at once.

The delays are rows of the table of limits, on the clock that tests advance.
"""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

from infra.local.cloud.limits.history import History
from infra.local.cloud.limits.refusals import refusal
from infra.local.cloud.limits.table import DEVICE_POLICY, INDEX, MEMBERSHIP, THING_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.local.cloud.emulator import Emulator

_IOT: Final = "services.iot"
_SCOPED: Final = "AccountRegionScopedDict"


def index_lags(emulator: Emulator) -> None:
    """Let SearchIndex find a thing, and its connection, as they were a few seconds ago."""
    iot = emulator.module(_IOT)
    things = _Things(emulator, History(emulator.limits, INDEX))
    connections = History(emulator.limits, INDEX)

    def search(original: Any) -> Any:
        return lambda payload: things.lent(lambda: original(payload))

    def noted(original: Any) -> Any:
        def change(account: str, region: str, client_id: str, *rest: Any) -> Any:
            before = copy.copy(now(account, region, client_id))
            answer = original(account, region, client_id, *rest)
            connections.changed((account, region, client_id), before)
            return answer

        return change

    now = iot._thing_connectivity

    def seen(original: Any) -> Any:
        return lambda *key: connections.seen(key, original(*key))

    emulator.replace(_IOT, "_search_index", search)
    emulator.replace(_IOT, "_register_client", noted)
    emulator.replace(_IOT, "_deregister_client", noted)
    emulator.replace(_IOT, "_thing_connectivity", seen)  # which only the search asks


def membership_lags(emulator: Emulator) -> None:
    """List a thing's groups, and a group's things, as they were a moment ago."""
    iot = emulator.module(_IOT)
    things = _Things(emulator, History(emulator.limits, MEMBERSHIP))

    def groups(original: Any) -> Any:
        def listed(path: str) -> Any:
            return things.lent(lambda: original(path), all_things=True)

        return listed

    def members(original: Any) -> Any:
        def listed(path: str) -> Any:
            group = path.removeprefix("/thing-groups/").removesuffix("/things")
            if iot._thing_groups.get(group) is None:
                return original(path)
            names = [
                name
                for name, thing in things.seen().items()
                if group in (thing.get("thingGroupNames") or ())
            ]
            return iot.json_response({"things": names})

        return listed

    emulator.replace(_IOT, "_list_thing_groups_for_thing", groups)
    emulator.replace(_IOT, "_list_things_in_thing_group", members)


def device_policy_lags(emulator: Emulator) -> None:
    """Decide by the version of an IoT policy that was the default some minutes ago."""
    iot = emulator.module(_IOT)
    history = History(emulator.limits, DEVICE_POLICY)
    policies = iot._policies

    def default(name: str) -> Any:
        policy = policies.get(name)
        version = None if policy is None else policy["versions"].get(policy["defaultVersionId"])
        return None if version is None else version["document"]

    def noted(original: Any) -> Any:
        def change(name: str, *rest: Any) -> Any:
            before = default(name)
            answer = original(name, *rest)
            if before is not None and default(name) != before:
                history.changed((iot.get_account_id(), iot.get_region(), name), before)
            return answer

        return change

    class Seen:
        """The policies, as the broker's cache has them."""

        def get(self, name: str) -> Any:
            """A policy with the version that decides."""
            policy = policies.get(name)
            key = (iot.get_account_id(), iot.get_region(), name)
            document = history.seen(key, default(name))
            if policy is None or document is None:
                return policy
            return {"defaultVersionId": "", "versions": {"": {"document": document}}}

    def decided(original: Any) -> Any:
        def allows(*given: Any, **named: Any) -> Any:
            iot._policies = Seen()
            try:
                return original(*given, **named)
            finally:
                iot._policies = policies

        return allows

    emulator.replace(_IOT, "_create_policy_version", noted)
    emulator.replace(_IOT, "_set_default_policy_version", noted)
    emulator.replace(_IOT, "_mqtt_policy_allows", decided)


def thing_type_is_deleted_late(emulator: Emulator) -> None:
    """Delete no thing type before AWS would: the emulator deletes it as soon as it is deprecated.

    The words are those that the Terraform provider waits for (its `thing_type.go`).
    """
    iot, limits = emulator.module(_IOT), emulator.limits
    deprecated: dict[tuple[str, str, str], float] = {}

    def noted(original: Any) -> Any:
        def deprecate(name: str, *rest: Any) -> Any:
            answer = original(name, *rest)
            deprecated.setdefault(_scoped(iot, name), limits.clock.now())
            return answer

        return deprecate

    def late(original: Any) -> Any:
        def delete(name: str) -> Any:
            since = deprecated.get(_scoped(iot, name))
            if since is not None and limits.clock.now() < since + limits.seconds(THING_TYPE):
                words = (
                    f"Cannot delete thing type : {name}. "
                    "Please wait for 5 minutes after deprecation and then retry"
                )
                return refusal("iot", "InvalidRequestException", words)
            deprecated.pop(_scoped(iot, name), None)
            return original(name)

        return delete

    emulator.replace(_IOT, "_deprecate_thing_type", noted)
    emulator.replace(_IOT, "_delete_thing_type", late)


def _scoped(iot: Any, name: str) -> tuple[str, str, str]:
    return iot.get_account_id(), iot.get_region(), name


class _Things:
    """The things of the registry as something sees them that sees changes late.

    The emulator changes a thing where it stands and stores it then, so what stood before is known
    from a copy of each.
    """

    def __init__(self, emulator: Emulator, history: History) -> None:
        self._iot = emulator.module(_IOT)
        self._store, self._history = self._iot._things, history
        self._copies: dict[tuple[str, str, str], Any] = {}
        responses = "core.responses"
        emulator.replace(responses, f"{_SCOPED}.__setitem__", self._on_change)
        emulator.replace(responses, f"{_SCOPED}.__delitem__", self._on_change)

    def _on_change(self, original: Any) -> Any:
        def change(store: Any, name: str, *value: Any) -> None:
            if store is self._store:
                key = (self._iot.get_account_id(), self._iot.get_region(), name)
                # Of the last run's things there is no copy: that they stand is all that is known.
                before = self._copies.get(key) or copy.deepcopy(store.get(name))
                self._history.changed(key, before)
                self._copies[key] = copy.deepcopy(value[0]) if value else None
            original(store, name, *value)

        return change

    def seen(self, *, all_things: bool = False) -> dict[str, Any]:
        """Name -> thing, in the account and region of the request.

        Args:
            all_things: also those that are too new to be seen, without groups.
        """
        scope = (self._iot.get_account_id(), self._iot.get_region())
        live = dict(self._store.items())
        names = {*live, *(key[2] for key in self._history.held() if key[:2] == scope)}
        found = {name: self._history.seen((*scope, name), live.get(name)) for name in sorted(names)}
        if all_things:
            for name, thing in live.items():
                found[name] = found[name] or {**thing, "thingGroupNames": []}
        return {name: thing for name, thing in found.items() if thing is not None}

    def lent(self, answer: Callable[[], Any], *, all_things: bool = False) -> Any:
        """What the emulator answers if these are the things."""
        self._iot._things = self.seen(all_things=all_things)
        try:
            return answer()
        finally:
            self._iot._things = self._store
