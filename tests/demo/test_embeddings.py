"""Vectors, packed and plain, and the list of models."""

from __future__ import annotations

import array
import base64
import math

import pytest

from proxy.demo.embeddings import make_vector, pack_vector
from proxy.demo.exchange import Wrong
from tests.demo.client import Client


def test_vectors_have_length_one_and_depend_on_the_text() -> None:
    assert math.isclose(math.hypot(*make_vector("a", 64)), 1, rel_tol=1e-5)
    assert make_vector("a", 64) == make_vector("a", 64) != make_vector("b", 64)
    with pytest.raises(Wrong):
        make_vector("a", 0)


def test_packed_and_plain_hold_the_same_numbers(provider: Client) -> None:
    asked = {"model": "text-embedding-3-small", "input": "hello", "dimensions": 8}
    plain = provider.ask("/v1/embeddings", asked).document["data"][0]["embedding"]
    packed = provider.ask("/v1/embeddings", {**asked, "encoding_format": "base64"}).document["data"][0]["embedding"]
    assert array.array("f", base64.b64decode(packed)).tolist() == plain and pack_vector(plain) == packed


def test_token_lists_count_as_they_are(provider: Client) -> None:
    answer = provider.ask("/v1/embeddings", {"model": "text-embedding-3-small", "input": [[1, 2, 3], [4]]}).document
    assert answer["usage"] == {"prompt_tokens": 4, "total_tokens": 4} and [each["index"] for each in answer["data"]] == [0, 1]


def test_models_are_listed(provider: Client) -> None:
    names = [model["id"] for model in provider.ask("/v1/models").document["data"]]
    assert "gpt-4o-mini" in names and "gpt-4o-mini-2024-07-18" in names
    assert provider.ask("/v1/models/gpt-4o").document["id"] == "gpt-4o"
