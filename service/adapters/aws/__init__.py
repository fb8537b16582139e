"""The ports answered by AWS services through boto3."""
