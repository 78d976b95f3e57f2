"""The HTTP API: what the command line does, for programs elsewhere, each seeing only its own."""
