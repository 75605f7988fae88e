"""The state: a detector as bytes and back, so that a restart in the middle of a stream changes nothing.

One JSON header and the bytes of the arrays that it lists, compressed together.
NumPy's own archive takes twice the CPU to write and four times to read.
The header holds a digest of everything that is measured and of how it is kept; where that changed between two versions of the program, old
numbers mean nothing and the state is refused.
Texts of examples are only part of it where the caller asks for them; which answers they were is always.
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from dataclasses import asdict

import numpy as np

from evaluators.drift import bank, bets, direction, features, figures, fingerprint, prompts, rates, reading
from evaluators.drift import flags as raised
from evaluators.drift.alarm import Alarm, Move, WireChange
from evaluators.drift.bank import Bank
from evaluators.drift.baseline import Baseline
from evaluators.drift.detector import Detector
from evaluators.drift.direction import Direction
from evaluators.drift.rates import Rates
from evaluators.drift.settings import Settings
from evaluators.drift.verdicts import PLACES
from evaluators.drift.witness import FACTS

_MEASURED = (
    features.NAMES, figures.NAMES, prompts.NAMES, raised.NAMES, fingerprint.SIZE, PLACES, FACTS, bank.CELLS, bets.DENSITIES.tolist(),
    direction.MEMORIES_ANSWERS, direction.DRIFTS.tolist(), rates.BETS.tolist(), reading.WORD_CHARACTERS, int(fingerprint.MULTIPLIER),
)  # fmt: skip
# And how it is kept.
_KEPT = [(name, value.dtype.str, value.shape) for name, value in vars(Baseline(Settings(), 1, 1, 1, [1.0])).items() if isinstance(value, np.ndarray)]
LAYOUT = hashlib.sha256(json.dumps([_MEASURED, _KEPT]).encode()).hexdigest()[:16]
_PARTS = {"baseline": Baseline, "bank": Bank, "rates": Rates, "direction": Direction}
_SIZE_BYTES = 4  # of the header, before it
_KINDS = "biuf"  # of arrays: numbers and truth
_MOST_BYTES = 8 * 1024 * 1024  # unpacked; a warm-up of 1,000 answers takes one


class StateError(ValueError):
    """The bytes are no state of a detector, or one of another version of the program."""


def save(detector: Detector, with_examples: bool = False) -> bytes:
    """The whole detector; the openings of example texts only `with_examples`."""
    detector.measure()
    baseline = detector.answers
    objects = {"baseline": baseline, "bank": baseline.bank, "rates": baseline.rates, "direction": baseline.direction}
    arrays, plain = {}, {}
    for part, each in objects.items():
        for name, value in (vars(each) if each is not None else {}).items():
            if isinstance(value, np.ndarray):
                arrays[f"{part}.{name}"] = value
            elif isinstance(value, int | float):
                plain[f"{part}.{name}"] = value
    header = {
        "layout": LAYOUT,
        "settings": asdict(detector.settings),
        "version": detector.version,
        "evidence": [detector.evidence, detector.likelihood],
        "verdicts": detector.verdicts.names,
        "witness": detector.witness.dump(with_examples),
        "alarm": None if detector.alarm is None else _dump_alarm(detector.alarm, with_examples),
        "plain": plain,
    }
    return _pack(header, arrays)


def _pack(header: dict, arrays: dict[str, np.ndarray]) -> bytes:
    listed = [(name, array.dtype.str, array.shape) for name, array in arrays.items()]
    head = json.dumps({**header, "arrays": listed}).encode()
    return zlib.compress(b"".join([len(head).to_bytes(_SIZE_BYTES, "big"), head, *(array.tobytes() for array in arrays.values())]), level=1)


def _unpack(data: bytes) -> tuple[dict, dict[str, np.ndarray]]:
    """Raises ValueError, KeyError, TypeError or zlib.error where it is nothing that `_pack` made."""
    packed = zlib.decompressobj()
    unpacked = packed.decompress(data, _MOST_BYTES)
    if not packed.eof:
        raise ValueError("it is cut, or too large")
    at = _SIZE_BYTES + int.from_bytes(unpacked[:_SIZE_BYTES], "big")
    header = json.loads(unpacked[_SIZE_BYTES:at])
    if not isinstance(header, dict):
        raise TypeError("its header is no object")
    arrays = {}
    for name, kind, shape in header.pop("arrays"):
        if np.dtype(kind).kind not in _KINDS:
            raise ValueError(f"{name} holds no numbers")
        arrays[name] = np.frombuffer(unpacked, kind, math.prod(shape), at).reshape(shape).copy()
        at += arrays[name].nbytes
    return header, arrays


def load(data: bytes) -> Detector:
    """The detector that `save` was given; raises StateError."""
    try:
        header, arrays = _unpack(data)
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise StateError(f"these {len(data)} bytes are no state of a drift detector ({error}): learn the stream anew") from error
    if header.get("layout") != LAYOUT:
        raise StateError("this state measures other features than this version of the program: learn the stream anew")
    detector = Detector(**header["settings"])
    detector.version = header["version"]
    detector.evidence, detector.likelihood = header["evidence"]
    detector.verdicts.names = header["verdicts"]
    detector.witness.load(header["witness"])
    detector.alarm = None if header["alarm"] is None else _load_alarm(header["alarm"])
    _fill(detector.answers, arrays, header["plain"])
    return detector


def _fill(baseline: Baseline, arrays: dict[str, np.ndarray], plain: dict[str, float]) -> None:
    parts = {"baseline": baseline}
    for key, value in {**plain, **arrays}.items():
        part, _, name = key.partition(".")
        if part not in parts:
            parts[part] = _PARTS[part].__new__(_PARTS[part])
            setattr(baseline, part, parts[part])
        setattr(parts[part], name, value)


def _dump_alarm(alarm: Alarm, with_examples: bool) -> dict:
    shown = {name: [(identity, text if with_examples else "") for identity, text in getattr(alarm, name)] for name in ("before", "after")}
    return asdict(alarm) | shown


def _load_alarm(fields: dict) -> Alarm:
    return Alarm(
        **fields
        | {
            "moves": tuple(Move(**each) for each in fields["moves"]),
            "wire": tuple(WireChange(**each) for each in fields["wire"]),
            "before": tuple(map(tuple, fields["before"])),
            "after": tuple(map(tuple, fields["after"])),
        }
    )
