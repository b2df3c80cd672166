"""As much of a Kubernetes cluster as KubernetesPodOperator speaks to: pods are processes of this machine."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml


class Pod:
    """A pod and its process. Its log is standard error alone; a cluster would mix standard output in."""

    def __init__(self, manifest: dict[str, Any]) -> None:
        self.manifest = manifest
        command = manifest["spec"]["containers"][0]["command"]
        self.process = subprocess.Popen(
            [sys.executable if word == "python" else word for word in command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self.deleted = self.removed = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stderr or ():
            self.lines.append(f"{datetime.now(UTC).isoformat()} {line.removesuffix(chr(10))}\n")

    @property
    def is_done(self) -> bool:
        return self.process.poll() is not None and not self._reader.is_alive()

    def follow(self) -> Iterator[str]:
        """Lines until the process has ended."""
        sent = 0
        while True:
            done = self.is_done
            yield from self.lines[sent:]
            sent = len(self.lines)
            if done:
                return
            time.sleep(0.05)

    def delete(self, grace_s: float) -> None:
        """As a cluster does it: at once an answer, then SIGTERM, and after the grace SIGKILL."""
        self.deleted = True
        self.process.terminate()
        threading.Timer(grace_s, self.kill).start()

    def kill(self) -> None:
        """With all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def described(self) -> dict[str, Any]:
        code = self.process.poll()
        state: dict[str, Any] = {"running": {}}
        phase = "Running"
        if code is not None:
            phase = "Failed" if code else "Succeeded"
            ended = {"reason": "Error" if code else "Completed", "finishedAt": datetime.now(UTC).isoformat()}
            state = {"terminated": {"exitCode": code if code >= 0 else 128 - code, **ended}}
        status = {
            "name": "base",
            "state": state,
            "ready": True,
            "restartCount": 0,
            "image": "",
            "imageID": "",
        }
        return {**self.manifest, "status": {"phase": phase, "containerStatuses": [status]}}


class Cluster:
    """The pods by name."""

    def __init__(self) -> None:
        self.pods: dict[str, Pod] = {}
        self.refuse: tuple[int, str] | None = None  # what the next pod is answered with

    def living(self) -> list[Pod]:
        """Those that were neither removed, nor deleted and have ended."""
        return [pod for pod in self.pods.values() if not (pod.removed or (pod.deleted and pod.is_done))]

    def remove(self) -> None:
        """Every pod, at once, as when their node is taken away."""
        for pod in self.pods.values():
            pod.removed = True
            pod.kill()

    def find(self, name: str) -> Pod | None:
        return next((pod for pod in self.living() if pod.manifest["metadata"]["name"] == name), None)


def _handler(cluster: Cluster) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def answer(self, document: dict[str, Any], status: int = 200) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def write_chunk(self, content: bytes) -> None:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))

        def body(self) -> dict[str, Any]:
            found: dict[str, Any] = json.loads(
                self.rfile.read(int(self.headers["Content-Length"] or 0)) or "{}"
            )
            return found

        def pod(self) -> Pod | None:
            """The pod that the path names; answers 404 where there is none."""
            found = cluster.find(urlsplit(self.path).path.split("/")[6])
            if found is None:
                self.answer({"kind": "Status", "message": "not found", "code": 404}, 404)
            return found

        def do_POST(self) -> None:
            manifest = self.body()
            if cluster.refuse:
                status, message = cluster.refuse
                self.answer({"kind": "Status", "message": message, "code": status}, status)
                return
            pod = cluster.pods[manifest["metadata"]["name"]] = Pod(manifest)
            self.answer(pod.described(), 201)

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            words = parts.path.strip("/").split("/")  # api/v1/namespaces/<namespace>/pods/<name>/log
            if words[4] == "events":
                self.answer({"kind": "EventList", "items": [], "metadata": {"resourceVersion": "1"}})
            elif len(words) == 5:
                selector = parse_qs(parts.query).get("labelSelector", [""])[0]
                found = [pod.described() for pod in cluster.living() if _selects(selector, pod.manifest)]
                self.answer({"kind": "PodList", "items": found, "metadata": {}})
            elif pod := self.pod():
                if words[-1] == "log":
                    self.send_response(200)
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    with suppress(BrokenPipeError):  # nobody reads on
                        for line in pod.follow():
                            self.write_chunk(line.encode())
                        self.write_chunk(b"")
                else:
                    self.answer(pod.described())

        def do_PATCH(self) -> None:
            labels = self.body()["metadata"]["labels"]
            if pod := self.pod():
                pod.manifest["metadata"]["labels"] |= labels
                self.answer(pod.described())

        def do_DELETE(self) -> None:
            grace = parse_qs(urlsplit(self.path).query).get("gracePeriodSeconds", ["30"])[0]
            if pod := self.pod():
                pod.delete(float(grace))
                self.answer(pod.described())

    return Handler


def _selects(selector: str, manifest: dict[str, Any]) -> bool:
    labels = manifest["metadata"]["labels"]
    for term in filter(None, selector.split(",")):
        name, unequal, value = term.partition("!=")
        if term.startswith("!"):
            good = term[1:] not in labels
        elif unequal:
            good = labels.get(name) != value
        else:
            name, _, value = term.partition("=")
            good = labels.get(name) == value
        if not good:
            return False
    return True


@contextmanager
def cluster_at(kube_config: Path) -> Iterator[Cluster]:
    """A cluster while a `with` block lasts; `kube_config` is written and leads to it."""
    cluster = Cluster()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(cluster))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    where = {"server": f"http://127.0.0.1:{server.server_address[1]}"}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tests", "cluster": where}],
        "users": [{"name": "tests", "user": {}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        "current-context": "tests",
    }
    kube_config.write_text(yaml.safe_dump(document))
    try:
        yield cluster
    finally:
        for pod in cluster.pods.values():
            pod.kill()
        server.shutdown()
        server.server_close()
        thread.join()
