"""Figures: there, the same bytes whatever the machine's settings, no clock in them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from steerability.score.cells import write_cells
from unit.synthetic import cells

WORKFLOW = Path(__file__).parents[2] / "workflow"


def draw(folder: Path, environment: dict[str, str]) -> dict[str, bytes]:
    words = [sys.executable, "-m", "steerability", "figures", "--cells", str(folder / "cells.csv")]
    words += ["--judge", "rules", "--output-dir", str(folder / "figures")]
    words += ["--note", "llm=measures nothing"]
    subprocess.run(
        words, check=True, env={**os.environ, "PYTHONPATH": str(WORKFLOW), **environment}
    )
    return {path.name: path.read_bytes() for path in (folder / "figures").iterdir()}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    rows = cells({"pro": "ccnr", "none": "cnnx", "anti": "nfnn"}, ("a", "1B", "chat"), categories=2)
    rows += cells({"pro": "xxxx", "none": "cnnx", "anti": "nnnn"}, ("b", "1B", "raw"), categories=2)
    rows += cells(
        {"pro": "cccr", "none": "nnnn", "anti": "cnnn"}, ("a", "1B", "chat"), "llm", categories=2
    )
    write_cells(tmp_path / "cells.csv", rows)
    return tmp_path


def test_figures_are_the_same_bytes_on_every_setting(run: Path, tmp_path: Path) -> None:
    first = draw(run, {"PYTHONHASHSEED": "1"})
    rc = tmp_path / "matplotlibrc"
    rc.write_text("font.size: 30\nfigure.dpi: 10\nsvg.fonttype: none\nlines.linewidth: 9\n")
    other = {
        "PYTHONHASHSEED": "2",
        "MATPLOTLIBRC": str(rc),
        "SOURCE_DATE_EPOCH": "1",
        "OPENBLAS_CORETYPE": "Sandybridge",
        "OPENBLAS_NUM_THREADS": "1",
        "TZ": "Asia/Tokyo",
    }
    assert draw(run, other) == first
    names = ("categories", "convergence", "judges", "outcomes")
    assert sorted(first) == sorted(f"{n}.{s}" for n in names for s in ("png", "svg"))
    for name, content in first.items():
        for word in (b"matplotlib.org", b"dc:date", b"Software", b"tIME"):
            assert word not in content, (name, word)


def test_pictures_are_not_empty_and_readable_at_column_width(run: Path) -> None:
    draw(run, {})
    for path in (run / "figures").glob("*.png"):
        picture = Image.open(path)
        assert picture.width in (770, 1584)  # one and two columns at 220 dots per inch
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 20
