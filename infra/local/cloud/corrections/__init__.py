"""What ministack 1.5.33 gets wrong and this project cannot live with; each docstring says why.

Each is a function of the loaded emulator that replaces private names; ``Emulator.replace`` fails
when one is gone. Tests show each hole open without its correction and closed with it
(``tests/infra/local/cloud/corrections``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from infra.local.cloud.corrections import (
    authorization,
    broker,
    broker_limits,
    calls,
    client_secrets,
    cognito,
    connections,
    credentials,
    delays,
    direct_messages,
    domains,
    events,
    federation,
    jobs,
    objects,
    provisioning,
    queues,
    registry,
    restoring,
    rules,
    sessions,
    shadows,
    tables,
)
from infra.local.cloud.errors import EmbeddedCloudError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from infra.local.cloud.emulator import Emulator

CORRECTIONS: Final[tuple[Callable[[Emulator], None], ...]] = (
    credentials.root_key_is_one_and_verified,
    credentials.only_signature_version_4_counts,
    credentials.signature_covers_the_body,
    broker.listens_on_loopback,
    broker.endpoint_is_the_brokers,
    broker.client_certificate_is_required,
    domains.own_names_are_answered,
    broker.keep_alive_is_enforced,
    broker.slow_subscriber_is_dropped,
    broker.deactivated_certificate_is_dropped,
    broker.subscribing_again_replaces,
    broker.retransmits_every_second,
    broker.disconnect_behind_answers_counts,
    sessions.persistent_session_loses_nothing,
    provisioning.certificate_from_csr_over_mqtt,
    provisioning.claim_is_no_device,
    broker_limits.stored_messages_come_slowly,
    broker_limits.connects_are_limited,
    broker_limits.publishes_are_limited,
    broker_limits.sessions_expire,
    broker_limits.queueing_is_limited,
    broker_limits.subscriptions_are_limited,
    delays.index_lags,
    delays.membership_lags,
    delays.device_policy_lags,
    delays.thing_type_is_deleted_late,
    registry.thing_group_version_is_checked,
    calls.quotas_hold,
    calls.requests_are_of_their_shape,
    calls.rates_hold,
    rules.length_is_known,
    rules.floor_is_known,
    rules.regexp_substr_is_known,
    rules.regexp_replace_is_known,
    rules.get_is_known,
    rules.streams_are_written_to,
    shadows.shadows_are_limited,
    shadows.named_shadows_are_listed,
    connections.connections_are_told,
    direct_messages.direct_messages_are_delivered,
    authorization.leading_keys_are_known,
    authorization.loopback_counts_as_tls,
    authorization.job_targets_are_authorized,
    authorization.search_names_its_index,
    authorization.policy_is_attached_to_its_target,
    authorization.what_is_stamped_is_named,
    authorization.batches_need_the_right_of_one,
    authorization.job_list_is_filtered_and_paged,
    authorization.rights_are_noted,
    jobs.signed_url_names_the_version,
    jobs.executions_are_limited,
    jobs.waiting_jobs_are_found_by_name,
    jobs.details_are_of_their_form,
    objects.version_is_read_in_ranges,
    tables.conditions_of_keys_are_read_once,
    restoring.tables_are_restored_to_a_moment,
    queues.queues_are_fair,
    queues.schedules_fire,
    events.events_are_of_their_form,
    events.conditions_know_the_events,
    cognito.codes_are_random,
    cognito.groups_can_be_updated,
    cognito.left_out_protection_is_off,
    cognito.attribute_rules_hold,
    cognito.sign_up_can_be_closed,
    cognito.drawn_password_fits_its_pool,
    cognito.challenge_needs_its_session,
    cognito.refreshed_token_keeps_its_groups,
    cognito.refresh_token_can_be_revoked,
    federation.provider_is_checked,
    client_secrets.secrets_can_be_rotated,
)


def apply(emulator: Emulator, *, without: Collection[str] = ()) -> None:
    """Apply all corrections, in order.

    Args:
        emulator: the loaded emulator.
        without: names of corrections to leave out; for the tests that show each hole.

    Raises:
        EmbeddedCloudError: ``without`` names no correction.
        EmulatorChangedError: the emulator is not the one that they are for.
    """
    if unknown := set(without) - {correction.__name__ for correction in CORRECTIONS}:
        raise EmbeddedCloudError(f"no such correction: {', '.join(sorted(unknown))}")
    for correction in CORRECTIONS:
        if correction.__name__ not in without:
            correction(emulator)
