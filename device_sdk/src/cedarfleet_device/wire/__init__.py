"""What travels between service and device; with the standard library only.

The service, the device agent and the builder of the tenant's IoT policy import this package and
nothing else of each other.

Topics, of one level each, so that an IoT policy can name them with
``${iot:Connection.Thing.ThingName}``::

    fleet/<thing>/commands/<command id>            service -> device   CommandMessage, and
    the CancelMessage that takes it back
    fleet/<thing>/commands/<command id>/status     device -> cloud     StatusMessage
    fleet/<thing>/commands/presence/status         device -> cloud     the agent's word of its
    connection (last will)
    fleet/<thing>/commands/versions/status         device -> cloud     VersionsMessage
    $aws/rules/<rule>/fleet/<thing>/telemetry/<topic>  device -> cloud  TelemetryMessage, by the
    rule of the tenant alone

What is desired of a device, and what it answers, are members of a named shadow.
A file travels as an AWS IoT Job whose document is a ``DownloadDocument``; one of a
``MoveDocument`` names a new endpoint.

``names`` says what tenants, devices and commands may be called, ``topics`` where a message goes,
``commands``, ``downloads``, ``logs``, ``manifests``, ``moves``, ``states``, ``telemetry`` and
``versions`` what it says, ``form`` what all of them are: versioned JSON that is read strictly.
``windows`` has the hours in which something may begin, which both count alike.
"""

from cedarfleet_device.wire.commands import (
    MAX_DETAIL_BYTES,
    MAX_SEQUENCE,
    SESSION_EXPIRY_SECONDS,
    CancelMessage,
    CommandMessage,
    CommandState,
    StatusMessage,
    command_or_cancel,
)
from cedarfleet_device.wire.downloads import MAX_ARTIFACT_NAME, DownloadDocument
from cedarfleet_device.wire.form import (
    MAX_MESSAGE_BYTES,
    WIRE_VERSION,
    WireError,
    WrongVersionError,
)
from cedarfleet_device.wire.logs import MAX_LOGS_BYTES, UPLOAD_LOGS, LogUpload
from cedarfleet_device.wire.manifests import Manifest, Signed, is_package, is_version
from cedarfleet_device.wire.moves import MQTT_PORT, MoveDocument
from cedarfleet_device.wire.names import (
    COMMAND_ID,
    DEVICE_ID,
    MAX_THING_NAME,
    is_command_id,
    is_command_name,
    is_device_id,
    is_tenant_id,
    split_thing_name,
    thing_name,
)
from cedarfleet_device.wire.states import (
    MAX_STATE_VALUE,
    MAX_STATE_VERSION,
    MAX_STATE_WORDS,
    STATE_SHADOW,
    DesiredState,
    ReportedState,
    is_state_key,
    state_value,
)
from cedarfleet_device.wire.telemetry import (
    MAX_SEQUENCE_OF_TELEMETRY,
    MAX_TELEMETRY_TOPIC,
    TELEMETRY_TOPIC,
    TelemetryMessage,
    is_telemetry_topic,
    telemetry_rule,
    telemetry_topic,
)
from cedarfleet_device.wire.topics import (
    command_filter,
    command_topic,
    parse_command_topic,
    presence_message,
    presence_topic,
    shadow_topic,
    status_topic,
)
from cedarfleet_device.wire.versions import (
    FIRMWARE,
    MAX_REPORTED_PACKAGES,
    MAX_VERSIONS_BYTES,
    VersionsMessage,
    is_packages,
    reportable,
    versions_topic,
)
from cedarfleet_device.wire.windows import Hours

__all__ = [
    "COMMAND_ID",
    "DEVICE_ID",
    "FIRMWARE",
    "MAX_ARTIFACT_NAME",
    "MAX_DETAIL_BYTES",
    "MAX_LOGS_BYTES",
    "MAX_MESSAGE_BYTES",
    "MAX_REPORTED_PACKAGES",
    "MAX_SEQUENCE",
    "MAX_SEQUENCE_OF_TELEMETRY",
    "MAX_STATE_VALUE",
    "MAX_STATE_VERSION",
    "MAX_STATE_WORDS",
    "MAX_TELEMETRY_TOPIC",
    "MAX_THING_NAME",
    "MAX_VERSIONS_BYTES",
    "MQTT_PORT",
    "SESSION_EXPIRY_SECONDS",
    "STATE_SHADOW",
    "TELEMETRY_TOPIC",
    "UPLOAD_LOGS",
    "WIRE_VERSION",
    "CancelMessage",
    "CommandMessage",
    "CommandState",
    "DesiredState",
    "DownloadDocument",
    "Hours",
    "LogUpload",
    "Manifest",
    "MoveDocument",
    "ReportedState",
    "Signed",
    "StatusMessage",
    "TelemetryMessage",
    "VersionsMessage",
    "WireError",
    "WrongVersionError",
    "command_filter",
    "command_or_cancel",
    "command_topic",
    "is_command_id",
    "is_command_name",
    "is_device_id",
    "is_package",
    "is_packages",
    "is_state_key",
    "is_telemetry_topic",
    "is_tenant_id",
    "is_version",
    "parse_command_topic",
    "presence_message",
    "presence_topic",
    "reportable",
    "shadow_topic",
    "split_thing_name",
    "state_value",
    "status_topic",
    "telemetry_rule",
    "telemetry_topic",
    "thing_name",
    "versions_topic",
]
