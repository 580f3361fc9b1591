# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser: what people see of 5,000 containers and of hostile names, by day and by night, on three widths."""
import json
import shutil

from lib import hostile
from lib.browser import Browser
from lib.tap import Tap
from lib.wait import wait_until

from flood import free_port
from harness import ROOT, Node

SH = "arg=/bin/sh"
MANY = 5000
PICTURES = ROOT / "out/pictures/page"
READ = "Number(document.documentElement.dataset.read) >= 1"
NASTY = ["</script><script>document.title='owned'</script>", "<img/src=x/onerror=alert(1)>", "javascript:alert(1)", "{{7*7}}", "${7*7}", "&lt;b&gt;",
         "'\"><svg/onload=alert(1)>", "\\u003cscript\\u003e"]


def denial(n: int, **more) -> str:
    kind, what, where = (("file", "read", {"path": f"/home/agent/.ssh/id_{n}"}), ("network", "connect", {"port": 443}), ("syscall", "", {"syscall": "ptrace"}))[n % 3]
    return json.dumps({"time": f"2026-11-28T18:{n // 60 % 60:02}:{n % 60:02}.000Z", "namespace": f"team-{n % 7}", "pod": f"agent-{n}", "podUid": "u",
                       "container": "main", "containerId": "c", "profile": ("strict", "claude-code")[n % 2], "process": "cat", "exe": "/bin/cat", "pid": n,
                       "kind": kind, "what": what or "call", "blockers": "fs.read_file", **where, "rule": {"filesystem": {"grant": [{"path": "/x", "access": "r"}]}},
                       "count": 1 + n % 5, **more}) + "\n"


def fill(n: Node) -> None:
    """A node as it may be: many containers, a wrong profile, denials; and some names that want to be more than names."""
    n.denials_dir.mkdir(exist_ok=True)
    (n.denials_dir / "sandboxes").write_text("")
    strings = NASTY + [s for s in hostile.STRINGS.values() if not {"\n", "\r", " ", "\t"} & set(s) and len(s) < 1000]
    for i, s in enumerate(s for s in strings if "=" not in s and " " not in s):
        n.must(f"create id=h-{i} uid=h-{i} pod={s} ns=0-{s} name={s} {SH}")
    n.call(f"create id=x uid=x pod={NASTY[0]} ns=0 name=x annotation=nono.sh/profile:{NASTY[0]} {SH}")
    (n.denials_dir / "log").write_text("".join(denial(i) for i in range(1500)) +
                                       "".join(denial(i, pod=s, process=s, path=s, kind="file", syscall="", profile=s) for i, s in enumerate(strings)))


def page(t: Tap) -> None:
    port = free_port()
    url = f"http://localhost:{port}/"
    shutil.rmtree(PICTURES, ignore_errors=True)
    with Node() as n, Browser() as b:
        source = n.dir / "sources"
        source.mkdir()
        (source / "wrong.json").write_text('{"filesytem": {}}')
        n.configure(profiles_dir=str(source))
        p = n.start("--log-level", "warn", "--listen", f"127.0.0.1:{port}", sync=f"n={MANY} launcher={n.launcher.parent} {SH}")
        fill(n)
        wait_until(lambda: len(list(n.state.glob("uid-*"))) == MANY, "the state")
        for scheme in ("light", "dark"):
            for width in (390, 820, 1440):
                seen = b.look(url, width=width, scheme=scheme, until=READ, axe=True, picture=PICTURES / f"{scheme}-{width}.png", whole=True)
                t.ok(seen["rules"] > 20 and seen["violations"] == [], f"{scheme}, {width} wide: axe-core finds nothing ({seen['rules']} rules)", seen["violations"])
                t.equal(seen["overflow"], 0, "... the page is as wide as the screen")
                t.equal(seen["said"], [], "... and the browser has nothing to say: no error, nothing that the policy refused, nothing that ran")
                foreign = [a for a in seen["asked"] if not a.startswith((url, "data:,"))]
                t.equal(foreign, [], "... and nothing was asked of anybody else")
        rows = "[...document.querySelectorAll('#containers-rows tr')].length"
        seen = b.look(url, until=READ, value=f"""({{rows: {rows}, count: document.getElementById('containers-count').textContent,
            verdict: document.getElementById('verdict').textContent, rejected: document.getElementById('rejected-rows').textContent,
            title: document.title, tags: [...document.querySelectorAll('main *')].map(e => e.tagName.toLowerCase()).filter(n => ['script', 'img', 'svg', 'iframe', 'b', 'a'].includes(n)),
            text: document.body.innerText}})""")
        v = seen["value"]
        hostiles = len(list(n.state.glob("h-*")))
        t.equal((v["rows"], v["count"]), (100, f"1–100 of {MANY + hostiles}"), "of 5,000 containers 100 are shown at a time, and how many there are")
        t.ok(v["verdict"].startswith("√ ready") and "wrong" in v["rejected"] and "filesytem" in v["rejected"], "the verdict, and the rejected profile", v["verdict"])
        t.ok(v["tags"] == [] and "owned" not in v["title"], "no name has become an element", v["tags"])
        t.ok(hostile.raw(v["text"].replace("\t", " ").encode()) == "", "... and what nobody would see of it is written out", hostile.raw(v["text"].replace("\t", " ").encode()))
        shown = "\\u{202e}elif\\u{2066}\\u{2069}"
        t.ok(shown in v["text"] and NASTY[0] in v["text"] and "\\u{1b}[2J" in v["text"], "... as the text that it is", v["text"][:3000])
        seen = b.look(url, until=READ, steps=[{"click": "#containers-on"}, {"fill": "#containers-filter", "text": "pod-1 ns-1"},
                                              {"until": "document.getElementById('containers-count').textContent.includes('without the filter')"}],
                      value="document.getElementById('containers-count').textContent")
        t.equal(seen["value"], f"1–100 of {MANY} ({MANY + hostiles} without the filter)", "the filter finds words, and begins at the first page")
        seen = b.look(url, until=READ, steps=[{"select": "#denials-kind", "text": "network"}, {"fill": "#denials-filter", "text": "claude-code team-3"}],
                      value="[...document.querySelectorAll('#denials-rows tr')].map(r => [...r.children].map(c => c.textContent))")
        t.ok(seen["value"] and all(r[4] == "team-3" and r[7] == "claude-code" and r[1] == "connect port 443" for r in seen["value"]),
             f"denials by kind and words: {len(seen['value'])}", seen["value"][:3])
        steps = [{"click": "#containers-on"}] * (MANY // 100) + [{"until": "document.getElementById('containers-on').disabled"}]
        seen = b.look(url, until=READ, steps=steps, value="document.getElementById('containers-count').textContent")
        t.ok(seen["value"].endswith(f"–{MANY + hostiles} of {MANY + hostiles}"), "Next leads to the last one", seen["value"])
        n.must(f"create id=late uid=late pod=aaa-late ns=0 name=late {SH}")
        seen = b.look(url, until=READ, value="document.getElementById('containers-count').textContent",
                      steps=[{"fill": "#containers-filter", "text": "aaa-late"}, {"until": "document.getElementById('containers-rows').textContent.includes('aaa-late')"}])
        t.ok(seen["value"].startswith("1–1 of 1 "), "a container that has just come is found", seen["value"])
        p.kill()
        p.wait()
    with Node() as n, Browser() as b:
        p = n.start("--log-level", "warn", "--listen", f"127.0.0.1:{port}")
        n.must("close")
        seen = b.look(url, until=READ, axe=True, picture=PICTURES / "not-ready.png", value="document.getElementById('verdict').className")
        t.equal((seen["value"], seen["violations"]), ("bad", []), "a node that is not ready says so, for everybody")
        p.kill()
        p.wait()
    t.ok(len(list(PICTURES.glob("*.png"))) == 7, f"pictures of all of this are in {PICTURES.relative_to(ROOT)}")
