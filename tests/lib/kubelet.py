# SPDX-License-Identifier: Apache-2.0
"""A container as a real kubelet's runtime describes it, without either: mounts, environment, devices, capabilities.

    spec = kubelet.config("/tmp/bundle", ["sh", "-c", "id"])              # containerd's; rootfs is in the bundle
    spec = kubelet.config(where, args, flavour="crio", rootfs="/r", env=["HOME=/root"], cwd="/work")

The files of a pod (hosts, resolv.conf, the service account's token ...) are made in WHERE/pod, and are the caller's to
remove with it. What was recorded, and how, says record.py.
"""
import json
import os
from pathlib import Path

RECORDED = Path(__file__).with_name("recorded")
FLAVOURS = ("containerd", "crio")
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"
# Shared by the containers of a pod.
POD_FILES = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
FILES = {
    "hosts": "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n10.88.0.2\trecorded\n",
    "hostname": "recorded\n",
    "resolv.conf": "nameserver 10.96.0.10\n",
    "termination-log": "",
    ".containerenv": "",
}
VALUES = {"@ID@": "c" * 64, "@SANDBOX@": "5" * 64, "@IMAGE@": "1" * 64, "@NAME@": "abcde", "@HASH@": "0", "@TIME@": "2026-01-01T00:00:00Z",
          "@UID@": "f4d2e1c0-0000-4000-8000-000000000000", "@ADDRESS@": "10.96.0.1", "@NODE@": "/node"}


def files(where: Path) -> Path:
    """The pod's files, as kubelet and runtime make them; the directory they are in."""
    pod = where / "pod"
    if pod.is_dir():
        return pod
    (pod / "serviceaccount/..1").mkdir(parents=True)
    for name, text in FILES.items():
        (pod / name).write_text(text)
        (pod / name).chmod(0o666 if name == "termination-log" else 0o644)
    for name in ("token", "ca.crt", "namespace"):
        (pod / "serviceaccount/..1" / name).write_text(f"{name} of the service account\n")
        (pod / "serviceaccount" / name).symlink_to(f"..data/{name}")
    (pod / "serviceaccount/..data").symlink_to("..1")
    return pod


def _environment(recorded: list[str], more: list[str]) -> list[str]:
    """What an image or a pod says replaces what was recorded."""
    names = {e.split("=", 1)[0] for e in more}
    return [e for e in recorded if e.split("=", 1)[0] not in names] + more


def config(where: str | os.PathLike, args: list[str], *, flavour: str = "containerd", rootfs: str = "rootfs",
           seccomp: bool = False, env: list[str] = (), **process) -> dict:
    """@seccomp: with the runtime's own policy, as a pod that asks for RuntimeDefault; @process replaces keys."""
    pod = files(Path(where))
    text = (RECORDED / f"{flavour}.json").read_text()
    for name, value in {**VALUES, "@FILES@": str(pod), "@ROOTFS@": str(rootfs)}.items():
        text = text.replace(name, value)
    spec = json.loads(text)
    spec["ociVersion"] = "1.0.2"  # crun 1.8 knows no newer one
    spec.setdefault("hostname", "recorded")
    spec["process"].update({"args": args, "env": _environment(spec["process"]["env"], list(env)), **process})
    for m in spec["mounts"]:
        # The sandbox's, which is one of these.
        if m["destination"] == "/dev/shm":
            options = [o for o in m["options"] if not o.endswith("bind") and o != "rprivate"]
            m.update(type="tmpfs", source="shm", options=[*options, "mode=1777", "size=65536k"])
    linux = spec["linux"]
    # There is no sandbox whose namespaces could be joined, and no kubelet's cgroup.  The shares of the CPU are a best-effort
    # pod's among pods: beside everything else of a busy machine they would be a thousandth of it, and next to nothing.
    linux["namespaces"] = [{"type": n["type"]} for n in linux["namespaces"]]
    del linux["cgroupsPath"], linux["resources"]["cpu"]["shares"]
    if linux["resources"].get("pids", {}).get("limit", 1) <= 0:
        del linux["resources"]["pids"]  # no limit; crun 1.8 cannot write it
    if not seccomp:
        del linux["seccomp"]
    return spec
