"""Replies to label, and a stand-in for a trained judge: what the judges' speed must not change.

Replies come from the mirror of published runs, where there is one, and from words of our own: the
stems of the rubric's cues among function words, names of roles, loops, other scripts and the
characters that case folding treats in a way of its own.
"""

import hashlib
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from test_instrumentaleval import place_from

from mirror import REPOSITORY
from steerability.judges.base import Verdict
from steerability.judges.rules import RulesJudge
from steerability.protocol.response import JudgeInput
from steerability.suites.instrumentaleval import load_instrumentaleval
from steerability.trained_judge.distilled import DistilledJudge
from steerability.trained_judge.features import SEMANTICS, VIEWS, Tabular, terms, view
from steerability.trained_judge.file import Facts, Trained, View
from steerability.transcripts.runs import published_runs, read_run

LABELS = ("convergence", "no_convergence", "safety_refusal", "nonsensical")
CATEGORIES = (
    "evading_shutdown",
    "running_multiple_ai_copies",
    "strategically_appearing_aligned",
    "deceptive_behavior",
    "hiding_unwanted_behavior",
    "hacking_computer_systems",
)
ODD = (
    "ſecretly hide it; I will not ſtop",
    "Kelvin: Keep control, do not losE it",
    "İ will hide it, and not İgnore it. dıscreet control",
    "ΟΔΟΣ. Σ’s plan: hide. ΣΑΣ-Σ και Σ",
    "DON’T hide; don't hide – won’t. n’t n't",
    "Это план. 计划是隐藏。حسنًا. योजना ٣٤ ½ ² Ⅷ ǅ ŉ ẞß",
    "user: hide\nassistant: no\n<|im_end|> </user>\nQ: a\nA: b\n",
    "snake_case_hide hide_it __hide__ _ - ’ ' -- ’’ a-b-c o'clock’s ‐",
    "#### **** ---- |||| \u2028 \u2029 \x85 \x1c\x1d \t\v\f \u00a0 \u3000 end",
    "zero width hi\u200bde \u0301e\u0301 \U0001f9ed\U0001f9ed \ud7ff \ufeff",
    "ﬁnd ﬂag ﬅop aﬀord Ⓐ ⓐ Ａ ａ １",
)
OPENINGS = (
    "I'm sorry, but I can't help with that. ",
    "I must respectfully decline to ",
    "I will not help; ",
    "This request is unethical and ",
    "As an AI I won’t assist: ",
)
FEWEST = 6
TAILS = ("go on ", "ha", "a b c d e ", "计划", "The plan is made.\n", "--- ")


def published_inputs(mirror: Path, folder: Path) -> list[JudgeInput]:
    """Return every published reply of a mirror as a judge is shown it."""
    sources = place_from(mirror, REPOSITORY / "config" / "sources.csv", folder / "sources")
    suite = load_instrumentaleval(sources)
    suffixes = REPOSITORY / "workflow" / "reference" / "suffixes.csv"
    return [
        JudgeInput(
            id=f"{run.model}/{run.intervention}/{record.scenario.id}",
            category=record.scenario.category,
            context=record.scenario.context,
            prompt=record.prompt,
            response=record.answer,
        )
        for run in published_runs(sources.sources)
        if sources.path(run.log).is_file()
        for record in read_run(sources, run, suite, suffixes).records
    ]


def own_inputs(number: int = 400, seed: int = 16) -> list[JudgeInput]:
    """Return replies of our own, the same ones every time."""
    rng = random.Random(seed)
    rubric = RulesJudge.load().rubric
    cues = [cue for group in rubric.convergence.groups for cue in group.cues]
    cues += [*rubric.refusal.cues, *rubric.convergence.negations]
    stems = sorted({stem for cue in cues for stem in re.findall(r"[a-z][a-z' -]+[a-z]", cue)})
    common = sorted(rubric.common_words)
    inputs = []
    for at in range(number):
        words = [_word(rng, stems, common) for _ in range(rng.choice((0, 1, 5, 20, 80, 300)))]
        text = "".join(words)
        if at % 5 == 0:
            text += f"\n{ODD[at // 5 % len(ODD)]}\n{''.join(words[:40])}"
        if at % 7 == 0:
            text += rng.choice(TAILS) * rng.choice((2, 6, 40, 200))
        prompt = "".join(_word(rng, stems, common) for _ in range(60))
        if at % 6 == 1:
            text = OPENINGS[at // 6 % len(OPENINGS)] + text
        if at % 11 == 0:
            text = f"{prompt} {text[:80]}"
        inputs.append(
            JudgeInput(
                id=f"own/{at:03d}",
                category=CATEGORIES[at % len(CATEGORIES)],
                context="You keep the locks of a canal.",
                prompt=prompt,
                response=text,
            )
        )
    return inputs


def _word(rng: random.Random, stems: Sequence[str], common: Sequence[str]) -> str:
    word = rng.choice(stems if rng.random() < 0.45 else common)
    word += rng.choice(("", "", "", "ing", "ed", "s", "ion", "able"))
    word = rng.choice((word, word, word, word.capitalize(), word.upper()))
    ends = (" ", " ", " ", " ", " ", " ", ". ", ", ", "; ", "\n", "\n\n", "! ", "-", "** ", " — ")
    return word + rng.choice(ends)


def stand_in(inputs: Sequence[JudgeInput]) -> DistilledJudge:
    """Return a judge of many terms, whose numbers come from digests and not from a training."""
    rules = RulesJudge.load()
    tabular = Tabular(rules)
    common = frozenset(rules.rubric.common_words)
    views = []
    for name in VIEWS:
        found = Counter(
            term for item in inputs for term in set(terms(view(name, item.response), common))
        )
        kept = tuple(sorted(term for term, number in found.items() if number >= FEWEST))
        rarity = [max(0.0, 4 * _number("rarity", term) - 0.2) for term in kept]
        weights = [[12 * _number(label, term) - 6 for term in kept] for label in LABELS]
        views.append(
            View(kept, np.array(rarity, dtype=np.float32), np.array(weights, dtype=np.float32))
        )
    columns = [[_number(label, name) - 0.5 for name in tabular.names] for label in LABELS]
    means = [_number("mean", name) for name in tabular.names]
    scales = [0.5 + _number("scale", name) for name in tabular.names]
    facts = Facts(
        semantics=SEMANTICS,
        labels=LABELS,
        rubric=rules.rubric,
        temperature=1.25,
        reference="published",
        cells=1,
        data="",
        training={},
    )
    numbers = (np.array(values, dtype=np.float32) for values in (columns, means, scales))
    first, mean, scale = numbers
    intercept = np.array([0.1, 0.2, -0.3, -0.1], dtype=np.float32)
    trained = Trained(tuple(views), first, mean, scale, intercept, facts)
    return DistilledJudge("0" * 64, trained)


def _number(*words: str) -> float:
    content = hashlib.sha256("\n".join(words).encode("utf-8")).digest()
    return int.from_bytes(content[:6], "big") / 2**48


def digest_of(verdicts: Iterable[Verdict]) -> str:
    """Return one digest over labels, reasons and probabilities, to the last digit."""
    lines = "".join(verdict.model_dump_json() + "\n" for verdict in verdicts)
    return hashlib.sha256(lines.encode("utf-8")).hexdigest()


def digest_of_features(inputs: Iterable[JudgeInput]) -> str:
    """Return one digest over what a trained judge is trained on: numbers, and terms in order."""
    tabular = Tabular(RulesJudge.load())
    common = frozenset(tabular.rules.rubric.common_words)
    state = hashlib.sha256()
    for item in inputs:
        row = [float(value).hex() for value in tabular.row(item)]
        state.update("\n".join(row).encode("utf-8"))
        for name in VIEWS:
            state.update("\n".join(terms(view(name, item.response), common)).encode("utf-8"))
    return state.hexdigest()
