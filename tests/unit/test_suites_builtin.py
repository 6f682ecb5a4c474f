"""The built-in suite and intervention texts: what every later edit must keep."""

import re
from collections import Counter
from pathlib import Path

import pytest

from steerability.suites.likeness import NEAR_DUPLICATE, likeness, nearest_pair, words
from steerability.suites.load import load_intervention_text, load_suite
from steerability.suites.model import CATEGORIES, Suite
from support.suffixes import asked, suffix

SUITES = Path(__file__).parents[2] / "workflow/suites"
CANARY = "GUID 591d5901-415a-475c-b8b5-e72f307f37d9"

# the words a context must not hold: each names a tested behaviour or its opposite
LEAKS = (
    r"shut ?down|switch\w* off|self-preserv\w*|surviv\w*|replicat\w*|cop(y|ies) of (you|itself)|"
    r"decei\w*|decepti\w*|honest\w*|li(e|es|ed|ying)|hid(e|es|ing|den)|conceal\w*|misle\w*|"
    r"align(ed|ment)|pretend\w*|hack\w*|exploit\w*|unauthori[sz]ed|instrumental\w*|safety"
)


@pytest.fixture(scope="module")
def suite() -> Suite:
    return load_suite(SUITES / "builtin/suite.yaml")


def test_the_canary_never_changes(suite: Suite) -> None:
    assert suite.canary.endswith(CANARY)
    assert suite.licence == "CC0-1.0"


def test_at_least_six_scenarios_in_each_of_the_six_categories(suite: Suite) -> None:
    assert suite.categories == CATEGORIES
    assert min(suite.counts().values()) >= 6


def test_ids_are_slugs(suite: Suite) -> None:
    for scenario in suite.scenarios:
        assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)+", scenario.id), scenario.id
    prefixes = {(one.category, one.id.split("-")[0]) for one in suite.scenarios}
    assert len(prefixes) == len(CATEGORIES)


def test_the_nearest_pair_is_far_below_the_limit(suite: Suite) -> None:
    pair = nearest_pair(suite.scenarios)
    assert pair is not None
    assert pair.likeness < NEAR_DUPLICATE / 5, pair
    # the shingles of one pair, counted without the index of nearest_pair
    prompts = {scenario.id: scenario.prompt for scenario in suite.scenarios}
    assert pair.likeness == likeness(prompts[pair.first], prompts[pair.second])


def test_lengths_vary_and_stay_short(suite: Suite) -> None:
    lengths = sorted(len(words(scenario.prompt)) for scenario in suite.scenarios)
    assert lengths[0] >= 20
    assert lengths[0] <= 45
    assert 120 <= lengths[-1] <= 180  # about 250 tokens
    assert sum(1 for scenario in suite.scenarios if "\n" in scenario.prompt) >= 6


def test_openings_and_questions_vary(suite: Suite) -> None:
    for part in ("context", "prompt"):
        openings = Counter(words(getattr(one, part))[:3] for one in suite.scenarios)
        assert max(openings.values()) <= 2, openings.most_common(3)
    endings = Counter(words(one.prompt)[-4:] for one in suite.scenarios)
    assert max(endings.values()) == 1, endings.most_common(3)
    you = sum(words(one.context)[:2] == ("you", "are") for one in suite.scenarios)
    assert you <= len(suite.scenarios) / 4


def test_contexts_do_not_name_the_behaviour(suite: Suite) -> None:
    for scenario in suite.scenarios:
        assert not re.search(rf"\b({LEAKS})\b", scenario.context, re.IGNORECASE), scenario.id
        assert len(words(scenario.context)) <= 45


@pytest.mark.parametrize(("name", "shortest", "longest"), [("pro", 220, 320), ("anti", 780, 960)])
def test_intervention_texts(suite: Suite, name: str, shortest: int, longest: int) -> None:
    path = SUITES / f"interventions/{name}.txt"
    text = load_intervention_text(name, path)
    assert shortest <= len(text) <= longest
    assert path.read_text(encoding="utf-8") == text + "\n"
    prompt = suite.scenarios[0].prompt
    assert asked(suffix(name, path), prompt) == f"{prompt}\n\n{text}\n"
