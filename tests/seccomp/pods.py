# SPDX-License-Identifier: Apache-2.0
"""The probe in pods of a real containerd: through the plugin and through the guard, beside
pods of the plain handler, unconfined and under containerd's own RuntimeDefault."""
import json

from lib import images, node
from lib.containerd import Containerd
from lib.cri import CriError
from filters import BUILD, build
import bundle
import matrix

# The CRI's SecurityProfile.
RUNTIME_DEFAULT = {"seccomp": {"profile_type": "RuntimeDefault"}}
UNCONFINED = {"seccomp": {"profile_type": "Unconfined"}}
LOCALHOST = {"seccomp": {"profile_type": "Localhost", "localhost_ref": "/run/strict.json"}}

# In containerd's RuntimeDefault, but not known to the libseccomp that runc is built with, which leaves them out; the guard
# knows their numbers.
UNKNOWN_TO_RUNC = {"mseal", "removexattrat"}


def denied(outcome: str) -> bool:
    return outcome in ("EPERM", "ENOSYS", "SIGSYS")


def compare(t, got: dict, control: dict, fates: dict, what: str) -> None:
    """As matrix.compare(), but the control may lack the right as well (default capabilities)."""
    wrong = [
        f"{name}: {got.get(name)}, decided: {fate}, unconfined: {control[name]}"
        for name, fate in fates.items()
        if name in control and not (
            got.get(name) == fate or matrix.wanted(fate, control[name], got.get(name, "-"), "runc")
            or (fate == "pass" and got.get(name) == control[name])
        )
    ]
    t.ok(len(got) == len(control) > 100 and not wrong, f"{what}: {len(control)} calls end as decided",
         "\n".join(wrong) or got)


def probe(c: Containerd, image: str, handler: str, privileged: bool = False, **options) -> dict:
    pod = c.pod("probe", handler=handler, linux={"security_context": {"privileged": privileged}})
    ctr = pod.container(image, ["/probe"], privileged=privileged, **options).start()
    code, text = ctr.wait(), ctr.log()
    pod.remove()
    if code:
        raise RuntimeError(f"probe: exit {code}: {text}")
    return bundle.outcomes(text)


def cases(t, c: Containerd, image: str, way: str, guarded: bool) -> None:
    restricted = matrix.decisions()["restricted"]
    c.write("/run/strict.json", json.dumps(matrix.LOCALHOST))
    free = probe(c, image, "runc", security=UNCONFINED)
    own = probe(c, image, "runc", security=RUNTIME_DEFAULT)
    compare(t, probe(c, image, "nono-runc", security=UNCONFINED), free, restricted, f"{way}, unconfined pod")
    got = probe(c, image, "nono-runc", security=RUNTIME_DEFAULT)
    # Older than moby's profile, containerd's knows some calls not yet: the intersection denies them.
    known = UNKNOWN_TO_RUNC if guarded else set()
    fates = {n: own[n] if f == "newer" and denied(own[n]) and n not in known else f for n, f in restricted.items()}
    compare(t, got, free, fates, f"{way}, RuntimeDefault pod")
    # int80, x32 and old families: containerd's profile lets them pass, ours does not.
    print(f"# {way}: different from containerd's RuntimeDefault: "
          + ", ".join(f"{n} {own[n]} -> {got[n]}" for n in own if own[n] != got[n]))
    t.equal({n for n in own if denied(own[n]) and not denied(got[n])} - known, set(),
            f"{way}: nothing passes that containerd's RuntimeDefault denies")
    strict = probe(c, image, "nono-runc", security=LOCALHOST)
    compare(t, strict, free, restricted | matrix.LOCALHOST_FATES, f"{way}, pod with its own profile")
    control = probe(c, image, "runc", privileged=True)
    t.ok(control["mount"] == "EFAULT" and control["clone:newuser"] == "ok",
         f"{way}: the privileged control may mount and make namespaces", control)
    compare(t, probe(c, image, "nono-runc", privileged=True), control, restricted, f"{way}, privileged pod")


def refused(t, c: Containerd, image: str) -> None:
    """containerd 2.2 tells the plugin that there is a Localhost profile, but not what it says."""
    node.install(c, guard=False)
    c.write("/run/strict.json", json.dumps(matrix.LOCALHOST))
    plugin = node.Plugin(c)
    plugin.start()
    try:
        probe(c, image, "nono-runc", security=LOCALHOST)
        said = ""
    except CriError as e:
        said = str(e)
    t.ok("Localhost" in said and "RuntimeDefault" in said,
         "containerd 2.2, plugin: a pod with its own profile is refused, with the remedy", said)
    t.equal(probe(c, image, "runc", security=LOCALHOST)["mq_open"], "EACCES",
            "containerd 2.2: the same pod with the plain handler runs under its profile")
    t.equal(probe(c, image, "nono-runc", security=RUNTIME_DEFAULT)["ptrace"], "EPERM",
            "containerd 2.2, plugin: with RuntimeDefault it gets the level")
    plugin.stop()


def run(t, lines=("2.4",), old=False) -> None:
    build("seccomp_probe")
    probe_image = images.build(
        "localhost/kubefence/seccomp-probe:1",
        {"probe": BUILD / "tests/seccomp/seccomp_probe"}, base=images.busybox(),
    )
    if old:
        with Containerd("2.2") as c:
            refused(t, c, c.load(probe_image))
    for line in lines:
        with Containerd(line) as c:
            node.install(c, guard=False)
            plugin = node.Plugin(c)
            plugin.start()
            cases(t, c, c.load(probe_image), f"containerd {line}, plugin", False)
            plugin.stop()
        with Containerd(line, handlers=node.GUARDED) as c:
            node.install(c)
            plugin = node.Plugin(c)
            plugin.start()  # publishes settings and profiles
            cases(t, c, c.load(probe_image), f"containerd {line}, plugin and guard", True)
            plugin.stop()
            cases(t, c, c.load(probe_image), f"containerd {line}, guard alone", True)
