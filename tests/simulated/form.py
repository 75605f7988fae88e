"""A multipart form, read from the bytes of a request."""

from __future__ import annotations

import re

from proxy.demo.exchange import Exchange, Wrong


def read_form(exchange: Exchange) -> dict[str, tuple[str | None, bytes]]:
    """name → (file name or None, content) of each part. Raises `Wrong` for a body that is no form."""
    boundary = re.search(r'boundary="?([^";]+)', exchange.request.headers.get("Content-Type", ""))
    if boundary is None:
        raise Wrong(400, "Invalid Content-Type: expected multipart/form-data.")
    parts: dict[str, tuple[str | None, bytes]] = {}
    for piece in (b"\r\n" + exchange.body).split(b"\r\n--" + boundary[1].encode())[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        name = re.search(rb'[; ]name="?([^";\r\n]+)', head)
        file_name = re.search(rb'filename="?([^";\r\n]+)', head)
        if name:
            parts[name[1].decode()] = (file_name[1].decode() if file_name else None, content)
    return parts


def require_field(form: dict[str, tuple[str | None, bytes]], name: str) -> tuple[str | None, bytes]:
    """A part the form must have. Raises `Wrong`."""
    if name not in form:
        raise Wrong(400, f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name)
    return form[name]
