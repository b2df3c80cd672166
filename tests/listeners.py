"""A webhook and a mail server that keep what they get."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def serve(server: socketserver.TCPServer) -> Iterator[None]:
    """A server answers until the block ends."""
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Webhook(ThreadingHTTPServer):
    """Keeps the texts of messages in Slack's format."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.texts: list[str] = []
        self.paths: list[str] = []
        self.status = 200

    @property
    def connection(self) -> str:
        """For Airflow, as the value of a variable AIRFLOW_CONN_…"""
        host = f"http://127.0.0.1:{self.server_port}"
        return json.dumps({"conn_type": "slackwebhook", "host": host, "password": "T0/B0/X0"})


class _Hook(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.texts.append(json.loads(body)["text"])
        self.server.paths.append(self.path)
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


class MailServer(socketserver.ThreadingTCPServer):
    """Keeps mails; as much SMTP as a client without login needs."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Mail)
        self.mails: list[Message] = []

    @property
    def connection(self) -> str:
        """For Airflow, as the value of a variable AIRFLOW_CONN_…"""
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "recloop@shop.example"}
        where = {"host": "127.0.0.1", "port": self.server_address[1]}
        return json.dumps({"conn_type": "smtp", **where, "extra": extra})


class _Mail(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self._say("220 here")
        while line := self.rfile.readline():
            match line.split(maxsplit=1)[0].upper():
                case b"DATA":
                    self._say("354 go on")
                    lines = iter(self.rfile.readline, b".\r\n")
                    self.server.mails.append(message_from_bytes(b"".join(lines), policy=default))
                    self._say("250 kept")
                case b"QUIT":
                    self._say("221 bye")
                    return
                case _:
                    self._say("250 ok")

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")
