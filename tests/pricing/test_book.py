"""The book: which price a call gets, from whom, and that unknown stays unknown."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from proxy.call import Usage
from proxy.config import Price
from proxy.pricing import book as book_module
from proxy.pricing.book import Book, BookError, Priced, describe_context

NOW = int(datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC).timestamp()) * 10**9
ONE_EACH = Usage(input_tokens=1000, output_tokens=1000)


def price(
    book: Book, provider: str | None, *models: str | None, usage: Usage = ONE_EACH, tier: str | None = None, batch: bool = False, at_ns: int = NOW
) -> Priced:
    return book.price(upstream="up", provider=provider, models=models, usage=usage, service_tier=tier, batch=batch, at_ns=at_ns)


WRITES = Usage(input_tokens=100_000, output_tokens=1000, cache_read_tokens=50_000, cache_write_tokens=30_000, cache_write_1h_tokens=20_000)
GPT5 = Usage(input_tokens=100_000, output_tokens=5000, cache_read_tokens=40_000)
VOICE = Usage(input_tokens=2000, output_tokens=800, input_audio_tokens=1500, output_audio_tokens=600)


@pytest.mark.parametrize(
    ("provider", "model", "usage", "tier", "batch", "nano_usd"),
    [
        ("anthropic", "claude-sonnet-4-5", WRITES, None, False, 247_500_000),
        ("anthropic", "claude-sonnet-4-5", Usage(input_tokens=250_000, output_tokens=1000), None, False, 1_522_500_000),
        ("anthropic", "claude-sonnet-4-5", Usage(input_tokens=200_000, output_tokens=1000), None, False, 615_000_000),
        ("anthropic", "claude-sonnet-4-5", WRITES, "batch", False, 123_750_000),
        ("anthropic", "claude-opus-4-8", ONE_EACH, "standard", False, 30_000_000),
        ("anthropic", "claude-opus-4-8", ONE_EACH, "fast", False, 60_000_000),
        ("anthropic", "claude-opus-4-8", Usage(output_tokens=1, web_searches=3), None, False, 30_025_000),
        ("openai", "gpt-5", GPT5, "default", False, 130_000_000),
        ("openai", "gpt-5", GPT5, None, True, 65_000_000),
        ("openai", "gpt-5", GPT5, "flex", False, 65_000_000),
        ("openai", "gpt-5", GPT5, "priority", False, 260_000_000),
        ("openai", "gpt-realtime", VOICE, None, False, 500 * 4_000 + 1500 * 32_000 + 200 * 16_000 + 600 * 64_000),
        ("openai", "whisper-1", Usage(audio_seconds=60.0), None, False, 6_000_000),
        ("openai", "text-embedding-3-small", Usage(input_tokens=1000), None, False, 20_000),
        ("google", "gemini-2.5-pro", Usage(input_tokens=250_000, output_tokens=1000, cache_read_tokens=10_000), None, False, 617_500_000),
        ("google", "gemini-2.5-flash", Usage(input_tokens=1000, input_audio_tokens=1000), None, False, 1_000_000),
        ("aws", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", ONE_EACH, None, False, 19_800_000),
        ("aws", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", ONE_EACH, None, False, 18_000_000),
        ("aws", "anthropic.claude-sonnet-4-5-20250929-v1%3A0", ONE_EACH, None, False, 19_800_000),
    ],
)
def test_known_prices(book: Book, provider: str, model: str, usage: Usage, tier: str | None, batch: bool, nano_usd: int) -> None:
    assert price(book, provider, model, usage=usage, tier=tier, batch=batch) == Priced(nano_usd, "book", book.version)


def test_audio_at_a_model_without_audio_prices_counts_as_text(book: Book) -> None:
    """genai-prices 0.2.3 lists gpt-4o-audio-preview without audio rates; an override mends it."""
    audio = Usage(input_tokens=1000, output_tokens=1000, input_audio_tokens=1000, output_audio_tokens=1000)
    assert price(book, "openai", "gpt-4o-audio-preview", usage=audio).cost_nano_usd == 12_500_000


@pytest.mark.parametrize(
    ("provider", "model", "same"),
    [
        ("gemini", "models/gemini-2.5-pro", ("google", "gemini-2.5-pro")),
        ("google", "publishers/google/models/gemini-2.5-pro", ("google", "gemini-2.5-pro")),
        ("google", "claude-sonnet-4-5@20250929", ("anthropic", "claude-sonnet-4-5")),
        ("bedrock", "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-pro-v1:0", ("aws", "us.amazon.nova-pro-v1:0")),
        ("azure", "gpt-4o-2024-08-06", ("openai", "gpt-4o-2024-08-06")),
        ("litellm", "anthropic/claude-sonnet-4-5", ("anthropic", "claude-sonnet-4-5")),
        ("litellm", "gpt-4o", ("openai", "gpt-4o")),
        ("openai", "GPT-4o", ("openai", "gpt-4o")),
    ],
)
def test_the_same_model_under_another_name(book: Book, provider: str, model: str, same: tuple[str, str]) -> None:
    cost = price(book, *same).cost_nano_usd
    assert cost
    assert price(book, provider, model).cost_nano_usd == cost


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        (None, "gpt-4o"),
        ("ollama", "llama3.3"),
        ("no-such-provider", "gpt-4o"),
        ("openai", "gpt-nobody-knows"),
        ("groq", "gpt-4o"),
        ("openrouter", "gpt-4o-nobody"),
        ("openai", "anthropic/claude-sonnet-4-5"),
        ("aws", "arn:aws:bedrock:us-east-1:1:application-inference-profile/a1b2c3"),
        ("litellm", "nobody/knows"),
        ("openai", "tts-1"),
        ("mistral", "mistral-ocr-latest"),
        ("cerebras", "qwen-3-coder-480b"),
        ("openai", "x" * 100_000),
        ("openai", None),
        ("openai", ""),
    ],
)
def test_unknown_is_none_and_never_zero(book: Book, provider: str | None, model: str | None) -> None:
    assert price(book, provider, model) == Priced(None, "none", book.version)


@pytest.mark.parametrize(("provider", "model"), [("openrouter", "agentica-org/deepcoder-14b-preview:free"), ("openai", "omni-moderation-latest")])
def test_free_is_zero(book: Book, provider: str, model: str) -> None:
    assert price(book, provider, model) == Priced(0, "book", book.version)


def test_the_answered_model_counts_and_the_asked_one_stands_in(book: Book) -> None:
    asked, answered = price(book, "openai", "gpt-4o").cost_nano_usd, price(book, "openai", "gpt-4o-mini").cost_nano_usd
    assert price(book, "openai", "gpt-4o-mini", "gpt-4o").cost_nano_usd == answered
    assert price(book, "openai", None, "gpt-4o").cost_nano_usd == asked
    assert price(book, "openai", "an-unknown-snapshot", "gpt-4o").cost_nano_usd == asked


def test_the_tier_of_another_provider_is_not_borrowed(book: Book) -> None:
    assert price(book, "azure", "gpt-5", tier="priority") == price(book, "openai", "gpt-5")


def test_the_price_is_that_of_the_moment(book: Book) -> None:
    before = int(datetime.datetime(2026, 10, 11, tzinfo=datetime.UTC).timestamp()) * 10**9
    dear, plain = price(book, "openai", "gpt-5", tier="priority").cost_nano_usd, price(book, "openai", "gpt-5").cost_nano_usd
    assert dear == 2 * plain
    for _ in range(2):
        assert price(book, "openai", "gpt-5", tier="priority", at_ns=before).cost_nano_usd == plain
        assert price(book, "openai", "gpt-5", tier="priority").cost_nano_usd == dear


def test_the_upstreams_own_cost_wins_over_the_book(book: Book) -> None:
    usage = Usage(input_tokens=1000, output_tokens=1000, cost_nano_usd=77)
    assert price(book, "openrouter", "openai/gpt-4o", usage=usage) == Priced(77, "upstream", book.version)
    assert price(book, None, "anything", usage=usage) == Priced(77, "upstream", book.version)
    assert price(book, None, usage=Usage(cost_nano_usd=0)) == Priced(0, "upstream", book.version)
    assert price(book, None, usage=Usage(input_tokens=1, cost_nano_usd=-5)) == Priced(None, "none", book.version)


def test_overrides_come_first_the_nearest_and_the_first_listed_before_others(book_path: Path, book: Book) -> None:
    prices = [
        Price(model="gpt-4o", input=1.0, output=2.0),
        Price(model="gpt-4o", input=9.0, output=9.0, upstream="elsewhere"),
        Price(model="own", input=0.1, output=0.3, cache_read=0.01, cache_write=0.2, cache_write_1h=0.4, request=0.005, upstream="up"),
        Price(model="own", input=50.0, output=50.0),
        Price(model="gpt-4o", input=70.0, output=70.0),
        Price(model="gift", input=0.0, output=0.0),
    ]
    mine = Book.load(book_path, prices)
    assert price(mine, "openai", "gpt-4o") == Priced(3_000_000, "override", mine.version)
    assert price(mine, "openai", "gpt-4o", usage=Usage(input_tokens=1000, cost_nano_usd=5)) == Priced(1_000_000, "override", mine.version)
    parts = Usage(input_tokens=1000, output_tokens=1000, cache_read_tokens=100, cache_write_tokens=300, cache_write_1h_tokens=200)
    expected = 600 * 100 + 100 * 10 + 100 * 200 + 200 * 400 + 1000 * 300 + 5_000_000
    assert price(mine, None, "own", usage=parts) == Priced(expected, "override", mine.version)
    assert price(mine, None, "gift") == Priced(0, "override", mine.version)
    assert price(mine, "openai", "GPT-4O").source == "book"
    assert price(mine, "openai", "gpt-4o-mini") == Priced(price(book, "openai", "gpt-4o-mini").cost_nano_usd, "book", mine.version)


def test_caches_default_to_the_input_price(book_path: Path) -> None:
    mine = Book.load(book_path, [Price(model="m", input=2.0, output=0.0)])
    usage = Usage(input_tokens=1000, cache_read_tokens=400, cache_write_tokens=300, cache_write_1h_tokens=100)
    assert price(mine, None, "m", usage=usage).cost_nano_usd == 2_000_000


def test_the_version_names_the_data_and_the_overrides(book_path: Path, book: Book) -> None:
    assert book.version.startswith("genai-prices ") and "+" not in book.version
    one = Book.load(book_path, [Price(model="m", input=1.0, output=1.0)]).version
    same = Book.load(book_path, [Price(model="m", input=1.0, output=1.0)]).version
    other = Book.load(book_path, [Price(model="m", input=1.0, output=1.5)]).version
    assert one == same != other
    assert one.startswith(f"{book.version}+overrides.")


def test_without_a_file_only_overrides_are_known() -> None:
    bare = Book.load(None, [Price(model="m", input=1.0, output=1.0)])
    assert price(bare, "openai", "m").cost_nano_usd == 2_000_000
    assert price(bare, "openai", "gpt-4o").cost_nano_usd is None
    assert bare.provider_of("openai", "api.openai.com") is None


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"format": 99, "version": "x", "providers": []}'])
def test_a_file_that_is_no_book_is_an_error_that_names_it(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "prices.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BookError, match=r"prices\.json"):
        Book.load(path, [])


@pytest.mark.parametrize(
    ("name", "host", "provider"),
    [
        ("openai", "api.openai.com", "openai"),
        ("anthropic", "api.anthropic.com", "anthropic"),
        ("whatever", "generativelanguage.googleapis.com", "google"),
        ("whatever", "us-central1-aiplatform.googleapis.com", "google"),
        ("whatever", "bedrock-runtime.eu-west-1.amazonaws.com", "aws"),
        ("openai", "contoso.openai.azure.com", "azure"),
        ("whatever", "https://openrouter.ai/api", "openrouter"),
        ("whatever", "http://api.deepseek.com", "deepseek"),
        ("whatever", "https://router.huggingface.co/together/v1", "huggingface_together"),
        ("mistral", "127.0.0.1:9000", "mistral"),
        ("bedrock", "127.0.0.1:9000", "aws"),
        ("ollama", "localhost:11434", None),
        ("local", "127.0.0.1:8000", None),
    ],
)
def test_providers_are_known_by_host_then_by_name(book: Book, name: str, host: str, provider: str | None) -> None:
    assert book.provider_of(name, host) == provider


def test_lookups_are_kept_but_not_without_bound(book_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_module, "_FOUND_MOST", 8)
    mine = Book.load(book_path, [])
    for index in range(50):
        price(mine, "openai", f"unknown-{index}")
    price(mine, "openai", "y" * 600)
    price(mine, "openai", "gpt-4o", tier="z" * 600)
    assert len(mine._found) == 8
    assert price(mine, "openai", "unknown-0").cost_nano_usd is None


@pytest.mark.parametrize(
    ("tier", "batch", "context"),
    [
        (None, False, {}),
        ("", False, {}),
        ("FLEX", False, {"service_tier": "flex", "speed": "flex"}),
        ("ON_DEMAND_PRIORITY", False, {"service_tier": "priority", "speed": "priority"}),
        ("fast", False, {"service_tier": "fast", "speed": "fast"}),
        (None, True, {"processing": "batch"}),
        ("batch", False, {"service_tier": "batch", "speed": "batch", "processing": "batch"}),
    ],
)
def test_tiers_as_providers_spell_them(tier: str | None, batch: bool, context: dict[str, str]) -> None:
    assert describe_context(tier, batch) == context
