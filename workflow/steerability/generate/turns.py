"""Where texts end: the tokens that stop them, and the ends of turns that do not."""

from collections.abc import Iterable
from dataclasses import dataclass

from steerability.engine import Engine, Job, PromptError
from steerability.protocol.request import Request


def stop_tokens(request: Request, engine: Engine) -> frozenset[int]:
    """Return the tokens that end a request's text.

    Args:
        request: its ``stop`` is None (the vocabulary's own end), ``turn`` or token ids.
        engine: its vocabulary and chat template are used.

    Raises:
        PromptError: ``turn``, and no special token ends the turns of the chat template.
    """
    if request.stop is None:
        return engine.stop
    if request.stop != "turn":
        return frozenset(request.stop)
    end = engine.turn_end(request.template)
    if end is None:
        raise PromptError(
            "no special token ends the turns of the chat template", "set stop to eos or token ids"
        )
    return engine.stop | {end}


@dataclass(frozen=True)
class TurnEnd:
    """The token that ends a turn in a chat template.

    Attributes:
        token: its id.
        text: as the vocabulary writes it.
        cells: requests whose text does not stop at it.
    """

    token: int
    text: str
    cells: int

    @property
    def words(self) -> str:
        """What to say of it before the run and after; empty where every text stops there."""
        if not self.cells:
            return ""
        return (
            f"turns end with {self.text} ({self.token}), at which {self.cells:,} texts do not stop "
            "(stop: turn lets them)"
        )


def turn_ends(texts: Iterable[tuple[Request, Job]], engine: Engine) -> list[TurnEnd]:
    """Return the tokens that end turns in the requests' chat templates, in order of their ids.

    Args:
        texts: requests for texts, with their jobs; plain prompts have no turns.
        engine: its vocabulary and chat template are used.
    """
    unheard: dict[int, int] = {}
    for request, job in texts:
        if request.messages is None:
            continue
        end = engine.turn_end(request.template)
        if end is not None:
            unheard[end] = unheard.get(end, 0) + (end not in job.stop)
    return [
        TurnEnd(token, engine.vocabulary.text(token), cells)
        for token, cells in sorted(unheard.items())
    ]
