# SPDX-License-Identifier: Apache-2.0
"""Real clients through the broker: what finds the proxy by its environment, and what is told a route's URL."""
import functools
import hashlib
import http.server
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from forge import TlsServer, git_handler
from harness import HERE, KEY, PASSWORD, Broker, Place, wait_until

sys.path.append(str(HERE.parent / "agents"))
import packages as agents_packages  # noqa: E402
from lib.tap import Tap  # noqa: E402


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
    server = TlsServer(place.dir / "server.pem", git_handler(project, env, asked))
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


def index(place: Place, root: Path) -> tuple[TlsServer, int, list[str], str]:
    """A server of the files below @root: it, its port, the tokens that it is sent, and rules with a route to it."""
    tokens: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            tokens.append(self.headers.get("Authorization", ""))
            super().do_GET()

        def log_message(self, *_) -> None:
            pass

    server = TlsServer(place.dir / "server.pem", functools.partial(Handler, directory=str(root)))
    port = server.server_address[1]
    return server, port, tokens, place.rules(f"host packages.test {port}", f"route /index https://packages.test:{port}", "credential 0 key authorization bearer")


def archive(files: dict[str, str]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return data.getvalue()


def wheel(root: Path) -> str:
    """The wheel "thing" in an index at @root; its file's name."""
    (root / "thing").mkdir(parents=True, exist_ok=True)
    name = "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(root / "thing" / name, "w") as z:
        z.writestr("thing.py", "x = 1\n")
        z.writestr("thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
        z.writestr("thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr("thing-1.0.dist-info/RECORD", "thing.py,,\nthing-1.0.dist-info/METADATA,,\nthing-1.0.dist-info/WHEEL,,\nthing-1.0.dist-info/RECORD,,\n")
    (root / "thing/index.html").write_text(f'<a href="{name}">{name}</a>')
    return name


def packages(t: Tap, place: Place) -> None:
    """pip and npm: an index through a tunnel, and over a route that has the token."""
    root = place.dir / "index"
    name = wheel(root)
    server, port, tokens, rules = index(place, root)
    with Broker(place, rules) as b:
        pip = ["python3", "-m", "pip", "--isolated", "--disable-pip-version-check", "download", "--no-deps", "--no-cache-dir", "-q"]
        if subprocess.run(["python3", "-m", "pip", "--version"], capture_output=True).returncode == 0:
            run(t, b, place, "pip downloads through a tunnel", *pip, "--proxy", b.url, "--cert", place.dir / "ca.pem", "--index-url", f"https://packages.test:{port}", "-d", b.dir / "one", "thing")
            t.equal(set(tokens), {""}, "... without a token")
            tokens.clear()
            run(t, b, place, "pip downloads over a route", *pip, "--index-url", f"{b.url}/index", "-d", b.dir / "two", "thing")
            t.ok(set(tokens) == {f"Bearer {KEY}"} and (b.dir / "two" / name).exists(), "... which adds the token", tokens)
        if shutil.which("npm"):
            package = archive({"package/package.json": json.dumps({"name": "thing", "version": "1.0.0"})})
            (root / "thing-1.0.0.tgz").write_bytes(package)
            for how, registry in (("a tunnel", f"https://packages.test:{port}/npm"), ("a route", f"{b.url}/index/npm")):
                (root / "npm").mkdir(exist_ok=True)
                version = {"name": "thing", "version": "1.0.0", "dist": {"tarball": registry.removesuffix("/npm") + "/thing-1.0.0.tgz",
                           "shasum": hashlib.sha1(package).hexdigest()}}
                (root / "npm" / "thing").write_text(json.dumps({"name": "thing", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}))
                where = b.dir / f"npm-{how[-5:]}"
                where.mkdir()
                (where / "package.json").write_text('{"name": "x", "version": "1.0.0"}')
                tokens.clear()
                run(t, b, place, f"npm installs through {how}" if how == "a tunnel" else f"npm installs over {how}", "npm", "install", "--no-audit", "--no-fund",
                    "--registry", registry, "thing", cwd=where)
                t.equal(set(tokens), {"" if how == "a tunnel" else f"Bearer {KEY}"}, "... with the token of the route only")
    server.shutdown()


def uv(b: Broker, url: str, where: Path) -> list[tuple[list, dict]]:
    program = agents_packages.once("uv-0.13.9", lambda d: agents_packages.pip(d, f"{d}/site", "uv", "0.13.9")) + "/site/bin/uv"
    return [([program, "pip", "install", "-q", "--no-cache", "--no-config", "--python", "/usr/bin/python3", "--target", where / "site", "--default-index", url, "thing"], {})]


def cargo(b: Broker, url: str, where: Path) -> list[tuple[list, dict]]:
    crate = archive({"thing-1.0.0/Cargo.toml": '[package]\nname = "thing"\nversion = "1.0.0"\nedition = "2021"\n', "thing-1.0.0/src/lib.rs": ""})
    root = where.parent / "root"
    (root / "th/in").mkdir(parents=True, exist_ok=True)
    (root / "thing-1.0.0.crate").write_bytes(crate)
    (root / "config.json").write_text(json.dumps({"dl": url + "/{crate}-{version}.crate"}))
    (root / "th/in/thing").write_text(json.dumps({"name": "thing", "vers": "1.0.0", "deps": [], "features": {}, "yanked": False, "cksum": hashlib.sha256(crate).hexdigest()}) + "\n")
    (where / "src").mkdir()
    (where / "src/lib.rs").write_text("")
    (where / "Cargo.toml").write_text('[package]\nname = "x"\nversion = "1.0.0"\nedition = "2021"\n[dependencies]\nthing = { version = "1", registry = "test" }\n')
    more = {"CARGO_HOME": str(where / "home"), "CARGO_REGISTRIES_TEST_INDEX": f"sparse+{url}/", "CARGO_HTTP_CAINFO": environment(b, b.place)["SSL_CERT_FILE"]}
    if (home := Path.home() / ".rustup").is_dir():
        more["RUSTUP_HOME"] = str(home)
    return [(["cargo", "fetch", "-q"], more)]


def maven(b: Broker, url: str, where: Path) -> list[tuple[list, dict]]:
    root = where.parent / "root/test/parent/1.0"
    root.mkdir(parents=True, exist_ok=True)
    head = '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
    (root / "parent-1.0.pom").write_text(f"{head}<groupId>test</groupId><artifactId>parent</artifactId><version>1.0</version><packaging>pom</packaging></project>")
    (where / "pom.xml").write_text(f"{head}<parent><groupId>test</groupId><artifactId>parent</artifactId><version>1.0</version><relativePath/></parent><artifactId>x</artifactId>"
                                   f"<packaging>pom</packaging><repositories><repository><id>test</id><url>{url}</url></repository></repositories></project>")
    # It reads no variable, but its own settings.
    (where / "settings.xml").write_text(f"<settings><localRepository>{where}/m2</localRepository><proxies><proxy><id>x</id><active>true</active><protocol>https</protocol>"
                                        f"<host>127.0.0.1</host><port>{b.port}</port></proxy></proxies></settings>")
    trust = where / "trust"
    subprocess.run(["keytool", "-importcert", "-noprompt", "-keystore", trust, "-storepass", "changeit", "-file", b.place.dir / "ca.pem"], check=True, capture_output=True)
    return [(["mvn", "-q", "-B", "-s", where / "settings.xml", "validate"],
             {"MAVEN_OPTS": f"-Djavax.net.ssl.trustStore={trust} -Djavax.net.ssl.trustStorePassword=changeit"})]


def apt(b: Broker, url: str, where: Path) -> list[tuple[list, dict]]:
    root = where.parent / "root"
    (where / "thing/DEBIAN").mkdir(parents=True)
    control = "Package: thing\nVersion: 1.0\nArchitecture: all\nMaintainer: x <x@example.com>\nDescription: x\n"
    (where / "thing/DEBIAN/control").write_text(control)
    root.mkdir(exist_ok=True)
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", where / "thing", root / "thing.deb"], check=True, capture_output=True)
    data = (root / "thing.deb").read_bytes()
    (root / "Packages").write_text(f"{control}Filename: ./thing.deb\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n\n")
    (where / "sources.list").write_text(f"deb [trusted=yes] {url} ./\n")
    for d in ("state/lists/partial", "cache/archives/partial"):
        (where / d).mkdir(parents=True)
    (where / "status").write_text("")
    options = [x for o in (f"Dir::State={where}/state", f"Dir::State::status={where}/status", f"Dir::Cache={where}/cache", f"Dir::Etc::sourcelist={where}/sources.list",
                           "Dir::Etc::sourceparts=/dev/null", "Dir::Etc::parts=/dev/null", "APT::Sandbox::User=root", "APT::Get::List-Cleanup=0",
                           f"Acquire::https::CaInfo={b.place.dir}/ca.pem", "Acquire::Languages=none") for x in ("-o", o)]
    return [(["apt-get", *options, "-q", "update"], {}), (["apt-get", *options, "-q", "download", "thing"], {})]


# client: how it is asked for a package of an index at a URL, what it then has, and the program that must be there.
BUILDERS = {
    "uv": (uv, "site/thing.py", "python3"),
    "cargo": (cargo, "home/registry/cache/*/thing-1.0.0.crate", "cargo"),
    "Maven": (maven, "m2/test/parent/1.0/parent-1.0.pom", "mvn"),
    "apt": (apt, "thing_1.0_all.deb", "apt-get"),
}


def builders(t: Tap, place: Place) -> None:
    """uv, cargo, Maven and apt: an index through a tunnel, and over a route that has the token; what no rule names is refused."""
    for name, (prepare, made, program) in BUILDERS.items():
        if not shutil.which(program):
            t.skip(f"{name} through a tunnel and over a route", f"{program} is not installed")
            continue
        top = place.dir / f"builder-{name}"
        (top / "root").mkdir(parents=True)
        wheel(top / "root")
        server, port, tokens, rules = index(place, top / "root")
        with Broker(place, rules) as b:
            b.place = place
            for how, url, token in (("through a tunnel", f"https://packages.test:{port}", ""), ("over a route", f"{b.url}/index", f"Bearer {KEY}")):
                where = top / how.split()[-1]
                where.mkdir()
                tokens.clear()
                for words, more in prepare(b, url, where):
                    run(t, b, place, f"{name} {how}: {next((w for w in words if w in ('update', 'download')), 'gets its package')}", *words, cwd=where, **more)
                t.ok(list(where.glob(made)) and set(tokens) == {token}, f"... it is there, {'with the token of the route' if token else 'without a token'}", tokens)
            where = top / "refused"
            where.mkdir()
            for words, more in prepare(b, f"https://other.test:{port}", where)[:1]:
                p = subprocess.run(list(map(str, words)), capture_output=True, text=True, env=environment(b, place, **more), cwd=where, timeout=300)
            refused = wait_until(lambda b=b: [r for r in b.records() if (r["name"], r["reason"]) == ("other.test", "host")], "the record")
            t.ok(refused and not list(where.glob(made)), f"{name} does not reach another host", p)
        server.shutdown()


QUICK = ()
ALL = (languages, git, packages, builders)
