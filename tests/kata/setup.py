# SPDX-License-Identifier: Apache-2.0
"""kubefence kata on nodes as kata-deploy leaves them, with the real containerd as judge."""
import fcntl
import functools
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import runtimes as kata_runtimes
import templates
from trees import BIN, HANDLER, IMPORTS, LAYOUTS, OURS, PREFIX, SECCOMP, KataNode, Layout
from node_root import GUARD, changed_files, runtimes
from doctor import checks, doctor
from lib import guest_image
from lib.wait import DEADLINE

KERNEL = b"\x7fELF" + b"kernel with landlock: Up and running.\n" * 200
ACCELERATORS = "kernel_irqchip=split"


@functools.cache
def rootfs(*options: str, spoil: str = "", mark: bytes = b"") -> bytes:
    """A root file system that Kata can boot, @mark somewhere where nothing is, spoiled or not."""
    with tempfile.TemporaryDirectory(prefix="kf-rootfs-") as d:
        path = guest_image.skeleton(f"{d}/image", *options)
        guest_image.patch(path, 16384, mark)
        return Path(guest_image.spoil(path, spoil) if spoil else path).read_bytes()


def images(n: KataNode) -> list[str]:
    d = n.path("/opt/kubefence/kata/images")
    return sorted(p.name for p in d.iterdir()) if d.exists() else []


def write(n: KataNode, name: str, data: bytes) -> str:
    n.write(f"/{name}", data)
    return str(n.path(f"/{name}"))


def handler(n: KataNode) -> dict:
    return runtimes(n.dump()).get(HANDLER, {})


def check_effective(t, n: KataNode, layout: Layout, name: str, sandbox: str = SECCOMP, guest: bool = True, **wanted) -> None:
    """What the runtime behind the handler makes of its files: as 'kubefence kata config' says, and locked."""
    import tomllib
    code, said, err = n.kata("config")
    k = kata_runtimes.load(n.path(layout.ours), layout.rust)
    t.equal(tomllib.loads(said["text"]) if code == 0 else err, kata_runtimes.plain(k.values), f"{name}: its configuration is what Kata computes")
    if not layout.rust:
        t.equal(kata_runtimes.decoded(n.path(layout.ours), "3.28" if layout.release == (3, 28) else "4.1"), k.fields, f"{name}: the Go runtime's own library decodes the same")
    t.ok(k.enable_annotations == [] and k.disable_guest_seccomp is not guest, f"{name}: no annotation counts, seccomp in the guest is {'on' if guest else 'off'}", k.values)
    t.equal(k.qemu("-sandbox"), [sandbox] if sandbox else [], f"{name}: QEMU's own seccomp sandbox is on its command line")
    for key, value in wanted.items():
        t.equal(getattr(k, key), value, f"{name}: {key}")
    t.equal(k.qemu("-machine"), [",".join(filter(None, ["q35,accel=kvm", k.machine_accelerators]))], f"{name}: the accelerators are those of QEMU's machine")


def one(t, tools, layout: Layout, line: str) -> None:
    name = f"{layout.name}{'' if layout.prefix == PREFIX else ' in ' + layout.prefix}, containerd {line}"
    kata = layout.options()
    with KataNode(tools.program("containerd", line), config=IMPORTS) as n:
        n.deploy(layout)
        n.register(layout, snapshotter="devmapper" if line != "2.0" else "overlayfs")
        kernel = write(n, "kernel", KERNEL)
        before, untouched = n.files(), n.dump()
        code, said, err = n.kata("status", *kata)
        found = {e["action"]: e["object"] for e in said["events"]}
        t.equal((found.get("kata"), found.get("runtime"), found.get("config")), (layout.version, layout.shim, layout.config), f"{name}: found")
        if not layout.landlock:
            code, said, err = n.kata("install", *kata)
            t.ok(code == 1 and "no Landlock" in err and "--kernel" in err and n.files() == before,
                 f"{name}: refused without a kernel that has Landlock", err)
        snapshot = n.snapshot()
        install = ("--kernel", kernel, "--accelerators", ACCELERATORS, *kata)
        code, said, err = n.kata("plan", *install)
        t.ok(code == 0 and said["state"] == "nothing was written" and n.snapshot() == snapshot,
             f"{name}: plan writes nothing", err or changed_files(snapshot, n.snapshot(), n.dir))

        code, said, err = n.kata("install", *install)
        if not t.ok(code == 0 and said["state"] == "done", f"{name}: installed", err):
            return
        mine = f"/opt/kubefence/kata/images/{images(n)[0]}" if images(n) else None
        t.ok(bool(mine) != layout.landlock, f"{name}: the kernel is {'not ' if layout.landlock else ''}replaced", images(n))
        theirs = {p: v for p, v in n.files().items() if p in before}
        t.equal(theirs, before, f"{name}: no file of anybody else's changed")
        dump = n.dump()
        h, theirs = handler(n), runtimes(dump)[f"kata-{layout.shim_name}"]
        t.ok(h["runtime_type"] == f"io.containerd.{HANDLER}.v2" and h["runtime_path"] == layout.shim
             and h["options"] == {"ConfigPath": layout.ours} and h["privileged_without_host_devices"],
             f"{name}: containerd has the handler", h)
        t.ok(h["pod_annotations"] == [] and h["container_annotations"] == [] and theirs["pod_annotations"],
             f"{name}: no pod annotation reaches Kata, beside kata-deploy's own handler", h)
        t.equal(h.get("snapshotter"), theirs.get("snapshotter"), f"{name}: it has the snapshotter of Kata's handler")
        platforms = dump["plugins"]["io.containerd.cri.v1.images"]["runtime_platforms"]
        t.equal(platforms.get(HANDLER), platforms[f"kata-{layout.shim_name}"], f"{name}: ... and images are unpacked for it as for Kata's")
        rest = n.dump()
        runtimes(rest).pop(HANDLER)
        for d in (rest, untouched):
            d.pop("imports", None)
            d["plugins"].pop("io.containerd.nri.v1.nri", None)
            d["plugins"]["io.containerd.cri.v1.images"].get("runtime_platforms", {}).pop(HANDLER, None)
        t.equal(rest, untouched, f"{name}: the rest of containerd's configuration is the same")
        check_effective(t, n, layout, name, default_memory=4096, kernel_params="agent.https_proxy=http://proxy:3128",
                        kernel=mine or f"{layout.share}/vmlinux.container", image=f"{layout.share}/kata-containers.img", machine_accelerators=ACCELERATORS)

        settled = n.snapshot()
        code, said, err = n.kata("install", *install)
        t.ok(code == 0 and said["state"] == "nothing to do" and n.snapshot() == settled,
             f"{name}: nothing to do the second time", err or changed_files(settled, n.snapshot(), n.dir))

        # Other values of kata.qemu.*: off, and Kata's own accelerators.
        code, said, err = n.kata("install", "--kernel", kernel, "--seccomp-sandbox", "", "--disable-guest-seccomp", *kata)
        t.ok(code == 0 and said["state"] == "done", f"{name}: other values", err)
        check_effective(t, n, layout, f"{name}, other values", sandbox="", guest=False, machine_accelerators="")

        # kata-deploy comes again with another release, and removes nothing of the old one that it does not replace.
        newer = Layout("4.2.0", layout.rust, layout.prefix)
        n.deploy(newer, memory=3072, dropins={"22-k0s-kubelet-root.toml": "[runtime]\nkubelet_root_dir = '/k'\n"})
        n.register(newer)
        theirs = {p: v for p, v in n.files().items() if not p.startswith("opt/kubefence") and "kubefence" not in p}
        code, said, err = n.kata("install", *install)
        t.ok(code == 0 and said["state"] == "done", f"{name}: configured again after an upgrade", err)
        check_effective(t, n, newer, f"{name}, upgraded", default_memory=3072, kernel_params="cgroup_no_v1=all systemd.unified_cgroup_hierarchy=1",
                        kernel=f"{layout.share}/vmlinux.container")
        names = [f"10-kata-deploy-{f}" for f in sorted(os.listdir(n.path(f"{newer.dir}/config.d")))] + ["50-kubefence.toml"]
        t.equal(sorted(os.listdir(n.path(f"{OURS}/config.d"))), names, f"{name}: drop-ins that kata-deploy took away are gone")
        t.equal(images(n), [], f"{name}: a kernel that is not needed any more is gone")
        t.ok(handler(n).get("snapshotter", "") == "" and HANDLER not in n.dump()["plugins"]["io.containerd.cri.v1.images"].get("runtime_platforms", {}),
             f"{name}: the handler follows Kata's", handler(n))

        code, said, err = n.kata("uninstall")
        t.ok(code == 0 and said["state"] == "done", f"{name}: uninstalled", err)
        t.equal(n.files(), theirs, f"{name}: undone byte by byte")
        t.ok(not n.path("/opt/kubefence").exists(), f"{name}: no directory of ours is left")


def upgrade(t, tools) -> None:
    """3.28 becomes 4.1 under our handler: kata-deploy lays the new release over the old one, whose VERSION stays."""
    old, rust = Layout("3.28.0"), Layout("4.1.0", rust=True)
    with KataNode(tools.program("containerd", "2.4"), config=IMPORTS) as n:
        n.deploy(old)
        n.register(old)
        kernel, image = write(n, "kernel", KERNEL), write(n, "rootfs", rootfs())
        install = ("--kernel", kernel, "--image", image, "--image-for", "3.28.")
        code, said, err = n.kata("install", *install)
        t.ok(code == 0 and len(images(n)) == 2, "upgrade: 3.28 with the kernel and the root file system for it", err)

        both = Layout("4.1.0")
        n.deploy(both)
        n.deploy(rust)
        n.register(both, rust)
        t.equal(n.read(f"{PREFIX}/VERSION"), b"3.28.0\n", "control: what told the release before is still there, and wrong")
        code, said, err = n.kata("install", *install)
        notes = [e["detail"] for e in said["events"] if e["action"] == "note"]
        t.ok(code == 0 and images(n) == [] and handler(n)["options"]["ConfigPath"] == both.ours, "upgrade: the handler follows to 4.1", err)
        t.ok(any("for Kata 3.28, here is 4.1.0" in x and "kata.rootfsImage" in x for x in notes) and any("own guest kernel has Landlock" in x for x in notes),
             "upgrade: that kernel and root file system are not used any more is said, with what to set", notes)
        check_effective(t, n, both, "upgrade, Go beside Rust")
        said = n.kata("status")[1]
        found = checks(doctor("-o", "json", "--handler", HANDLER, root=n.dir)[1])["Kata's guest kernel has Landlock"]
        t.ok(found["result"] == "warning" and "is for Kata 3.28, here is 4.1.0" in found["error"] and "kata.rootfsImage" in found["error"]
             and any(e["action"] == "note" and "Kata 3.28" in e["detail"] for e in said["events"]), "upgrade: ... by doctor and status as well", (found, said))

        # Only the default shim, which is Rust's in 4.1; the old Go runtime lies there all the same.
        n.deploy(old)
        n.deploy(rust)
        n.register(rust)
        code, said, err = n.kata("install", *install)
        left = [e for e in said["events"] if e["object"] == old.config]
        h = handler(n)
        t.ok(code == 0 and h["runtime_path"] == rust.shim and h["options"]["ConfigPath"] == rust.ours, "upgrade: Rust alone: the handler changes its runtime", err or h)
        t.ok(left and "left it behind" in left[0]["detail"], "upgrade: ... what an upgrade left behind is named", said["events"])
        check_effective(t, n, rust, "upgrade, Rust alone")
        t.ok(not n.path(old.ours).exists(), "upgrade: ... the Go configuration of the handler is gone")
        settled = n.snapshot()
        code, said, err = n.kata("install", *install)
        t.ok(said.get("state") == "nothing to do" and n.snapshot() == settled, "upgrade: nothing to do the second time", said)

        # kata-deploy removes or renames its handlers (multiInstallSuffix); ours stays.
        n.register()
        code, said, err = n.kata("install", *install)
        t.ok(code == 0 and handler(n)["options"]["ConfigPath"] == rust.ours, "upgrade: Kata's own handlers are gone, ours stays", err)
        n.register(rust, suffix="-dev", snapshotter="devmapper")
        code, said, err = n.kata("install", *install)
        t.ok(code == 0 and handler(n)["snapshotter"] == "devmapper", "upgrade: one of another name is followed", err or handler(n))
        code, said, err = n.kata("install", "--image", image, "--image-for", "4.1.")
        t.ok(code == 0 and len(images(n)) == 1 and not n.path("/run/kubefence/kata-note").exists(), "upgrade: a root file system of the release is used, nothing is left to say", err)
        theirs = {p: v for p, v in n.files().items() if not p.startswith("opt/kubefence") and "kubefence" not in p}
        code, said, err = n.kata("uninstall")
        t.ok(code == 0 and n.files() == theirs, "upgrade: uninstalled byte by byte", err)


def keys(t, tools, everything: bool) -> None:
    """A key that the runtime does not know is an error and nothing is written, on every release and for both runtimes."""
    cases = {
        # What is set, who knows it: (Go, Rust); "since" as (3, 29).
        "[hypervisor.qemu]\nseccompsandbox = 'on'\n": (True, False),
        "[hypervisor.qemu]\nseccomp_sandbox = 'on'\n": (False, True),
        "[hypervisor.qemu]\nmachine_acelerators = 'x'\n": (False, False),
        "[hypervisor.qemu]\nSeccompSandbox = 'on'\n": (False, False),
        "[hypervisor.qemu]\ndisable_guest_seccomp = false\n": (False, False),
        "[runtime]\ndisable_guest_seccomp = false\n": (True, True),
        "[runtime]\nenable_annotations = []\n": (False, False),
        "[agent.kata]\ndial_timeout = 9\n": (True, False),
        "[agent.kata]\ndial_timeout_ms = 9\n": (False, True),
        "[hypervisor.qemu]\nfile_mem_backend = ''\n": (lambda r: r < (3, 32), lambda r: r < (3, 32)),
        "[hypervisor.qemu]\ncold_plug_vfio = 'no-port'\n": (True, lambda r: r >= (3, 31)),
        "[hypervisor.qemu.factory]\nenable_template = false\n": (False, True),
        "[factory]\nenable_template = false\n": (True, False),
        "[hypervisr.qemu]\nkernel = ''\n": (False, False),
        "[hypervisor.clh]\nwhatever = 1\n": (True, True),
    }
    for layout in LAYOUTS:
        with KataNode(tools.program("containerd", "2.4"), config=IMPORTS) as n:
            n.deploy(layout, dropins={})
            kernel = write(n, "kernel", KERNEL)
            clean, wrong = n.files(), []
            for text, known in cases.items():
                want = known[layout.rust]
                want = want(layout.release) if callable(want) else want
                n.write(f"{layout.dir}/config.d/50-user-overrides.toml", text)
                code, said, err = n.kata("plan", "--kernel", kernel)
                named = "50-user-overrides.toml:" in err and "does not know" in err
                if (code == 0) != want or (not want and not named):
                    wrong.append((text, want, code, err))
            # All that Kata's own configuration has, as a drop-in.
            release = ".".join(map(str, layout.release))
            n.write(f"{layout.dir}/config.d/50-user-overrides.toml", templates.dropin(templates.keys(release, layout.rust)))
            code, said, err = n.kata("plan", "--kernel", kernel)
            t.equal((code, err), (0, ""), f"keys, {layout.name}: every key of Kata's own configuration is known")
            for key in templates.UNREAD.get((release, layout.rust), ()):
                n.write(f"{layout.dir}/config.d/50-user-overrides.toml", f"[hypervisor.qemu]\n{key} = ''\n")
                code, said, err = n.kata("plan", "--kernel", kernel)
                t.ok(code == 1 and f"does not know '{key}'" in err, f"keys, {layout.name}: ... but {key}, which it does not read", err)
            n.path(f"{layout.dir}/config.d/50-user-overrides.toml").unlink()
            t.ok(not wrong and n.files() == clean, f"keys, {layout.name}: {len(cases)} drop-ins of a user's: what the runtime does not know is named", wrong)
            code, said, err = n.kata("install", "--kernel", kernel)
            n.write(f"{OURS}/config.d/90-mine.toml", f"[hypervisor.qemu]\n{'seccompsandbox' if layout.rust else 'seccomp_sandbox'} = 'on'\n")
            if not layout.rust:
                try:
                    kata_runtimes.decoded(n.path(layout.ours), release)
                    refused = False
                except kata_runtimes.Refused as e:
                    refused = "90-mine.toml" in str(e) and "seccomp_sandbox" in str(e)
                t.ok(refused, f"keys, {layout.name}: control: the Go runtime's own decoding fails on it")
            code, said, err = n.kata("install", "--kernel", kernel)
            t.ok(code == 1 and "90-mine.toml:2" in err and f"there it is called {layout.seccomp}" in err,
                 f"keys, {layout.name}: ... also behind ours; the right name is told", err)
    with KataNode(tools.program("containerd", "2.4"), config=IMPORTS) as n:
        newer = Layout("4.2.0")
        n.deploy(newer, dropins={"50-user-overrides.toml": "[hypervisor.qemu]\nnew_in_42 = 1\n"})
        t.equal(n.kata("plan")[0], 0, "keys: a release newer than the table may have keys that nobody knew")
        n.write(f"{newer.dir}/config.d/50-user-overrides.toml", "[hypervisor.qemu]\nseccomp_sandbox = 'on'\n")
        t.equal(n.kata("plan")[0], 1, "keys: ... but not those of the other runtime")
    with KataNode(tools.program("containerd", "2.4"), config=IMPORTS) as n:
        rust = Layout("4.1.0", rust=True)
        n.deploy(rust, dropins={})
        n.write("/etc/elsewhere.toml", "[runtime]\nenable_debug = true\n")
        n.link(f"{rust.dir}/config.d/60-link.toml", "/etc/elsewhere.toml")
        code, said, err = n.kata("plan")
        t.ok(code == 1 and "60-link.toml" in err and "regular file" in err, "keys: a link as a drop-in, which the Rust runtime refuses", err)


def removal(t, tools) -> None:
    layout = Layout("4.1.0")
    with KataNode(tools.program("containerd", "2.4"), config=IMPORTS) as n:
        def handlers(*args: str) -> dict:
            return checks(doctor("-o", "json", *args, root=n.dir)[1])["handlers of virtual machines are ours"]

        before = n.files()
        n.deploy(layout)
        n.register(layout)
        t.ok(handlers("--handler", "kata-qemu")["result"] == "warning" and "kata-qemu" in handlers("--handler", "kata-qemu")["error"],
             "doctor: sandboxing Kata's own handler is a warning", handlers("--handler", "kata-qemu"))
        n.kata("install")
        t.equal(handlers("--handler", HANDLER)["result"], "success", "doctor: our handler is fine")
        n.remove()
        found = handlers("--handler", HANDLER)
        t.ok(found["result"] == "error" and "Kata is gone" in found["error"], "doctor: ... unless Kata is gone", found)
        snapshot = n.snapshot()
        code, said, err = n.kata("install")
        t.ok(code == 1 and "kata-deploy" in err and n.snapshot() == snapshot, "removal: install says that Kata is gone", err)
        code, said, err = n.kata("status")
        t.ok(any("Kata is gone" in e["detail"] for e in said["events"]), "removal: so does status", said)
        t.ok(handler(n), "removal: containerd still accepts its configuration")
        code, said, err = n.kata("uninstall")
        t.ok(code == 0 and n.files() == before, "removal: uninstall works without Kata, byte by byte", err or said)


def with_node(t, tools, line: str, config: bytes) -> None:
    """Both commands on one node, in either order; also where the root file is edited in place."""
    layout, where = Layout("4.1.0"), f"with node set-up, containerd {line}"
    for first in ("node", "kata"):
        with KataNode(tools.program("containerd", line), config=config) as n:
            n.deploy(layout)
            before = n.files()
            n.node("install", "--handler", "nono-runc", "--nri-socket", "/run/nri/own.sock")
            nri = n.dump()["plugins"]["io.containerd.nri.v1.nri"]
            code, said, err = n.kata("install")
            t.ok(code == 0, f"{where}: installed", err)
            all_ = runtimes(n.dump())
            t.ok(all_["nono-runc"]["options"]["BinaryName"] == GUARD and all_[HANDLER]["options"]["ConfigPath"] == layout.ours,
                 f"{where}: both handlers", all_)
            t.equal(n.dump()["plugins"]["io.containerd.nri.v1.nri"], nri, f"{where}: NRI stays as node set-up made it")
            code, said, err = n.node("install", "--handler", "nono-runc", "--handler", HANDLER, "--nri-socket", "/run/nri/own.sock")
            all_ = runtimes(n.dump())
            t.ok(code == 0 and all_[HANDLER]["options"] == {"ConfigPath": layout.ours},
                 f"{where}: node set-up leaves the machine's handler alone", err or all_[HANDLER])
            settled = n.snapshot()
            code, said, err = n.kata("install")
            t.ok(said.get("state") == "nothing to do" and n.snapshot() == settled, f"{where}: nothing to do for kata", said)
            code, said, err = n.node("install", "--handler", "nono-runc", "--handler", HANDLER, "--nri-socket", "/run/nri/own.sock")
            t.ok(said.get("state") == "nothing to do" and n.snapshot() == settled, f"{where}: nor for node",
                 changed_files(settled, n.snapshot(), n.dir))
            code, said, err = getattr(n, first)("uninstall")
            left = runtimes(n.dump())
            gone, stays = ("nono-runc", HANDLER) if first == "node" else (HANDLER, "nono-runc")
            t.ok(code == 0 and gone not in left and stays in left, f"{where}: {first} taken back alone", err or said)
            t.ok(n.path(GUARD).exists() == (first == "kata") and n.path(layout.ours).exists() == (first == "node"),
                 f"{where}: and its files only", said)
            code, said, err = getattr(n, "kata" if first == "node" else "node")("uninstall")
            t.ok(code == 0 and n.files() == before, f"{where}: the other as well, byte by byte", err or said)


def early(t, tools) -> None:
    """Handlers with Kata's names are not made from runc's."""
    with KataNode(tools.program("containerd", "2.4"), config=IMPORTS) as n:
        code, said, err = n.node("install", "--handler", "nono-runc", "--handler", "kata-qemu", "--handler", HANDLER)
        names = set(runtimes(n.dump()))
        t.ok(code == 0 and "nono-runc" in names and not {"kata-qemu", HANDLER} & names,
             "before Kata: node set-up makes no runc handler with the name of a machine's", err or names)
        t.ok(sum(e["action"] == "note" and "Kata" in e["detail"] for e in said["events"]) == 2, "before Kata: and says so", said)


def image(t, tools) -> None:
    layout = Layout("3.28.0")
    with KataNode(tools.program("containerd", "2.4"), config=IMPORTS) as n:
        n.deploy(layout, verity='kernel_verity_params = "root_hash=abc"')
        kernel, image = write(n, "kernel", KERNEL), write(n, "rootfs", rootfs())
        code, said, err = n.kata("install", "--kernel", kernel, "--image", image)
        t.ok(code == 0 and len(images(n)) == 2, "images: kernel and root file system installed", err)
        first = {i: n.path(f"/opt/kubefence/kata/images/{i}").stat() for i in images(n)}
        check_effective(t, n, layout, "images", rootfs_type="ext4", kernel_verity_params="",
                        image="/opt/kubefence/kata/images/" + next(i for i in images(n) if i.startswith("rootfs")))
        held = open(n.path("/opt/kubefence/kata/images/" + next(i for i in first if i.startswith("rootfs"))), "rb")
        write(n, "rootfs", rootfs(mark=b"new"))
        code, said, err = n.kata("install", "--kernel", kernel, "--image", image)
        t.ok(code == 0 and len(images(n)) == 2 and held.read() == rootfs(),
             "images: a new one has another name, who has the old one mapped keeps it", err or images(n))
        t.ok(all(n.path(f"/opt/kubefence/kata/images/{i}").stat().st_ino == s.st_ino for i, s in first.items() if i.startswith("vmlinux")),
             "images: what is the same is not written again")

        def refused(what: str, message: str, *args: str) -> None:
            settled = n.snapshot()
            code, said, err = n.kata("install", *args)
            changed = [c for c in changed_files(settled, n.snapshot(), n.dir) if c not in ("", "/bad")]
            t.ok(code == 1 and message in err and not changed, f"images: {what} is refused, nothing written", err or changed)
        for what, data, message in (("no kernel", b"hello" * 2000, "no kernel"), ("one without Landlock", b"\x7fELF" * 3000, "without Landlock"),
                                    ("an empty one", b"", "usable size")):
            refused(what, message, "--kernel", write(n, "bad", data), "--image", image)
        refused("a root file system that is none", "no DAX header", "--kernel", kernel, "--image", write(n, "bad", b"x" * 9000))
        for what, message in (("without DAX header", "DAX header"), ("without journal", "no journal"), ("with a read-only /tmp", "/tmp is read-only")):
            refused(f"a root file system {what}", message, "--kernel", kernel, "--image", write(n, "bad", rootfs(spoil=what)))
        # What the handler's own command line says decides.
        n.deploy(layout, dropins={"50-user-overrides.toml": "[hypervisor.qemu]\ndisable_image_nvdimm = true\n"})
        write(n, "bad", rootfs(spoil="without DAX header"))
        code, said, err = n.kata("plan", "--kernel", kernel, "--image", write(n, "bad", rootfs(spoil="without DAX header")))
        t.equal(code, 0, "images: without NVDIMM no DAX header is needed")
        n.deploy(layout, dropins={"50-user-overrides.toml": "[hypervisor.qemu]\nkernel_params = 'root=/dev/vda'\n"})
        code, said, err = n.kata("plan", "--kernel", kernel, "--image", write(n, "bad", rootfs(spoil="without DAX header")))
        t.ok(code == 0 and any("not checked" in e["detail"] for e in said["events"]), "images: with a command line of one's own it is not checked, and that is said", err or said)
        rust = Layout("3.28.0", rust=True)
        n.deploy(rust, dropins={"50-user-overrides.toml": "[hypervisor.qemu]\nvm_rootfs_driver = 'virtio-blk-pci'\n"})
        code, said, err = n.kata("plan", "--kernel", kernel, "--config", rust.config, "--image", n.path("/bad"))
        t.equal(code, 0, "images: nor with the Rust runtime's driver for a disk")
        n.kata("uninstall")
        t.ok(not n.path("/opt/kubefence").exists(), "images: uninstall takes them away")


def follows(t, tools) -> None:
    """install --every: as the DaemonSet runs it."""
    layout = Layout("3.28.0")
    with KataNode(tools.program("containerd", "2.4"), config=IMPORTS) as n:
        kernel, image = write(n, "kernel", KERNEL), write(n, "rootfs", rootfs())
        ready = n.path("/ready")
        cmd = [BIN / "kubefence", "kata", "install", "--host-root", n.dir, "--no-restart", "--every", "1", "--ready-file", ready,
               "--kernel", kernel, "--image", image, "--image-for", "3.28."]
        check = [BIN / "kubefence", "node", "agent", "--check", "--ready-file", ready]

        def until(what: str, condition) -> None:
            deadline = time.monotonic() + DEADLINE
            while not condition() and time.monotonic() < deadline:
                time.sleep(0.05)
            t.ok(condition(), what, p.poll())

        def is_ready() -> bool:
            return subprocess.run(list(map(str, check)), capture_output=True).returncode == 0
        p = subprocess.Popen(list(map(str, cmd)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until("follows: without Kata it waits, not ready", lambda: ready.exists() and not is_ready())
        n.deploy(layout)
        until("follows: registers once Kata is there", lambda: is_ready() and n.path(layout.ours).exists() and len(images(n)) == 2)
        newer = Layout("4.1.0")
        n.remove()
        n.deploy(newer, memory=3333)
        until("follows: an upgrade, without the kernel and the root file system of the old release",
              lambda: b"3333" in (n.read(newer.ours) or b"") and images(n) == [])
        n.write("/run/kubefence/uninstalling", "")
        n.kata("uninstall")
        stopped = n.files()
        until("follows: not while the node is taken back", lambda: is_ready() and b"taken back" in (n.read("/ready") or b""))
        mine = {f: v for f, v in n.files().items() if f.startswith("opt/kubefence")}
        t.ok(not mine and not any(f.startswith("opt/kubefence") for f in stopped), "follows: nothing came back", mine)
        p.terminate()
        t.equal(p.wait(timeout=DEADLINE), 0, "follows: SIGTERM ends it")


def fetched(t, tools) -> None:
    """fetch: what an init container of the kernel's or the root file system's image does."""
    for what, name, data in (("kernel", "vmlinux-6.18.35-190", KERNEL), ("image", "kata-containers.img", rootfs())):
        with KataNode() as n:
            n.write(f"/{name}", data)
            n.write("/vmlinux.txt", "no kernel")
            shutil.copy2(BIN / "kubefence", n.path("/kubefence"))
            p = subprocess.run(["chroot", str(n.dir), "/kubefence", "kata", "fetch", what, "/images/x"], capture_output=True, text=True)
            t.ok(p.returncode == 0 and n.read("/images/x") == data, f"fetch: {what}", p.stderr)
            n.path(f"/{name}").unlink()
            p = subprocess.run(["chroot", str(n.dir), "/kubefence", "kata", "fetch", what, "/images/y"], capture_output=True, text=True)
            t.ok(p.returncode == 1 and not n.path("/images/y").exists(), f"fetch: an image without a {what} is an error", p.stderr)


def locks(t, tools) -> None:
    layout = Layout("4.1.0")
    with KataNode(tools.program("containerd", "2.4"), config=IMPORTS) as n:
        n.deploy(layout)
        n.write("/run/lock/kata-deploy.lock", b"")
        for command in ("kata", "node"):
            with open(n.path("/run/lock/kata-deploy.lock"), "r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                cmd = [BIN / "kubefence", command, "install", "--host-root", n.dir, "--no-restart"]
                p = subprocess.Popen(list(map(str, cmd)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                # It is at the lock when it has its own, which comes first.
                deadline = time.monotonic() + DEADLINE
                while time.monotonic() < deadline and not waits(p.pid, n.path("/run/lock/kata-deploy.lock")):
                    time.sleep(0.02)
                t.ok(waits(p.pid, n.path("/run/lock/kata-deploy.lock")) and p.poll() is None,
                     f"lock: {command} waits while kata-deploy is at work")
            p.communicate(timeout=60)
            t.equal(p.returncode, 0, f"lock: {command} goes on afterwards")

    with KataNode(tools.program("containerd", "2.4"), config=IMPORTS) as n:
        code, said, err = n.kata("install")
        t.ok(code == 1 and "kata-deploy" in err and not n.path("/opt").exists(), "wait: without Kata an error at once", err)
        started = threading.Event()

        def later():
            started.wait()
            n.write(layout.shim, "", 0o755)  # first a part of it
            n.deploy(layout)
        worker = threading.Thread(target=later)
        worker.start()
        cmd = [BIN / "kubefence", "kata", "install", "--wait", "60", "--host-root", n.dir, "--no-restart", "-o", "json"]
        p = subprocess.Popen(list(map(str, cmd)), stdout=subprocess.PIPE, text=True)
        started.set()
        out, _ = p.communicate(timeout=90)
        worker.join()
        t.ok(p.returncode == 0 and json.loads(out)["state"] == "done", "wait: installed as soon as kata-deploy is done", out)


def waits(pid: int, path) -> bool:
    """Whether process @pid has @path open, which it has while it waits for the lock."""
    try:
        return any(os.path.samefile(f"/proc/{pid}/fd/{fd}", path) for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False


def crio(t, tools) -> None:
    import tomllib
    layout = Layout("4.1.0", rust=True)
    with KataNode() as n:
        n.crio("[crio]\n")
        n.deploy(layout)
        before = n.files()
        code, said, err = n.kata("install")
        text = (n.read("/etc/crio/crio.conf.d/90-kubefence.conf") or b"").decode()
        got = tomllib.loads(text)["crio"] if code == 0 else {}
        t.equal(got.get("runtime", {}).get("runtimes", {}).get(HANDLER), {
            "runtime_path": layout.shim, "runtime_type": "vm", "runtime_root": "/run/vc",
            "runtime_config_path": layout.ours, "privileged_without_host_devices": True, "allowed_annotations": [],
        }, "CRI-O: the handler is registered in a drop-in")
        t.ok(got and got["nri"]["enable_nri"] and "nri_listen" not in got["nri"], "CRI-O: NRI is on, its paths stay as they are", text or err)
        settled = n.snapshot()
        code, said, err = n.kata("install")
        t.ok(said.get("state") == "nothing to do" and n.snapshot() == settled, "CRI-O: nothing to do the second time", said or err)
        code, said, err = n.kata("uninstall")
        t.ok(code == 0 and n.files() == before, "CRI-O: undone byte by byte", err or said)


def refused(t, tools) -> None:
    with KataNode(tools.program("containerd", "2.4"), config=IMPORTS) as n:
        layout = Layout("4.1.0")
        n.deploy(layout)
        n.path(layout.shim).unlink()
        code, said, err = n.kata("install")
        t.ok(code == 1 and "kata-deploy done" in err, "refused: configuration without its runtime", err)
        n.deploy(layout, dropins={})
        n.write(layout.config, "[hypervisor.clh]\npath = 'x'\n")
        code, said, err = n.kata("install")
        t.ok(code == 1 and "hypervisor.qemu" in err, "refused: another hypervisor", err)
        # What is left to tell the release.
        n.deploy(layout, dropins={})
        n.write(layout.shim, b"no program", 0o755)
        t.equal(n.kata("plan")[0], 0, "the kernel's own configuration tells without a version")
        code, said, err = n.kata("plan", "--image", write(n, "rootfs", rootfs()), "--image-for", "4.1.")
        t.ok(code == 0 and any("an unknown release" in e["detail"] for e in said["events"]), "... a root file system for one release is not used then, and that is said", said)
        n.write(f"{PREFIX}/VERSION", "4.1.0\n")
        code, said, err = n.kata("plan", "--image", write(n, "rootfs", rootfs()), "--image-for", "4.1.")
        t.ok(code == 0 and not any("not used" in e["detail"] for e in said["events"]), "... VERSION tells where the runtime cannot be asked", said)
        n.write(f"{PREFIX}/VERSION", "nonsense\n")
        code, said, err = n.kata("plan")
        t.ok(code == 1 and "no version of Kata" in err, "refused: a VERSION that is none", err)
        n.path(f"{PREFIX}/VERSION").unlink()
        for f in n.path(layout.share).glob("config-*"):
            f.unlink()
        code, said, err = n.kata("install")
        t.ok(code == 1 and "no Landlock" in err, "refused: neither version nor kernel configuration tells of Landlock", err)
        for bad in ("Kata", "a/b", "..", "x" * 64):
            code, said, err = n.kata("install", "--handler", bad)
            t.ok(code == 1, f"refused: handler '{bad[:8]}'", err)
        t.ok(not n.path("/opt/kubefence/kata").exists(), "refused: nothing was written")


def run(t, tools, everything: bool) -> None:
    lines = ["2.4"] if not everything else ["2.0", "2.1", "2.2", "2.3", "2.4"]
    for line in lines:
        for layout in LAYOUTS:
            t.case(f"{layout.name} {line}", one, t, tools, layout, line)
    for layout in (Layout("4.1.0", prefix="/alt/opt/kata"), Layout("4.1.0", rust=True, prefix="/opt/kata-dev")) if not everything else \
            [Layout(x.version, x.rust, prefix) for x in LAYOUTS for prefix in ("/alt/opt/kata", "/opt/kata-dev")]:
        t.case(f"{layout.name} {layout.prefix}", one, t, tools, layout, "2.4")
    t.case("upgrade", upgrade, t, tools)
    t.case("keys", keys, t, tools, everything)
    t.case("removal", removal, t, tools)
    v2 = b'version = 2\n# somebody\'s\n[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]\n  runtime_type = "io.containerd.runc.v2"\n'
    for line, config in [("2.4", IMPORTS), ("1.7", v2)] + ([("2.4", b"version = 3\n"), ("2.2", v2)] if everything else []):
        t.case(f"with node {line}", with_node, t, tools, line, config)
    for fn in (early, image, follows, fetched, locks, crio, refused):
        t.case(fn.__name__, fn, t, tools)
