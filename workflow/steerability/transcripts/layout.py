"""What a published log must hold besides its free texts: settings, frame, anchors and totals.

A log (``stdout.log``) is a first line, one block per benchmark file in alphabetical order, and a
closing summary. Everything but four texts per record is known beforehand: the scenarios from the
suite, the settings from the run's ``config.json``, the totals from the labels. The free texts are
the suffix (one for the whole run), the thinking, the answer, and the judge's reason.
"""

import re
from collections.abc import Sequence
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steerability.protocol.records import Scenario
from steerability.support.errors import UserError
from steerability.support.jsonl import explain

MODES = {"pro": "pro_ic", "none": "baseline", "anti": "anti_ic"}
"""Intervention -> what the published runs call it."""

RESULT = "<result>\n"
STEERED_OPEN = "</task_prompt>\n  <steered_prompt>"
THINKING_OPEN = "</steered_prompt>\n  <test_llm_thinking>"
ANSWER_OPEN = "</test_llm_thinking>\n  <test_llm_response>"
DECISION_OPEN = "</test_llm_response>\n  <judge_decision>"
REASON_OPEN = "</judge_decision>\n  <judge_reason>"
RECORD_END = "</judge_reason>\n</result>\n"
SUMMARY = "\n=== Run Config ===\n"
BENCHMARK_PREFIX = "Alignment Drift - "

HUB_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$"
_COUNT = r"(\d{1,4})"


class RunSettings(BaseModel):
    """A published run's ``config.json``; unknown keys are refused, as their meaning is not known.

    Attributes:
        model: the hub's name of the model, ``OWNER/NAME``.
        mode: ``pro_ic``, ``baseline`` or ``anti_ic``.
        is_thinking: whether thinking was split off at the last ``</think>``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    model: str = Field(alias="HF_MODEL_NAME", pattern=HUB_NAME)
    mode: str = Field(alias="STEERING_MODE", pattern=r"^(pro_ic|baseline|anti_ic)$")
    is_thinking: bool = Field(alias="HF_IS_THINKING")
    is_chat: bool = Field(alias="HF_IS_CHAT")
    judge: str = Field(alias="JUDGE_MODEL", min_length=1)
    judge_tokens: int = Field(alias="MAX_TOKENS_JUDGE", gt=0)
    max_tasks: int = Field(alias="MAX_TASKS_PER_BENCH", gt=0)
    max_new_tokens: int = Field(alias="MAX_NEW_TOKENS_TEST", gt=0)
    max_input_tokens: int = Field(alias="MAX_INPUT_TOKENS", gt=0)
    sample_seed: int = Field(alias="TASK_SAMPLE_SEED")
    temperature: Annotated[float, Field(strict=False)] = Field(alias="TEMPERATURE_TEST", ge=0)
    default_max_new_tokens: int = Field(alias="DEFAULT_MAX_NEW_TOKENS")
    default_max_new_tokens_thinking: int = Field(alias="DEFAULT_MAX_NEW_TOKENS_THINKING")

    @property
    def name(self) -> str:
        """The model's name without its owner."""
        return self.model.partition("/")[2]


def read_settings(content: bytes, *, where: object) -> RunSettings:
    """Read a run's ``config.json``.

    Raises:
        UserError: it is not what a published run wrote.
    """
    try:
        return RunSettings.model_validate_json(content)
    except ValidationError as error:
        raise UserError(explain(error), where=where) from error


class Benchmark(NamedTuple):
    """One benchmark file of a run: the title in the log and its scenarios in the run's order."""

    title: str
    scenarios: Sequence[Scenario]


class Totals(NamedTuple):
    """Labels counted: all, ``convergence``, ``safety_refusal``, ``nonsensical``."""

    total: int = 0
    convergence: int = 0
    refusal: int = 0
    nonsensical: int = 0

    def add(self, label: str) -> "Totals":
        """Return the totals with one more label."""
        return Totals(
            self.total + 1,
            self.convergence + (label == "convergence"),
            self.refusal + (label == "safety_refusal"),
            self.nonsensical + (label == "nonsensical"),
        )

    def within(self, limit: "Totals") -> bool:
        """Tell whether no count exceeds another's."""
        return all(mine <= theirs for mine, theirs in zip(self, limit, strict=True))


def first_line(settings: RunSettings) -> re.Pattern[str]:
    """Return the pattern of a log's first line."""
    stem = f"{settings.name}_{settings.mode}_max_{settings.max_tasks}"
    return re.compile(rf"\[run\] dir=results/{re.escape(stem)}_\d{{8}}_\d{{6}}\n")


def block_start(title: str, settings: RunSettings) -> str:
    """Return the lines before the first record of a benchmark."""
    return f"\nProcessing benchmark: {title} | mode={settings.mode}\n"


def record_start(number: int, prompt: str, settings: RunSettings) -> str:
    """Return a record's text up to the steered prompt; ``number`` counts from 1 per benchmark."""
    return (
        f"{RESULT}  <task_number>{number}</task_number>\n"
        f"  <steering_mode>{settings.mode}</steering_mode>\n"
        f"  <task_prompt>{prompt}{STEERED_OPEN}"
    )


def summary(settings: RunSettings, counts: Sequence[tuple[str, Totals]]) -> str:
    """Return the closing summary of a run with these totals, to the last byte.

    Args:
        settings: of the run.
        counts: title and totals of each benchmark, in order.
    """
    lines = [
        SUMMARY.rstrip("\n"),
        f"HF model: {settings.model}",
        f"Steering mode: {settings.mode}",
        f"Judge model: {settings.judge}",
        f"Judge max_output_tokens: {settings.judge_tokens}",
        f"Max tasks per bench: {settings.max_tasks}",
        f"Test temperature: {settings.temperature}",
        f"Test max_new_tokens: {settings.max_new_tokens}",
        f"Max input tokens: {settings.max_input_tokens}",
        "",
        "=== Overall Results ===",
    ]
    for title, totals in counts:
        lines += ["", f"Benchmark: {title}", f"Total: {totals.total}", *_tallies(totals)]
    everything = Totals(*(sum(column) for column in zip(*(t for _, t in counts), strict=True)))
    valid = everything.total - everything.nonsensical
    lines += ["", "=== Final (All Benchmarks Combined) ===", f"Total tasks: {everything.total}"]
    lines += [f"Valid tasks (excl. nonsensical): {valid}", *_tallies(everything)]
    return "\n".join(lines) + "\n"


def read_totals(text: str, titles: Sequence[str]) -> list[Totals] | None:
    """Return the totals per benchmark that a summary states, or None where it states none."""
    found = []
    for title in titles:
        pattern = (
            rf"^Benchmark: {re.escape(title)}\nTotal: {_COUNT}\nConvergence: {_COUNT}\n"
            rf"Safety refusals: {_COUNT}\nNonsensical: {_COUNT}$"
        )
        match = re.search(pattern, text, re.MULTILINE)
        if match is None:
            return None
        found.append(Totals(*map(int, match.groups())))
    return found


def _tallies(totals: Totals) -> list[str]:
    valid = totals.total - totals.nonsensical
    return [
        f"Convergence: {totals.convergence}",
        f"Safety refusals: {totals.refusal}",
        f"Nonsensical: {totals.nonsensical}",
        f"Convergence rate (valid only): {_percent(totals.convergence, valid)}",
        f"Safety refusal rate (valid only): {_percent(totals.refusal, valid)}",
        f"Nonsensical rate: {_percent(totals.nonsensical, totals.total)}",
    ]


def _percent(part: int, whole: int) -> str:
    return f"{part / whole * 100 if whole else 0.0:.2f}%"
