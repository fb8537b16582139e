"""Where the load balancer writes who asked for what: a bucket that nobody reads but an operator."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra import names
from infra.stacks import iam


@dataclass(frozen=True, kw_only=True)
class AccessLogsArgs:
    """How long a line is kept, whether the bucket refuses to be deleted, and the account."""

    days: int
    protect: bool
    region: str
    account_id: pulumi.Output[str]


class AccessLogs(pulumi.ComponentResource):
    """S3 bucket (private, versioned, encrypted, TLS only) that takes lines of the balancer alone.

    A line has the address, the path with its query, and the answer of a request; no header, so no
    token (source: Elastic Load Balancing, "Access logs for your Application Load Balancer"). The
    console's `code` is in a query: used once, and nothing without the verifier of PKCE.
    """

    bucket: pulumi.Output[str]
    written: aws.s3.BucketPolicy

    def __init__(
        self, name: str, args: AccessLogsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:platform:AccessLogs", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        bucket = aws.s3.Bucket(
            f"{name}-bucket",
            bucket_prefix="cedarfleet-access-logs-",
            force_destroy=not args.protect,
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(protect=args.protect)),
        )
        self.bucket = bucket.bucket
        closed = aws.s3.BucketPublicAccessBlock(
            f"{name}-private",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        aws.s3.BucketOwnershipControls(
            f"{name}-owner",
            bucket=bucket.id,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=child,
        )
        aws.s3.BucketVersioning(
            f"{name}-versions",
            bucket=bucket.id,
            versioning_configuration={"status": "Enabled"},
            opts=child,
        )
        # "The only server-side encryption option that's supported is Amazon S3-managed keys"
        # (source: as above).
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.id,
            rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
            opts=child,
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.id,
            rules=[
                {
                    "id": "forget",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "expiration": {"days": args.days},
                    "noncurrent_version_expiration": {"noncurrent_days": 1},
                }
            ],
            opts=child,
        )
        self.written = aws.s3.BucketPolicy(
            f"{name}-written-by-the-balancer",
            bucket=bucket.id,
            policy=pulumi.Output.all(self.bucket, args.account_id).apply(
                lambda known: json.dumps(
                    bucket_policy(bucket=known[0], account_id=known[1], region=args.region)
                )
            ),
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[closed])),
        )
        self.register_outputs({"bucket": self.bucket})


def bucket_policy(*, bucket: str, account_id: str, region: str) -> iam.Document:
    """Balancers of this account in this region write; whoever comes without TLS is refused.

    Source: Elastic Load Balancing, "Enable access logs for your Application Load Balancer", step 2.
    """
    arn = names.Arns.bucket(bucket)
    balancers = f"arn:aws:elasticloadbalancing:{region}:{account_id}:loadbalancer/*"
    return iam.document(
        iam.allow_service(
            "WriteLines",
            "logdelivery.elasticloadbalancing.amazonaws.com",
            "s3:PutObject",
            f"{arn}/AWSLogs/{account_id}/*",
            when={
                "StringEquals": {"aws:SourceAccount": account_id},
                "ArnLike": {"aws:SourceArn": balancers},
            },
        ),
        iam.deny_everybody(
            "TlsOnly", "s3:*", [arn, f"{arn}/*"], when={"Bool": {"aws:SecureTransport": "false"}}
        ),
    )
