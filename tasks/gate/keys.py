"""Every key of the gate in Redis."""

PROVIDERS = "castline:gates"


def slots(provider: str) -> str:
    """Slot leases of a provider: a sorted set, lease -> end in ms."""
    return f"castline:gate:{provider}:slots"


def run_slots(provider: str, run_id: str) -> str:
    """Slot leases of one run that has a cap of its own."""
    return f"castline:gate:{provider}:run:{run_id}"


def rates(provider: str) -> str:
    """Rates, breaker, concurrency and virtual time of a provider: a hash."""
    return f"castline:gate:{provider}:rates"


def window(provider: str) -> str:
    """Tokens of the last minute by second, and their sum: a hash."""
    return f"castline:gate:{provider}:window"


def lines(provider: str) -> str:
    """Lines of callers that wait, with the order of their heads: a hash."""
    return f"castline:gate:{provider}:lines"


def configured(provider: str) -> str:
    """Limits that a provider's workers were configured with."""
    return f"castline:gate:{provider}:configured"


def changes(provider: str) -> str:
    """Limits that were changed while running: a hash."""
    return f"castline:gate:{provider}:limits"


def bell(provider: str) -> str:
    """Channel that rings when a slot is left for another process."""
    return f"castline:gate:{provider}:bell"


def provider_of_bell(channel: str) -> str:
    """Name the provider of a bell."""
    return channel.removeprefix("castline:gate:").removesuffix(":bell")
