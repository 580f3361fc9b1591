# SPDX-License-Identifier: Apache-2.0
"""The real programs that tests run against, built once from pinned Go modules.

    from lib import tools                     # with tests/ on sys.path
    tools.program("runc")                     # path of runc 1.5.2
    tools.program("containerd", "2.2")        # containerd of that line; "" = the newest
    tools.bindir("containerd", "1.7")         # where containerd, its shim and ctr lie

Each folder tests/lib/go/NAME[-LINE] is one Go module that pins a program with
"tool" lines, or is a small program itself.  What is built goes to ${XDG_CACHE_HOME:-~/.cache}/kubefence/
NAME-VERSION and is built again only when the pin changes.  From an empty cache
containerd takes about two minutes on two cores, Kubernetes eight, CRI-O four, the others seconds.

As a program, "tools.py NAME[-LINE]..." builds and prints the paths.
"""
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

MODULES = Path(__file__).resolve().parent / "go"
NEWEST = {"containerd": "2.4"}
# Versions that go.mod cannot carry: strings the linker sets, and Go's build tags.
LINK = {
    "runc": "-X main.version={v}",
    "containerd": "-X github.com/containerd/containerd{major}/version.Version=v{v}",
    "crictl": "-X sigs.k8s.io/cri-tools/pkg/version.Version=v{v}",
    "kubernetes": "-X k8s.io/component-base/version.gitVersion=v{v} -X k8s.io/component-base/version.gitMajor=1 "
    "-X k8s.io/component-base/version.gitMinor={minor} -X k8s.io/component-base/version.gitTreeState=clean",
    # Left alone, Helm 3 believes in Kubernetes 1.20.
    "helm": "-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=37 "
    "-X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=37",
}
# Where a module builds several programs: the one whose version counts, and names that Go would give otherwise.
MAIN = {"kubernetes": "k8s.io/kubernetes/"}
RENAME = {"kubernetes": {"server": "etcd"}}
# Those that need C, and their tags.
CGO = {
    "runc": "seccomp",
    "crio": "containers_image_ostree_stub containers_image_openpgp exclude_graphdriver_btrfs "
    "exclude_graphdriver_devicemapper btrfs_noversion seccomp",
}
# Tags of those that do not: Prometheus finds what it scrapes in files and Kubernetes only, and has no pictures of its own.
TAGS = {"prometheus": "remove_all_sd,enable_kubernetes_sd"}
# A helper in C that lies beside the Go sources, in the folder of this name.
HELPER = {"crio": "pinns"}


class ToolError(Exception):
    pass


def cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home) / "kubefence"


def go() -> str:
    """A Go that is new enough: on PATH, or the one scripts/bootstrap left."""
    for candidate in (shutil.which("go"), cache() / "go/bin/go", "/usr/local/go/bin/go"):
        if not candidate or not os.access(candidate, os.X_OK):
            continue
        said = subprocess.run([candidate, "version"], capture_output=True, text=True).stdout
        m = re.search(r"go(\d+)\.(\d+)", said)
        if m and (int(m[1]), int(m[2])) >= (1, 26):
            return str(candidate)
    raise ToolError("no Go >= 1.26: run 'scripts/bootstrap test'")


def _pin(name: str, module: Path) -> tuple[list[str], str, str]:
    """The packages that @module builds, the version of the main one, its module path."""
    text = (module / "go.mod").read_text()
    packages = re.findall(r"^(?:tool |\t)([\w.-]+/\S+)$", text, re.MULTILINE)
    required = re.findall(r"^(?:require |\t)(\S+/\S+) v(\S+)", text, re.MULTILINE)
    if (module / "main.go").exists():  # a small program of our own
        return ["."], "1", ""
    main = next((p for p in packages if p.startswith(MAIN.get(name, ""))), "")
    for path, version in sorted(required, key=lambda r: -len(r[0])):
        if main and (main == path or main.startswith(path + "/")):
            return packages, version.split("+")[0], path
    raise ToolError(f"{module}/go.mod: no 'tool' line with its 'require'")


def bindir(name: str, line: str = "") -> Path:
    """Directory with the programs of tests/lib/go/NAME[-LINE], built if need be."""
    line = line or NEWEST.get(name, "")
    module = MODULES / (f"{name}-{line}" if line else name)
    if not module.is_dir():
        raise ToolError(f"unknown tool '{module.name}': no folder {module}")
    packages, version, path = _pin(name, module)
    major = re.search(r"(/v\d+)$", path)
    minor = version.split(".")[1] if "." in version else ""
    link = LINK.get(name, "").format(v=version, major=major[1] if major else "", minor=minor)
    recipe = hashlib.sha256(
        b"\0".join([f.read_bytes() for f in sorted(module.iterdir())] + [f"{link}{TAGS.get(name, '')}".encode()])
    ).hexdigest()
    out = cache() / f"{name}-{version}"
    stamp = out / ".recipe"
    if stamp.is_file() and stamp.read_text() == recipe:
        return out
    cache().mkdir(parents=True, exist_ok=True)
    with open(cache() / f".{out.name}.lock", "w") as lock:  # once, also across test runs
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.is_file() and stamp.read_text() == recipe:
            return out
        print(f"# building {name} {version} from its Go module", flush=True)
        fresh = cache() / f".{out.name}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        args = [go(), "install", "-mod=readonly", "-trimpath", "-ldflags", f"-s -w {link}"]
        if name in CGO or name in TAGS:
            args += ["-tags", CGO.get(name) or TAGS[name]]
        env = dict(
            os.environ,
            GOBIN=str(fresh),
            GOFLAGS="-buildvcs=false",
            GOTOOLCHAIN="local",
            CGO_ENABLED="1" if name in CGO else "0",
        )
        p = subprocess.run(args + packages, cwd=module, env=env, capture_output=True, text=True)
        if p.returncode:
            raise ToolError(f"building {name} {version} failed:\n{p.stderr}")
        if name in HELPER:
            where = subprocess.run([args[0], "list", "-m", "-f", "{{.Dir}}", path], cwd=module, env=env, capture_output=True, text=True)
            sources = sorted(Path(where.stdout.strip(), HELPER[name], "src").glob("*.c"))
            p = subprocess.run(["gcc", "-std=c99", "-Os", "-static", "-o", fresh / HELPER[name], *sources], capture_output=True, text=True)
            if p.returncode:
                raise ToolError(f"building {HELPER[name]} of {name} {version} failed:\n{where.stderr}{p.stderr}")
        for old, new in RENAME.get(name, {}).items():
            (fresh / old).rename(fresh / new)
        (fresh / ".recipe").write_text(recipe)
        shutil.rmtree(out, ignore_errors=True)
        fresh.rename(out)
    return out


def program(name: str, line: str = "", of: str = "") -> Path:
    """One program: program("runc"), program("ctr", of="containerd")."""
    return bindir(of or name, line) / name


if __name__ == "__main__":
    for spec in sys.argv[1:]:
        spec_name, _, spec_line = spec.partition("-")
        print(bindir(spec_name, spec_line))
