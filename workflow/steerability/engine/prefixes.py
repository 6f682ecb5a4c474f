"""Prefixes that prompts share, evaluated once and copied.

Prompts are taken in the order of their token ids, so those that begin alike follow each other.
What a prompt shares with the next one, cut down to a chunk border of both, is saved when the
evaluation passes it. Saved states nest (rubric, then context, then answer), so a stack holds
them: whatever reaches beyond what the next prompt shares is dropped.
"""

from collections.abc import Sequence

from steerability.engine.context import CHUNK, Context, Logits, borders

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


def in_order(prompts: Sequence[Prompt]) -> list[int]:
    """Return the order of evaluation: by token ids, so that shared prefixes are neighbours."""
    return sorted(range(len(prompts)), key=lambda index: (tuple(prompts[index]), index))


class PrefixStack:
    """Evaluates prompts in order, each from the longest saved prefix on.

    Args:
        context: where the prompts are evaluated.
        share: False evaluates every prompt from its first token; the logits are the same.
    """

    def __init__(self, context: Context, *, share: bool = True) -> None:
        self._context = context
        self._share = share
        self._saved: list[tuple[int, bytes]] = []
        self._last: Prompt = ()
        self.evaluated = 0
        self.copied = 0

    def evaluate(self, slot: int, prompt: Prompt, following: Prompt | None) -> Logits:
        """Fill a slot with a prompt and return the logits after its last token.

        Args:
            slot: any slot; what it holds is dropped.
            prompt: the token ids.
            following: the prompt that will be asked for next, if any.
        """
        self._context.forget(slot)
        if not self._share:
            self.evaluated += len(prompt)
            return self._context.prompt(slot, prompt)
        kept = shared_border(self._last, prompt) if self._last else 0
        while self._saved and self._saved[-1][0] > kept:
            self._saved.pop()
        start = 0
        if self._saved:
            start, state = self._saved[-1]
            self._context.restore(slot, state)
        self.copied += start
        self.evaluated += len(prompt) - start
        wanted = shared_border(prompt, following) if following is not None else 0
        if wanted > start:
            for begin in range(start, wanted, CHUNK):
                self._context.rows(slot, prompt[begin : begin + CHUNK], begin)
            start = wanted
            self._saved.append((start, self._context.save(slot)))
        self._last = prompt
        return self._context.prompt(slot, prompt, start)
