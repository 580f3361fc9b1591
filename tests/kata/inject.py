# SPDX-License-Identifier: Apache-2.0
"""kubefence kata inject: images of every layout changed and nothing else in them; all others refused, untouched."""
import filecmp
import hashlib
import os
import random
import re
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

from lib import guest_image

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("KUBEFENCE_BIN") or ROOT / "out/bin")
KUBEFENCE = BIN / "kubefence"
MIB = 1 << 20
REGO = "package agent_policy\n\ndefault CreateContainerRequest := false\n"
# What is injected; profiles are all of the built-in ones.
LAUNCHER, POLICY, PROFILES = "/opt/nono-nri/nono", "/etc/kata-opa/default-policy.rego", "/opt/nono-nri/profiles"


def sh(*args, **kw):
    return subprocess.run([str(a) for a in args], check=True, capture_output=True, text=True, **kw)


def digest(path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def patch(path, at: int, data: bytes) -> None:
    with open(path, "r+b") as f:
        f.seek(at)
        f.write(data)


class Bench:
    def __init__(self, where: str):
        self.where = where
        self.n = 0
        self.tree = f"{where}/tree"
        self.rego = f"{where}/policy.rego"
        Path(self.rego).write_text(REGO)
        for d in ("etc/kata-opa", "usr/bin", "opt", "var/lib/data"):
            os.makedirs(f"{self.tree}/{d}")
        # As in Kata's image.
        Path(f"{self.tree}/etc/kata-opa/allow-all.rego").write_text("package agent_policy\n")
        os.symlink("allow-all.rego", f"{self.tree}/etc/kata-opa/default-policy.rego")
        rng = random.Random(1)
        for i in range(60):
            Path(f"{self.tree}/var/lib/data/{i}").write_bytes(rng.randbytes(rng.randrange(0, 40000)))
        Path(f"{self.tree}/usr/bin/agent").write_bytes(rng.randbytes(3 * MIB))
        os.link(f"{self.tree}/usr/bin/agent", f"{self.tree}/usr/bin/other")

    def path(self, name: str) -> str:
        self.n += 1
        return f"{self.where}/{self.n}-{name}"

    def mkfs(self, *options, size=48 * MIB, tree=None, offset=0, total=0, name="image") -> str:
        path = self.path(name)
        with open(path, "wb") as f:
            f.truncate(total or offset + size)
        extra = ["-E", f"offset={offset}"] if offset else []
        for key, value in (("-b", "4096"), ("-N", "512")):
            if key not in options:
                extra += [key, value]
        sh("mkfs.ext4", "-q", "-F", "-U", "12345678-1234-1234-1234-123456789abc", *options, *extra, "-d", tree or self.tree, path,
           f"{size // 1024}k")
        return path

    def partitioned(self, table: str, script: str, offset=3 * MIB, total=64 * MIB) -> str:
        path = self.mkfs(offset=offset, total=total, name=table)
        sh("sfdisk", "-q", path, input=f"label: {table}\n{script}")
        return path

    # Most of these images are about the file system; whether Kata boots one is boot.py's matter.
    def inject(self, image, *args, out=None, boot="unchecked"):
        out = out or self.path("out")
        cmd = [KUBEFENCE, "kata", "inject", "--image", image, "--out", out, "--policy", self.rego, "--boot", boot, *args]
        return out, subprocess.run([str(c) for c in cmd], capture_output=True, text=True, errors="replace", timeout=60)


def fsck(image, offset=0):
    p = subprocess.run(["e2fsck", "-fn", f"{image}?offset={offset}"], capture_output=True, text=True)
    return p.returncode, p.stdout + p.stderr


def debugfs(image, offset, *commands) -> str:
    with tempfile.NamedTemporaryFile("w") as f:
        f.write("\n".join(commands) + "\n")
        f.flush()
        return sh("debugfs", "-f", f.name, f"{image}?offset={offset}").stdout


def inodes(image, offset) -> dict[int, str]:
    """Every inode in use, with all that debugfs says of it: owner, times, links, blocks, checksum."""
    count = int(re.search(r"Inode count:\s+(\d+)", debugfs(image, offset, "show_super_stats -h"))[1])
    said = debugfs(image, offset, *(f"testi <{i}>" for i in range(1, count + 1)))
    used = [int(i) for i in re.findall(r"Inode (\d+) is marked in use", said)]
    out = debugfs(image, offset, *(f"stat <{i}>" for i in used))
    parts = re.split(r"^debugfs: stat <(\d+)>$", out, flags=re.MULTILINE)
    return {int(parts[i]): parts[i + 1] for i in range(1, len(parts), 2)}


def number(image, offset, path) -> int:
    m = re.search(r"Inode: (\d+)", debugfs(image, offset, f"stat {path}"))
    return int(m[1]) if m else 0


def tree(b: Bench, image, offset) -> str:
    where = b.path("dump")
    os.mkdir(where)
    debugfs(image, offset, f"rdump / {where}")
    return where


def files(where: str) -> dict[str, tuple]:
    out = {}
    for d, dirs, names in os.walk(where):
        for n in dirs + names:
            p = os.path.join(d, n)
            st = os.lstat(p)
            what = os.readlink(p) if os.path.islink(p) else Path(p).read_bytes() if os.path.isfile(p) else b""
            out["/" + os.path.relpath(p, where)] = (oct(st.st_mode), what)
    return out


def correct(t, b: Bench, name: str, image: str, offset: int = 0, length: int = 0, boot: str = "unchecked") -> str:
    """Injected, clean, and nothing else changed."""
    before = digest(image)
    code, said = fsck(image, offset)
    assert code == 0, said
    out, p = b.inject(image, boot=boot)
    if not t.ok(p.returncode == 0, f"{name}: done", p.stderr):
        return out
    t.equal(digest(image), before, f"{name}: the image itself is as it was")
    t.equal(fsck(out, offset)[0], 0, f"{name}: e2fsck finds nothing to complain about")
    was, now = files(tree(b, image, offset)), files(tree(b, out, offset))
    listed = dict(re.findall(r"^injected +(\S+): inode (\d+),", p.stdout, re.MULTILINE))
    t.ok({LAUNCHER, POLICY, f"{PROFILES}/default", f"{PROFILES}/strict"} <= listed.keys(), f"{name}: says what it injected", p.stdout)
    t.equal((now.get(LAUNCHER), now.get(POLICY)), (("0o100755", (BIN / "nono").read_bytes()), ("0o100644", REGO.encode())),
            f"{name}: launcher and policy are there, the latter in place of Kata's link")
    t.equal({k for k in now if was.get(k) != now[k]} - set(listed), {os.path.dirname(LAUNCHER), PROFILES} - set(was),
            f"{name}: no other file differs")
    t.equal(set(was) - set(now), set(), f"{name}: nothing is gone")
    a, z = inodes(image, offset), inodes(out, offset)
    mine = {int(i) for i in listed.values()}
    dirs = {number(out, offset, d) for d in ("/opt", "/etc/kata-opa", "/opt/nono-nri", PROFILES)}
    t.equal({i for i in a.keys() | z.keys() if a.get(i) != z.get(i)} - mine - dirs, set(),
            f"{name}: of {len(z)} inodes only those listed and their directories differ")
    if offset:
        x, y = Path(image).read_bytes(), Path(out).read_bytes()
        t.ok(x[:offset] == y[:offset] and x[offset + length:] == y[offset + length:], f"{name}: outside the partition every byte is the same")
    again, p = b.inject(image)
    t.ok(filecmp.cmp(out, again, shallow=False), f"{name}: the same image gives the same bytes")
    twice, p = b.inject(out)
    t.ok(p.returncode == 0 and filecmp.cmp(out, twice, shallow=False), f"{name}: what is there already is left alone")
    return out


def layouts(t, b: Bench) -> None:
    out = correct(t, b, "bare", b.mkfs())
    correct(t, b, "bare, without journal, extents and checksums, 1k blocks",
            b.mkfs("-b", "1024", "-O", "^has_journal,^extents,^metadata_csum,^64bit,^flex_bg"))
    correct(t, b, "bare, inline data, checksum seed", b.mkfs("-I", "512", "-O", "inline_data,metadata_csum_seed"))
    correct(t, b, "bare, meta_bg, uninit_bg", b.mkfs("-O", "meta_bg,^resize_inode,^metadata_csum,uninit_bg"))
    big = f"{b.where}/big"
    shutil.copytree(b.tree, big, symlinks=True)
    for d in ("opt", "etc/kata-opa"):
        for i in range(1500):
            Path(f"{big}/{d}/a-file-with-quite-a-long-name-{i:05}").touch()
    indexed = b.mkfs("-N", "4096", tree=big, name="indexed")
    subprocess.run(["e2fsck", "-fyD", indexed], capture_output=True)
    t.ok("0x81000" in debugfs(indexed, 0, "stat /opt"), "control: a directory with an index")
    correct(t, b, "bare, large directories with an index", indexed)
    image = guest_image.skeleton(b.path("kata"))
    correct(t, b, "as Kata's own: two tables, DAX header, journal", image, guest_image.FIRST, os.path.getsize(image) - guest_image.FIRST, boot="both")
    correct(t, b, "MBR", b.partitioned("dos", "start=6144, size=98304, type=linux\n"), 3 * MIB, 48 * MIB)
    correct(t, b, "GPT", b.partitioned("gpt", "start=6144, size=98304, type=linux\n"), 3 * MIB, 48 * MIB)
    # An upgrade: another policy over the one that is there.
    Path(b.rego).write_text(REGO + "# second\n")
    newer, p = b.inject(out)
    t.ok(p.returncode == 0 and fsck(newer)[0] == 0 and files(tree(b, newer, 0))[POLICY][1].endswith(b"# second\n"), "a file of ours is replaced", p.stderr)
    Path(b.rego).write_text(REGO)
    # A name that others have as well keeps its contents there.
    linked = b.mkfs(name="linked")
    sh("debugfs", "-w", "-f", "-", linked, input=f"rm {POLICY}\nln /usr/bin/agent {POLICY}\nsif /usr/bin/agent links_count 3\n")
    out, p = b.inject(linked)
    t.ok(p.returncode == 0 and fsck(out)[0] == 0, "a hard link is replaced", p.stderr)
    t.equal(files(tree(b, out, 0))["/usr/bin/agent"], files(tree(b, linked, 0))["/usr/bin/agent"], "... the other names keep the file")


def options(t, b: Bench) -> None:
    image = b.mkfs(name="options")
    os.chmod(image, 0o444)
    profiles = f"{b.where}/profiles"
    os.mkdir(profiles)
    Path(f"{profiles}/mine.json").write_text('{"meta": {"name": "mine"}, "extends": "strict"}\n')
    launcher = f"{b.where}/launcher"
    Path(launcher).write_bytes(b"\177ELF" + b"x" * 100)
    out, p = b.inject(image, "--profiles", profiles, "--launcher", launcher)
    got = files(tree(b, out, 0)) if p.returncode == 0 else {}
    t.ok(got.get(f"{PROFILES}/mine", ("", b""))[1].startswith(b"nono-policy 1\nname mine\n"), "--profiles: compiled and there", p.stderr)
    t.equal(got.get(LAUNCHER, ("", b""))[1], Path(launcher).read_bytes(), "--launcher")
    t.equal(oct(os.stat(out).st_mode), "0o100644", "an image that may not be written is copied, the result is 0644")
    kept = digest(out)
    _, p = b.inject(image, out=out)
    t.ok(p.returncode == 0 and digest(out) != kept, "--out that exists is replaced")

    def refused(what, message, *args, code=1, image=image, out=None):
        result, p = b.inject(image, *args, out=out)
        t.ok(p.returncode == code and message in p.stderr and (out or not os.path.exists(result)), f"{what}: refused", p.stderr)

    os.symlink("x", f"{b.where}/link")
    refused("--out that is the image", "the image itself", out=image)
    refused("--out that is a link", "not a regular file", out=f"{b.where}/link")
    refused("--out in no directory", "No such file", out=f"{b.where}/no/where")
    refused("no such image", "No such file", image=f"{b.where}/nothing")
    refused("an image that is a directory", "not a regular file", image=b.where)
    refused("--launcher that is no program", "is not a program", "--launcher", b.rego)
    Path(f"{b.where}/wrong.rego").write_text("package other\n")
    refused("--policy that is none", "package agent_policy", "--policy", f"{b.where}/wrong.rego")
    Path(f"{profiles}/bad.json").write_text('{"meta": {"name": "bad"}, "nonsense": 1}\n')
    refused("a profile with mistakes", "nonsense", "--profiles", profiles)
    refused("unknown option", "unknown option '--frobnicate'", "--frobnicate", code=2)
    refused("stray argument", "not understood", "x", code=2)
    p = subprocess.run([KUBEFENCE, "kata", "inject", "--out", "x"], capture_output=True, text=True)
    t.equal(p.returncode, 2, "--image is needed")
    p = subprocess.run([KUBEFENCE, "kata", "inject", "--help"], capture_output=True, text=True)
    t.ok(p.returncode == 0 and p.stdout.startswith("Usage: kubefence kata inject"), "--help")


def refusals(t, b: Bench) -> None:
    good = b.mkfs(name="good")
    fs = dict(re.findall(r"^(\w[\w ]*\w):\s+(\d+)", debugfs(good, 0, "show_super_stats -h"), re.MULTILINE))
    group = re.search(r"block bitmap at (\d+), inode bitmap at (\d+), inode table at (\d+)", debugfs(good, 0, "show_super_stats"))
    block_bitmap, inode_bitmap, table = (int(x) * 4096 for x in group.groups())

    def refused(what: str, image: str, message: str) -> None:
        before, names = digest(image), set(os.listdir(b.where))
        out, p = b.inject(image)
        t.ok(p.returncode == 1 and re.search(message, p.stderr) and p.stdout == "", f"{what}: refused, with the reason", (p.returncode, p.stderr))
        t.ok(digest(image) == before and set(os.listdir(b.where)) == names, f"{what}: no output, no rest, the image as it was")

    def damaged(what, *patches, message="e2fsck -f", base=good):
        image = b.path("damaged")
        shutil.copyfile(base, image)
        for at, data in patches:
            patch(image, at, data)
        refused(what, image, message)

    # Full.
    image = b.mkfs()
    free = int(re.search(r"Free blocks:\s+(\d+)", debugfs(image, 0, "show_super_stats -h"))[1])
    Path(f"{b.where}/ballast").write_bytes(b"x" * 4096 * (free - 8))
    sh("debugfs", "-w", "-R", f"write {b.where}/ballast ballast", image)
    refused("no blocks left", image, "full; enlarge")
    image = b.mkfs()
    free = int(re.search(r"Free inodes:\s+(\d+)", debugfs(image, 0, "show_super_stats -h"))[1])
    sh("debugfs", "-w", "-f", "-", image, input="".join(f"mknod p{i} p\n" for i in range(free - 3)))
    refused("no inodes left", image, "full; enlarge")
    # Read-only, or not to be changed.
    image = b.mkfs()
    sh("tune2fs", "-O", "read-only", image)
    refused("marked read-only", image, "read-only")
    image = b.mkfs()
    patch(image, 1024 + 100, struct.pack("<I", struct.unpack("<I", Path(image).read_bytes()[1124:1128])[0] | 0x4000))
    refused("shared blocks", image, "read-only|checksum")
    for feature in ("quota", "bigalloc", "encrypt", "casefold", "verity", "project,quota", "mmp", "ea_inode"):
        refused(f"feature {feature}", b.mkfs("-O", feature), "not kept consistent")
    for what, command in (("needs recovery", "feature needs_recovery"), ("known errors", "ssv state 2"), ("not unmounted", "ssv state 0"),
                          ("an orphan", "ssv last_orphan 12")):
        image = b.mkfs()
        sh("debugfs", "-w", "-R", command, image)
        refused(what, image, "e2fsck -f")
    # Damaged.
    damaged("superblock", (1024 + 4, b"\xff\xff"))
    damaged("group descriptors", (4096, b"\0" * 32))
    damaged("block bitmap: checksum", (block_bitmap, b"\0" * 64))
    damaged("inode bitmap: checksum", (inode_bitmap, b"\0" * 64))
    damaged("inode table", (table + 256 * 1, os.urandom(256)))
    plain = b.mkfs("-O", "^metadata_csum,^has_journal", name="plain")
    group = re.search(r"block bitmap at (\d+), inode bitmap at (\d+), inode table at (\d+)", debugfs(plain, 0, "show_super_stats"))
    blocks, ino_map, table = (int(x) * 4096 for x in group.groups())
    damaged("blocks in use marked free", (blocks, b"\0" * 512), base=plain)
    damaged("blocks marked in use that are not", (blocks + 1000, b"\xff" * 50), base=plain)
    damaged("inodes in use marked free", (ino_map, b"\xff\x07\0\0\0"), base=plain)
    image = b.mkfs("-O", "^metadata_csum,^has_journal")
    one, two = (re.search(r"\(0(?:-\d+)?\):(\d+)", debugfs(image, 0, f"stat /var/lib/data/{i}"))[1] for i in (7, 8))
    sh("debugfs", "-w", "-f", "-", image, input=f"sif /var/lib/data/8 flags 0\nsif /var/lib/data/8 block[0] {one}\n")
    refused("a block of two files", image, "not its own|not what its inodes use")
    assert two
    image = b.path("short")
    shutil.copyfile(good, image)
    os.truncate(image, 20 * MIB)
    refused("cut short", image, "cut short")
    # In the way.
    image = b.mkfs()
    sh("debugfs", "-w", "-f", "-", image, input=f"rm {POLICY}\nmkdir {POLICY}\n")
    refused("a directory in a file's place", image, "neither a file nor")
    image = b.mkfs()
    sh("debugfs", "-w", "-f", "-", image, input="rmdir /opt\nsymlink /opt /var\n")
    refused("a link in a directory's place", image, "'/opt' is not a directory")
    # Measured.
    hashes = "start=6144, size=98304, type=linux\nstart=110592, size=8192, type=linux\n"
    for table in ("dos", "gpt"):
        image = b.partitioned(table, hashes)
        patch(image, 110592 * 512, b"verity\0\0" + bytes(504))
        refused(f"{table}: dm-verity", image, "measured")
        image = b.partitioned(table, hashes)
        patch(image, 110592 * 512, os.urandom(4096))
        refused(f"{table}: hashes without a superblock", image, "measured")
        out, p = b.inject(image, "--unmeasured")
        whole, hashed = Path(image).read_bytes(), slice(110592 * 512, (110592 + 8192) * 512)
        left = Path(out).read_bytes() if p.returncode == 0 else whole
        t.ok(p.returncode == 0 and any(whole[hashed]) and not any(left[hashed]) and whole[hashed.stop:] == left[hashed.stop:] and "its hashes" in p.stdout,
             f"{table}: --unmeasured: it is taken, and its hashes are gone", p.stderr)
        t.equal(files(tree(b, out, 3 * MIB))[POLICY][1], REGO.encode(), f"{table}: ... with what is injected")
        image = b.partitioned(table, hashes + "start=118784, size=2048, type=linux\n")
        patch(image, 110592 * 512, os.urandom(4096))
        out, p = b.inject(image, "--unmeasured")
        t.ok(p.returncode == 1 and "measured" in p.stderr, f"{table}: --unmeasured: not with a third partition", p.stderr)
        image = b.partitioned(table, hashes)
        out, p = b.inject(image)
        t.ok(p.returncode == 0, f"{table}: control: an empty second partition", p.stderr)
    image = b.mkfs(total=50 * MIB)
    patch(image, 48 * MIB, b"verity\0\0")
    refused("bare: hashes behind the file system", image, "measured")
    # Not understood.
    image = b.partitioned("dos", hashes, total=64 * MIB)
    sh("mkfs.ext4", "-q", "-F", "-E", f"offset={110592 * 512}", image, "4096k")
    refused("two file systems", image, "both hold ext4")
    image = b.partitioned("dos", "start=6144, size=98304, type=linux\n")
    patch(image, 446 + 12, struct.pack("<I", 1 << 30))
    refused("MBR: a partition past the end", image, "within the image")
    for what, at, data, message in (("entry count", 512 + 80, struct.pack("<I", 1 << 20), "GPT cannot"), ("entry size", 512 + 84, b"\0\0", "GPT cannot"),
                                    ("entries past the end", 512 + 72, b"\xff" * 8, "GPT cannot"),
                                    ("a partition past the end", 1024 + 40, b"\xff" * 8, "within the image"),
                                    ("a partition that ends before it begins", 1024 + 40, struct.pack("<Q", 5), "before it begins")):
        image = b.partitioned("gpt", "start=6144, size=98304, type=linux\n")
        patch(image, at, data)
        refused(f"GPT: {what}", image, message)
    for what, data in (("erofs", bytes(1024) + b"\xe2\xe1\xf5\xe0"), ("squashfs", b"hsqs"), ("compressed", b"\x1f\x8b"), ("an initrd", b"070701")):
        image = b.path("other")
        Path(image).write_bytes(data + bytes(8192))
        refused(what, image, what)
    for what, data in (("empty", b""), ("zeros", bytes(1 << 16)), ("an MBR and nothing", bytes(510) + b"\x55\xaa" + bytes(4096))):
        image = b.path("nothing")
        Path(image).write_bytes(data)
        refused(what, image, "no ext4 file system")
    assert fs


def noise(t, b: Bench, runs: int) -> None:
    """Bits flipped in the metadata: refused, or the result is as sound as the image was."""
    base = b.mkfs("-O", "^metadata_csum,^has_journal", size=12 * MIB, name="noise")
    bad, done = [], 0
    for seed in range(runs):
        rng = random.Random(seed)
        image = b.path("noisy")
        shutil.copyfile(base, image)
        for _ in range(rng.randrange(1, 6)):
            patch(image, rng.choice((1024, 4096, 4096 * 10, 4096 * 150, 4096 * 300)) + rng.randrange(1024), rng.randbytes(rng.randrange(1, 5)))
        out, p = b.inject(image)
        clean = fsck(image)[0] == 0
        done += p.returncode == 0
        if p.returncode not in (0, 1) or (p.returncode == 1) == os.path.exists(out) or (clean and p.returncode == 0 and fsck(out)[0]):
            bad.append((seed, p.returncode, p.stderr))
        for f in (image, out):
            if os.path.exists(f):
                os.unlink(f)
    t.equal(bad, [], f"{runs} images with noise in them: {done} changed, {runs - done} refused, none crashed it or got worse")


def run(t, tools, everything: bool) -> None:
    del tools
    for case in (layouts, options, refusals):
        with tempfile.TemporaryDirectory(prefix="kf-inject-") as where:
            t.case(f"inject: {case.__name__}", case, t, Bench(where))
    with tempfile.TemporaryDirectory(prefix="kf-inject-") as where:
        t.case("inject: noise", noise, t, Bench(where), 400 if everything else 25)
