# SPDX-License-Identifier: Apache-2.0
"""Pods and containers of a Runtime; see containerd.py and crio.py."""
import base64
import json
import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import tools
from .cri import DEADLINE, CriError, Result, Timeout, wait_pid, wait_until

if TYPE_CHECKING:
    from .runtime import Runtime

# What crictl prints when the runtime refused, not when the command failed.
_REFUSED = re.compile(r"rpc error|OCI runtime exec failed|failed to exec in container")
# ... and what it adds to the output of one that did.
_EXIT = re.compile(r"[^\n]*command terminated with exit code (\d+)[^\n]*\n?$")


# What a kubelet closes in every container but privileged ones; a runtime that is not told closes nothing.
PROC = {
    "masked_paths": [f"/proc/{f}" for f in ("asound", "acpi", "interrupts", "kcore", "keys", "latency_stats", "timer_list", "timer_stats",
                                            "sched_debug", "scsi")] + ["/sys/firmware", "/sys/devices/virtual/powercap"],
    "readonly_paths": [f"/proc/{f}" for f in ("bus", "fs", "irq", "sys", "sysrq-trigger")],
}


def _ended(code: int, out: str, err: str = "") -> Result:
    """crictl ends with 1 whatever the command's exit code was, and says which."""
    if code and _REFUSED.search(err or out):
        raise CriError((err or out).strip())
    m = _EXIT.search(err or out)
    if not m:
        return Result(code, out, err)
    return Result(int(m[1]), out, err[: m.start()]) if err else Result(int(m[1]), out[: m.start()])


def _merge(into: dict, more: dict) -> dict:
    for k, v in more.items():
        if isinstance(v, dict) and isinstance(into.get(k), dict):
            _merge(into[k], v)
        else:
            into[k] = v
    return into


class Pod:
    """A running pod sandbox, started in @ms milliseconds.  @linux is merged into the CRI's LinuxPodSandboxConfig."""

    def __init__(
        self,
        c: "Runtime",
        name: str,
        number: int,
        *,
        handler: str = "",
        namespace: str = "default",
        annotations: dict[str, str] | None = None,
        labels: dict[str, str] | None = None,
        uid: str = "",
        linux: dict | None = None,
    ):
        self.c, self.name, self.handler = c, name, handler
        self.uid = uid or f"{c.name}-{number}"
        self.logs = c.dir / "logs" / f"{number}-{name}"
        self.logs.mkdir()
        self.config = {
            "metadata": {"name": name, "namespace": namespace, "uid": self.uid, "attempt": 0},
            "log_directory": str(self.logs),
            "annotations": annotations or {},
            "labels": labels or {},
            "linux": _merge(
                {
                    "cgroup_parent": f"/{c.name}",
                    "security_context": {"namespace_options": {"network": 2, "pid": 1}},
                },
                linux or {},
            ),
        }
        self._containers = 0
        answer = c.cri("RuntimeService/RunPodSandbox", {"config": self.config, "runtime_handler": handler})
        self.id, self.ms = answer["pod_sandbox_id"], answer["ms"]

    def container(
        self,
        image: str,
        args: list[str] | None = None,
        *,
        name: str = "",
        command: list[str] | None = None,
        env: dict[str, str] | list[tuple[str, str]] | None = None,
        cwd: str = "",
        mounts: Iterable[tuple[str, ...]] = (),
        annotations: dict[str, str] | None = None,
        labels: dict[str, str] | None = None,
        tty: bool = False,
        stdin: bool = False,
        user: int | None = None,
        privileged: bool = False,
        readonly: bool = False,
        security: dict | None = None,
        linux: dict | None = None,
        devices: Iterable[str] = (),
    ) -> "Container":
        """Create (not start) a container.  args and command are the CRI's: command
        replaces the image's entrypoint.  mounts: (host path, container path[, "ro"]).
        @security is merged into its LinuxContainerSecurityContext.  devices: paths, and names of CDI devices, as a device
        plugin gives them."""
        self._containers += 1
        name = name or f"c{self._containers}"
        pairs = env.items() if isinstance(env, dict) else env or []
        context = {
            "namespace_options": {"network": 2, "pid": 1},
            "privileged": privileged,
            "readonly_rootfs": readonly,
            **({} if privileged else PROC),
        }
        if user is not None:
            context["run_as_user"] = {"value": user}
        config = {
            "metadata": {"name": name, "attempt": 0},
            "image": {"image": image},
            "command": command or [],
            "args": args or [],
            "working_dir": cwd,
            "envs": [{"key": k, "value": base64.b64encode(v.encode()).decode()} for k, v in pairs],
            "mounts": [
                {"host_path": str(m[0]), "container_path": m[1], "readonly": "ro" in m[2:]} for m in mounts
            ],
            "annotations": annotations or {},
            "labels": labels or {},
            "log_path": f"{name}.log",
            "tty": tty,
            "stdin": stdin,
            "stdin_once": stdin,
            "linux": _merge({"security_context": _merge(context, security or {})}, linux or {}),
            "devices": [{"host_path": d, "container_path": d, "permissions": "rw"} for d in devices if d.startswith("/")],
            "CDI_devices": [{"name": d} for d in devices if not d.startswith("/")],
        }
        request = {"pod_sandbox_id": self.id, "config": config, "sandbox_config": self.config}
        answer = self.c.cri("RuntimeService/CreateContainer", request)
        return Container(self, name, answer["container_id"], answer["ms"])

    def stop(self) -> None:
        self.c.cri("RuntimeService/StopPodSandbox", {"pod_sandbox_id": self.id})

    def remove(self) -> None:
        """Stop and remove, containers too."""
        self.stop()
        self.c.cri("RuntimeService/RemovePodSandbox", {"pod_sandbox_id": self.id})


class Container:
    def __init__(self, pod: Pod, name: str, ctr_id: str, ms: float):
        self.pod, self.c, self.name, self.id = pod, pod.c, name, ctr_id
        self.ms = ms  # what its creation took

    def start(self) -> "Container":
        self.c.cri("RuntimeService/StartContainer", {"container_id": self.id})
        return self

    def inspect(self) -> dict:
        """{"status": ..., "info": ...}, as "crictl inspect" prints it."""
        answer = self.c.cri("RuntimeService/ContainerStatus", {"container_id": self.id, "verbose": True})
        return {"status": answer["status"], "info": json.loads(answer["info"].get("info", "{}"))}

    @property
    def state(self) -> str:
        """"created", "running", "exited" or "unknown"."""
        return self.inspect()["status"]["state"].removeprefix("CONTAINER_").lower()

    @property
    def spec(self) -> dict:
        """The OCI spec that the runtime made, adjustments included."""
        return self.inspect()["info"]["runtimeSpec"]

    @property
    def pid(self) -> int:
        """The first process, as the host sees it; 0 if it has ended."""
        return int(self.inspect()["info"].get("pid", 0))

    def wait(self, deadline: float = DEADLINE) -> int:
        """Wait for the end of the first process: its exit code."""
        status = self.inspect()
        if status["status"]["state"] == "CONTAINER_RUNNING" and status["info"].get("pid"):
            wait_pid(int(status["info"]["pid"]), deadline)
        wait_until(lambda: self.state == "exited", f"container {self.name} to be reaped", deadline)
        status = self.inspect()["status"]
        return status["exit_code"]

    def exec(self, *args: str, deadline: float = DEADLINE) -> Result:
        """ExecSync, the way probes run.  A command that ran and failed is a Result with
        its code; a refused exec raises CriError."""
        answer = self.c.cri(
            "RuntimeService/ExecSync",
            {"container_id": self.id, "cmd": list(args), "timeout": int(deadline)},
            deadline,
        )
        out, err = (base64.b64decode(answer[k]).decode(errors="replace") for k in ("stdout", "stderr"))
        return Result(answer["exit_code"], out, err)

    def _crictl(self, *args) -> list[str]:
        endpoint = f"unix://{self.c.sock}"
        config = self.c.dir / "crictl.yaml"
        config.write_text(f"runtime-endpoint: {endpoint}\nimage-endpoint: {endpoint}\ntimeout: {DEADLINE:.0f}\n")
        return list(map(str, [tools.program("crictl"), "--config", config, *args]))

    def exec_stream(self, *args: str, stdin: str = "", deadline: float = DEADLINE) -> Result:
        """Exec through the streaming server, the way "kubectl exec" runs."""
        p = subprocess.run(
            self._crictl("exec", "--interactive", self.id, *args),
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=deadline,
        )
        return _ended(p.returncode, p.stdout, p.stderr)

    def exec_tty(self, *args: str, until: str = "", deadline: float = DEADLINE) -> Result:
        """The same with a terminal; out and err are one.  Enter is typed once it has written
        @until: a busy CRI-O loses what a command writes to a terminal just before it ends."""
        master, slave = pty.openpty()
        cmd = self._crictl("exec", "--interactive", "--tty", self.id, *args)
        p = subprocess.Popen(
            cmd, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        out = b""
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            ended = p.poll() is not None  # before looking: what it wrote last is there then
            if select.select([master], [], [], 0 if ended else 0.1)[0]:
                try:
                    data = os.read(master, 65536)
                except OSError:
                    break
                if not data:
                    break
                out += data
                if until and until.encode() in out:
                    os.write(master, b"\n")
                    until = ""
            elif ended:
                break
        os.close(master)
        if p.poll() is None:
            try:
                p.wait(1)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
                raise Timeout(f"exec with a terminal: no end in {deadline:g} s:\n{out.decode(errors='replace')}")
        return _ended(p.returncode, out.decode(errors="replace").replace("\r\n", "\n"))

    def log(self, stream: str = "") -> str:
        """What it wrote, without the CRI's prefixes: "stdout", "stderr" or both."""
        out = []
        try:
            lines = (self.pod.logs / f"{self.name}.log").read_text(errors="replace").split("\n")
        except FileNotFoundError:
            return ""
        for line in lines:
            parts = line.split(" ", 3)
            if len(parts) == 4 and (not stream or parts[1] == stream):
                out.append(parts[3] + ("\n" if parts[2] == "F" else ""))
        return "".join(out)

    def stop(self, timeout: int = 0) -> None:
        request = {"container_id": self.id, "timeout": timeout}
        self.c.cri("RuntimeService/StopContainer", request, DEADLINE + timeout)

    def remove(self) -> None:
        self.c.cri("RuntimeService/RemoveContainer", {"container_id": self.id})
