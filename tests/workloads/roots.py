# SPDX-License-Identifier: Apache-2.0
"""Root file systems for the workload matrix: Debian packages, built once; and musl ones."""
import fcntl
import hashlib
import os
import shutil
import subprocess

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "kubefence")
# Two, so that a change of the one does not build the other anew.
PACKAGES = {
    "languages": "ca-certificates,python3,python3-venv,python3-pip,nodejs,npm,git,golang-go,gcc,libc6-dev,cargo,"
                 "default-jdk-headless,perl,curl,nginx-light,redis-server,postgresql,gosu,procps,netbase,"
                 # for denied.py, and the browser
                 "strace,gdb,delve,chromium,bubblewrap,numactl,fio,linux-perf",
    "servers": "ca-certificates,python3,curl,gosu,procps,netbase,mariadb-server,apache2,libapache2-mod-php,php-cli,php-sqlite3,haproxy,memcached,"
               "openssh-server,tmux,ruby,r-base-core,mono-mcs,python3-ipykernel,jupyter-nbconvert,ffmpeg,imagemagick,libreoffice-writer-nogui,"
               "tini,dumb-init,s6",
}


def debian(name: str) -> str:
    """A Debian root with these packages of the matrix; from an empty cache some minutes each."""
    packages = PACKAGES[name]
    out = f"{CACHE}/workloads-{hashlib.sha256(packages.encode()).hexdigest()[:12]}"
    os.makedirs(CACHE, exist_ok=True)
    with open(f"{out}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(out):
            print(f"# building the workloads' root file system ({name}) from Debian packages", flush=True)
            shutil.rmtree(f"{out}.new", ignore_errors=True)
            subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", f"--include={packages}", "bookworm",
                            f"{out}.new"], check=True, stdin=subprocess.DEVNULL)
            os.rename(f"{out}.new", out)
    return out


class Overlay:
    """A writable view of a root file system, as containerd gives a container."""

    def __init__(self, lower: str, where: str):
        self.path, self.where = f"{where}/merged", where
        for d in ("merged", "upper", "work"):
            os.makedirs(f"{where}/{d}")
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                        f"lowerdir={lower},upperdir={where}/upper,workdir={where}/work", self.path], check=True)

    def close(self):
        subprocess.run(["umount", "-l", self.path], check=False)


def musl_program(out: str) -> None:
    """One static program and nothing else, as in an image built from scratch."""
    with open(f"{out}.c", "w") as f:
        f.write('#include <stdio.h>\nint main(int c, char **v) { FILE *f = fopen(c > 1 ? v[1] : "/tmp/x", "w"); '
                'return !f || fputs("hello\\n", f) < 0 || fclose(f) || puts("ok") < 0; }\n')
    subprocess.run(["musl-gcc", "-static", "-Os", "-o", out, f"{out}.c"], check=True)
    os.unlink(f"{out}.c")
