from __future__ import annotations

import pytest

from evaluators.leaks import judge
from evaluators.sample import Sample


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Done.<|im_end|>", "control_token"),
        ("<\uff5cend\u2581of\u2581sentence\uff5c>", "control_token"),
        ("[INST] What? [/INST]", "control_token"),
        ("Paris.</s>", "control_token"),
        ("Pa</s>ris is", "control_token"),
        ("<start_of_turn>model", "control_token"),
        ("Hello\n### Human: and you?", "template"),
        ("Hello\nUSER: and you?", "template"),
        ("a[/INST]", "control_token"),
        ("[INST] What?", "control_token"),
        ("<<SYS>>", "control_token"),
        ("a<</SYS>>", "control_token"),
        ("[AVAILABLE_TOOLS]", "control_token"),
        ("a [TOOL_CALLS] b", "control_token"),
        ("[TOOL_RESULTS]", "control_token"),
        ("</end_of_turn>", "control_token"),
        ("<pad>", "control_token"),
        ("<eos>", "control_token"),
        ("a<bos>", "control_token"),
        ("<unk> b", "control_token"),
        ("Human : and you?", "template"),
        ("Hello\nHuman: and you?", "template"),
        ("USER :\nand you?", "template"),
        ("ASSISTANT: Hello", "template"),
        ("ASSISTANT : Hello", "template"),
        ("Hello\nSYSTEM: be short", "template"),
        ("SYSTEM : be short", "template"),
        ("##Input: 4", "template"),
        ("a <| b |> c", "pass"),
        ("<s>struck</s> out", "pass"),
        ("## Response times", "pass"),
        ("x[INSTANCE]", "pass"),
        ("Username: Bob", "pass"),
    ],
)
def test_control_tokens_and_templates(text: str, label: str) -> None:
    assert judge(Sample(text=text)).label == label


def test_they_are_counted() -> None:
    assert judge(Sample(text="<|a|>" * 3)).explanation.endswith("found: 3")


def test_nothing_is_said_of_nothing() -> None:
    assert judge(Sample()) is None
