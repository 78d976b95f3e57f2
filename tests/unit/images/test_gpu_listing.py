import subprocess
from pathlib import Path

import pytest

from tasks.images import device
from tasks.images.device import ask_nvidia_smi, gpus

TWO = """\
0, GPU-aaaa1111, NVIDIA H100 80GB HBM3, 81559, 1024, 37
1, GPU-bbbb2222, NVIDIA H100 80GB HBM3, 81559, [N/A], [Not Supported]
"""


def test_names_memory_and_load_are_read_in_bytes_and_shares() -> None:
    first, second = gpus(ask=lambda: TWO)
    assert (first.index, first.name, first.uuid) == (0, "NVIDIA H100 80GB HBM3", "GPU-aaaa1111")
    assert first.memory_total_bytes == 81559 * 1024 * 1024
    assert first.memory_used_bytes == 1024 * 1024 * 1024
    assert first.utilisation == 0.37
    assert second.memory_used_bytes is None
    assert second.utilisation is None


def test_a_warning_of_the_driver_is_no_gpu() -> None:
    noise = "WARNING: infoROM is corrupted at gpu 0000:3B:00.0\n"
    assert len(gpus(ask=lambda: noise + TWO)) == 2


@pytest.mark.parametrize(
    ("visible", "indexes"),
    [
        ("", [0, 1]),
        ("all", [0, 1]),
        ("1", [1]),
        ("1,0", [1, 0]),
        ("GPU-bbbb", [1]),
        ("none", []),
        ("-1", []),
        ("0,7,1", [0]),
    ],
)
def test_only_visible_gpus_are_listed_in_the_order_given(visible: str, indexes: list[int]) -> None:
    assert [gpu.index for gpu in gpus(visible=visible, ask=lambda: TWO)] == indexes


def test_a_machine_without_a_driver_has_no_gpu(tmp_path: Path) -> None:
    assert gpus(ask=lambda: "", driver_folder=tmp_path / "none") == ()


def test_without_nvidia_smi_the_driver_s_own_entries_are_read(tmp_path: Path) -> None:
    for address, model in (("0000:3b:00.0", "NVIDIA A"), ("0000:86:00.0", "NVIDIA B")):
        (tmp_path / address).mkdir()
        text = f"Model: \t\t {model}\nIRQ:   \t\t 35\nGPU UUID: \t GPU-{model[-1]}\n"
        (tmp_path / address / "information").write_text(text)
    found = gpus(ask=lambda: "", driver_folder=tmp_path)
    assert [(gpu.index, gpu.name, gpu.uuid) for gpu in found] == [
        (0, "NVIDIA A", "GPU-A"),
        (1, "NVIDIA B", "GPU-B"),
    ]
    assert found[0].memory_total_bytes is None


def test_no_such_program_means_no_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ask_nvidia_smi() == ""


def test_a_failing_driver_is_logged_and_counts_as_no_gpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nexit 9\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ask_nvidia_smi() == ""
    assert "nvidia-smi failed" in caplog.text


def test_a_hanging_driver_does_not_hang_us(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def hang(*_: object, timeout: float, **__: object) -> None:
        raise subprocess.TimeoutExpired("nvidia-smi", timeout)

    monkeypatch.setattr(device.subprocess, "run", hang)
    assert ask_nvidia_smi() == ""
    assert "timed out" in caplog.text
