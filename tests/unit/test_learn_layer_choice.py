"""Which layer is chosen: the largest effect within the bound, measured by hand here too."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from steerability.engine import Adapter, Adapters, Engine, NextJob, ScoreJob
from steerability.learn.layer_choice import Trial, candidates, chosen, divergence, try_layers
from steerability.support.errors import UserError
from steerability.verbs.direction import direction
from support.adapters import rows, vector
from support.models import tiny

BLOCKS = 4


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    return tiny(tmp_path_factory.mktemp("model") / "tiny.gguf", layers=BLOCKS)


def test_the_deepest_fifth_is_not_chosen_from():
    assert candidates(30, range(1, 30)) == list(range(1, 24))
    assert candidates(10, range(6, 10)) == [6, 7]


def test_the_largest_effect_within_the_bound_is_chosen():
    trials = [Trial(1, 0.5, 0.01), Trial(2, 0.9, 0.1), Trial(3, 2.0, 0.2), Trial(4, 0.9, 0.0)]
    assert chosen(trials, 0.1, Path("b")).layer == 2
    assert chosen(trials, 0.05, Path("b")).layer == 4
    assert chosen(trials, 1.0, Path("b")).layer == 3
    with pytest.raises(UserError, match=r"layer 1 least, by 0.200"):
        chosen([Trial(1, 0.5, 0.2), Trial(2, 0.5, 0.4)], 0.1, Path("b"))


def test_the_divergence_by_hand():
    plain, steered = np.log([0.5, 0.5]), np.log([0.25, 0.75])
    wanted = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    assert divergence(plain, steered) == pytest.approx(wanted)
    assert divergence(plain, plain) == 0


def test_next_tokens_are_a_distribution_and_agree_with_scores(weights):
    prompt = tuple(range(9, 100))
    with Engine(weights, threads=1) as engine:
        found = dict(engine.next_tokens([NextJob(prompt)]))[0]
        scores = dict(engine.score([ScoreJob(prompt, ((3,), (40,)))]))[0]
    assert math.fsum(np.exp(found)) == pytest.approx(1)
    assert [round(float(found[token]), 6) for token in (3, 40)] == [s[0] for s in scores]


def test_trials_are_what_scores_and_distributions_say(weights, tmp_path):
    """Each layer and sign by itself, with nothing shared and in another order."""
    path = vector(tmp_path / "v.gguf", rows(BLOCKS, scale=0.2))
    generator = np.random.default_rng(2)
    texts = [tuple(generator.integers(8, 200, 40).tolist()) for _ in range(5)]
    choices = [ScoreJob(text, ((9, 10), (11, 12, 13))) for text in texts[:3]]
    with Engine(weights, threads=2) as engine:
        trials = try_layers(engine, path, [1, 2], choices, texts[3:], 1.5)
    with Engine(weights, threads=1, share_prefixes=False) as engine:
        digest = engine.add_adapter("vector", path)
        for trial in trials:
            odds, drifts = [], []
            for sign in (-1, 1):
                adapters = Adapters.of(
                    [Adapter("vector", digest, 1.5 * sign, (trial.layer, trial.layer))]
                )
                each = []
                for job in choices:
                    one = ScoreJob(job.prompt, job.continuations, adapters)
                    first, second = dict(engine.score([one]))[0]
                    each.append(sum(first) - sum(second))
                odds.append(np.mean(each))
                apart = []
                for text in texts[3:]:
                    pair = dict(engine.next_tokens([NextJob(text), NextJob(text, adapters)]))
                    apart.append(float((np.exp(pair[0]) * (pair[0] - pair[1])).sum()))
                drifts.append(np.mean(apart))
            assert trial.effect == pytest.approx((odds[1] - odds[0]) / 2, abs=2e-6)
            assert trial.divergence == pytest.approx(max(drifts), abs=2e-6)
            assert trial.divergence > 0
    assert len({trial.effect for trial in trials}) == 2


def files(folder: Path) -> dict[str, Path]:
    def chat(text: str) -> dict:
        return {"messages": [{"role": "user", "content": text}]}

    lines = {
        "pairs": [
            {"id": f"p{n}", "a": chat(f"case {n} seize"), "b": chat(f"case {n} leave")}
            for n in range(4)
        ],
        "choices": [
            {"id": f"c{n}", **chat(f"choose {n}"), "answers": ["I seize it", "I leave it"]}
            for n in range(3)
        ],
        "benign": [{"id": f"b{n}", **chat(f"name a river {n}")} for n in range(3)],
    }
    found = {}
    for name, records in lines.items():
        found[name] = folder / f"{name}.jsonl"
        found[name].write_text("".join(f"{json.dumps(line)}\n" for line in records))
    return found


def learn(weights: Path, folder: Path, **options) -> dict:
    given = files(folder)
    facts = folder / "facts.json"
    direction(
        weights,
        given["pairs"],
        folder / "v.gguf",
        **{
            "threads": 1,
            "layers": "",
            "facts": facts,
            "choose_layer": given["choices"],
            "benign": given["benign"],
            **options,
        },
    )
    return json.loads(facts.read_text())


def test_only_the_chosen_layer_is_written_and_the_trials_are_facts(weights, tmp_path):
    facts = learn(weights, tmp_path, strength=0.25, max_divergence=5.0)
    choice = facts["choice"]
    assert [trial["layer"] for trial in choice["trials"]] == [1, 2, 3]
    best = max(choice["trials"], key=lambda trial: trial["effect"])
    assert choice["chosen"] == best["layer"]
    assert [layer["layer"] for layer in facts["layers"]] == [best["layer"]]
    content = (tmp_path / "v.gguf").read_bytes()
    assert content.count(b"direction.") == 1
    assert f"direction.{best['layer']}".encode() in content
    assert learn(weights, tmp_path, strength=0.25, max_divergence=5.0, threads=2) == facts
    assert (tmp_path / "v.gguf").read_bytes() == content


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"benign": None}, "give both or none"),
        ({"max_divergence": 0.0, "strength": 1.0}, "lower --strength"),
        ({"choose_layer": Path("none.jsonl")}, "none.jsonl: cannot be read"),
    ],
)
def test_what_cannot_be_chosen_is_refused(weights, tmp_path, options, words):
    with pytest.raises(UserError, match=words):
        learn(weights, tmp_path, **options)
