# SPDX-License-Identifier: Apache-2.0
"""kubefence kata on nodes as kata-deploy leaves them, with the real containerd as judge."""
import fcntl
import json
import os
import shutil
import subprocess
import threading
import time

from merge import effective
from node_root import GUARD, changed_files, runtimes
from trees import (BIN, DROPINS, HANDLER, IMPORTS, LAYOUTS, OURS, PREFIX, SECCOMP, SHARE,
                   KataNode, Layout)
from doctor import checks, doctor
from lib.wait import DEADLINE

KERNEL = b"\x7fELF" + b"kernel with landlock: Up and running.\n" * 200
ROOTFS = b"\0" * 0x438 + b"\x53\xef" + b"\0" * 8192


def images(n: KataNode) -> list[str]:
    d = n.path("/opt/kubefence/kata/images")
    return sorted(p.name for p in d.iterdir()) if d.exists() else []


def write(n: KataNode, name: str, data: bytes) -> str:
    n.write(f"/{name}", data)
    return str(n.path(f"/{name}"))


def handler(n: KataNode) -> dict:
    return runtimes(n.dump()).get(HANDLER, {})


def check_effective(t, n: KataNode, layout: Layout, name: str, **keys) -> None:
    import tomllib
    code, said, err = n.kata("config")
    got = tomllib.loads(said["text"]) if code == 0 else {}
    t.equal(got, effective(n.path(layout.ours)), f"{name}: its configuration is what Kata computes")
    q, r = got["hypervisor"]["qemu"], got["runtime"]
    t.ok(q["enable_annotations"] == [] and r["disable_guest_seccomp"] is False and q["seccompsandbox"] == SECCOMP,
         f"{name}: no annotation counts, seccomp in guest and QEMU", got)
    for key, value in keys.items():
        t.equal(q.get(key), value, f"{name}: {key}")


def one(t, tools, layout: Layout, line: str) -> None:
    name = f"{layout.name}, containerd {line}"
    with KataNode(tools.program("containerd", line), config=IMPORTS) as n:
        n.deploy(layout)
        n.register(layout, "devmapper" if line != "2.0" else "overlayfs")
        kernel = write(n, "kernel", KERNEL)
        before, untouched = n.files(), n.dump()
        if not layout.landlock:
            code, said, err = n.kata("install")
            t.ok(code == 1 and "no Landlock" in err and "--kernel" in err and n.files() == before,
                 f"{name}: refused without a kernel that has Landlock", err)
        snapshot = n.snapshot()
        code, said, err = n.kata("plan", "--kernel", kernel)
        t.ok(code == 0 and said["state"] == "nothing was written" and n.snapshot() == snapshot,
             f"{name}: plan writes nothing", err or changed_files(snapshot, n.snapshot(), n.dir))

        code, said, err = n.kata("install", "--kernel", kernel)
        if not t.ok(code == 0 and said["state"] == "done", f"{name}: installed", err):
            return
        mine = f"/opt/kubefence/kata/images/{images(n)[0]}" if images(n) else None
        t.ok(bool(mine) != layout.landlock, f"{name}: the kernel is {'not ' if layout.landlock else ''}replaced", images(n))
        kata = {p: v for p, v in n.files().items() if p in before}
        t.equal(kata, before, f"{name}: no file of anybody else's changed")
        h, theirs = handler(n), runtimes(n.dump())[f"kata-{layout.shim_name}"]
        t.ok(h["runtime_type"] == f"io.containerd.{HANDLER}.v2" and h["runtime_path"] == layout.shim
             and h["options"] == {"ConfigPath": layout.ours} and h["privileged_without_host_devices"],
             f"{name}: containerd has the handler", h)
        t.ok(h["pod_annotations"] == [] and h["container_annotations"] == [] and theirs["pod_annotations"],
             f"{name}: no pod annotation reaches Kata, beside kata-deploy's own handler", h)
        t.equal(h.get("snapshotter"), theirs.get("snapshotter"), f"{name}: it has the snapshotter of Kata's handler")
        rest = n.dump()
        runtimes(rest).pop(HANDLER)
        for d in (rest, untouched):
            d.pop("imports", None)
            d["plugins"].pop("io.containerd.nri.v1.nri", None)
        t.equal(rest, untouched, f"{name}: the rest of containerd's configuration is the same")
        check_effective(t, n, layout, name, default_memory=4096, kernel_params="agent.https_proxy=http://proxy:3128",
                        kernel=mine or f"{SHARE}/vmlinux.container", image=f"{SHARE}/kata-containers.img")

        settled = n.snapshot()
        code, said, err = n.kata("install", "--kernel", kernel)
        t.ok(code == 0 and said["state"] == "nothing to do" and n.snapshot() == settled,
             f"{name}: nothing to do the second time", err or changed_files(settled, n.snapshot(), n.dir))

        # kata-deploy comes again, with another release, and rewrites all that is its own.
        newer = Layout("4.2.0", layout.rust, layout.kconfig)
        n.remove()
        n.deploy(newer, memory=3072, dropins={"22-kubelet-root.toml": "[runtime]\nkubelet_root_dir = '/k'\n"})
        n.register(newer, "overlayfs")
        theirs = {p: v for p, v in n.files().items() if not p.startswith("opt/kubefence") and "kubefence" not in p}
        code, said, err = n.kata("install", "--kernel", kernel)
        t.ok(code == 0 and said["state"] == "done", f"{name}: configured again after an upgrade", err)
        check_effective(t, n, newer, f"{name}, upgraded", default_memory=3072, kernel_params="",
                        kernel=f"{SHARE}/vmlinux.container")
        t.ok(sorted(os.listdir(n.path(f"{OURS}/config.d"))) == ["10-kata-deploy-22-kubelet-root.toml", "50-kubefence.toml"],
             f"{name}: drop-ins that kata-deploy took away are gone", os.listdir(n.path(f"{OURS}/config.d")))
        t.equal(images(n), [], f"{name}: a kernel that is not needed any more is gone")
        t.ok(handler(n).get("snapshotter", "") in ("", "overlayfs"), f"{name}: the handler follows Kata's", handler(n))

        code, said, err = n.kata("uninstall")
        t.ok(code == 0 and said["state"] == "done", f"{name}: uninstalled", err)
        t.equal(n.files(), theirs, f"{name}: undone byte by byte")
        t.ok(not n.path("/opt/kubefence").exists(), f"{name}: no directory of ours is left")


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
        kernel, rootfs = write(n, "kernel", KERNEL), write(n, "rootfs", ROOTFS)
        code, said, err = n.kata("install", "--kernel", kernel, "--image", rootfs)
        t.ok(code == 0 and len(images(n)) == 2, "images: kernel and root file system installed", err)
        first = {i: n.path(f"/opt/kubefence/kata/images/{i}").stat() for i in images(n)}
        check_effective(t, n, layout, "images", rootfs_type="ext4", kernel_verity_params="",
                        image="/opt/kubefence/kata/images/" + next(i for i in images(n) if i.startswith("rootfs")))
        held = open(n.path("/opt/kubefence/kata/images/" + next(i for i in first if i.startswith("rootfs"))), "rb")
        write(n, "rootfs", ROOTFS + b"new")
        code, said, err = n.kata("install", "--kernel", kernel, "--image", rootfs)
        t.ok(code == 0 and len(images(n)) == 2 and held.read() == ROOTFS,
             "images: a new one has another name, who has the old one mapped keeps it", err or images(n))
        t.ok(all(n.path(f"/opt/kubefence/kata/images/{i}").stat().st_ino == s.st_ino for i, s in first.items() if i.startswith("vmlinux")),
             "images: what is the same is not written again")
        for what, data, message in (("no kernel", b"hello" * 2000, "no kernel"), ("one without Landlock", b"\x7fELF" * 3000, "without Landlock"),
                                    ("an empty one", b"", "usable size")):
            settled = n.snapshot()
            bad = write(n, "bad", data)
            code, said, err = n.kata("install", "--kernel", bad, "--image", rootfs)
            changed = [c for c in changed_files(settled, n.snapshot(), n.dir) if c not in ("", "/bad")]
            t.ok(code == 1 and message in err and not changed, f"images: {what} is refused, nothing written", err or changed)
        code, said, err = n.kata("install", "--kernel", kernel, "--image", write(n, "bad", b"x" * 9000))
        t.ok(code == 1 and "neither an ext4" in err, "images: a root file system that is none is refused", err)
        n.kata("uninstall")
        t.ok(not n.path("/opt/kubefence").exists(), "images: uninstall takes them away")


def follows(t, tools) -> None:
    """install --every: as the DaemonSet runs it."""
    layout = Layout("3.28.0", kconfig=True)
    with KataNode(tools.program("containerd", "2.4"), config=IMPORTS) as n:
        kernel, rootfs = write(n, "kernel", KERNEL), write(n, "rootfs", ROOTFS)
        ready = n.path("/ready")
        cmd = [BIN / "kubefence", "kata", "install", "--host-root", n.dir, "--no-restart", "--every", "1", "--ready-file", ready,
               "--kernel", kernel, "--image", rootfs, "--image-for", "3.28."]
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
    for what, name, data in (("kernel", "vmlinux-6.18.35-190", KERNEL), ("image", "kata-containers.img", ROOTFS)):
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
        n.deploy(layout)
        n.write(layout.config, "[hypervisor.clh]\npath = 'x'\n")
        code, said, err = n.kata("install")
        t.ok(code == 1 and "hypervisor.qemu" in err, "refused: another hypervisor", err)
        n.deploy(layout)
        n.path(f"{PREFIX}/VERSION").unlink()
        code, said, err = n.kata("install")
        t.ok(code == 0, "the kernel's own configuration tells without a version" if layout.kconfig else "", err) if layout.kconfig else \
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
    t.case("removal", removal, t, tools)
    v2 = b'version = 2\n# somebody\'s\n[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]\n  runtime_type = "io.containerd.runc.v2"\n'
    for line, config in [("2.4", IMPORTS), ("1.7", v2)] + ([("2.4", b"version = 3\n"), ("2.2", v2)] if everything else []):
        t.case(f"with node {line}", with_node, t, tools, line, config)
    for fn in (early, image, follows, fetched, locks, crio, refused):
        t.case(fn.__name__, fn, t, tools)
