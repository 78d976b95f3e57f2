"""The provider that is called: from presets, castline.toml and the environment."""

import re
from pathlib import Path

import pytest

from tasks.errors import ConfigurationError
from tasks.llm.choosing import resolve_provider
from tasks.llm.providers import Provider, gate_limits
from tasks.presets import PRESETS
from tasks.settings import Settings, read_settings

DOCUMENT = Path(__file__).parents[3] / "docs" / "providers.md"
EXAMPLES = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
KEYS = tuple(preset.key_variable for preset in PRESETS.values())


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of whoever runs the tests out."""
    monkeypatch.chdir(tmp_path)
    for variable in (*KEYS, "CASTLINE_PROVIDER", "CASTLINE_LLM_BASE_URL", "CASTLINE_LLM_API_KEY",
                     "CASTLINE_LLM_MODEL", "CASTLINE_LLM_STRUCTURED", "CASTLINE_LLM_TIMEOUT_S",
                     "MAX_CONCURRENT"):  # fmt: skip
        monkeypatch.delenv(variable, raising=False)


def settings_of(toml: str) -> Settings:
    """Read a castline.toml."""
    Path("castline.toml").write_text(toml)
    return read_settings()


def provider_of(toml: str) -> Provider:
    """Resolve the provider that a castline.toml chooses."""
    return resolve_provider(settings_of(toml))


@pytest.mark.parametrize(
    ("name", "slots", "max_batch", "timeout_s"),
    [
        ("openai", 10, 1000, 60),
        ("groq", 20, 500, 30),
        ("anthropic", 5, 2000, 45),
        ("deepseek", 15, 100, 60),
    ],
)
def test_a_table_with_a_model_alone_has_the_figures_of_document_002_and_the_providers_own_key(
    name: str, slots: int, max_batch: int, timeout_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PRESETS[name].key_variable, "sk-own")
    provider = provider_of(f'[providers.{name}]\nmodel = "m"')
    assert provider.name == name
    assert provider.base_url == PRESETS[name].base_url
    assert provider.api_key.get_secret_value() == "sk-own"
    assert (provider.limits.slots, provider.max_batch) == (slots, max_batch)
    assert provider.timeout_s == timeout_s


def test_every_preset_can_be_chosen_by_the_environment_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CASTLINE_LLM_MODEL", "m")
    for name, preset in PRESETS.items():
        monkeypatch.setenv("CASTLINE_PROVIDER", name)
        monkeypatch.setenv(preset.key_variable, f"key of {name}")
        provider = resolve_provider(read_settings())
        assert (provider.name, provider.model, provider.dialect) == (name, "m", preset.dialect)
        assert provider.api_key.get_secret_value() == f"key of {name}"
        assert provider.limits.slots == preset.slots


def test_a_table_of_another_name_takes_a_preset_and_changes_all_of_it() -> None:
    provider = provider_of(
        """
        [providers.mine]
        preset = "groq"
        base_url = "http://127.0.0.1:9/v1"
        dialect = "anthropic"
        chat_model = "small"
        tool_model = "search"
        vision_model = "eyes"
        slots = 3
        max_batch = 7
        timeout_s = 1.5
        structured = "prompt"
        strict_schemas = false
        batch_api = false
        rpm = 60
        tpm = 1000
        burst_s = 0.1
        breaker_failures = 2
        breaker_open_s = 4
        """
    )
    assert (provider.model, provider.tool_model, provider.vision_model) == (
        "small", "search", "eyes")  # fmt: skip
    assert (provider.dialect, provider.structured, provider.strict_schemas) == (
        "anthropic", "prompt", False)  # fmt: skip
    assert (provider.max_batch, provider.timeout_s, provider.batch_api) == (7, 1.5, False)
    assert provider.limits.model_dump() == {
        "rpm": 60, "tpm": 1000, "slots": 3, "burst_s": 0.1, "breaker_failures": 2,
        "breaker_open_s": 4.0,
    }  # fmt: skip


def test_bigmodel_needs_its_key_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGMODEL_API_KEY", "sk-own")
    by_table = provider_of("[providers.bigmodel]")
    monkeypatch.setenv("CASTLINE_PROVIDER", "bigmodel")
    assert provider_of("").model == by_table.model == PRESETS["bigmodel"].model != ""
    monkeypatch.setenv("CASTLINE_LLM_MODEL", "glm-5")
    assert provider_of("").model == "glm-5"
    assert provider_of('[providers.bigmodel]\nchat_model = "glm-4.7"').model == "glm-4.7"


def test_a_known_address_alone_brings_its_presets_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    preset = PRESETS["groq"]
    monkeypatch.setenv("CASTLINE_LLM_BASE_URL", preset.base_url)
    monkeypatch.setenv("CASTLINE_LLM_MODEL", "m")
    monkeypatch.setenv("GROQ_API_KEY", "sk-own")
    known = provider_of("")
    assert (known.structured, known.timeout_s, known.limits.slots, known.max_batch) == (
        preset.structured, preset.timeout_s, preset.slots, preset.max_batch)  # fmt: skip
    monkeypatch.setenv("CASTLINE_LLM_STRUCTURED", "prompt")
    monkeypatch.setenv("CASTLINE_LLM_TIMEOUT_S", "7")
    monkeypatch.setenv("MAX_CONCURRENT", "3")
    said = provider_of("")
    assert (said.structured, said.timeout_s, said.limits.slots) == ("prompt", 7, 3)


def test_a_providers_own_key_never_goes_to_another_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-own")
    local = provider_of('[providers.openai]\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"')
    assert local.api_key.get_secret_value() == ""
    with pytest.raises(ConfigurationError) as caught:
        provider_of('[providers.openai]\nmodel = "m"\nbase_url = "https://example.com/v1"')
    assert caught.value.hint == "set CASTLINE_PROVIDERS__OPENAI__API_KEY"
    monkeypatch.setenv("BIGMODEL_API_KEY", "other")
    monkeypatch.setenv("CASTLINE_LLM_BASE_URL", "https://example.com/v1")
    with pytest.raises(ConfigurationError, match="no key"):
        provider_of("")


def test_a_missing_key_names_the_variable_that_would_hold_it() -> None:
    with pytest.raises(ConfigurationError) as caught:
        provider_of('[providers.groq]\nmodel = "m"')
    assert caught.value.hint == "set GROQ_API_KEY"


def test_among_several_tables_one_must_be_chosen() -> None:
    two = '[providers.a]\nmodel="m"\nbase_url="http://127.0.0.1:1"\n' + (
        '[providers.b]\nmodel="n"\nbase_url="http://127.0.0.1:2"'
    )
    with pytest.raises(ConfigurationError, match="a, b"):
        provider_of(two)
    assert provider_of('provider = "b"\n' + two).model == "n"


def test_an_unknown_provider_is_told_its_nearest_neighbour() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'openai'"):
        provider_of('provider = "opanai"')


GOOD = '[providers.x]\nbase_url = "http://127.0.0.1:9/v1"\nmodel = "m"\n'


@pytest.mark.parametrize(
    ("toml", "named"),
    [
        (GOOD + "modle = 'm'", ("providers.x.modle", "did you mean 'model'")),
        (GOOD + "slots = 'many'", ("providers.x.slots",)),
        (GOOD + "slots = 0", ("providers.x.slots", "greater than or equal to 1")),
        (GOOD + "rpm = -1", ("providers.x.rpm", "greater than or equal to 0")),
        (GOOD + "timeout_s = -1", ("providers.x.timeout_s",)),
        (GOOD + "timeout_s = nan", ("providers.x.timeout_s",)),
        (GOOD + "max_batch = 0", ("providers.x.max_batch",)),
        (GOOD + "preset = 'grok'", ("providers.x.preset", "openai, groq", "'groq'")),
        (GOOD + "dialect = 'openia'", ("providers.x.dialect", "openai, anthropic", "'openai'")),
        (GOOD + "structured = 'json'", ("providers.x.structured", "json_object")),
        (GOOD + "chat_model = 'n'", ("providers.x", "chat_model and model")),
        (GOOD + "fallback_models = 'n'", ("providers.x.fallback_models",)),
        ("[providers.x]\nbase_url = 'http://127.0.0.1'", ("providers.x.model", "missing")),
        ("[providers.openai]\nmodel = ' '", ("providers.openai.model", "empty")),
        ("[providers.x]\nmodel = 'm'", ("providers.x", "base_url", "preset")),
        (GOOD.replace("http:", "ftp:"), ("providers.x.base_url", "not a web address")),
        ("[providers]\nx = 'http://127.0.0.1'", ("providers.x", "[providers.x]")),
        ("providers = 3", ("providers", "dictionary")),
    ],
)
def test_a_malformed_table_stops_the_program_and_names_the_key(
    toml: str, named: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings_of(toml)
    for words in named:
        assert words in str(caught.value)


def test_a_wrong_key_is_never_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings_of(GOOD + "api_key = ['sk-secret']")
    assert "sk-secret" not in str(caught.value)
    assert "providers.x.api_key" in str(caught.value)


FALLING_BACK = (
    'provider = "x"\n' + GOOD + 'fallback_models = ["second", "y/third/big", "x/y/z", "q/own"]\n'
    '[providers.y]\nbase_url = "http://127.0.0.1:8"\nmodel = "n"\nslots = 2\nrpm = 30\n'
)


def test_a_fallback_with_a_configured_providers_name_is_that_providers() -> None:
    provider = provider_of(FALLING_BACK)
    found = [(f.provider.name if f.provider else "", f.model) for f in provider.fallbacks]
    assert found == [("", "second"), ("y", "third/big"), ("", "y/z"), ("", "q/own")]


def test_every_fallbacks_provider_stands_behind_limits_of_its_own() -> None:
    limits = gate_limits(provider_of(FALLING_BACK))
    assert set(limits) == {"x", "y"}
    assert (limits["y"].slots, limits["y"].rpm) == (2, 30)


def test_the_model_is_chosen_by_the_task() -> None:
    provider = provider_of(GOOD + 'tool_model = "t"\nvision_model = "v"')
    assert provider.model_for("chat") == "m"
    assert provider.model_for("tool") == "t"
    assert provider.model_for("chat", sees=True) == "v"
    plain = provider_of(GOOD)
    assert plain.model_for("tool") == "m"
    with pytest.raises(ConfigurationError, match="no vision model"):
        plain.model_for("chat", sees=True)


@pytest.mark.parametrize("toml", EXAMPLES)
def test_the_documentations_examples_work(toml: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in KEYS:
        monkeypatch.setenv(variable, "key")
    assert provider_of(toml).model


def test_the_documentations_table_is_the_presets() -> None:
    rows = [line.split("|") for line in DOCUMENT.read_text().splitlines() if "https://" in line]
    found = {
        cells[1].strip(" `"): [cell.strip(" `") for cell in cells[2:-1]]
        for cells in rows
        if len(cells) > 9
    }
    assert set(found) == set(PRESETS)
    for name, (url, key, dialect, structured, *figures) in found.items():
        preset = PRESETS[name]
        assert (url, key, dialect) == (preset.base_url, preset.key_variable, preset.dialect)
        assert structured.startswith(preset.structured)
        assert figures == [
            str(preset.slots), str(preset.max_batch), f"{preset.timeout_s:.0f} s",
            "yes" if preset.batch_api else "no",
        ]  # fmt: skip


def test_a_table_with_the_local_stacks_own_name_is_refused_instead_of_ignored() -> None:
    with pytest.raises(ConfigurationError, match=r"\[providers\.simulated\]"):
        provider_of('[providers.simulated]\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"')
