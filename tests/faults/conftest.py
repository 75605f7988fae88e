"""Every fault runs on the loop that the data plane runs on."""

from __future__ import annotations

import subprocess
from collections.abc import Awaitable, Callable

import pytest
import uvloop


@pytest.fixture
def run() -> Callable[[Awaitable[None]], None]:
    """Run a coroutine as the data plane would run it."""
    return uvloop.run


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for localhost that vouches for itself, with its key, as one file."""
    file = tmp_path_factory.mktemp("tls") / "one.pem"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2")
    subprocess.run(["openssl", "req", "-x509", *curve, "-keyout", file, "-out", f"{file}.crt", *names], check=True, capture_output=True)
    file.write_bytes(file.read_bytes() + file.with_name("one.pem.crt").read_bytes())
    return file
