"""The words and patterns that the features and the flags look for: fixed beforehand, the same for every stream."""

# ruff: noqa: SIM905 (words in a line of prose are easier to read and to add to than a list)

from __future__ import annotations

import re

# Words whose rate is a matter of style rather than of subject (Mosteller and Wallace 1963; Burrows 2002), and those that assistants differ in.
STYLE_WORDS = tuple(
    """the a an of to and in is it that for you your i we can this be are with as on or not will would could may should also however but so if
    then there these such some more most have has by from at was which their they its our my let first next finally therefore thus since
    because while here help ensure including provide important remember please sorry overall additionally each total calculate find step
    need into both other any all when what how like about up one two do does using use used now""".split()
)  # fmt: skip

# Words that are frequent in one language and rare in the others.
LANGUAGES = {
    "en": "the and of to is in that for you with are this it be on as have can from will".split(),
    "de": "der die das und ist nicht ein eine mit zu den sich auf für von sie ich wird sind auch".split(),
    "fr": "le les des est une et dans pour vous que qui pas sur avec sont du aux cette être nous".split(),
    "es": "el los las una es por con para del que se como más pero su son está y lo al".split(),
    "it": "il di che è per una non sono della con gli le del si come più anche nel alla questo".split(),
    "pt": "o os uma não com para é em do da que por mais como se ao dos você são na".split(),
    "nl": "het een van en is niet dat de op te met voor zijn er ook aan om je maar bij".split(),
}

_SHARED = {word for word in set().union(*LANGUAGES.values()) if sum(word in words for words in LANGUAGES.values()) > 1}
LANGUAGE_OF = {word: name for name, words in LANGUAGES.items() for word in words if word not in _SHARED}

# A refusal has one of the hints, and then the pattern decides; most answers have none, so the pattern seldom runs.
REFUSAL_HINTS = (
    "sorry", "can't", "cannot", "can not", "unable", "not able", "apolog", "an ai", "decline", "appropriate", "won't", "will not",
    "comfortable", "against my",
)  # fmt: skip
REFUSAL = re.compile(
    r"\b(?:i(?:'m| am) (?:sorry|unable|not able|afraid)|i (?:can(?:'t|not| not)|won't|will not|must decline|do not feel comfortable|apologi[sz]e)|"
    r"(?:my )?apologies|sorry, (?:but )?i|as an ai|i'm just an ai|(?:not |in)appropriate (?:or \w+ )?(?:for me )?to|"
    r"against my (?:programming|guidelines|policy)|cannot (?:assist|help|provide|fulfil|comply|answer))"
)
# By a character that stands in them.
CONTROL_TOKENS = {
    "<": ("<|", "</s>", "<s>", "<<SYS>>"), "[": ("[INST]", "[/INST]"), "_": ("_of_turn>",),
    "#": ("### Human", "### Assistant", "### Instruction", "### Response"),
}  # fmt: skip
MOJIBAKE_SIGNS = ("â", "Ã", "Â", "\ufffd")  # one stands in each
MOJIBAKE = re.compile("â€|â„|Ã[\x80-\xbfƒ‚„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|Â[\xa0-\xbf]|\ufffd")

# Where the letters of a script stand in Unicode: first and last code point.
SCRIPTS = {
    "greek": (0x370, 0x3FF), "cyrillic": (0x400, 0x52F), "hebrew": (0x590, 0x5FF), "arabic": (0x600, 0x77F), "indic": (0x900, 0xDFF),
    "thai": (0xE00, 0xEFF), "hangul": (0xAC00, 0xD7AF), "kana": (0x3041, 0x30FF), "han": (0x4E00, 0x9FFF),
}  # fmt: skip
