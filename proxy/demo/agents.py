"""The agents of the demo fleet: five characters, each with its own provider, habits and troubles.

An agent is one coroutine that works one task through a `Line`, its connection to the proxy, and says how the task went.
`nightly-audit` often gets empty answers and `web-scout` goes round in circles: what an observer should notice.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from proxy.demo.line import Line
from proxy.demo.prose import generator

_SUPPLIERS = ("Nordlicht Papier", "Hale & Sons", "Ostend Freight", "Blue Finch Energy", "Karst Tooling")
_COMPLAINTS = ("the parcel never arrived", "I was charged twice", "the app forgets my password", "how do I export my data", "please cancel my plan")
_SITES = ("flight prices to Lisbon", "opening hours of the city archive", "reviews of standing desks")
_LOOPS = 8


def _pick(task: str, choices: tuple[str, ...]) -> str:
    return generator("pick", task).choice(choices)


def _function(name: str, *arguments: str) -> dict[str, Any]:
    properties = {argument: {"type": "string"} for argument in arguments}
    return {"name": name, "parameters": {"type": "object", "properties": properties, "required": list(arguments)}}


async def read_invoice(line: Line, task: str) -> str:
    """Reads one invoice into JSON, then looks up its supplier: Chat Completions, not streamed, with a tool."""
    supplier = _pick(task, _SUPPLIERS)
    schema = {
        "type": "object",
        "properties": {"supplier": {"const": supplier}, "total": {"type": "number"}, "due": {"type": "string", "format": "date"}},
    }
    shape = {"type": "json_schema", "json_schema": {"name": "invoice", "schema": schema}}
    question: list[Any] = [{"role": "system", "content": "You read invoices."}, {"role": "user", "content": f"Read invoice {task} of {supplier}."}]
    read = await line.chat({"model": "gpt-4o-mini", "messages": question, "response_format": shape})
    invoice = json.loads(read["content"])
    tools = [{"type": "function", "function": _function("find_supplier", "name")}]
    question = [{"role": "user", "content": f"Use find_supplier to check {supplier} before {invoice['total']} are paid."}]
    said = await line.chat({"model": "gpt-4o-mini", "messages": question, "tools": tools})
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "known since 2019"} for call in said.get("tool_calls") or []]
    await line.chat({"model": "gpt-4o-mini", "messages": [*question, said, *results], "tools": tools})
    return f"{supplier}, {invoice['total']:.2f} due {invoice['due']}"


async def write_release_notes(line: Line, task: str) -> str:
    """Writes release notes from commits: Messages, streamed, with a cached system prompt and a tool."""
    rules = "Write for the people who use the product, one line a change, newest first. " * 40
    function = _function("list_commits", "since")
    request = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 1024,
        "stream": True,
        "system": [{"type": "text", "text": rules, "cache_control": {"type": "ephemeral"}}],
        "tools": [{"name": function["name"], "description": "Commits since a date.", "input_schema": function["parameters"]}],
    }
    messages: list[Any] = [{"role": "user", "content": f"Call list_commits and write the notes of release {task}."}]
    for _ in range(4):
        content = await line.messages({**request, "messages": messages})
        calls = [block for block in content if block["type"] == "tool_use"]
        if not calls:
            return f"{len(content[-1]['text'].split())} words"
        results = [{"type": "tool_result", "tool_use_id": call["id"], "content": "fix login; faster search; new export"} for call in calls]
        messages += [{"role": "assistant", "content": content}, {"role": "user", "content": results}]
    return "gave up"


async def triage(line: Line, task: str) -> str:
    """Sorts a complaint: Embeddings to find its like, then Responses, streamed; now and then the stream is cut and asked for again."""
    complaint = _pick(task, _COMPLAINTS)
    await line.embed({"model": "text-embedding-3-small", "input": complaint, "encoding_format": "base64"})
    request = {"model": "gpt-5-mini", "input": f"A customer writes: {complaint}. Which team, and how urgent?", "stream": True}
    fault = "cut" if generator("cut", task).random() < 0.15 else None
    text = await line.responses(request, fault)
    if text is None:
        text = await line.responses(request)
        return "asked again after a cut"
    return "sorted" if text else "no answer"


async def audit(line: Line, task: str) -> str:
    """Checks the books: Gemini, streamed and not; every third answer or so is empty."""
    fault = "empty" if generator("empty", task).random() < 0.4 else None
    question = f"Audit the ledger of batch {task}: which postings look unusual, and why?"
    request = {"contents": [{"role": "user", "parts": [{"text": question}]}]}
    text = await line.gemini("gemini-2.5-flash", request, stream=True, fault=fault)
    if not text:
        return "empty answer"
    follow = [*request["contents"], {"role": "model", "parts": [{"text": text}]}, {"role": "user", "parts": [{"text": "In one sentence?"}]}]
    await line.gemini("gemini-2.5-flash", {"contents": follow, "generationConfig": {"maxOutputTokens": 40}})
    return "checked"


async def scout(line: Line, task: str) -> str:
    """Looks something up on the web, and asks for the same page again and again: a loop; sometimes the provider asks it to slow down."""
    tools = [{"type": "function", "function": _function("open_page", "url")}]
    question = f"Use open_page to find {_pick(task, _SITES)}."
    messages: list[Any] = [{"role": "user", "content": question}]
    if generator("slow", task).random() < 0.2:
        await line.chat({"model": "gpt-4o", "messages": messages, "tools": tools}, fault="status-429")
    for _ in range(_LOOPS):
        said = await line.chat({"model": "gpt-4o", "messages": messages, "tools": tools})
        calls = said.get("tool_calls") or []
        results = [{"role": "tool", "tool_call_id": call["id"], "content": "page not found"} for call in calls]
        messages += [said, *results, {"role": "user", "content": question}]
    return f"gave up after {_LOOPS} equal calls"


AGENTS: dict[str, Callable[[Line, str], Awaitable[str]]] = {
    "invoice-reader": read_invoice,
    "release-notes": write_release_notes,
    "support-triage": triage,
    "nightly-audit": audit,
    "web-scout": scout,
}
