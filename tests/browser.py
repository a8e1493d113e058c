"""A headless Chromium without a network, driven by selenium; tests that need it are skipped where it is missing."""

import shutil
import tempfile
from contextlib import contextmanager

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="chromium and chromedriver are not installed: no browser opens the page"
)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,900",
)  # fmt: skip


@contextmanager
def browser():
    """A browser with a fresh profile."""
    from selenium import webdriver

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        try:
            yield driver
        finally:
            driver.quit()


def show_plots(driver):
    """Scroll to each interactive figure of a report, and wait until it is drawn."""
    from selenium.webdriver.support.wait import WebDriverWait

    for place in driver.find_elements("css selector", "div.plot"):
        driver.execute_script("arguments[0].scrollIntoView()", place)
        WebDriverWait(driver, 30).until(lambda _, place=place: place.find_elements("css selector", ".main-svg"))
