"""The settings of judges: what is checked, and said."""

import pytest

from proxy.config import ConfigError, parse
from proxy.judging import Judge

UP = "upstreams: {up: {url: 'http://127.0.0.1:1'}, other: {url: 'http://127.0.0.1:1', dialect: bedrock}}\n"
BUDGET = "budgets: [{name: judges, usd: 1, per: day, match: {agent: 'judge-*'}}]\n"
GOOD = "{name: tone, upstream: up, model: m, rubric: be kind}"


def read(judge, more=BUDGET, environment=None):
    return parse(f"{UP}{more}judges:\n  - {judge}", environment=environment or {})


def test_all_of_it_is_read(tmp_path):
    (tmp_path / "rubric").write_text("be brief")
    text = f"{{name: tone, upstream: demo, model: m, rubric_file: {tmp_path / 'rubric'}, path: /x, key: env:K, against: big, severity: error"
    text += ", match: {agent: a}, share: 0.5, per_minute: 2, timeout_s: 5, pass_score: 0.7}"
    (judge,) = read(text, environment={"K": "wbk_x"}).judges
    assert judge == Judge("tone", "demo", "m", None, str(tmp_path / "rubric"), "/x", "env:K", "big", {"agent": "a"}, 0.5, 2.0, 5.0, 0.7, "error")
    assert (judge.agent, judge.read_rubric(), judge.find_key({"K": "wbk_x"})) == ("judge-tone", "be brief", "wbk_x")
    assert read(GOOD).judges[0].find_key({"": "x"}) is None
    assert parse(f"{UP}{BUDGET}judges: [{GOOD}]\ncontrols: [{{name: c, when: [tone/poor], do: pause}}]").controls


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{name: T, upstream: up, model: m, rubric: x}", "judges[0].name: expected lower-case"),
        ("{name: json, upstream: up, model: m, rubric: x}", "judges[0].name: is taken"),
        (f"{GOOD}\n  - {GOOD}", "judges[1].name: is taken"),
        ("{name: t, upstream: nowhere, model: m, rubric: x}", "judges[0].upstream: names no configured upstream; known: up, other"),
        ("{name: t, upstream: other, model: m, rubric: x}", "judges[0].upstream: speaks the dialect bedrock"),
        ("{name: t, upstream: up, model: m}", "judges[0].rubric: give either"),
        ("{name: t, upstream: up, model: m, rubric: ' '}", "judges[0].rubric: is empty"),
        ("{name: t, upstream: up, model: m, rubric_file: /no/such}", "judges[0].rubric_file: cannot be read"),
        ("{name: t, upstream: up, model: m, rubric: x, path: v1}", "judges[0].path: begins with a slash"),
        ("{name: t, upstream: up, model: m, rubric: x, key: env:ABSENT}", "judges[0].key: expected env:NAME"),
        ("{name: t, upstream: up, model: m, rubric: x, match: {key: k}}", "judges[0].match.key: an inspected call is known by"),
        ("{name: t, upstream: up, model: m, rubric: x, share: 0}", "judges[0].share: must be greater than 0"),
        ("{name: t, upstream: up, model: m, rubric: x, per_minute: 0}", "judges[0].per_minute: must be greater than 0"),
    ],
)
def test_what_is_wrong_is_said(text, said):
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert len(caught.value.faults) == 1 and said in str(caught.value.faults[0])


@pytest.mark.parametrize("match", ["{agent: 'support-*'}", "{agent: 'judge-*', model: m}"])
@pytest.mark.parametrize("mode", ["enforce", "observe"])
def test_one_that_spends_without_a_bound_is_refused(match, mode):
    with pytest.raises(ConfigError, match="spends money and has no budget that is enforced"):
        read(GOOD, f"budgets: [{{name: some, usd: 1, match: {match}, mode: {mode}}}]\n")
    with pytest.raises(ConfigError, match=r"match: \{agent: judge-tone\}"):
        read(GOOD, "budgets: [{name: all, usd: 1, mode: warn}]\n")
    assert read(GOOD, "budgets: [{name: all, usd: 1}]\n").judges


def test_where_everybody_needs_a_key_a_judge_does_too():
    with pytest.raises(ConfigError, match="is needed, for `auth: required`"):
        read(GOOD, BUDGET + "auth: required\n")
