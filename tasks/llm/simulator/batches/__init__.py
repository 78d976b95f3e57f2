"""The simulated provider's batch mode: files, batches, and the states that a batch goes through."""
