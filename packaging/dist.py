#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""dist.py OUT_DIR [--arch amd64] [--arch arm64] [--url URL]: what a release consists of, made of the commit that is checked out.

    kubefence-V.tar.gz              the source
    kubefence-V-linux-ARCH.tar.gz   what "make install" puts below /usr/local: static programs, manual pages, libnri ...
    kubefence-chart-V.tgz           the Helm chart
    kubefence-image-V.tar           the image for all ARCHes, as an OCI archive: "kubefence images load", "skopeo copy"
    kubefence-chart-V.oci.tar       the chart as one, as "helm push" would make it: "skopeo copy" brings it to a registry
    kubefence-V.digests             what registries call image and chart
    kubectl-nono.yaml               with --url, where the files will be: the manifest for krew
    kubefence-V.spdx.json           the bill of materials: source, files, and what is linked into the programs
    SHA256SUMS                      of all of these; packaging/sign signs it, packaging/verify checks it

Everything is built from the source archive, unpacked, and carries the commit's date: whoever has the commit and Debian's
packages of the same versions gets the same files. A tree with changes is refused, since nobody else has them.
"""
import argparse
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import sbom  # noqa: E402

ROOT = sbom.ROOT
GNU = {"amd64": "x86_64", "arm64": "aarch64"}
NATIVE = next((a for a, gnu in GNU.items() if gnu == os.uname().machine), "")
PREFIX = "usr/local"


def fail(message: str) -> None:
    raise SystemExit(f"dist: {message}")


def git(*args: str) -> bytes:
    return subprocess.run(["git", *args], cwd=ROOT, check=True, capture_output=True).stdout


def checked_out() -> tuple[str, int]:
    """The version, and the commit's time; refuses what is no release."""
    version = (ROOT / "VERSION").read_text().strip()
    changed = git("status", "--porcelain").decode().splitlines()
    if changed:
        fail(f"the tree has changes, of which nobody else knows; commit them or put them away:\n  " + "\n  ".join(changed))
    news = re.search(r"^## (\S+) \(", (ROOT / "NEWS.md").read_text(), re.MULTILINE)
    if not news or news[1] != version:
        fail(f"NEWS.md has no section of {version} at its top")
    if not (ROOT / "debian/changelog").read_text().startswith(f"kubefence ({version}) "):
        fail(f"debian/changelog has no entry of {version} at its top")
    return version, int(git("log", "-1", "--format=%ct"))


def run(*command, log: Path) -> None:
    """Run a program quietly; what it said is told if it fails. Compilers run: a cache has what was compiled elsewhere."""
    with open(log, "ab") as out:
        p = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                           env={**os.environ, "CCACHE_DISABLE": "1"})
    if p.returncode:
        fail(f"{command[0]} failed with status {p.returncode}:\n{log.read_text(errors='replace')[-3000:]}")


def build(source: Path, arch: str, work: Path) -> tuple[Path, str]:
    """Build @source and install it below work/stage; also the root that the libraries are of ("" for this machine's)."""
    log, stage = work / "log", work / "stage"
    if arch == NATIVE:
        build_dir, sysroot, tool = work / "build", "", ""
        run("meson", "setup", "--fatal-meson-warnings", "--libdir=lib", build_dir, source, log=log)
        run("ninja", "-C", build_dir, log=log)
    else:
        run(source / "images/cross", arch, work / "cross", log=log)
        build_dir, sysroot, tool = work / "cross/build", os.path.realpath(work / "cross/sysroot"), f"{GNU[arch]}-linux-gnu-"
        run("meson", "configure", "-Dlibdir=lib", build_dir, log=log)
        run("ninja", "-C", build_dir, log=log)
    run("meson", "install", "-C", build_dir, "--no-rebuild", "--destdir", stage, log=log)
    top = stage / PREFIX
    run(f"{tool}strip", "--strip-all", *(p for p in (top / "bin").iterdir() if not p.is_symlink()), log=log)
    run(f"{tool}strip", "--strip-unneeded", *top.glob("lib/*.so.*"), log=log)
    run(f"{tool}strip", "--strip-debug", "--enable-deterministic-archives", *top.glob("lib/*.a"), log=log)
    return top, sysroot


def archive(top: Path, name: str, when: int) -> tuple[bytes, dict[str, bytes]]:
    """What lies below @top as NAME/..., compressed, the same for the same files; and the files."""
    buf, files = io.BytesIO(), {}
    with tarfile.open(fileobj=buf, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in [top, *sorted(top.rglob("*"))]:
            info = tarfile.TarInfo(os.path.normpath(f"{name}/{path.relative_to(top)}"))
            info.mtime, data = when, b""
            if path.is_symlink():
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, os.readlink(path), 0o777
            elif path.is_dir():
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            else:
                data = files[info.name] = path.read_bytes()
                info.size, info.mode = len(data), 0o755 if path.stat().st_mode & 0o111 else 0o644
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(buf.getvalue(), 9, mtime=0), files


def image(source: Path, version: str, work: Path, tops: dict[str, tuple[Path, str]]) -> tuple[bytes, str]:
    """The image of the programs in @tops, as an archive, and its digest."""
    out, log = work / "kubefence-image", work / "image.log"
    for top, sysroot in tops.values():
        if sysroot:
            (top / "sysroot").symlink_to(sysroot)  # for the image's bill of materials
    run(source / "images/build.py", out, *(f"--arch={arch}={top}/bin" for arch, (top, _) in tops.items()), log=log)
    index = json.loads((out / "index.json").read_text())
    return Path(f"{out}.tar").read_bytes(), index["manifests"][0]["digest"]


def chart_archive(chart: bytes, meta: dict, version: str, created: str) -> tuple[bytes, str]:
    """The chart as an OCI archive, and its digest."""
    blobs = {}

    def blob(data: bytes, kind: str) -> dict:
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}

    def text(value) -> bytes:
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

    manifest = blob(text({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(text(meta), "application/vnd.cncf.helm.config.v1+json"),
        "layers": [blob(chart, "application/vnd.cncf.helm.chart.content.v1.tar+gzip")],
        "annotations": {"org.opencontainers.image.title": meta["name"], "org.opencontainers.image.version": version,
                        "org.opencontainers.image.created": created, "org.opencontainers.image.licenses": "Apache-2.0"}}),
        "application/vnd.oci.image.manifest.v1+json")
    top = {**manifest, "annotations": {"org.opencontainers.image.ref.name": version}}
    files = {**blobs, "index.json": text({"schemaVersion": 2, "manifests": [top]}), "oci-layout": text({"imageLayoutVersion": "1.0.0"})}
    buf = io.BytesIO()
    with tarfile.open(fileobj=buf, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    return buf.getvalue(), manifest["digest"]


def chart_meta(chart: Path) -> dict:
    """Chart.yaml as JSON, as Helm puts it beside the chart; its values are plain words, or lists of them in one line."""
    found = {}
    for line in (chart / "Chart.yaml").read_text().splitlines():
        m = re.match(r"(\w+): *\"?([^\"#]*?)\"?$", line)
        if m and m[2]:
            found[m[1]] = [w.strip() for w in m[2][1:-1].split(",")] if m[2][0] == "[" else m[2]
    missing = [k for k in ("apiVersion", "name", "version", "appVersion") if k not in found]
    if missing:
        fail(f"{chart}/Chart.yaml: no plain value of {', '.join(missing)}")
    return found


KREW = """apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: nono
spec:
  version: v{version}
  shortDescription: Say what is sandboxed, and why something was refused
  description: |
    For clusters with kubefence: which pods run in a kernel sandbox and under which profile, what was denied to them and
    which rule decides, whether nodes are ready.
  platforms:
"""
PLATFORM = """  - selector: {{matchLabels: {{os: linux, arch: {arch}}}}}
    uri: {url}/{name}
    sha256: {sha256}
    files:
    - {{from: "*/bin/kubefence", to: kubectl-nono}}
    bin: kubectl-nono
"""


def krew(version: str, url: str, release: dict[str, bytes]) -> bytes:
    text = KREW.format(version=version)
    for arch in GNU:
        name = f"kubefence-{version}-linux-{arch}.tar.gz"
        if name in release:
            text += PLATFORM.format(arch=arch, url=url.rstrip("/"), name=name, sha256=hashlib.sha256(release[name]).hexdigest())
    return text.encode()


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("out", type=Path)
    ap.add_argument("--arch", action="append", choices=tuple(GNU))
    ap.add_argument("--url", help="where the files will be published: krew's manifest names them there")
    args = ap.parse_args()
    version, when = checked_out()
    name, out = f"kubefence-{version}", args.out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    release = {f"{name}.tar.gz": gzip.compress(git("-c", "tar.umask=0022", "archive", "--format=tar", f"--prefix={name}/", "HEAD"), 9, mtime=0)}
    builds, tops = {}, {}
    created = datetime.fromtimestamp(when, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    with tempfile.TemporaryDirectory(prefix="kf-dist-") as tmp:
        with tarfile.open(fileobj=io.BytesIO(release[f"{name}.tar.gz"])) as tar:
            tar.extractall(tmp, filter="data") if hasattr(tarfile, "data_filter") else tar.extractall(tmp)
        release[f"kubefence-chart-{version}.tgz"] = archive(Path(tmp, name, "charts/kubefence"), "kubefence", when)[0]
        for arch in args.arch or list(GNU):
            # Within the source, whose place the compiler leaves out of what it writes.
            work = Path(tmp, name, "out", arch)
            work.mkdir(parents=True)
            top, sysroot = build(Path(tmp, name), arch, work)
            release[f"{name}-linux-{arch}.tar.gz"], files = archive(top, f"{name}-linux-{arch}", when)
            builds[arch], tops[arch] = (files, sbom.linked(sysroot)), (top, sysroot)
        images = {}
        release[f"kubefence-image-{version}.tar"], images["image"] = image(Path(tmp, name), version, Path(tmp), tops)
        release[f"kubefence-chart-{version}.oci.tar"], images["chart"] = chart_archive(
            release[f"kubefence-chart-{version}.tgz"], chart_meta(Path(tmp, name, "charts/kubefence")), version, created)
        release[f"{name}.digests"] = "".join(f"{what} {digest}\n" for what, digest in images.items()).encode()
    # The archives of programs are in it file by file, for each architecture.
    whole = {n: d for n, d in release.items() if "-linux-" not in n}
    bill = sbom.spdx(version, created, "kubefence-dist", builds, whole)
    release[f"{name}.spdx.json"] = (json.dumps(bill, indent=1, sort_keys=True) + "\n").encode()
    if args.url:
        release["kubectl-nono.yaml"] = krew(version, args.url, release)
    release["SHA256SUMS"] = "".join(f"{hashlib.sha256(d).hexdigest()}  {n}\n" for n, d in sorted(release.items())).encode()
    for n, data in release.items():
        (out / n).write_bytes(data)
    print(release["SHA256SUMS"].decode(), end="")


main()
