"""Re-signing for Bedrock: an AWS signature covers the host, so a proxied request must be signed again (extra `bedrock`).

The caller may use any dummy credentials; the AWS identity is the proxy's own, from where botocore looks for it: the
environment, the shared credentials file, the machine's role.
"""

from __future__ import annotations

from proxy.dataplane.headers import Headers

try:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.session import Session
except ImportError:
    Session = None

_SIGNATURE = frozenset({b"authorization", b"x-amz-date", b"x-amz-security-token", b"x-amz-content-sha256"})


class SigningError(Exception):
    """Why requests of an upstream cannot be signed, and what to do about it."""


class Signer:
    """Signs requests of one upstream with AWS Signature Version 4. Raises `SigningError` if it never could."""

    def __init__(self, name: str, region: str) -> None:
        if Session is None:
            raise SigningError(f"upstreams.{name}.sign needs the extra `bedrock`: pip install --require-hashes -r requirements/bedrock.txt")
        credentials = Session().get_credentials()
        if credentials is None:
            raise SigningError(f"upstreams.{name}.sign finds no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        self._credentials = credentials
        self._region = region

    def sign(self, method: str, url: str, headers: Headers, body: bytes) -> Headers:
        """The headers with the caller's signature replaced by ours."""
        kept = [(name, value) for name, value in headers if name.lower() not in _SIGNATURE]
        signed = {name.decode("latin-1"): value.decode("latin-1") for name, value in kept if name.lower().startswith((b"content-type", b"x-amz"))}
        request = AWSRequest(method=method, url=url, data=body, headers=signed)
        SigV4Auth(self._credentials.get_frozen_credentials(), "bedrock", self._region).add_auth(request)
        ours = [(name.encode(), str(value).encode("latin-1")) for name, value in request.headers.items() if name.lower().encode() in _SIGNATURE]
        return kept + ours
