# SPDX-License-Identifier: Apache-2.0
"""libnri as "meson install" leaves it, and programs that are built with it as a stranger would.

    nri = installed.library(tmp / "nri")                       # installs libnri and its headers below there
    nri.compile(ROOT / "examples/nri-hello.c", tmp / "hello")  # by pkg-config, with the shared library
"""
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lib import build
from lib.build import ROOT

TARGETS = ("src/nri/libnri.so.1", "src/nri/libnri.a", "src/nri/libnri_messages.a")
STRICT = ("-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror")


@dataclass
class Library:
    root: Path     # what DESTDIR was
    libdir: Path   # where libnri.so lies
    include: Path  # where nri/nri.h lies

    def flags(self, *what: str) -> list[str]:
        """What pkg-config says: flags("--cflags"), flags("--libs")."""
        env = {**os.environ, "PKG_CONFIG_PATH": str(self.libdir / "pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": str(self.root)}
        return subprocess.run(["pkg-config", *what, "libnri"], env=env, check=True, capture_output=True, text=True).stdout.split()

    def compile(self, source: Path, program: Path, *more: str, shared: bool = True, first: bool = False, cc: str = "cc",
                strict: tuple[str, ...] = STRICT) -> Path:
        """@source as @program. With @shared it finds libnri.so.1 where it was installed; else it has libnri.a in it. With
        @first, @more comes before the flags of the library, so that other headers take the place of its own."""
        libs = ["-l:libnri.a" if x == "-lnri" and not shared else x for x in self.flags("--libs")]
        flags = [*more, *self.flags("--cflags")] if first else [*self.flags("--cflags"), *more]
        subprocess.run([cc, *strict, *flags, source, *libs, f"-Wl,-rpath,{self.libdir}", "-o", program], check=True)
        return program


def library(root: Path) -> Library:
    """Install libnri of out/tests below @root."""
    out = build.meson("tests", *TARGETS)
    subprocess.run(["meson", "install", "-C", out, "--no-rebuild", "--tags", "devel", "--destdir", root],
                   check=True, stdout=subprocess.DEVNULL)
    (found,) = root.rglob("libnri.pc")
    (header,) = root.rglob("nri.h")
    return Library(root, found.parents[1], header.parents[1])
