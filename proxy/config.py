"""One YAML file becomes a tree of frozen structs; every fault in it is reported at once, with its path.

`load` reads and checks; `check` only lists the faults. A config is a snapshot: nothing changes it after loading.
Secrets never stand in the file: `key: env:NAME` names the environment variable that holds a provider's key.
"""

from __future__ import annotations

import difflib
import os
import re
import typing
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
import yaml

Dialect = Literal["openai", "anthropic", "gemini", "bedrock", "cohere", "ollama"]
DIALECTS: tuple[str, ...] = typing.get_args(Dialect)
RESERVED = frozenset({"a", "agent", "t", "s", "healthz", "readyz", "metrics", "api"})
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong with a config: where (`upstreams.openai.url`) and what to do."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ConfigError(Exception):
    """A config that cannot be used. `faults` holds all of its faults, in file order."""

    def __init__(self, source: str, faults: list[Fault]) -> None:
        super().__init__(f"{source}: {len(faults)} fault(s)\n" + "\n".join(f"  {fault}" for fault in faults))
        self.faults = faults


class _Section(msgspec.Struct, frozen=True):
    pass


class Listen(_Section):
    """An address to serve on. Port 0 takes any free port and prints it."""

    host: str = "127.0.0.1"
    port: int = 8787


class Upstream(_Section):
    """A provider endpoint. The caller's path behind `/<name>` is appended to `url`."""

    url: str
    dialect: Dialect = "openai"
    key: str = "client"  # "client": the caller's credential passes through; "env:NAME": ours replaces it
    prices: str | None = None  # provider id in the price book; default: derived from the name and host
    model_optional: bool = False  # let requests without a model through (llama.cpp and the like)
    sign: str | None = None  # "aws:REGION": re-sign with the AWS identity of the environment (Bedrock)
    ca_file: str | None = None  # trust this CA bundle instead of the system's


class Limits(_Section):
    """Bounds of the data plane. Sizes in bytes, times in seconds."""

    body_bytes: int = 64 * 1024 * 1024  # JSON bodies, held in memory
    upload_bytes: int = 1024 * 1024 * 1024  # multipart and opaque bodies, streamed through
    header_bytes: int = 65536
    connect_s: float = 5.0
    first_byte_s: float = 600.0
    idle_s: float = 300.0
    idle_connection_s: float = 30.0  # how long an unused upstream connection is kept
    stop_grace_s: float = 10.0


class Key(_Section):
    """A caller's key that names an agent. Only its SHA-256 stands here (`printf %s KEY | sha256sum`)."""

    sha256: str
    agent: str
    team: str | None = None


class Identity(_Section):
    """How callers are told apart where they do not name themselves."""

    keys: list[Key] = []
    salt: str = "weighbridge"  # salts the hash of provider keys; set your own so that hashes cannot be compared
    teams: dict[str, str] = {}  # agent → team


class Price(_Section):
    """An override of the price book: US dollars per million tokens, for models whose name matches exactly."""

    model: str
    input: float
    output: float
    upstream: str | None = None  # only for this upstream; default: all
    cache_read: float | None = None  # default: the input price
    cache_write: float | None = None  # default: the input price
    cache_write_1h: float | None = None  # default: the cache_write price
    request: float = 0.0  # US dollars a call


class Capture(_Section):
    """Whether prompts and outputs are kept. Off: only numbers and names are."""

    content: bool = False
    redact: list[str] = []  # further regular expressions; what they match is replaced by [redacted]
    max_bytes: int = 65536  # of each prompt and each output


class Journal(_Section):
    """The append-only files between the planes."""

    segment_bytes: int = 64 * 1024 * 1024
    retain_days: float = 14.0  # loaded segments older than this are deleted …
    retain_bytes: int = 4 * 1024 * 1024 * 1024  # … and the oldest of them while all are larger than this


class Config(_Section):
    """The whole configuration of one Weighbridge."""

    listen: Listen = Listen()
    admin: Listen = Listen(port=8788)
    state_dir: str = "weighbridge-state"
    demo: bool = True  # offer the simulated provider as the upstream `demo`
    upstreams: dict[str, Upstream] = {}
    limits: Limits = Limits()
    identity: Identity = Identity()
    prices: list[Price] = []
    capture: Capture = Capture()
    journal: Journal = Journal()

    @property
    def journal_dir(self) -> Path:
        return Path(self.state_dir) / "journal"

    @property
    def database(self) -> Path:
        return Path(self.state_dir) / "weighbridge.duckdb"

    @property
    def sample_socket(self) -> Path:
        return Path(self.state_dir) / "samples.sock"

    @property
    def price_book(self) -> Path:
        return Path(self.state_dir) / "prices.json"

    @property
    def secrets(self) -> list[str]:
        """Every secret this process holds, to be redacted by value wherever text is kept."""
        names = [one.key[4:] for one in self.upstreams.values() if one.key.startswith("env:")]
        return [value for name in names if (value := os.environ.get(name))]


def load(path: Path | str | None, environment: typing.Mapping[str, str] = os.environ) -> Config:
    """The config of a YAML file; with None, the defaults. Raises `ConfigError` with every fault."""
    if path is None:
        return Config()
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(str(path), [Fault("", f"cannot be read: {reason}")]) from None
    return parse(text, str(path), environment)


def parse(text: str, source: str = "config", environment: typing.Mapping[str, str] = os.environ) -> Config:
    """The config in a YAML text. Raises `ConfigError` with every fault."""
    try:
        tree = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(source, [Fault(where, f"not valid YAML: {getattr(error, 'problem', None) or 'nested too deeply'}")]) from None
    faults: list[Fault] = []
    config = _build(Config, {} if tree is None else tree, "", faults)
    if config is not None:
        _cross_check(config, environment, faults)
    if faults or config is None:
        raise ConfigError(source, faults)
    return config


def _join(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)


def _build(kind: Any, value: Any, path: str, faults: list[Fault]) -> Any:
    """`value` as a `kind`, or None after noting every fault below `path`."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _build_section(kind, value, path, faults)
    if origin is dict and isinstance(value, dict):
        return {str(name): _build(arguments[1], item, _join(path, name), faults) for name, item in value.items()}
    if origin is list and isinstance(value, list):
        return [_build(arguments[0], item, f"{path}[{index}]", faults) for index, item in enumerate(value)]
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        faults.append(Fault(path, str(error)))
        return None


def _build_section(kind: type[msgspec.Struct], value: Any, path: str, faults: list[Fault]) -> Any:
    if value is None:
        value = {}
    if not isinstance(value, dict):
        faults.append(Fault(path, f"expected a mapping, got `{type(value).__name__}`"))
        return None
    before = len(faults)
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    for name in value:
        if name not in fields:
            close = difflib.get_close_matches(str(name), fields, n=1)
            hint = f"; did you mean `{close[0]}`?" if close else f"; known here: {', '.join(fields)}"
            faults.append(Fault(_join(path, name), f"unknown key{hint}"))
    built = {}
    for name, field in fields.items():
        if name in value:
            built[name] = _build(field.type, value[name], _join(path, name), faults)
        elif field.required:
            faults.append(Fault(_join(path, name), "is missing"))
    return kind(**built) if len(faults) == before else None


def _cross_check(config: Config, environment: typing.Mapping[str, str], faults: list[Fault]) -> None:
    """What no single field can tell: names, addresses, references, the environment."""

    def fault(path: str, message: str) -> None:
        faults.append(Fault(path, message))

    for name, listen in (("listen", config.listen), ("admin", config.admin)):
        if not 0 <= listen.port <= 65535:
            fault(f"{name}.port", "a port is 0 to 65535")
    if config.listen.port == config.admin.port != 0 and config.listen.host == config.admin.host:
        fault("admin.port", "is also listen.port; give each its own")
    for name, upstream in config.upstreams.items():
        _check_upstream(name, upstream, environment, fault)
    if not config.upstreams and not config.demo:
        fault("upstreams", "is empty and the demo is off: there is nowhere to send a call; name at least one upstream")
    for section in ("limits", "journal"):
        for field, number in msgspec.structs.asdict(getattr(config, section)).items():
            if number <= 0:
                fault(f"{section}.{field}", "must be greater than 0")
    for index, key in enumerate(config.identity.keys):
        if not re.fullmatch(r"[0-9a-f]{64}", key.sha256):
            fault(f"identity.keys[{index}].sha256", "expected 64 lower-case hexadecimal digits (printf %s KEY | sha256sum)")
    for index, price in enumerate(config.prices):
        if price.upstream is not None and price.upstream not in config.upstreams and price.upstream != "demo":
            fault(f"prices[{index}].upstream", "names no configured upstream")
        if any(isinstance(number, float) and not 0 <= number < 1e6 for number in msgspec.structs.asdict(price).values()):
            fault(f"prices[{index}]", "prices are US dollars per million tokens, 0 or more")
    for index, pattern in enumerate(config.capture.redact):
        try:
            re.compile(pattern)
        except re.error as error:
            fault(f"capture.redact[{index}]", f"not a regular expression: {error}")


def _check_upstream(name: str, upstream: Upstream, environment: typing.Mapping[str, str], fault: typing.Callable[[str, str], None]) -> None:
    path = f"upstreams.{name}"
    if not _NAME.match(name):
        fault(path, "a name is lower-case letters, digits, `-` and `_`, and starts with a letter or digit")
    elif name in RESERVED or name == "demo":
        fault(path, "this name is reserved; choose another")
    try:
        url = urlsplit(upstream.url)
        usable = url.scheme in ("http", "https") and url.hostname and url.port != 0 and not (url.query or url.fragment or url.username)
    except ValueError:
        usable = False
    if not usable:
        fault(f"{path}.url", "expected http://host[:port][/path] or https://…, without user, query or fragment")
    if upstream.key != "client":
        variable = upstream.key[4:] if upstream.key.startswith("env:") else ""
        if not variable:
            fault(f"{path}.key", "expected `client` or `env:NAME`; a secret itself never stands in this file")
        elif not environment.get(variable):
            fault(f"{path}.key", f"the environment variable {variable} is not set; set it, or use `key: client`")
    if upstream.sign is not None and not re.fullmatch(r"aws:[a-z0-9-]+", upstream.sign):
        fault(f"{path}.sign", "expected `aws:REGION`, for example aws:us-east-1")
    if upstream.ca_file is not None and not Path(upstream.ca_file).is_file():
        fault(f"{path}.ca_file", "no such file")
