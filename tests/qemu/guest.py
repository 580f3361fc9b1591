# SPDX-License-Identifier: Apache-2.0
"""A Debian machine with systemd and the pinned containerd as its unit: a disk image, made once."""
import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from lib import images, qemu, tools

PACKAGES = "systemd,systemd-sysv,dbus,kmod,libseccomp2,iproute2,procps,ca-certificates"
UNIT = """[Unit]
Description=containerd container runtime
After=network.target dbus.service

[Service]
ExecStartPre=-/sbin/modprobe overlay
ExecStart=/usr/local/bin/containerd
Type=notify
Delegate=yes
KillMode=process
Restart=always
RestartSec=5
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
OOMScoreAdjust=-999

[Install]
WantedBy=multi-user.target
"""
AGENT_UNIT = """[Unit]
Description=runs what the test says
After=multi-user.target

[Service]
Environment=HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ExecStart=/usr/local/sbin/kf-agent
KillMode=process

[Install]
WantedBy=multi-user.target
"""
CRICTL = "runtime-endpoint: unix:///run/containerd/containerd.sock\nimage-endpoint: unix:///run/containerd/containerd.sock\ntimeout: 60\n"
# Becomes the disk's systemd.
INIT = """#!/bin/sh
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
for m in $(cat /modules/order); do
	insmod /modules/$m
done
while [ ! -b /dev/vda ]; do
	sleep 0.1
done
mkdir /disk
mount -t ext4 /dev/vda /disk || exec sh
umount /proc /sys
exec switch_root /disk /lib/systemd/systemd
"""
# A guest has no use for these; each costs seconds under emulation.
MASKED = ("getty@tty1.service", "serial-getty@ttyS0.service", "serial-getty@ttyS1.service", "systemd-timesyncd.service", "apt-daily.timer",
          "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer", "e2scrub_all.timer", "e2scrub_reap.service",
          "systemd-networkd-wait-online.service", "systemd-firstboot.service")


def write(path: str, text: str, mode: int = 0o644) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)


def fill(root: str, kernel: qemu.Kernel) -> None:
    """What the packages do not bring."""
    shutil.copytree(kernel.modules, f"{root}/usr/lib/modules/{kernel.release}", symlinks=True)
    subprocess.run(["chroot", root, "depmod", kernel.release], check=True)
    for name, program in (("containerd", ""), ("containerd-shim-runc-v2", "containerd"), ("ctr", "containerd"), ("runc", ""), ("crictl", "")):
        shutil.copy2(tools.program(name, of=program), f"{root}/usr/local/bin/{name}")
    for image in (images.busybox(), images.pause()):
        shutil.copy2(image.tar, f"{root}/usr/local/share/{image.ref.split('/')[-1].split(':')[0]}.tar")
    write(f"{root}/etc/systemd/system/containerd.service", UNIT)
    write(f"{root}/etc/systemd/system/kf-agent.service", AGENT_UNIT)
    write(f"{root}/usr/local/sbin/kf-agent", qemu.AGENT, 0o755)
    write(f"{root}/etc/crictl.yaml", CRICTL)
    write(f"{root}/etc/fstab", "")
    write(f"{root}/etc/hostname", "node\n")
    write(f"{root}/etc/hosts", "127.0.0.1 localhost node\n")
    write(f"{root}/etc/resolv.conf", "")
    write(f"{root}/etc/machine-id", hashlib.sha256(b"kubefence").hexdigest()[:32] + "\n")
    os.makedirs(f"{root}/etc/containerd/conf.d")
    subprocess.run(["chroot", root, "systemctl", "enable", "-q", "containerd", "kf-agent"], check=True)
    subprocess.run(["chroot", root, "systemctl", "mask", "-q", *MASKED], check=True)
    subprocess.run(["chroot", root, "systemctl", "set-default", "-q", "multi-user.target"], check=True)


def disk(kernel: qemu.Kernel) -> Path:
    """The machine's disk; to be used without writing to it (Machine's snapshot)."""
    parts = [Path(__file__).read_bytes(), qemu.AGENT.encode(), str(kernel.modules).encode()]
    parts += [str(tools.bindir(name)).encode() for name in ("containerd", "runc", "crictl")]
    parts += [images.busybox().tar.name.encode()]
    out = tools.cache() / f"qemu-guest-{hashlib.sha256(b'|'.join(parts)).hexdigest()[:12]}"
    with open(tools.cache() / ".qemu-guest.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.is_file():
            print("# building a Debian machine with systemd and containerd", flush=True)
            root = f"{out}.root"
            shutil.rmtree(root, ignore_errors=True)
            subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", f"--include={PACKAGES}", "bookworm", root],
                           check=True, stdin=subprocess.DEVNULL)
            fill(root, kernel)
            subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d", root, f"{out}.new", "3G"], check=True)
            shutil.rmtree(root)
            os.rename(f"{out}.new", out)
    return out


def payload(path: str, files: dict) -> str:
    """A disk that is a tar archive of @files (name in it: path here)."""
    with tarfile.open(path, "w") as t:
        for name, source in files.items():
            info = tarfile.TarInfo(name)
            data = Path(source).read_bytes()
            info.size, info.mode = len(data), 0o755
            t.addfile(info, io.BytesIO(data))
    with open(path, "ab") as f:
        f.truncate((os.path.getsize(path) + 511) // 512 * 512)
    return path


def machine(where: str, files: dict) -> qemu.Machine:
    kernel = qemu.debian_kernel()
    root = f"{where}/initramfs"
    os.makedirs(f"{root}/bin")
    shutil.copy2(shutil.which("busybox"), f"{root}/bin/busybox")
    image = qemu.initramfs(f"{where}/initramfs.cpio", root, kernel, ("virtio_pci", "virtio_blk"), script=INIT)
    return qemu.Machine(kernel.image, initrd=image, disks=(disk(kernel), payload(f"{where}/payload.tar", files)), memory=2048, cpus=2,
                        append="quiet systemd.show_status=no")
