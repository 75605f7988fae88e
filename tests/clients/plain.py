"""The SDKs that are asked plain questions with their own defaults: what each makes of a refusal, and its process, started once for many questions."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.clients.driver import ROOT, Client, require
from tests.clients.stage import Stage

PYTHON = ROOT / ".cache" / "clients" / "bin" / "python"
NODE = ROOT / ".cache" / "node"
FOLDER = Path(__file__).parent / "refused"
# client: its exceptions for 402, 403 and 429, and whether it comes again by itself after the time that a 429 names
CLIENTS = {
    "openai": ("APIStatusError", "PermissionDeniedError", None),
    "openai_responses": ("APIStatusError", "PermissionDeniedError", None),
    "anthropic": ("PaymentRequiredError", "PermissionDeniedError", None),
    "gemini": ("ClientError", "ClientError", "ClientError"),
    "mistral": ("SDKError", "SDKError", "SDKError"),
    "cohere": ("ApiError", "ForbiddenError", None),
    "bedrock": ("ServiceQuotaExceededException", "AccessDeniedException", "ThrottlingException"),
    "ollama": ("ResponseError", "ResponseError", "ResponseError"),
    "node-openai": ("APIError", "PermissionDeniedError", None),
    "node-anthropic": ("PaymentRequiredError", "PermissionDeniedError", None),
}


class Plain:
    """One SDK, asking through a stage."""

    def __init__(self, name: str, stage: Stage, home: Path) -> None:
        self.name = name
        self.errors = CLIENTS[name]
        self._base = f"http://127.0.0.1:{stage.near.port}/a/{name}/t"
        self._client = Client(make_command(name), home, patience_s=60)

    def ask(self, task: str) -> dict:
        """What became of one question."""
        return self._client.ask("", f"{self._base}/{task}", proxied=True)

    def close(self) -> None:
        self._client.close()


def make_command(name: str) -> list[str]:
    if not name.startswith("node-"):
        require(PYTHON.exists(), "the real clients are not installed; `make test` installs them")
        return [str(PYTHON), "-W", "ignore", str(FOLDER / "ask_plainly.py"), name]
    require(shutil.which("node") is not None, "Node is not installed (https://nodejs.org, version 20 or newer)")
    link = NODE / "refused"  # Node looks for packages above a script's own path
    if not link.is_symlink():
        link.symlink_to(FOLDER)
    return ["node", "--preserve-symlinks", "--preserve-symlinks-main", "--no-warnings", str(link / "ask_plainly.mjs"), name[5:]]
