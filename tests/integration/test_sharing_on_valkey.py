"""The contracts of the response cache on a real Valkey."""

from typing import Any

import pytest

from tasks.llm.cache.shared import RedisShelf
from tasks.llm.cache.shelf import Shelf
from tests.contracts.cache import CachingContract, ShelfContract


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
