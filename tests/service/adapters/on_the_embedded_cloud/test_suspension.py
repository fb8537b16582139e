"""A tenant is turned off in seconds and comes back as it was; its neighbour notices nothing."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from infra import names
from infra.commands.revocation import Watch
from infra.commands.suspension import SuspensionError, Tenant, resume, suspend
from infra.local.people import SignInError
from tests.certificates import certified
from tests.infra.local.cloud.limits.devices import Identity
from tests.infra.local.cloud.limits.stubborn import Stubborn
from tests.service.adapters.on_the_embedded_cloud.waiting import within

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.commands.suspension import Aws
    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

THING = "globex--pump-09"
READ = "/v1/devices/pump-01"


@pytest.fixture
def stubborn(deployed: DeployedService) -> Iterator[Stubborn]:
    """A device of globex under the stamped policy, which comes back whenever it is thrown out."""
    iot = deployed.setup.cloud.client("iot")
    made, policy = certified(iot), names.device_policy("globex")
    iot.create_thing(thingName=THING)
    iot.add_thing_to_thing_group(thingGroupName=names.thing_group("globex"), thingName=THING)
    iot.attach_thing_principal(thingName=THING, principal=made["certificateArn"])
    iot.attach_policy(policyName=policy, target=made["certificateArn"])
    device = Identity(
        thing=THING,
        policy=policy,
        certificate_id=made["certificateId"],
        certificate=made["certificatePem"],
        key=made["keyPair"]["PrivateKey"],
    )
    with closing(Stubborn(deployed.setup.cloud, device)) as connected:
        connected.try_again()
        assert connected.accepted == 1
        yield connected
    iot.detach_policy(policyName=policy, target=made["certificateArn"])
    iot.detach_thing_principal(thingName=THING, principal=made["certificateArn"])
    iot.delete_thing(thingName=THING)


def settings(aws: Aws, tenant: Tenant) -> list[dict[str, Any]]:
    """The app clients of a tenant, but for the day of their last change."""
    listed = aws.cognito.list_user_pool_clients(UserPoolId=tenant.pool_id, MaxResults=60)
    found = [
        aws.cognito.describe_user_pool_client(UserPoolId=tenant.pool_id, ClientId=one["ClientId"])
        for one in listed["UserPoolClients"]
    ]
    return [one["UserPoolClient"] | {"LastModifiedDate": None} for one in found]


def device_policy(aws: Aws) -> dict[str, Any]:
    """The policy that counts, and which of its versions that is."""
    held = aws.iot.get_policy(policyName=names.device_policy("globex"))
    return {key: held[key] for key in ("policyDocument", "defaultVersionId")}


def test_a_tenant_is_turned_off_and_comes_back_as_it_was(
    deployed: DeployedService, aws: Aws, stubborn: Stubborn
) -> None:
    """People, tokens, policies, devices; a repetition changes nothing; acme works all the time."""
    limits = deployed.setup.cloud.limits
    tenant, said = Tenant.find(aws, "globex"), list[str]()
    before = settings(aws, tenant), tenant.row, device_policy(aws)
    jobs = ("globex--waits", "acme--waits")
    for job, thing in zip(jobs, (THING, "acme--press-01"), strict=True):
        arn = aws.iot.describe_thing(thingName=thing)["thingArn"]
        aws.iot.create_job(jobId=job, targets=[arn], document="{}")
    assert deployed.call("GET", READ, tenant="globex").status_code == 200
    person = deployed.people["globex"]["managers"]

    with limits.changed(pace=1), limits.clock.stopped():

        def pause(seconds: float) -> None:
            limits.clock.advance(10 if seconds >= 1 else 0.02)
            stubborn.try_again()

        watch = Watch(quiet_seconds=60, now=limits.clock.now, pause=pause)
        assert suspend(tenant, by="test", reason="unpaid", watch=watch, say=said.append)
        # From command to effect, on this machine: reads and changes alike, without a new stamping.
        within(6, lambda: deployed.call("GET", READ, tenant="globex").status_code == 403)
        assert stubborn.refused, "it came back until the policy was known everywhere, no longer"
        assert stubborn.accepted > 5
        with pytest.raises(SignInError):
            deployed.setup.sign_in("globex", person)
        assert deployed.call("GET", "/v1/devices/press-01").status_code == 200
        states = [aws.iot.describe_job(jobId=job)["job"]["status"] for job in jobs]
        assert states == ["CANCELED", "IN_PROGRESS"]
        aws.iot.delete_job(jobId=jobs[1], force=True)
        assert suspend(tenant, by="test", reason="again", watch=watch, say=said.append)
        assert all(not client["AllowedOAuthFlows"] for client in settings(aws, tenant))

        resume(tenant, say=said.append)
        limits.clock.advance(480)
        accepted = stubborn.accepted
        after = settings(aws, tenant), Tenant.find(aws, "globex").row
        stubborn.try_again()
    assert after == before[:2]
    assert device_policy(aws)["policyDocument"] == (before[2]["policyDocument"])
    accepted = stubborn.accepted
    within(10, lambda: stubborn.try_again() or stubborn.accepted > accepted - 1)
    assert deployed.setup.sign_in("globex", person)
    within(40, lambda: deployed.call("GET", READ, tenant="globex").status_code == 200)
    with pytest.raises(SuspensionError, match="was not suspended by this command"):
        resume(tenant, say=said.append)
    assert any("its 2 devices stay away" in line for line in said)
    assert not any("unpaid" in line for line in said)
