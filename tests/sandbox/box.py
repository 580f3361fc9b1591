# SPDX-License-Identifier: Apache-2.0
"""A container of real runc, made for one test, as a kubelet's: its PID 1 runs outside every sandbox, and
processes enter it with runc exec, with or without the launcher in front."""
import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
import kubelet  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NONO = f"{ROOT}/out/bin/nono"
APPLETS = ("sh cat echo ls id env head grep sleep mkdir rm cp mv ln touch test true tail wc sort tr "
           "sed awk chmod stat readlink dirname basename kill seq mktemp find date").split()
ALL_CAPS = [
    "CAP_" + c for c in (
        "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW "
        "NET_ADMIN SYS_CHROOT SYS_PTRACE SYS_ADMIN MKNOD AUDIT_WRITE SETFCAP").split()
]


def build(name: str, out: str) -> str:
    """tests/sandbox/NAME.c as a static program that any rootfs can run."""
    source = f"{ROOT}/tests/sandbox/{name}.c"
    subprocess.run(["gcc", "-O1", "-static", "-Wall", "-Werror", "-o", out, source], check=True)
    return out


def landlock_abi() -> int:
    """0 if there is no Landlock."""
    return max(0, ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1))


def available_caps() -> list[str]:
    """Those of ALL_CAPS that this machine can give."""
    with open("/proc/self/status") as f:
        mask = int(next(line for line in f if line.startswith("CapBnd")).split()[1], 16)
    numbers = dict(CAP_CHOWN=0, CAP_DAC_OVERRIDE=1, CAP_DAC_READ_SEARCH=2, CAP_FOWNER=3, CAP_FSETID=4, CAP_KILL=5,
                   CAP_SETGID=6, CAP_SETUID=7, CAP_SETPCAP=8, CAP_NET_BIND_SERVICE=10, CAP_NET_ADMIN=12,
                   CAP_NET_RAW=13, CAP_SYS_CHROOT=18, CAP_SYS_PTRACE=19, CAP_SYS_ADMIN=21, CAP_MKNOD=27,
                   CAP_AUDIT_WRITE=29, CAP_SETFCAP=31)
    return [c for c in ALL_CAPS if mask >> numbers[c] & 1]


def busybox_rootfs(path: str) -> None:
    for d in "bin dev etc home mnt nono proc root run srv sys tmp usr/bin var/lib var/log var/cache var/tmp work".split():
        os.makedirs(f"{path}/{d}", exist_ok=True)
    os.chmod(f"{path}/tmp", 0o1777)
    os.chmod(f"{path}/var/tmp", 0o1777)
    shutil.copy2(shutil.which("busybox"), f"{path}/bin/busybox")
    for a in APPLETS:
        os.symlink("busybox", f"{path}/bin/{a}")
    os.symlink("/run", f"{path}/var/run")
    for name, text in (("passwd", "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n"),
                       ("group", "root:x:0:\nuser:x:1000:\n"), ("hosts", "127.0.0.1 localhost\n")):
        with open(f"{path}/etc/{name}", "w") as f:
            f.write(text)


class Box:
    def __init__(self, rootfs=None, mounts=(), caps=None, read_only=False, init=("sleep", "1000000"), cwd="/",
                 env=(), nono_dir=None, netns=True, masked=(), readonly=None, seccomp=None, flavour="containerd",
                 token=False, privileged=False, pids_of=None, devices=()):
        """@mounts, @env and @masked come on top of what the kubelet's runtime @flavour gives; @caps and @readonly (paths)
        instead of it; @token: with the service account's token, which plugin and guard take away before the launcher runs;
        @privileged: /proc is neither masked nor read-only; @pids_of: in this box's PID namespace; @devices: (path, type, major, minor)
        that a device plugin gave it."""
        self.dir = tempfile.mkdtemp(prefix="kf-box-")
        self.id = os.path.basename(self.dir)
        self.rootfs = rootfs or f"{self.dir}/rootfs"
        if not rootfs:
            busybox_rootfs(self.rootfs)
        self.mounts, self.caps, self.read_only = list(mounts), caps, read_only
        self.init, self.cwd, self.netns, self.masked, self.readonly = list(init), cwd, netns, list(masked), readonly
        self.env = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", *env]
        self.seccomp = seccomp  # an OCI profile
        self.flavour, self.token = flavour, token
        self.privileged, self.pids_of, self.devices = privileged, pids_of, devices
        self.nono_dir = nono_dir
        if not nono_dir:
            self.nono_dir = f"{self.dir}/nono"
            os.mkdir(self.nono_dir)
            shutil.copy2(NONO, f"{self.nono_dir}/nono")
        self.running = False

    def spec(self) -> dict:
        spec = kubelet.config(self.dir, self.init, flavour=self.flavour, rootfs=self.rootfs, env=self.env, cwd=self.cwd)
        if self.caps is not None:
            spec["process"]["capabilities"] = {k: self.caps for k in ("bounding", "effective", "permitted")}
        spec["root"]["readonly"] = self.read_only
        spec["mounts"] = [m for m in spec["mounts"] if self.token or m["destination"] != kubelet.TOKEN]
        spec["mounts"].append({"destination": "/nono", "type": "bind", "source": self.nono_dir,
                               "options": ["bind", "rw", "nodev"]})
        spec["mounts"] += self.mounts
        spec["linux"]["maskedPaths"] += self.masked
        if self.readonly is not None:
            spec["linux"]["readonlyPaths"] = self.readonly
        if self.privileged:
            spec["linux"].update(maskedPaths=[], readonlyPaths=[])
        for path, kind, major, minor in self.devices:
            spec["linux"].setdefault("devices", []).append(
                {"path": path, "type": kind, "major": major, "minor": minor, "fileMode": 0o666, "uid": 0, "gid": 0})
            spec["linux"]["resources"].setdefault("devices", []).append(
                {"allow": True, "type": kind, "major": major, "minor": minor, "access": "rwm"})
        if self.pids_of:
            pids = next(n for n in spec["linux"]["namespaces"] if n["type"] == "pid")
            pids["path"] = f"/proc/{self.pids_of.pid()}/ns/pid"
        if self.seccomp:
            spec["linux"]["seccomp"] = self.seccomp
        if not self.netns:
            spec["linux"]["namespaces"] = [n for n in spec["linux"]["namespaces"] if n["type"] != "network"]
        return spec

    def runc(self, *args, **kw):
        return subprocess.run(["runc", "--root", f"{self.dir}/runc", *args], text=True, errors="replace", **kw)

    def pid(self) -> int:
        """Of its first process, on this machine."""
        return json.loads(self.runc("state", self.id, stdout=subprocess.PIPE, check=True).stdout)["pid"]

    def start(self, ready=None) -> "Box":
        with open(f"{self.dir}/config.json.new", "w") as f:
            json.dump(self.spec(), f)
        os.rename(f"{self.dir}/config.json.new", f"{self.dir}/config.json")
        # The container's output goes to a FIFO, so that its first line can be waited for.
        fifo = f"{self.dir}/out"
        os.mkfifo(fifo)
        self.out = open(os.open(fifo, os.O_RDWR | os.O_CLOEXEC), "r", errors="replace")
        p = self.runc("run", "-d", "--bundle", self.dir, self.id, stdout=self.out, stderr=self.out, stdin=subprocess.DEVNULL)
        if p.returncode:
            raise RuntimeError(f"runc run: {os.read(self.out.fileno(), 4096)}")
        self.running = True
        if ready:
            line = self.out.readline()
            if ready not in line:
                raise RuntimeError(f"the container's init said {line!r}")
        return self

    def exec(self, args, profile=None, flags=(), env=(), user="0:0", cwd=None, by_fd=None, tty=False, timeout=300, input=None):
        """Run args in the container: plainly, or behind the launcher if a profile is given; by_fd: launcher and
        this policy text through descriptors, as the guard does it."""
        runc = ["exec", "--user", user]
        for e in env:
            runc += ["--env", e]
        if cwd:
            runc += ["--cwd", cwd]
        if tty:
            runc.append("--tty")
        prefix = []
        if by_fd:
            with open(f"{self.dir}/policy", "w") as f:
                f.write(by_fd)
            runc += ["--preserve-fds", "2"]
            prefix = ["/proc/self/fd/3", "wrap", "--policy-fd", "4", "--profile", profile, "--"]
        elif profile:
            prefix = ["/nono/nono", "wrap", "--profile", profile, *flags, "--"]
        full = ["runc", "--root", f"{self.dir}/runc", *runc, self.id, *prefix, *args]
        if by_fd:
            full = ["bash", "-c", 'exec 3<"$1" 4<"$2"; shift 2; exec "$@"', "-", NONO, f"{self.dir}/policy", *full]
        return subprocess.run(full, text=True, errors="replace", timeout=timeout, input=input,
                              stdin=subprocess.DEVNULL if input is None else None,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.running:
            self.runc("delete", "--force", self.id, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.dir, ignore_errors=True)
