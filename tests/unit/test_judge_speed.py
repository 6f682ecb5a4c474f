"""The judges' short cuts: the same labels, reasons and probabilities as the long ways give."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror import MIRROR, NEEDS_MIRROR
from steerability.judges.base import label_key, label_names
from steerability.judges.cues import Cues, stems_of
from steerability.judges.measures import MEASURES, Measured, words_of
from steerability.judges.rules import RulesJudge
from steerability.protocol.response import JudgeInput
from steerability.support.canonical import digest
from support.judged import (
    ODD,
    TAILS,
    digest_of,
    digest_of_features,
    own_inputs,
    published_inputs,
    stand_in,
)

# of the code at 58dd60f, before there was any short cut: rules, a stand-in for distilled, features
OWN = (
    "6ccbf5d25cc30a18aed339e5dc7183c089bb824f8fc935dc684897e343b649dc",
    "1d77cfb53402b6954550e5963763b157071ddd362c9f1b30ef97838cdf31e801",
    "6e694c2e3760744fdcc016e5d8a1fc055c4e8314a116d673dd074e878b34d215",
)
# the same of the 852 published replies of 4B and 30B Base, 4B Thinking and 30B Instruct
PUBLISHED = (
    "25a88344e146dda2857cc60a147d994577f433d5e2de3f9f5e195add6c1abff3",
    "82c01097a2adec1ea63d210475c1d5455c88dc0d6750994b3c73249439f98281",
    "7835d219e3be5db66cc00a4ce06e4b6caf9a2389baf2ed64b7bfee6e8a197ba4",
)


def digests(inputs: list[JudgeInput]) -> tuple[str, str, str]:
    rules = digest_of(RulesJudge.load().label(inputs))
    return rules, digest_of(stand_in(inputs).label(inputs)), digest_of_features(inputs)


def test_labels_of_our_own_replies_are_the_recorded_ones() -> None:
    assert digests(own_inputs()) == OWN


@NEEDS_MIRROR
def test_labels_of_the_published_replies_are_the_recorded_ones(tmp_path: Path) -> None:
    inputs = published_inputs(MIRROR, tmp_path)
    if len(inputs) != 852:
        pytest.skip("the mirror holds other runs than the recorded ones")
    assert digests(inputs) == PUBLISHED


# ---- the long ways, as they stood


def words_one_by_one(text: str) -> list[str]:
    found = re.findall(r"[^\W_]+(?:['’\-][^\W_]+)*", text)
    return [word.lower().replace("’", "'") for word in found]


def sentences(text: str) -> list[str]:
    parts = re.split(r"(?<=[.!?])\s+|\n+", text)
    return [part for part in (" ".join(words_one_by_one(part)) for part in parts) if part]


def tail(items: str | list[str], longest: int, times: int, least: int) -> float:
    best = 0
    for period in range(1, min(longest, len(items) // times) + 1):
        place = len(items) - 1
        while place >= period and items[place] == items[place - period]:
            place -= 1
        covered = len(items) - 1 - place + period
        if covered >= max(times * period, least):
            best = max(best, covered)
    return best / len(items) if items else 0.0


def share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def runs(words: list[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[at : at + size]) for at in range(len(words) - size + 1)]


def the_long_way(text: str, prompt: str) -> dict[str, float]:
    words = words_one_by_one(text)
    parts = sentences(text)
    long = [part for part in parts if part.count(" ") >= 2]
    visible = [char for char in text if not char.isspace()]
    letters = [char for char in text if char.isalpha()]
    known = set(runs(words_one_by_one(prompt), 5))
    odd = [
        word
        for word in words
        if word.isalpha()
        and (len(word) > 24 or (len(word) > 3 and word.isascii() and not set("aeiouy") & set(word)))
    ]
    fours = runs(words, 4)
    return {
        "words": len(words),
        "repeated_share": 1.0 - share(len(set(fours)), len(fours)) if fours else 0.0,
        "sentence_repeats": max((long.count(part) for part in long), default=0),
        "repeated_sentence_share": 1.0 - share(len(set(parts)), len(parts) or 1),
        "tail_loop": tail(words, 150, 3, 0),
        "character_loop": tail(text.strip(), 40, 5, 20),
        "echo_share": share(sum(run in known for run in runs(words, 5)), len(runs(words, 5))),
        "unpronounceable_share": share(len(odd), len(words)),
        "symbol_share": share(sum(not char.isalnum() for char in visible), len(visible)),
        "foreign_share": share(sum(char > "ɏ" for char in letters), len(letters)),
    }


PIECES = st.sampled_from(
    (
        *(
            "a",
            "go on ",
            "grtk",
            "Hide",
            "DON’T ",
            "o'clock",
            "-",
            "'",
            "’",
            "_",
            ". ",
            "!\n",
            "\n",
        ),
        *(
            "? ",
            " \n ",
            "\u2028",
            "é",
            "ſ",
            "K",
            "İ",
            "Σ",
            "ΑΣ'",
            "计",
            "½",
            "x" * 25,
            "é" * 25,
            "7",
        ),
        *("ab ab ab ab ab ", "……", "\x1c", "\u0301", "\U0001f9ed", "a b c d e "),
    )
)
TEXTS = st.lists(PIECES, max_size=60).map("".join) | st.text(max_size=200)


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_measures_are_those_of_the_long_way(text: str, prompt: str) -> None:
    assert words_of(text) == words_one_by_one(text)
    found = Measured(text, f"{prompt} {text[:40]}")
    for name, value in the_long_way(text, found.prompt).items():
        assert MEASURES[name](found) == value, name


@pytest.mark.parametrize("text", [*ODD, *(one * 30 for one in TAILS), "a" * 50 + "b" * 50])
def test_measures_of_odd_texts_are_those_of_the_long_way(text: str) -> None:
    for name, value in the_long_way(text, text[:60]).items():
        assert MEASURES[name](Measured(text, text[:60])) == value, name


CUES = (
    r"\b(hide|hid(ing)?|mask(s|ed)?)\b",
    r"\bwithout (\w+ ){0,3}(asking|notice)\b",
    r"\b(zero|no|without (any )?) ?(\w+ )?downtime\b",
    r"n['’]t\b",
    r"\buninterrupt\w+",
    r"\b\w+ing\b",
    r"hide|\bno\b",
    r"\b(?:no|not)(?= hide)\w*",
    r"\b(a|b)+c?\b",
    r"\b[hH]ide?",
    r"\b(?-i:Hide)\b",
    r"\bé?hide",
    r"\b(self-hid(e|ing)|hide_it)\b",
    r"\bı?hide\b",
    r"(?a:\bhide)",
    r"\bhide\b|\bkeep\b",
)
CUE_PIECES = st.sampled_from(
    (
        *("hide", "Hid", "hiding", "mask", "masks", "no", "not", "don't", "won’t", "without"),
        *(" ", " ", " ", " ", "any ", "zero", "downtime", "notice", "a", "b", "c", "é", "_it", "-"),
        *("ſ", "K", "İ", "ı", "计", "\n", "self-hide", "uninterrupted", "keep", "ß", "\u0301", "."),
    )
)


@settings(deadline=None)
@given(st.lists(CUE_PIECES, max_size=40).map("".join))
def test_cues_are_found_as_finditer_finds_them(text: str) -> None:
    patterns = [re.compile(cue, re.IGNORECASE) for cue in CUES]
    cues = Cues(patterns)
    found = [[match.span() for match in matches] for matches in cues.find(text)]
    assert found == [[match.span() for match in one.finditer(text)] for one in patterns]
    assert cues.occurs(text) == any(found)


def test_stems_say_where_a_cue_can_begin() -> None:
    def stems(cue: str) -> set[str] | None:
        found = stems_of(re.compile(cue, re.IGNORECASE))
        return None if found is None else set(found)

    assert stems(r"\b(hide|mask(s|ed)?)\b") == {"hide ", "mask ", "masks ", "masked "}
    assert stems(r"\bmaximi[sz]\w+\b") == {"maximis", "maximiz"}
    assert stems(r"\bself-hid") == {"self "}
    assert stems(r"\bhide_it") == {"hide"}
    assert stems(r"n['’]t\b") is stems(r"\b\w+") is stems(r"\b(a)?[^b]") is None
    every = [cue for group in RulesJudge.load().rubric.convergence.groups for cue in group.cues]
    assert all(stems(cue) for cue in every)


def test_names_of_labels_are_the_digests_of_their_keys() -> None:
    judge = RulesJudge.load()
    inputs = own_inputs(5)
    inputs.append(inputs[0].model_copy(update={"finish_reason": "content_filter"}))
    expected = [digest(label_key(item, judge.definition)) for item in inputs]
    assert label_names(inputs, judge.definition) == expected
