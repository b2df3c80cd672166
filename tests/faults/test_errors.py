"""What is wrong with S3 is said once, with what to check, of the right kind, and without a secret."""

import logging
import os
import socket
import subprocess
import sys

import boto3
import botocore.httpsession
import pytest
from botocore.awsrequest import AWSRequest

from components.core.errors import InfrastructureError, InvalidInputError
from components.core.recipe.reading import build_recipe
from components.core.runs import check_workspace
from components.core.store import open_store
from tests.faults.conftest import SECRET
from tests.faults.proxy import running
from tests.services import free_port, serving

CONTENT = b"x"


@pytest.fixture(autouse=True)
def no_secret(caplog):
    """Whatever a test logs holds no credential."""
    caplog.set_level(logging.INFO)
    yield
    assert SECRET not in caplog.text


def fails(uri, kind, words, operations=("read", "write", "list", "head")):
    """Every operation fails in the same way, and says nothing that it must not."""
    store = open_store(uri)
    calls = {
        "read": lambda: store.read_bytes(uri),
        "write": lambda: store.write_bytes(uri, CONTENT),
        "list": lambda: store.list_files(uri),
        "head": lambda: store.exists(uri),
        "lock": lambda: store.lock(uri).__enter__(),
    }
    for name in operations:
        with pytest.raises(kind, match=words) as caught:
            calls[name]()
        assert SECRET not in str(caught.value), name
        assert uri in str(caught.value), name


def test_a_bucket_that_does_not_exist(proxy, tmp_path, large):
    words = r"the bucket does not exist; check its name and the endpoint in use \(NoSuchBucket"
    fails("s3://no-such-bucket/x", InvalidInputError, words, ("read", "write", "list", "lock"))
    for content in (large, tmp_path / "small"):
        directory = tmp_path / f"of {content.name}"
        directory.mkdir()
        content.touch()
        content.rename(directory / content.name)
        with pytest.raises(InvalidInputError, match=words):
            open_store("s3://no-such-bucket").upload(directory, "s3://no-such-bucket/x")


@pytest.mark.parametrize("uri", ["s3://", "s3:///key", "s3://a b/key", "s3://bucket/"])
def test_a_uri_that_names_nothing(proxy, uri):
    with pytest.raises(InvalidInputError, match="need s3://bucket/key"):
        open_store("s3://").read_bytes(uri)


def test_no_credentials(proxy, bucket, monkeypatch):
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    fails(f"{bucket}/x", InvalidInputError, "AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    fails(f"{bucket}/x", InvalidInputError, "no AWS credentials found; set them up as for the AWS command")


def test_a_credential_helper_that_fails_is_not_quoted(proxy, bucket, monkeypatch, tmp_path):
    config = tmp_path / "config"
    config.write_text(f"[profile p]\ncredential_process = sh -c 'echo {SECRET} >&2; exit 1'\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "p")
    fails(f"{bucket}/x", InfrastructureError, "the profile's credential_process")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server that checks signatures and rights: its endpoint, and the keys of one who may and one who may
    not."""
    endpoint = f"http://127.0.0.1:{(port := free_port())}"
    log = tmp_path_factory.mktemp("guarded") / "server.log"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with serving(command, endpoint, log):
        settings = {
            "endpoint_url": endpoint,
            "region_name": "us-east-1",
            "aws_access_key_id": "a",
            "aws_secret_access_key": "b",
        }
        boto3.Session().client("s3", **settings).create_bucket(Bucket="guarded")
        iam, keys = boto3.Session().client("iam", **settings), {}
        for name in ("may", "may-not"):
            iam.create_user(UserName=name)
            keys[name] = iam.create_access_key(UserName=name)["AccessKey"]
        everything = (
            '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'
        )
        iam.put_user_policy(UserName="may", PolicyName="all", PolicyDocument=everything)
        botocore.httpsession.URLLib3Session().send(
            AWSRequest("POST", f"{endpoint}/moto-api/reset-auth", data=b"0").prepare()
        )  # from now on it checks
        yield endpoint, keys


@pytest.fixture
def as_user(guarded, proxy, monkeypatch):
    """Become a user of the guarded server."""
    endpoint, keys = guarded
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)

    def become(name):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys[name]["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys[name]["SecretAccessKey"])

    return become


def test_credentials_that_are_right(as_user):
    as_user("may")
    open_store("s3://").write_bytes("s3://guarded/x", CONTENT)
    assert open_store("s3://").read_bytes("s3://guarded/x") == CONTENT


def test_an_unknown_access_key(as_user, monkeypatch):
    as_user("may")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    words = r"the access key is not known there; check AWS_ACCESS_KEY_ID .*\(InvalidAccessKeyId"
    fails("s3://guarded/x", InvalidInputError, words, ("read", "write", "list", "lock"))


def test_a_wrong_secret_key(as_user, monkeypatch):
    as_user("may")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    words = r"check AWS_SECRET_ACCESS_KEY .*\(SignatureDoesNotMatch, the S3 server at http://127"
    fails("s3://guarded/x", InvalidInputError, words, ("read", "write", "list", "lock"))


def test_rights_that_are_missing(as_user):
    as_user("may-not")
    words = r"access denied; the credentials in use need s3:ListBucket .*\((AccessDenied|403)"
    fails("s3://guarded/x", InvalidInputError, words)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ((400, "ExpiredToken"), InvalidInputError, "the session token is expired"),
        ((400, "InvalidToken"), InvalidInputError, "check AWS_SESSION_TOKEN"),
        ((403, "RequestTimeTooSkewed"), InvalidInputError, "clock"),
        ((400, "AuthorizationHeaderMalformed"), InvalidInputError, "another region; set AWS_DEFAULT_REGION"),
        ((501, "NotImplemented"), InvalidInputError, "AWS_REQUEST_CHECKSUM_CALCULATION=when_required"),
        ((403, "InvalidObjectState"), InvalidInputError, "archived; restore it"),
        ((405, "MethodNotAllowed"), InvalidInputError, "refuses the request"),
        ((507, "InsufficientStorage"), InfrastructureError, "no space left"),
        ((500, "InternalError"), InfrastructureError, "answered InternalError; try again later"),
        ((503, "SlowDown"), InfrastructureError, "answered SlowDown; try again later"),
        ((400, "RequestTimeout"), InfrastructureError, "answered RequestTimeout; try again later"),
        ((400, "BadDigest"), InfrastructureError, "answered BadDigest; try again later"),
    ],
)
def test_what_a_server_answers(proxy, bucket, monkeypatch, answer, kind, words):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    proxy.add(answer=answer, times=99)
    fails(f"{bucket}/x", kind, words, ("read", "write"))


def test_a_server_that_only_redirects(proxy, bucket):
    proxy.add(answer=(301, "PermanentRedirect"), times=9999)
    words = "only redirects; check AWS_ENDPOINT_URL_S3"
    fails(f"{bucket}/x", InvalidInputError, words, ("read", "write", "head"))


def test_a_server_that_is_not_there(proxy, bucket, monkeypatch):
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://user:{SECRET}@127.0.0.1:{taken.getsockname()[1]}")
        words = r"the S3 server at 127.0.0.1:\d+ cannot be reached; check that it runs, AWS_ENDPOINT_URL_S3"
        fails(f"{bucket}/x", InfrastructureError, words, ("read", "write"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://no-such-host.invalid")
    fails(f"{bucket}/x", InfrastructureError, "cannot be reached", ("read",))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("AWS_ENDPOINT_URL_S3", "minio:9000", r"Invalid endpoint: minio:9000; .*http://host:9000"),
        ("AWS_DEFAULT_REGION", "not a region", "not a region"),
        ("AWS_PROFILE", "nobody", r"profile \(nobody\) could not be found"),
        ("AWS_MAX_ATTEMPTS", "many", "AWS_MAX_ATTEMPTS"),
        ("AWS_REQUEST_CHECKSUM_CALCULATION", "never", "request_checksum_calculation"),
        ("AWS_CA_BUNDLE", "/nonexistent.pem", "AWS_CA_BUNDLE: there is no file /nonexistent.pem"),
    ],
)
def test_settings_that_cannot_be_used(proxy, bucket, monkeypatch, name, value, words):
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidInputError, match=words):
        open_store(bucket).read_bytes(f"{bucket}/x")


def test_tls_with_an_authority_of_ones_own(server, proxy, bucket, monkeypatch, tmp_path):
    certificate = tmp_path / "server.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    request += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(certificate), "-out", "-"]
    made = subprocess.run(request, capture_output=True, text=True, check=True)
    certificate.write_text(certificate.read_text() + made.stdout)
    with running(server, certificate) as secure:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", secure.endpoint)
        words = r"the certificate of .* is not trusted; name its authority's file in AWS_CA_BUNDLE"
        fails(f"{bucket}/x", InvalidInputError, words, ("read",))
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        open_store(bucket).write_bytes(f"{bucket}/x", CONTENT)  # its checksum is a trailer here
        assert open_store(bucket).read_bytes(f"{bucket}/x") == CONTENT


@pytest.mark.parametrize("named_by", ["AWS_ENDPOINT_URL", "profile", "profile of s3"])
def test_the_endpoint_may_come_from_elsewhere_in_the_standard_chain(
    proxy, bucket, monkeypatch, tmp_path, named_by
):
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    if named_by == "AWS_ENDPOINT_URL":
        monkeypatch.setenv(named_by, proxy.endpoint)
    else:
        config = tmp_path / "config"
        of_s3 = f"services = mine\n[services mine]\ns3 =\n  endpoint_url = {proxy.endpoint}\n"
        config.write_text(
            "[profile p]\n" + (f"endpoint_url = {proxy.endpoint}\n" if named_by == "profile" else of_s3)
        )
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
        monkeypatch.setenv("AWS_PROFILE", "p")
    open_store(bucket).write_bytes(f"{bucket}/x", CONTENT)
    assert proxy.seen == [("PUT", f"/{bucket[5:]}/x")]


def test_older_servers_get_no_newer_checksums(proxy, bucket, plain, monkeypatch):
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    open_store(bucket).write_bytes(f"{bucket}/x", CONTENT)
    head = plain.head_object(Bucket=bucket[5:], Key="x", ChecksumMode="ENABLED")
    assert "ChecksumCRC32" not in head


def test_a_workspace_is_tried_before_any_work(proxy, bucket, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://nobody")
    document = {"name": "toy", "workspace": f"{bucket}/ws", "source": {"kind": "synthetic"}}
    check_workspace(build_recipe(document, place="toy"))
    nowhere = build_recipe({**document, "workspace": "s3://no-such-bucket/ws"}, place="toy")
    with pytest.raises(InvalidInputError, match=r"workspace s3://no-such-bucket/ws: .* does not exist"):
        check_workspace(nowhere)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "AWS_PROFILE" not in os.environ
    with pytest.raises(InvalidInputError, match=r"workspace s3://.*: no AWS credentials found"):
        check_workspace(build_recipe(document, place="toy"))
