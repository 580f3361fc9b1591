# SPDX-License-Identifier: Apache-2.0
"""A real containerd for tests: pods, containers, exec and logs in a few lines.

    from lib import images
    from lib.containerd import Containerd, CriError

    with Containerd("2.4") as c:                        # or "1.7", "2.1", "2.2", "2.3"
        busybox = c.load(images.busybox())
        r = c.run(busybox, ["sh", "-c", "id; cat /nope"], handler="nono-runc")
        assert r.code == 1 and "uid=0" in r.out          # r.code, r.out, r.err

        pod = c.pod("web", handler="nono-runc", annotations={"nono.sh/profile": "strict"})
        ctr = pod.container(busybox, ["sleep", "60"], env={"A": "b"}, cwd="/tmp",
                            mounts=[("/host/dir", "/mnt", "ro")])   # created ...
        ctr.start()                                                 # ... and running
        ctr.exec("cat", "/etc/shadow").code                         # as probes do; see also exec_tty
        ctr.stop(); ctr.wait(); ctr.log(); pod.remove()
        c.restart()                                      # containers live on
    # leaving ends pods, shims, mounts and cgroups, whatever happened

A refused request raises CriError, whose text is what a kubelet would show in
the pod's events.

Isolation: containerd and all it starts live in a mount namespace in which
/run and /opt are private, so the product's real paths (/opt/nono-nri,
/opt/kubefence, /run/nri/nri.sock, /run/nono-nri) exist there and several tests
can run at once.  From outside they are the directories c.host("/opt/...") and
c.host("/run/..."); c.install(file, "/opt/...") copies a program there as root
0755; c.spawn([...]) starts a program (a plugin, say) inside.

Handlers: "runc" and "nono-runc" always exist, both on runc 1.5.2 unless
handlers={"nono-runc": "/opt/kubefence/bin/nono-runc"} says otherwise (or
"/usr/bin/crun", or a dict with BinaryName and anything else for [options]; the
key "pod_annotations" there replaces the default ["nono.sh/*"]).

Pods use the host's network, so no CNI is needed; their cgroups lie below one
that is named after the instance.
"""
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from . import images, tools
from .cri import DEADLINE, CriError, Result, Timeout  # noqa: F401
from .runtime import Runtime, die_with_parent, toml


class Containerd(Runtime):
    log_name = "containerd.log"

    def __init__(
        self,
        line: str = "",
        *,
        handlers: dict | None = None,
        nri: dict | None = None,
        runc: str | Path | None = None,
        env: dict[str, str] | None = None,
        network: bool = False,
        own_network: bool = True,
        standard_paths: bool = False,
        cgroup1: bool = False,
        prepare=None,
    ):
        """
        line      containerd's release line: "1.7", "2.1", "2.2", "2.3", "2.4" (the default)
        handlers  see above
        nri       more keys of the NRI section, for example {"plugin_request_timeout": "5s",
                  "default_validator": {"enable": True, "required_plugins": ["nono-nri"]}};
                  {"disable": True} turns it off
        runc      the real runtime of "runc" and "nono-runc"; runc 1.5.2 if not given
        env       more environment for containerd, and so for shims and runtimes
        network   a network namespace too, with CNI (ptp) for pods that want a network
        own_network  see Runtime
        standard_paths  a private /etc as well, containerd's configuration at
                  /etc/containerd/config.toml and its socket below /run/containerd
        cgroup1, prepare  see Runtime
        """
        super().__init__("/run/containerd/containerd.sock" if standard_paths else "@/c.sock", network=network, own_network=own_network,
                         standard_paths=standard_paths, cgroup1=cgroup1, prepare=prepare)
        self.line = line or tools.NEWEST["containerd"]
        self.bin = tools.bindir("containerd", self.line)
        self.runc = str(runc or tools.program("runc"))
        self.env.update(env or {})
        self.handlers = {"runc": self.runc, "nono-runc": self.runc, **(handlers or {})}
        self.nri = nri or {}
        self.config_path = "/etc/containerd/config.toml" if standard_paths else str(self.dir / "config.toml")

    def configure(self) -> None:
        """Write containerd's configuration; called once, and by tests that changed a field."""
        v1 = self.line.startswith("1.")
        cri = "io.containerd.grpc.v1.cri" if v1 else "io.containerd.cri.v1.runtime"
        out = [
            f"version = {2 if v1 else 3}",
            f"root = '{self.dir}/data/root'",
            f"state = '{self.dir}/data/state'",
            "[grpc]",
            f"  address = '{self.address}'",
            "[ttrpc]",
            f"  address = '{self.address}.ttrpc'",
            "[debug]",
            "  level = 'info'",
            "[plugins.'io.containerd.internal.v1.opt']",
            f"  path = '{self.dir}/data/opt'",
            f"[plugins.'{cri}']",
            "  restrict_oom_score_adj = true",
            "  disable_apparmor = true",
            # Where /run is not an administrator's, nothing of a pod belongs there.
            f"  netns_mounts_under_state_dir = {toml(not self.standard_paths)}",
        ]
        if v1:
            out.append(f"  sandbox_image = '{images.PAUSE}'")
        out += [
            f"[plugins.'{cri}'.cni]",
            f"  conf_dir = '{self.dir}/cni'",
            *self._cni(),
            f"[plugins.'{cri}'.containerd]",
            "  default_runtime_name = 'runc'",
        ]
        for name, value in self.handlers.items():
            options = dict(value) if isinstance(value, dict) else {"BinaryName": str(value)}
            annotations = options.pop("pod_annotations", ["nono.sh/*"])
            key = f"plugins.'{cri}'.containerd.runtimes.'{name}'"
            out += [
                f"[{key}]",
                "  runtime_type = 'io.containerd.runc.v2'",
                f"  pod_annotations = {toml(annotations)}",
                f"  [{key}.options]",
                *(f"    {k} = {toml(v)}" for k, v in {"SystemdCgroup": False, **options}.items()),
            ]
        if not v1:
            out += [
                "[plugins.'io.containerd.cri.v1.images'.pinned_images]",
                f"  sandbox = '{images.PAUSE}'",
            ]
        key = "plugins.'io.containerd.nri.v1.nri'"
        nri = {"disable": False, "disable_connections": False, **self.nri}
        tables = {k: v for k, v in nri.items() if isinstance(v, dict)}
        out += [f"[{key}]", *(f"  {k} = {toml(v)}" for k, v in nri.items() if k not in tables)]
        for table, values in tables.items():
            out += [f"  [{key}.{table}]", *(f"    {k} = {toml(v)}" for k, v in values.items())]
        self.put(self.config_path, "\n".join(out) + "\n")

    def _cni(self) -> list[str]:
        """Bring up CNI where pods have networks; the keys that point to its programs."""
        if not self.network:
            return []
        programs = self.cni()
        if self.line in ("1.7", "2.1"):
            return [f"  bin_dir = '{programs}'"]
        return [f"  bin_dirs = ['{programs}']"]

    def start(self) -> None:
        """Start containerd and wait for its own word that it is ready."""
        address = str(self.dir / "notify")
        Path(address).unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(address)
            ready.settimeout(1.0)
            env = dict(self.env, NOTIFY_SOCKET=address)
            env["PATH"] = f"{self.bin}:" + env.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            with open(self.dir / "containerd.log", "ab") as log:
                self.daemon = subprocess.Popen(
                    self.inside([self.bin / "containerd", "--config", self.config_path]),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=env,
                    preexec_fn=die_with_parent,
                )
            end = time.monotonic() + DEADLINE
            while True:
                try:
                    if b"READY=1" in ready.recv(4096):
                        break
                except socket.timeout:
                    if self.daemon.poll() is not None or time.monotonic() > end:
                        raise CriError(f"containerd does not start:\n{self.log()[-4000:]}")
        Path(address).unlink()
        self.cri("RuntimeService/Version")  # waits for the listener

    def ctr(self, *args, check: bool = True) -> Result:
        cmd = [self.bin / "ctr", "--address", self.sock, "--namespace", "k8s.io", *args]
        p = subprocess.run(list(map(str, cmd)), capture_output=True, text=True)
        if check and p.returncode:
            raise CriError(p.stderr.strip())
        return Result(p.returncode, p.stdout, p.stderr)

    def load(self, image: images.Image) -> str:
        """Import an image; the reference to create containers with."""
        self.ctr("images", "import", image.tar)
        return image.ref
