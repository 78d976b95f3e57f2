"""The ledger's and the gate's contracts on a real Valkey."""

import pytest

from tests.contracts.gate import GateContract
from tests.contracts.ledger import LedgerContract


@pytest.mark.integration
class TestLedgerOnValkey(LedgerContract):
    """All of it."""


@pytest.mark.integration
class TestGateOnValkey(GateContract):
    """All of it."""
