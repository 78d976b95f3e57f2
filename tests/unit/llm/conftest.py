"""Fixtures for tests of the model client."""

import os
from pathlib import Path

import pytest

from tests.castline import OURS


@pytest.fixture
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, without a user's settings."""
    for name in os.environ:
        if name.startswith(OURS) or name == "MAX_CONCURRENT":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
