# SPDX-License-Identifier: Apache-2.0
"""kubefence on a test's containerd or CRI-O: what an installed node has, and a running plugin.

    with Containerd(handlers=node.GUARDED) as c:
        node.install(c)                           # launcher, guard, the guard's runtime file
        plugin = node.Plugin(c, default_profile="strict")
        plugin.start()                            # returns once registered and synchronised
        c.run(busybox, ["id"], handler="nono-runc")
        plugin.entries("injected")                # its JSON log lines with that message
        plugin.stop()                             # SIGTERM: the exit status

node.PROBE is a script that says what a workload can do; node.probe(c, ...) runs
it and returns {"write_etc": True, ...}, the same for a control without sandbox.
"""
import hashlib
import json
import os
import re
import signal
import subprocess
from pathlib import Path

from .runtime import Runtime
from .cri import DEADLINE, Result, wait_until
from .wait import log_entries

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("KUBEFENCE_BIN") or ROOT / "out/bin")

LAUNCHER = "/opt/nono-nri/nono"
GUARD = "/opt/kubefence/bin/nono-runc"
SETTINGS = "/opt/kubefence/settings"
RUNTIME = "/opt/kubefence/runtime"
STATE = "/run/nono-nri"
RECORDS = "/run/kubefence/guard"
NRI_SOCKET = "/run/nri/nri.sock"
# handlers= of a Containerd whose "nono-runc" is the guard.
GUARDED = {"nono-runc": GUARD}


def sealed(text: str) -> str:
    """@text with the checksum that plugin and guard write below what they keep."""
    return f"{text}sum {hashlib.sha256(text.encode()).hexdigest()}\n"


def install(c: Runtime, guard: bool = True, handlers: tuple[str, ...] = ("nono-runc",)) -> None:
    """What node set-up leaves on a node, all but the plugin's own files."""
    c.install(BIN / "nono", LAUNCHER)
    if guard:
        c.install(BIN / "nono-runc", GUARD)
        c.write(RUNTIME, sealed("kubefence-runtime 1\n" + "".join(f"runtime {h} {c.runc}\n" for h in sorted(handlers))))


def settings(c: Runtime) -> None:
    """What the plugin publishes for the guard, where there is none."""
    c.write(SETTINGS, sealed(f"kubefence-settings 1\nhandler nono-runc\ndefault default\nlauncher {LAUNCHER}\nseccomp restricted\nexec sandbox\n"))


class Plugin:
    """A nono-nri of its own configuration, inside @c's namespace."""

    def __init__(self, c: Runtime, *, text: str | None = None, name: str = "nono-nri", **keys):
        """@keys override the configuration's keys; None leaves one out; @text replaces all."""
        self.c, self.name = c, name
        self.process: subprocess.Popen | None = None
        config = {
            "runtime_classes": ["nono-runc"],
            "default_profile": "default",
            "nono_bin_path": LAUNCHER,
            **keys,
        }
        lines = [f"{k} = {json.dumps(v)}\n" for k, v in config.items() if v is not None]
        self.config = f"/run/{name}.toml"
        c.write(self.config, "".join(lines) if text is None else text)
        self.output = c.dir / f"{name}.log"

    def spawn(self, *flags: str, prefix: tuple[str, ...] = ()) -> "Plugin":
        """Start the program without waiting for anything; @prefix runs before it (nice, prlimit)."""
        with open(self.output, "ab") as log:
            cmd = [*prefix, BIN / "nono-nri", "--config", self.config, *flags]
            self.process = self.c.spawn(cmd, stdout=log, stderr=subprocess.STDOUT)
        return self

    def start(self, *flags: str, prefix: tuple[str, ...] = ()) -> "Plugin":
        before = self.connections()
        self.spawn(*flags, prefix=prefix)
        self.wait_connected(before)
        return self

    def connections(self) -> int:
        """How often containerd has taken this plugin into its list since it was first started."""
        return len(re.findall(r'plugin \\"10-nono-nri\\" connected', self.c.log()))

    def wait_connected(self, before: int) -> None:
        def connected() -> bool:
            if self.process and self.process.poll() is not None:
                raise RuntimeError(f"nono-nri ended with {self.process.returncode}:\n{self.log()[-2000:]}")
            return self.connections() > before

        wait_until(connected, "the plugin to be registered and synchronised")

    @property
    def pid(self) -> int:
        return self.process.pid

    def send(self, sig: int) -> None:
        self.process.send_signal(sig)

    def send_helper(self, sig: int) -> None:
        """To the process that the plugin has started to connect for it."""
        pid, = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        os.kill(int(pid), sig)

    def stop(self, sig: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(sig)
        status = self.process.wait(DEADLINE)
        refused = set(re.findall(r"refused system call: (\w+)", self.log()))
        if refused:  # only a debug build tells (KUBEFENCE_BIN)
            raise AssertionError(f"the plugin's seccomp filter refused {refused}")
        return status

    def log(self) -> str:
        try:
            return self.output.read_text(errors="replace")
        except OSError:
            return ""

    def entries(self, msg: str = "", **keys) -> list[dict]:
        return log_entries(self.log(), msg, **keys)

    def wait_entry(self, msg: str, **keys) -> dict:
        return wait_until(lambda: self.entries(msg, **keys), f"log entry '{msg}' {keys}")[0]


# What the workload can do, one "name=yes|no" a line.  Needs a shell, cat, touch and grep.
PROBE = r"""
try() { name=$1; shift; if "$@" >/dev/null 2>&1; then echo "$name=yes"; else echo "$name=no"; fi; }
write() { echo x >"$1"; }
try read_image cat /etc/passwd
try list_image ls /usr
try run_image cat /dev/null
try write_workdir write ./kf-probe
try write_tmp write /tmp/kf-probe
try write_home write "$HOME/kf-probe"
try write_null write /dev/null
try read_random head -c 1 /dev/urandom
try read_proc cat /proc/self/status
try write_etc write /etc/kf-probe
try append_passwd sh -c 'echo "x::0:0::/:" >>/etc/passwd'
try write_usr write /usr/kf-probe
try write_bin write /bin/kf-probe
try write_root write /kf-probe
try read_token cat /var/run/secrets/kubernetes.io/serviceaccount/token
try no_new_privs grep -q "NoNewPrivs:.*1" /proc/self/status
try seccomp grep -q "Seccomp:.*2" /proc/self/status
"""
# What the default profile promises of it.
MAY = {"read_image", "list_image", "run_image", "write_workdir", "write_tmp", "write_home", "write_null"}
MAY |= {"read_random", "read_proc", "no_new_privs"}
MAY_NOT = {"write_etc", "append_passwd", "write_usr", "write_bin", "write_root", "read_token"}
# What a plain container may do and a sandboxed one not: each must be seen in a control.
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


def parse(out: str) -> dict[str, bool]:
    return {k: v == "yes" for k, v in re.findall(r"^(\w+)=(yes|no)$", out, re.MULTILINE)}


def token(c: Runtime) -> tuple[str, str]:
    """A mount as the kubelet's of a service account's token, for container(mounts=[...])."""
    c.write("/run/token/token", "secret\n")
    return str(c.host("/run/token")), TOKEN_PATH


def probe(c: Runtime, image: str, **options) -> dict[str, bool]:
    """Run PROBE as a container's first process, with a work directory, a HOME and a token."""
    options.setdefault("cwd", "/work")
    options.setdefault("env", {"HOME": "/home/user"})
    options.setdefault("mounts", [token(c)])
    r: Result = c.run(image, ["sh", "-c", PROBE], **options)
    answers = parse(r.out)
    if not answers:
        raise RuntimeError(f"the probe said nothing (exit {r.code}): {r.out}{r.err}")
    return answers


def sandboxed(answers: dict[str, bool]) -> bool:
    """The whole promise of the default profile, nothing less."""
    return all(answers[k] for k in MAY) and not any(answers[k] for k in MAY_NOT)
