from pathlib import Path

from proxy.call import Usage
from proxy.config import Config, Price, Upstream
from proxy.pricing.book import Book
from proxy.pricing.compile import compile_book
from proxy.pricing.providers import Providers, load_book


def test_the_config_decides_then_the_address_then_the_name(tmp_path: Path):
    compile_book(tmp_path / "prices.json")
    book = Book.load(tmp_path / "prices.json", [])
    upstreams = {
        "mine": Upstream(url="http://127.0.0.1:1", prices="groq"),
        "fast": Upstream(url="https://api.openai.com"),
        "mistral": Upstream(url="http://127.0.0.1:2"),
        "local": Upstream(url="http://127.0.0.1:3"),
    }
    providers = Providers(book, upstreams)
    assert [providers.find(name, "openai") for name in upstreams] == ["groq", "openai", "mistral", None]
    assert [providers.find("demo", dialect) for dialect in ("openai", "anthropic", "gemini", "ollama")] == ["openai", "anthropic", "google", None]
    assert providers.find("gone", "openai") is None


def test_without_a_book_the_overrides_still_hold(tmp_path: Path, caplog):
    book = load_book(Config(state_dir=str(tmp_path), prices=[Price(model="m", input=1.0, output=1.0)]))
    costs = [
        book.price(upstream="up", provider="openai", models=(model,), usage=Usage(1000, 0), service_tier=None, at_ns=0).cost_nano_usd
        for model in ("m", "gpt-4o")
    ]
    assert costs == [1_000_000, None] and "unknown cost" in caplog.text
