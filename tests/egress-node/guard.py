# SPDX-License-Identifier: Apache-2.0
"""guard.py quick|all: real containers of the real runtime, through the guard, in a pod that the broker closes."""
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "guard")]
from field import DIR, DNS, PORT, Field, Parent, own_place, sealed  # noqa: E402
import lib_guard  # noqa: E402
import matrix  # noqa: E402
from lib.tap import Tap  # noqa: E402
from lib.wait import wait_until  # noqa: E402

KEY = "sk-the-secret-key-of-this-test"
RULES = ("egress host ok.test 443", "egress host ok.test 80", "egress secret agent-keys", "egress route /api https://api.test",
         "egress credential 0 key x-api-key plain", "egress env API_BASE_URL", "egress placeholder API_KEY")
BASE = ("fs rx-root", "fs rwx-homes", "fs rwx /tmp", "fs rw /dev/null", "fs volumes", "fs rwx $WORKDIR", "fs r /proc")
CAPS = ["CAP_NET_RAW", "CAP_SETUID", "CAP_SETGID", "CAP_CHOWN", "CAP_DAC_OVERRIDE"]


class Place:
    def __init__(self, f: Field, runtime: str) -> None:
        self.f, self.node = f, lib_guard.Node(runtime)
        (self.node.base / "bin/ways").write_bytes((f.dir / "ways").read_bytes())
        (self.node.base / "bin/ways").chmod(0o755)
        for a in ("env", "wget", "nc", "find"):
            (self.node.base / "bin" / a).unlink(missing_ok=True)
            (self.node.base / "bin" / a).symlink_to("busybox")
        self.node.profile("hosts", *BASE, *RULES)
        self.node.profile("hosts2", *BASE, "egress host other.test 443")
        self.node.profile("ports", *BASE, "net connect 443", *RULES)
        self.node.profile("plain", *BASE)
        self.node.profile("strict", *BASE, "net block")
        self.node.profile("elsewhere", *BASE, "egress elsewhere", "egress host ok.test 443")
        self.egress(True)

    def egress(self, on: bool, default: str = "plain") -> None:
        n = self.node
        n.write("settings", sealed(f"kubefence-settings 1\nhandler {n.handler}\ndefault {default}\nlauncher {n.launcher}\nseccomp restricted\nexec sandbox\n"
                                   + ("egress on\n" if on else "")))

    def bundle(self, pod, args, profile: str = "hosts", container: str = "main", caps=CAPS, keys: bool = True, annotations=None, **process):
        b = self.node.bundle(list(args), **process)
        files = self.node.dir / f"kubelet/pods/{pod.uid}"
        secret = files / "volumes/kubernetes.io~secret/agent-keys"
        secret.mkdir(parents=True, exist_ok=True)
        (secret / "key").write_text(KEY)
        sub = files / "volume-subpaths/agent-keys/main/0"
        sub.parent.mkdir(parents=True, exist_ok=True)
        sub.write_text(KEY)
        (files / "resolv.conf").write_text(f"search ns.svc\nnameserver {DNS}\noptions ndots:5\n")
        (files / "etc-hosts").write_text("127.0.0.1 localhost\n")
        c = b.config
        c["annotations"].update({"io.kubernetes.cri.sandbox-namespace": "ns", "io.kubernetes.cri.sandbox-name": pod.name,
                                 "io.kubernetes.cri.sandbox-uid": pod.uid, "io.kubernetes.cri.container-name": container, "nono.sh/profile": profile,
                                 **(annotations or {})})
        if not profile:
            del c["annotations"]["nono.sh/profile"]
        c["linux"]["namespaces"] = [{"type": "network", "path": pod.path} if n["type"] == "network" else n for n in c["linux"]["namespaces"]]
        if not any(n["type"] == "network" for n in c["linux"]["namespaces"]):
            c["linux"]["namespaces"].append({"type": "network", "path": pod.path})
        c["mounts"] = [m for m in c["mounts"] if m["destination"] not in ("/etc/resolv.conf", "/etc/hosts")]
        for source, destination in ((files / "resolv.conf", "/etc/resolv.conf"), (files / "etc-hosts", "/etc/hosts"),
                                    *(((secret, "/keys"), (sub, "/key-file")) if keys else ())):
            c["mounts"].append({"destination": destination, "type": "bind", "source": str(source), "options": ["rbind", "ro"]})
        if caps is not None:
            c["process"]["capabilities"] = {k: caps for k in ("bounding", "effective", "permitted")}
        return b.write()

    def run(self, pod, args, bare: bool = False, **more):
        return self.node.run(self.bundle(pod, args, **more), bare=bare)


def ways(place: Place, pod, **more) -> tuple[dict[str, str], set]:
    """What `ways` says in a container, and what left the pod."""
    def run() -> str:
        r = place.run(pod, [*matrix.ARGS, "1"], **more)
        return r.out + r.err

    return matrix.tried(pod, run)


def every_way(t: Tap, f: Field, place: Place) -> None:
    control = f.pod("control")
    place.egress(False)
    said, out = ways(place, control, bare=True)
    place.egress(True)
    matrix.opened(t, "an open pod", said, out)
    pod = f.pod("closed")
    matrix.closed(t, "a closed pod", *ways(place, pod), each=True)
    mark = next(w for line in pod.nft().splitlines() if "mark" in line for w in line.split() if w.startswith("0x"))
    r = place.run(pod, [*matrix.ARGS, mark, "mark"])
    t.ok("not permitted" in r.out, "even who knows the mark cannot set it", r.out + r.err)
    for what, more in (("a second container of another profile", {"profile": "hosts", "annotations": {"nono.sh/profile.side": "plain"}, "container": "side"}),
                       ("as another user", {"user": {"uid": 1000, "gid": 1000}}),
                       ("a second container that blocks its network", {"annotations": {"nono.sh/profile.side": "strict"}, "container": "side"})):
        matrix.closed(t, what, *ways(place, pod, **more))
    other = f.pod("first")
    matrix.closed(t, "before the first container, whichever that is", *ways(place, other, container="side", annotations={"nono.sh/profile.side": "plain"}))


def serves(t: Tap, f: Field, place: Place) -> None:
    pod = f.pod("serves")
    b = place.bundle(pod, ["sleep", "1000"], env=["PATH=/bin", "HOME=/home/user", "HTTP_PROXY=http://mine"])
    cid = place.node.start(b)
    after = b.read()
    env = dict(e.split("=", 1) for e in after["process"]["env"])
    t.ok(env["HTTPS_PROXY"] == f"http://127.0.0.1:{PORT}" and env["API_BASE_URL"].endswith("/api") and env["API_KEY"], "the environment leads to the broker", env)
    t.equal(env["HTTP_PROXY"], "http://mine", "what the pod sets stays")
    t.ok(not [m for m in after["mounts"] if m["destination"] in ("/keys", "/key-file")], "the Secret's mounts are taken away", after["mounts"])
    t.ok(not any("CAP_NET_RAW" in v for v in after["process"]["capabilities"].values()), "CAP_NET_RAW is taken away")
    r = place.node.exec(cid, "env", env=["PATH=/bin"], capabilities={k: CAPS for k in ("bounding", "effective", "permitted")})
    t.ok(f"HTTPS_PROXY=http://127.0.0.1:{PORT}" in r.out, "a process that enters has it too", r.out + r.err)
    r = place.node.exec(cid, "grep", "CapBnd", "/proc/self/status", capabilities={k: CAPS for k in ("bounding", "effective", "permitted")})
    t.ok(r.out and not int(r.out.split()[1], 16) >> 13 & 1, "and no CAP_NET_RAW", r.out + r.err)
    r = place.node.call("exec", "--cap", "CAP_NET_RAW", cid, "env")
    t.ok(r.code and "capability of its own" in r.err, "nor by a flag", r.err)
    matrix.closed(t, "a process that enters", *matrix.tried(pod, lambda: place.node.exec(
        cid, *matrix.ARGS, "1", capabilities={k: CAPS for k in ("bounding", "effective", "permitted")}).out))
    r = place.node.exec(cid, "wget", "-q", "-O", "-", "http://ok.test/", env=["PATH=/bin", "http_proxy=http://127.0.0.1:3128"])
    t.ok(r.code == 0 and r.out, "an allowed host is reached", r.out + r.err)
    before = len(f.tls.requests)
    r = place.node.exec(cid, "wget", "-q", "-Y", "off", "-O", "-", f"http://127.0.0.1:{PORT}/api/v1", env=["PATH=/bin"])
    heads = [h for h, _ in f.tls.requests[before:]]
    t.ok(r.code == 0 and any(KEY.encode() in h for h in heads), "the key is added outside of the pod", f"{r.out}{r.err} {heads} {(DIR / 'connections.log').read_text()[-400:]}")
    for what, bare_keys in (("control: without the broker the key is in the container", True), ("the key is nowhere in the container", False)):
        place.egress(not bare_keys, "plain")
        if bare_keys:
            open_pod = f.pod("keys")
            r = place.run(open_pod, ["grep", "-r", "-l", KEY, "/keys", "/key-file"], profile="plain")
        else:
            r = place.node.exec(cid, "sh", "-c", f"grep -r -l {KEY[:20]} /keys /key-file /home /tmp /etc /run /work /nono 2>/dev/null; "
                                                 "for p in /proc/[0-9]*; do grep -l sk-the-secret $p/environ 2>/dev/null; done; true", env=["PATH=/bin"])
        t.ok((KEY in r.out or "/key" in r.out) == bare_keys and r.code == 0 or not bare_keys and "/environ" not in r.out and "/key" not in r.out, what, r.out + r.err)
    place.node.delete(cid)
    t.ok(not [m for m in os.listdir(DIR / "containers") if f".{os.stat(pod.path).st_ino}." in m], "delete removes the container's mark")


def refuses(t: Tap, f: Field, place: Place, parent: Parent) -> None:
    pod = f.pod("refuses")

    def refused(what: str, words: str, **more) -> None:
        r = place.node.run(place.bundle(pod, ["true"], **more))
        t.ok(r.code and words in r.err, f"refused: {what}", r.err + r.out)

    for cap in ("CAP_NET_ADMIN", "CAP_SYS_ADMIN", "cap_net_admin"):
        refused(cap, "CAP_", caps=[*CAPS, cap])
    refused("two profiles with different hosts in one pod", "different hosts", annotations={"nono.sh/profile.x": "hosts2"})
    refused("another container's profile that does not exist", "does not exist", annotations={"nono.sh/profile.x": "none"})
    b = place.bundle(pod, ["true"])
    b.config["linux"]["namespaces"] = [n for n in b.config["linux"]["namespaces"] if n["type"] != "network"]
    r = place.node.run(b.write())
    t.ok(r.code and "hostNetwork" in r.err, "refused: a pod in the node's network", r.err)
    b = place.bundle(pod, ["true"])
    for n in b.config["linux"]["namespaces"]:
        if n["type"] == "network":
            n["path"] = "/proc/self/ns/net"
    r = place.node.run(b.write())
    t.ok(r.code and "hostNetwork" in r.err, "refused: the same by a path", r.err)
    shutil.rmtree(place.node.dir / f"kubelet/pods/{pod.uid}/volumes", ignore_errors=True)
    b = place.bundle(pod, ["true"])
    shutil.rmtree(place.node.dir / f"kubelet/pods/{pod.uid}/volumes")
    r = place.node.run(b)
    t.ok(r.code and "add a volume of that name" in r.err, "refused: a pod without the Secret", r.err)
    place.egress(False)
    r = place.node.run(place.bundle(pod, ["true"]))
    t.ok(r.code and "no egress broker runs" in r.err and "egress.enabled" in r.err, "refused: a node without a broker, with the remedy", r.err)
    r = place.node.run(place.bundle(pod, ["true"], profile="elsewhere"))
    t.ok(r.code == 0, "control: a profile whose hosts the cluster filters starts there", r.err)
    place.egress(True)
    cid = place.node.start(place.bundle(pod, ["sleep", "1000"], profile="plain"))
    r = place.node.run(place.bundle(pod, ["true"]))
    t.ok(r.code and "a profile has changed since" in r.err, "refused: closing a pod in which a container runs that was not closed", r.err)
    place.node.delete(cid)
    r = place.node.run(place.bundle(pod, ["true"]))
    t.ok(r.code == 0, "control: when that has gone it starts", r.err)
    cid = place.node.start(place.bundle(pod, ["sleep", "1000"]))
    r = place.node.run(place.bundle(pod, ["true"], profile="plain"))
    t.ok(r.code and "a profile has changed since" in r.err, "refused: a container that is not closed in a closed pod", r.err)
    late = f.pod("late")
    if "all" in sys.argv:
        hangs(t, place, parent, late)
    parent.stop()
    r = place.node.run(place.bundle(late, ["true"]))
    t.ok(r.code and "starts when it runs" in r.err, "refused: no broker, no container", r.err)
    parent.start()
    place.node.delete(cid)


def hangs(t: Tap, place: Place, parent: Parent, late) -> None:
    os.kill(parent.process.pid, signal.SIGSTOP)
    start = time.monotonic()
    r = place.node.run(place.bundle(late, ["true"]))
    os.kill(parent.process.pid, signal.SIGCONT)
    t.ok(r.code and "does not answer in" in r.err and time.monotonic() - start < 60, "refused: no answer in time, no container", r.err)


def ports(t: Tap, f: Field, place: Place) -> None:
    pod = f.pod("ports")
    cid = place.node.start(place.bundle(pod, ["sleep", "1000"], profile="ports"))
    r = place.node.exec(cid, "wget", "-q", "-O", "-", "http://ok.test/", env=["PATH=/bin", "http_proxy=http://127.0.0.1:3128"])
    t.ok(r.code == 0, "a profile with ports reaches the broker's", r.out + r.err)
    place.node.delete(cid)


def cost(t: Tap, f: Field, place: Place) -> None:
    """How long the guard's part takes: create with the broker, and without."""
    times = {}
    for what, profile in (("with", "hosts"), ("without", "plain")):
        spent = []
        for i in range(7):
            pod = f.pod(f"c{what[4:]}{i}")
            b = place.bundle(pod, ["true"], profile=profile)
            cid = place.node.id()
            start = time.monotonic()
            r = place.node.call("create", "--bundle", b.dir, cid)
            spent.append(time.monotonic() - start)
            assert r.code == 0, r.err
            place.node.delete(cid)
        times[what] = sorted(spent)[0] * 1000
    print(f"# create: {times['with']:.1f} ms with the broker, {times['without']:.1f} ms without (best of 7)")
    t.ok(True, "the cost of a closed pod is measured")


def main() -> int:
    t = Tap()
    own_place()
    with Field() as f:
        subprocess.run(["gcc", "-static", "-O1", "-o", f"{f.dir}/ways", f"{HERE}/ways.c"], check=True)
        with Parent(f) as parent:
            place = Place(f, shutil.which("runc") or "/usr/sbin/runc")
            try:
                t.case("matrix", every_way, t, f, place)
                t.case("serves", serves, t, f, place)
                t.case("ports", ports, t, f, place)
                if "all" in sys.argv:
                    t.case("cost", cost, t, f, place)
                t.case("refuses", refuses, t, f, place, parent)
            finally:
                place.node.close()
            if t.failed:
                print("\n".join(f"# {line}" for line in parent.log.read_text().splitlines()[-30:]))
    return t.done()


if __name__ == "__main__":
    sys.exit(main())
