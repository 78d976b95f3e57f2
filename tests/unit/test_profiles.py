"""A profile sets defaults; whatever is given wins."""

from pathlib import Path

import pytest

from tasks.errors import ConfigurationError
from tasks.profiles import PROFILES, defaults_of
from tasks.settings import Settings, read_settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read settings in an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_default_of_a_profile_is_a_setting_that_it_sets(
    profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASTLINE_PROFILE", profile)
    settings = read_settings()
    for name, value in defaults_of(profile).items():
        assert name in Settings.model_fields
        assert getattr(settings, name) == value


def test_without_a_profile_it_is_balanced() -> None:
    assert read_settings().llm_concurrency == defaults_of("balanced")["llm_concurrency"]


def test_what_is_given_wins_over_the_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "castline.toml").write_text('profile = "aggressive"\ntweet_group = 7\n')
    monkeypatch.setenv("CASTLINE_LLM_CONCURRENCY", "3")
    settings = read_settings()
    assert (settings.llm_concurrency, settings.tweet_group) == (3, 7)
    assert settings.picture_batch == defaults_of("aggressive")["picture_batch"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CASTLINE_PROFILE", "reckless"),
        ("CASTLINE_CACHE", "always"),
        ("CASTLINE_CACHE_TTL_S", "0"),
        ("CASTLINE_CACHE_TTL_S", "86401"),
        ("CASTLINE_RETRY_SCALE", "0"),
        ("CASTLINE_QUEUE_MOST_CALLS", "999"),
    ],
)
def test_a_wrong_value_is_named(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=variable):
        read_settings()


def test_the_documented_table_is_the_real_one() -> None:
    text = (ROOT / "docs" / "limits.md").read_text()
    for name in defaults_of("balanced"):
        row = " | ".join(f"{defaults_of(profile)[name]:,}" for profile in PROFILES)
        assert f"| `CASTLINE_{name.upper()}` | {row} |" in text
