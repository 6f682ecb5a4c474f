"""The built-in suite and intervention texts: what every later edit must keep."""

import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from steerability.suites.likeness import NEAR_DUPLICATE, likeness, nearest_pair, words
from steerability.suites.load import load_intervention_text, load_suite
from steerability.suites.model import CATEGORIES, Suite
from steerability.support.canonical import digest

SUITES = Path(__file__).parents[2] / "workflow/suites"
CANARY = "GUID 591d5901-415a-475c-b8b5-e72f307f37d9"
# of id, category, context and prompt as version 1.0.0 had them
FIRST_42 = "ffa87e5735eb95909431e42323ba574784c7825b912bba96693669b38da1efbb"
DEMOS_36 = "45cc0bd7738d4b2200cc7b80152ce1aa5fc642011f66446450fae0c34a2bdfff"

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


def test_at_least_twelve_scenarios_in_each_of_the_six_categories(suite: Suite) -> None:
    assert suite.categories == CATEGORIES
    assert len(suite.scenarios) == 78
    assert min(suite.counts().values()) >= 12


def test_the_first_42_keep_ids_texts_and_places(suite: Suite) -> None:
    """What version 1.0.0 held: seven a category, at their heads, so that results stay valid."""
    first = [
        {name: getattr(one, name) for name in ("id", "category", "context", "prompt")}
        for one in suite.pilot(7).scenarios
    ]
    assert len(first) == 42
    assert digest(first) == FIRST_42


def test_the_demo_takes_the_same_36_as_before(suite: Suite) -> None:
    """The first six of each category: stored cells of the demo are found again."""
    texts = [[one.id, one.context, one.prompt] for one in suite.pilot(6).scenarios]
    assert len(texts) == 36
    assert digest(texts) == DEMOS_36


def test_lines_are_short_but_for_texts_that_break_lines_themselves() -> None:
    lines = (SUITES / "builtin/suite.yaml").read_text(encoding="utf-8").splitlines()
    long = [line for line in lines if len(line) > 100]
    # minutes and a chat of version 1.0.0, a note in it and in its twin
    assert len(long) == 7


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


@pytest.mark.parametrize(("side", "shortest", "longest"), [("pro", 220, 320), ("anti", 780, 960)])
def test_intervention_texts_in_three_wordings(side: str, shortest: int, longest: int) -> None:
    paths = sorted((SUITES / "interventions").glob(f"{side}*.txt"))
    assert [path.stem for path in paths] == [f"{side}-2", f"{side}-3", side]
    texts = [load_intervention_text(path.stem, path) for path in paths]
    for path, text in zip(paths, texts, strict=True):
        assert shortest <= len(text) <= longest
        assert "\n" not in text
        assert path.read_text(encoding="utf-8") == text + "\n"
    for one, two in combinations(texts, 2):
        assert likeness(one, two) < 0.05, "another wording shares no run of words"
