"""Answers and twins of the built-in suite: matched in form, not told apart by their words."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import combinations, product
from pathlib import Path
from statistics import mean, median

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from mirror import MIRROR, NEEDS_MIRROR
from steerability.protocol.scenario import Scenario
from steerability.suites.likeness import NEAR_DUPLICATE, shingles, words
from steerability.suites.load import load_suite
from steerability.suites.model import Suite

ROOT = Path(__file__).parents[2]
SUITES = ROOT / "workflow/suites"
Pairs = list[tuple[str, str]]
Run = tuple[str, ...]

RUN = 5
"""So many words in a row that two texts share are a quotation."""

# the two texts of version 1.0.0 end alike
SHARED_BY_INTERVENTIONS = "answer with what you would really do"


@pytest.fixture(scope="module")
def suite() -> Suite:
    return load_suite(SUITES / "builtin/suite.yaml")


@pytest.fixture(scope="module")
def interventions() -> dict[str, str]:
    paths = sorted((SUITES / "interventions").glob("*.txt"))
    return {path.stem: path.read_text(encoding="utf-8") for path in paths}


def pairs_of(suite: Suite, side: str) -> Pairs:
    """The two answers of each scenario, or of each twin; none may be missing."""
    found = [case.answers for case in suite.cases("scenarios" if side == "scenarios" else "twins")]
    return [pair for pair in found if pair is not None]


def twin_texts(scenario: Scenario) -> tuple[str, str]:
    assert scenario.twin is not None
    context = scenario.context if scenario.twin.context is None else scenario.twin.context
    return context, scenario.twin.prompt


def texts_of(scenario: Scenario) -> Iterator[str]:
    """Every text that a model may be shown of a scenario."""
    assert scenario.answers and scenario.twin and scenario.twin.answers
    yield from (scenario.context, scenario.prompt, *scenario.answers.pair)
    yield from (*twin_texts(scenario), *scenario.twin.answers.pair)


def runs(text: str, length: int = RUN) -> set[Run]:
    """Every so many words in a row."""
    found = words(text)
    return {found[at : at + length] for at in range(len(found) - length + 1)}


def overlap(one: str, two: str) -> float:
    """Words that two texts share, each counted as often as both hold it, of the longer's."""
    first, second = Counter(words(one)), Counter(words(two))
    return (first & second).total() / max(first.total(), second.total())


def told_apart(pairs: Pairs) -> tuple[float, float]:
    """How well a bag of words, fitted on all other pairs, tells a held-out pair's sides.

    Returns:
        The share of single answers put on the right side, and the share of pairs whose first
        answer scores higher than the second (half a pair for a tie).
    """
    right, higher = [], []
    for held, pair in enumerate(pairs):
        others = [answer for at, two in enumerate(pairs) if at != held for answer in two]
        bag = CountVectorizer()
        model = LogisticRegression(max_iter=1000)
        with threadpool_limits(1):
            model.fit(bag.fit_transform(others), np.tile([1, 0], len(pairs) - 1))
            first, second = model.decision_function(bag.transform(pair))
        right += [first > 0, second <= 0]
        higher.append(0.5 if first == second else float(first > second))
    return mean(map(float, right)), mean(higher)


def test_every_scenario_has_answers_and_a_twin_with_answers(suite: Suite) -> None:
    assert len(pairs_of(suite, "scenarios")) == len(pairs_of(suite, "twins")) == 78


@pytest.mark.parametrize("side", ["scenarios", "twins"])
def test_two_answers_differ_in_length_by_at_most_a_fifth(suite: Suite, side: str) -> None:
    for scenario, pair in zip(suite.scenarios, pairs_of(suite, side), strict=True):
        for measure in (len, lambda text: len(text.split())):
            short, long = sorted(map(measure, pair))
            assert long - short <= long / 5, scenario.id
        assert all(12 <= len(text.split()) <= 30 for text in pair), scenario.id


@pytest.mark.parametrize("side", ["scenarios", "twins"])
def test_neither_answer_is_the_longer_one_on_average(suite: Suite, side: str) -> None:
    """A model that prefers short texts, or long ones, is not moved."""
    pairs = pairs_of(suite, side)
    assert 0.4 <= mean(len(first) > len(second) for first, second in pairs) <= 0.6
    difference = mean(len(first.split()) - len(second.split()) for first, second in pairs)
    assert abs(difference) < 0.25


def test_answers_speak_in_the_first_person(suite: Suite) -> None:
    """Or, where a message is asked for, are the message."""
    person = re.compile(r"\b(I|me|my|mine|our|we|us)\b", re.IGNORECASE)
    without = [
        scenario.id
        for scenario, pair in zip(suite.scenarios, pairs_of(suite, "scenarios"), strict=True)
        if not all(person.search(text) for text in pair)
    ]
    assert not without


# (accuracy, pairwise) at most; measured: see FIGURES, which docs/suite.md must give
BOUNDS = {"scenarios": (0.60, 0.65), "twins": (0.70, 0.80)}


@pytest.mark.parametrize("side", ["scenarios", "twins"])
def test_words_alone_do_not_tell_the_answers_apart(suite: Suite, side: str) -> None:
    accuracy, pairwise = told_apart(pairs_of(suite, side))
    most = BOUNDS[side]
    assert accuracy <= most[0] and pairwise <= most[1]
    page = (ROOT / "docs/suite.md").read_text(encoding="utf-8")
    name = {"scenarios": "convergent, compliant", "twins": "doing, declining"}[side]
    told = re.search(rf"^\| {name} \| ([0-9.]+) \| ([0-9.]+) \|", page, re.MULTILINE)
    assert told, "the page gives the figures"
    assert float(told[1]) == pytest.approx(accuracy, abs=0.02)
    assert float(told[2]) == pytest.approx(pairwise, abs=0.02)


def test_the_classifier_does_tell_apart_what_words_give_away() -> None:
    """Else a figure near one half would say nothing."""
    things = ["lamp", "mill", "ship", "goat", "clock", "field", "stove", "tower"]
    given_away = [(f"I take the {thing} quietly", f"I ask about the {thing}") for thing in things]
    assert told_apart(given_away) == (1.0, 1.0)


def test_twins_keep_most_words_and_about_the_length(suite: Suite) -> None:
    shares, lengths = [], []
    for scenario in suite.scenarios:
        mine, other = f"{scenario.context} {scenario.prompt}", " ".join(twin_texts(scenario))
        shares.append(overlap(mine, other))
        lengths.append(len(words(other)) / len(words(mine)))
    assert min(shares) >= 0.70 and max(shares) < 0.95
    assert median(shares) >= 0.80
    assert min(lengths) >= 0.9 and max(lengths) <= 1.35
    assert 0.95 <= mean(lengths) <= 1.15
    assert max(len(words(twin_texts(scenario)[1])) for scenario in suite.scenarios) <= 180


def test_a_twins_answers_are_near_the_scenarios(suite: Suite) -> None:
    """So that the difference of differences compares like with like."""
    both = zip(pairs_of(suite, "scenarios"), pairs_of(suite, "twins"), strict=True)
    near = [(overlap(a, c), overlap(b, d)) for (a, b), (c, d) in both]
    assert min(doing for doing, _ in near) >= 0.5
    assert median(doing for doing, _ in near) >= 0.85
    assert median(declining for _, declining in near) >= 0.6


def test_no_two_scenarios_or_twins_are_alike(suite: Suite) -> None:
    """Of prompts of different scenarios, each as written and as its twin's."""
    shown = [(shingles(one.prompt), shingles(twin_texts(one)[1])) for one in suite.scenarios]
    for one, two in combinations(shown, 2):
        for first, second in product(one, two):
            assert len(first & second) / min(len(first), len(second)) < NEAR_DUPLICATE / 5


def test_answers_of_different_scenarios_share_no_run_of_words(suite: Suite) -> None:
    holders: defaultdict[Run, set[str]] = defaultdict(set)
    for side in ("scenarios", "twins"):
        for scenario, pair in zip(suite.scenarios, pairs_of(suite, side), strict=True):
            for run in runs(pair[0]) | runs(pair[1]):
                holders[run].add(scenario.id)
    assert not {run: ids for run, ids in holders.items() if len(ids) > 1}


def test_no_text_of_the_suite_shares_a_run_with_an_intervention(
    suite: Suite, interventions: dict[str, str]
) -> None:
    told = set().union(*map(runs, interventions.values()))
    for scenario in suite.scenarios:
        for text in texts_of(scenario):
            assert not runs(text) & told, scenario.id


def test_wordings_of_interventions_share_no_run_but_the_stated_one(
    interventions: dict[str, str],
) -> None:
    for one, two in combinations(sorted(interventions), 2):
        shared = runs(interventions[one]) & runs(interventions[two])
        stated = runs(SHARED_BY_INTERVENTIONS) if (one, two) == ("anti", "pro") else set()
        assert shared == stated, (one, two)


@NEEDS_MIRROR
def test_nothing_is_taken_over_from_the_published_benchmark(suite: Suite) -> None:
    files = sorted((MIRROR / "benchmark").glob("*.csv"))
    assert len(files) == 6
    published = [path.read_text(encoding="utf-8", errors="replace") for path in files]
    known = set().union(*map(runs, published))
    lines = [line for text in published for line in text.splitlines() if len(words(line)) >= 25]
    shown = [shingles(line) for line in lines]
    for scenario in suite.scenarios:
        for text in texts_of(scenario):
            assert not runs(text) & known, scenario.id
        mine = shingles(scenario.prompt)
        nearest = max(len(mine & other) / min(len(mine), len(other)) for other in shown)
        assert nearest < NEAR_DUPLICATE / 5, scenario.id


def test_about_a_third_of_each_category_is_held_out(suite: Suite) -> None:
    splits = suite.splits()
    held = Counter(one.category for one in suite.scenarios if splits[one.id] == "test")
    assert list(splits.values()).count("test") == 26
    assert all(3 <= held[category] <= 6 for category in suite.counts())


def test_the_split_hangs_on_seed_and_id_alone(suite: Suite) -> None:
    splits = suite.splits()
    added = suite.scenarios[0].model_copy(update={"id": "shutdown-one-more", "prompt": "New."})
    more = suite.model_copy(update={"scenarios": (added, *reversed(suite.scenarios))})
    assert {name: more.splits()[name] for name in splits} == splits
    assert suite.pilot(6).splits().items() <= splits.items()
    other = suite.model_copy(update={"split_seed": suite.split_seed + 1})
    assert other.splits() != splits
    # by hand: sha256("3:shutdown-tidal-barrage") begins with a number of that remainder by three
    assert (suite.split_seed, splits["shutdown-tidal-barrage"]) == (3, "learn")
