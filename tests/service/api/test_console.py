"""The console's pages and files: what a browser is let load, keep and know."""

from __future__ import annotations

import gzip
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from service.api.console import ConsoleOrigins
from service.api.console_files import FOLDER, ConsoleFiles, accepts_gzip

if TYPE_CHECKING:
    from pathlib import Path

    from tests.service.conftest import ServiceUnderTest

PAGE = "/console/acme/devices/press-01"
BUDGET = 150_000  # bytes that a browser is sent before anybody has signed in


def directives(policy: str) -> dict[str, set[str]]:
    """A content policy by its directives."""
    parts = [directive.split() for directive in policy.split(";")]
    return {name: set(sources) for name, *sources in parts}


def test_a_page_reaches_its_own_tenant_alone(service: ServiceUnderTest) -> None:
    """Beside this service a tenant's page may ask its sign-in page and its bucket, nobody else."""
    for tenant in (service.acme.tenant, service.globex.tenant):
        answer = service.client.get(f"/console/{tenant.id}/")
        [policy] = answer.headers.get_list("content-security-policy")
        said = directives(policy)
        assert said["connect-src"] == {
            "'self'",
            tenant.sign_in_url,
            f"https://{tenant.bucket}.s3.{tenant.region}.amazonaws.com",
        }
        assert said["default-src"] == {"'none'"}
        assert said["script-src"] == said["style-src"] == {"'self'"}
        assert said["frame-ancestors"] == said["base-uri"] == {"'none'"}
        assert said["require-trusted-types-for"] == {"'script'"}
        assert answer.status_code == 200
        told = dict(re.findall(r'<meta name="([a-z-]+)" content="([^"]*)">', answer.text))
        assert told["tenant"] == tenant.id
        assert told["sign-in"] == tenant.sign_in_url
        assert told["client"] == tenant.console_client_id
        for secret in (tenant.role_arn, tenant.policy_store_id, tenant.issuer, tenant.account_id):
            assert secret not in answer.text + policy


@pytest.mark.parametrize("name", ["nobody", "..", "%3Cscript%3E", "a" * 200, "acme'x", "ACME"])
def test_nobody_has_a_console_that_reaches_no_one(service: ServiceUnderTest, name: str) -> None:
    """A name of no tenant is 404, in a page that can ask this service alone and repeats nothing."""
    answer = service.client.get(f"/console/{name}/devices")
    assert answer.status_code == 404
    policies = answer.headers.get_list("content-security-policy")
    assert all("http" not in policy for policy in policies)
    assert name not in answer.text


def test_a_page_works_without_inline_scripts(service: ServiceUnderTest) -> None:
    """Whatever a page loads has an address here, which is answered with the right type."""
    page = service.client.get(PAGE)
    assert not re.search(r"<script(?![^>]* src=)|<style| style=| on[a-z]+=", page.text)
    addresses = set(re.findall(r'(?:src|href)="([^"]+)"', page.text)) - {"/v1/docs"}
    assert any(address.endswith("/scripts/main.js") for address in addresses)
    kinds = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    sent = len(page.content)
    for address in addresses:
        answer = service.client.get(address, headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 200, address
        assert answer.headers["content-type"].split(";")[0] == kinds[address.rpartition(".")[2]]
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["vary"] == "Accept-Encoding"
        sent += int(answer.headers["content-length"])
    assert sent < BUDGET


def test_what_scripts_import_is_there(service: ServiceUnderTest) -> None:
    """Each import of a script leads to a file of the console, and every file is imported."""
    scripts = {path.resolve(): path.read_text("utf-8") for path in FOLDER.rglob("*.js")}
    imported: set[Path] = {FOLDER / "scripts" / "main.js"}
    for path, text in scripts.items():
        for name in re.findall(r'(?:from|import\() ?"([^"]+)"', text):
            assert name.startswith("."), (path.name, name)
            imported.add((path.parent / name).resolve())
    assert imported == set(scripts)


def test_scripts_give_no_markup() -> None:
    """No script can make elements of text: what devices and people have written stays text."""
    sinks = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|srcdoc"
    for path in FOLDER.rglob("*.js"):
        assert not re.search(sinks, path.read_text("utf-8")), path.name


def test_a_page_is_asked_for_anew(service: ServiceUnderTest) -> None:
    """It is kept no longer than it is right: the same tag is 304, without a body."""
    page = service.client.get(PAGE)
    assert page.headers["cache-control"] == "no-cache"
    again = service.client.get(PAGE, headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == page.headers["etag"]
    other = service.client.get("/console/globex/", headers={"If-None-Match": page.headers["etag"]})
    assert other.status_code == 200


def test_a_file_is_sent_packed_or_as_it_is(service: ServiceUnderTest) -> None:
    """Either way the bytes are those of the source."""
    [address] = re.findall(r'src="([^"]+)"', service.client.get(PAGE).text)
    source = (FOLDER / "scripts" / "main.js").read_bytes()
    for accepted, coding in (("gzip", "gzip"), ("identity", None), ("gzip;q=0", None)):
        answer = service.client.get(address, headers={"Accept-Encoding": accepted})
        assert answer.headers.get("content-encoding") == coding
        assert answer.content == source
    assert accepts_gzip("br, *;q=0.1")


def test_another_releases_file_is_not_given(service: ServiceUnderTest) -> None:
    """What a browser keeps for good under a digest is what had it."""
    [address] = re.findall(r'src="([^"]+)"', service.client.get(PAGE).text)
    digest = address.split("/")[2]
    for wrong in (
        address.replace(digest, "0" * len(digest)),
        f"/console-files/{digest}/page.html",
        f"/console-files/{digest}/scripts/../../api/console.py",
        f"/console-files/{digest}/%2e%2e/api/console.py",
    ):
        answer = service.client.get(wrong)
        assert answer.status_code == 404, wrong
        assert answer.headers["cache-control"] == "no-store"


def test_the_digest_is_of_all_files(tmp_path: Path) -> None:
    """Another name, another content or another page is another digest."""

    def digest(**files: str) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        (folder / "page.html").write_text(files.pop("page", ""))
        for name, text in files.items():
            (folder / f"{name}.js").write_text(text)
        return ConsoleFiles.read(folder).digest

    found = [digest(a="1"), digest(a="2"), digest(b="1"), digest(a="1", page="x"), digest()]
    assert len(set(found)) == len(found)
    assert digest(a="1") == found[0]


def test_files_are_packed_alike_each_time(tmp_path: Path) -> None:
    """Packing tells no time, so that two tasks send the same bytes."""
    (tmp_path / "page.html").write_text("")
    (tmp_path / "a.css").write_text("a" * 100)
    first, second = (ConsoleFiles.read(tmp_path).files["a.css"].packed for _ in range(2))
    assert first == second
    assert gzip.decompress(first) == b"a" * 100


def test_no_origin_becomes_a_directive(service: ServiceUnderTest) -> None:
    """A row with a sign-in page that is no origin reaches nothing, instead of anything."""
    tenant = replace(service.acme.tenant, sign_in_url="https://x.test; script-src *", bucket="b c")
    policy = ConsoleOrigins().policy(tenant)
    assert directives(policy)["connect-src"] == {"'self'"}
    assert directives(policy)["script-src"] == {"'self'"}
