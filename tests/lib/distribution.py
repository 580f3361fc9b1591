# SPDX-License-Identifier: Apache-2.0
"""A real registry (the Go module distribution) on this machine, without TLS: with Registry(tmp) as address.
registry.py beside it serves images that tests make, and keeps nothing."""
import socket
import subprocess
from pathlib import Path

from . import tools
from .wait import wait_until

CONFIG = """version: 0.1
storage: {filesystem: {rootdirectory: %s}}
http: {addr: "%s"}
"""


class Registry:
    def __init__(self, where: Path):
        self.where = where / "registry"
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.address = s.getsockname()

    def __enter__(self) -> str:
        self.where.mkdir()
        at = f"127.0.0.1:{self.address[1]}"
        (self.where / "config.yaml").write_text(CONFIG % (self.where / "store", at))
        with open(self.where / "log", "wb") as log:
            self.process = subprocess.Popen([tools.program("registry"), "serve", self.where / "config.yaml"], stdout=log, stderr=log)
        wait_until(lambda: socket.socket().connect_ex(self.address) == 0, "the registry to listen")
        return at

    def __exit__(self, *_) -> None:
        self.process.terminate()
        self.process.wait()
