"""A report adds up, judges document 002's targets, and comes from real calls."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from producer.commands.bench import add_scripts, bench
from producer.load_generator import LoadPlan, Shot
from producer.throughput import Use, report_of
from producer.throughput_run import Against, measure
from tasks.llm.simulator.options import SimulatorOptions
from tasks.llm.simulator.server import running

PLAN = LoadPlan(rate=200, seconds=10, in_flight=50)
IDLE = Use(cpu_percent=20, memory_percent=30, client_cpu_percent=10, client_memory_bytes=10)


def shots(count: int, *, took_s: float = 0.5, failed: int = 0, seconds: float = 10) -> list[Shot]:
    """Spread calls over some seconds; the first ones fail."""
    return [
        Shot(
            ended_s=(number + 1) * seconds / count,
            took_s=took_s,
            error="ProviderDownError" if number < failed else "",
        )
        for number in range(count)
    ]


def unmet(found: list[Shot], use: Use = IDLE) -> list[str]:
    """Name the targets that are not met."""
    report = report_of(found, PLAN, use, provider="p", gate="redis")
    assert report.met == (not [target for target in report.targets if not target.met])
    return [target.name for target in report.targets if not target.met]


@pytest.mark.parametrize(
    ("found", "names"),
    [
        (shots(2000), []),
        (shots(1001), []),
        (shots(1000), ["requests a second"]),
        (shots(2000, took_s=1.99), []),
        (shots(2000, took_s=2.0), ["mean time"]),
        (shots(2000, failed=1), []),
        (shots(2000, failed=2), ["success"]),
        ([], ["requests a second", "mean time", "success"]),
    ],
)
def test_each_target_is_met_or_not(found: list[Shot], names: list[str]) -> None:
    assert unmet(found) == names


def test_a_busy_machine_misses_its_targets() -> None:
    busy = Use(cpu_percent=80, memory_percent=70, client_cpu_percent=10, client_memory_bytes=10)
    assert unmet(shots(2000), busy) == ["CPU", "memory"]


def test_times_are_exact_and_of_answers_only() -> None:
    found = [Shot(ended_s=1, took_s=n / 100) for n in range(1, 101)]
    found.append(Shot(ended_s=2.5, took_s=9, error="DeadlineError"))
    report = report_of(found, PLAN, IDLE, provider="p", gate="redis")
    times = report.response
    assert (times.count, times.mean_s) == (100, 0.505)
    assert (times.p50_s, times.p95_s, times.p99_s) == (0.5, 0.95, 0.99)
    assert report.errors == {"DeadlineError": 1}
    assert report.requests_per_s == 40.0
    assert [(line.second, line.calls, line.failed) for line in report.trend] == [
        (1, 100, 0),
        (2, 1, 1),
    ]


@pytest.mark.anyio
async def test_a_load_goes_through_the_client_and_its_gate() -> None:
    told: list[int] = []
    async with running(SimulatorOptions(latency_s=0, slots=4)) as url:
        report = await measure(
            LoadPlan(rate=0, seconds=0.3, in_flight=4),
            Against(url=url, gate="memory"),
            told=lambda ended, *_: told.append(ended),
        )
    assert (report.failed, report.success, report.gate) == (0, 1.0, "in-memory")
    assert report.requests == report.response.count > 4
    assert report.client_memory_bytes > 10**6


def test_the_command_writes_its_report_and_exits_by_its_targets(tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    done = CliRunner().invoke(
        bench,
        ["throughput", "--rate", "20", "--seconds", "0.2", "--latency", "0", "--gate", "memory",
         "--json", "--out", str(out)],
    )  # fmt: skip
    assert done.exit_code == 1, done.output
    report = json.loads(done.stdout)
    assert report == json.loads(out.read_text())
    assert report["requests"] == 4
    assert {one["name"] for one in report["targets"] if not one["met"]} >= {"requests a second"}


@pytest.mark.parametrize(
    "wrong", [["--gate", "none"], ["--provider", "http://x/v1", "--configured"], ["--rate", "-1"]]
)
def test_bad_input_is_refused(wrong: list[str]) -> None:
    assert CliRunner().invoke(bench, ["throughput", *wrong]).exit_code == 2


def test_a_script_of_the_checkout_is_a_command_with_its_own_options(tmp_path: Path) -> None:
    script = tmp_path / "echoes.py"
    script.write_text(
        '"""Says what it was given.\n"""\nimport sys\n\n'
        'if __name__ == "__main__":\n    sys.exit(sys.argv[1:] != ["--help", "7"])\n'
    )
    (tmp_path / "library.py").write_text('"""No benchmark."""\n')
    before = list(bench.registered_commands)
    try:
        add_scripts(tmp_path)
        shown = CliRunner().invoke(bench, ["--help"]).output
        assert "Says what it was given." in shown
        assert "library" not in shown
        assert CliRunner().invoke(bench, ["echoes", "--help", "7"]).exit_code == 0
        assert CliRunner().invoke(bench, ["echoes", "8"]).exit_code == 1
    finally:
        bench.registered_commands[:] = before
