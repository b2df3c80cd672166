"""What an S3 server's and botocore's errors mean: which of our kinds, and what to check."""

from collections.abc import Mapping

from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError

from components.core.errors import ConflictError, InfrastructureError, InvalidInputError

_MISSING = {"NoSuchKey", "NoSuchVersion", "NotFound", "404"}
_CONDITION = {"PreconditionFailed", "ConditionalRequestConflict", "412"}
_REDIRECT = {
    "PermanentRedirect",
    "TemporaryRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "301",
    "307",
}
_FULL = {"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "507"}
_UPSET = {"BadDigest", "IncompleteBody", "NoSuchUpload", "InvalidPart", "OperationAborted", "RequestTimeout"}
_DENIED = (
    "access denied; the credentials in use need s3:ListBucket on the bucket, and s3:GetObject, "
    "s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload on its objects"
)
_EXPIRED = "the session token is expired or not valid; log in again, or check AWS_SESSION_TOKEN"
_WHAT_TO_CHECK: Mapping[str, str] = {
    "NoSuchBucket": "the bucket does not exist; check its name and the endpoint in use",
    "InvalidBucketName": "not a name for a bucket",
    "InvalidAccessKeyId": "the access key is not known there; check AWS_ACCESS_KEY_ID or the profile, "
    "and that they are for this endpoint",
    "SignatureDoesNotMatch": "the secret key does not belong to the access key; check "
    "AWS_SECRET_ACCESS_KEY or the profile (a space or line end at its end, too)",
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "InvalidToken": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "RequestTimeTooSkewed": "this machine's clock differs too much from the server's; set it",
    "RequestExpired": "this machine's clock differs too much from the server's; set it",
    "400": "refused without a reason, as HEAD requests are: mostly an expired session token or a wrong "
    "AWS_DEFAULT_REGION",
    "InvalidObjectState": "the object is archived; restore it first",
    "NotImplemented": "the server does not know something in the request; for an older one set "
    "AWS_REQUEST_CHECKSUM_CALCULATION=when_required and AWS_RESPONSE_CHECKSUM_VALIDATION=when_required",
}
_CREDENTIALS = (
    "no AWS credentials found; set them up as for the AWS command line (AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, a profile, or a role)"
)
_LOGIN = (boto.SSOError, boto.LoginError, boto.TokenRetrievalError, boto.NoAuthTokenError)
_SETTINGS = (
    boto.ProfileNotFound,
    boto.ConfigParseError,
    boto.ConfigNotFound,
    boto.InvalidConfigError,
    boto.InvalidRegionError,
    boto.InvalidChecksumConfigError,
    boto.InvalidRetryConfigurationError,
    boto.InvalidS3AddressingStyleError,
    boto.NoRegionError,
    boto.PartialCredentialsError,
    boto.UnknownEndpointError,
)


def explain(uri: str, server: str, error: BotoCoreError | ClientError) -> Exception:
    """The error of ours that stands for one of botocore's. It names codes and places only: botocore's own
    words for some of them hold what a credential helper printed."""
    if isinstance(error, ClientError):
        return _answered(uri, server, error)
    match error:
        case boto.NoCredentialsError():
            return InvalidInputError(f"{uri}: {_CREDENTIALS}")
        case boto.CredentialRetrievalError() | boto.MetadataRetrievalError():
            return InfrastructureError(
                f"{uri}: the source of credentials gives none now ({type(error).__name__}); check the role, "
                "or the profile's credential_process"
            )
        case boto.ParamValidationError():
            return InvalidInputError(f"{uri}: need s3://bucket/key with a valid bucket name and a key")
        case boto.SSLError() if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return InvalidInputError(
                f"{uri}: the certificate of {server} is not trusted; name its authority's file in "
                "AWS_CA_BUNDLE"
            )
        case boto.ProxyConnectionError():
            return InfrastructureError(f"{uri}: the proxy cannot be reached; check HTTPS_PROXY and NO_PROXY")
        case boto.EndpointConnectionError() | boto.ConnectTimeoutError():
            return InfrastructureError(
                f"{uri}: {server} cannot be reached; check that it runs, AWS_ENDPOINT_URL_S3 and the network"
            )
    if isinstance(error, _LOGIN):
        return InvalidInputError(f"{uri}: the login has expired; log in again (aws sso login)")
    if isinstance(error, _SETTINGS):
        return InvalidInputError(f"{uri}: the settings for S3: {error}")
    return InfrastructureError(f"{uri}: the connection to {server} failed ({type(error).__name__})")


def _answered(uri: str, server: str, error: ClientError) -> Exception:
    """What the server's answer means. HEAD answers have a status and no code."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    metadata = error.response.get("ResponseMetadata", {})
    status = int(metadata.get("HTTPStatusCode", 0))
    if code in _MISSING:
        return FileNotFoundError(uri)
    if code in _CONDITION:
        return ConflictError(f"{uri}: exists already, or was changed by someone else")
    if code in _REDIRECT:
        region = metadata.get("HTTPHeaders", {}).get("x-amz-bucket-region") or error.response.get(
            "Error", {}
        ).get("Region")
        where = f"in {region}" if region else "in another region"
        return InvalidInputError(f"{uri}: the bucket lies {where}; set AWS_DEFAULT_REGION to it ({code})")
    if code in _FULL:
        return InfrastructureError(f"{uri}: {server} has no space left ({code})")
    if code in _WHAT_TO_CHECK:
        return InvalidInputError(f"{uri}: {_WHAT_TO_CHECK[code]} ({code}, {server})")
    if status == 403:
        return InvalidInputError(f"{uri}: {_DENIED} ({code}, {server})")
    if 400 <= status < 500 and status not in {408, 429} and code not in _UPSET:
        return InvalidInputError(f"{uri}: {server} refuses the request ({code or status})")
    return InfrastructureError(f"{uri}: {server} answered {code or status}; try again later")
