# SPDX-License-Identifier: Apache-2.0
"""The ways out of a pod that ways.c tries, and what is to become of each: one table for containers of a runtime, pods of
a kubelet, and whoever else gets into them.

    said, out = tried(net, lambda: text of ways in a container of that network)
    opened(t, "an open pod", said, out)         # the control
    closed(t, "a process that enters", said, out)
"""
from collections.abc import Callable

from field import DNS, INTERNET, INTERNET6, Net
from lib.tap import Tap

# Who gets out of an open pod by it: anybody, who has CAP_NET_RAW, or nobody for certain, since the machine may lack it.
ANYBODY, RAW, PERHAPS = "anybody", "raw", "perhaps"
WAYS = {
    "tcp": ANYBODY, "broker-port": ANYBODY, "tcp6": ANYBODY, "device": ANYBODY, "fast-open": ANYBODY, "udp": ANYBODY, "udp6": ANYBODY,
    "dns": ANYBODY, "dns-tcp": ANYBODY, "raw": RAW, "packet": RAW, "mark": PERHAPS, "mptcp": PERHAPS, "sctp": PERHAPS, "ping": PERHAPS,
    "vsock": PERHAPS, "netfilter": PERHAPS, "uring": PERHAPS,
}
ARGS = ("ways", INTERNET, INTERNET6, DNS)  # then the mark to set, and the only way to try


def tried(net: Net, run: Callable[[], str]) -> tuple[dict[str, str], set]:
    """What `ways` said, each way's word, and what left the pod meanwhile."""
    text, out = net.watched(run)
    said = {}
    for line in text.splitlines():
        word = line.partition(" ")
        if word[0] in WAYS:
            said[word[0]] = word[2]
    return said or {"failed": text}, out


def opened(t: Tap, who: str, said: dict[str, str], out: set, raw: bool = True) -> None:
    """The control: these ways lead out, and are seen to."""
    shut = {w: said.get(w) for w, by in WAYS.items() if by in (ANYBODY, *([RAW] if raw else [])) and said.get(w) not in ("sent", "Connection refused")}
    t.ok(not shut, f"control: {who}: every way leads out", f"{shut} {said}")
    t.ok({o[0] for o in out} >= {"tcp", "udp", *(("ip 253", "ether 0x88b6") if raw else ())}, f"control: {who}: and is seen", out)


def closed(t: Tap, who: str, said: dict[str, str], out: set, each: bool = False) -> None:
    """No way leads out; @each: a line for each of them."""
    if each:
        for way in WAYS:
            t.ok(said.get(way, "sent") != "sent", f"{who}: closed: {way}", said)
    missing = {w: said.get(w) for w in WAYS if said.get(w, "sent") == "sent"}
    t.ok(not missing and not out, f"{who}: nothing leaves the pod", f"{missing} {out} {said}")
