"""Profiles: defaults that go together, for the rate of model calls that a cluster is to make.

    conservative   under 100 a second     small batches, slow retries
    balanced       100 to 1,000           (the default)
    aggressive     over 1,000             large batches, fast retries

A setting that is given anywhere wins over the profile.
"""

from collections.abc import Mapping
from typing import Literal, get_args

Profile = Literal["conservative", "balanced", "aggressive"]
PROFILES: tuple[Profile, ...] = get_args(Profile)
DEFAULT: Profile = "balanced"

_BY_SETTING: Mapping[str, tuple[float, float, float]] = {
    "llm_concurrency": (16, 64, 256),
    "tweet_group": (10, 25, 50),
    "picture_batch": (2, 4, 8),
    "retry_scale": (2.0, 1.0, 0.5),
    "queue_high_calls": (200, 1_000, 10_000),
    "queue_most_calls": (20_000, 100_000, 1_000_000),
}


def defaults_of(profile: str) -> dict[str, float]:
    """List a profile's defaults by setting; those of the default profile for an unknown one."""
    column = [*PROFILES].index(profile) if profile in PROFILES else PROFILES.index(DEFAULT)
    return {setting: values[column] for setting, values in _BY_SETTING.items()}
