"""The names, held against OpenTelemetry's own packages, and the switch between old and new ones."""

from __future__ import annotations

import re
from pathlib import Path

import opentelemetry.util.genai as genai
import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes, server_attributes, user_agent_attributes
from opentelemetry.semconv.attributes import error_attributes, http_attributes, url_attributes

from proxy.controlplane.traces import semconv

ROOT = Path(__file__).resolve().parents[3]
NAMES = {value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str) and not value.startswith("https:")}
GENAI = {name for name in NAMES if name.startswith("gen_ai.")}


def known_to_genai() -> set[str]:
    """Every gen_ai name in the sources of opentelemetry-util-genai: its own strings, and what it takes from the older constants."""
    text = "".join(path.read_text(encoding="utf-8") for path in Path(genai.__path__[0]).glob("*.py"))
    own = set(re.findall(r"\"(gen_ai\.[a-z_.]+)\"", text))
    taken = {getattr(gen_ai_attributes, name, None) for name in re.findall(r"\b(GEN_AI_[A-Z_]+)\b", text)}
    return own | {name for name in taken if isinstance(name, str)}


def constants(*modules: object) -> set[str]:
    return {value for module in modules for name, value in vars(module).items() if name.isupper() and isinstance(value, str)}


# What the released packages have no string for: an event whose name stands in the conventions alone.
OF_THE_CONVENTIONS = {"gen_ai.evaluation.result"}


def test_every_current_name_is_one_of_the_released_packages() -> None:
    released = known_to_genai() | constants(gen_ai_attributes) | OF_THE_CONVENTIONS
    assert len(GENAI) > 25 and not GENAI - released
    others = constants(error_attributes, http_attributes, url_attributes, server_attributes, user_agent_attributes)
    rest = {name for name in NAMES - GENAI if name.startswith(("http.", "error.", "url.", "server.", "user_agent."))}
    assert len(rest) == 8 and not rest - others


def test_what_both_packages_name_is_taken_from_the_newer_one() -> None:
    assert semconv.CACHE_WRITE_TOKENS in known_to_genai() and semconv.PROVIDER in known_to_genai()
    assert not set(semconv.LEGACY.values()) & known_to_genai()


def test_a_legacy_name_once_was_one() -> None:
    assert set(semconv.LEGACY.values()) <= constants(gen_ai_attributes) and set(semconv.LEGACY) <= GENAI


@pytest.mark.parametrize(
    ("vocabulary", "expected"),
    [
        ("current", {"gen_ai.provider.name": "openai", "weighbridge.team": "red"}),
        ("legacy", {"gen_ai.system": "openai", "weighbridge.team": "red"}),
        ("both", {"gen_ai.provider.name": "openai", "gen_ai.system": "openai", "weighbridge.team": "red"}),
    ],
)
def test_a_vocabulary_decides_under_which_names(vocabulary: semconv.Vocabulary, expected: dict[str, str]) -> None:
    assert semconv.speak({semconv.PROVIDER: "openai", semconv.TEAM: "red", semconv.KEY: None}, vocabulary) == expected


@pytest.mark.parametrize(
    ("url", "dialect", "expected"),
    [
        ("https://api.openai.com", "openai", "openai"),
        ("https://mine.openai.azure.com", "openai", "azure.ai.openai"),
        ("https://api.groq.com/openai", "openai", "groq"),
        ("https://bedrock-runtime.us-east-1.amazonaws.com", "bedrock", "aws.bedrock"),
        ("https://generativelanguage.googleapis.com", "gemini", "gcp.gemini"),
        ("https://europe-west1-aiplatform.googleapis.com", "gemini", "gcp.gemini"),
        ("http://localhost:8000", "openai", "openai"),
        ("", "gemini", "gcp.gemini"),
        ("https://notgroq.com", "openai", "openai"),
    ],
)
def test_a_provider_is_named_by_its_host(url: str, dialect: str, expected: str) -> None:
    assert semconv.name_provider(url, dialect) == expected


def test_every_name_stands_in_the_documentation() -> None:
    text = (ROOT / "docs" / "traces.md").read_text(encoding="utf-8")
    assert not {name for name in NAMES - {semconv.SCOPE} if f"`{name}" not in text}
