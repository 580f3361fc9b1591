# SPDX-License-Identifier: Apache-2.0
"""kubefence kata verify on a running containerd, with runc's shim in Kata's place: what it finds must be just that."""
import json
import subprocess
from pathlib import Path

from lib import guest_image
from lib.containerd import Containerd
from trees import BIN, OURS, PREFIX, SHARE, Layout

# runc's shim does not take Kata's kind of options; what Kata would refuse is in the file "refuse".
CTR = """#!/bin/sh
grep -qs . /opt/refuse && while read -r word message; do
	case " $* " in *"$word"*) echo "$message" >&2; exit 1 ;; esac
done </opt/refuse
skip=
for a; do
	shift
	if [ "$skip" ]; then skip=; continue; fi
	if [ "$a" = --runtime-config-path ]; then skip=1; continue; fi
	set -- "$@" "$a"
done
exec /opt/containerd/bin/ctr.real "$@"
"""


def run(t, tools, everything: bool) -> None:
    layout = Layout("4.1.0")
    with Containerd("2.4", standard_paths=True) as c:
        c.install(c.bin / "containerd", "/opt/containerd/bin/containerd")
        c.install(c.bin / "ctr", "/opt/containerd/bin/ctr.real")
        c.host("/opt/containerd/bin/ctr").write_text(CTR)
        c.host("/opt/containerd/bin/ctr").chmod(0o755)
        c.install(BIN / "nono", "/opt/nono-nri/nono")
        c.install(c.bin / "containerd-shim-runc-v2", layout.shim)
        image = c.host(f"{SHARE}/kata-containers.img")
        for path, text in ((f"{PREFIX}/VERSION", "4.1.0\n"), (layout.config, layout.text()), (f"{SHARE}/x", "")):
            c.host(path).parent.mkdir(parents=True, exist_ok=True)
            c.host(path).write_text(text)
        guest_image.skeleton(image)

        # ctr is looked for beside the containerd that runs.
        c.stop()
        c.bin = Path("/opt/containerd/bin")
        c.start()

        def kata(command: str, *args: str):
            cmd = [BIN / "kubefence", "kata", command, "-o", "json", "--distribution", "containerd", *args]
            p = subprocess.run(c.inside(list(map(str, cmd))), capture_output=True, text=True, timeout=300)
            return p.returncode, json.loads(p.stdout) if p.stdout.startswith("{") else {}, p.stderr + p.stdout

        code, said, err = kata("verify")
        t.ok(code == 1 and "not registered" in err, "verify: without a handler", err)
        code, said, err = kata("install", "--no-restart")
        t.ok(code == 0, "verify: installed", err)
        def findings():
            code, said, err = kata("verify")
            found = {e["object"]: (e["action"], e["detail"]) for e in said.get("events", [])}
            return code, found, {o: a for o, (a, _) in found.items() if not o.startswith("/")}

        code, found, short = findings()
        t.ok(code == 1 and short.get("a sandboxed container starts") == "ok" and short.get("the sandbox holds in it") == "ok",
             "verify: a container starts with the handler's runtime, the sandbox holds from inside", found)
        t.equal({short.get(k) for k in ("the runtime knows every key", "no annotation counts", "seccomp in the guest", "QEMU's own seccomp sandbox",
                                           "the image boots under Kata's command line")}, {"ok"}, "verify: what needs no machine is fine")
        t.equal(short.get("in a virtual machine"), "fail", "verify: that it is no virtual machine does not escape it")
        t.equal(short.get("annotations cannot change the machine"), "fail", "verify: nor that an annotation is accepted")
        t.equal(found.get("a bare container starts", ("", ""))[0], "note", "verify: a guest without a policy is told about")
        t.ok(not c.host("/run/kubefence/kata-verify").exists(), "verify: nothing is left behind",
             c.sh("find /run/kubefence").out)

        c.host("/opt/refuse").write_text("kernel_params annotation is not enabled\n")
        code, found, short = findings()
        t.equal(short.get("annotations cannot change the machine"), "ok", "verify: an annotation that is refused")
        ctr = c.host("/opt/containerd/bin/ctr")
        ctr.write_text(CTR.replace("skip=\nfor", 'case "$*" in *"kubefence-verify /bin/"*) echo "CreateContainerRequest is blocked by policy" >&2; exit 1 ;; esac\nskip=\nfor'))
        code, found, short = findings()
        t.equal(short.get("a bare container is refused by the agent"), "ok", "verify: a bare container that the agent's policy refuses")
        t.ok(short.get("the sandbox holds in it") == "ok", "verify: beside a sandboxed one that starts", found)

        for what, reason in (("without DAX header", "DAX header"), ("without journal", "no journal"), ("with a read-only /tmp", "/tmp is read-only")):
            guest_image.spoil(guest_image.skeleton(image), what)
            code, found, short = findings()
            why = found.get("the image boots under Kata's command line", ("", ""))
            t.ok(code == 1 and why[0] == "fail" and reason in why[1], f"verify: an image {what} is named", why)
        guest_image.skeleton(image)

        c.host(f"{OURS}/config.d/90-user.toml").write_text("[hypervisor.qemu]\nseccomp_sandbox = 'on'\nseccompsandbox = ''\n")
        code, found, short = findings()
        t.ok("90-user.toml:2" in found.get("the runtime knows every key", ("", ""))[1] and short.get("QEMU's own seccomp sandbox") == "note",
             "verify: a key of the other runtime's, QEMU's sandbox switched off", found)
        c.host(f"{OURS}/config.d/90-user.toml").write_text('[hypervisor.qemu]\nenable_annotations = ["kernel_params"]\n[runtime]\ndisable_guest_seccomp = true\n')
        c.host(layout.ours).write_text("[hypervisor.qemu]\n")
        code, found, short = findings()
        t.ok(short.get("no annotation counts") == "fail" and short.get("seccomp in the guest") == "fail",
             "verify: a drop-in that sorts behind ours", found)
        t.equal(found.get(layout.ours, ("",))[0], "fail", "verify: a file that somebody changed")
