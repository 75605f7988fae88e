from __future__ import annotations

import pytest

from evaluators.language import detect, judge
from evaluators.sample import Sample

TEXTS = {
    "en": "The mill is on the other side of the river and it was built by the monks, who had it for many years.",
    "de": "Die Mühle steht auf der anderen Seite des Flusses und wurde von den Mönchen gebaut, die sie lange hatten.",
    "fr": "Le moulin est de l'autre côté de la rivière et il a été construit par les moines, qui ne l'ont pas vendu.",
    "es": "El molino está al otro lado del río y fue construido por los monjes, que no lo vendieron en muchos años más.",
    "it": "Il mulino è dall'altra parte del fiume ed è stato costruito dai monaci, che non lo hanno venduto per anni.",
    "pt": "O moinho fica do outro lado do rio e foi construído pelos monges, que não o venderam por muitos anos mais.",
    "nl": "De molen staat aan de andere kant van de rivier en is gebouwd door de monniken, die het niet hebben verkocht.",
    "ru": "Мельница стоит на другом берегу реки, и её построили монахи.",
    "ja": "水車小屋は川の向こう側にあり、修道士たちが建てたものです。長い間使われました。",
    "zh": "磨坊在河的另一边，是修道士们建造的，他们拥有它很多年，后来把它卖给了一个商人。",
    "ar": "المطحنة على الجانب الآخر من النهر وقد بناها الرهبان منذ سنوات عديدة",
}


@pytest.mark.parametrize("language", TEXTS)
def test_languages_are_told_apart(language: str) -> None:
    assert detect(TEXTS[language]) == language


@pytest.mark.parametrize("text", ["", "42", "def f(x): return x", "Paris", "\ud800" * 50])
def test_what_has_no_language(text: str) -> None:
    assert detect(text) is None


def test_an_answer_in_another_language_is_a_fault_where_one_was_set_and_else_worth_knowing() -> None:
    assert judge(Sample(text=TEXTS["fr"], language="en")).failed
    of_question = judge(Sample(text=TEXTS["fr"], prompt_language="en"))
    assert (of_question.label, of_question.severity) == ("other_language", "info")
    assert judge(Sample(text=TEXTS["en"], language="EN-us")).label == "pass"
    assert judge(Sample(text=TEXTS["ru"], language="uk")).label == "pass"


def test_letters_of_another_script_within_are_found() -> None:
    assert judge(Sample(text=TEXTS["en"] + " ขอบคุณ", language="en")).label == "other_script"
    assert judge(Sample(text=TEXTS["en"] + " αβγδε", language="en")).label == "pass"


@pytest.mark.parametrize("quoted", ["(願い心時, negai)", '"ขอบคุณ"', "“Мельница”", "`ПретвориСтринг`", "*Мельница*", "«Мельница»"])
def test_what_is_quoted_in_its_own_letters_is_no_fault(quoted: str) -> None:
    assert judge(Sample(text=f"{TEXTS['en']} It is called {quoted}.", language="en")).label == "pass"
    assert judge(Sample(text=f"{TEXTS['en']} It is called {quoted} 描绘未成年人的.", language="en")).label == "other_script"


def test_nothing_is_said_where_nothing_is_known() -> None:
    assert judge(Sample(text=TEXTS["en"])) is None
    assert judge(Sample(text="42", language="en")) is None
