"""`python -m infra image push TAG`: the service's image, built, pushed and scanned.

Exit code 0: it stands in the repository and the scan found nothing that is too bad; 1: it does not,
or must not be deployed, with the reason on stderr.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import boto3
import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from infra import names
from infra.commands import aws_failure
from infra.commands.account import Account
from infra.stacks.config.limits import ImageTag
from infra.stacks.config.reading import ConfigError
from infra.stacks.config.tenants import region

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

GROUP: Final = "image"
ABOUT: Final = "The service's image."
VERBS: Final = {"push": "build it for ARM64, push it, and read what ECR's scan found in it"}
_SEVERITIES: Final = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED")
_REFUSED: Final = 2  # of the above, unless `--accept` says otherwise
_PLATFORM: Final = "linux/arm64"  # as the task definition asks for it
_POLL_SECONDS: Final = 5.0
_PATIENCE_SECONDS: Final = 600.0


class ImageError(Exception):
    """The image could not be built, pushed or scanned, or must not be deployed; says which."""


@dataclass(frozen=True, kw_only=True)
class Builder:
    """What builds and pushes: Docker with buildx.

    Attributes:
        run: a command and what it is told on its standard input; its exit code.
        pause: waits so many seconds.
        now: seconds of a clock that only goes forward.
    """

    run: Callable[[Sequence[str], bytes], int]
    pause: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic


def add_arguments(verbs: Mapping[str, argparse.ArgumentParser]) -> None:
    """Give the parser of each verb its arguments."""
    push = verbs["push"]
    push.add_argument("tag", help="a new one: ECR keeps what a tag means for good")
    push.add_argument(
        "--accept",
        choices=_SEVERITIES,
        help="let findings up to this severity pass (default: MEDIUM)",
    )


def run(options: argparse.Namespace, *, root: Path) -> int:
    """Do it, or say on the standard error what is wrong."""
    try:
        here = os.environ.get("AWS_REGION") or region(root, names.PLATFORM_STACK)
        ecr = Account.of(boto3.Session(region_name=here)).client("ecr")
        push(ecr, options.tag, root=root, accept=options.accept, builder=Builder(run=_run))
    except (BotoCoreError, ClientError, ConfigError, ImageError) as error:
        sys.stderr.write(f"push: {aws_failure.words(error)}\n")
        return 1
    return 0


def push(ecr: Any, tag: str, *, root: Path, accept: str | None, builder: Builder) -> None:
    """Build, push, and wait for the scan.

    The password goes to Docker on its standard input and stands in no list of processes.

    Args:
        ecr: client of ECR.
        tag: of the image.
        root: the project's folder, what is built from.
        accept: the worst severity that may be found; none: MEDIUM.
        builder: runs Docker.

    Raises:
        ImageError: the tag is none or is taken, Docker failed, or the scan failed or found more.
    """
    try:
        msgspec.convert(tag, ImageTag)
    except msgspec.ValidationError as error:
        raise ImageError(f"`{tag}` is no tag: {error}") from error
    (repository,) = ecr.describe_repositories(repositoryNames=[names.IMAGES])["repositories"]
    wanted = {"repositoryName": names.IMAGES, "imageId": {"imageTag": tag}}
    if _stands(ecr, tag):
        raise ImageError(f"`{tag}` is taken: a tag means one image for good, choose another")
    uri: str = repository["repositoryUri"]
    (login,) = ecr.get_authorization_token()["authorizationData"]
    user, _, password = base64.b64decode(login["authorizationToken"]).decode().partition(":")
    for command, told in (
        (["docker", "login", "--username", user, "--password-stdin", uri], password.encode()),
        (_build(f"{uri}:{tag}", root), b""),
    ):
        if code := builder.run(command, told):
            raise ImageError(f"`{' '.join(command[:3])}` ended with {code}")
    found = _scanned(ecr, wanted, builder)
    said = ", ".join(f"{found[one]} {one}" for one in _SEVERITIES if found.get(one)) or "nothing"
    sys.stdout.write(f"{uri}:{tag}\nthe scan found: {said}\n")
    bound = _REFUSED if accept is None else _SEVERITIES.index(accept)
    if any(found.get(one) for one in _SEVERITIES[:bound]):
        raise ImageError(f"`{tag}` stands in the repository and must not be deployed: {said}")
    sys.stdout.write(f'now `image_tag: "{tag}"` in tenants/Pulumi.platform.yaml, and `up`\n')


def _build(image: str, root: Path) -> list[str]:
    """One manifest, not an index with attestations beside it: ECR scans images."""
    where = ["-f", str(root / "service" / "Dockerfile"), "-t", image, str(root)]
    options = ["--platform", _PLATFORM, "--provenance=false", "--push"]
    return ["docker", "buildx", "build", *options, *where]


def _stands(ecr: Any, tag: str) -> bool:
    try:
        ecr.describe_images(repositoryName=names.IMAGES, imageIds=[{"imageTag": tag}])
    except ecr.exceptions.ImageNotFoundException:
        return False
    return True


def _scanned(ecr: Any, wanted: dict[str, Any], builder: Builder) -> dict[str, int]:
    """Severity -> count, once the scan that the push began is over.

    Source: ECR API reference, DescribeImageScanFindings: `ScanNotFoundException` until it began.
    """
    until = builder.now() + _PATIENCE_SECONDS
    while builder.now() < until:
        try:
            told = ecr.describe_image_scan_findings(**wanted)
        except ecr.exceptions.ScanNotFoundException:
            builder.pause(_POLL_SECONDS)
            continue
        status = told.get("imageScanStatus", {})
        # ACTIVE: Inspector's continuous scanning, which an account may have instead.
        if status.get("status") in {"COMPLETE", "ACTIVE"}:
            return dict(told.get("imageScanFindings", {}).get("findingSeverityCounts", {}))
        if status.get("status") not in {"IN_PROGRESS", "PENDING"}:
            # Fail closed: what could not be scanned is not known to be good.
            raise ImageError(f"the scan ended as {status.get('status')}: {status}")
        builder.pause(_POLL_SECONDS)
    raise ImageError(f"no scan came to its end in {_PATIENCE_SECONDS:.0f} s: ask again")


def _run(command: Sequence[str], told: bytes) -> int:
    try:
        return subprocess.run(command, input=told, check=False).returncode  # noqa: S603 - ours
    except FileNotFoundError as error:
        raise ImageError(f"{error.filename} is not here: Docker with buildx builds it") from error
