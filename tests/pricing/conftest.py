"""The price book of the installed genai-prices, compiled once for all tests of pricing."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.pricing.book import Book
from proxy.pricing.compile import compile_book


@pytest.fixture(scope="session")
def book_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prices") / "prices.json"
    assert compile_book(path)
    return path


@pytest.fixture(scope="session")
def book(book_path: Path) -> Book:
    return Book.load(book_path, [])
