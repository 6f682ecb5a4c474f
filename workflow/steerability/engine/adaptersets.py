"""The adapter files an engine knows, and putting sets of them on its contexts."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np

from steerability.engine.adapterfiles import (
    LoraFile,
    ModelShape,
    VectorFile,
    read_lora,
    read_vector,
)
from steerability.engine.adapters import Adapter, Adapters, Kind
from steerability.engine.contexts import Contexts
from steerability.engine.errors import AdapterError
from steerability.engine.fitted import NO_ADAPTER, Fitted, fit, summed, touched
from steerability.engine.selfcheck import SelfCheck
from steerability.engine.weights import Weights


class AdapterSets:
    """Checked files by digest, and the set that contexts have on.

    Args:
        header: the model's, vocabulary and fields.
        contexts: they get the sets.
    """

    def __init__(self, header: Weights, contexts: Contexts) -> None:
        self._header = header
        self._contexts = contexts
        self._vectors: dict[str, VectorFile] = {}
        self._loras: dict[str, LoraFile] = {}
        self._fitted = NO_ADAPTER
        self._acting: set[str] = set()

    @cached_property
    def model(self) -> ModelShape:
        """What files must fit."""
        return ModelShape.of(self._header)

    def add(self, kind: Kind, path: Path) -> str:
        """Read and check a file and return its digest.

        Raises:
            AdapterError: it is broken or does not fit the model.
        """
        if kind == "vector":
            vector = read_vector(path, self.model)
            self._vectors[vector.sha256] = vector
            return vector.sha256
        lora = read_lora(path, self.model)
        self._loras[lora.sha256] = lora
        return lora.sha256

    def wear(self, adapters: Adapters, weights: Weights) -> SelfCheck:
        """Put a set on all contexts, emptied, and return what the check at load says of it.

        Args:
            adapters: the set; its files were added and proven.
            weights: the whole model.

        Raises:
            AdapterError: a file is unknown, or numbers overflow.
            EngineError: llama.cpp refuses it.
        """
        if adapters != self._fitted.adapters:
            before, self._fitted = self._fitted, self._fit(adapters, weights)
            self._contexts.put_on(self._fitted)
            before.close()
        else:
            self._contexts.put_on(self._fitted)
        return self._contexts.check()

    def close(self) -> None:
        """Free the set that is on; contexts must be gone, the weights still there."""
        self._fitted.close()
        self._fitted = NO_ADAPTER

    def prove(self, sets: Iterable[Adapters], weights: Weights) -> None:
        """Find out of every adapter that was not proven yet whether it changes logits.

        Args:
            sets: of the jobs to come.
            weights: the whole model.

        Raises:
            AdapterError: a file is unknown, has nothing for its layers, or acts on nothing.
        """
        for adapters in sets:
            summed(adapters.vectors, self._vectors)
            for adapter in adapters.loras:
                touched(adapter, self._loras)
            for adapter in (*adapters.vectors, *adapters.loras):
                self._prove(adapter, weights)

    def _fit(self, adapters: Adapters, weights: Weights) -> Fitted:
        if not adapters:
            return NO_ADAPTER
        return fit(adapters, weights, self.model, self._vectors, self._loras)

    def _prove(self, adapter: Adapter, weights: Weights) -> None:
        """Some architectures never apply a vector, and a LoRA may change what is not used.

        Vectors are proven by a random one, since what a file holds may be small; a LoRA by
        itself at strength 1.
        """
        digest = "vector" if adapter.kind == "vector" else adapter.sha256
        if digest in self._acting:
            return
        if adapter.kind == "vector":
            shape = (max(self.model.blocks - 1, 0), self.model.width)
            random = np.random.Generator(np.random.Philox(key=5))
            rows = random.standard_normal(shape, np.float32)
            # not the adapters' own name: what is saved under it must not be taken for theirs
            probe = Fitted(Adapters.of([Adapter("vector", "probe")]), rows)
        else:
            probe = self._fit(Adapters.of([Adapter("lora", adapter.sha256)]), weights)
        try:
            acting = probe.empty or self._contexts.changes(probe, self._fitted)
        finally:
            probe.close()
        if not acting:
            self._refuse(adapter)
        self._acting.add(digest)

    def _refuse(self, adapter: Adapter) -> None:
        files = self._vectors if adapter.kind == "vector" else self._loras
        what = (
            f"control vectors have no effect on the architecture {self.model.architecture}"
            if adapter.kind == "vector"
            else "the LoRA changes no logit of these weights"
        )
        file = files.get(adapter.sha256)
        raise AdapterError(what, "leave it out or name other weights", file.path if file else None)
