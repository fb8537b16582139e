"""Compares the policies of the files with what a tenant's policy store holds: for a preview."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from infra.policies.comparison.compare import Difference, difference
from infra.policies.proofs.asking import NotProvedError
from infra.policies.proofs.theorems import prove, prove_update
from infra.policies.store.deployed import NotDeployedError, read
from service.cedar.entities import GROUP, USER

if TYPE_CHECKING:
    from datetime import datetime

    from types_boto3_verifiedpermissions import VerifiedPermissionsClient

    from infra.policies.cases.reference_fleet import ReferenceFleet
    from infra.policies.files.bundle import PolicyBundle
    from infra.policies.proofs.asking import Prover
    from infra.policies.store.deployed import Store
    from service.cedar.policy_set import PolicySet


def difference_of(
    client: VerifiedPermissionsClient,
    store: Store,
    bundle: PolicyBundle,
    *,
    fleet: ReferenceFleet,
    tenant: str,
    now: datetime,
    prover: Prover | None = None,
) -> Difference:
    """What stamping ``bundle`` would change in the tenant's store.

    Args:
        client: of the account and region of the store.
        store: the tenant's, with its user pool.
        bundle: what the files say.
        fleet: whose devices are varied to ask about.
        tenant: tenant id.
        now: the day to ask about, with a time zone.
        prover: proves what the samples cannot; ``None``: nobody asks it.

    Raises:
        NotDeployedError: the store cannot be read, is bound to another pool, or cannot be compared
            with the files.
    """
    held = read(client, store.policy_store_id, grants=store.granted)
    people = {entity.id for entity in held.entities() if entity.type in (GROUP, USER)}
    # With another tenant's pool every decision would flip, and the table would be believed.
    if people and not any(name.startswith(f"{store.pool_id}|") for name in people):
        raise NotDeployedError(
            f"policy store `{store.policy_store_id}` names nobody of user pool "
            f"`{store.pool_id}`, but `{min(people)}`: is it the tenant's pool?"
        )
    files = bundle.policy_set.bound(tenant=tenant, pool_id=store.pool_id)
    try:
        found = difference(held, files, fleet=fleet, tenant=tenant, pool_id=store.pool_id, now=now)
    # Such as a policy made by hand that the files' schema does not know.
    except ValueError as error:
        raise NotDeployedError(
            f"policy store `{store.policy_store_id}` cannot be compared with the files: {error}"
        ) from error
    if prover is None or not found.steps:
        return found
    return replace(found, proof=proof_of(prover, held, files, tenant=tenant))


def proof_of(prover: Prover, held: PolicySet, files: PolicySet, *, tenant: str) -> str:
    """What is proved of the update and of the tenant after it."""
    try:
        # An update writes the schema first: from then on it holds for the old set too.
        update = prove_update(prover, replace(held, schema=files.schema), files)
        after = prove(
            prover, files, tenant=tenant, known=frozenset(files.static) - _changed(held, files)
        )
    except NotProvedError as error:
        return f"Not proved: {error}"
    findings = (*update.findings, *after.findings)
    if not findings:
        return "Proved: the update grants nothing new and refuses nothing new, of all requests."
    return "\n".join(["Proved of all requests, with a request for each kind:", *map(str, findings)])


def _changed(held: PolicySet, files: PolicySet) -> frozenset[str]:
    old = set(held.static.values())
    return frozenset(name for name, text in files.static.items() if text not in old)
