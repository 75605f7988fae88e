"""The token counter: tiktoken's own numbers, without a network, whatever the text is."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.controlplane import tokens
from proxy.controlplane.tokens import LIMIT_BYTES, VocabularyError, choose_encoding, count, cut_windows, estimate_prompt, failures

PROSE = "The weighbridge stands at the gate; every cart that passes is weighed, and its load is written down. " * 700


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", 0),
        ("Hello, world!", 4),
        ("tiktoken is great!", 6),
        ("antidisestablishmentarianism", 6),
        ("お誕生日おめでとう", 8),
        ("<|endoftext|>", 7),
        ("2 + 2 = 4", 7),
    ],
)
def test_counts_what_o200k_counts(text: str, number: int) -> None:
    assert count(text) == number


@pytest.mark.parametrize(("text", "number"), [("tiktoken is great!", 6), ("antidisestablishmentarianism", 6), ("お誕生日おめでとう", 9)])
def test_older_models_count_with_their_own_vocabulary(text: str, number: int) -> None:
    assert count(text, "gpt-4-0613") == number


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        (None, "o200k_base"),
        ("gpt-4o-mini", "o200k_base"),
        ("gpt-5", "o200k_base"),
        ("gpt-4-turbo", "cl100k_base"),
        ("openai/gpt-3.5-turbo", "cl100k_base"),
        ("text-embedding-3-small", "cl100k_base"),
        ("claude-sonnet-4-5", "o200k_base"),
        ("davinci", "o200k_base"),
    ],
)
def test_the_vocabulary_of_a_model(model: str | None, encoding: str) -> None:
    assert choose_encoding(model) == encoding


def test_never_reaches_the_network(tmp_path: Path) -> None:
    """A fresh process, with every socket refused and no cache anywhere, loads both vocabularies and counts."""
    code = (
        "import socket\n"
        "def refuse(*_, **__): raise SystemExit('a socket was opened')\n"
        "socket.socket = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from proxy.controlplane import tokens\n"
        "assert tokens.count('Hello, world!') == 4 and tokens.count('Hello, world!', 'gpt-4') == 4\n"
        "assert tokens.failures() == {'load': 0, 'count': 0, 'prompt': 0}\n"
    )
    environment = {"TIKTOKEN_CACHE_DIR": str(tmp_path / "none"), "TMPDIR": str(tmp_path), "PATH": ""}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["o200k_base", "cl100k_base"])
def test_the_vocabularies_are_those_that_their_readme_names(name: str) -> None:
    folder = Path(tokens.__file__).parent / "vocabularies"
    digest = hashlib.sha256(gzip.decompress((folder / f"{name}.tiktoken.gz").read_bytes())).hexdigest()
    assert f"| `{name}.tiktoken.gz` | `{digest}` |" in (folder / "README.md").read_text()


def test_a_vocabulary_with_another_hash_or_none_is_refused() -> None:
    for expected in ("0" * 64, None):
        with pytest.raises(VocabularyError, match="not the vocabulary"):
            tokens.read_vocabulary("https://example.invalid/o200k_base.tiktoken", expected)
    with pytest.raises(VocabularyError, match="cannot be read"):
        tokens.read_vocabulary("https://example.invalid/other.tiktoken", "0" * 64)


def test_windows_do_not_change_the_count_of_prose() -> None:
    whole = tokens.load_encoding("o200k_base")
    assert len(PROSE) > 4 * 16384
    assert len(cut_windows(PROSE)) > 4
    assert count(PROSE) == len(whole.encode_ordinary(PROSE))


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("ab é漢1 \n.\t'"), max_size=200), st.integers(1, 400))
def test_windows_lose_and_repeat_nothing(text: str, times: int) -> None:
    long_text = text * times
    assert "".join(cut_windows(long_text)) == long_text


@pytest.mark.parametrize("letter", [" ", "a", "\n", "^", "\t", "漢", "\x00", "\ud800"])
def test_a_million_of_anything_is_counted_within_bounds(letter: str) -> None:
    before = failures()
    tracemalloc.start()
    number = count(letter * 1_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert failures() == before
    assert 1_000 < number <= 3_000_000
    assert peak < 16 * 1024 * 1024


def test_long_text_is_extrapolated_from_all_of_it() -> None:
    half = PROSE * 6
    mixed = half + "漢字" * (len(half) // 2)
    exact = count(PROSE) * 6 + len(tokens.load_encoding("o200k_base").encode_ordinary("漢字" * 1000)) * len(half) // 2000
    assert len(mixed) > 2 * LIMIT_BYTES
    assert count(mixed) == pytest.approx(exact, rel=0.1)


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_counted_and_no_token_is_shorter_than_a_byte(text: str) -> None:
    assert 0 <= count(text) <= len(text.encode("utf-8", "surrogatepass"))


class Panic(BaseException):
    """What tiktoken raises out of Rust: no Exception."""


def test_a_panic_falls_back_to_bytes_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def encode(self, *_: object, **__: object) -> None:
            raise Panic

    monkeypatch.setattr(tokens, "load_encoding", lambda name: Broken())
    before = failures()["count"]
    assert count("x" * 41) == 11
    assert failures()["count"] == before + 1


def test_a_vocabulary_that_cannot_be_loaded_falls_back_to_bytes_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> tiktoken.Encoding:
        raise VocabularyError(name)

    monkeypatch.setattr(tokens, "load_encoding", fail)
    before = failures()["load"]
    assert count("x" * 40) == 10
    assert failures()["load"] == before + 1


def test_an_interrupt_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(name: str) -> tiktoken.Encoding:
        raise KeyboardInterrupt

    monkeypatch.setattr(tokens, "load_encoding", interrupt)
    with pytest.raises(KeyboardInterrupt):
        count("x")


CHAT = {"model": "gpt-4o", "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is the capital of France?"}]}
TOOL = {"type": "function", "function": {"name": "look_up", "description": "Looks a city up.", "parameters": {"type": "object", "properties": {}}}}


def test_a_chat_costs_three_a_message_and_three_more() -> None:
    expected = count("Be brief.") + count("What is the capital of France?") + 2 * 3 + 3
    assert estimate_prompt(json.dumps(CHAT).encode(), "openai_chat", "gpt-4o") == expected


def test_gemini_bills_the_text_alone() -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "What is the capital of France?"}]}]}
    assert estimate_prompt(json.dumps(body).encode(), "gemini", "gemini-2.5-pro") == count("What is the capital of France?")


def test_tools_are_counted_and_anthropic_adds_a_prompt_of_its_own() -> None:
    bare = estimate_prompt(json.dumps(CHAT).encode(), "openai_chat")
    openai = estimate_prompt(json.dumps(CHAT | {"tools": [TOOL]}).encode(), "openai_chat")
    anthropic = estimate_prompt(json.dumps(CHAT | {"tools": [TOOL]}).encode(), "anthropic_messages")
    bedrock = estimate_prompt(json.dumps(CHAT | {"tools": [TOOL]}).encode(), "bedrock_converse", "us.anthropic.claude-3-7-sonnet-20250219-v1:0")
    assert 10 < openai - bare < 60
    assert 600 < anthropic - bare < 700
    assert 350 < bedrock - bare < 450
    effort = estimate_prompt(json.dumps(CHAT | {"output_config": {"effort": "high"}}).encode(), "anthropic_messages")
    assert effort == bare


def test_token_arrays_are_counted_as_they_are() -> None:
    body = {"model": "text-embedding-3-small", "input": [[1, 2, 3], [4, 5]]}
    assert estimate_prompt(json.dumps(body).encode(), "openai_embeddings") == 5 + 3 + 3


def test_a_cut_body_is_extrapolated_and_counted() -> None:
    body = json.dumps({"messages": [{"role": "user", "content": PROSE}]}).encode()
    before = failures()["prompt"]
    estimate = estimate_prompt(body[: len(body) // 4], "openai_chat", request_bytes=len(body))
    assert estimate == pytest.approx(count(PROSE), rel=0.05)
    assert failures()["prompt"] == before + 1


def test_a_huge_prompt_is_extrapolated() -> None:
    body = {"messages": [{"role": "user", "content": PROSE}] * 12}
    assert estimate_prompt(json.dumps(body).encode(), "openai_chat") == pytest.approx(12 * count(PROSE), rel=0.02)


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["openai_chat", "anthropic", "gemini", "opaque", ""]))
def test_any_bytes_are_estimated(request_body: bytes, format_name: str) -> None:
    assert estimate_prompt(request_body, format_name) >= 0
