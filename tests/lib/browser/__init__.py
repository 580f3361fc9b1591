# SPDX-License-Identifier: Apache-2.0
"""A real browser, without a window: Debian's Chromium, driven by Playwright, with axe-core for what people with disabilities need.

    with Browser() as b:
        seen = b.look("http://127.0.0.1:1/", scheme="dark", width=390, axe=True, picture="out/pictures/x.png")

Chromium lies in a root file system of Debian packages (tests/workloads/roots.py), the rest comes from npm, once, into the cache.
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TESTS = HERE.parents[1]
PLAYWRIGHT, AXE = "1.65.1", "4.14.1"
# A view of the root with this machine's processes, devices and temporary files, which ends with the browser.
WRAPPER = """#!/bin/sh
exec unshare -m --propagation private sh -c '
for d in proc dev tmp; do mount --rbind /$d "$0/$d" || exit 1; done
exec chroot "$0" /usr/bin/chromium "$@"' {root} "$@"
"""


def _packages():
    sys.path[:0] = [str(TESTS / "agents"), str(TESTS / "workloads")]
    try:
        import packages
        import roots
    finally:
        del sys.path[:2]
    return packages, roots


def _npm(packages, name: str, version: str) -> Path:
    def install(where: str) -> None:
        programs = f"{packages.node()}/bin"
        subprocess.run([f"{programs}/npm", "install", "--prefix", where, "--no-audit", "--no-fund", "--loglevel=error", f"{name}@{version}"],
                       check=True, cwd=where, env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"})

    return Path(packages.once(f"{name}-{version}", install)) / "node_modules"


class Browser:
    def __enter__(self):
        packages, roots = _packages()
        playwright, axe = _npm(packages, "playwright", PLAYWRIGHT), _npm(packages, "axe-core", AXE) / "axe-core/axe.min.js"
        self.dir = tempfile.TemporaryDirectory(prefix="kf-browser-")
        chromium = Path(self.dir.name, "chromium")
        chromium.write_text(WRAPPER.format(root=roots.debian("languages")))
        chromium.chmod(0o755)
        self.log = open(f"{self.dir.name}/log", "w+", encoding="utf-8", errors="replace")
        self.process = subprocess.Popen([f"{packages.node()}/bin/node", HERE / "drive.js", playwright, chromium, axe], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.log, text=True)
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(60)
        self.log.close()
        self.dir.cleanup()

    def look(self, url: str, width: int = 1280, height: int = 900, scheme: str = "light", picture: Path | str | None = None, **job) -> dict:
        """Open @url and tell what there is.

        until: JavaScript that becomes true; steps: [{fill|select: SELECTOR, text}, {click: SELECTOR}, {until}]; value: JavaScript whose value
        comes back; axe: look for what hinders people; whole: the picture has the page to its end.  Answers "said" (the console), "asked"
        (addresses), "overflow" (pixels that the page is too wide), "violations"; "failed" raises.
        """
        if picture:
            Path(picture).parent.mkdir(parents=True, exist_ok=True)
        self.process.stdin.write(json.dumps({"url": url, "width": width, "height": height, "scheme": scheme,
                                             "picture": str(picture) if picture else None, **job}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"failed": "the browser has ended"}
        if "failed" in answer:
            self.log.seek(0)
            raise RuntimeError(f"{url}: {answer['failed']}\n{self.log.read()[-2000:]}")
        return answer
