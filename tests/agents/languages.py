# SPDX-License-Identifier: Apache-2.0
"""A small project in every language: made, with a dependency from a directory beside it, built, tested and run."""
import os
import subprocess
from typing import NamedTuple

import packages
from container import Container
from lib import tools

PYTHON = "/usr/bin/python3"


class Language(NamedTuple):
    script: str  # in /work
    needs: object  # () -> (volumes, environment), or None: this machine lacks it


def go() -> tuple | None:
    """This machine's Go, where the official image has it."""
    root = subprocess.run([tools.go(), "env", "GOROOT"], capture_output=True, text=True, check=True).stdout.strip()
    return {root: "/usr/local/go:ro"}, {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local"}


def rust() -> tuple | None:
    """rustup's where the official image has it, else Debian's, which is in the image already."""
    home = os.path.expanduser("~")
    if os.path.exists(f"{home}/.rustup/toolchains"):
        return ({f"{home}/.cargo/bin": "/usr/local/cargo/bin:ro", f"{home}/.rustup": "/usr/local/rustup:ro"},
                {"CARGO_HOME": "/usr/local/cargo", "RUSTUP_HOME": "/usr/local/rustup", "CARGO_NET_OFFLINE": "true"})
    return ({}, {"CARGO_NET_OFFLINE": "true"}) if os.path.exists("/usr/bin/cargo") else None


LANGUAGES = {
    "python-dev": Language(f"""mkdir -p dep/dep app && cd dep && printf '[build-system]\\nrequires=[]\\nbuild-backend="b"\\nbackend-path=["."]\\n' > pyproject.toml &&
echo 'def two(): return 2' > dep/__init__.py && cat > b.py <<'P'
import zipfile
def build_wheel(d, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(d + "/dep-1-py3-none-any.whl", "w") as z:
        z.write("dep/__init__.py")
        z.writestr("dep-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: dep\\nVersion: 1\\n")
        z.writestr("dep-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        z.writestr("dep-1.dist-info/RECORD", "")
    return "dep-1-py3-none-any.whl"
P
cd .. && {PYTHON} -m venv v && v/bin/pip install -q --no-index --no-build-isolation ./dep && cat > test_a.py <<'P'
import multiprocessing, tempfile, unittest, dep
class T(unittest.TestCase):
    def test(self):
        with tempfile.TemporaryFile(), multiprocessing.Pool(2) as p: self.assertEqual(p.map(abs, [-2]), [dep.two()])
P
v/bin/python -m unittest -q && v/bin/python -c 'import dep; print("ran", dep.two())'""", lambda: ({}, {"PYTHONPATH": ""})),
    "node-dev": Language("""mkdir -p dep app && echo '{"name": "dep", "version": "1.0.0"}' > dep/package.json && echo 'exports.two = 2' > dep/index.js &&
cd app && npm init -y >/dev/null && npm install --offline --no-audit --no-fund --loglevel=error ../dep && echo 'require("node:test")("t", () => require("assert").equal(require("dep").two, 2))' > t.test.js &&
node --test >/dev/null && node -e 'console.log("ran", require("dep").two)'""", lambda: ({packages.node(): "/opt/node:ro"}, {})),
    "go-dev": Language("""mkdir -p dep app && (cd dep && go mod init x/dep && echo 'package dep
func Two() int { return 2 }' > d.go) 2>/dev/null && cd app && go mod init x/app 2>/dev/null && go mod edit -require x/dep@v0.0.0 -replace x/dep=../dep && echo 'package main
import ("fmt"; "x/dep")
func main() { fmt.Println("ran", dep.Two()) }' > m.go && echo 'package main
import ("testing"; "x/dep")
func TestTwo(t *testing.T) { if dep.Two() != 2 { t.Fail() } }' > m_test.go && go test ./... >/dev/null && go build -o a . && ./a""", go),
    "rust-dev": Language("""cargo new -q --lib dep --vcs none && echo 'pub fn two() -> u8 { 2 }' > dep/src/lib.rs && cargo new -q app --vcs none && cd app && cargo add -q --path ../dep 2>/dev/null &&
echo 'fn main() { println!("ran {}", dep::two()) }
#[test] fn t() { assert_eq!(dep::two(), 2) }' > src/main.rs && cargo test -q >/dev/null && cargo run -q""", rust),
    "java-dev": Language("""mkdir -p dep app && echo 'package dep; public class D { public static int two() { return 2; } }' > dep/D.java &&
javac -d out-dep dep/D.java && jar cf dep.jar -C out-dep . &&
echo 'import dep.D; public class A { static int f() { return D.two(); } public static void main(String[] a) { System.out.println("ran " + f()); } }' > app/A.java &&
echo 'public class TestA { public static void main(String[] a) throws Exception { java.io.File.createTempFile("kfa", "b"); assert A.f() == 2; System.exit(A.f()); } }' > app/TestA.java &&
javac -cp dep.jar -d out app/A.java app/TestA.java && { java -ea -cp out:dep.jar TestA; [ $? = 2 ]; } && java -cp out:dep.jar A""",
                         lambda: ({}, {}) if os.path.exists("/usr/bin/javac") else None),
}


def language(t, base: str, profile: str, uid: int) -> bool | None:
    script, needs = LANGUAGES[profile]
    have = needs()
    if not have:
        t.skip(f"{profile} as uid {uid}", "scripts/bootstrap test-all installs what this machine lacks")
        return None
    volumes, env = have
    if env.get("CARGO_HOME"):
        os.makedirs(f"{base}/cargo-{uid}/bin", exist_ok=True)
        os.chown(f"{base}/cargo-{uid}", uid, uid)
        volumes = {f"{base}/cargo-{uid}": env["CARGO_HOME"], **volumes}
    p = Container(f"{base}/{profile}-{uid}", uid).run(profile, script, volumes, env)
    return t.ok(p.returncode == 0 and p.stdout.endswith("ran 2\n"), f"{profile} as uid {uid}: a project with a dependency is built, tested and run",
                p.stdout[-2000:] + p.stderr[-3000:])
