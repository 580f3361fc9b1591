# SPDX-License-Identifier: Apache-2.0
"""kubefence node on a real CRI-O: what it configures is what the running CRI-O has and serves.

No pods but in the series for "all": what is installed is asked of CRI-O itself, over CRI for the handlers
that it serves, by "crio status config" for what it runs with, by "crio config" for what it would start with.
"""
import json
import random
import re
import signal
import time
import tomllib

import agent
import live
from lib import node as lib_node
from lib.cri import CriError, wait_until
from lib.crio import Crio
from lib.kubeapi import Api
from node_root import GUARD

DROPIN = "/etc/crio/crio.conf.d/90-kubefence.conf"
SITE = "/etc/crio/crio.conf.d/10-site.conf"
LATE = "/etc/crio/crio.conf.d/99-site.conf"
RUNTIMES = "crio.runtime.runtimes"
# Every key of a handler that is not about the program, none with its default.  What 1.34 does not know it ignores.
KEYS = """runtime_type = "oci"
runtime_root = "/run/mine"
runtime_config_path = ""
privileged_without_host_devices = true
allowed_annotations = [
  "io.containers.trace-syscall", # theirs
  'io.kubernetes.cri-o.ShmSize',
]
monitor_path = "@CONMON@"
monitor_cgroup = "pod"
monitor_env = ["PATH=/usr/bin:/bin", "A=b"]
monitor_exec_cgroup = ""
container_min_memory = "13MiB"
no_sync_log = true
stream_websockets = false
exec_cpu_affinity = "first"
seccomp_profile = "/etc/crio/strict.json"
container_create_timeout = 333
"""
ANNOTATIONS = '"a.example/b" = "c"\n"d" = "e \\"f\\""\n'


def served(c: Crio) -> list[str]:
    """The handlers that it lists on its CRI socket."""
    return sorted(h["name"] for h in c.cri("RuntimeService/Status")["runtime_handlers"] if h.get("name"))


class Node(live.Host):
    """A machine with CRI-O, and the questions that are asked of it."""

    def config(self) -> str:
        """Everything that CRI-O reads as its configuration, with the files' names."""
        return self.c.sh('mkdir -p /etc/crio/crio.conf.d; find /etc/crio/crio.conf /etc/crio/crio.conf.d -type f | LC_ALL=C sort | '
                         'while read -r f; do echo "$f"; cat "$f"; done').out

    def served(self) -> list[str]:
        return served(self.c)

    def running(self, handler: str = "nono-runc") -> dict:
        """The handler's table in the running CRI-O."""
        text = self.c.sh("crio status config 2>/dev/null").out
        return tomllib.loads(text[text.index("["):])["crio"]["runtime"]["runtimes"].get(handler, {})

    def put(self, path: str, text: str) -> None:
        self.c.put(path, text)

    def dropin(self) -> dict:
        return tomllib.loads(self.c.sh(f"cat {DROPIN}").out)["crio"]


def machine(line: str = "") -> Crio:
    c = Crio(line)
    c.handlers.pop("nono-runc")
    return c


def acts(said: dict) -> list[tuple[str, str]]:
    return [(e["action"], e["object"]) for e in said.get("events", [])]


def there_and_back(t, name: str, h: Node) -> None:
    before = h.config()
    t.ok("nono-runc" not in h.served(), f"{name}: the control: no handler of ours", h.served())
    code, said, err = h.node("install")
    if not t.ok(code == 0 and said["state"] == "done" and h.restarts == 1, f"{name}: installed", f"{said} {err}"):
        return
    t.ok({"runc", "nono-runc"} <= set(h.served()), f"{name}: CRI-O serves the handler", h.served())
    t.equal(h.running()["runtime_path"], GUARD, f"{name}: the running CRI-O has the guard behind it")
    t.ok("allowed_annotations" not in h.dropin()["runtime"]["runtimes"]["nono-runc"], f"{name}: allowed_annotations is not written")
    code, said, err = h.node("verify")
    t.ok(code == 0, f"{name}: verify agrees", f"{said} {err}")
    code, said, err = h.node("status")
    t.ok(code == 0 and said["state"] == "installed", f"{name}: status", f"{said} {err}")
    code, said, err = h.node("install")
    t.ok(said.get("state") == "nothing to do" and h.restarts == 1 and h.reloads == 0, f"{name}: nothing to do the second time", f"{said} {err}")
    lost(t, name, h)
    code, said, err = h.node("uninstall")
    t.ok(code == 0 and said["state"] == "done", f"{name}: uninstalled", f"{said} {err}")
    t.equal(h.config(), before, f"{name}: ... byte by byte")
    t.ok("nono-runc" not in h.served() and not h.c.host("/opt/kubefence").exists(), f"{name}: ... and nothing is left", h.served())


def lost(t, name: str, h: Node) -> None:
    """The guard is gone while CRI-O starts, which then drops the handler for good."""
    programs = f"{live.BIN}/kubefence node programs --host-root / --payload {h.c.dir}/payload"
    for how in ("programs", "install"):
        h.c.host(GUARD).unlink()
        h.c.restart()
        t.ok("nono-runc" not in h.served(), f"{name}: guard lost, '{how}': the control: CRI-O dropped the handler", h.served())
        start = time.monotonic()
        code, said, err = h.node("verify", "--timeout", "120")
        t.ok(code == 1 and "programs" in json.dumps(said), f"{name}: guard lost, '{how}': verify says so", said)
        restarts, reloads = h.restarts, h.reloads
        if how == "install":
            # The file alone does not help: somebody copied it back.
            h.c.install(h.c.dir / "payload/nono-runc", GUARD)
            code, said, err = h.node("verify")
            found = next((e["detail"] for e in said["events"] if e["object"].startswith("handlers ")), "")
            t.ok(code == 1 and 'its log: time="' in found and "no such file" in found and time.monotonic() - start < 60,
                 f"{name}: guard copied back: verify quotes a whole line of CRI-O's log, at once", f"{time.monotonic() - start:.1f} s {said}")
            code, said, err = h.node("install")
            t.ok(code == 0 and said["state"] == "done" and ("reload", "crio") in acts(said), f"{name}: ... install has it known, and says so", f"{said} {err}")
        else:
            r = h.c.sh(programs, check=False)
            t.equal((r.code, r.out), (0, f"installed {GUARD}\nreload crio\n"), f"{name}: guard lost: 'programs' brings it and has it known")
        t.ok("nono-runc" in h.served() and (h.restarts, h.reloads) == (restarts, reloads + 1),
             f"{name}: guard lost, '{how}': CRI-O serves the handler, without a restart", f"{h.served()} {h.restarts}")
        t.ok(h.node("install")[1].get("state") == "nothing to do", f"{name}: guard lost, '{how}': then nothing is to be done")


def settings_kept(t, name: str, h: Node, everything: bool) -> None:
    """All that the handler had it has afterwards: as a file says it, and as the running CRI-O does."""
    cases = [(what, of) for what in ("annotations in a table", "annotations inline") for of in ("nono-runc", "made")]
    conmon = h.running("runc")["monitor_path"]
    h.put("/etc/crio/strict.json", '{"defaultAction": "SCMP_ACT_ALLOW"}')
    tables = {
        "annotations in a table": KEYS + f"[{RUNTIMES}.@NAME@.default_annotations]\n" + ANNOTATIONS,
        "annotations inline": KEYS + "default_annotations = {" + ANNOTATIONS.strip().replace("\n", ", ") + "}\n",
    }
    for what, of in cases if everything else cases[::3]:
        table = tables[what]
        text = (f'[crio.runtime]\ndefault_runtime = "{of}"\n' if of == "made" else "") + (
            f'[{RUNTIMES}.{of}]\nruntime_path = "{h.c.runc}"\n' + table.replace("@NAME@", of).replace("@CONMON@", conmon))
        h.put(SITE, text)
        # Hidden, and read before: a table counts as a whole.
        h.put(SITE.replace("10-site", ".site"), f'[{RUNTIMES}.{of}]\nruntime_path = "/nowhere"\ncontainer_create_timeout = 7\n')
        h.c.restart()
        want = h.running(of)
        t.ok(want.get("runtime_path") == h.c.runc and want.get("container_min_memory") == "13MiB" and want["default_annotations"],
             f"{name}: {what}, {of}: the control: CRI-O takes it", want)
        code, said, err = h.node("install")
        if not t.ok(code == 0, f"{name}: {what}, {of}: installed", f"{said} {err}\n{h.c.log()[-1500:]}"):
            continue
        theirs = {**tomllib.loads(text)["crio"]["runtime"]["runtimes"][of], "runtime_path": GUARD}
        t.equal(h.dropin()["runtime"]["runtimes"]["nono-runc"], theirs, f"{name}: {what}, {of}: every key of the table is in ours")
        t.equal(h.running(), {**want, "runtime_path": GUARD}, f"{name}: {what}, {of}: the running CRI-O has all settings, and the guard")
        t.ok(h.node("install")[1].get("state") == "nothing to do", f"{name}: {what}, {of}: nothing to do the second time")
        h.node("uninstall")
        t.equal(h.running(of), want, f"{name}: {what}, {of}: as before after uninstalling")
    inherit = f'[{RUNTIMES}.nono-runc]\ninherit_default_runtime = true\nruntime_root = "/run/no"\ncontainer_create_timeout = 333\n'
    h.put(SITE, inherit)
    h.c.sh(f"rm {SITE.replace('10-site', '.site')}")
    h.c.restart()
    want = h.running()
    code, said, err = h.node("install")
    got = h.running()
    want.pop("inherit_default_runtime", None)
    got.pop("inherit_default_runtime", None)
    t.ok(want["runtime_path"] == h.c.runc and got == {**want, "runtime_path": GUARD},
         f"{name}: a handler that inherits the default runtime is what it was, with the guard", f"{want}\n{got}\n{err}")
    h.node("uninstall")
    h.c.sh(f"rm {SITE}")
    h.c.restart()


def built_in(t, name: str, h: Node) -> None:
    """What no file has, CRI-O has built in: the default runtime of a stock layout, with its table; Kata is left alone."""
    h.put(SITE, f'[crio.runtime]\ndefault_runtime = "crun"\n[{RUNTIMES}.kata]\nruntime_path = "/opt/kata/bin/containerd-shim-kata-v2"\nruntime_type = "vm"\n')
    h.c.restart()
    want = h.running("crun")
    t.ok(want["runtime_root"] == "/run/crun" and want["allowed_annotations"], f"{name}: the control: a built-in runtime", want)
    code, said, err = h.node("install", "--handler", "nono-runc", "--handler", "crun", "--handler", "kata")
    t.ok(code == 0 and any(e["object"] == "kata" and "is of type 'vm'" in e["detail"] for e in said["events"]), f"{name}: built in: installed", f"{said} {err}")
    ours = h.dropin()["runtime"]["runtimes"]
    t.equal(sorted(ours), ["crun", "nono-runc"], f"{name}: built in: Kata's handler is left alone")
    for handler, guard in (("nono-runc", GUARD), ("crun", f"{GUARD}.crun")):
        t.equal(h.running(handler), {**want, "runtime_path": guard}, f"{name}: built in: {handler} has all that crun had")
    runtime = h.c.host("/opt/kubefence/runtime").read_text()
    t.ok(f"runtime nono-runc {want['runtime_path']}\n" in runtime and f"runtime crun {want['runtime_path']}\n" in runtime,
         f"{name}: built in: the real program is recorded", runtime)
    h.node("uninstall")
    t.equal(h.running("crun"), want, f"{name}: built in: as before after uninstalling")
    h.c.sh(f"rm {SITE}")
    h.c.restart()


def order(t, name: str, h: Node, trees: int) -> None:
    """Which file counts is what CRI-O says: whatever the names, hidden and nested ones included."""
    rng = random.Random(20)
    letters = "aZ09.-+_~ é"
    bad, refusals = [], 0
    for tree in range(trees):
        low = tree % 2  # names that all come before ours
        names = {DROPIN}
        for _ in range(rng.randrange(1, 7)):
            parts = ["".join(rng.choices(letters, k=rng.randrange(1, 4))) for _ in range(rng.randrange(1, 3))]
            parts[0] = rng.choice(".+-08") + parts[0] if low else parts[0]
            path = "/etc/crio/crio.conf.d/" + "/".join(parts)
            if not any(p in (".", "..") for p in parts) and not any(o.startswith(f"{path}/") or path.startswith(f"{o}/") for o in names):
                names.add(path)
        for i, path in enumerate(sorted(names)):
            h.put(path, "" if path == DROPIN else f'[{RUNTIMES}.nono-runc]\nruntime_path = "{h.c.runc}"\ncontainer_create_timeout = {1000 + i}\n')
        read = [json.loads(f'"{p}"') for p in re.findall(r'drop-in file: (/etc/crio/crio.conf.d/.*)\"$', h.c.sh("crio config 2>&1 >/dev/null").out, re.MULTILINE)]
        later = read[read.index(DROPIN) + 1:]
        code, said, err = h.node("plan")
        diff = next((e["detail"] for e in said.get("events", []) if e["object"] == DROPIN), "")
        if sorted(read) != sorted(names):
            bad.append(f"CRI-O did not read {names}: {read}")
        elif later:
            refusals += 1
            if code != 1 or not any(repr(p)[1:-1] in err or p in err for p in later):
                bad.append(f"{read}: not refused for {later}: {code} {err}")
        elif len(names) > 1 and f"container_create_timeout = {1000 + sorted(names).index(read[-2])}\n" not in diff:
            bad.append(f"{read}: {diff or err}")
        h.c.sh("rm -r /etc/crio/crio.conf.d")
    t.ok(not bad, f"{name}: of {trees} directories the file that counts is the one that CRI-O takes", "\n".join(bad[:5]))
    t.ok(trees // 10 < refusals < trees * 9 // 10, f"{name}: ... some refused, because it comes after ours ({refusals})")


def refused(t, name: str, h: Node) -> None:
    """What another file would take back, and what goes past the guard: refused before anything is written."""
    guarded = f'[{RUNTIMES}.nono-runc]\nruntime_path = "{h.c.runc}"\nruntime_type = "oci"\n'
    cases = {
        "NRI off in a later file": (LATE, "[crio.nri]\nenable_nri = false\n", (LATE, "crio.nri.enable_nri", "remove that line")),
        "no connections in a later file": (LATE, "[crio.nri]\nnri_disable_connections = true\n", (LATE, "nri_disable_connections")),
        "the handler's table in a later file": (LATE, guarded, (LATE, "nono-runc", "rename the file")),
        "the same in a directory behind ours": (LATE.replace("99-site.conf", "site.d/x"), guarded, ("site.d/x", "rename the file")),
        "a program for a platform": (SITE, guarded + 'platform_runtime_paths = {"wasi/wasm32" = "/usr/bin/crun-wasm"}\n', (SITE, "platform_runtime_paths", "remove that key")),
        "the same in a table": (SITE, guarded + f'[{RUNTIMES}.nono-runc.platform_runtime_paths]\n"linux/arm64" = "/usr/bin/x"\n', (SITE, "platform_runtime_paths")),
        "the same of the default runtime": (SITE, guarded.replace("nono-runc", "runc") + 'platform_runtime_paths = {"wasi/wasm32" = "/x"}\n',
                                            (SITE, "platform_runtime_paths", "a table of its own")),
    }
    for what, (path, text, words) in cases.items():
        h.put(path, text)
        before, restarts = h.config(), h.restarts
        code, said, err = h.node("install")
        t.ok(code == 1 and all(w in err for w in words), f"{name}: {what}: refused with file and remedy", f"{said} {err}")
        t.ok(h.config() == before and h.restarts == restarts and not h.c.host("/opt/kubefence").exists(), f"{name}: {what}: nothing was touched")
        h.c.sh(f"rm {path}")
    earlier = "[crio.nri]\nenable_nri = false\nnri_disable_connections = true\n"
    h.put(SITE, earlier)
    code, said, err = h.node("install")
    t.ok(code == 0 and h.c.sh("test -S /run/nri/nri.sock", check=False).code == 0, f"{name}: the same in an earlier file is overruled", f"{said} {err}")
    h.put(LATE, "[crio.nri]\nenable_nri = false\n")
    code, said, err = h.node("verify")
    t.ok(code == 1 and LATE in json.dumps(said), f"{name}: a later file that comes afterwards: verify names it", said)
    h.c.sh(f"rm {LATE}")
    h.node("uninstall")
    h.c.sh(f"rm {SITE}")
    # Dropped by CRI-O for a reason of its own: told at once, with the reason, and rolled back.
    h.put(SITE, guarded + 'allowed_annotations = ["no.such/"]\n')
    before, start = h.config(), time.monotonic()
    code, said, err = h.node("install", "--timeout", "120")
    took = time.monotonic() - start
    t.ok(code == 1 and "does not list handler 'nono-runc'" in err and 'its log: time="' in err and "no.such/" in err and "no answer" not in err,
         f"{name}: a handler that CRI-O does not accept: its own line is quoted as a whole", err)
    t.ok(took < 60, f"{name}: ... at once", f"{took:.1f} s")
    t.ok(h.config() == before and "runc" in h.served(), f"{name}: ... and rolled back", h.served())
    h.c.sh(f"rm {SITE}")
    h.node("uninstall")


def temporaries(t, name: str, h: Node) -> None:
    """Nothing of ours lies in crio.conf.d but the drop-in; what a writer of before left there goes."""
    code, said, err = h.node("install", prefix=["strace", "-f", "-qq", "-o", h.c.dir / "strace", "-e", "trace=renameat", "-P", "90-kubefence.conf",
                                                "-e", "inject=renameat:signal=SIGKILL:when=1"])
    found = h.c.sh("find /etc/crio -name '*.tmp' -o -name '90-*'").out
    t.ok(code != 0 and re.fullmatch(r"(/etc/crio/crio.conf.d/90-kubefence.conf|/etc/crio/\.90-kubefence.conf.\d+.tmp)\n", found),
         f"{name}: killed at the rename: nothing half-written is in crio.conf.d", f"{code} {found}")
    code, said, err = h.node("install")
    t.ok(code == 0 and not h.c.sh("find /etc/crio -name '*.tmp'").out, f"{name}: ... and the next run sweeps", f"{said} {err}")
    left = DROPIN.replace("90-", ".90-") + ".4711.tmp"
    for what, command, then in (("installed", "install", {"nothing to do", "done"}), ("to be uninstalled", "uninstall", {"done"})):
        h.put(left, '[crio.runtime]\nhalf = "writ')
        t.ok(h.c.sh("crio config", check=False).code != 0, f"{name}: half a hidden file, {what}: the control: CRI-O reads it and refuses")
        code, said, err = h.node(command)
        t.ok(code == 0 and said["state"] in then and h.c.sh(f"test -e {left}", check=False).code != 0 and h.c.sh("crio config", check=False).code == 0,
             f"{name}: half a hidden file, {what}: swept", f"{said} {err}")
    broken = 'toml: line 3 (last key "crio.runtime.log_level"): expected value'
    h.put(SITE, "[crio.runtime]\n\nlog_level = =\n")
    code, said, err = h.node("install")
    t.ok(code == 1 and 'does not accept its configuration: time="' in err and SITE in err,
         f"{name}: a file of somebody else's that CRI-O does not take: its whole line is quoted", f"{err} {broken}")
    h.c.sh(f"rm {SITE}")


def agent_repairs(t, name: str, h: Node) -> None:
    """The agent, too, has a guard known again that came back by other hands while CRI-O had dropped its handler."""
    c = h.c
    with Api() as api:
        api.nodes[agent.NAME] = api.node(agent.NAME, handlers=["", "runc", "nono-runc"])
        api.account(c.host(agent.ACCOUNT))
        a, marks = agent.Agent(c, api, lib_node.Plugin(c).config, "crio"), agent.Marks(api)
        a.start()
        try:
            marks.wait("false", "PluginDisconnected", 60)
            t.ok("nono-runc" in h.served(), f"{name}: the agent sets the node up", h.served())
            a.process.send_signal(signal.SIGSTOP)
            c.host(GUARD).unlink()
            c.restart()
            c.install(c.dir / "payload/nono-runc", GUARD)
            reloads = h.reloads
            t.ok("nono-runc" not in h.served(), f"{name}: the control: CRI-O dropped the handler", h.served())
            a.process.send_signal(signal.SIGCONT)
            wait_until(lambda: "nono-runc" in h.served(), "the handler to be served again", 60)
            t.ok(h.reloads == reloads + 1, f"{name}: the agent has it known again, by one reload", h.reloads)
            marks.wait("false", "PluginDisconnected", 60)
            said = [x["reason"] for x in a.said() if x["msg"] == "changed-by-others"]
            t.ok(any("does not list handler 'nono-runc'" in x for x in said), f"{name}: ... and says why", said)
        finally:
            a.process.send_signal(signal.SIGCONT)
            a.stop()
    h.node("uninstall")


def handlers_served(c: Crio, _image: str, configured: bool) -> str:
    """For a killed run: CRI-O starts with what is there, and serves the handlers that its configuration names."""
    try:
        c.restart()
    except CriError as e:
        return str(e)
    names = served(c)
    return "" if "runc" in names and ("nono-runc" in names) == configured else f"serves {names}"


def on(t, line: str, everything: bool) -> None:
    name = f"CRI-O {line or '1.36'}"
    with machine(line) as c:
        h = Node(c)
        for case in (there_and_back, built_in, refused, temporaries, agent_repairs):
            t.case(f"{name} {case.__name__}", case, t, name, h)
        t.case(f"{name} settings_kept", settings_kept, t, name, h, everything)
        t.case(f"{name} order", order, t, name, h, 100 if everything else 6)


def run(t, tools, everything: bool) -> None:
    for line in ("", "1.34") if everything else ("",):
        t.case(f"CRI-O {line}", on, t, line, everything)
    for line in ("", "1.34") if everything else ():
        t.case(f"killed CRI-O {line}", live.killed, t, f"CRI-O {line or '1.36'}", machine(line), Node, handlers_served)
