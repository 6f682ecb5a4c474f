"""Adapter files that are broken or do not fit: one error each, and the process goes on."""

import numpy as np
import pytest

from steerability.engine import Adapter, AdapterError, Adapters, Engine, Job
from steerability.engine import fitted as fitted_module
from steerability.engine.adapterfiles import ModelShape, read_lora, read_vector
from steerability.engine.weights import Weights
from support.adapters import factors, lora, rows, shapes, vector, write
from support.models import sha256, smollm2, tiny

BLOCKS = 3


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("model") / "tiny.gguf", layers=BLOCKS)


@pytest.fixture(scope="module")
def mixture(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("model") / "moe.gguf", layers=BLOCKS, moe=True)


def shape_of(path) -> ModelShape:
    weights = Weights(path, vocabulary_only=True)
    try:
        return ModelShape.of(weights)
    finally:
        weights.close()


def test_a_model_s_shape_is_read_off_its_header(weights):
    shape = shape_of(weights)
    assert (shape.architecture, shape.width, shape.blocks) == ("qwen3", 64, BLOCKS)
    assert shape.tensors["blk.1.ffn_down.weight"] == (128, 64)
    assert "output.weight" in shape.tensors


def test_a_vector_s_rows_are_those_of_its_blocks(weights, tmp_path):
    values = rows(BLOCKS)
    whole = read_vector(vector(tmp_path / "v.gguf", values), shape_of(weights))
    assert np.array_equal(whole.rows, values)
    assert whole.sha256 == sha256(tmp_path / "v.gguf")
    second = write(tmp_path / "2.gguf", "controlvector", {"direction.2": values[1]})
    partly = read_vector(second, shape_of(weights))
    assert np.array_equal(partly.rows[1], values[1]) and not partly.rows[0].any()


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_a_lora_s_factors_are_read_in_32_bits(weights, tmp_path, kind):
    tensors = {name: v.astype(kind) for name, v in factors(shapes(moe=False)).items()}
    file = read_lora(lora(tmp_path / "l.gguf", tensors, alpha=3.0), shape_of(weights))
    assert file.alpha == 3.0 and set(file.names) == set(shapes(moe=False))
    for name, (a, b) in file.pairs().items():
        assert np.array_equal(a, tensors[f"{name}.lora_a"].astype(np.float32))
        assert np.array_equal(b, tensors[f"{name}.lora_b"].astype(np.float32))


ROW = np.ones(64, np.float32)
VECTORS = {
    "wrong width": ({"direction.1": np.ones(32, np.float32)}, {}, "size 32, .* width is 64"),
    "two dimensions": ({"direction.1": np.ones((2, 64), np.float32)}, {}, "size 64 × 2"),
    "too many blocks": ({"direction.3": ROW}, {}, "4 blocks or more, the weights have 3"),
    "layer count": (
        {"direction.1": ROW},
        {"controlvector__layer_count": 31},
        "31 blocks or more",
    ),
    "wrong architecture": (
        {"direction.1": ROW},
        {"controlvector__model_hint": "llama"},
        "architecture llama, the weights are qwen3",
    ),
    "half precision": ({"direction.1": ROW.astype(np.float16)}, {}, "F16, not F32"),
    "no numbers": ({"direction.1": ROW * np.nan}, {}, "no finite number"),
    "infinite": ({"direction.1": ROW * np.inf}, {}, "no finite number"),
    "block 0": ({"direction.0": ROW}, {}, "direction.0"),
    "other name": ({"blk.1": ROW}, {}, "tensor blk.1"),
    "nothing": ({}, {}, "holds no direction"),
    "a hint that is a number": (
        {"direction.1": ROW},
        {"controlvector__model_hint": 7},
        "model_hint is no text",
    ),
}


@pytest.mark.parametrize("case", VECTORS)
def test_a_vector_that_does_not_fit_is_refused(weights, tmp_path, case):
    tensors, fields, words = VECTORS[case]
    path = write(tmp_path / "v.gguf", "controlvector", tensors, **fields)
    with Engine(weights) as engine, pytest.raises(AdapterError, match=words) as found:
        engine.add_adapter("vector", path)
    assert found.value.where == path


@pytest.mark.parametrize(
    ("hint", "architecture"),
    [("qwen3_moe", "qwen3moe"), ("Mistral", "llama"), ("gemma3_text", "gemma3"), ("", "qwen3")],
)
def test_hints_in_the_words_of_other_programs_are_understood(hint, architecture, tmp_path):
    shape = ModelShape(architecture, 64, BLOCKS, {})
    assert read_vector(vector(tmp_path / "v.gguf", rows(BLOCKS), hint=hint), shape).sha256


def pair(name: str, outputs: int, inputs: int, rank: int = 2) -> dict[str, np.ndarray]:
    return factors({name: (outputs, inputs)}, rank)


DOWN = "blk.1.ffn_down.weight"
GOOD = pair(DOWN, 64, 128)
LORAS = {
    "wrong width": (pair(DOWN, 64, 96), {}, "sizes 96 × 2 and 2 × 64, .* 128 × 64"),
    "wrong height": (pair(DOWN, 32, 128), {}, "sizes"),
    "ranks differ": (
        {**GOOD, f"{DOWN}.lora_a": np.ones((3, 128), np.float32)},
        {},
        "sizes 128 × 3 and 2 × 64",
    ),
    "transposed": ({name: v.T for name, v in GOOD.items()}, {}, "sizes"),
    "wrong architecture": (GOOD, {"architecture": "llama"}, "llama, the weights are qwen3"),
    "unknown tensor": (pair("blk.9.ffn_down.weight", 64, 128), {}, "which the weights have not"),
    "one half": ({f"{DOWN}.lora_a": GOOD[f"{DOWN}.lora_a"]}, {}, "lora_b is missing"),
    "a norm": (
        {**GOOD, "blk.1.ffn_norm.weight": np.ones(64, np.float32)},
        {},
        "no factor of a LoRA",
    ),
    "a norm's factors": (pair("blk.1.ffn_norm.weight", 1, 64), {}, "no matrix"),
    "whole numbers": (
        {name: np.ones(v.shape, np.int32) for name, v in GOOD.items()},
        {},
        "type I32",
    ),
    "no numbers": ({name: v * np.nan for name, v in GOOD.items()}, {}, "no finite number"),
    "nothing": ({}, {}, "holds no tensors"),
    "no adapter": (GOOD, {"general__type": "model"}, "is no LoRA but a model file"),
    "a type that is a number": (GOOD, {"general__type": 7}, "general.type is no text"),
    "another kind": (GOOD, {"adapter__type": "ia3"}, "type ia3"),
    "alpha a whole number": (GOOD, {"alpha": 3}, "no 32-bit number"),
    "alpha endless": (GOOD, {"alpha": float("inf")}, "no 32-bit number"),
    "activated": (GOOD, {"adapter__alora__invocation_tokens": [1, 2]}, "activated LoRA"),
}


@pytest.mark.parametrize("case", LORAS)
def test_a_lora_that_does_not_fit_is_refused(weights, tmp_path, case):
    tensors, fields, words = LORAS[case]
    path = lora(tmp_path / "l.gguf", tensors, **fields)
    with Engine(weights) as engine, pytest.raises(AdapterError, match=words) as found:
        engine.add_adapter("lora", path)
    assert found.value.where == path


@pytest.mark.parametrize("experts", [2, 5])
def test_a_lora_for_another_number_of_experts_is_refused(mixture, tmp_path, experts):
    tensors = factors({"blk.1.ffn_down_exps.weight": (experts, 64, 128)})
    path = lora(tmp_path / "l.gguf", tensors, architecture="qwen3moe")
    with Engine(mixture) as engine, pytest.raises(AdapterError, match="sizes"):
        engine.add_adapter("lora", path)


def embedding(size: int, width: int) -> dict[str, np.ndarray]:
    """Factors of the token embeddings, which llama.cpp wants the other way round."""
    name, ones = "token_embd.weight", np.full((size, 2), 0.1, np.float32)
    other = np.random.default_rng(1).standard_normal((width, 2)).astype(np.float32)
    return {f"{name}.lora_a": ones, f"{name}.lora_b": other}


def test_token_embeddings_that_are_the_output_matrix_too_are_refused(tmp_path):
    """llama.cpp would abort the process."""
    path = lora(tmp_path / "l.gguf", embedding(49152, 576), architecture="llama")
    with Engine(smollm2()) as engine, pytest.raises(AdapterError, match="token embeddings"):
        engine.add_adapter("lora", path)


def test_token_embeddings_of_their_own_may_be_changed(weights, tmp_path):
    with Engine(weights, threads=1) as engine:
        path = lora(tmp_path / "l.gguf", embedding(engine.vocabulary.size, 64))
        digest = engine.add_adapter("lora", path)
        sets = (Adapters(), Adapters.of([Adapter("lora", digest)]))
        jobs = [Job(tuple(range(8, 40)), 12, frozenset(), None, one) for one in sets]
        found = dict(engine.generate(jobs))
    assert found[0] != found[1]


@pytest.mark.parametrize("kind", ["vector", "lora"])
@pytest.mark.parametrize("fault", ["missing", "text", "cut", "empty", "model", "other"])
def test_what_is_no_adapter_file_is_refused(weights, tmp_path, kind, fault):
    path = tmp_path / "x.gguf"
    good = {"vector": vector(tmp_path / "v.gguf", rows(BLOCKS)), "lora": None}
    good["lora"] = lora(tmp_path / "l.gguf", GOOD)
    contents = {
        "text": b"no model",
        "empty": b"",
        "cut": good[kind].read_bytes()[:-40],
        "model": weights.read_bytes(),
        "other": good["lora" if kind == "vector" else "vector"].read_bytes(),
    }
    if fault in contents:
        path.write_bytes(contents[fault])
    words = {
        "missing": "cannot be read: No such file",
        "text": "is no GGUF file",
        "empty": "is no GGUF file",
        "cut": "cut short",
        "model": "a model file",
        "other": "but an adapter of another kind" if kind == "vector" else "a control vector",
    }
    with Engine(weights) as engine, pytest.raises(AdapterError, match=words[fault]):
        engine.add_adapter(kind, path)


def test_bytes_at_random_never_end_the_process(weights, tmp_path):
    """Every tenth of the headers' bytes changed; what is refused is refused in words."""
    shape = shape_of(weights)
    files = {
        read_vector: vector(tmp_path / "v.gguf", rows(BLOCKS)),
        read_lora: lora(tmp_path / "l.gguf", GOOD),
    }
    generator = np.random.default_rng(3)
    refused = 0
    for read, path in files.items():
        content = path.read_bytes()
        for place in range(4, 600, 3):
            broken = bytearray(content)
            broken[place] = int(generator.integers(256))
            bad = tmp_path / "bad.gguf"
            bad.write_bytes(broken)
            try:
                read(bad, shape)
            except AdapterError:
                refused += 1
    assert refused > 100


def one_job(kind: str, digest: str) -> list[Job]:
    adapters = Adapters.of([Adapter(kind, digest)])
    return [Job(tuple(range(8, 20)), 2, frozenset(), None, adapters)]


def test_an_architecture_that_never_applies_a_vector_is_refused(weights, tmp_path, monkeypatch):
    """As if llama.cpp took the vector and did not use it."""
    path = vector(tmp_path / "v.gguf", rows(BLOCKS))
    monkeypatch.setattr(fitted_module.lib, "llama_set_adapter_cvec", lambda *_: 0)
    with Engine(weights, threads=1) as engine:
        digest = engine.add_adapter("vector", path)
        with pytest.raises(AdapterError, match="no effect on the architecture qwen3") as found:
            list(engine.generate(one_job("vector", digest)))
        assert found.value.where == path
        monkeypatch.undo()
        assert list(engine.generate(one_job("vector", digest)))


def test_a_lora_that_changes_no_logit_is_refused(weights, tmp_path):
    path = lora(tmp_path / "l.gguf", {name: v * 1e-15 for name, v in GOOD.items()})
    with Engine(weights, threads=1) as engine:
        digest = engine.add_adapter("lora", path)
        with pytest.raises(AdapterError, match="changes no logit") as found:
            list(engine.generate(one_job("lora", digest)))
        assert found.value.where == path
        assert list(engine.generate([Job((9,), 2, frozenset())]))


def test_a_weak_vector_is_no_vector_without_effect(weights, tmp_path):
    with Engine(weights, threads=1) as engine:
        digest = engine.add_adapter("vector", vector(tmp_path / "v", rows(BLOCKS, scale=1e-30)))
        assert list(engine.generate(one_job("vector", digest)))


def test_a_file_changed_after_its_check_is_refused(weights, tmp_path):
    path = lora(tmp_path / "l.gguf", GOOD)
    with Engine(weights, threads=1) as engine:
        digest = engine.add_adapter("lora", path)
        lora(path, pair(DOWN, 64, 128, rank=3))
        with pytest.raises(AdapterError, match="has changed"):
            list(engine.generate(one_job("lora", digest)))


def test_a_digest_of_no_file_is_refused(weights):
    with Engine(weights, threads=1) as engine:
        for kind in ("vector", "lora"):
            with pytest.raises(AdapterError, match="was added"):
                list(engine.generate(one_job(kind, "a" * 64)))
