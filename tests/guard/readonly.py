# SPDX-License-Identifier: Apache-2.0
"""`fs readonly`, attacked from inside; the same attack under the same profile without those rules is the control."""
import os
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lib_guard import BIN, DEADLINE, PLACEHOLDERS as OURS, Bundle
from lib.wait import wait_until
from parts import main
from silent import Silent

BASE = ("fs rx-root", "fs r /proc", "fs rw /dev/null", "fs rwx $WORKDIR", "fs rwx ~")
KEPT = tuple(f"fs readonly {p}" for p in (
    "$WORKDIR/.git/hooks/", "$WORKDIR/.git/config", "$WORKDIR/a/b/c/", "$WORKDIR/settings/", "$WORKDIR/.mcp.json", "~/.bashrc"))
TREE = {"/work/.git/HEAD": b"ref\n", "/work/.git/config": b"mine\n", "/work/.git/hooks/old": b"mine\n", "/work/a/b/c/d": b"mine\n",
        "/work/src": b"x\n"}
# All that the attacks are after: what it is, whose, its mode and what it says.
STATE = """cd /work; for f in $(find .git/hooks .git/config a/b/c settings .mcp.json /home/user/.bashrc 2>/dev/null | sort); do
echo "$f $(stat -c '%F %a %u %Y' $f)"; [ -f $f ] && cat $f; done"""
ATTACKS = {
    "write": "echo x >.git/config",
    "append": "echo x >>a/b/c/d",
    "truncate": "truncate -s 1 .git/config",
    "copy over": "cp src .git/config",
    "a new file in a directory": "echo x >.git/hooks/pre-commit",
    "a new directory in one": "mkdir .git/hooks/d",
    "rename over a file": "echo x >n; mv -f n .git/config",
    "rename a file away": "mv .git/config c",
    "rename a directory away": "mv .git/hooks h",
    "rename what is in a directory": "mv .git/hooks/old h",
    "unlink": "rm -f .git/config",
    "remove a directory": "rm -rf .git/hooks",
    "link over a file": "echo x >n; ln -f n .git/config",
    "a symlink over a file": "ln -sf src .git/config",
    "write through a hard link": "ln .git/config l && echo x >l",
    "write through a symlink": "ln -s .git/hooks s; echo x >s/pre-commit",
    "write through /proc/self/fd": "exec 5<.git/config; echo x >/proc/self/fd/5",
    "write below /proc/self/fd": "exec 5<.git/hooks; echo x >/proc/self/fd/5/pre-commit",
    "write below /proc/self/cwd": "cd .git/hooks; echo x >/proc/self/cwd/pre-commit",
    "write by way of ..": "echo x >a/../.git/hooks/pre-commit",
    "mode": "chmod 777 .git/config",
    "owner": "chown 7 .git/config",
    "time": "touch -d @1 .git/config",
    "rename the parent": "mv .git g; mkdir -p .git/hooks; echo x >.git/hooks/pre-commit",
    "rename the parent's parent": "mv a z; mkdir -p a/b/c; echo x >a/b/c/d",
    "remove the parent": "rm -rf .git",
    "exchange the parent": "mkdir -p g/hooks; echo x >g/hooks/pre-commit; mv -T a z; mv -T .git a; mv -T g .git",
    "make a file that is not there": "echo x >.mcp.json",
    "make a directory that is not there": "mkdir settings; echo x >settings/tasks.json",
    "rename to what is not there": "mkdir d; mv -T d settings",
    "link to what is not there": "ln -s src .mcp.json",
    "remove what was not there, and make it": "rm -rf settings .mcp.json; mkdir -p settings; echo x >.mcp.json; echo x >settings/x",
    "make a start-up file": "echo x >/home/user/.bashrc",
    "rename to a start-up file": "echo x >/home/user/n; mv -f /home/user/n /home/user/.bashrc",
}


def profiles(node):
    node.profile("default", "fs rx-root", "fs r /proc", "fs rwx $WORKDIR")
    node.profile("kept", *BASE, *KEPT)
    node.profile("plain", *BASE)


def bundle(node, profile: str, args=("sleep", "3600"), image: dict | None = None, volumes: dict | None = None, **kw) -> Bundle:
    b = node.bundle(list(args), image, **kw)
    b.config["annotations"] = {"nono.sh/profile": profile}
    for destination, source in (volumes or {}).items():
        b.config["mounts"].append({"destination": destination, "type": "bind", "source": str(source), "options": ["rbind", "rw"]})
    return b.write()


def fill(work: Path, home: Path) -> None:
    for d in (work, home):
        for entry in d.iterdir():
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    for path, text in TREE.items():
        p = work / path.removeprefix("/work/")
        p.parent.mkdir(parents=True, exist_ok=True)
        p.write_bytes(text)


def volumes(node, n: str = "") -> dict[str, Path]:
    ret = {"/work": node.dir / f"volume{n}", "/home/user": node.dir / f"home{n}"}
    for d in ret.values():
        d.mkdir()
    fill(*ret.values())
    return ret


def names(*dirs: Path) -> list[str]:
    return sorted(str(p) for d in dirs for p in d.rglob("*"))


def attack(node, cid: str, script: str) -> tuple[str, str, str]:
    r = node.exec(cid, "sh", "-c", f"{STATE}; echo ----; ({script}) 2>&1; echo ----; {STATE}")
    before, said, after = r.out.split("----\n") if r.out.count("----\n") == 2 else ("", f"{r}", "-")
    return before, said, after


def attacked(t, node, where: str, kept: str, plain: str, reset) -> None:
    for what, script in ATTACKS.items():
        before, said, after = attack(node, kept, script)
        t.ok(before and before == after, f"{where}: {what}: nothing changes", f"{before}\n{said}\n{after}")
        reset()
        before, said, after = attack(node, plain, script)
        t.ok(before and before != after, f"{where}: {what}: the control changes it", f"{before}\n{said}")


def attacks_in_the_image(t, node):
    profiles(node)
    kept = node.start(bundle(node, "kept", image=TREE))
    b = bundle(node, "plain", image=TREE)
    plain = node.start(b)
    attacked(t, node, "image", kept, plain, lambda: fill(b.rootfs / "work", b.rootfs / "home/user"))
    works(t, node, kept)


def works(t, node, cid: str) -> None:
    r = node.exec(cid, "sh", "-c", "cat .git/config a/b/c/d && echo x >new && mkdir dir && mv new dir/n && echo y >.git/index && "
                  "mv .git/index .git/HEAD && echo z >a/b/e && rm dir/n a/b/e && rmdir dir && echo end")
    t.equal(r.out, "mine\nmine\nend\n", "what is kept can be read, and all beside it written")


def attacks_on_volumes(t, node):
    profiles(node)
    ours, control = volumes(node), volumes(node, "-control")
    kept, second = (node.start(bundle(node, "kept", volumes=ours)) for _ in range(2))
    plain = node.start(bundle(node, "plain", volumes=control))
    attacked(t, node, "volume", kept, plain, lambda: fill(*control.values()))
    works(t, node, kept)
    for what, script in ATTACKS.items():
        before = node.exec(kept, "sh", "-c", STATE).out
        attack(node, second, script)
        t.ok(before and node.exec(kept, "sh", "-c", STATE).out == before, f"a second container of the profile: {what}: nothing changes")


def mounting(t, node):
    """Only with the capability, which the sandbox makes useless."""
    profiles(node)
    b = bundle(node, "kept", image=TREE)
    for caps in b.config["process"]["capabilities"].values():
        caps.append("CAP_SYS_ADMIN")
    script = "mount -t tmpfs x /work/.git/hooks && ls /work/.git/hooks; umount /work/.git/hooks && umount /work/.git && echo x >/work/.git/hooks/x"
    b.config["process"]["args"] = ["sh", "-c", f"{STATE}; echo ----; {script}; echo ----; {STATE}"]
    r = node.run(b.write())
    parts = r.out.split("----\n")
    t.ok(len(parts) == 3 and parts[0] and parts[0] == parts[2], "mounting over and unmounting: nothing changes", f"{r}")
    control = bundle(node, "kept", ["sh", "-c", "mount -t tmpfs x /work/.git/hooks && ls /work/.git/hooks && echo mounted"], TREE)
    control.config["process"]["capabilities"] = b.config["process"]["capabilities"]
    t.equal(node.run(control.write(), bare=True).out, "mounted\n", "the control, without a sandbox, mounts")


def nothing_is_left(t, node):
    profiles(node)
    v = volumes(node)
    dirs = list(v.values())
    clean = names(*dirs)
    records = set(os.listdir(OURS)) if OURS.is_dir() else set()
    first, second = (node.start(bundle(node, "kept", volumes=v)) for _ in range(2))
    made = [p for p in names(*dirs) if p not in clean]
    t.equal(made, sorted(str(p) for p in (v["/work"] / "settings", v["/work"] / ".mcp.json", v["/home/user"] / ".bashrc")),
            "placeholders for what was not there")
    t.equal(len(set(os.listdir(OURS)) - records), 2 + (".lock" not in records), "and a record of each container")
    t.equal(node.delete(second).code, 0, "one of two containers is deleted")
    t.equal(names(*dirs), sorted(clean + made), "the placeholders stay for the other")
    for what in ("make a file that is not there", "remove what was not there, and make it", "rename the parent", "make a start-up file"):
        before, said, after = attack(node, first, ATTACKS[what])
        t.ok(before and before == after, f"and protect it: {what}", said)
    (v["/work"] / "settings/mine").write_text("of the node's user\n")
    t.equal(node.delete(first).code, 0, "the other is deleted")
    t.equal([p for p in names(*dirs) if p not in clean], [str(v["/work"] / "settings"), str(v["/work"] / "settings/mine")],
            "nothing of ours is left, and nothing of others' is taken")
    shutil.rmtree(v["/work"] / "settings")
    t.equal(set(os.listdir(OURS)) - records - {".lock"}, set(), "no record either")
    # Gone without delete, as when a node loses its power: the next container takes them over.
    gone = bundle(node, "kept", volumes=v)
    cid = node.start(gone)
    node.delete(cid, bare=True)
    t.equal([p for p in names(*dirs) if p not in clean], made, "without the guard's delete they stay")
    (v["/work"] / ".mcp.json").chmod(0o664)  # as the kubelet does where the pod has an fsGroup
    for p in OURS.iterdir():
        if p.name not in records and p.name != ".lock":
            p.unlink()
    cid = node.start(bundle(node, "kept", volumes=v))
    before, said, after = attack(node, cid, ATTACKS["make a file that is not there"])
    t.ok(before and before == after, "the next container is protected by them", said)
    node.delete(cid)
    t.equal(names(*dirs), clean, "and takes them away with it")
    # The record is left, the container and its bundle are gone: as if the runtime had failed to create it.
    gone = bundle(node, "kept", volumes=v)
    cid = node.start(gone)
    node.delete(cid, bare=True)
    shutil.rmtree(gone.dir)
    node.delete(node.start(bundle(node, "kept", image=TREE)))
    t.equal(names(*dirs), clean, "what a container left whose bundle is gone goes with the next creation on the node")


def at_the_same_time(t, node):
    """Containers come and go over the same volumes, in whatever order: their placeholders are there as long as one of them is."""
    profiles(node)
    all_ = [volumes(node, f"-{i}") for i in range(3)]
    clean = names(*(d for v in all_ for d in v.values()))
    # Each one's two volumes are of two others as well.
    bundles = [bundle(node, "kept", volumes={"/work": all_[i % 3]["/work"], "/home/user": all_[i // 3 % 3]["/home/user"]}) for i in range(18)]
    ids, lacking = [node.id() for _ in bundles], []

    def live(i: int) -> None:
        node.start(bundles[i], cid=ids[i])
        for m in bundles[i].config["mounts"][-2:]:
            lacking.extend(str(p) for p in (Path(m["source"]) / n for n in {"/work": (".mcp.json", "settings")}.get(m["destination"], (".bashrc",))) if not p.exists())
        node.delete(ids[i])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(live, range(len(bundles))))
    t.equal(lacking, [], "each container has its placeholders while it lives")
    t.equal(names(*(d for v in all_ for d in v.values())), clean, "and with the last one they are gone")


def volumes_that_do_not_answer(t, node):
    """A pod's owner can mount a volume whose server stops; the node's other containers must not wait with that pod."""
    profiles(node)
    v, other, gone = volumes(node), volumes(node, "-other"), volumes(node, "-gone")
    clean = names(*v.values(), *other.values())
    before, last = node.start(bundle(node, "kept", volumes=v)), node.start(bundle(node, "kept", volumes=gone))
    stale = bundle(node, "kept", volumes=other)
    node.delete(node.start(stale), bare=True)
    shutil.rmtree(stale.dir)
    (node.dir / "silent").mkdir()
    silent, over = Silent(node.dir / "silent"), None
    stuck = subprocess.Popen(node.command("create", "--bundle", bundle(node, "kept", volumes={"/work": silent.at}).dir, node.id()),
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        t.ok(silent.asked.wait(DEADLINE), "a container is created on a volume that does not answer")
        cid = node.start(bundle(node, "kept", volumes=other))
        t.ok(stuck.poll() is None, "meanwhile another one is created, the first one waits", stuck.poll())
        t.equal((node.delete(cid).code, node.delete(before).code), (0, 0), "and containers are deleted")
        t.equal(names(*v.values(), *other.values()), clean, "with their placeholders, and those that a lost container has left")
        # One that is there already, and its volume stops.
        on_disk, over = gone["/work"].stat().st_dev, Silent(gone["/work"])
        for r in OURS.iterdir():  # as if the placeholders had been made there
            if r.name != ".lock" and str(gone["/work"]) in r.read_text():
                r.write_text(r.read_text().replace(f"\n{on_disk} ", f"\n{gone['/work'].stat().st_dev} "))
        t.equal(node.delete(last).code, 0, "a container is deleted whose volume does not answer any more")
        t.ok(over.asked.is_set(), "... which was asked")
        cid = node.start(bundle(node, "kept", volumes=v))
        t.equal((node.delete(cid).code, names(*v.values())), (0, [p for p in clean if str(v["/work"]) + "/" in p or str(v["/home/user"]) + "/" in p]),
                "and others go on")
    finally:
        silent.close()
        if over:
            over.close()
        stuck.wait(DEADLINE)
    wait_until(lambda: subprocess.run(["pgrep", "-f", str(node.guard_path)], stdout=subprocess.DEVNULL, check=False).returncode == 1, "the end of what waited")
    t.ok(True, "nothing of the guard's stays when the volumes are gone")


def where_nothing_is_made(t, node):
    profiles(node)
    v = volumes(node)
    shutil.rmtree(v["/work"])
    v["/work"].mkdir()
    cid = node.start(bundle(node, "kept", volumes=v))
    t.equal(os.listdir(v["/work"]), [], "an empty working directory stays empty, for a project to be cloned into it")
    t.equal(node.exec(cid, "sh", "-c", "mkdir .git && echo x >.git/config && cat .git/config").out, "x\n", "and is the workload's own")
    node.delete(cid)
    fill(*v.values())
    shutil.rmtree(v["/work"] / ".git")
    cid = node.start(bundle(node, "kept", volumes=v))
    t.ok(not (v["/work"] / ".git").exists(), "nothing is made where the directory is not there either")
    node.delete(cid)
    b = bundle(node, "kept", volumes=v)
    b.config["mounts"][-2]["options"] = ["rbind", "ro"]
    before = names(v["/work"])
    cid = node.start(b.write())
    t.equal(names(v["/work"]), before, "nothing is made on a volume that the pod mounts read-only")
    t.equal(attack(node, cid, ATTACKS["append"])[1].count("Read-only"), 1, "which stays as it is")
    node.delete(cid)
    b = bundle(node, "kept", volumes=v)
    b.config["mounts"].insert(1, {"destination": "/home", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]})
    b.config["mounts"].insert(2, {"destination": "/home/user", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]})
    b.config["mounts"].pop()
    cid = node.start(b.write())
    before, said, after = attack(node, cid, ATTACKS["make a start-up file"])
    t.ok(".bashrc regular empty file" in before and before == after, "in a tmpfs that the runtime makes it is made as well", f"{before}{said}")


def symlinks(t, node):
    profiles(node)

    def create(image, **kw):
        return node.run(bundle(node, "kept", ["sh", "-c", f"{STATE}; echo ----; echo x >/work/real; echo x >.mcp.json; ln -sf src .mcp.json; {STATE}"],
                               {**TREE, **image}, **kw))

    r = create({"/work/real": b"mine\n", "/work/.mcp.json": Path("real")})
    before, _, after = r.out.partition("----\n")
    t.ok(before and before == after and ".mcp.json regular file" in before, "a symlink to a file: both are kept", r)
    for what, image, why in (
            ("a symlink to a directory", {"/work/x/y": b"", "/work/settings": Path("x")}, "is a symlink to a directory"),
            ("one on the way", {"/work/x/hooks": None, "/work/.git": Path("x")}, "a symlink is on the way"),
            ("one that leads nowhere", {"/work/.mcp.json": Path("nowhere")}, "is a symlink to nothing"),
            # crun does not pass on what hooks say.
            ("one that leads into /proc", {"/work/.mcp.json": Path("/proc/version")}, "" if node.is_crun else "is a symlink to '/proc/version'"),
            ("one that leads nowhere in the image", {"/work/.mcp.json": Path("/nowhere")}, "" if node.is_crun else "leads nowhere")):
        if "/work/.git" in image:
            image = {**image, "/work/.git/HEAD": None}
        tree = {k: v for k, v in TREE.items() if not (k.startswith("/work/.git/") and "/work/.git" in image)}
        image.pop("/work/.git/HEAD", None)
        r = node.run(bundle(node, "kept", ["echo", "RAN"], {**tree, **image}))
        t.ok(r.code and "RAN" not in r.out and why in r.err, f"{what}: refused with the reason", r)
    # The image's own symlink at the top, as some have for /home, is nobody's to change.
    b = bundle(node, "kept", ["sh", "-c", "echo x >/home/user/.bashrc; cat /home/user/.bashrc; cat /var/home/user/.bashrc"])
    (b.rootfs / "var").mkdir()
    (b.rootfs / "home").rename(b.rootfs / "var/home")
    (b.rootfs / "home").symlink_to("var/home")
    r = node.run(b)
    t.ok("Read-only" in r.err and "x" not in r.out, "/home is a symlink of the image: kept", r)


def a_neighbour_that_swaps(t, node):
    """The directory on the way becomes a symlink to the host's root, again and again, while containers are created."""
    profiles(node)
    v = volumes(node)
    work, other = v["/work"], node.dir / "volume/.git2"
    other.symlink_to("/")
    (node.dir / "witness").write_text("host\n")
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            os.rename(work / ".git", work / "x")
            os.rename(work / ".git2", work / ".git")
            os.rename(work / ".git", work / ".git2")
            os.rename(work / "x", work / ".git")

    thread = threading.Thread(target=swap)
    thread.start()
    ran = host = 0
    try:
        for _ in range(20):
            r = node.run(bundle(node, "kept", ["sh", "-c", f"echo ran; find /work -xdev -name witness; cat /work/.git{node.dir}/witness"], volumes=v))
            ran += "ran" in r.out
            host += "host" in r.out or "witness" in r.out
    finally:
        stop.set()
        thread.join()
    t.equal(host, 0, f"no container sees a file of the host ({ran} of 20 ran)")


def other_users(t, node):
    profiles(node)
    for what, uid, userns in (("a user without root", 1000, False), ("a user namespace", 0, True)):
        v = volumes(node, f"-{uid}")
        for d in v.values():
            subprocess.run(["chown", "-R", "1000:1000" if not userns else "100000:100000", d], check=True)
        b = bundle(node, "kept", ["sh", "-c", f"{STATE}; echo ----; cd /work; echo x >free && " + "; ".join(
            f"({a}) 2>/dev/null" for a in list(ATTACKS.values())) + f"; {STATE}"], volumes=v, user={"uid": uid, "gid": uid})
        if userns:
            b.config["linux"]["namespaces"].append({"type": "user"})
            b.config["linux"]["uidMappings"] = b.config["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
            subprocess.run(["chown", "-R", "100000:100000", b.rootfs], check=True)
        r = node.run(b.write())
        before, _, after = r.out.partition("----\n")
        t.ok(before and before == after and (v["/work"] / "free").exists(), f"{what}: nothing changes, beside it files are made", r)


def shared_propagation(t, node):
    profiles(node)
    v = volumes(node)
    b = bundle(node, "kept", ["echo", "RAN"], volumes=v)
    for m in b.config["mounts"][-2:]:
        m["options"] = ["rbind", "rw", "rshared"]
    r = node.run(b.write())
    t.ok(r.code == 1 and "Bidirectional" in r.err and "RAN" not in r.out, "a volume whose mounts the node shares: refused", r)
    b.config["annotations"] = {"nono.sh/profile": "plain"}
    r = node.run(b.write())
    t.equal(r.out, "RAN\n", "the control, without such rules, runs")


def pins_are_no_volumes(t, node):
    """The directories that are held in place are mounts; 'fs volumes' must not take them for the pod's."""
    node.profile("default", "fs rx-root")
    rules = ("fs rx-root", "fs r /proc", "fs rw /dev/null", "fs rx ~", "fs volumes")
    node.profile("pinned", *rules, "fs readonly ~/proj/.git/hooks/", "fs readonly $WORKDIR/.git/config")
    node.profile("granted", *rules, "fs rwx ~/proj", "fs readonly ~/proj/.git/hooks/")
    image = {"/home/user/proj/.git/hooks/old": b"mine\n"}
    script = ("for d in /home/user/proj /home/user/proj/.git /home/user/proj/.git/hooks /work /work/.git /work/.git/config; do "
              "if [ -d $d ]; then echo x >$d/new; else echo x >$d; fi 2>/dev/null && echo $d; done; cat /home/user/proj/.git/hooks/old /work/.git/config")
    work = volumes(node)["/work"]
    for profile, want in (("pinned", "/work\n/work/.git\nmine\nmine\n"),
                          ("granted", "/home/user/proj\n/home/user/proj/.git\n/work\n/work/.git\n/work/.git/config\nmine\nx\n")):
        r = node.run(bundle(node, profile, ["sh", "-c", script], image, {"/work": work}))
        t.equal(r.out, want, f"{profile}: what the pod mounts can be written, and what is granted, and no more")


def without_the_guard(t, node):
    """The launcher alone grants around what is there: siblings can be written, new names beside it not be made."""
    node.profile("kept", "fs rx-root", "fs r /proc", "fs rw /dev", "fs rwx $WORKDIR", "fs readonly $WORKDIR/.git/hooks/", "fs readonly $WORKDIR/src")
    node.profile("plain", "fs rx-root", "fs r /proc", "fs rw /dev", "fs rwx $WORKDIR")
    script = ("for f in .git/hooks/old .git/hooks/new .git/config src a/b/c/d a/new; do (echo x >$f) 2>/dev/null && echo $f; done; "
              "mv .git g 2>/dev/null && echo mv; cat .git/hooks/old")
    for profile, want in (("kept", ".git/config\na/b/c/d\na/new\nmine\n"),
                          ("plain", ".git/hooks/old\n.git/hooks/new\n.git/config\nsrc\na/b/c/d\na/new\nmv\n")):
        work = volumes(node, f"-{profile}")["/work"]
        r = subprocess.run([node.launcher, "wrap", "--profile", profile, "--", "sh", "-c", script], cwd=work, capture_output=True, text=True,
                           env={"PATH": "/bin:/usr/bin", "HOME": "/nowhere"}, check=False)
        t.equal(r.stdout, want, f"nono wrap, {profile}: what can be written")
        r = subprocess.run([node.launcher, "why", "--profile", profile, "--path", work / ".git/hooks/new", "--op", "write"], cwd=work,
                           capture_output=True, text=True, env={"HOME": "/nowhere"}, check=False)
        t.ok(("fs readonly $WORKDIR/.git/hooks (policy line" in r.stdout) == (profile == "kept") == (r.returncode != 0), f"nono why, {profile}: says so", r)


def agents(t, node):
    """The built-in profile: a hook that it plants does not run for whoever commits on the node."""
    text = subprocess.run([BIN / "kubefence", "profile", "compile", "claude-code"], capture_output=True, text=True, check=True).stdout
    rules = text.splitlines()[2:-1]
    node.profile("default", "fs rx-root", "fs r /proc")
    node.profile("claude-code", *rules)
    node.profile("before", *(r for r in rules if not r.startswith("fs readonly")))
    git = ["git", "-c", "user.name=n", "-c", "user.email=e", "-c", "safe.directory=*"]
    hook = "echo '#!/bin/sh\necho planted >>{out}' >{dir}/pre-commit; chmod 755 {dir}/pre-commit; "
    ways = {"a hook": hook.format(dir=".git/hooks", out="{out}"),
            "another directory of git's": "cp -r .git /work/evil; " + hook.format(dir="evil/hooks", out="{out}") + "echo ../evil >.git/commondir; "}
    rest = ("mkdir -p .vscode .claude; echo x >.mcp.json; echo x >.vscode/tasks.json; echo x >.claude/settings.json; "
            "echo x >/home/user/.bashrc; echo work >made; echo state >/home/user/.claude.json; mkdir /home/user/.claude && echo end")
    for n, (profile, way) in enumerate((p, w) for p in ("before", "claude-code") for w in ways):
        v = volumes(node, f"-{n}")
        work, out = v["/work"], node.dir / f"out-{n}"
        shutil.rmtree(work / ".git")
        subprocess.run([*git, "init", "-q", work], check=True, stdout=subprocess.DEVNULL)
        clean = set(names(*v.values()))
        cid = node.start(bundle(node, profile, volumes=v))
        subprocess.run([*git, "-C", work, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
        status = subprocess.run([*git, "-C", work, "status", "--short"], capture_output=True, text=True, check=True)
        t.equal((sorted(status.stdout.splitlines()), status.stderr), (["?? a/", "?? src"], ""), f"{profile}: git works and shows no placeholder")
        r = node.exec(cid, "sh", "-c", f"cd /work; {ways[way].format(out=out)}{rest}")
        t.equal(r.out, "end\n", f"{profile}, {way}: it works in the project and keeps its state")
        node.delete(cid)
        subprocess.run([*git, "-C", work, "add", "made"], check=True)
        subprocess.run([*git, "-C", work, "commit", "-qm", "x"], check=True)
        left = [p for p in sorted(set(names(*v.values())) - clean) if "/evil" not in p and "/made" not in p
                and (".git/" not in p or "/hooks/" in p or "commondir" in p)]
        if profile == "before":
            t.ok(out.exists() and len(left) > 5, f"the control, {way}: it runs as root on the node, the other files are there", left)
        else:
            t.ok(not out.exists(), f"claude-code, {way}: nothing runs when root commits on the node")
            t.equal(left, [str(v["/home/user"] / ".claude"), str(v["/home/user"] / ".claude.json")],
                    f"claude-code, {way}: and nothing is left but its own state")

main([attacks_in_the_image, attacks_on_volumes, mounting, nothing_is_left, at_the_same_time, volumes_that_do_not_answer, where_nothing_is_made, symlinks, a_neighbour_that_swaps,
      other_users, shared_propagation, pins_are_no_volumes, without_the_guard, agents])
