#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""build.py OUT_DIR [--arch amd64=BIN_DIR] [--arch arm64=BIN_DIR]: the plugin image as an OCI layout.

From scratch, static binaries only, no container engine needed.  Reproducible:
names, order, owners and times are fixed, so the same binaries give the same digest.
OUT_DIR/ is the layout (oci-layout, index.json, blobs/); beside it OUT_DIR.tar holds
the same for "ctr images import", and OUT_DIR.spdx.json the bill of materials.
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
import tarfile
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAMS = ("kubefence", "nono", "nono-nri", "nono-runc")
GNU = {"amd64": "x86_64", "arm64": "aarch64"}
NATIVE = next(a for a, gnu in GNU.items() if gnu == os.uname().machine)
# What may be linked into the programs, by Debian package: name and licence.
LINKED = {
    "libc6-dev": ("glibc", "LGPL-2.1-or-later"),
    "libstdc++-12-dev": ("libstdc++", "GPL-3.0-or-later WITH GCC-exception-3.1"),
    "musl-dev": ("musl", "MIT"),
    "libevent-dev": ("libevent", "BSD-3-Clause"),
    "libjson-c-dev": ("json-c", "MIT"),
    "libprotobuf-c-dev": ("protobuf-c", "BSD-2-Clause"),
    "libtomlplusplus-dev": ("tomlplusplus", "MIT"),
    "libssl-dev": ("openssl", "Apache-2.0"),
    "libext2fs-dev": ("libext2fs", "LGPL-2.0-only"),
    "comerr-dev": ("libcom_err", "MIT"),
    "libseccomp-dev": ("libseccomp", "LGPL-2.1-only"),
}


class Layout:
    def __init__(self, path: str) -> None:
        self.path = path
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(f"{path}/blobs/sha256")

    def blob(self, data: bytes, media_type: str) -> dict:
        digest = hashlib.sha256(data).hexdigest()
        with open(f"{self.path}/blobs/sha256/{digest}", "wb") as f:
            f.write(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def json(self, value, media_type: str) -> dict:
        return self.blob(json.dumps(value, sort_keys=True, separators=(",", ":")).encode(), media_type)


def stripped(arch: str, bin_dir: str) -> dict[str, bytes]:
    """The programs without symbols and debugging information, which nobody needs on a node."""
    tool = "strip" if arch == NATIVE else f"{GNU[arch]}-linux-gnu-strip"
    out = {}
    with tempfile.TemporaryDirectory() as tmp:
        for p in PROGRAMS:
            subprocess.run([tool, "--strip-all", "-o", f"{tmp}/{p}", f"{bin_dir}/{p}"], check=True)
            with open(f"{tmp}/{p}", "rb") as f:
                out[p] = f.read()
    return out


def layer_tar(programs: dict[str, bytes]) -> bytes:
    buf = io.BytesIO()
    with tarfile.open(fileobj=buf, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for d in ("etc", "etc/nri", "etc/nri/conf.d", "run", "tmp", "usr", "usr/bin"):
            info = tarfile.TarInfo(d)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if d == "tmp" else 0o755
            tar.addfile(info)
        for p, data in programs.items():
            info = tarfile.TarInfo(f"usr/bin/{p}")
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    return buf.getvalue()


def add_image(layout: Layout, arch: str, programs: dict[str, bytes], labels: dict) -> dict:
    tar = layer_tar(programs)
    zipped = gzip.compress(tar, 9, mtime=0)
    layer = layout.blob(zipped, "application/vnd.oci.image.layer.v1.tar+gzip")
    config = layout.json(
        {
            "architecture": arch,
            "os": "linux",
            "config": {
                "Entrypoint": ["/usr/bin/nono-nri"],
                "Env": ["PATH=/usr/bin"],
                "Labels": labels,
                "User": "0:0",
            },
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest()]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "kubefence images/build.py"}],
        },
        "application/vnd.oci.image.config.v1+json",
    )
    manifest = layout.json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config,
            "layers": [layer],
            "annotations": labels,
        },
        "application/vnd.oci.image.manifest.v1+json",
    )
    manifest["platform"] = {"architecture": arch, "os": "linux"}
    return manifest


def linked(sysroot: str) -> list[tuple[str, str, str]]:
    """Name, version and licence of each library that the build uses, as Debian's package says."""
    wanted = subprocess.run([f"{ROOT}/scripts/bootstrap", "libraries"], capture_output=True, text=True, check=True)
    out = []
    for package in wanted.stdout.split():
        if package not in LINKED:
            raise SystemExit(f"build.py: add the licence of '{package}' to LINKED")
        with gzip.open(f"{sysroot}/usr/share/doc/{package}/changelog.Debian.gz", "rt", encoding="utf-8") as f:
            version = re.search(r"\((\S+)\)", f.readline())[1]
        name, licence = LINKED[package]
        out.append((name, version, licence))
    return sorted(out)


def sbom(version: str, images: dict[str, tuple[dict, list]]) -> dict:
    """SPDX 2.3: the programs with their hashes, and what is linked into them, for each architecture."""

    def package(ref: str, name: str, ver: str, licence: str, **more) -> dict:
        return {"SPDXID": ref, "name": name, "versionInfo": ver, "downloadLocation": "NOASSERTION",
                "licenseConcluded": licence, "licenseDeclared": licence, "copyrightText": "NOASSERTION",
                "filesAnalyzed": False, **more}

    packages, files, relations = [], [], []

    def relate(a: str, kind: str, b: str) -> None:
        relations.append({"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b})

    for arch, (programs, libraries) in images.items():
        ours = f"SPDXRef-kubefence-{arch}"
        packages.append(package(ours, "kubefence", version, "Apache-2.0"))
        relate("SPDXRef-DOCUMENT", "DESCRIBES", ours)
        for name, ver, licence in libraries:
            ref = f"SPDXRef-{arch}-" + re.sub(r"[^A-Za-z0-9.-]", "-", name)
            packages.append(package(ref, name, ver, licence))
            relate(ours, "STATIC_LINK", ref)
        for name, data in programs.items():
            ref = f"SPDXRef-{arch}-file-{name}"
            files.append({"SPDXID": ref, "fileName": f"./{arch}/usr/bin/{name}", "licenseConcluded": "Apache-2.0",
                          "copyrightText": "NOASSERTION",
                          "checksums": [{"algorithm": "SHA1", "checksumValue": hashlib.sha1(data).hexdigest()},
                                        {"algorithm": "SHA256", "checksumValue": hashlib.sha256(data).hexdigest()}]})
            relate(ours, "CONTAINS", ref)
    return {"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
            "name": f"kubefence-{version}", "documentNamespace": f"https://kubefence.dev/spdx/{version}",
            "creationInfo": {"created": "1970-01-01T00:00:00Z", "creators": ["Tool: kubefence-images"]},
            "packages": packages, "files": files, "relationships": relations}


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("out")
    ap.add_argument("--arch", action="append", metavar="ARCH=BIN_DIR")
    ap.add_argument("--name", default="ghcr.io/kubefence/nono-nri-plugin")
    args = ap.parse_args()
    with open(f"{ROOT}/VERSION", encoding="ascii") as f:
        version = f.read().strip()
    labels = {
        "org.opencontainers.image.title": "kubefence",
        "org.opencontainers.image.description": "Kernel sandbox for untrusted code in Kubernetes pods",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.source": "https://github.com/kubefence/kubefence",
        "org.opencontainers.image.version": version,
    }
    layout = Layout(args.out)
    manifests, images = [], {}
    for pair in args.arch or [f"{NATIVE}={ROOT}/out/bin"]:
        arch, bin_dir = pair.split("=", 1)
        programs = stripped(arch, bin_dir)
        manifests.append(add_image(layout, arch, programs, labels))
        link = f"{bin_dir}/../sysroot"  # left by images/cross
        images[arch] = programs, linked(os.path.realpath(link) if os.path.islink(link) else "")
    index = layout.json(
        {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests},
        "application/vnd.oci.image.index.v1+json",
    )
    index["annotations"] = {"io.containerd.image.name": f"{args.name}:{version}",
                            "org.opencontainers.image.ref.name": version}
    for name, value in (
        ("oci-layout", {"imageLayoutVersion": "1.0.0"}),
        ("index.json", {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
                        "manifests": [index]}),
    ):
        with open(f"{args.out}/{name}", "w", encoding="ascii") as f:
            json.dump(value, f, sort_keys=True)
    with tarfile.open(f"{args.out}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for folder, dirs, files in os.walk(args.out):
            dirs.sort()
            for name in sorted(files):
                path = os.path.join(folder, name)
                info = tarfile.TarInfo(os.path.relpath(path, args.out))
                info.size, info.mode = os.path.getsize(path), 0o644
                with open(path, "rb") as f:
                    tar.addfile(info, f)
    with open(f"{args.out}.spdx.json", "w", encoding="utf-8") as f:
        json.dump(sbom(version, images), f, indent=1, sort_keys=True)
        f.write("\n")
    print(f"{args.name}:{version} {index['digest']}")
    for m in manifests:
        with open(f"{args.out}/blobs/sha256/{m['digest'][7:]}", "rb") as f:
            total = sum(l["size"] for l in json.load(f)["layers"])
        print(f"  {m['platform']['architecture']}: {total / 1048576:.2f} MiB")


main()
