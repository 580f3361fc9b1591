# SPDX-License-Identifier: Apache-2.0
"""What commands of the pages are expected to end with and to print, where that is not just 0."""
import re
from dataclasses import dataclass

REFUSED = r"Permission denied|Operation not permitted|can't create|cannot open"


@dataclass
class Expected:
    begins: str  # the command
    says: str = ""  # a regular expression that its output matches
    status: tuple[int, ...] = (0,)
    file: str = ""  # of this page only
    endless: bool = False  # until Ctrl-C


EXPECTED = (
    Expected("kubefence try -- sh -c 'echo x > /etc/motd'", REFUSED, (1, 2)),
    Expected("kubefence try -- sh -c 'id; echo x > /etc/motd'", REFUSED, (1, 2)),
    Expected("out/bin/kubefence try -- sh -c 'echo x > /tmp/x && echo written", rf"(?=[\s\S]*written)[\s\S]*({REFUSED})", (1, 2)),
    Expected("out/bin/kubefence explain claude-code --path /etc/passwd", r"write /etc/passwd: DENIED", (1,)),
    Expected("out/bin/kubefence try --profile claude-code", REFUSED, (0, 1, 2)),
    Expected("out/bin/kubefence doctor", "Landlock", (0, 1)),
    Expected("kubefence try -- sh -c 'cat /var/run/secrets", REFUSED, (1, 2)),
    Expected("kubefence try -- sh -c 'tr ", r"NoNewPrivs:\s+1"),
    Expected("kubefence try -- sh -c 'grep -E \"NoNewPrivs", r"NoNewPrivs:\s+1"),
    Expected("kubefence try --plain -- sh -c 'grep -E \"NoNewPrivs", r"NoNewPrivs:\s+0"),
    # A node that is not set up yet, or whose doctor has something to say of this machine.
    Expected("kubefence doctor", "Landlock|√|×|success", (0, 1)),
    Expected("kubefence doctor -o short", "", (0, 1)),
    Expected("kubefence doctor --wait 120"),  # where the node is set up
    # Their exit statuses say what differs, and whether all is allowed.
    Expected("kubefence profile diff", "reaches", tuple(range(2, 64))),
    Expected("kubefence explain trainer.json --path /datasets", "/datasets/private/x: DENIED", (0, 1)),
    Expected("kubefence explain trainer.json --rootfs", "exec /app/run.sh", (1,)),
    Expected("kubefence explain mine.json", "gist.github.com: DENIED", (1,)),
    Expected("apt install", "kubefence-node"),
    Expected("systemctl status nono-nri", r"active \(running\)"),
    Expected("kubefence denials ", endless=True),
    Expected("kubefence denials\n", endless=True),
    Expected("kubefence logs -f", endless=True),
    Expected("kubefence status --watch", endless=True),
    Expected("kubectl port-forward", "Forwarding from", endless=True),
    Expected("kubectl get nodes -L nono.sh/ready", r"true\s+\d+"),
    Expected("kubectl logs hello", r"written[\s\S]*Permission denied"),
    Expected("helm test", "Succeeded"),
    Expected("kubectl nono status", "nono-runc"),
    # The examples' images are nowhere, which it tells.
    Expected("kubectl nono doctor", "the chart", (0, 1)),
    Expected("kubectl nono why POD --host", "host github.com: ", (0, 1)),
    Expected("curl -s http://POD_IP", "connected|ready|ok"),
    # securityfs need not be mounted where the tests run.
    Expected("kubectl debug node/", "landlock|can't open"),
    # Its exit status says that it is denied.
    Expected("kubectl exec POD -- nono why", "denied: write /etc/x", (0, 1)),
    Expected("kubectl exec reader -- sh -c 'nono why --path /repos", "denied", (0, 1)),
    # The kernel's log does not reach the namespace of this cluster; tests/e2e cluster denied has one that it reaches.
    # Reviews are off: docs/review.md switches them on later.
    Expected("kubectl nono diff POD", "review.enabled=true", (0, 1)),
    Expected("kubectl nono suggest", "/etc|no denial of pod", (0, 1)),
)


def of(file: str, command: str) -> Expected:
    plain = re.sub(r"\s+# .*", "", command).rstrip() + "\n"
    fits = [e for e in EXPECTED if plain.startswith(e.begins) and e.file in ("", file)]
    return max(fits, key=lambda e: len(e.begins)) if fits else Expected("")
