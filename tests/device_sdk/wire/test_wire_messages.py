"""The wire module: what is encoded comes back, and nothing else is let in."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from cedarfleet_device import wire
from cedarfleet_device.wire import (
    CommandMessage,
    CommandState,
    DownloadDocument,
    StatusMessage,
    WireError,
    WrongVersionError,
)
from hypothesis import given, settings
from hypothesis import strategies as st

texts = st.text(st.characters(codec="utf-8"), max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(texts, values, max_size=4)
instants = st.integers(0, 2**53 - 1)
ulids = st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=26, max_size=26)
tenants = st.from_regex(r"[a-z](-?[a-z0-9]){1,15}", fullmatch=True)
devices = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True)
messages = st.builds(
    CommandMessage,
    command_id=ulids,
    thing=st.builds(wire.thing_name, tenants, devices),
    name=st.from_regex(r"[a-z][a-z0-9-]{0,63}", fullmatch=True),
    arguments=objects,
    issued_at=instants,
    expires_at=instants,
)
statuses = st.builds(
    StatusMessage,
    sequence=st.integers(1, 9999),
    state=st.sampled_from(CommandState),
    detail=objects,
    at=instants,
)


@given(tenants, devices)
def test_a_thing_name_gives_back_tenant_and_device(tenant: str, device: str):
    """Whatever ids are allowed, the tenant is read back from the name that they make."""
    assert wire.split_thing_name(wire.thing_name(tenant, device)) == (tenant, device)


@pytest.mark.parametrize(
    ("tenant", "device"),
    [
        ("a", "x"),
        ("A1", "x"),
        ("ac--me", "x"),
        ("acme-", "x"),
        ("a" * 33, "x"),
        ("acme", ""),
        ("acme", "-x"),
        ("acme", "ü"),
    ],
)
def test_ids_that_could_blur_the_tenant_are_refused(tenant: str, device: str):
    """No id that would make a name ambiguous, or none that IoT allows, becomes a thing name."""
    with pytest.raises(WireError):
        wire.thing_name(tenant, device)


@given(messages)
def test_a_command_survives_the_wire(message: CommandMessage):
    """Encoding and decoding gives the same command, and its topic gives thing and id."""
    assert CommandMessage.decode(message.encode()) == message
    topic = wire.command_topic(message.thing, message.command_id)
    assert wire.parse_command_topic(topic) == (message.thing, message.command_id)


@given(statuses)
def test_a_status_survives_the_wire(status: StatusMessage):
    """Encoding and decoding gives the same state; the sequence travels as four digits."""
    assert StatusMessage.decode(status.encode()) == status
    assert len(json.loads(status.encode())["sequence"]) == 4


@pytest.mark.soak
@given(
    st.binary(max_size=200) | st.builds(lambda value: json.dumps(value).encode(), objects | values)
)
def test_no_bytes_make_the_decoder_do_anything_but_refuse(payload: bytes):
    """Any bytes are decoded or refused with a ``WireError``, never another exception."""
    for decode in (CommandMessage.decode, StatusMessage.decode):
        with pytest.raises(WireError):
            decode(payload)


@pytest.mark.soak
@settings(deadline=None)
@given(messages, st.data())
def test_a_mutated_command_is_refused_or_still_a_command(
    message: CommandMessage, data: st.DataObject
):
    """Bytes flipped, cut or inserted, or a changed member, never pass the decoder malformed."""
    payload = bytearray(message.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(payload) - 1))
        payload[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        if not payload:
            break
    try:
        decoded = CommandMessage.decode(bytes(payload))
    except WireError:
        return
    assert CommandMessage.decode(decoded.encode()) == decoded
    assert wire.is_command_id(decoded.command_id)
    assert wire.is_command_name(decoded.name)


GOOD: dict[str, Any] = {
    "wire": 1,
    "command_id": "0" * 26,
    "thing": "acme--press-07",
    "name": "reboot",
    "arguments": {},
    "issued_at": 1,
    "expires_at": 2,
}


@pytest.mark.parametrize(
    "changes",
    [
        {"wire": True},
        {"wire": "1"},
        {"wire": 1.0},
        {"wire": None},
        {"command_id": "0" * 25 + "i"},
        {"thing": ""},
        {"thing": "x" * 129},
        {"name": "Reboot"},
        {"name": "../x"},
        {"arguments": []},
        {"issued_at": True},
        {"issued_at": -1},
        {"expires_at": 1e3},
        {"expires_at": 2**53},
        {"more": 1},
    ],
    ids=str,
)
def test_each_member_is_checked(changes: dict[str, Any]):
    """A member of another type or form, a missing or a foreign one is refused."""
    assert CommandMessage.decode(json.dumps(GOOD).encode())
    with pytest.raises(WireError):
        CommandMessage.decode(json.dumps(GOOD | changes).encode())
    for key in changes.keys() & GOOD.keys():
        with pytest.raises(WireError):
            CommandMessage.decode(
                json.dumps({each: GOOD[each] for each in GOOD if each != key}).encode()
            )


def _with_arguments(text: str) -> bytes:
    """The good message, but for the arguments, which need not be JSON."""
    return json.dumps(GOOD).replace('"arguments": {}', f'"arguments": {text}').encode()


@pytest.mark.parametrize(
    "payload",
    [
        b'{"wire":1,' + json.dumps(GOOD).encode()[1:],
        _with_arguments('{"a": {"b": 1, "c": 2, "b": 1}}'),
        _with_arguments('{"a": NaN}'),
        _with_arguments('{"a": -Infinity}'),
        _with_arguments('{"a": ' + "[" * 60_000 + "]" * 60_000 + "}"),
        b"[" * 100_000,
        b"1" * 5000,
        b"\xef\xbb\xbf{}",
        b" " * (wire.MAX_MESSAGE_BYTES + 1),
        b"null",
        json.dumps(GOOD | {"arguments": {"a": "\ud800"}}).encode(),
        _with_arguments('{"a": 1e999}'),
        _with_arguments(f'{{"a": [{"1e15," * 20_000}0]}}'),
    ],
    ids=[
        "twice",
        "twice within",
        "NaN",
        "minus infinity",
        "deep within",
        "deep",
        "long number",
        "BOM",
        "too large",
        "null",
        "surrogate",
        "infinite",
        "grows",
    ],
)
def test_json_that_parsers_disagree_on_is_refused(payload: bytes):
    """Duplicate members, NaN, deep nesting and their like are refused, not interpreted."""
    assert CommandMessage.decode(_with_arguments('{"a": {"b": 1, "c": [2]}}'))
    with pytest.raises(WireError):
        CommandMessage.decode(payload)


STATUS: dict[str, Any] = {
    "wire": 1,
    "sequence": "0001",
    "state": "running",
    "detail": {},
    "at": 1,
}


@pytest.mark.parametrize(
    "changes",
    [
        {"wire": 2},
        {"sequence": 1},
        {"sequence": "1"},
        {"sequence": "00001"},
        {"sequence": "000x"},
        {"sequence": None},
        {"state": "flying"},
        {"state": "RUNNING"},
        {"state": None},
        {"detail": []},
        {"detail": None},
        {"at": -1},
        {"at": "1"},
        {"at": True},
        {"at": 2**53},
        {"more": 1},
    ],
    ids=str,
)
def test_each_member_of_a_status_is_checked(changes: dict[str, Any]):
    """A state of another form, a missing or a foreign member is refused."""
    assert StatusMessage.decode(json.dumps(STATUS).encode()).sequence == 1
    with pytest.raises(WireError):
        StatusMessage.decode(json.dumps(STATUS | changes).encode())
    for key in changes.keys() & STATUS.keys():
        without = {each: STATUS[each] for each in STATUS if each != key}
        with pytest.raises(WireError):
            StatusMessage.decode(json.dumps(without).encode())


def _status(length: int, *, sequence: int = 1) -> StatusMessage:
    """A state whose detail is so many bytes long."""
    detail = {"x": "y" * (length - len('{"x":""}'))}
    return StatusMessage(sequence=sequence, state=CommandState.FAILED, detail=detail, at=1)


def test_a_detail_may_have_eight_kibibytes():
    """Not one more: the table's items and the status rule were measured with that."""
    assert StatusMessage.decode(_status(8192).encode()) == _status(8192)
    with pytest.raises(WireError, match="`detail` is not of its form: at most 8192 bytes"):
        _status(8193).encode()
    # In bytes, not in letters.
    with pytest.raises(WireError, match="`detail`"):
        StatusMessage(
            sequence=1, state=CommandState.FAILED, detail={"x": "ü" * 4100}, at=1
        ).encode()


def test_a_message_may_have_what_aws_iot_takes():
    """128 KiB to the byte, written and read: its quota of a payload."""
    plain = CommandMessage.decode(json.dumps(GOOD).encode())

    def message(length: int) -> CommandMessage:
        empty = len(replace(plain, arguments={"x": ""}).encode())
        return replace(plain, arguments={"x": "y" * (length - empty)})

    assert CommandMessage.decode(message(131_072).encode()) == message(131_072)
    with pytest.raises(WireError, match="at most 131072 bytes"):
        message(131_073).encode()
    with pytest.raises(WireError, match="at most 131072 bytes"):
        CommandMessage.decode(message(131_072).encode() + b" ")


def test_sequences_and_instants_end_where_they_say():
    """9999 is the last number of a state, and 2 ** 53 - 1 the last instant."""
    for sequence in (1, 9999):
        assert StatusMessage.decode(_status(100, sequence=sequence).encode()).sequence == sequence
    for instant in (0, 2**53 - 1):
        assert CommandMessage.decode(json.dumps(GOOD | {"issued_at": instant}).encode())
        assert StatusMessage.decode(json.dumps(STATUS | {"at": instant}).encode()).at == instant


def test_a_thing_name_of_a_message_ends_at_iot_s_limit():
    """1 to 128 characters."""
    for thing in ("x", "x" * 128):
        assert CommandMessage.decode(json.dumps(GOOD | {"thing": thing}).encode()).thing == thing
    with pytest.raises(WireError, match="`thing` is not of its form: a thing name"):
        CommandMessage.decode(json.dumps(GOOD | {"thing": "x" * 129}).encode())


def test_another_version_of_the_wire_has_an_error_of_its_own():
    """It is told from a malformed message, which no newer SDK would understand either."""
    for decode, good in ((CommandMessage.decode, GOOD), (StatusMessage.decode, STATUS)):
        with pytest.raises(WrongVersionError, match="wire version `2` is not 1"):
            decode(json.dumps(good | {"wire": 2}).encode())


@pytest.mark.parametrize("state", list(CommandState))
def test_two_states_are_followed_by_another(state: CommandState):
    """All but RECEIVED and RUNNING are final."""
    assert state.is_final == (state.value not in ("received", "running"))


@pytest.mark.parametrize("name", ["", "acme", "acme-press-07", "--press", "acme--", "Acme--x"])
def test_a_name_that_carries_no_tenant_is_refused(name: str):
    """Nothing but tenant and device, two dashes between, is taken apart."""
    with pytest.raises(WireError, match="is no thing name of the form"):
        wire.split_thing_name(name)
    assert wire.split_thing_name("acme--a--b") == ("acme", "a--b")


def test_what_is_too_large_is_not_encoded():
    """A detail beyond its limit or a sequence beyond four digits is refused where it is made."""
    for status in (
        StatusMessage(
            sequence=1, state=CommandState.FAILED, detail={"x": "y" * wire.MAX_DETAIL_BYTES}, at=1
        ),
        StatusMessage(sequence=10_000, state=CommandState.FAILED, at=1),
        StatusMessage(sequence=0, state=CommandState.FAILED, at=1),
    ):
        with pytest.raises(WireError):
            status.encode()


def test_a_download_document_never_shows_its_url():
    """The signed URL is in the job, and in no representation that could be logged."""
    document = DownloadDocument(
        name="a", size=1, sha256="0" * 64, etag='"e"', url="https://host/?X-Amz-Signature=s"
    )
    assert DownloadDocument.decode(json.loads(document.encode())) == document
    assert "Signature" not in repr(document)


def test_importing_the_wire_module_loads_nothing_of_the_agent():
    """The service imports the wire without awscrt."""
    program = (
        "import sys, cedarfleet_device.wire;"
        " sys.exit('awscrt' in sys.modules or 'sqlite3' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
