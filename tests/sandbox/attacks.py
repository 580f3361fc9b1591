# SPDX-License-Identifier: Apache-2.0
"""The attack matrix: what a hostile workload tries, with the answer that each profile must give.

Each row: the name in attack.c, what is tried, the answer under "default", under "strict", and a remark.  "ok" is
an attack that works and is not claimed to be stopped; the remark then says why.  Every row must work
in the control, which is the same container without the launcher.
"""
import os
import shutil
import tempfile

import box

A, X, P = "EACCES", "EXDEV", "EPERM"
CHMOD = "not a boundary: Landlock does not mediate attributes; file ownership does"
OPEN = "not a boundary in this profile: the network is the NetworkPolicy's"
ROWS = (
    ("token", "read the service-account token", A, A, ""),
    ("token_var_run", "the same through /var/run", A, A, ""),
    ("token_list", "list the token's directory", "ok", "ok", "not a boundary: names can be listed, contents not read"),
    ("ssh_key", "read ~/.ssh/id_rsa", A, A, ""),
    ("user_key", "read /home/user/.ssh/id_rsa, having dropped to user", A, A, ""),
    ("user_secret", "read the Secret at /home/user/.aws, having dropped to user", A, A, ""),
    ("netrc", "read ~/.netrc", A, A, ""),
    ("other_home", "read /home/user/.aws/credentials as root", A, A, ""),
    ("stat_key", "stat ~/.ssh/id_rsa", "ok", "ok", "not a boundary: Landlock does not mediate stat"),
    ("write_etc", "write a file in /etc", A, A, ""),
    ("create_usr", "create a file in /usr/bin", A, A, ""),
    ("create_root", "create a file in /", A, A, ""),
    ("mkdir_etc", "make a directory in /etc", A, A, ""),
    ("truncate_etc", "truncate a file in /etc", A, A, "since ABI 3"),
    ("unlink_etc", "remove a file in /etc", A, A, ""),
    ("write_hosts", "write the pod's /etc/hosts", A, A, ""),
    ("write_hostname", "write the pod's /etc/hostname", A, A, ""),
    ("write_resolv", "write the pod's /etc/resolv.conf", A, A, ""),
    ("truncate_resolv", "truncate the pod's /etc/resolv.conf", A, A, "since ABI 3"),
    ("replace_resolv", "unmount the pod's /etc/resolv.conf and rename a file over it", P, P, ""),
    ("move_etc", "rename the directory above them", A, A, ""),
    ("write_nono", "overwrite the launcher", A, A, ""),
    ("create_nono", "add a file beside the launcher", A, A, ""),
    ("write_proc_sys", "write /proc/sys", A, A, ""),
    ("rename_out", "rename a file from /tmp into /etc", A, A, ""),
    ("rename_in", "rename a file from /etc into /tmp", A, A, ""),
    ("link_in", "hard-link a file of /etc into /tmp", X, X, ""),
    ("move_ssh", "move ~/.ssh elsewhere", A, A, ""),
    ("move_secrets", "rename the directory above the token's mount", A, A, ""),
    ("through_symlink", "read the key through a symlink in /tmp", A, A, ""),
    ("through_proc_root", "read the key through /proc/1/root", A, A, ""),
    ("through_own_root", "read the key through /proc/self/root", A, A, ""),
    ("through_o_path", "reopen an O_PATH descriptor of the key", A, A, ""),
    ("by_handle", "open the key by its file handle", A, A, ""),
    ("by_open_tree", "open the key in a cloned mount tree", A, A, ""),
    ("tmpfile_link", "link an unnamed file into /etc", A, A, ""),
    ("after_chroot", "read the key after chroot(2)", A, A, ""),
    ("change_mode", "chmod a file in /etc", "ok", "ok", CHMOD),
    ("change_owner", "chown a file in /etc", "ok", "ok", CHMOD),
    ("set_xattr", "set an attribute of a file in /etc", "ok", "ok", CHMOD),
    ("attach", "ptrace a process outside the sandbox", P, P, ""),
    ("proc_mem", "open its /proc/PID/mem", A, A, ""),
    ("proc_environ", "read its /proc/PID/environ", A, A, "with CAP_SYS_ADMIN or CAP_PERFMON not a boundary since Linux 6.13"),
    ("vm_read", "process_vm_readv() it", P, P, ""),
    ("steal_fd", "pidfd_getfd() of its descriptors", P, P, ""),
    ("signal_init", "send PID 1 a signal", "ok", "ok", "not a boundary: preStop hooks do it; 'scope signal' (ABI 6) stops it"),
    ("set_uid", "gain root by a setuid program", P, P, ""),
    ("mount_tmpfs", "mount a tmpfs", P, P, ""),
    ("mount_bind", "bind-mount ~/.ssh elsewhere", P, P, ""),
    ("user_ns_mount", "mount in a user namespace of its own", P, P, ""),
    ("unmount", "unmount /proc", P, P, ""),
    ("make_char", "make a character device", A, A, ""),
    ("make_block", "make a block device", A, A, ""),
    ("exec_written", "run a program it wrote to /tmp", "ok", A, "default: build tools and virtual environments need it"),
    ("exec_memfd", "run a program from a memfd", "ok", "EACCES", "a memfd has no path; strict: none that can be executed is made"),
    ("tcp_connect", "TCP connect", "ok", A, OPEN),
    ("tcp_listen", "TCP listen", "ok", A, OPEN),
    ("tcp6", "TCP over IPv6", "ok", A, OPEN),
    ("udp", "UDP socket", "ok", A, OPEN),
    ("udp_send", "UDP datagram", "ok", A, OPEN),
    ("udp_mapped", "UDP datagram over IPv6 to an IPv4 address", "ok", A, OPEN),
    ("udp_elsewhere", "UDP datagram to a port that the socket is not connected to", "ok", A, OPEN),
    ("udp_listen", "UDP port to receive on", "ok", A, OPEN),
    ("raw", "raw IP socket", "ok", A, OPEN),
    ("mptcp", "MPTCP socket", "ok", A, OPEN),
    ("packet", "packet socket", "ok", A, OPEN),
    ("vsock", "vsock socket", "ok", A, OPEN),
    ("netlink_uevent", "kernel events over netlink", "ok", A, OPEN),
    ("netlink_route", "route netlink", "ok", "ok", "not a boundary: libc lists addresses with it; changes need CAP_NET_ADMIN"),
    ("io_uring", "io_uring, which makes sockets unseen", "ok", "ENOSYS", "default: the seccomp level 'restricted' stops it"),
    ("unix_path", "connect to a unix socket outside", A, A, "where it may not write; not a boundary before ABI 9"),
    ("unix_granted", "the same, in a directory that it may write", "ok", "ok", "not a boundary: what listens there may be talked to"),
    ("unix_volume", "the same, on a read-only volume", "ok", "ok", "not a boundary: the pod was given it"),
    ("unix_abstract", "connect to an abstract socket outside", "ok", P, "strict: with ABI 6; default: not a boundary, 'scope abstract' stops it"),
    ("received_fd", "use a descriptor received from outside", "ok", "ok", "not a boundary: an open descriptor carries its rights"),
    ("received_tcp", "connect a TCP socket received from outside", "ok", A, "since ABI 4"),
    ("received_udp", "connect a UDP socket received from outside", "ok", A, "not a boundary before ABI 10"),
)

# Root may not enter /home, the user whom it becomes may: that nothing is seen there does not mean that nothing is there.
CLOSED = (
    ("user_key", "read /home/user/.ssh/id_rsa, having dropped to user", A, A, ""),
    ("user_secret", "read the Secret at /home/user/.aws, having dropped to user", A, A, ""),
)
OVERRIDES = {"CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"}

# Rows that an older kernel cannot refuse: the first Landlock ABI that can.
SINCE = {"truncate_etc": 3, "truncate_resolv": 3, "unix_abstract": 6, "unix_path": 9, "received_tcp": 4, "received_udp": 10}
# That of the kernel that docs/attacks.md is about.
SEEN = 7


def expected(profile: str, abi: int) -> dict:
    """What every row gives under @profile on a kernel with Landlock ABI @abi."""
    column = {"control": None, "default": 2, "strict": 3}[profile]
    return {r[0]: "ok" if column is None or abi < SINCE.get(r[0], 0) else r[column] for r in ROWS}


def attacked(p) -> dict:
    """What /bin/attack said, row by row."""
    if p.returncode:
        raise RuntimeError(f"attack: {p.returncode}: {p.stderr}")
    return dict(line.split(" ", 1) for line in p.stdout.splitlines())


class Target:
    """Rootfs and mounts with something to attack everywhere."""

    def __init__(self, flavour="containerd"):
        self.flavour = flavour
        self.dir = tempfile.mkdtemp(prefix="kf-attack-")
        self.attack = box.build("attack", f"{self.dir}/attack")

    def rootfs(self) -> str:
        root = tempfile.mkdtemp(dir=self.dir)
        os.chmod(root, 0o755)
        box.busybox_rootfs(root)
        shutil.copy2(self.attack, f"{root}/bin/attack")
        shutil.copy2(self.attack, f"{root}/bin/suid")
        os.chown(f"{root}/bin/suid", 0, 0)
        os.chmod(f"{root}/bin/suid", 0o4755)
        for name in ("etc/target", "etc/victim", "etc/movable", "root/.ssh/id_rsa", "root/.netrc",
                     "home/user/.ssh/id_rsa", "home/user/.aws/credentials"):
            os.makedirs(os.path.dirname(f"{root}/{name}"), exist_ok=True)
            with open(f"{root}/{name}", "w") as f:
                f.write("secret\n")
        # An image that brings its own idea of the policy.
        for name in ("root/.config/nono/profiles/default.json", "root/.config/nono/profiles/default",
                     "etc/nono/profiles/default"):
            os.makedirs(os.path.dirname(f"{root}/{name}"), exist_ok=True)
            with open(f"{root}/{name}", "w") as f:
                f.write('{"meta":{"name":"default"},"filesystem":{"allow":["/"]}}\n')
        os.makedirs(f"{root}/run/secrets/kubernetes.io/serviceaccount")
        os.makedirs(f"{root}/srv/volume")
        return root

    def box(self, closed: bool = False) -> box.Box:
        """A container of a pod with a Secret volume; @closed: as CLOSED says."""
        secret = tempfile.mkdtemp(dir=self.dir)
        os.chmod(secret, 0o755)
        with open(f"{secret}/credentials", "w") as f:
            f.write("secret\n")
        mounts = [{"destination": "/home/user/.aws", "type": "bind", "source": secret, "options": ["rbind", "rprivate", "ro"]}]
        nono = tempfile.mkdtemp(dir=self.dir)
        os.chmod(nono, 0o755)
        shutil.copy2(box.NONO, f"{nono}/nono")
        root, caps = self.rootfs(), box.available_caps()
        mounts.append({"destination": "/data", "type": "bind", "source": f"{root}/srv/volume", "options": ["bind", "rprivate", "ro"]})
        if closed:
            caps = [c for c in caps if c not in OVERRIDES]
            os.chown(f"{root}/home", 1000, 1000)
            os.chmod(f"{root}/home", 0o700)
        # More capabilities than a kubelet gives, and nothing made read-only: what is refused is refused by the sandbox.
        return box.Box(rootfs=root, mounts=mounts, caps=caps, init=["/bin/attack", "target"], nono_dir=nono, readonly=[],
                       flavour=self.flavour, token=True).start(ready="ready")

    def results(self, profile=None, env=()) -> dict:
        with self.box() as b:
            return attacked(b.exec(["/bin/attack", "all"], profile=profile, env=env))

    def results_closed(self, profile=None) -> dict:
        with self.box(closed=True) as b:
            return {r[0]: attacked(b.exec(["/bin/attack", r[0]], profile=profile)).get(r[0]) for r in CLOSED}

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


# Nothing of this may widen anything.
HOSTILE_ENV = (
    "NONO_ALLOW=/etc,/usr,/root", "NONO_PROFILE=open", "NONO_CONFIG=/etc/nono", "XDG_CONFIG_HOME=/root/.config",
    "LD_PRELOAD=/tmp/evil.so", "LD_LIBRARY_PATH=/tmp", "TMPDIR=/etc", "XDG_DATA_HOME=/etc", "NONO_CAP_FILE=/etc/target",
)


def run(t, flavour="containerd") -> dict:
    """All rows: control, default, strict, and default with a hostile environment; in a container of that runtime."""
    target = Target(flavour)
    try:
        got = {
            "control": target.results(),
            "default": target.results("default"),
            "strict": target.results("strict"),
            "hostile": target.results("default", env=HOSTILE_ENV),
        }
        closed = {profile: target.results_closed(profile) for profile in (None, "default", "strict")}
    finally:
        target.close()
    want = {profile: expected(profile, box.landlock_abi()) for profile in ("default", "strict")}
    for name, what, *_ in ROWS:
        default, strict = want["default"][name], want["strict"][name]
        t.equal(got["control"].get(name), "ok", f"{flavour}: control: {what}")
        t.equal(got["default"].get(name), default, f"{flavour}: default: {what}")
        t.equal(got["strict"].get(name), strict, f"{flavour}: strict: {what}")
        t.equal(got["hostile"].get(name), default, f"{flavour}: default, environment that tries to widen it: {what}")
    t.equal(sorted(got["control"]), sorted(r[0] for r in ROWS), f"{flavour}: every attack has a row")
    for name, what, default, strict, _ in CLOSED:
        for profile, want in ((None, "ok"), ("default", default), ("strict", strict)):
            t.equal(closed[profile][name], want, f"{flavour}: {profile or 'control'}, without DAC_OVERRIDE: {what}")
    return got


def table() -> str:
    def cell(name, answer):
        since = SINCE.get(name, 0)
        refused = f"refused ({answer})"
        return "not refused" if answer == "ok" else refused if since <= SEEN else f"{refused} from ABI {since}"

    def rows(which):
        lines = ["| attack | `default` | `strict` | |", "|---|---|---|---|"]
        return "\n".join(lines + [f"| {what} | {cell(name, default)} | {cell(name, strict)} | {remark} |"
                                  for name, what, default, strict, remark in which])

    return f"{rows(ROWS)}\n\nWhere root lacks `CAP_DAC_OVERRIDE`, and `/home` is open to its user only:\n\n{rows(CLOSED)}\n"
