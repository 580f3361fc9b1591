# SPDX-License-Identifier: Apache-2.0
"""Whatever way a process comes through the guard, it is sandboxed; the bare runtime is the control."""
import json
import os

from lib_guard import PLAIN, PROBE, RECORDS, SANDBOXED, answers, kubelet
from parts import main


def with_token(node, b):
    """A mount as the kubelet's of a token, and a file of the image below the same denied place."""
    d = node.dir / "token"
    d.mkdir(exist_ok=True)
    (d / "token").write_text("secret\n")
    b.config["mounts"].append(
        {"destination": "/run/secrets", "type": "bind", "source": str(d), "options": ["rbind", "ro"]})
    return b


def first_process(t, node):
    control = node.run(with_token(node, node.bundle(["sh", "-c", PROBE])).write(), True)
    t.equal(answers(control), PLAIN, "the control may do everything")
    b = with_token(node, node.bundle(["sh", "-c", PROBE])).write()
    r = node.run(b)
    t.equal(answers(r), SANDBOXED, "run is sandboxed")
    t.equal(r.err, "", "nothing is said on stderr")
    t.equal(r.code, 0, "the exit status is the command's")
    t.equal(answers(node.run(b)), SANDBOXED, "the same bundle a second time is sandboxed, once")
    t.equal(b.read()["process"]["args"][9:], ["sh", "-c", PROBE], "and its arguments did not grow")
    image = {"/run/secrets/token": b"of the image\n"}
    t.equal(answers(node.run(node.bundle(["sh", "-c", PROBE], image).write())), SANDBOXED,
            "a denied path of the image is masked")


def entering_processes(t, node):
    bare = node.start(with_token(node, node.bundle(["sleep", "3600"])).write(), bare=True)
    cid = node.start(with_token(node, node.bundle(["sleep", "3600"])).write())
    image_mask = {"token": False}
    for file in (True, False):
        how = "with a process file" if file else "with arguments"
        t.equal(answers(node.exec(bare, "sh", "-c", "cd /work; " + PROBE, file=file, bare=True))["etc"], True,
                f"the control's exec {how} may write /etc")
        r = node.exec(cid, "sh", "-c", "cd /work; " + PROBE, file=file)
        t.equal(answers(r), {**SANDBOXED, **image_mask}, f"exec {how} is sandboxed")
        r = node.exec(cid, "sh", "-c", "exit 7", file=file)
        t.equal((r.code, r.err), (7, ""), f"exec {how} ends with the command's status")
    prefix = ("/nono/nono", "wrap", "--profile", "default", "--", "sh", "-c", "cd /work; " + PROBE)
    for file in (True, False):
        t.equal(answers(node.exec(cid, *prefix, file=file)), SANDBOXED, f"the plugin's prefix is replaced (file={file})")
    if not node.is_crun:  # which refuses the flag with a value
        r = node.call("exec", "--no-new-privs=false", "--cwd", "/work", cid, "sh", "-c", PROBE)
        t.equal(answers(r), SANDBOXED, "exec cannot take no-new-privs away")
    p = node.dir / "process.json"
    before = {"args": ["true"], "cwd": "/work", "env": ["A=1"], "user": {"uid": 0, "gid": 0},
              "rlimits": [{"type": "RLIMIT_CORE", "hard": 18446744073709551615, "soft": 1}], "unknown": {"x": [1.50, None]}}
    p.write_text(json.dumps(before))
    p.chmod(0o600)
    inode = p.stat().st_ino
    t.equal(node.call("exec", "--process", p, cid).code, 0, "exec with a process file of all kinds of values")
    after = json.loads(p.read_text())
    t.ok(p.stat().st_ino != inode and p.stat().st_mode & 0o777 == 0o600, "the file is replaced by rename, mode kept")
    t.equal(sorted(x for x in os.listdir(node.dir) if "process" in x), ["process.json"], "and nothing is left beside it")
    t.equal((after.pop("args")[9:], after.pop("env"), after.pop("noNewPrivileges")),
            (before.pop("args"), before.pop("env") + ["NONO_PROFILE=default"], True), "edited as planned")
    t.equal(after, before, "all else is equal")


def config_is_otherwise_equal(t, node):
    b = with_token(node, node.bundle(["true"]))
    b.config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"]}
    b.config["annotations"] = {"a/b": "c\"d\\e\u00fc\u2028", "A/B": "maps may differ in case"}
    b.config["x-numbers"] = [18446744073709551615, -9223372036854775808, 1.5, 1e300, 0.1]
    b.write()
    r = node.run(b)
    t.equal(r.code, 0, "runs")
    got, want = b.read(), b.original
    text = (b.dir / "config.json").read_text()
    t.ok("a\\/b" not in text and "18446744073709551615" in text, "slashes are not escaped, numbers keep their text")
    t.equal(got["process"].pop("args")[9:], want["process"].pop("args"), "args are wrapped")
    t.equal(got["process"].pop("env"), want["process"].pop("env") + ["NONO_PROFILE=default"], "NONO_PROFILE is added")
    t.equal((got["process"].pop("noNewPrivileges"), want["process"].pop("noNewPrivileges", False)), (True, False), "no_new_privs is set")
    mounts = [m for m in want.pop("mounts") if m["destination"] not in ("/run/secrets", kubelet.TOKEN)]
    for m in mounts:
        if m["destination"] in kubelet.POD_FILES:
            m["options"].append("ro")
    mounts.sort(key=lambda m: m["destination"] == "/proc")
    ours = [i for i, m in enumerate(got["mounts"]) if m["destination"].split("/")[1] == "nono"]
    t.ok(ours and ours == list(range(len(mounts) - 1, len(got["mounts"]) - 1)) and
         all({"ro", "nosuid", "nodev"} <= set(got["mounts"][i]["options"]) for i in ours),
         "/nono is mounted behind all else but /proc, read-only", got["mounts"])
    rest = [m for i, m in enumerate(got.pop("mounts")) if i not in ours]
    t.equal(rest, mounts, "the denied mounts are gone, the pod's files are read-only, /proc comes last")
    masked, before = got["linux"].pop("maskedPaths"), want["linux"].pop("maskedPaths")
    t.ok(masked[:len(before)] == before and "/run/secrets" in masked[len(before):], "denied paths are masked as well", masked)
    t.equal(got["linux"].pop("readonlyPaths"), want["linux"].pop("readonlyPaths") + ["/proc/dynamic_debug"], "what else is the kernel's own in /proc is closed")
    t.equal(json.loads(got["annotations"].pop("nono.sh/seccomp")), want["linux"].pop("seccomp"),
            "the runtime is not given the pod's seccomp policy; the bundle keeps it")
    t.equal(got, want, "all else is equal")


def files_of_the_pod(t, node):
    """/etc/hosts and the like are shared with the pod's other containers, wherever the image's symlinks put them."""
    names = " ".join(kubelet.POD_FILES)
    script = ["sh", "-c", f'for f in {names}; do (echo x >>$f) 2>/dev/null && echo $f; done; cat {names} >/dev/null && echo read']

    def run(etc, bare=False, **annotations):
        b = node.bundle(script)
        if etc != "etc":
            (b.rootfs / "etc").rename(b.rootfs / etc)
            (b.rootfs / "etc").symlink_to(f"/{etc}")
        b.config["annotations"] = annotations
        return node.run(b.write(), bare).out.split()

    for etc in ("etc", "usr", "work/etc"):
        t.equal(run(etc, bare=True), [*kubelet.POD_FILES, "read"], f"/etc at /{etc}: control: the pod's files are written")
        t.equal(run(etc), ["read"], f"/etc at /{etc}: they are read only")
    rules = ("fs rx-root", "fs r /proc", "fs rw /dev/null", "fs volumes")
    node.profile("default", *rules)
    node.profile("names", *rules, "fs rw /etc/hosts")
    t.equal(run("etc"), ["read"], "fs volumes grants no writing of them")
    t.equal(run("etc", **{"nono.sh/profile": "names"}), ["/etc/hosts", "read"], "a profile that names one writes it")


def exceptions(t, node):
    """What a profile names below a path that it denies: that, and nothing beside it, for who enters later too."""
    rules = ("fs rx-root", "fs r /proc", "fs rw ~", "fs volumes", "fs rw /dev/null")
    node.profile("default", *rules)
    node.profile("except", *rules, "fs r ~/.ssh/known_hosts", "fs deny ~/.ssh")
    node.profile("kept", *rules, "fs rx ~/.docker", "fs readonly ~/.docker/")
    probe = ["sh", "-c", "for f in .ssh/known_hosts .ssh/id .docker/config; do cat ~/$f >/dev/null && echo r $f; ( : >>~/$f ) && echo w $f; done; "
             "( : >~/.ssh/new ) && echo new; rm -f ~/.ssh/new"]
    image = {"/home/user/.ssh/id": b"key\n", "/home/user/.ssh/known_hosts": b"host\n", "/home/user/.docker/config": b"{}\n"}
    docker = ["r .docker/config", "w .docker/config"]
    everything = ["r .ssh/known_hosts", "w .ssh/known_hosts", "r .ssh/id", "w .ssh/id", *docker, "new"]

    def lines(r) -> list:
        return r.out.splitlines()

    def bundle(profile: str, args: list):
        b = node.bundle(args, image)
        b.config["annotations"] = {"nono.sh/profile": profile}
        return b

    t.equal(lines(node.run(bundle("default", probe).write())), everything, "control: without a denial all of it is read and written")
    t.equal(lines(node.run(bundle("except", probe).write())), ["r .ssh/known_hosts", *docker], "a file below a denied directory, and nothing beside it")
    t.equal(lines(node.run(bundle("kept", probe).write())), [x for x in everything if x != "w .docker/config"], "a directory that was lifted to be read is read only")
    cid = node.start(bundle("except", ["sleep", "60"]).write())
    t.equal(lines(node.exec(cid, *probe)), ["r .ssh/known_hosts", *docker], "who enters gets the same")
    # A Secret as a volume: what it mounts at the denied path stays mounted for the sake of the file.
    b = bundle("except", probe)
    source = b.dir / "secret"
    source.mkdir()
    for name in ("id", "known_hosts"):
        (source / name).write_text("x")
        (source / name).chmod(0o666)
    source.chmod(0o777)
    b.config["mounts"].append({"destination": "/home/user/.ssh", "type": "bind", "source": str(source), "options": ["rbind", "rw"]})
    t.equal(lines(node.run(b.write())), ["r .ssh/known_hosts", *docker], "a volume at the denied path: the file, and nothing beside it")


def profiles(t, node):
    node.profile("default", "fs rx-root", "fs r /proc", "fs rw /tmp", "fs rw ~")
    node.profile("open", "fs rx-root", "fs rw /etc", "fs rw /tmp", "fs r /proc")
    node.profile("closed", "fs rx-root", "fs r /proc", "fs rw ~", "fs deny ~/.ssh", "fs deny /etc/passwd")
    probe = ["sh", "-c", "echo x >/etc/kf && echo etc=yes; cat /home/user/.ssh/id && echo ssh=yes; grep -q root /etc/passwd && echo pw=yes; true"]
    image = {"/home/user/.ssh/id": b"key\n"}

    def run(annotations, **kw):
        b = node.bundle(probe, image, **kw)
        b.config["annotations"] = annotations
        return node.run(b.write())

    t.equal("etc" in run({}).out, False, "the default profile")
    t.equal("etc" in run({"nono.sh/profile": "open"}).out, True, "the pod's profile")
    named = {"nono.sh/profile": "default", "nono.sh/profile.app": "open",
             "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.container-name": "app"}
    t.equal("etc" in run(named).out, True, "the container's own profile")
    out = run({}).out
    t.ok("ssh=yes" in out and "pw=yes" in out, "the control reads ~/.ssh and passwd", out)
    out = run({"nono.sh/profile": "closed"}).out
    t.ok("ssh=yes" not in out and "pw=yes" not in out and "key" not in out, "~ and files are masked", out)
    # What only the mask can do: a place in a granted directory is closed, its siblings need not exist yet.
    node.profile("masked", "fs rx-root", "fs r /proc", "fs rw /data", "fs deny /data/secret")
    b = node.bundle(["sh", "-c", "echo x >/data/new && echo new; cat /data/secret/key"], {"/data/secret/key": b"key\n"})
    b.config["annotations"] = {"nono.sh/profile": "masked"}
    r = node.run(b.write())
    t.ok(r.out == "new\n" and "secret/key" in r.err, "beside a masked directory files can be made", r)
    b = node.bundle(probe, image)
    b.config["annotations"] = {"nono.sh/profile": "open"}
    b.config["process"]["args"] = ["sleep", "3600"]
    cid = node.start(b.write())
    node.settings(allowed=["default"])
    t.equal("etc" in node.exec(cid, *probe).out, True, "exec has the profile of create, whatever is allowed since")
    for annotations, why in (({"nono.sh/profile": "open"}, "not allowed"), ({"nono.sh/profile": "nope"}, "nope"),
                             ({"nono.sh/profile": "../x"}, "is not a profile name")):
        r = run(annotations)
        t.ok(r.code == 1 and why in r.err and not r.out, f"refused: {why}", r)
    node.settings()
    path = node.profile("open", "fs rx-root")
    path.write_text(path.read_text().replace("rx-root", "rwx-homes"))
    r = run({"nono.sh/profile": "open"})
    t.ok(r.code == 1 and "checksum" in r.err, "a damaged profile refuses", r)
    path.unlink()
    path.symlink_to("default")
    t.equal(run({"nono.sh/profile": "open"}).code, 1, "a symlink for a profile refuses")
    path.unlink()
    path.write_text((path.parent / "default").read_text())
    t.equal(run({"nono.sh/profile": "open"}).code, 1, "a profile under another's name refuses")
    node.profile("open", "fs rx-root")
    path.chmod(0o666)
    t.equal(run({"nono.sh/profile": "open"}).code, 1, "a profile that others may write refuses")
    path.chmod(0o644)
    t.equal(run({"nono.sh/profile": "open"}).code, 0, "and the control runs")


def pause_container(t, node):
    for family in ({"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "ID"},
                   {"io.kubernetes.cri-o.ContainerType": "sandbox", "io.kubernetes.cri-o.SandboxID": "ID"}):
        cid = node.id()
        b = node.bundle(["sleep", "3600"])
        b.config["annotations"] = {k: v.replace("ID", cid) for k, v in family.items()}
        b.write()
        node.start(b, cid=cid)
        t.equal(b.read(), b.original, "the pause container passes untouched")
        r = node.exec(cid, "true")
        t.ok(r.code == 255 and "pause" in r.err, "and nothing enters it", r)
        t.equal(node.delete(cid).code, 0, "and it is deleted")


def exec_denied(t, node):
    cid = node.start(node.bundle(["sleep", "3600"]).write())
    t.equal(node.exec(cid, "true").code, 0, "the control: exec works")
    node.settings(exec_="deny")
    for file in (True, False):
        r = node.exec(cid, "true", file=file)
        t.ok(r.code == 255 and "deny" in r.err, f"exec = deny refuses (file={file})", r)


def records(t, node):
    before = set(os.listdir(RECORDS)) if RECORDS.is_dir() else set()
    cid = node.start(node.bundle(["sleep", "3600"]).write())

    def mine():
        return [p for p in RECORDS.iterdir() if p.name not in before and f"id {cid}\n" in p.read_text()]

    t.equal(len(mine()), 1, "create leaves a record")
    text = mine()[0].read_text()
    t.ok("profile default\n" in text and f"runtime {node.runtime}\n" in text and f"root {node.root}\n" in text, "of all that exec needs", text)
    t.equal((mine()[0].stat().st_mode & 0o777, RECORDS.stat().st_mode & 0o777), (0o600, 0o700), "for root only")
    refused = node.call("delete", cid)
    bare = node.start(node.bundle(["sleep", "3600"]).write(), bare=True)
    t.equal((refused.code, len(mine())), (node.call("delete", bare, bare=True).code, 1), "a refused delete keeps it")
    r = node.call("create", "--bundle", node.bundle(["true"]).write().dir, cid)
    t.ok(r.code and len(mine()) == 1 and mine()[0].read_text() == text, "a second create of the ID fails and keeps it", r)
    t.equal((node.delete(cid).code, mine()), (0, []), "delete drops it")
    r = node.exec(bare, "true")
    t.ok(r.code == 255 and "not created through the guard" in r.err, "exec into a container that is not ours is refused", r)


main([first_process, entering_processes, config_is_otherwise_equal, files_of_the_pod, exceptions, profiles, pause_container, exec_denied, records])
