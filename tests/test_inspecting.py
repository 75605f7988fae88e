"""The settings of the inspection."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluators.catalog import BUILT_IN
from proxy.config import ConfigError, parse
from proxy.inspecting import BUILT_IN as KNOWN


def test_the_names_here_are_those_of_the_evaluators() -> None:
    """The data plane reads the settings, and loads no evaluator for it."""
    assert set(KNOWN) == set(BUILT_IN)


@pytest.mark.parametrize(
    ("section", "path", "told"),
    [
        ("{per_second: -1}", "evaluators.per_second", "must be 0 or more"),
        ("{share: 1.5}", "evaluators.share", "from 0 to 1"),
        ("{shares: {empty: 2}}", "evaluators.shares.empty", "from 0 to 1"),
        ("{shares: {emptiness: 1}}", "evaluators.shares.emptiness", "there are empty, json"),
        ("{shares: {mine: 1}, own: [{name: mine, path: 'a:b'}]}", "evaluators.shares.mine", "under `own`"),
        ("{expect: [{agent: a}]}", "evaluators.expect[0]", "expects nothing"),
        ("{expect: [{language: English}]}", "evaluators.expect[0].language", "two letters"),
        ("{expect: [{schema: /nowhere/schema.json}]}", "evaluators.expect[0].schema", "cannot be read"),
        ("{own: [{name: empty, path: 'a:b'}]}", "evaluators.own[0].name", "is taken"),
        ("{own: [{name: a, path: 'a:b'}, {name: a, path: 'a:b'}]}", "evaluators.own[1].name", "is taken"),
        ("{own: [{name: A-1, path: 'a:b'}]}", "evaluators.own[0].name", "lower-case"),
        ("{own: [{name: a, path: a.b}]}", "evaluators.own[0].path", "package.module:function"),
        ("{own: [{name: a, path: 'a:b', timeout_s: 0}]}", "evaluators.own[0].timeout_s", "greater than 0"),
        ("{own: [{name: a, path: 'a:b', share: -1}]}", "evaluators.own[0].share", "from 0 to 1"),
        ("{own: [{name: drift, path: 'a:b'}]}", "evaluators.own[0].name", "is taken"),
        ("{agents: [{agent: a}]}", "evaluators.agents[0]", "changes nothing"),
        ("{agents: [{evaluators: [emptiness], share: 1}]}", "evaluators.agents[0].evaluators", "there are empty, json"),
        ("{agents: [{evaluators: [drift], timeout_s: 1}]}", "evaluators.agents[0].evaluators", "give it a `share` here"),
        ("{agents: [{share: 2}]}", "evaluators.agents[0].share", "from 0 to 1"),
        ("{agents: [{timeout_s: 0}]}", "evaluators.agents[0].timeout_s", "greater than 0"),
        ("{agents: [{cpu_s_per_minute: 61}]}", "evaluators.agents[0].cpu_s_per_minute", "at most 60"),
        ("{agents: [{severity: {drift: error}}]}", "evaluators.agents[0].severity.drift", "refusal/refused"),
        ("{agents: [{severity: {json/NOT: error}}]}", "evaluators.agents[0].severity.json/NOT", "refusal/refused"),
        ("{agents: [{severity: {json: fatal}}]}", "evaluators.agents[0].severity.json", "one of info, warning, error"),
        ("{drift: {alpha: 0}}", "evaluators.drift.alpha", "0.0001 is one in 10,000"),
        ("{drift: {alpha: 1}}", "evaluators.drift.alpha", "less than 1"),
        ("{drift: {warmup: 49}}", "evaluators.drift.warmup", "50 to 1000"),
        ("{drift: {by: [task]}}", "evaluators.drift.by", "expected agent"),
        ("{drift: {by: [agent, team]}}", "evaluators.drift.by", "task, model, upstream"),
        ("{drift: {by: [agent, agent]}}", "evaluators.drift.by", "each once"),
        ("{drift: {most_streams: 0}}", "evaluators.drift.most_streams", "1 to 10000"),
        ("{drift: {save_s: 0}}", "evaluators.drift.save_s", "1 or more"),
    ],
)
def test_faults(section: str, path: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"evaluators: {section}")
    (fault,) = caught.value.faults
    assert path in str(fault) and told in str(fault)


def test_a_schema_must_be_json(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text("{")
    with pytest.raises(ConfigError, match="cannot be read"):
        parse(f"evaluators: {{expect: [{{schema: {file}}}]}}")
    file.write_text("{}")
    assert parse(f"evaluators: {{expect: [{{schema: {file}}}]}}").evaluators.expect[0].schema == str(file)


def test_an_evaluator_of_ones_own_may_be_named_for_an_agent() -> None:
    text = "{own: [{name: mine, path: 'a:b'}], agents: [{agent: a, evaluators: [mine, drift], share: 0.5, severity: {mine/loud: info}}]}"
    (manner,) = parse(f"evaluators: {text}").evaluators.agents
    assert (manner.evaluators, manner.share, manner.severity) == (["mine", "drift"], 0.5, {"mine/loud": "info"})
