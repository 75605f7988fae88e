"""`weighbridge review`: what waits for a reviewer, a call with its text, and a decision on it."""

from __future__ import annotations

import argparse
from typing import Any

from proxy.commands.admin import CannotAnswer, NothingRuns, address_of, change
from proxy.commands.desk import add_common, drop_absent
from proxy.commands.reports import ask
from proxy.config import Config, load
from proxy.controlplane import show

_DECISIONS = {
    "pass": "the answer is good",
    "fail": "the answer is faulty",
    "unsure": "it cannot be told",
    "approve": "let a held answer go to its caller",
    "reject": "refuse a held answer to its caller",
}
_FACTS = ("agent", "task", "model", "reason", "outcome", "finish")


def add(commands: Any) -> None:
    """Add the commands to the command line."""
    review = commands.add_parser("review", help="look at calls that wait for a reviewer, and decide on them", description="Review calls.")
    verbs = review.add_subparsers(dest="verb", required=True)
    listed = verbs.add_parser("list", help="the calls that wait, the oldest first", description="The calls that wait, the oldest first.")
    listed.set_defaults(run=run_list)
    listed.add_argument("--last", default="100", help="how many (default: 100)")
    listed.add_argument("--format", choices=show.FORMATS, default="table")
    listed.add_argument("--config", help="the YAML file of the proxy; without it the defaults hold")
    shown = verbs.add_parser("show", help="a call: its request, its answer, the verdicts and the decisions", description="Show a call.")
    shown.set_defaults(run=run_show)
    shown.add_argument("call", help="its id, as `weighbridge review list` shows it")
    shown.add_argument("--config", help="the YAML file of the proxy; without it the defaults hold")
    for verb, text in _DECISIONS.items():
        command = verbs.add_parser(verb, help=text, description=text[0].upper() + text[1:] + ".")
        command.set_defaults(run=run_decide)
        command.add_argument("call", help="its id, as `weighbridge review list` shows it")
        command.add_argument("--note", help="why, for whoever reads it later")
        add_common(command)


def run_list(options: argparse.Namespace) -> int:
    """Show what waits."""
    print(show.write(ask(load(options.config), "reviews", {"state": "open", "last": options.last}), options.format), end="", flush=True)
    return 0


def run_show(options: argparse.Namespace) -> int:
    """Show a call."""
    print(describe(_reach(load(options.config), "GET", None, options.call)))
    return 0


def run_decide(options: argparse.Namespace) -> int:
    """Decide on a call."""
    body = drop_absent({"decision": options.verb, "note": options.note, "by": options.by})
    answer = _reach(load(options.config), "POST", body, options.call)
    print(f"{answer['id']}: {answer['state']}" + (f"; {answer['note']}" if answer["note"] else ""))
    return 0


def _reach(config: Config, method: str, body: dict | None, call: str) -> dict[str, Any]:
    try:
        return change(config, method, "/api/reviews/{id}", body, call)
    except NothingRuns:
        message = f"no weighbridge runs on {address_of(config.admin)}; calls are reviewed while one does; `weighbridge reviews` shows them"
        raise CannotAnswer(message) from None


def describe(shown: dict[str, Any]) -> str:
    """A call for a terminal. What came from outside is stripped of what would steer it."""
    lines = [f"call      {shown['id']}"]
    lines += [f"{name:<9} {_clean(str(shown[name]))}" for name in _FACTS if shown.get(name)]
    for verdict in shown["verdicts"]:
        lines.append(f"verdict   {verdict['evaluator']}: {verdict['label']} ({verdict['severity']}) {_clean(verdict['explanation'])}".rstrip())
    for event in shown["history"]:
        note = f": {_clean(event['note'])}" if event["note"] else ""
        lines.append(f"history   {show.write_moment(event['at_ns'])} {event['state']} by {_clean(event['by'])}{note}")
    if shown["kept"] == "no":
        return "\n".join([*lines, "", "Its text is not kept: who had it has ended, or had no room. `capture.content: true` keeps texts."])
    lines += ["", "── asked", _clean(shown["prompt"]), "", "── answered", _clean(shown["text"])]
    return "\n".join([*lines, *(f"tool call {_clean(name)} {_clean(arguments)}" for name, arguments in shown["tools"])])


def _clean(text: str) -> str:
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "�" for letter in text)
