"""Adapters in the engine: what they do to logits, and that nothing else does.

Compared are digests of every row of logits that a request sees.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from steerability.engine import (
    NONE,
    Adapter,
    AdapterError,
    Adapters,
    Engine,
    Job,
    ReadJob,
    Sampling,
)
from steerability.engine.adapterfiles import ModelShape, read_lora
from steerability.engine.context import CHUNK, Context, Layout
from steerability.engine.fitted import Fitted, merged
from steerability.engine.sampling import greedy
from support.adapters import SteeredModel, factors, lora, rows, shapes, vector
from support.models import requantize, smollm2, tiny

LENGTHS = (1, 7, CHUNK, CHUNK + 1, 2 * CHUNK + 1, 180, 250, 300)
BLOCKS = 3
SETS = ("vector", "lora", "both")


@pytest.fixture(scope="module", params=[False, True], ids=["dense", "mixture"])
def model(request, tmp_path_factory) -> SteeredModel:
    return SteeredModel(tmp_path_factory.mktemp("model"), moe=request.param)


class Recorder:
    """Takes the place of the sampler: greedy, and a digest of every row of logits."""

    def __init__(self) -> None:
        self.rows: dict[int, list[str]] = {}

    def chooser(self, sampling: Sampling):
        seen = self.rows.setdefault(int(sampling.stream, 16), [])

        def choose(logits: np.ndarray) -> int:
            seen.append(hashlib.sha256(logits.tobytes()).hexdigest()[:16])
            return greedy(logits)

        return choose


def jobs(size: int, adapters: list[Adapters]) -> list[Job]:
    """Jobs with common beginnings, of every length, under every adapter set."""
    generator = np.random.Generator(np.random.Philox(key=7))
    common = generator.integers(7, size, 512).tolist()
    found = []
    for number, length in enumerate(LENGTHS):
        own = generator.integers(7, size, length).tolist()
        prompt = tuple((common[: (0, 128)[number % 2]] + own)[:length])
        found += [Job(prompt, 1 + 3 * (number % 4), frozenset(), None, one) for one in adapters]
    return [
        replace(job, sampling=Sampling(1.0, stream=f"{number:064x}"))
        for number, job in enumerate(found)
    ]


def record(model: SteeredModel, names: tuple[str, ...], chosen: list[int] | None = None, **options):
    recorder = Recorder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("steerability.engine.decoding.chooser", recorder.chooser)
        with Engine(model.path, **options) as engine:
            every = jobs(engine.vocabulary.size, [model.adapters(engine, name) for name in names])
            order = range(len(every)) if chosen is None else chosen
            for _ in engine.generate([every[number] for number in order]):
                pass
            assert engine.facts()["self_check"]["differs"] == []
    return recorder.rows


REFERENCE: dict[Path, dict[int, list[str]]] = {}
NAMES = ("none", *SETS)


def reference(model: SteeredModel) -> dict[int, list[str]]:
    """Every job in an engine of its own: width 1, one thread, nothing shared."""
    if model.path not in REFERENCE:
        count = len(LENGTHS) * len(NAMES)
        REFERENCE[model.path] = {
            number: record(model, NAMES, [number], parallel=1, threads=1, share_prefixes=False)[
                number
            ]
            for number in range(count)
        }
    return REFERENCE[model.path]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("width", [1, 2, 3, 5, 8, 16])
def test_logits_under_adapters_are_those_of_the_request_alone(model, width, threads):
    alone = reference(model)
    order = np.random.default_rng(width).permutation(len(alone)).tolist()
    assert record(model, NAMES, order, parallel=width, threads=threads) == alone


def test_every_set_gives_other_logits_than_every_other(model):
    alone = reference(model)
    firsts = [[alone[at + n][0] for n in range(4)] for at in range(0, len(alone), 4)]
    assert all(len(set(group)) == 4 for group in firsts)


@pytest.mark.heavy
@pytest.mark.parametrize("kind", ["Q4_1", "Q8_0", "Q4_K_M"])
def test_quantised_weights_do_the_same(kind, tmp_path):
    model = Wide(tmp_path, kind)
    alone = reference(model)
    for width, threads in ((3, 2), (16, 1)):
        assert record(model, NAMES, parallel=width, threads=threads) == alone


class Wide(SteeredModel):
    """Weights whose rows fill the blocks of every quantisation."""

    def __init__(self, folder: Path, kind: str) -> None:
        source = tiny(folder / "wide.gguf", width=256, layers=BLOCKS)
        self.path = requantize(source, folder / f"{kind}.gguf", kind)
        self.moe = False
        self.vector = vector(folder / "v.gguf", rows(BLOCKS, 256))
        named = {
            "blk.0.attn_output.weight": (256, 256),
            "blk.1.ffn_down.weight": (256, 512),
        }
        self.loras = [
            lora(folder / f"l{n}.gguf", factors(named, rank=1 + n, seed=n)) for n in (0, 1)
        ]


@pytest.mark.heavy
def test_the_real_model_s_logits_are_equal_at_every_width(tmp_path):
    model = Real(tmp_path)
    alone = record(model, NAMES, parallel=1, threads=1, share_prefixes=False)
    for width, threads in ((2, 2), (5, 1), (16, 2)):
        assert record(model, NAMES, parallel=width, threads=threads) == alone


class Real(SteeredModel):
    """SmolLM2 with a vector and two LoRA made for it."""

    def __init__(self, folder: Path) -> None:
        self.path = smollm2()
        self.moe = False
        self.vector = vector(folder / "v.gguf", rows(30, 576), hint="llama")
        named = {"blk.3.attn_output.weight": (576, 576), "blk.9.ffn_down.weight": (576, 1536)}
        self.loras = [
            lora(folder / f"l{n}.gguf", factors(named, 1 + n, n, 0.1), architecture="llama")
            for n in (0, 1)
        ]


def first_logits(engine: Engine, adapters: Adapters) -> bytes:
    seen: list[bytes] = []

    def chooser(_):
        def choose(logits: np.ndarray) -> int:
            seen.append(logits.tobytes())
            return greedy(logits)

        return choose

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("steerability.engine.decoding.chooser", chooser)
        prompt = tuple(range(8, 100))
        list(engine.generate([Job(prompt, 3, frozenset(), None, adapters)]))
    return b"".join(seen)


def test_zeros_and_cleared_adapters_equal_none_bit_for_bit(model, tmp_path):
    zero = vector(tmp_path / "zero.gguf", np.zeros_like(model.rows), hint=model.arch)
    named = factors(shapes(moe=model.moe))
    nothing = lora(
        tmp_path / "nothing.gguf",
        {name: values * (0 if name.endswith("b") else 1) for name, values in named.items()},
        architecture=model.arch,
    )
    with Engine(model.path, threads=1) as engine:
        before = first_logits(engine, NONE)
        digests = [engine.add_adapter("vector", zero), engine.add_adapter("lora", nothing)]
        for kind, digest in zip(("vector", "lora"), digests, strict=True):
            assert first_logits(engine, Adapters.of([Adapter(kind, digest)])) == before
        both = model.adapters(engine, "both")
        assert first_logits(engine, both) != before
        weak = [replace(one, strength=0.0) for one in (*both.vectors, *both.loras)]
        assert Adapters.of(weak) == NONE and not Adapters.of(weak).key()
        assert first_logits(engine, NONE) == before
        assert first_logits(engine, both) != before


class Everywhere(Fitted):
    """Rows that llama.cpp is told to add to every block, be they zero."""

    span = (1, BLOCKS - 1)


def test_llama_cpp_itself_adds_zeros_without_a_trace(model):
    some = Adapters((Adapter("vector", "a"),))
    with Engine(model.path, threads=1) as engine:
        context = Context(engine.load(), Layout(1, 256, 1))
        prompt = list(range(8, 100))
        before = context.prompt(0, prompt).tobytes()
        for values, same in ((model.rows, False), (np.zeros_like(model.rows), True)):
            context.wear(Everywhere(some, values))
            assert (context.prompt(0, prompt).tobytes() == before) == same
        context.wear(Fitted(NONE))
        assert context.prompt(0, prompt).tobytes() == before
        context.close()


def test_a_vector_shifts_the_next_block_s_input_by_itself(model):
    """What is read is the output of each block, which is the input of the next."""
    with Engine(model.path, threads=1) as engine:
        digest = engine.add_adapter("vector", model.vector)
        prompt = tuple(range(8, 100))
        plain = dict(engine.read([ReadJob(prompt)]))[0]
        for block in range(1, BLOCKS):
            only = Adapters.of([Adapter("vector", digest, 0.5, (block, block))])
            found = dict(engine.read([ReadJob(prompt, (), only)]))[0]
            np.testing.assert_allclose(
                found[block] - plain[block], 0.5 * model.rows[block - 1], atol=1e-5
            )
            assert np.array_equal(found[:block], plain[:block])


def test_several_lora_are_merged_in_their_order(model):
    """B₁A₁ s₁ α₁/r₁ + B₂A₂ s₂ α₂/r₂, computed here in float64."""
    with Engine(model.path) as engine:
        shape = ModelShape.of(engine._header)
    files = [read_lora(path, shape) for path in model.loras]
    chosen = tuple(Adapter("lora", f.sha256, s) for f, s in zip(files, (0.5, -2.0), strict=True))
    found = merged(chosen, {file.sha256: file for file in files})
    ones, others = (file.pairs() for file in files)
    assert files[0].alpha == 0 and files[1].alpha == 4
    for name, (a, b) in found.items():
        assert a.shape[-2] == b.shape[-1] == 3
        assert np.array_equal(a[..., :1, :], ones[name][0])
        wanted = (
            0.5 * ones[name][1].astype(float) @ ones[name][0]
            + (-2.0 * 4 / 2) * others[name][1].astype(float) @ others[name][0]
        )
        np.testing.assert_allclose(b.astype(float) @ a, wanted, atol=1e-5)


def test_a_merged_lora_does_what_changed_weights_do(tmp_path):
    """The reference: the same tiny model with W + BA in its file."""
    import gguf

    named = shapes(moe=False)
    pairs = factors(named, rank=2, scale=0.1)
    plain = tiny(tmp_path / "plain.gguf", layers=BLOCKS)
    changed = tmp_path / "changed.gguf"
    changed.write_bytes(plain.read_bytes())
    reader = gguf.GGUFReader(changed, "r+")
    for tensor in reader.tensors:
        if tensor.name in named:
            a, b = (pairs[f"{tensor.name}.lora_{side}"] for side in "ab")
            tensor.data[:] += 0.5 * b @ a
    reader.data.flush()
    path = lora(tmp_path / "l.gguf", pairs)
    prompt = tuple(range(8, 60))
    with Engine(plain, threads=1) as engine:
        digest = engine.add_adapter("lora", path)
        adapters = Adapters.of([Adapter("lora", digest, 0.5)])
        found = dict(engine.read([ReadJob(prompt, (), adapters)]))[0]
        bare = dict(engine.read([ReadJob(prompt)]))[0]
    with Engine(changed, threads=1) as engine:
        wanted = dict(engine.read([ReadJob(prompt)]))[0]
    # keys and values are kept in 16 bits
    np.testing.assert_allclose(found, wanted, atol=5e-3)
    assert np.abs(bare - wanted).max() > 0.1


def test_layers_restrict_vectors_and_lora(model):
    with Engine(model.path, threads=1) as engine:
        adapters = model.adapters(engine, "both")
        first = Adapters.of(
            replace(one, layers=(1, 1)) for one in (*adapters.vectors, *adapters.loras)
        )
        prompt = tuple(range(8, 60))
        plain, found = (dict(engine.read([ReadJob(prompt, (), one)]))[0] for one in (NONE, first))
        assert np.array_equal(plain[0], found[0]) and not np.array_equal(plain[1], found[1])
        with pytest.raises(AdapterError, match="nothing for the layers 40 to 41"):
            only = Adapters.of([replace(adapters.loras[0], layers=(40, 41))])
            list(engine.generate([Job(prompt, 1, frozenset(), None, only)]))
