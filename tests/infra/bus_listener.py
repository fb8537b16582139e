"""Hears what is put on the event bus; imported by tests, not collected."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from jsonschema import Draft4Validator

from infra.commands.life_events import BUS, SOURCE
from tests.infra.conftest import ROOT

if TYPE_CHECKING:
    from infra.local.cloud import EmbeddedCloud
    from tests.infra.conftest import ProcessCloud

SCHEMA: Final = json.loads((ROOT / "docs" / "tenant-events.schema.json").read_text())
USAGE: Final = json.loads((ROOT / "docs" / "usage-event.schema.json").read_text())
_NAME: Final = "hears-of-tenants"


@dataclass(frozen=True, kw_only=True)
class BusListener:
    """A rule with a queue, as whoever wants to hear of tenants makes them."""

    cloud: ProcessCloud | EmbeddedCloud
    queue: str

    @classmethod
    def begin(cls, cloud: ProcessCloud | EmbeddedCloud) -> BusListener:
        """From now on."""
        queue = cloud.client("sqs").create_queue(QueueName=_NAME)["QueueUrl"]
        events = cloud.client("events")
        events.put_rule(Name=_NAME, EventBusName=BUS, EventPattern=json.dumps({"source": [SOURCE]}))
        arn = f"arn:aws:sqs:{cloud.region}:{cloud.account_id}:{_NAME}"
        events.put_targets(Rule=_NAME, EventBusName=BUS, Targets=[{"Id": "queue", "Arn": arn}])
        return cls(cloud=cloud, queue=queue)

    def end(self) -> None:
        """Leave the cloud as it was found."""
        events = self.cloud.client("events")
        events.remove_targets(Rule=_NAME, EventBusName=BUS, Ids=["queue"])
        events.delete_rule(Name=_NAME, EventBusName=BUS)
        self.cloud.client("sqs").delete_queue(QueueUrl=self.queue)

    def heard(self) -> list[dict[str, Any]]:
        """What came since it was asked last, in no order, each held to the schema."""
        sqs, heard = self.cloud.client("sqs"), list[dict[str, Any]]()
        while messages := sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                event = json.loads(message["Body"])
                is_usage = event["detail-type"] == "tenant.usage"
                Draft4Validator(USAGE if is_usage else SCHEMA).validate(event)
                heard.append(event)
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return heard


def told(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What became of whom, in a fixed order; what was told twice stands there twice."""
    return sorted((event["detail-type"], event["detail"]["tenant"]) for event in events)
