"""Figures: there, the same bytes whatever the machine's settings, no clock in them."""

import itertools
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import BboxBase
from PIL import Image

from steerability import cli
from steerability.config.analysis import Analysis
from steerability.estimate.grid import grid_of
from steerability.protocol.records import LABELS
from steerability.report.figures import (
    ablations,
    agreement,
    categories,
    convergence,
    delta,
    flips,
    judges,
)
from steerability.report.figures import outcomes as outcome_shares
from steerability.report.figures.style import COLUMN, style
from steerability.report.tables.table1 import categories as categories_table
from steerability.report.tables.table1 import outcomes, table1
from steerability.score.cells import write_cells
from steerability.support.tables import write_csv
from unit.synthetic import cells

ALWAYS = ("ablations", "categories", "convergence", "delta", "flips", "judges", "outcomes")
MEASURED = ("agreement", "calibration", "confusion")
REPORT = Path(__file__).parents[2] / "workflow" / "report"
WORKFLOW = Path(__file__).parents[2] / "workflow"


def draw(run: Path, folder: Path, environment: dict[str, str]) -> dict[str, bytes]:
    words = [sys.executable, "-m", "steerability", "figures", "--cells", str(run / "cells.csv")]
    words += ["--judge", "rules", "--output-dir", str(folder), "--note", "llm=measures nothing"]
    subprocess.run(
        words, check=True, env={**os.environ, "PYTHONPATH": str(WORKFLOW), **environment}
    )
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's cells, and its figures in ``figures``."""
    folder = tmp_path_factory.mktemp("run")
    rows = cells({"pro": "ccnr", "none": "cnnx", "anti": "nfnn"}, ("a", "1B", "chat"), categories=2)
    rows += cells({"pro": "xxxx", "none": "cnnx", "anti": "nnnn"}, ("b", "1B", "raw"), categories=2)
    rows += cells(
        {"pro": "cccr", "none": "nnnn", "anti": "cnnn"}, ("a", "1B", "chat"), "llm", categories=2
    )
    write_cells(folder / "cells.csv", rows)
    draw(folder, folder / "figures", {"PYTHONHASHSEED": "1"})
    return folder


def test_figures_are_the_same_bytes_on_every_setting(run: Path, tmp_path: Path) -> None:
    first = {path.name: path.read_bytes() for path in (run / "figures").iterdir()}
    rc = tmp_path / "matplotlibrc"
    rc.write_text("font.size: 30\nfigure.dpi: 10\nsvg.fonttype: none\nlines.linewidth: 9\n")
    other = {
        "PYTHONHASHSEED": "2",
        "MATPLOTLIBRC": str(rc),
        "SOURCE_DATE_EPOCH": "1",
        "OPENBLAS_CORETYPE": "Sandybridge",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
        "OPENBLAS_NUM_THREADS": "1",
        "TZ": "Asia/Tokyo",
    }
    assert draw(run, tmp_path / "again", other) == first
    assert sorted(first) == sorted(f"{n}.{s}" for n in ALWAYS for s in ("png", "svg"))
    for name, content in first.items():
        for word in (b"matplotlib.org", b"dc:date", b"Software", b"tIME"):
            assert word not in content, (name, word)


def test_pictures_are_not_empty_and_readable_at_column_width(run: Path) -> None:
    for path in (run / "figures").glob("*.png"):
        picture = Image.open(path)
        assert picture.width == 770  # a column of 3.5 inches at 220 dots per inch
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 20


def test_every_figure_has_a_caption_with_n_and_method(run: Path) -> None:
    for name in (*ALWAYS, *MEASURED):
        assert (REPORT / f"{name}.rst").exists()
    for path in (run / "figures").glob("*.svg"):
        root = ElementTree.parse(path).getroot()
        (text,) = (e.text or "" for e in root.iter("{http://purl.org/dc/elements/1.1/}description"))
        assert "n = " in text, path.name


def test_further_tables_give_further_figures_and_stale_ones_go(run: Path, tmp_path: Path) -> None:
    write_csv(tmp_path / "agreement.csv", list(measured(1)[0]), measured(1))
    curve = {"judge": "rules", "evaluation": "scenario", "label": "top", "low": "0.8",
             "high": "0.9", "n": "9", "probability": "0.85", "frequency": "0.8"}  # fmt: skip
    write_csv(tmp_path / "calibration.csv", list(curve), [curve])
    published = {"model": "a", "delta": "40.00"}
    write_csv(tmp_path / "published.csv", list(published), [published])
    variant = {
        "model": "a-q4",
        "size": "1B",
        "stage": "chat",
        "delta": "10.00",
        "delta_low": "",
        "delta_high": "",
    }
    write_csv(tmp_path / "variant.csv", list(variant), [variant])
    words = ["figures", "--cells", str(run / "cells.csv"), "--judge", "rules"]
    words += [
        "--output-dir",
        str(tmp_path / "figures"),
        "--published",
        str(tmp_path / "published.csv"),
    ]
    words += ["--ablation", f"no-context={tmp_path / 'variant.csv'}"]
    words += ["--analysis", '{"confidence": 0.9, "resamples": 100}']
    further = ["--agreement", str(tmp_path / "agreement.csv")]
    further += ["--calibration", str(tmp_path / "calibration.csv")]
    assert cli.run([*words, *further]) == 0
    drawn = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert drawn == {*ALWAYS, *MEASURED}
    for name in ("ablations", "agreement", "convergence", "delta", "judges"):
        content = (tmp_path / "figures" / f"{name}.svg").read_text()
        assert "90 % CI" in content and "95 %" not in content  # texts stand in comments
    write_csv(tmp_path / "calibration.csv", list(curve), [])  # no judge has probabilities
    assert cli.run([*words, *further]) == 0
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {*ALWAYS, *MEASURED}
    assert cli.run(words) == 0
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == set(ALWAYS)
    assert cli.run([*words, "--ablation", "nonsense"]) == 2


@pytest.mark.parametrize(
    ("option", "prefix", "row"),
    [
        ("--published", "", {"model": "a", "delta": "forty"}),
        ("--published", "", {"model": "a"}),
        ("--ablation", "q4=", {"model": "a", "size": "1B", "stage": "x", "delta": "1"}),
        (
            "--ablation",
            "q4=",
            {"model": "a", "size": "1B", "stage": "x", "delta": "1", "delta_low": "-",
             "delta_high": "2"},
        ),
    ],
)  # fmt: skip
def test_a_malformed_table_is_one_line(
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
    prefix: str,
    row: dict[str, str],
) -> None:
    write_csv(tmp_path / "table.csv", list(row), [row])
    words = ["figures", "--cells", str(run / "cells.csv"), "--judge", "rules"]
    words += ["--output-dir", str(tmp_path / "figures"), "--analysis", '{"resamples": 100}']
    assert cli.run([*words, option, f"{prefix}{tmp_path / 'table.csv'}"]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and str(tmp_path / "table.csv") in said


def test_nothing_overlaps_with_two_models_or_six() -> None:
    for count in (2, 6):
        rows = []
        for at in range(count):
            model = (f"model-with-a-long-name-{at}", "30B-A3B", f"Stage-{at}")
            letters = {"pro": "ccnr" * 6, "none": "cnnx" * 6, "anti": "nnnn" * 6}
            rows += cells(letters, model, categories=6)
        grid = grid_of(rows, "rules")
        plan = Analysis(resamples=100)
        table = table1(grid, plan)
        names = {model.name: f"{model.size} {model.stage}" for model in grid.models}
        labels = list(names.values())
        with style():
            for figure in (
                convergence.draw(table, labels, "95 % CI"),
                delta.draw(table, labels, {}, "95 % CI"),
                ablations.draw(table, labels, {}, "95 % CI"),
                outcome_shares.draw(outcomes(grid), names),
                categories.draw(categories_table(grid, 0.95), names),
                flips.draw(grid, names),
                judges.draw({"rules": table}, names, {}, "95 % CI"),
                agreement.draw_kappa(measured(count), "95 % CI"),
                agreement.draw_confusion(measured(count)),
            ):
                FigureCanvasAgg(figure).draw()
                assert figure.get_figwidth() == COLUMN
                assert min(text.get_fontsize() for text in figure.findobj(Text)) >= 6.5
                boxes = [text.get_window_extent() for text in visible_texts(figure)]
                for first, second in itertools.combinations(boxes, 2):
                    assert overlap(first, second) < 2.0
                for box in boxes:
                    assert box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1
                    assert box.y0 >= -1 and box.y1 <= figure.bbox.y1 + 1


def measured(judges: int) -> list[dict[str, str]]:
    """Rows of ``agreement.csv``, every judge in both ways of holding out."""
    counts = {f"count_{a}_as_{b}": "333" for a in LABELS for b in (*LABELS, "judge_failed")}
    return [
        {"judge": f"judge-{at}", "evaluation": how, "condition": condition, "n": "60",
         "kappa": "0.6", "kappa_low": "0.5", "kappa_high": "0.7", **counts}
        for at in range(judges) for how in ("all", "scenario", "model")
        for condition in ("all", "pro", "none", "anti")
    ]  # fmt: skip


def visible_texts(figure: Figure) -> list[Text]:
    """Upright texts that are drawn; an axis keeps labels beyond its limits that are not."""
    beyond = set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        for tick in axis.get_major_ticks():
            if not low - 1e-9 <= tick.get_loc() <= high + 1e-9:
                beyond |= {tick.label1, tick.label2}
    return [
        text
        for text in figure.findobj(Text)
        if text.get_text().strip()
        and text.get_visible()
        and text.get_rotation() == 0
        and text not in beyond
    ]


def overlap(a: BboxBase, b: BboxBase) -> float:
    """Smaller side of the area that two boxes share, in pixels at 100 dots per inch."""
    wide = min(a.x1, b.x1) - max(a.x0, b.x0)
    high = min(a.y1, b.y1) - max(a.y0, b.y0)
    return max(0.0, min(wide, high))
