"""A device that never stays away."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from tests.infra.local.cloud.limits.devices import plugged

if TYPE_CHECKING:
    from infra.local.cloud import EmbeddedCloud
    from tests.infra.local.cloud.corrections.probes.raw_mqtt import RawDevice
    from tests.infra.local.cloud.limits.devices import Identity


class Stubborn:
    """A device that connects again whenever it finds itself disconnected.

    Attributes:
        accepted: how often it was let in.
        refused: how often its certificate was turned away, or its policy said no.
    """

    def __init__(self, cloud: EmbeddedCloud, device: Identity) -> None:
        self.accepted = self.refused = 0
        self.thing, self.certificate_id = device.thing, device.certificate_id
        self._cloud, self._identity = cloud, device
        self._connection: RawDevice | None = None

    def try_again(self) -> None:
        """Connect, unless it is connected."""
        if self._connection is not None:
            if not self._connection.is_closed_within(0.05):
                return
            self.close()
        try:
            self._connection = plugged(self._cloud, self._identity)
            # TLS 1.3 tells of a refused certificate with the first thing read only.
            code = self._connection.connect(self._identity.thing, clean=False)
        except (ssl.SSLError, ConnectionError):
            self.refused += 1
            self.close()
        else:
            self.accepted += code == 0
            if code:  # its policy does not let it connect
                self.refused += 1
                self.close()

    def close(self) -> None:
        """Go away."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
