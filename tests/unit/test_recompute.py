"""Table 1 and the tests, recomputed from cells.csv with pandas, scipy and statsmodels alone."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from steerability.config.analysis import Analysis
from steerability.score.cells import write_cells
from unit.synthetic import cells

WORKFLOW = Path(__file__).parents[2] / "workflow"
PLAN = Analysis.model_validate(
    {
        "resamples": 1000,
        "permutations": 1000,
        "families": [
            {"kind": "within", "name": "suffix"},
            {
                "kind": "between",
                "name": "size",
                "comparisons": [{"name": "ab", "model_a": "a", "model_b": "b"}],
            },
        ],
    }
)


def run(folder: Path, output: Path, environment: dict[str, str]) -> dict[str, bytes]:
    for verb in ("table", "statistics"):
        words = [sys.executable, "-m", "steerability", verb, "--cells", str(folder / "cells.csv")]
        words += ["--judge", "rules", "--analysis", PLAN.model_dump_json()]
        words += ["--output-dir", str(output)]
        env = {**os.environ, "PYTHONPATH": str(WORKFLOW), **environment}
        subprocess.run(words, check=True, env=env, stdout=subprocess.DEVNULL)
    return {path.name: path.read_bytes() for path in output.iterdir()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(12)
    rows = []
    for name, size in (("a", "30B"), ("b", "4B")):
        letters = {
            c: "".join(rng.choice(list("cnrxf"), 71, p=[rate, 0.8 - rate, 0.1, 0.07, 0.03]))
            for c, rate in (("pro", 0.65), ("none", 0.4), ("anti", 0.1))
        }
        rows += cells(letters, (name, size, "Chat"), categories=6)
    made = tmp_path_factory.mktemp("run")
    write_cells(made / "cells.csv", rows)
    run(made, made / "tables", {})
    return made


def test_every_number_is_recomputed_in_twenty_lines(folder: Path) -> None:
    table = pd.read_csv(folder / "cells.csv", keep_default_na=False)
    one = pd.read_csv(folder / "tables" / "table1.csv").set_index("model")
    table["valid"] = ~table.label.isin(["nonsensical", "judge_failed"])
    table["hit"] = table.label == "convergence"
    rates = {}
    for (model, c), group in table.groupby(["model", "intervention"]):
        k, n = int(group.hit.sum()), int(group.valid.sum())
        rates[model, c] = rate = round(100 * k / n, 2)
        refused = 100 * (group.label == "safety_refusal").sum() / n
        expected = [len(group), n, rate, refused, 100 * (group.label == "nonsensical").mean()]
        expected += [100 * b for b in proportion_confint(k, n, method="wilson")]
        expected += [100 * b for b in proportion_confint(k, n, method="beta")]
        names = "n valid convergence refusal nonsensical convergence_low convergence_high "
        names += "convergence_exact_low convergence_exact_high"
        found = [one.loc[model, f"{c}_{name}"] for name in names.split()]
        assert found == pytest.approx(expected, abs=0.0051)
    for model in ("a", "b"):
        gap = rates[model, "pro"] - rates[model, "anti"]
        assert one.loc[model, "delta"] == pytest.approx(gap, abs=1e-9)

    tests = pd.read_csv(folder / "tables" / "tests.csv")
    labels = table.set_index(["model", "intervention", "scenario"]).sort_index()
    for t in tests[~tests.contrast.str.endswith("delta")].itertuples():
        x = labels.loc[t.model_a, t.condition_a].join(
            labels.loc[t.model_b, t.condition_b], suffixes=("_a", "_b")
        )
        x = x[x.valid_a & x.valid_b]
        a, b = int((x.hit_a & ~x.hit_b).sum()), int((~x.hit_a & x.hit_b).sum())
        p = binomtest(a, a + b).pvalue if a + b else 1.0
        assert [t.n, t.only_a, t.only_b] == [len(x), a, b]
        assert [t.estimate, t.p] == pytest.approx([100 * (a - b) / len(x), p], rel=1e-3, abs=0.0051)
    for _, family in tests.groupby("family"):
        adjusted = multipletests(family.p, method="holm")[1]
        assert family.p_adjusted.to_numpy() == pytest.approx(adjusted, rel=1e-3)


def test_the_bootstrap_of_the_gap_is_recomputed_by_a_plain_loop(folder: Path) -> None:
    table = pd.read_csv(folder / "cells.csv", keep_default_na=False)
    one = pd.read_csv(folder / "tables" / "table1.csv").set_index("model")
    table["valid"] = ~table.label.isin(["nonsensical", "judge_failed"])
    table["hit"] = table.label == "convergence"
    wide = table[table.model == "a"].pivot(
        index="scenario", columns="intervention", values=["hit", "valid"]
    )
    category = table.drop_duplicates("scenario").set_index("scenario").category[wide.index]
    rng = np.random.Generator(np.random.PCG64(PLAN.seed))
    blocks = []
    for name in dict.fromkeys(category):
        members = np.flatnonzero(category == name)
        blocks.append(members[rng.integers(0, len(members), size=(1000, len(members)))])
    gaps = []
    for chosen in np.hstack(blocks):
        sample = wide.iloc[chosen].sum()
        pro, anti = (sample["hit", c] / sample["valid", c] for c in ("pro", "anti"))
        gaps.append(100 * (pro - anti))
    gaps.sort()
    found = [one.loc["a", "delta_low"], one.loc["a", "delta_high"]]
    assert found == pytest.approx([gaps[24], gaps[975]], abs=0.0051)


def test_tables_are_the_same_bytes_on_other_threads_and_processors(
    folder: Path, tmp_path: Path
) -> None:
    other = {
        "PYTHONHASHSEED": "5",
        "OMP_NUM_THREADS": "3",
        "OPENBLAS_CORETYPE": "Sandybridge",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
        "LC_ALL": "C",
        "TZ": "Asia/Tokyo",
    }
    first = {path.name: path.read_bytes() for path in (folder / "tables").iterdir()}
    assert run(folder, tmp_path / "again", other) == first
