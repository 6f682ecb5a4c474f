"""The engine's public face: weights loaded, requests generated or scored in deterministic batches.

Example:
    with Engine(Path("model.gguf")) as engine:
        prompt = engine.chat([{"role": "user", "content": "Hello"}])
        jobs = [Job(prompt, max_tokens=64, stop=engine.stop)]
        for index, generation in engine.generate(jobs):
            print(engine.vocabulary.detokenize(generation.tokens))
"""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from steerability.engine import library
from steerability.engine.activations import Activations, Reader, ReadJob
from steerability.engine.adapterfiles import ModelShape
from steerability.engine.adapters import Kind
from steerability.engine.adaptersets import AdapterSets
from steerability.engine.context import Context, Layout, cells_for
from steerability.engine.contexts import Contexts
from steerability.engine.decoding import Decoder, Generation, Job
from steerability.engine.distributions import LogProbabilities, NextJob, NextTokens
from steerability.engine.errors import InputError, PromptError
from steerability.engine.key import BatchPlan
from steerability.engine.lanes import parts
from steerability.engine.memory import (
    Demand,
    MemoryShortError,
    available,
    device_layers,
    device_width,
    gigabytes,
)
from steerability.engine.prompting import Prompting
from steerability.engine.running import AnyJob, Tally, Worker, largest_group, run_groups
from steerability.engine.scoring import ScoreJob, Scorer, Scores
from steerability.engine.selfcheck import SelfCheck
from steerability.engine.vocabulary import Vocabulary
from steerability.engine.weights import Weights
from steerability.engine.widths import Widths

GPU_WIDTH = 64


def default_threads() -> int:
    """Return the number of CPUs this process may use."""
    return len(os.sched_getaffinity(0))


class Engine(Prompting):
    """A GGUF model that generates and scores token sequences.

    The vocabulary is loaded at once, the tensors at the first generation or scoring.

    Args:
        path: the GGUF file; of a sharded one the first shard.
        file_bytes: size of all shards; None takes the file's own.
        parallel: sequences at a time; None takes what the memory holds, on a CPU at most 16 for
            each lane (see ``lanes``).
        threads: CPU threads; None takes all. Bytes depend on neither.
        gpu_layers: layers on an accelerator; None for as many as it holds, where there is one.
        share_prefixes: evaluate what prompts have in common once; bytes do not depend on it.

    Raises:
        WeightsError: the file is missing, no GGUF, cut short or not supported.
    """

    def __init__(
        self,
        path: Path,
        *,
        file_bytes: int | None = None,
        parallel: int | None = None,
        threads: int | None = None,
        gpu_layers: int | None = 0,
        share_prefixes: bool = True,
    ) -> None:
        self.path = path
        self.parallel = parallel
        self.threads = threads or default_threads()
        if gpu_layers and not library.offloads():
            raise InputError(
                "this build of llama.cpp or this machine has no accelerator",
                "set gpu_layers to auto or 0",
            )
        self._gpu_layers = gpu_layers if library.offloads() else 0
        self._plan: BatchPlan | None = None
        self.share_prefixes = share_prefixes
        self._facts: dict[str, Any] = {}
        self._header = Weights(path, vocabulary_only=True)
        self._model: Weights | None = None
        self._contexts = Contexts()
        self._adapters = AdapterSets(self._header, self._contexts)
        self.demand = Demand.of(self._header, file_bytes or path.stat().st_size)
        super().__init__(self._header, Vocabulary(self._header))

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free all memory."""
        self._contexts.close()
        self._adapters.close()
        for weights in (self._model, self._header):
            if weights is not None:
                weights.close()
        self._model = None

    @cached_property
    def stop(self) -> frozenset[int]:
        """The vocabulary's own end-of-sequence token, as a set; empty where it has none."""
        return frozenset({self.vocabulary.eos} if self.vocabulary.eos >= 0 else ())

    @property
    def accelerator(self) -> str | None:
        """The name of the accelerator that layers are put on; None on a CPU."""
        return library.device() if self._gpu_layers != 0 else None

    def settle(self, tokens: int) -> BatchPlan | None:
        """Decide how many layers and slots an accelerator gets; the first call decides for good.

        Args:
            tokens: prompt and generated tokens of the longest job of all, those included that
                need not be made.

        Returns:
            The batch plan that belongs into keys; None on a CPU, where bytes do not depend on it.

        Raises:
            MemoryShortError: the memories do not hold the model.
        """
        if self._gpu_layers == 0 or self._plan is not None:
            return self._plan
        free, total = library.device_memory()
        layers = self._gpu_layers or device_layers(self.demand, tokens, total, available())
        if layers == 0:
            self._gpu_layers = 0
            return None
        layers = min(layers, self.demand.layers)
        part = self.demand.part(layers)
        width = self.parallel or device_width(part, tokens, GPU_WIDTH, total)
        needed = part.whole(tokens, width)
        if free < needed:
            raise MemoryShortError(
                f"the accelerator has {gigabytes(free)} of its {gigabytes(total)} free, "
                f"{gigabytes(needed)} are needed",
                "end what else runs on it, or lower parallel",
            )
        self._plan = BatchPlan(library.device(), layers, width)
        return self._plan

    def load(self) -> Weights:
        """Load the tensors, if they are not loaded yet, and return the model."""
        if self._model is None:
            layers = self._plan.gpu_layers if self._plan else 0
            self._model = Weights(self.path, gpu_layers=layers)
        return self._model

    def add_adapter(self, kind: Kind, path: Path) -> str:
        """Read and check an adapter's file, so that jobs may name it by its digest.

        Args:
            kind: ``vector`` (a control vector) or ``lora``.
            path: a GGUF file.

        Returns:
            The file's SHA-256, in hex.

        Raises:
            AdapterError: the file is broken or does not fit the weights.
        """
        return self._adapters.add(kind, path)

    @property
    def model_shape(self) -> ModelShape:
        """What adapters must fit: architecture, width, blocks, tensors."""
        return self._adapters.model

    def generate(
        self,
        jobs: Sequence[Job],
        progress: Callable[[int], None] = lambda tokens: None,
    ) -> Iterator[tuple[int, Generation]]:
        """Generate all jobs.

        Args:
            jobs: what to generate; a job's tokens depend on nothing but the job.
            progress: called with the number of tokens made, at every step.

        Yields:
            ``(index into jobs, generation)`` as each is finished.

        Raises:
            PromptError: a prompt does not fit the context window.
            EngineError: not enough memory, or llama.cpp failed.
        """
        for job in jobs:
            self.check(job.prompt)
        if not jobs:
            return
        longest = max(len(job.prompt) + job.limit(self.window) for job in jobs)
        batches = self.settle(longest)
        widths = self._widths().decoding(longest, largest_group(jobs))
        contexts = self._ready(longest, widths, padded=batches is not None)

        def decoder(context: Context, check: SelfCheck) -> Decoder:
            width = min(check.width, context.layout.width)
            return Decoder(context, width, self.window, share=self.share_prefixes)

        yield from self._run(jobs, contexts, decoder, progress, "seconds_generating")

    def score(
        self,
        jobs: Sequence[ScoreJob],
        progress: Callable[[int], None] = lambda tokens: None,
    ) -> Iterator[tuple[int, Scores]]:
        """Return how likely given continuations are, without generating anything.

        Args:
            jobs: prompts with their continuations; what prompts share is evaluated once, so jobs
                with a long common beginning (a rubric) cost little more than their ends.
            progress: called with the number of prompt tokens done, for every job.

        Yields:
            ``(index into jobs, scores)``; ``scores[c][t]`` is the natural log-probability of token
            ``t`` of continuation ``c`` given all before it, rounded to six decimals.

        Raises:
            PromptError: a prompt with its continuation does not fit the context window.
            EngineError: not enough memory, or llama.cpp failed.
        """
        for job in jobs:
            self.check(job.prompt)
            if not all(job.continuations):
                raise PromptError("a continuation is empty")
            if job.longest > self.window:
                raise PromptError(
                    f"prompt and continuation have {job.longest} tokens, the model's context "
                    f"holds {self.window}"
                )
        if not jobs:
            return
        contexts = self._single(jobs, max(job.longest for job in jobs))

        def scorer(context: Context, _: SelfCheck) -> Scorer:
            return Scorer(context, share=self.share_prefixes)

        yield from self._run(jobs, contexts, scorer, progress, "seconds_scoring")

    def read(
        self,
        jobs: Sequence[ReadJob],
        progress: Callable[[int], None] = lambda tokens: None,
    ) -> Iterator[tuple[int, Activations]]:
        """Read the residual stream after every block, without generating anything.

        Args:
            jobs: prompts, some with an answer to average over.
            progress: called with the number of tokens done, for every job.

        Yields:
            ``(index into jobs, activations)``: float64, blocks × width.

        Raises:
            PromptError: a prompt with its answer does not fit the context window.
            EngineError: not enough memory, or llama.cpp failed or does not show the stream.
        """
        for job in jobs:
            self.check((*job.prompt, *job.answer) if job.prompt else ())
        if not jobs:
            return
        contexts = self._single(jobs, max(job.longest for job in jobs), reading=True)
        blocks = self.model_shape.blocks

        def reader(context: Context, _: SelfCheck) -> Reader:
            return Reader(context, blocks, share=self.share_prefixes)

        yield from self._run(jobs, contexts, reader, progress, "seconds_reading")

    def next_tokens(self, jobs: Sequence[NextJob]) -> Iterator[tuple[int, LogProbabilities]]:
        """Return how likely every token of the vocabulary is after a prompt.

        Yields:
            ``(index into jobs, natural log-probabilities)`` in float64, one for each token id.

        Raises:
            PromptError: a prompt does not fit the context window.
            EngineError: not enough memory, or llama.cpp failed.
        """
        for job in jobs:
            self.check(job.prompt)
        if not jobs:
            return
        contexts = self._single(jobs, max(len(job.prompt) for job in jobs))

        def worker(context: Context, _: SelfCheck) -> NextTokens:
            return NextTokens(context, share=self.share_prefixes)

        yield from self._run(jobs, contexts, worker, lambda tokens: None, "seconds_scoring")

    def _run(
        self,
        jobs: Sequence[AnyJob],
        contexts: Sequence[Context],
        work: Callable[[Context, SelfCheck], Worker],
        progress: Callable[[int], None],
        seconds: str,
    ) -> Iterator[tuple[int, Any]]:
        tally = Tally(contexts)
        self._adapters.prove(dict.fromkeys(job.adapters for job in jobs), self.load())
        wear = partial(self._adapters.wear, weights=self.load())
        try:
            yield from run_groups(jobs, wear, work, tally, progress)
        finally:
            self._facts |= tally.facts(seconds)

    def _single(
        self, jobs: Sequence[AnyJob], tokens: int, *, reading: bool = False
    ) -> Sequence[Context]:
        """Return contexts of one slot each, for work that takes one sequence at a time."""
        self.settle(tokens)
        widths = self._widths().single(tokens, largest_group(jobs))
        return self._ready(tokens, widths, reading=reading)

    def _ready(
        self, tokens: int, widths: Sequence[int], *, padded: bool = False, reading: bool = False
    ) -> Sequence[Context]:
        """Return empty contexts for sequences so long; the last ones if they will do.

        One generator at a time: it owns the slots until it is finished or closed.
        """
        model = self.load()
        threads = parts(max(self.threads, len(widths)), len(widths))
        layouts = [
            Layout(width, cells_for(tokens), share, padded=padded)
            for width, share in zip(widths, threads, strict=True)
        ]
        if self._contexts.ready(model, layouts, reading=reading):
            self._facts |= {
                "threads": self.threads,
                "lanes": len(layouts),
                "gpu_layers": model.gpu_layers,
            }
        return self._contexts.all

    def _widths(self) -> Widths:
        loaded, fixed = self._model is not None, self._plan.width if self._plan else None
        return Widths(self.demand, loaded, self._contexts, self.threads, self.parallel, fixed)

    def facts(self) -> dict[str, Any]:
        """Return what is worth knowing of the work so far and changes no byte of it.

        ``width`` (of all lanes), ``lanes``, ``threads``, ``gpu_layers``, ``self_check``,
        ``seconds_generating``, ``_scoring``, ``_reading`` and ``_in_llama_cpp``,
        ``prompt_tokens_evaluated``, ``prompt_tokens_copied``, ``tokens_generated``.
        """
        return dict(self._facts)
