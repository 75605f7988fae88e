import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.call import Ask
from proxy.config import Identity, Key
from proxy.dataplane.identify import Identifier, Place, read_place
from proxy.errors import Refusal
from proxy.orders import Orders

OURS = "wb-secret-key"
LADDER = Identifier(Identity(keys=[Key(sha256=hashlib.sha256(OURS.encode()).hexdigest(), agent="by-key", team="red")], teams={"by-path": "blue"}))


def test_the_prefix_is_taken_off_and_the_rest_keeps_its_encoding():
    place = read_place("/a/bill%20ing/t/T%2D1/s/s1/bedrock/model/anthropic.claude-v1%3A0/converse?x=1%20")
    assert place == Place("bedrock", "/model/anthropic.claude-v1%3A0/converse?x=1%20", "bill ing", "T-1", "s1")
    assert read_place("/openai/v1/models") == Place("openai", "/v1/models")
    assert read_place("/agent/x/openai") == Place("openai", "", "x")
    assert read_place("/a/x/s/s9/openai/v1?q") == Place("openai", "/v1?q", "x", None, "s9")


LONG = "/a/" + "n" * 200 + "/openai/v1"


HIDDEN = ["/openai/%2e%2E/x", "/openai/v1/files%2F..%2Fchat", "/openai/v1/files%5c%2e%2e%5cchat"]


@pytest.mark.parametrize("target", [*HIDDEN, "/openai/../admin", "/openai//v1", "http://evil/openai", "*", "/a/%00/openai/v1", LONG])
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
        (Place("u", "", "by-path"), (), Ask(), OURS, "by-key", "key"),
        (Place("u", "", "by-path"), (), Ask(), None, "by-path", "path"),
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


def hold(*keys: Key) -> Identifier:
    return Identifier(Identity(keys=list(keys)))


def make_key(**more) -> Key:
    return Key(sha256=hashlib.sha256(OURS.encode()).hexdigest(), **more)


def test_a_key_without_an_agent_leaves_the_name_to_the_caller():
    ladder = hold(make_key(team="red", id="crew"))
    who = ladder.identify(Place("u", "", "by-path"), {}, Ask(), OURS)
    assert (who.agent, who.rung, who.team, who.key, who.key_hash) == ("by-path", "path", "red", "crew", None)
    assert ladder.identify(Place("u", ""), {}, Ask(), OURS).rung == "unknown"


def test_beside_a_key_in_its_own_header_the_providers_key_is_told_apart():
    ladder = hold(make_key(agent="by-key", id="k"))
    who = ladder.identify(Place("u", ""), {"x-weighbridge-key": OURS}, Ask(), "sk-provider")
    assert (who.agent, who.rung, who.key) == ("by-key", "key", "k")
    assert who.key_hash == LADDER.identify(Place("u", ""), {}, Ask(), "sk-provider").key_hash is not None


def test_a_key_of_ours_is_never_kept_as_a_hash():
    assert LADDER.identify(Place("u", ""), {}, Ask(), OURS).key_hash is None
    assert LADDER.identify(Place("u", ""), {}, Ask(), "wbk_somebody-elses").key_hash is None


def test_tags_are_added_to_the_keys_and_override_none():
    ladder = hold(make_key(agent="a", tags={"stage": "live"}))
    fields = {
        "x-weighbridge-tags": "stage=test, crew=night%20shift,,no value,bad name=1,crew=day",
        "baggage": "weighbridge.crew=late,weighbridge.city=K%C3%B6ln;p=1,other=1,weighbridge.=x",
    }
    assert ladder.identify(Place("u", ""), fields, Ask(), OURS).tags == {"stage": "live", "crew": "night shift", "city": "Köln"}
    assert ladder.identify(Place("u", ""), fields, Ask(), None).tags["stage"] == "test"
    assert ladder.identify(Place("u", ""), {}, Ask(), None).tags == {}


def test_a_request_adds_a_bounded_number_of_tags():
    fields = {"x-weighbridge-tags": ",".join(f"t{number}={number}" for number in range(100))}
    assert len(LADDER.identify(Place("u", ""), fields, Ask(), None).tags) == 16


def test_names_outside_ascii_arrive_as_they_were_meant():
    header = {"x-agent-id": "Köln".encode().decode("latin-1")}
    assert LADDER.identify(Place("u", ""), header, Ask(), None).agent == "Köln"
    assert LADDER.identify(Place("u", ""), {"baggage": "agent.id=K%C3%B6ln"}, Ask(), None).agent == "Köln"
    assert LADDER.identify(Place("u", ""), {}, Ask(agent="Köln"), None).agent == "Köln"


def test_a_changed_config_is_taken():
    ladder = Identifier(Identity())
    before = ladder.identify(Place("u", ""), {}, Ask(), "sk-live-123")
    ladder.configure(Identity(keys=[make_key(agent="by-key")], salt="pepper", teams={"by-path": "blue"}), "optional", Orders())
    assert ladder.identify(Place("u", ""), {}, Ask(), OURS).agent == "by-key"
    assert ladder.identify(Place("u", "", "by-path"), {}, Ask(), None).team == "blue"
    assert ladder.identify(Place("u", ""), {}, Ask(), "sk-live-123").key_hash != before.key_hash


@pytest.mark.parametrize(("place", "fields"), [(Place("u", "", "other"), {}), (Place("u", ""), {"x-agent-id": " other "})])
def test_a_key_is_used_in_no_other_name(place, fields):
    with pytest.raises(Refusal) as caught:
        LADDER.admit(place, fields, OURS, 0)
    assert caught.value.name == "caller_bad_request" and "other " not in caught.value.message.replace("another ", "")
    LADDER.admit(Place("u", "", "by-key"), {"x-agent-id": "by-key"}, OURS, 0)
    LADDER.admit(place, fields, None, 0)


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


NAMES = st.sampled_from([*EVERYTHING, "x-weighbridge-key", "x-weighbridge-tags", "x-codex-turn-metadata", "user-agent", "session-id"])


@given(st.dictionaries(NAMES, st.text(st.characters(max_codepoint=255), max_size=60)))
def test_whatever_headers_come_somebody_is_named(fields):
    who = LADDER.identify(Place("u", ""), fields, Ask(), None)
    assert who.agent and who.agent.isprintable() and len(who.agent) <= 128
