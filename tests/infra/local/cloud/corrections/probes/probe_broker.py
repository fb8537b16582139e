"""Each function is named after a correction and tells whether its hole is open."""

from __future__ import annotations

import json
import ssl
from contextlib import closing
from typing import TYPE_CHECKING

from botocore.exceptions import ReadTimeoutError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from raw_mqtt import PUBLISH, RawDevice

if TYPE_CHECKING:
    from probed_cloud import ProbedCloud

INDEXED = {"thingIndexingMode": "REGISTRY", "thingConnectivityIndexingMode": "STATUS"}


def client_certificate_is_required(probed: ProbedCloud) -> bool:
    """A client without certificate subscribes to everything."""
    try:
        with RawDevice(port=probed.cloud.mqtt_port, ca_file=probed.cloud.ca_file) as device:
            return device.connect("anyone") == 0 and device.subscribe("#") < 128
    except (ssl.SSLError, ConnectionError):
        return False


def own_names_are_answered(probed: ProbedCloud) -> bool:
    """A name of an enabled domain configuration is answered, by nobody else's certificate."""
    acm, iot = probed.cloud.client("acm"), probed.cloud.client("iot")
    host = "one.devices.probe.example"
    certificate = acm.request_certificate(DomainName=host, ValidationMethod="DNS")
    named = {"domainConfigurationName": "probe"}
    iot.create_domain_configuration(
        **named, domainName=host, serverCertificateArns=[certificate["CertificateArn"]]
    )

    def answered(asked: str) -> bool:
        identity = probed.device()
        try:
            with RawDevice(
                port=probed.cloud.mqtt_port,
                ca_file=probed.cloud.ca_file,
                certificate=identity.certificate,
                key=identity.key,
                host=asked,
            ) as device:
                return device.connect(identity.thing) == 0
        except ssl.SSLError:
            return False

    if not answered(host):
        return True
    assert not answered("two.devices.probe.example")
    iot.update_domain_configuration(**named, domainConfigurationStatus="DISABLED")
    assert not answered(host)
    return False


def keep_alive_is_enforced(probed: ProbedCloud) -> bool:
    """A device with a keep-alive of 1 s is silent and stays connected, or goes without its will."""
    probed.cloud.client("iot").update_indexing_configuration(thingIndexingConfiguration=INDEXED)
    silent = probed.device()
    with (
        probed.connect(probed.device()) as other,
        probed.connect(silent, keep_alive=1, will_topic="last/will") as device,
    ):
        other.subscribe("last/will")
        if not device.is_closed_within(8):
            return True
        assert other.read().payload == b"gone"
    found = probed.cloud.client("iot").search_index(queryString=f"thingName:{silent.thing}")[
        "things"
    ][0]
    assert found["connectivity"]["connected"] is False
    assert found["connectivity"]["disconnectReason"] == "MQTT_KEEP_ALIVE_TIMEOUT"
    return False


def slow_subscriber_is_dropped(probed: ProbedCloud) -> bool:
    """A subscriber that does not read makes a publisher wait for ever."""
    root = probed.cloud.client("iot-data")._request_signer._credentials
    publisher = probed.plain_client("iot-data", root.access_key, root.secret_key, read_timeout=9)
    with probed.connect(probed.device()) as device:
        device.subscribe("slow/topic")
        waited = published = 0
        with closing(publisher):
            while published < 100 and waited < 3:  # on a loaded machine a cloud is slow too
                try:
                    publisher.publish(topic="slow/topic", payload=b"z" * 100_000)
                    published += 1
                except ReadTimeoutError:
                    waited += 1
        return published < 100


def deactivated_certificate_is_dropped(probed: ProbedCloud) -> bool:
    """A device stays connected after its certificate was deactivated."""
    identity = probed.device()
    with probed.connect(identity) as device:
        probed.cloud.client("iot").update_certificate(
            certificateId=identity.certificate_id, newStatus="INACTIVE"
        )
        return not device.is_closed_within(8)


def subscribing_again_replaces(probed: ProbedCloud) -> bool:
    """A device that subscribed twice gets the first message twice."""
    with probed.connect(probed.device()) as device:
        device.subscribe("again/topic", identifier=1)
        device.subscribe("again/topic", identifier=2)
        for payload in (b"first", b"second"):
            probed.cloud.client("iot-data").publish(topic="again/topic", qos=1, payload=payload)
        return _two_messages(device) == [b"first", b"first"]


def _two_messages(device: RawDevice) -> list[bytes]:
    """The payloads of the next two messages, each once, however often it is sent again."""
    found: dict[int, bytes] = {}
    while len(found) < 2:
        packet = device.read()
        found.setdefault(packet.identifier, packet.payload)
    return list(found.values())


def retransmits_every_second(probed: ProbedCloud) -> bool:
    """A message that is not acknowledged does not come again soon."""
    with probed.connect(probed.device()) as device:
        device.subscribe("unacknowledged/topic")
        probed.cloud.client("iot-data").publish(topic="unacknowledged/topic", qos=1, payload=b"x")
        assert device.read().kind == PUBLISH
        try:
            return device.read(seconds=8).payload != b"x"
        except TimeoutError:
            return True


def disconnect_behind_answers_counts(probed: ProbedCloud) -> bool:
    """A device sends DISCONNECT behind answers under way to it, and its will is still sent."""
    with probed.connect(probed.device()) as other:
        other.subscribe("goodbye/will")
        with probed.connect(probed.device(), will_topic="goodbye/will") as device:
            device.leave_unheard(questions=500)
        try:
            return other.read(seconds=5).payload == b"gone"
        except TimeoutError:
            return False


def certificate_from_csr_over_mqtt(probed: ProbedCloud) -> bool:
    """A claim's request for a certificate of the device's own key is not answered."""
    claim = probed.claim("csr")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "device")])
    request = (
        x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    )
    pem = request.public_bytes(serialization.Encoding.PEM).decode()
    with RawDevice(
        port=probed.cloud.mqtt_port,
        ca_file=probed.cloud.ca_file,
        certificate=claim["certificatePem"],
        key=claim["keyPair"]["PrivateKey"],
    ) as device:
        assert device.connect("claimer") == 0
        device.subscribe("$aws/certificates/create-from-csr/json/accepted")
        asked = json.dumps({"certificateSigningRequest": pem}).encode()
        device.publish("$aws/certificates/create-from-csr/json", asked)
        try:
            answer = json.loads(device.read(seconds=8).payload)
        except TimeoutError:
            return True
    issued = x509.load_pem_x509_certificate(answer["certificatePem"].encode())
    assert issued.public_key() == key.public_key()
    return not answer["certificateOwnershipToken"]
