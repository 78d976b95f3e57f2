"""The response cache: one model call for all who ask the same."""
