"""Who calls: the ladder of DESIGN §6, first hit wins, and the rung that named the agent is kept.

(1) A virtual key that is bound to an agent: nobody calls in another's name with it; (2) URL prefix
`/a/<agent>[/t/<task>][/s/<session>]/<upstream>/…`; (3) `x-agent-id`, `x-task-id`, `x-session-id`; (4) W3C `baggage`; (5) native marks of
Claude Code, Codex, opencode, Gemini CLI, AWS_SDK_UA_APP_ID and of the request body; (6) a salted hash of the provider key;
(7) `unknown`. Task and session are looked for on the same ladder, each for itself. `traceparent` is always read.

Tags are the key's; `x-weighbridge-tags: stage=test,crew=night` and members of the baggage named `weighbridge.<tag>` add to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from urllib.parse import unquote

import msgspec

from proxy.call import Ask, Identity, Rung
from proxy.config import Identity as IdentityConfig
from proxy.dataplane.headers import hash_key
from proxy.dataplane.keys import Auth, Keys
from proxy.errors import Refusal
from proxy.orders import Orders
from proxy.redact import Redactor
from proxy.rules import Key

_MAX_NAME = 128
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
_APP_ID = re.compile(r"(?:^| )app/([\w.!#$%&'*+^`|~-]+)")
_TAG = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
_MOST_TAGS = 16  # that a request may add
_MOST_TEXT = 8192  # of a header that is taken apart
_BAGGAGE_TAG = "weighbridge."
_BAGGAGE = {
    "gen_ai.agent.name": "agent", "gen_ai.agent.id": "agent", "agent.id": "agent", "agent_id": "agent",
    "gen_ai.task.id": "task", "task.id": "task", "task_id": "task",
    "gen_ai.conversation.id": "session", "session.id": "session", "session_id": "session",
}  # fmt: skip
_CLIENTS = (("claude-cli/", "claude-code"), ("codex_", "codex"), ("geminicli", "gemini-cli"), ("opencode/", "opencode"))


class Place(msgspec.Struct, frozen=True, gc=False):
    """A request's path, taken apart: names from the prefix, the upstream's name and the path behind it (encoded, with query)."""

    upstream: str
    rest: str
    agent: str | None = None
    task: str | None = None
    session: str | None = None


class Marks(msgspec.Struct, gc=False):
    """What one rung of the ladder says."""

    rung: Rung
    agent: str | None = None
    task: str | None = None
    session: str | None = None


def read_place(target: str) -> Place:
    """Take a request target apart. Raises `Refusal` caller_bad_request or caller_unknown_upstream."""
    path, mark, query = target.partition("?")
    place = _read_path(path)
    return msgspec.structs.replace(place, rest=place.rest + mark + query) if mark else place


@lru_cache(4096)
def _read_path(path: str) -> Place:
    if not path.startswith("/") or "\\" in path:
        raise Refusal("caller_bad_request", "The request target must be a path, such as /openai/v1/chat/completions.")
    if "/." in path or "%" in path:
        _refuse_dots(path)
    parts = path.split("/", 8)[1:]
    names: dict[str, str | None] = {}
    index = 0
    if parts[0] in ("a", "agent") and len(parts) > 2:
        names["agent"] = _name(parts[1])
        index = 2
        for letter, field in (("t", "task"), ("s", "session")):
            if len(parts) > index + 2 and parts[index] == letter:
                names[field] = _name(parts[index + 1])
                index += 2
    upstream = parts[index]
    rest = "/" + "/".join(parts[index + 1 :]) if len(parts) > index + 1 else ""
    if "//" in rest:
        raise Refusal("caller_bad_request", "The path holds an empty segment (//); check how the base URL and the path are joined.")
    return Place(upstream, rest, **names)


def _refuse_dots(path: str) -> None:
    """An upstream may decode a slash (%2f, which stands in names of Bedrock's models) before it resolves dots."""
    for part in re.split(r"[/\\]", unquote(path)):
        if part in (".", ".."):
            raise Refusal("caller_bad_request", "The path holds a dot segment (. or ..).")


def _name(part: str) -> str:
    name = unquote(part)
    if not name or len(name) > _MAX_NAME or not name.isprintable():
        raise Refusal("caller_bad_request", f"Agent, task and session names in the path are 1 to {_MAX_NAME} printable characters.")
    return name


class Identifier:
    """Walks the ladder with a config's keys, salt and teams."""

    def __init__(self, config: IdentityConfig, auth: Auth = "optional", orders: Orders | None = None, redact: Redactor | None = None) -> None:
        self.keys = Keys(config.keys, auth, orders or Orders())
        self._redact = redact or Redactor()
        self._salt = config.salt
        self._teams = config.teams
        self.generation = 0  # of the config and the keys that identities are made by
        self._hashes: dict[str, str] = {}  # bounded; a proxy sees few keys, again and again

    def configure(self, config: IdentityConfig, auth: Auth, orders: Orders) -> None:
        """Take a changed config, and keys that were issued or revoked."""
        self.generation += 1
        self.keys.configure(config.keys, auth, orders)
        if config.salt != self._salt:
            self._hashes.clear()
        self._salt = config.salt
        self._teams = config.teams

    def admit(self, place: Place, fields: dict[str, str], secret: str | None, now_ns: int) -> bool:
        """Let a caller pass by its virtual key; whether for as long as no other keys are taken. Raises `Refusal` as `Keys.admit` does."""
        return self.keys.admit((place.agent, _short(fields.get("x-agent-id"))), fields, secret, now_ns)

    def identify(self, place: Place, fields: dict[str, str], ask: Ask, secret: str | None, presented: Sequence[str] = ()) -> Identity:
        """The identity of one request, also of one that was not let in; `secret` is its credential, `presented` are all of them.

        A name that holds a secret names nobody well: what stands in its place is kept, shown and counted by everything that follows.
        """
        key = self.keys.find(fields, secret)
        key_hash = self._hash(secret) if secret and not self.keys.owns(secret) else None
        rungs = self._climb(place, fields, ask, key, key_hash)
        agent, rung, task, session = None, "unknown", None, None
        for one in rungs:
            if agent is None and one.agent:
                agent, rung = one.agent, one.rung
            task = task or one.task
            session = session or one.session
        clean = self._redact.clean
        agent = clean(agent, presented) if agent else "unknown"
        parent = _short(fields.get("x-claude-code-parent-agent-id"))
        trace = _TRACEPARENT.match(fields["traceparent"]) if "traceparent" in fields else None
        return Identity(
            agent=agent,
            rung=rung,
            task=clean(task, presented) if task else None,
            session=clean(session, presented) if session else None,
            parent_agent=clean(parent, presented) if parent else None,
            team=key.team if key and key.team else self._teams.get(agent),
            trace_id=trace[1] if trace else None,
            span_id=trace[2] if trace else None,
            key_hash=key_hash,
            key=key.name if key else None,
            tags={name: clean(value, presented) for name, value in _read_tags(key, fields).items()},
        )

    def _climb(self, place: Place, fields: dict[str, str], ask: Ask, key: Key | None, key_hash: str | None) -> list[Marks]:
        """What the rungs say, the highest first."""
        rungs = [Marks("key", key.agent)] if key else []
        if place.agent or place.task or place.session:
            rungs.append(Marks("path", place.agent, place.task, place.session))
        if "x-agent-id" in fields or "x-task-id" in fields or "x-session-id" in fields:
            rungs.append(Marks("header", _short(fields.get("x-agent-id")), _short(fields.get("x-task-id")), _short(fields.get("x-session-id"))))
        if "baggage" in fields:
            rungs.append(_read_baggage(fields["baggage"]))
        native = _read_native(fields)
        native.agent, native.task, native.session = (  # a body's words are text already
            native.agent or _cut(ask.agent or ""), native.task or _cut(ask.task or ""), native.session or _cut(ask.session or ""),
        )  # fmt: skip
        rungs.append(native)
        if key_hash:
            rungs.append(Marks("key_hash", "key-" + key_hash[:12]))
        return rungs

    def _hash(self, key: str) -> str:
        found = self._hashes.get(key)
        if found is None:
            if len(self._hashes) >= 4096:
                self._hashes.clear()
            found = self._hashes[key] = hash_key(key, self._salt)[:32]
        return found


def _short(value: str | None) -> str | None:
    """A name out of a header, or None where there is none that could be one."""
    return _cut(_decode(value)) if value else None


def _decode(text: str) -> str:
    """The text of a header, which was read byte by byte and is mostly UTF-8."""
    return text if text.isascii() else text.encode("latin-1", "replace").decode("utf-8", "replace")


def _cut(word: str) -> str | None:
    word = word.strip()[:_MAX_NAME]
    return word if word and word.isprintable() else None


def _read_members(text: str) -> Iterator[tuple[str, str]]:
    """The members of W3C baggage, and of what is written like it: names, and values percent-decoded."""
    for member in _decode(text[:_MOST_TEXT]).split(","):
        name, _, value = member.partition(";")[0].partition("=")
        yield name.strip(), unquote(value)


def _read_baggage(text: str) -> Marks:
    marks = Marks("baggage")
    for name, value in _read_members(text):
        field = _BAGGAGE.get(name.lower())
        if field and getattr(marks, field) is None:
            setattr(marks, field, _cut(value))
    return marks


def _read_tags(key: Key | None, fields: dict[str, str]) -> dict[str, str]:
    """The key's tags, and what the request adds: it overrides none, and what cannot be a tag is left out."""
    tags = dict(key.tags) if key else {}
    most = len(tags) + _MOST_TAGS
    members: list[tuple[str, str]] = []
    if "x-weighbridge-tags" in fields:
        members += _read_members(fields["x-weighbridge-tags"])
    if _BAGGAGE_TAG in (baggage := fields.get("baggage", "")):
        members += [(name[len(_BAGGAGE_TAG) :], value) for name, value in _read_members(baggage) if name.startswith(_BAGGAGE_TAG)]
    for name, value in members:
        if name not in tags and len(tags) < most and _TAG.match(name) and (word := _cut(value)):
            tags[name] = word
    return tags


class _CodexMark(msgspec.Struct):
    agent_name: str | None = None
    session_id: str | None = None


@lru_cache(512)
def _name_client(user_agent: str) -> str | None:
    """The agent program that a User-Agent belongs to, or the AWS application id in it."""
    if app := _APP_ID.search(user_agent):
        return _short(app[1])
    lower = user_agent[:64].lower()
    return next((name for start, name in _CLIENTS if lower.startswith(start)), None)


def _read_native(fields: dict[str, str]) -> Marks:
    """What agent programs say of themselves without being asked (wire.md §4)."""
    marks = Marks("native")
    marks.session = _short(fields.get("x-claude-code-session-id") or fields.get("session-id") or fields.get("x-session-affinity"))
    marks.agent = _short(fields.get("x-claude-code-agent-id"))
    if turn := fields.get("x-codex-turn-metadata"):
        try:
            codex = msgspec.json.decode(turn.encode("latin-1", "replace"), type=_CodexMark)
        except (msgspec.DecodeError, RecursionError):
            codex = _CodexMark()
        marks.session = marks.session or _cut(codex.session_id or "")
        name = (codex.agent_name or "").strip("/")
        marks.agent = marks.agent or _cut("codex" if name in ("", "root") else f"codex/{name}")
    if not marks.agent and (user_agent := fields.get("user-agent")):
        marks.agent = _name_client(user_agent)
    return marks
