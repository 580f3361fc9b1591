# SPDX-License-Identifier: Apache-2.0
"""Bills of materials (SPDX 2.3) of the plugin image and of a release: our files with their hashes, and what is linked into them."""
import gzip
import hashlib
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
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
}


def linked(sysroot: str) -> list[tuple[str, str, str]]:
    """Name, version and licence of each library that the build uses, as Debian's package says."""
    wanted = subprocess.run([ROOT / "scripts/bootstrap", "libraries"], capture_output=True, text=True, check=True)
    out = []
    for package in wanted.stdout.split():
        if package not in LINKED:
            raise SystemExit(f"sbom.py: add the licence of '{package}' to LINKED")
        with gzip.open(f"{sysroot}/usr/share/doc/{package}/changelog.Debian.gz", "rt", encoding="utf-8") as f:
            version = re.search(r"\((\S+)\)", f.readline())[1]
        name, licence = LINKED[package]
        out.append((name, version, licence))
    return sorted(out)


def spdx(version: str, created: str, tool: str, builds: dict[str, tuple[dict[str, bytes], list]],
         sources: dict[str, bytes] | None = None) -> dict:
    """The bill: for each architecture the files by name, and what linked() said; beside them @sources, which stand for themselves."""

    def package(ref: str, name: str, ver: str, licence: str, **more) -> dict:
        return {"SPDXID": ref, "name": name, "versionInfo": ver, "downloadLocation": "NOASSERTION",
                "licenseConcluded": licence, "licenseDeclared": licence, "copyrightText": "NOASSERTION",
                "filesAnalyzed": False, **more}

    def plain(name: str) -> str:
        return re.sub(r"[^A-Za-z0-9.-]", "-", name)

    packages, files, relations = [], [], []

    def relate(a: str, kind: str, b: str) -> None:
        relations.append({"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b})

    def file(ref: str, name: str, data: bytes, of: str, kind: str) -> None:
        files.append({"SPDXID": ref, "fileName": name, "licenseConcluded": "Apache-2.0", "copyrightText": "NOASSERTION",
                      "checksums": [{"algorithm": "SHA1", "checksumValue": hashlib.sha1(data).hexdigest()},
                                    {"algorithm": "SHA256", "checksumValue": hashlib.sha256(data).hexdigest()}]})
        relate(of, kind, ref)

    for name, data in (sources or {}).items():
        file(f"SPDXRef-source-{plain(name)}", f"./{name}", data, "SPDXRef-DOCUMENT", "DESCRIBES")
    for arch, (contents, libraries) in builds.items():
        ours = f"SPDXRef-kubefence-{arch}"
        packages.append(package(ours, "kubefence", version, "Apache-2.0"))
        relate("SPDXRef-DOCUMENT", "DESCRIBES", ours)
        for name, ver, licence in libraries:
            ref = f"SPDXRef-{arch}-{plain(name)}"
            packages.append(package(ref, name, ver, licence))
            relate(ours, "STATIC_LINK", ref)
        for name, data in contents.items():
            file(f"SPDXRef-{arch}-file-{plain(name)}", f"./{name}", data, ours, "CONTAINS")
    return {"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
            "name": f"kubefence-{version}", "documentNamespace": f"https://kubefence.dev/spdx/{version}",
            "creationInfo": {"created": created, "creators": [f"Tool: {tool}"]},
            "packages": packages, "files": files, "relationships": relations}
