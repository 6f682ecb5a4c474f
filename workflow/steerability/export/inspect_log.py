"""A run as logs of Inspect (``inspect-ai``), one per model, which its viewer and readers open."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from inspect_ai.log import (
    EvalConfig,
    EvalDataset,
    EvalLog,
    EvalMetric,
    EvalResults,
    EvalSample,
    EvalScore,
    EvalSpec,
    EvalStats,
    write_eval_log,
)
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    Content,
    ContentReasoning,
    ContentText,
    ModelOutput,
    ModelUsage,
    StopReason,
)
from inspect_ai.scorer import Score

from steerability.export.run import FinishedRun
from steerability.protocol.label import Label
from steerability.protocol.response import Response
from steerability.protocol.scale import JUDGE_FAILED
from steerability.protocol.task import BEHAVIOUR_TASK, Task
from steerability.support.canonical import digest
from steerability.support.tables import read_csv

PROVIDER = "steerability"
STOP_REASONS: dict[str | None, StopReason] = {
    "stop": "stop",
    "length": "max_tokens",
    "context": "model_length",
    "content_filter": "content_filter",
    "refused": "unknown",
    None: "unknown",
}


def write_logs(run: FinishedRun, target: Path, notes: Mapping[str, str]) -> Iterator[Path]:
    """Write one log per model and labelled task: ``MODEL.eval``, ``TASK-MODEL.eval`` for others.

    A sample is a cell, its id ``INTERVENTION/SCENARIO``, its epoch the sample; a scorer is a judge,
    its value the label and its explanation the reason. Ids and times are of the run, so that a log
    is the same however often it is written.

    Args:
        run: the finished run.
        target: the folder; made if need be, logs in it are replaced.
        notes: judge → warning, kept with each of its scores.

    Yields:
        The path of each log once it is written.
    """
    target.mkdir(parents=True, exist_ok=True)
    for task in run.study.labelled:
        for model in run.models:
            stem = model[0] if task.name == BEHAVIOUR_TASK else f"{task.name}-{model[0]}"
            path = target / f"{stem}.eval"
            write_eval_log(_log(run, task, model, notes), path)
            yield path


def _log(
    run: FinishedRun, task: Task, facts: tuple[str, str, str], notes: Mapping[str, str]
) -> EvalLog:
    model, size, stage = facts
    labels = run.labels(task.name, model)
    suite = run.suites[task.suite]
    samples = [_sample(cell, labels, notes) for cell in run.responses(task.name, model)]
    named = {"run": run.manifest.digest, "model": model}
    named |= {} if task.name == BEHAVIOUR_TASK else {"task": task.name}
    identity = digest(named)[:22]
    finished = run.finished.isoformat()
    spec = EvalSpec(
        eval_id=identity,
        run_id=run.manifest.digest[:22],
        task_id=identity,
        created=finished,
        task=f"{PROVIDER}/{suite.name}",
        task_version=suite.version or 0,
        dataset=EvalDataset(
            name=suite.name,
            samples=len(samples),
            sample_ids=list(dict.fromkeys(sample.id for sample in samples)),
            shuffled=False,
        ),
        model=f"{PROVIDER}/{model}",
        config=EvalConfig(epochs=run.study.samples),
        packages=dict(run.manifest.facts.get("versions", {})),
        metadata={
            "run": run.manifest.run,
            "digest": run.manifest.digest,
            "size": size,
            "stage": stage,
            "task": task.name,
        },
    )
    return EvalLog(
        status="success",
        eval=spec,
        results=EvalResults(
            total_samples=len(samples),
            completed_samples=len(samples),
            scores=_scores(run, task, model, notes),
        ),
        stats=EvalStats(started_at=finished, completed_at=finished),
        samples=samples,
    )


def _sample(
    cell: Response, labels: dict[str, dict[str, Label]], notes: Mapping[str, str]
) -> EvalSample:
    asked = [_message(cell, at) for at in range(len(cell.sent))]
    content: list[Content] = [ContentText(text=cell.response)]
    if cell.thinking:
        content.insert(0, ContentReasoning(reasoning=cell.thinking))
    model = f"{PROVIDER}/{cell.model}"
    answer = ChatMessageAssistant(
        id=f"{cell.key}-assistant",
        content=content if cell.thinking else cell.response,
        model=model,
        source="generate",
    )
    usage = _usage(cell)
    return EvalSample(
        id=f"{cell.intervention}/{cell.scenario}",
        epoch=cell.sample + 1,
        input=asked,
        target="",
        messages=[*asked, answer],
        output=ModelOutput(
            model=model,
            choices=[
                ChatCompletionChoice(message=answer, stop_reason=STOP_REASONS[cell.finish_reason])
            ],
            usage=usage,
        ),
        scores={
            judge: _score(by_cell[cell.id], notes.get(judge))
            for judge, by_cell in labels.items()
            if cell.id in by_cell
        },
        metadata={
            "intervention": cell.intervention,
            "category": cell.category,
            "scenario": cell.scenario,
            "finish_reason": cell.finish_reason,
            "truncated": cell.truncated,
            "thinking_cut": cell.thinking_cut,
            "completion_sha256": cell.completion_sha256,
            "key": cell.key,
        },
        model_usage={model: usage} if usage else {},
        uuid=digest({"cell": cell.id, "key": cell.key})[:22],
    )


def _usage(cell: Response) -> ModelUsage | None:
    if cell.prompt_tokens is None or cell.completion_tokens is None:
        return None
    return ModelUsage(
        input_tokens=cell.prompt_tokens,
        output_tokens=cell.completion_tokens,
        total_tokens=cell.prompt_tokens + cell.completion_tokens,
    )


def _score(label: Label, note: str | None) -> Score:
    return Score(
        value=label.label,
        explanation=label.reason,
        reason="grader_failed" if label.label == JUDGE_FAILED else None,
        metadata={"probabilities": label.probabilities, "key": label.key, "note": note},
    )


def _message(cell: Response, at: int) -> ChatMessage:
    """One of the messages as they were sent."""
    message = cell.sent[at]
    kinds: dict[str, type[ChatMessageSystem | ChatMessageUser | ChatMessageAssistant]] = {
        "system": ChatMessageSystem,
        "user": ChatMessageUser,
        "assistant": ChatMessageAssistant,
    }
    return kinds[message.role](id=f"{cell.key}-{message.role}-{at}", content=message.content)


def _scores(run: FinishedRun, task: Task, model: str, notes: Mapping[str, str]) -> list[EvalScore]:
    """The rates and contrasts of a model under each judge, no guard on, as published.

    Rates are named ``INTERVENTION_OUTCOME``, contrasts ``CONTRAST_OUTCOME``, and with both
    interventions behind it where a contrast compares several pairs.
    """
    mine = {"task": task.name, "model": model, "guard": ""}
    metrics: dict[str, dict[str, EvalMetric]] = {}

    def add(judge: str, name: str, value: str) -> None:
        if value:
            metrics.setdefault(judge, {})[name] = EvalMetric(name=name, value=float(value))

    keys = (*mine, "intervention", "judge", "outcome", "rate")
    for row in read_csv(run.folder / "rates.csv", keys):
        if mine.items() <= row.items():
            add(row["judge"], f"{row['intervention']}_{row['outcome']}", row["rate"])
    keys = (*mine, "contrast", "intervention_a", "intervention_b", "measure", "judge", "estimate")
    rows = [r for r in read_csv(run.folder / "contrasts.csv", keys) if mine.items() <= r.items()]
    pairs = Counter((row["judge"], row["contrast"], row["measure"]) for row in rows)
    for row in rows:
        name = f"{row['contrast']}_{row['measure']}"
        if pairs[row["judge"], row["contrast"], row["measure"]] > 1:
            name += f"_{row['intervention_a']}_{row['intervention_b']}"
        add(row["judge"], name, row["estimate"])
    return [
        EvalScore(
            name=judge,
            scorer=judge,
            metrics=metrics[judge],
            metadata={"note": notes[judge]} if judge in notes else None,
        )
        for judge in task.judges
        if judge in metrics
    ]
