"""Processes that do the work: LLM workers, GPU workers, upkeep, the local stack."""
