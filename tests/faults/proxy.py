"""An HTTP proxy before one server that makes things go wrong on demand."""

import contextlib
import http.client
import io
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

_CHUNK = 64 * 1024


@dataclass
class Fault:
    """What goes wrong with a request.

    Attributes:
        method, path: regular expressions; the path includes the query.
        times: how many requests it befalls.
        answer: status and S3 error code given instead of the server's answer.
        cut_request_at, cut_response_at: bytes of the body after which the connection is reset.
        lose_answer: the server does what it is asked, and nobody hears of it.
        delay_s: before the request goes on.
        bytes_per_s: of the answer's body.
    """

    method: str = ".*"
    path: str = ".*"
    times: int = 1
    answer: tuple[int, str] | None = None
    cut_request_at: int | None = None
    cut_response_at: int | None = None
    lose_answer: bool = False
    delay_s: float = 0
    bytes_per_s: float = 0
    befell: int = 0


@dataclass
class FaultProxy:
    """A proxy that is running.

    Attributes:
        dropped: request headers that never reach the server: conditions of one that does not know them.
        refused: request headers of a write that are answered with 501.
        seen: method and path of every request.
    """

    target: str
    endpoint: str = ""
    faults: list[Fault] = field(default_factory=list)
    dropped: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    seen: list[tuple[str, str]] = field(default_factory=list)
    mutex: threading.Lock = field(default_factory=threading.Lock)
    writing: threading.Lock = field(default_factory=threading.Lock)  # a server's conditions are atomic

    def add(self, **kwargs: object) -> Fault:
        """One more thing that goes wrong."""
        fault = Fault(**kwargs)  # type: ignore[arg-type]
        self.faults.append(fault)
        return fault

    def count(self, method: str, path: str) -> int:
        """How many requests came."""
        return sum(bool(re.fullmatch(method, m) and re.search(path, p)) for m, p in self.seen)

    def next_fault(self, method: str, path: str) -> Fault:
        with self.mutex:
            self.seen.append((method, path))
            for fault in self.faults:
                if fault.times and re.fullmatch(fault.method, method) and re.search(fault.path, path):
                    fault.times -= 1
                    fault.befell += 1
                    return fault
        return Fault()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultProxy

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError, http.client.HTTPException, TimeoutError):
            super().handle_one_request()
            return
        self.close_connection = True

    def forward(self) -> None:
        fault = self.proxy.next_fault(self.command, self.path)
        time.sleep(fault.delay_s)
        if self.headers.get("Transfer-Encoding") == "chunked":  # a checksum follows as a trailer
            content = self._unchunk()
            del self.headers["Transfer-Encoding"]
            self.headers["Content-Length"] = str(len(content))
            body: BinaryIO = io.BytesIO(content)
        else:
            body = self.rfile
        length = int(self.headers.get("Content-Length") or 0)
        if self.command != "GET" and any(name in self.headers for name in self.proxy.refused):
            fault = Fault(answer=(501, "NotImplemented"))
        if fault.answer:
            while length > 0 and (chunk := body.read(min(_CHUNK, length))):
                length -= len(chunk)
            self._refuse(*fault.answer)
            return
        small_write = self.command == "PUT" and length < _CHUNK
        with self.proxy.writing if small_write else contextlib.nullcontext():
            self._exchange(fault, body, length)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward

    def _exchange(self, fault: Fault, body: BinaryIO, length: int) -> None:
        upstream = http.client.HTTPConnection(urlsplit(self.proxy.target).netloc, timeout=60)
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in {"expect", "connection", *self.proxy.dropped}:
                upstream.putheader(name, value)
        upstream.putheader("Connection", "close")
        upstream.endheaders()
        sent = 0
        while sent < length:
            chunk = body.read(min(_CHUNK, length - sent))
            if not chunk:
                raise ConnectionResetError
            if fault.cut_request_at is not None and sent + len(chunk) > fault.cut_request_at:
                upstream.send(chunk[: fault.cut_request_at - sent])
                upstream.close()
                self._reset()
                return
            upstream.send(chunk)
            sent += len(chunk)
        answer = upstream.getresponse()
        if fault.lose_answer:
            answer.read()
            self._reset()
            return
        self._pass_on(answer, fault)
        upstream.close()

    def _pass_on(self, answer: http.client.HTTPResponse, fault: Fault) -> None:
        body_follows = self.command != "HEAD" and answer.status not in {204, 304}
        length = answer.getheader("Content-Length")
        content = b""
        if body_follows and length is None:
            content = answer.read()
            length = str(len(content))
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in {"connection", "content-length", "transfer-encoding"}:
                self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", length)
        self.end_headers()
        sent = 0
        while body_follows and (chunk := content or answer.read(_CHUNK)):
            if fault.cut_response_at is not None and sent + len(chunk) > fault.cut_response_at:
                self.wfile.write(chunk[: fault.cut_response_at - sent])
                self._reset()
                return
            if fault.bytes_per_s:
                time.sleep(len(chunk) / fault.bytes_per_s)
            self.wfile.write(chunk)
            sent += len(chunk)
            content = b""

    def _refuse(self, status: int, code: str) -> None:
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _unchunk(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _reset(self) -> None:
        """End the connection so that the client sees a reset, not an end."""
        self.wfile.flush()
        time.sleep(0.05)  # what was written arrives first
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.rfile.close()
        self.connection.close()
        raise ConnectionResetError

    def log_message(self, *_: object) -> None:
        """Nothing: a test says what it saw."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: connections break here on purpose."""


@contextlib.contextmanager
def running(target: str, certificate: Path | None = None) -> Iterator[FaultProxy]:
    """A proxy before `target` while a `with` block lasts; with a certificate (and key) it speaks TLS."""
    proxy = FaultProxy(target)
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    server = _Server(("127.0.0.1", 0), handler)
    scheme = "http"
    if certificate:
        scheme = "https"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    proxy.endpoint = f"{scheme}://localhost:{server.server_address[1]}"  # a name, so that path style shows
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
