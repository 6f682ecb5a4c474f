"""The verb ``direction``."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from steerability.support.errors import UserError


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
    from steerability.engine import Engine, engine_identity
    from steerability.learn.direction_file import span
    from steerability.learn.directions import Learnt
    from steerability.learn.layer_choice import choose
    from steerability.learn.pairs import activations, read_pairs
    from steerability.learn.vector_file import write_vector
    from steerability.loading.engine_errors import blaming
    from steerability.loading.weight_file import load_path, weights_bytes, weights_sha256
    from steerability.support.canonical import canonical_json, digest
    from steerability.support.console import note
    from steerability.support.files import write_atomic

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
