"""Fixtures of the device's tests: a tenant in the embedded cloud and one who sees every state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.device_sdk.field import Observer, Tenant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.cloud import EmbeddedCloud


@pytest.fixture(scope="session")
def tenant(embedded_cloud: EmbeddedCloud) -> Tenant:
    """The tenant ``acme``, stamped by hand."""
    return Tenant(embedded_cloud)


@pytest.fixture(scope="session")
def observer(tenant: Tenant) -> Iterator[Observer]:
    """Sees the states of all devices of the embedded cloud."""
    host, port = tenant.cloud.mqtt_host, tenant.cloud.mqtt_port
    with Observer(host=host, port=port, tls=tenant.omniscient()) as watching:
        yield watching
