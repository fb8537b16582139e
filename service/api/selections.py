"""How a request selects devices: the filter of `GET /v1/devices` as a body, or names."""

from typing import Annotated

from msgspec import Meta, Struct

from service.api.parameters import Label
from service.cedar.device_facts import DEVICE_FACTS
from service.domain.device_filter import DeviceFilter, read_tags, read_versions

MAX_NAMED = 500
"""Devices that one request names; of more it names a group or a filter."""


class DeviceFilterBody(Struct, forbid_unknown_fields=True, frozen=True):
    """The devices that the caller's own list shows under these, as of `GET /v1/devices`."""

    group: Label | None = None
    tag: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=300)]],
        Meta(max_length=10, description="with this tag, `building:7`, or with any text of it"),
    ] = []
    text: Annotated[str, Meta(max_length=64)] = ""
    connected: bool | None = None
    version: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=130)]],
        Meta(max_length=10, description="on which this runs, `firmware:1.4.2`, or any of it"),
    ] = []
    kind: Label | None = None
    region: Label | None = None
    criticality: Label | None = None
    utc_offset: Label | None = None
    time_zone: Label | None = None
    window: Label | None = None
    security_patch: Label | None = None

    def wanted(self) -> DeviceFilter:
        """What the operation is asked.

        Raises:
            InvalidRequestError: a tag or package stands twice, or a version is not of its form.
        """
        attributes = {name: getattr(self, name) for name in sorted(DEVICE_FACTS)}
        return DeviceFilter(
            group=self.group,
            attributes={name: text for name, text in attributes.items() if text is not None},
            tags=read_tags(self.tag),
            text=self.text,
            connected=self.connected,
            versions=read_versions(self.version),
        )
