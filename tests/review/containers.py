# SPDX-License-Identifier: Apache-2.0
"""Which containers get an overlay, what they share, and what is refused; beside each the same without the annotation."""
import subprocess
from pathlib import Path

from lib_review import KEPT, RUN, Pod, kubefence


def left(pod: Pod) -> list[str]:
    with open("/proc/self/mountinfo") as f:
        return [line for line in f if pod.uid in line] + [str(d) for d in (KEPT, RUN) if (d / pod.uid).exists()]


def kept_apart(t, node, mode):
    with Pod(node, fill=lambda v: (v / "f").write_text("old\n")) as pod:
        plain = pod.start(reviewed=False)
        reviewed = pod.ids[0]
        r = pod.sh("cat /work/f; echo new >/work/f; echo more >/work/g; cat /work/f", reviewed)
        t.ok(r.out == "old\nnew\n" and (pod.volume / "f").read_text() == "old\n" and not (pod.volume / "g").exists(),
             "a container writes beside a reviewed volume, and sees what it wrote", f"{r}")
        r = pod.sh("echo raw >/work/r", plain)
        t.ok((pod.volume / "r").read_text() == "raw\n", "without the annotation it writes to the volume", f"{r}")
        second = pod.start()
        r = pod.sh("cat /work/f; echo second >/work/h", second)
        t.ok(r.out == "new\n" and pod.sh("cat /work/h", reviewed).out == "second\n", "all containers of the pod see the same", f"{r}")
        pod.stop()
        t.ok(not [m for m in left(pod) if "merged" in m] and not (RUN / pod.uid).exists(), "with the last container the overlay goes", f"{left(pod)}")
        r = kubefence("list")
        pod.start()
        t.ok(f"{pod.uid} work ended" in r.out and pod.sh("cat /work/f /work/h").out == "new\nsecond\n", "what was written stays for the next one", f"{r}")
        r = pod.kubefence("discard")
        t.ok(r.code == 0 and "as soon as" in r.out and pod.sh("cat /work/f").out == "new\n", "a discard waits for running containers", f"{r}")
        pod.stop()
        t.ok(left(pod) == [] and (pod.volume / "f").read_text() == "old\n", "and then nothing is left of it", f"{left(pod)}")


def nothing_left(t, node, mode):
    with Pod(node) as pod:
        pod.sh("cat /work/*")
        pod.stop()
        t.ok(left(pod) == [], "a pod that changes nothing leaves nothing", f"{left(pod)}")
        b = pod.bundle(["/no/such/program"])
        r = node.call("create", "--bundle", b.dir, node.id())
        t.ok(r.code != 0 and left(pod) == [], "nor does a container that cannot be created", f"{r} {left(pod)}")
        b = pod.bundle()
        for _ in range(2):  # a bundle that is used a second time
            cid = node.start(b)
            pod.ids.append(cid)
            r = pod.sh("echo again >>/work/f; cat /work/f")
            node.delete(cid)
        t.ok(r.out == "again\nagain\n" and not (pod.volume / "f").exists(), "a bundle that is used twice has the overlay twice", f"{r}")


def refused(t, node, mode):
    def attempt(name: str, why: str, pod: Pod, change=None, **kw):
        b = pod.bundle(**kw)
        if change:
            change(b.config)
            b.write()
        r = node.call("create", "--bundle", b.dir, cid := node.id())
        t.ok(r.code != 0 and why in r.err, f"refused: {name}", f"{r}")
        node.delete(cid)

    pod = Pod(node, start=False)
    attempt("a value that means nothing", "is not \"review\"", pod, annotations={"nono.sh/volume.work": "yes"})
    attempt("a name that no volume has", "no volume has such a name", pod, annotations={"nono.sh/volume.A": "review"})
    attempt("a volume that the kubelet does not know by this name", "say where containers mount it", pod, annotations={"nono.sh/volume.other": "review"})
    attempt("mountPropagation", "mountPropagation", pod, options=("rbind", "rshared", "rw"))
    attempt("a user namespace", "user namespace", pod, change=lambda c: c["linux"]["namespaces"].append({"type": "user"}))
    attempt("an idmapped mount", "user namespace",
            pod, change=lambda c: c["mounts"][-1].update(uidMappings=[{"containerID": 0, "hostID": 1000, "size": 1}]))
    attempt("SELinux", "SELinux", pod, change=lambda c: c["linux"].update(mountLabel="system_u:object_r:container_file_t:s0"))
    file = pod.volume / "file"
    file.touch()
    attempt("a single file", "no directory", pod, source=file)
    secret = Pod(node, plugin="kubernetes.io~secret", start=False)
    attempt("a Secret", "the kubelet itself writes it", secret)
    other = node.dir / "other"
    for d in ("lower", "upper", "work"):
        (other / d).mkdir(parents=True)
    subprocess.run(["mount", "-t", "overlay", "-o", f"lowerdir={other}/lower,upperdir={other}/upper,workdir={other}/work", "x", pod.volume], check=True)
    attempt("a volume that is an overlay itself", "is on overlay", pod)
    subprocess.run(["umount", pod.volume], check=True)
    subprocess.run(["mount", "-t", "ramfs", "x", pod.volume], check=True)
    attempt("a volume on a file system that was never tried", "no review was ever tried", pod)
    subprocess.run(["umount", pod.volume], check=True)
    t.ok(left(pod) == [], "refused: nothing is left", f"{left(pod)}")
    with Pod(node, fill=lambda v: (v / "sub").mkdir()) as whole:
        attempt("another part of a volume that is reviewed already", "another part of it", whole, source=whole.volume / "sub")


def by_path(t, node, mode):
    """A claim or a hostPath, which the kubelet does not call by the volume's name."""
    where = node.dir / "srv/data:with,odd\\name"
    with Pod(node, volume=where, value="review:/work:/more/") as pod:
        r = pod.sh("echo x >/work/f")
        r2 = pod.kubefence("commit")
        t.ok(r.code == 0 and r2.code == 0 and (where / "f").read_text() == "x\n", "review:/PATH finds it, whatever the node calls it", f"{r} {r2}")
        cid = pod.start(at="/more")
        t.ok(pod.sh("cat /more/f", cid).out == "x\n" and pod.sh("echo y >/more/g; echo", cid).code == 0 and not (where / "g").exists(), "at each of the paths")
        r = node.call("create", "--bundle", pod.bundle(at="/third").dir, third := node.id())
        t.ok(r.code != 0 and "as it is at '/third'" in r.err, "and a container that has it at another one is refused", f"{r}")
        node.delete(third)


def in_parts(t, node, mode):
    """A volume is reached in part, and with what it lies in, by other paths and mounts, as the kubelet makes them for a subPath."""
    top = node.dir / "srv/pods data"
    where = top / "volume"
    for d in (where / "sub/deep", top / "beside", top / "volume2", top / "links"):
        d.mkdir(parents=True)
    (where / "file").touch()
    (top / "links/to").symlink_to(where / "sub")
    kubelets = top / "volume-subpaths"
    mounted = {"whole": where, "part": where / "sub", "deep": where / "sub/deep", "beside": top / "beside"}
    for name, source in mounted.items():
        (kubelets / name).mkdir(parents=True)
        subprocess.run(["mount", "--bind", source, kubelets / name], check=True)
    try:
        sources = {where: True, where / "sub": True, where / "sub/deep": True, where / "file": True, top: True, node.dir: True, Path("/"): True, top / "links/to": True,
                   top / "links/to/deep": True, kubelets / "whole": True, kubelets / "whole/sub": True, kubelets / "part": True, kubelets / "part/deep": True,
                   kubelets / "deep": True, top / "beside": False, top / "volume2": False, kubelets / "beside": False, top / "links": False, kubelets: True}
        for reviewed in (where, kubelets / "whole", where / "sub", kubelets / "part"):
            part = reviewed in (where / "sub", kubelets / "part")
            for source, refused in sources.items():
                if part and source == where / "file":
                    refused = False
                with Pod(node, volume=reviewed, value="review:/work", start=False) as pod:
                    b = pod.bundle()
                    kind = "dir" if source.is_dir() else "file"
                    b.config["mounts"].append({"destination": f"/tmp/{kind}", "type": "bind", "source": str(source), "options": ["rbind", "rprivate", "rw"]})
                    r = node.call("create", "--bundle", b.write().dir, cid := node.id())
                    t.ok(r.code != 0 and f"as it is at '/tmp/{kind}'" in r.err if refused else r.code == 0,
                         f"{reviewed.relative_to(node.dir)} is reviewed, {source} is mounted: {'refused' if refused else 'starts'}", f"{r}")
                    node.delete(cid)
    finally:
        for name in mounted:
            subprocess.run(["umount", kubelets / name], check=True)


def limited(t, node, mode):
    node.settings(log="review 8\n")
    with Pod(node) as pod:
        r = pod.sh("dd if=/dev/zero of=/work/big bs=1M count=32; ls /work | wc -l")
        t.ok("No space left" in r.err and (pod.seen / "big").stat().st_size <= 8 << 20, "what a pod may change has a limit", f"{r}")
    node.settings(log="review 1\n")
    with Pod(node) as pod:
        r = pod.sh("i=0; while [ $i -lt 1200 ]; do i=$((i+1)); echo >/work/$i || break; done 2>/dev/null; echo $i")
        t.ok(r.code == 0 and int(r.out.split()[-1]) < 1200, "in files, too", f"{r.out}")
    node.settings()


CASES = (kept_apart, refused)
ALL = (nothing_left, by_path, in_parts, limited)
