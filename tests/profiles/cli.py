# SPDX-License-Identifier: Apache-2.0
"""The commands: exit codes, output formats, the schema, egress policies."""
import glob
import json
import os
import subprocess
import tempfile

import corpus
from pymodules import need

need("jsonschema==4.23.0", "PyYAML==6.0.2")
import jsonschema  # noqa: E402
import yaml  # noqa: E402


def kubefence(*args: str, cwd: str | None = None) -> tuple[int, str, str]:
    p = subprocess.run([corpus.KUBEFENCE, *args], capture_output=True, text=True, cwd=cwd)
    return p.returncode, p.stdout, p.stderr


def builtins(tap) -> None:
    status, out, _ = kubefence("profile", "list", "-o", "json")
    names = [p["name"] for p in json.loads(out)]
    tap.ok(status == 0 and {"default", "strict", "in-cluster"} <= set(names), "profile list: the built-in ones", out)
    tap.ok(not any("error" in p for p in json.loads(out)), "profile list: all of them compile", out)
    status, out, _ = kubefence("profile", "list", "--groups", "-o", "json")
    tap.ok(status == 0 and "deny_credentials" in out and "macos" not in out, "profile list --groups: those of Linux", out)
    status, _, err = kubefence("profile", "validate", "--strict", *names)
    tap.ok(status == 0, "every built-in profile is valid without a warning", err)
    for name in ("default", "strict", "in-cluster"):
        flat = kubefence("profile", "compile", name)[1]
        tap.ok(flat.startswith(f"nono-policy 1\nname {name}\n"), f"profile compile {name}: flat text", flat)


def files(tap, d: str) -> None:
    status, out, err = kubefence("profile", "init", "mine", "--extends", "strict", cwd=d)
    tap.ok(status == 0 and out == "mine.json\n", "profile init writes a file", err)
    status, out, err = kubefence("profile", "validate", "--strict", f"{d}/mine.json")
    tap.ok(status == 0 and err == "", "profile init: what it writes is valid", err)
    status, _, err = kubefence("profile", "init", "mine", cwd=d)
    tap.ok(status == 1 and "File exists" in err, "profile init overwrites nothing", err)
    status, _, err = kubefence("profile", "init", "../x", cwd=d)
    tap.ok(status == 2, "profile init: a bad name is a usage error", err)
    status, out, _ = kubefence("profile", "diff", "strict", f"{d}/mine.json")
    tap.ok((status, out) == (0, ""), "profile diff: nothing for equals, status 0", out)
    status, out, _ = kubefence("profile", "diff", "default", "in-cluster", "-o", "json")
    said = json.loads(out)
    tap.ok(status == 15 and (said["removed"], said["added"]) == (["fs deny /run/secrets", "fs deny /var/run/secrets"], [])
           and said["reaches"]["credentials"] and not said["reaches"]["network"], "profile diff: what differs, and what is newly reached by that", out)
    status, out, _ = kubefence("profile", "diff", "in-cluster", "default")
    tap.ok(status == 3 and "credentials             no" in out and "YES" not in out, "profile diff: what differs and reaches nothing more, status 3", out)
    with open(f"{d}/broken.json", "w", encoding="ascii") as f:
        f.write('{"extends": "mine", "filesystem": {"raed": []}}')
    status, _, err = kubefence("profile", "validate", f"{d}/broken.json", f"{d}/mine.json")
    tap.ok(status == 1 and err == f"{d}/broken.json:1:36: error: unknown key 'filesystem.raed'; did you mean 'read'?\n",
           "profile validate: file, line, column and a suggestion, status 1", err)
    for command in ("show", "compile", "netpol"):
        tap.ok(kubefence("profile", command, f"{d}/broken.json")[0] == 1, f"profile {command}: status 1 for a broken profile")
    status, _, err = kubefence("profile", "show", "in-clustre")
    tap.ok(status == 1 and "did you mean 'in-cluster'?" in err, "an unknown profile is suggested", err)
    status, out, err = kubefence("profile", "list", "-d", d)
    tap.ok(status == 1 and "BROKEN" in out, "profile list: names the broken one, status 1", out)
    for bad in (["profile", "nonsense"], ["profile", "show"], ["profile", "show", "default", "-o", "xml"], ["explain"],
                ["explain", "default", "--path", "/x", "--op", "fly"], ["profile", "netpol", "strict", "-l", "x"]):
        tap.ok(kubefence(*bad)[0] == 2, f"usage error: {' '.join(bad)}")


def explain(tap, d: str) -> None:
    kubefence("profile", "init", "e", cwd=d)
    status, out, _ = kubefence("explain", f"{d}/e.json", "--path", "/root/.ssh/id_rsa", "--op", "read")
    tap.ok(status == 1 and "DENIED" in out and "group 'deny_credentials'" in out, "explain: a denial, its group and place, status 1", out)
    status, out, _ = kubefence("explain", "default", "--path", "/usr/bin/env", "--op", "exec")
    tap.ok(status == 0 and "fs rx-root" in out and "default.json:" in out, "explain: a grant and its place, status 0", out)
    os.makedirs(f"{d}/root/opt/real")
    os.makedirs(f"{d}/root/data")
    os.symlink("/data", f"{d}/root/opt/link")
    status, out, _ = kubefence("explain", "strict", "--rootfs", f"{d}/root", "--path", "/opt/link/x", "--op", "read", "-o", "json")
    tap.equal(json.loads(out)["answers"][0]["real"], "/data/x", "explain --rootfs follows symlinks inside of the root")
    with open(f"{d}/flat", "w", encoding="ascii") as f:
        f.write(kubefence("profile", "compile", "strict")[1])
    status, out, _ = kubefence("explain", f"{d}/flat", "--path", "/tmp/x", "--op", "write")
    tap.ok(status == 0 and f"{d}/flat:" in out, "explain reads compiled profiles too", out)
    status, out, _ = kubefence("explain", "default", "-o", "json")
    tap.ok(status == 0 and json.loads(out)["rules"], "explain without a path: the whole profile as JSON", out)


def schema(tap) -> None:
    text = kubefence("profile", "schema")[1]
    s = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(s)
    validator = jsonschema.Draft202012Validator(s)
    rejected = accepted = 0
    wrong = []
    for path in sorted(glob.glob(f"{corpus.HERE}/corpus/*.json*") + glob.glob(f"{corpus.ROOT}/profiles/*.json")):
        if os.path.basename(path) == "groups.json":
            continue
        with open(path, encoding="utf-8", errors="replace") as f:
            text = f.read()
        try:
            value = json.loads(corpus.strip(text))
        except ValueError:
            continue
        valid = validator.is_valid(value)
        accepted, rejected = accepted + valid, rejected + (not valid)
        if not valid and "// error:" not in text:
            wrong.append(f"{path}: {[e.message for e in validator.iter_errors(value)]}")
    tap.ok(not wrong, "the schema accepts every profile that compiles", "\n".join(wrong))
    tap.ok(accepted > 10 and rejected > 3, "the schema rejects unknown keys and wrong types", f"{accepted} accepted, {rejected} rejected")


def hosts(tap, d: str) -> None:
    """A profile without hosts has no broker: then ports decide, as the kernel sees them."""
    for network, open_ports, by in (({}, {22, 443}, ""), ({"block": True}, set(), "net block"), ({"connect_port": [443, 8443]}, {443}, "net connect 443"),
                                    ({"block": True, "connect_port": [22]}, {22}, "net ")):  # fmt: skip
        with open(f"{d}/hosts.json", "w", encoding="ascii") as f:
            json.dump({"extends": "default", "network": network}, f)
        for port in (22, 443):
            status, out, _ = kubefence("explain", f"{d}/hosts.json", "--host", f"192.0.2.1:{port}")
            tap.ok((status == 0, "allowed" in out) == (port in open_ports, port in open_ports) and by in out,
                   f"explain --host: {network} names no host, and port {port} is {'open' if port in open_ports else 'closed'}", out)
    with open(f"{d}/hosts.json", "w", encoding="ascii") as f:
        json.dump({"extends": "default", "network": {"allow_domain": ["example.com"]}}, f)
    tap.equal([kubefence("explain", f"{d}/hosts.json", "--host", h)[0] for h in ("example.com", "example.org")], [0, 1], "explain --host: a profile with hosts lets these be reached and no others")


def netpol(tap, d: str) -> None:
    with open(f"{d}/Net_Work.json", "w", encoding="ascii") as f:
        f.write('{"network": {"allow_domain": ["api.example.com", "*.example.org"], "enforced_by": "network-policy", "connect_port": [443, 8443]}}')
    status, out, err = kubefence("profile", "netpol", f"{d}/Net_Work.json", "-n", "agents")
    policy = yaml.safe_load(out)
    tap.ok(status == 0 and policy["kind"] == "NetworkPolicy" and policy["metadata"] == {"name": "net-work-egress", "namespace": "agents"}
           and policy["spec"]["podSelector"]["matchLabels"] == {"nono.sh/profile": "Net_Work"}, "netpol: a NetworkPolicy for the profile's pods", out + err)
    tap.equal([p["port"] for p in policy["spec"]["egress"][1]["ports"]], [443, 8443], "netpol: the profile's ports")
    status, out, _ = kubefence("profile", "netpol", f"{d}/Net_Work.json", "-o", "cilium", "-l", "app=agent")
    policy = yaml.safe_load(out)
    tap.ok(status == 0 and policy["kind"] == "CiliumNetworkPolicy" and policy["spec"]["endpointSelector"]["matchLabels"] == {"app": "agent"}
           and policy["spec"]["egress"][1]["toFQDNs"] == [{"matchPattern": "*.example.org"}, {"matchName": "api.example.com"}],
           "netpol -o cilium: host names", out)
    for kind, empty in (("networkpolicy", []), ("cilium", [{}])):
        policy = yaml.safe_load(kubefence("profile", "netpol", "strict", "-o", kind)[1])
        tap.equal(policy["spec"]["egress"], empty, f"netpol -o {kind}: network.block lets nothing out")
    with open(f"{d}/udp.json", "w", encoding="ascii") as f:
        f.write('{"extends": "strict", "network": {"allow_domain": ["api.example.com"], "enforced_by": "network-policy", "connect_udp_port": [53, 443]}}')
    egress = yaml.safe_load(kubefence("profile", "netpol", f"{d}/udp.json")[1])["spec"]["egress"]
    tap.equal([e["ports"] for e in egress], [[{"port": 53, "protocol": "UDP"}], [{"port": p, "protocol": "UDP"} for p in (53, 443)]],
              "netpol: UDP ports of a blocked network, and nothing of TCP")
    # A blocked network opens what is named and nothing else: names are not resolved unless port 53 is.
    for ports, dns in (([443], []), ([53, 443], [{"port": 53, "protocol": "TCP"}])):
        with open(f"{d}/block.json", "w", encoding="ascii") as f:
            json.dump({"extends": "strict", "network": {"block": True, "connect_port": ports, "allow_domain": ["api.example.com"], "enforced_by": "network-policy"}}, f)
        egress = yaml.safe_load(kubefence("profile", "netpol", f"{d}/block.json")[1])["spec"]["egress"]
        cluster = [e["ports"] for e in egress if "namespaceSelector" in str(e)]
        tap.ok(cluster == ([dns] if dns else []) and egress[-1]["ports"] == [{"port": p, "protocol": "TCP"} for p in ports],
               f"netpol: a blocked network with the ports {ports}: those, and the cluster's DNS as the kernel lets it be asked", egress)
    status, _, err = kubefence("profile", "netpol", "default")
    tap.ok(status == 1 and "limits no hosts" in err, "netpol: a profile without hosts has none to enforce", err)


def examples(tap) -> None:
    for path in sorted(glob.glob(f"{corpus.ROOT}/examples/agents/*.yaml")):
        with open(path, encoding="utf-8") as f:
            documents = list(yaml.safe_load_all(f))
        pods = [d["spec"].get("template") or d["spec"].get("podTemplate") for d in documents if d["kind"] in ("Job", "Sandbox")]
        name = pods[0]["metadata"]["annotations"]["nono.sh/profile"]
        tap.ok(pods[0]["spec"]["runtimeClassName"] == "nono-runc" and kubefence("profile", "show", name)[0] == 0,
               f"{os.path.basename(path)}: our runtime class and a profile that exists")
        policies = [d for d in documents if d["kind"] == "NetworkPolicy"]
        if policies:
            tap.equal(policies[0], yaml.safe_load(kubefence("profile", "netpol", name)[1]), f"{os.path.basename(path)}: its policy is what netpol writes")


def run(tap) -> None:
    with tempfile.TemporaryDirectory(prefix="kf-profiles.") as d:
        for fn, args in ((builtins, ()), (files, (d,)), (explain, (d,)), (schema, ()), (hosts, (d,)), (netpol, (d,)), (examples, ())):
            tap.case(f"cli {fn.__name__}", fn, tap, *args)
