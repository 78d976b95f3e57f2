"""The GPUs of this machine, without importing torch; pinning to one is the worker's business.

`nvidia-smi` is asked first. Containers without it still have the driver's `/proc` entries, which
know names but no memory. The environment is not read here: settings hand in what is visible.
"""

import csv
import logging
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

QUERY = "index,uuid,name,memory.total,memory.used,utilization.gpu"
MIB = 1024 * 1024
TIMEOUT_S = 10.0
DRIVER_FOLDER = Path("/proc/driver/nvidia/gpus")

# What CUDA_VISIBLE_DEVICES and NVIDIA_VISIBLE_DEVICES use for "all" and for "none".
EVERYTHING = frozenset({"", "all"})
NOTHING = frozenset({"none", "void", "-1", "NoDevFiles"})


@dataclass(frozen=True, kw_only=True)
class GpuInfo:
    """One GPU: memory in bytes, `utilisation` from 0 to 1; None where the driver does not say."""

    index: int
    name: str
    uuid: str = ""
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    utilisation: float | None = None


def gpus(
    *,
    visible: str = "",
    ask: Callable[[], str] | None = None,
    driver_folder: Path = DRIVER_FOLDER,
) -> tuple[GpuInfo, ...]:
    """List this machine's GPUs, () when there is none.

    `visible` is a value of CUDA_VISIBLE_DEVICES or NVIDIA_VISIBLE_DEVICES (`0,2`, `GPU-…`,
    `all`, `none`) and keeps only those devices, in its order. Takes up to `TIMEOUT_S` seconds
    when the driver hangs; a driver that fails is logged and counts as no GPU.
    """
    answer = (ask or ask_nvidia_smi)()
    found = parse_smi(answer) if answer.strip() else driver_gpus(driver_folder)
    return visible_only(found, visible)


def ask_nvidia_smi() -> str:
    """Return nvidia-smi's CSV, or "" when there is no such program or it fails."""
    command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        )
    except FileNotFoundError:
        return ""
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("nvidia-smi failed, so no GPU is counted through it: %s", error)
        return ""
    return done.stdout


def parse_smi(answer: str) -> tuple[GpuInfo, ...]:
    """Read nvidia-smi's CSV; lines that are no GPU (warnings of the driver) are passed over."""
    rows = csv.reader(answer.splitlines(), skipinitialspace=True)
    return tuple(_smi_gpu(row) for row in rows if len(row) == 6 and row[0].strip().isdigit())


def driver_gpus(folder: Path) -> tuple[GpuInfo, ...]:
    """Read `<folder>/<pci address>/information`, in PCI order as nvidia-smi numbers them."""
    files = sorted(folder.glob("*/information"))
    return tuple(_driver_gpu(index, file.read_text()) for index, file in enumerate(files))


def visible_only(found: tuple[GpuInfo, ...], visible: str) -> tuple[GpuInfo, ...]:
    """Keep the devices that `visible` names by index or UUID prefix, in its order.

    Like CUDA, stop at the first name that matches nothing.
    """
    if visible.strip() in EVERYTHING:
        return found
    kept: list[GpuInfo] = []
    for name in (part.strip() for part in visible.split(",")):
        match = None if name in NOTHING else _named(found, name)
        if match is None:
            break
        kept.append(match)
    return tuple(kept)


def _named(found: tuple[GpuInfo, ...], name: str) -> GpuInfo | None:
    for gpu in found:
        if name == str(gpu.index) or (name.startswith("GPU-") and gpu.uuid.startswith(name)):
            return gpu
    return None


def _smi_gpu(row: list[str]) -> GpuInfo:
    index, uuid, name, total, used, busy = (cell.strip() for cell in row)
    percent = _number(busy)
    return GpuInfo(
        index=int(index),
        name=name,
        uuid=uuid,
        memory_total_bytes=_mebibytes(total),
        memory_used_bytes=_mebibytes(used),
        utilisation=None if percent is None else percent / 100,
    )


def _driver_gpu(index: int, text: str) -> GpuInfo:
    pairs = (line.partition(":") for line in text.splitlines())
    facts = {key.strip(): value.strip() for key, _, value in pairs}
    return GpuInfo(
        index=index, name=facts.get("Model", "NVIDIA GPU"), uuid=facts.get("GPU UUID", "")
    )


def _mebibytes(cell: str) -> int | None:
    number = _number(cell)
    return None if number is None else int(number * MIB)


def _number(cell: str) -> float | None:
    # "[N/A]" and "[Not Supported]" stand where the driver keeps silent.
    try:
        return float(cell)
    except ValueError:
        return None
