"""Files over HTTP: uploaded in parts, verified as a whole, and delivered only then."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device.wire import Manifest, Signed

from service.domain.files import LEAST_PART, FileState
from service.domain.work import Work, WorkKind
from service.settings import JobSettings
from tests.service.stamped_policies import stamped

if TYPE_CHECKING:
    import httpx

    from service.domain.files import FileVersion
    from service.operations.operations import Operations
    from tests.service.conftest import ServiceUnderTest

URL = "/v1/files"
NAME = "recipes/alloy.json"
STEEL = b'{"temperature": 900}'


def digest(content: bytes) -> str:
    """SHA-256 as the API writes it."""
    return hashlib.sha256(content).hexdigest()


def begin(
    service: ServiceUnderTest, content: bytes, name: str = NAME, **members: Any
) -> httpx.Response:
    """Begin an upload."""
    body = {"name": name, "size": len(content), "sha256": digest(content), **members}
    return service.call("POST", URL, json=body)


def stored(service: ServiceUnderTest, file_id: str) -> FileVersion:
    """A version as it is recorded."""
    return service.ports.file_records.once.records["acme", file_id]


def send(service: ServiceUnderTest, file_id: str, content: bytes) -> None:
    """Send all parts of a file."""
    file = stored(service, file_id)
    for number in range(1, file.parts + 1):
        first = (number - 1) * file.part_size
        service.ports.file_objects.send(file, number, content[first : first + file.part_size])


def work(service: ServiceUnderTest) -> None:
    """Have the worker do what waits for it."""
    operations: Operations = service.app.state.operations
    worker = operations.worker(JobSettings())

    async def scenario() -> None:
        for received in await service.ports.work_queue.receive():
            if Work.decode(received.text).kind is WorkKind.VERIFY_FILE:
                await worker.handle(received)

    asyncio.run(scenario())


def upload(service: ServiceUnderTest, content: bytes, name: str = NAME) -> str:
    """A version that is available; its id."""
    file_id = begin(service, content, name).json()["id"]
    send(service, file_id, content)
    assert service.call("POST", f"{URL}/{file_id}/complete").status_code == 202
    work(service)
    assert service.call("GET", f"{URL}/{file_id}").json()["state"] == "available"
    return file_id


def deliver(service: ServiceUnderTest, **body: Any) -> httpx.Response:
    """Send a file to a press."""
    return service.call("POST", "/v1/downloads", json={"device": "press-01", **body})


def test_a_file_is_uploaded_verified_and_delivered(service: ServiceUnderTest) -> None:
    """Begun, sent, completed, found right by the worker; the download names this one version."""
    package = {"name": "alloys", "version": "2.1"}
    sbom = {"sha256": "cd" * 32, "url": "https://sbom.example/alloys-2.1.json"}
    begun = begin(service, STEEL, package=package, sbom=sbom)
    assert begun.status_code == 201, begun.text
    file_id = begun.json()["id"]
    assert begun.headers["Location"] == f"{URL}/{file_id}"
    assert begun.json() | {"package": package, "sbom": sbom, "state": "uploading"} == begun.json()
    signed = service.call(
        "POST", f"{URL}/{file_id}/parts", json={"parts": [{"number": 1, "sha256": digest(STEEL)}]}
    )
    [part] = signed.json()["parts"]
    assert list(part["headers"]) == ["x-amz-checksum-sha256"]
    assert deliver(service, file=file_id).status_code == 409
    send(service, file_id, STEEL)
    completed = service.call("POST", f"{URL}/{file_id}/complete")
    assert (completed.status_code, completed.json()["state"]) == (202, "verifying")
    assert deliver(service, artifact=NAME).status_code == 409, "nobody has verified it yet"
    work(service)
    assert service.call("GET", f"{URL}/{file_id}").json()["state"] == "available"
    answer = deliver(service, artifact=NAME)
    assert answer.status_code == 202, answer.text
    seen = service.call("GET", answer.headers["Location"]).json()
    assert (seen["artifact"], seen["file"]) == (NAME, file_id)
    assert (seen["size"], seen["sha256"]) == (len(STEEL), digest(STEEL))
    audited = [(one.action, one.subject) for one in service.ports.audit.trail]
    assert set(audited) == {("UploadFile", NAME), ("DownloadFile", NAME)}


def test_what_is_not_what_was_said_is_refused(service: ServiceUnderTest) -> None:
    """Other bytes of the same length: refused with the digest that was found, never delivered."""
    file_id = begin(service, STEEL).json()["id"]
    other = STEEL.replace(b"900", b"901")
    send(service, file_id, other)
    service.call("POST", f"{URL}/{file_id}/complete")
    work(service)
    seen = service.call("GET", f"{URL}/{file_id}").json()
    assert (seen["state"], seen["problem"]) == ("refused", f"its SHA-256 is {digest(other)}")
    for body in ({"file": file_id}, {"artifact": NAME}):
        answer = deliver(service, **body)
        assert answer.status_code == 409
        assert f"/v1/files/{file_id} says why" in answer.json()["detail"].replace("`", "")
    assert service.ports.file_objects.discarded == [stored(service, file_id).key]


def test_a_large_file_comes_in_parts(service: ServiceUnderTest) -> None:
    """In parts of 8 MiB and a rest; those that are missing or short are named."""
    content = bytes(LEAST_PART) + b"rest"
    begun = begin(service, content).json()
    assert (begun["parts"], begun["part_size"]) == (2, LEAST_PART)
    url, file = f"{URL}/{begun['id']}/complete", stored(service, begun["id"])
    service.ports.file_objects.send(file, 2, b"res")
    early = service.call("POST", url)
    assert (early.status_code, early.json()["detail"]) == (
        409,
        "these parts have not come whole: 1, 2",
    )
    send(service, begun["id"], content)
    for _ in range(2):
        assert service.call("POST", url).status_code == 202
    work(service)
    assert service.call("GET", f"{URL}/{begun['id']}").json()["state"] == "available"


def test_a_new_version_leaves_the_former_alone(service: ServiceUnderTest) -> None:
    """The newest that is available is delivered; a former one by its id; each keeps its object."""
    first = upload(service, b"first")
    begun = begin(service, b"second").json()["id"]
    assert deliver(service, artifact=NAME).status_code == 202, "the former one still serves"
    send(service, begun, b"second")
    service.call("POST", f"{URL}/{begun}/complete")
    work(service)
    for body, chosen in (({"artifact": NAME}, begun), ({"file": first}, first)):
        answer = deliver(service, **body)
        assert service.call("GET", answer.headers["Location"]).json()["file"] == chosen
    keys = {stored(service, one).key for one in (first, begun)}
    assert {key for _, key in service.ports.file_objects.objects} == keys
    assert len(keys) == 2


def test_a_retired_version_is_delivered_no_more(service: ServiceUnderTest) -> None:
    """Its row stays, the download that was begun goes on, and again is fine."""
    former, newer = upload(service, b"first"), upload(service, b"second")
    waiting = deliver(service, artifact=NAME).headers["Location"]
    for _ in range(2):
        answer = service.call("DELETE", f"{URL}/{newer}")
        assert (answer.status_code, answer.json()["state"]) == (200, "retired")
    gone = stored(service, newer).key
    assert service.ports.file_objects.discarded == [gone, gone], "again, if S3 was away"
    assert deliver(service, file=newer).status_code == 409
    assert service.call("GET", waiting).json()["file"] == newer
    again = deliver(service, artifact=NAME).headers["Location"]
    assert service.call("GET", again).json()["file"] == former


def test_what_is_not_there_is_told_as_it_was_asked_for(service: ServiceUnderTest) -> None:
    """A version by its id, a file by its name: 404."""
    for asked, noun in (
        ({"file": "01JD0000000000000000000000"}, "file"),
        ({"artifact": "recipes/none.json"}, "artifact"),
    ):
        answer = deliver(service, **asked)
        assert answer.status_code == 404
        assert f"{noun} `{next(iter(asked.values()))}`" in answer.json()["detail"]


def test_an_upload_that_is_retired_stays_so(service: ServiceUnderTest) -> None:
    """Retired while the worker was at it: it is not made available behind that."""
    file_id = begin(service, STEEL).json()["id"]
    send(service, file_id, STEEL)
    service.call("POST", f"{URL}/{file_id}/complete")
    service.call("DELETE", f"{URL}/{file_id}")
    work(service)
    assert stored(service, file_id).state is FileState.RETIRED
    assert service.call("POST", f"{URL}/{file_id}/parts", json=part_of(STEEL)).status_code == 409


def part_of(content: bytes, number: int = 1) -> dict[str, Any]:
    """A body that asks for one part."""
    return {"parts": [{"number": number, "sha256": digest(content)}]}


def test_lists_are_in_order_and_whole(service: ServiceUnderTest) -> None:
    """By name and age, page by page, while others are added; a prefix takes what begins so."""
    ids = {name: upload(service, name.encode(), name) for name in ("b", "a/x", "a/y", "c")}
    again = upload(service, b"more", "a/x")
    seen: list[str] = []
    cursor: str | None = None
    while True:
        after = {"cursor": cursor} if cursor else {}
        page = service.call("GET", URL, params={"limit": 2} | after)
        seen += [file["id"] for file in page.json()["files"]]
        cursor = page.json()["cursor"]
        if len(seen) == 2:
            upload(service, b"late", "a/a")
        if cursor is None:
            break
    assert seen == [ids["a/x"], again, ids["a/y"], ids["b"], ids["c"]]
    folder = service.call("GET", URL, params={"prefix": "a/"}).json()["files"]
    assert [file["name"] for file in folder] == ["a/a", "a/x", "a/x", "a/y"]


def test_a_repeated_request_begins_one_upload(service: ServiceUnderTest) -> None:
    """The same key answers the same version; the upload that was begun beside it is dropped."""
    headers = {"Idempotency-Key": "alloy-1"}
    body = {"name": NAME, "size": len(STEEL), "sha256": digest(STEEL)}
    first, again = (service.call("POST", URL, json=body, headers=headers) for _ in range(2))
    assert first.json() == again.json()
    assert len(service.ports.file_objects.uploads) == 1
    other = service.call("POST", URL, json=body | {"size": 3}, headers=headers)
    assert other.status_code == 422


def test_who_may_only_look_uploads_and_retires_nothing(service: ServiceUnderTest) -> None:
    """Operators list and read; each refusal names the policy and is audited."""
    file_id = upload(service, STEEL)
    before = len(service.ports.audit.trail)
    for method, path, body in (
        ("POST", URL, {"name": NAME, "size": 1, "sha256": "ab" * 32}),
        ("POST", f"{URL}/{file_id}/parts", part_of(STEEL)),
        ("POST", f"{URL}/{file_id}/complete", None),
        ("DELETE", f"{URL}/{file_id}", None),
    ):
        answer = service.call(method, path, as_="operators", json=body)
        assert (answer.status_code, answer.json()["policies"]) == (403, ["operators-view-only"])
    assert len(service.ports.audit.trail) == before + 4
    for path in (URL, f"{URL}/{file_id}"):
        assert service.call("GET", path, as_="operators").status_code == 200
    assert service.call("GET", URL, as_="nobody").json()["files"] == []
    assert service.call("GET", f"{URL}/{file_id}", as_="nobody").status_code == 403


def test_a_list_shows_the_files_that_may_be_viewed(service: ServiceUnderTest) -> None:
    """Each is decided on by itself; what is left out leaves the cursor as it is."""
    acme = service.acme.tenant
    small = """permit (principal in Fleet::Group::"suppliers", action == Fleet::Action::"ViewFile",
    resource) when { context has artifact && context.artifact has size &&
    context.artifact.size < 3 };"""
    service.ports.policy_stores.stamp(acme, stamped(acme, small=small))
    assert asyncio.run(service.app.state.operations.decisions.prepare(acme))
    ids = [upload(service, b"x" * size, f"f-{size}") for size in (1, 2, 3, 4)]
    first = service.call("GET", f"{URL}?limit=3", as_="suppliers").json()
    assert [file["id"] for file in first["files"]] == ids[:2]
    rest = service.call("GET", URL, as_="suppliers", params={"cursor": first["cursor"]}).json()
    assert (rest["files"], rest["cursor"]) == ([], None)
    read = [service.call("GET", f"{URL}/{one}", as_="suppliers").status_code for one in ids]
    assert read == [200, 200, 403, 403]
    assert len(service.call("GET", URL).json()["files"]) == 4


def test_another_tenants_file_is_not_found(service: ServiceUnderTest) -> None:
    """By id on every route, in a list, and as what is delivered."""
    file_id = upload(service, STEEL)
    token = service.globex.id_token("boss", ["managers"])
    headers = {"Authorization": f"Bearer {token}"}
    for method, path, body in (
        ("GET", "", None),
        ("POST", "/parts", part_of(STEEL)),
        ("POST", "/complete", None),
        ("DELETE", "", None),
    ):
        answer = service.client.request(
            method, f"{URL}/{file_id}{path}", headers=headers, json=body
        )
        assert answer.status_code == 404
    assert service.client.get(URL, headers=headers).json()["files"] == []
    body = {"device": "pump-01", "file": file_id}
    assert service.client.post("/v1/downloads", headers=headers, json=body).status_code == 404


def manifest(name: str = NAME) -> dict[str, Any]:
    """What the maker of the steel signed."""
    told = Manifest(
        name=name, size=len(STEEL), sha256=digest(STEEL), package="alloys", version="2.1"
    )
    return {"text": told.encode().decode(), "signatures": {"ab" * 32: "MEUCIQ=="}}


def test_what_the_maker_signed_goes_to_the_device(service: ServiceUnderTest) -> None:
    """The manifest of an upload stands in its download, as it was signed; of another file: 400."""
    refused = begin(service, STEEL, manifest=manifest("recipes/other.json"))
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "manifest.text")
    unread = begin(service, STEEL, manifest={"text": "x", "signatures": {"no key": "x"}})
    assert (unread.status_code, unread.json()["errors"][0]["field"]) == (400, "manifest")
    file_id = begin(service, STEEL, manifest=manifest()).json()["id"]
    send(service, file_id, STEEL)
    service.call("POST", f"{URL}/{file_id}/complete")
    work(service)
    assert deliver(service, artifact=NAME).status_code == 202
    [record] = service.ports.download_records.once.records.values()
    assert record.manifest == Signed.of(manifest())


def test_a_bill_of_materials_of_ours_has_its_digest(service: ServiceUnderTest) -> None:
    """One that was uploaded and verified here is taken with its own digest and no other."""
    bill = b'{"bomFormat": "CycloneDX"}'
    link = f"{URL}/{upload(service, bill, 'sbom/alloys.json')}"
    wrong = begin(service, STEEL, sbom={"sha256": digest(STEEL), "url": link})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "sbom.sha256")
    right = begin(service, STEEL, sbom={"sha256": digest(bill), "url": link})
    assert right.status_code == 201, right.text
    unverified = f"{URL}/{right.json()['id']}"
    early = begin(service, STEEL, sbom={"sha256": digest(STEEL), "url": unverified})
    assert (early.status_code, early.json()["errors"][0]["field"]) == (400, "sbom.url")


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"name": "/etc/passwd"}, "name"),
        ({"name": "a/../b"}, "name"),
        ({"name": ".files/01JD0000000000000000000000"}, "name"),
        ({"size": 0}, "size"),
        ({"size": 2**40 + 1}, "size"),
        ({"sha256": "AB" * 32}, "sha256"),
        ({"sbom": {"sha256": "ab" * 32, "url": "http://sbom.example"}}, "sbom.url"),
        ({"sbom": {"sha256": "x" * 64, "url": "https://sbom.example"}}, "sbom.sha256"),
        ({"sbom": {"sha256": "ab" * 32, "url": "/v1/files/../devices"}}, "sbom.url"),
        ({"sbom": {"sha256": "ab" * 32, "url": f"/v1/files/{'0' * 26}"}}, "sbom.url"),
    ],
)
def test_a_file_that_cannot_be_is_refused(
    service: ServiceUnderTest, members: dict[str, Any], field: str
) -> None:
    """The member is named, and nothing is begun."""
    answer = begin(service, STEEL, **members)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)
    assert service.ports.file_objects.begun == 0


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ([], "parts"),
        ([{"number": 0, "sha256": "ab" * 32}], "parts[0].number"),
        ([{"number": 2, "sha256": "ab" * 32}], "parts[0].number"),
        ([{"number": 1, "sha256": "g" * 64}], "parts[0].sha256"),
        ([{"number": 1, "sha256": "ab" * 32}] * 2, "parts"),
    ],
)
def test_a_part_that_cannot_be_is_refused(
    service: ServiceUnderTest, parts: list[dict[str, Any]], field: str
) -> None:
    """No URL for anything but the parts of the file, each once."""
    file_id = begin(service, STEEL).json()["id"]
    answer = service.call("POST", f"{URL}/{file_id}/parts", json={"parts": parts})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)


def test_a_file_of_the_bucket_is_delivered_as_before(service: ServiceUnderTest) -> None:
    """What nobody uploaded by the API is found by its name; exactly one of both is named."""
    answer = deliver(service, artifact="recipes/steel.json")
    assert answer.status_code == 202
    assert service.call("GET", answer.headers["Location"]).json()["file"] is None
    for body in ({}, {"artifact": NAME, "file": "01JD0000000000000000000000"}):
        assert deliver(service, **body).status_code == 400
    assert deliver(service, file="01JD0000000000000000000000").status_code == 404
    assert deliver(service, artifact=".files/01JD0000000000000000000000").status_code == 400


def test_firmware_by_its_id_is_still_firmware(service: ServiceUnderTest) -> None:
    """The name of the version decides what is asked for, not how the caller names it."""
    file_id = upload(service, b"3", "firmware/press-3.bin")
    assert deliver(service, file=file_id).status_code == 202
    assert service.ports.audit.trail[-1].action == "UpdateFirmware"


def test_a_file_that_the_worker_cannot_be_told_of_waits(service: ServiceUnderTest) -> None:
    """503; asked again it is handed over, and nothing was lost."""
    file_id = begin(service, STEEL).json()["id"]
    send(service, file_id, STEEL)
    service.ports.work_queue.available = False
    assert service.call("POST", f"{URL}/{file_id}/complete").status_code == 503
    service.ports.work_queue.available = True
    assert service.call("POST", f"{URL}/{file_id}/complete").status_code == 202
    work(service)
    assert stored(service, file_id).state is FileState.AVAILABLE
