# SPDX-License-Identifier: Apache-2.0
"""The commands that root types on a node: a machine of its own namespaces, with the real containerd."""
import json
import os
import re
import subprocess
import tarfile
from pathlib import Path

import commands
from lib import auditlog, images, node, tools
from lib.containerd import Containerd
from lib.systemctl import Systemctl
from lib.tap import Tap
from play import play

DENIAL = {"time": "2026-11-28T18:55:32", "namespace": "team", "pod": "builder-0", "container": "main", "profile": "strict", "kind": "file",
          "rule": {"filesystem": {"grant": [{"path": "/srv/cache/x", "access": "r"}]}}}


BUILD = '{"extends": "strict", "filesystem": {"write": ["/srv/cache"]}}'


def unpack(image: images.Image, to: Path) -> None:
    """The files of an image, as a user unpacks them."""
    to.mkdir()
    layout = to.with_name("layout")
    layout.mkdir()
    with tarfile.open(image.tar) as tar:
        tar.extractall(layout, filter="fully_trusted")
    for layer in json.loads(manifest(layout))["layers"]:
        with tarfile.open(layout / "blobs" / layer["digest"].replace(":", "/")) as tar:
            tar.extractall(to, filter="fully_trusted")


def manifest(layout: Path) -> str:
    digest = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
    return (layout / "blobs" / digest.replace(":", "/")).read_text()


def jsonc(page: str, n: int) -> str:
    """The n-th JSON of a page; profiles may have comments."""
    return re.findall(r"^```jsonc\n(.*?)^```", (commands.ROOT / page).read_text(), re.DOTALL | re.MULTILINE)[n]


def files(where: Path) -> None:
    """What the pages say that the reader has."""
    (where / "mine.json").write_text(jsonc("docs/egress-pods.md", 0))
    (where / "build.json").write_text(BUILD)
    (where / "old.json").write_text('{"extends": "strict"}')
    (where / "new.json").write_text('{"extends": "default"}')
    (where / "profile.json").write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    (where / "Makefile").write_text("all:\n\tcat /etc/hostname >/dev/null\n")
    unpack(images.busybox(), where / "unpacked-image")
    (where / "out").mkdir()
    subprocess.run([commands.ROOT / "images/build.py", where / "out/image"], check=True, capture_output=True)


def run(t: Tap, pages: list[str]) -> None:
    c = Containerd(network=True, standard_paths=True)
    c.handlers.pop("nono-runc")  # node set-up registers it
    with auditlog.ours(), c:  # a page turns the audit log on
        Systemctl(c)
        c.load(images.busybox())
        c.write("/run/kubefence/denials/log", json.dumps(DENIAL) + "\n")  # as the feed of a node keeps them
        path = f"{node.BIN}:{tools.program('runc').parent}:{c.bin}:{os.environ['PATH']}"
        for file in sorted({b.file for b in commands.every()}):
            todo = [x for b in commands.every() if b.file == file and not b.reason for x in zip(b.places(), b.commands()) if x[0] == "node"]
            if not todo or pages and file not in pages:
                continue
            where = c.dir / "home" / file.replace("/", "-")
            where.mkdir(parents=True)
            files(where)
            for _, command in todo:
                if "--to build.json" in command:
                    (where / "build.json").unlink(missing_ok=True)
                elif "diff strict build.json" in command:  # of a program that needs more than ours
                    (where / "build.json").write_text(BUILD)
                play(t, file, command, lambda argv, at=where: c.inside(["env", "-C", at, *argv]), {}, env={"PATH": path, "HOME": str(where)}, deadline=300)
                if "profile init trainer" in command:  # the reader writes what the page shows into it
                    (where / "trainer.json").write_text(jsonc("docs/profiles.md", 0))
