"""Figures: what the tables say, for any design; the same bytes whatever the machine's settings."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from statistics import fmean
from xml.etree import ElementTree

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import BboxBase
from PIL import Image

from steerability import cli
from steerability.config.study import Study
from steerability.protocol.design import Design
from steerability.protocol.intervention import Intervention
from steerability.protocol.scale import BEHAVIOUR, Outcome, Scale
from steerability.report.figures.all import Made, Sources, draw_all
from steerability.report.figures.context import Drawn
from steerability.report.figures.names import KINDS, figures_of
from steerability.report.figures.style import (
    COLUMN,
    cycle_look,
    intervention_looks,
    outcome_colours,
    style,
)
from steerability.report.long_tables import read_long_tables
from steerability.score.cells import read_cells
from steerability.score.choices import read_choices
from steerability.support.jsonl import read_records
from steerability.support.tables import read_csv, write_csv
from support.fake_run import make_run
from support.shapes import SHAPES

WORKFLOW = Path(__file__).parents[2] / "workflow"
CAPTIONS = WORKFLOW / "report" / "figures"
Maker = Callable[..., Path]
Draw = Callable[..., dict[str, Made]]
SIZES = {"everything": 1}
"""Models of a shape, where not two."""
MAIN = ("ablations", "categories", "convergence", "delta", "flips", "judges", "outcomes")
WHOLE = ("shifts", "steering")
MEASURED = ("agreement", "calibration", "confusion")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """Make a small run of a shape without figures, once for the module."""

    @cache
    def make(shape: str, models: int) -> Path:
        folder = tmp_path_factory.mktemp(shape) / "made"
        sizes = {"models": models, "scenarios": 12, "thinking_words": 5}
        return make_run(folder, **sizes, figures=False, tests=False, shape=shape)

    return lambda shape, models=0: make(shape, models or SIZES.get(shape, 2))


@pytest.fixture(scope="module")
def drawn(made: Maker) -> Draw:
    """Draw every figure of a small run of a shape, once for the module."""

    @cache
    def draw(shape: str, models: int) -> dict[str, Made]:
        rows = {"agreement": measured(models), "calibration": []}
        return figures_drawn(made(shape, models), SHAPES[shape].study, **rows)

    return lambda shape, models=0: draw(shape, models or SIZES.get(shape, 2))


def words_of(run: Path, shape: str) -> list[str]:
    study = SHAPES[shape].study
    words = ["--spec", study.model_dump_json()]
    for name in ("rates", "contrasts", "categories", "steering"):
        words += [f"--{name}", str(run / f"{name}.csv")]
    words += ["--interventions", str(run / "interventions.jsonl")]
    words += ["--cells", str(run / "cells.csv")] if study.labelled else []
    return words + (["--choices", str(run / "choices.csv")] if study.chosen else [])


def drawn_of(run: Path, study: Study) -> Drawn:
    names = ("rates", "contrasts", "steering", "categories")
    return Drawn(study, read_long_tables(*(run / f"{name}.csv" for name in names)))


def figures_drawn(run: Path, study: Study, **more: object) -> dict[str, Made]:
    sources = Sources(
        cells=read_cells(run / "cells.csv") if study.labelled else [],
        choices=read_choices(run / "choices.csv") if study.chosen else [],
        interventions={
            one.name: one for one in read_records(run / "interventions.jsonl", Intervention)
        },
        **more,  # type: ignore[arg-type]
    )
    with style():
        return {one.name: one for one in draw_all(drawn_of(run, study), sources)}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text().strip()]


def test_figures_are_the_same_bytes_on_every_setting(made: Maker, tmp_path: Path) -> None:
    run = made("paper")

    def draw(folder: Path, environment: dict[str, str]) -> dict[str, bytes]:
        words = [sys.executable, "-m", "steerability", "figures", *words_of(run, "paper")]
        environment = {**os.environ, "PYTHONPATH": str(WORKFLOW), **environment}
        subprocess.run([*words, "--output-dir", str(folder)], check=True, env=environment)
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    first = draw(tmp_path / "first", {"PYTHONHASHSEED": "1"})
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
    assert draw(tmp_path / "again", other) == first
    assert sorted(first) == sorted(f"{n}.{s}" for n in (*MAIN, *WHOLE) for s in ("png", "svg"))
    for name, content in first.items():
        for word in (b"matplotlib.org", b"dc:date", b"Software", b"tIME"):
            assert word not in content, (name, word)
    for path in (tmp_path / "first").glob("*.png"):
        picture = Image.open(path)
        assert picture.width == 770, path.name  # a column of 3.5 inches at 220 dots per inch
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 20
    for path in (tmp_path / "first").glob("*.svg"):
        root = ElementTree.parse(path).getroot()
        (text,) = (e.text or "" for e in root.iter("{http://purl.org/dc/elements/1.1/}description"))
        assert "n = " in text, path.name


def test_every_kind_of_figure_has_a_caption_for_the_report() -> None:
    assert {path.stem for path in CAPTIONS.glob("*.rst")} == set(KINDS)


@pytest.mark.parametrize(
    ("shape", "further"),
    [
        ("paper", MAIN),
        ("samples", MAIN),
        ("roleless", ("curt", *MAIN)),
        ("choices", ("log_odds", "log_odds-benign_choice")),
        (
            "everything",
            (
                *MAIN,
                *("log_odds", "log_odds-benign_choice", "over_suppressed-benign"),
                *("correct-capability", "judges"),
                *(
                    f"{kind}-{task}"
                    for kind in ("categories", "flips", "outcomes")
                    for task in ("benign", "capability")
                ),
            ),
        ),
    ],
)
def test_any_design_is_drawn(drawn: Draw, shape: str, further: tuple[str, ...]) -> None:
    study = SHAPES[shape].study
    figures = drawn(shape)
    expected = {*further, *WHOLE, *MEASURED} - ({"convergence"} if shape == "roleless" else set())
    assert set(figures) == expected == {one.name for one in figures_of(study, measured=True)}
    for name, one in figures.items():
        assert "n = " in one.caption or name == "calibration", name
        assert one.title


def test_a_run_without_roles_says_in_the_figure_what_it_cannot_show(drawn: Draw) -> None:
    figures = drawn("roleless")
    for name in ("delta", "ablations", "judges", "shifts"):
        assert any("no contrast" in text for text in texts(figures[name].figure)), name
    assert any("no baseline" in text for text in texts(figures["steering"].figure))
    shown = texts(figures["curt"].figure)
    assert {"polite", "rude", "Curt $x_1$, % of valid outputs"} <= set(shown)


def test_a_label_is_never_read_as_a_formula(drawn: Draw) -> None:
    figures = drawn("roleless")
    labels = [
        text for text in figures["outcomes"].figure.findobj(Text) if text.get_text() == "Curt $x_1$"
    ]
    assert labels and not any(text.get_parse_math() for text in labels)


def test_rates_stand_where_the_table_says(made: Maker, drawn: Draw) -> None:
    run, study = made("paper"), SHAPES["paper"].study
    tables = drawn_of(run, study)
    axes = drawn("paper")["convergence"].figure.axes[0]
    marks = sorted(float(bar.lines[0].get_xdata()[0]) for bar in axes.containers)
    rows = [
        row
        for row in tables.tables.rates
        if (row["judge"], row["outcome"]) == ("strict", "convergence")
    ]
    assert marks == sorted(float(row["rate"]) for row in rows)
    contrast = tables.contrasts[0]
    for line in tables.tables.lines("behaviour", "strict"):
        row = tables.difference(study.tasks[0], line, contrast)
        assert row is not None
        words = f"{row['estimate']}\n({row['low']} to {row['high']})".replace("-", "\u2212")
        assert words in texts(axes.figure)  # type: ignore[arg-type]


def test_shifts_of_every_task_stand_where_the_table_says(made: Maker, drawn: Draw) -> None:
    run = made("everything")
    panels = drawn("everything")["shifts"].figure.axes
    marks = [[float(bar.lines[0].get_xdata()[0]) for bar in axes.containers] for axes in panels]
    ends = {("pro", "anti"), ("none", "anti"), ("pro", "none")}
    measures = {
        ("behaviour", "strict"): "convergence",
        ("benign", "strict"): "over_suppressed",
        ("capability", "program"): "correct",
        ("choice", ""): "log_odds",
        ("benign_choice", ""): "log_odds",
    }
    points, nats = [], []
    for row in read_csv(run / "contrasts.csv", ()):
        if (row["intervention_a"], row["intervention_b"]) not in ends or not row["estimate"]:
            continue
        wanted = measures.get((row["task"], row["judge"]))
        difference = row["task"] in ("behaviour-benign", "choice-benign_choice")
        if row["measure"] == wanted or (difference and not row["measure"].endswith("_per_token")):
            (nats if row["judge"] == "" else points).append(float(row["estimate"]))
    assert [sorted(values) for values in marks] == [sorted(points), sorted(nats)]
    assert "behaviour \u2212 benign" in texts(panels[0].figure)  # type: ignore[arg-type]


def test_every_label_has_a_field_and_samples_share_one(made: Maker, drawn: Draw) -> None:
    for shape, judge in (("paper", "strict"), ("samples", "strict")):
        run = made(shape)
        figure = drawn(shape)["flips"].figure
        rows = [row for row in read_cells(run / "cells.csv") if row.judge == judge]
        fields = {
            str(strip.get_label()).replace(" ", "_"): len(strip.get_paths())
            for strip in figure.axes[0].collections
            if isinstance(strip, PolyCollection)
        }
        for label in BEHAVIOUR.labels:
            assert fields.get(label, 0) == sum(row.label == label for row in rows)


def test_every_scenario_has_a_dot_and_every_strip_its_mean(made: Maker, drawn: Draw) -> None:
    run = made("choices")
    rows = [row for row in read_choices(run / "choices.csv") if row.task == "choice"]
    figure = drawn("choices")["log_odds"].figure
    for axes, model in zip(figure.axes, ("tiny-base", "tiny-instruct"), strict=True):
        dots = [strip.get_offsets()[:, 0].tolist() for strip in axes.collections]  # type: ignore[index]
        for strip, name in zip(dots, ("pro", "none", "anti"), strict=True):
            mine = [r.log_odds for r in rows if (r.model, r.intervention) == (model, name)]
            assert strip == sorted(mine)
            lines = [[float(x) for x in line.get_xdata()] for line in axes.lines]  # type: ignore[arg-type,union-attr]
            assert any(min(x) == max(x) and abs(x[0] - fmean(mine)) < 1e-9 for x in lines)


def test_bars_are_shares_of_all_outputs(drawn: Draw) -> None:
    axes = drawn("paper")["outcomes"].figure.axes[0]
    widths: dict[float, float] = {}
    for bar in axes.patches:
        widths[bar.get_y()] = widths.get(bar.get_y(), 0.0) + bar.get_width()  # type: ignore[attr-defined]
    assert len(widths) == 6 and all(abs(width - 100) < 1e-9 for width in widths.values())


def test_controls_are_bands_and_ranks_not_rows(made: Maker, drawn: Draw) -> None:
    run = made("everything")
    shown = texts(drawn("everything")["steering"].figure)
    assert "push-1" in shown and "random-1" not in shown
    rows = read_csv(run / "steering.csv", ())
    ranks = [f"{row['control_rank']} of 4" for row in rows if row["control_rank"]]
    assert ranks and sorted(text for text in shown if " of 4" in text) == sorted(ranks)
    for access in ("prompt", "conversation", "activations"):
        assert f"access: {access}" in shown


def test_a_matrix_has_its_intervals_in_the_fields(made: Maker) -> None:
    row = {"task": "behaviour", "model": "m", "judge": "strict", "n": "10", "valid": "10"}
    row |= {"count": "4", "rate": "40.00", "low": "16.80", "high": "68.70"}
    rows = [row | {"defence": d, "attack": a} for d in ("", "reminder") for a in ("a", "b", "c")]
    study = SHAPES["paper"].study
    figure = figures_drawn(made("paper"), study, matrix=rows)["matrix"].figure
    assert texts(figure).count("40 %\n17–69") == 6


def test_roles_have_colours_and_further_interventions_others() -> None:
    design = Design(baseline="calm", amplify=("up", "upper"), suppress=("down",))
    looks = intervention_looks(design, ["odd", "down", "calm", "upper", "up"])
    assert list(looks) == ["up", "upper", "calm", "down", "odd"]
    assert looks["up"] == ("o", "#D55E00") and looks["calm"] == ("s", "#6E6E6E")
    assert looks["down"] == ("D", "#0072B2")
    assert looks["upper"] == cycle_look(0) and looks["odd"] == cycle_look(1)
    assert len({cycle_look(at) for at in range(35)}) == 35


def test_outcomes_without_a_colour_get_one_each() -> None:
    names = ("a", "b", "c", "d")
    scale = Scale(name="s", outcomes=tuple(Outcome(name=n, event=n == "a") for n in names))
    assert len(set(outcome_colours(scale).values())) == 5  # judge_failed has its own


def test_further_tables_give_further_figures_and_stale_ones_go(made: Maker, tmp_path: Path) -> None:
    run = made("paper")
    write_csv(tmp_path / "agreement.csv", list(measured(1)[0]), measured(1))
    curve = {"judge": "rules", "evaluation": "scenario", "label": "top", "low": "0.8",
             "high": "0.9", "n": "9", "probability": "0.85", "frequency": "0.8"}  # fmt: skip
    write_csv(tmp_path / "calibration.csv", list(curve), [curve])
    published = {"model": "tiny-base", "delta": "40.00"}
    write_csv(tmp_path / "published.csv", list(published), [published])
    variant = {"model": "other", "size": "4B", "stage": "Base", "delta": "10.00",
               "delta_low": "", "delta_high": ""}  # fmt: skip
    write_csv(tmp_path / "variant.csv", list(variant), [variant])
    folder = tmp_path / "figures"
    words = ["figures", *words_of(run, "paper"), "--output-dir", str(folder)]
    words += ["--published", str(tmp_path / "published.csv")]
    words += ["--ablation", f"no-context={tmp_path / 'variant.csv'}"]
    further = ["--agreement", str(tmp_path / "agreement.csv")]
    further += ["--calibration", str(tmp_path / "calibration.csv")]
    assert cli.run([*words, *further]) == 0
    assert {path.stem for path in folder.iterdir()} == {*MAIN, *WHOLE, *MEASURED}
    assert "a diamond marks the published gap" in (folder / "delta.svg").read_text("utf-8")
    write_csv(tmp_path / "calibration.csv", list(curve), [])  # no judge has probabilities
    assert cli.run([*words, *further]) == 0
    assert {path.stem for path in folder.iterdir()} == {*MAIN, *WHOLE, *MEASURED}
    assert cli.run(words) == 0
    assert {path.stem for path in folder.iterdir()} == {*MAIN, *WHOLE}
    assert cli.run([*words, "--ablation", "nonsense"]) == 2


@pytest.mark.parametrize(
    ("option", "prefix", "row"),
    [
        ("--published", "", {"model": "a", "delta": "forty"}),
        ("--published", "", {"model": "a"}),
        ("--ablation", "q4=", {"model": "a", "size": "1B", "stage": "x", "delta": "1"}),
        ("--rates", "", {"task": "behaviour"}),
        ("--matrix", "", {"task": "behaviour", "model": "m"}),
    ],
)
def test_a_malformed_table_is_one_line(
    made: Maker,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
    prefix: str,
    row: dict[str, str],
) -> None:
    write_csv(tmp_path / "table.csv", list(row), [row])
    words = ["figures", *words_of(made("paper"), "paper"), "--output-dir", str(tmp_path / "f")]
    capsys.readouterr()
    assert cli.run([*words, option, f"{prefix}{tmp_path / 'table.csv'}"]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and str(tmp_path / "table.csv") in said


@pytest.mark.parametrize(
    ("shape", "models"),
    [
        ("paper", 2),
        ("paper", 6),
        ("samples", 2),
        ("roleless", 2),
        ("choices", 2),
        ("everything", 1),
    ],
)
def test_nothing_overlaps(drawn: Draw, shape: str, models: int) -> None:
    figures = drawn(shape, models)
    wide = {"flips", "categories"} if shape == "everything" else set()
    with style():
        for name, one in figures.items():
            figure = one.figure
            FigureCanvasAgg(figure).draw()
            if name.partition("-")[0] not in wide:
                assert figure.get_figwidth() == COLUMN, name
            assert min(text.get_fontsize() for text in figure.findobj(Text)) >= 6.5
            boxes = [(text.get_text(), text.get_window_extent()) for text in visible_texts(figure)]
            for (a, first), (b, second) in itertools.combinations(boxes, 2):
                assert overlap(first, second) < 2.0, (name, a, b)
            for words, box in boxes:
                assert box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1, (name, words)
                assert box.y0 >= -1 and box.y1 <= figure.bbox.y1 + 1, (name, words)


def measured(judges: int) -> list[dict[str, str]]:
    """Rows of ``agreement.csv``, every judge in both ways of holding out."""
    counts = {
        f"count_{a}_as_{b}": "333"
        for a in BEHAVIOUR.names
        for b in (*BEHAVIOUR.names, "judge_failed")
    }
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
