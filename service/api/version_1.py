"""The routes of version 1: a new resource is a file beside this one and a line in ``ROUTES``."""

from typing import Any, Final

from litestar import Request, Router
from litestar.di import Provide

from service.api import rate_limits
from service.api.audit import export_audit, read_audit, read_audit_chain
from service.api.bulk_registration import register_devices
from service.api.campaigns import (
    cancel_campaign,
    list_campaign_devices,
    list_campaigns,
    read_campaign,
    start_campaign,
)
from service.api.command_types import (
    change_command_type,
    end_command_type,
    list_command_types,
    make_command_type,
    read_command_type,
)
from service.api.commands import (
    cancel_command,
    list_commands,
    list_device_commands,
    read_command,
    send_command,
)
from service.api.device_logs import list_device_logs
from service.api.device_state import change_state, read_state
from service.api.devices import (
    configure_device,
    list_devices,
    pin_device,
    read_device,
    retire_device,
    set_device_groups,
    set_device_tags,
)
from service.api.downloads import (
    cancel_download,
    list_device_downloads,
    list_downloads,
    read_download,
    start_download,
)
from service.api.enrolments import enrol
from service.api.events import follow_events
from service.api.explanations import explain_permission, simulate_permission
from service.api.files import (
    begin_file,
    complete_file,
    list_files,
    read_file,
    retire_file,
    sign_parts,
)
from service.api.freezes import freeze_group, read_freeze, thaw_group
from service.api.grants import give_grant, list_grants, read_grant, revoke_grant
from service.api.groups import (
    change_members,
    delete_group,
    describe_group,
    list_groups,
    list_members,
    make_group,
    read_group,
)
from service.api.guard import decided_middleware, guard, provide_access, provide_operations
from service.api.json_body import check_body
from service.api.machines import (
    add_machine_secret,
    delete_machine_secret,
    list_machines,
    make_machine,
    read_machine,
    revoke_machine,
)
from service.api.me import read_me
from service.api.people import (
    disable_person,
    enable_person,
    forget_person,
    invite_person,
    list_people,
    read_person,
    set_person_groups,
    sign_out_person,
)
from service.api.permissions import check_permissions, who_may
from service.api.plans import (
    approve_download,
    pause_download,
    plan_download,
    read_plan,
    resume_download,
)
from service.api.query import check_headers, check_query
from service.api.registration import register_device, renew_enrolment_code
from service.api.replays import replay_decisions
from service.api.telemetry import read_telemetry
from service.api.usage import read_usage
from service.api.wanted_versions import (
    end_wanted_version,
    list_running,
    list_versions,
    list_wanted_versions,
    read_wanted_version,
    set_wanted_version,
)
from service.api.webhooks import (
    disable_webhook,
    enable_webhook,
    end_webhook,
    list_webhook_deliveries,
    list_webhooks,
    make_webhook,
    read_webhook,
    redeliver_webhook_event,
    rotate_webhook_secret,
)

ROUTES: Final[list[Any]] = [
    read_me,
    check_permissions,
    explain_permission,
    simulate_permission,
    replay_decisions,
    who_may,
    list_devices,
    register_device,
    renew_enrolment_code,
    register_devices,
    enrol,
    read_device,
    configure_device,
    set_device_groups,
    set_device_tags,
    pin_device,
    retire_device,
    make_group,
    list_groups,
    read_group,
    describe_group,
    delete_group,
    list_members,
    change_members,
    freeze_group,
    read_freeze,
    thaw_group,
    set_wanted_version,
    list_wanted_versions,
    read_wanted_version,
    end_wanted_version,
    list_versions,
    list_running,
    read_telemetry,
    list_device_logs,
    read_state,
    change_state,
    list_command_types,
    read_command_type,
    make_command_type,
    change_command_type,
    end_command_type,
    send_command,
    list_device_commands,
    list_commands,
    read_command,
    cancel_command,
    start_campaign,
    list_campaigns,
    read_campaign,
    list_campaign_devices,
    cancel_campaign,
    start_download,
    list_device_downloads,
    list_downloads,
    read_download,
    cancel_download,
    plan_download,
    read_plan,
    approve_download,
    pause_download,
    resume_download,
    begin_file,
    sign_parts,
    complete_file,
    list_files,
    read_file,
    retire_file,
    list_people,
    invite_person,
    read_person,
    set_person_groups,
    disable_person,
    enable_person,
    sign_out_person,
    forget_person,
    read_audit,
    read_audit_chain,
    export_audit,
    read_usage,
    follow_events,
    list_webhooks,
    make_webhook,
    read_webhook,
    rotate_webhook_secret,
    disable_webhook,
    enable_webhook,
    end_webhook,
    list_webhook_deliveries,
    redeliver_webhook_event,
    list_machines,
    make_machine,
    read_machine,
    add_machine_secret,
    delete_machine_secret,
    revoke_machine,
    give_grant,
    list_grants,
    read_grant,
    revoke_grant,
]


async def check_request(request: Request[Any, Any, Any]) -> None:
    """Read query, headers and body to the letter.

    Raises:
        InvalidRequestError: a parameter, header or member is not of its form.
        WrongMediaTypeError: the body is not declared as JSON.
    """
    check_query(request)
    check_headers(request)
    await check_body(request)


def version_1() -> Router:
    """The versioned router.

    Its guard stands here: an app-level one would also meet Litestar's own OPTIONS handlers.
    """
    return Router(
        path="/v1",
        route_handlers=ROUTES,
        guards=[guard],
        before_request=check_request,
        middleware=[decided_middleware],
        dependencies={"access": Provide(provide_access), "operations": Provide(provide_operations)},
        security=[{"bearer": []}],
        response_headers=rate_limits.FIELDS,
    )
