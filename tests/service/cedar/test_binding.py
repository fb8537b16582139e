"""Policies are bound to one tenant's pool, and nothing else in them changes."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from service.cedar.binding import bind, bind_uid, bind_until, unbind_uid
from service.cedar.values import EntityUid

STATEMENT = """// Fleet::Group::"in-a-comment" stays
@id("x")
permit (principal in Fleet::Group::"managers", action, resource)
when { resource == Fleet::Tenant::"this" || principal == Fleet::User::"42" }
when { context has reason && context.reason == "say Fleet::Group::\\"quoted\\" // no comment" }
when { resource in Fleet::DeviceGroup::"line-press" };
"""


def test_groups_users_and_tenant_are_bound():
    """Groups and users get the pool's prefix, the tenant its id; all else stays."""
    assert bind(STATEMENT, tenant="acme", pool_id="eu-central-1_A") == (
        STATEMENT.replace('Group::"managers"', 'Group::"eu-central-1_A|managers"')
        .replace('User::"42"', 'User::"eu-central-1_A|42"')
        .replace('Tenant::"this"', 'Tenant::"acme"')
    )


def test_binding_is_undone_for_people():
    """What the store holds is shown as the files name it."""
    for entity in (
        EntityUid(type="Fleet::Group", id="managers"),
        EntityUid(type="Fleet::User", id="42"),
        EntityUid(type="Fleet::Tenant", id="this"),
        EntityUid(type="Fleet::DeviceGroup", id="line-press"),
    ):
        bound = bind_uid(entity, tenant="acme", pool_id="p")
        assert unbind_uid(bound, tenant="acme", pool_id="p") == entity


def test_what_only_looks_like_the_tenant_stays():
    """A device called as the tenant is a device, and another tenant is another tenant."""
    for type_, name in (
        ("Fleet::Device", "this"),
        ("Fleet::Device", "acme"),
        ("Fleet::Tenant", "globex"),
    ):
        entity = EntityUid(type=type_, id=name)
        assert bind_uid(entity, tenant="acme", pool_id="p") == entity
        assert unbind_uid(entity, tenant="acme", pool_id="p") == entity


def test_end_is_written_in_utc():
    """A grant's end in any time zone is the same moment in the policy."""
    until = datetime(2026, 12, 24, 18, 0, tzinfo=timezone(timedelta(hours=1)))
    assert (
        bind_until('context.now < datetime("until")', until)
        == 'context.now < datetime("2026-12-24T17:00:00Z")'
    )
