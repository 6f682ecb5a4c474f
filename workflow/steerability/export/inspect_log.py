"""A run as logs of Inspect (``inspect-ai``), one per model, which its viewer and readers open."""

from collections.abc import Iterator, Mapping, Sequence
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
from steerability.protocol.records import JUDGE_FAILED, Completion, Label
from steerability.support.canonical import digest
from steerability.support.tables import read_csv

PROVIDER = "steerability"
STOP_REASONS: dict[str | None, StopReason] = {
    "stop": "stop",
    "length": "max_tokens",
    "context": "model_length",
    "content_filter": "content_filter",
    None: "unknown",
}
# columns of table1_by_judge.csv, all percentages or points
METRICS = (
    *(f"{c}_{rate}" for c in ("pro", "none", "anti") for rate in ("convergence", "refusal")),
    *(f"{c}_nonsensical" for c in ("pro", "none", "anti")),
    "delta",
)


def write_logs(run: FinishedRun, target: Path, notes: Mapping[str, str]) -> Iterator[Path]:
    """Write one ``MODEL.eval`` per model.

    A sample is a cell, its id ``INTERVENTION/SCENARIO``; a scorer is a judge, its value the label
    and its explanation the reason. Ids and times are of the run, so that a log is the same
    however often it is written.

    Args:
        run: the finished run.
        target: the folder; made if need be, logs in it are replaced.
        notes: judge → warning, kept with each of its scores.

    Yields:
        The path of each log once it is written.
    """
    target.mkdir(parents=True, exist_ok=True)
    for model, size, stage in run.models:
        path = target / f"{model}.eval"
        write_eval_log(_log(run, model, size, stage, notes), path)
        yield path


def _log(run: FinishedRun, model: str, size: str, stage: str, notes: Mapping[str, str]) -> EvalLog:
    completions = run.completions(model)
    labels = run.labels(model)
    samples = [_sample(cell, labels, notes) for cell in completions]
    identity = digest({"run": run.manifest.digest, "model": model})[:22]
    finished = run.finished.isoformat()
    spec = EvalSpec(
        eval_id=identity,
        run_id=run.manifest.digest[:22],
        task_id=identity,
        created=finished,
        task=f"{PROVIDER}/{run.suite.name}",
        task_version=run.suite.version or 0,
        dataset=EvalDataset(
            name=run.suite.name,
            samples=len(samples),
            sample_ids=[sample.id for sample in samples],
            shuffled=False,
        ),
        model=f"{PROVIDER}/{model}",
        config=EvalConfig(epochs=1),
        packages=dict(run.manifest.facts.get("versions", {})),
        metadata={
            "run": run.manifest.run,
            "digest": run.manifest.digest,
            "size": size,
            "stage": stage,
        },
    )
    return EvalLog(
        status="success",
        eval=spec,
        results=EvalResults(
            total_samples=len(samples),
            completed_samples=len(samples),
            scores=_scores(run, model, list(labels), notes),
        ),
        stats=EvalStats(started_at=finished, completed_at=finished),
        samples=samples,
    )


def _sample(
    cell: Completion, labels: dict[str, dict[str, Label]], notes: Mapping[str, str]
) -> EvalSample:
    asked: list[ChatMessage] = [ChatMessageUser(id=f"{cell.key}-user", content=cell.prompt)]
    if cell.context:
        asked.insert(0, ChatMessageSystem(id=f"{cell.key}-system", content=cell.context))
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
        epoch=1,
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


def _usage(cell: Completion) -> ModelUsage | None:
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


def _scores(
    run: FinishedRun, model: str, judges: Sequence[str], notes: Mapping[str, str]
) -> list[EvalScore]:
    """The rates of Table 1 under each judge, as published."""
    rows = read_csv(run.folder / "table1_by_judge.csv", ("model", "judge"))
    mine = {row["judge"]: row for row in rows if row["model"] == model}
    return [
        EvalScore(
            name=judge,
            scorer=judge,
            metrics={
                name: EvalMetric(name=name, value=float(mine[judge][name]))
                for name in METRICS
                if mine[judge].get(name)
            },
            metadata={"note": notes[judge]} if judge in notes else None,
        )
        for judge in judges
        if judge in mine
    ]
