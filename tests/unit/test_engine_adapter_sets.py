"""Adapter sets: what belongs to one is not taken by another; scores, keys, refusals."""

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
    ScoreJob,
    choice_key,
    generation_key,
)
from steerability.engine.adapterfiles import read_vector
from steerability.engine.context import CHUNK, Context, Layout
from steerability.engine.fitted import Fitted, fit, put_on
from steerability.engine.prefixes import Prefixes
from support.adapters import SteeredModel

NAMES = ("none", "vector", "lora", "both")


@pytest.fixture(scope="module", params=[False, True], ids=["dense", "mixture"])
def model(request, tmp_path_factory) -> SteeredModel:
    return SteeredModel(tmp_path_factory.mktemp("model"), moe=request.param)


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
        assert list(engine.generate([Job((9,), 1, frozenset())]))


def test_put_on_refuses_what_llama_cpp_refuses(model):
    with Engine(model.path, threads=1) as engine:
        context = Context(engine.load(), Layout(1, 256, 1))
        wrong = Fitted(Adapters((Adapter("vector", "a"),)), model.rows[:, :32].copy())
        with pytest.raises(EngineError, match="control vector"):
            put_on(context._raw, wrong)
        context.close()
