"""Debian's Chromium without a window, driven by Selenium: no download, no connection but to the server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

_FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    # As root Chromium refuses its sandbox; it visits our own pages only.
    "--no-sandbox",
)


@contextmanager
def chromium(place: Path, size: tuple[int, int] = (1280, 900)) -> Iterator[Chrome]:
    """A browser with a new profile below `place`; what it downloads goes to `place/downloads`."""
    driver_path = shutil.which("chromedriver")
    browser_path = shutil.which("chromium")
    assert driver_path and browser_path, "Chromium is not installed: build/install-packages test"
    downloads = place / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    options = ChromeOptions()
    options.binary_location = browser_path
    for flag in (*_FLAGS, f"--user-data-dir={place / 'profile'}", f"--window-size={size[0]},{size[1]}"):
        options.add_argument(flag)
    browser = Chrome(
        options=options, service=Service(driver_path, log_output=str(place / "chromedriver.log"))
    )
    try:
        browser.set_page_load_timeout(30)
        behaviour = {"behavior": "allow", "downloadPath": str(downloads)}
        browser.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
        yield browser
    finally:
        browser.quit()
