"""What Cedar sees of this project, written once, for the service and for ``infra.policies``.

It knows no AWS, no HTTP and no Pulumi, and nothing else of the service. In the order of a decision:

``values`` spells entity uids and attribute values; ``entities`` makes the tenant, its groups,
devices and files; ``device_facts`` reads what IoT Core stores of a device; ``request`` puts an
authorization request together: who, what, on what, in which context; ``decision`` says what came
out, and why.

The policies' side: ``binding`` names groups, users and the tenant as one tenant's store does;
``statement`` reads one policy file; ``policy_set`` holds all that decides, and ``digest`` tells it
from another; ``evaluator`` evaluates requests, ``compiled`` those of a tenant by the policies that
can apply to each.
"""
