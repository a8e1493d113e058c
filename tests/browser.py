"""A headless Chromium without a network, driven by selenium; tests that need it are skipped where it is missing."""

import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="chromium and chromedriver are not installed: no browser opens the page"
)
AXE = Path(sys.prefix) / "node_modules" / "axe-core" / "axe.min.js"  # where `make` puts it, if npm is installed
needs_axe = pytest.mark.skipif(
    not AXE.exists(), reason="axe-core is not installed: npm install --prefix .venv axe-core"
)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,900",
)  # fmt: skip


PATIENCE_SECONDS = 120  # for what the browser does by itself; a machine may be busy with other tests


@contextmanager
def browser(downloads=None):
    """A browser with a fresh profile.

    Args:
        downloads: the folder into which it writes what is downloaded.
    """
    from selenium import webdriver

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        if downloads is not None:
            options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        driver.set_script_timeout(600)
        try:
            yield driver
        finally:
            driver.quit()


def await_that(driver, condition):
    """Wait until it is true; what it is then."""
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(driver, PATIENCE_SECONDS, poll_frequency=0.05).until(lambda _: condition())


def open_page(driver, path):
    """Open a file with the pointer in the corner, where there is nothing, and without messages of earlier pages."""
    from selenium.webdriver.common.actions.action_builder import ActionBuilder

    actions = ActionBuilder(driver)
    actions.pointer_action.move_to_location(1, 1)
    actions.perform()
    driver.get_log("browser")
    driver.get(path.as_uri())


def show_charts(driver):
    """Scroll to each chart of a report that is not in a closed section, and wait until it is drawn."""
    for place in driver.find_elements("css selector", "figure[data-chart]"):
        if driver.execute_script("return arguments[0].checkVisibility()", place):
            driver.execute_script("arguments[0].scrollIntoView()", place)
            await_that(driver, lambda place=place: place.find_elements("css selector", ".drawing svg"))


def set_window(driver, width, dark=False, height=900):
    """A window of this width, which also may be narrower than browsers' own ones, in a colour scheme."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
