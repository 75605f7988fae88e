"""One YAML file becomes a tree of frozen structs; every fault in it is reported at once, with its path.

`load` and `parse` raise `ConfigError`, which lists the faults. A config is a snapshot: nothing changes it after loading.
Secrets never stand in the file: `key: env:NAME` names the environment variable that holds a provider's key.
"""

from __future__ import annotations

import os
import re
import typing
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec

from proxy.controls import DRIFT, Control, check_controls
from proxy.document import Fault, Faults, read
from proxy.hosts import check_listen, is_loopback
from proxy.inspecting import BUILT_IN, Evaluators, check_evaluators
from proxy.judging import Judge, Known, check_judges
from proxy.notify import Notify, check_notify, list_secrets
from proxy.observing import Fleet, Shown, check_fleet
from proxy.otlp import Otlp, check_otlp
from proxy.prices import Price, check_prices
from proxy.reviewing import Review, check_review
from proxy.routes import check_routes
from proxy.rules import Budget, Headroom, Key, Ledger, RateLimit, Reserving, check_keys, check_rules
from proxy.tiers import Tier, check_tiers
from proxy.upstream import Upstream, check_upstream, find_proxy

_OF_AWS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")  # what `sign` may sign with, where the environment holds it
_SOCKET_PATH_BYTES = 107  # sun_path of unix(7), less its end


class ConfigError(Exception):
    """A config that cannot be used. `faults` holds all of its faults, in file order."""

    def __init__(self, source: str, faults: list[Fault]) -> None:
        super().__init__(f"{source}: {len(faults)} {'fault' if len(faults) == 1 else 'faults'}\n" + "\n".join(f"  {fault}" for fault in faults))
        self.faults = faults


class _Section(msgspec.Struct, frozen=True):
    pass


class Listen(_Section):
    """An address to serve on. Port 0 takes any free port and prints it."""

    host: str = "127.0.0.1"
    port: int = 8787
    hosts: list[str] = []  # the names that may stand in `Host` and `Origin`; empty: see proxy.hosts


class Limits(_Section):
    """Bounds of the data plane. Sizes in bytes, times in seconds."""

    body_bytes: int = 64 * 1024 * 1024  # JSON bodies, held in memory
    upload_bytes: int = 1024 * 1024 * 1024  # multipart and opaque bodies, streamed through
    header_bytes: int = 65536
    connect_s: float = 5.0
    first_byte_s: float = 600.0
    idle_s: float = 300.0
    idle_connection_s: float = 30.0  # how long an unused upstream connection is kept
    idle_client_s: float = 75.0  # and an unused client connection
    head_s: float = 10.0  # for a request's head to come, from its first byte on
    body_s: float = 30.0  # for its body, and a second more for each body_bytes_per_s that came
    body_bytes_per_s: int = 1024
    write_idle_s: float = 30.0  # how long a client may take nothing of its answer
    client_connections: int = 16384  # from one address
    client_calls: int = 16384  # from one address, that run at the same time
    stop_grace_s: float = 10.0


class Identity(_Section):
    """How callers are told apart where they do not name themselves."""

    keys: list[Key] = []
    salt: str = "weighbridge"  # salts the hash of provider keys; set your own so that hashes cannot be compared
    teams: dict[str, str] = {}  # agent → team


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


class Retain(_Section):
    """How many days the database keeps what is not accounting; 0: for ever."""

    verdicts_days: float = 90.0
    content_days: float = 90.0


class Config(_Section):
    """The whole configuration of one Weighbridge."""

    listen: Listen = Listen()
    admin: Listen = Listen(port=8788)
    state_dir: str = "weighbridge-state"
    demo: bool = True  # offer the simulated provider as the upstream `demo`
    auth: Literal["required", "optional", "none"] = "optional"  # whether a call needs a virtual key
    upstreams: dict[str, Upstream] = {}
    tiers: list[Tier] = []
    limits: Limits = Limits()
    identity: Identity = Identity()
    budgets: list[Budget] = []
    rate_limits: list[RateLimit] = []
    headroom: Headroom = Headroom()
    reservation: Reserving = Reserving()
    ledger: Ledger = Ledger()
    prices: list[Price] = []
    capture: Capture = Capture()
    evaluators: Evaluators = Evaluators()
    review: Review = Review()
    judges: list[Judge] = []
    controls: list[Control] = []
    journal: Journal = Journal()
    retain: Retain = Retain()
    metrics: Shown = Shown()
    fleet: Fleet = Fleet()
    notify: Notify = Notify()
    otlp: Otlp = Otlp()

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
    def orders(self) -> Path:
        return Path(self.state_dir) / "orders.json"

    @property
    def notices(self) -> Path:
        return Path(self.state_dir) / "notices.json"

    @property
    def drift(self) -> Path:
        """The folder of what was learned of streams."""
        return Path(self.state_dir) / "drift"

    @property
    def kept(self) -> Path:
        """The text of the config that holds."""
        return Path(self.state_dir) / "config.yaml"

    @property
    def admin_token(self) -> Path:
        return Path(self.state_dir) / "admin-token"

    def redis_url(self, environment: typing.Mapping[str, str] = os.environ) -> str | None:
        """The URL that `ledger.redis` says or names; None where there is none."""
        url = self.ledger.redis or ""
        url = environment.get(url[4:], "") if url.startswith("env:") else url
        return url if url.startswith(("redis://", "rediss://", "unix://")) else None

    @property
    def secrets(self) -> list[str]:
        """Every secret this process holds, to be redacted by value wherever text is kept."""
        keys = [os.environ.get(name) for one in self.upstreams.values() for name in one.key_names]
        proxies = [proxy for one in self.upstreams.values() if one.proxy is not None and (proxy := find_proxy(one.proxy, os.environ))]
        signing = [os.environ.get(name) for name in _OF_AWS if any(one.sign for one in self.upstreams.values())]
        ledger = urlsplit(self.redis_url() or "").password
        words = [word for one in proxies for word in (one.password, one.credentials)]
        judging = [judge.find_key(os.environ) for judge in self.judges]
        elsewhere = (*self.otlp.find_secrets(os.environ), *list_secrets(self.notify, os.environ), *judging)
        values = (*keys, *signing, ledger, ledger and unquote(ledger), *words, *elsewhere)
        return [value for value in values if value]


def load(path: Path | str | None, environment: typing.Mapping[str, str] = os.environ) -> Config:
    """The config of a YAML file; with None, the defaults. Raises `ConfigError` with every fault."""
    return Config() if path is None else parse(read_file(path), str(path), environment)


def read_file(path: Path | str) -> str:
    """The text of a config file. Raises `ConfigError`."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(str(path), [Fault("", f"cannot be read: {reason}")]) from None


def parse(text: str, source: str = "config", environment: typing.Mapping[str, str] = os.environ) -> Config:
    """The config in a YAML text. Raises `ConfigError` with every fault."""
    config, faults = read(text, Config)
    if config is not None:
        _cross_check(config, environment, faults)
    if faults:
        raise ConfigError(source, faults.in_file_order())
    return config


def _cross_check(config: Config, environment: typing.Mapping[str, str], faults: Faults) -> None:
    """What no single field can tell: names, addresses, references, the environment. A value that was at fault may be None."""
    _check_addresses(config, faults)
    for name, upstream in config.upstreams.items():
        check_upstream(name, upstream, environment, faults)
    check_routes(config.upstreams, environment, faults)
    if not config.upstreams and not config.demo:
        faults.add("upstreams", "is empty and the demo is off: there is nowhere to send a call; name at least one upstream")
    for section in ("limits", "journal", "metrics"):
        for field, number in msgspec.structs.asdict(getattr(config, section)).items():
            if number <= 0:
                faults.add(f"{section}.{field}", "must be greater than 0")
    for field, days in msgspec.structs.asdict(config.retain).items():
        if days < 0:
            faults.add(f"retain.{field}", "must be 0 or more; 0 keeps them for ever")
    check_fleet(config.fleet, faults)
    if config.capture.max_bytes <= 0:
        faults.add("capture.max_bytes", "must be greater than 0; to keep nothing, use `content: false`")
    check_keys(config.identity.keys, faults)
    check_rules(config.budgets, config.rate_limits, config.headroom, config.reservation, config.ledger, faults)
    check_tiers(config.tiers, faults)
    check_otlp(config.otlp, config.capture.content, environment, faults)
    check_evaluators(config.evaluators, faults)
    check_review(config.review, faults)
    evaluators = (*BUILT_IN, *(one.name for one in config.evaluators.own))
    known = Known(config.upstreams, evaluators, config.budgets, config.demo, config.auth, environment)
    check_judges(config.judges, known, faults)
    check_controls(config.controls, config.upstreams, config.tiers, (*evaluators, DRIFT, *(one.name for one in config.judges)), faults)
    check_exposure(config, faults)
    check_notify(config.notify, environment, faults)
    if config.ledger.redis is not None and config.redis_url(environment) is None:
        variable = config.ledger.redis[4:] if config.ledger.redis.startswith("env:") else ""
        known = "expected redis://host[:port][/number], rediss://…, unix://… or env:NAME"
        faults.add("ledger.redis", f"the environment variable {variable} is not set, or holds no redis://… URL" if variable else known)
    check_prices(config.prices, config.upstreams, faults)
    for index, pattern in enumerate(config.capture.redact):
        try:
            re.compile(pattern or "")
        except re.error as error:
            faults.add(f"capture.redact[{index}]", f"not a regular expression: {error}")


def _check_addresses(config: Config, faults: Faults) -> None:
    for name, listen in (("listen", config.listen), ("admin", config.admin)):
        check_listen(name, listen.host, listen.port, listen.hosts, faults)
    hosts = {config.listen.host, config.admin.host}
    if config.listen.port == config.admin.port != 0 and (len(hosts) == 1 or hosts & {"0.0.0.0", "::"}):
        faults.add("admin.port", "is also listen.port; give each its own")
    if not config.state_dir.strip():
        faults.add("state_dir", "is empty; name a folder")
    if len(os.fsencode(config.sample_socket)) > _SOCKET_PATH_BYTES:
        faults.add("state_dir", f"is too long for a socket in it; use at most {_SOCKET_PATH_BYTES - len('/samples.sock')} bytes")


def check_exposure(config: Config, faults: Faults) -> None:
    """Add a fault where whoever reaches the port spends on our keys: beyond this machine that takes a virtual key."""
    ours = [name for name, one in config.upstreams.items() if one.key != "client" or one.keys or one.sign]
    if ours and config.auth != "required" and config.listen.host.strip() and not is_loopback(config.listen.host):
        text = "serves other machines while this proxy holds provider keys ({}); set `auth: required`, or listen on 127.0.0.1"
        faults.add("listen.host", text.format(", ".join(ours)))
