"""The AWS adapters, as the service's process uses them on the embedded cloud under the tenant's own role."""

from __future__ import annotations

import base64
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx

from infra.local.landscape import GROUPS

if TYPE_CHECKING:
    from tests.service.adapters.conftest import Plant, Twin

COMMANDS = "/v1/devices/press-01/commands"
FIRE = {"reason": "fire in the ward"}
REQUESTS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("GET", "/v1/devices", None),
    ("GET", "/v1/devices/pump-01", None),
    ("PATCH", "/v1/devices/pump-01", {"criticality": "high"}),
    *(
        ("POST", "/v1/devices/pump-01/commands", {"name": name} | ({"emergency": FIRE} if emergency else {}))
        for name in ("pause-infusion", "self-test")
        for emergency in (False, True)
    ),
    *(
        ("POST", "/v1/downloads", target | {"artifact": artifact})
        for target in ({"device": "pump-01"}, {"group": "all"})
        for artifact in ("recipes/dose.json", "firmware/pump.bin")
    ),
]


def status_row(command_id: str, number: int, detail: bytes, *, state: str = "running") -> dict[str, Any]:
    """A row as the IoT rule writes it."""
    return {
        "thing": {"S": "acme--press-01"},
        "sk": {"S": f"{command_id}#status#{number:04}"},
        "command_id": {"S": command_id},
        "sequence": {"S": f"{number:04}"},
        "state": {"S": state},
        "detail": {"S": base64.b64encode(detail).decode()},
        "device_time": {"N": "1790000000000"},
        "received_at": {"N": "1790000000001"},
    }


def verdict(answer: httpx.Response) -> tuple[int, str | None, list[str] | None]:
    """What the policies made of a request."""
    document = answer.json()
    return answer.status_code, document.get("reason"), document.get("policies")


def test_the_service_is_ready(plant: Plant) -> None:
    """The registry answers."""
    assert plant.http.get("/health/ready").json() == {"status": "ready"}


def test_two_tokens_are_none(plant: Plant) -> None:
    """A proxy in front might check the one, and we the other: 401, whichever comes first; one alone is fine."""
    token = f"Bearer {plant.token('acme', 'managers')}"
    for given in ((token, "Bearer x"), ("Bearer x", token), (token, token), (token,)):
        answer = plant.http.get("/v1/me", headers=[("Authorization", text) for text in given])
        assert answer.status_code == (200 if len(given) == 1 else 401), given[0][:8]


def test_people_see_their_own_tenant(plant: Plant) -> None:
    """The token's issuer decides the tenant; each sees its own devices with groups and attributes."""
    assert plant.call("GET", "/v1/me").json()["tenant"] == "acme"
    devices = plant.call("GET", "/v1/devices", group="operators").json()["devices"]
    assert [device["id"] for device in devices] == ["press-01", "press-02"]
    assert devices[0]["groups"] == ["line-press"]
    assert devices[0]["attributes"]["criticality"] == "high"
    assert devices[0]["connectivity"]["connected"] is False
    foreign = plant.call("GET", "/v1/devices", tenant="globex").json()["devices"]
    assert [device["id"] for device in foreign] == ["pump-01"]


def test_pages_of_the_fleet_index_follow_each_other(plant: Plant) -> None:
    """The cursor leads on, belongs to its tenant, and a made-up one is refused."""
    first = plant.call("GET", "/v1/devices", params={"limit": 1}).json()
    second = plant.call("GET", "/v1/devices", params={"limit": 1, "cursor": first["cursor"]}).json()
    assert [page["devices"][0]["id"] for page in (first, second)] == ["press-01", "press-02"]
    for tenant, cursor in (("globex", first["cursor"]), ("acme", "AAAA"), ("acme", "!")):
        answer = plant.call("GET", "/v1/devices", tenant=tenant, params={"cursor": cursor})
        assert answer.status_code == 400, cursor


def test_a_device_of_another_tenant_is_not_found(plant: Plant) -> None:
    """404 as for any unknown device."""
    assert plant.call("GET", "/v1/devices/press-01").status_code == 200
    for name in ("pump-01", "press-99"):
        assert plant.call("GET", f"/v1/devices/{name}").status_code == 404
    assert plant.call("POST", COMMANDS, tenant="globex", json={"name": "reboot"}).status_code in (400, 404)


def test_attributes_are_set_in_the_registry(plant: Plant) -> None:
    """Set and removed in IoT Core, and read back."""
    answer = plant.call("PATCH", "/v1/devices/press-02", json={"window": "22:00-04:00", "kind": None})
    assert answer.status_code == 200, answer.text
    assert answer.json()["attributes"]["window"] == "22:00-04:00"
    stored = plant.landscape.cloud.client("iot").describe_thing(thingName="acme--press-02")["attributes"]
    assert stored["window"] == "22:00-04:00"
    assert "kind" not in stored


def test_an_offset_east_and_west_is_stored_and_read_back(plant: Plant) -> None:
    """AWS refuses a `+` in an attribute: callers and policies see one all the same."""
    iot = plant.landscape.cloud.client("iot")
    listed = plant.call("GET", "/v1/devices").json()["devices"]
    assert listed[0]["attributes"]["utc_offset"] == "+01:00"
    for offset, stored in (("-05:30", "-05:30"), ("+02:00", "02:00")):
        answer = plant.call("PATCH", "/v1/devices/press-02", json={"utc_offset": offset})
        assert answer.status_code == 200, answer.text
        assert answer.json()["attributes"]["utc_offset"] == offset
        assert plant.call("GET", "/v1/devices/press-02").json()["attributes"]["utc_offset"] == offset
        assert iot.describe_thing(thingName="acme--press-02")["attributes"]["utc_offset"] == stored


def test_a_time_zone_takes_the_place_of_an_offset_in_one_request(plant: Plant) -> None:
    """Stored under its own name, slash and all, and decided with: the store takes the computed offset."""
    zone = {"time_zone": "America/Port-au-Prince", "utc_offset": None}
    assert plant.call("PATCH", "/v1/devices/press-02", json=zone).status_code == 200
    read = plant.call("GET", "/v1/devices/press-02")
    assert read.status_code == 200, read.text
    assert read.json()["attributes"]["time_zone"] == "America/Port-au-Prince"
    assert "utc_offset" not in read.json()["attributes"]
    back = {"time_zone": None, "utc_offset": "+02:00"}
    assert plant.call("PATCH", "/v1/devices/press-02", json=back).status_code == 200


def test_a_command_is_recorded_published_and_read_with_the_devices_states(plant: Plant) -> None:
    """202; the record stands beside the states that the IoT rule writes; the device's last word is the answer."""
    answer = plant.call("POST", COMMANDS, json={"name": "reboot", "arguments": {"n": 1}, "timeout_seconds": 120})
    assert answer.status_code == 202, answer.text
    command = answer.json()
    assert plant.call("GET", command["url"]).json()["state"] == "published"
    table = plant.landscape.stacks["platform"]["commands_table"]
    for sequence, state, detail in ((1, "received", {}), (2, "failed", {"reason": "no power"})):
        row = status_row(command["id"], sequence, json.dumps(detail).encode(), state=state)
        plant.landscape.cloud.client("dynamodb").put_item(TableName=table, Item=row)
    seen = plant.call("GET", command["url"]).json()
    assert (seen["state"], seen["is_final"], seen["detail"]) == ("failed", True, {"reason": "no power"})
    assert [told["state"] for told in seen["history"]] == ["received", "failed"]
    assert plant.call("GET", command["url"], tenant="globex").status_code == 404


def test_what_a_broken_device_reports_is_read_within_bounds(plant: Plant) -> None:
    """Thousands of large states, or a detail that no encoder can say, cost one bounded answer and never an error."""
    command = plant.call("POST", COMMANDS, json={"name": "reboot"}).json()
    dynamodb, table = plant.landscape.cloud.client("dynamodb"), plant.landscape.stacks["platform"]["commands_table"]
    details = [b'{"x":"\\ud800"}', b'{"x":NaN}', b'{"x":1e999}', b"[" * 5_000, b'{"x":"' + b"y" * 9_000 + b'"}']
    for start in range(1, 401, 25):
        rows = [status_row(command["id"], number, details[number % 5]) for number in range(start, start + 25)]
        dynamodb.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": row}} for row in rows]})
    dynamodb.put_item(TableName=table, Item=status_row(command["id"], 401, b'{"ok":true}', state="succeeded"))
    answer = plant.call("GET", command["url"])
    assert answer.status_code == 200, answer.text
    seen = answer.json()
    assert (seen["state"], seen["detail"], seen["history_truncated"]) == ("succeeded", {"ok": True}, True)
    assert [told["sequence"] for told in seen["history"]] == list(range(202, 402))
    assert all(told["detail"] == {} for told in seen["history"][:-1])
    assert len(answer.content) < 64 * 1024


def test_a_refused_publish_is_visibly_failed(plant: Plant) -> None:
    """If the broker refuses the tenant's role, the answer is 502 with the command's place, where it is `failed`."""
    iam, role = plant.landscape.cloud.client("iam"), plant.landscape.stacks["globex"]["role_arn"].rpartition("/")[2]
    deny = {"Effect": "Deny", "Action": "iot:Publish", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    iam.put_role_policy(RoleName=role, PolicyName="no-publish", PolicyDocument=document)
    try:
        body = {"name": "pause-infusion"}
        answer = plant.call("POST", "/v1/devices/pump-01/commands", tenant="globex", json=body)
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="no-publish")
    assert (answer.status_code, answer.json()["type"]) == (502, "urn:cedarfleet:problem:command-not-published")
    seen = plant.call("GET", answer.headers["Location"], tenant="globex").json()
    assert (seen["state"], seen["is_final"], seen["reported_by"]) == ("failed", True, "service")


def test_one_key_makes_one_command(plant: Plant) -> None:
    """The idempotency key is claimed in the same transaction as the record."""
    headers = {"Idempotency-Key": "adapter-1"}
    first = plant.call("POST", COMMANDS, json={"name": "reboot"}, headers=headers)
    again = plant.call("POST", COMMANDS, json={"name": "reboot"}, headers=headers)
    assert first.status_code == again.status_code == 202, again.text
    assert first.json()["id"] == again.json()["id"]
    assert plant.call("POST", COMMANDS, json={"name": "stop"}, headers=headers).status_code == 422


def test_one_key_makes_one_command_also_at_once(plant: Plant) -> None:
    """Eight requests at the same time under one key: each is answered with the one command, or told to try again."""
    token = {"Authorization": f"Bearer {plant.token('acme', 'managers')}", "Idempotency-Key": "adapter-2"}

    def send(_: int) -> httpx.Response:
        return plant.http.post(COMMANDS, headers=token, json={"name": "reboot"})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    assert {answer.status_code for answer in answers} <= {202, 503}
    made = {answer.json()["id"] for answer in (*answers, send(8)) if answer.status_code == 202}
    assert len(made) == 1


def test_a_denial_names_the_policy_and_is_audited(plant: Plant) -> None:
    """The policy store's own ids are answered as the names of our files; the trail holds the denial."""
    forged = {"X-Forwarded-For": "203.0.113.9"}
    answer = plant.call("POST", COMMANDS, group="operators", json={"name": "reboot"}, headers=forged)
    assert answer.status_code == 403
    assert answer.json()["policies"] == ["operators-view-only"]
    pages = (
        plant.landscape.cloud.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=plant.landscape.stacks["platform"]["audit_table"])
    )
    trail = [item for page in pages for item in page["Items"]]
    [denial] = [item for item in trail if item["request_id"]["S"] == answer.json()["request_id"]]
    assert denial["partition"]["S"].startswith("acme--audit#")
    assert denial["source_ip"]["S"] == "127.0.0.1", "a caller cannot write its own address"
    assert (denial["decision"]["S"], denial["policies"]["L"]) == ("DENY", [{"S": "operators-view-only"}])


def test_a_file_travels_as_a_job(plant: Plant) -> None:
    """The job's document carries size, digest and a URL that IoT Jobs signs; its outcome is the download's."""
    body = {"device": "press-01", "artifact": "recipes/steel.json"}
    answer = plant.call("POST", "/v1/downloads", json=body)
    assert answer.status_code == 202, answer.text
    url = answer.headers["Location"]
    assert plant.call("GET", url).json()["state"] == "queued"
    jobs = plant.landscape.cloud.client("iot-jobs-data")
    execution = jobs.start_next_pending_job_execution(thingName="acme--press-01")["execution"]
    document = json.loads(execution["jobDocument"])
    assert document["sha256"] == hashlib.sha256(b'{"temperature": 900}').hexdigest()
    assert plant.call("GET", url).json()["state"] == "in_progress"
    jobs.update_job_execution(
        jobId=execution["jobId"], thingName="acme--press-01", status="FAILED", statusDetails={"reason": "disk full"}
    )
    seen = plant.call("GET", url).json()
    assert (seen["state"], seen["counts"]) == ("failed", {"failed": 1})
    assert seen["deliveries"][0]["detail"] == {"reason": "disk full"}
    assert plant.call("GET", url, tenant="globex").status_code == 404


def test_a_group_gets_a_file(plant: Plant) -> None:
    """One job for the group, one delivery per member."""
    body = {"group": "line-press", "artifact": "recipes/steel.json"}
    answer = plant.call("POST", "/v1/downloads", json=body, headers={"Idempotency-Key": "group-1"})
    assert answer.status_code == 202, answer.text
    seen = plant.call("GET", answer.headers["Location"]).json()
    assert {delivery["device"] for delivery in seen["deliveries"]} == {"press-01", "press-02"}
    again = plant.call("POST", "/v1/downloads", json=body, headers={"Idempotency-Key": "group-1"})
    assert again.json()["id"] == answer.json()["id"]


def test_a_thing_that_is_no_device_keeps_firmware_from_nobody(plant: Plant) -> None:
    """A claim may make `acme--a:b`, which joins the root group: the devices get theirs, and it gets nothing."""
    iot = plant.landscape.cloud.client("iot")
    plant.landscape.upload("acme", "firmware/press.bin", b"2")
    odd = ("acme--a:b", "acme---bad", "acme--")
    for thing in odd:
        iot.create_thing(thingName=thing)
        iot.add_thing_to_thing_group(thingGroupName="acme", thingName=thing)
    try:
        answer = plant.call("POST", "/v1/downloads", json={"group": "all", "artifact": "firmware/press.bin"})
        assert answer.status_code == 202, answer.text
        seen = plant.call("GET", answer.headers["Location"]).json()
        assert {delivery["device"] for delivery in seen["deliveries"]} == {"press-01", "press-02"}
        assert seen["counts"] == {"queued": 2}
        assert [device["id"] for device in plant.call("GET", "/v1/devices").json()["devices"]] == [
            "press-01",
            "press-02",
        ]
    finally:
        for thing in odd:
            iot.delete_thing(thingName=thing)


def test_what_is_not_there_is_told(plant: Plant) -> None:
    """Unknown file, group and download are 404; an operator is refused before the file is looked for."""
    for body in (
        {"device": "press-01", "artifact": "nothing"},
        {"group": "nothing", "artifact": "recipes/steel.json"},
    ):
        assert plant.call("POST", "/v1/downloads", json=body).status_code == 404
    assert plant.call("GET", "/v1/downloads/01ARZ3NDEKTSV4RRFFQ69G5FAV").status_code == 404
    refused = plant.call("POST", "/v1/downloads", group="operators", json={"device": "press-01", "artifact": "nothing"})
    assert refused.status_code == 403


def test_a_digest_can_be_s3s_own(plant: Plant) -> None:
    """A full-object SHA-256 checksum of S3 serves as well as metadata; a file with neither is refused with advice."""
    s3 = plant.landscape.cloud.client("s3")
    bucket = plant.landscape.stacks["acme"]["bucket"]
    s3.put_object(Bucket=bucket, Key="checked.bin", Body=b"abc", ChecksumAlgorithm="SHA256")
    s3.put_object(Bucket=bucket, Key="bare.bin", Body=b"abc")
    made = plant.call("POST", "/v1/downloads", json={"device": "press-02", "artifact": "checked.bin"})
    assert made.status_code == 202, made.text
    assert plant.call("GET", made.headers["Location"]).json()["sha256"] == hashlib.sha256(b"abc").hexdigest()
    assert plant.call("POST", "/v1/downloads", json={"device": "press-02", "artifact": "bare.bin"}).status_code == 409


def test_the_twin_decides_as_the_policy_store_does(plant: Plant, twin: Twin) -> None:
    """Each persona of globex with each kind of request: same status, same reason, same policies by name."""
    different: list[object] = []
    for group in GROUPS:
        for method, path, body in REQUESTS:
            real = verdict(plant.call(method, path, tenant="globex", group=group, json=body))
            ours = verdict(twin.call(method, path, group=group, json=body))
            if real != ours:
                different.append((group, method, path, body, real, ours))
    assert different == []


def test_a_mixed_up_registry_row_opens_nothing(plant: Plant) -> None:
    """If acme's row led to globex's store, role and bucket, that store would refuse acme's token: nobody gets in."""
    dynamodb, table = plant.landscape.cloud.client("dynamodb"), plant.landscape.stacks["platform"]["tenants_table"]
    rows = {row["tenant"]["S"]: row for row in dynamodb.scan(TableName=table)["Items"]}
    mixed = {name: rows["globex"][name] for name in ("policy_store_id", "role_arn", "bucket", "presign_role_arn")}
    dynamodb.put_item(TableName=table, Item=rows["acme"] | mixed)
    fresh, url = plant.landscape.start_service()  # a process that has not read the right row
    headers = {"Authorization": f"Bearer {plant.token('acme', 'managers')}"}
    try:
        with httpx.Client(base_url=url, timeout=30, trust_env=False, headers=headers) as http:
            assert http.get("/v1/me").json()["tenant"] == "acme"
            for path in ("/v1/devices", "/v1/devices/press-01", "/v1/devices/pump-01"):
                assert http.get(path).status_code == 502, path
            body = {"group": "all", "artifact": "recipes/steel.json"}
            assert http.post("/v1/downloads", json=body).status_code == 502
    finally:
        dynamodb.put_item(TableName=table, Item=rows["acme"])
        fresh.stop()


def test_the_log_names_request_tenant_and_principal(plant: Plant) -> None:
    """Each event of a request carries its id, the verified tenant and the principal, by these names."""
    answer = plant.call("GET", "/v1/devices", headers={"X-Request-Id": "fields-12345678"})
    principal = plant.call("GET", "/v1/me").json()["principal"]
    mine = {"request_id": "fields-12345678"}
    plant.service.await_event("request.done", seconds=20, where=lambda line: line.items() >= mine.items())
    log = (plant.landscape.state_dir / "service.log").read_text().splitlines()
    lines = [json.loads(line) for line in log if "fields-12345678" in line]
    assert answer.headers["X-Request-Id"] == "fields-12345678"
    assert {line["event"] for line in lines} >= {"access.decided", "request.done"}
    for line in lines:
        named = {name: line[name] for name in ("request_id", "tenant", "principal")}
        assert named == {"request_id": "fields-12345678", "tenant": "acme", "principal": principal}


def test_nothing_secret_is_logged(plant: Plant) -> None:
    """The log of everything above holds events, but no token, signed URL or argument."""
    log = (plant.landscape.state_dir / "service.log").read_text()
    assert '"event": "command.published"' in log
    for token in plant.tokens.values():
        assert token not in log
        assert token.rpartition(".")[2] not in log
    assert "X-Amz-Signature" not in log
    assert "temperature" not in log
