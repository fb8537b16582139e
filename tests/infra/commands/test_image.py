"""The image is built, pushed and scanned by one command, which lets nothing bad pass in silence.

Docker is an object of the test, since no machine of ours runs it; ECR's answers are botocore's
Stubber's, which holds them and the calls to ECR's own model.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber

from infra import names
from infra.commands.image import Builder, ImageError, push

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path("/checkout")
URI = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/cedarfleet-service"
PASSWORD = "of-an-hour"
WANTED = {"repositoryName": names.IMAGES, "imageId": {"imageTag": "0.2.0"}}


@dataclass
class Docker:
    """Notes what it was asked for; time passes only while somebody pauses."""

    codes: list[int] = field(default_factory=lambda: [0, 0])
    asked: list[tuple[list[str], bytes]] = field(default_factory=list[tuple[list[str], bytes]])
    clock: float = 0

    def run(self, command: Sequence[str], told: bytes) -> int:
        """One command."""
        self.asked.append((list(command), told))
        return self.codes[len(self.asked) - 1]

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        self.clock += seconds

    @property
    def builder(self) -> Builder:
        """As the command takes it."""
        return Builder(run=self.run, pause=self.pause, now=lambda: self.clock)


@pytest.fixture
def ecr() -> Iterator[tuple[Any, Stubber]]:
    """A client whose repository has no such tag."""
    keys: Any = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    client: Any = boto3.client("ecr", region_name="eu-central-1", **keys)
    with Stubber(client) as stubber:
        stubber.add_response(
            "describe_repositories",
            {"repositories": [{"repositoryUri": URI}]},
            {"repositoryNames": [names.IMAGES]},
        )
        yield client, stubber


def free(stubber: Stubber) -> None:
    """The tag is free, and Docker may sign in."""
    stubber.add_client_error("describe_images", "ImageNotFoundException")
    token = base64.b64encode(f"AWS:{PASSWORD}".encode()).decode()
    answer = {"authorizationData": [{"authorizationToken": token}]}
    stubber.add_response("get_authorization_token", answer, {})


def scanned(stubber: Stubber, status: str, **counts: int) -> None:
    """An answer of the scan."""
    answer = {
        "imageScanStatus": {"status": status},
        "imageScanFindings": {"findingSeverityCounts": counts},
    }
    stubber.add_response("describe_image_scan_findings", answer, WANTED)


def test_an_image_is_pushed_and_scanned(
    ecr: tuple[Any, Stubber], capsys: pytest.CaptureFixture[str]
) -> None:
    """Signed in, built for ARM64, waited for; the password is in no command's words."""
    client, stubber = ecr
    free(stubber)
    stubber.add_client_error("describe_image_scan_findings", "ScanNotFoundException")
    scanned(stubber, "IN_PROGRESS")
    scanned(stubber, "COMPLETE", MEDIUM=2, LOW=1)
    docker = Docker()

    push(client, "0.2.0", root=ROOT, accept=None, builder=docker.builder)
    (login, password), (build, _) = docker.asked
    assert (login[:2], password) == (["docker", "login"], PASSWORD.encode())
    assert build[build.index("--platform") + 1] == "linux/arm64"
    assert build[build.index("-t") + 1] == f"{URI}:0.2.0"
    assert build[-1] == str(ROOT)
    assert PASSWORD not in " ".join(login + build)
    said = capsys.readouterr().out
    assert "the scan found: 2 MEDIUM, 1 LOW" in said
    assert PASSWORD not in said
    stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("accept", "counts", "passes"),
    [
        (None, {"CRITICAL": 1}, False),
        (None, {"HIGH": 1}, False),
        (None, {"MEDIUM": 9}, True),
        ("HIGH", {"HIGH": 3}, True),
        ("HIGH", {"CRITICAL": 1}, False),
        ("LOW", {"MEDIUM": 1}, False),
        (None, {}, True),
    ],
)
def test_a_bad_image_is_not_let_pass(
    ecr: tuple[Any, Stubber], accept: str | None, counts: dict[str, int], passes: bool
) -> None:
    """What is worse than accepted fails, and says that the image must not be deployed."""
    client, stubber = ecr
    free(stubber)
    scanned(stubber, "COMPLETE", **counts)
    if passes:
        push(client, "0.2.0", root=ROOT, accept=accept, builder=Docker().builder)
        return
    with pytest.raises(ImageError, match="must not be deployed"):
        push(client, "0.2.0", root=ROOT, accept=accept, builder=Docker().builder)


@pytest.mark.parametrize("status", ["FAILED", "UNSUPPORTED_IMAGE", "SCAN_ELIGIBILITY_EXPIRED"])
def test_what_was_not_scanned_is_not_good(ecr: tuple[Any, Stubber], status: str) -> None:
    """A scan that failed is no clean scan."""
    client, stubber = ecr
    free(stubber)
    scanned(stubber, status)
    with pytest.raises(ImageError, match=f"the scan ended as {status}"):
        push(client, "0.2.0", root=ROOT, accept=None, builder=Docker().builder)


def test_a_scan_that_never_ends_is_not_good(ecr: tuple[Any, Stubber]) -> None:
    """It is waited for ten minutes, and no longer."""
    client, stubber = ecr
    free(stubber)
    for _ in range(120):
        scanned(stubber, "IN_PROGRESS")
    with pytest.raises(ImageError, match="no scan came to its end in 600 s"):
        push(client, "0.2.0", root=ROOT, accept=None, builder=Docker().builder)


def test_a_taken_tag_builds_nothing(ecr: tuple[Any, Stubber]) -> None:
    """ECR would refuse it after the build: tags are immutable."""
    client, stubber = ecr
    stubber.add_response("describe_images", {"imageDetails": [{}]})
    docker = Docker()
    with pytest.raises(ImageError, match="is taken"):
        push(client, "0.2.0", root=ROOT, accept=None, builder=docker.builder)
    with pytest.raises(ImageError, match="is no tag"):
        push(client, "-latest", root=ROOT, accept=None, builder=docker.builder)
    assert docker.asked == []


def test_a_build_that_fails_ends_it(ecr: tuple[Any, Stubber]) -> None:
    """No scan is asked for, and the words are Docker's own before it."""
    client, stubber = ecr
    free(stubber)
    with pytest.raises(ImageError, match="`docker buildx build` ended with 17"):
        push(client, "0.2.0", root=ROOT, accept=None, builder=Docker(codes=[0, 17]).builder)
