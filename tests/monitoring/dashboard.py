#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""dashboard.py [--check]: charts/kubefence/files/dashboard.json from the list of panels here; with --check say whether it is that."""
import json
import os
import sys

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../charts/kubefence/files/dashboard.json")
RATE = "[$__rate_interval]"
# Title, kind, unit, and what is asked, each with its legend.
PANELS = (
    ("Nodes whose plugin is ready", "stat", "short", (("sum(nono_nri_ready)", "ready"), ("count(nono_nri_ready)", "all"))),
    ("Containers without the sandbox", "stat", "short", (('sum(nono_nri_synchronized_containers{sandboxed="false"})', "unsandboxed"),)),
    ("Profiles, and those that are rejected", "stat", "short", (
        ("max(nono_nri_profiles)", "profiles"), ("count(count by (profile) (nono_nri_profile_rejected)) or vector(0)", "rejected"))),
    ("Handlers without the guard", "stat", "short", (("count(nono_nri_handler_guarded == 0) or vector(0)", "handlers"),)),
    ("Versions of the plugin", "piechart", "short", (("count by (version) (nono_nri_build_info)", "{{version}}"),)),
    ("Programs on the nodes", "piechart", "short", (("count by (program, version) (nono_nri_program_info)", "{{program}} {{version}}"),)),
    ("Runtimes", "piechart", "short", (("count by (runtime) (nono_nri_runtime_info)", "{{runtime}}"),)),
    ("Nodes by connection to the runtime", "stat", "short", (("sum(nono_nri_connected)", "connected"), ("count(nono_nri_connected)", "all"))),
    ("Containers by decision", "timeseries", "ops", ((f"sum by (decision) (rate(nono_nri_containers_total{RATE}))", "{{decision}}"),)),
    ("Sandboxed containers by profile", "timeseries", "ops", (
        (f'sum by (profile) (rate(nono_nri_decisions_total{{decision="inject"}}{RATE}))', "{{profile}}"),)),
    ("Refused containers by reason, each once", "timeseries", "short", (
        (f'sum by (reason, profile) (increase(nono_nri_decisions_total{{decision="refuse"}}{RATE}))', "{{reason}} {{profile}}"),)),
    ("Refused by the guard, each once", "timeseries", "short", (
        (f"sum by (command, profile) (increase(nono_nri_guard_refused_total{RATE})) or vector(0)", "{{command}} {{profile}}"),)),
    ("Times to answer CreateContainer", "heatmap", "s", ((f"sum by (le) (increase(nono_nri_create_duration_seconds_bucket{RATE}))", "{{le}}"),)),
    ("Time to answer CreateContainer", "timeseries", "s", tuple(
        (f"histogram_quantile({q}, sum by (le) (rate(nono_nri_create_duration_seconds_bucket{RATE})))", f"p{int(q * 100)}") for q in (0.5, 0.99))),
    ("Changes of configuration", "timeseries", "short", ((f"sum by (result) (increase(nono_nri_reloads_total{RATE}))", "{{result}}"),)),
    ("Taken out of the sandbox, and refused", "timeseries", "short", (
        (f"sum(increase(nono_nri_validate_refused_total{RATE}))", "by plugins"), (f"sum(increase(nono_nri_start_refused_total{RATE}))", "by the runtime"))),
    ("Connections to the runtime", "timeseries", "short", ((f"sum by (instance) (increase(nono_nri_connections_total{RATE}))", "{{instance}}"),)),
    ("Denials by profile and kind", "timeseries", "ops", ((f"sum by (profile, kind) (rate(kubefence_denials_total{RATE}))", "{{profile}} {{kind}}"),)),
    ("Denials by node", "timeseries", "ops", ((f"sum by (instance) (rate(kubefence_denials_total{RATE}))", "{{instance}}"),)),
    ("Denials that were not told", "timeseries", "short", tuple(
        (f"sum(increase(kubefence_denials_{what}_total{RATE}))", what) for what in ("lost", "unseen", "unknown", "untold", "unattributed"))),
    ("Lines and Events about denials", "timeseries", "ops", (
        (f"sum(rate(kubefence_denials_lines_total{RATE}))", "lines"), (f"sum(rate(kubefence_denials_events_total{RATE}))", "Events"))),
)


def dashboard() -> dict:
    panels, x, y = [], 0, 0
    for number, (title, kind, unit, asked) in enumerate(PANELS, 1):
        small = kind in ("stat", "piechart")
        width, height = (6, 5) if small else (12, 8)
        panels.append({
            "id": number, "title": title, "type": kind, "gridPos": {"x": x, "y": y, "w": width, "h": height},
            "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
            "targets": [{"refId": chr(65 + i), "expr": expr, "legendFormat": legend} for i, (expr, legend) in enumerate(asked)],
        })
        x += width
        if x >= 24:
            x, y = 0, y + height
    return {
        "uid": "kubefence", "title": "kubefence", "tags": ["kubefence", "security"], "schemaVersion": 39, "editable": True, "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}]},
        "panels": panels,
    }


def main() -> int:
    text = json.dumps(dashboard(), indent=1) + "\n"
    if sys.argv[1:] == ["--check"]:
        with open(FILE, encoding="utf-8") as f:
            return f.read() != text
    with open(FILE, "w", encoding="utf-8") as f:
        f.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
