"""The connection to an S3 server: one client a process, and its errors in our words."""

import contextlib
import functools
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from components.core.errors import InvalidInputError
from components.core.s3.errors import explain

# With jitter, ten attempts bridge about 13 s of refused connections and a minute of "SlowDown": the restart
# of a server. botocore's default of three gives up after a fraction of a second.
_ATTEMPTS = 10
_CONNECT_S = 10  # also how long one write to the socket may stall
_READ_S = 60
_QUICK_S = 4  # for requests that are worth nothing when they are late: a lease's renewals
_CONNECTIONS = 16  # a transfer's threads and a lease's
_ENVIRONMENT = ("AWS_", "HOME", "HTTP", "http", "NO_PROXY", "no_proxy", "REQUESTS_CA_BUNDLE")
_MAKING = threading.Lock()  # one thread makes it, the others wait


@contextlib.contextmanager
def service(uri: str, *, quick: bool = False) -> Iterator[Any]:
    """The client, for requests that concern `uri`; what it raises becomes one of our errors.

    Args:
        quick: give up after seconds instead of minutes.

    Raises:
        FileNotFoundError: there is no such object.
        RecloopError: anything else; says what to check, and never shows a credential.
    """
    environment = {name: value for name, value in os.environ.items() if name.startswith(_ENVIRONMENT)}
    server = "the S3 server"
    try:
        with _MAKING:
            client = _client(os.getpid(), tuple(sorted(environment.items())), quick)
        server = f"the S3 server at {client.meta.endpoint_url.rpartition('@')[2]}"
        yield client
    except (BotoCoreError, ClientError) as error:
        raise explain(uri, server, error) from error
    except RecursionError as error:  # how botocore ends where a proxy redirects every request
        raise InvalidInputError(
            f"{uri}: {server} only redirects; check AWS_ENDPOINT_URL_S3 (http or https, host, port) "
            "and AWS_DEFAULT_REGION"
        ) from error


@functools.lru_cache(maxsize=4)
def _client(process: int, environment: tuple[tuple[str, str], ...], quick: bool) -> Any:
    """A client takes 60 to 130 ms to make and may be shared by threads, but not by a forked child, nor
    after the settings changed.

    The endpoint comes from $AWS_ENDPOINT_URL_S3, $AWS_ENDPOINT_URL or the profile's `endpoint_url`; for one
    that is not AWS's own botocore puts the bucket into the path unless the profile says otherwise, and
    takes the region us-east-1 where none is set.
    """
    try:
        settings = botocore.session.get_session()
        bundle = settings.get_config_variable("ca_bundle")
        if bundle and not Path(bundle).exists():
            raise InvalidInputError(f"AWS_CA_BUNDLE: there is no file {bundle}")
        return boto3.Session(botocore_session=settings).client("s3", config=_config(settings, quick))
    except ValueError as error:  # also botocore's own for a region
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError(
            f"the settings for S3: {error}; check AWS_ENDPOINT_URL_S3 (like http://host:9000), "
            "AWS_DEFAULT_REGION, AWS_MAX_ATTEMPTS and the profile"
        ) from error


def _config(settings: Any, quick: bool) -> Config:
    seconds: Mapping[str, int] = {"connect_timeout": _CONNECT_S, "read_timeout": _READ_S}
    retries = None
    if quick:
        seconds = {"connect_timeout": _QUICK_S, "read_timeout": _QUICK_S}
        retries = {"total_max_attempts": 1}
    elif settings.get_config_variable("max_attempts") is None:
        retries = {"total_max_attempts": _ATTEMPTS}
    # "standard" unless $AWS_RETRY_MODE says otherwise: "adaptive" also holds requests back, which only
    # helps the many clients of one busy prefix
    return Config(**seconds, retries=retries, tcp_keepalive=True, max_pool_connections=_CONNECTIONS)
