"""The `aws` lines of the operator's page, walked against the embedded cloud by the same words.

`python -m infra.local.aws` takes what the AWS CLI takes; a line that is not walked is named on the
page as one that is not run.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Final

import botocore.session
import pytest
from botocore import xform_name
from botocore.validate import ParamValidator
from cedarfleet_device.trust import signing
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from infra.local import aws
from infra.local.people_file import write_private
from infra.local.running_cloud import description
from tests.infra.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from infra.local.cloud import EmbeddedCloud

PAGE: Final = (ROOT / "docs" / "operations.md").read_text()
COST: Final = (ROOT / "docs" / "cost.md").read_text()
LINES: Final = sorted(
    {found.strip() for found in re.findall(r"\baws [a-z0-9-]+ [^`\n]+", f"{PAGE}\n{COST}")}
)
NOT_RUN: Final = ("aws ecr get-login-password", "aws s3 cp", "aws s3 sync")
"""What needs Docker, or is the CLI's own and no operation of AWS."""
SOMETHING: Final = re.compile(r"\$\([^)]*\)|\$\{[^}]*\}|<[^>]*>")
"""Of a line, what the operator fills in, or another command tells; how long it is, nobody knows."""
PARTIAL: Final = ("Missing required", "Invalid length")
SERVICES: Final = {"s3api": "s3"}
T: Final = "walked"
"""Of which the things here are named."""


class Walk:
    """Plays lines of the page; each must stand on it, and is noted."""

    played: Final[set[str]] = set()

    def __init__(self, state: Path, capture: pytest.CaptureFixture[str]) -> None:
        self._state, self._capture = state, capture

    def __call__(self, beginning: str, **placeholders: str) -> str:
        """What the line with this beginning prints.

        Args:
            beginning: of one line of the page.
            placeholders: what stands for `<name>`, and for a shell's `$NAME`, without blanks.
        """
        [line] = [one for one in LINES if one.startswith(beginning)]
        self.played.add(line)
        command = line.removesuffix(")")
        for name, text in placeholders.items():
            shown = name.replace("_", " ")
            command = command.replace(f"<{shown}>", text).replace(f"${{{name}##*/}}", text[-64:])
            command = command.replace(f"${name}", text)
        command = re.sub(r"\$\(pulumi stack output (\w+) -s platform\)", r"{\1}", command)
        command = command.format(**placeholders) if "$(" in line else command
        words = shlex.split(command)[1:]
        assert not any("<" in word or "$" in word for word in words), words
        self._capture.readouterr()
        code = aws.main(["--state", str(self._state), *words])
        said = self._capture.readouterr()
        assert (code, said.err) == (0, ""), said.err
        return said.out


@pytest.fixture
def walk(embedded_cloud: EmbeddedCloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Walk:
    """Against the cloud of this process."""
    write_private(tmp_path / "cloud.json", description(embedded_cloud))
    return Walk(tmp_path, capsys)


def test_the_bucket_of_the_state_has_versions(embedded_cloud: EmbeddedCloud, walk: Walk) -> None:
    """Made and switched on by the two lines."""
    said = {"state_bucket": f"{T}-state", "region": embedded_cloud.region}
    walk("aws s3api create-bucket", **said)
    walk("aws s3api put-bucket-versioning", **said)
    found = embedded_cloud.client("s3").get_bucket_versioning(Bucket=f"{T}-state")
    assert found["Status"] == "Enabled"


def test_somebody_is_woken(embedded_cloud: EmbeddedCloud, walk: Walk) -> None:
    """Who subscribes to the topic of the alarms is subscribed."""
    client = embedded_cloud.client("sns")
    topic = client.create_topic(Name=f"{T}-alarms")["TopicArn"]
    walk("aws sns subscribe", alarms_topic_arn=topic, address="night@example.com")
    [found] = client.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert (found["Protocol"], found["Endpoint"]) == ("email", "night@example.com")


def test_a_device_is_taken_away_line_by_line(embedded_cloud: EmbeddedCloud, walk: Walk) -> None:
    """In the page's order: afterwards nothing holds the policy of the tenant's devices."""
    iot = embedded_cloud.client("iot")
    thing, policy = f"{T}--press-01", f"{T}-device"
    iot.create_thing_group(thingGroupName=T)
    iot.create_thing(thingName=thing)
    iot.add_thing_to_thing_group(thingGroupName=T, thingName=thing)
    document = {"Version": "2012-10-17", "Statement": []}
    iot.create_policy(policyName=policy, policyDocument=json.dumps(document))
    certificate = iot.create_keys_and_certificate(setAsActive=True)["certificateArn"]
    iot.attach_policy(policyName=policy, target=certificate)
    iot.attach_thing_principal(thingName=thing, principal=certificate)

    listed = walk("aws iot list-things-in-thing-group", tenant=T)
    assert json.loads(listed)["things"] == [thing]
    said = {"tenant": T, "thing": thing}
    assert walk("aws iot list-thing-principals", **said).strip() == certificate
    said |= {"CERTIFICATE": certificate}
    for beginning in (
        "detach-thing-principal",
        "detach-policy --policy-name",
        "update-certificate --certificate-id",
        "delete-certificate",
        "delete-thing",
    ):
        walk(f"aws iot {beginning}", **said)
    left = walk("aws iot list-targets-for-policy --policy-name <tenant>-device", tenant=T)
    assert not json.loads(left or "{}").get("targets")
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.describe_certificate(certificateId=certificate.rpartition("/")[2])
    iot.delete_policy(policyName=policy)


def test_a_renewed_certificate_is_signed(embedded_cloud: EmbeddedCloud, walk: Walk) -> None:
    """By the page's three lines: active, the thing's, and held to the policy of its tenant."""
    iot = embedded_cloud.client("iot")
    thing, policy = "renewed--press-02", "renewed-device"
    iot.create_thing(thingName=thing)
    document = {"Version": "2012-10-17", "Statement": []}
    iot.create_policy(policyName=policy, policyDocument=json.dumps(document))
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, thing)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    pem = request.public_bytes(Encoding.PEM).decode()
    made = json.loads(walk("aws iot create-certificate-from-csr", REQUEST=pem))
    signed = x509.load_pem_x509_certificate(made["certificatePem"].encode())
    assert signed.public_key() == key.public_key()
    said = {"tenant": "renewed", "thing": thing, "new_certificate": made["certificateArn"]}
    walk("aws iot attach-policy", **said)
    walk("aws iot attach-thing-principal", **said)
    assert iot.list_thing_principals(thingName=thing)["principals"] == [made["certificateArn"]]
    shown = iot.describe_certificate(certificateId=made["certificateId"])
    assert shown["certificateDescription"]["status"] == "ACTIVE"


def test_claims_of_the_first_release_are_named(embedded_cloud: EmbeddedCloud, walk: Walk) -> None:
    """What still holds the policy of claims."""
    iot = embedded_cloud.client("iot")
    document = json.dumps({"Version": "2012-10-17", "Statement": []})
    iot.create_policy(policyName=f"{T}-claim", policyDocument=document)
    certificate = iot.create_keys_and_certificate(setAsActive=True)["certificateArn"]
    iot.attach_policy(policyName=f"{T}-claim", target=certificate)
    found = walk("aws iot list-targets-for-policy --policy-name <tenant>-claim", tenant=T)
    assert json.loads(found)["targets"] == [certificate]
    iot.detach_policy(policyName=f"{T}-claim", target=certificate)


def test_the_fleet_index_is_switched_off(embedded_cloud: EmbeddedCloud, walk: Walk) -> None:
    """As the page has it, with both its parts."""
    iot = embedded_cloud.client("iot")
    iot.update_indexing_configuration(
        thingIndexingConfiguration={"thingIndexingMode": "REGISTRY"},
        thingGroupIndexingConfiguration={"thingGroupIndexingMode": "ON"},
    )
    walk("aws iot update-indexing-configuration")
    now = iot.get_indexing_configuration()
    things, groups = "thingIndexingConfiguration", "thingGroupIndexingConfiguration"
    assert now[things]["thingIndexingMode"] == "OFF"
    assert now[groups]["thingGroupIndexingMode"] == "OFF"


def test_events_go_to_a_queue(embedded_cloud: EmbeddedCloud, walk: Walk) -> None:
    """The rule and its target, by the two lines."""
    queue = embedded_cloud.client("sqs").create_queue(QueueName=f"{T}-life")["QueueUrl"]
    arn = f"arn:aws:sqs:{embedded_cloud.region}:{embedded_cloud.account_id}:{T}-life"
    assert queue.endswith(f"{T}-life")
    walk("aws events put-rule")
    events = embedded_cloud.client("events")
    try:
        walk("aws events put-targets", **{"ARN_of the_queue": arn})
        [target] = events.list_targets_by_rule(Rule="tenants")["Targets"]
        assert target["Arn"] == arn
    finally:
        events.remove_targets(Rule="tenants", Ids=["queue"])
        events.delete_rule(Name="tenants")


def test_dead_work_is_looked_at(embedded_cloud: EmbeddedCloud, walk: Walk) -> None:
    """And stays where it is: looking hides it from nobody."""
    client = embedded_cloud.client("sqs")
    queue = client.create_queue(QueueName=f"{T}-dead")["QueueUrl"]
    client.send_message(QueueUrl=queue, MessageBody="what was asked")
    for _ in range(2):
        found = json.loads(walk("aws sqs receive-message", dead_work_queue=queue))
        assert [one["Body"] for one in found["Messages"]] == ["what was asked"]


def test_a_file_is_signed_line_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`cedarfleet-sign` takes each line of the page, and its metadata fits S3's 2 KB."""
    lines = re.findall(r"cedarfleet-sign (?:manifest|sign|metadata) [^`\n)]+", PAGE)
    assert len(lines) == 3
    (tmp_path / "v2.bin").write_bytes(b"firmware")
    assert signing.main(["key", str(tmp_path / "release-1.key")]) == 0
    for line in lines:
        words = [
            str(tmp_path / word) if word.endswith((".bin", ".json", ".key")) and "/" not in word
            else word
            for word in shlex.split(line)[1:]
        ]  # fmt: skip
        capsys.readouterr()
        assert signing.main(words) == 0, line
    said = capsys.readouterr().out.strip()
    assert 0 < len(said) < 2_000


def test_each_line_is_one_of_awss_and_walked_or_named() -> None:
    """Service, operation and options are in AWS's model; what is not walked stands on the page."""
    session = botocore.session.get_session()
    unknown: list[str] = []
    for line in LINES:
        if line.startswith(NOT_RUN):
            continue
        words = shlex.split(
            re.sub(r"\$\([^)]*\)|\$\{[^}]*\}|<[^>]*>", "123456789012", line.removesuffix(")"))
        )
        given, options = aws._parser().parse_known_args(words[1:])
        service = session.get_service_model(SERVICES.get(words[1], words[1]))
        names = {xform_name(name, "-"): name for name in service.operation_names}
        try:
            model = service.operation_model(names[given.operation])
            asked = aws.parameters(model, options)
        except (KeyError, aws.UsageError) as error:
            unknown.append(f"{line}: {error}")
            continue
        if model.input_shape is not None:
            found = ParamValidator().validate(asked, model.input_shape).generate_report()
            # A line may stand for its operation, without what is required.
            wrong = [one for one in found.splitlines() if not one.startswith(PARTIAL)]
            unknown += [f"{line}: {one}" for one in wrong]
    assert unknown == []
    said = PAGE.partition("## Before the first run")[0]
    for beginning in NOT_RUN:
        assert f"`{beginning}`" in said, f"the page does not say that `{beginning}` is not run"
