"""Each function is named after a correction and tells whether its hole is open."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING

from botocore.exceptions import ReadTimeoutError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from raw_mqtt import PUBLISH, RawDevice

if TYPE_CHECKING:
    from rig import Rig

INDEXED = {"thingIndexingMode": "REGISTRY", "thingConnectivityIndexingMode": "STATUS"}


def client_certificate_is_required(rig: Rig) -> bool:
    """A client without certificate subscribes to everything."""
    try:
        with RawDevice(port=rig.cloud.mqtt_port, ca_file=rig.cloud.ca_file) as device:
            return device.connect("anyone") == 0 and device.subscribe("#") < 128
    except (ssl.SSLError, ConnectionError):
        return False


def keep_alive_is_enforced(rig: Rig) -> bool:
    """A device with a keep-alive of 1 s says nothing and stays connected, or is dropped without its will."""
    rig.cloud.client("iot").update_indexing_configuration(thingIndexingConfiguration=INDEXED)
    silent = rig.device()
    with (
        rig.connect(rig.device()) as other,
        rig.connect(silent, keep_alive=1, will_topic="last/will") as device,
    ):
        other.subscribe("last/will")
        if not device.is_closed_within(8):
            return True
        assert other.read(seconds=5).payload == b"gone"
    found = rig.cloud.client("iot").search_index(queryString=f"thingName:{silent.thing}")["things"][
        0
    ]
    assert found["connectivity"]["connected"] is False
    assert found["connectivity"]["disconnectReason"] == "MQTT_KEEP_ALIVE_TIMEOUT"
    return False


def slow_subscriber_is_dropped(rig: Rig) -> bool:
    """A subscriber that does not read makes a publisher wait for ever."""
    root = rig.cloud.client("iot-data")._request_signer._credentials
    publisher = rig.plain_client("iot-data", root.access_key, root.secret_key, read_timeout=9)
    with rig.connect(rig.device()) as device:
        device.subscribe("slow/topic")
        try:
            for _ in range(100):
                publisher.publish(topic="slow/topic", payload=b"z" * 100_000)
        except ReadTimeoutError:
            return True
        finally:
            publisher.close()
        return False


def deactivated_certificate_is_dropped(rig: Rig) -> bool:
    """A device stays connected after its certificate was deactivated."""
    identity = rig.device()
    with rig.connect(identity) as device:
        rig.cloud.client("iot").update_certificate(
            certificateId=identity.certificate_id, newStatus="INACTIVE"
        )
        return not device.is_closed_within(8)


def subscribing_again_replaces(rig: Rig) -> bool:
    """A device that subscribed twice gets the first message twice."""
    with rig.connect(rig.device()) as device:
        device.subscribe("again/topic", identifier=1)
        device.subscribe("again/topic", identifier=2)
        for payload in (b"first", b"second"):
            rig.cloud.client("iot-data").publish(topic="again/topic", qos=1, payload=payload)
        return [device.read(seconds=5).payload for _ in range(2)] == [b"first", b"first"]


def retransmits_every_second(rig: Rig) -> bool:
    """A message that is not acknowledged does not come again soon."""
    with rig.connect(rig.device()) as device:
        device.subscribe("unacknowledged/topic")
        rig.cloud.client("iot-data").publish(topic="unacknowledged/topic", qos=1, payload=b"x")
        assert device.read(seconds=5).kind == PUBLISH
        try:
            return device.read(seconds=8).payload != b"x"
        except TimeoutError:
            return True


def goodbye_is_heard(rig: Rig) -> bool:
    """A device says goodbye, with answers still under way to it, and its will is sent all the same."""
    with rig.connect(rig.device()) as other:
        other.subscribe("goodbye/will")
        with rig.connect(rig.device(), will_topic="goodbye/will") as device:
            device.leave_unheard(questions=500)
        try:
            return other.read(seconds=5).payload == b"gone"
        except TimeoutError:
            return False


def certificate_from_csr_over_mqtt(rig: Rig) -> bool:
    """A claim's request for a certificate of the device's own key is not answered."""
    claim = rig.claim("csr")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "device")])
    request = (
        x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    )
    pem = request.public_bytes(serialization.Encoding.PEM).decode()
    with RawDevice(
        port=rig.cloud.mqtt_port,
        ca_file=rig.cloud.ca_file,
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
