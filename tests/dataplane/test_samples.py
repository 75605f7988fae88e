import socket

import msgspec

from proxy.dataplane.samples import SampleSender
from proxy.record import Sample

SAMPLE = Sample(id="x", agent="a", format="openai.chat", usage_source="reported", text="hello")


def test_samples_arrive_and_what_cannot_is_counted(tmp_path):
    path = tmp_path / "samples.sock"
    sender = SampleSender(path)
    sender.send(SAMPLE)
    sender.flush()
    assert (sender.sent, sender.dropped) == (0, 1), "nobody listens yet"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        sender.send(SAMPLE)
        sender.send(SAMPLE)
        sender.flush()
        datagram = receiver.recv(1 << 20)
        assert datagram[:1] == b"S" and msgspec.msgpack.decode(datagram[1:], type=list[Sample]) == [SAMPLE, SAMPLE]
        sender.send(msgspec.structs.replace(SAMPLE, text="x" * 1_000_000))
        sender.flush()
        assert (sender.sent, sender.dropped) == (2, 2), "larger than a datagram may be"
        for _ in range(200_000):
            sender.send(SAMPLE)
        sender.flush()
        assert sender.sent + sender.dropped == 200_004 and sender.dropped > 2, "a full socket drops and never blocks"
    sender.close()


def test_prompts_are_kept_up_to_a_bound_of_all_calls_together(tmp_path):
    sender = SampleSender(tmp_path / "samples.sock")
    prompt = b"x" * 100_000
    kept = [sender.keep(prompt) for _ in range(1025)]
    assert kept[0] == prompt[: 64 * 1024] and sum(len(one or b"") for one in kept) == 64 * 1024 * 1024
    assert kept[-1] is None and (sender.bare, sender.dropped) == (1, 0)
    for one in kept:
        sender.let_go(one)
    assert [len(sender.keep(prompt)) for _ in range(1024)] == [64 * 1024] * 1024 and sender.keep(b"y") is None
    sender.close()


def test_of_a_long_prompt_its_outline_is_kept_within_the_same_bound(tmp_path):
    sender = SampleSender(tmp_path / "samples.sock")
    short, long = b'{"tools": []}', b'{"tools": [1], "messages": ["' + b"x" * 100_000 + b'"]}'
    assert sender.sketch(short) == (None, [])
    outline, left_out = sender.sketch(long)
    assert (outline, left_out) == (b'{"tools":[1]}', [])
    kept = [sender.keep(long) for _ in range(1024)]
    kept.append(sender.keep(b"y" * 40_000))
    assert kept[-2] is None and sender.sketch(long) == (None, ["all"])
    sender.let_go(outline, None, *kept)
    assert sender.sketch(long) == (outline, [])
    sender.close()
