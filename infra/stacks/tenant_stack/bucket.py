"""The tenant's files: a private bucket, and the role with which IoT Jobs signs URLs of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pulumi
import pulumi_aws as aws

from infra import names
from infra.stacks import iam

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.stacks.config.tenant import TenantConfig
    from infra.stacks.config.tiers import Tier


@dataclass(frozen=True, kw_only=True)
class BucketArgs:
    """The tenant, what the file says of replaced versions and deletion, and how to name ARNs.

    Attributes:
        tenant: its id.
        config: its file.
        terms: what it gets of its tier.
        arns: of the platform's account.
        service_url: of the API, which serves the console.
    """

    tenant: str
    config: TenantConfig
    terms: Tier
    arns: pulumi.Output[names.Arns]
    service_url: pulumi.Output[str]


class Bucket(pulumi.ComponentResource):
    """S3 bucket (private, versioned, encrypted, TLS only) and presign role."""

    bucket: pulumi.Output[str]
    presign_role_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: BucketArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:tenant:Artifacts", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        bucket = aws.s3.Bucket(
            f"{name}-bucket",
            bucket_prefix=f"{args.tenant}-artifacts-",
            force_destroy=not args.config.protect,
            opts=pulumi.ResourceOptions.merge(
                self._child, pulumi.ResourceOptions(protect=args.config.protect)
            ),
        )
        self.bucket = bucket.bucket
        self._close(name, bucket)
        self._keep(name, bucket, args)
        self._upload(name, bucket, args)
        role = aws.iam.Role(
            f"{name}-presign",
            name=names.presign_role(args.tenant),
            path=names.PRESIGN_ROLE_PATH,
            description=f"IoT Jobs signs downloads of {args.tenant}",
            assume_role_policy=args.arns.apply(
                lambda arns: json.dumps(presign_trust(tenant=args.tenant, arns=arns))
            ),
            opts=self._child,
        )
        aws.iam.RolePolicy(
            f"{name}-presign",
            name="read-artifacts",
            role=role.name,
            policy=self.bucket.apply(lambda name: json.dumps(presign_permissions(bucket=name))),
            opts=self._child,
        )
        self.presign_role_arn = role.arn
        self.register_outputs({"bucket": self.bucket, "presign_role_arn": self.presign_role_arn})

    def _close(self, name: str, bucket: aws.s3.Bucket) -> None:
        closed = aws.s3.BucketPublicAccessBlock(
            f"{name}-private",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child,
        )
        aws.s3.BucketOwnershipControls(
            f"{name}-owner",
            bucket=bucket.id,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=self._child,
        )
        aws.s3.BucketPolicy(
            f"{name}-tls",
            bucket=bucket.id,
            policy=self.bucket.apply(lambda name: json.dumps(tls_only(bucket=name))),
            opts=pulumi.ResourceOptions.merge(
                self._child, pulumi.ResourceOptions(depends_on=[closed])
            ),
        )

    def _keep(self, name: str, bucket: aws.s3.Bucket, args: BucketArgs) -> None:
        aws.s3.BucketVersioning(
            f"{name}-versions",
            bucket=bucket.id,
            versioning_configuration={"status": "Enabled"},
            opts=self._child,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.id,
            rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
            opts=self._child,
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.id,
            rules=[
                {
                    "id": "forget-replaced",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "noncurrent_version_expiration": {"noncurrent_days": args.terms.artifact_days},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
                },
                {
                    "id": "forget-telemetry",
                    "status": "Enabled",
                    "filter": {"prefix": names.TELEMETRY_PREFIX},
                    "expiration": {"days": args.terms.telemetry_days},
                    # Of a versioned bucket the first only hides it (source: S3 user guide,
                    # "Expiring objects").
                    "noncurrent_version_expiration": {"noncurrent_days": 1},
                },
                {
                    "id": "forget-logs",
                    "status": "Enabled",
                    "filter": {"prefix": names.LOGS_PREFIX},
                    "expiration": {"days": args.terms.device_log_days},
                    "noncurrent_version_expiration": {"noncurrent_days": 1},
                },
            ],
            opts=self._child,
        )

    def _upload(self, name: str, bucket: aws.s3.Bucket, args: BucketArgs) -> None:
        """Pages of the tenant's own app and the console may send parts of uploads, no more."""
        aws.s3.BucketCorsConfiguration(
            f"{name}-cors",
            bucket=bucket.id,
            cors_rules=[
                {
                    "allowed_origins": args.service_url.apply(
                        lambda url: origins([*args.config.sign_in.callback_urls, url])
                    ),
                    "allowed_methods": ["PUT"],
                    "allowed_headers": ["x-amz-checksum-sha256"],
                    "max_age_seconds": 3600,
                }
            ],
            opts=self._child,
        )


def origins(urls: Sequence[str]) -> list[str]:
    """The origins of an app's pages, each once (RFC 6454: scheme, host and port)."""
    return sorted({f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, urls)})


def tls_only(*, bucket: str) -> iam.Document:
    """The bucket's policy: whoever comes without TLS is refused."""
    arn = names.Arns.bucket(bucket)
    return iam.document(
        iam.deny_everybody(
            "TlsOnly",
            "s3:*",
            [arn, f"{arn}/*"],
            when={"Bool": {"aws:SecureTransport": "false"}},
        )
    )


def presign_trust(*, tenant: str, arns: names.Arns) -> iam.Document:
    """IoT Core may assume the role, for jobs of this tenant only.

    Source: AWS IoT Core developer guide, presigned URLs of jobs.
    """
    jobs = arns.iot(f"job/{names.thing_prefix(tenant)}*")
    return iam.trust("iot.amazonaws.com", arns.account_id, source_arn=jobs)


def presign_permissions(*, bucket: str) -> iam.Document:
    """A signed URL can read versions of this bucket's objects and nothing else.

    A URL of a version asks for the second action (source: S3 user guide, "Retrieving object
    versions"); the first is for jobs that an earlier release made.
    """
    return iam.document(
        iam.allow(
            "ReadArtifacts",
            ["s3:GetObject", "s3:GetObjectVersion"],
            f"{names.Arns.bucket(bucket)}/*",
        )
    )
