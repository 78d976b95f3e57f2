"""`castline simulate` reads its options and says what is wrong with them."""

import socket
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from producer import simulate as command
from tasks.llm.simulator.options import SimulatorOptions


def invoked(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(command.simulate)
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stderr


def test_wrong_faults_are_bad_input_and_named() -> None:
    code, said = invoked("--port", "0", "--faults", "teapot=1")
    assert code == 2
    assert "teapot=1" in said
    assert "badjson" in said


def test_a_taken_port_is_a_service_away_and_says_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, said = invoked("--port", str(port))
    assert code == 69
    assert f"cannot listen on 127.0.0.1:{port}" in said
    assert "another --port" in said


def test_every_option_reaches_the_provider_and_its_address_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    served: list[SimulatorOptions] = []

    async def record(options: SimulatorOptions, *, ready: object) -> None:
        served.append(options)
        ready(4321)  # type: ignore[operator]

    monkeypatch.setattr(command, "serve", record)
    code, said = invoked(
        *("--port=1", "--latency=2", "--jitter=0.5", "--tokens-per-s=3", "--rpm=4", "--tpm=5"),
        *("--burst=6", "--window", "--slots=7", "--faults=429=0.1", "--seed=8", "--api-key=k"),
        *("--batch-delay=9", "--batch-max=10", "--batch-window=11"),
        *("--no-vision", f"--log={tmp_path / 'log'}"),
    )
    assert code == 0
    assert said.startswith("simulated provider on http://127.0.0.1:4321/v1")
    assert served == [
        SimulatorOptions(
            port=1,
            latency_s=2,
            jitter=0.5,
            tokens_per_s=3,
            rpm=4,
            tpm=5,
            burst=6,
            limit_mode="window",
            slots=7,
            faults="429=0.1",
            seed=8,
            api_key="k",
            vision=False,
            batch_delay_s=9,
            batch_max=10,
            batch_window_s=11,
            log=tmp_path / "log",
        )
    ]
