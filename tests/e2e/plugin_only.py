# SPDX-License-Identifier: Apache-2.0
"""The plugin by itself on containerd 2.4: pods in and out of scope, beside controls."""
import json
import re
import signal

from lib import images, node
from lib.containerd import Containerd
from lib.cri import CriError, wait_until
from lib.tap import Tap


def refusal(fn, *args, **kwargs) -> str:
    """The message of the CriError that the call ends in; "" if it does not."""
    try:
        fn(*args, **kwargs)
    except CriError as e:
        return str(e)
    return ""


def scope(t: Tap, c: Containerd, refs: dict[str, str]) -> None:
    """In and out of scope, two images: the sandboxed container beside the same without."""
    for name, image in refs.items():
        inside = node.probe(c, image, handler="nono-runc")
        control = node.probe(c, image, handler="runc")
        for what in sorted(node.MAY):
            t.ok(inside[what], f"{name}: sandboxed, may {what}", inside)
        for what in sorted(node.MAY_NOT):
            t.ok(not inside[what], f"{name}: sandboxed, may not {what}", inside)
            t.ok(control[what], f"{name}: the control may {what}", control)
        t.ok(not control["no_new_privs"], f"{name}: the control has no no_new_privs", control)
        t.ok(inside["seccomp"] and not control["seccomp"], f"{name}: seccomp filter only in the sandbox")


def unchanged(t: Tap, c: Containerd, image: str, plugin: node.Plugin) -> None:
    """Pods of other handlers are the same to the byte with and without the plugin."""

    def spec() -> str:
        pod = c.pod("same", handler="runc", uid="same", annotations={"nono.sh/profile": "no-such"})
        ctr = pod.container(image, ["sleep", "9"], name="same", env={"A": "b"})
        text = json.dumps(ctr.spec, sort_keys=True).replace(ctr.id, "CTR").replace(pod.id, "POD")
        pod.remove()
        return re.sub(r"/proc/\d+/|logs/\d+-", "N", text)

    logged = len(plugin.entries())
    with_plugin = spec()
    t.equal(len(plugin.entries()), logged, "a skipped pod leaves no line in the log at level info")
    plugin.stop()
    without = spec()
    plugin.start()
    t.equal(with_plugin, without, "a skipped pod's OCI spec is the same without the plugin")


def workload_unchanged(t: Tap, c: Containerd, image: str) -> None:
    """Arguments, directory, environment, PID and terminal are as the workload would have had them."""
    args = ["sh", "-c", 'printf "<%s>" "$0" "$@"; echo; pwd; echo "pid=$$"; env | sort', "zero", "", "two words",
            "--", "ünï", "$HOME;`id`", "-x"]
    options = {"cwd": "/tmp", "env": [("A", "b c"), ("EMPTY", ""), ("LINES2", "1\n2")]}
    options["annotations"] = {}
    pair = []
    for handler in ("nono-runc", "runc"):
        pair.append(c.run(image, args, name="twin", handler=handler, **options))
    said = pair[0].out.split("\n")
    profile = [line for line in said if line.startswith("NONO_")]
    t.equal(profile, ["NONO_PROFILE=default"], "NONO_PROFILE is the only variable added, once")
    rest = [line for line in said if not line.startswith("NONO_")]
    want = [f"{line}:/nono" if line.startswith("PATH=") else line for line in pair[1].out.split("\n")]
    t.equal(rest, want, "arguments, directory, PID and environment equal the control's, but that nono is found in PATH")
    t.equal((pair[0].code, pair[0].err), (pair[1].code, pair[1].err), "exit code and stderr too")
    for handler in ("nono-runc", "runc"):
        r = c.run(image, ["sh", "-c", "exit 42"], handler=handler)
        t.equal(r.code, 42, f"{handler}: the workload's exit code comes out")
        pod = c.pod(handler=handler)
        ctr = pod.container(image, ["sh", "-c", "tty; test -t 0 && test -t 1 && echo both; tr '\\0' ' ' </proc/1/cmdline; true"],
                            tty=True)
        ctr.start().wait()
        t.ok("/dev/pts/0" in ctr.log() and "both" in ctr.log(), f"{handler}: tty", ctr.log())
        t.ok("tr '\\0'" in ctr.log() and "/nono" not in ctr.log(), f"{handler}: /proc/1/cmdline is the workload's", ctr.log())
        pod.remove()


def files_of_the_pod(t: Tap, c: Containerd, image: str) -> None:
    """What the pod's containers share is written by none, wherever the image's symlinks put it."""
    linked = c.load(images.build("localhost/kubefence/linked:1", {"e": images.Dir(), "etc": images.Symlink("/e")}, base=images.busybox()))
    script = "for f in hosts hostname resolv.conf; do (echo '# x' >>/etc/$f) 2>/dev/null && echo $f; done; cat /etc/hosts >/dev/null && echo read"
    for what, ref in (("an image", image), ("an image whose /etc is a symlink", linked)):
        for handler, want in (("runc", "hosts hostname resolv.conf read"), ("nono-runc", "read")):
            pod = c.pod(handler=handler)
            ctr = pod.container(ref, ["sh", "-c", script])
            ctr.start().wait()
            t.equal(ctr.log().split(), want.split(), f"{handler}: {what}: of the pod's files it writes {want.removesuffix('read') or 'none'}")
            pod.remove()


def profiles(t: Tap, c: Containerd, image: str, plugin: node.Plugin) -> None:
    """Which profile a container gets, and that a wrong one is refused where people look."""
    script = ["sh", "-c", "echo $NONO_PROFILE"]

    def used(**annotations: str) -> str:
        a = {f"nono.sh/{k.replace('__', '.')}": v for k, v in annotations.items()}
        pod = c.pod(handler="nono-runc", annotations=a)
        try:
            ctr = pod.container(image, script, name="main")
            ctr.start().wait()
            return ctr.log().strip()
        finally:
            pod.remove()

    t.equal(used(), "default", "no annotation: the default profile")
    t.equal(used(profile="default"), "default", "nono.sh/profile is obeyed")
    for value in ("no-such-profile", "../default", "", "a b", "Default"):
        said = refusal(used, profile=value)
        t.ok(said, f"profile {value!r} is refused")
        t.ok("nono.sh/profile" in said or value in said, f"... and the CRI client reads why", said)
    said = refusal(used, profile="default", profile__main="no-such-profile")
    t.ok("no-such-profile" in said, "nono.sh/profile.CONTAINER wins over nono.sh/profile", said)
    t.equal(used(profile="no-such-profile", profile__main="default"), "default", "... also when it saves the pod")
    t.equal(used(profile__other="no-such-profile"), "default", "another container's annotation does not count")


def refusals_leave_pods(t: Tap, c: Containerd, image: str) -> None:
    """What the plan refuses is refused in CreateContainer; the pod can be stopped as ever."""
    pod = c.pod(handler="nono-runc")
    said = refusal(pod.container, image, ["true"], mounts=[(str(c.host("/run")), "/nono")])
    t.ok("/nono" in said, "a mount at /nono is refused", said)
    said = refusal(pod.container, image, ["true"], mounts=[(str(c.host("/run")), "/nono/profiles")])
    t.ok("/nono" in said, "a mount below /nono is refused", said)
    t.equal(refusal(pod.remove), "", "the refused pod can be stopped and removed")


def state(t: Tap, c: Containerd, image: str, plugin: node.Plugin) -> None:
    pod = c.pod("stateful", handler="nono-runc", namespace="team-a", uid="uid-of-stateful")
    ctr = pod.container(image, ["sleep", "3600"]).start()
    file = c.host(f"{node.STATE}/{pod.uid}/{ctr.id}/metadata.json")
    t.ok(wait_until(file.is_file, "its state file"), "a sandboxed container has its state file", file)
    data = json.loads(file.read_text())
    want = {"container_id": ctr.id, "pod": "stateful", "namespace": "team-a", "profile": "default"}
    t.ok(want.items() <= data.items(), "it names container, pod, namespace and profile", data)
    t.ok(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", data.get("timestamp", "")),
         "its timestamp is RFC 3339", data)
    modes = [oct(p.stat().st_mode & 0o7777) for p in (file, file.parent, file.parent.parent)]
    t.equal(modes, ["0o600", "0o700", "0o700"], "file 0600, directories 0700")
    entry = plugin.wait_entry("injected", container_id=ctr.id)
    want = {"pod": "stateful", "namespace": "team-a", "profile": "default", "runtime_handler": "nono-runc"}
    t.ok(want.items() <= entry.items(), "the log says 'injected' with its keys", entry)
    # A restart finds what still runs, and forgets what ended meanwhile.
    gone = pod.container(image, ["sleep", "3600"]).start()
    stale = c.host(f"{node.STATE}/{pod.uid}/{gone.id}")
    t.ok(stale.is_dir(), "a second container has one too")
    t.equal(plugin.stop(), 0, "SIGTERM: the plugin ends with 0")
    gone.stop()
    gone.remove()
    plugin.start()
    wait_until(lambda: not stale.exists(), "the state of a container that ended meanwhile to be removed")
    t.ok(file.is_file(), "after a restart the living container's state is there, the dead one's is not")
    pod.remove()
    wait_until(lambda: not file.exists() and not file.parent.exists(), "the state to go with the container")
    t.ok(True, "state goes with the container")
    t.ok(plugin.entries("container-removed", container_id=ctr.id), "the log says 'container-removed'")


def restarts(t: Tap, c: Containerd, image: str, plugin: node.Plugin) -> None:
    pod = c.pod(handler="nono-runc")
    ctr = pod.container(image, ["sleep", "3600"]).start()
    for sig, name in ((signal.SIGTERM, "stopped"), (signal.SIGKILL, "killed")):
        before = plugin.connections()
        pid = plugin.pid
        c.restart(sig)
        plugin.wait_connected(before)
        t.ok(plugin.process.poll() is None and plugin.pid == pid,
             f"containerd {name} and started: the same plugin process connects again")
        t.equal(ctr.state, "running", f"containerd {name}: the container lives on")
        t.ok(node.sandboxed(node.probe(c, image, handler="nono-runc")), f"containerd {name}: new pods are sandboxed")
    pod.remove()
    # A second instance gets out of the way of the first.
    second = node.Plugin(c, name="second").spawn()
    code = second.process.wait(10)
    t.ok(code not in (0, None), "a second instance ends by itself, non-zero", code)
    t.ok("instance" in second.log() or "lock" in second.log() or "running" in second.log(), "... and says why",
         second.log())
    t.ok(node.sandboxed(node.probe(c, image, handler="nono-runc")), "... while the first serves on")
    t.equal(plugin.stop(signal.SIGINT), 0, "SIGINT: the plugin ends with 0")
    control = node.probe(c, image, handler="nono-runc")
    t.ok(not node.sandboxed(control), "plugin stopped, no guard: the pod runs bare (why the guard exists)", control)


def run(t: Tap) -> None:
    with Containerd() as c:
        node.install(c, guard=False)
        busybox, glibc = c.load(images.busybox()), c.load(images.glibc())
        plugin = node.Plugin(c).start()
        t.case("scope", scope, t, c, {"busybox": busybox, "glibc": glibc})
        t.case("workload unchanged", workload_unchanged, t, c, busybox)
        t.case("files of the pod", files_of_the_pod, t, c, busybox)
        t.case("profiles", profiles, t, c, busybox, plugin)
        t.case("refusals", refusals_leave_pods, t, c, busybox)
        t.case("state", state, t, c, busybox, plugin)
        t.case("skipped pods", unchanged, t, c, busybox, plugin)
        t.case("restarts", restarts, t, c, busybox, plugin)
