"""Whether an answer is in another language or script than it must be, or than its question was.

Languages of the Latin script are told by their commonest words, others by their script. A short text has no language; nor has one that two
languages claim. Against the question's language a difference is worth knowing and no fault: translations are asked for.
"""

from __future__ import annotations

import re

from evaluators.sample import Sample
from evaluators.verdict import Verdict

NAME = "language"
_PASSED = Verdict(NAME)
_READ = 1_000  # characters
_MOST_WORDS = 60
_LEAST_HITS = 3  # common words of a language …
_LEAST_SHARE = 0.12  # … that are so much of all words …
_LEAD = 1.6  # … and so many times those of any other
_COMMON = {
    "en": "the of and to in is that it for was on are as with be this have from or by not at which but they you an were can will would their your",
    "de": "der die und das ist nicht ein eine den dem von zu mit sich des auf für im auch es an werden aus er hat dass sie nach wird bei einer",
    "fr": "de le la les et des est une du dans que pour qui pas sur plus au par ce avec sont il ne se vous nous cette être aux ou mais leur elle ces",
    "es": "de el los las una que del por con para es se al como más pero su sus está son también este entre cuando muy sin sobre ser hay y lo desde",
    "it": "il di che è per non una sono della del con le gli nel alla più come anche dei delle questo si ha ma dal essere sia tra ed nella",
    "pt": "de o os que não uma do da em para com dos das é por mais como mas ao ele sua ou quando muito nos já também pelo pela até isso são você",
    "nl": "de het een van en is dat op te zijn voor met niet aan er om ook als dan maar bij uit wordt door naar hij heeft ze deze worden kan nog",
    "pl": "nie się jest na że do to jak ale po co tak za od przez dla są czy może tylko który oraz już był ich być tego",
    "sv": "och att det som en är på av för med den till inte har de om ett men var kan från eller så när vi också ska",
    "tr": "bir ve bu için ile olarak da de daha çok olan gibi kadar ne her en sonra ancak veya değil olduğu ise mi",
}
_WORDS: dict[str, tuple[str, ...]] = {}
for _language, _list in _COMMON.items():
    for _word in _list.split():
        _WORDS[_word] = (*_WORDS.get(_word, ()), _language)
_SCRIPTS = {
    "ru": re.compile(r"[\u0400-\u04ff]"), "el": re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]"), "ar": re.compile(r"[\u0600-\u06ff]"),
    "he": re.compile(r"[\u0590-\u05ff]"), "th": re.compile(r"[\u0e00-\u0e7f]"), "hi": re.compile(r"[\u0900-\u097f]"),
    "ko": re.compile(r"[\uac00-\ud7af]"), "ja": re.compile(r"[\u3040-\u30ff]"), "zh": re.compile(r"[\u4e00-\u9fff]"),
}  # fmt: skip
_HAS_SCRIPT = re.compile("[\u0370-\u1fff\u3040-\ud7af]")
_LEAST_OF_SCRIPT = 0.3  # of a text's letters
_LEAST_LETTERS = 20
_ALIEN = 4  # letters of a strange script in a text that is otherwise in the right one
_QUOTED = re.compile(  # names and terms in the letters of their own language stand so in any text
    r"\([^()]{0,200}\)|\[[^\[\]]{0,200}\]|\"[^\"\n]{0,200}\"|“[^”\n]{0,200}”|«[^»\n]{0,200}»|「[^」\n]{0,200}」|`[^`]{0,400}`|\*[^*\n]{1,200}\*"
)
_LIKE = {"uk": "ru", "bg": "ru", "sr": "ru", "fa": "ar", "ur": "ar", "mr": "hi", "ne": "hi"}  # told apart by nothing here


def judge(sample: Sample) -> Verdict | None:
    """None where no language is known to compare with, or where the text has none."""
    wanted = sample.language or sample.prompt_language
    if not wanted:
        return None
    wanted = _LIKE.get(wanted[:2].lower(), wanted[:2].lower())
    found = detect(sample.text)
    if found is None:
        return None
    severity = "warning" if sample.language else "info"
    if found != wanted:
        known = "the language that was set" if sample.language else "the question's language"
        return Verdict(NAME, "other_language", 0.2, severity, f"the text is in `{found}`; {known} is `{wanted}`")
    read = sample.text[:_READ]
    if wanted not in _SCRIPTS and count_aliens(read) >= _ALIEN and (aliens := count_aliens(_QUOTED.sub(" ", read))) >= _ALIEN:
        return Verdict(NAME, "other_script", 0.5, severity, f"letters of another script stand in the text: {aliens}")
    return _PASSED


def detect(text: str) -> str | None:
    """The language of a text's beginning, by two letters; `ru` and `ar` stand for all that are written so. None: it cannot be told."""
    read = text[:_READ]
    if not read.isascii() and _HAS_SCRIPT.search(read) and (language := _find_script(read)):
        return language
    words = read[: _MOST_WORDS * 10].lower().split(None, _MOST_WORDS)[:_MOST_WORDS]
    hits: dict[str, int] = {}
    for languages in filter(None, map(_WORDS.get, words)):
        for language in languages:
            hits[language] = hits.get(language, 0) + 1
    best = max(hits, key=hits.__getitem__, default="")
    most = hits.pop(best, 0)
    return best if most >= max(_LEAST_HITS, _LEAST_SHARE * len(words), _LEAD * max(hits.values(), default=0)) else None


def _find_script(text: str) -> str | None:
    letters = sum(map(str.isalpha, text))
    if letters < _LEAST_LETTERS:
        return None
    counts = {language: len(pattern.findall(text)) for language, pattern in _SCRIPTS.items()}
    if counts["ja"] >= _ALIEN and counts["ja"] + counts["zh"] >= _LEAST_OF_SCRIPT * letters:  # Japanese writes with both
        return "ja"
    language = max(counts, key=counts.__getitem__)
    return language if counts[language] >= _LEAST_OF_SCRIPT * letters else None


def count_aliens(text: str) -> int:
    """Letters of other scripts than Latin and Greek, which formulas use."""
    if text.isascii() or not _HAS_SCRIPT.search(text):
        return 0
    return sum(len(pattern.findall(text)) for language, pattern in _SCRIPTS.items() if language != "el")
