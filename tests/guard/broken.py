# SPDX-License-Identifier: Apache-2.0
"""A node in disorder: nothing starts, and what runs can still be stopped."""
import os
import shutil
from pathlib import Path

from lib_guard import summed
from parts import main


def starts_nothing(t, node, what):
    b = node.bundle(["sh", "-c", "echo RAN"]).write()
    r = node.run(b)
    t.ok(r.code == 1 and "RAN" not in r.out and r.err, f"{what}: run is refused", r)
    t.equal(b.read(), b.original, f"{what}: the bundle is untouched")
    return r


def untrusted_files(t, node):
    good = (node.dir / "opt/settings").read_text()
    created = node.id()
    node.call("create", "--bundle", node.bundle(["sleep", "3600"]).write().dir, created)
    running = node.start(node.bundle(["sleep", "3600"]).write())

    def check(what):
        starts_nothing(t, node, what)
        for code, verb in ((1, ("start", created)), (255, ("exec", running, "true"))):
            r = node.call(*verb)
            t.ok(r.code == code and "settings" in r.err, f"{what}: {verb[0]} is refused", r)

    p = node.dir / "opt/settings"
    p.unlink()
    check("no settings")
    node.write("settings", good.replace("exec sandbox", "exec deny "))
    check("settings with a wrong checksum")
    node.write("settings", summed("kubefence-settings 9\n"))
    check("settings of another version")
    node.write("settings", good).chmod(0o664)
    check("settings that a group may write")
    os.chown(node.write("settings", good), 1000, 0)
    check("settings of another owner")
    (node.dir / "opt/real").write_text(good)
    p.unlink()
    p.symlink_to("real")
    check("settings by a symlink")
    node.write("settings", good)
    (node.dir / "opt").chmod(0o777)
    check("settings in a directory that anybody may write")
    (node.dir / "opt").chmod(0o755)
    t.equal(node.call("start", created).code, 0, "the control: start works again")
    launcher = node.launcher
    launcher.chmod(0o777)
    starts_nothing_edited(t, node, "a launcher that anybody may write")
    launcher.chmod(0o755)
    launcher.rename(node.dir / "moved")
    starts_nothing_edited(t, node, "no launcher")
    launcher.symlink_to(node.dir / "moved")
    starts_nothing_edited(t, node, "a launcher by a symlink")
    node.runtimes(str(node.guard_path))
    r = starts_nothing(t, node, "a runtime file that names the guard")
    t.ok("itself" in r.err, "and the reason is said", r.err)
    node.write("runtime", "kubefence-runtime 1\nruntime nono-runc /bin/true\n")
    starts_nothing(t, node, "a runtime file without a checksum")
    (node.dir / "opt/runtime").unlink()
    starts_nothing(t, node, "no runtime file")


def starts_nothing_edited(t, node, what):
    r = node.run(node.bundle(["sh", "-c", "echo RAN"]).write())
    t.ok(r.code == 1 and "RAN" not in r.out and "launcher" in r.err, f"{what}: run is refused", r)


def stop_on_a_broken_node(t, node):
    ids = [node.start(node.bundle(["sleep", "3600"]).write()) for _ in range(2)]
    for f in ("settings", "runtime"):
        (node.dir / "opt" / f).unlink()
    shutil.rmtree(node.dir / "launcher")
    for cid in ids:
        t.ok('"running"' in node.call("state", cid).out, "state works")
        t.equal(node.call("kill", cid, "KILL").code, 0, "kill works")
        t.equal(node.delete(cid).code, 0, "delete works")
        t.ok(node.call("state", cid).code != 0, "and it is gone")


REFUSED = Path("/run/kubefence/refused")


def noted(cid: str) -> list[list[str]]:
    """What the guard has left about this container; others write there as well, and put a full file aside."""
    text = "".join(f.read_text(errors="replace") for f in (REFUSED / "log.1", REFUSED / "log") if f.exists())
    return [fields for line in text.splitlines() if len(fields := line.split("\t")) > 2 and fields[2] == cid]


def refusals_are_noted(t, node):
    """The guard is gone when it has refused: it leaves a note for whoever counts."""
    b = node.bundle(["sh", "-c", "sleep 1000"])
    b.config["annotations"]["nono.sh/profile"] = "no-such"
    b.write()
    cid = node.id()
    r = node.call("create", "--bundle", b.dir, cid)
    a = b.config["annotations"]
    names = [a.get(f"io.kubernetes.cri.sandbox-{k}", "") for k in ("namespace", "name", "uid")] + [a.get("io.kubernetes.cri.container-name", "")]
    note = noted(cid)
    t.ok(r.code == 1 and len(note) == 1, "control: a create is refused, and one note left", (r, note))
    t.equal((note[0][1], note[0][3:7]), ("create", names), "it says which command, and which container of which pod")
    t.ok("no-such" in note[0][8], "... and why", note)
    created = node.id()
    node.start(node.bundle(["sh", "-c", "sleep 1000"]).write(), cid=created)
    t.equal(noted(created), [], "what is let through leaves none")
    node.settings(exec_="deny")
    r = node.exec(created, "id")
    note = noted(created)
    t.ok(r.code == 255 and len(note) == 1 and note[0][1] == "exec" and note[0][7] == "default" and 'exec = "deny"' in note[0][8],
         "an exec that is refused leaves one", (r, note))
    node.settings()
    node.delete(created)
    modes = oct(REFUSED.stat().st_mode & 0o7777), oct((REFUSED / "log").stat().st_mode & 0o7777)
    t.equal(modes, ("0o700", "0o600"), "notes are root's alone")


def other_handlers(t, node):
    """One guard, several handlers: the name it is called by says which."""
    other = node.guard_path.parent / "nono-runc.my-handler"
    os.link(node.guard_path, other)
    text = f"kubefence-runtime 1\nruntime my-handler {node.runtime}\nruntime nono-runc /bin/false\n"
    node.write("runtime", summed(text))
    r = node.run(node.bundle(["echo", "RAN"]).write())
    t.ok(r.code == 1 and not r.out, "the control: nono-runc has /bin/false behind it", r)
    node.guard_path = other
    r = node.run(node.bundle(["echo", "RAN"]).write())
    t.ok(r.out == "RAN\n", "nono-runc.HANDLER finds its own runtime", r)
    node.guard_path = other.parent / "Other Name"
    os.link(other, node.guard_path)
    r = node.run(node.bundle(["echo", "RAN"]).write())
    t.ok(r.code == 1 and "handler" in r.err, "a name that is no handler's is refused", r)


main([untrusted_files, stop_on_a_broken_node, refusals_are_noted, other_handlers])
