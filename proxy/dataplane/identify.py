"""Who calls: the ladder of DESIGN §6, first hit wins, and the rung that named the agent is kept.

(1) URL prefix `/a/<agent>[/t/<task>][/s/<session>]/<upstream>/…`; (2) a key the config knows; (3) `x-agent-id`, `x-task-id`,
`x-session-id`; (4) W3C `baggage`; (5) native marks of Claude Code, Codex, opencode, Gemini CLI, AWS_SDK_UA_APP_ID and of
the request body; (6) a salted hash of the provider key; (7) `unknown`. Task and session are looked for on the same
ladder, each for itself. `traceparent` is always read.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote

import msgspec

from proxy.call import Ask, Identity, Rung
from proxy.config import Identity as IdentityConfig
from proxy.config import Key
from proxy.dataplane.headers import hash_key
from proxy.errors import Refusal

_MAX_NAME = 128
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_APP_ID = re.compile(r"(?:^| )app/([\w.!#$%&'*+^`|~-]+)")
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
    if "/." in path or "%2e" in path or "%2E" in path:
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
    for part in path.split("/"):
        if unquote(part) in (".", ".."):
            raise Refusal("caller_bad_request", "The path holds a dot segment (. or ..).")


def _name(part: str) -> str:
    name = unquote(part)
    if not name or len(name) > _MAX_NAME or not name.isprintable():
        raise Refusal("caller_bad_request", f"Agent, task and session names in the path are 1 to {_MAX_NAME} printable characters.")
    return name


class Identifier:
    """Walks the ladder with a config's keys, salt and teams."""

    def __init__(self, config: IdentityConfig) -> None:
        self._keys: dict[str, Key] = {key.sha256: key for key in config.keys}
        self._salt = config.salt
        self._teams = config.teams
        self._hashes: dict[str, str] = {}  # bounded; a proxy sees few keys, again and again

    def known_key(self, key: str | None) -> Key | None:
        """The configured key that was presented, if it is one of ours."""
        return self._keys.get(hash_key(key)) if key and self._keys else None

    def identify(self, place: Place, fields: dict[str, str], ask: Ask, key: str | None) -> Identity:
        """The identity of one request."""
        known = self.known_key(key)
        key_hash = self._hash(key) if key and not known else None
        rungs = []
        if place.agent or place.task or place.session:
            rungs.append(Marks("path", place.agent, place.task, place.session))
        if known:
            rungs.append(Marks("key", known.agent))
        if "x-agent-id" in fields or "x-task-id" in fields or "x-session-id" in fields:
            rungs.append(Marks("header", _short(fields.get("x-agent-id")), _short(fields.get("x-task-id")), _short(fields.get("x-session-id"))))
        if "baggage" in fields:
            rungs.append(_read_baggage(fields["baggage"]))
        native = _read_native(fields)
        native.agent, native.task, native.session = (
            native.agent or _short(ask.agent), native.task or _short(ask.task), native.session or _short(ask.session),
        )  # fmt: skip
        rungs.append(native)
        if key_hash:
            rungs.append(Marks("key_hash", "key-" + key_hash[:12]))
        agent, rung, task, session = None, "unknown", None, None
        for one in rungs:
            if agent is None and one.agent:
                agent, rung = one.agent, one.rung
            task = task or one.task
            session = session or one.session
        agent = agent or "unknown"
        trace = _TRACEPARENT.match(fields["traceparent"]) if "traceparent" in fields else None
        return Identity(
            agent=agent,
            rung=rung,
            task=task,
            session=session,
            parent_agent=_short(fields.get("x-claude-code-parent-agent-id")),
            team=known.team if known and known.team else self._teams.get(agent),
            trace_id=trace[1] if trace else None,
            span_id=trace[2] if trace else None,
            key_hash=key_hash,
        )

    def _hash(self, key: str) -> str:
        found = self._hashes.get(key)
        if found is None:
            if len(self._hashes) >= 4096:
                self._hashes.clear()
            found = self._hashes[key] = hash_key(key, self._salt)[:32]
        return found


def _short(value: str | None) -> str | None:
    if not value:
        return None
    if not value.isascii():
        value = value.encode("latin-1", "replace").decode("utf-8", "replace")
    value = value.strip()[:_MAX_NAME]
    return value if value and value.isprintable() else None


def _read_baggage(text: str) -> Marks:
    marks = Marks("baggage")
    for member in text[:8192].split(","):
        name, _, value = member.partition(";")[0].partition("=")
        field = _BAGGAGE.get(name.strip().lower())
        if field and getattr(marks, field) is None:
            setattr(marks, field, _short(unquote(value.strip())))
    return marks


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
        marks.session = marks.session or _short(codex.session_id)
        name = (codex.agent_name or "").strip("/")
        marks.agent = marks.agent or _short("codex" if name in ("", "root") else f"codex/{name}")
    if not marks.agent and (user_agent := fields.get("user-agent")):
        marks.agent = _name_client(user_agent)
    return marks
