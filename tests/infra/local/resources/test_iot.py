"""Handlers of IoT Core's registry wait and refuse as the provider and AWS do."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud.limits.table import THING_TYPE
from infra.local.resources import HANDLERS

if TYPE_CHECKING:
    from infra.local.cloud import EmbeddedCloud

GROUP, TYPE = HANDLERS["aws:iot/thingGroup:ThingGroup"], HANDLERS["aws:iot/thingType:ThingType"]


def described(name: str, words: str) -> dict[str, Any]:
    """Inputs of a thing group."""
    return {"name": name, "properties": {"description": words}}


def test_group_of_another_version_is_not_changed(embedded_cloud: EmbeddedCloud) -> None:
    """What somebody else has changed is not written over unseen; a refresh shows it, then it is."""
    name = f"group-{uuid.uuid4().hex[:8]}"
    made = GROUP.create(embedded_cloud, described(name, "first"))
    embedded_cloud.client("iot").update_thing_group(
        thingGroupName=name, thingGroupProperties={"thingGroupDescription": "by hand"}
    )
    wanted = described(name, "second")

    with pytest.raises(ClientError, match="VersionConflictException"):
        GROUP.update(embedded_cloud, made.id, made.outputs, wanted)
    tagged = GROUP.update(
        embedded_cloud, made.id, made.outputs, described(name, "first") | {"tags": {"a": "b"}}
    )
    seen = GROUP.read(embedded_cloud, made.id, tagged)
    assert seen is not None
    assert seen["properties"]["description"] == "by hand"
    now = GROUP.update(embedded_cloud, made.id, seen, wanted)
    assert (now["version"], now["properties"]["description"]) == (3, "second")


def test_thing_type_is_deleted_after_five_minutes(embedded_cloud: EmbeddedCloud) -> None:
    """The handler deprecates it and goes on trying; before the time AWS refuses."""
    name, iot = f"type-{uuid.uuid4().hex[:8]}", embedded_cloud.client("iot")
    made = TYPE.create(embedded_cloud, {"name": name})
    limits = embedded_cloud.limits
    with limits.changed(pace=1), limits.clock.stopped():
        iot.deprecate_thing_type(thingTypeName=name)
        limits.clock.advance(THING_TYPE.figure - 1)
        with pytest.raises(ClientError, match="Please wait for 5 minutes after deprecation"):
            iot.delete_thing_type(thingTypeName=name)
        deleting = threading.Thread(
            target=TYPE.delete, args=(embedded_cloud, made.id, made.outputs)
        )
        deleting.start()
        limits.clock.advance(1)
        deleting.join(30)
    assert not deleting.is_alive()
    assert TYPE.read(embedded_cloud, made.id, made.outputs) is None
