"""The contracts of the response cache and of the backlog on a real Valkey."""

from typing import Any

import pytest

from tasks.llm.cache.shared import RedisShelf
from tasks.llm.cache.shelf import Shelf
from tests.contracts.backlog import BacklogContract
from tests.contracts.cache import CachingContract, ShelfContract


@pytest.mark.integration
class TestBacklogOnValkey(BacklogContract):
    """All of it."""


class OnValkey:
    """Gives the shelf in Valkey."""

    @pytest.fixture
    def shelf(self, redis: Any) -> Shelf:
        return RedisShelf(redis)


@pytest.mark.integration
class TestShelfOnValkey(OnValkey, ShelfContract):
    """All of it."""


@pytest.mark.integration
class TestCachingOnValkey(OnValkey, CachingContract):
    """All of it."""
