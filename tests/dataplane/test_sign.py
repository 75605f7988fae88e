"""Re-signing: what AWS would compute from the forwarded request is what stands in it."""

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from proxy.config import Upstream
from proxy.dataplane import lanes
from proxy.dataplane.sign import Signer
from tests.dataplane.conftest import open_site, post

TARGET = "/model/us.amazon.nova-micro-v1%3A0/converse"


def test_the_forwarded_request_carries_our_signature(run, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOURS")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    heads = []

    async def script(exchange):
        heads.append(await exchange.read_request())
        await exchange.reply(b'{"usage":{"inputTokens":3,"outputTokens":1},"stopReason":"end_turn"}')

    async def main():
        async with open_site(tmp_path, script) as site:
            known = site.plane.traffic.lanes
            known.by_name["up"].signer = Signer("up", "us-east-1")
            theirs = b"Authorization: AWS4-HMAC-SHA256 Credential=AKIATHEIRS/x, Signature=0\r\nX-Amz-Date: 20200101T000000Z\r\n"
            await site.ask(post("/a/nova/up" + TARGET, b'{"messages":[]}', theirs))
            return f"http://127.0.0.1:{site.plane.traffic.pools['up'].port}{TARGET}"

    result = []

    async def keep():
        result.append(await main())

    run(keep())
    lines = dict(line.split(b": ", 1) for line in heads[0].split(b"\r\n")[1:] if b": " in line)
    assert b"AKIATHEIRS" not in heads[0] and b"20200101T" not in heads[0]
    signed = {"Content-Type": "application/json", "X-Amz-Date": lines[b"X-Amz-Date"].decode()}
    request = AWSRequest("POST", result[0], data=b'{"messages":[]}', headers=signed)
    request.context["timestamp"] = lines[b"X-Amz-Date"].decode()
    signer = SigV4Auth(Credentials("AKIAOURS", "secret"), "bedrock", "us-east-1")
    signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    assert lines[b"Authorization"].decode().endswith("Signature=" + signature)


def test_without_credentials_it_says_what_to_set(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    try:
        Signer("bedrock", "us-east-1")
    except Exception as error:
        assert "AWS_ACCESS_KEY_ID" in str(error) and "upstreams.bedrock.sign" in str(error)
    else:
        raise AssertionError("it signed with no credentials")
    assert Upstream(url="http://x").sign is None and lanes.Signer is Signer
