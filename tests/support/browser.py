"""Debian's Chromium without a screen or a network."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

Visit = Callable[..., Chrome]
TITLE = "Steerability: made"

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
)


def installed() -> bool:
    """Tell whether Chromium and its driver are there."""
    return bool(shutil.which("chromium") and shutil.which("chromedriver"))


@contextmanager
def chromium(profile: Path, width: int = 1280, height: int = 900) -> Iterator[Chrome]:
    """Start a browser with an empty profile; what a page logs is kept.

    Raises:
        RuntimeError: Chromium or its driver is not installed.
    """
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (binary and driver):
        raise RuntimeError("apt-get install chromium chromium-driver")
    options = ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--window-size={width},{height}", f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options=options, service=Service(driver))
    try:
        resize(browser, width, height)
        yield browser
    finally:
        browser.quit()


def resize(browser: Chrome, width: int, height: int = 900, *, dark: bool = False) -> None:
    """Give the page a viewport of exactly this size, also below the window's least width."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def picture(browser: Chrome, path: Path) -> None:
    """Save a picture of the viewport."""
    path.parent.mkdir(parents=True, exist_ok=True)
    browser.save_screenshot(str(path))


def is_open(page: Chrome) -> bool:
    return bool(page.execute_script("return document.getElementById('cell').open"))


def heading(page: Chrome) -> str:
    return page.find_element("id", "cell-title").text


def wait_until(page: Chrome, condition: Callable[[Chrome], object]) -> None:
    """Wait for what the page does in its own time; what it replaces meanwhile is asked anew."""
    WebDriverWait(page, 60, 0.05, [StaleElementReferenceException]).until(condition)
