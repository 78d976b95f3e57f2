"""The simulated provider: a real HTTP server that answers any JSON schema with readable text."""
