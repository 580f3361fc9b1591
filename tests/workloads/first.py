# SPDX-License-Identifier: Apache-2.0
"""First programs of a container: init systems, and a Java service in a root file system that has nothing else."""
import os
import re
import shutil
import subprocess
import tempfile

import box
import matrix
import roots

# What each init system starts: a service that ends on SIGTERM, and leaves children behind that nobody waits for.
SERVICE = """#!/bin/sh
trap 'echo stopped; exit 0' TERM
for i in 1 2 3; do (sleep 0 & exec true); done
echo ready
while :; do sleep 0.1; done
"""
INITS = {
    "tini": ["tini", "--", "/opt/app/service"],
    "dumb-init": ["dumb-init", "/opt/app/service"],
    # As s6-overlay does: the image's services, supervised in a directory that is written.
    "s6-svscan": ["sh", "-c", "cp -r /opt/app/services /run/service && exec s6-svscan /run/service"],
}
KINDS = (matrix.CONTROL, matrix.DEFAULT, matrix.RESTRICTED)
WRAP = ["/nono/nono", "wrap", "--"]
JRE = "/usr/lib/jvm/default-java"
SERVICE_JAVA = """import com.sun.net.httpserver.*; import java.net.*; import java.nio.file.*;
class Service {
    public static void main(String[] a) throws Exception {
        URI here = URI.create("http://127.0.0.1:8090/");
        if (a.length > 0) {
            System.out.println(new String(here.toURL().openStream().readAllBytes()));
            return;
        }
        HttpServer s = HttpServer.create(new InetSocketAddress("127.0.0.1", 8090), 0);
        s.createContext("/", x -> {
            Path f = Files.createTempFile("a", "b");
            Files.writeString(f, "served by " + Runtime.version().feature());
            byte[] b = Files.readAllBytes(f);
            x.sendResponseHeaders(200, b.length);
            x.getResponseBody().write(b);
            x.close();
        });
        s.setExecutor(java.util.concurrent.Executors.newFixedThreadPool(4));
        s.start();
        System.out.println("ready");
    }
}
"""


def loopback(b: box.Box) -> None:
    """containerd's network namespace has a working one."""
    subprocess.run(["nsenter", f"--net=/proc/{b.pid()}/ns/net", "ip", "link", "set", "lo", "up"], check=True)


def file(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    os.chmod(path, 0o755)


def inits(t, policy) -> None:
    """Each forwards a stop, and no dead process stays."""
    for name, init in INITS.items():
        for kind in KINDS:
            where = tempfile.mkdtemp(prefix="kf-work-")
            os.chmod(where, 0o755)
            overlay = roots.Overlay(roots.debian("servers"), where)
            try:
                for service in ("service", "services/a/run"):
                    file(f"{overlay.path}/opt/app/{service}", SERVICE)
                wrapped = (WRAP if kind.profile else []) + init
                with box.Box(rootfs=overlay.path, init=wrapped, seccomp=policy(kind.seccomp)) as b:
                    b.start(ready="ready")
                    dead = b.exec(["sh", "-ec", "for i in $(seq 100); do ps -eo stat= | grep -q Z || exit 0; sleep 0.1; done; exit 1"], profile=kind.profile)
                    t.ok(dead.returncode == 0, f"{kind.name}: {name} as the first program: no dead process stays", dead.stdout + dead.stderr)
                    b.exec(["sh", "-c", "kill -TERM 1"], profile=kind.profile)
                    # dumb-init signals the whole group, of which the service's shell tells.
                    said = [b.out.readline()]
                    while "stopped" not in said[-1] and len(said) < 5:
                        said.append(b.out.readline())
                    t.equal(said[-1], "stopped\n", f"{kind.name}: {name} as the first program: what it started hears of the stop")
            finally:
                overlay.close()
                shutil.rmtree(where, ignore_errors=True)


def distroless(t, policy) -> None:
    """A Java runtime, the libraries that it needs, and one class: no shell, no /bin, no /etc."""
    where = tempfile.mkdtemp(prefix="kf-work-")
    os.chmod(where, 0o755)
    overlay = roots.Overlay(roots.debian("languages"), where)
    bare = f"{where}/bare"
    try:
        file(f"{overlay.path}/opt/app/Service.java", SERVICE_JAVA)
        with box.Box(rootfs=overlay.path) as b:
            b.start()
            p = b.exec(["sh", "-ec", f"{JRE}/bin/javac -d /opt/app /opt/app/Service.java\n{JRE}/bin/jlink --add-modules java.base,jdk.httpserver --output /opt/jre\n"
                        "ldd /opt/jre/bin/java /opt/jre/lib/server/libjvm.so /opt/jre/lib/libnet.so"])
        if p.returncode:
            raise RuntimeError(p.stderr)
        # ldd's lines are "NAME => PATH (ADDRESS)" and "PATH (ADDRESS)".
        for library in set(re.findall(r"(?:^\s*|=> )(/lib\S+) \(", p.stdout, re.MULTILINE)):
            os.makedirs(os.path.dirname(f"{bare}{library}"), exist_ok=True)
            shutil.copy(f"{overlay.path}{library}", f"{bare}{library}")
        shutil.copytree(f"{overlay.path}/opt/jre", f"{bare}/opt/jre")
        shutil.copytree(f"{overlay.path}/opt/app", f"{bare}/app")
        os.mkdir(f"{bare}/tmp")
        os.chmod(f"{bare}/tmp", 0o1777)
        java = ["/opt/jre/bin/java", "-Xmx64m", "-cp", "/app", "Service"]
        for kind in KINDS:
            with box.Box(rootfs=bare, init=(WRAP if kind.profile else []) + java, seccomp=policy(kind.seccomp)) as b:
                b.start(ready="ready")
                loopback(b)
                for user in (matrix.ROOT, matrix.NOBODY):
                    p = b.exec([*java, "ask"], profile=kind.profile, user=user)
                    t.ok(p.stdout.startswith("served by "), f"{kind.name}: a distroless Java service answers one of its kind, uid {user.split(':')[0]}", p.stdout + p.stderr)
    finally:
        overlay.close()
        shutil.rmtree(where, ignore_errors=True)
