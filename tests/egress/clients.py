# SPDX-License-Identifier: Apache-2.0
"""Real clients through the broker: what finds the proxy by its environment, and what is told a route's URL."""
import functools
import http.server
import json
import os
import shutil
import ssl
import subprocess
import threading
from pathlib import Path

from harness import KEY, PASSWORD, Broker, Place
from lib.tap import Tap


def environment(b: Broker, place: Place, **more: str) -> dict[str, str]:
    home = b.dir / "home"
    home.mkdir(exist_ok=True)
    ca = str(place.dir / "ca.pem")
    return {"PATH": os.environ["PATH"], "HOME": str(home), "HTTPS_PROXY": b.url, "https_proxy": b.url, "HTTP_PROXY": b.url, "http_proxy": b.url,
            "NO_PROXY": "localhost,127.0.0.1,::1", "NODE_USE_ENV_PROXY": "1", "SSL_CERT_FILE": ca, "NODE_EXTRA_CA_CERTS": ca, "GIT_SSL_CAINFO": ca,
            "CURL_CA_BUNDLE": ca, "REQUESTS_CA_BUNDLE": ca, "PIP_CERT": ca, "npm_config_cafile": ca, "GIT_TERMINAL_PROMPT": "0", **more}


def run(t: Tap, b: Broker, place: Place, what: str, *words, want: str = "", cwd=None, **more: str) -> subprocess.CompletedProcess:
    p = subprocess.run(list(map(str, words)), capture_output=True, text=True, env=environment(b, place, **more), cwd=cwd, timeout=300)
    t.ok(p.returncode == 0 and want in p.stdout, what, p)
    return p


class TlsServer(http.server.ThreadingHTTPServer):
    """An HTTPS server with a handler of its own."""

    def __init__(self, place: Place, handler) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(place.dir / "server.pem")
        self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def languages(t: Tap, place: Place) -> None:
    """Clients of languages, each to an allowed host by its own TLS, and refused for another one."""
    url, other = f"https://ok.test:{place.tls.port}/x", f"https://nowhere.test:{place.tls.port}/x"
    python = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())"
    requests = "import sys, requests; print(requests.get(sys.argv[1]).text)"
    java = """import java.net.*; import java.net.http.*;
        public class Get { public static void main(String[] a) throws Exception {
        System.out.println(HttpClient.newBuilder().proxy(ProxySelector.of(new InetSocketAddress("127.0.0.1", Integer.parseInt(a[1])))).build()
        .send(HttpRequest.newBuilder(URI.create(a[0])).build(), HttpResponse.BodyHandlers.ofString()).body()); } }"""
    go = 'package main\nimport ("fmt"; "io"; "net/http"; "os")\nfunc main() { r, e := http.Get(os.Args[1]); if e != nil { fmt.Println(e); os.Exit(1) }\n' \
         "b, _ := io.ReadAll(r.Body); fmt.Println(string(b)) }\n"
    with Broker(place) as b:
        (b.dir / "Get.java").write_text(java)
        (b.dir / "get.go").write_text(go)
        (b.dir / "trust").unlink(missing_ok=True)
        programs = {"curl": ["curl", "-sSf"], "Python's urllib": ["python3", "-c", python]}
        if subprocess.run(["python3", "-c", "import requests"], capture_output=True).returncode == 0:
            programs["Python's requests"] = ["python3", "-c", requests]
        if shutil.which("go"):
            subprocess.run(["go", "build", "-o", b.dir / "get", b.dir / "get.go"], check=True, env={**os.environ, "GOFLAGS": "", "GO111MODULE": "off"})
            programs["Go's net/http"] = [b.dir / "get"]
        if shutil.which("keytool"):
            subprocess.run(["keytool", "-importcert", "-noprompt", "-keystore", b.dir / "trust", "-storepass", "changeit", "-file", place.dir / "ca.pem"],
                           check=True, capture_output=True)
            programs["Java's HttpClient"] = ["java", f"-Djavax.net.ssl.trustStore={b.dir}/trust", "-Djavax.net.ssl.trustStorePassword=changeit", b.dir / "Get.java"]
        version = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout if shutil.which("node") else ""
        if version and tuple(map(int, version[1:].split(".")[:2])) >= (22, 21):
            programs["Node's fetch"] = ["node", "-e", "fetch(process.argv[1]).then(r => r.text()).then(console.log)"]
        for name, words in programs.items():
            end = [b.port] if "Java" in name else []
            run(t, b, place, f"{name} reaches an allowed host", *words, url, *end, want='"head"')
            t.equal(b.record()["verdict"], "allowed", "... by the broker")
            p = subprocess.run([*map(str, words), other, *map(str, end)], capture_output=True, text=True, env=environment(b, place))
            t.ok(p.returncode != 0, f"{name} does not reach another one", p)
            t.equal(b.record()["reason"], "host", "... and there is a record of it")
        p = subprocess.run(["openssl", "s_client", "-proxy", f"127.0.0.1:{b.port}", "-connect", f"ok.test:{place.tls.port}", "-servername", "ok.test", "-CAfile",
                            place.dir / "ca.pem", "-verify_return_error"], input="", capture_output=True, text=True)
        t.ok("Verification: OK" in p.stdout, "openssl s_client, which speaks HTTP/1.0 to proxies, reaches an allowed host", p)


def git(t: Tap, place: Place) -> None:
    """Clone and push over a route that has the password, and clone through a tunnel."""
    project = place.dir / "git"
    project.mkdir(exist_ok=True)
    env = {"PATH": os.environ["PATH"], "HOME": str(place.dir), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "init", "-q", "--bare", project / "repo.git"], check=True, env=env)
    subprocess.run(["git", "-C", project / "repo.git", "config", "http.receivepack", "true"], check=True, env=env)
    asked: list[tuple[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            asked.append((self.path, self.headers.get("Authorization", "")))
            body = b""
            if self.headers.get("Transfer-Encoding") == "chunked":
                while n := int(self.rfile.readline(), 16):
                    body += self.rfile.read(n)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            cgi = {"GIT_PROJECT_ROOT": str(project), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
                   "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)), "REMOTE_USER": "x", **env}
            if encoding := self.headers.get("Content-Encoding"):
                cgi["HTTP_CONTENT_ENCODING"] = encoding
            out = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=cgi).stdout
            head, _, answer = out.partition(b"\r\n\r\n")
            fields = dict(x.split(": ", 1) for x in head.decode().split("\r\n"))
            self.send_response(int(fields.pop("Status", "200 OK").split()[0]))
            for k, v in fields.items():
                self.send_header(k, v)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET

        def log_message(self, *_) -> None:
            pass

    server = TlsServer(place, Handler)
    port = server.server_address[1]
    rules = place.rules(f"host git.test {port}", f"route /forge https://git.test:{port}", "credential 0 password Authorization basic x-token")
    with Broker(place, rules) as b:
        work = b.dir / "work"
        identity = ("-c", "user.name=x", "-c", "user.email=x@example.com")
        run(t, b, place, "git clones over a route", "git", "clone", "-q", f"{b.url}/forge/repo.git", work)
        t.ok(asked and all(a.startswith("Basic ") for _, a in asked), "... which adds the password", asked)
        (work / "big").write_bytes(os.urandom(3 << 20))
        run(t, b, place, "... commits", "git", *identity, "commit", "-q", "--allow-empty", "-m", "x", cwd=work)
        run(t, b, place, "... adds three megabytes", "git", "add", "big", cwd=work)
        run(t, b, place, "... commits them", "git", *identity, "commit", "-q", "-m", "y", cwd=work)
        run(t, b, place, "... and pushes", "git", "push", "-q", "origin", "HEAD:main", cwd=work)
        t.ok(PASSWORD not in "".join(p.read_text(errors="replace") for p in (work / ".git").glob("*") if p.is_file()), "... and keeps no password")
        asked.clear()
        run(t, b, place, "git clones through a tunnel", "git", "clone", "-q", "-b", "main", f"https://git.test:{port}/repo.git", b.dir / "again")
        t.ok((b.dir / "again" / "big").stat().st_size == 3 << 20 and not any(a for _, a in asked), "... all of it, without the password", asked)
        run(t, b, place, "git follows url.insteadOf to a route", "git", "-c", f"url.{b.url}/forge/.insteadOf=https://git.test/", "ls-remote", "https://git.test/repo.git",
            want="refs/heads/main")
    server.shutdown()


def packages(t: Tap, place: Place) -> None:
    """pip and npm: an index through a tunnel, and over a route that has the token."""
    root = place.dir / "index"
    wheel = root / "thing" / "thing-1.0-py3-none-any.whl"
    wheel.parent.mkdir(parents=True, exist_ok=True)
    import zipfile
    with zipfile.ZipFile(wheel, "w") as z:
        z.writestr("thing.py", "x = 1\n")
        z.writestr("thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
        z.writestr("thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr("thing-1.0.dist-info/RECORD", "")
    (wheel.parent / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
    tokens: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            tokens.append(self.headers.get("Authorization", ""))
            super().do_GET()

        def log_message(self, *_) -> None:
            pass

    server = TlsServer(place, functools.partial(Handler, directory=str(root)))
    port = server.server_address[1]
    rules = place.rules(f"host packages.test {port}", f"route /index https://packages.test:{port}", "credential 0 key authorization bearer")
    with Broker(place, rules) as b:
        pip = ["python3", "-m", "pip", "--isolated", "--disable-pip-version-check", "download", "--no-deps", "--no-cache-dir", "-q"]
        if subprocess.run(["python3", "-m", "pip", "--version"], capture_output=True).returncode == 0:
            run(t, b, place, "pip downloads through a tunnel", *pip, "--proxy", b.url, "--cert", place.dir / "ca.pem", "--index-url", f"https://packages.test:{port}", "-d", b.dir / "one", "thing")
            t.equal(set(tokens), {""}, "... without a token")
            tokens.clear()
            run(t, b, place, "pip downloads over a route", *pip, "--index-url", f"{b.url}/index", "-d", b.dir / "two", "thing")
            t.ok(set(tokens) == {f"Bearer {KEY}"} and (b.dir / "two" / wheel.name).exists(), "... which adds the token", tokens)
        if shutil.which("npm"):
            import hashlib
            import io
            import tarfile
            package = io.BytesIO()
            with tarfile.open(fileobj=package, mode="w:gz") as tar:
                data = json.dumps({"name": "thing", "version": "1.0.0"}).encode()
                info = tarfile.TarInfo("package/package.json")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
            (root / "thing-1.0.0.tgz").write_bytes(package.getvalue())
            for how, registry in (("a tunnel", f"https://packages.test:{port}/npm"), ("a route", f"{b.url}/index/npm")):
                (root / "npm").mkdir(exist_ok=True)
                version = {"name": "thing", "version": "1.0.0", "dist": {"tarball": registry.removesuffix("/npm") + "/thing-1.0.0.tgz",
                           "shasum": hashlib.sha1(package.getvalue()).hexdigest()}}
                (root / "npm" / "thing").write_text(json.dumps({"name": "thing", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}))
                where = b.dir / f"npm-{how[-5:]}"
                where.mkdir()
                (where / "package.json").write_text('{"name": "x", "version": "1.0.0"}')
                tokens.clear()
                run(t, b, place, f"npm installs through {how}" if how == "a tunnel" else f"npm installs over {how}", "npm", "install", "--no-audit", "--no-fund",
                    "--registry", registry, "thing", cwd=where)
                t.equal(set(tokens), {"" if how == "a tunnel" else f"Bearer {KEY}"}, "... with the token of the route only")
    server.shutdown()


QUICK = ()
ALL = (languages, git, packages)
