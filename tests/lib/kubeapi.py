# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the Kubernetes API server: TLS, a token, and the few verbs that kubefence uses.

    with Api(token="secret") as api:
        api.nodes["n1"] = api.node("n1", handlers=["runc"])
        api.account(directory)      # writes ca.crt and token as a pod finds them
        api.environment             # KUBERNETES_SERVICE_HOST and _PORT
        api.requests                # [(method, path, body)], in the order of arrival
        api.stop(); api.start()     # away, and back on the same port

Merge and strategic merge patches do what the real one's do with the fields that
matter here; everything else about it is the business of the tests on a real Kubernetes.
"""
import copy
import http.server
import json
import os
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit


def certificates(directory: Path) -> None:
    """ca.crt, and server.{crt,key} for 127.0.0.1 and localhost."""
    script = """
    openssl ecparam -name prime256v1 -genkey -noout -out ca.key
    openssl req -x509 -new -key ca.key -subj /CN=kf-ca -days 30 -out ca.crt \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
    openssl ecparam -name prime256v1 -genkey -noout -out server.key
    openssl req -new -key server.key -subj /CN=kf-api -out server.csr
    printf 'subjectAltName=IP:127.0.0.1,DNS:localhost' >ext
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -set_serial 1 -days 30 -out server.crt -extfile ext
    """
    subprocess.run(["sh", "-ec", script], cwd=directory, check=True, capture_output=True)


def merge(target, patch):
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    out = dict(target) if isinstance(target, dict) else {}
    for k, v in patch.items():
        if v is None:
            out.pop(k, None)
        else:
            out[k] = merge(out.get(k), v)
    return out


def merge_conditions(node: dict, patch: dict) -> None:
    """What a strategic merge does with the one list whose key is "type"."""
    conditions = node["status"].setdefault("conditions", [])
    for c in patch["status"]["conditions"]:
        conditions[:] = [x for x in conditions if x["type"] != c["type"]] + ([] if c.get("$patch") == "delete" else [c])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10

    def log_message(self, *_):
        pass

    def answer(self, code: int, what: dict) -> None:
        data = json.dumps(what).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        if self.server.api.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for i in range(0, len(data), 1000):
                part = data[i : i + 1000]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def status(self, code: int, message: str) -> None:
        self.answer(code, {"kind": "Status", "status": "Failure", "code": code, "message": message})

    def handle_any(self) -> None:
        api: Api = self.server.api
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        url = urlsplit(self.path)
        with api.lock:
            if self.headers.get("Authorization") != f"Bearer {api.token}":
                return self.status(401, "Unauthorized")
            if api.deaf and url.path == f"/api/v1/nodes/{api.deaf}" and self.command == "GET":
                return self.status(500, "the test says no")
            api.requests.append((self.command, self.path, body))
            if api.on_request:
                api.on_request(self.command, self.path, body)
            parts = url.path.strip("/").split("/")
            if parts[:3] == ["apis", "node.k8s.io", "v1"]:
                return self.runtime_class(api, parts[-1], body)
            if parts == ["api", "v1", "nodes"]:
                return self.list(api, parse_qs(url.query))
            if parts[:3] != ["api", "v1", "nodes"] or parts[3] not in api.nodes:
                return self.status(404, f'nodes "{parts[-1]}" not found')
            node = api.nodes[parts[3]]
            if self.command == "PATCH" and (code := self.patch(api, parts, json.loads(body))):
                return self.status(code, "the object has been modified")
            return self.answer(200, api.nodes[parts[3]] if self.command == "PATCH" else node)

    do_GET = do_PATCH = do_DELETE = handle_any

    def runtime_class(self, api: "Api", name: str, body: str) -> None:
        if self.command == "PATCH":  # an apply
            api.classes[name] = json.loads(body)
        elif name not in api.classes:
            return self.status(404, f'runtimeclasses.node.k8s.io "{name}" not found')
        there = api.classes[name]
        if self.command == "DELETE":
            del api.classes[name]
        return self.answer(200, there)

    def patch(self, api: "Api", parts: list[str], patch: dict) -> int:
        node = copy.deepcopy(api.nodes[parts[3]])
        meta = patch.get("metadata", {})
        if api.conflicts and "resourceVersion" in meta:
            api.conflicts -= 1
            return 409
        if meta.pop("resourceVersion", node["metadata"]["resourceVersion"]) != node["metadata"]["resourceVersion"]:
            return 409
        if parts[4:] == ["status"]:
            merge_conditions(node, patch)
        else:
            node = merge(node, patch)
        node["metadata"]["resourceVersion"] = str(int(node["metadata"]["resourceVersion"]) + 1)
        api.nodes[parts[3]] = node
        return 0

    def list(self, api: "Api", query: dict) -> None:
        wanted = query.get("labelSelector", [""])[0]
        names = sorted(n for n, x in api.nodes.items() if not wanted or wanted in x["metadata"]["labels"])
        start, limit = int(query.get("continue", ["0"])[0]), min(int(query.get("limit", ["500"])[0]), api.page)
        page = names[start : start + limit]
        more = {"continue": str(start + limit)} if start + limit < len(names) else {}
        # As the real one: an empty list of metadata is null.
        self.answer(200, {"kind": "PartialObjectMetadataList", "metadata": more, "items": [api.nodes[n] for n in page] or None})


class Api:
    def __init__(self, token: str = "secret"):
        self.token = token
        self.nodes: dict[str, dict] = {}
        self.classes: dict[str, dict] = {}
        self.requests: list[tuple[str, str, str]] = []
        self.on_request = None
        self.conflicts = 0  # so many patches with a version are answered with 409
        self.chunked = False
        self.deaf = ""  # the node that cannot be read: its agent's first request
        self.page = 500
        self.lock = threading.RLock()
        self.port = 0
        self.server = None

    def __enter__(self) -> "Api":
        self._tmp = tempfile.TemporaryDirectory(prefix="kf-api-")
        self.dir = Path(self._tmp.name)
        certificates(self.dir)
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop()
        self._tmp.cleanup()

    def start(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.dir / "server.crt", self.dir / "server.key")
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler, bind_and_activate=False)
        self.server.allow_reuse_address = True
        self.server.daemon_threads = True
        self.server.api = self
        self.server.server_bind()
        self.server.server_activate()
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    @property
    def environment(self) -> dict[str, str]:
        return {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.port)}

    def account(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "ca.crt").write_bytes((self.dir / "ca.crt").read_bytes())
        fresh = directory / ".token"
        fresh.write_text(self.token)
        os.rename(fresh, directory / "token")

    @staticmethod
    def runtime_class(name: str) -> dict:
        return {
            "kind": "RuntimeClass",
            "apiVersion": "node.k8s.io/v1",
            "metadata": {"name": name, "uid": "u", "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:00:00Z",
                         "labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": {"meta.helm.sh/release-name": "kf"},
                         "managedFields": [{"manager": "helm", "operation": "Apply"}]},
            "handler": name,
            "scheduling": {"nodeSelector": {"pool": "a"}},
        }

    @staticmethod
    def node(name: str, handlers=(), taints=()) -> dict:
        return {
            "kind": "Node",
            "apiVersion": "v1",
            "metadata": {"name": name, "resourceVersion": "1", "labels": {"kubernetes.io/os": "linux"}, "annotations": {}},
            "spec": {"taints": [*taints]} if taints else {},
            "status": {
                "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": ""}],
                **({"runtimeHandlers": [{"name": h} for h in handlers]} if handlers else {}),
            },
        }
