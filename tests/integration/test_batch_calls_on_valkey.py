"""The contract of batch calls on a real Valkey."""

import pytest

from tests.contracts.batch_calls import BatchCallsContract


@pytest.mark.integration
class TestBatchCallsOnValkey(BatchCallsContract):
    """All of it."""
