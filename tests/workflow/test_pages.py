"""The page as a part of a run."""

import json

import pytest

from .conftest import Place, rules_run

pytestmark = pytest.mark.heavy
# read through other tables: the rows of all, and what Table 1 is printed from
WITHOUT_CAPTION = {"cells.csv", "table1.csv", "table1_by_judge.csv"}


def test_the_page_is_published_with_its_digest(place: Place) -> None:
    manifest = json.loads((place.run / "manifest.json").read_text())
    assert "index.html" in manifest["files"]
    assert "pages" in manifest["stages"]
    assert list(manifest["stages"])[-1] == "pages"


def test_a_lost_page_is_made_again_to_the_same_bytes(place: Place) -> None:
    page = place.run / "index.html"
    before = page.read_bytes()
    page.unlink()
    (place.run / "manifest.json").unlink()
    result = place.snakemake()
    assert result.returncode == 0, result.stderr
    assert rules_run(result) == {"page", "publish"}
    assert page.read_bytes() == before


def test_the_report_holds_everything_published_with_captions(place: Place) -> None:
    report = place.folder / "report.html"
    result = place.snakemake("--report", report.name)
    assert result.returncode == 0, result.stdout + result.stderr
    text = report.read_text(encoding="utf-8")
    published = json.loads((place.run / "manifest.json").read_text())["files"]
    shown = [n for n in published if n.endswith((".svg", ".csv")) and n not in WITHOUT_CAPTION]
    assert {"figures/convergence.svg", "hypotheses.csv"} <= set(shown)
    for name in (*shown, "table1.html", "index.html", "manifest.json"):
        assert f"small/{name}" in text, name
    for category in ("Tables", "Figures", "Pages", "Digests"):
        assert f'"{category}"' in text
