"""Cost of a run's page: ``python benchmarks/page.py [PAGE | CELLS…]``.

Of a page that is named, times in headless Chromium. Without one, made-up runs of 1,278, 10,000 and
100,000 cells (or of as many as are named): CPU seconds and peak memory of the verb ``page``, which
has to grow no faster than the cells, then the times in the browser. First paint and load are what
the browser reports of a cold start; a filter's time is from the change to the painted list, the
slowest over the values tried.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "workflow")]

from selenium.webdriver import Chrome  # noqa: E402

from support.browser import chromium, wait_until  # noqa: E402
from support.fake_run import MODELS, make_run  # noqa: E402

CELLS = (1278, 10_000, 100_000)
STARTS = 3
INTERVENTIONS = 3
_MOST_VALUES = 4
RENDER = """
import resource, sys
from steerability.cli import run
status = run(["page", sys.argv[1]])
used = resource.getrusage(resource.RUSAGE_SELF)
print(status, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""
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
SEARCHED = "return !document.getElementById('count').textContent.startsWith('Searching')"
CLOCK = "return performance.now()"


def filter_times(browser: Chrome) -> dict[str, float]:
    """Return milliseconds by filter, each tried with the first values it offers."""
    times: dict[str, float] = {}
    offered = browser.execute_script(
        "return [...document.querySelectorAll('#filters select')]"
        ".map((each) => [each.name, [...each.options].map((option) => option.value)])"
    )
    for name, values in offered:
        tried = (*values[:_MOST_VALUES], values[0])
        taken = [browser.execute_async_script(FILTER, name, value) for value in tried]
        times[name] = round(max(taken), 1)
    return times


def search_time(browser: Chrome) -> float:
    """Return milliseconds from asking for words that no output holds to the answer."""
    started = browser.execute_script(CLOCK)
    browser.execute_async_script(FILTER, "text", "no such words")
    wait_until(browser, lambda page: page.execute_script(SEARCHED))
    ended: float = browser.execute_script(CLOCK) - started
    browser.execute_async_script(FILTER, "text", "")
    return ended


def measure(page: Path) -> dict[str, object]:
    """Return the times of a page, milliseconds, and its size."""
    starts = []
    for _ in range(STARTS):
        with tempfile.TemporaryDirectory() as profile, chromium(Path(profile)) as browser:
            browser.get(page.resolve().as_uri())
            starts.append(browser.execute_async_script(PAINTS))
            filters = filter_times(browser)
            searched = search_time(browser)
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
        "search_ms": round(searched, 1),
        "open_cell_ms": round(opened, 1),
    }


def rendered(folder: Path) -> dict[str, float]:
    """Return CPU seconds and peak memory of the verb ``page`` in a process of its own.

    Raises:
        RuntimeError: the verb failed.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow")}
    words = [sys.executable, "-c", RENDER, str(folder)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    status, seconds, kibibytes = done.stdout.split("\n")[-2].split()
    if status != "0":
        raise RuntimeError(done.stderr)
    return {"cpu_s": round(float(seconds), 1), "peak_mib": round(int(kibibytes) / 1024)}


def main() -> None:
    """Measure the page named, or those of made-up runs."""
    words = sys.argv[1:]
    if words and not words[0].isdecimal():
        print(json.dumps(measure(Path(words[0])), indent=1))
        return
    for cells in [int(word) for word in words] or CELLS:
        scenarios = round(cells / len(MODELS) / INTERVENTIONS)
        with tempfile.TemporaryDirectory() as folder:
            sizes = {"scenarios": scenarios, "thinking_words": 30}
            made = make_run(Path(folder) / "made", **sizes, figures=False, tests=False)
            cost = {"cells": scenarios * len(MODELS) * INTERVENTIONS, **rendered(made)}
            print(json.dumps(cost | measure(made / "index.html"), indent=1), flush=True)


if __name__ == "__main__":
    main()
