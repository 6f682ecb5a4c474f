"""Forced choices: how likely each of several given answers is after a prompt.

An answer is tokenised by itself, as plain text without special tokens, and put directly behind the
rendered prompt. So at the border nothing is joined: where a tokeniser given prompt and answer in
one would have made one token of the prompt's last and the answer's first characters, the score is
that of the two tokens. After a chat template's opening of the assistant's turn, which ends in a
line break or a special token, there is nothing to join; after a plain prompt an answer should
bring its own leading blank. Vocabularies that put a blank in front of any text do so here too.
The end of the answer is not scored: no end-of-sequence token follows it.
"""

import math
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from steerability.engine import Adapters, Engine, ScoreJob
from steerability.engine.scoring import Scores
from steerability.protocol.request import ChoiceOutput, Request
from steerability.support.errors import UserError


def choice_job(
    request: Request, prompt: tuple[int, ...], adapters: Adapters, engine: Engine, where: Path
) -> ScoreJob:
    """Return the scoring of a request's answers.

    Args:
        request: one with answers.
        prompt: its rendered prompt.
        adapters: its adapter set.
        engine: for the vocabulary and the context window.
        where: the request file, for messages.

    Raises:
        UserError: an answer is empty, or prompt and answer do not fit the window.
    """
    name = f"{where} request {request.id}"
    answers = tuple(tuple(engine.vocabulary.tokenize(text)) for text in request.answers or ())
    if not all(answers):
        raise UserError("an answer is empty", where=name, mend="give a text for each answer")
    job = ScoreJob(prompt, answers, adapters)
    if job.longest > engine.window:
        raise UserError(
            f"prompt and answer have {job.longest} tokens, the model's context holds "
            f"{engine.window}",
            where=name,
            mend="shorten them or set max_prompt_tokens",
        )
    return job


def stored_scores(scores: Scores) -> dict[str, Any]:
    """Return what the store keeps of a choice."""
    return {"scores": [list(score) for score in scores]}


class _StoredScores(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    scores: list[list[float]]


def check_scores(value: Any, job: ScoreJob) -> None:
    """Check what the store holds of a choice.

    Raises:
        ValueError: it is no log-probability for every token of every answer.
    """
    scores = _StoredScores.model_validate(value).scores
    lengths = [len(answer) for answer in job.continuations]
    if [len(score) for score in scores] != lengths:
        raise ValueError("the scores are not those of the answers' tokens")
    if any(not -math.inf < one <= 0 for score in scores for one in score):
        raise ValueError("a score is no log-probability")


def choice_line(
    request: Request, job: ScoreJob, name: str, value: dict[str, Any], *, truncated: bool
) -> ChoiceOutput:
    """Return the output line of a choice from what the store holds."""
    return ChoiceOutput(
        id=request.id,
        scores=tuple(tuple(score) for score in value["scores"]),
        prompt_tokens=len(job.prompt),
        key=name,
        truncated=truncated,
    )
