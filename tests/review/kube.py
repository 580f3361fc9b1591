#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kube.py all: the chart with review.enabled on a real Kubernetes.  Pods with an emptyDir, a hostPath and a claim of a local
volume, which the kubelet binds as a CSI driver's; what they change is looked at, committed and discarded by kubectl nono, by
who may and by who may not; beside each a pod without the annotation."""
import json
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "e2e")]
from cluster import pods as shapes  # noqa: E402
from cluster.chart import CHART, Installed  # noqa: E402
from lib import node  # noqa: E402
from lib.tap import Tap  # noqa: E402
from lib.wait import wait_until  # noqa: E402

SPACE, PODS = "team", "kubefence-review"
KEPT = Path("/var/lib/kubefence/review")
NAME = "kf-kubefence-review"


class Place(Installed):
    def nono(self, *args: str, user: str = "admin"):
        return self.k.tool(Path("/usr/bin/env"), f"PATH={self.k.bin}:/usr/bin:/bin", node.BIN / "kubectl-nono", *args, check=False, user=user)

    def pod(self, name: str, volume: dict, annotation: str = "", script: str = "exec sleep 3600", at: str = "/work", **spec) -> dict:
        main = {"volumeMounts": [{"name": "work", "mountPath": at}]}
        p = shapes.pod(name, script, annotations={"nono.sh/volume.work": annotation} if annotation else {}, main=main,
                       volumes=[{"name": "work", **volume}], **spec)
        p["metadata"]["namespace"] = SPACE
        return p

    def start(self, pod: dict) -> str:
        """Its UID, once it runs."""
        self.k.apply(pod)
        return self.k.wait_pod(pod["metadata"]["name"], namespace=SPACE, deadline=180)["metadata"]["uid"]

    def sh(self, pod: str, script: str):
        return self.k.exec(pod, "sh", "-c", script, container="main", namespace=SPACE)

    def ls(self, where: str) -> list[str]:
        """What is in a directory of the node."""
        return self.k.c.sh(f"ls -A {where}").out.split()

    def cat(self, path: str) -> str:
        return self.k.c.sh(f"cat {path}").out

    def refused(self, pod: dict) -> str:
        r = self.k.apply(pod, check=False)
        return r.err if r.code else ""


def install(t: Tap, p: Place) -> None:
    p.helm("install", "kf", str(CHART), values=("review.enabled=true",))
    p.wait_ready()
    p.k.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
    wait_until(lambda: [x for x in p.k.get("pods", "-n", PODS)["items"] if x["status"].get("phase") == "Running"], "the chart's pod for reviews", 180)
    t.ok(True, "the chart with review.enabled is ready")


def volumes(p: Place) -> dict[str, tuple[dict, str, object]]:
    """name: (volume, annotation, where the node has it for a pod's UID)"""
    for n in ("host", "local"):
        (p.k.c.dir / n).mkdir(exist_ok=True)
        (p.k.c.dir / n).chmod(0o777)
    p.k.apply([
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "local"},
         "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany"], "storageClassName": "local", "persistentVolumeReclaimPolicy": "Retain",
                  "local": {"path": str(p.k.c.dir / "local")},
                  "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "kubernetes.io/os", "operator": "Exists"}]}]}}}},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "claim", "namespace": SPACE},
         "spec": {"accessModes": ["ReadWriteMany"], "storageClassName": "local", "volumeName": "local", "resources": {"requests": {"storage": "1Gi"}}}},
    ])
    return {
        "empty": ({"emptyDir": {}}, "review", lambda uid: f"{p.k.data}/kubelet/pods/{uid}/volumes/kubernetes.io~empty-dir/work"),
        "host": ({"hostPath": {"path": str(p.k.c.dir / "host")}}, "review:/work", lambda uid: f"{p.k.c.dir}/host"),
        "claim": ({"persistentVolumeClaim": {"claimName": "claim"}}, "review:/work", lambda uid: f"{p.k.c.dir}/local"),
    }


def reviewed(t: Tap, p: Place) -> None:
    for name, (volume, annotation, where) in volumes(p).items():
        uid = p.start(p.pod(name, volume, annotation))
        path = where(uid)
        r = p.sh(name, "echo new >/work/f; mkdir -p /work/.git/hooks; echo evil >/work/.git/hooks/post-checkout; cat /work/f")
        t.ok(r.out == "new\n" and not p.ls(path), f"{name}: what a pod writes does not reach the volume", f"{r} {p.ls(path)}")
        r = p.nono("diff", name, "-n", SPACE)
        lines = r.out.splitlines()
        t.ok(r.code == 0 and "others execute" in r.out and any(x.endswith(" f") for x in lines), f"{name}: kubectl nono diff shows it, git hooks first", f"{r}")
        listed = lines[-1].removeprefix("sum ") if lines else ""
        r = p.nono("commit", name, "f", "--expect", listed, "-n", SPACE)
        t.ok(r.code == 0 and p.ls(path) == ["f"] and p.cat(f"{path}/f") == "new\n",
             f"{name}: kubectl nono commit writes a chosen file while the pod runs", f"{r} {p.ls(path)}")
        r = p.sh(name, "echo more >>/work/f; cat /work/f")
        t.ok(r.out == "new\nmore\n" and p.cat(f"{path}/f") == "new\n", f"{name}: and the pod goes on", f"{r}")
        r = p.nono("discard", name, "-n", SPACE)
        p.k.kubectl("delete", "pod", name, "-n", SPACE, "--wait=true")
        wait_until(lambda: not (KEPT / uid).exists(), "the changes to go", 60)
        t.ok(r.code == 0 and (name == "empty" or p.ls(path) == ["f"]), f"{name}: discarded, the rest goes with the pod", f"{r}")
        # The same volume without the annotation.
        uid = p.start(p.pod(f"plain-{name}", volume))
        p.sh(f"plain-{name}", "echo raw >/work/raw")
        t.ok("raw" in p.ls(where(uid)), f"{name}: without the annotation a pod writes to the volume itself")
        p.k.kubectl("delete", "pod", f"plain-{name}", "-n", SPACE, "--wait=true")


def restarts(t: Tap, p: Place) -> None:
    pod = p.pod("again", {"emptyDir": {}}, "review", "echo x >>/work/n; wc -l </work/n; [ -e /work/go ] && exec sleep 3600; touch /work/go; exit 0")
    uid = p.start(pod)
    wait_until(lambda: p.k.get("pod", "again", "-n", SPACE)["status"]["containerStatuses"][0]["restartCount"] >= 1
               and p.k.wait_pod("again", namespace=SPACE), "a restart", 120)
    wait_until(lambda: p.k.logs("again", namespace=SPACE).strip(), "its output", 60)
    t.ok(p.k.logs("again", namespace=SPACE).strip() == "2", "a container that is started again has what it wrote before")
    r = p.nono("commit", "again", "-n", SPACE)
    where = f"{p.k.data}/kubelet/pods/{uid}/volumes/kubernetes.io~empty-dir/work"
    t.ok(r.code == 0 and p.cat(f"{where}/n") == "x\nx\n", "and all of it can be committed", f"{r}")
    p.sh("again", "echo more >/work/n")
    p.k.kubectl("delete", "pod", "again", "-n", SPACE, "--wait=true")
    p.start(p.pod("next", {"emptyDir": {}}, "review"))
    t.ok(not (KEPT / uid).exists(), "with an emptyDir go the changes to it that were not committed")
    p.k.kubectl("delete", "pod", "next", "-n", SPACE, "--wait=true")


def rights(t: Tap, p: Place) -> None:
    uid = p.start(p.pod("agent", {"emptyDir": {}}, "review"))
    p.sh("agent", "echo x >/work/f")
    for user in ("reader", "committer", "nobody"):
        p.k.user(user)
    sub = lambda u: [{"kind": "User", "name": u, "apiGroup": "rbac.authorization.k8s.io"}]  # noqa: E731
    role = lambda n, kind="ClusterRole": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": n}  # noqa: E731
    rbac = "rbac.authorization.k8s.io/v1"
    p.k.apply([
        *({"apiVersion": rbac, "kind": "RoleBinding", "metadata": {"name": u, "namespace": PODS}, "roleRef": role(NAME), "subjects": sub(u)}
          for u in ("reader", "committer", "nobody")),
        *({"apiVersion": rbac, "kind": "RoleBinding", "metadata": {"name": u, "namespace": SPACE}, "roleRef": role("view"), "subjects": sub(u)}
          for u in ("reader", "committer", "nobody")),
        *({"apiVersion": rbac, "kind": "Role", "metadata": {"name": u, "namespace": SPACE},
           "rules": [{"apiGroups": ["nono.sh"], "resources": ["sandboxes"], "verbs": verbs}]}
          for u, verbs in (("reader", ["diff"]), ("committer", ["diff", "commit"]))),
        *({"apiVersion": rbac, "kind": "RoleBinding", "metadata": {"name": f"{u}-review", "namespace": SPACE}, "roleRef": role(u, "Role"), "subjects": sub(u)}
          for u in ("reader", "committer")),
    ])
    may = {"reader": ("diff",), "committer": ("diff", "commit"), "nobody": ()}
    for user, verbs in may.items():
        for verb in ("diff", "commit", "discard"):
            r = p.nono(verb, "agent", "-n", SPACE, user=user)
            said = f"{verb} of {SPACE}/agent denied" in r.err
            t.ok((r.code == 0) == (verb in verbs) and said == (verb not in verbs), f"{user}: kubectl nono {verb}: {'allowed' if verb in verbs else 'denied'}", f"{r}")
    there = p.k.get("pods", "-n", PODS)["items"][0]["metadata"]["name"]
    for words in (["sh"], ["/usr/bin/kubefence", "review", "list"], ["/usr/bin/kubefence", "review", "commit", "--host-root=/host", uid],
                  ["/usr/bin/kubefence", "review", "diff", f"--host-root=/", f"{SPACE}/agent"],
                  ["/usr/bin/kubefence", "review", "diff", "--host-root=/host", f"{SPACE}/agent", "--host-root=/"],
                  ["/usr/bin/kubefence", "node", "uninstall", "--host-root=/host", f"{SPACE}/agent"]):
        r = p.k.kubectl("exec", "-n", PODS, there, "--", *words, check=False)
        t.ok(r.code and "and nothing else" in r.err, f"not even an administrator runs {' '.join(words[:3])} ... there", f"{r}")
    r = p.k.kubectl("port-forward", "-n", PODS, there, "1:1", check=False)
    t.ok(r.code != 0, "nor is a port forwarded there", f"{r}")
    p.nono("discard", "agent", "-n", SPACE)
    p.k.kubectl("delete", "pod", "agent", "-n", SPACE, "--wait=true")
    wait_until(lambda: not (KEPT / uid).exists(), "the changes to go", 60)


def admission(t: Tap, p: Place) -> None:
    empty, host = {"emptyDir": {}}, {"hostPath": {"path": str(p.k.c.dir / "host")}}
    for what, pod, why in (
        ("a value that means nothing", p.pod("bad", empty, "yes"), "names a volume of the pod"),
        ("a hostPath without its path", p.pod("bad", host, "review"), "every path where a container mounts it"),
        ("a hostPath at another path", p.pod("bad", host, "review:/work", at="/more"), "every path where a container mounts it"),
        ("a name that no volume has", {**(q := p.pod("bad", empty)), "metadata": {**q["metadata"], "annotations": {"nono.sh/volume.other": "review"}}},
         "names a volume of the pod"),
    ):
        r = p.refused(pod)
        t.ok(why in r, f"admission refuses {what}", r)


def main() -> int:
    t = Tap()
    with Place(t) as p:
        t.case("install", install, t, p)
        for part in (reviewed, restarts, rights, admission) if not t.failed else ():
            begin = time.monotonic()
            t.case(part.__name__, part, t, p)
            print(f"# {part.__name__}: {time.monotonic() - begin:.0f} s", flush=True)
        if t.failed:
            print("\n".join(f"# {line}" for line in p.report().splitlines()))
    return t.done()


sys.exit(main())
