"""Fixtures of the whole suite: the embedded cloud, one per test process, since a process can run only one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.local.cloud import EmbeddedCloud

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def embedded_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCloud]:
    """A running cloud on free ports, shared by all tests of this process: name things so that tests do not meet."""
    with EmbeddedCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud
