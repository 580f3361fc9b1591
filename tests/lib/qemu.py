# SPDX-License-Identifier: Apache-2.0
"""Machines of other kernels, in QEMU without KVM.

    kernel = qemu.debian_kernel()                       # Debian's cloud kernel: fetched and unpacked, never installed
    image = qemu.initramfs(dir, root, kernel, modules=("vsock",))
    kernel = qemu.newest_kernel()                       # that of Debian's unstable distribution
    with qemu.Machine(kernel.image, initrd=image) as m:
        m.run("uname -r")                               # runs in the machine: a subprocess.CompletedProcess

A machine's first serial port is its console (m.console() for messages of tests);
on the second one it does what it is told: the loop AGENT, which a machine's init
starts, reads a line "ID COMMAND" (base64), runs it with sh, and answers
"ID STATUS OUTPUT".
"""
import base64
import fcntl
import gzip
import lzma
import os
import re
import select
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from pathlib import Path

from . import tools, unstable

# Emulated, and shared with whatever else the computer does.
BOOT = 180
ANSWER = 180

# Runs under busybox and Debian alike.
AGENT = r"""#!/bin/sh
port=/dev/ttyS1
stty -F $port raw -echo 2>/dev/null || stty raw -echo <$port
exec 3<>$port
echo ready >&3
while read -r id line <&3; do
	echo "$line" | base64 -d >/run/.agent.sh
	sh /run/.agent.sh </dev/null >/run/.agent.out 2>&1 3>&-
	status=$?
	echo "$id $status $(base64 /run/.agent.out | tr -d '\n')" >&3
done
"""

# The first process of a machine without a disk.  What it becomes (KF_INIT) is the test's.
INIT = r"""#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm /dev/pts /dev/mqueue
mount -t devpts pts /dev/pts
mount -t tmpfs shm /dev/shm
ln -s /proc/self/fd /dev/fd
ln -s /proc/self/fd/0 /dev/stdin
ln -s /proc/self/fd/1 /dev/stdout
ln -s /proc/self/fd/2 /dev/stderr
for m in $(cat /modules/order); do
	insmod /modules/$m
done
ip link set lo up
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
exec </dev/console >/dev/console 2>&1
setsid /agent &
exec $(cat /init.args)
"""


class QemuError(Exception):
    pass


def version_of(package: str) -> str:
    """The version of @package that apt would fetch."""
    p = subprocess.run(["apt-cache", "show", "--no-all-versions", package], capture_output=True, text=True)
    m = re.search(r"^Version: (\S+)$", p.stdout, re.MULTILINE)
    if not m:
        raise QemuError(f"apt knows no package {package}: apt-get update")
    return m[1]


class Kernel:
    def __init__(self, image: Path, release: str, modules: Path | None):
        self.image, self.release, self.modules = image, release, modules


def debian_kernel(meta: str = "linux-image-cloud-amd64") -> Kernel:
    """Debian's stock kernel of that name, unpacked into the cache."""
    p = subprocess.run(["apt-cache", "depends", meta], capture_output=True, text=True)
    m = re.search(r"Depends: linux-image-(\d\S*)", p.stdout)
    if not m:
        raise QemuError(f"apt knows no package {meta}: apt-get update")
    release = m[1]
    package = f"linux-image-{release}"
    out = tools.cache() / f"{package}-{version_of(package)}"
    tools.cache().mkdir(parents=True, exist_ok=True)
    with open(tools.cache() / f".{out.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.is_dir():
            with tempfile.TemporaryDirectory(dir=tools.cache()) as d:
                p = subprocess.run(["apt-get", "download", package], cwd=d, capture_output=True, text=True)
                if p.returncode:
                    raise QemuError(f"apt-get download {package}: {p.stderr}")
                (deb,) = Path(d).glob("*.deb")
                subprocess.run(["dpkg-deb", "-x", deb, f"{d}/root"], check=True)
                os.chmod(f"{d}/root", 0o755)
                os.rename(f"{d}/root", out)
    return Kernel(out / f"boot/vmlinuz-{release}", release, out / f"lib/modules/{release}")


def newest_kernel(meta: str = "linux-image-cloud-amd64") -> Kernel:
    """The same of Debian's unstable distribution: the newest Landlock that there is to test with."""
    out = unstable.unpacked(meta, _only_kernel)
    (modules,) = (out / "usr/lib/modules").iterdir()
    return Kernel(modules / "vmlinuz", modules.name, modules)


def _only_kernel(fresh: Path, _out: Path) -> None:
    """The package depends on what would make an image of it; that is not needed here."""
    kept = Path(f"{fresh}.kept")
    shutil.rmtree(kept, ignore_errors=True)
    (kept / "usr/lib").mkdir(parents=True)
    (fresh / "usr/lib/modules").rename(kept / "usr/lib/modules")
    shutil.rmtree(fresh)
    kept.rename(fresh)


def module_bytes(path: Path) -> bytes:
    """As it is inserted: newer packages bring them compressed."""
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()


def module_order(kernel: Kernel, wanted) -> list[Path]:
    """@wanted and what they depend on, in the order to insert them."""
    files = {p.name.split(".")[0].replace("-", "_"): p for p in kernel.modules.rglob("*.ko*")}
    order: list[Path] = []

    def add(name: str) -> None:
        path = files.get(name.replace("-", "_"))
        if path is None:
            raise QemuError(f"kernel {kernel.release} has no module {name}")
        if path in order:
            return
        m = re.search(rb"\0depends=([^\0]*)\0", b"\0" + module_bytes(path))
        for dependency in filter(None, (m[1].decode() if m else "").split(",")):
            add(dependency)
        order.append(path)

    for name in wanted:
        add(name)
    return order


class Cpio:
    """An archive as the kernel unpacks it ("newc"), all of it root's."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.names: set[str] = set()

    def add(self, name: str, mode: int, data: bytes = b"", device=(0, 0)) -> None:
        self.names.add(name)
        raw = name.encode() + b"\0"
        fields = (len(self.parts), mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(raw), 0)
        head = b"070701" + b"".join(b"%08x" % f for f in fields) + raw
        self.parts.append(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))

    def tree(self, root: str) -> None:
        for directory, dirs, files in os.walk(root):
            for name in sorted(dirs + files):
                path = f"{directory}/{name}"
                st = os.lstat(path)
                data = b""
                if stat.S_ISLNK(st.st_mode):
                    data = os.readlink(path).encode()
                elif stat.S_ISREG(st.st_mode):
                    data = Path(path).read_bytes()
                elif not stat.S_ISDIR(st.st_mode):
                    continue
                self.add(os.path.relpath(path, root), st.st_mode, data)

    def bytes(self) -> bytes:
        tail = Cpio()
        tail.add("TRAILER!!!", 0)
        return b"".join(self.parts + tail.parts)


# What INIT and AGENT call.
APPLETS = "base64 cat insmod ip ln mkdir mount setsid sh sleep stty switch_root tr umount".split()


def initramfs(out: str, root: str, kernel: Kernel | None = None, modules=(), init=("sleep", "1000000"), script=INIT) -> str:
    """Write to @out the tree @root, with an init that starts the agent and becomes @init, or is @script.  @root holds busybox."""
    c = Cpio()
    c.tree(root)
    for name in ("dev", "proc", "sys", "run", "modules"):
        if name not in c.names:
            c.add(name, stat.S_IFDIR | 0o755)
    for name in APPLETS:
        if f"bin/{name}" not in c.names:
            c.add(f"bin/{name}", stat.S_IFLNK | 0o777, b"busybox")
    c.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    order = module_order(kernel, modules) if modules else []
    for path in order:
        c.add(f"modules/{path.stem}", stat.S_IFREG | 0o644, module_bytes(path))
    c.add("modules/order", stat.S_IFREG | 0o644, "".join(f"{p.stem}\n" for p in order).encode())
    c.add("agent", stat.S_IFREG | 0o755, AGENT.encode())
    c.add("init", stat.S_IFREG | 0o755, script.encode())
    c.add("init.args", stat.S_IFREG | 0o644, " ".join(init).encode())
    with gzip.open(out, "wb", compresslevel=1) as f:
        f.write(c.bytes())
    return out


# Kata's own kernel command line, by its runtime: what comes before the root file system and what behind it.
KATA = {
    "go": ("tsc=reliable no_timer_check rcupdate.rcu_expedited=1 i8042.direct=1 i8042.dumbkbd=1 i8042.nopnp=1 i8042.noaux=1 noreplace-smp "
           "reboot=k cryptomgr.notests net.ifnames=0 pci=lastbus=0",
           "console=hvc0 console=hvc1 {log} panic=1 nr_cpus=2 selinux=0 systemd.unit=kata-containers.target "
           "systemd.mask=systemd-networkd.service systemd.mask=systemd-networkd.socket {agent} cgroup_no_v1=all systemd.unified_cgroup_hierarchy=1"),
    "rust": ("reboot=k panic=1 systemd.unit=kata-containers.target systemd.mask=systemd-networkd.service systemd.mask=systemd-networkd.socket",
             "{agent} cgroup_no_v1=all systemd.unified_cgroup_hierarchy=1 selinux=0 console=hvc0"),
}
ROOTS = {"nvdimm": "root=/dev/pmem0p1 rootflags=dax,data=ordered,errors=remount-ro ro",
         "virtio-blk": "root=/dev/vda1 rootflags=data=ordered,errors=remount-ro ro"}


def kata_command_line(root: str, debug: bool, runtime: str = "go") -> str:
    """The command line under which Kata boots an image, @root a key of ROOTS."""
    before, behind = KATA[runtime]
    log = "debug systemd.show_status=true systemd.log_level=debug" if debug else "quiet systemd.show_status=false"
    words = f"{before} {ROOTS[root]} rootfstype=ext4 {behind}".format(log=log, agent="agent.log=debug" if debug else "")
    return " ".join(words.split())


class Machine:
    """@disks are files; what the machine writes to them is forgotten with it.  With @command_line, which is then the
    whole of it, the console is the virtio one as in Kata's machines, and @nvdimm is a file that is an NVDIMM.
    @options are more of QEMU's."""

    def __init__(self, image, *, initrd=None, append: str = "", memory: int = 512, cpus: int = 1, disks=(),
                 machine: str = "pc", command_line: str = "", nvdimm=None, options=()):
        self.dir = tempfile.mkdtemp(prefix="kf-qemu-")
        self.n = 0
        self.buffer = b""
        self.args = [
            "qemu-system-x86_64", "-machine", f"{machine},accel=tcg{',nvdimm=on' if nvdimm else ''}", "-cpu", "max", "-smp", str(cpus),
            "-m", f"{memory}M,slots=2,maxmem=8G" if nvdimm else str(memory),
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-chardev", f"file,id=c0,path={self.dir}/console", "-serial", "null" if command_line else "chardev:c0",
            "-chardev", f"socket,id=c1,path={self.dir}/agent,server=on,wait=off", "-serial", "chardev:c1",
            "-device", "virtio-rng-pci",
            "-kernel", str(image), "-append", command_line or f"console=ttyS0 panic=-1 {append}", *options,
        ]
        if command_line:
            self.args += ["-device", "virtio-serial-pci", "-device", "virtconsole,chardev=c0"]
        if nvdimm:
            self.args += ["-object", f"memory-backend-file,id=mem0,mem-path={nvdimm},size={os.path.getsize(nvdimm)},readonly=on",
                          "-device", "nvdimm,id=nv0,memdev=mem0,unarmed=on"]
        if initrd:
            self.args += ["-initrd", str(initrd)]
        for n, path in enumerate(disks):
            self.args += ["-drive", f"file={path},if=none,id=d{n},format=raw,cache=unsafe,snapshot=on",
                          "-device", f"virtio-blk-pci,drive=d{n}"]
        self.process: subprocess.Popen | None = None
        self.port: socket.socket | None = None

    def console(self) -> str:
        try:
            return Path(f"{self.dir}/console").read_text(errors="replace")
        except OSError:
            return ""

    def start(self) -> "Machine":
        self.began = time.monotonic()
        with open(f"{self.dir}/qemu.log", "wb") as log:
            self.process = subprocess.Popen(self.args, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def wait_ready(self, timeout: float = BOOT) -> "Machine":
        deadline = time.monotonic() + timeout
        self.port = socket.socket(socket.AF_UNIX)
        while True:  # QEMU makes the socket before anything else
            try:
                self.port.connect(f"{self.dir}/agent")
                break
            except OSError:
                self._alive(deadline)
                select.select([], [], [], 0.02)
        while self._line(deadline) != "ready":
            pass
        self.boot_seconds = time.monotonic() - self.began
        return self

    def _alive(self, deadline: float) -> None:
        if self.process.poll() is not None:
            raise QemuError(f"the machine ended: {Path(self.dir, 'qemu.log').read_text()}\n{self.console()[-3000:]}")
        if time.monotonic() > deadline:
            raise QemuError(f"the machine says nothing; its console:\n{self.console()[-3000:]}")

    def _line(self, deadline: float) -> str:
        while b"\n" not in self.buffer:
            if select.select([self.port], [], [], 0.2)[0]:
                got = self.port.recv(1 << 16)
                if not got:
                    self._alive(0)
                self.buffer += got
            else:
                self._alive(deadline)
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode(errors="replace").strip()

    def run(self, command: str, timeout: float = ANSWER) -> subprocess.CompletedProcess:
        """Run @command in the machine with sh; its output, stderr included, is the result's stdout."""
        self.n += 1
        self.port.sendall(f"{self.n} {base64.b64encode(command.encode()).decode()}\n".encode())
        deadline = time.monotonic() + timeout
        while True:
            m = re.fullmatch(rf"{self.n} (\d+) ?(\S*)", self._line(deadline))
            if m:
                out = base64.b64decode(m[2]).decode(errors="replace")
                return subprocess.CompletedProcess(command, int(m[1]), out, "")

    def check(self, command: str, timeout: float = ANSWER) -> str:
        p = self.run(command, timeout)
        if p.returncode:
            raise QemuError(f"in the machine: {command}: {p.returncode}: {p.stdout}")
        return p.stdout

    def wait_end(self, timeout: float = BOOT) -> str:
        """The console of a machine that ends by itself."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise QemuError(f"the machine does not end; its console:\n{self.console()[-3000:]}") from None
        return self.console()

    def __enter__(self) -> "Machine":
        return self.start().wait_ready()

    def stop(self) -> None:
        if self.port:
            self.port.close()
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __exit__(self, *exc) -> None:
        self.stop()
