# SPDX-License-Identifier: Apache-2.0
"""packaging/sign and packaging/verify with a throw-away key."""
import hashlib
import os
import subprocess
from pathlib import Path

from lib import tools
from lib.build import ROOT
from lib.tap import Tap


def run(*command) -> subprocess.CompletedProcess:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True)


def signed(t: Tap, where: Path) -> None:
    dist = where / "dist"
    dist.mkdir()
    for n in ("a.tar.gz", "b.json"):
        (dist / n).write_bytes(os.urandom(1000))
    (dist / "SHA256SUMS").write_text("".join(f"{hashlib.sha256((dist / n).read_bytes()).hexdigest()}  {n}\n" for n in ("a.tar.gz", "b.json")))
    for who in ("ours", "other"):
        run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", where / f"{who}.key")
        run("openssl", "ec", "-in", where / f"{who}.key", "-pubout", "-out", where / f"{who}.pub")
    verify = lambda *more: run(ROOT / "packaging/verify", dist, *more)  # noqa: E731
    p = verify("--key", where / "ours.pub")
    t.ok(p.returncode and "SHA256SUMS.sig" in p.stderr, "a release without a signature is refused", p)
    p = run(ROOT / "packaging/sign", dist, where / "ours.key")
    t.ok(p.returncode == 0, "a release is signed", p)
    p = verify("--key", where / "ours.pub")
    t.ok(p.returncode == 0 and "signature: good" in p.stdout and "2 files good" in p.stdout, "its signature and files are good", p)
    p = verify("--key", where / "other.pub")
    t.ok(p.returncode and "not signed" in p.stderr, "another's key is refused", p)
    (dist / "c").write_text("more\n")
    t.ok("c: not in SHA256SUMS" in verify().stderr, "a file that is not listed is named")
    (dist / "c").unlink()
    good = (dist / "b.json").read_bytes()
    (dist / "b.json").write_bytes(bytes([good[0] ^ 1]) + good[1:])
    t.ok("b.json: missing or changed" in verify().stderr, "a changed file is named")
    (dist / "b.json").write_bytes(good)
    (dist / "SHA256SUMS").write_text((dist / "SHA256SUMS").read_text().replace("b.json", "c.json"))
    t.ok("not signed" in verify("--key", where / "ours.pub").stderr, "a changed list is refused")
    t.ok(run(ROOT / "packaging/sign", where / "none", where / "ours.key").returncode == 1, "nothing to sign is an error")


def by_cosign(t: Tap, where: Path) -> None:
    """The real cosign verifies what packaging/sign makes, and nothing else."""
    cosign = tools.program("cosign")
    (where / "SHA256SUMS").write_text(f"{hashlib.sha256(b'a').hexdigest()}  a\n")
    for who in ("ours", "other"):
        run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", where / f"{who}.key")
        run("openssl", "ec", "-in", where / f"{who}.key", "-pubout", "-out", where / f"{who}.pub")
    run(ROOT / "packaging/sign", where, where / "ours.key")

    def verify(who: str) -> subprocess.CompletedProcess:
        env = {**os.environ, "HOME": str(where)}
        return subprocess.run([cosign, "verify-blob", "--key", where / f"{who}.pub", "--signature", where / "SHA256SUMS.sig", "--insecure-ignore-tlog",
                               where / "SHA256SUMS"], capture_output=True, text=True, env=env)

    p = verify("ours")
    t.ok(p.returncode == 0 and "Verified OK" in p.stdout + p.stderr, "cosign verifies the signature", p)
    t.ok(verify("other").returncode != 0, "... and refuses another key")
    with open(where / "SHA256SUMS", "a") as f:
        f.write("more\n")
    t.ok(verify("ours").returncode != 0, "... and a changed list")
