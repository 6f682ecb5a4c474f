"""Times of a run's page in headless Chromium: ``python benchmarks/page.py [PAGE]``.

Without a page, a run of 1,278 cells is made, each output with about 8,000 tokens of thinking.
First paint and load are what the browser reports of a cold start; a filter's time is from the
change to the painted list, the slowest over the values tried.
"""

import json
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "workflow")]

from selenium.webdriver import Chrome  # noqa: E402

from steerability.cli import run  # noqa: E402
from support.browser import chromium  # noqa: E402
from support.fake_run import make_run  # noqa: E402

STARTS = 5
# about 1.35 tokens to an English word
THINKING_WORDS = 6000
PAINTS = """
const done = arguments[arguments.length - 1];
const times = Object.fromEntries(
  performance.getEntriesByType("paint").map((entry) => [entry.name, entry.startTime]));
const [navigation] = performance.getEntriesByType("navigation");
done({ first_paint_ms: times["first-contentful-paint"], load_ms: navigation.loadEventEnd });
"""
FILTER = """
const [name, value, done] = arguments;
const control = document.getElementById(`filter-${name}`);
const started = performance.now();
control.value = value;
control.dispatchEvent(new Event("change", { bubbles: true }));
requestAnimationFrame(() => setTimeout(() => done(performance.now() - started)));
"""
OPEN = """
const [fragment, done] = arguments;
const started = performance.now();
addEventListener("hashchange", () =>
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - started))), { once: true });
location.hash = fragment;
"""


def filter_times(browser: Chrome) -> dict[str, float]:
    """Return milliseconds by filter, each tried with every value it offers."""
    times: dict[str, float] = {}
    offered = browser.execute_script(
        "return [...document.querySelectorAll('#filters select')]"
        ".map((each) => [each.name, [...each.options].map((option) => option.value)])"
    )
    for name, values in (*offered, ["text", ["agent", "no such words", ""]]):
        taken = [browser.execute_async_script(FILTER, name, value) for value in (*values, "")]
        times[name] = round(max(taken), 1)
    return times


def measure(page: Path) -> dict[str, object]:
    """Return the times of a page, milliseconds, and its size."""
    starts = []
    for _ in range(STARTS):
        with tempfile.TemporaryDirectory() as profile, chromium(Path(profile)) as browser:
            browser.get(page.resolve().as_uri())
            starts.append(browser.execute_async_script(PAINTS))
            filters = filter_times(browser)
            link = browser.find_element("css selector", "#list a").get_attribute("href") or ""
            opened = browser.execute_async_script(OPEN, f"#{link.partition('#')[2]}")
    return {
        "page": page.name,
        "mib": round(page.stat().st_size / 2**20, 1),
        "starts": STARTS,
        **{
            f"{name}_{kind}": round(pick([start[name] for start in starts]))
            for name in ("first_paint_ms", "load_ms")
            for kind, pick in (("median", statistics.median), ("worst", max))
        },
        "filter_ms_worst": filters,
        "open_cell_ms": round(opened, 1),
    }


def main() -> None:
    """Measure the page named, or that of a made-up run."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(Path(sys.argv[1])), indent=1))
        return
    with tempfile.TemporaryDirectory() as folder:
        made = make_run(Path(folder) / "made", thinking_words=THINKING_WORDS, all_think=True)
        run(["page", str(made)])
        print(json.dumps(measure(made / "index.html"), indent=1))


if __name__ == "__main__":
    main()
