"""Prefixes that prompts share, evaluated once and copied.

Prompts are taken in the order of their token ids, so those that begin alike follow each other.
What a prompt shares with the next one, cut down to a chunk border of both, is saved when the
evaluation passes it. One saved state serves every prefix of it (rubric, then context, then
answer): it is put back and cut off where the next prompt leaves it. In this order no later prompt
shares more with an earlier one than its neighbour does, so nothing else needs keeping.

Keys and values belong to the adapters of the context that made them: once it has others on,
nothing evaluated before is taken.
"""

from collections.abc import Iterable, Sequence

from steerability.engine.context import CHUNK, Context, Logits, State, borders

Prompt = Sequence[int]


def shared_border(left: Prompt, right: Prompt) -> int:
    """Return the last chunk border of both prompts up to which they are equal, before their ends.

    Never the whole of a prompt: its last chunk is evaluated for its logits.
    """
    equal = 0
    limit = min(len(left), len(right))
    while equal < limit and left[equal] == right[equal]:
        equal += 1
    ends = {0, *borders(len(left))[:-1]} & {0, *borders(len(right))[:-1]}
    return max(end for end in ends if end <= equal)


def in_order(prompts: Sequence[Prompt], members: Iterable[int] | None = None) -> list[int]:
    """Return the order of evaluation: by token ids, so that shared prefixes are neighbours.

    Args:
        prompts: all of them.
        members: the places of those to be evaluated; None for every one.
    """
    chosen = range(len(prompts)) if members is None else members
    return sorted(chosen, key=lambda index: (tuple(prompts[index]), index))


class Prefixes:
    """Evaluates prompts in order, each from where it leaves the one before it.

    Args:
        context: where the prompts are evaluated.
        share: False evaluates every prompt from its first token; the logits are the same.

    Attributes:
        evaluated: prompt tokens evaluated so far.
        copied: prompt tokens that were there already.
    """

    def __init__(self, context: Context, *, share: bool = True) -> None:
        self._context = context
        self._share = share
        self._state: State | None = None
        self._held = 0
        self._last: Prompt = ()
        self._adapters = context.adapters
        self.evaluated = 0
        self.copied = 0

    def evaluate(self, slot: int, prompt: Prompt, following: Prompt | None) -> Logits:
        """Fill a slot with a prompt and return the logits after its last token.

        Args:
            slot: any slot; what it holds is dropped.
            prompt: the token ids.
            following: the prompt that will be asked for next, if any.
        """
        shared = self._shared(prompt)
        start = min(self._held, shared)
        if start and self._state is not None:
            self._context.restore(slot, self._state, start)
        else:
            self._context.forget(slot)
        self._count(prompt, start)
        wanted = shared_border(prompt, following) if self._share and following is not None else 0
        self._held = min(self._held, start)
        if wanted > start:
            for begin in range(start, wanted, CHUNK):
                self._context.rows(slot, prompt[begin : begin + CHUNK], begin)
            self._state, self._held = self._context.save(slot), wanted
            start = wanted
        elif not wanted:
            self._state, self._held = None, 0
        return self._context.prompt(slot, prompt, start)

    def replace(self, slot: int, prompt: Prompt) -> Logits:
        """Do the same in a slot that still holds the prompt before it, without a copy.

        Args:
            slot: the slot of every call so far.
            prompt: the token ids.
        """
        start = self._shared(prompt)
        self._context.forget(slot, start)
        self._count(prompt, start)
        return self._context.prompt(slot, prompt, start)

    def _shared(self, prompt: Prompt) -> int:
        if self._adapters != self._context.adapters:
            self._adapters = self._context.adapters
            self._state, self._held, self._last = None, 0, ()
        last, self._last = self._last, prompt
        return shared_border(last, prompt) if self._share and last else 0

    def _count(self, prompt: Prompt, start: int) -> None:
        self.copied += start
        self.evaluated += len(prompt) - start
