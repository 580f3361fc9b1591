# SPDX-License-Identifier: Apache-2.0
"""Random changes to a tree, as a hostile or careless pod makes them: every kind of object, in every order."""
import os
import random
import socket
import struct
from pathlib import Path

NAMES = [b"a", b"b", b"c", b"d", b".git", b"hooks", b"Makefile", b"x y", b"new\nline", b"\xff\xfe", b"-rf", "ü".encode(), b"\x1b[31m"]


def acl(rng: random.Random) -> bytes:
    """An access ACL with one more user."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, perm, who) for tag, perm, who in (
        (1, 7, 0xffffffff), (2, rng.randrange(8), rng.randrange(2000)), (4, rng.randrange(8), 0xffffffff),
        (16, 7, 0xffffffff), (32, rng.randrange(8), 0xffffffff)))


class Changes:
    def __init__(self, root: Path, rng: random.Random, special: bool = True):
        self.root, self.rng, self.special = os.fsencode(root), rng, special

    def any(self, kind: str = "") -> bytes:
        """A path that is there: a file (f), a directory (d), or anything."""
        found = [] if kind == "f" else [self.root] if kind == "d" else []
        for d, dirs, files in os.walk(self.root):
            found += [os.path.join(d, n) for n in dirs if kind != "f" and not (kind == "d" and os.path.islink(os.path.join(d, n)))]
            if kind != "d":
                found += [os.path.join(d, n) for n in files
                          if kind != "f" or os.path.isfile(os.path.join(d, n)) and not os.path.islink(os.path.join(d, n))]
        if not found:
            raise FileNotFoundError
        return self.rng.choice(found)

    def fresh(self) -> bytes:
        return os.path.join(self.any("d"), self.rng.choice(NAMES))

    def data(self) -> bytes:
        return self.rng.choice([b"", b"text\n", os.urandom(5), b"x" * 70000, b"\0" * 70000 + b"end"])

    # -- each is one operation; what the kernel refuses is no operation ------

    def create(self):
        with open(self.fresh(), "xb") as f:
            f.write(self.data())

    def write(self):
        with open(self.any("f"), "r+b") as f:
            f.seek(self.rng.choice([0, 3, 100000]))
            f.write(self.data())

    def truncate(self):
        os.truncate(self.any("f"), self.rng.choice([0, 1, 5000, 1 << 24]))

    def unlink(self):
        os.unlink(self.any())

    def rmdir(self):
        d = self.any("d")
        if d != self.root:
            os.rmdir(d)

    def remove_tree(self):
        d = self.any("d")
        if d != self.root:
            for top, dirs, files in os.walk(d, topdown=False):
                for n in files:
                    os.unlink(os.path.join(top, n))
                for n in dirs:
                    p = os.path.join(top, n)
                    os.unlink(p) if os.path.islink(p) else os.rmdir(p)
            os.rmdir(d)

    def replace_tree(self):
        """A directory anew over what was one."""
        d = self.any("d")
        if d != self.root:
            try:
                os.rmdir(d)
            except OSError:
                return
            os.mkdir(d)

    def mkdir(self):
        os.mkdir(self.fresh(), self.rng.choice([0o755, 0o700, 0o2775, 0o1777, 0o500]))

    def make_tree(self):
        d = self.fresh()
        os.makedirs(os.path.join(d, b"deep", b"deeper"))
        with open(os.path.join(d, b"deep", b"deeper", b"file"), "wb") as f:
            f.write(self.data())

    def over_removed(self):
        """A directory where a file was, a file where a directory was."""
        p = self.any()
        if p == self.root:
            return
        if os.path.isdir(p) and not os.path.islink(p):
            os.rmdir(p)
            with open(p, "wb") as f:
                f.write(self.data())
        else:
            os.unlink(p)
            os.mkdir(p)

    def rename(self):
        os.rename(self.any(), self.fresh())

    def rename_over(self):
        os.rename(self.any(), self.any())

    def symlink(self):
        os.symlink(self.rng.choice([b"/etc/passwd", b"..", b"a", b"/", b"x" * 200, self.any()]), self.fresh())

    def link(self):
        os.link(self.any("f"), self.fresh())

    def link_over(self):
        tmp = os.path.join(self.any("d"), b"tmp")
        os.link(self.any("f"), tmp)
        os.rename(tmp, self.any("f"))
        if os.path.lexists(tmp):
            os.unlink(tmp)

    def chmod(self):
        p = self.any()
        if not os.path.islink(p):
            os.chmod(p, self.rng.choice([0o644, 0o755, 0o4755, 0o2755, 0o000, 0o600, 0o777]))

    def chown(self):
        os.lchown(self.any(), self.rng.randrange(3), self.rng.randrange(3))

    def times(self):
        os.utime(self.any(), ns=(self.rng.randrange(2**60), self.rng.randrange(2**60)), follow_symlinks=False)

    def xattr(self):
        os.setxattr(self.any(self.rng.choice("fd")), f"user.{self.rng.choice('ab')}", self.data()[:60], follow_symlinks=False)

    def no_xattr(self):
        p = self.any(self.rng.choice("fd"))
        for n in os.listxattr(p, follow_symlinks=False):
            if n.startswith("user."):
                os.removexattr(p, n, follow_symlinks=False)

    def acl(self):
        os.setxattr(self.any(self.rng.choice("fd")), "system.posix_acl_access", acl(self.rng), follow_symlinks=False)

    def default_acl(self):
        os.setxattr(self.any("d"), "system.posix_acl_default", acl(self.rng), follow_symlinks=False)

    def fifo(self):
        if self.special:
            os.mkfifo(self.fresh())

    def device(self):
        if self.special:
            os.mknod(self.fresh(), self.rng.choice([0o020600, 0o060600]), os.makedev(self.rng.choice([1, 7]), 3))

    def socket(self):
        if self.special:
            with socket.socket(socket.AF_UNIX) as s:
                p = self.fresh()
                if len(p) < 100:
                    s.bind(p)

    OPERATIONS = (create, write, truncate, unlink, rmdir, remove_tree, replace_tree, mkdir, make_tree, over_removed, rename, rename_over,
                  symlink, link, link_over, chmod, chown, times, xattr, no_xattr, acl, default_acl, fifo, device, socket)

    def one(self) -> str:
        """Do one; its name, "" if the kernel refused it."""
        op = self.rng.choice(self.OPERATIONS)
        try:
            op(self)
        except OSError:
            return ""
        return op.__name__

    def many(self, n: int) -> list[str]:
        return [self.one() for _ in range(n)]
