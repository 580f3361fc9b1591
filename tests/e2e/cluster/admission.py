# SPDX-License-Identifier: Apache-2.0
"""The chart's admission policies, judged by a real API server: what passes, what is refused and why.

Each case is one request; most are dry runs, which go through admission like any other."""
import copy
import json
import re
import subprocess
from pathlib import Path

from lib.cluster import NODE, Cluster
from lib.cri import Result, wait_until
from lib.tap import Tap

ROOT = Path(__file__).resolve().parents[3]
CHART, NONO = ROOT / "charts/kubefence", ROOT / "out/bin/kubectl-nono"
REQUIRED = "required-plugins.noderesource.dev"
OURS = '["nono-nri"]'
MOUNT, KATA, PLUGINS, TOLERATE = "belong to the sandbox", "io.katacontainers", "required-plugins", "start without"
SYNTAX, ALLOWED, FROZEN, LABEL = "must be the name", "not allowed", "stay as they were", "nono.sh/sandboxed"
NAMES, ENFORCED = "names no container", "takes only sandboxed pods"
UNKNOWN, OTHER_PROFILE = "means nothing to kubefence, which reads nono.sh/profile", "says another profile than the pod has"
ROOT, HOST_PATH, HOST = "may not be privileged", "may not mount a path of its node", "remove hostPID, hostNetwork and hostIPC"
# Nothing runs here that a hook could wait for.
VALUES = ("--set", "profileCheck=false", "--set", "admission.refuse={privileged,hostPath,hostNamespaces}",
          "--set", "config.allowedProfiles={default,strict,codex}", "--set", "admission.execPolicy=true",
          "--set", "config.namespaces.boxed.defaultProfile=codex", "--set", "config.namespaces.boxed.allowedProfiles={in-cluster}",
          "--set", "runtimeClasses.nonoRunc.nodeSelector.pool=boxes", "--set", "nodeSelector.nowhere=x")  # fmt: skip


def pod(annotations: dict | None = None, **spec) -> dict:
    """A sandboxed pod that nothing schedules; @spec replaces keys of its spec, class_=None the class."""
    name = spec.pop("name", "p")
    labels = spec.pop("labels", {})
    class_ = spec.pop("class_", "nono-runc")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": annotations or {}, "labels": labels},
        "spec": {
            **({"runtimeClassName": class_} if class_ else {}),
            "schedulerName": "nobody",
            "containers": [{"name": "main", "image": "example.org/x"}],
            "volumes": [{"name": "v", "emptyDir": {}}],
            **spec,
        },
    }


def mounted(*paths: str, where: str = "containers") -> dict:
    container = {"name": "with", "image": "example.org/x",
                 "volumeMounts": [{"name": "v", "mountPath": p} for p in paths]}
    main = {"name": "main", "image": "example.org/x"}
    return pod(**{"containers": [main], where: [container]} if where != "containers" else {where: [container]})


def device(path: str) -> dict:
    container = {"name": "main", "image": "example.org/x", "volumeDevices": [{"name": "d", "devicePath": path}]}
    claim = {"name": "d", "persistentVolumeClaim": {"claimName": "c"}}
    return pod(containers=[container], volumes=[claim])


def profile(name: str, container: str = "") -> dict:
    return pod({f"nono.sh/profile{'.' if container else ''}{container}": name})


# (what it is, the pod, None or words of the refusal)
CREATE = [
    ("a plain sandboxed pod", pod(), None),
    ("a plain pod without a class", pod(class_=None), None),
    ("a pod of another class, whatever its annotations", pod({"io.katacontainers.x": "1"}, class_="other"), None),
    # Mounts.
    ("mounts at ordinary paths", mounted("/data", "/var/lib/nono", "/nonoo", "/opt/nono-nri", "/procs", "/a/proc"), None),
    ("a relative mount", mounted("data"), None),
    ("a name with dots", mounted("/data/a..b", "/...", "/.nono"), None),
    ("mount /nono", mounted("/nono"), MOUNT),
    ("mount /nono/", mounted("/nono/"), MOUNT),
    ("mount below /nono", mounted("/nono/nono"), MOUNT),
    ("mount nono, relative", mounted("nono"), MOUNT),
    ("mount ./nono", mounted("./nono"), MOUNT),
    ("mount //nono", mounted("//nono"), MOUNT),
    ("mount ///nono//x", mounted("///nono//x"), MOUNT),
    ("mount /./nono", mounted("/./nono"), MOUNT),
    ("mount /.//./nono", mounted("/.//./nono"), MOUNT),
    ("mount .//nono", mounted(".//nono"), MOUNT),
    ("mount /x/../nono", mounted("/x/../nono"), MOUNT),
    ("mount x/../nono", mounted("x/../nono"), MOUNT),
    ("mount /x/..", mounted("/x/.."), MOUNT),
    ("mount ..", mounted(".."), MOUNT),
    ("mount /", mounted("/"), MOUNT),
    ("mount //", mounted("//"), MOUNT),
    ("mount .", mounted("."), MOUNT),
    ("mount /./", mounted("/./"), MOUNT),
    ("mount /proc", mounted("/proc"), MOUNT),
    ("mount //proc/self", mounted("//proc/self"), MOUNT),
    ("mounts at files of /proc, as lxcfs has them", mounted("/proc/cpuinfo", "/proc//./meminfo/", "proc/stat", "/proc/sys/crypto/fips_enabled"), None),
    ("mount /proc/net/../fd", mounted("/proc/net/../fd"), MOUNT),
    ("mount /proc/mounts", mounted("/proc/mounts"), MOUNT),
    ("mount /proc/cpuinfo/../self", mounted("/proc/cpuinfo/../self"), MOUNT),
    ("mount /proc/sys", mounted("/proc/sys"), MOUNT),
    ("a block device at /proc/stat", device("/proc/stat"), MOUNT),
    ("a bad mount after a good one", mounted("/data", "/nono"), MOUNT),
    ("a bad mount of an init container", mounted("/./nono", where="initContainers"), MOUNT),
    ("a good mount of an init container", mounted("/data", where="initContainers"), None),
    ("a block device at /nono", device("/nono"), MOUNT),
    ("a block device at //nono", device("//nono"), MOUNT),
    ("a block device at /dev/xvda", device("/dev/xvda"), None),
    # Annotations that other programs obey.
    ("Kata's agent policy", pod({"io.katacontainers.config.agent.policy": "eA=="}), KATA),
    ("Kata's guest seccomp switch", pod({"io.katacontainers.config.runtime.disable_guest_seccomp": "true"}), KATA),
    ("Kata's kernel parameters", pod({"io.katacontainers.config.hypervisor.kernel_params": "lsm=selinux"}), KATA),
    ("an annotation that only looks like Kata's", pod({"x.io.katacontainers": "1"}), None),
    ("required-plugins as we say it", pod({REQUIRED: OURS}), None),
    ("required-plugins empty", pod({REQUIRED: "[]"}), None),  # replaced by the mutation
    ("required-plugins of the pod, empty", pod({f"{REQUIRED}/pod": "[]"}), PLUGINS),
    ("required-plugins of the container, empty", pod({f"{REQUIRED}/container.main": "[]"}), PLUGINS),
    ("required-plugins of the container, another", pod({f"{REQUIRED}/container.main": '["x"]'}), PLUGINS),
    ("required-plugins commented out", pod({f"{REQUIRED}/pod": '[] # ["nono-nri"]'}), PLUGINS),
    ("required-plugins with a blank", pod({f"{REQUIRED}/pod": '["nono-nri" ]'}), PLUGINS),
    ("required-plugins of the pod as we say it", pod({f"{REQUIRED}/pod": OURS}), None),
    ("tolerate-missing-plugins", pod({"tolerate-missing-plugins.noderesource.dev": "true"}), TOLERATE),
    ("tolerate-missing-plugins of the container",
     pod({"tolerate-missing-plugins.noderesource.dev/container.main": "true"}), TOLERATE),
    # Profiles.
    ("an allowed profile", profile("strict"), None),
    ("an allowed profile for a container", profile("codex", "main"), None),
    ("a profile that is not allowed", profile("in-cluster"), ALLOWED),
    ("a profile that is not allowed, for a container", profile("in-cluster", "main"), ALLOWED),
    ("an allowed profile, another for a container",
     pod({"nono.sh/profile": "strict", "nono.sh/profile.main": "in-cluster"}), ALLOWED),
    ("an empty profile", profile(""), SYNTAX),
    ("a profile with a slash", profile("../default"), SYNTAX),
    ("a profile with a blank", profile("strict "), SYNTAX),
    ("a profile with a second line", profile("strict\ndefault"), SYNTAX),
    ("a profile of 65 letters", profile("a" * 65), SYNTAX),
    ("a container's profile with a slash", profile("a/b", "main"), SYNTAX),
    ("a profile for a container that is not there", profile("strict", "mian"), NAMES),
    ("a profile for an init container", pod({"nono.sh/profile.first": "strict"},
     initContainers=[{"name": "first", "image": "example.org/x"}]), None),
    # Mistakes.
    ("a misspelt key", pod({"nono.sh/profle": "strict"}), f"annotation nono.sh/profle {UNKNOWN}"),
    ("two misspelt keys", pod({"nono.sh/profiles": "strict", "nono.sh/Profile": "strict"}), UNKNOWN),
    ("a misspelt key of another class's pod", pod({"nono.sh/profle": "strict"}, class_="other"), None),
    ("another's key", pod({"nono.shx/profle": "strict"}), None),
    # What takes the sandbox's worth from it.
    ("a privileged container", pod(containers=[{"name": "main", "image": "x", "securityContext": {"privileged": True}}]), ROOT),
    ("a privileged init container", pod(initContainers=[{"name": "i", "image": "x", "securityContext": {"privileged": True}}]), ROOT),
    ("a container that says it is not privileged", pod(containers=[{"name": "main", "image": "x", "securityContext": {"privileged": False}}]), None),
    ("a path of the node", pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), HOST_PATH),
    ("the node's processes", pod(hostPID=True), HOST),
    ("the node's network", pod(hostNetwork=True), HOST),
    ("the node's IPC", pod(hostIPC=True), HOST),
    ("all that in another class", pod(class_="other", hostPID=True, volumes=[{"name": "v", "hostPath": {"path": "/"}}]), None),
    # The labels.
    ("the profile's label as it is", pod({"nono.sh/profile": "strict"}, labels={"nono.sh/profile": "strict"}), None),
    ("the label on a sandboxed pod", pod(labels={"nono.sh/sandboxed": "true"}), None),
    ("the label on a pod that is not", pod(class_=None, labels={"nono.sh/sandboxed": "true"}), LABEL),
    ("the label on a pod of another class", pod(class_="other", labels={"nono.sh/sandboxed": "true"}), LABEL),
]  # fmt: skip
ENFORCE = [
    ("enforced: a pod without a class", pod(class_=None), None),
    ("enforced: a pod of the class", pod(), None),
    ("enforced: a pod of another class", pod(class_="other"), ENFORCED),
    ("enforced: a pod without a class, mount at /nono", {**mounted("/nono")}, MOUNT),
    ("a namespace's own profile", profile("in-cluster"), None),
    ("a namespace's default profile, by name", profile("codex"), None),
    ("what the others may, and this namespace may not", profile("strict"), ALLOWED),
    ("enforced: a pod without a class, Kata's annotation", pod({"io.katacontainers.x": "1"}, class_=None), KATA),
]


def patch(**metadata) -> dict:
    return {"metadata": metadata}


# (what it is, which pod, the merge patch, None or words of the refusal)
UPDATE = [
    ("another annotation", "new", patch(annotations={"team": "a"}), None),
    ("another label", "new", patch(labels={"team": "a"}), None),
    ("a finalizer", "new", patch(finalizers=["example.org/f"]), None),
    ("the profile changed", "new", patch(annotations={"nono.sh/profile": "codex"}), FROZEN),
    ("the profile removed", "new", patch(annotations={"nono.sh/profile": None}), FROZEN),
    ("a container's profile added", "new", patch(annotations={"nono.sh/profile.main": "strict"}), FROZEN),
    ("any of nono.sh/ added", "new", patch(annotations={"nono.sh/x": "1"}), FROZEN),
    ("required-plugins removed", "new", patch(annotations={REQUIRED: None}), FROZEN),
    ("required-plugins changed", "new", patch(annotations={REQUIRED: "[]"}), PLUGINS),
    ("required-plugins overridden", "new", patch(annotations={f"{REQUIRED}/container.main": "[]"}), PLUGINS),
    ("tolerate-missing-plugins added", "new", patch(annotations={"tolerate-missing-plugins.noderesource.dev": "true"}), TOLERATE),
    ("Kata's annotation added", "new", patch(annotations={"io.katacontainers.x": "1"}), KATA),
    ("the profile's label changed", "new", patch(labels={"nono.sh/profile": "codex"}), OTHER_PROFILE),
    ("the profile's label removed", "new", patch(labels={"nono.sh/profile": None}), "stays as long as the pod"),
    ("the profile's label for an old pod", "old", patch(labels={"nono.sh/profile": "in-cluster"}), None),
    ("a wrong one for an old pod", "old", patch(labels={"nono.sh/profile": "strict"}), OTHER_PROFILE),
    ("the label removed", "new", patch(labels={"nono.sh/sandboxed": None}), LABEL),
    ("the label changed", "new", patch(labels={"nono.sh/sandboxed": "false"}), LABEL),
    ("the label on a pod that is not sandboxed", "bare", patch(labels={"nono.sh/sandboxed": "true"}), LABEL),
    ("an annotation of a pod that is not sandboxed", "bare", patch(annotations={"nono.sh/profile": "x y"}), None),
    # From before the policies, with all that they refuse now.
    ("an old pod's label", "old", patch(labels={"team": "a"}), None),
    ("an old pod's finalizer", "old", patch(finalizers=["example.org/f"]), None),
    ("an old pod's profile changed", "old", patch(annotations={"nono.sh/profile": "strict"}), FROZEN),
    ("an old pod, Kata's annotation changed", "old", patch(annotations={"io.katacontainers.x": "2"}), KATA),
    ("an old pod, Kata's annotation removed", "old", patch(annotations={"io.katacontainers.x": None}), None),
]  # fmt: skip


def judged(t: Tap, name: str, r: Result, words: str | None) -> None:
    if words is None:
        t.ok(r.code == 0, f"passes: {name}", r.err)
    else:
        t.ok(r.code != 0 and words in r.err and "ValidatingAdmissionPolicy" in r.err, f"refused: {name}", r.err or "it passed")


def create(k: Cluster, what: dict, namespace: str = "default", *flags: str) -> Result:
    return k.kubectl("create", "-n", namespace, "--dry-run=server", "-o", "json", *flags, "-f", "-",
                     stdin=json.dumps(what), check=False)


def creations(t: Tap, k: Cluster) -> None:
    for name, what, words in CREATE:
        judged(t, name, create(k, what), words)
    for name, what, words in ENFORCE:
        judged(t, name, create(k, what, "boxed"), words)
    got = json.loads(create(k, pod({REQUIRED: "[]"})).out)
    t.equal((got["metadata"]["annotations"][REQUIRED], got["metadata"]["labels"]["nono.sh/sandboxed"]), (OURS, "true"),
            "the annotation and the label are added, over what was there")
    for annotations, labels, want in (({}, {}, "default"), ({"nono.sh/profile": "strict"}, {}, "strict"),
                                      ({"nono.sh/profile": "strict"}, {"nono.sh/profile": "codex"}, "strict"),
                                      ({"nono.sh/profile.main": "codex"}, {}, "default")):  # fmt: skip
        got = json.loads(create(k, pod(annotations, labels=labels)).out)
        t.equal(got["metadata"]["labels"].get("nono.sh/profile"), want, f"the label that 'profile netpol' selects: {annotations} {labels}")
    got = json.loads(create(k, pod(class_=None)).out)
    t.ok(REQUIRED not in got["metadata"].get("annotations", {}) and "labels" not in got["metadata"],
         "a pod without the class stays as it is", got["metadata"])
    got = json.loads(create(k, pod(), "boxed").out)
    t.equal(got["metadata"]["labels"]["nono.sh/profile"], "codex", "the label says a namespace's own default profile")
    got = json.loads(create(k, pod(class_=None), "boxed").out)
    t.equal((got["spec"]["runtimeClassName"], got["spec"].get("nodeSelector"), got["metadata"]["annotations"][REQUIRED],
             got["metadata"]["labels"]["nono.sh/sandboxed"]),
            ("nono-runc", {"pool": "boxes"}, OURS, "true"),
            "enforced: the class comes with its node selector, annotation and label")


def controllers(t: Tap, k: Cluster) -> None:
    """Pods are made by controllers, too."""
    spec = pod(class_=None, labels={"app": "d"})
    k.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "boxed"},
             "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "d"}},
                      "template": {"metadata": {"labels": {"app": "d"}}, "spec": spec["spec"]}}})
    made = wait_until(lambda: k.get("pods", "-n", "boxed", "-l", "app=d")["items"], "the Deployment's pod")[0]
    t.equal(made["spec"].get("runtimeClassName"), "nono-runc", "enforced: a Deployment's pod gets the class")
    k.kubectl("delete", "deployment", "-n", "boxed", "d")


PROFILE, OF_CONTAINER, OF_VOLUME = "nono.sh/profile", "nono.sh/profile.main", "nono.sh/volume.v"
# (keys on the workload, keys in its template, those that are misplaced, those that mean nothing)
WORKLOADS = [
    *(((key,), (), (key,), ()) for key in (PROFILE, OF_CONTAINER, OF_VOLUME)),
    *(((), (key,), (), ()) for key in (PROFILE, OF_CONTAINER, OF_VOLUME)),
    *(((key,), (key,), (), ()) for key in (PROFILE, OF_CONTAINER, OF_VOLUME)),
    ((OF_CONTAINER, OF_VOLUME), (PROFILE, OF_VOLUME), (OF_CONTAINER,), ()),
    ((PROFILE, OF_VOLUME), (), (PROFILE, OF_VOLUME), ()),
    (("nono.sh/profle",), (), (), ("nono.sh/profle",)),
    ((), ("nono.sh/profle",), (), ("nono.sh/profle",)),
    (("nono.sh/profle",), ("nono.sh/profle", PROFILE), (), ("nono.sh/profle",)),
    ((PROFILE, "nono.sh/Profile"), ("nono.sh/volumes.v",), (PROFILE,), ("nono.sh/Profile", "nono.sh/volumes.v")),
    (("nono.shx/profile", "example.org/nono.sh"), ("nono.shx/profile",), (), ()),
    ((), (), (), ()),
]  # fmt: skip


def workloads(t: Tap, k: Cluster) -> None:
    """Annotations belong to the pods, not to what makes them; what is wrong is warned of by name, and refused nowhere."""
    template = {"metadata": {"labels": {"app": "w"}}, "spec": {**pod()["spec"], "restartPolicy": "Never"}}
    always = {**template, "spec": {**template["spec"], "restartPolicy": "Always"}}
    selector = {"selector": {"matchLabels": {"app": "w"}}}
    kinds = (("apps/v1", "Deployment", {**selector, "template": always}), ("apps/v1", "ReplicaSet", {**selector, "template": always}),
             ("apps/v1", "StatefulSet", {**selector, "serviceName": "w", "template": always}), ("apps/v1", "DaemonSet", {**selector, "template": always}),
             ("batch/v1", "Job", {"template": template}), ("batch/v1", "CronJob", {"schedule": "1 1 1 1 1", "jobTemplate": {"spec": {"template": template}}}))
    for api, kind, spec in kinds:
        path = "spec.jobTemplate.spec.template" if kind == "CronJob" else "spec.template"
        for outer, inner, misplaced, unknown in WORKLOADS:
            what = copy.deepcopy({"apiVersion": api, "kind": kind, "metadata": {"name": "w"}, "spec": spec})
            template = what["spec"]["jobTemplate"]["spec"]["template"] if kind == "CronJob" else what["spec"]["template"]
            what["metadata"]["annotations"], template["metadata"]["annotations"] = dict.fromkeys(outer, "strict"), dict.fromkeys(inner, "strict")
            r = create(k, what)
            want = [(keys, words) for keys, words in (
                (set(misplaced), f"is on the {kind}, where it has no effect: put it into the metadata of its pod template ({path}.metadata.annotations)"),
                (set(unknown), f"{UNKNOWN}, nono.sh/profile.CONTAINER and nono.sh/volume.NAME: correct or remove it")) if keys]
            # A map of CEL's has no order.
            warned = [(set(keys.split(", ")), words) for keys, words in
                      re.findall(r"^Warning: .*?: annotation ([^\s,]+(?:, [^\s,]+)*) (.*)$", r.err, re.MULTILINE)]
            t.ok(r.code == 0 and warned == want,
                 f"{kind} with {' '.join(outer) or 'nothing'}, its template with {' '.join(inner) or 'nothing'}: {'warned of' if want else 'fine'}", r.err)


def updates(t: Tap, k: Cluster) -> None:
    for name, target, change, words in UPDATE:
        r = k.kubectl("patch", "pod", target, "--type=merge", "-p", json.dumps(change), "--dry-run=server", check=False)
        judged(t, name, r, words)
    for name, path, words in (("at /data", "/data", None), ("at //nono", "//nono", MOUNT), ("at /proc", "/proc", MOUNT)):
        for target in ("new", "old"):
            extra = {"name": "dbg", "image": "example.org/x", "volumeMounts": [{"name": "v", "mountPath": path}]}
            r = k.kubectl("patch", "pod", target, "--subresource=ephemeralcontainers", "--type=strategic", "--dry-run=server",
                          "-p", json.dumps({"spec": {"ephemeralContainers": [extra]}}), check=False)
            judged(t, f"an ephemeral container of the {target} pod, mount {name}", r, words)
    k.kubectl("patch", "pod", "old", "--type=merge", "-p", json.dumps(patch(finalizers=["example.org/f"])))
    k.kubectl("delete", "pod", "old", "--wait=false")
    r = k.kubectl("patch", "pod", "old", "--type=merge", "-p", json.dumps(patch(finalizers=None)), check=False)
    t.ok(r.code == 0, "an old pod's finalizer can be removed, so that it can go", r.err)
    wait_until(lambda: k.kubectl("get", "pod", "old", check=False).code != 0, "the old pod to be gone")


DENIED = "denied; grant the verb exec on sandboxes.nono.sh"


def entering(t: Tap, k: Cluster) -> None:
    """exec and attach: who may, and what the API server says to the others.  Nothing runs, so
    whoever passes hears that there is no host."""

    def role(name: str, rule: dict, *users: str) -> list[dict]:
        subjects = [{"kind": "User", "name": u, "apiGroup": "rbac.authorization.k8s.io"} for u in users]
        meta = {"metadata": {"name": name}}
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
        return [{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", **meta, "rules": [rule]},
                {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", **meta,
                 "roleRef": ref, "subjects": subjects}]

    k.apply([
        *role("enter", {"apiGroups": [""], "resources": ["pods", "pods/exec", "pods/attach"], "verbs": ["get", "create"]},
              "alice", "bob", "carol"),
        *role("glass", {"apiGroups": ["nono.sh"], "resources": ["sandboxes"], "verbs": ["exec"]}, "bob"),
        *role("one", {"apiGroups": ["nono.sh"], "resources": ["sandboxes"], "resourceNames": ["other"], "verbs": ["exec"]},
              "carol"),
    ])

    def enter(user: str, verb: str, target: str, namespace: str = "default") -> str:
        args = [target, "-c", "main"] if verb == "attach" else [target, "-c", "main", "--", "true"]
        return k.kubectl(verb, f"--as={user}", "-n", namespace, *args, check=False).err

    for verb in ("exec", "attach"):
        for user, target, may in (("alice", "new", False), ("alice", "bare", True), ("bob", "new", True),
                                  ("carol", "new", False), ("carol", "other", True), ("alice", "other", False)):  # fmt: skip
            # RBAC's word about a new binding takes a moment.
            said = wait_until(lambda: (e := enter(user, verb, target)) and "cannot create resource" not in e and e, "RBAC")
            if may:
                t.ok(DENIED not in said, f"{verb}: {user} into {target} passes", said)
            else:
                t.ok(f"exec into sandboxed pod {target} {DENIED}" in said, f"{verb}: {user} into {target} is refused", said)
    said = enter("alice", "exec", "nowhere", "empty")
    t.ok(DENIED not in said and "not found" in said, "exec in a namespace without pods is not ours to judge", said)


# (what it is, the node, the subresource, the merge patch, may node set-up do it)
NODE_PATCHES = [
    ("its labels", NODE, "", {"metadata": {"labels": {"nono.sh/ready": "true", "nono.sh/landlock-abi": "7"}}}, True),
    ("its annotation", NODE, "", {"metadata": {"annotations": {"nono.sh/uninstall": None}}}, True),
    ("its taint", NODE, "", {"spec": {"taints": [{"key": "nono.sh/agent-not-ready", "effect": "NoSchedule"}]}}, True),
    ("its condition", NODE, "status", {"status": {"conditions": [{"type": "nono.sh/Ready", "status": "True"}]}}, True),
    ("another label", NODE, "", {"metadata": {"labels": {"node-role.kubernetes.io/x": ""}}}, False),
    ("a label taken away", NODE, "", {"metadata": {"labels": {"kubernetes.io/os": None}}}, False),
    ("a label changed", NODE, "", {"metadata": {"labels": {"kubernetes.io/arch": "x"}}}, False),
    ("another annotation", NODE, "", {"metadata": {"annotations": {"x": "y"}}}, False),
    ("another taint", NODE, "", {"spec": {"taints": [{"key": "x", "effect": "NoExecute"}]}}, False),
    ("a cordon", NODE, "", {"spec": {"unschedulable": True}}, False),
    ("another condition", NODE, "status", {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}, False),
    ("the capacity", NODE, "status", {"status": {"capacity": {"example.org/x": "1"}}}, False),
    ("another node's labels", "elsewhere", "", {"metadata": {"labels": {"nono.sh/ready": "true"}}}, False),
]  # fmt: skip


def node_rights(t: Tap, k: Cluster) -> None:
    """What the token of a node set-up pod can do to Node objects."""
    k.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "elsewhere"}})
    token = k.kubectl("create", "token", "kf-kubefence-node-setup", "-n", "kube-system", "--bound-object-kind=Node",
                      f"--bound-object-name={NODE}").strip()
    ours = ("--kubeconfig=/dev/null", "--server=https://127.0.0.1:443", f"--certificate-authority={k.pki}/ca.crt",
            f"--token={token}")
    for name, target, sub, change, may in NODE_PATCHES:
        # kubectl would read nodes/status first, which nobody needs to be allowed.
        kind = "strategic-merge-patch" if sub else "merge-patch"
        said = k.c.sh(f"""curl -s -X PATCH --cacert {k.pki}/ca.crt -H 'Authorization: Bearer {token}' \\
            -H 'Content-Type: application/{kind}+json' -d '{json.dumps(change)}' \\
            'https://127.0.0.1/api/v1/nodes/{target}{"/" + sub if sub else ""}?dryRun=All'""").out
        answer = json.loads(said)
        if may:
            t.equal(answer["kind"], "Node", f"node set-up may change {name}")
        else:
            t.ok("node set-up may change" in answer.get("message", ""), f"node set-up may not change {name}", said)
    for verb, what in (("list", "nodes"), ("delete", "nodes"), ("get", "secrets"), ("create", "pods"), ("get", "nodes --subresource=proxy"),
                       ("update", "nodes"), ("list", "pods")):  # fmt: skip
        r = k.kubectl(*ours, "auth", "can-i", verb, *what.split(), "-n", "kube-system", check=False)
        t.equal(r.out.strip(), "no", f"node set-up may not {verb} {what}")
    k.kubectl("delete", "node", "elsewhere")


def developers(t: Tap, k: Cluster) -> None:
    """kubectl nono with the rights of "edit" in one namespace, and of "view" everywhere."""
    rbac = "rbac.authorization.k8s.io"

    def binding(kind: str, name: str, role: str, account: str) -> dict:
        meta = {"name": name, **({"namespace": "empty"} if kind == "RoleBinding" else {})}
        return {"apiVersion": f"{rbac}/v1", "kind": kind, "metadata": meta, "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": role},
                "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "empty"}]}

    def nono(account: str, *args: str) -> Result:
        token = k.kubectl("create", "token", account, "-n", "empty").strip()
        config = json.loads((k.pki / "admin.kubeconfig").read_text())
        config["users"][0]["user"] = {"token": token}
        config["contexts"][0]["context"]["namespace"] = "empty"
        path = k.pki / f"{account}.kubeconfig"
        path.write_text(json.dumps(config))
        p = subprocess.run(k.c.inside(["env", f"KUBECONFIG={path}", f"HOME={k.c.dir}", f"PATH={k.bin}:/usr/bin:/bin", str(NONO), *args]),
                           capture_output=True, text=True, timeout=120)
        return Result(p.returncode, p.stdout, p.stderr)

    accounts = [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": n, "namespace": "empty"}} for n in ("dev", "viewer")]
    k.apply([*accounts, binding("RoleBinding", "dev", "edit", "dev"), binding("ClusterRoleBinding", "viewer", "view", "viewer")])
    wait_until(lambda: k.kubectl("get", "serviceaccount", "default", "-n", "empty", check=False).code == 0, "the account")
    k.kubectl("create", "-n", "empty", "-f", "-", stdin=json.dumps(pod({"nono.sh/profile.main": "strict"}, name="mine")))
    r = wait_until(lambda: (r := nono("dev", "status")).code == 0 and r, "RBAC", 30)
    t.ok("mine" in r.out and "strict" in r.out and "bare" not in r.out and "nodes: not known with these rights" in r.out and "Forbidden" not in r.err,
         "edit in one namespace: status shows its pods, and what is not known", r)
    r = nono("dev", "status", "-A")
    t.ok(r.code == 1 and not r.out and "all namespaces" in r.err, "... status -A does not pass one namespace for all", r)
    r = nono("viewer", "status", "-A")
    t.ok("\nempty " in r.out and "\ndefault " in r.out, "control: who may see all gets all", r)
    r = nono("dev", "explain", "pod/mine")
    t.ok(r.code == 0 and "profile strict (annotation nono.sh/profile.CONTAINER)" in r.out and "nodes may not be read" in r.out, "... explain tells the profile", r)
    r = nono("dev", "explain", "new", "-n", "default")
    t.ok(r.code == 1 and "not allowed with these rights" in r.err, "... and nothing of another namespace", r)
    r = nono("dev", "doctor", "-o", "short")
    t.ok(r.code == 0 and "√ no sandboxed pod is refused" in r.out and r.out.count("not known with these rights") >= 4, "... doctor says what it could not see", r)
    r = wait_until(lambda: "new" in (r := nono("viewer", "status")).out and "RUNTIMECLASS" in r.out and r, "the aggregated role", 60)
    t.ok("nono-runc" in r.out and "NODE" in r.out and "not known" not in r.out, "view everywhere: the chart's role brings nodes and classes", r)
    k.kubectl("delete", "pod", "mine", "-n", "empty", "--wait=false")


NOTES = [
    ("config.seccompProfile=", "WARNING: config.seccompProfile is"),
    ("config.seccompProfile=runtime-default", "io_uring"),
    ("nodeSetup.enabled=false", "WARNING: nodeSetup.enabled"),
    ("admission.enabled=false", "WARNING: admission.enabled"),
    ("admission.validationActions={Audit}", "WARNING: admission.validationActions"),
    ("image.tag=latest", "WARNING: image.tag"),
    ("kata.qemu.disableGuestSeccomp=true", "WARNING: kata.qemu.disableGuestSeccomp"),
    ("runtimeClasses.kataNono.enabled=true", "every pod of handler kata-qemu"),
]  # fmt: skip


def notes(t: Tap, k: Cluster) -> None:
    def said(*values: str) -> str:
        sets = [x for v in values for x in ("--set", v)]
        out = k.helm("upgrade", "kf", CHART, "-n", "kube-system", *VALUES, *sets, "--dry-run=server")
        return out.partition("NOTES:")[2]

    safe = said("image.tag=0.1.0")
    t.ok("kubefence" in safe and "WARNING" not in safe, "NOTES without a warning, if all is as it should be", safe)
    for value, words in NOTES:
        t.ok(words in said(value), f"NOTES warn of {value}")


def softer(t: Tap, k: Cluster) -> None:
    """validationActions and mutate, as values say."""
    said = k.helm("upgrade", "kf", CHART, "-n", "kube-system", *VALUES, "--set", "admission.validationActions={Warn,Audit}",
                  "--set", "admission.mutate=false")
    t.ok("WARNING: admission.validationActions" in said, "NOTES warn of policies that refuse nothing", said)
    r = wait_until(lambda: (r := create(k, mounted("/nono"))).code == 0 and r, "the policy to warn only", 30)
    t.ok(MOUNT in r.err, "with [Warn, Audit] a violation passes with a warning", r.err)
    wait_until(lambda: (r := create(k, pod())).code == 0 and REQUIRED not in r.out, "no mutation", 30)
    t.ok(True, "without mutation a plain pod passes as it is")


def run(t: Tap) -> None:
    with Cluster() as k:
        for name, labels in (("boxed", {"nono.sh/enforce": "true"}), ("empty", {})):
            k.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        k.apply({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "other"}, "handler": "other"})
        k.helm("install", "kf", CHART, "-n", "kube-system", *VALUES, "--set", "admission.enabled=false")
        old = mounted("/nono")
        old["metadata"].update(name="old", annotations={"io.katacontainers.x": "1", "nono.sh/profile": "in-cluster"})
        wait_until(lambda: k.kubectl("create", "-f", "-", stdin=json.dumps(old), check=False).code == 0, "the old pod")
        k.helm("upgrade", "kf", CHART, "-n", "kube-system", *VALUES)
        wait_until(lambda: create(k, mounted("/nono")).code != 0, "the policies to be in force", 30)
        wait_until(lambda: REQUIRED in create(k, pod()).out, "the mutation to be in force", 30)
        wait_until(lambda: k.kubectl("get", "serviceaccount", "default", "-n", "boxed", check=False).code == 0, "accounts")
        for name, class_, profile_ in (("new", "nono-runc", "strict"), ("other", "nono-runc", "strict"), ("bare", None, "strict")):
            made = copy.deepcopy(pod({"nono.sh/profile": profile_}, name=name, class_=class_))
            k.kubectl("create", "-f", "-", stdin=json.dumps(made))
        for part in (creations, controllers, workloads, updates, developers, entering, node_rights, notes, softer):
            t.case(f"admission {part.__name__}", part, t, k)
        t.ok(len(CREATE) + len(ENFORCE) + len(UPDATE) >= 60, "at least 60 requests are judged")
