#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rules.py [quick|all]: alerts and panels; in "all" read and played by the real promtool."""
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "tests"), str(ROOT / "tests/lib")]
import dashboard  # noqa: E402
from tap import Tap  # noqa: E402

from lib import tools  # noqa: E402

RULES = ROOT / "charts/kubefence/files/rules.yaml"
UP = "0+1x90"  # one more each minute
# Alert: series under which it fires, and series under which it does not; each {series: values of one a minute}.
PLAYED = {
    "KubefencePluginNotReady": ({'nono_nri_ready{instance="n"}': "0x90"}, {'nono_nri_ready{instance="n"}': "1x90"}),
    "KubefenceConfigurationRejected": ({'nono_nri_reloads_total{instance="n",result="error"}': UP},
                                       {'nono_nri_reloads_total{instance="n",result="ok"}': UP, 'nono_nri_reloads_total{instance="n",result="error"}': "3x90"}),
    "KubefenceContainersUnsandboxed": ({'nono_nri_synchronized_containers{instance="n",sandboxed="false"}': "2x90"},
                                       {'nono_nri_synchronized_containers{instance="n",sandboxed="true"}': "2x90",
                                        'nono_nri_synchronized_containers{instance="n",sandboxed="false"}': "0x90"}),
    "KubefenceContainersRefused": ({'nono_nri_containers_total{instance="n",decision="refuse"}': UP},
                                   {'nono_nri_containers_total{instance="n",decision="inject"}': UP,
                                    'nono_nri_containers_total{instance="n",decision="refuse"}': "7x90"}),
    "KubefenceSandboxTakenAway": ({'nono_nri_validate_refused_total{instance="n"}': UP, 'nono_nri_start_refused_total{instance="n"}': "0x90"},
                                  {'nono_nri_validate_refused_total{instance="n"}': "1x90", 'nono_nri_start_refused_total{instance="n"}': "1x90"}),
    "KubefenceVersionSkew": ({'nono_nri_build_info{instance="a",version="1"}': "1x90", 'nono_nri_build_info{instance="b",version="2"}': "1x90"},
                             {'nono_nri_build_info{instance="a",version="1"}': "1x90", 'nono_nri_build_info{instance="b",version="1"}': "1x90"}),
    "KubefenceProgramsDiffer": ({'nono_nri_program_info{instance="n",program="nono",version="1"}': "1x90",
                                 'nono_nri_program_info{instance="n",program="nono-runc",version="2"}': "1x90"},
                                {'nono_nri_program_info{instance="n",program="nono",version="1"}': "1x90",
                                 'nono_nri_program_info{instance="n",program="nono-runc",version="1"}': "1x90"}),
    "KubefenceProfileRejected": ({'nono_nri_profile_rejected{instance="n",profile="p"}': "1x90"}, {'nono_nri_profiles{instance="n"}': "23x90"}),
    "KubefenceGuardRefuses": ({'nono_nri_guard_refused_total{instance="n",command="exec",profile="p"}': UP},
                              {'nono_nri_guard_refused_total{instance="n",command="exec",profile="p"}': "3x90"}),
    "KubefenceSlow": ({'nono_nri_create_duration_seconds_bucket{instance="n",le="0.001000"}': "0x90",
                       'nono_nri_create_duration_seconds_bucket{instance="n",le="0.100000"}': UP,
                       'nono_nri_create_duration_seconds_bucket{instance="n",le="+Inf"}': UP},
                      {'nono_nri_create_duration_seconds_bucket{instance="n",le="0.001000"}': UP,
                       'nono_nri_create_duration_seconds_bucket{instance="n",le="+Inf"}': UP}),
    "KubefenceDenialsLost": ({f'kubefence_denials_{k}_total{{instance="n"}}': UP for k in ("lost", "unseen", "untold")},
                             {f'kubefence_denials_{k}_total{{instance="n"}}': "5x90" for k in ("lost", "unseen", "untold")}),
    "KubefenceDenialsMany": ({'kubefence_denials_total{instance="n",profile="p",kind="file"}': "0+6000x90"},
                             {'kubefence_denials_total{instance="n",profile="p",kind="file"}': "0+60x90"}),
    "KubefenceEgressNotServing": ({'nono_egress_pods{instance="n",serving="false"}': "1x90"}, {'nono_egress_pods{instance="n",serving="true"}': "5x90",
                                                                                           'nono_egress_pods{instance="n",serving="false"}': "0x90"}),
}


def promtool(*args: str) -> subprocess.CompletedProcess:
    return subprocess.run([tools.program("promtool", of="prometheus"), *args], capture_output=True, text=True, timeout=120)


def played(alert: str, series: dict[str, str], fires: bool) -> dict:
    """One test: whether @alert fires after 80 minutes; whatever labels and texts it then has."""
    return {"interval": "1m", "input_series": [{"series": s, "values": v} for s, v in series.items()],
            "promql_expr_test": [{"expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)', "eval_time": "80m",
                                  "exp_samples": [{"labels": "{}", "value": 1 if fires else 0}]}]}


def alerts(t: Tap) -> None:
    named = set(re.findall(r"- alert: (\w+)", RULES.read_text()))
    t.equal(named, set(PLAYED), "every alert is played")


def played_alerts(t: Tap) -> None:
    p = promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))
    t.ok(p.returncode == 0, "promtool takes the rules, and has nothing to say about them", p.stdout + p.stderr)
    with tempfile.TemporaryDirectory() as d:
        for alert, cases in PLAYED.items():
            for fires, series in zip((True, False), cases):
                test = Path(d, "test.json")  # JSON is YAML
                test.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [played(alert, series, fires)]}))
                p = promtool("test", "rules", str(test))
                t.ok(p.returncode == 0, f"{alert} {'fires' if fires else 'is silent'}", p.stdout + p.stderr)


def queries_of_panels() -> list[tuple[str, str]]:
    return [(title, expr) for title, _, _, queries in dashboard.PANELS for expr, _ in queries]


def read_panels(t: Tap) -> None:
    asked = queries_of_panels()
    with tempfile.TemporaryDirectory() as d:
        rules = [{"record": f"panel:{i}", "expr": expr.replace("$__rate_interval", "5m")} for i, (_, expr) in enumerate(asked)]
        Path(d, "panels.json").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
        p = promtool("check", "rules", f"{d}/panels.json")
        t.ok(p.returncode == 0, f"promtool reads the {len(asked)} queries of the panels", p.stdout + p.stderr)


def panels(t: Tap) -> None:
    t.ok(subprocess.run([sys.executable, HERE / "dashboard.py", "--check"]).returncode == 0, "the dashboard is what dashboard.py writes")
    asked = queries_of_panels()
    # What our programs have, by their source.
    source = "".join(p.read_text() for p in (ROOT / "src").rglob("*.[ch]"))
    have = set(re.findall(r'"(nono_nri_\w+)', source))
    have |= set(re.findall(r"# TYPE (nono_egress_\w+)", source))
    have |= {f"kubefence_denials_{n}" for n in re.findall(r'put_counter\(out, "(\w+)"', source)} | {"kubefence_denials_total"}
    have |= {f"kubefence_denials_{n}_total" for n in re.findall(r'METRIC\(\w+, "(\w+)"', source)}
    wanted = set(re.findall(r"\b(?:nono_nri|nono_egress|kubefence)_\w+", " ".join(expr for _, expr in asked) + RULES.read_text()))
    unknown = {w for w in wanted if re.sub(r"_(bucket|sum|count)$", "", w) not in have and w not in have}
    t.equal(unknown, set(), "every metric that is asked for exists")


def main() -> int:
    t = Tap()
    t.case("alerts", alerts, t)
    t.case("panels", panels, t)
    # Prometheus takes minutes to build.
    if sys.argv[1:2] == ["all"]:
        t.case("played_alerts", played_alerts, t)
        t.case("read_panels", read_panels, t)
    return t.done()


if __name__ == "__main__":
    sys.exit(main())
