# SPDX-License-Identifier: Apache-2.0
"""The Debian packages: built twice with the same result, without a word from lintian, and used on a fresh Debian 12."""
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from lib import auditlog, images, limits, tools
from lib.build import ROOT
from lib.installed import STRICT
from lib.tap import Tap
from lib.wait import wait_until

from machine import Machine, debian

sys.path.append(str(ROOT / "tests/docs"))
import commands  # noqa: E402
from play import play  # noqa: E402

PACKAGES = ("kubefence", "kubefence-node", "libnri1", "libnri-dev")
# Where package management, systemd and the container runtime keep what is theirs.
NOT_OURS = r"/(etc/ld\.so\.cache|etc/machine-id|var/(cache|log)|var/lib/(apt|dpkg|systemd|containerd|dbus|ucf)|opt/containerd|root/\.cache)(/|$)"
CONTAINERD = """[Service]
ExecStart=/usr/local/bin/containerd
Type=notify
Delegate=yes
KillMode=process
Restart=always
[Install]
WantedBy=multi-user.target
"""
# zsh is asked for "kubefence do", a TAB, the first one of a session, and "--help".
ZSH = """zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "autoload -U compinit; compinit -u -d /tmp/dump; echo re''ady"
zpty -r -m z said '*ready*'
zpty -w -n z $'kubefence do\\t--help\\n'
zpty -r -m z said '*Usage: kubefence doctor*' && echo doctor
"""
SHELLS = "zsh fish"
HELD = "held"  # the container that keeps the package from being removed


def build(out: Path, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run([ROOT / "packaging/deb", out], capture_output=True, text=True, env={**os.environ, **env})


def reproducible(t: Tap, tmp: Path) -> Path | None:
    """The packages' directory."""
    first, second = tmp / "first", tmp / "second place"
    p = build(first)
    if not t.ok(p.returncode == 0, "dpkg-buildpackage makes the packages", (p.stdout + p.stderr)[-4000:]):
        return None
    old = os.umask(0o077)
    p = build(second, TZ="Asia/Kathmandu", LC_ALL="C", DEB_BUILD_OPTIONS="parallel=1")
    os.umask(old)
    t.ok(p.returncode == 0, "... and again elsewhere, at another hour, with another umask", (p.stdout + p.stderr)[-4000:])
    sums = [{d.name: hashlib.sha256(d.read_bytes()).hexdigest() for d in where.glob("*.deb")} for where in (first, second)]
    t.equal(sums[1], sums[0], "... with the same result, byte by byte")
    t.equal(sorted(n.split("_")[0] for n in sums[0] if "dbgsym" not in n), sorted(PACKAGES), "they are the four packages")
    return first


def clean(t: Tap, debs: Path) -> None:
    (changes,) = debs.glob("*.changes")
    p = subprocess.run(["lintian", "--profile", "debian", "--pedantic", "--display-info", changes], capture_output=True, text=True)
    t.ok(p.returncode == 0 and not p.stdout, "lintian has nothing to say", p.stdout + p.stderr)
    explained = re.findall(r"^(?!#)\S+ (\S+)", "".join(x.read_text() for x in (ROOT / "debian").glob("*.lintian-overrides")), re.MULTILINE)
    p = subprocess.run(["lintian", "--profile", "debian", "--display-info", "--no-override", changes], capture_output=True, text=True)
    t.equal(set(re.findall(r"^\w: \S+ (\S+)", p.stdout, re.MULTILINE)), set(explained), "control: without the overrides it names what they explain")
    version = (ROOT / "VERSION").read_text().strip()
    t.ok((ROOT / "debian/changelog").read_text().startswith(f"kubefence ({version}) "), "debian/changelog has this version")


def prepare(root: Path, debs: Path) -> None:
    """On the fresh machine: the packages to install, and a containerd that Debian 12 does not have."""
    (root / "debs").mkdir()
    for package in PACKAGES:
        (found,) = debs.glob(f"{package}_*.deb")
        shutil.copy(found, root / "debs")
    shutil.copy(images.busybox().tar, root / "debs/busybox.tar")
    for program in ("containerd", "containerd-shim-runc-v2", "ctr"):
        shutil.copy(tools.program(program, of="containerd"), root / "usr/local/bin")
    (root / "etc/containerd").mkdir()
    (root / "etc/systemd/system/containerd.service").write_text(CONTAINERD)


def files(m: Machine) -> set[str]:
    """Every file and directory of the machine, but for NOT_OURS."""
    return {x for x in m.must("find / -xdev").splitlines() if not re.match(NOT_OURS, x)}


def install(t: Tap, m: Machine) -> set[str]:
    """The machine's files before."""
    m.must("apt-get update -q")
    wanted = m.must("apt-get install --simulate /debs/*.deb")
    others = [x for x in re.findall(r"^Inst (\S+)", wanted, re.MULTILINE) if x not in PACKAGES]
    t.ok("runc" in others and "libevent-dev" in others, "apt finds what they need in Debian 12", wanted)
    m.must(f"apt-get install -q -y --no-install-recommends {' '.join(others)} {SHELLS} && systemctl enable --now containerd")
    before = files(m)
    p = m.sh("apt-get install -q -y /debs/*.deb")
    t.ok(p.returncode == 0, "the packages install", p.stdout)
    return before


def programs(t: Tap, m: Machine) -> None:
    size = (m.root / "usr/bin/nono").stat().st_size
    t.ok(size <= limits.SIZE["nono"], "the launcher is as small as the tree's own build", size)
    p = m.sh("kubefence try -- sh -c 'cat /etc/debian_version; echo x >/etc/motd'")
    t.ok(re.search(r"^12\.\d+$", p.stdout, re.MULTILINE) and p.returncode != 0 and "Permission denied" in p.stdout, "kubefence try: reads, and may not write", p)
    p = m.sh("kubefence try --plain -- sh -c 'echo x >/etc/motd && echo written'")
    t.equal((p.returncode, p.stdout), (0, "written\n"), "control: without the sandbox it is written")
    t.ok(m.sh("cat /etc/motd").stdout != "x\n", "... to a copy")
    p = m.sh("kubefence doctor")
    t.ok(p.returncode == 1 and "√ Landlock is available" in p.stdout and "this node is not set up" in p.stdout,
         "kubefence doctor: the kernel is fine, the node is not set up yet", p)
    p = m.sh("kubefence profile validate /usr/share/kubefence/profiles/claude-code.json && kubefence explain claude-code && kubectl-nono --help")
    t.ok(p.returncode == 0, "profiles to start from; kubectl's plugin", p)
    p = m.sh("bash -c 'source /usr/share/bash-completion/completions/kubefence; COMP_WORDS=(kubefence do); COMP_CWORD=1; _kubefence; echo $COMPREPLY'")
    t.equal(p.stdout, "doctor\n", "bash completes its commands")
    t.ok(m.sh("HOME=/tmp fish -c \"complete -C 'kubefence do'\"").stdout.startswith("doctor\t"), "... fish does")
    (m.root / "debs/complete.zsh").write_text(ZSH)
    p = m.sh("TERM=dumb HOME=/tmp timeout 60 zsh -f /debs/complete.zsh")
    t.equal(p.stdout, "doctor\n", "... and zsh, at the first try")


def library(t: Tap, m: Machine, tmp: Path) -> None:
    """A program that is built with libnri-dev of the machine runs on it with libnri1."""
    env = {**os.environ, "PKG_CONFIG_SYSROOT_DIR": str(m.root), "PKG_CONFIG_PATH": "",
           "PKG_CONFIG_LIBDIR": ":".join(map(str, m.root.glob("usr/lib/*/pkgconfig")))}
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libnri"], env=env, check=True, capture_output=True, text=True).stdout.split()
    subprocess.run(["cc", *STRICT, m.root / "usr/share/doc/libnri-dev/examples/nri-hello.c", *flags, "-o", tmp / "hello"], check=True)
    shutil.copy(tmp / "hello", m.root / "debs/hello")
    p = m.sh("ldd /debs/hello && NRI_PLUGIN_SOCKET=x /debs/hello")
    t.ok("/libnri.so.1" in p.stdout and "not found" not in p.stdout and "NRI_PLUGIN_SOCKET='x'" in p.stdout,
         "libnri-dev's example builds and runs with libnri1", p)


def node(t: Tap, m: Machine) -> None:
    """The plugin as a unit, with the real containerd."""
    t.equal(m.sh("systemctl is-active nono-nri").stdout, "inactive\n", "the plugin waits until the node is set up")
    p = m.sh("systemd-analyze verify --man=no nono-nri.service nono-egress.service")
    t.equal((p.returncode, p.stdout), (0, ""), "systemd has nothing to say about the unit")
    p = m.sh("kubefence node install && systemctl start nono-nri")
    if not t.ok(p.returncode == 0, "kubefence node install; systemctl start nono-nri", p):
        return
    log = lambda: m.sh("journalctl -u nono-nri -o cat --no-pager").stdout  # noqa: E731
    wait_until(lambda: '"msg":"connected"' in log(), "the plugin to connect")
    t.ok('"msg":"confined","landlock":"' in log(), "the plugin confines itself under systemd", log())
    m.must("systemctl reload nono-nri")
    p = m.sh("kubefence doctor -o json")
    t.ok(p.returncode == 0 and json.loads(p.stdout)["success"], "kubefence doctor is content", p)


def pages(t: Tap, m: Machine) -> None:
    """What README and docs/ have people type on such a machine, as printed; they say yes to apt."""
    (m.root / "etc/apt/apt.conf.d/90yes").write_text('APT::Get::Assume-Yes "true";\n')
    m.must("mkdir -p /root/out /host; ln -s /debs /root/out/deb; mount --rbind / /host")
    done = set()
    try:
        with auditlog.ours():
            for b in commands.every():
                for place, command in zip(b.places(), b.commands()) if not b.reason else ():
                    if place == "machine" and command not in done:
                        done.add(command)
                        play(t, b.file, command, lambda argv: m.inside(["env", "-C", "/root", *argv]), {})
        t.ok(len(done) > 8, "control: there are such commands", done)
    finally:
        m.must("umount -l /host; rm -r /root/out /etc/apt/apt.conf.d/90yes; rmdir /host")


def removal(t: Tap, m: Machine) -> None:
    m.must("ctr -n k8s.io image import /debs/busybox.tar")
    # Without CPU shares: the machine's cgroup has no controllers.
    run = f"ctr -n k8s.io run -d --cpu-shares 0 --runc-binary /opt/kubefence/bin/nono-runc {images.busybox().ref} {HELD} /bin/sleep 100000"
    p = m.sh(run)
    t.ok(p.returncode == 0, "a container runs through the guard", p)
    p = m.sh(f"ctr -n k8s.io task exec --exec-id x {HELD} grep NoNewPrivs /proc/self/status")
    t.equal(p.stdout.split(), ["NoNewPrivs:", "1"], "... in the sandbox")
    p = m.sh("apt-get remove -q -y kubefence-node")
    t.ok(p.returncode != 0 and f"delete them: container {HELD}" in p.stdout, "removing the package is refused, and the container named", p)
    t.ok(m.sh("dpkg-query -W -f '${db:Status-Status}' kubefence-node").stdout == "installed"
         and m.sh("systemctl is-active nono-nri").stdout == "active\n" and m.sh("test -x /opt/kubefence/bin/nono-runc").returncode == 0,
         "... the package, the guard and the running plugin stay")
    m.must(f"ctr -n k8s.io task rm -f {HELD}; ctr -n k8s.io container rm {HELD}")
    p = m.sh("apt-get remove -q -y kubefence-node")
    t.ok(p.returncode == 0, "when it is gone, the package can be removed", p)
    t.equal(m.sh("systemctl is-active nono-nri; systemctl is-active containerd; ls -A /opt /etc/containerd").stdout.split(),
            ["inactive", "active", "/etc/containerd:", "/opt:", "containerd"], "... and the node is as it was")
    t.ok(m.sh("test -e /etc/nri/conf.d/10-nono-nri.toml").returncode == 0, "the configuration stays until purge")


def gone(t: Tap, m: Machine, before: set[str]) -> None:
    p = m.sh(f"apt-get purge -q -y {' '.join(PACKAGES)}")
    t.ok(p.returncode == 0, "purge", p)
    after = files(m)
    t.equal((sorted(after - before), sorted(before - after)), (["/debs/complete.zsh", "/debs/hello"], []), "nothing is left on the disk")
    left = m.sh("find / -xdev \\( -name '*kubefence*' -o -name 'nono*' -o -name '*libnri*' \\) ! -path '/debs/*' ! -path '/proc/*'").stdout
    t.equal([x for x in left.splitlines() if not re.match(r"/var/(log|cache)/", x)], [], "... nor anything with our names, dpkg's lists included")
    t.equal(m.sh("ls -d /run/kubefence /run/nono-nri 2>/dev/null; systemctl list-unit-files 'nono*' --no-legend").stdout, "", "... nor in /run, nor a unit")


def run(t: Tap, tmp: Path) -> None:
    debs = reproducible(t, tmp)
    if not debs:
        return
    t.case("lintian", clean, t, debs)
    root = debian(tmp / "root")
    prepare(root, debs)
    with Machine(root) as m:
        before = install(t, m)
        t.case("programs", programs, t, m)
        t.case("library", library, t, m, tmp)
        t.case("node", node, t, m)
        t.case("pages", pages, t, m)
        t.case("removal", removal, t, m)
        t.case("gone", gone, t, m, before)
