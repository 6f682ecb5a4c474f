"""The contexts at hand, one for each lane, and the one adapter set that they have on.

Putting adapters on empties every slot. What the check at load finds depends on the graph, so it
is asked once for each kind of set (a vector or none, a LoRA of which ranks), with the adapters on.
"""

from collections.abc import Sequence

import numpy as np

from steerability.engine.context import Context, Layout, cells_for
from steerability.engine.fitted import NO_ADAPTER, Fitted, Structure
from steerability.engine.selfcheck import SelfCheck, check_sound, self_check
from steerability.engine.taps import Tap
from steerability.engine.weights import Weights

_PROBE_TOKENS = 12


class Contexts:
    """Contexts over the same weights; made anew where those at hand will not do."""

    def __init__(self) -> None:
        self._all: list[Context] = []
        self._checks: dict[Structure, SelfCheck] = {}
        self._fitted = NO_ADAPTER

    @property
    def all(self) -> Sequence[Context]:
        """One for each lane, the widest first."""
        return self._all

    def ready(self, weights: Weights, layouts: Sequence[Layout], *, reading: bool = False) -> bool:
        """Have empty contexts of these layouts; those at hand, if they will do.

        Args:
            weights: the whole model.
            layouts: of each lane; slots may have more cells than that.
            reading: whether the residual stream is to be read.

        Returns:
            Whether they were made anew.

        Raises:
            EngineError: there is not enough memory.
        """
        if self._fits(layouts, reading):
            for context in self._all:
                context.clear()
            return False
        self.close()
        for layout in layouts:
            self._all.append(Context(weights, layout, tap=Tap() if reading else None))
        return True

    def _fits(self, layouts: Sequence[Layout], reading: bool) -> bool:
        return (
            [context.layout.width for context in self._all] == [one.width for one in layouts]
            and all(context.layout.padded == layouts[0].padded for context in self._all)
            and all((context.tap is not None) == reading for context in self._all)
            and self._all[0].layout.cells >= layouts[0].cells
        )

    def holds(self, tokens: int, width: int) -> bool:
        """Return whether those at hand have so many slots, which then need no new memory."""
        slots = sum(context.layout.width for context in self._all)
        return slots == width and self._all[0].layout.cells >= cells_for(tokens)

    def put_on(self, fitted: Fitted) -> None:
        """Empty all contexts and put adapters on them in place of those before.

        Args:
            fitted: made for these weights, to be kept open as long as it is on.
        """
        for context in self._all:
            context.wear(fitted)
        self._fitted = fitted

    def check(self) -> SelfCheck:
        """Return what the check at load says of graphs like that of the adapters that are on."""
        structure = self._fitted.structure
        if structure not in self._checks:
            # the lanes are alike, and the first is the widest
            check_sound(self._all[0])
            self._checks[structure] = self_check(self._all[0])
        return self._checks[structure]

    def changes(self, fitted: Fitted, after: Fitted) -> bool:
        """Return whether adapters change any logit of a short text.

        Args:
            fitted: those in question.
            after: what is on afterwards.
        """
        context = self._all[0]
        random = np.random.Generator(np.random.Philox(key=3))
        tokens = [int(one) for one in random.integers(0, context.vocabulary_size, _PROBE_TOKENS)]
        rows = []
        for one in (NO_ADAPTER, fitted):
            context.wear(one)
            rows.append(context.prompt(0, tokens).copy())
        self.put_on(after)
        return not np.array_equal(rows[0].view(np.uint32), rows[1].view(np.uint32))

    def close(self) -> None:
        """Free all memory; the adapters are the caller's to close."""
        for context in self._all:
            context.close()
        self._all.clear()
        self._checks.clear()
