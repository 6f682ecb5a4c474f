"""A run's page in a browser, made once and opened afresh by every test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from steerability.cli import run as call
from support.browser import Visit, chromium, installed, resize
from support.fake_run import make_run


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The paper's design."""
    made = make_run(tmp_path_factory.mktemp("browser") / "made", thinking_words=300)
    assert call(["page", str(made)]) == 0
    return made


@pytest.fixture(scope="package")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every task, a guard, interventions of several families."""
    made = make_run(
        tmp_path_factory.mktemp("whole") / "made",
        models=1,
        scenarios=8,
        thinking_words=5,
        shape="everything",
    )
    assert call(["page", str(made)]) == 0
    return made


@pytest.fixture(scope="package")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three replies to each request."""
    made = make_run(
        tmp_path_factory.mktemp("sampled") / "made",
        models=1,
        scenarios=6,
        thinking_words=5,
        figures=False,
        tests=False,
        shape="samples",
    )
    assert call(["page", str(made)]) == 0
    return made


@pytest.fixture(scope="package")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    if not installed() and not os.environ.get("CI"):
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def visit(browser: Chrome, folder: Path) -> Visit:
    """Open the page afresh, with a fragment and at a width."""

    def go(
        fragment: str = "", width: int = 1280, *, dark: bool = False, of: Path = folder
    ) -> Chrome:
        resize(browser, width, dark=dark)
        browser.get("about:blank")
        browser.get_log("browser")
        browser.get((of / "index.html").as_uri() + fragment)
        return browser

    return go
