"""The model client: transport, dialects, retries, structured replies, the simulated provider."""
