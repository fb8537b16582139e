"""What a tenant's tier may leave out: nothing new of it is begun, and what stands goes on."""

from __future__ import annotations

from enum import StrEnum


class Feature(StrEnum):
    """What a tier offers or does not; the words of `tiers` in the platform's file."""

    CAMPAIGNS = "campaigns"
    MACHINES = "machines"
    WANTED_VERSIONS = "wanted-versions"
    WEBHOOKS = "webhooks"
