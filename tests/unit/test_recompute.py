"""Table 1 and the tests, recomputed from cells.csv with pandas, scipy and statsmodels alone."""

import math
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
from unit.synthetic import cells, study

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
            {
                "kind": "between",
                "name": "by-category",
                "by_category": True,
                "comparisons": [{"name": "ab", "model_a": "a", "model_b": "b"}],
            },
        ],
    }
)


def run(folder: Path, output: Path, environment: dict[str, str]) -> dict[str, bytes]:
    cells_file = ["--cells", str(folder / "cells.csv")]
    long = ["--rates", str(output / "rates.csv"), "--contrasts", str(output / "contrasts.csv")]
    for verb, files in (("estimate", cells_file), ("table", long), ("statistics", cells_file)):
        words = [sys.executable, "-m", "steerability", verb, *files]
        words += ["--spec", study(PLAN).model_dump_json(), "--output-dir", str(output)]
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
    rows = [
        # the second model tells how its outputs ended, and left a thought open now and then
        row.model_copy(
            update={"finish_reason": "stop" if at % 5 else "length", "thinking_cut": at % 7 == 0}
        )
        if row.model == "b"
        else row
        for at, row in enumerate(rows)
    ]
    made = tmp_path_factory.mktemp("run")
    write_cells(made / "cells.csv", rows)
    run(made, made / "tables", {})
    return made


class Cells:
    """``cells.csv`` as plain arrays: what converged and what is valid, by model and condition."""

    def __init__(self, path: Path) -> None:
        table = pd.read_csv(path, keep_default_na=False)
        table["valid"] = ~table.label.isin(["nonsensical", "judge_failed"])
        table["hit"] = table.label == "convergence"
        self.groups = dict(iter(table.groupby(["model", "intervention"])))
        self.hit = {key: group.hit.to_numpy() for key, group in self.groups.items()}
        self.valid = {key: group.valid.to_numpy() for key, group in self.groups.items()}
        self.category = self.groups["a", "pro"].category.to_numpy()
        rng = np.random.Generator(np.random.PCG64(PLAN.seed))
        blocks = []
        for name in dict.fromkeys(self.category):
            members = np.flatnonzero(self.category == name)
            blocks.append(members[rng.integers(0, len(members), size=(1000, len(members)))])
        self.chosen = np.hstack(blocks)
        self.swaps = np.random.Generator(np.random.PCG64(PLAN.seed)).integers(0, 2, (1000, 71))

    def rates(self, of: tuple[str, str], where: np.ndarray, everything: bool = False) -> np.ndarray:
        """Convergence in every bootstrap sample, of the scenarios that count."""
        counted = where if everything else self.valid[of] & where
        drawn = counted[self.chosen].sum(axis=1)
        with np.errstate(invalid="ignore"):
            return (self.hit[of] & where)[self.chosen].sum(axis=1) / drawn


def ordered(draws: np.ndarray) -> tuple[float, float]:
    """The 2.5 % order statistics of bootstrap draws, in points."""
    known = np.sort(100 * draws[~np.isnan(draws)])
    rank = math.ceil(len(known) * 0.025 - 1e-9)
    return known[rank - 1], known[-rank]


def paired(x: np.ndarray, y: np.ndarray, used: np.ndarray) -> tuple[int, int, int, float, float]:
    """n, discordant counts, and Newcombe's interval (1998, method 10) in points."""
    table = np.array([[(u & v & used).sum() for v in (y, ~y)] for u in (x, ~x)], dtype=float)
    n, (row, column) = table.sum(), (table.sum(axis=1), table.sum(axis=0))
    (la, ua), (lb, ub) = (proportion_confint(m[0], n, method="wilson") for m in (row, column))
    excess, product = table[0, 0] * table[1, 1] - table[0, 1] * table[1, 0], (row * column).prod()
    phi = (max(excess - n / 2, 0) if excess > 0 else excess) / math.sqrt(product) if product else 0
    p, q = row[0] / n, column[0] / n
    low = math.sqrt((p - la) ** 2 - 2 * phi * (p - la) * (ub - q) + (ub - q) ** 2)
    high = math.sqrt((q - lb) ** 2 - 2 * phi * (q - lb) * (ua - p) + (ua - p) ** 2)
    return int(n), int(table[0, 1]), int(table[1, 0]), 100 * (p - q - low), 100 * (p - q + high)


def test_every_number_of_table_1_is_recomputed(folder: Path) -> None:
    """Each numeric column, none left out."""
    data = Cells(folder / "cells.csv")
    one = pd.read_csv(folder / "tables" / "table1.csv").set_index("model")
    everywhere = np.ones(71, dtype=bool)
    for model in ("a", "b"):
        expected: dict[str, float] = {}
        worst = {}
        for c in ("pro", "none", "anti"):
            group = data.groups[model, c]
            k, n, of = int(group.hit.sum()), int(group.valid.sum()), len(group)
            refused = int((group.label == "safety_refusal").sum())
            garbled, failed = ((group.label == x).sum() for x in ("nonsensical", "judge_failed"))
            values = {"n": of, "valid": n, "converged": k, "refused": refused}
            values |= {"nonsense": garbled, "failed": failed}
            cut = (group.finish_reason == "length").to_numpy()
            values["cut_off"] = int(cut.sum()) if model == "b" else math.nan
            values["thinking_cut"] = int(group.thinking_cut.sum())
            unsure = ~group.valid | cut | group.thinking_cut
            for name, (part, whole) in {
                "convergence": (k, n),
                "refusal": (refused, n),
                "nonsensical": (garbled, of),
                "convergence_all": (k, of),
            }.items():
                values[name] = 100 * part / whole
                for method, infix in (("wilson", ""), ("beta", "_exact")):
                    bounds = proportion_confint(part, whole, method=method)
                    values[f"{name}{infix}_low"], values[f"{name}{infix}_high"] = 100 * np.array(
                        bounds
                    )
            worst[c] = 100 * (group.hit & ~unsure).mean(), 100 * (group.hit | unsure).mean()
            values["worst_low"], values["worst_high"] = worst[c]
            expected |= {f"{c}_{name}": value for name, value in values.items()}
        gaps = {"delta": ("pro", "anti"), "authorised": ("none", "anti")}
        for gap, (c, d) in (gaps | {"unauthorised": ("pro", "none")}).items():
            high, low = (expected[f"{x}_convergence"] for x in (c, d))
            used = data.valid[model, c] & data.valid[model, d]
            x, y = data.hit[model, c], data.hit[model, d]
            n, more, less, *newcombe = paired(x, y, used)
            values = {"": round(high, 2) - round(low, 2), "_unrounded": high - low, "_pairs": n}
            values |= {"_paired": 100 * (more - less) / n}
            values |= {"_newcombe_low": newcombe[0], "_newcombe_high": newcombe[1]}
            values["_all"] = expected[f"{c}_convergence_all"] - expected[f"{d}_convergence_all"]
            for infix, everything in (("", False), ("_all", True)):
                draws = [data.rates((model, z), everywhere, everything) for z in (c, d)]
                values[f"{infix}_low"], values[f"{infix}_high"] = ordered(draws[0] - draws[1])
            values["_worst_low"] = worst[c][0] - worst[d][1]
            values["_worst_high"] = worst[c][1] - worst[d][0]
            expected |= {f"{gap}{name}": value for name, value in values.items()}
        words = {"size", "stage", "judge", *(f"{gap}_interval" for gap in (*gaps, "unauthorised"))}
        assert expected.keys() == set(one.columns) - words
        found = one.loc[model, list(expected)].astype(float).to_dict()
        assert found == pytest.approx(expected, abs=0.0051, nan_ok=True)


def test_every_number_of_the_tests_is_recomputed(folder: Path) -> None:
    """Rates by exact McNemar and Newcombe, gaps by bootstrap and permutation, all by Holm."""
    data = Cells(folder / "cells.csv")
    tests = pd.read_csv(folder / "tables" / "tests.csv")
    assert tests.p.notna().all()
    for t in tests.itertuples():
        if "delta" not in t.contrast:
            sides = (t.model_a, t.condition_a), (t.model_b, t.condition_b)
            used = data.valid[sides[0]] & data.valid[sides[1]]
            n, a, b, low, high = paired(data.hit[sides[0]], data.hit[sides[1]], used)
            p = binomtest(a, a + b).pvalue if a + b else 1.0
            estimate = 100 * (a - b) / n
        else:
            name = t.contrast.partition("delta in ")[2]
            where = data.category == name if name else np.ones(71, dtype=bool)
            places = [(m, c) for m in (t.model_a, t.model_b) for c in ("pro", "anti")]
            signs = np.array([1, -1, -1, 1])
            hit, valid = (np.array([x[z] & where for z in places]) for x in (data.hit, data.valid))
            estimate = 100 * float(signs @ (hit.sum(axis=1) / valid.sum(axis=1)))
            low, high = ordered(signs @ np.array([data.rates(z, where) for z in places]))
            other = [2, 3, 0, 1]
            swapped = [
                signs
                @ (
                    np.where(s, hit[other], hit).sum(axis=1)
                    / np.where(s, valid[other], valid).sum(axis=1)
                )
                for s in data.swaps.astype(bool)
            ]
            p = (1 + (np.abs(swapped) >= abs(estimate / 100) - 1e-12).sum()) / 1001
            balance = (signs @ hit)[valid.all(axis=0)]
            n = int(valid.any(axis=0).sum())
            a, b = int((balance > 0).sum()), int((balance < 0).sum())
        assert [t.n, t.only_a, t.only_b] == [n, a, b]
        assert [t.estimate, t.low, t.high] == pytest.approx([estimate, low, high], abs=0.0051)
        assert t.p == pytest.approx(p, rel=1e-3)
    for _, family in tests.groupby("family"):
        adjusted = multipletests(family.p, method="holm")[1]
        assert family.p_adjusted.to_numpy() == pytest.approx(adjusted, rel=1e-3)


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
