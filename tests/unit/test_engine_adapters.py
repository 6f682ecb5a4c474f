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
    EngineError,
    Job,
    ReadJob,
    Sampling,
    ScoreJob,
    choice_key,
    generation_key,
)
from steerability.engine.adapterfiles import ModelShape, read_lora, read_vector
from steerability.engine.context import CHUNK, Context, Layout
from steerability.engine.fitted import Fitted, fit, merged, put_on
from steerability.engine.prefixes import Prefixes
from steerability.engine.sampling import greedy
from support.adapters import factors, lora, rows, shapes, vector
from support.models import requantize, smollm2, tiny

LENGTHS = (1, 7, CHUNK, CHUNK + 1, 2 * CHUNK + 1, 180, 250, 300)
BLOCKS = 3
SETS = ("vector", "lora", "both")


@pytest.fixture(scope="module", params=[False, True], ids=["dense", "mixture"])
def model(request, tmp_path_factory) -> "Model":
    return Model(tmp_path_factory.mktemp("model"), moe=request.param)


class Model:
    """Tiny weights with a vector and two LoRA, quantised as the embedded model is."""

    def __init__(self, folder: Path, *, moe: bool, kind: str = "F32") -> None:
        self.folder, self.moe = folder, moe
        self.arch = "qwen3moe" if moe else "qwen3"
        self.path = tiny(folder / "tiny.gguf", moe=moe, layers=BLOCKS)
        if kind != "F32":
            self.path = requantize(self.path, folder / f"{kind}.gguf", kind)
        self.rows = rows(BLOCKS)
        self.vector = vector(folder / "v.gguf", self.rows, hint=self.arch)
        self.loras = [
            lora(
                folder / f"l{seed}.gguf",
                factors(shapes(moe=moe), rank=1 + seed, seed=seed),
                architecture=self.arch,
                alpha=4.0 * seed,
            )
            for seed in (0, 1)
        ]

    def adapters(self, engine: Engine, name: str) -> Adapters:
        one = Adapter("vector", engine.add_adapter("vector", self.vector), 0.5)
        others = [Adapter("lora", engine.add_adapter("lora", path), 0.7) for path in self.loras]
        chosen = {"none": [], "vector": [one], "lora": others[:1], "both": [one, *others]}
        return Adapters.of(chosen[name])


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


def record(model: Model, names: tuple[str, ...], chosen: list[int] | None = None, **options):
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


def reference(model: Model) -> dict[int, list[str]]:
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


class Wide(Model):
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


class Real(Model):
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


@pytest.mark.parametrize("call", ["evaluate", "replace"])
def test_a_prefix_of_one_adapter_is_not_taken_under_another(model, call):
    """Without the guard in ``Prefixes`` the second prompt starts from the first one's cache."""
    with Engine(model.path, threads=1) as engine:
        weights = engine.load()
        digest = engine.add_adapter("vector", model.vector)
        files = {digest: read_vector(model.vector, engine._adapters.model)}
        steered = fit(
            Adapters.of([Adapter("vector", digest)]), weights, engine._adapters.model, files, {}
        )
        context = Context(weights, Layout(1, 512, 1))
        head = list(range(8, 8 + 3 * CHUNK))
        one, two = [*head, 20, 21, 22], [*head, 30, 31, 32]

        def ask(prefixes, prompt, following=None):
            if call == "replace":
                return prefixes.replace(0, prompt).copy()
            return prefixes.evaluate(0, prompt, following).copy()

        context.wear(steered)
        wanted = ask(Prefixes(context), two)
        context.wear(Fitted(NONE))
        prefixes = Prefixes(context)
        ask(prefixes, one, two)
        context.wear(steered)
        found = ask(prefixes, two)
        assert found.tobytes() == wanted.tobytes()
        assert prefixes.copied == 0
        assert ask(prefixes, two, None).tobytes() == wanted.tobytes()
        context.close()


def test_keys_and_values_of_other_adapters_are_refused(model):
    with Engine(model.path, threads=1) as engine:
        context = Context(engine.load(), Layout(2, 256, 1))
        context.prompt(0, [9, 10, 11])
        state = context.save(0)
        context.restore(1, state)
        context.wear(Fitted(Adapters((Adapter("vector", "a"),)), model.rows))
        with pytest.raises(EngineError, match="other adapters"):
            context.restore(0, state)
        context.wear(Fitted(NONE))
        context.restore(0, state)
        context.close()


def test_an_adapter_put_on_empties_every_slot(model):
    with Engine(model.path, threads=1) as engine:
        context = Context(engine.load(), Layout(1, 256, 1))
        prompt = list(range(9, 60))
        alone = context.prompt(0, prompt).tobytes()
        context.wear(Fitted(Adapters((Adapter("vector", "a"),)), model.rows))
        context.wear(Fitted(NONE))
        assert context.prompt(0, prompt).tobytes() == alone
        context.close()


def score_jobs(size: int, adapters: list[Adapters]) -> list[ScoreJob]:
    generator = np.random.Generator(np.random.Philox(key=9))
    common = generator.integers(7, size, 130).tolist()
    found = []
    for length in (3, 64, 65, 140):
        own = generator.integers(7, size, length).tolist()
        answers = tuple(
            tuple(generator.integers(7, size, count).tolist()) for count in (1, 2, 65, 66)
        )
        found += [ScoreJob((*common, *own), answers, one) for one in adapters]
    return found


@pytest.mark.parametrize("share", [True, False])
def test_scores_under_adapters_do_not_depend_on_company(model, share):
    def scores(order=None, **options):
        with Engine(model.path, **options) as engine:
            every = score_jobs(
                engine.vocabulary.size, [model.adapters(engine, name) for name in NAMES]
            )
            chosen = list(range(len(every))) if order is None else order
            return {chosen[at]: found for at, found in engine.score([every[n] for n in chosen])}

    alone = scores(parallel=1, threads=1, share_prefixes=False)
    assert len(set(alone.values())) == len(alone) == 16
    for width in (1, 2, 3, 8, 16):
        order = np.random.default_rng(width).permutation(16).tolist()
        found = scores(order, parallel=width, threads=2, share_prefixes=share)
        assert found == alone
        part = scores(order[:3], parallel=width, threads=1, share_prefixes=share)
        assert part == {number: alone[number] for number in order[:3]}


def test_keys_name_adapters_only_where_there_are_any():
    some = Adapters.of(
        [
            Adapter("lora", "b" * 64, 0.5),
            Adapter("vector", "a" * 64, -1.0, (3, 7)),
            Adapter("vector", "c" * 64, 0.0),
        ]
    )
    plain = generation_key("f" * 64, [1, 2], 3, [4])
    assert generation_key("f" * 64, [1, 2], 3, [4], adapters=NONE) == plain
    assert set(plain) == {"kind", "engine", "weights", "prompt", "max_tokens", "stop"}
    key = generation_key("f" * 64, [1, 2], 3, [4], adapters=some)
    assert key == plain | {
        "adapters": [
            {"kind": "vector", "sha256": "a" * 64, "strength": -1.0, "layers": [3, 7]},
            {"kind": "lora", "sha256": "b" * 64, "strength": 0.5},
        ]
    }
    choice = choice_key("f" * 64, (1, 2), ((3,), (4, 5)))
    assert choice == {
        "kind": "choice",
        "engine": plain["engine"],
        "weights": "f" * 64,
        "prompt": [1, 2],
        "continuations": [[3], [4, 5]],
    }
    assert choice_key("f" * 64, (1, 2), ((3,), (4, 5)), adapters=some)["adapters"] == some.key()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"strength": float("nan")}, "no finite number"),
        ({"strength": float("inf")}, "no finite number"),
        ({"layers": (5, 3)}, "are none"),
        ({"layers": (-1, 3)}, "are none"),
    ],
)
def test_adapters_that_make_no_sense_are_refused(change, words):
    with pytest.raises(AdapterError, match=words):
        Adapter("vector", "a" * 64, **change)


def test_numbers_that_overflow_are_refused(model):
    with Engine(model.path, threads=1) as engine:
        for kind, path in (("vector", model.vector), ("lora", model.loras[0])):
            adapters = Adapters.of([Adapter(kind, engine.add_adapter(kind, path), 1e39)])
            with pytest.raises(AdapterError, match="exceeds"):
                list(engine.generate([Job((9,), 1, frozenset(), None, adapters)]))
        assert first_logits(engine, NONE)


def test_put_on_refuses_what_llama_cpp_refuses(model):
    with Engine(model.path, threads=1) as engine:
        context = Context(engine.load(), Layout(1, 256, 1))
        wrong = Fitted(Adapters((Adapter("vector", "a"),)), model.rows[:, :32].copy())
        with pytest.raises(EngineError, match="control vector"):
            put_on(context._raw, wrong)
        context.close()
