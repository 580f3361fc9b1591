# SPDX-License-Identifier: Apache-2.0
"""make install and make uninstall, into a directory; the manual pages; the unit."""
import os
import re
import subprocess
from pathlib import Path

from lib.build import ROOT
from lib.tap import Tap

PROGRAMS = ("kubefence", "nono", "nono-egress", "nono-nri", "nono-runc")
# Below the prefix, besides documentation and profiles; LIB is the directory of libraries.
WANTED = """
bin/kubefence bin/nono bin/nono-bwrap bin/nono-egress bin/nono-nri bin/nono-runc bin/kubectl-nono bin/kubectl_complete-nono
include/nri/nri.h include/nri/nri.pb-c.h include/nri/version.h
LIB/libnri.so.1 LIB/libnri.so LIB/libnri.a LIB/libnri_messages.a LIB/pkgconfig/libnri.pc
lib/systemd/system/nono-egress.service lib/systemd/system/nono-nri.service
share/bash-completion/completions/kubefence share/fish/vendor_completions.d/kubefence.fish share/zsh/site-functions/_kubefence
share/kubefence/10-nono-nri.toml
share/man/man1/kubefence.1 share/man/man1/kubectl-nono.1 share/man/man1/kubectl_complete-nono.1 share/man/man1/nono.1 share/man/man1/nono-bwrap.1 share/man/man3/libnri.3
share/man/man8/kubefence-doctor.8 share/man/man8/kubefence-kata.8 share/man/man8/kubefence-node.8
share/man/man8/nono-egress.8 share/man/man8/nono-nri.8 share/man/man8/nono-runc.8
share/doc/libnri/examples/nri-hello.c
share/doc/kubefence/LICENSE share/doc/kubefence/NEWS.md share/doc/kubefence/README.md share/doc/kubefence/SECURITY.md
"""


def make(*args: str) -> subprocess.CompletedProcess:
    return subprocess.run(["make", "-s", *args], cwd=ROOT, capture_output=True, text=True)


def files(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_symlink() or not p.is_dir())


def prefix_of(stage: Path) -> Path:
    (program,) = stage.rglob("bin/nono-nri")
    return program.parents[1]


def listing(t: Tap, prefix: Path) -> None:
    (pc,) = prefix.rglob("libnri.pc")
    wanted = WANTED.replace("LIB", str(pc.parents[1].relative_to(prefix))).split()
    there = files(prefix)
    t.equal([x for x in there if not x.startswith(("share/doc/kubefence/docs/", "share/doc/kubefence/examples/", "share/kubefence/profiles/"))],
            sorted(wanted), "make install: programs, pages, unit, completions, library, and nothing else")
    for folder, source, pattern in (("share/kubefence/profiles", "profiles", "*.json"), ("share/doc/kubefence/docs", "docs", "**/*"),
                                    ("share/doc/kubefence/examples/agents", "examples/agents", "*.yaml")):
        want = sorted(str(p.relative_to(ROOT / source)) for p in (ROOT / source).glob(pattern) if p.is_file() and p.name != "groups.json")
        t.equal(files(prefix / folder), want, f"... {source}, all of them")
    odd = [x for x in there if not (prefix / x).is_symlink()
           and (prefix / x).stat().st_mode & 0o7777 != (0o755 if x.startswith("bin/") or ".so" in x else 0o644)]
    t.equal(odd, [], "programs are executable, files are readable by everyone")
    links = ("bin/kubectl-nono", "bin/kubectl_complete-nono", "share/man/man1/kubectl-nono.1", "share/man/man1/kubectl_complete-nono.1")
    t.equal([os.readlink(prefix / x) for x in links], ["kubefence", "kubefence", "kubefence.1", "kubefence.1"],
            "kubectl-nono and what completes it are other names of kubefence, their page too")
    paths = [x for x in there if not x.startswith("bin/") and str(ROOT).encode() in (prefix / x).read_bytes()]
    t.equal(paths, [], "no file names the directory of the build")


def used(t: Tap, prefix: Path) -> None:
    version = (ROOT / "VERSION").read_text().strip()
    for program in PROGRAMS:
        # nono-runc's --version is the real runtime's.
        p = subprocess.run([prefix / "bin" / program, "--kubefence-version" if program == "nono-runc" else "--version"], capture_output=True, text=True)
        t.equal((p.returncode, p.stdout.split()), (0, [program, version]), f"the installed {program} runs")
    unit = (prefix / "lib/systemd/system/nono-nri.service").read_text()
    started = re.search(r"^ExecStart=(\S+)", unit, re.MULTILINE)[1]
    t.ok(str(prefix).endswith(started.removesuffix("/bin/nono-nri")), "the unit starts the installed plugin", unit)
    # The plugin judges the configuration: all that is wrong here is that nobody ran "kubefence node install".
    p = subprocess.run([prefix / "bin/nono-nri", "--config", prefix / "share/kubefence/10-nono-nri.toml", "--json=false"],
                       capture_output=True, text=True, timeout=60)
    wrong = [x for x in p.stderr.splitlines() if "configuration-error" in x]
    t.ok(p.returncode == 1 and len(wrong) == 1 and "/opt/nono-nri/nono" in wrong[0] if not os.path.exists("/opt/nono-nri/nono") else True,
         "the configuration that is installed is the plugin's, but for the launcher that node install brings", p)
    for profile in sorted((prefix / "share/kubefence/profiles").glob("*.json"))[:3]:
        p = subprocess.run([prefix / "bin/kubefence", "profile", "validate", profile], capture_output=True, text=True)
        t.ok(p.returncode == 0, f"the installed {profile.name} is a profile", p)


def pages(t: Tap, prefix: Path) -> None:
    version = (ROOT / "VERSION").read_text().strip()
    date = re.search(rf"^## {re.escape(version)} \((?:unreleased, )?(\d{{4}}-\d\d-\d\d)\)$", (ROOT / "NEWS.md").read_text(), re.MULTILINE)
    if not t.ok(date, "NEWS.md has a section of this version, with its date"):
        return
    for page in sorted(prefix.glob("share/man/man?/*.?")):
        text = page.read_text()
        name, section = page.name.rsplit(".", 1)
        head = re.search(r'^\.TH (\S+) (\d) "([\d-]+)" "(?:kubefence|libnri) ([\d.]+)"', text, re.MULTILINE)
        if page.is_symlink():
            continue
        t.equal(head and head.groups(), (name.upper(), section, date[1], version), f"{page.name} has its name, date and version")
        p = subprocess.run(["mandoc", "-T", "lint", page], capture_output=True, text=True)
        t.ok(p.returncode == 0, f"{page.name}: mandoc has nothing to say", p.stdout + p.stderr)
        missing = [f"{n}({s})" for n, s in re.findall(r"^\.BR ([a-z\\-]+) \((\d)\)", text, re.MULTILINE)
                   if n.replace("\\-", "-").startswith(("kubefence", "nono", "libnri"))
                   and not (prefix / f"share/man/man{s}" / f"{n}.{s}".replace("\\-", "-")).exists()]
        t.equal(missing, [], f"{page.name}: the pages that it names are there")


def installed(t: Tap, stage: Path) -> None:
    p = make("install", f"DESTDIR={stage}")
    if not t.ok(p.returncode == 0, "make install DESTDIR=", p.stdout + p.stderr):
        return
    prefix = prefix_of(stage)
    t.case("listing", listing, t, prefix)
    t.case("used", used, t, prefix)
    t.case("pages", pages, t, prefix)
    p = make("uninstall")
    t.ok(p.returncode == 0 and not (stage.exists() and files(stage)), "make uninstall leaves nothing", p)


def run(t: Tap, tmp: Path) -> None:
    # What somebody installed from this tree before is still to be uninstalled by "make uninstall".
    log = ROOT / "out/build/meson-logs/install-log.txt"
    before = log.read_bytes() if log.exists() else None
    try:
        installed(t, tmp / "a stage")
    finally:
        if before is not None:
            log.write_bytes(before)
