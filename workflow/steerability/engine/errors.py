"""What can go wrong in the engine, in words that a caller can show."""

from pathlib import Path


class EngineError(Exception):
    """llama.cpp or the machine failed: no memory for the context, NaN logits, a failed decode."""


class InputError(EngineError):
    """The caller's input is at fault: the weights file, a template, a prompt that does not fit.

    Args:
        what: what is wrong.
        mend: how to put it right.
        where: the file at fault, where it is not the weights.
    """

    def __init__(self, what: str, mend: str = "", where: Path | None = None) -> None:
        self.what = what
        self.mend = mend
        self.where = where
        super().__init__(f"{what}; {mend}" if mend else what)


class WeightsError(InputError):
    """The weights are missing, cut short, no GGUF, or of an architecture llama.cpp lacks."""


class PromptError(InputError):
    """A prompt cannot be rendered or does not fit the context."""


class AdapterError(InputError):
    """An adapter's file is broken, does not fit the weights, or would have no effect on them."""
