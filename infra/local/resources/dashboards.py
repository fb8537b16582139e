"""CloudWatch dashboards."""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from infra.local.engine.handler import Handler, Made
from infra.local.resources.absence import absent_is_fine, unless_absent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.engine.handler import Cloud


class Dashboard(Handler):
    """`aws.cloudwatch.Dashboard`; its id is its name."""

    replace_on = frozenset({"dashboardName"})

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """PutDashboard; a body that CloudWatch would find fault with is refused.

        Raises:
            ValueError: the answer names what is wrong with the body.
        """
        name = inputs["dashboardName"]
        json.loads(inputs["dashboardBody"])  # fail closed: the emulator takes any text
        answer = cloud.client("cloudwatch").put_dashboard(
            DashboardName=name, DashboardBody=inputs["dashboardBody"]
        )
        if wrong := answer.get("DashboardValidationMessages"):
            raise ValueError(f"dashboard `{name}`: {wrong}")
        arn = f"arn:aws:cloudwatch::{cloud.account_id}:dashboard/{name}"
        return Made(name, {**inputs, "dashboardArn": arn})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """PutDashboard writes over it."""
        del id
        return {**old, **self.create(cloud, inputs).outputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """GetDashboard; the body as it was written, if it says the same."""
        found = unless_absent(cloud.client("cloudwatch").get_dashboard, DashboardName=id)
        if found is None:
            return None
        known, now = outputs.get("dashboardBody"), found["DashboardBody"]
        same = known is not None and json.loads(known) == json.loads(now)
        return {**outputs, "dashboardName": id, "dashboardBody": known if same else now}

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteDashboards."""
        del outputs
        with absent_is_fine():
            cloud.client("cloudwatch").delete_dashboards(DashboardNames=[id])


HANDLERS: Final[Mapping[str, Handler]] = {"aws:cloudwatch/dashboard:Dashboard": Dashboard()}
