"""Gemma 3: norms stand behind what blocks write, and embeddings are scaled and tied."""

import gguf
import numpy as np
import pytest

from steerability.engine import Adapter, AdapterError, Adapters, Engine, Job, ReadJob
from steerability.learn.erasure import Tensors, erasing, projections
from steerability.support.errors import UserError
from steerability.verbs.erase import erase
from support.adapters import factors, lora, rows, vector, write
from support.tiny_gemma import SCALE, tiny_gemma

BLOCKS = 3


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return tiny_gemma(tmp_path_factory.mktemp("model") / "gemma.gguf", layers=BLOCKS)


def test_a_vector_shifts_each_block_s_output_by_itself(weights, tmp_path):
    values = rows(BLOCKS)
    path = vector(tmp_path / "v.gguf", values, hint="gemma3_text")
    prompt = tuple(range(9, 80))
    with Engine(weights, threads=1) as engine:
        digest = engine.add_adapter("vector", path)
        plain = dict(engine.read([ReadJob(prompt)]))[0]
        for block in range(1, BLOCKS):
            only = Adapters.of([Adapter("vector", digest, 0.5, (block, block))])
            found = dict(engine.read([ReadJob(prompt, (), only)]))[0]
            shift = found[block] - plain[block]
            np.testing.assert_allclose(shift, 0.5 * values[block - 1], atol=1e-5)


def test_tied_embeddings_are_refused(weights, tmp_path):
    name = "token_embd.weight"
    with Engine(weights, threads=1) as engine:
        pair = factors({name: (64, engine.vocabulary.size)})
        path = lora(tmp_path / "l.gguf", pair, architecture="gemma3")
        with pytest.raises(AdapterError, match="output matrix too"):
            engine.add_adapter("lora", path)
        assert list(engine.generate([Job((9, 10), 2, frozenset())]))


@pytest.mark.parametrize("layer", [1, 2])
def test_erasure_leaves_at_most_a_hundredth_of_the_projection(weights, tmp_path, layer):
    values = rows(BLOCKS, seed=4)
    path = vector(tmp_path / "v.gguf", values, hint="gemma3")
    erase(weights, path, tmp_path / "l.gguf", layer=layer)
    table = next(t for t in gguf.GGUFReader(weights).tensors if t.name == "token_embd.weight")
    prompts = [tuple(range(9 + number, 70 + 9 * number)) for number in range(4)]
    with Engine(weights, threads=2) as engine:
        digest = engine.add_adapter("lora", tmp_path / "l.gguf")
        sizes = []
        for adapters in (Adapters(), Adapters.of([Adapter("lora", digest)])):
            found = dict(engine.read([ReadJob(prompt, (), adapters) for prompt in prompts]))
            stream = [
                found[number] - SCALE * table.data[prompt[-1]]
                for number, prompt in enumerate(prompts)
            ]
            along = projections(np.concatenate(stream), values[layer - 1].astype(float))
            sizes.append(np.abs(along).mean())
    assert sizes[0] > 0.3 and sizes[1] <= 0.01 * sizes[0]


def test_a_norm_whose_place_is_not_known_is_refused(tmp_path):
    """With one of the two norms it might stand before or behind."""
    source = tiny_gemma(tmp_path / "gemma.gguf", layers=2)
    tensors = {t.name: t.data for t in gguf.GGUFReader(source).tensors if "ffw" not in t.name}
    path = write(tmp_path / "odd.gguf", "gemma3", tensors)
    with pytest.raises(UserError, match=r"post_attention_norm.weight, of which it is not known"):
        erasing(Tensors(path), np.ones(64), 2, path)
