"""`weighbridge serve`: binds the ports, starts the planes as processes of their own, and starts again what dies.

The supervisor holds the listening sockets, so while a plane is being started again its clients wait in the backlog
and are not refused. SIGHUP, the order to read the config again, it passes on to the control plane, and to no other. It does nothing else and
imports little.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import importlib.util
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from proxy import samplesocket
from proxy.config import Config, ConfigError, Listen, parse, read_file
from proxy.log import open_log, redact_log
from proxy.pricing.shelf import is_current
from proxy.redact import Redactor
from proxy.reload import keep
from proxy.token import make_token

log = logging.getLogger("weighbridge")
_BACKLOG = 4096
_MAX_PAUSE_S = 0.5  # callers wait in the backlog meanwhile
_STOP_S = 3.0  # all is over that long after the grace
# What glibc maps on its own and gives back when it is freed: the warm-up of a stream that drift watches, of which the heap would keep the holes.
MAPPED_BYTES = 64 * 1024
_UNHEARD_S = 10.0  # a signal sent so shortly before the end of a process may not have been acted on


class CannotStart(Exception):
    """Why `weighbridge serve` does not start, and what to do about it."""


def bind(listen: Listen, section: str) -> socket.socket:
    """A listening socket. Raises `CannotStart` if the address cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        reason = error.strerror or "no such address"
        hint = f"check {section}.host and {section}.port."
        if error.errno == errno.EADDRINUSE:
            hint = f"is another program, or another weighbridge, using it? Choose another {section}.port."
        raise CannotStart(f"cannot listen on {listen.host}:{listen.port} ({section}): {reason}; {hint}") from None
    listener.setblocking(False)
    return listener


def prepare_state(config: Config) -> int:
    """Make the state folder, for its owner only, and lock it. The lock's file descriptor. Raises `CannotStart`."""
    if config.ledger.redis is not None and importlib.util.find_spec("redis") is None:
        raise CannotStart("ledger.redis needs the extra `redis`; install it: .venv/bin/pip install --require-hashes -r requirements/redis.txt")
    folder = Path(config.state_dir)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # who called whom, and prompts where these are kept
        config.journal_dir.mkdir(parents=True, exist_ok=True)
        probe = folder / ".probe"
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CannotStart(f"cannot write to the state folder {folder} (state_dir): {error.strerror}; make room or choose another folder.") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise CannotStart(f"another weighbridge is running on the state folder {folder}; stop it, or give this one its own state_dir.") from None
    return lock


def bind_samples(config: Config) -> socket.socket:
    """The sample socket, before any plane runs. Raises `CannotStart`."""
    try:
        return samplesocket.bind(config.sample_socket)
    except OSError as error:
        raise CannotStart(f"the socket {config.sample_socket} cannot be made: {error.strerror}; choose another state_dir.") from None


def prepare_token(config: Config) -> None:
    """Make the admin token where there is none, before anybody is told that we are ready. Raises `CannotStart`."""
    try:
        make_token(config.admin_token)
    except OSError as error:
        reason = f"the admin token {config.admin_token} cannot be read or made: {error.strerror}"
        raise CannotStart(f"{reason}; let this user read it, or remove it so that another is made.") from None


def prepare_config(text: str, config: Config) -> None:
    """Keep what the planes read, now and whenever one is started again. Raises `CannotStart`."""
    try:
        keep(text, config.kept)
    except OSError as error:
        raise CannotStart(f"the config cannot be kept in {config.kept}: {error.strerror}; make room or choose another state_dir.") from None


class Child:
    """One process to keep running."""

    def __init__(self, name: str, arguments: list[str], descriptors: list[int], environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.process: asyncio.subprocess.Process | None = None
        self._sent: dict[signal.Signals, float] = {}  # signal → when it was last sent
        self._arguments = [sys.executable, "-m", *arguments]
        self._descriptors = descriptors
        self._environment = {**(environment or {}), **os.environ}

    async def keep(self, stopping: asyncio.Event) -> None:
        """Start it, and start it again whenever it ends before its time, with growing pauses while it dies young."""
        pause = 0.05
        while not stopping.is_set():
            born = time.monotonic()
            self.process = await asyncio.create_subprocess_exec(
                *self._arguments, pass_fds=self._descriptors, stdin=asyncio.subprocess.DEVNULL, env=self._environment
            )
            for number in [number for number, at in self._sent.items() if born - at < _UNHEARD_S]:
                self.process.send_signal(number)  # it came while nobody ran, or its end came before its answer
            code = await self.process.wait()
            if stopping.is_set():
                return
            pause = 0.05 if time.monotonic() - born > 5 else min(_MAX_PAUSE_S, pause * 2)
            log.error("%s ended with status %s; starting it again in %.1f s", self.name, code, pause)
            try:
                await asyncio.wait_for(stopping.wait(), pause)
            except TimeoutError:
                continue

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; where it does not run, or ends soon after, it is sent to the next one."""
        self._sent[number] = time.monotonic()
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)

    async def stop(self, grace_s: float) -> None:
        """Ask it to end; kill it past the grace."""
        if self.process is None or self.process.returncode is not None:
            return
        try:
            self.process.terminate()
            await asyncio.wait_for(self.process.wait(), grace_s)
        except ProcessLookupError:
            return
        except TimeoutError:
            log.error("%s did not end within %.0f s and is killed", self.name, grace_s)
            self.process.kill()
            await self.process.wait()


def greet(config_path: str | None, config: Config, listener: socket.socket, admin: socket.socket) -> None:
    """Say where to send calls and where to look, in words that can be copied as they are."""
    base = f"http://{_address(listener)}"
    names = (["demo"] if config.demo else []) + sorted(config.upstreams)
    width = max(map(len, names)) + 1
    print(f"Weighbridge is ready on {base}\n\nBase URLs, for an agent called my-agent (OpenAI's SDKs want /v1 behind it; every client: README.md):")
    for name in names:
        dialect = "openai, anthropic, gemini" if name == "demo" else config.upstreams[name].dialect
        print(f"  {name:<{width}} {base}/a/my-agent/{name:<{width}} {dialect}")
    program, named = sys.argv[0], f" --config {config_path}" if config_path else ""
    print(f"\nWhere to look: http://{_address(admin)}/ · {program} calls{named} · {program} report --by agent,model{named}", flush=True)


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _compile_prices(config: Config) -> None:
    """Bring the price book up to date. Without one, calls are recorded with an unknown cost."""
    if is_current(config.price_book):
        return
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "proxy.pricing.compile", str(config.price_book))
    if await process.wait() != 0:
        log.error("the price book could not be made; calls without a price override are recorded with an unknown cost")


def await_hangups(loop: asyncio.AbstractEventLoop, act: Callable[[], None]) -> None:
    """Call `act` in the loop at every SIGHUP, in a thread of its own.

    It must be blocked, and stays so, also in the children: what a terminal sends to all of them harms none. The control plane
    unblocks it when it is ready, so that a signal that comes before is not lost. A thread that a library began before it was blocked
    may take it none the less: then the loop's own handler acts.
    """
    loop.add_signal_handler(signal.SIGHUP, act)

    def work() -> None:
        while not loop.is_closed():
            signal.sigwait({signal.SIGHUP})
            try:
                loop.call_soon_threadsafe(act)
            except RuntimeError:  # closed meanwhile
                return

    threading.Thread(target=work, name="hangups", daemon=True).start()


async def run(config_path: str | None, config: Config) -> None:
    """Keep both planes, and the demo provider if wanted, running until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    listener, admin = bind(config.listen, "listen"), bind(config.admin, "admin")
    await _compile_prices(config)
    lifeline, _life = os.pipe()
    common = ["--lifeline", str(lifeline)] + (["--config", str(config.kept)] if config_path else [])
    source = ["--source", config_path] if config_path else []
    data_arguments = ["proxy.dataplane.plane", "--listener", str(listener.fileno()), *common]
    children = []
    if config.demo:
        demo = bind(Listen(port=0), "demo")
        data_arguments += ["--demo-url", f"http://{_address(demo)}"]
        demo_arguments = ["proxy.demo.provider", "--listener", str(demo.fileno()), "--lifeline", str(lifeline)]
        children.append(Child("the demo provider", demo_arguments, [demo.fileno(), lifeline]))
    program = "proxy.controlplane.plane" if config.otlp.endpoint is None else "proxy.controlplane.traced"
    samples = bind_samples(config)
    passed = ["--admin", str(admin.fileno()), "--samples", str(samples.fileno()), "--calls", f"http://{_address(listener)}"]
    inherited = [admin.fileno(), samples.fileno(), lifeline]
    control = Child("the control plane", [program, *passed, *common, *source], inherited, {"MALLOC_MMAP_THRESHOLD_": str(MAPPED_BYTES)})
    data = Child("the data plane", data_arguments, [listener.fileno(), lifeline])
    children += [control, data]
    on_terminal = os.isatty(0)
    await_hangups(asyncio.get_running_loop(), lambda: stopping.set() if on_terminal and not os.isatty(0) else control.signal(signal.SIGHUP))
    keepers = [asyncio.create_task(child.keep(stopping), name=f"keep {child.name}") for child in children]
    greet(config_path, config, listener, admin)
    await stopping.wait()
    listener.close()  # who comes now is refused, and does not wait in the backlog of a plane that takes nobody
    deadline = time.monotonic() + config.limits.stop_grace_s + _STOP_S
    await data.stop(config.limits.stop_grace_s + _STOP_S - 1)
    rest_s = max(0.3, deadline - time.monotonic() - 1.0)  # what the control plane has not loaded by then it loads at its next start
    await asyncio.gather(*(child.stop(rest_s) for child in children))
    await asyncio.gather(*keepers)


def serve(config_path: str | None) -> int:
    """Run Weighbridge. The process's exit status: 0 after an orderly stop, 1 if it cannot start, 2 for a faulty config."""
    open_log()
    try:
        text = read_file(config_path) if config_path else ""
        config = parse(text, config_path) if config_path else Config()
        redact_log(Redactor(config.secrets))
        lock = prepare_state(config)
        prepare_token(config)
        if config_path:
            prepare_config(text, config)
        asyncio.run(run(config_path, config))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except CannotStart as error:
        print(f"weighbridge: {error}", file=sys.stderr)
        return 1
    os.close(lock)
    return 0
