# SPDX-License-Identifier: Apache-2.0
"""make dist: the same files twice, complete, with a bill of materials; refused where nobody else could make them again."""
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from lib import tools
from lib.build import ROOT
from lib.distribution import Registry
from lib.tap import Tap

PROGRAMS = ("kubefence", "nono", "nono-bwrap", "nono-egress", "nono-nri", "nono-runc")
NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
MACHINE = {"amd64": "x86-64", "arm64": "aarch64"}


def commit(where: Path) -> Path:
    """A repository with this tree, as it is, as its only commit."""
    where.mkdir(parents=True)
    names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True)
    for name in filter(None, names.stdout.decode().split("\0")):
        if (ROOT / name).is_file() or (ROOT / name).is_symlink():
            (where / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, where / name, follow_symlinks=False)
    env = {**os.environ, "GIT_COMMITTER_DATE": "2026-11-28T12:00:00Z", "GIT_AUTHOR_DATE": "2026-11-28T12:00:00Z"}
    subprocess.run(["git", "init", "-q"], cwd=where, check=True)
    subprocess.run(["git", "add", "-A"], cwd=where, check=True)
    subprocess.run(["git", "-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false", "commit", "-q", "-m", "test"],
                   cwd=where, check=True, env=env)
    return where


def make(tree: Path, out: Path, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(["make", "-s", "dist", f"O={out}"], cwd=tree, capture_output=True, text=True, env={**os.environ, **env})


def refused(t: Tap, tree: Path, tmp: Path) -> None:
    (tree / "README.md").write_text("changed\n")
    p = make(tree, tmp / "no")
    t.ok(p.returncode and "the tree has changes" in p.stderr and "README.md" in p.stderr, "a tree with changes is refused, and they are named", p)
    subprocess.run(["git", "checkout", "-q", "README.md"], cwd=tree, check=True)
    for name, old, new, said in (("VERSION", "", "9.9.9\n", "NEWS.md has no section of 9.9.9"),
                                 ("debian/changelog", "kubefence (", "kubefence (1.", "debian/changelog has no entry")):
        text = (tree / name).read_text()
        (tree / name).write_text(text.replace(old, new, 1) if old else new)
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false", "commit", "-qam", "x"],
                       cwd=tree, check=True)
        p = make(tree, tmp / "no")
        t.ok(p.returncode and said in p.stderr, f"{name} that does not fit is refused", p)
        subprocess.run(["git", "reset", "-q", "--hard", "HEAD^"], cwd=tree, check=True)


def contents(t: Tap, dist: Path, name: str, tmp: Path) -> None:
    p = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=dist, capture_output=True, text=True)
    t.ok(p.returncode == 0 and len(p.stdout.splitlines()) == len(list(dist.iterdir())) - 1, "SHA256SUMS has every file", p.stdout + p.stderr)
    version = name.removeprefix("kubefence-")
    with tarfile.open(dist / f"kubefence-chart-{version}.tgz") as tar:
        t.ok({"kubefence/Chart.yaml", "kubefence/values.yaml"} <= set(tar.getnames()), "the chart is among them")
    listed = set()
    for arch in ("amd64", "arm64"):
        top = tmp / f"{name}-linux-{arch}"
        with tarfile.open(dist / f"{top.name}.tar.gz") as tar:
            odd = [m.name for m in tar if (m.uid, m.gid) != (0, 0) or m.mode & 0o7022 and not m.issym()]
            tar.extractall(tmp)
        t.equal(odd, [], f"{arch}: everything is root's, and nobody else may write it")
        there = {str(p.relative_to(top)) for p in top.rglob("*")}
        t.ok({"bin/nono-runc", "bin/kubectl-nono", "share/man/man8/nono-nri.8", "lib/systemd/system/nono-nri.service", "lib/libnri.so.1", "lib/libnri.a",
              "lib/pkgconfig/libnri.pc", "include/nri/nri.h", "share/kubefence/profiles/default.json", "share/doc/kubefence/LICENSE"} <= there,
             f"{arch}: programs, pages, unit, library, profiles, documentation", there)
        for program in PROGRAMS:
            elf = subprocess.run(["readelf", "-hlWd", top / "bin" / program], capture_output=True, text=True).stdout.lower()
            t.ok("interp" not in elf and "(needed)" not in elf and MACHINE[arch] in elf, f"{arch}: {program} is static", elf)
        emulator = [] if arch == NATIVE else [shutil.which(f"qemu-{'aarch64' if arch == 'arm64' else 'x86_64'}-static")]
        for program in PROGRAMS:
            # nono-runc's --version is the real runtime's, and nono-bwrap's that of bubblewrap with ours behind it.
            p = subprocess.run([*emulator, top / "bin" / program, "--kubefence-version" if program == "nono-runc" else "--version"], capture_output=True, text=True)
            want = f"bubblewrap 0.11.0 (nono {version})" if program == "nono-bwrap" else f"{program} {version}"
            t.equal((p.returncode, p.stdout.strip()), (0, want), f"{arch}: {program} runs")
        listed |= {str(p.relative_to(tmp)) for p in top.rglob("*") if p.is_file() and not p.is_symlink()}
    bill = json.loads((dist / f"{name}.spdx.json").read_text())
    said = {f["fileName"].removeprefix("./"): f["checksums"][1]["checksumValue"] for f in bill["files"]}
    whole = {p.name for p in dist.iterdir() if "-linux-" not in p.name and p.name not in ("SHA256SUMS", f"{name}.spdx.json")}
    t.ok(f"kubefence-image-{version}.tar" in whole and f"kubefence-chart-{version}.oci.tar" in whole, "image and chart are among them, as OCI archives", whole)
    t.equal(set(said), {*listed, *whole}, "the bill of materials has the source, image, chart and every file")
    wrong = [n for n, digest in said.items() if hashlib.sha256(((dist if n in whole else tmp) / n).read_bytes()).hexdigest() != digest]
    t.equal(wrong, [], "... with their hashes")
    ids = [x["SPDXID"] for x in (*bill["packages"], *bill["files"])]
    t.ok(len(set(ids)) == len(ids) and all({r["spdxElementId"], r["relatedSpdxElement"]} <= {"SPDXRef-DOCUMENT", *ids} for r in bill["relationships"]),
         "... and relations between what is in it")
    t.ok({"glibc", "musl", "openssl", "libevent"} <= {p["name"] for p in bill["packages"]}, "... and what is linked into the programs")
    for arch in ("amd64", "arm64"):
        versions = [p["versionInfo"] for p in bill["packages"] if p["SPDXID"].startswith(f"SPDXRef-{arch}-")]
        t.ok(len(versions) == 10 and all(versions), f"... for {arch}, with versions", versions)


def pushed(t: Tap, dist: Path, version: str, tmp: Path) -> None:
    """Image and chart of the release, in a real registry: by the digests that the release says; Helm renders the chart."""
    digests = dict(line.split() for line in (dist / f"kubefence-{version}.digests").read_text().splitlines())
    sums = (dist / "SHA256SUMS").read_text()
    for arch in ("amd64", "arm64"):
        p = subprocess.run(["skopeo", "inspect", "--override-arch", arch, f"oci-archive:{dist}/kubefence-image-{version}.tar"], capture_output=True, text=True)
        t.ok(p.returncode == 0 and json.loads(p.stdout)["Architecture"] == arch, f"{arch}: skopeo reads the image of the release", p)
    with Registry(tmp) as registry:
        for what, to in (("image", "kubefence"), ("chart", "charts/kubefence")):
            file = f"kubefence-{what}-{version}" + (".oci.tar" if what == "chart" else ".tar")
            p = subprocess.run(["skopeo", "copy", "-q", "--all", "--preserve-digests", "--dest-tls-verify=false", f"oci-archive:{dist}/{file}",
                                f"docker://{registry}/{to}:{version}"], capture_output=True, text=True)
            raw = subprocess.run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{registry}/{to}@{digests[what]}"], capture_output=True)
            t.ok(p.returncode == 0 and f"sha256:{hashlib.sha256(raw.stdout).hexdigest()}" == digests[what] and file in sums,
                 f"the {what} goes to a registry, under the digest that the release says", f"{p} {raw.stderr}")
        helm = tools.program("helm", "3")
        p = subprocess.run([helm, "template", "kf", f"oci://{registry}/charts/kubefence", "--plain-http", "--version", version], capture_output=True,
                           text=True, env={**os.environ, "HOME": str(tmp)})
        t.ok(p.returncode == 0 and "kind: DaemonSet" in p.stdout, "Helm takes the chart from there", p.stderr)


def run(t: Tap, tmp: Path) -> None:
    version = (ROOT / "VERSION").read_text().strip()
    tree = commit(tmp / "tree")
    t.case("refused", refused, t, tree, tmp)
    p = make(tree, tmp / "one")
    if not t.ok(p.returncode == 0, "make dist", (p.stdout + p.stderr)[-3000:]):
        return
    old = os.umask(0o077)
    clone = tmp / "a tree/elsewhere"
    subprocess.run(["git", "clone", "-q", tree, clone], check=True)
    p = make(clone, tmp / "two", TZ="Asia/Kathmandu", LC_ALL="C")
    os.umask(old)
    t.ok(p.returncode == 0, "... and in another place, at another hour, with another umask", (p.stdout + p.stderr)[-3000:])
    sums = [(tmp / x / "dist/SHA256SUMS").read_text() for x in ("one", "two")]
    t.equal(sums[1], sums[0], "both gave the same files")
    t.case("pushed", pushed, t, tmp / "one/dist", version, tmp)
    t.case("contents", contents, t, tmp / "one/dist", f"kubefence-{version}", tmp)
