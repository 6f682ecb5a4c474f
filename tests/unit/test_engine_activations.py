"""What is read of the residual stream: the right numbers, the same bits, no trace in logits."""

import numpy as np
import pytest

from steerability.engine import (
    Adapter,
    Adapters,
    Engine,
    Job,
    PromptError,
    ReadJob,
    ScoreJob,
    WeightsError,
)
from steerability.engine.context import CHUNK, Context, Layout
from steerability.engine.taps import Tap
from support.adapters import rows, vector
from support.models import requantize, smollm2, tiny
from support.numpy_qwen import blocks, read

BLOCKS = 3


@pytest.fixture(scope="module", params=[False, True], ids=["dense", "mixture"])
def weights(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    return tiny(folder / "tiny.gguf", moe=request.param, layers=BLOCKS)


def jobs(size: int) -> list[ReadJob]:
    """Texts of many lengths with common beginnings, half of them with an answer."""
    generator = np.random.Generator(np.random.Philox(key=4))
    common = generator.integers(7, size, 200).tolist()
    found = []
    for number, length in enumerate((1, 2, CHUNK, CHUNK + 1, 2 * CHUNK + 1, 180, 300)):
        own = generator.integers(7, size, length).tolist()
        prompt = tuple((common[: (0, 130)[number % 2]] + own)[:length])
        answer = tuple(generator.integers(7, size, (1, 2, 64, 65, 70)[number % 5]).tolist())
        found += [ReadJob(prompt), ReadJob(prompt, answer)]
    return found


def test_activations_are_those_of_a_second_implementation(tmp_path):
    path = tiny(tmp_path / "tiny.gguf", layers=BLOCKS)
    values = read(path)
    with Engine(path, threads=1) as engine:
        wanted = jobs(engine.vocabulary.size)
        found = dict(engine.read(wanted))
    for number, job in enumerate(wanted):
        stream = blocks(values, [*job.prompt, *job.answer])
        start = len(job.prompt) if job.answer else len(job.prompt) - 1
        right = stream[:, start:].mean(axis=1)
        assert found[number].shape == right.shape == (BLOCKS, 64)
        assert distance(found[number], right) < 5e-3


def distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest relative difference of a row; llama.cpp keeps keys and values in 16 bits."""
    return (np.linalg.norm(ours - theirs, axis=1) / np.linalg.norm(theirs, axis=1)).max()


def test_under_a_vector_they_are_too(tmp_path):
    path = tiny(tmp_path / "tiny.gguf", layers=BLOCKS)
    added = rows(BLOCKS)
    prompt = tuple(range(9, 60))
    right = blocks(read(path), prompt, added={1: 2 * added[0], 2: 2 * added[1]})[:, -1]
    with Engine(path, threads=1) as engine:
        digest = engine.add_adapter("vector", vector(tmp_path / "v.gguf", added))
        steered = Adapters.of([Adapter("vector", digest, 2.0)])
        found = dict(engine.read([ReadJob(prompt, (), steered)]))[0]
    assert distance(found, right) < 5e-3


@pytest.mark.parametrize(
    "options",
    [
        {"parallel": 1, "threads": 2},
        {"parallel": 3, "threads": 2},
        {"parallel": 16, "threads": 1},
        {"parallel": 2, "threads": 2, "share_prefixes": False},
    ],
)
def test_the_same_bits_at_any_width_threads_and_order(weights, options):
    def found(order=None, **given):
        with Engine(weights, **given) as engine:
            every = jobs(engine.vocabulary.size)
            chosen = list(range(len(every))) if order is None else order
            done = engine.read([every[number] for number in chosen])
            return {chosen[at]: values.tobytes() for at, values in done}

    alone = found(parallel=1, threads=1, share_prefixes=False)
    order = np.random.default_rng(1).permutation(len(alone)).tolist()
    assert found(order, **options) == alone
    assert found(order[:3], **options) == {number: alone[number] for number in order[:3]}


@pytest.mark.parametrize("threads", [1, 2])
def test_logits_are_the_same_bits_while_reading(weights, threads):
    with Engine(weights) as engine:
        tap = Tap()
        plain, tapped = (
            Context(engine.load(), Layout(2, 512, threads), tap=one) for one in (None, tap)
        )
        prompt = list(range(9, 209))
        wanted = plain.prompt(0, prompt).tobytes()
        steps = plain.step([11], [200]).tobytes()
        for tap.on in (False, True):
            tapped.clear()
            assert tapped.prompt(0, prompt).tobytes() == wanted
            assert tapped.step([11], [200]).tobytes() == steps
        plain.close()
        tapped.close()


@pytest.mark.heavy
def test_logits_of_the_real_model_are_the_same_bits_while_reading():
    with Engine(smollm2()) as engine:
        tap = Tap()
        tap.on = True
        prompt = list(range(1000, 1200))
        plain, tapped = (Context(engine.load(), Layout(1, 512, 2), tap=one) for one in (None, tap))
        assert plain.prompt(0, prompt).tobytes() == tapped.prompt(0, prompt).tobytes()
        assert tap.rows(30, 8, [7]).shape == (30, 1, 576)
        plain.close()
        tapped.close()


def test_generating_reading_and_scoring_take_turns(weights):
    with Engine(weights, threads=2) as engine:
        wanted = jobs(engine.vocabulary.size)[:2]
        first = dict(engine.read(wanted))
        prompt = wanted[1].prompt
        assert list(engine.generate([Job(prompt, 2, frozenset())]))
        assert list(engine.score([ScoreJob(prompt, ((9,),))]))
        again = dict(engine.read(wanted))
        assert all(np.array_equal(first[number], again[number]) for number in first)


def test_quantised_weights_are_read_the_same(tmp_path):
    source = tiny(tmp_path / "wide.gguf", width=256, layers=BLOCKS)
    path = requantize(source, tmp_path / "q.gguf", "Q4_1")
    found = []
    for options in ({"parallel": 1, "threads": 1}, {"parallel": 4, "threads": 2}):
        with Engine(path, **options) as engine:
            every = jobs(engine.vocabulary.size)
            done = dict(engine.read(every))
        found.append([done[number].tobytes() for number in range(len(every))])
    assert found[0] == found[1]


def test_what_does_not_fit_is_refused(weights):
    with Engine(weights) as engine:
        for job in (ReadJob(()), ReadJob((9,) * 900, (9,) * 200)):
            with pytest.raises(PromptError):
                list(engine.read([job]))


def test_an_architecture_that_does_not_name_its_blocks_is_refused():
    with pytest.raises(WeightsError, match="does not show"):
        Tap().rows(2, 4, [3])
