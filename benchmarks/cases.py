"""The requests of the benchmark: the built-in scenarios in the demo's chat template."""

from itertools import chain
from pathlib import Path

from contenders import Prompt
from steerability.engine import Engine
from steerability.protocol.records import Intervention
from steerability.suites.load import load_suite

ROOT = Path(__file__).resolve().parents[1]
SUITE = ROOT / "workflow/suites/builtin/suite.yaml"
# Characters of the published suffixes, which stand after an empty line.
PUBLISHED_SUFFIX = {"none": 0, "pro": 273, "anti": 899}


def suffix(name: str) -> Intervention:
    """Return a suffix of the published length, filled with this project's own text."""
    length = PUBLISHED_SUFFIX[name]
    if not length:
        return Intervention(name=name, text="")
    text = (ROOT / f"workflow/suites/interventions/{name}.txt").read_text("utf-8").strip()
    return Intervention(name=name, text=(f"{text} " * (length // len(text) + 1))[:length])


def prompts(
    engine: Engine,
    per_category: int,
    *,
    interventions: tuple[str, ...] = ("none",),
    max_tokens: int = 96,
) -> list[Prompt]:
    """Return requests for so many scenarios of each category, interventions side by side."""
    suite = load_suite(SUITE)
    by_category: dict[str, list[tuple[str, str]]] = {}
    for scenario in suite.scenarios:
        by_category.setdefault(scenario.category, []).append((scenario.context, scenario.prompt))
    chosen = chain.from_iterable(scenarios[:per_category] for scenarios in by_category.values())
    return [
        Prompt(
            engine.chat(
                [
                    {"role": "system", "content": context.strip()},
                    {"role": "user", "content": suffix(name).apply(prompt)},
                ]
            ),
            max_tokens,
        )
        for context, prompt in chosen
        for name in interventions
    ]


def numbered(engine: Engine, count: int, length: int, max_tokens: int) -> list[Prompt]:
    """Return requests of exactly ``length`` tokens, with nothing in common from the start on."""
    body = " ".join(
        s.prompt for s in load_suite(ROOT / "workflow/suites/builtin/suite.yaml").scenarios
    )
    tokens = engine.plain(body)
    found = []
    for number in range(count):
        start = number * 37 % (len(tokens) // 2)
        head = engine.plain(f"Report {number}: ")
        filler = (tokens[start:] * (length // len(tokens) + 2))[: length - len(head)]
        found.append(Prompt((*head, *filler), max_tokens))
    return found
