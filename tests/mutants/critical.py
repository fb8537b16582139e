"""Critical files, whose faults would hurt a tenant or a device, and the tests that see them."""

from __future__ import annotations

from typing import Final

_DEVICE: Final = "device_sdk/src/cedarfleet_device"
_DEVICE_TESTS: Final = "tests/device_sdk"
_COMMANDS_ON_A_STORE: Final = (
    f"{_DEVICE_TESTS}/commands/test_order_over_restarts.py",
    f"{_DEVICE_TESTS}/commands/test_command_phases.py",
    f"{_DEVICE_TESTS}/commands/test_repeated_commands.py",
)
_INSTALLS_TESTS: Final = f"{_DEVICE_TESTS}/installs"
_FAULTS: Final = f"{_DEVICE_TESTS}/downloads/test_faults.py"
_WRONG_BYTES: Final = (
    f"{_FAULTS}::test_wrong_bytes_twice_are_refused",
    f"{_FAULTS}::test_a_fault_that_passes_costs_time_only[bit_flip]",
)

_API: Final = "tests/service/api"
_AWS: Final = "service/adapters/aws"
_AWS_TESTS: Final = f"tests/{_AWS}"
_CLIENT: Final = f"{_AWS}/client"
_CLIENT_TESTS: Final = f"tests/{_CLIENT}"
_OPERATIONS: Final = "service/operations"
_OPERATIONS_TESTS: Final = f"tests/{_OPERATIONS}"
_COMMANDS_TESTS: Final = "tests/infra/commands"
_FILES_TESTS: Final = "tests/infra/policies/files"
_ENGINE: Final = "infra/local/engine"
_ENGINE_TESTS: Final = f"tests/{_ENGINE}"
_PERMISSIONS: Final = "infra/local/verified_permissions"
_PERMISSIONS_TESTS: Final = f"tests/{_PERMISSIONS}"

_OF_TOKENS: Final = (
    f"{_PERMISSIONS_TESTS}/test_verifying.py",
    f"{_PERMISSIONS_TESTS}/test_tokens.py",
    f"{_PERMISSIONS_TESTS}/test_bad_tokens.py",
    f"{_PERMISSIONS_TESTS}/test_identity_sources.py",
)


def _refused(*methods: str) -> tuple[str, ...]:
    """The test of every refusal, of these methods of ports alone."""
    test = f"{_AWS_TESTS}/test_every_refusal.py::test_a_refused_call_is_never_a_success"
    return tuple(f"{test}[{method}]" for method in methods)


_SERVICE: Final[dict[str, tuple[str, ...]]] = {
    "service/domain/audit_verification.py": ("tests/service/domain/test_audit_verification.py",),
    "service/domain/artifacts.py": ("tests/service/domain/test_names_and_ids.py",),
    "service/domain/commands.py": (
        "tests/service/domain/test_command_status.py",
        f"{_API}/test_command_lists.py",
    ),
    "service/domain/devices.py": (
        "tests/service/domain/test_entities.py",
        f"{_OPERATIONS_TESTS}/test_accepted_facts.py",
        "tests/service/cedar/test_reads.py",
        f"{_OPERATIONS_TESTS}/test_retired_devices.py",
        f"{_API}/test_devices.py",
        f"{_API}/test_device_tags.py",
    ),
    "service/domain/downloads.py": (
        "tests/service/domain/test_download_state.py",
        f"{_API}/test_download_lists.py",
        f"{_OPERATIONS_TESTS}/test_planned_rollout.py",
    ),
    "service/domain/rollouts.py": ("tests/service/domain/test_rollouts.py",),
    "service/domain/attempts.py": ("tests/service/domain/test_attempts.py",),
    "service/domain/device_filter.py": (
        "tests/service/domain/test_device_filter.py",
        f"{_API}/test_device_filters.py",
        "tests/service/adapters/test_device_facts.py",
    ),
    "service/domain/device_rows.py": (
        "tests/service/adapters/test_device_facts.py",
        f"{_API}/test_enrolments.py",
        f"{_API}/test_wanted_versions.py",
    ),
    "service/domain/groups.py": (
        "tests/service/domain/test_groups.py",
        "tests/service/domain/test_entities.py",
        f"{_API}/test_device_groups.py",
    ),
    "service/domain/identities.py": (
        "tests/service/domain/test_tokens.py",
        "tests/service/domain/test_bearer.py",
        f"{_API}/test_agents.py",
    ),
    "service/domain/instants.py": ("tests/service/domain/test_names_and_ids.py",),
    "service/domain/json_limits.py": ("tests/service/domain/test_json_limits.py",),
    "service/domain/permissions.py": ("tests/service/domain/test_names_and_ids.py",),
    "service/domain/tags.py": (f"{_API}/test_device_tags.py",),
    "service/domain/tenants.py": (
        "tests/service/domain/test_tokens.py",
        f"{_API}/test_device_tags.py",
    ),
    "service/operations/authentication.py": (
        "tests/service/operations/test_authentication.py",
        f"{_API}/test_machines.py",
    ),
    "service/operations/token_proof.py": (
        "tests/service/operations/test_token_proof.py",
        "tests/service/operations/test_authentication.py",
    ),
    "service/operations/authorization.py": (
        "tests/service/operations/test_authorization.py",
        f"{_API}/test_commands.py",
    ),
    "service/operations/commands.py": (
        "tests/service/operations/test_commands.py",
        f"{_API}/test_commands.py",
        f"{_API}/test_command_types.py",
        f"{_API}/test_unreadable_devices.py",
        f"{_OPERATIONS_TESTS}/test_campaign_sending.py",
    ),
    "service/operations/devices.py": (
        f"{_API}/test_unreadable_devices.py",
        f"{_API}/test_device_filters.py",
        f"{_API}/test_devices.py",
        f"{_API}/test_device_groups.py",
        f"{_API}/test_device_tags.py",
        f"{_API}/test_time_zones.py",
    ),
    "service/operations/downloads.py": (
        f"{_API}/test_downloads.py",
        f"{_API}/test_files.py",
        f"{_API}/test_selected_plans.py",
        f"{_API}/test_download_lists.py",
        f"{_OPERATIONS_TESTS}/test_canceled_rollout.py",
    ),
    "service/operations/once.py": (f"{_API}/test_commands.py", f"{_API}/test_downloads.py"),
    f"{_OPERATIONS}/budgets.py": (
        f"{_OPERATIONS_TESTS}/test_budgets.py",
        f"{_API}/test_rate_limits.py",
    ),
    f"{_OPERATIONS}/decisions.py": (
        f"{_OPERATIONS_TESTS}/test_decisions.py",
        f"{_API}/test_explanations.py",
    ),
    f"{_OPERATIONS}/enrolment.py": (
        f"{_API}/test_enrolments.py",
        f"{_OPERATIONS_TESTS}/test_enrolment_cut_off.py",
    ),
    f"{_OPERATIONS}/files.py": (f"{_API}/test_files.py",),
    f"{_OPERATIONS}/file_verification.py": (
        f"{_OPERATIONS_TESTS}/test_file_verification.py",
        f"{_API}/test_files.py",
        f"{_API}/test_components.py",
    ),
    f"{_OPERATIONS}/policy_copies.py": (
        f"{_OPERATIONS_TESTS}/test_policy_copies.py",
        f"{_OPERATIONS_TESTS}/test_decisions.py",
    ),
    f"{_OPERATIONS}/rollout.py": (
        f"{_OPERATIONS_TESTS}/test_rollout.py",
        f"{_OPERATIONS_TESTS}/test_planned_rollout.py",
        f"{_OPERATIONS_TESTS}/test_canceled_rollout.py",
        f"{_API}/test_downloads.py",
    ),
    f"{_OPERATIONS}/worker.py": (
        f"{_OPERATIONS_TESTS}/test_worker.py",
        f"{_OPERATIONS_TESTS}/test_rollout.py",
    ),
    f"{_OPERATIONS}/bringing.py": (
        f"{_OPERATIONS_TESTS}/test_bringing.py",
        f"{_OPERATIONS_TESTS}/test_bringing_cut_off.py",
    ),
    f"{_OPERATIONS}/granting.py": (
        f"{_OPERATIONS_TESTS}/test_granting.py",
        f"{_API}/test_grants.py",
    ),
    f"{_OPERATIONS}/grants.py": (f"{_API}/test_grants.py",),
    f"{_OPERATIONS}/revocations.py": (f"{_OPERATIONS_TESTS}/test_revocations.py",),
    f"{_OPERATIONS}/approvals.py": (f"{_API}/test_approvers.py",),
    f"{_OPERATIONS}/campaign_decisions.py": (
        f"{_OPERATIONS_TESTS}/test_campaign_sending.py",
        f"{_OPERATIONS_TESTS}/test_campaign_machines.py",
    ),
    f"{_OPERATIONS}/wave_decisions.py": (
        f"{_OPERATIONS_TESTS}/test_selected_rollout.py",
        f"{_OPERATIONS_TESTS}/test_planned_rollout.py",
    ),
    f"{_OPERATIONS}/machine_admission.py": (f"{_OPERATIONS_TESTS}/test_machine_admission.py",),
    f"{_OPERATIONS}/people.py": (f"{_API}/test_people.py", f"{_API}/test_audit.py"),
    f"{_OPERATIONS}/audit_chaining.py": (
        f"{_OPERATIONS_TESTS}/test_audit_chaining.py",
        f"{_API}/test_audit.py",
    ),
    f"{_OPERATIONS}/freezes.py": (f"{_API}/test_freezes.py",),
    f"{_OPERATIONS}/redelivery.py": (f"{_OPERATIONS_TESTS}/test_redelivery.py",),
    f"{_OPERATIONS}/command_cancel.py": (
        f"{_API}/test_command_cancel.py",
        f"{_API}/test_command_types.py",
    ),
    f"{_OPERATIONS}/retirement.py": (f"{_API}/test_retirement.py",),
    f"{_OPERATIONS}/requesters.py": (f"{_OPERATIONS_TESTS}/test_requesters.py",),
    f"{_OPERATIONS}/waves.py": (f"{_OPERATIONS_TESTS}/test_waves.py",),
    f"{_OPERATIONS}/retired_devices.py": (f"{_OPERATIONS_TESTS}/test_retired_devices.py",),
    f"{_OPERATIONS}/usage.py": (
        f"{_OPERATIONS_TESTS}/test_usage.py",
        f"{_API}/test_usage.py",
    ),
    f"{_OPERATIONS}/webhook_delivery.py": (f"{_OPERATIONS_TESTS}/test_webhook_delivery.py",),
    f"{_OPERATIONS}/campaign_sending.py": (f"{_OPERATIONS_TESTS}/test_campaign_sending.py",),
    f"{_OPERATIONS}/campaigns.py": (f"{_API}/test_campaigns.py",),
    f"{_OPERATIONS}/machines.py": (f"{_API}/test_machines.py",),
    f"{_OPERATIONS}/permissions.py": (f"{_API}/test_permissions.py",),
    f"{_OPERATIONS}/membership.py": (f"{_API}/test_group_members.py",),
    f"{_OPERATIONS}/audit_outcomes.py": (f"{_API}/test_audit.py",),
    f"{_OPERATIONS}/who_may.py": (f"{_API}/test_permissions.py",),
    f"{_OPERATIONS}/member_decisions.py": (
        f"{_API}/test_campaigns.py",
        f"{_API}/test_downloads.py",
    ),
    "service/domain/machines.py": (f"{_API}/test_machines.py",),
    "service/domain/revocations.py": (f"{_OPERATIONS_TESTS}/test_revocations.py",),
    "service/domain/people.py": (f"{_API}/test_people.py",),
    "service/domain/audit_chain.py": (
        f"{_OPERATIONS_TESTS}/test_audit_chaining.py",
        "tests/service/domain/test_audit_chain.py",
        "tests/service/domain/test_audit_verification.py",
    ),
    "service/domain/public_addresses.py": ("tests/service/domain/test_public_addresses.py",),
    "service/domain/webhooks.py": (
        f"{_API}/test_webhooks.py",
        "tests/service/domain/test_public_addresses.py",
    ),
    "service/domain/grants.py": (
        f"{_AWS_TESTS}/test_later_release.py",
        f"{_API}/test_grants.py",
        f"{_OPERATIONS_TESTS}/test_granting.py",
    ),
    "service/cedar/conformance.py": ("tests/service/cedar/test_conformance.py",),
    "service/cedar/entities.py": (
        "tests/service/domain/test_entities.py",
        "tests/service/cedar/test_values.py",
    ),
    "service/cedar/evaluator.py": (
        "tests/service/cedar/test_evaluator.py",
        "tests/service/cedar/test_decision.py",
    ),
    "service/cedar/explanation.py": (f"{_API}/test_explanations.py",),
    "service/cedar/pieces.py": ("tests/service/cedar/test_compiled.py",),
    "service/cedar/request.py": (
        "tests/service/domain/test_bearer.py",
        "tests/service/domain/test_entities.py",
        "tests/service/cedar/test_compiled.py",
    ),
    "service/cedar/shared_statements.py": ("tests/service/cedar/test_compiled.py",),
    "service/cedar/statement.py": (
        "tests/service/cedar/test_syntax.py",
        f"{_FILES_TESTS}/test_known_names.py",
        f"{_FILES_TESTS}/test_rules.py",
        f"{_FILES_TESTS}/test_messages.py",
    ),
    "service/cedar/terms.py": ("tests/service/cedar/test_terms.py",),
    "service/cedar/values.py": ("tests/service/cedar/test_values.py",),
    "service/cedar/compiled.py": (
        "tests/service/cedar/test_compiled.py",
        f"{_OPERATIONS_TESTS}/test_decided_alike.py",
        f"{_API}/test_explanations.py",
    ),
    "service/cedar/granted.py": ("tests/service/cedar/test_granted.py",),
    "service/cedar/group_tree.py": ("tests/service/domain/test_groups.py",),
    "service/cedar/reads.py": ("tests/service/cedar/test_reads.py",),
    "service/cedar/syntax.py": (
        "tests/service/cedar/test_syntax.py",
        f"{_OPERATIONS_TESTS}/test_policy_copies.py",
    ),
    "service/api/json_body.py": (f"{_API}/test_bad_input.py",),
    f"{_AWS}/conditional_rows.py": (f"{_AWS_TESTS}/test_conditional_rows.py",),
    f"{_AWS}/work.py": (f"{_AWS_TESTS}/test_work.py", *_refused("work_queue.send")),
    "service/adapters/webhooks/sender.py": ("tests/service/adapters/webhooks/test_sender.py",),
    "service/http_protocol.py": (
        "tests/service/test_http_line.py",
        "tests/service/test_http_bounds.py",
    ),
    "service/single_flight.py": ("tests/service/test_single_flight.py",),
    "service/api/guard.py": (
        f"{_API}/test_routes.py",
        f"{_API}/test_guard.py",
        f"{_API}/test_rate_limits.py",
        f"{_API}/test_request_log.py",
        f"{_API}/test_features.py",
    ),
    "service/api/parameters.py": (f"{_API}/test_parameters.py", f"{_API}/test_commands.py"),
    "service/api/query.py": (
        f"{_API}/test_device_filters.py",
        f"{_API}/test_bad_input.py::test_two_idempotency_keys_are_refused",
    ),
    **dict.fromkeys(
        ("service/api/problem_documents.py", "service/api/problems.py"),
        (
            f"{_API}/test_problems.py",
            f"{_API}/test_guard.py",
            f"{_API}/test_bad_input.py",
            f"{_API}/test_commands.py",
        ),
    ),
    "service/bounded_cache.py": ("tests/service/test_bounded_cache.py",),
    "service/adapters/cache/tenants.py": ("tests/service/adapters/cache/test_tenants.py",),
    f"{_AWS}/artifacts.py": (f"{_AWS_TESTS}/test_artifacts.py", *_refused("artifacts.find")),
    f"{_AWS}/audit.py": (
        f"{_AWS_TESTS}/test_audit.py",
        "-k",
        "not written_over",  # a cloud's start; a test of a record in the way is beside it
    ),
    f"{_AWS}/authorizer.py": (
        f"{_AWS_TESTS}/test_authorizer.py",
        "tests/service/cedar/test_values.py",
    ),
    **dict.fromkeys(
        (f"{_AWS}/plans.py", "service/adapters/memory/plans.py"), (f"{_AWS_TESTS}/test_plans.py",)
    ),
    f"{_AWS}/broker.py": (f"{_AWS_TESTS}/test_broker.py", *_refused("broker.publish")),
    f"{_CLIENT}/breaker.py": (f"{_CLIENT_TESTS}/test_breaker.py",),
    f"{_CLIENT}/calls.py": (f"{_CLIENT_TESTS}/test_calls.py",),
    f"{_CLIENT}/credentials.py": (
        f"{_CLIENT_TESTS}/test_credentials.py",
        f"{_CLIENT_TESTS}/test_door.py",
    ),
    f"{_CLIENT}/door.py": (
        f"{_CLIENT_TESTS}/test_door.py",
        f"{_CLIENT_TESTS}/test_as_boto3.py",
        *_refused("devices.find", "authorizer.decide", "work_queue.receive"),
    ),
    f"{_CLIENT}/failures.py": (
        f"{_CLIENT_TESTS}/test_failures.py",
        f"{_CLIENT_TESTS}/test_door.py",
        f"{_CLIENT_TESTS}/test_http_line.py",
        f"{_AWS_TESTS}/test_conditional_rows.py",
    ),
    f"{_CLIENT}/lanes.py": (f"{_CLIENT_TESTS}/test_breaker.py",),
    f"{_CLIENT}/line.py": (f"{_CLIENT_TESTS}/test_http_line.py",),
    f"{_CLIENT}/operations.py": (
        f"{_CLIENT_TESTS}/test_as_boto3.py",
        f"{_CLIENT_TESTS}/test_door.py",
    ),
    f"{_CLIENT}/retries.py": (
        f"{_CLIENT_TESTS}/test_door.py",
        f"{_CLIENT_TESTS}/test_as_boto3.py",
    ),
    f"{_CLIENT}/shares.py": (f"{_CLIENT_TESTS}/test_shares.py",),
    f"{_CLIENT}/signing.py": (
        f"{_CLIENT_TESTS}/test_as_boto3.py",
        f"{_AWS_TESTS}/test_device_logs.py",
        "-k",
        "signature or signed_url or form",
    ),
    f"{_AWS}/commands.py": (
        f"{_AWS_TESTS}/test_commands.py",
        *_refused("command_records.create", "command_records.read", "command_records.settle"),
    ),
    f"{_AWS}/cursors.py": (f"{_AWS_TESTS}/test_cursors.py",),
    f"{_AWS}/devices.py": (
        "tests/service/adapters/test_device_facts.py",
        *_refused("devices.find", "devices.change", "devices.members", "devices.page"),
    ),
    f"{_AWS}/connections.py": (
        f"{_AWS_TESTS}/test_connections.py",
        *_refused("connections.find", "connections.end"),
    ),
    f"{_AWS}/downloads.py": (
        f"{_AWS_TESTS}/test_downloads.py",
        *_refused("download_records.create", "download_records.read", "download_records.settle"),
    ),
    f"{_AWS}/idempotency.py": (f"{_AWS_TESTS}/test_idempotency.py",),
    f"{_AWS}/jobs.py": (
        f"{_AWS_TESTS}/test_jobs.py",
        *_refused("download_jobs.make", "download_jobs.outcomes", "download_jobs.cancel"),
    ),
    f"{_AWS}/signing_keys.py": (f"{_AWS_TESTS}/test_signing_keys.py",),
    f"{_AWS}/budgets.py": (
        f"{_AWS_TESTS}/test_buckets.py",
        "tests/service/adapters/test_budgets.py",
        *_refused("buckets.take"),
    ),
    f"{_AWS}/isolation.py": _refused("isolation.reaches"),
    f"{_AWS}/tenants.py": (
        f"{_AWS_TESTS}/test_tenants.py",
        *_refused("tenants.check", "tenants.find"),
    ),
    "service/cedar/binding.py": ("tests/service/cedar/test_binding.py",),
    "service/cedar/decision.py": ("tests/service/cedar/test_decision.py",),
    "service/cedar/device_facts.py": (
        "tests/service/domain/test_entities.py",
        f"{_API}/test_devices.py",
        f"{_API}/test_time_zones.py",
    ),
}

_INFRA: Final[dict[str, tuple[str, ...]]] = {
    "infra/policies/comparison/compare.py": (
        "tests/infra/policies/comparison/test_pairs.py",
        "tests/infra/policies/comparison/test_samples.py::test_what_no_question_reaches_is_named",
        "tests/infra/policies/comparison/test_compare.py",
    ),
    "infra/policies/comparison/literals.py": ("tests/infra/policies/comparison/test_literals.py",),
    "infra/policies/comparison/subjects.py": (
        "tests/infra/policies/comparison/test_subjects.py",
        "tests/infra/policies/comparison/test_pairs.py",
        "tests/infra/policies/comparison/test_compare.py",
    ),
    "infra/stacks/iam.py": ("tests/infra/stacks/test_iam.py", "tests/infra/test_iam_documents.py"),
    "infra/policies/files/rules.py": (
        f"{_FILES_TESTS}/test_rules.py",
        f"{_FILES_TESTS}/test_load.py",
    ),
    "infra/policies/files/scope.py": (f"{_FILES_TESTS}/test_known_names.py",),
    "infra/policies/files/vocabulary.py": (
        f"{_FILES_TESTS}/test_known_names.py",
        f"{_FILES_TESTS}/test_schema.py",
    ),
    "infra/policies/comparison/samples.py": (
        "tests/infra/policies/comparison/test_samples.py",
        "tests/infra/policies/comparison/test_compare.py",
    ),
    "infra/policies/proofs/replay.py": ("tests/infra/policies/proofs/test_replay.py",),
    "infra/local/cloud/corrections/authorization.py": (
        "tests/infra/local/cloud/corrections/test_authorization.py",
    ),
    "infra/local/cloud/limits/shapes.py": ("tests/infra/local/cloud/limits/test_shapes.py",),
    "infra/commands/moves.py": (f"{_COMMANDS_TESTS}/test_moves.py",),
    "infra/commands/suspension.py": (f"{_COMMANDS_TESTS}/test_suspension.py",),
    "infra/commands/tier_moves.py": (f"{_COMMANDS_TESTS}/test_tier_moves.py",),
    "infra/commands/offboarding/record.py": (f"{_COMMANDS_TESTS}/test_offboarding_record.py",),
    "infra/commands/offboarding/removal.py": (f"{_COMMANDS_TESTS}/test_removal.py",),
    **dict.fromkeys(
        (f"{_ENGINE}/checks.py", f"{_ENGINE}/values.py", f"{_ENGINE}/structs.py"),
        (f"{_ENGINE_TESTS}/test_inputs.py",),
    ),
    **dict.fromkeys(
        (f"{_ENGINE}/urns.py", f"{_ENGINE}/result.py"),
        (f"{_ENGINE_TESTS}/test_names_and_lines.py",),
    ),
    "infra/policies/files/can_apply.py": (f"{_FILES_TESTS}/test_can_apply.py",),
    "infra/policies/files/conditions.py": (
        f"{_FILES_TESTS}/test_conditions.py",
        f"{_FILES_TESTS}/test_can_apply.py",
    ),
    "infra/policies/files/known_names.py": (f"{_FILES_TESTS}/test_known_names.py",),
    "infra/policies/files/grants.py": (f"{_FILES_TESTS}/test_grants.py",),
    "infra/policies/store/update_order.py": ("tests/infra/policies/store/test_update_order.py",),
    f"{_PERMISSIONS}/tokens.py": _OF_TOKENS,
    f"{_PERMISSIONS}/claims.py": (f"{_PERMISSIONS_TESTS}/test_claims.py",),
    f"{_PERMISSIONS}/deciding.py": (
        f"{_PERMISSIONS_TESTS}/test_kept_stores.py",
        f"{_PERMISSIONS_TESTS}/test_broken_policies.py",
        f"{_PERMISSIONS_TESTS}/test_decisions.py",
        f"{_PERMISSIONS_TESTS}/test_batches.py",
    ),
    f"{_PERMISSIONS}/authorizing.py": (
        f"{_PERMISSIONS_TESTS}/test_decisions.py",
        f"{_PERMISSIONS_TESTS}/test_batches.py",
        *_OF_TOKENS,
    ),
    f"{_PERMISSIONS}/policy_sets.py": (
        f"{_PERMISSIONS_TESTS}/test_broken_policies.py",
        f"{_PERMISSIONS_TESTS}/test_policy_sets.py",
        f"{_PERMISSIONS_TESTS}/test_decisions.py",
        f"{_PERMISSIONS_TESTS}/test_templates.py",
    ),
    f"{_PERMISSIONS}/issuers.py": (f"{_PERMISSIONS_TESTS}/test_issuers.py",),
}

_DEVICE_SDK: Final[dict[str, tuple[str, ...]]] = {
    f"{_DEVICE}/store/store.py": (
        *_COMMANDS_ON_A_STORE,
        f"{_DEVICE_TESTS}/store",
        f"{_DEVICE_TESTS}/test_idle_cpu.py",
    ),
    f"{_DEVICE}/store/database.py": (f"{_DEVICE_TESTS}/store/test_store_file.py",),
    f"{_DEVICE}/store/transaction.py": (*_COMMANDS_ON_A_STORE, f"{_DEVICE_TESTS}/store"),
    f"{_DEVICE}/commands/inbox.py": (
        *_COMMANDS_ON_A_STORE,
        f"{_DEVICE_TESTS}/commands/test_cancel.py",
        f"{_DEVICE_TESTS}/commands/test_begun.py",
        f"{_DEVICE_TESTS}/commands/test_execution.py",
    ),
    f"{_DEVICE}/commands/admission.py": (
        *_COMMANDS_ON_A_STORE,
        f"{_DEVICE_TESTS}/commands/test_cancel.py",
    ),
    f"{_DEVICE}/commands/receiver.py": (
        f"{_DEVICE_TESTS}/commands/test_messages_off_the_wire.py",
        f"{_DEVICE_TESTS}/commands/test_message_flood.py",
    ),
    f"{_DEVICE}/commands/executor.py": (
        f"{_DEVICE_TESTS}/commands/test_execution.py",
        f"{_DEVICE_TESTS}/commands/test_outcomes.py",
        f"{_DEVICE_TESTS}/test_idle_cpu.py",
    ),
    f"{_DEVICE}/commands/outbox.py": (
        f"{_DEVICE_TESTS}/commands/test_state_order.py",
        *_COMMANDS_ON_A_STORE,
        f"{_DEVICE_TESTS}/test_idle_cpu.py",
    ),
    f"{_DEVICE}/downloads/ranges.py": (f"{_DEVICE_TESTS}/downloads/test_ranges.py",),
    f"{_DEVICE}/downloads/partial_file.py": (
        f"{_DEVICE_TESTS}/downloads/test_power_loss.py",
        f"{_DEVICE_TESTS}/downloads/test_resume.py",
        f"{_DEVICE_TESTS}/downloads/test_disk.py",
        f"{_DEVICE_TESTS}/downloads/test_partial_file.py",
    ),
    f"{_DEVICE}/downloads/transfer.py": (
        *_WRONG_BYTES,
        f"{_DEVICE_TESTS}/downloads/test_power_loss.py",
        f"{_DEVICE_TESTS}/downloads/test_resume.py",
        f"{_DEVICE_TESTS}/downloads/test_changed_object.py",
        f"{_DEVICE_TESTS}/downloads/test_hook.py",
        f"{_DEVICE_TESTS}/downloads/test_downloader.py",
        f"{_DEVICE_TESTS}/downloads/test_rules.py",
        f"{_FAULTS}::test_a_download_that_waits_uses_no_processor",
    ),
    f"{_DEVICE}/downloads/target.py": (
        f"{_DEVICE_TESTS}/downloads/test_target.py",
        f"{_DEVICE_TESTS}/downloads/test_power_loss.py",
        f"{_DEVICE_TESTS}/downloads/test_hook.py",
        f"{_DEVICE_TESTS}/downloads/test_disk.py",
    ),
    f"{_DEVICE}/downloads/progress_journal.py": (
        f"{_DEVICE_TESTS}/downloads/test_progress_journal.py",
        f"{_DEVICE_TESTS}/downloads/test_power_loss.py",
    ),
    f"{_DEVICE}/identity/credentials.py": (
        f"{_DEVICE_TESTS}/identity",
        "-k",
        "not whenever_the_power_goes",  # seconds of processes; a test of all losses is beside it
    ),
    f"{_DEVICE}/enrollment/rotation.py": (f"{_DEVICE_TESTS}/enrollment/test_rotation.py",),
    f"{_DEVICE}/installs/bounded.py": (
        f"{_INSTALLS_TESTS}/test_bounded.py",
        f"{_INSTALLS_TESTS}/test_installation.py",
    ),
    f"{_DEVICE}/installs/installation.py": (f"{_INSTALLS_TESTS}/test_installation.py",),
    f"{_DEVICE}/installs/programs.py": (f"{_INSTALLS_TESTS}/test_programs.py",),
    f"{_DEVICE}/installs/rauc.py": (f"{_INSTALLS_TESTS}/test_programs.py",),
    f"{_DEVICE}/installs/versions.py": (f"{_INSTALLS_TESTS}/test_versions.py",),
    f"{_DEVICE}/installs/window.py": (f"{_INSTALLS_TESTS}/test_versions.py",),
    f"{_DEVICE}/trust/policy.py": (f"{_DEVICE_TESTS}/trust/test_threats.py",),
    f"{_DEVICE}/trust/root.py": (f"{_DEVICE_TESTS}/trust/test_threats.py",),
    f"{_DEVICE}/trust/signing.py": (f"{_DEVICE_TESTS}/trust/test_threats.py",),
    f"{_DEVICE}/files.py": (f"{_DEVICE_TESTS}/test_files.py",),
    f"{_DEVICE}/states/listener.py": (f"{_DEVICE_TESTS}/states/test_listener.py",),
    f"{_DEVICE}/enrollment/move.py": (f"{_DEVICE_TESTS}/enrollment/test_move.py",),
    f"{_DEVICE}/downloads/jobs.py": (
        f"{_DEVICE_TESTS}/downloads/test_jobs.py",
        f"{_DEVICE_TESTS}/downloads/test_job_fault.py",
    ),
    f"{_DEVICE}/guard.py": (f"{_DEVICE_TESTS}/test_guard.py",),
    f"{_DEVICE}/clock.py": (f"{_DEVICE_TESTS}/test_agent.py", "-k", "clock"),
    f"{_DEVICE}/downloads/retry.py": (f"{_DEVICE_TESTS}/downloads/test_rules.py",),
    f"{_DEVICE}/commands/begun.py": (f"{_DEVICE_TESTS}/commands/test_begun.py",),
    f"{_DEVICE}/connection/routes.py": (f"{_DEVICE_TESTS}/connection/test_routes.py",),
    f"{_DEVICE}/diagnostics/redaction.py": (
        f"{_DEVICE_TESTS}/diagnostics/test_log_upload.py",
        "-k",
        "secrets or private_key or long_line",
    ),
    f"{_DEVICE}/downloads/job_details.py": (
        f"{_DEVICE_TESTS}/downloads/test_job_fault.py",
        "-k",
        "maker_says or less",
    ),
    f"{_DEVICE}/downloads/names.py": (f"{_DEVICE_TESTS}/downloads/test_names.py",),
    f"{_DEVICE}/enrollment/enroll.py": (
        f"{_DEVICE_TESTS}/enrollment/test_enroll.py",
        f"{_DEVICE_TESTS}/trust/test_threats.py::test_keys_are_pinned_at_enrolment",
    ),
    f"{_DEVICE}/enrollment/service.py": (f"{_DEVICE_TESTS}/enrollment/test_enroll.py",),
    f"{_DEVICE}/proxies.py": (f"{_DEVICE_TESTS}/test_proxies.py",),
    f"{_DEVICE}/standard_output.py": (
        f"{_DEVICE_TESTS}/test_standard_output.py",
        "-k",
        "not serves_on",  # a cloud's start
    ),
    f"{_DEVICE}/store/reserve.py": (f"{_DEVICE_TESTS}/store/test_reserve.py",),
    f"{_DEVICE}/telemetry/queue.py": (f"{_DEVICE_TESTS}/telemetry/test_queue.py",),
    f"{_DEVICE}/telemetry/rate.py": (f"{_DEVICE_TESTS}/telemetry/test_sender.py",),
    f"{_DEVICE}/telemetry/sender.py": (f"{_DEVICE_TESTS}/telemetry/test_sender.py",),
    f"{_DEVICE}/wire/commands.py": (f"{_DEVICE_TESTS}/wire",),
    f"{_DEVICE}/wire/downloads.py": (f"{_DEVICE_TESTS}/wire",),
    f"{_DEVICE}/wire/form.py": (f"{_DEVICE_TESTS}/wire",),
    f"{_DEVICE}/wire/logs.py": (f"{_DEVICE_TESTS}/wire",),
    f"{_DEVICE}/wire/manifests.py": (f"{_DEVICE_TESTS}/wire",),
    f"{_DEVICE}/wire/moves.py": (f"{_DEVICE_TESTS}/wire",),
    f"{_DEVICE}/wire/names.py": (f"{_DEVICE_TESTS}/wire",),
    f"{_DEVICE}/wire/states.py": (f"{_DEVICE_TESTS}/wire",),
    f"{_DEVICE}/wire/telemetry.py": (f"{_DEVICE_TESTS}/wire",),
}

CRITICAL: Final = _SERVICE | _INFRA | _DEVICE_SDK

# file -> mutant's key -> why no test can see it: what it does is the same
EQUIVALENT: Final[dict[str, dict[str, str]]] = {
    "service/cedar/conformance.py": {
        "Conformance._check: `self._known.add(form)` -> `pass`": (
            "what fits is held against the schema again, with the same outcome"
        ),
        "Conformance._check: `len(self._known) < _FORMS` -> `(len(self._known) <= _FORMS)`": (
            "one form more is remembered, of what only bounds memory"
        ),
        "Conformance.fitted: `len(self._known) < _FORMS` -> `(len(self._known) <= _FORMS)`": (
            "likewise"
        ),
    },
    "service/cedar/shared_statements.py": {
        "_put_back: `_MARK in node` -> `(_MARK not in node)`": (
            "what is refused there is parsed as it is, with the same outcome"
        ),
        '_put_back: `raise ValueError("a text became a part of another")` -> `pass`': (
            "no statement that this Cedar parses joins two texts; a later one's might"
        ),
    },
    "service/domain/json_limits.py": {
        "problem_of: `MAX_DEPTH + 1` -> `(MAX_DEPTH + 2)`": "one more look at a level that is empty"
    },
    f"{_OPERATIONS}/file_verification.py": {
        "FileVerification._digest: `len(piece) <= _MOST_IN_LOOP`"
        " -> `(len(piece) < _MOST_IN_LOOP)`": "a thread computes the same digest"
    },
    f"{_OPERATIONS}/webhook_delivery.py": {
        "WebhookDelivery._behind: `cursor.page > 0 and cursor.seen < MOST_EVENTS`"
        " -> `(cursor.page > 0 or cursor.seen < MOST_EVENTS)`": (
            "a page that was read to its end is read again, and nothing of it is sent"
        ),
        "WebhookDelivery._behind: `cursor.page > 0` -> `(cursor.page >= 0)`": (
            "the first page that is asked for is 1 at the least"
        ),
        "WebhookDelivery._behind: `cursor.seen < MOST_EVENTS`"
        " -> `(cursor.seen <= MOST_EVENTS)`": "as the first of these",
        "WebhookDelivery._failed: `seconds <= _LONGEST_WAIT` -> `(seconds < _LONGEST_WAIT)`": (
            "no wait between attempts is just as long"
        ),
    },
    f"{_OPERATIONS}/approvals.py": {
        "Approvals.check_enough: `not asked or rollout is None`"
        " -> `(not asked and rollout is None)`": (
            "a planned download has a rollout, and by no groups nobody's approval differs"
        )
    },
    f"{_OPERATIONS}/revocations.py": {
        "Revocations.word: `age > FRESH_SECONDS / 2` -> `(age >= FRESH_SECONDS / 2)`": (
            "asked for a moment earlier, beside the requests"
        )
    },
    f"{_OPERATIONS}/policy_copies.py": {
        "PolicyCopies.good: `age > self._settings.fresh_seconds`"
        " -> `(age >= self._settings.fresh_seconds)`": (
            "of just that age it counts all the same, whether or not the next word was asked for"
        )
    },
    f"{_AWS}/commands.py": {
        "DynamoCommandRecords._last_rows: `MAX_STATES + 1` -> `(MAX_STATES + 2)`": (
            "of one row more, the first of the states, nothing is told"
        )
    },
    "infra/policies/comparison/compare.py": {
        "_changing: `piece.principal is not None and piece.resource is not None`"
        " -> `(piece.principal is not None or piece.resource is not None)`": (
            "a link has both; that is written for the checker of types"
        )
    },
    f"{_AWS}/budgets.py": {
        "DynamoBuckets._update: `now - 1` -> `(now - 2)`": (
            "of any moment before now the bucket is full"
        )
    },
    f"{_AWS}/audit.py": {
        "DynamoAuditTrail.newest: `most - len(found) + 1` -> `(most - len(found) + 2)`": (
            "of one row more nothing is shown"
        )
    },
    f"{_AWS}/authorizer.py": {
        "batches: `sum(together.values()) > _MAX_ENTITY_BYTES`"
        " -> `(sum(together.values()) >= _MAX_ENTITY_BYTES)`": (
            "of just that many bytes one question goes into the next call, with the same answer"
        )
    },
    f"{_CLIENT}/line.py": {
        "HttpLine._prune: `kept[0].idle_since <= old` -> `(kept[0].idle_since < old)`": (
            "a clock that counts in nanoseconds does not hit the second"
        )
    },
    f"{_CLIENT}/operations.py": {
        "Operation._parsed: `reply.status < _REFUSED` -> `(reply.status <= _REFUSED)`": (
            "what has just that status is refused all the same, by its status"
        ),
        '_members: `"jsonvalue" in inner.serialization`'
        " -> `('jsonvalue' not in inner.serialization)`": (
            "the quick way is left to botocore more often, which reads the same"
        ),
    },
    "service/adapters/webhooks/sender.py": {
        "PublicSender._status: `await writer.wait_closed()` -> `pass`": (
            "it is closed all the same, a moment after its outcome is told"
        )
    },
    f"{_AWS}/signing_keys.py": {
        "JwksKeys._fetch: `_MAX_BYTES + 1` -> `(_MAX_BYTES + 2)`": (
            "of what is too large, one byte more or less is read and thrown away"
        ),
        "JwksKeys._is_good: `self._clock() < known.fetched_at + self._good_seconds`"
        " -> `(self._clock() <= known.fetched_at + self._good_seconds)`": (
            "a clock that counts in nanoseconds does not hit the second"
        ),
    },
    f"{_AWS}/devices.py": {
        "DynamoDeviceFacts.page: `max(limit, _LEAST_DEVICES) + 1`"
        " -> `(max(limit, _LEAST_DEVICES) + 2)`": "a larger page of the same query",
        "DynamoDeviceFacts.page: `wanted` -> `(not (wanted))`": "a page of the same query too",
    },
    f"{_DEVICE}/store/store.py": {
        "Store._write: `time.monotonic() < due` -> `(time.monotonic() <= due)`": (
            "a clock that counts in nanoseconds does not hit the second"
        ),
        "Store._settle: `call_each(each.transaction.written)` -> `pass`": (
            "told before, unless something is raised between two calls, as for want of memory"
        ),
    },
    f"{_DEVICE}/commands/executor.py": {
        "Executor._handler: `raise AssertionError(name)` -> `pass`": (
            "`decide` has refused such a command; that is written for the checker of types"
        ),
    },
    f"{_DEVICE}/store/transaction.py": {
        "commit: `len(batch) > 1` -> `(len(batch) >= 1)`": (
            "alone a change needs no mark, but COMMIT and ROLLBACK take one with them"
        ),
        'commit: `database.execute("RELEASE one")` -> `pass`': (
            "marks nest, the last of a name is meant, and COMMIT takes them all"
        ),
    },
    f"{_DEVICE}/commands/begun.py": {
        "BegunMarks.mark: `self._handle < 0` -> `(self._handle <= 0)`": (
            "descriptor 0 is standard input's, whatever it leads to"
        ),
        "BegunMarks._give_up: `self._handle >= 0` -> `(self._handle > 0)`": "likewise",
    },
    f"{_DEVICE}/downloads/partial_file.py": {
        "PartialFile.recover: `length >= reaches and self._hashed < self.entry.prefix`"
        " -> `(length >= reaches or self._hashed < self.entry.prefix)`": (
            "what is read of a file that is too short is not believed, and hashed anew"
        ),
        "PartialFile.recover: `self._hashed < self.entry.prefix`"
        " -> `(self._hashed <= self.entry.prefix)`": "one more read, of nothing, which ends it",
        "PartialFile.accept: `time.monotonic() - self._saved_at >= _CHECKPOINT_SECONDS`"
        " -> `(time.monotonic() - self._saved_at > _CHECKPOINT_SECONDS)`": (
            "a clock that counts in nanoseconds does not hit the second"
        ),
    },
    f"{_DEVICE}/downloads/transfer.py": {
        "Transfer._wait: `(left := until - self._pace.now()) > 0`"
        " -> `((left := (until - self._pace.now())) >= 0)`": (
            "with exactly nothing left to wait it waits for nothing, and looks again"
        )
    },
    f"{_DEVICE}/enrollment/move.py": {
        "Move._report: `time.monotonic() < until` -> `(time.monotonic() <= until)`": (
            "a clock that counts in nanoseconds does not hit the second"
        )
    },
}
