# SPDX-License-Identifier: Apache-2.0
"""A real CRI-O for tests, used as Containerd is: pods, containers, exec, logs.

    with Crio(handlers={"nono-runc": node.GUARD}, prepare=node.install) as c:   # or Crio("1.34", ...)
        busybox = c.load(images.busybox())
        c.run(busybox, ["id"], handler="nono-runc").out
        c.restart()                                   # containers live on

Its paths are an administrator's (/etc/crio, /run/crio, /var/lib/containers), private to the instance.
CRI-O drops a handler whose program is missing when it starts: @prepare installs it.
It imports no archives; c.load() lets it pull from registry.py.
"""
import shutil
import subprocess
import sys
from pathlib import Path

from . import images, tools
from .cri import CriError, Timeout, wait_until
from .runtime import Runtime, die_with_parent, toml

REGISTRIES = """unqualified-search-registries = []
[[registry]]
prefix = "localhost"
location = "127.0.0.1:{port}"
insecure = true
"""


class Crio(Runtime):
    log_name = "crio.log"

    def __init__(self, line: str = "", *, handlers: dict[str, str] | None = None, runc: str | Path | None = None, network: bool = False,
                 runtime: dict | None = None, image: dict | None = None, nri: dict | None = None, prepare=None):
        """
        line      its release line: "1.34", or 1.36, the newest, if not given
        handlers  as a Containerd's; the keys of a dict are those of a runtime's table
        runc      the real runtime of "runc" and "nono-runc"; runc 1.5.2 if not given
        runtime, image, nri  more keys of [crio.runtime], [crio.image] and [crio.nri]; a value that is a dict is a table below
        network, prepare  see Runtime
        """
        super().__init__("/run/crio/crio.sock", network=network, standard_paths=True, cgroup1=True, prepare=prepare)
        self.line = line
        self.bin = tools.bindir("crio", line)
        self.runc = str(runc or tools.program("runc"))
        self.handlers = {"runc": self.runc, "nono-runc": self.runc, **(handlers or {})}
        self.runtime, self.image, self.nri = runtime or {}, image or {}, nri or {}
        self.config_path = "/etc/crio/crio.conf"
        (self.dir / "images").mkdir()

    def _mounts(self) -> str:
        data = f"{self.dir}/data"
        return (f"mkdir {data}/lib {data}/lib.work && "
                f"mount -t overlay -o lowerdir=/var/lib,upperdir={data}/lib,workdir={data}/lib.work lib /var/lib && "
                "mkdir -p /var/lib/containers /run/crio && mount -t tmpfs -o mode=755 containers /var/lib/containers && ")

    def configure(self) -> None:
        registry = self.spawn([sys.executable, Path(__file__).with_name("registry.py"), self.dir / "images"],
                              stdout=subprocess.PIPE, text=True)
        self.put("/etc/containers/registries.conf", REGISTRIES.format(port=registry.stdout.readline().strip()))
        self.put("/etc/containers/policy.json", '{"default": [{"type": "insecureAcceptAnything"}]}\n')
        tables = {
            "crio": {"storage_driver": "overlay", "log_dir": f"{self.dir}/logs/crio", "version_file": "/run/crio/version",
                     "version_file_persist": "/var/lib/crio/version", "clean_shutdown_file": "/var/lib/crio/clean.shutdown"},
            "crio.api": {"listen": self.address, "stream_address": "127.0.0.1", "stream_port": "0"},
            "crio.runtime": {"default_runtime": "runc", "cgroup_manager": "cgroupfs", "log_level": "info",
                             "pinns_path": str(self.bin / "pinns"), "disable_hostport_mapping": True,
                             "irqbalance_config_restore_file": "disable", **self.runtime},
            "crio.image": {"pause_image": images.PAUSE, "pause_command": "", **self.image},
            "crio.nri": {k: v for k, v in self.nri.items() if not isinstance(v, dict)},
            **{f"crio.nri.{k}": v for k, v in self.nri.items() if isinstance(v, dict)},
        }
        for name, value in self.handlers.items():
            keys = dict(value) if isinstance(value, dict) else {"runtime_path": str(value)}
            tables[f"crio.runtime.runtimes.{name}"] = {
                "runtime_type": "oci", "runtime_root": f"/run/{name}", "monitor_path": shutil.which("conmon") or "/usr/bin/conmon",
                "monitor_cgroup": "pod", **keys,
            }
        if self.network:
            tables["crio.network"] = {"plugin_dirs": [str(self.cni())], "network_dir": str(self.dir / "cni")}
        self.put(self.config_path, "".join(
            f"[{table}]\n" + "".join(f"{k} = {toml(v)}\n" for k, v in keys.items()) for table, keys in tables.items()))

    def start(self) -> None:
        with open(self.dir / self.log_name, "ab") as log:
            self.daemon = subprocess.Popen(self.inside([self.bin / "crio", "--config", self.config_path]), stdin=subprocess.DEVNULL,
                                           stdout=log, stderr=log, env=self.env, preexec_fn=die_with_parent)

        def answers() -> bool:
            if self.daemon.poll() is not None:
                raise CriError(f"CRI-O does not start:\n{self.log()[-4000:]}")
            try:
                return bool(self.cri("RuntimeService/Version", deadline=1))
            except (CriError, Timeout):
                return False

        wait_until(lambda: self.sock.exists() and answers(), "CRI-O to answer")

    def _remove_pods(self) -> None:
        # A pod's end waits a minute and a half for containers that ignore SIGTERM, as the first process of most does.
        try:
            for ctr in self.cri("RuntimeService/ListContainers")["containers"]:
                self.cri("RuntimeService/StopContainer", {"container_id": ctr["id"], "timeout": 0})
        except (CriError, Timeout):
            pass  # see below
        super()._remove_pods()

    def load(self, image: images.Image) -> str:
        shutil.copyfile(image.tar, self.dir / "images" / image.tar.name)
        self.cri("ImageService/PullImage", {"image": {"image": image.ref}})
        return image.ref
