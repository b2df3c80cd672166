"""S3: objects under `s3://bucket/key`, through boto3, with credentials from the standard AWS chain alone."""

from components.core.s3.store import S3Store

__all__ = ["S3Store"]
