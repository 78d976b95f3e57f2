"""Fixtures for all tests, and which of them one process must run."""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling


class ByStack(LoadScopeScheduling):
    """Keeps the tests of a file together, which may share a stack; a fault has one to itself."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if nodeid.startswith("tests/chaos/") else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """Say which tests one process must run, where `--dist loadscope` asks."""
    return ByStack(config, log) if config.getoption("dist") == "loadscope" else None


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, as the workers do."""
    return "asyncio"
