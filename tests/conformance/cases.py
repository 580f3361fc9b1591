# SPDX-License-Identifier: Apache-2.0
"""Each case proves one thing about one NRI release; see README.md."""
import signal
import subprocess

from lib.wait import DEADLINE, wait_until

from harness import CONTAINER, OTHER_POD, POD, PREFIX, SPEC, end, lines

CASES = []


def case(fn=None, needs_adjust=False):
    """A case; with needs_adjust only where arguments can be adjusted."""
    if fn is None:
        return lambda f: case(f, needs_adjust)
    fn.needs_adjust = needs_adjust
    CASES.append(fn)
    return fn


def wrapped(answer: dict) -> dict:
    """The container of @answer as it starts."""
    spec = answer["spec"]
    return {**CONTAINER, "args": spec["process"]["args"], "env": spec["process"]["env"],
            "mounts": [{k: v for k, v in m.items()} for m in spec["mounts"]]}


def pruned(tree):
    """@tree without its empty branches, which the adaptation adds; None if nothing is left."""
    if isinstance(tree, dict):
        kept = {k: p for k, v in tree.items() if (p := pruned(v)) is not None}
        return kept or None
    return tree


def untouched(s, what: str) -> None:
    answer = s.create(pod=OTHER_POD)
    s.equal((pruned(answer.get("adjust")), answer["spec"]["process"]["args"]), (None, SPEC["process"]["args"]), what)


@case(needs_adjust=True)
def a_container_lives_and_dies(s):
    s.begin()
    s.event("RUN_POD_SANDBOX")
    answer = s.create()
    spec = answer["spec"]
    s.equal(spec["process"]["args"], PREFIX + CONTAINER["args"], "the command is wrapped in the OCI spec")
    s.ok("NONO_PROFILE=default" in spec["process"]["env"] and "A=1" in spec["process"]["env"], "env tells the profile", spec)
    mount = [m for m in spec["mounts"] if m["destination"] == "/nono"]
    s.ok(len(mount) == 1 and mount[0]["source"] == str(s.dir / "opt") and {"ro", "rprivate"} <= set(mount[0]["options"]),
         "the launcher is mounted once, read-only and private", spec["mounts"])
    seccomp = spec["linux"]["seccomp"]
    names = {n for rule in seccomp["syscalls"] for n in rule["names"] if rule["action"] == "SCMP_ACT_ALLOW"}
    clone3 = [(r["action"], r.get("errnoRet")) for r in seccomp["syscalls"] if "clone3" in r["names"]]
    # Both are ENOSYS; NRI 0.10 and 0.11 would crash on the first.
    s.equal(clone3, [("SCMP_ACT_TRACE", None) if s.version.crashes_on_errno else ("SCMP_ACT_ERRNO", 38)],
            "clone3 fails such that the C library falls back")
    s.ok(seccomp["defaultAction"] == "SCMP_ACT_ERRNO" and seccomp["architectures"] == ["SCMP_ARCH_X86_64"]
         and "read" in names and not names & {"ptrace", "io_uring_setup"}, "seccomp is restricted", seccomp)
    untouched(s, "a container out of scope gets no change at all")
    metadata = s.state() / "uid-1/c1/metadata.json"
    s.ok(wait_until(metadata.exists, "its state file"), "a state file tells of the container")
    s.event("POST_CREATE_CONTAINER")
    s.event("START_CONTAINER", container=wrapped(answer))
    s.ok(True, "a wrapped container may start")
    s.refused("an unwrapped container may not", s.event, "START_CONTAINER")
    s.event("START_CONTAINER", pod=OTHER_POD)
    s.ok(True, "an unwrapped container out of scope may")
    s.event("POST_START_CONTAINER")
    s.call("update", Pod=POD, Container=wrapped(answer))
    s.event("POST_UPDATE_CONTAINER")
    s.call("stop", Pod=POD, Container=wrapped(answer))
    s.event("REMOVE_CONTAINER")
    s.ok(not metadata.exists(), "the state file goes with the container")
    for event in ("STOP_POD_SANDBOX", "REMOVE_POD_SANDBOX"):
        s.event(event)
    told = [e["msg"] for e in s.events()]
    s.ok({"injected", "skip", "container-stopping", "container-removed"} <= set(told), "the log tells all of it", told)
    s.equal(s.call("status").get("failures"), None, "the runtime had nothing to complain about")


@case
def a_runtime_that_drops_adjustments_is_refused(s):
    if s.version.adjusts:
        return
    s.begin()
    s.refused("a container in scope is refused", s.create, says="containerd 2.2")
    untouched(s, "one out of scope is created")
    s.refused("one that is created all the same may not start", s.event, "START_CONTAINER")
    s.event("START_CONTAINER", pod=OTHER_POD)
    s.ok(True, "one out of scope may")


@case
def what_the_runtime_takes_counts_not_its_version(s):
    """A vendor's release, whose version promises what the other releases have."""
    s.start(Version="v1.7.40" if s.version.adjusts else "2.4.2")
    s.plugin()
    s.wait(1)
    # The runtime is done with Synchronize before the plugin logs that it is connected.
    wait_until(lambda: any(e["msg"] == "connected" for e in s.events()), "the plugin's word that it is connected")
    if not s.version.adjusts:
        wait_until(lambda: any(e["msg"] == "events-refused" for e in s.events()), "its word of the events")
    refused = [e for e in s.events() if e["msg"] == "events-refused"]
    s.equal(len(refused), 0 if s.version.adjusts else 1, "the log says once that events were refused, or not at all")
    if s.version.adjusts:
        s.equal(s.create()["spec"]["process"]["args"], PREFIX + CONTAINER["args"], "newer than its version: sandboxed")
    else:
        s.refused("older than its version: refused", s.create, says="containerd 2.2")
    untouched(s, "... and one out of scope is created")


@case(needs_adjust=True)
def annotations_choose_the_profile_or_refuse(s):
    s.begin()
    strict = {**POD, "annotations": {"nono.sh/profile": "strict"}}
    s.equal(s.create(pod=strict)["spec"]["process"]["args"][:5], [*PREFIX[:3], "strict", "--"], "strict is strict")
    for value in ("stict", "", "../default", "a b"):
        s.refused(f"profile '{value}' refuses the pod", s.create, pod={**POD, "annotations": {"nono.sh/profile": value}})
    for key in ("io.katacontainers.config.runtime.disable_guest_seccomp", "io.katacontainers.config.agent.policy",
                "io.katacontainers.config.hypervisor.kernel_params", "io.kubernetes.cri.container-type"):
        s.refused(f"{key} refuses the pod", s.create, says="kata_annotations",
                  pod={**POD, "annotations": {key: "true"}})
    own = {"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": POD["id"]}
    s.equal(s.create(pod={**POD, "annotations": own})["spec"]["process"]["args"][:5], PREFIX, "what containerd itself says about every pod refuses none")
    s.refused("what only looks like it does", s.create, says="kata_annotations",
              pod={**POD, "annotations": {**own, "io.kubernetes.cri.sandbox-id": POD["id"] + "x"}})
    s.refused("no command refuses the pod", s.create, container={**CONTAINER, "args": []})
    s.equal(s.create()["spec"]["process"]["args"][:5], PREFIX, "the next pod is as good as ever")


@case
def synchronize_of_any_size(s):
    # Nothing, many, and over 4 MiB, which Go sends in parts.
    for pods, containers, size in ((0, 0, 0), (500, 2000, 100), (100, 2000, 4000)):
        s.start(Pods=pods, Containers=containers, ContainerSize=size)
        plugin = s.plugin()
        s.wait(1)
        untouched(s, f"synchronized with {containers} containers of {size} bytes")
        s.equal(s.call("status").get("failures"), None, f"without a failure ({containers} x {size})")
        s.equal(end(plugin), 0, "SIGTERM is a clean end")
        s.crash()


@case
def the_runtime_restarts(s):
    s.begin()
    for _ in range(2):
        s.crash()
        s.start()
        s.wait(1)
        untouched(s, "the plugin is back after a restart")
    if s.version.adjusts:
        s.equal(s.create()["spec"]["process"]["args"][:5], PREFIX, "and does its work")


@case
def two_instances(s):
    s.begin()
    second = s.plugin()  # same state directory
    s.ok(second.wait(timeout=DEADLINE) == 1, "a second instance on the same state ends at once", s.log().read_text())
    s.plugin("2")
    s.wait(2)
    s.refused("if two are connected all the same, a container in scope is refused", s.create)
    untouched(s, "and others are not concerned")


@case(needs_adjust=True)
def other_plugins_that_mean_no_harm(s):
    s.begin(("logger", "05"), ("env", "06"), ("mount", "20"), ("logger", "21"))
    spec = s.create()["spec"]
    s.equal(spec["process"]["args"], PREFIX + CONTAINER["args"], "the command is wrapped among other plugins")
    s.ok("FOREIGN=1" in spec["process"]["env"] and any(m["destination"] == "/data" for m in spec["mounts"]),
         "their changes are kept", spec)
    s.ok("/nono/nono" in (s.dir / "foreign-logger-21").read_text()
         and "/nono/nono" not in (s.dir / "foreign-logger-05").read_text(), "later plugins see the wrapped command")


# (mode, index): plugins whose change would run something outside the sandbox, or is a conflict.
HARMFUL = [("set-args", "05"), ("wrap-args", "05"), ("set-args", "20"), ("update-args", "20"), ("wrap-args", "20"), ("seccomp", "05"),
           ("seccomp", "20"), ("mount-nono", "20"), ("fail", "20")]


def harmful(mode: str, index: str):
    def harmful_plugin(s):
        s.begin((mode, index))
        s.refused(f"a container in scope is refused beside {mode} at {index}", s.create)
        if mode != "fail":
            s.create(pod=OTHER_POD)
            s.ok(True, f"one out of scope is created beside {mode} at {index}")

    harmful_plugin.__name__ = f"other_plugin_{mode}_{index}"
    return harmful_plugin


for mode_index in HARMFUL:
    case(harmful(*mode_index), needs_adjust=True)


@case(needs_adjust=True)
def only_what_the_guard_leaves_to_do(s):
    """Another plugin's change shows whether the runtime asks us to validate."""
    s.guard("nono-runc")
    s.begin(("update-args", "20"))
    s.equal(s.create()["spec"]["process"]["args"], ["/bin/evil"], "where the guard follows, nothing is validated: the guard wraps what there is")
    s.event("START_CONTAINER")
    s.ok(True, "nor is the start")
    s.guard("another")
    s.wait(3)
    s.refused("a handler that loses the guard is validated from then on", s.create)
    s.create(pod=OTHER_POD)
    s.ok(True, "and others are not concerned")
    s.equal(s.call("status").get("failures"), None, "the runtime had nothing to complain about")


@case(needs_adjust=True)
def the_default_validator_requires_us(s):
    s.start(Validator={"Enable": True, "RequiredPlugins": ["nono-nri"]})
    s.refused("without the plugin nothing is created", s.create)
    s.plugin()
    s.wait(1)
    s.equal(s.create()["spec"]["process"]["args"][:5], PREFIX, "with it all is well")
    untouched(s, "out of scope too")


@case(needs_adjust=True)
def a_plugin_that_dies_fails_closed(s):
    # From 0.12.5 on a dead plugin is out of the game, validation included: it has to be required.
    required = {"Validator": {"Enable": True, "RequiredPlugins": ["nono-nri"]}} if s.version.fail_closed else {}
    s.start(RequestMS=2000, **required)  # long enough for a busy machine's answers, and waited for once
    plugin = s.plugin()
    s.wait(1)
    end(plugin, signal.SIGKILL)
    s.refused("the request after its death is refused", s.create)
    plugin = s.plugin()
    s.wait(2)
    s.equal(s.create()["spec"]["process"]["args"][:5], PREFIX, "and accepted with the next plugin")
    plugin.send_signal(signal.SIGSTOP)
    s.refused("a request that it does not answer is refused", s.create)
    plugin.send_signal(signal.SIGCONT)
    s.wait(3)
    s.equal(s.create()["spec"]["process"]["args"][:5], PREFIX, "it comes back after a stall")


@case
def started_by_the_runtime(s):
    (s.dir / "plugins").mkdir()
    script = s.dir / "plugins/10-nono-nri"
    script.write_text("#!/bin/sh\nexec " + " ".join(f"'{a}'" for a in s.plugin_command()) + "\n")
    script.chmod(0o755)
    s.start()
    untouched(s, "a pre-installed plugin serves")
    if s.version.adjusts:
        s.equal(s.create()["spec"]["process"]["args"][:5], PREFIX, "and does its work")


@case
def the_example_of_the_library(s):
    s.start()
    hello = s.spawn([s.hello, s.socket], stdout=subprocess.PIPE, text=True)
    s.wait(1)
    answer = s.create()
    s.ok(any(e.startswith("NODE_NAME=") for e in answer["spec"]["process"]["env"]), "its adjustment is applied", answer)
    s.event("REMOVE_CONTAINER")
    s.crash()
    s.start()
    s.wait(1)
    want = ["ready", "create web/main", "remove web/main", "ready"]
    # The runtime has its answer to Synchronize before the plugin says that it is ready: a signal now could be quicker.
    s.equal(lines(hello, len(want)), want, "its callbacks were called, and it outlives the runtime")
    hello.terminate()
    s.equal(hello.stdout.read(), "", "and nothing else was")
