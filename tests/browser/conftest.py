"""A run's page in a browser, made once and opened afresh by every test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from steerability.cli import run as call
from support.browser import Visit, chromium, installed, resize
from support.fake_run import NOTE, make_run


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_run(tmp_path_factory.mktemp("browser") / "made", thinking_words=300)
    assert call(["page", str(made), "--note", f"doubtful={NOTE}"]) == 0
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

    def go(fragment: str = "", width: int = 1280, *, dark: bool = False) -> Chrome:
        resize(browser, width, dark=dark)
        browser.get("about:blank")
        browser.get_log("browser")
        browser.get((folder / "index.html").as_uri() + fragment)
        return browser

    return go
