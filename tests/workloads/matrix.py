# SPDX-License-Identifier: Apache-2.0
"""The workload matrix: programs that must behave under "default" as they do without us.

A row: group, what it is, the shell script, users to run it as, and options of Box.exec().  The
control and the sandbox must both come to the end of the script without a failure.
"""
from typing import NamedTuple


class Kind(NamedTuple):
    """What holds in a container: a profile (None: no launcher), a seccomp level ("": no policy)."""

    name: str
    profile: str | None
    seccomp: str


CONTROL = Kind("control", None, "")
DEFAULT = Kind("default", "default", "")
LEVELS = tuple(Kind(f"default, {level}", "default", level) for level in ("runtime-default", "agent", "restricted"))
RESTRICTED = LEVELS[-1]
BROWSER = Kind("browser, restricted", "browser", "restricted")

ROOT, USER, NOBODY = "0:0", "1000:1000", "54321:54321"
EVERY = (ROOT, USER, NOBODY)

ROWS = (
    ("shell", "sh", "sh -c 'for i in 1 2; do echo $i; done'", EVERY, {}),
    ("shell", "bash, with arrays, process substitution, here-documents", "bash -c 'a=(1 2); read x < <(echo ${a[1]}); cat <<<$x; cat <<E\nx\nE'", EVERY, {}),
    ("shell", "coreutils by name", "ls -l / >/dev/null && date && id -u && seq 3 | sort -r | head -1", EVERY, {}),
    ("shell", "coreutils by path", "/bin/ls /usr >/dev/null && /usr/bin/sort /etc/passwd | /usr/bin/wc -l", EVERY, {}),
    ("shell", "relative commands in a work directory", "./run.sh && cd sub && ../run.sh", EVERY, {"cwd": "/opt/app"}),
    ("shell", "an entry point at /", "/entrypoint.sh && cd / && ./entrypoint.sh", EVERY, {"cwd": "/"}),
    ("shell", "writing the work directory", "echo x >new && cat new && mkdir d && mv new d/ && rm -r d", (ROOT,), {"cwd": "/srv/app"}),
    ("shell", "temporary files", "f=$(mktemp) && echo x >$f && cat $f && rm $f && d=$(mktemp -d) && rmdir $d", EVERY, {}),
    ("shell", "HOME unset", "unset HOME; sh -c 'echo x >/tmp/nohome-$$' && cd /tmp", EVERY, {"unset_home": True}),
    ("python", "tempfile", "python3 -c 'import tempfile; f=tempfile.TemporaryFile(); f.write(b\"x\"); f.seek(0); assert f.read()==b\"x\"; tempfile.mkdtemp()'", EVERY, {}),
    ("python", "multiprocessing: locks, pools, shared memory", "cd /tmp && python3 /opt/app/mp.py", EVERY, {}),
    ("python", "venv and pip install of a local wheel", "d=$(mktemp -d) && python3 -m venv $d/v && $d/v/bin/pip install -q --no-index /opt/app/kf_hello-1.0-py3-none-any.whl && $d/v/bin/python -c 'import kf_hello; print(kf_hello.x)'", (ROOT, USER), {}),
    ("python", "sqlite, subprocess, threads", "cd $(mktemp -d) && python3 -c 'import sqlite3,subprocess,threading; c=sqlite3.connect(\"a.db\"); c.execute(\"create table t(x)\"); c.commit(); subprocess.check_call([\"ls\"]); t=threading.Thread(target=print); t.start(); t.join()'", EVERY, {}),
    ("node", "node: files, workers, child processes", "cd $(mktemp -d) && node -e 'const fs=require(\"fs\"),cp=require(\"child_process\"),{Worker}=require(\"worker_threads\"); fs.writeFileSync(\"a\",\"x\"); cp.execSync(\"ls\"); new Worker(\"1\",{eval:true}).on(\"exit\",c=>process.exit(c))'", EVERY, {}),
    ("node", "npm install of a local package, its script run", "cd $(mktemp -d) && export HOME=$PWD && npm --silent init -y >/dev/null && npm install --silent --offline --no-audit --no-fund /opt/app/kfpkg && node -e 'require(\"kfpkg\")'", (ROOT, USER), {}),
    ("build", "git init, commit, clone", "cd $(mktemp -d) && export HOME=$PWD && git init -q a && cd a && git config user.email a@b && git config user.name n && echo x >f && git add f && git commit -qm m && git clone -q . ../b && git -C ../b log --oneline", EVERY, {}),
    ("build", "git worktrees: two branches side by side, merged", "cd $(mktemp -d) && export HOME=$PWD && git init -q a && cd a && git config user.email a@b && git config user.name n && echo x >f && git add f && git commit -qm m && git worktree add -q ../b -b b && cd ../b && echo y >g && git add g && git commit -qm b && git -C ../a merge -q b && cat ../a/g && git worktree remove ../b --force 2>/dev/null || git -C ../a worktree remove --force ../b && git -C ../a worktree list | wc -l | grep -x 1", EVERY, {}),
    ("build", "gcc", "cd $(mktemp -d) && cp /opt/app/hello.c . && gcc -o hello hello.c && ./hello", EVERY, {}),
    ("build", "go build and run", "cd $(mktemp -d) && export HOME=$PWD && cp /opt/app/hello.go . && go build hello.go && ./hello", (ROOT, USER), {}),
    ("build", "cargo build --offline", "cd $(mktemp -d) && export HOME=$PWD && cp -r /opt/app/crate c && cd c && cargo build -q --offline && target/debug/kfc", (ROOT, USER), {}),
    ("build", "javac and java", "cd $(mktemp -d) && cp /opt/app/Hello.java . && javac Hello.java && java -Xmx64m Hello", (ROOT, USER), {}),
    ("build", "jdb: a break point, a variable", "cd $(mktemp -d) && cp /opt/app/Wait.java . && javac -g Wait.java && python3 /opt/app/talk.py jdb -J-Xmx64m Wait -- '> ' 'stop in Wait.two' 'Deferring' 'run' 'main[1] ' 'locals' 'x = 21' 'cont' 'exited' ''", (ROOT, USER), {}),
    ("build", "jcmd and jstack: a running JVM is asked", "cd $(mktemp -d) && cp /opt/app/Wait.java . && javac -g Wait.java && (java -Xmx64m Wait wait >log & echo $! >pid) && until grep -q ready log; do kill -0 $(cat pid); sleep 0.1; done; jcmd $(cat pid) VM.version >/dev/null && jstack $(cat pid) | grep Wait.main && kill $(cat pid)", (ROOT, USER), {}),
    ("build", "node --inspect: a break point, a variable", "cd $(mktemp -d) && echo 'function two(x) { debugger; return 2 * x; } console.log(two(21));' >a.js && "
     "python3 /opt/app/talk.py node inspect --port=$((9000 + $(id -u) % 1000)) a.js -- 'Break on start' 'cont' 'break in a.js:1' 'exec(\"x\")' '> 21' 'cont' '< 42' '.exit'", (ROOT, USER), {}),
    ("build", "perl", "perl -MFile::Temp=tempfile -e 'my ($f,$n)=tempfile(); print $f 1; print `ls`'", EVERY, {}),
    ("server", "curl of a local server", "cd $(mktemp -d) && echo x >index.html && (python3 -m http.server 8099 --bind 127.0.0.1 >/dev/null 2>&1 & echo $! >pid); for i in $(seq 100); do curl -sf http://127.0.0.1:8099/ && break; sleep 0.05; done; kill $(cat pid)", (ROOT, USER), {}),
    ("server", "nginx", "nginx -g 'pid /run/nginx.pid; error_log /dev/stderr;' && curl -sf http://127.0.0.1/ >/dev/null && nginx -s stop -g 'pid /run/nginx.pid;'; sleep 0.3; ! pgrep -x nginx", (ROOT,), {}),
    ("server", "redis", "cd $(mktemp -d) && redis-server --port 7379 --daemonize yes --pidfile $PWD/p --dir $PWD >/dev/null && for i in $(seq 100); do redis-cli -p 7379 set a b 2>/dev/null && break; sleep 0.05; done; redis-cli -p 7379 save && redis-cli -p 7379 shutdown nosave || true; test -s dump.rdb", (ROOT, USER), {}),
    ("server", "postgres: initdb as its user, start, query", "mkdir -p /var/lib/postgresql/d && chown postgres /var/lib/postgresql/d && gosu postgres sh -c 'cd /tmp; B=$(ls -d /usr/lib/postgresql/*/bin); $B/initdb -D /var/lib/postgresql/d/x >/dev/null && $B/pg_ctl -D /var/lib/postgresql/d/x -w -o \"-k /tmp\" -l /tmp/pg.log start >/dev/null && psql -h /tmp -c \"select 1\" && $B/pg_ctl -D /var/lib/postgresql/d/x -m fast stop'", (ROOT,), {}),
    ("users", "setpriv drops to a user who writes his home", "mkdir -p /home/app && chown 1000:1000 /home/app && setpriv --reuid 1000 --regid 1000 --clear-groups sh -c 'cd /home/app && echo x >f && cat f && id -u'", (ROOT,), {}),
    ("users", "gosu", "gosu nobody id -un", (ROOT,), {}),
    ("users", "su to a user", "su -s /bin/sh nobody -c 'id -un'", (ROOT,), {}),
    ("kernel", "/proc/self in children", "sh -c 'cat /proc/self/status >/dev/null && sh -c \"cat /proc/self/maps >/dev/null; ls /proc/self/fd; cat /proc/sys/kernel/hostname /proc/meminfo\" >/dev/null'", EVERY, {}),
    ("kernel", "cgroup and CPU detection", "nproc && cat /proc/self/cgroup >/dev/null && ls /sys/fs/cgroup >/dev/null && cat /sys/devices/system/cpu/online", EVERY, {}),
    ("kernel", "/dev/stdout, /dev/stderr, /dev/fd", "echo x >/dev/stdout && echo y >/dev/stderr && cat <(echo z) && echo w >>/proc/self/fd/1", EVERY, {"bash": True}),
    ("kernel", "/dev/null, zero, urandom, shm", "head -c1 /dev/urandom >/dev/null && head -c1 /dev/zero >/dev/null && echo x >/dev/shm/f-$(id -u) && rm /dev/shm/f-$(id -u)", EVERY, {}),
    ("kernel", "termination log", "echo bye >/dev/termination-log", (ROOT,), {}),
    ("kernel", "a terminal", "tty && stty size && echo x >/dev/tty", (ROOT, USER), {"tty": True}),
    ("volumes", "a volume, a file and a subPath", "echo x >/data/new && echo x >/etc/app.conf && cat /data/sub/in && echo x >/data/sub/out", (ROOT,), {}),
    ("volumes", "a read-only volume", "cat /config/key && ! touch /config/x 2>/dev/null", EVERY, {}),
)

# What is put under /opt/app, at / and below /srv: a work directory below /opt is read only.
FILES = {
    "srv/app/keep": "",
    "opt/app/run.sh": "#!/bin/sh\necho ran\n",
    "opt/app/sub/keep": "",
    "entrypoint.sh": "#!/bin/sh\necho entry\n",
    "opt/app/mp.py": "import multiprocessing as m\nfrom multiprocessing import shared_memory as s\ndef f(x):\n    return x * x\nif __name__ == '__main__':\n"
                     "    l = m.Lock()\n    with m.Pool(2) as p:\n        assert p.map(f, [1, 2, 3]) == [1, 4, 9]\n    a = s.SharedMemory(create=True, size=10)\n    a.close(); a.unlink()\n",
    # talk.py PROGRAM ... -- WHAT IT SAYS LINE ...: the line is sent once that was said.
    "opt/app/talk.py": """import os, select, signal, subprocess, sys
i = sys.argv.index('--')
p = subprocess.Popen(sys.argv[1:i], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
said = everything = ''
for want, line in zip(sys.argv[i + 1::2], sys.argv[i + 2::2]):
    while want not in said:
        got = os.read(p.stdout.fileno(), 4096).decode() if select.select([p.stdout], [], [], 60)[0] else ''
        if not got:
            os.killpg(p.pid, signal.SIGKILL)
            sys.exit(f'{want!r} was not said: {everything!r}')
        said, everything = said + got, everything + got
    said = said.split(want, 1)[1]
    os.write(p.stdin.fileno(), line.encode() + b'\\n' if line else b'')
p.communicate(timeout=60)
""",
    "opt/app/hello.c": "#include <stdio.h>\nint main(void) { return puts(\"hello\") < 0; }\n",
    "opt/app/hello.go": "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(\"hello\") }\n",
    "opt/app/Hello.java": "class Hello { public static void main(String[] a) throws Exception { System.out.println(Runtime.getRuntime().availableProcessors()); java.io.File.createTempFile(\"kfx\", \"y\"); } }\n",
    "opt/app/Wait.java": "class Wait { static int two(int x) { return 2 * x; } public static void main(String[] a) throws Exception { System.out.println(a.length + two(21)); if (a.length > 0) { System.out.println(\"ready\"); Thread.sleep(1000000); } } }\n",
    "opt/app/crate/Cargo.toml": "[package]\nname = \"kfc\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
    "opt/app/crate/src/main.rs": "fn main() { println!(\"hello\"); }\n",
    "opt/app/kfpkg/package.json": "{\"name\": \"kfpkg\", \"version\": \"1.0.0\", \"main\": \"i.js\"}\n",
    "opt/app/kfpkg/i.js": "console.log('hello')\n",
}
