"""The platform's file: what AWS would refuse half way is refused before anything is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from infra.stacks.config.platform import PlatformConfig
from infra.stacks.config.reading import ConfigError

FILE = "tenants/Pulumi.platform.yaml"


def read(
    values: dict[str, object] | None = None, *, region: str = "eu-central-1", without: str = ""
) -> PlatformConfig:
    """The committed file with some values changed or one key left out."""
    document = yaml.safe_load((Path(__file__).parents[4] / FILE).read_text())
    data: dict[str, Any] = document["config"]["cedarfleet:platform"] | (values or {})
    data.pop(without, None)
    return PlatformConfig.read(FILE, data, region=region)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("log_days", 31, ".log_days: must be one of 1, 3, 5, 7, 14, 30, 60,"),
        ("log_days", 0, ".log_days: must be one of 1, 3, 5, 7, 14, 30, 60,"),
        (
            "availability_zones",
            ["eu-central-1a", "us-east-1a"],
            ".availability_zones[1]: must be a zone of aws:region",
        ),
        (
            "availability_zones",
            ["eu-central-1-ham-1a", "eu-central-1a"],
            ".availability_zones[0]: must be a zone",
        ),
        (
            "availability_zones",
            ["eu-central-1a", "eu-central-1a"],
            ".availability_zones[1]: `eu-central-1a` stands",
        ),
        ("cidr", "8.8.0.0/16", ".cidr: must be private"),
        ("cidr", "172.32.0.0/16", ".cidr: must be private"),
        ("image_tag", "-latest", ".image_tag: must be a tag of at most 128"),
        ("image_tag", "x" * 129, ".image_tag: must have at most 128 characters, has 129"),
    ],
)
def test_what_aws_would_refuse_is_refused_with_file_and_key(
    key: str, value: object, words: str
) -> None:
    """The message names file and key and says what would be right."""
    with pytest.raises(ConfigError) as refusal:
        read({key: value})

    assert str(refusal.value).startswith(f"{FILE}: cedarfleet:platform{words}")


@pytest.mark.parametrize("cidr", ["10.0.0.0/16", "172.31.0.0/16", "192.168.0.0/16"])
def test_private_networks_are_accepted(cidr: str) -> None:
    """Each of the private ranges has room for a /16."""
    assert read({"cidr": cidr}).cidr == cidr


def test_the_zones_are_those_of_the_stacks_region() -> None:
    """The committed file fits its own region and no other."""
    assert read().availability_zones == ("eu-central-1a", "eu-central-1b")
    with pytest.raises(
        ConfigError, match="must be a zone of aws:region such as `us-east-1a`, is `eu-central-1a`"
    ):
        read(region="us-east-1")


def test_logs_are_kept_as_long_as_cloudwatch_knows() -> None:
    """The days that we accept are those that the call's own documentation lists."""
    model = boto3.session.Session(region_name="eu-central-1").client("logs").meta.service_model
    documented = model.shape_for("Days").documentation
    known = [
        int(word)
        for word in documented.replace(",", " ").replace(".", " ").split()
        if word.isdigit()
    ]

    assert len(known) > 20
    for days in known:
        assert read({"log_days": days}).log_days == days


def test_the_first_run_has_no_image_yet() -> None:
    """A file may have no `image_tag`: the repository stands before an image can be pushed."""
    assert read(without="image_tag").image_tag is None
