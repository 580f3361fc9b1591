# SPDX-License-Identifier: Apache-2.0
"""Random owners: each edits a node's configuration between our commands, and loses nothing by us.

Two roots get the same edits; kubefence is installed, installed again, killed and uninstalled on one of them only.
After uninstalling, the real containerd makes the same of both, every remark of the owner's is there, and the files are
equal byte by byte where he only added and changed lines.  A failure prints the seed and the steps; KF_SEED=N repeats.
"""
import json
import os
import random
import re
import shutil
import tomllib

from lib import seed
from node_root import GUARD, NRI, NodeRoot, runtimes

CONFIG = "/etc/containerd/config.toml"
DROPIN = "/etc/containerd/conf.d/{}.toml"
CRI = {2: "io.containerd.grpc.v1.cri", 3: "io.containerd.cri.v1.runtime", 4: "io.containerd.cri.v1.runtime"}
CALLS = ("renameat", "unlinkat", "fsync")
# An install may be refused, if it says what to do.
REMEDY = re.compile(r"uninstall first, then install again|kubefence node uninstall")


class Owner:
    """His files, twice: @ours is the root that kubefence changes, @his the one that it never sees."""

    def __init__(self, rnd: random.Random, roots: tuple[NodeRoot, NodeRoot], version: int):
        self.rnd, self.version, self.n = rnd, version, 0
        self.imports = version >= 3 and rnd.random() < 0.5
        text = self.fresh()
        self.ours, self.his = roots
        for root in roots:
            for place in ("etc", "opt", "run"):
                shutil.rmtree(root.dir / place, ignore_errors=True)
            (root.dir / "run").mkdir()
            root.write(CONFIG, text)
            for i in range(1, 9):
                root.write(f"/usr/bin/his{i}", b"", 0o755)
        # Whether only lines were added and changed, since he last wrote all of the file, and in his drop-ins.
        self.steps, self.exact, self.exact_beside, self.remarks = [f"# {text!r}"], True, True, set()

    def remark(self) -> str:
        self.n += 1
        return f"# remark {self.n}"

    def fresh(self) -> str:
        """A whole configuration of his own."""
        r, cri = self.rnd, CRI[self.version]
        q = r.choice("'\"")
        head = f"version = {self.version}\n" + (f"imports = ['{DROPIN.format('*')}']\n" if self.imports else "")
        blocks = [f"[debug]\n  level = {q}{r.choice(('info', 'warn'))}{q}\n", f"[grpc]\n  gid = {r.randrange(9)}\n",
                  f"[timeouts]\n  {q}io.containerd.timeout.shim.load{q} = {q}{r.randrange(1, 9)}s{q}\n",
                  f"[plugins.{q}{cri}{q}.containerd]\n  default_runtime_name = 'runc'\n",
                  f"[plugins.{q}{cri}{q}.containerd.runtimes.runc]\n  runtime_type = 'io.containerd.runc.v2'\n"
                  f"  [plugins.{q}{cri}{q}.containerd.runtimes.runc.options]\n    SystemdCgroup = {r.choice(('true', 'false'))}\n",
                  f"[plugins.{q}{NRI}{q}]\n  disable = {r.choice(('true', 'false'))}\n",
                  f"[plugins.{q}{NRI}{q}]\n  disable = true # not needed here\n  plugin_request_timeout = '3s'\n"]
        nri = blocks[5:]
        blocks = [b for b in blocks[:5] if r.random() < 0.6] + ([r.choice(nri)] if r.random() < 0.6 else [])
        r.shuffle(blocks)
        return head + "".join(r.choice(("\n", "")) + b for b in blocks)

    # Each edit gets a root and a random generator of its own state, the same for both roots.
    def both(self, edit, exact: bool = True, **keys):
        seed = self.rnd.random()
        self.steps.append(f"{edit.__name__} {keys or ''}")
        self.exact, self.exact_beside = self.exact and exact, self.exact_beside and exact
        for root in (self.ours, self.his):
            edit(root, random.Random(seed), **keys)

    def files(self, root) -> list[str]:
        names = [CONFIG] + [str(p)[len(str(root.dir)):] for p in sorted(root.path("/etc/containerd").glob("conf.d/*.toml"))]
        return [n for n in names if "90-kubefence" not in n]

    def regenerate(self, root, rnd, text):
        root.write(CONFIG, text)

    def add_remark(self, root, rnd, text):
        now = root.read(CONFIG).decode()
        root.write(CONFIG, rnd.choice((f"{text}\n" + now, now + ("" if now.endswith("\n") else "\n") + f"{text}\n")))

    def set_value(self, root, rnd, text):
        """A new value where there is one, a new table behind everything where there is none."""
        now = root.read(CONFIG).decode()
        gid = rnd.randrange(10, 99)
        # In its table, or dotted from the top, with the remarks that he made there before.
        anew, there = re.subn(r"^( *grpc\.|\[grpc\]\n(?:(?!\[).*\n)*? *)gid = \d+( #.*)?$", rf"\g<1>gid = {gid}\g<2> {text}", now, count=1, flags=re.M)
        if there:
            now = anew
        elif "grpc" not in tomllib.loads(now):
            now += ("" if now.endswith("\n") else "\n") + f"[grpc]\n  gid = {gid} {text}\n"
        else:
            now = f"{text}\n" + now
        root.write(CONFIG, now)

    def add_handler(self, root, rnd, text, name, version):
        handler = {"runtime_type": "io.containerd.runc.v2", "options": {"BinaryName": f"/usr/bin/{name}"}}
        self.append(root, CONFIG, CRI[version], name, handler, text)

    def append(self, root, path, cri, name, handler, text=""):
        """A handler behind everything else, or where inline tables do not let that be, in the file written again."""
        now = root.read(path).decode()
        new = now + ("" if now.endswith("\n") else "\n") + (f"{text}\n" if text else "")
        new += write_toml({"plugins": {cri: {"containerd": {"runtimes": {name: handler}}}}}, "headers")
        if readable(now) and not readable(new):
            doc = tomllib.loads(now)
            doc["plugins"][cri]["containerd"]["runtimes"][name] = handler
            new = (f"{text}\n" if text else "") + write_toml(doc, "headers")
            self.exact, self.exact_beside, self.remarks = False, False, {text} - {""}
        root.write(path, new)

    def reorder(self, root, rnd):
        """Sections in another order; what stands before the first stays there."""
        parts = re.split(r"^(?=[ \t]*\[)", root.read(CONFIG).decode(), flags=re.M)
        parts = [p if p.endswith("\n") else p + "\n" for p in parts if p]
        keyed = sorted(parts[1:], key=lambda p: random.Random(f"{rnd.random()}").random())
        root.write(CONFIG, parts[0] + "".join(keyed))

    def dump(self, root, rnd):
        root.write(CONFIG, root.raw_dump())

    def rewrite(self, root, rnd, how):
        """By a program that reads TOML and writes it in a layout of its own."""
        root.write(CONFIG, write_toml(tomllib.loads(root.read(CONFIG).decode()), how))

    def move(self, root, rnd, table):
        """One of his tables moves to a drop-in."""
        doc = tomllib.loads(root.read(CONFIG).decode())
        if table in doc:
            version = f"version = {doc['version']}\n"
            root.write(DROPIN.format("50-site"), version + write_toml({table: doc.pop(table)}, "headers"))
            root.write(CONFIG, write_toml(doc, "headers"))

    # What he does to ours alone.
    def mine(self, edit, exact: bool = False):
        self.steps.append(edit.__name__)
        self.exact, self.exact_beside = self.exact and exact, self.exact_beside and exact
        edit()

    def our_file(self) -> str | None:
        for name in (DROPIN.format("90-kubefence"), CONFIG):
            if GUARD.encode() in (self.ours.read(name) or b""):
                return name
        return None

    def copy_ours(self):
        """Our tables under another name, in the same file or in a drop-in of his."""
        name = self.our_file()
        if name and not readable_fails(self.ours):
            doc = tomllib.loads(self.ours.read(name).decode())
            got = find_runtimes(doc)
            if got and "nono-runc" in got[1]:
                cri, all_ = got
                if "copied" not in all_:
                    self.append(self.ours, name, cri, "copied", all_["nono-runc"])

    def cut_ours(self):
        """A line of a table of ours goes."""
        name = self.our_file()
        if name:
            lines = self.ours.read(name).decode().splitlines(keepends=True)
            # Not one that is all of our handler: without that the file is all his.
            those = [i for i, l in enumerate(lines) if GUARD not in l and ("nono.sh/" in l or "plugin_path" in l or "plugin_config_path" in l)]
            if those:
                del lines[self.rnd.choice(those)]
                self.ours.write(name, "".join(lines))

    def double_ours(self):
        """Our tables once more, in a drop-in of his, or in the same file, which containerd then refuses."""
        name = self.our_file()
        if name == DROPIN.format("90-kubefence"):
            self.ours.write(DROPIN.format("60-copy"), self.ours.read(name))
        elif name and GUARD.encode() in self.ours.read(name):
            now = self.ours.read(name).decode()
            at = re.search(r"^\[[^\n]*nono-runc\]\n.*?(?=^[ \t]*\[(?![^\n]*nono-runc)|\Z)", now, re.M | re.S)
            if at:
                self.ours.write(name, now + "\n" + at.group(0))


def find_runtimes(doc: dict):
    for cri in (CRI[3], CRI[2]):
        got = doc.get("plugins", {}).get(cri, {}).get("containerd", {}).get("runtimes")
        if got:
            return cri, got
    return None


def readable(text: str) -> bool:
    try:
        tomllib.loads(text)
        return True
    except tomllib.TOMLDecodeError:
        return False


def key(k: str) -> str:
    return k if re.fullmatch(r"[A-Za-z0-9_-]+", k) else json.dumps(k)


def value(v) -> str:
    if isinstance(v, dict):
        return "{ " + ", ".join(f"{key(k)} = {value(x)}" for k, x in v.items()) + " }"
    if isinstance(v, list):
        return "[" + ", ".join(map(value, v)) + "]"
    return json.dumps(v)


def write_toml(doc: dict, how: str) -> str:
    """@how: "headers", a table for each; "dotted", one statement a line from the top; "inline", tables in braces."""
    lines = [f"{key(k)} = {value(v)}\n" for k, v in doc.items() if not isinstance(v, dict)]

    def walk(path: list[str], table: dict) -> None:
        plain = {k: v for k, v in table.items() if not isinstance(v, dict)}
        deep = {k: v for k, v in table.items() if isinstance(v, dict)}
        if how == "dotted":
            lines.extend(f"{'.'.join(map(key, path + [k]))} = {value(v)}\n" for k, v in plain.items())
        elif how == "inline" and len(path) >= 4:
            lines.append(f"{'.'.join(map(key, path))} = {value(table)}\n")
            return
        elif how == "inline":
            lines.extend(f"{'.'.join(map(key, path + [k]))} = {value(v)}\n" for k, v in plain.items())
        elif plain or not deep:
            lines.append(f"\n[{'.'.join(map(key, path))}]\n")
            lines.extend(f"{key(k)} = {value(v)}\n" for k, v in plain.items())
        for k, v in deep.items():
            walk(path + [k], v)

    for k, v in doc.items():
        if isinstance(v, dict):
            walk([k], v)
    return "".join(lines)


def effective(root) -> dict:
    d = root.dump()
    d.pop("imports", None)
    return d


def one(start: int, roots, version: int) -> list[str]:
    """What is wrong in the life of the node of @start, and its steps."""
    rnd = random.Random(start)
    o, bad = Owner(rnd, roots, version), []
    n = o.ours

    def command(what: str, must: bool = True) -> None:
        killed = rnd.random() < 0.25
        if killed:
            call, when = rnd.choice(CALLS), rnd.randrange(1, 12)
            o.steps.append(f"kill -9 in {what} at {call} {when}")
            n.node(what, prefix=["strace", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={when}"])
        code, said, err = n.node(what)
        o.steps.append(f"{what}: {code} {err.strip()}")
        if code and (must or not REMEDY.search(err)):
            bad.append(f"{what}: {err}")

    try:
        for i in range(rnd.randrange(2, 8)):
            pick = rnd.randrange(14) if i or rnd.random() < 0.3 else 0
            if readable_fails(n) and pick > 5:
                continue  # whoever sees that undoes it, or writes all of it anew
            current = int(tomllib.loads(o.his.read(CONFIG).decode())["version"])
            if pick < 3:
                command("install", must=False)
            elif pick == 3:
                command("uninstall")
            elif pick == 4:
                o.both(o.regenerate, text=o.fresh())
                o.exact, o.remarks = True, set()
            elif pick in (5, 6):
                text = o.remark()
                o.remarks.add(text)
                o.both(o.add_remark if pick == 5 else o.set_value, text=text)
            elif pick == 7:
                text = o.remark()
                o.remarks.add(text)
                o.both(o.add_handler, text=text, name=f"his{o.n}", version=current)
            elif pick == 8:
                o.both(o.reorder, exact=False)
            elif pick == 9:
                # What was his and what ours in a dump, only who saw the file before can know: the agent sees each change.
                if n.read(DROPIN.format("90-kubefence")):
                    command("install", must=False)
                o.both(o.dump, exact=False)
                o.remarks = set()
            elif pick == 10:
                o.both(o.rewrite, exact=False, how=rnd.choice(("headers", "dotted", "inline")))
                o.remarks = set()
            elif pick == 11 and o.imports:
                o.both(o.move, exact=False, table=rnd.choice(("debug", "grpc", "plugins")))
                o.remarks = set()
            elif pick == 12:
                o.mine(o.copy_ours)
            elif pick == 13:
                o.mine(rnd.choice((o.cut_ours, o.double_ours)))
        command("uninstall")
        if not bad:
            bad += judge(o)
    except Exception as e:  # noqa: BLE001 - a generator that fails shows its seed too
        bad.append(f"{type(e).__name__}: {e}")
    return [f"seed {start}: " + "\n".join(bad), *o.steps] if bad else []


def readable_fails(n) -> bool:
    try:
        n.dump()
        return False
    except RuntimeError:
        return True


def judge(o: Owner) -> list[str]:
    bad = []
    his, ours = effective(o.his), effective(o.ours)
    # 1.7 replaces its built-in table by the file's: who added a handler beside the runc that we spelled out keeps that.
    spelled = runtimes(ours).get("runc")
    kept = his["version"] == 2 and "runc" not in runtimes(his) and spelled and not spelled.get("options", {}).get("BinaryName")
    if kept:
        del runtimes(ours)["runc"]
    if his != ours:
        bad.append(f"the effective configurations differ: {difference(his, ours)}")
    if any(GUARD in json.dumps(h, default=str) for h in runtimes(ours).values()):
        bad.append("a handler leads to the guard still")
    texts = [{f: r.read(f) or b"" for f in o.files(r)} for r in (o.his, o.ours)]
    lost = [r for r in o.remarks if r.encode() not in b"".join(texts[1].values())]
    if lost:
        bad.append(f"lost: {lost}")
    for f in {*texts[0], *texts[1]}:
        was, now = (x.get(f, b"").decode() for x in texts)
        if (o.exact if f == CONFIG else o.exact_beside) and not kept and was != now:
            bad.append(f"{f}: not byte for byte:\n{was}\n-- but --\n{now}")
    if o.ours.path("/opt/kubefence").exists() or o.ours.path(DROPIN.format("90-kubefence")).exists():
        bad.append("something of ours is left on the node")
    return bad


def difference(a, b, path="") -> str:
    if isinstance(a, dict) and isinstance(b, dict):
        return "; ".join(filter(None, (difference(a.get(k), b.get(k), f"{path}.{k}") for k in sorted({*a, *b}))))
    return "" if a == b else f"{path}: {a!r} became {b!r}"


def written_anew(t, program, name: str, base: str, edit) -> None:
    """Install, what somebody does to the file, install again, uninstall: what is left is what he made, and takes effect."""
    with NodeRoot(program, config=base.encode()) as n, NodeRoot(program, config=base.encode()) as his:
        t.ok(n.node("install")[0] == 0, f"{name}: installed")
        edit(n)
        edit(his)
        code, said, err = n.node("install")
        t.ok(code == 0, f"{name}: installed again", err)
        h = runtimes(n.dump())["nono-runc"]
        t.ok(h["options"]["BinaryName"] == GUARD and n.dump()["plugins"][NRI]["disable"] is False, f"{name}: the guard and NRI are in force", h)
        code, said, err = n.node("uninstall")
        t.ok(code == 0 and said["state"] == "done" and not n.path("/opt/kubefence").exists(), f"{name}: uninstalled at once", said)
        t.equal(effective(n), effective(his), f"{name}: the effective configuration is what he would have had")
        if "dump" not in name:
            t.equal(n.read(CONFIG), his.read(CONFIG), f"{name}: the file is his, byte for byte")


def fixed(t, tools) -> None:
    new, old = tools.program("containerd", "2.4"), tools.program("containerd", "1.7")
    v3, v2, imports = "version = 3\n", "version = 2\n", "version = 3\nimports = ['/etc/containerd/conf.d/*.toml']\n"
    off = f"[plugins.'{NRI}']\n  disable = true\n"
    proxy = "\n[proxy_plugins.lazy]\n  type = 'snapshot'\n  address = '/run/lazy.sock'\n"

    def to(text: str):
        return lambda n: n.write(CONFIG, text)

    def dumped(n):
        n.write(CONFIG, n.raw_dump())

    def remarked(n):
        n.write(CONFIG, re.sub(rb"disable = (true|false)", b"disable = false # ours, for topology", n.read(CONFIG), count=1))

    written_anew(t, new, "written anew, a few lines", v3, to(v3 + "\n[debug]\n  level = ''\n"))
    written_anew(t, new, "written anew, new effects", v3, to(v3 + proxy))
    with NodeRoot(new, config=None) as n:
        whole = n.raw_dump()
    written_anew(t, new, "written anew, the whole default configuration", v3, to(whole))
    written_anew(t, new, "written anew with NRI on", v3 + off, to(v3 + off.replace("true", "false")))
    written_anew(t, new, "NRI switched on with a remark", v3 + off, remarked)
    # Nobody can read such a file, but uninstall repairs it, and finds containerd's state in it to see who uses the guard.
    with NodeRoot(new, config=(v3 + off).encode()) as n, NodeRoot(new, config=(v3 + off).encode()) as his:
        n.node("install")
        for root in (n, his):
            root.write(CONFIG, root.raw_dump() + f"\n[plugins.'{CRI[3]}'.containerd.runtimes.his]\n  runtime_type = 'io.containerd.runc.v2'\n")
        n.node("install")
        text = n.read(CONFIG).decode()
        n.write(CONFIG, text + "\n" + text[text.index(f"[plugins.'{CRI[3]}'.containerd.runtimes.nono-runc]"):])
        code, said, err = n.node("uninstall")
        t.ok("state = " in text and readable_fails(n) is False and code == 0 and said["state"] == "done", "ours twice behind a dump: uninstalled at once", said or err)
        t.equal(effective(n), effective(his), "ours twice behind a dump: the effective configuration is what he would have had")
    written_anew(t, new, "a dump in place", v3 + off, dumped)
    written_anew(t, new, "a dump beside our drop-in", imports + off, dumped)
    written_anew(t, old, "a dump in place, 1.7", v2 + off, dumped)


def run(t, tools, everything: bool) -> None:
    t.case("owners, fixed", fixed, t, tools)
    start = seed.choose()
    counts = {("2.4", 3): 1500 if everything else 12, ("2.4", 2): 400 if everything else 4, ("1.7", 2): 300 if everything else 3}
    for (line, version), count in counts.items():
        program = tools.program("containerd", line)
        # In memory: a life is some thirty durable writes.
        roots = tuple(NodeRoot(program, base="/dev/shm") for _ in range(2))
        print(f"# owners: containerd {line}, version {version}: {count} from seed {start}", flush=True)
        bad = []
        for i in range(1 if os.environ.get("KF_SEED") else count):
            found = one(start + i, roots, version)
            if found:
                bad.append("\n".join(found))
                if len(bad) == 5:
                    break
        for root in roots:
            root.__exit__()
        t.ok(not bad, f"owners of containerd {line} with version {version}: {count} lives, nothing of theirs is lost", "\n\n".join(bad))
