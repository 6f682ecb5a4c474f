"""The verbs ``direction``, ``erase`` and ``controls``."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from steerability.errors import UserError


def direction(
    weights: Annotated[Path, typer.Option(help="GGUF file.")],
    pairs: Annotated[Path, typer.Option(help="Contrast pairs, one JSON object a line.")],
    output: Annotated[Path, typer.Option(help="Where the control vector goes (GGUF).")],
    method: Annotated[
        Literal["mean", "pca"],
        typer.Option(help="Mean difference, or first component of the pairs' differences."),
    ] = "mean",
    layers: Annotated[
        str, typer.Option(help="FIRST:LAST block to write, counted from 0; default: all from 1.")
    ] = "",
    choose_layer: Annotated[
        Path | None,
        typer.Option(help="Choices, one JSON object a line: write only the layer that moves them."),
    ] = None,
    benign: Annotated[
        Path | None, typer.Option(help="Prompts that must stay as they are; with --choose-layer.")
    ] = None,
    strength: Annotated[
        float, typer.Option(min=0.01, help="At which strength a layer is chosen.")
    ] = 1.0,
    max_divergence: Annotated[
        float, typer.Option(min=0.0, help="Most nats by which benign prompts may change.")
    ] = 0.1,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all.")] = None,
    facts: Annotated[
        Path | None, typer.Option(help="JSON file of facts: norms, cosines, AUROC by layer.")
    ] = None,
) -> None:
    """Learn a direction of the residual stream from contrast pairs.

    It leads from the second side (b) of the pairs to the first (a), read at the last token of
    the prompt, or over the tokens of an answer. The same weights and pairs give the same bytes.
    With --choose-layer a line is {"id", "messages", "answers": [favoured, other]}; of the layers
    below 0.8 of the depth, the one is written that moves the log-odds most while the next token
    after benign prompts changes by at most --max-divergence nats.
    """
    from steerability.canonical import canonical_json, digest
    from steerability.console import note
    from steerability.engine import Engine, engine_identity
    from steerability.enginefaults import blaming
    from steerability.files import write_atomic
    from steerability.learn.directions import Learnt
    from steerability.learn.layer_choice import choose
    from steerability.learn.pairs import activations, read_pairs
    from steerability.learn.vector_file import write_vector
    from steerability.weightfile import load_path, weights_bytes, weights_sha256

    if (choose_layer is None) != (benign is None):
        raise UserError("go together", where="--choose-layer, --benign", mend="give both or none")
    known = read_pairs(pairs, 1 if method == "mean" else 3)
    chance: dict[str, Any] = {}
    with (
        blaming(weights),
        Engine(load_path(weights), file_bytes=weights_bytes(weights), threads=threads) as engine,
    ):
        model = engine.model_shape
        chosen = span(layers, model.blocks)
        learnt = Learnt.of(method, *activations(known, engine, pairs))
        if choose_layer is not None and benign is not None:
            bounds = (strength, max_divergence)
            chosen, chance = choose(engine, learnt.rows, chosen, choose_layer, benign, *bounds)
    sha256 = write_vector(output, model.architecture, learnt.rows, chosen)
    words = f"layers {chosen[0]} to {chosen[-1]}" if len(chosen) > 1 else f"layer {chosen[0]}"
    note(f"direction: {len(known):,} pairs, {words}, {sha256}")
    if facts:
        found: dict[str, Any] = {
            "architecture": model.architecture,
            "engine": engine_identity(),
            "layers": learnt.facts(chosen),
            "method": method,
            "pairs": len(known),
            "pairs_digest": digest([pair.model_dump(mode="json") for pair in known]),
            "sha256": sha256,
            "weights_sha256": weights_sha256(weights),
        }
        write_atomic(facts, canonical_json(found | chance) + b"\n")


def erase(
    weights: Annotated[Path, typer.Option(help="GGUF file.")],
    direction: Annotated[Path, typer.Option(help="Control vector that holds the direction.")],
    output: Annotated[Path, typer.Option(help="Where the LoRA goes (GGUF).")],
    layer: Annotated[
        int | None,
        typer.Option(min=1, help="Whose direction; default: the middle one of those it holds."),
    ] = None,
) -> None:
    """Write a LoRA of rank 1 that takes a direction out of all writes to the residual stream.

    At strength 1 the stream keeps what the token embeddings hold of it, at less strength more.
    """
    from steerability.console import note
    from steerability.learn.erasure import Tensors, erasing
    from steerability.learn.vector_file import write_lora
    from steerability.weightfile import load_path

    model, rows = read_direction(weights, direction)
    chosen = pick(rows, layer, direction)
    unit = rows[chosen]
    factors, left = erasing(Tensors(load_path(weights)), unit, model.blocks, weights)
    sha256 = write_lora(output, model.architecture, factors, 1.0)
    beside = f", but for {', '.join(left)}" if left else ""
    note(f"erase: the direction of layer {chosen}, {len(factors) // 2} weights{beside}, {sha256}")


def controls(
    weights: Annotated[Path, typer.Option(help="GGUF file.")],
    direction: Annotated[Path, typer.Option(help="Control vector to set controls against.")],
    output_dir: Annotated[Path, typer.Option(help="Where random-01.gguf and so on go.")],
    count: Annotated[int, typer.Option(min=1, max=999, help="How many.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Of the random numbers.")] = 0,
) -> None:
    """Write random control vectors, in every layer as long as a learnt one."""
    from steerability.console import note
    from steerability.learn.controls import random_directions
    from steerability.learn.vector_file import write_vector

    model, rows = read_direction(weights, direction)
    for number, drawn in enumerate(random_directions(rows, count, seed), start=1):
        path = output_dir / f"random-{number:02d}.gguf"
        write_vector(path, model.architecture, drawn, range(1, model.blocks))
    note(f"controls: {count} random directions in {output_dir}")


def read_direction(weights: Path, vector: Path) -> Any:
    """Return a model's shape and a control vector's rows, blocks × width in float64.

    Raises:
        UserError: either is at fault, or they do not fit each other.
    """
    import numpy as np

    from steerability.engine.adapterfiles import ModelShape, read_vector
    from steerability.engine.weights import Weights
    from steerability.enginefaults import blaming
    from steerability.weightfile import load_path, shard_files

    shard_files(weights)
    with blaming(weights), Weights(load_path(weights), vocabulary_only=True) as header:
        model = ModelShape.of(header)
        file = read_vector(vector, model)
    first = np.zeros((1, model.width))
    return model, np.concatenate([first, file.rows.astype(np.float64)])


def pick(rows: Any, layer: int | None, where: Path) -> int:
    """Return the layer whose direction is meant: the one named, or the middle one of those held.

    Raises:
        UserError: the file holds none for that layer, or none at all.
    """
    held = [block for block in range(len(rows)) if rows[block].any()]
    if not held:
        raise UserError("all its directions are zero", where=where)
    if layer is None:
        return held[len(held) // 2]
    if layer not in held:
        raise UserError(
            f"holds no direction for layer {layer}",
            where=where,
            mend=f"name one from {held[0]} to {held[-1]}",
        )
    return layer


def span(text: str, blocks: int) -> range:
    """Return the blocks of ``FIRST:LAST``, both counted in; all from 1 on for an empty text.

    Raises:
        UserError: it is no such text, or not within the model.
    """
    if not text:
        return range(1, blocks)
    found = re.fullmatch(r"(\d{1,5}):(\d{1,5})", text)
    if found is None:
        raise UserError(f"{text!r} is not FIRST:LAST", where="--layers", mend="give 5:20, say")
    first, last = int(found[1]), int(found[2])
    if not 1 <= first <= last < blocks:
        raise UserError(
            f"the blocks {first} to {last} are not all of the model's",
            where="--layers",
            mend=f"name blocks from 1 to {blocks - 1}; none can be added to block 0",
        )
    return range(first, last + 1)
