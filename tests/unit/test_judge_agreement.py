"""Agreement: coefficients against libraries and published examples, intervals, the verb."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steerability.agreement.calibration import calibration_rows, expected_calibration_error
from steerability.agreement.coefficients import (
    agreement_row,
    by_scenario,
    coefficients,
    columns,
    confusion,
    intervals,
    library_coefficients,
)
from steerability.agreement.pairs import Pair, is_development
from steerability.cli import run
from steerability.protocol.scale import BEHAVIOUR
from steerability.support.canonical import sha256_text
from support.responses import fields

C, N = "convergence", "no_convergence"
ANSWERS = st.sampled_from([*BEHAVIOUR.names, "judge_failed"])


def pairs_of(rows: list[tuple[str, str, int]]) -> list[Pair]:
    return [
        Pair(f"s{at}", "pro", given, said)
        for at, (given, said) in enumerate(
            (given, said) for given, said, count in rows for _ in range(count)
        )
    ]


def test_ac1_of_gwets_example() -> None:
    # Gwet (2002), Kappa statistic is not satisfactory for assessing the extent of agreement:
    # 118, 5, 2 and 0 of 125 subjects; kappa -0.0234, AC1 0.941
    pairs = pairs_of([(C, C, 118), (C, N, 5), (N, C, 2), (N, N, 0)])
    values = coefficients(confusion(pairs))
    assert float(values["kappa"]) == pytest.approx(-0.0234, abs=5e-5)
    assert float(values["ac1"]) == pytest.approx(0.941, abs=5e-4)


def test_alpha_of_krippendorffs_example() -> None:
    # Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, section A: alpha 0.095
    first, second = "0100000010", "1110010000"
    pairs = [
        Pair(f"s{at}", "pro", C if a == "1" else N, C if b == "1" else N)
        for at, (a, b) in enumerate(zip(first, second, strict=True))
    ]
    assert float(coefficients(confusion(pairs))["alpha"]) == pytest.approx(0.095, abs=5e-4)
    assert library_coefficients(pairs)["alpha"] == pytest.approx(0.095, abs=5e-4)


@given(st.lists(st.tuples(st.sampled_from(BEHAVIOUR.names), ANSWERS), min_size=2, max_size=60))
def test_own_coefficients_equal_the_libraries(rows: list[tuple[str, str]]) -> None:
    pairs = [Pair(f"s{at}", "pro", given, said) for at, (given, said) in enumerate(rows)]
    mine = coefficients(confusion(pairs))
    for name, theirs in library_coefficients(pairs).items():
        own = float(mine[name])
        assert own == pytest.approx(theirs, abs=1e-9) or (math.isnan(own) and math.isnan(theirs))


def test_intervals_are_seeded_and_resample_scenarios() -> None:
    alike = [
        Pair(f"s{at // 10}", "pro", C if at // 10 % 2 else N, C if at // 20 % 2 else N)
        for at in range(200)
    ]
    single = [Pair(f"s{at}", "pro", p.reference, p.label) for at, p in enumerate(alike)]
    options = {"resamples": 2000, "confidence": 0.95}
    one = intervals(by_scenario(alike), seed=1, **options)
    assert one == intervals(by_scenario(list(reversed(alike))), seed=1, **options)
    assert one != intervals(by_scenario(alike), seed=2, **options)
    other = intervals(by_scenario(single), seed=1, **options)
    width = {name: bounds[1] - bounds[0] for name, bounds in one.items()}
    assert width["kappa"] > 2 * (other["kappa"][1] - other["kappa"][0])


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    truth, inside = 0.8, 0
    for trial in range(200):
        hits = rng.random(150) < truth
        pairs = [Pair(f"s{at}", "pro", C, C if hit else N) for at, hit in enumerate(hits)]
        low, high = intervals(by_scenario(pairs), seed=trial, resamples=400, confidence=0.95)[
            "accuracy"
        ]
        inside += low <= truth <= high
    assert 0.90 <= inside / 200 <= 0.985


def test_a_failure_counts_as_disagreement() -> None:
    pairs = pairs_of([(C, C, 2), (N, N, 2), (C, "judge_failed", 1)])
    row = agreement_row(pairs, seed=1, resamples=100, confidence=0.95)
    assert row["n"] == 5 and row["failed"] == 1
    assert row["accuracy"] == "0.8000" and row["recall_convergence"] == "0.6667"
    assert row["count_convergence_as_judge_failed"] == 1
    assert row["precision_safety_refusal"] is None


def test_calibration_by_hand() -> None:
    def pair(label: str, truth: str, p: float) -> Pair:
        rest = dict.fromkeys(BEHAVIOUR.names, (1 - p) / 3)
        return Pair("s", "pro", truth, label, rest | {label: p})

    pairs = [pair(C, C, 0.9), pair(C, N, 0.9), pair(N, N, 0.55), pair(N, N, 0.55)]
    assert expected_calibration_error(pairs) == pytest.approx(0.5 * 0.4 + 0.5 * 0.45)
    top = [row for row in calibration_rows(pairs) if row["label"] == "top"]
    assert [(row["low"], row["n"], row["frequency"]) for row in top] == [
        ("0.5", 2, "1.0000"),
        ("0.9", 2, "0.5000"),
    ]
    assert math.isnan(expected_calibration_error(pairs_of([(C, C, 1)])))


def row_of(identity: str) -> dict[str, object]:
    return fields(identity)


def label(identity: str, name: str, judge: str) -> dict[str, object]:
    return {"id": identity, "label": name, "reason": "", "judge": judge, "key": "k"}


def write(path: Path, rows: list[dict[str, object]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    names = [f"m/{arm}/s{at}" for at in range(12) for arm in ("pro", "none", "anti")]
    truth = {name: C if name.startswith("m/pro") else N for name in names}
    folds = [
        {
            "id": name,
            "contents": [sha256_text(name)] * 2,
            "evaluation": evaluation,
            "fold": "0",
            "label": truth[name],
            "probabilities": dict.fromkeys(BEHAVIOUR.names, 0.0) | {truth[name]: 1.0},
        }
        for evaluation in ("scenario", "model")
        for name in names
    ]
    judged = [label(n, truth[n], "rules") for n in names]
    trained = [label(n, C, "distilled") for n in names]
    return [
        "agreement",
        "--responses",
        write(tmp_path / "c.jsonl", [row_of(name) for name in names]),
        "--reference",
        write(tmp_path / "r.jsonl", [label(n, truth[n], "published") for n in names]),
        "--labels",
        write(tmp_path / "rules.jsonl", judged),
        "--labels",
        write(tmp_path / "distilled.jsonl", trained),
        "--tuned",
        "rules",
        "--out-of-fold",
        f"distilled={write(tmp_path / 'o.jsonl', folds)}",
        *("--resamples", "100"),
        *("--output", str(tmp_path / "agreement.csv")),
        *("--calibration", str(tmp_path / "calibration.csv")),
    ]


def test_the_verb_measures_what_was_not_trained_on(tmp_path: Path, words: list[str]) -> None:
    assert run(words) == 0
    rows = list(csv.DictReader((tmp_path / "agreement.csv").open()))
    assert tuple(rows[0]) == columns()
    head = "judge,evaluation,condition,n,accuracy,kappa,kappa_low,kappa_high,ac1,alpha"
    assert ",".join(rows[0]).startswith(f"{head},")
    seen = {(row["judge"], row["evaluation"], row["condition"]) for row in rows}
    sets = [("rules", "all"), ("rules", "scenario")]
    sets += [("distilled", "scenario"), ("distilled", "model")]
    assert seen == {(*s, c) for s in sets for c in ("all", "pro", "none", "anti")}
    overall = {(row["judge"], row["evaluation"]): row for row in rows if row["condition"] == "all"}
    held = sum(not is_development(f"s{at}") for at in range(12))
    assert 0 < held < 12 and int(overall["rules", "scenario"]["n"]) == 3 * held
    assert overall["distilled", "model"]["kappa"] == "1.0000"
    assert overall["distilled", "scenario"]["ece"] == "0.0000"
    first = (tmp_path / "agreement.csv").read_bytes()
    assert run(words) == 0
    assert (tmp_path / "agreement.csv").read_bytes() == first


@pytest.mark.parametrize("judge", ["rules", "distilled"])
def test_a_label_without_its_response_is_refused(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str], judge: str
) -> None:
    write(tmp_path / f"{judge}.jsonl", [label("other/pro/s1", C, judge)])
    assert run(words) == 2
    assert "no response for other/pro/s1" in capsys.readouterr().err


def test_the_development_half_is_what_the_digest_says() -> None:
    # sha256("a") begins with ca, sha256("c") with 2e, sha256("0") with 5f
    assert is_development("a") and is_development("c") and not is_development("0")


def test_cues_come_from_the_development_half_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, labels = [], []
    for at in range(40):
        for arm, name in (("pro", C), ("anti", N)):
            row = row_of(f"m/{arm}/s{at}")
            secret = "open plan" if is_development(f"s{at}") else "hidden half"
            row["response"] = f"{secret} {'copy everything' if name == C else 'ask people'}"
            row["completion_sha256"] = sha256_text(str(row["response"]))
            rows.append(row)
            labels.append(label(f"m/{arm}/s{at}", name, "published"))
    words = ["cues", "--responses", write(tmp_path / "c.jsonl", rows)]
    words += ["--labels", write(tmp_path / "l.jsonl", labels), "--label", C]
    assert run(words) == 0
    shown = capsys.readouterr().out
    assert "hidden" not in shown and "open" in shown
    assert "copy" in "\n".join(shown.splitlines()[:5])
    assert run([*words[:-1], "other"]) == 2


def test_models_that_a_trained_judge_never_learnt_from_are_held_out_as_they_are(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def add(name: str, rows: list[dict[str, object]]) -> None:
        with (tmp_path / name).open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)

    # a new model, and a cell of the old one that came after the training
    new = [f"n/pro/s{at}" for at in range(12)] + ["m/mild/s0"]
    add("c.jsonl", [row_of(name) for name in new])
    add("r.jsonl", [label(name, C, "published") for name in new])
    add("distilled.jsonl", [label(name, C, "distilled") for name in new])
    assert run(words) == 0
    rows = list(csv.DictReader((tmp_path / "agreement.csv").open()))
    counts = {
        row["evaluation"]: int(row["n"])
        for row in rows
        if (row["judge"], row["condition"]) == ("distilled", "all")
    }
    assert counts == {"scenario": 36, "model": 48}
    said = "".join(capsys.readouterr())
    assert "agreement: 1 cells of models that distilled learnt from came after" in said
