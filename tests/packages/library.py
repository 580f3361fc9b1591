# SPDX-License-Identifier: Apache-2.0
"""libnri as a stranger gets it: what it exports, that programs build with it, and that old programs go on with it."""
import re
import signal
import subprocess
from pathlib import Path

from lib import installed
from lib.installed import ROOT
from lib.tap import Tap

import abi

HERE = Path(__file__).resolve().parent
# What a program of the past did not know; each loses its last member.
MESSAGES = ("Mount", "ContainerAdjustment", "PodSandbox", "Container", "ConfigureRequest")
STRUCTURES = ("nri_plugin_ops", "nri_plugin_options", "nri_runtime_options", "nri_features")


def output(*command) -> str:
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout


def exports(t: Tap, nri: installed.Library) -> None:
    declared = sorted(abi.functions((nri.include / "nri/nri.h").read_text()))
    dynamic = [x.split()[-1] for x in output("nm", "-gD", "--defined-only", nri.libdir / "libnri.so.1").splitlines()]
    t.equal(sorted(x.removesuffix("@@NRI_1") for x in dynamic if not x.startswith("NRI_")), declared,
            "libnri.so.1 exports the functions of nri.h, and nothing else")
    t.ok(all(x.endswith("@@NRI_1") or x == "NRI_1" for x in dynamic), "... under its version", dynamic)
    archive = re.findall(r" [A-Z] (\w+)$", output("nm", "-g", "--defined-only", nri.libdir / "libnri.a"), re.MULTILINE)
    t.equal(sorted(archive), declared, "libnri.a as well")
    needs = set(re.findall(r"NEEDED.*\[(\w+)", output("readelf", "-d", nri.libdir / "libnri.so.1")))
    t.equal(needs, {"libevent_core", "libprotobuf", "libc"}, "libnri.so.1 needs libevent's core, protobuf-c and libc")
    t.ok("[libnri.so.1]" in output("readelf", "-d", nri.libdir / "libnri.so.1"), "its soname is libnri.so.1")


def interface(t: Tap, nri: installed.Library) -> None:
    new, old = abi.interface(nri.include), abi.stored()
    t.equal(abi.broken(old, new), [], "programs built with an earlier header find what they rely on")
    t.equal([x for x in new if x not in old], [], "libnri.abi lists all of it (tests/packages/abi.py --update)")
    # The checker itself: a structure that grows in its middle, in its padding, and at its end.
    member = "member nri_runtime_options events 48 4 uint32_t events"
    was = [member, "member nri_error code 0 4 int code"]
    for change, wrong in (([member.replace("48", "52")], True), ([*was, "member nri_runtime_options x 52 4 int x"], True),
                          ([*was, "member nri_error x 516 4 int x"], True), ([*was, "member nri_runtime_options x 56 4 int x"], False)):
        t.ok(bool(abi.broken(was, change)) == wrong, f"control: {'found' if wrong else 'fine'}: {change[-1]}")


def programs(t: Tap, nri: installed.Library, tmp: Path) -> None:
    version = (ROOT / "VERSION").read_text().strip()
    t.equal(output("pkg-config", "--modversion", nri.libdir / "pkgconfig/libnri.pc").strip(), version, "libnri.pc has the version")
    example = next(nri.root.rglob("nri-hello.c"))
    hello = nri.compile(example, tmp / "hello")
    t.ok("libnri.so.1" in output("readelf", "-d", hello), "the installed example builds with pkg-config's flags, against the shared library")
    static = nri.compile(example, tmp / "hello-static", shared=False)
    t.ok("libnri" not in output("readelf", "-d", static), "... and against libnri.a")
    plus = nri.compile(HERE / "hello.cc", tmp / "plus", cc="c++", strict=("-std=c++17", "-Wall", "-Wextra", "-Werror"))
    t.equal(output(plus).strip(), version, "a C++ program builds and runs; header and library tell the same version")
    # A program with functions of our internal names, which would otherwise take each other's place.
    (tmp / "names.c").write_text('#include <nri/nri.h>\n#include <stdio.h>\nint kf_buf_add(void);\nint kf_buf_add(void) { return 7; }\n'
                                 'int nri_trunk_feed(void);\nint nri_trunk_feed(void) { return 8; }\n'
                                 'int main(void) { puts(nri_version()); return kf_buf_add() + nri_trunk_feed() != 15; }\n')
    for shared in (True, False):
        mine = nri.compile(tmp / "names.c", tmp / "names", shared=shared)
        t.equal(output(mine).strip(), version, f"a program may have our internal names, with {'libnri.so.1' if shared else 'libnri.a'}")


def age(nri: installed.Library, tmp: Path) -> Path:
    """An include directory as an earlier release would have had it, with nri.pb-c.c beside the headers."""
    old = tmp / "aged/nri"
    old.mkdir(parents=True)
    proto = (ROOT / "src/nri/nri.proto").read_text()
    for message in MESSAGES:
        proto, n = re.subn(rf"(^message {message} {{.*?)\n[^\n]*;[^\n;]*\n}}", r"\1\n}", proto, count=1, flags=re.MULTILINE | re.DOTALL)
        if not n:
            raise RuntimeError(f"nri.proto: message {message} not found")
    (old / "nri.proto").write_text(proto)
    subprocess.run(["protoc-c", f"--c_out={old}", f"--proto_path={old}", old / "nri.proto"], check=True)
    header = (nri.include / "nri/nri.h").read_text()
    for name in STRUCTURES:
        *_, (_, _, start, end) = abi.structures(header)[name]
        header = header[:start] + header[end:]
    (old / "nri.h").write_text(header)
    (old / "version.h").write_text((nri.include / "nri/version.h").read_text())
    return old.parent


def old_programs(t: Tap, nri: installed.Library, tmp: Path) -> None:
    include = age(nri, tmp)
    was, now = abi.interface(include), abi.interface(nri.include)
    t.equal(({x.split(" ")[1] for x in now if x not in was}, [x for x in was if x not in now]),
            ({*STRUCTURES, *(f"Nri__{m}" for m in MESSAGES)}, []), "the older headers lack the last member of nine structures")
    version = (ROOT / "VERSION").read_text().strip()
    old = nri.compile(HERE / "aged.c", tmp / "old", f"-I{include}", str(include / "nri/nri.pb-c.c"), first=True)
    p = subprocess.run([old], capture_output=True, text=True, timeout=120)
    t.equal((p.returncode, p.stdout), (0, f"{version} /somewhere\n"), "a program built with them goes on with this library")
    # What happens if the messages' generated code were the library's: it looks for members behind the program's structures.
    p = subprocess.run([nri.compile(HERE / "aged.c", tmp / "mixed", f"-I{include}", first=True)], capture_output=True, timeout=120)
    t.equal(p.returncode, -signal.SIGSEGV, "control: with the messages of this release it would read behind its own")


def run(t: Tap, tmp: Path) -> None:
    nri = installed.library(tmp / "nri")
    t.case("exports", exports, t, nri)
    t.case("interface", interface, t, nri)
    t.case("programs", programs, t, nri, tmp)
    t.case("old programs", old_programs, t, nri, tmp)
