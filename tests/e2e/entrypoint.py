# SPDX-License-Identifier: Apache-2.0
"""Images made for the Go implementation: their entry point is a shell script that calls /nono/nono itself.

Under every built-in profile, with plugin and guard together and with the plugin alone, on a real containerd and runc."""
import subprocess

from lib import images, node
from lib.containerd import Containerd, CriError
from lib.tap import Tap

# Its convention: the profile's name in the environment, and "default" without.
ENTRY = """#!/bin/sh
exec /nono/nono wrap --profile "${NONO_PROFILE:-default}" -- "$@"
"""
IMAGE = "localhost/kubefence/entry:1"
SAY = ["/bin/sh", "-c", "echo up $NONO_PROFILE; grep NoNewPrivs: /proc/self/status; (echo x >/etc/kf) 2>/dev/null && echo written; exit 7"]


def profiles() -> list[str]:
    out = subprocess.run([node.BIN / "kubefence", "profile", "list"], check=True, capture_output=True, text=True).stdout
    return [line.split()[0] for line in out.splitlines() if line.strip() and line.split()[0].islower()]


def entries(t: Tap, c: Containerd, image: str, how: str) -> None:
    wrong = {}
    names = profiles()
    for name in names:
        try:
            r = c.run(image, SAY, handler="nono-runc", annotations={"nono.sh/profile": name})
            said = (r.code, r.out.split())
        except CriError as e:
            said, r = (0, []), str(e)
        if said != (7, ["up", name, "NoNewPrivs:", "1"]):
            wrong[name] = r
    t.ok(len(names) > 12, f"{how}: the profiles are found", names)
    t.equal(wrong, {}, f"{how}: an image whose entry point calls /nono/nono runs under each of {len(names)} profiles, arguments and exit status kept")
    r = c.run(image, SAY, handler="nono-runc")
    t.ok((r.code, r.out.split()) == (7, ["up", "default", "NoNewPrivs:", "1"]), f"{how}: ... and under the default one", r)


def run(t: Tap) -> None:
    for how, handlers in (("plugin and guard", node.GUARDED), ("plugin alone", {})):
        with Containerd(handlers=handlers) as c:
            node.install(c, guard=bool(handlers))
            image = c.load(images.build(IMAGE, {"usr/local/bin/entry.sh": images.File(ENTRY.encode(), 0o755)}, base=images.busybox(),
                                        Entrypoint=["/usr/local/bin/entry.sh"]))
            r = c.run(image, ["true"], handler="runc")
            t.ok(r.code == 127, f"{how}: control: without us there is no /nono/nono", r)
            c.host("/run/profiles").mkdir()  # so that it publishes those that are built in
            plugin = node.Plugin(c, profiles_dir="/run/profiles").start()
            entries(t, c, image, how)
            plugin.stop()
