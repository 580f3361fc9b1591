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
import shutil
import subprocess
import sys
import tarfile
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAMS = ("kubefence", "nono", "nono-bwrap", "nono-egress", "nono-nri", "nono-runc")
GNU = {"amd64": "x86_64", "arm64": "aarch64"}
sys.path.insert(0, f"{ROOT}/packaging")
import sbom  # noqa: E402

NATIVE = next(a for a, gnu in GNU.items() if gnu == os.uname().machine)


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
        images[arch] = ({f"{arch}/usr/bin/{name}": data for name, data in programs.items()},
                        sbom.linked(os.path.realpath(link) if os.path.islink(link) else ""))
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
        json.dump(sbom.spdx(version, "1970-01-01T00:00:00Z", "kubefence-images", images), f, indent=1, sort_keys=True)
        f.write("\n")
    print(f"{args.name}:{version} {index['digest']}")
    for m in manifests:
        with open(f"{args.out}/blobs/sha256/{m['digest'][7:]}", "rb") as f:
            total = sum(l["size"] for l in json.load(f)["layers"])
        print(f"  {m['platform']['architecture']}: {total / 1048576:.2f} MiB")


main()
