"""The two kinds of collector, and certificates for both ends."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.controlplane.traces.collector import Collector, serve_grpc, serve_http

KINDS = {"grpc": serve_grpc, "http": serve_http}


@pytest.fixture(params=sorted(KINDS))
def protocol(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def serve(protocol: str) -> Callable[..., AbstractContextManager[Collector]]:
    """What runs a collector of the protocol."""
    return KINDS[protocol]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """(an authority's certificate, a certificate for localhost signed by it, its key) as files."""
    folder = tmp_path_factory.mktemp("collector")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test authority", "-days", "2")
    openssl("req", *curve, "-keyout", "one.key", "-out", "one.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    openssl(
        "x509", "-req", "-in", "one.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", "2", "-out", "one.pem"
    )
    return folder / "ca.pem", folder / "one.pem", folder / "one.key"
