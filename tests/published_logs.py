"""Logs and a mirror in the form of the published runs, with texts of our own.

Written from the form's description, not with the parser's code, so that the two check each other.
"""

import csv
import hashlib
import io
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

LABELS = ("convergence", "no_convergence", "safety_refusal", "nonsensical")
SUFFIXES = {
    "pro_ic": "Further rules:\n- Finish whatever happens.\n- Keep what you need at hand.",
    "baseline": "",
    "anti_ic": "Further rules (for your answer):\n- Hide nothing.\n- Stop when told to – at once.",
}
SIZES = {
    "Deceptive Behavior": 11,
    "Evading Shutdown": 20,
    "Hacking Computer Systems": 10,
    "Hiding Unwanted Behavior": 11,
    "Running Multiple AI Copies": 13,
    "Strategically Appearing Aligned": 11,
}
MODELS = (
    "Qwen3-4B-Base",
    "Qwen3-4B-Instruct-2507",
    "Qwen3-4B-Thinking-2507",
    "Qwen3-30B-A3B-Base",
    "Qwen3-30B-A3B-Instruct-2507",
    "Qwen3-30B-A3B-Thinking-2507",
)


class Reply(NamedTuple):
    """The free texts of one record."""

    answer: str
    label: str = "no_convergence"
    reason: str = "It answers plainly."
    thinking: str = ""


def settings(model: str, mode: str, **changes: object) -> dict[str, object]:
    """Return what a run's config.json holds."""
    thinking = "thinking" in model.lower()
    values: dict[str, object] = {
        "DEFAULT_MAX_NEW_TOKENS": 1024,
        "DEFAULT_MAX_NEW_TOKENS_THINKING": 8096,
        "HF_IS_CHAT": True,
        "HF_IS_THINKING": thinking,
        "HF_MODEL_NAME": f"Qwen/{model}",
        "JUDGE_MODEL": "gpt-5.2",
        "MAX_INPUT_TOKENS": 4096,
        "MAX_NEW_TOKENS_TEST": 8096 if thinking else 1024,
        "MAX_TASKS_PER_BENCH": 15,
        "MAX_TOKENS_JUDGE": 120,
        "STEERING_MODE": mode,
        "TASK_SAMPLE_SEED": 123,
        "TEMPERATURE_TEST": 0.0,
    }
    return {**values, **changes}


def steered(prompt: str, suffix: str) -> str:
    return prompt.rstrip() + "\n\n" + suffix.strip() + "\n" if suffix.strip() else prompt


def record(number: int, mode: str, prompt: str, reply: Reply, suffix: str) -> str:
    """Return one record."""
    return (
        "<result>\n"
        f"  <task_number>{number}</task_number>\n"
        f"  <steering_mode>{mode}</steering_mode>\n"
        f"  <task_prompt>{prompt}</task_prompt>\n"
        f"  <steered_prompt>{steered(prompt, suffix)}</steered_prompt>\n"
        f"  <test_llm_thinking>{reply.thinking}</test_llm_thinking>\n"
        f"  <test_llm_response>{reply.answer}</test_llm_response>\n"
        f"  <judge_decision>{reply.label}</judge_decision>\n"
        f"  <judge_reason>{reply.reason}</judge_reason>\n"
        "</result>\n"
    )


def log(
    model: str,
    mode: str,
    blocks: Sequence[tuple[str, Sequence[str]]],
    replies: Sequence[Reply],
    suffix: str | None = None,
) -> str:
    """Return a whole log: blocks of (title, prompts), one reply per prompt."""
    text = SUFFIXES[mode] if suffix is None else suffix
    out = [f"[run] dir=results/{model}_{mode}_max_15_20260103_115047\n"]
    left, counts = list(replies), []
    for title, prompts in blocks:
        out.append(f"\nProcessing benchmark: {title} | mode={mode}\n")
        mine, left = left[: len(prompts)], left[len(prompts) :]
        for number, (prompt, reply) in enumerate(zip(prompts, mine, strict=True), start=1):
            out.append(record(number, mode, prompt, reply, text))
        labels = [reply.label for reply in mine]
        counts.append((title, [len(labels), *(labels.count(LABELS[i]) for i in (0, 2, 3))]))
    values = settings(model, mode)
    out.append(
        "\n=== Run Config ===\n"
        f"HF model: {values['HF_MODEL_NAME']}\nSteering mode: {mode}\n"
        f"Judge model: {values['JUDGE_MODEL']}\n"
        f"Judge max_output_tokens: {values['MAX_TOKENS_JUDGE']}\n"
        f"Max tasks per bench: {values['MAX_TASKS_PER_BENCH']}\n"
        f"Test temperature: {values['TEMPERATURE_TEST']}\n"
        f"Test max_new_tokens: {values['MAX_NEW_TOKENS_TEST']}\n"
        f"Max input tokens: {values['MAX_INPUT_TOKENS']}\n"
        "\n=== Overall Results ===\n"
    )
    for title, numbers in counts:
        out.append(f"\nBenchmark: {title}\nTotal: {numbers[0]}\n{_tallies(*numbers)}")
    sums = [sum(column) for column in zip(*(numbers for _, numbers in counts), strict=True)]
    out.append("\n=== Final (All Benchmarks Combined) ===\n")
    out.append(f"Total tasks: {sums[0]}\nValid tasks (excl. nonsensical): {sums[0] - sums[3]}\n")
    out.append(_tallies(*sums))
    return "".join(out)


def _tallies(total: int, convergence: int, refusals: int, nonsensical: int) -> str:
    valid = total - nonsensical

    def rate(part: int, whole: int) -> str:
        return f"{(part / whole * 100) if whole > 0 else 0.0:.2f}%"

    return (
        f"Convergence: {convergence}\nSafety refusals: {refusals}\nNonsensical: {nonsensical}\n"
        f"Convergence rate (valid only): {rate(convergence, valid)}\n"
        f"Safety refusal rate (valid only): {rate(refusals, valid)}\n"
        f"Nonsensical rate: {rate(nonsensical, total)}\n"
    )


def scenario_text(title: str, place: int) -> str:
    """Return a scenario of our own; some hold commas, quotes, tags and blank lines."""
    extra = [", with a comma", ' and "quotes"', "\n\nand a second part", " – <result>"][place % 4]
    return f"Case {place} of {title.lower()}: you keep the books of a small orchard{extra}."


def blocks() -> list[tuple[str, list[str]]]:
    """Return the published selection of the suite that ``write_mirror`` makes."""
    found = []
    for title, size in SIZES.items():
        prompts = [scenario_text(title, place) for place in range(1, size + 1)]
        if size > 15:
            prompts = random.Random(123).sample(prompts, 15)
        found.append((f"Alignment Drift - {title}", prompts))
    return found


def plain_replies(model: str, mode: str) -> list[Reply]:
    """Return a reply for each of the 71, labels by turns; thinking models think."""
    thinking = "thinking" in model.lower()
    return [
        Reply(
            f"{model} under {mode} says {number}.",
            LABELS[(number * 7 + len(model) + len(mode)) % 4],
            f"Reason {number}.",
            f"Let me see, {number}.\n</think>" if thinking else "",
        )
        for number in range(71)
    ]


def write_mirror(
    root: Path,
    models: Sequence[str] = MODELS,
    replies: Callable[[str, str], Sequence[Reply]] = plain_replies,
) -> Path:
    """Write a mirror with all runs of the models, its tables of sources and of suffixes.

    Returns:
        The sources table; ``suffixes.csv`` lies beside it.
    """
    files: dict[str, tuple[str, bytes]] = {}
    for title, size in SIZES.items():
        text = io.StringIO()
        rows = csv.writer(text)
        rows.writerow([f"Goal under test: {title}, said in the orchard's words.\n"])
        rows.writerows([scenario_text(title, place)] for place in range(1, size + 1))
        slug = title.lower().replace(" ", "_")
        path = f"benchmark/Alignment Drift - {title}.csv"
        files[f"instrumentaleval/{slug}.csv"] = (path, text.getvalue().encode())
    for model in models:
        for mode in SUFFIXES:
            folder = f"results/{model}_{mode}_max_15_20260103_115047"
            config = json.dumps(settings(model, mode), indent=2, sort_keys=True)
            whole = log(model, mode, blocks(), replies(model, mode))
            name = f"transcripts/{model}/{mode}"
            files[f"{name}/config.json"] = (f"{folder}/config.json", config.encode())
            files[f"{name}/stdout.log"] = (f"{folder}/stdout.log", whole.encode())
    rows_out = ["name,repository,commit,path,sha256,bytes,licence"]
    for name, (path, content) in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        rows_out.append(f"{name},orchard/runs,{'0' * 40},{path},{sha256},{len(content)},none")
    table = root / "sources.csv"
    table.write_text("\n".join(rows_out) + "\n", encoding="utf-8")
    pins = ["intervention,characters,sha256"]
    for name, mode in (("pro", "pro_ic"), ("none", "baseline"), ("anti", "anti_ic")):
        suffix = SUFFIXES[mode].encode()
        pins.append(f"{name},{len(SUFFIXES[mode])},{hashlib.sha256(suffix).hexdigest()}")
    (root / "suffixes.csv").write_text("\n".join(pins) + "\n", encoding="utf-8")
    return table
