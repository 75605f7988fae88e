"""Whether characters were broken on their way: UTF-8 read as another encoding, replacement characters, halves of pairs, control characters."""

from __future__ import annotations

import re

from evaluators.sample import Sample
from evaluators.verdict import Verdict

NAME = "mojibake"
_PASSED = Verdict(NAME)
# Two or more bytes of UTF-8 as Windows-1252 or Latin-1 show them: é as Ã©, “ as â€œ, é of Cyrillic as Ð¹, 😀 as ðŸ˜€.
# Latin-1 leaves control characters (C1) in it that no text has, but for the end of a line.
_MISREAD = re.compile(
    r"\u00e2\u20ac[\u0080-\u00bf\u0152\u0153\u2013-\u2122\u02dc]?|[\u00c2\u00c3][\u0080-\u00a9\u00ab-\u00b9\u00bb-\u00bf]"
    r"|[\u0080-\u0084\u0086-\u009f]|\u00f0\u0178|\u00ef\u00bf\u00bd|(?:[\u00d0\u00d1][\u0080-\u00bf\u0152-\u2122]){2}"
)
_LOST = re.compile("[\ufffd\ud800-\udfff]")
# How each of the two begins in UTF-8: patterns with one first byte are found many times as fast as those above.
_MISREAD_BEGINS = (re.compile(rb"\xc2[\x80-\x9f]"), re.compile(rb"\xc3(?:[\x82\x83]\xc2|[\x90\x91]|\xa2\xe2\x82|\xaf\xc2|\xb0\xc5)"))
_LOST_BEGINS = (re.compile(rb"\xef\xbf\xbd"), re.compile(rb"\xed[\xa0-\xbf]"))
_CONTROL = bytes((*range(9), 11, *range(14, 27), *range(28, 32), 127))  # an escape (1b) may colour a terminal, a form feed end a page
_EXPLAINED = {
    "misread": "UTF-8 was read as another encoding",
    "replaced": "characters were lost and replaced",
    "control": "control characters stand in the text",
}


def judge(sample: Sample) -> Verdict | None:
    """None where there is no text."""
    text = sample.ends
    if not text:
        return None
    if not text.isascii():
        body = sample.bytes
        for label, pattern, begins in (("misread", _MISREAD, _MISREAD_BEGINS), ("replaced", _LOST, _LOST_BEGINS)):
            if any(begin.search(body) for begin in begins) and (count := len(pattern.findall(text))):
                return Verdict(NAME, label, 0.3, "warning", f"{_EXPLAINED[label]}; places: {count}")
    if len(sample.thinned.translate(None, _CONTROL)) < len(sample.thinned):  # none of those is thinned out
        return Verdict(NAME, "control", 0.3, "warning", _EXPLAINED["control"])
    return _PASSED
