"""Pulumi programs that several tests run, here or in a process that is stopped half way."""

from __future__ import annotations

import pulumi

from tests.infra.local.engine.folder_cloud import Box


def chain() -> None:
    """Three boxes, each with the address of the one before."""
    first = Box("first", name="first", size=1)
    second = Box("second", name="second", of=first.arn)
    third = Box("third", name="third", of=second.arn)
    pulumi.export("arn", third.arn)


def many() -> None:
    """A hundred boxes with drawn names."""
    for number in range(100):
        Box(f"box-{number}", size=number)
