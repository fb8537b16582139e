"""The rules: of one resource as it is declared, and of a stack as a whole.

A rule is a function from what is declared to what is wrong with it, in words. Each names where AWS
says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from infra.guardrails import reasons, settings
from infra.guardrails.declared import Declared, UnknownYetError
from infra.guardrails.documents import condition_keys, granted, listed, principals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_PREFIX: Final = 5  # arn, partition, service, region, account
_BUCKET: Final = "aws:s3/bucket:Bucket"
# Of each type that holds data: the input with which AWS itself refuses to delete it, and its value.
_DELETION: Final[dict[str, tuple[str, Any]]] = {
    "aws:cognito/userPool:UserPool": ("deletionProtection", "ACTIVE"),
    "aws:dynamodb/table:Table": ("deletionProtectionEnabled", True),
    "aws:verifiedpermissions/policyStore:PolicyStore": ("deletionProtection", "ENABLED"),
}
_DATA: Final = frozenset({*_DELETION, _BUCKET, "aws:kms/key:Key"})
_TAGS: Final = frozenset({"managed-by", "stack", "tenant"})
# By which of these a service says for whom it comes (source: IAM user guide, "The confused deputy
# problem"; for Firehose its own guide).
_FOR_WHOM: Final = frozenset({"aws:sourceaccount", "aws:sourcearn", "sts:externalid"})
_PRIVATE_BUCKET: Final[dict[str, str]] = {
    "aws:s3/bucketPolicy:BucketPolicy": "no policy that refuses plain HTTP",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": "public access is not blocked",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "no encryption is set"
    ),
    "aws:s3/bucketVersioning:BucketVersioning": "no versions are kept",
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule of one resource.

    Attributes:
        name: for reports.
        about: what it keeps, for people.
        check: what is wrong; nothing: it is kept.
    """

    name: str
    about: str
    check: Callable[[Declared], Iterator[str]]


@dataclass(frozen=True, kw_only=True)
class StackRule:
    """A rule of all resources of a stack together; see `Rule`.

    `check` tells of each fault which resource it is of.
    """

    name: str
    about: str
    check: Callable[[Sequence[Declared]], Iterator[tuple[Declared, str]]]


def _actions_named(declared: Declared) -> Iterator[str]:
    for statement in granted(declared):
        if "NotAction" in statement:
            yield "`NotAction` grants whatever AWS will ever add"
        for action in listed(statement.get("Action") or []):
            if "*" in action:
                yield f"action `{action}` has a wildcard"


def _resources_named(declared: Declared) -> Iterator[str]:
    for statement in granted(declared):
        if "NotResource" in statement:
            yield "`NotResource` grants whatever will ever be made"
        actions = set(listed(statement.get("Action") or []))
        for resource in listed(statement.get("Resource") or []):
            parts = resource.split(":", _PREFIX)
            if resource == "*":
                if unnamed := sorted(actions - reasons.WITHOUT_RESOURCE.keys()):
                    yield f"`*` is the resource of {', '.join(unnamed)}"
            elif (
                len(parts) <= _PREFIX
                or parts[_PREFIX] == "*"
                or any("*" in part for part in parts[:_PREFIX])
            ):
                yield f"resource `{resource}` names no account or nothing in it"


def _nobody_unknown(declared: Declared) -> Iterator[str]:
    for statement in granted(declared):
        if "NotPrincipal" in statement:
            yield "`NotPrincipal` grants to everybody else"
        for kind, who in principals(statement):
            if "*" in who:
                yield f"grants to everybody (`{who}`)"
            elif kind == "Service" and not _FOR_WHOM & condition_keys(statement):
                yield f"`{who}` may come for another account"


def _tagged(declared: Declared) -> Iterator[str]:
    if declared.kind.startswith("aws:") and (missing := sorted(_TAGS - set(declared.tags))):
        yield f"its provider sets no default tag {', '.join(missing)}"


def _deletion_agrees(declared: Declared) -> Iterator[str]:
    if declared.kind in _DELETION:
        key, on = _DELETION[declared.kind]
        if (declared.inputs.get(key) == on) != declared.protect:
            yield f"`{key}` and `protect` do not agree"
    if declared.kind == _BUCKET and bool(declared.inputs.get("forceDestroy")) == declared.protect:
        yield "`forceDestroy` and `protect` do not agree"


def _buckets_private(declared: Sequence[Declared]) -> Iterator[tuple[Declared, str]]:
    for bucket in (one for one in declared if one.kind == _BUCKET):
        has = {one.kind for one in declared if bucket.name in one.refers_to}
        yield from ((bucket, wrong) for kind, wrong in _PRIVATE_BUCKET.items() if kind not in has)


def _data_protected(declared: Sequence[Declared]) -> Iterator[tuple[Declared, str]]:
    """All or none: a stack whose file says `protect: false` is about to be destroyed."""
    data = [one for one in declared if one.kind in _DATA]
    if any(one.protect for one in data):
        yield from (
            (one, "is not protected, as other data of this stack is")
            for one in data
            if not one.protect
        )


RULES: Final = (
    Rule(name="actions-named", about="each granted action is spelled out", check=_actions_named),
    Rule(
        name="resources-named",
        about="each grant names its resources, or the reason why AWS knows none",
        check=_resources_named,
    ),
    Rule(
        name="trust-confined",
        about="nobody unknown is granted anything, and services come for this account alone",
        check=_nobody_unknown,
    ),
    Rule(
        name="not-public",
        about="nothing can be reached that need not be",
        check=settings.NOT_PUBLIC,
    ),
    Rule(name="encrypted", about="encrypted at rest and on the way", check=settings.ENCRYPTED),
    Rule(name="kept", about="logs, versions and moments are kept, and end", check=settings.KEPT),
    Rule(name="tagged", about="everything says whose it is, for the bill too", check=_tagged),
    Rule(
        name="stores-strict", about="policy stores validate what they take", check=settings.STRICT
    ),
    Rule(
        name="deletion-agrees",
        about="what Pulumi protects, AWS refuses to delete, and the other way round",
        check=_deletion_agrees,
    ),
    Rule(
        name="contained",
        about="images, sign-in and headers as they should be",
        check=settings.CONTAINED,
    ),
)
STACK_RULES: Final = (
    StackRule(
        name="buckets-private",
        about="each bucket is closed, encrypted, versioned and spoken to by TLS",
        check=_buckets_private,
    ),
    StackRule(
        name="data-protected",
        about="all data of a stack is protected, or none",
        check=_data_protected,
    ),
)


def of_resource(declared: Declared) -> list[str]:
    """What is wrong with a resource; a rule that reads what is not known yet says nothing.

    The engine asks again with every value known before it makes the resource.
    """
    wrong: list[str] = []
    for rule in RULES:
        try:
            wrong += [f"{rule.name}: {words}" for words in rule.check(declared)]
        except UnknownYetError:
            continue
    return wrong


def of_stack(declared: Sequence[Declared]) -> list[tuple[Declared, str]]:
    """What is wrong with the resources of a stack, taken together."""
    return [
        (one, f"{rule.name}: {words}")
        for rule in STACK_RULES
        for one, words in rule.check(declared)
    ]
