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
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from . import images, tools
from .cri import DEADLINE, Client, CriError, Result, Timeout, wait_pid
from .pods import Pod

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    """In a child: end with the thread that started it, so start things from threads that stay."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _toml(value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return json.dumps(value)


class Containerd:
    def __init__(
        self,
        line: str = "",
        *,
        handlers: dict | None = None,
        nri: dict | None = None,
        runc: str | Path | None = None,
        env: dict[str, str] | None = None,
        network: bool = False,
        standard_paths: bool = False,
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
        standard_paths  a private /etc as well, containerd's configuration at
                  /etc/containerd/config.toml and its socket below /run/containerd
        """
        self.line = line or tools.NEWEST["containerd"]
        self.bin = tools.bindir("containerd", self.line)
        self.runc = str(runc or tools.program("runc"))
        self.env = dict(os.environ, **(env or {}))
        self.handlers = {"runc": self.runc, "nono-runc": self.runc, **(handlers or {})}
        self.nri = nri or {}
        self.dir = Path(tempfile.mkdtemp(prefix="kf-", dir="/tmp"))
        self.dir.chmod(0o755)
        self.name = self.dir.name
        self.network, self.standard_paths = network, standard_paths
        self.sock = self.dir / ("run/containerd/containerd.sock" if standard_paths else "c.sock")
        # As containerd and what it starts see them.
        self.address = "/run/containerd/containerd.sock" if standard_paths else str(self.sock)
        self.config_path = "/etc/containerd/config.toml" if standard_paths else str(self.dir / "config.toml")
        self.client = Client(self.sock)
        self.daemon: subprocess.Popen | None = None
        self._holder: subprocess.Popen | None = None
        self._spawned: list[subprocess.Popen] = []
        self._pods = 0
        self._lock = threading.Lock()

    # -- life cycle ---------------------------------------------------------

    def __enter__(self) -> "Containerd":
        try:
            for d in ("opt", "run", "logs", "data"):
                (self.dir / d).mkdir(mode=0o755)
            (self.dir / "run/lock").mkdir()
            self._hold_namespace()
            self.configure()
            self.start()
            self.load(images.pause())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _hold_namespace(self) -> None:
        """A process that keeps the mount namespace; it ends with our end of its stdin."""
        script = (
            f"mount --bind {self.dir}/opt /opt && mount --bind {self.dir}/run /run && "
            f"mount -t tmpfs -o mode=755 kf {self.dir}/data && mkdir {self.dir}/data/etc {self.dir}/data/etc.work && "
        )
        if self.standard_paths:
            etc = f"lowerdir=/etc,upperdir={self.dir}/data/etc,workdir={self.dir}/data/etc.work"
            script += f"mount -t overlay -o {etc} etc /etc && "
            script += "mount --make-rshared / && "  # as systemd leaves it; pods may ask for propagation
        if self.network:
            script += "ip link set lo up && "
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", *(["--net"] if self.network else []), "sh", "-c",
             script + "echo ready && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=_die_with_parent,
        )
        if self._holder.stdout.readline() != "ready\n":
            raise CriError("cannot make a mount namespace: the tests need root")

    def inside(self, args: Iterable) -> list[str]:
        """@args as a command line that runs in the mount namespace."""
        ns = f"/proc/{self._holder.pid}/ns"
        return ["nsenter", f"--mount={ns}/mnt", f"--net={ns}/net", "--", *map(str, args)]

    def spawn(self, args: Iterable, **popen) -> subprocess.Popen:
        """Start a program inside; it is killed when the instance closes."""
        popen.setdefault("stdin", subprocess.DEVNULL)
        p = subprocess.Popen(self.inside(args), preexec_fn=_die_with_parent, **popen)
        self._spawned.append(p)
        return p

    def sh(self, script: str, check: bool = True) -> Result:
        """Run a shell script inside the mount namespace."""
        p = subprocess.run(self.inside(["sh", "-ec", script]), capture_output=True, text=True)
        if check and p.returncode:
            raise CriError(f"{script}: {p.stderr or p.stdout}")
        return Result(p.returncode, p.stdout, p.stderr)

    def host(self, path: str) -> Path:
        """Where /opt/... or /run/... of the namespace lies for this process."""
        path = path.replace("/var/run/", "/run/", 1) if path.startswith("/var/run/") else path
        top = path.split("/")[1]
        if top not in ("opt", "run"):
            raise ValueError(f"{path} is not below /opt or /run")
        return self.dir / path.lstrip("/")

    def install(self, source: str | Path, path: str, mode: int = 0o755) -> Path:
        """Copy a file to /opt/... or /run/... of the namespace, replacing it atomically."""
        target = self.host(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{target.name}.new")
        shutil.copyfile(source, fresh)
        fresh.chmod(mode)
        fresh.rename(target)
        return target

    def write(self, path: str, text: str, mode: int = 0o644) -> Path:
        """The same for a text."""
        target = self.host(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{target.name}.new")
        fresh.write_text(text)
        fresh.chmod(mode)
        fresh.rename(target)
        return target

    def put(self, path: str, text: str) -> None:
        """Write a file anywhere in the namespace (its private /etc, say)."""
        script = 'mkdir -p "$(dirname "$1")" && cat >"$1"'
        subprocess.run(self.inside(["sh", "-c", script, "sh", path]), input=text, text=True, check=True)

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
            "  netns_mounts_under_state_dir = true",
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
                f"  pod_annotations = {_toml(annotations)}",
                f"  [{key}.options]",
                *(f"    {k} = {_toml(v)}" for k, v in {"SystemdCgroup": False, **options}.items()),
            ]
        if not v1:
            out += [
                "[plugins.'io.containerd.cri.v1.images'.pinned_images]",
                f"  sandbox = '{images.PAUSE}'",
            ]
        key = "plugins.'io.containerd.nri.v1.nri'"
        nri = {"disable": False, "disable_connections": False, **self.nri}
        tables = {k: v for k, v in nri.items() if isinstance(v, dict)}
        out += [f"[{key}]", *(f"  {k} = {_toml(v)}" for k, v in nri.items() if k not in tables)]
        for table, values in tables.items():
            out += [f"  [{key}.{table}]", *(f"    {k} = {_toml(v)}" for k, v in values.items())]
        self.put(self.config_path, "\n".join(out) + "\n")

    def _cni(self) -> list[str]:
        """Bring up CNI where pods have networks; the keys that point to its programs."""
        if not self.network:
            return []
        conflist = {
            "cniVersion": "1.0.0",
            "name": "kf",
            "plugins": [
                {
                    "type": "ptp",
                    "ipMasq": False,
                    "ipam": {
                        "type": "host-local",
                        "dataDir": str(self.dir / "data/ipam"),
                        "ranges": [[{"subnet": "10.88.0.0/24"}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                    },
                }
            ],
        }
        (self.dir / "cni").mkdir(exist_ok=True)
        (self.dir / "cni/10-kf.conflist").write_text(json.dumps(conflist))
        programs = str(tools.bindir("cni"))
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
                    preexec_fn=_die_with_parent,
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

    def stop(self, sig: int = signal.SIGTERM) -> None:
        """End containerd only; its containers live on."""
        if self.daemon and self.daemon.poll() is None:
            self.daemon.send_signal(sig)
            try:
                self.daemon.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()

    def restart(self, sig: int = signal.SIGTERM) -> None:
        self.stop(sig)
        self.start()

    def close(self) -> None:
        """End everything that belongs to this instance; never raises."""
        if self._holder is None:
            shutil.rmtree(self.dir, ignore_errors=True)
            return
        if self.daemon and self.daemon.poll() is None:
            self._remove_pods()
        for p in self._spawned:
            if p.poll() is None:
                p.kill()
            p.wait()
        self.stop()
        self.client.close()
        self._end_shims()
        self._holder.stdin.close()
        self._holder.wait()
        self._remove_cgroups()
        shutil.rmtree(self.dir, ignore_errors=True)

    def _remove_pods(self) -> None:
        try:
            for pod in self.cri("RuntimeService/ListPodSandbox")["items"]:
                self.cri("RuntimeService/StopPodSandbox", {"pod_sandbox_id": pod["id"]})
                self.cri("RuntimeService/RemovePodSandbox", {"pod_sandbox_id": pod["id"]})
        except (CriError, Timeout):
            pass  # what is left is ended below

    def _end_shims(self) -> None:
        """Shims outlive containerd; they are what is left in the mount namespace."""
        ours = []
        namespace = os.readlink(f"/proc/{self._holder.pid}/ns/mnt")
        for d in Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(d / "ns/mnt") == namespace and int(d.name) != self._holder.pid:
                    ours.append(int(d.name))
            except OSError:
                continue
        for pid in ours:
            try:
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
                for victim in [*map(int, children), pid]:
                    os.kill(victim, signal.SIGKILL)
            except OSError:
                pass
        for pid in ours:
            try:
                wait_pid(pid, 5)
            except Timeout:
                pass

    def _remove_cgroups(self) -> None:
        for top in {*Path("/sys/fs/cgroup").glob(f"*/{self.name}"), Path("/sys/fs/cgroup") / self.name}:
            if not top.is_dir():
                continue
            for d, _, _ in os.walk(top, topdown=False):
                for procs in ("cgroup.procs",):
                    try:
                        for pid in Path(d, procs).read_text().split():
                            os.kill(int(pid), signal.SIGKILL)
                            wait_pid(int(pid), 5)
                    except (OSError, Timeout):
                        pass
                try:
                    os.rmdir(d)
                except OSError:
                    pass

    # -- talking to it ------------------------------------------------------

    def log(self) -> str:
        try:
            return (self.dir / "containerd.log").read_text(errors="replace")
        except OSError:
            return ""

    def cri(self, method: str, request: dict | None = None, deadline: float = DEADLINE) -> dict:
        """One CRI call: cri("RuntimeService/Status", {...}).  See Client.call()."""
        return self.client.call(method, request or {}, deadline)

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

    def pod(self, name: str = "", **options) -> "Pod":
        """Run a pod sandbox; see Pod."""
        with self._lock:
            self._pods += 1
            number = self._pods
        return Pod(self, name or f"pod{number}", number, **options)

    def run(self, image: str, args: list[str], *, pod: "Pod | None" = None, deadline=DEADLINE, **options):
        """One container from creation to its end, in a pod of its own unless one is
        given: Result(code, out, err).  Options of pod() and of container() both."""
        own = None
        if pod is None:
            keys = ("handler", "annotations", "labels", "namespace", "uid", "linux", "name")
            own = pod = self.pod(**{k: options.pop(k) for k in keys if k in options})
        try:
            ctr = pod.container(image, args, **options)
            ctr.start()
            code = ctr.wait(deadline)
            return Result(code, ctr.log("stdout"), ctr.log("stderr"))
        finally:
            if own:
                own.remove()
