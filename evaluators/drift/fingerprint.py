"""The fingerprint of one answer's text: hashed character trigrams, of the whole and of both ends, and the rates of style words.

No projection is trained beforehand: which of these figures tell two models apart is learned from the stream itself (see `direction`).
"""

from __future__ import annotations

import numpy as np

from evaluators.drift.reading import Reading
from evaluators.drift.words import STYLE_WORDS

END_BYTES = 24
_TRIGRAM_BITS, _END_BITS = 7, 5
_TRIGRAMS, _ENDS = 1 << _TRIGRAM_BITS, 1 << _END_BITS
# Three odd constants of multiplicative hashing (Knuth, The Art of Computer Programming 3, 6.4).
_MULTIPLIERS = (np.uint32(0x9E3779B1), np.uint32(0x85EBCA77), np.uint32(0xC2B2AE3D))
_WORD_BITS = 32
# One byte a figure: the square root of a rate, in steps that leave the common ones below 255.
_TRIGRAM_SCALE = 20.0
_WORD_SCALE = 48.0
_END_SCALE = 32

SIZE = len(STYLE_WORDS) + 2 * _ENDS + _TRIGRAMS


def sketch(reading: Reading) -> np.ndarray:
    """SIZE bytes: the style words, the trigrams of the first and of the last END_BYTES, and those of the whole."""
    out = np.zeros(SIZE)
    words = len(STYLE_WORDS)
    np.sqrt(reading.style * (100.0 / max(1, len(reading.words))), out=out[:words])
    out[:words] *= _WORD_SCALE
    data = reading.data
    if len(data) >= 3:
        letters = data.astype(np.uint32)
        hashes = letters[:-2] * _MULTIPLIERS[0]
        hashes += letters[1:-1] * _MULTIPLIERS[1]
        hashes += letters[2:] * _MULTIPLIERS[2]
        for start, end in ((words, hashes[: END_BYTES - 2]), (words + _ENDS, hashes[-(END_BYTES - 2) :])):
            out[start : start + _ENDS] = np.bincount(end >> np.uint32(_WORD_BITS - _END_BITS), minlength=_ENDS)
        out[words : words + 2 * _ENDS] *= _END_SCALE
        counts = np.bincount(hashes >> np.uint32(_WORD_BITS - _TRIGRAM_BITS), minlength=_TRIGRAMS)
        np.sqrt(counts * (1000.0 / len(data)), out=out[-_TRIGRAMS:])
        out[-_TRIGRAMS:] *= _TRIGRAM_SCALE
    return np.minimum(out, 255).astype(np.uint8)
