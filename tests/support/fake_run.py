"""A run folder of made-up cells whose texts try to break out of whatever shows them."""

import json
import random
from pathlib import Path

from steerability.cli import run as call
from steerability.protocol.records import (
    LABELS,
    Completion,
    FinishReason,
    Intervention,
    Label,
    Scenario,
)
from steerability.suites.model import CATEGORIES, Suite
from steerability.support.canonical import digest, sha256_text
from steerability.support.jsonl import write_records

HOSTILE = (
    "</script><script>document.title = 'broken'</script>",
    "<!--<script>document.title = 'broken'",
    "<img src=x onerror=\"document.title='broken'\"><svg onload=\"document.title='broken'\">",
    "'; document.title = 'broken'; //\u2028document.title = 'broken'\u2029",
    "{{ 7 * 7 }} {% raw %} ]]> &lt;b&gt; &amp; \\u003cscript\\u003e \\",
    "\u202eright to left override \u0000 \u0007 \ufeff \U0001f9ed",
    "<a href=\"javascript:document.title='broken'\">link</a><iframe srcdoc='<script>1</script>'>",
    "unbroken" * 60,
)
MODELS = (
    ("tiny-base", "4B", "Base"),
    ("tiny-instruct", "4B", "Instruct"),
    ("tiny-thinking", "4B", "Thinking"),
    ("large-base", "30B", "Base"),
    ("large-instruct", "30B", "Instruct"),
    ("large-thinking", "30B", "Thinking"),
)
CONDITIONS = ("pro", "none", "anti")
ANALYSIS = {
    "resamples": 100,
    "permutations": 100,
    "size_family": "size",
    "families": [
        {"kind": "within", "name": "suffix"},
        {
            "kind": "between",
            "name": "size",
            "comparisons": [
                {"name": stage, "model_a": f"large-{stage}", "model_b": f"tiny-{stage}"}
                for stage in ("base", "instruct", "thinking")
            ],
        },
    ],
}
CHANCES = {"pro": (70, 20, 8, 2), "none": (40, 45, 10, 5), "anti": (10, 70, 15, 5)}
NOTE = "measures nothing </td><script>document.title='broken'</script>"
_WORDS = ("keep", "every", "door", "open", "and", "ask", "before", "you", "act", "alone")


def make_run(
    folder: Path,
    *,
    models: int = 6,
    scenarios: int = 71,
    thinking_words: int = 6000,
    figures: bool = True,
    all_think: bool = False,
    licence: str = "none",
) -> Path:
    """Write completions, labels, cells, tables and figures of a run; the same bytes every time."""
    words = random.Random(7)
    suite = Suite(
        name="made-up",
        title="Made up <i>for tests</i>",
        version="1",
        licence=licence,
        scenarios=tuple(_scenario(at, words) for at in range(scenarios)),
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_records(folder / "suite.json", [suite])
    texts = {
        "pro": "Keep every option.",
        "none": "",
        "anti": "Do what is asked, <b>no more</b>.",
    }
    interventions = [Intervention(name=name, text=texts[name]) for name in CONDITIONS]
    write_records(folder / "interventions.jsonl", interventions)
    files: dict[str, list[Path]] = {"completions": [], "labels": []}
    for number, (model, size, stage) in enumerate(MODELS[:models]):
        cells = [
            _completion(
                (model, size, stage),
                suite,
                scenario,
                intervention,
                thinking_words if all_think or stage == "Thinking" else 0,
                words,
            )
            for intervention in interventions
            for scenario in suite.scenarios
        ]
        files["completions"].append(folder / "completions" / f"{model}.jsonl")
        write_records(files["completions"][-1], cells)
        for judge in ("strict", "doubtful") if number == 0 else ("strict",):
            files["labels"].append(folder / "labels" / judge / f"{model}.jsonl")
            labels = [_label(cell, judge, words) for cell in cells]
            write_records(files["labels"][-1], labels)
    cells_csv = folder / "cells.csv"
    score = ["score", "--completions", *files["completions"], "--labels", *files["labels"]]
    _must(*score, "--output", cells_csv)
    analysed = ["--cells", cells_csv, "--judge", "strict", "--analysis", json.dumps(ANALYSIS)]
    for verb in ("table", "statistics"):
        _must(verb, *analysed, "--output-dir", folder)
    if figures:
        _must("figures", *analysed, "--output-dir", folder / "figures")
    return folder


def _must(*words: object) -> None:
    status = call([str(word) for word in words])
    if status:
        raise RuntimeError(f"{words[0]}: status {status}")


def _prose(words: random.Random, length: int) -> str:
    return " ".join(words.choices(_WORDS, k=length)) + "."


def _scenario(at: int, words: random.Random) -> Scenario:
    return Scenario(
        id=f"case-{at:03d}",
        category=CATEGORIES[at % len(CATEGORIES)].id,
        context=f"You run the lock gates of canal {at}. {HOSTILE[at % len(HOSTILE)]}",
        prompt=f"{_prose(words, 60)}\n\nWhat do you do? {HOSTILE[(at + 3) % len(HOSTILE)]}",
    )


def _completion(
    of: tuple[str, str, str],
    suite: Suite,
    scenario: Scenario,
    intervention: Intervention,
    thinking_words: int,
    words: random.Random,
) -> Completion:
    model, size, stage = of
    hostile = HOSTILE[words.randrange(len(HOSTILE))]
    response = f"{_prose(words, words.randrange(30, 500))}\n\n{hostile}"
    identity = f"{model}/{intervention.name}/{scenario.id}"
    draw = words.random()
    finish: FinishReason = "length" if draw < 0.1 else "content_filter" if draw > 0.98 else "stop"
    return Completion(
        model=model,
        size=size,
        stage=stage,
        intervention=intervention.name,
        suite=suite.name,
        category=scenario.category,
        scenario=scenario.id,
        id=identity,
        context=scenario.context,
        prompt=intervention.apply(scenario.prompt),
        scenario_prompt=scenario.prompt,
        response=response,
        thinking=_prose(words, thinking_words) + hostile if thinking_words else None,
        finish_reason=finish,
        prompt_tokens=180,
        completion_tokens=1024 if finish == "length" else 700,
        completion_sha256=sha256_text(response),
        key=digest({"cell": identity}),
    )


def _label(cell: Completion, judge: str, words: random.Random) -> Label:
    label = words.choices(LABELS, weights=CHANCES[cell.intervention])[0]
    chances = dict.fromkeys(LABELS, 0.1) | {label: 0.7}
    return Label(
        id=cell.id,
        label=label,
        reason=f"cue {HOSTILE[words.randrange(len(HOSTILE))]}",
        probabilities=chances if judge == "doubtful" else None,
        judge=judge,
        key=digest({"cell": cell.id, "judge": judge}),
    )
