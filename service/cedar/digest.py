"""The digest of all that decides together: equal for equal policies, whoever wrote them down.

The stacks say of each tenant which digest its policy store is to have; the service uses a copy of
the store only while it has that one.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from service.cedar.granted import fingerprint, is_granted, with_granted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.cedar.policy_set import PolicySet


def policies_digest(policies: PolicySet) -> str:
    """SHA-256, in hexadecimal, of what the policies say.

    Of the schema as JSON, of each static policy's text, and of each link's template, principal and
    resource; in any order. Names and ids of ours or of a store do not count, nor does a template
    without a link, which decides nothing. Policies of grants, which no stack knows of, count apart:
    without one the digest is the stack's.

    Args:
        policies: bound to the tenant and its pool, with the schema in its JSON form.

    Raises:
        ValueError: the schema is no JSON.
        KeyError: a link's template is missing.
    """
    document = {"schema": json.loads(policies.schema), "policies": sorted(_contents(policies))}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    return with_granted(digest, map(fingerprint, filter(is_granted, policies.static.values())))


def _contents(policies: PolicySet) -> Iterator[list[str]]:
    for statement in policies.static.values():
        if not is_granted(statement):
            yield [statement]
    for link in policies.links:
        yield [policies.templates[link.template], str(link.principal), str(link.resource)]
