# SPDX-License-Identifier: Apache-2.0
"""The launcher on real kernels: Debian's (Landlock ABI 2), the same without Landlock, ours for Kata (ABI 6), and Debian's newest (ABI 10)."""
import os
import shutil
import subprocess

import attacks
import behaviour
import box
from lib import build, kubelet, qemu

PROBE = "tests/confine/confine_probe"

# Its images bring these as modules; the attacks need them in the control.
MODULES = ("vsock",)
# What is mounted, as in attacks.Target.box().
MOUNTS = {"token": ("/run/secrets/kubernetes.io/serviceaccount", "ro"), "secret": ("/home/user/.aws", "ro"),
          **{name: (f"/etc/{name}", "rw") for name in ("hosts", "hostname", "resolv.conf")}}
POLICIES = {
    "policy-net": behaviour.policy(behaviour.MINIMAL + "net connect 443\n", "p"),
    "policy-scope": behaviour.policy(behaviour.MINIMAL + "scope signal\n", "p"),
    "policy-ports": behaviour.policy(behaviour.MINIMAL + "net block\nnet connect 7007\nnet bind 7070\n", "p"),
    "policy-others": behaviour.policy(behaviour.MINIMAL + "net block\nnet connect 443\nnet bind 443\n", "p"),
    **{
        f"policy-{name}": behaviour.policy(behaviour.MINIMAL + body, "p")
        for name, body in (
            ("udp", "net block\nnet connect-udp 7007\nnet bind-udp 7070\n"),
            ("udp-others", "net block\nnet connect-udp 443 7006\nnet bind-udp 443\n"),
            ("udp-connect", "net block\nnet connect-udp 7007\n"),
            ("udp-bind", "net block\nnet bind-udp 7070\n"),
            ("lax-connect", "net connect-udp 7007\n"),
            ("lax-bind", "net bind-udp 443\n"),
            ("both", "net block\nnet connect 7007\nnet connect-udp 443\n"),
            ("loud", ""),
            ("quiet", "fs quiet /root/.ssh\nfs quiet /etc/link\nfs quiet /nowhere\n"),
        )
    },
}
# What a policy of these gives for a row of the matrix.
BLOCKED = {"udp_send": "EACCES", "udp_mapped": "EACCES", "udp_elsewhere": "EACCES", "udp_listen": "EACCES", "tcp_connect": "EACCES",
           "tcp_listen": "EACCES", "raw": "EACCES", "packet": "EACCES"}
UDP = {
    "policy-udp": {**BLOCKED, "udp_send": "ok", "udp_mapped": "ok", "udp_listen": "ok"},
    "policy-udp-others": BLOCKED,
    "policy-udp-connect": {**BLOCKED, "udp_send": "ok", "udp_mapped": "ok"},
    "policy-udp-bind": {**BLOCKED, "udp_listen": "ok"},
    "policy-lax-connect": {"udp_send": "ok", "udp_elsewhere": "EACCES", "udp_listen": "ok", "tcp_connect": "ok", "tcp_listen": "ok"},
    "policy-lax-bind": {"udp_send": "ok", "udp_elsewhere": "ok", "udp_listen": "EACCES", "tcp_connect": "ok"},
    "policy-both": {**BLOCKED, "tcp_connect": "ok"},
}
NONO = "/nono/nono wrap"


def with_policy(name: str, command: str) -> str:
    return f"{NONO} --policy-fd 3 --profile p -- {command} 3</{name}"


def rootfs(target: attacks.Target) -> str:
    """The attack matrix's, with the launcher, a token and policies in it."""
    root = target.rootfs()
    os.makedirs(f"{root}/nono", exist_ok=True)
    shutil.copy2(box.NONO, f"{root}/nono/nono")
    os.makedirs(f"{root}/srv/token")
    os.makedirs(f"{root}/srv/secret")
    pod = [(name, kubelet.FILES[name]) for name in ("hosts", "hostname", "resolv.conf")]
    for name, text in (("srv/token/token", "token\n"), ("srv/secret/credentials", "secret\n"), *POLICIES.items(),
                       *((f"{top}/{name}", text) for name, text in pod for top in ("srv", "etc"))):
        with open(f"{root}/{name}", "w") as f:
            f.write(text)
    shutil.copy2(box.build("kernel", f"{target.dir}/kernel"), f"{root}/bin/kernel")
    return root


def attack(run, profile: str | None, prefix: str = "") -> dict:
    """Every row of the matrix; @run runs a command and returns a CompletedProcess."""
    wrap = f"{NONO} --profile {profile} -- " if profile else ""
    p = run(f"{prefix}{wrap}/bin/attack all")
    return dict(line.split(" ", 1) for line in p.stdout.splitlines() if len(line.split()) == 2)


def simulated(target: attacks.Target, abi: int) -> dict:
    """The same on this machine's kernel, with tests/sandbox/kernel.c in front."""
    with target.box() as b:
        shutil.copy2(box.build("kernel", f"{target.dir}/kernel"), f"{b.rootfs}/bin/kernel")
        for name, text in POLICIES.items():
            with open(f"{b.rootfs}/{name}", "w") as f:
                f.write(text)

        def run(command):
            return b.exec(["sh", "-c", f"exec {command} 2>&1"])

        return observe(run, f"/bin/kernel abi {abi} ")


def observe(run, prefix: str = "") -> dict:
    """What a kernel's Landlock is to us: attacks, what is reported, what is refused."""
    return {
        "setup": run(f"{prefix}/nono/nono setup --check-only").stdout,
        "default": attack(run, "default", prefix),
        "strict": attack(run, "strict", prefix),
        **{
            name: run(f"{prefix}sh -c '{with_policy(name, 'echo started')}'").stdout
            for name in ("policy-net", "policy-scope", "policy-ports", "policy-udp", "policy-lax-connect")
        },
    }


def common(t, m: qemu.Machine, who: str, abi: int) -> dict:
    """What every kernel with Landlock has to show."""
    for name, (path, access) in MOUNTS.items():
        m.check(f"mount --bind /srv/{name} {path} && mount -o remount,bind,{access} {path}")
    m.check("mkdir /data && mount --bind /srv/volume /data && mount -o remount,bind,ro /data")
    got = observe(m.run)
    t.ok(got["setup"].startswith(f"Landlock ABI {abi}\n"), f"{who}: Landlock ABI {abi} is reported", got["setup"])
    for profile in ("default", "strict"):
        want = attacks.expected(profile, abi)
        for row, what in ((r[0], r[1]) for r in attacks.ROWS):
            t.equal(got[profile].get(row), want[row], f"{who}: {profile}: {what}")
    for profile, seccomp in (("default", 0), ("strict", 2)):
        p = m.run(f"{NONO} --profile {profile} -- sh -c 'grep -E \"^(NoNewPrivs|Seccomp):\" /proc/self/status'")
        t.equal(p.stdout, f"NoNewPrivs:\t1\nSeccomp:\t{seccomp}\n", f"{who}: {profile}: no_new_privs is set, and a filter where one is needed")
    p = m.run(f"{NONO} --profile default -- sh -c 'echo x >/tmp/f && cat /tmp/f && rm /tmp/f; mkdir -p /tmp/a /tmp/b; "
              "echo y >/tmp/a/f && mv /tmp/a/f /tmp/b/f && cat /tmp/b/f; : >/dev/null && head -c1 /dev/zero | wc -c'")
    t.equal(p.stdout, "x\ny\n1\n", f"{who}: what is granted works, renames across directories too")
    return got


def control(t, m: qemu.Machine, who: str) -> None:
    """Last, since it leaves little of the machine standing."""
    got = attack(m.run, None)
    for row, what in ((r[0], r[1]) for r in attacks.ROWS):
        t.equal(got.get(row), "ok", f"{who}: control: {what}")


def stock(t, target: attacks.Target) -> None:
    """Debian's cloud kernel as it is: Linux 6.1, Landlock ABI 2."""
    kernel = qemu.debian_kernel()
    image = qemu.initramfs(f"{target.dir}/stock.cpio", rootfs(target), kernel, MODULES, ("/bin/attack", "target"))
    who = "Debian " + kernel.release
    with qemu.Machine(kernel.image, initrd=image) as m:
        print(f"# {who}: {m.boot_seconds:.1f} s to its first answer", flush=True)
        t.equal(m.check("uname -r").strip(), kernel.release, f"{who}: runs")
        real = common(t, m, who, 2)
        t.ok("  no   files: truncate (ABI 3)" in real["setup"], f"{who}: says what its ABI lacks", real["setup"])
        t.equal(real["policy-net"], "nono: single ports need Landlock ABI 4 (Linux 6.7); this kernel has ABI 2\n",
                f"{who}: single ports are refused, with the reason")
        t.equal(real["policy-scope"], "nono: scopes need Landlock ABI 6 (Linux 6.12); this kernel has ABI 2\n",
                f"{who}: scopes are refused, with the reason")
        for name in ("policy-udp", "policy-lax-connect"):
            t.equal(real[name], "nono: single UDP ports need Landlock ABI 10 (Linux 7.2); this kernel has ABI 2\n",
                    f"{who}: {name[7:]}: single UDP ports are refused, with the reason")
        # Truncation is its own right from ABI 3 only; below, opening for writing is what is refused.
        p = m.run(f"{NONO} -- sh -c ': >/etc/movable'; cat /etc/movable")
        t.ok("Permission denied" in p.stdout and p.stdout.endswith("secret\n"),
             f"{who}: open(O_TRUNC) of what may not be written is refused", p.stdout)
        control(t, m, who)
        played = simulated(target, 2)
        for key, value in real.items():
            t.equal(played[key], value, f"{who}: tests/sandbox/kernel.c plays ABI 2 as it is: {key}")
    # Landlock built in but left out of lsm=: there is no sandbox, so nothing may run.
    with qemu.Machine(kernel.image, initrd=image, append="lsm=lockdown,yama,apparmor") as m:
        t.ok("landlock" not in m.check("mount -t securityfs s /sys/kernel/security; cat /sys/kernel/security/lsm"),
             f"{who} with lsm=: Landlock is off")
        t.equal(m.run("/bin/attack write_etc").stdout, "write_etc ok\n", f"{who} with lsm=: control")
        closed(t, m, f"{who} with lsm=", "Landlock is built into this kernel but not active: add 'landlock' to lsm=")


def closed(t, m: qemu.Machine, who: str, why: str) -> None:
    for profile in ("default", "strict"):
        p = m.run(f"{NONO} --profile {profile} -- echo started")
        t.ok(p.returncode == 1 and p.stdout.startswith(f"nono: {why}") and "started" not in p.stdout,
             f"{who}: {profile}: nothing is started, and why is said", (p.returncode, p.stdout))
    p = m.run("/nono/nono setup --check-only")
    t.ok(p.returncode == 1 and why in p.stdout, f"{who}: nono setup --check-only says so", p.stdout)


def kata_kernel() -> str:
    """The directory of the kernel that images/kata-kernel builds."""
    p = subprocess.run([f"{box.ROOT}/images/kata-kernel/build"], stdout=subprocess.PIPE, text=True, check=True)
    return p.stdout.split()[-1]


def own(t, target: attacks.Target) -> None:
    """images/kata-kernel: booted as Kata does it, vmlinux by PVH on q35."""
    built = kata_kernel()
    with open(f"{built}/version") as f:
        release = f.read().strip()
    image = qemu.initramfs(f"{target.dir}/own.cpio", rootfs(target), init=("/bin/attack", "target"))
    who = f"kata-kernel {release}"
    with qemu.Machine(f"{built}/vmlinux", initrd=image, machine="q35") as m:
        print(f"# {who}: vmlinux {os.path.getsize(built + '/vmlinux') >> 20} MiB, bzImage "
              f"{os.path.getsize(built + '/bzImage') >> 20} MiB, {m.boot_seconds:.1f} s to its first answer", flush=True)
        t.equal(m.check("uname -r").strip(), release, f"{who}: vmlinux boots")
        real = common(t, m, who, 6)
        for name in ("policy-net", "policy-scope", "policy-ports"):
            t.equal(real[name], "started\n", f"{who}: {name[7:]} rules work")
        for policy, row, want in (("policy-ports", "tcp_connect", "ok"), ("policy-others", "tcp_connect", "EACCES"),
                                  ("policy-ports", "tcp_listen", "ok"), ("policy-others", "tcp_listen", "EACCES"),
                                  ("policy-ports", "udp", "EACCES"), ("policy-scope", "signal_init", "EPERM")):
            t.equal(m.run(with_policy(policy, f"/bin/attack {row}")).stdout, f"{row} {want}\n", f"{who}: {policy[7:]}: {row}")
        for name in ("policy-udp", "policy-lax-connect"):
            t.equal(real[name], "nono: single UDP ports need Landlock ABI 10 (Linux 7.2); this kernel has ABI 6\n",
                    f"{who}: {name[7:]}: single UDP ports are refused, with the reason")
        control(t, m, who)
        played = simulated(target, 6)
        for key, value in real.items():
            t.equal(played[key], value, f"{who}: tests/sandbox/kernel.c plays ABI 6 as it is: {key}")
    with qemu.Machine(f"{built}/bzImage", initrd=image, append="lsm=capability") as m:
        closed(t, m, f"{who} with lsm=", "Landlock is built into this kernel but not active: add 'landlock' to lsm=")


def newest(t, target: attacks.Target) -> None:
    """Debian's unstable kernel: Linux 7.2, Landlock ABI 10; and newer ones, as far as this one can be taken for them."""
    kernel = qemu.newest_kernel()
    root = rootfs(target)
    shutil.copy2(build.meson("tests", PROBE) / PROBE, f"{root}/bin/probe")
    image = qemu.initramfs(f"{target.dir}/newest.cpio", root, kernel, MODULES, ("/bin/attack", "target"))
    who = "Debian " + kernel.release
    with qemu.Machine(kernel.image, initrd=image) as m:
        print(f"# {who}: {m.boot_seconds:.1f} s to its first answer", flush=True)
        t.equal(m.check("uname -r").strip(), kernel.release, f"{who}: runs")
        real = common(t, m, who, 10)
        t.ok("  no " not in real["setup"] and "newer" not in real["setup"], f"{who}: all that is known is there", real["setup"])
        for name in ("policy-net", "policy-scope", "policy-ports", "policy-udp", "policy-lax-connect"):
            t.equal(real[name], "started\n", f"{who}: {name[7:]} rules work")
        for policy, rows in UDP.items():
            for row, want in rows.items():
                t.equal(m.run(with_policy(policy, f"/bin/attack {row}")).stdout, f"{row} {want}\n", f"{who}: {policy[7:]}: {row}")
        for abi in (11, 12, 99):
            played = observe(m.run, f"/bin/kernel abi {abi} ")
            newer = played.pop("setup")
            t.ok(newer.startswith(f"Landlock ABI {abi}\n") and ("newer than ABI 11" in newer) == (abi > 11),
                 f"{who} taken for ABI {abi}: what is not known is said", newer)
            for key, value in played.items():
                t.equal(value, real[key], f"{who} taken for ABI {abi}: nothing is weaker: {key}")
        daemons(t, m, who)
        control(t, m, who)
    with qemu.Machine(kernel.image, initrd=image, append="audit=1") as m:
        quiet(t, m, who)
    with qemu.Machine(kernel.image, initrd=image, append="lsm=lockdown,yama,apparmor") as m:
        closed(t, m, f"{who} with lsm=", "Landlock is built into this kernel but not active: add 'landlock' to lsm=")


def daemons(t, m: qemu.Machine, who: str) -> None:
    """What this kernel's Landlock refuses to daemons of ours that no older one does; tests/confine has the rest."""
    m.check("mkdir -p /place/run /place/node /place/account && ln /srv/target.sock /place/run/nri.sock")
    for role, attempt, want in (("api-name", "datagram 53", "done"), ("api-name", "datagram 7007", "EACCES"), ("api", "datagram 53", "EACCES"),
                                ("api-name", "connect 7007", "done"), ("api-name", "connect 7008", "EACCES"),
                                ("api-name", "resolve localhost", "done"),
                                ("helper", "unix /place/run/nri.sock", "done"), ("helper", "unix /srv/target.sock", "EACCES")):
        for mode, expected in (("confined", want), ("control", "ECONNREFUSED" if attempt == "connect 7008" else "done")):
            p = m.run(f"KF_PORT=7007 /bin/probe {role} /place {mode} {attempt}")
            t.equal(p.stdout.strip(), expected, f"{who}: {role}, {mode}: {attempt}")


def quiet(t, m: qemu.Machine, who: str) -> None:
    """Nobody listens to this machine's audit: its records are in the kernel's log."""
    m.check("echo 0 >/proc/sys/kernel/printk_ratelimit; ln -s /etc/movable /etc/link; mkdir /root/.ssh/below; echo x >/root/.ssh/below/f")
    inode = {path: m.check(f"stat -c %i {path}").strip() for path in ("/root/.ssh/id_rsa", "/root/.ssh/below/f", "/etc/movable", "/root/.netrc")}
    seen = ""
    for policy, silent in (("policy-quiet", {"/root/.ssh/id_rsa", "/root/.ssh/below/f"}), ("policy-loud", set())):
        p = m.run(with_policy(policy, f"cat {' '.join(inode)}"))
        t.equal(p.stdout.count("Permission denied"), len(inode), f"{who}: {policy[7:]}: all are refused")
        log = m.check("busybox dmesg")
        new = log[len(seen):]
        seen = log
        for path, number in inode.items():
            t.equal(f"ino={number}" in new, path not in silent, f"{who}: {policy[7:]}: {path} is {'not ' if path in silent else ''}in the log")


def run(t, mode: str) -> None:
    if mode != "all":
        return
    target = attacks.Target()
    try:
        t.case("stock", stock, t, target)
        t.case("own", own, t, target)
        t.case("newest", newest, t, target)
    finally:
        target.close()
