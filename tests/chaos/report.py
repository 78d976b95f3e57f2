"""Prints the table of docs/reliability.md from the rows of one or more runs of the fault tests.

CASTLINE_CHAOS_REPORT=chaos.jsonl make chaos
.venv/bin/python -m tests.chaos.report chaos.jsonl
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

HEAD = "| scenario | runs | steps | lost | paid twice (in flight at the faults) | working again s |"


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Build the table's lines: for each scenario what its runs had at most."""
    scenarios: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        scenarios[row["scenario"]].append(row)
    lines = [HEAD, "|" + "---|" * 6]
    for name in sorted(scenarios, key=lambda name: (int(name.split()[0]), name)):
        runs = scenarios[name]
        lost = max(run["lost"] for run in runs)
        twice = ", ".join(f"{run['paid_twice']} ({run['allowed']})" for run in runs)
        again = [f"{run['recovery_s']:.1f}" for run in runs if run["recovery_s"] is not None]
        steps = runs[0]["steps"]
        lines.append(
            f"| {name} | {len(runs)} | {steps} | {lost} | {twice} | {', '.join(again) or '-'} |"
        )
    return lines


if __name__ == "__main__":
    files = [Path(name).read_text().splitlines() for name in sys.argv[1:]]
    sys.stdout.write("\n".join(table([json.loads(line) for file in files for line in file])) + "\n")
