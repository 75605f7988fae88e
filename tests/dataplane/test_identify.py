import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.call import Ask
from proxy.config import Identity, Key
from proxy.dataplane.identify import Identifier, Place, read_place
from proxy.errors import Refusal

OURS = "wb-secret-key"
LADDER = Identifier(Identity(keys=[Key(sha256=hashlib.sha256(OURS.encode()).hexdigest(), agent="by-key", team="red")], teams={"by-path": "blue"}))


def test_the_prefix_is_taken_off_and_the_rest_keeps_its_encoding():
    place = read_place("/a/bill%20ing/t/T%2D1/s/s1/bedrock/model/anthropic.claude-v1%3A0/converse?x=1%20")
    assert place == Place("bedrock", "/model/anthropic.claude-v1%3A0/converse?x=1%20", "bill ing", "T-1", "s1")
    assert read_place("/openai/v1/models") == Place("openai", "/v1/models")
    assert read_place("/agent/x/openai") == Place("openai", "", "x")
    assert read_place("/a/x/s/s9/openai/v1?q") == Place("openai", "/v1?q", "x", None, "s9")


LONG = "/a/" + "n" * 200 + "/openai/v1"


@pytest.mark.parametrize("target", ["/openai/../admin", "/openai/%2e%2E/x", "/openai//v1", "http://evil/openai", "*", "/a/%00/openai/v1", LONG])
def test_targets_that_could_mean_two_things_are_refused(target):
    with pytest.raises(Refusal):
        read_place(target)


def test_names_with_dots_are_no_dot_segments():
    assert read_place("/openai/v1/.well-known/x..y").rest == "/v1/.well-known/x..y"


EVERYTHING = {
    "x-agent-id": "by-header", "x-task-id": "task-header", "x-session-id": "session-header", "baggage": "gen_ai.agent.name=by%2Dbaggage;p=1,other=1",
    "x-claude-code-agent-id": "by-native", "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
}  # fmt: skip


@pytest.mark.parametrize(
    ("place", "drop", "ask", "key", "agent", "rung"),
    [
        (Place("u", "", "by-path"), (), Ask(), OURS, "by-path", "path"),
        (Place("u", ""), (), Ask(), OURS, "by-key", "key"),
        (Place("u", ""), (), Ask(), None, "by-header", "header"),
        (Place("u", ""), ("x-agent-id",), Ask(), None, "by-baggage", "baggage"),
        (Place("u", ""), ("x-agent-id", "baggage"), Ask(agent="by-body"), None, "by-native", "native"),
        (Place("u", ""), ("x-agent-id", "baggage", "x-claude-code-agent-id"), Ask(agent="by-body"), None, "by-body", "native"),
        (Place("u", ""), ("x-agent-id", "baggage", "x-claude-code-agent-id"), Ask(), None, "unknown", "unknown"),
    ],
)
def test_the_first_hit_wins_and_names_its_rung(place, drop, ask, key, agent, rung):
    fields = {name: value for name, value in EVERYTHING.items() if name not in drop}
    who = LADDER.identify(place, fields, ask, key)
    assert (who.agent, who.rung) == (agent, rung)
    assert (who.trace_id, who.span_id) == ("a" * 32, "b" * 16)
    assert who.task == "task-header"


def test_teams_come_from_the_key_or_the_config():
    assert LADDER.identify(Place("u", "", "by-path"), {}, Ask(), None).team == "blue"
    assert LADDER.identify(Place("u", ""), {}, Ask(), OURS).team == "red"


def test_a_providers_key_names_an_agent_by_salted_hash_only():
    who = LADDER.identify(Place("u", ""), {}, Ask(), "sk-live-123")
    assert who.rung == "key_hash" and who.agent.startswith("key-") and "sk-live" not in who.agent
    other = Identifier(Identity(salt="pepper")).identify(Place("u", ""), {}, Ask(), "sk-live-123")
    assert other.agent != who.agent


@pytest.mark.parametrize(
    ("fields", "agent", "session"),
    [
        ({"user-agent": "claude-cli/2.1.197 (external, cli)", "x-claude-code-session-id": "s1"}, "claude-code", "s1"),
        ({"user-agent": "codex_cli_rs/0.169.0", "x-codex-turn-metadata": '{"agent_name":"/root","session_id":"s2"}'}, "codex", "s2"),
        ({"x-codex-turn-metadata": '{"agent_name":"/root/helper"}'}, "codex/root/helper", None),
        ({"user-agent": "opencode/1.18.33", "x-session-id": "s3"}, "opencode", "s3"),
        ({"user-agent": "GeminiCLI/0.61.0"}, "gemini-cli", None),
        ({"user-agent": "Boto3/1.44.5 md/Botocore#1.44.5 app/agent-1"}, "agent-1", None),
        ({"x-codex-turn-metadata": "{broken", "session-id": "s4"}, "codex", "s4"),
    ],
)
def test_native_marks(fields, agent, session):
    who = LADDER.identify(Place("u", ""), fields, Ask(), None)
    assert (who.agent, who.rung, who.session) == (agent, "native", session)


NAMES = st.sampled_from([*EVERYTHING, "x-codex-turn-metadata", "user-agent", "session-id"])


@given(st.dictionaries(NAMES, st.text(st.characters(max_codepoint=255), max_size=60)))
def test_whatever_headers_come_somebody_is_named(fields):
    who = LADDER.identify(Place("u", ""), fields, Ask(), None)
    assert who.agent and who.agent.isprintable() and len(who.agent) <= 128
