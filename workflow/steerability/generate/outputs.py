"""Generated token ids to output lines: text, thinking and what was cut."""

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from steerability.engine import Generation
from steerability.engine.vocabulary import Vocabulary
from steerability.generate.requests import Prepared
from steerability.protocol.records import FILTERED, THINK_END, Output


class _Stored(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    tokens: list[int]
    finish_reason: Literal["stop", "length", "context"]


def stored_value(generation: Generation, vocabulary: Vocabulary) -> dict[str, Any]:
    """Return what the store keeps of a generation: its ids, and the text for a reader's eye."""
    return {
        "tokens": list(generation.tokens),
        "finish_reason": generation.finish_reason,
        "text": vocabulary.detokenize(generation.tokens),
    }


def check_stored(value: Any, vocabulary: Vocabulary) -> None:
    """Check what the store holds of a generation.

    Raises:
        ValueError: it is none of this vocabulary.
    """
    tokens = _Stored.model_validate(value).tokens
    if any(not 0 <= token < vocabulary.size for token in tokens):
        raise ValueError("a token is not in the vocabulary")


def output_line(prepared: Prepared, value: dict[str, Any], vocabulary: Vocabulary) -> Output:
    """Return the output line of a request from what the store holds."""
    tokens = tuple(value["tokens"])
    thinking, text, cut = None, vocabulary.detokenize(tokens), False
    if prepared.request.thinking:
        thinking, text = split_thinking(tokens, vocabulary)
        cut = thinking is None
        thinking = thinking or ""
    return Output(
        id=prepared.request.id,
        text=text,
        thinking=thinking,
        finish_reason=value["finish_reason"],
        prompt_tokens=len(prepared.job.prompt),
        completion_tokens=len(tokens),
        key=prepared.name,
        truncated=prepared.truncated,
        thinking_cut=cut,
    )


def split_thinking(tokens: tuple[int, ...], vocabulary: Vocabulary) -> tuple[str | None, str]:
    """Split at the last ``</think>``, by its token where the vocabulary has one, else by text.

    Returns:
        thinking and answer; without a ``</think>`` None and the whole text.
    """
    end = vocabulary.token(THINK_END)
    if end is not None:
        if end not in tokens:
            return None, vocabulary.detokenize(tokens)
        place = len(tokens) - 1 - tokens[::-1].index(end)
        return vocabulary.detokenize(tokens[:place]), vocabulary.detokenize(tokens[place + 1 :])
    head, found, tail = vocabulary.detokenize(tokens).rpartition(THINK_END)
    return (head, tail) if found else (None, tail)


def flags(lines: Iterable[Output]) -> str:
    """Return in words how many prompts were truncated, thoughts cut off and replies filtered."""
    lines = list(lines)
    truncated = sum(line.truncated for line in lines)
    cut = sum(line.thinking_cut for line in lines)
    words = [f"prompts truncated: {truncated:,}"] if truncated else []
    words += [f"thoughts cut off (no {THINK_END} within the limit): {cut:,}"] if cut else []
    filtered = sum(line.finish_reason == FILTERED for line in lines)
    words += [f"replies filtered by the endpoint: {filtered:,}"] if filtered else []
    return ", ".join(words)
