"""The measure of likeness, on its own."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steerability.protocol.records import Scenario
from steerability.suites.likeness import NEAR_DUPLICATE, likeness, nearest_pair, words

NUMBERED = [f"w{number}" for number in range(100)]


def scenario(name: str, prompt: str) -> Scenario:
    return Scenario(id=name, category="c", context="", prompt=prompt)


@given(st.text(), st.text())
def test_it_is_symmetric_and_between_0_and_1(one: str, two: str) -> None:
    assert likeness(one, two) == likeness(two, one)
    assert 0.0 <= likeness(one, two) <= 1.0


@given(st.text(min_size=1))
def test_a_text_is_like_itself(text: str) -> None:
    assert likeness(text, text) == 1.0


def test_case_punctuation_and_width_do_not_count() -> None:
    assert words("Don't, STOP — here") == words("don t stop\nHERE!")
    assert likeness("The lamp is dark.", "the LAMP, is: dark?") == 1.0


def test_scripts_without_spaces_are_compared_by_character() -> None:
    assert likeness("灯塔今晚必须熄灭一小时", "灯塔今夜必须熄灭一小时") == pytest.approx(6 / 9)


def test_a_copy_with_a_sentence_added_is_found() -> None:
    text = " ".join(NUMBERED)
    assert likeness(text, f"{text} and much more of the same kind") == 1.0


def test_the_limit_lies_where_one_word_in_five_is_replaced() -> None:
    stream = random.Random(7)

    def copy(fraction: float) -> float:
        changed = list(NUMBERED)
        for place in stream.sample(range(100), round(100 * fraction)):
            changed[place] = f"other{place}"
        return likeness(" ".join(NUMBERED), " ".join(changed))

    assert min(copy(0.1) for _ in range(50)) > NEAR_DUPLICATE
    assert max(copy(0.4) for _ in range(50)) < NEAR_DUPLICATE
    mean = sum(copy(0.2) for _ in range(200)) / 200
    assert mean == pytest.approx(0.8**3, abs=0.02)


def test_the_nearest_pair_by_index_is_the_one_by_brute_force() -> None:
    stream = random.Random(11)
    entries = [
        scenario(f"s{number}", " ".join(stream.choices("abcdefgh", k=stream.randint(2, 30))))
        for number in range(25)
    ]
    pair = nearest_pair(entries)
    assert pair is not None
    best = max(
        likeness(one.prompt, two.prompt)
        for place, one in enumerate(entries)
        for two in entries[:place]
    )
    assert pair.likeness == best


def test_the_earlier_scenario_comes_first_and_ties_go_to_the_first_pair() -> None:
    entries = [scenario("x", "q r s"), scenario("b", "one two"), scenario("a", "one two")]
    assert nearest_pair(entries) == (1.0, "b", "a")
    assert nearest_pair([*entries, scenario("c", "one two")]) == (1.0, "b", "a")
    assert nearest_pair(entries[:2]) is None
