"""The firewall lets through what tenants and devices rightly send, and the file switches it."""

from __future__ import annotations

import http.server
import threading
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device.enrollment.service import EnrolmentService
from cedarfleet_device.errors import CloudError

from infra.local.engine import Op
from infra.stacks.platform_stack import firewall
from service.settings import HttpSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.stacks.config.limits import FirewallMode
    from tests.infra.conftest import Project

ACCOUNT = "123456789012"
CORE = "AWSManagedRulesCommonRuleSet"
CORE_BODY_BYTES = 8 * 1024  # source: WAF developer guide, "Core rule set", SizeRestrictions_BODY


def rules(mode: FirewallMode) -> dict[str, Any]:
    """The rules by name."""
    return {one["name"]: one for one in firewall.rules(requests=6000, mode=mode)}


def overridden(mode: FirewallMode, group: str) -> dict[str, Any]:
    """Rule of a managed group -> what is done with a match instead of its own action."""
    statement = rules(mode)[group]["statement"]["managed_rule_group_statement"]
    return {one["name"]: one["action_to_use"] for one in statement["rule_action_overrides"]}


@pytest.fixture
def headers_of_an_enrolment() -> Iterator[list[str]]:
    """What a device really sends to be let in, read off the socket."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.extend(name.lower() for name in self.headers)
            self.send_error(404)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ARG002 - silent
            return

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(CloudError):
            EnrolmentService(url=f"http://127.0.0.1:{server.server_address[1]}").ask(
                tenant="acme", device="press-07", code="c", request="r"
            )
        thread.join()
        yield seen


def test_a_device_may_enrol_through_it(headers_of_an_enrolment: list[str]) -> None:
    """Agents in the field send no User-Agent, for which the core rules would refuse them."""
    assert "content-type" in headers_of_an_enrolment
    assert "user-agent" not in headers_of_an_enrolment
    assert overridden("block", CORE)["NoUserAgent_HEADER"] == {"count": {}}


def test_a_body_may_be_as_large_as_the_service_takes() -> None:
    """The service, which says 413 in words, bounds it; the core rules would refuse it at 8 KB."""
    assert HttpSettings().body_max_bytes > CORE_BODY_BYTES
    assert overridden("block", CORE)["SizeRestrictions_BODY"] == {"count": {}}


def test_what_it_only_counts_is_named_with_its_reason() -> None:
    """Each rule that is let through is of the core set, and says for whose sake."""
    assert set(overridden("block", CORE)) == set(firewall.COUNTED)
    assert all(len(reason) > 20 for reason in firewall.COUNTED.values())
    others = set(rules("block")) - {CORE, "rate-of-an-address"}
    assert all(overridden("block", group) == {} for group in others)


def test_it_counts_until_it_is_told_to_block() -> None:
    """In `count` no rule refuses anybody; in `block` each does, the rate of an address first."""
    counting, blocking = rules("count"), rules("block")
    assert counting.keys() == blocking.keys()
    assert counting.pop("rate-of-an-address")["action"] == {"count": {}}
    assert {str(one["override_action"]) for one in counting.values()} == {str({"count": {}})}
    rate = blocking.pop("rate-of-an-address")
    assert {str(one["override_action"]) for one in blocking.values()} == {str({"none": {}})}
    assert rate["priority"] < min(one["priority"] for one in blocking.values())
    answer = rate["action"]["block"]["custom_response"]
    assert answer["response_code"] == 429
    assert answer["response_headers"] == [{"name": "Retry-After", "value": "60"}]


def test_only_web_acls_of_this_account_write_its_log() -> None:
    """Into the one log group, and for nobody else's sake."""
    group = f"arn:aws:logs:eu-central-1:{ACCOUNT}:log-group:aws-waf-logs-cedarfleet"
    (written,) = firewall.log_policy(
        log_group_arn=group, account_id=ACCOUNT, region="eu-central-1"
    )["Statement"]
    assert written["Principal"] == {"Service": "delivery.logs.amazonaws.com"}
    assert written["Resource"] == f"{group}:*"
    assert written["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"arn:aws:logs:eu-central-1:{ACCOUNT}:*"},
    }


def test_the_file_switches_what_watches(own: Project) -> None:
    """Without its keys firewall, flow log and IoT's log go; one NAT gateway makes nothing anew."""
    own.change("platform", firewall=None, flow_log_days=None, iot_log_level=None, nat_gateways=1)
    changes = [one for one in own.engine.preview("platform").changes if one.op is not Op.READ]
    gone = {one.urn.split("::")[-1] for one in changes if one.op is Op.DELETE}
    assert gone == {
        *("firewall", "firewall-rules", "firewall-before-the-balancer", "firewall-log"),
        "alarms-firewall-surge",
        *("flow-logs", "flow-logs-log", "flow-logs-role", "flow-logs-network"),
        *("iot-log", "iot-log-log", "iot-log-role", "iot-log-options"),
        "network-nat-1",
    }
    left = [
        (one.op, one.urn.split("::")[-1], one.keys) for one in changes if one.op is not Op.DELETE
    ]
    assert left == [(Op.UPDATE, "network-private-1-out", ("natGatewayId",))]
