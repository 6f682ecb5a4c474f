"""The tables of what was tried for the distilled judge, on a few cells of our own."""

import json
from pathlib import Path

import numpy as np
import pytest
from test_judge_distilled import cells as own_cells

import judges as bench
from steerability.judges.files import read_labels, read_responses
from steerability.judges.rules import RulesJudge
from steerability.trained_judge import training as distil


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> bench.Cells:
    folder = tmp_path_factory.mktemp("cells")
    paths = folder / "responses.jsonl", folder / "labels.jsonl"
    for path, rows in zip(paths, own_cells(), strict=True):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = read_labels([paths[1]])["published"]
    examples, _ = distil.examples_of(read_responses([paths[0]]), given)
    return bench.Cells(examples, distil.prepare(examples, RulesJudge.load()).data)


def test_a_variant_is_measured_with_scenarios_then_models_held_out(cells: bench.Cells) -> None:
    scenario, model, folds = bench.rows_of("x", bench.SHIPPED.predict(cells), cells, 2)
    assert [row["evaluation"] for row in (scenario, model)] == ["scenario", "model"]
    assert set(scenario) == set(bench.VARIANTS)
    for row in (scenario, model):
        assert float(row["kappa_low"]) <= float(row["kappa"]) <= float(row["kappa_high"])
    assert "2 orders" in str(folds["evaluation"])
    assert float(scenario["kappa"]) > 0.6


def test_a_variant_changes_the_fit_and_leaves_the_judge_as_it_is(cells: bench.Cells) -> None:
    rows, train = cells.every[:12], cells.every[12:]
    shipped, before = (
        variant.predict(cells)(train, rows) for variant in (bench.SHIPPED, bench.TEXTS[0])
    )
    assert not np.allclose(shipped, before)
    assert np.array_equal(shipped, bench.SHIPPED.predict(cells)(train, rows))


def test_likeness_is_within_a_scenario_and_noise_has_every_estimate(cells: bench.Cells) -> None:
    near = bench.likeness(cells)
    apart = cells.data.groups[:, None] != cells.data.groups[None, :]
    assert (near[apart] < 0).all() and (np.diag(near) < 0).all()
    rows = list(bench.label_noise(cells))
    assert set(rows[0]) == set(bench.LIMITS)
    names = {row["estimate"] for row in rows}
    assert {"labels differ, like responses", "Cover-Hart"} <= names


def test_judges_are_compared_on_cells_that_both_label(cells: bench.Cells, tmp_path: Path) -> None:
    folder = tmp_path / "labels" / "behaviour" / "echo"
    folder.mkdir(parents=True)
    labels = [one.label.model_copy(update={"judge": "echo"}) for one in cells.examples[:30]]
    lines = "".join(label.model_dump_json() + "\n" for label in labels)
    (folder / "m.jsonl").write_text(lines)
    (row,) = bench.other_judges(cells, tmp_path)
    assert (row["at"], row["n"], row["value"]) == ("echo and published", 30, "1.0000")
