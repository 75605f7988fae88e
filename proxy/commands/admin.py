"""How a command reaches the admin port of the running Weighbridge."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from proxy.config import Config, Listen
from proxy.controlplane.reports import BadQuestion
from proxy.token import read_token

_TIMEOUT_S = 40.0


class CannotAnswer(Exception):
    """Why a command cannot be done, and what to do about it."""


class TokenRefused(CannotAnswer):
    """The running Weighbridge has another admin token."""


class NothingRuns(Exception):
    """Nothing listens on the admin port."""


def address_of(listen: Listen) -> str:
    """The base URL under which this machine reaches a listener."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(listen.host, listen.host)
    return f"http://[{host}]:{listen.port}" if ":" in host else f"http://{host}:{listen.port}"


def fetch(config: Config, method: str, path: str, body: dict | None = None, token: str | None = None) -> Any:
    """What the admin port answers, read from JSON. Raises `NothingRuns`, `CannotAnswer`, `BadQuestion`."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = None
    if body is not None:
        headers["Content-Type"] = "application/json"
        data = json.dumps(body).encode()
    request = urllib.request.Request(address_of(config.admin) + path, data, headers, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the admin port is never behind a proxy of the environment
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise _explain(error, config) from None
    except urllib.error.URLError:
        raise NothingRuns from None
    except (OSError, ValueError, http.client.HTTPException):
        raise explain_stranger(config) from None


def change(config: Config, method: str, address: str, body: dict | None, target: str = "") -> dict[str, Any]:
    """Change something in the running Weighbridge, with the token of its state folder; `target` takes the place of `{id}` in the address.

    Raises `NothingRuns`, `CannotAnswer`, `BadQuestion`.
    """
    try:
        token, reason = read_token(config.admin_token), "another weighbridge runs there"
    except OSError as error:
        token, reason = "", f"{config.admin_token} cannot be read ({error.strerror})"
    try:
        answer = fetch(config, method, address.replace("{id}", urllib.parse.quote(target, safe="")), body, token)
    except TokenRefused:
        hint = "run this as the user of `weighbridge serve`, and name its config with --config"
        raise CannotAnswer(f"the admin token for {address_of(config.admin)} is not known: {reason}; {hint}") from None
    if not isinstance(answer, dict):
        raise explain_stranger(config)
    return answer


def _explain(error: urllib.error.HTTPError, config: Config) -> Exception:
    try:
        message = str(json.load(error)["message"])
    except (ValueError, KeyError, TypeError, OSError):
        return explain_stranger(config, f" (status {error.code})")
    if error.code == 401:
        return TokenRefused(message)
    return BadQuestion(message) if error.code in (400, 422) else CannotAnswer(message)


def explain_stranger(config: Config, status: str = "") -> CannotAnswer:
    """What to say where something else than Weighbridge answers."""
    return CannotAnswer(f"what answers on {address_of(config.admin)} is not Weighbridge's admin port{status}; check `admin` in the config")
