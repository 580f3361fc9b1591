# SPDX-License-Identifier: Apache-2.0
"""tries.py quick|all: "kubefence try" of profiles with hosts and keys, on a machine of the test's: its network is the
"internet" of field.py, whose name server is in its /etc/resolv.conf."""
import ctypes
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
from field import BIN, DNS, INTERNET, INTERNET6, Field, inside, libc, own_place, sh  # noqa: E402
from forge import TlsServer, git_handler  # noqa: E402
from harness import PASSWORD  # noqa: E402
import matrix  # noqa: E402
from seek import look, spellings  # noqa: E402
from lib.tap import Tap  # noqa: E402
from lib.wait import wait_until  # noqa: E402

KEY = "sk-the-key-that-only-the-broker-has-0815"
GIT_PORT = 8444
CLONE_NEWUSER = 0x10000000
UID = 54321
CA = "/field/ca.pem"
MINE = {
    "extends": "default",
    "network": {"allow_domain": [{"domain": "ok.test", "ports": [80, 443]}, {"domain": "git.test", "ports": [GIT_PORT]}],
                "deny_domain": ["bad.ok.test"], "ask": "the platform team"},
    "credentials": [
        {"route": "/api", "upstream": "https://api.test", "secret": "agent-keys", "key": "model", "header": "x-api-key",
         "env": "API_BASE_URL", "placeholder": "API_KEY"},
        {"route": "/forge", "upstream": f"https://git.test:{GIT_PORT}", "secret": "agent-keys", "key": "forge", "user": "x-token"}],
}


class Laptop:
    """A machine whose way out is the field's internet: a profile, keys that only their owner reads, and what it runs."""

    def __init__(self, f: Field) -> None:
        self.f = f
        self.keys, self.shown = f.dir / "keys", f.dir / "shown"
        self.keys.mkdir(mode=0o700)
        self.shown.mkdir()
        shutil.copy(f.dir / "ca.pem", self.shown)
        for name, value in (("model", KEY), ("forge", PASSWORD), ("another", "not of this profile")):
            (self.keys / name).write_text(value + "\n")
            (self.keys / name).chmod(0o600)
        self.profile("mine", MINE)
        # Somebody who is not root, with a home, and keys in it.
        self.home, self.bin = f.dir / "home", f.dir / "bin"
        self.own_keys = self.home / "keys"
        self.work = self.home / "project"
        self.work.mkdir(parents=True)
        shutil.copytree(self.keys, self.own_keys)
        self.bin.mkdir()
        for name in ("kubefence", "nono", "nono-egress"):
            shutil.copy(BIN / name, self.bin)
        sh("chown", "-R", f"{UID}:{UID}", self.home)
        (f.dir / "resolv.conf").write_text(f"nameserver {DNS}\n")
        sh("mount", "--bind", f.dir / "resolv.conf", os.path.realpath("/etc/resolv.conf"))
        f.names.names["git.test"] = [INTERNET]

    def profile(self, name: str, text: dict) -> str:
        file = self.f.dir / f"{name}.json"
        file.write_text(json.dumps(text))
        return str(file)

    def words(self, *words, script: str = "", profile: str = "mine", keys: bool = True, program: str = "") -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.f.world}", program or str(BIN / "kubefence"), "try", "-p", f"{self.f.dir}/{profile}.json",
                "--ca", f"{self.f.dir}/ca.pem", *(["--secret", f"agent-keys={self.keys}"] if keys else []),
                "-v", f"{self.shown}:/field:ro", "-e", f"CURL_CA_BUNDLE={CA}", "-e", f"GIT_SSL_CAINFO={CA}", "-e", "HOME=/tmp", *map(str, words),
                "--", "sh", "-c", script]

    def alone_words(self, *words, script: str = "", profile: str = "mine", keys: bool = True, uid: int = UID) -> list[str]:
        """The same without a container, as somebody who is not root."""
        return ["nsenter", f"--net=/run/netns/{self.f.world}", "setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--",
                "env", f"HOME={self.home}", "MODEL_KEY=of-the-shell", str(self.bin / "kubefence"), "try", "--no-container", "-p", f"{self.f.dir}/{profile}.json",
                "--ca", f"{self.f.dir}/ca.pem", *(["--secret", f"agent-keys={self.own_keys}"] if keys else []),
                "-e", f"CURL_CA_BUNDLE={self.shown}/ca.pem", *map(str, words), "--", "sh", "-c", script]

    def alone(self, script: str, *words, **more) -> subprocess.CompletedProcess:
        return subprocess.run(self.alone_words(*words, script=script, **more), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, cwd=self.work)

    def run(self, script: str, *words, **more) -> subprocess.CompletedProcess:
        return subprocess.run(self.words(*words, script=script, **more), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)

    def outside(self, *words) -> subprocess.CompletedProcess:
        """What the machine itself may do: the control."""
        return subprocess.run(["nsenter", f"--net=/run/netns/{self.f.world}", *map(str, words)], capture_output=True, text=True, timeout=300)


def marked(p: subprocess.CompletedProcess) -> dict[str, str]:
    """What came behind each line "== NAME"."""
    return dict(re.findall(r"^== (\S+)\n(.*?)(?=^== |\Z)", p.stdout, re.MULTILINE | re.DOTALL))


HOSTS = f"""
mark() {{ printf "\n== %s\n" $1; }}
mark env; env
mark allowed; curl -sS https://ok.test/x
mark plain; curl -sS http://ok.test/x
mark refused; curl -sS http://other.test/; curl -sS https://other.test/ 2>&1
mark twice; curl -sS https://other.test/ 2>&1
mark denied; curl -sS https://bad.ok.test/ 2>&1
mark raw; curl -sS --noproxy '*' --resolve ok.test:443:{INTERNET} https://ok.test/ 2>&1 && echo OPEN
mark raw6; curl -sS --noproxy '*' 'http://[{INTERNET6}]/' 2>&1 && echo OPEN
mark dns; python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("{DNS}", 53)); s.send(b"x"); print("OPEN")' 2>&1
mark loopback; python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 8123)); socket.create_connection(("127.0.0.1", 8123)); print("OPEN")' 2>&1
mark end; exit 7
"""


def hosts(t: Tap, m: Laptop) -> None:
    before = len(m.f.tls.requests)
    p = m.run(HOSTS)
    said = marked(p)
    t.ok(p.returncode == 7 and "end" in said, "the command ends with its own status", p)
    env = dict(x.split("=", 1) for x in said["env"].splitlines() if "=" in x)
    t.equal([env.get(x) for x in ("HTTPS_PROXY", "http_proxy", "API_BASE_URL", "API_KEY")],
            ["http://127.0.0.1:3128", "http://127.0.0.1:3128", "http://127.0.0.1:3128/api", "nono-egress-adds-the-key"], "the environment is a pod's")
    t.ok('"head"' in said["allowed"] and len(m.f.tls.requests) == before + 1, "an allowed host is reached by TLS", p)
    t.ok('"head"' in said["plain"], "... and without, on the port that the profile says", said["plain"])
    t.ok("does not allow this host" in said["refused"] and "the platform team" in said["refused"] and "403" in said["refused"],
         "another one is refused with a 403 that names the rule and whom to ask", said["refused"])
    t.ok("403" in said["denied"], "a host of deny_domain is refused", said["denied"])
    for what in ("raw", "raw6", "dns"):
        t.ok("OPEN" not in said[what], f"everything else is closed: {what}", said[what])
    t.ok("OPEN" in said["loopback"], "the container's own loopback is open", said["loopback"])
    control = m.outside("curl", "-sS", "--cacert", m.f.dir / "ca.pem", "--resolve", f"ok.test:443:{INTERNET}", "https://ok.test/")
    control6 = m.outside("curl", "-sS", f"http://[{INTERNET6}]/")
    t.ok('"head"' in control.stdout and '"head"' in control6.stdout, "control: from the machine these addresses are reached", f"{control} {control6}")
    told = [x for x in p.stderr.splitlines() if x.startswith(("refused: ", "    would"))]
    t.equal(told, ["refused: other.test:80: the profile does not allow this host",
                   '    would be allowed by {"network":{"allow_domain":[{"domain":"other.test","ports":[80]}]}}',
                   "refused: other.test:443: the profile does not allow this host (2 times)",
                   '    would be allowed by {"network":{"allow_domain":[{"domain":"other.test","ports":[443]}]}}',
                   "refused: bad.ok.test:443: the profile denies this host"], "what was refused is told at the end, with the entry that would allow it")
    learned = json.loads(told[1].split(" by ")[1])["network"]["allow_domain"]
    m.profile("more", {**MINE, "network": {**MINE["network"], "allow_domain": MINE["network"]["allow_domain"] + learned}})
    p = m.run("curl -sS http://other.test/", profile="more")
    t.ok('"head"' in p.stdout and "refused" not in p.stderr, "... and does", p)


def keys(t: Tap, m: Laptop) -> None:
    work = m.f.dir / "work"
    work.mkdir(exist_ok=True)
    before = len(m.f.tls.requests)
    # The broker has used the key, and the container is still there, while it is looked for.
    script = "curl -sS -o /dev/null -w '%{http_code}' $API_BASE_URL/none -H \"x-api-key: $API_KEY\"; touch /work/at-work; " \
             "n=0; while [ ! -e /work/go ] && [ $n -lt 3000 ]; do sleep 0.1; n=$((n+1)); done"

    def turn(command: list[str]) -> tuple[list[str], int, str]:
        for name in ("at-work", "go"):
            (work / name).unlink(missing_ok=True)
        p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: (work / "at-work").exists() or p.poll() is not None, "the command")
            init = first_of(p.pid)
            return (*look(init, [Path(f"/proc/{init}/root/{d}") for d in (str(m.keys), "field", "work", "dev/shm", "nono")], spellings(KEY)), "")
        finally:
            (work / "go").touch()
            out, err = p.communicate(timeout=300)
            said.append(out + err)

    said: list[str] = []
    found, n, _ = turn(m.words("-v", f"{work}:/work", script=script))
    heads = [h.decode("latin-1") for h, _ in m.f.tls.requests[before:]]
    t.ok(said[-1].startswith("204") and len(heads) == 1 and f"x-api-key: {KEY}" in heads[0] and "nono-egress-adds" not in heads[0],
         "a route's request arrives with the key, in the placeholder's place", f"{said[-1]} {heads}")
    t.ok(n >= 1 and not found, "the key is nowhere in the container: no memory, no environment, no file", f"{n} processes: {found}")
    plain = [x for x in m.words("-v", f"{work}:/work", "-e", f"API_KEY={KEY}", "--plain", keys=False, script=script)]
    for option in ("-p", "--ca"):
        del plain[plain.index(option):plain.index(option) + 2]
    found, n, _ = turn(plain)
    t.ok(any("environ" in x for x in found) and any("memory" in x for x in found), "control: one that is given it has it", f"{n} processes: {found}")


    p = m.run("ls /all/keys; cat /all/keys/model /all/ca.pem", "-v", f"{m.f.dir}:/all:ro")
    control = subprocess.run([w for w in m.words("-v", f"{m.f.dir}:/all:ro", "--plain", keys=False, script="cat /all/keys/model") if w not in ("-p", "--ca")
                              and not w.endswith(("mine.json", f"{m.f.dir}/ca.pem"))], capture_output=True, text=True, timeout=300)
    t.ok("BEGIN CERT" in p.stdout and KEY not in p.stdout and "model" not in p.stdout and KEY in control.stdout,
         "a volume above the keys shows all but them; control: without the broker it shows them", f"{p} {control}")
    p = m.run("echo ran", "-v", f"{m.keys}:/k")
    t.ok(p.returncode == 1 and "the container would have it at '/k'" in p.stderr and "ran" not in p.stdout, "a volume of the keys is refused", p)


def first_of(pid: int, kind: str = "pid", own: int = 0) -> int:
    """The first process below @pid that is in another namespace of that kind than this one, or than the one with inode @own."""
    own = own or os.stat(f"/proc/self/ns/{kind}").st_ino

    def children(p: int) -> list[int]:
        try:
            return [int(c) for task in Path(f"/proc/{p}/task").glob("*/children") for c in task.read_text().split()]
        except OSError:
            return []

    def found(p: int) -> int:
        for c in children(p):
            try:
                if os.stat(f"/proc/{c}/ns/{kind}").st_ino != own:
                    return c
            except OSError:
                continue
            if inner := found(c):
                return inner
        return 0

    return wait_until(lambda: found(pid), "the container's first process")


ALONE = f"""
mark() {{ printf "\n== %s\n" $1; }}
mark env; env
mark allowed; curl -sS https://ok.test/x
mark refused; curl -sS http://other.test/
mark raw; curl -sS --noproxy '*' --resolve ok.test:443:{INTERNET} https://ok.test/ 2>&1 && echo OPEN
mark route; curl -sS -o /dev/null -w '%{{http_code}}' $API_BASE_URL/none
mark keys; cat ../keys/model 2>&1
mark back; nsenter --net=/proc/1/ns/net true 2>&1 && echo OPEN
mark end; touch at-work; n=0; while [ ! -e go ] && [ $n -lt 3000 ]; do sleep 0.1; n=$((n+1)); done; exit 7
"""


def alone(t: Tap, m: Laptop) -> None:
    """Without a container, and without root."""
    m.profile("mine", {**MINE, "workdir": {"access": "readwrite"}})
    before = len(m.f.tls.requests)

    def turn(script: str, *words) -> tuple:
        for name in ("at-work", "go"):
            (m.work / name).unlink(missing_ok=True)
        p = subprocess.Popen(m.alone_words(*words, script=script), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=m.work)
        try:
            wait_until(lambda: (m.work / "at-work").exists() or p.poll() is not None, "the command")
            shell = first_of(p.pid, "net", os.stat(f"/run/netns/{m.f.world}").st_ino)
            return p, *look(shell, [], spellings(KEY), "net")
        finally:
            (m.work / "go").touch()
            texts[:] = p.communicate(timeout=300)

    texts: list[str] = []
    p, found, n = turn(ALONE)
    out, err = texts
    said = marked(subprocess.CompletedProcess([], p.returncode, out, err))
    t.ok(p.returncode == 7 and "end" in said, "alone: the command ends with its own status", out + err)
    t.ok('"head"' in said["allowed"], "alone: an allowed host is reached", out + err)
    t.ok("does not allow this host" in said["refused"] and "the platform team" in said["refused"], "alone: another one is refused, and told whom to ask", said)
    t.ok("refused: other.test:80: the profile does not allow this host" in err and "what the command writes stays" in err, "alone: ... which is told at the end", err)
    control = subprocess.run(["nsenter", f"--net=/run/netns/{m.f.world}", "setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "sh", "-c",
                              f"curl -sS --cacert {m.shown}/ca.pem --resolve ok.test:443:{INTERNET} https://ok.test/; cat {m.own_keys}/model"],
                             capture_output=True, text=True, timeout=300)
    t.ok("OPEN" not in said["raw"] and '"head"' in control.stdout, "alone: everything else is closed; control: this user reaches it outside", f"{said['raw']} {control}")
    t.ok("OPEN" not in said["back"], "alone: no way back into the machine's network", said["back"])
    heads = b"".join(h for h, _ in m.f.tls.requests[before:])
    t.ok(said["route"].strip() == "204" and KEY.encode() in heads, "alone: a route's request arrives with the key", f"{said['route']} {heads}")
    t.ok(KEY not in said["keys"] and "ermission denied" in said["keys"] and KEY in control.stdout,
         "alone: the command cannot read the key; control: its user can", f"{said['keys']} {control}")
    t.ok(n >= 1 and not found, "alone: the key is nowhere in the command's processes", f"{n}: {found}")
    _, found, n = turn(ALONE.split("mark env")[0] + "mark end" + ALONE.split("mark end")[1], "-e", f"HELD={KEY}")
    t.ok(any("environ" in x for x in found), "control: alone: where one is given it, it is found", f"{n}: {found}")
    env = dict(x.split("=", 1) for x in said["env"].splitlines() if "=" in x)
    t.ok("MODEL_KEY" not in env and env.get("HOME") == str(m.home) and env.get("API_KEY") == "nono-egress-adds-the-key",
         "alone: what else the shell's environment has does not reach it", env)


def without_namespaces() -> None:
    """A user namespace in which no further one may be made stands for a machine that lets no user have one."""
    r, w = os.pipe()
    pid = os.getpid()
    if not (helper := os.fork()):
        os.read(r, 1)
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{pid}/{name}").write_text("0 0 65536")
        os._exit(0)
    if libc.unshare(CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")
    os.write(w, b"x")
    os.waitpid(helper, 0)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")


def alone_mistakes(t: Tap, m: Laptop) -> None:
    m.profile("inside", {**MINE, "filesystem": {"read": [str(m.own_keys / "model")]}})
    m.profile("plain", {"extends": "default", "workdir": {"access": "readwrite"}})
    for what, p, code, says in (
            ("an option of containers", m.alone("echo ran", "--token"), 2, "--token is about a container"),
            ("a credential without its Secret", m.alone("echo ran", keys=False), 1, "--secret agent-keys=DIR"),
            ("a key that this user cannot read", m.alone("echo ran", "--secret", f"agent-keys={m.keys}", keys=False), 1, "Permission denied"),
            ("a profile that grants the key", m.alone("echo ran", profile="inside"), 1, "where the keys of --secret would be")):
        t.ok(p.returncode == code and says in p.stderr and "ran" not in p.stdout, f"alone: {what}: told, and nothing runs", p)
    words = [x for x in m.alone_words(script="echo ran") if x != "--no-container"]
    p = subprocess.run(words, capture_output=True, text=True, timeout=300)
    t.ok(p.returncode == 1 and "needs root" in p.stderr and "--no-container" in p.stderr, "without root a container is refused, and what goes is named", p)
    p = subprocess.run(m.alone_words(script="echo ran")[2:], capture_output=True, text=True, timeout=300, cwd=m.work, preexec_fn=without_namespaces)
    t.ok(p.returncode == 1 and "user.max_user_namespaces" in p.stderr and "ran" not in p.stdout, "alone: a machine without user namespaces: told which setting", p)
    words = m.alone_words(script="echo ran; echo x >made", profile="plain", keys=False)
    del words[words.index("--ca"):words.index("--ca") + 2]
    p = subprocess.run(words[2:], capture_output=True, text=True, timeout=300, cwd=m.work, preexec_fn=without_namespaces)
    t.ok(p.stdout == "ran\n" and (m.work / "made").exists(), "alone: a profile without hosts needs none", p)


def ways(t: Tap, m: Laptop) -> None:
    """Every way out that tests of pods try."""
    subprocess.run(["gcc", "-static", "-O1", "-o", m.shown / "ways", HERE / "ways.c"], check=True)

    def told(text: str) -> dict[str, str]:
        return {w: rest for w, _, rest in (x.partition(" ") for x in text.splitlines()) if w in matrix.WAYS}

    script = " ".join(["/field/ways", *matrix.ARGS[1:], "1"])
    control = told(m.outside(m.shown / "ways", *matrix.ARGS[1:], "1").stdout)
    leads = {w for w, how in control.items() if how == "sent"}
    t.ok(leads >= {"tcp", "tcp6", "udp", "udp6", "dns"}, "control: from the machine these lead out", control)
    for who, p in (("in a container", m.run(script)), ("alone", m.alone(script.replace("/field", str(m.shown))))):
        said = told(p.stdout)
        t.ok(set(said) >= leads and "sent" not in said.values(), f"{who}: every way is closed", f"{said} {p}")


def servers(t: Tap, m: Laptop) -> None:
    """Name servers of laptops: one on the loopback, or none where there is no network."""
    conf = m.f.dir / "resolv.conf"
    kept = conf.read_text()
    with inside(f"/run/netns/{m.f.world}"):
        m.f._dns(socket.SOCK_DGRAM, "127.0.0.53", m.f.names)
    script = "curl -sS https://ok.test/x; echo ran"
    try:
        for text, reached in (("search lan\noptions edns0\nnameserver 127.0.0.53\n", True), ("# nothing\n", False), ("", False)):
            conf.write_text(text)
            for who, p in (("in a container", m.run(script)), ("alone", m.alone(script))):
                t.ok("ran" in p.stdout and ('"head"' in p.stdout) == reached and ("names no server" in p.stderr) != reached,
                     f"{who}: {'a name server on the loopback is asked' if reached else 'without a name server it runs, and is told'}", p)
    finally:
        conf.write_text(kept)


def killed(t: Tap, m: Laptop) -> None:
    """Nothing is left of one that is killed, whichever way it is run."""
    def broker() -> set[str]:
        net = os.stat(f"/run/netns/{m.f.world}").st_ino
        found = set()
        for d in Path("/proc").glob("[0-9]*"):
            try:
                if b"nono-egress" in (d / "cmdline").read_bytes() and os.stat(d / "ns/net").st_ino == net:
                    found.add(d.name)
            except OSError:
                continue
        return found

    script = "trap exit TERM; touch {}begun; while :; do sleep 0.1; done"
    for who, words in (("in a container", m.words("-v", f"{m.work}:/work", script=script.format("/work/"))),
                       ("alone", m.alone_words(script=script.format("")))):
        (m.work / "begun").unlink(missing_ok=True)
        p = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=m.work)
        wait_until((m.work / "begun").exists, "the command")
        t.ok(broker(), f"control: {who}: there is a broker")
        stage = re.findall(r" (/tmp/kubefence-try-\S+) ", Path(f"/proc/{p.pid}/mountinfo").read_text())
        p.kill()
        p.wait()
        wait_until(lambda: not broker(), "the broker's end")
        for d in stage[:1]:  # an empty directory, where the mount was
            os.rmdir(d)
        t.ok(True, f"{who}: a broker ends with what is killed")


def mistakes(t: Tap, m: Laptop) -> None:
    """What is missing is told, with the remedy, and nothing is started."""
    m.profile("hosts", {"extends": "default", "network": {"allow_domain": ["ok.test"]}})
    m.profile("none", {"extends": "default"})
    with tempfile.TemporaryDirectory() as d:
        for name in ("kubefence", "nono", "nono-bwrap", "nono-nri", "nono-runc"):
            shutil.copy(BIN / name, d)
        empty = Path(d, "empty")
        empty.mkdir()
        for what, p, code, says in (
                ("a credential without its Secret", m.run("echo ran", keys=False), 1, "--secret agent-keys=DIR"),
                ("a Secret of no credential", m.run("echo ran", "--secret", f"other={empty}"), 1, "--secret 'other="),
                ("a Secret without its key", m.run("echo ran", "--secret", f"agent-keys={empty}", keys=False), 1, "the key 'model' of the profile's route '/api'"),
                ("a Secret for a profile without hosts", m.run("echo ran", profile="none"), 2, "neither hosts nor credentials"),
                ("NAME=DIR", m.run("echo ran", "--secret", "x"), 2, "must be NAME=DIR"),
                ("no broker beside kubefence", m.run("echo ran", keys=False, profile="hosts", program=f"{d}/kubefence"), 1, f"'{d}/nono-egress' is needed"),
                ("--no-guard", m.run("echo ran", "--no-guard"), 2, "--no-guard"),
                ("certificates that are none", m.run("echo ran", "--ca", "/no/such.pem"), 1, "/no/such.pem")):
            t.ok(p.returncode == code and says in p.stderr and "ran" not in p.stdout, f"{what}: told, and nothing runs", p)
    p = m.run("curl -sS -o /dev/null -w '%{http_code}' $API_BASE_URL/none", "--ca", m.shown / "ca.pem")
    t.equal(p.stdout, "204", "control: as it should be, it runs")
    left = sh("findmnt", "-n", "-o", "TARGET").split()
    t.ok(not [x for x in left if "kubefence-try" in x or x.endswith("/egress")], "nothing is left mounted", left)
    t.equal([x for x in os.listdir("/run/kubefence/egress")], [], "... nor behind in the node's place")


def git(t: Tap, m: Laptop) -> None:
    """git clones and pushes over the route that has its password, and clones through a tunnel."""
    project, asked = m.f.dir / "git", []
    env = {"PATH": os.environ["PATH"], "HOME": str(m.f.dir), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", project / "repo.git"], check=True, env=env)
    subprocess.run(["git", "-C", project / "repo.git", "config", "http.receivepack", "true"], check=True, env=env)
    with inside(f"/run/netns/{m.f.world}"):
        server = TlsServer(m.f.dir / "server.pem", git_handler(project, env, asked))
        m.f._forward(INTERNET, GIT_PORT, server.server_address[1])
    identity = "-c user.name=x -c user.email=x@example.com"
    p = m.run(f"cd $(mktemp -d) && git config --file gitconfig url.http://127.0.0.1:3128/forge/.insteadOf https://git.test/ && export GIT_CONFIG_GLOBAL=$(pwd)/gitconfig && "
              f"git clone -q https://git.test/repo.git a && cd a && "
              f"head -c 3000000 /dev/urandom >big && git add big && git {identity} commit -q -m x && git push -q origin HEAD:main && "
              f"git clone -q https://git.test:{GIT_PORT}/repo.git ../b && cmp big ../b/big && echo same")
    t.ok(p.stdout.endswith("same\n"), "git pushes over a route, and clones through a tunnel", p)
    routes = [a for path, a in asked if a]
    t.ok(routes and all(a.startswith("Basic ") for a in routes) and any(not a for _, a in asked), "... with the password on the route alone", asked)
    server.shutdown()


def learns(t: Tap, m: Laptop) -> None:
    """A profile that was learned from what was refused."""
    feed = m.f.dir / "feed.json"
    p = m.run("curl -sS https://ok.test/ https://other.test/")
    rules = [x.split(" by ")[1] for x in p.stderr.splitlines() if x.startswith("    would")]
    feed.write_text("".join(f'{{"what": "reach", "rule": {r}}}\n' for r in rules))
    p = subprocess.run([BIN / "kubefence", "learn", "--from", feed, "-p", f"{m.f.dir}/mine.json", "--to", m.f.dir / "learned.json"], capture_output=True, text=True)
    t.ok(p.returncode == 0 and "1 hosts" in p.stderr, "learn --from what try said was refused", p)
    p = m.run("curl -sS https://other.test/", profile="learned")
    t.ok('"head"' in p.stdout, "... and the host is reached under it", p)


def main() -> int:
    mode = sys.argv[1] if len(sys.argv) > 1 else "quick"
    t = Tap()
    own_place()
    with Field() as f:
        m = Laptop(f)
        for case in (hosts, keys, mistakes, alone, alone_mistakes, *((git, learns, servers, killed, ways) if mode == "all" else ())):
            begin = time.monotonic()
            t.case(case.__name__, case, t, m)
            print(f"# {case.__name__}: {time.monotonic() - begin:.1f} s", flush=True)
    return t.done()


if __name__ == "__main__":
    sys.exit(main())
