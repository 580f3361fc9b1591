# SPDX-License-Identifier: Apache-2.0
"""kubefence images load, with the real containerd and CRI-O: what it imports is what the archive says, and runs."""
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

from lib import images, node
from lib.containerd import Containerd
from lib.crio import Crio
from lib.runtime import Runtime
from lib.systemctl import Systemctl
from lib.tap import Tap

NAME = "ghcr.io/kubefence/nono-nri-plugin"


def load(c: Runtime, *args, env: str = "") -> subprocess.CompletedProcess:
    return subprocess.run(c.inside(["env", *([env] if env else []), node.BIN / "kubefence", "images", "load", *args]), capture_output=True, text=True)


def known(c: Runtime, ref: str) -> dict:
    return c.cri("ImageService/ImageStatus", {"image": {"image": ref}}).get("image") or {}


def damaged(archive: Path, to: Path, change) -> Path:
    """A copy of the archive; change(name, data) gives each file anew."""
    with tarfile.open(archive) as old, tarfile.open(to, "w", format=tarfile.USTAR_FORMAT) as new:
        for info in old.getmembers():
            data = change(info.name, old.extractfile(info).read())
            if data is not None:
                info.size = len(data)
                new.addfile(info, io.BytesIO(data))
    return to


def config_of(archive: Path, arch: str) -> str:
    """The digest of the image's configuration for @arch."""
    with tarfile.open(archive) as tar:
        read = lambda digest: json.load(tar.extractfile(f"blobs/{digest.replace(':', '/')}"))  # noqa: E731
        index = read(json.load(tar.extractfile("index.json"))["manifests"][0]["digest"])
        return read(next(m["digest"] for m in index["manifests"] if m["platform"]["architecture"] == arch))["config"]["digest"]


def use(t: Tap, what: str, c: Runtime, archive: Path, ref: str, arch: str) -> None:
    t.equal(known(c, ref), {}, f"{what}: control: the image is not there")
    p = load(c, archive)
    if not t.ok(p.returncode == 0 and f"loaded {ref} into" in p.stdout, f"{what}: the archive is loaded", p):
        return
    image = known(c, ref)
    t.equal(image["id"].removeprefix("sha256:"), config_of(archive, arch).removeprefix("sha256:"), f"{what}: ... it is the archive's, for this architecture")
    r = c.run(ref, [], command=["/usr/bin/kubefence", "--version"])
    t.ok(r.code == 0 and r.out.startswith("kubefence "), f"{what}: ... and runs", r)
    t.ok(load(c, archive).returncode == 0, f"{what}: loading it again is no error")


def broken(t: Tap, c: Runtime, archive: Path, tmp: Path) -> None:
    """Nothing is imported that is not what it says."""
    bad = damaged(archive, tmp / "bad.tar", lambda n, d: d[:-1] + bytes([d[-1] ^ 1]) if n.startswith("blobs/") and len(d) < 4096 else d)
    p = load(c, bad)
    t.ok(p.returncode == 1 and "is damaged" in p.stderr, "a changed document is refused", p)
    p = load(c, damaged(archive, tmp / "none.tar", lambda n, d: None if n == "index.json" else d))
    t.ok(p.returncode == 1 and "has no index.json" in p.stderr, "an archive of something else is named", p)
    (tmp / "text").write_text("no archive\n" * 100)
    p = load(c, tmp / "text")
    t.ok(p.returncode == 1 and ("is no tar" in p.stderr or "has no index.json" in p.stderr), "a file that is no archive is named", p)
    p = load(c, tmp)
    t.ok(p.returncode == 1 and "give the archive beside the layout" in p.stderr, "a directory is named", p)
    p = load(c, tmp / "nowhere")
    t.ok(p.returncode == 1 and "No such file" in p.stderr, "a file that is not there is named", p)
    p = load(c, archive, "--name", "other:1")
    t.ok(p.returncode == 1 and "leave --name out" in p.stderr, "containerd takes no other name", p)


def run(t: Tap, archive: Path, tmp: Path) -> None:
    arch = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    ref = f"{NAME}:{(node.ROOT / 'VERSION').read_text().strip()}"
    for line in ("1.7", "2.4"):
        with Containerd(line, standard_paths=True) as c:
            Systemctl(c)
            if line == "2.4":  # before it has the layers
                bad = damaged(archive, tmp / "layer.tar", lambda n, d: d[:-1] + bytes([d[-1] ^ 1]) if len(d) > 65536 else d)
                p = load(c, bad)
                t.ok(p.returncode == 1 and "cannot import the image" in p.stderr, "a changed layer is refused by the importing program, and it is told", p)
            use(t, f"containerd {line}", c, archive, ref, arch)
            if line == "2.4":
                broken(t, c, archive, tmp)
                c.ctr("images", "tag", "--force", c.load(images.busybox()), ref)
                p = load(c, archive)
                t.ok(p.returncode == 0, "another image by the name is replaced", p)
                c.stop()
                p = load(c, archive)
                t.ok(p.returncode == 1, "a runtime that does not run is an error", p)
    with Crio() as c:
        Systemctl(c)
        use(t, "CRI-O", c, archive, ref, arch)
        p = load(c, archive, "--name", "localhost/kubefence:x")
        t.ok(p.returncode == 0 and known(c, "localhost/kubefence:x"), "CRI-O: by another name", p)
        c.put("/etc/containers/storage.conf", '[storage]\ndriver = "overlay"\nrunroot = "/run/elsewhere"\ngraphroot = "/run/elsewhere.root"\n')
        p = load(c, archive, "--name", "localhost/kubefence:y")
        t.ok(p.returncode == 1 and "keeps its images elsewhere" in p.stderr, "CRI-O: an image that went elsewhere is not taken for loaded", p)
        c.sh("rm /usr/bin/skopeo")  # of this namespace
        p = load(c, archive)
        t.ok(p.returncode == 1 and "skopeo is not on this node" in p.stderr, "CRI-O: without skopeo it says what is missing", p)
