"""Fixtures of the whole suite: the embedded cloud, of which a process can run only one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.cloud import EmbeddedCloud


@pytest.fixture(scope="session")
def embedded_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCloud]:
    """A running cloud on free ports, shared by all tests of this process.

    Name things so that tests do not meet.
    """
    # half a second that only its users should pay
    from infra.local.cloud import EmbeddedCloud  # noqa: PLC0415 - see above

    with EmbeddedCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud
