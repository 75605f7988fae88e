"""Every model of every provider, several usages and contexts: our price is genai-prices' own, rounded to the nano-USD."""

from __future__ import annotations

import datetime
from decimal import ROUND_HALF_UP, Decimal

import genai_prices
import pytest
from genai_prices import data, types
from genai_prices.data_snapshot import find_provider_by_id

from proxy.call import Usage
from proxy.pricing.book import Book
from proxy.pricing.compile import _FREE, _UNITS

USAGES = {
    "plain": Usage(input_tokens=1234, output_tokens=567),
    "cached": Usage(input_tokens=50_011, output_tokens=1_003, cache_read_tokens=20_007),
    "written": Usage(input_tokens=90_001, output_tokens=77, cache_read_tokens=30_000, cache_write_tokens=40_000, cache_write_1h_tokens=15_001),
    "long": Usage(input_tokens=600_003, output_tokens=2_001, cache_read_tokens=100_001),
    "at 200 000": Usage(input_tokens=200_000, output_tokens=11),
    "over 200 000": Usage(input_tokens=200_001, output_tokens=11),
    "thinking": Usage(input_tokens=333, output_tokens=9_999, reasoning_tokens=7_777),
    "voice": Usage(
        input_tokens=3_000, output_tokens=900, input_audio_tokens=2_000, output_audio_tokens=700, cache_read_tokens=900, cache_read_audio_tokens=600
    ),
    "pictures": Usage(input_tokens=5_000, output_tokens=4_300, input_image_tokens=4_001, output_image_tokens=4_160),
    "searches": Usage(input_tokens=700, output_tokens=300, web_searches=7),
    "seconds": Usage(audio_seconds=61.25),
    "short seconds": Usage(audio_seconds=3.5),
}
CONTEXTS = [(None, False), ("flex", False), ("priority", False), ("fast", False), ("default", False), (None, True)]
MOMENTS = [
    datetime.datetime(2026, 9, 15, 2, 30, tzinfo=datetime.UTC),
    datetime.datetime(2026, 11, 20, 12, 0, tzinfo=datetime.UTC),
    datetime.datetime(2027, 1, 1, 7, 0, tzinfo=datetime.UTC),
]
# Models that no usage of ours can price: genai-prices says zero, we say unknown. A new one is to be looked at before it is added.
UNPRICED = {
    # listed without any price, and nothing says that they are free
    ("cerebras", "qwen-3-coder-480b"),
    ("google", "gemma-3"),
    ("google", "gemma-3n"),
    ("huggingface_together", "ServiceNow-AI/Apriel-1.6-15b-Thinker"),
    ("huggingface_together", "prism-ml/Ternary-Bonsai-27B-AWQ-4bit"),
    ("huggingface_together", "prism-ml/Ternary-Bonsai-27B-gguf"),
    ("openrouter", "gemini-2.5-pro-exp-03-25"),
    ("openrouter", "google/gemini-flash-1.5-8b-exp"),
    ("openrouter", "google/lyria-3-clip-preview"),
    ("openrouter", "google/lyria-3-pro-preview"),
    ("openrouter", "stealth/crouton-alpha"),
    # priced by the character or the page, which no usage reports
    ("groq", "canopylabs/orpheus-arabic-saudi"),
    ("groq", "canopylabs/orpheus-v1-english"),
    ("mistral", "mistral-ocr-2503"),
    ("mistral", "mistral-ocr-2505"),
    ("mistral", "mistral-ocr-2512"),
    ("mistral", "mistral-ocr-4-0"),
    ("mistral", "mistral-ocr-4-1"),
    ("mistral", "mistral-ocr-latest"),
    ("openai", "tts-1"),
    ("openai", "tts-1-hd"),
}
# `cache_image_read` and the like are joins that a usage of ours does not report: none of it, said outright.
SILENT = ("cache_image_read_tokens", "cache_audio_write_tokens", "output_audio_reasoning_tokens", "output_image_reasoning_tokens")


def ask_genai(usage: Usage, model: types.ModelInfo, provider: types.Provider, tier: str | None, batch: bool, moment: datetime.datetime) -> int:
    seconds = Decimal(repr(usage.audio_seconds))
    theirs = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        output_reasoning_tokens=usage.reasoning_tokens,
        input_audio_tokens=usage.input_audio_tokens,
        output_audio_tokens=usage.output_audio_tokens,
        input_image_tokens=usage.input_image_tokens,
        output_image_tokens=usage.output_image_tokens,
        cache_audio_read_tokens=usage.cache_read_audio_tokens,
        web_searches=usage.web_searches,
        audio_seconds=seconds,
        input_audio_seconds=seconds,
        **dict.fromkeys(SILENT, 0),
    )
    context = {"service_tier": tier, "speed": tier} if tier else {}
    if batch:
        context["processing"] = "batch"
    priced = model.calc_price(theirs, provider, genai_request_timestamp=moment, price_context=context)
    return int((priced.total_price * 10**9).quantize(Decimal(1), ROUND_HALF_UP))


def covers(model: types.ModelInfo, provider: types.Provider, usage: Usage, moment: datetime.datetime) -> bool:
    """Whether some price of the model applies to something that the usage reports; else the price is unknown, not zero."""
    if not [price for price in vars(model.get_prices(moment)).values() if price is not None]:
        return model.id.endswith(":free") or (provider.id, model.id) in _FREE
    reported = {
        "input": usage.input_tokens,
        "output": usage.output_tokens,
        "cache_read": usage.cache_read_tokens,
        "cache_write": usage.cache_write_tokens,
        "cache_write_1h": usage.cache_write_1h_tokens,
        "input_audio": usage.input_audio_tokens,
        "cache_read_audio": usage.cache_read_audio_tokens,
        "input_image": usage.input_image_tokens,
        "output_audio": usage.output_audio_tokens,
        "output_image": usage.output_image_tokens,
        "reasoning": usage.reasoning_tokens,
        "web_search": usage.web_searches,
        "request": 1,
        "audio_hour": usage.audio_seconds,
    }
    keys = [key for key, price in vars(model.get_prices(moment)).items() if price is not None]
    return any(reported[_UNITS[key][0]] for key in keys if key in _UNITS)


def name_of(model: types.ModelInfo, provider: types.Provider) -> str:
    """A name that genai-prices itself resolves to this model, so that no model stays untested behind an earlier one."""
    clauses = [model.match, *getattr(model.match, "or_", [])]
    names = [model.id, *[clause.equals for clause in clauses if isinstance(clause, types.ClauseEquals)]]
    texts = [getattr(clause, "starts_with", None) or getattr(clause, "contains", None) or getattr(clause, "ends_with", None) for clause in clauses]
    return next(name for name in [*names, *texts] if name and provider.find_model(name, all_providers=data.providers) is model)


@pytest.mark.parametrize("provider", data.providers, ids=lambda one: one.id)
def test_agrees_with_genai_prices(book: Book, provider: types.Provider) -> None:
    compared = 0
    for model in provider.models:
        name = name_of(model, provider)
        timeless = isinstance(model.prices, types.ModelPrice) and not model.price_variants
        for usage in USAGES.values():
            for moment in MOMENTS[:1] if timeless else MOMENTS:
                for tier, batch in CONTEXTS if model.price_variants else CONTEXTS[:1]:
                    expected = ask_genai(usage, model, provider, tier, batch, moment) if covers(model, provider, usage, moment) else None
                    at_ns = int(moment.timestamp()) * 10**9
                    priced = book.price(
                        upstream="any", provider=provider.id, models=(name,), usage=usage, service_tier=tier, batch=batch, at_ns=at_ns
                    )
                    assert priced.cost_nano_usd == expected, (model.id, name, usage, tier, batch, moment)
                    compared += 1
    assert compared >= len(provider.models) * len(USAGES)


def test_only_reviewed_models_have_no_price_at_all(book: Book) -> None:
    at_ns = int(MOMENTS[1].timestamp()) * 10**9
    unpriced = set()
    for provider in data.providers:
        for model in provider.models:
            name = name_of(model, provider)
            costs = [
                book.price(upstream="any", provider=provider.id, models=(name,), usage=usage, service_tier=None, at_ns=at_ns).cost_nano_usd
                for usage in USAGES.values()
            ]
            if all(cost is None for cost in costs):
                unpriced.add((provider.id, model.id))
    assert unpriced == UNPRICED


@pytest.mark.parametrize("provider", data.providers, ids=lambda one: one.id)
def test_finds_the_model_that_genai_prices_finds(book: Book, provider: types.Provider) -> None:
    for name in spellings(provider):
        theirs = provider.find_model(name, all_providers=data.providers)
        ours = book.find_model(provider.id, name)
        assert (ours and ours[0].id) == (theirs and theirs.id), name


def spellings(provider: types.Provider) -> list[str]:
    """Names that a provider may be asked for: its own, decorated ones, and those of its neighbours."""
    own = [name_of(model, provider) for model in provider.models]
    decorated = [name.upper() for name in own] + [f"{mark}{name}" for name in own[:40] for mark in ("us.", "eu.anthropic.", "x-", "openai/", " ")]
    dated = [f"{name}{mark}" for name in own[:40] for mark in ("-20251211", "-2025-12-11", "-20251399", ":batch", "-latest", "-v1:0", "@20250929")]
    neighbours = [model.id for other in data.providers for model in other.models[:10]]
    return [name for name in own + decorated + dated + neighbours if name == name.strip()]


def test_finds_the_provider_that_genai_prices_finds(book: Book) -> None:
    names = [one.id for one in data.providers] + ["gemini", "bedrock", "vertex", "together_ai", "xai", "OpenAI", "my-mistral", "ollama", "local", ""]
    for name in names:
        theirs = find_provider_by_id(data.providers, name)
        assert book.provider_of(name, "192.0.2.1") == (theirs and theirs.id), name
