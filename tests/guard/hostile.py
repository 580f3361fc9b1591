# SPDX-License-Identifier: Apache-2.0
"""Images, pods and bundles that try to get something run outside the sandbox."""
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from lib_guard import DEADLINE, PROBE, SANDBOXED, answers, summed
from parts import main

# Written by a program of the attacker's that runs instead of the launcher.
EVIL = b"#!/bin/sh\necho EVIL >/etc/evil; echo EVIL\n"


def sandboxed(t, node, b, what):
    r = node.run(b.write())
    t.ok(answers(r) == SANDBOXED and "EVIL" not in r.out and not (b.rootfs / "etc/evil").exists(), f"{what}: sandboxed", r)


def closed(t, node, b, what, *flags):
    """Sandboxed or not running; and no program of the attacker's."""
    r = node.run(b.write(), False, *flags)
    evil = "EVIL" in r.out or (b.rootfs / "etc/evil").exists()
    t.ok(not evil and (answers(r) == SANDBOXED or r.code != 0 and not r.out), f"{what}: sandboxed or not running", r)


def refused(t, node, b, why, what):
    b.config["process"]["args"] = ["sh", "-c", "echo RAN"]
    text = b.config if isinstance(b.config, str) else json.dumps(b.config)
    (b.dir / "config.json").write_text(text)
    r = node.run(b)
    t.ok(r.code == 1 and why in r.err and "RAN" not in r.out, f"{what}: refused", r)


def bind(source, destination, **kw):
    return {"destination": destination, "type": "bind", "source": str(source), "options": ["rbind", "rw"], **kw}


def images_with_a_nono(t, node):
    for what, image in (("symlink", {"/nono": Path("/tmp/a/b")}), ("file", {"/nono": EVIL}),
                        ("directory", {"/nono/nono": EVIL, "/nono/profiles/default": b"nono-policy 1\nname default\nfs rwx /etc\n"})):
        sandboxed(t, node, node.bundle(["sh", "-c", PROBE], image), f"/nono of the image is a {what}")
    volume = node.dir / "volume"
    volume.mkdir()
    (volume / "nono").write_bytes(EVIL)
    (volume / "nono").chmod(0o755)
    b = node.bundle(["sh", "-c", PROBE], {"/nono": None, "/x/y": Path("/nono")})
    b.config["mounts"].append(bind(volume, "/x/y"))
    sandboxed(t, node, b, "a volume that a symlink leads to /nono")


def volumes_over_the_descriptor(t, node):
    """The launcher is /proc/self/fd/3: put something else there."""
    volume = node.dir / "volume"
    (volume / "self/fd").mkdir(parents=True)
    (volume / "fd").mkdir()
    for p in ("3", "fd/3", "self/fd/3"):
        (volume / p).write_bytes(EVIL)
        (volume / p).chmod(0o755)
    for destination in ("/proc", "/proc/self/fd", "/proc/1", "/x/../proc/self"):
        b = node.bundle(["sh", "-c", PROBE])
        b.config["mounts"].append(bind(volume, destination))
        closed(t, node, b, f"volume at {destination}")
    for target in ("/proc/self/fd", "/proc/1/fd", "/proc/thread-self/fd", "/proc/1", "/proc"):
        b = node.bundle(["sh", "-c", PROBE], {"/v": Path(target)})
        b.config["mounts"].append(bind(volume, "/v"))
        closed(t, node, b, f"volume at a symlink to {target}")
        # The symlink lies in a volume that another container could change at any time.
        outer = node.dir / "outer"
        outer.mkdir(exist_ok=True)
        (outer / "v").unlink(missing_ok=True)
        (outer / "v").symlink_to(target)
        b = node.bundle(["sh", "-c", PROBE])
        b.config["mounts"] += [bind(outer, "/outer"), bind(volume, "/outer/v")]
        closed(t, node, b, f"volume at a volume's symlink to {target}")


def images_with_a_proc(t, node):
    """procfs where the workload can move it away before the next exec."""
    for image in (Path("/tmp/a/p"), EVIL):
        b = node.bundle([])
        (b.rootfs / "proc").rmdir()
        if isinstance(image, Path):
            (b.rootfs / "tmp/a/p").mkdir(parents=True)
            (b.rootfs / "proc").symlink_to(image)
        else:
            (b.rootfs / "proc").write_bytes(EVIL)
        refused(t, node, b, "/proc of the image", "/proc of the image is no directory")
    b = node.bundle([], {"/proc/self/fd/3": EVIL})
    b.config["mounts"] = [m for m in b.config["mounts"] if m["destination"] != "/proc"]
    refused(t, node, b, "no /proc is mounted", "/proc is the image's")
    sandboxed(t, node, node.bundle(["sh", "-c", PROBE], {"/proc/self/fd/3": EVIL, "/proc/1/fd/3": EVIL}),
              "/proc/self/fd/3 in the image, procfs above it")


def prewrapped(t, node):
    node.profile("default", "fs rx-root", "fs r /proc", "fs rw /tmp", "fs rw /work", "fs rw /dev", "fs deny /run/secrets")
    node.profile("open", "fs rx-root", "fs rwx /etc", "fs rwx /bin", "fs r /proc", "fs rw /tmp", "fs rw /work", "fs rw /dev")
    image = {"/nono/nono": b"#!/bin/sh\nshift 4\nexec \"$@\"\n"}
    for prefix in (["/nono/nono", "wrap", "--profile", "open", "--"],
                   ["/proc/self/fd/3", "wrap", "--policy-fd", "4", "--report-fd", "5", "--profile", "open", "--"],
                   ["/proc/self/exe", "wrap", "--profile", "open", "--"]):
        closed(t, node, node.bundle([*prefix, "sh", "-c", PROBE], image), f"args begin with {prefix[0]} and a weaker profile")
    # A foreign prefix is the workload's own command: it runs, as it is, inside.
    image = {"/mine/nono": b"#!/bin/sh\necho MINE $*; shift 4; exec \"$@\"\n"}
    r = node.run(node.bundle(["/mine/nono", "wrap", "--profile", "open", "--", "sh", "-c", PROBE], image).write())
    t.ok(r.out.startswith("MINE wrap --profile open -- sh") and answers(r) == SANDBOXED,
         "a prefix with another profile is not taken away, it runs inside", r)
    r = node.run(node.bundle(["/nono/nono", "wrap", "--profile", "default", "--", "sh", "-c", PROBE], image).write())
    t.ok("MINE" not in r.out and answers(r) == SANDBOXED, "the plugin's prefix is replaced, whatever lies at its path", r)


def parents_renamed(t, node):
    script = "mkdir -p /tmp/a/b && mv /tmp/a /tmp/c && mkdir -p /tmp/a && cp /bin/sh /tmp/a/b; sleep 3600"
    cid = node.start(node.bundle(["sh", "-c", script], {"/nono": Path("/tmp/a/b")}).write())
    wait(lambda: node.exec(cid, "ls", "/tmp/c").code == 0)
    t.equal(answers(node.exec(cid, "sh", "-c", PROBE)), SANDBOXED, "exec after a rename below a mount is sandboxed")


def wait(ready):
    end = time.monotonic() + DEADLINE
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.02)


def paths_to_bundles(t, node):
    b = node.bundle(["sh", "-c", PROBE]).write()
    link = node.dir / "link"
    link.symlink_to(b.dir)
    for path in (link, b.dir.parent / "../bundles/." / b.dir.name, os.path.relpath(b.dir, "/")):
        r = node.call("run", "--bundle", path, node.id(), cwd="/")
        t.equal(answers(r), SANDBOXED, f"bundle by way of {os.path.basename(str(path))}: sandboxed")
    t.equal(answers(node.call("run", node.id(), cwd=b.dir)), SANDBOXED, "bundle in the working directory: sandboxed")
    (b.dir / "config.json").rename(b.dir / "other.json")
    (b.dir / "config.json").symlink_to("other.json")
    r = node.run(b)
    t.ok(r.code == 1 and "config.json" in r.err, "config.json a symlink: refused", r)
    if node.is_crun:
        r = node.call("run", "--config", b.dir / "other.json", "--bundle", b.dir, node.id())
        t.ok(r.code == 1 and "not understood" in r.err, "crun's --config: refused", r)


def readers_that_disagree(t, node):
    evil = json.dumps({"args": ["sh", "-c", "echo RAN"], "cwd": "/", "user": {"uid": 0, "gid": 0}})
    cases = {
        "twice": lambda c, s: '{"process":' + evil + "," + s[1:],
        "spelling": lambda c, s: '{"Process":' + evil + "," + s[1:],
        "another spelling": lambda c, s: s.replace('"args"', '"ARGS"'),
        "is another": lambda c, s: s.replace('"process"', '"proce\u017fs"'),
    }
    for why, edit in cases.items():
        b = node.bundle([])
        b.config["process"]["args"] = ["sh", "-c", "echo RAN"]
        (b.dir / "config.json").write_text(edit(b.config, json.dumps(b.config)))
        r = node.run(b)
        t.ok(r.code == 1 and why in r.err and "RAN" not in r.out, f"config.json with a key {why}: refused", r)
    cid = node.start(node.bundle(["sleep", "3600"]).write())
    p = node.dir / "process.json"
    for text in ('{"Args":["sh","-c","echo RAN"],' + evil[1:], '{"args":["true"],' + evil[1:]):
        p.write_text(text)
        r = node.call("exec", "--process", p, cid)
        t.ok(r.code == 255 and "RAN" not in r.out, "process file with such keys: refused", r)


REFUSED = ("run.oci.handler", "module.wasm.image/variant", "run.oci.seccomp_bpf_data", "run.oci.hooks.stdout", "run.oci.hooks.stderr", "run.oci.seccomp.plugins")
HARMLESS = {
    "run.oci.crun.checkpoint.enabled": "said by 'features'", "run.oci.crun.commit": "likewise", "run.oci.crun.version": "likewise", "run.oci.crun.wasm": "likewise",
    "run.oci.delegate-cgroup": "a cgroup below the container's", "run.oci.systemd.subgroup": "likewise",
    "run.oci.systemd.force_cgroup_v1": "compared with the destinations of mounts", "run.oci.keep_original_groups": "groups are no part of the sandbox",
    "run.oci.mount_context_type": "one of four words", "run.oci.pidfd_receiver": "a descriptor of the container's own process",
    "run.oci.seccomp.receiver": "the pod's own listener", "run.oci.seccomp_fail_unknown_syscall": "stricter", "run.oci.timens_offset": "a clock",
    "org.criu.config": "for checkpoints, which the node's root makes", "krun.o": "a file of the compiler's",
}
# containerd's and CRI-O's words for the same.
FAMILIES = (
    ("io.kubernetes.cri.container-type", "io.kubernetes.cri.sandbox-namespace", "io.kubernetes.cri.sandbox-name", "io.kubernetes.cri.sandbox-uid",
     "io.kubernetes.cri.container-name"),
    ("io.kubernetes.cri-o.ContainerType", "io.kubernetes.pod.namespace", "io.kubernetes.pod.name", "io.kubernetes.pod.uid", "io.kubernetes.container.name"),
)


def parts_of(program):
    """@program and the libraries of its own that it is linked with."""
    libraries = re.findall(r"(/\S*libcrun\S*)", subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout)
    return [Path(program), *map(Path, libraries)]


def contradict(t, node):
    """Which pod it is, and so which profiles it gets, is the runtime's word and not an annotation's."""
    node.write("settings", summed(f"kubefence-settings 1\nhandler {node.handler}\ndefault strict\nlauncher {node.launcher}\n"
                                  "namespace trusted default -\nseccomp restricted\nexec sandbox\n"))
    real = ("container", "team", "pod", "1-2", "main")
    for own, others in ((0, 1), (1, 0)):
        for n in range(1, 32) if "all" in sys.argv else (1, 3, 30, 31):  # which of the other family's the pod has
            forged = {FAMILIES[others][i]: ("container", "trusted", "x", "3-4", "y")[i] for i in range(5) if n >> i & 1}
            b = node.bundle(["sh", "-c", "echo RAN $NONO_PROFILE"])
            b.config["annotations"] = {**forged, **dict(zip(FAMILIES[own], real))}
            r = node.run(b.write())
            if n & 1:
                t.ok(r.code == 1 and "contradict" in r.err and "RAN" not in r.out, f"annotations of the other runtime ({own}, {n}): refused", r)
            else:
                t.equal(r.out, "RAN strict\n", f"annotations of the other runtime without its type ({own}, {n}) say nothing")
    for own in (0, 1):
        b = node.bundle(["sh", "-c", "echo RAN $NONO_PROFILE"])
        b.config["annotations"] = dict(zip(FAMILIES[own], ("container", "trusted", "x", "3-4", "y")))
        t.equal(node.run(b.write()).out, "RAN default\n", f"control: the runtime's own decide ({own})")
    node.settings()


def hooks_and_annotations(t, node):
    marker = node.dir / "marker"
    b = node.bundle([], {"/evil": EVIL})
    b.config["hooks"] = {"startContainer": [{"path": "/evil"}]}
    refused(t, node, b, "startContainer", "a hook that is a program of the image")
    b = node.bundle(["sh", "-c", PROBE])
    b.config["hooks"] = {"createContainer": [{"path": "/bin/touch", "args": ["touch", str(marker)]}]}
    sandboxed(t, node, b, "a hook of the host")
    t.ok(marker.exists(), "and it ran")
    for key in REFUSED:
        b = node.bundle([])
        b.config["annotations"] = {key: str(node.dir / "by-annotation")}
        refused(t, node, b, key, f"annotation {key}")
    t.ok(not (node.dir / "by-annotation").exists(), "and nothing was done by one")
    if node.is_crun:
        found = set(re.findall(rb"(?:run\.oci|module\.wasm|krun|org\.criu)\.[a-z0-9_./-]+[a-z0-9_]", b"".join(p.read_bytes() for p in parts_of(node.runtime))))
        unknown = {f.decode() for f in found} - set(REFUSED) - set(HARMLESS)
        t.ok({b"run.oci.handler", b"run.oci.hooks.stderr"} <= found and not unknown, "each annotation that this crun knows is refused or harmless", unknown)
        b = node.bundle(["true"])
        b.config["annotations"] = {"run.oci.hooks.stderr": str(node.dir / "by-annotation")}
        b.config["hooks"] = {"createContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "echo of the pod >&2"]}]}
        r = node.run(b.write(), bare=True)
        t.equal((node.dir / "by-annotation").read_text() if r.code == 0 else r, "of the pod\n", "control: with a hook, as ours is one, crun writes where the pod says")
    contradict(t, node)
    own = node.id()
    for what, annotations in {
        "a sandbox of another ID": {"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "x" * 64},
        "a sandbox of no ID": {"io.kubernetes.cri.container-type": "sandbox"},
        "both families": {"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": own,
                          "io.kubernetes.cri-o.ContainerType": "container", "io.kubernetes.cri-o.SandboxID": "pod"},
    }.items():
        b = node.bundle(["sh", "-c", PROBE])
        b.config["annotations"] = annotations
        r = node.call("run", "--bundle", b.write().dir, own)
        t.equal(answers(r), SANDBOXED, f"annotations forged: {what}")


def environment(t, node):
    image = {"/evil.so": b"\x7fELF", "/tmp/nono/profiles/default": b"x"}
    b = node.bundle(["sh", "-c", PROBE], image)
    b.config["process"]["env"] += ["LD_PRELOAD=/evil.so", "LD_LIBRARY_PATH=/", "NONO_HOME=/tmp/nono", "NONO_PROFILE=open",
                                   "XDG_CONFIG_HOME=/tmp", "NONO_POLICY=/tmp/nono/profiles/default"]
    sandboxed(t, node, b, "variables")
    t.equal([e for e in b.read()["process"]["env"] if e.startswith("NONO_PROFILE")], ["NONO_PROFILE=default"], "NONO_PROFILE is told the truth")
    b = node.bundle([])
    b.config["process"]["env"] += ["NONO_PROFILE=a", "NONO_PROFILE=b"]
    refused(t, node, b, "NONO_PROFILE", "NONO_PROFILE twice")


def racing_workload(t, node):
    """It goes for everything that /proc shows of the launchers that come in."""
    host = hashlib.sha256(node.launcher.read_bytes()).hexdigest()
    attack = """
    echo ready >/tmp/ready
    while :; do
        for p in /proc/[0-9]*; do
            for f in $p/exe $p/fd/3 $p/fd/4; do
                { echo EVIL >$f; } 2>/dev/null && echo "wrote $f" >>/tmp/won
                { cat $p/root/etc/shadow; } >/dev/null 2>&1 && echo "read $p/root" >>/tmp/won
            done
        done
    done"""
    b = node.bundle(["sh", "-c", attack])
    cid = node.start(b.write())
    wait(lambda: (b.rootfs / "tmp/ready").exists())
    results = [answers(node.exec(cid, "sh", "-c", PROBE)) for _ in range(25)]
    t.ok(all(r == SANDBOXED for r in results), "each of 25 execs is sandboxed", results)
    won = b.rootfs / "tmp/won"
    text = won.read_text() if won.exists() else ""
    t.ok(not text, "the workload wrote to no launcher and no policy", text[:500])
    t.equal(hashlib.sha256(node.launcher.read_bytes()).hexdigest(), host, "the host's launcher is as it was")


def nothing_of_ours_stays_open(t, node):
    r = node.run(node.bundle(["sh", "-c", "ls /proc/self/fd | wc -l; cat /proc/self/fd/4"]).write())
    control = node.run(node.bundle(["sh", "-c", "ls /proc/self/fd | wc -l"]).write(), True)
    t.equal(r.out, control.out, "the workload sees as many descriptors as without the guard")


def images_with_a_passwd(t, node):
    """What is there and cannot be read is not "no home": denials below ~ could not be masked."""
    def run(make):
        b = node.bundle(["true"])
        (b.rootfs / "etc/passwd").unlink()
        make(b.rootfs / "etc/passwd")
        return node.run(b.write())

    r = run(lambda p: None)
    t.equal(r.code, 0, "control: an image without /etc/passwd runs")
    r = run(lambda p: p.symlink_to("/../../../../etc/shadow"))
    t.equal(r.code, 0, "/etc/passwd is a symlink to the host's: no hang")
    for what, make in (("a FIFO", os.mkfifo), ("a directory", os.mkdir), ("a loop of symlinks", lambda p: p.symlink_to("passwd"))):
        r = run(make)
        t.ok(r.code != 0 and "cannot be masked" in r.err, f"/etc/passwd is {what}: refused with the reason, no hang", r)


if __name__ == "__main__":
    main([images_with_a_nono, volumes_over_the_descriptor, images_with_a_proc, prewrapped, parents_renamed, paths_to_bundles, readers_that_disagree,
          hooks_and_annotations, environment, racing_workload, nothing_of_ours_stays_open, images_with_a_passwd])
