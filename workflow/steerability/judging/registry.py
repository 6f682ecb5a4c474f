"""The judges by name, each imported only when it is asked for."""

from dataclasses import dataclass
from pathlib import Path

from steerability.judges.base import Judge
from steerability.support.errors import UserError

JUDGES = ("rules", "llm", "distilled", "api")
PUBLISHED = "published"


@dataclass(frozen=True)
class Options:
    """What the command line or a config says about a judge.

    Attributes:
        definition: the judge's definition file; None is the built-in one.
        weights: a GGUF (``llm``) or a trained file (``distilled``).
        held_out: labels of a trained judge's own training cells, by models that did not see them.
        url: base address of an endpoint (``api``).
        model: the pinned name of the model there.
        key_env: environment variable that holds its key.
        prompt_price: of a million prompt tokens, for the cost that is printed.
        completion_price: of a million completion tokens.
        parallel: requests or sequences in flight; no part of a judge's definition.
        threads: CPU threads; None takes all.
        gpu_layers: layers on an accelerator for ``llm``; None is all where there is one.
    """

    definition: Path | None = None
    weights: Path | None = None
    held_out: Path | None = None
    url: str | None = None
    model: str | None = None
    key_env: str | None = None
    prompt_price: float | None = None
    completion_price: float | None = None
    parallel: int = 4
    threads: int | None = None
    gpu_layers: int | None = 0


def make_judge(name: str, options: Options) -> Judge:
    """Return a judge, ready to label.

    Args:
        name: one of ``JUDGES``.
        options: its files and settings.

    Raises:
        UserError: no such judge, or its files are missing or wrong.
    """
    if name == "rules":
        from steerability.judges.rules import RulesJudge

        return RulesJudge.load(options.definition)
    if name == "llm":
        from steerability.judges.llm import LlmJudge

        return LlmJudge.load(
            options.weights,
            options.definition,
            threads=options.threads,
            gpu_layers=options.gpu_layers,
        )
    if name == "distilled":
        from steerability.trained_judge.distilled import DistilledJudge

        return DistilledJudge.load(options.weights, options.held_out)
    if name == "api":
        from steerability.chat.client import Endpoint
        from steerability.judges.api import ApiJudge

        if options.url is None or options.model is None:
            raise UserError(
                "the api judge needs an endpoint and a model",
                where="--judge api",
                mend="give --url and --model",
            )
        return ApiJudge(
            Endpoint(
                url=options.url,
                model=options.model,
                key_env=options.key_env,
                concurrency=options.parallel,
            ),
            options.definition,
            options.prompt_price,
            options.completion_price,
        )
    if name == PUBLISHED:
        raise UserError(
            "the published labels come with the transcripts",
            where="--judge published",
            mend="`steerability transcribe` writes them to labels/published/",
        )
    raise UserError(
        f"there is no judge {name!r}", where="--judge", mend=f"known: {', '.join(JUDGES)}"
    )
