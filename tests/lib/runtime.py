# SPDX-License-Identifier: Apache-2.0
"""What every container runtime of the tests has, whichever it is: namespaces and
directories of its own, programs in them, CRI calls, pods, and an end that leaves
nothing behind.  See containerd.py and crio.py."""
import ctypes
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from . import images, tools
from .cri import DEADLINE, Client, CriError, Result, Timeout, wait_pid
from .pods import Pod

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """In a child: end with the thread that started it, so start things from threads that stay."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def toml(value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml(v) for v in value) + "]"
    return json.dumps(value)


# The runtime may make directories beside the controllers, which others would take for more of them.
_CGROUP1 = """if [ -d /sys/fs/cgroup/unified ]; then
    mkdir {at} && mount -t tmpfs -o mode=755 cgroup {at}
    for c in /sys/fs/cgroup/*; do
        n=${{c##*/}}
        if [ -L $c ]; then cp -a $c {at}/; elif [ $n != unified ]; then mkdir {at}/$n && mount --bind $c {at}/$n; fi
    done
    mount --rbind {at} /sys/fs/cgroup
fi && """


class Runtime:
    log_name = "runtime.log"

    def __init__(self, sock: str, *, network: bool | str, standard_paths: bool, cgroup1: bool,
                 prepare: "Callable[[Runtime], None] | None", own_network: bool = True):
        """
        sock      its socket, as it sees it; "@" stands for a directory of the instance
        network   a network namespace too, with CNI (ptp) for pods that want a network; "dual": with IPv6
        own_network  False: with @network, the machine's network namespace instead of one of its own
        standard_paths  a private /etc as well
        cgroup1   on a machine with hybrid cgroups, a view without their v2 half
        prepare   called once there are namespaces, before anything starts
        """
        self.dir = Path(tempfile.mkdtemp(prefix="kf-", dir="/tmp"))
        self.dir.chmod(0o755)
        self.name = self.dir.name
        self.network, self.standard_paths, self.cgroup1, self.prepare = network, standard_paths, cgroup1, prepare
        self.own_network = network and own_network
        # As the runtime and what it starts see it, and as this process does.
        self.address = sock.replace("@", str(self.dir))
        self.sock = Path(self.address) if "@" in sock else self.dir / sock.lstrip("/")
        self.env = dict(os.environ)
        self.client = Client(self.sock)
        self.daemon: subprocess.Popen | None = None
        self._holder: subprocess.Popen | None = None
        self._spawned: list[subprocess.Popen] = []
        self._pods = 0
        self._lock = threading.Lock()

    # -- life cycle ---------------------------------------------------------

    def __enter__(self):
        try:
            for d in ("opt", "run", "logs", "data"):
                (self.dir / d).mkdir(mode=0o755)
            (self.dir / "run/lock").mkdir()
            self._hold_namespace()
            if self.prepare:
                self.prepare(self)
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
        if self.cgroup1:
            script += _CGROUP1.format(at=f"{self.dir}/data/cgroup")
        if self.own_network:
            script += "ip link set lo up && "
        script += self._mounts()
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", *(["--net"] if self.own_network else []), "sh", "-c",
             script + "echo ready && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,
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
        p = subprocess.Popen(self.inside(args), preexec_fn=die_with_parent, **popen)
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

    def _mounts(self) -> str:
        """More of the script that makes the namespace; it ends with "&& "."""
        return ""

    def configure(self) -> None:
        """Write the configuration; called once, and by tests that changed a field."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the runtime and wait until it answers."""
        raise NotImplementedError

    def load(self, image: images.Image) -> str:
        """Import an image; the reference to create containers with."""
        raise NotImplementedError

    def cni(self) -> Path:
        """Where CNI's programs are, for the network that self.dir/cni describes."""
        dual = self.network == "dual"
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
                        "ranges": [[{"subnet": "10.88.0.0/24"}], *([[{"subnet": "fd00:88::/64"}]] if dual else [])],
                        "routes": [{"dst": "0.0.0.0/0"}, *([{"dst": "::/0"}] if dual else [])],
                    },
                }
            ],
        }
        (self.dir / "cni").mkdir(exist_ok=True)
        (self.dir / "cni/10-kf.conflist").write_text(json.dumps(conflist))
        return tools.bindir("cni")

    def stop(self, sig: int = signal.SIGTERM) -> None:
        """End the runtime only; its containers live on."""
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
        """Shims and monitors outlive the runtime; they are what is left in the mount namespace."""
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
            return (self.dir / self.log_name).read_text(errors="replace")
        except OSError:
            return ""

    def cri(self, method: str, request: dict | None = None, deadline: float = DEADLINE) -> dict:
        """One CRI call: cri("RuntimeService/Status", {...}).  See Client.call()."""
        return self.client.call(method, request or {}, deadline)

    def pod(self, name: str = "", **options) -> Pod:
        """Run a pod sandbox; see Pod."""
        with self._lock:
            self._pods += 1
            number = self._pods
        return Pod(self, name or f"pod{number}", number, **options)

    def run(self, image: str, args: list[str], *, pod: Pod | None = None, deadline=DEADLINE, **options):
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
