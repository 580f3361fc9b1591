# SPDX-License-Identifier: Apache-2.0
"""kubefence node under a real systemd: containerd as its unit, restarted through the real systemctl."""
import json
import tempfile
from pathlib import Path

import box
import guest

PROGRAMS = {name: Path(box.ROOT, "out/bin", name) for name in ("kubefence", "nono", "nono-bwrap", "nono-runc")}
CONFIG = "/etc/containerd/config.toml"
DROP_IN = "/etc/containerd/conf.d/90-kubefence.toml"
# Loses exactly when the new configuration is there; and always.
BAD = {
    "only with the new configuration": f"/bin/sh -c '! test -e {DROP_IN}'",
    "always": "/bin/false",
}
SANDBOX = {
    "metadata": {"namespace": "default", "attempt": 0},
    "linux": {"cgroup_parent": "pods.slice", "security_context": {"namespace_options": {"network": 2, "pid": 1}}},
}
CONTAINER = {
    "metadata": {"name": "c", "attempt": 0},
    "image": {"image": "localhost/kubefence/busybox:1"},
    "linux": {"security_context": {"namespace_options": {"network": 2, "pid": 1}}},
}


class Node:
    def __init__(self, m):
        self.m = m

    def prepare(self) -> None:
        """containerd's own default configuration, as a careful administrator sets it: systemd's cgroups."""
        self.m.check(
            "set -e; mkdir -p /payload; tar xf /dev/vdb -C /payload; "
            f"containerd config default | sed -e 's/SystemdCgroup = false/SystemdCgroup = true/' "
            f"-e \"s,sandbox = '.*',sandbox = 'localhost/kubefence/pause:1',\" >{CONFIG}; "
            "grep -q 'SystemdCgroup = true' /etc/containerd/config.toml; systemctl restart containerd; "
            "for i in busybox pause; do ctr -n k8s.io images import --local /usr/local/share/$i.tar; done"
        )

    def pod(self, name: str, args, handler: str = "", privileged: bool = False, mounts=()) -> str:
        """Start a pod with one container: the container's id."""
        sandbox = {**SANDBOX, "metadata": {**SANDBOX["metadata"], "name": name, "uid": name}, "log_directory": f"/var/log/{name}"}
        container = {**CONTAINER, "args": args, "log_path": "c.log", "mounts": list(mounts)}
        for config in (sandbox, container):
            config["linux"] = json.loads(json.dumps(config["linux"]))
            config["linux"]["security_context"]["privileged"] = privileged
        for what, config in (("pod", sandbox), ("container", container)):
            self.m.check(f"cat >/run/{name}.{what} <<'END'\n{json.dumps(config)}\nEND")
        flag = f"-r {handler}" if handler else ""
        out = self.m.check(
            f"set -e; mkdir -p /var/log/{name}; p=$(crictl -t 120s runp {flag} /run/{name}.pod); echo $p >/run/{name}.id; "
            f"c=$(crictl -t 120s create $p /run/{name}.container /run/{name}.pod); crictl -t 120s start $c >/dev/null; echo $c")
        return out.split()[-1]

    def remove(self, name: str) -> None:
        self.m.check(f"crictl rmp -f $(cat /run/{name}.id)")

    def kubefence(self, *args: str):
        p = self.m.run(f"/payload/kubefence node {' '.join(args)} -o json --payload /payload 2>&1")
        line = next((x for x in p.stdout.splitlines() if x.startswith("{")), "{}")
        return p.returncode, json.loads(line), p.stdout

    def unit(self) -> dict:
        """What systemd says about containerd; InvocationID changes with each start."""
        out = self.m.check("systemctl show containerd -p ActiveState -p MainPID -p InvocationID -p NRestarts")
        return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)

    def no_new_privs(self, container: str) -> bool:
        return self.m.run(f"crictl exec {container} grep -q 'NoNewPrivs:.1' /proc/self/status").returncode == 0

    def alive(self, container: str) -> bool:
        return self.m.run(f"crictl exec {container} true").returncode == 0

    def files(self) -> str:
        return self.m.check("find /etc/containerd -type f | sort | xargs sha256sum; find /opt -type f | sort")

    def bad(self, command: str) -> None:
        """One start is granted; the next would be refused unless somebody resets that."""
        self.m.check("mkdir -p /etc/systemd/system/containerd.service.d; "
                     f"cat >/etc/systemd/system/containerd.service.d/bad.conf <<'END'\n[Unit]\nStartLimitIntervalSec=3600\n"
                     f"StartLimitBurst=1\n[Service]\nRestartSec=100ms\nExecStartPre={command}\nEND\n"
                     "systemctl daemon-reload; systemctl reset-failed containerd")

    def good(self) -> None:
        self.m.check("rm /etc/systemd/system/containerd.service.d/bad.conf; systemctl daemon-reload; systemctl reset-failed containerd")


def failing(t, n: Node, plain: str) -> None:
    """A restart that fails, for real: the unit's ExecStartPre says no."""
    before, was = n.files(), n.unit()
    n.bad(BAD["only with the new configuration"])
    code, said, out = n.kubefence("install")
    t.ok(code == 1 and "systemctl restart containerd" in out, "a restart that fails is reported", out)
    t.ok("restored" in [e["action"] for e in said.get("events", [])], "... the configuration is put back", out)
    t.equal(n.m.run(f"test -e {DROP_IN}").returncode, 1, "... the drop-in is gone")
    now = n.unit()
    t.ok(now["ActiveState"] == "active" and now["InvocationID"] != was["InvocationID"],
         "... and systemd runs containerd with the old one", now)
    t.equal(n.m.check("find /etc/containerd -type f | sort | xargs sha256sum"),
            "".join(x + "\n" for x in before.splitlines() if "/etc/containerd" in x), "... byte by byte")
    t.ok(n.alive(plain), "... the running pod survives")
    n.m.check("crictl rmp -f $(crictl pods -q --name fresh) 2>/dev/null || true")
    t.ok(n.alive(n.pod("fresh", ["sleep", "600"])), "... and new pods start")
    n.remove("fresh")
    n.good()

    n.bad(BAD["always"])
    code, said, out = n.kubefence("install", "--timeout", "30")
    t.ok(code == 1 and "the old configuration could not be restored either" in out, "a unit that does not start any more is reported", out)
    t.equal(n.m.run(f"test -e {DROP_IN}").returncode, 1, "... though the old configuration is in place")
    n.good()
    n.m.check("systemctl restart containerd")
    t.ok(n.alive(plain), "... so that it serves once the unit is repaired; the running pod survives that too")


def run_in_pod(n: Node, *args: str) -> str:
    """kubefence node as the node-setup DaemonSet runs it: in a privileged container that sees the host's root
    under /host, while that container's runtime is what it restarts."""
    n.pod("setup", ["/host/payload/kubefence", "node", *args, "--host-root", "/host", "--payload", "/host/payload"], privileged=True,
          mounts=[{"container_path": "/host", "host_path": "/", "propagation": 1}])
    # The name of the pod's container; crictl's answer comes back once containerd does.
    n.m.check("for i in $(seq 300); do s=$(crictl ps -a --name '^c$' --pod $(cat /run/setup.id) -o json 2>/dev/null | "
              "grep -o 'CONTAINER_EXITED') && break; sleep 0.2; done; test \"$s\" = CONTAINER_EXITED")
    log = n.m.check("cat /var/log/setup/c.log; crictl inspect $(crictl ps -aq --pod $(cat /run/setup.id)) | grep exitCode")
    n.remove("setup")
    return log


def elsewhere(t, n: Node, plain: str) -> None:
    """A unit whose environment names another configuration, beside what is left of others: systemd is asked."""
    own = "/etc/kube/containerd.toml"
    n.m.check(f"set -e; mkdir -p /etc/kube /etc/systemd/system/containerd.service.d /var/lib/rancher/k3s/agent/etc/containerd; "
              f"sed '/^imports/d' {CONFIG} >{own}; echo version = 3 >/var/lib/rancher/k3s/agent/etc/containerd/config.toml; "
              f"cat >/etc/systemd/system/containerd.service.d/own.conf <<'END'\n[Service]\nEnvironment=WHERE={own}\nExecStart=\n"
              "ExecStart=/usr/local/bin/containerd --config ${WHERE}\nEND\n"
              "systemctl daemon-reload; systemctl restart containerd")
    original = n.files(), n.m.check(f"sha256sum {own}")
    code, said, out = n.kubefence("plan")
    t.ok(code == 0 and own in out and "runs here" in out, "a unit with another configuration: plan follows it", out)
    log = run_in_pod(n, "install")
    t.ok('"exitCode": 0' in log and f"changed    {own}" in log, "... and so does install in a pod without hostPID", log)
    boxed = n.pod("boxed2", ["sleep", "6000"], "nono-runc")
    t.ok(n.no_new_privs(boxed) and n.alive(plain), "... the handler that is served comes from there")
    n.m.check("rm /etc/systemd/system/containerd.service.d/own.conf; systemctl daemon-reload; systemctl restart containerd")
    code, said, out = n.kubefence("install")
    t.ok(code == 1 and own in out and CONFIG in out and "uninstall" in out, "the unit reads the old one again: install says which is which", out)
    n.remove("boxed2")
    code, said, out = n.kubefence("uninstall")
    t.ok(code == 0 and said.get("state") == "done", "... and uninstall takes back what was done there", out)
    t.equal((n.files(), n.m.check(f"sha256sum {own}")), original, "... byte by byte")


def scenario(t, n: Node) -> None:
    n.prepare()
    t.equal(n.m.check("systemctl is-system-running || true").strip(), "running", "a Debian machine, systemd is its first process")
    original = n.files()
    plain = n.pod("plain", ["sleep", "6000"])
    t.ok(n.alive(plain) and not n.no_new_privs(plain), "control: a pod without sandbox runs")

    code, said, out = n.kubefence("plan")
    was = n.unit()
    t.ok(code == 0 and n.files() == original, "plan writes nothing", out)
    failing(t, n, plain)

    was = n.unit()
    log = run_in_pod(n, "install")
    now = n.unit()
    t.ok('"exitCode": 0' in log and "restart    containerd" in log, "install from a privileged pod, in a chroot of the host", log)
    t.ok(now["ActiveState"] == "active" and now["InvocationID"] != was["InvocationID"] and now["MainPID"] != was["MainPID"],
         "... systemd restarted the unit", f"{was} {now}")
    t.ok(n.alive(plain), "... the pod from before survives")
    boxed = n.pod("boxed", ["sleep", "6000"], "nono-runc")
    t.ok(n.no_new_privs(boxed) and not n.no_new_privs(plain), "... a pod of the new handler is sandboxed, the other is not")
    denied = n.m.run(f"crictl exec {boxed} sh -c 'echo x >/etc/x'")
    allowed = n.m.run(f"crictl exec {plain} sh -c 'echo x >/etc/x'")
    t.ok("Permission denied" in denied.stdout and allowed.returncode == 0, "... it cannot write /etc, the control can", denied.stdout)
    pid = f"$(crictl inspect {boxed} | sed -n 's/.*\"pid\": \\([0-9]*\\),.*/\\1/p' | head -1)"
    t.ok("/pods.slice/cri-containerd-" in n.m.check(f"cat /proc/{pid}/cgroup"), "... in systemd's cgroups, as the default runtime's",
         n.m.check(f"cat /proc/{pid}/cgroup"))
    code, said, out = n.kubefence("verify")
    t.ok(code == 0, "verify agrees", out)

    was = n.unit()
    code, said, out = n.kubefence("install")
    t.ok(code == 0 and said.get("state") == "nothing to do" and n.unit() == was, "a second install has nothing to do: no restart", out)

    code, said, out = n.kubefence("uninstall")
    t.ok(code == 0 and "not finished" in said.get("state", ""), "uninstall waits for the last container of the handler", out)
    t.ok(n.no_new_privs(boxed) and n.alive(plain) and n.unit() == was, "... both pods go on, nothing was restarted")
    n.remove("boxed")
    code, said, out = n.kubefence("uninstall")
    now = n.unit()
    t.ok(code == 0 and said.get("state") == "done" and now["ActiveState"] == "active" and now["InvocationID"] != was["InvocationID"],
         "a second one finishes and systemd restarts containerd", f"{out} {now}")
    t.equal(n.files(), original, "... every file is as it was")
    t.ok(n.alive(plain), "... the first pod still runs")
    elsewhere(t, n, plain)
    t.equal(n.m.check("systemctl is-system-running || true").strip(), "running", "... and no unit failed")


def run(t, mode: str) -> None:
    if mode != "all":
        return
    with tempfile.TemporaryDirectory(prefix="kf-guest-") as where, guest.machine(where, PROGRAMS) as m:
        print(f"# the machine answers after {m.boot_seconds:.1f} s", flush=True)
        t.case("systemd", scenario, t, Node(m))
