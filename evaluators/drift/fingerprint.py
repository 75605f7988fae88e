"""The fingerprint of an answer's text: hashed character trigrams, of the whole and of both ends, and the rates of style words.

No projection is trained beforehand: which of these figures tell two models apart is learned from the stream itself (see `direction`).
"""

from __future__ import annotations

import numpy as np

from evaluators.drift.reading import Batch, tally_style
from evaluators.drift.words import STYLE_WORDS

END_BYTES = 48
_TRIGRAM_BITS, _END_BITS = 7, 6
_TRIGRAMS, _ENDS = 1 << _TRIGRAM_BITS, 1 << _END_BITS
# Multiplicative hashing of three bytes taken as one number (Knuth, The Art of Computer Programming 3, 6.4).
MULTIPLIER = np.uint32(0x9E3779B1)
_THREE_BYTES = np.uint32(0xFFFFFF)
# Where four bytes reach over the end of a text, seen from there.
_ACROSS = np.arange(-2, 4)
_AT_END = np.arange(END_BYTES - 2)
_SHIFT = np.uint32(32 - _TRIGRAM_BITS)
# One byte a figure: the square root of a rate, in steps that leave the common ones below 255.
_TRIGRAM_SCALE = 20.0
_WORD_SCALE = 48.0
_END_SCALE = 32

SIZE = len(STYLE_WORDS) + 2 * _ENDS + _TRIGRAMS


def sketch(batch: Batch) -> np.ndarray:
    """SIZE bytes for each reading: the style words, the trigrams of the first and of the last END_BYTES, and those of the whole."""
    number, words = len(batch.readings), len(STYLE_WORDS)
    out = np.zeros((number, SIZE))
    counts = np.array([[max(1, reading.words)] for reading in batch.readings])
    np.multiply(tally_style(batch), 100.0 * _WORD_SCALE**2 / counts, out=out[:, :words])
    trigrams = batch.fours & _THREE_BYTES
    trigrams *= MULTIPLIER
    trigrams >>= _SHIFT
    trigrams += batch.owners[:-3] * np.uint32(_TRIGRAMS)
    places = trigrams.astype(np.intp)
    nobody = number * _TRIGRAMS
    places.put(batch.ends[:, None] + _ACROSS, nobody, mode="clip")
    counted = np.bincount(places, minlength=nobody + 1)[:-1].reshape(number, _TRIGRAMS)
    np.multiply(counted, 1000.0 * _TRIGRAM_SCALE**2 / np.maximum(1, batch.sizes)[:, None], out=out[:, -_TRIGRAMS:])
    np.sqrt(out, out=out)
    np.multiply(_count_at_ends(batch, places, nobody), _END_SCALE, out=out[:, words:-_TRIGRAMS])
    return np.minimum(out, 255, out=out).astype(np.uint8)


def _count_at_ends(batch: Batch, places: np.ndarray, nobody: int) -> np.ndarray:
    """How often each hash, coarser, is among the first trigrams of each reading, and how often among the last."""
    begins, ends = batch.begins[:, None], batch.ends[:, None] - 2
    at = np.concatenate([begins + _AT_END, ends - 1 - _AT_END], axis=1)
    found = places.take(at, mode="clip")
    found[(at < begins) | (at >= ends)] = nobody
    found >>= _TRIGRAM_BITS - _END_BITS
    number = len(begins) * _ENDS
    found[:, len(_AT_END) :] += number + 1
    counted = np.bincount(found.ravel(), minlength=2 * (number + 1)).reshape(2, number + 1)[:, :-1]
    return counted.reshape(2, -1, _ENDS).swapaxes(0, 1).reshape(-1, 2 * _ENDS)
