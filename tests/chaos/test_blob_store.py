"""A blob store that is full or gone: pictures are put off, nothing is lost, and it is said."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.castline import wait_for
from tests.chaos.conftest import Size, Start
from tests.chaos.farm import Farm
from tests.chaos.judge import judge

pytestmark = pytest.mark.integration

SLEEPING = {"CASTLINE_RENDERER": "sleep:0.02"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=10k", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a disk of its own cannot be mounted here ({error}): run this test as root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)  # noqa: S607  # wherever it is


def test_pictures_wait_for_a_full_disk(farm: Start, size: Size, small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    site = farm(gpus=1, CASTLINE_BLOBS=f"file://{small_disk}/blobs", **SLEEPING)
    fill(ballast)
    run_id = site.submit(personas=size.personas, tweets=size.tweets)
    put_off(site, "No space left on device")
    doctor = site.castline.run("doctor")
    assert doctor.returncode == 1
    assert "No space left on device" in doctor.stdout
    ballast.unlink()
    remount(small_disk, "size=64m")
    site.finished(run_id)
    verdict = judge(site, run_id, scenario="12 disk full for the blobs")
    assert verdict.done == verdict.steps
    site.down()


def test_pictures_wait_for_a_blob_store_that_is_gone(
    farm: Start, size: Size, tmp_path: Path
) -> None:
    blobs = tmp_path / "blobs"
    site = farm(gpus=1, CASTLINE_BLOBS=f"file://{blobs}", **SLEEPING)
    blobs.write_text("not a folder")
    run_id = site.submit(personas=size.personas, tweets=size.tweets)
    put_off(site, "the blob store cannot be written")
    doctor = site.castline.run("doctor")
    assert doctor.returncode == 1
    assert "the blob store cannot be written" in doctor.stdout
    blobs.unlink()
    site.finished(run_id)
    verdict = judge(site, run_id, scenario="12 blob store away")
    assert verdict.done == verdict.steps


def put_off(site: Farm, reason: str) -> None:
    """Wait until the image worker says that a picture is put off, and why."""
    wait_for("a picture to be put off", lambda: reason in site.log_of("gpu-0"))


def fill(ballast: Path) -> None:
    """Take all the room that there is."""
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 1024)


def remount(folder: Path, option: str) -> None:
    """Make a disk larger."""
    command = ["mount", "-o", f"remount,{option}", str(folder)]
    subprocess.run(command, check=True)
