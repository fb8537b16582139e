"""The tenant's policy store, which trusts the tenant's own pool only, and its policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from service.cedar.binding import bind, bind_uid

if TYPE_CHECKING:
    from infra.policies.files.bundle import PolicyBundle, StaticPolicy, Template
    from infra.stacks.tenant_stack.machines import Machines
    from infra.stacks.tenant_stack.policy_digest import PolicyDigest
    from infra.stacks.tenant_stack.user_pool import UserPool
    from service.cedar.policy_set import Link
    from service.cedar.values import EntityUid


@dataclass(frozen=True, kw_only=True)
class PolicyStoreArgs:
    """The tenant, its checked policies, and the pool and machines whose tokens count.

    `digest`: of these policies, told before the first of them changes.
    """

    tenant: str
    bundle: PolicyBundle
    digest: PolicyDigest
    user_pool: UserPool
    machines: Machines
    protect: bool


class PolicyStore(pulumi.ComponentResource):
    """Policy store (STRICT), schema, policies, templates, links, identity source.

    A permit waits for every forbid: at no moment of a first stamping or of an update can something
    be allowed that a forbid of the same files denies. A changed policy or template is always a new
    one beside the old one, which leaves
    last: the provider would change a `when` in place, and so loosen a forbid before a permit has
    narrowed (see `infra.policies.store.update_order`). The identity source comes last, so no token
    is accepted before the policies stand.

    That holds of the store. Decisions see a change some seconds later, and in which order AWS does
    not say (docs/aws-fidelity.md); the rehearsal keeps it.

    One after the other: a store takes 10 writes a second, "might return an exception" for
    simultaneous ones (source: Verified Permissions, "Quotas"), and the provider repeats none.
    """

    store_id: pulumi.Output[str]
    policy_names: pulumi.Output[dict[str, str]]

    def __init__(
        self, name: str, args: PolicyStoreArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:tenant:PolicyStore", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        store = aws.verifiedpermissions.PolicyStore(
            f"{name}-store",
            description=f"cedarfleet {args.tenant}",
            validation_settings={"mode": "STRICT"},
            deletion_protection="ENABLED" if args.protect else "DISABLED",
            opts=pulumi.ResourceOptions.merge(
                self._child, pulumi.ResourceOptions(protect=args.protect)
            ),
        )
        self.store_id = store.id
        schema = aws.verifiedpermissions.Schema(
            f"{name}-schema",
            policy_store_id=self.store_id,
            definition={"value": args.bundle.schema_json},
            opts=pulumi.ResourceOptions.merge(
                self._child, pulumi.ResourceOptions(depends_on=[args.digest])
            ),
        )
        self._last: pulumi.Resource = schema
        forbids = {policy.id: self._static(policy) for policy in args.bundle.forbids}
        permits = {policy.id: self._static(policy) for policy in args.bundle.permits}
        templates = {template.id: self._template(template) for template in args.bundle.templates}
        links = {link.id: self._link(link, templates[link.template]) for link in args.bundle.links}
        stamped = forbids | permits | links
        aws.verifiedpermissions.IdentitySource(
            f"{name}-identity",
            policy_store_id=self.store_id,
            principal_entity_type="Fleet::User",
            configuration={
                "cognito_user_pool_configuration": {
                    "user_pool_arn": args.user_pool.pool_arn,
                    # None, so each app client of the pool: the service makes machines while it
                    # runs, and itself refuses tokens of any other (docs/adr/0039). Written out,
                    # since what is left out stays as it is.
                    "client_ids": [],
                    "group_configuration": {"group_entity_type": "Fleet::Group"},
                }
            },
            opts=self._next(),
        )
        self.policy_names = pulumi.Output.all(
            *(_named(policy.policy_id, our_id) for our_id, policy in stamped.items())
        ).apply(lambda pairs: dict(sorted(pairs)))
        self.register_outputs({"store_id": self.store_id, "policy_names": self.policy_names})

    def _static(self, policy: StaticPolicy) -> aws.verifiedpermissions.Policy:
        self._last = made = aws.verifiedpermissions.Policy(
            f"{self._name}-policy-{policy.id}",
            policy_store_id=self.store_id,
            definition={
                "static": {
                    "statement": self._bound(policy.statement),
                    "description": policy.why[:150],
                }
            },
            opts=self._next("definition"),
        )
        return made

    def _template(self, template: Template) -> aws.verifiedpermissions.PolicyTemplate:
        self._last = made = aws.verifiedpermissions.PolicyTemplate(
            f"{self._name}-template-{template.id}",
            policy_store_id=self.store_id,
            statement=self._bound(template.statement),
            description=template.why[:150],
            opts=self._next("statement"),
        )
        return made

    def _link(
        self, link: Link, template: aws.verifiedpermissions.PolicyTemplate
    ) -> aws.verifiedpermissions.Policy:
        self._last = made = aws.verifiedpermissions.Policy(
            f"{self._name}-link-{link.id}",
            policy_store_id=self.store_id,
            definition={
                "template_linked": {
                    "policy_template_id": template.policy_template_id,
                    "principal": {
                        "entity_type": link.principal.type,
                        "entity_id": self._entity_id(link.principal),
                    },
                    "resource": {
                        "entity_type": link.resource.type,
                        "entity_id": self._entity_id(link.resource),
                    },
                }
            },
            opts=self._next("definition"),
        )
        return made

    def _bound(self, statement: str) -> pulumi.Output[str]:
        return self._args.user_pool.pool_id.apply(
            lambda pool: bind(statement, tenant=self._args.tenant, pool_id=pool)
        )

    def _entity_id(self, entity: EntityUid) -> pulumi.Output[str]:
        return self._args.user_pool.pool_id.apply(
            lambda pool: bind_uid(entity, tenant=self._args.tenant, pool_id=pool).id
        )

    def _next(self, *changed: str) -> pulumi.ResourceOptions:
        """Created after the one before; anew, before the old one goes, when `changed` changes."""
        return pulumi.ResourceOptions.merge(
            self._child,
            pulumi.ResourceOptions(depends_on=[self._last], replace_on_changes=list(changed)),
        )


def _named(made: pulumi.Output[str], ours: str) -> pulumi.Output[tuple[str, str]]:
    return made.apply(lambda policy_id: (policy_id, ours))
