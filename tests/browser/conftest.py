"""A real browser: Debian's chromium and its driver. Where there is none tests are skipped, but not in CI."""

import os
import shutil
from contextlib import contextmanager

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from omrgrade.review.desk import Desk
from omrgrade.review.serve import serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--window-size=1100,900", "--host-resolver-rules=MAP elsewhere.example 127.0.0.1",
)  # fmt: skip
PATIENCE = 20  # seconds


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """The browser, one for all tests, with an empty profile."""
    if not (CHROMIUM and DRIVER) and not os.environ.get("CI"):
        pytest.skip("needs chromium and chromium-driver")
    assert CHROMIUM and DRIVER, "CI must have chromium and chromium-driver"
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


class Page:
    """The review as a person has it before him: what it shows, and keys."""

    def __init__(self, browser, served):
        self.browser, self.served, self.desk = browser, served, served.desk
        self.open()

    def open(self):
        self.browser.get(self.served.address)
        self.until(lambda: "Loading" not in self.text("main"))

    def until(self, condition):
        return WebDriverWait(self.browser, PATIENCE, poll_frequency=0.02).until(lambda _: condition())

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.script("return document.querySelector(arguments[0])?.textContent || ''", selector)

    def script(self, code, *arguments):
        return self.browser.execute_script(code, *arguments)

    def keys(self, *keys):
        """Press keys, each when the last one has been answered."""
        for key in keys:
            self.browser.switch_to.active_element.send_keys(key)
            self.browser.execute_async_script("queue.then(() => arguments[0]())")

    def view(self, name):
        """Go to a view as by keyboard: its tab gets the focus and Enter."""
        self.script("document.querySelector(`nav [data-view=${arguments[0]}]`).focus()", name)
        self.keys(Keys.ENTER)

    @property
    def item(self):
        """Which field, or page, is before him."""
        return self.script("return document.querySelector('[data-key]')?.dataset.key || ''")

    def counts(self):
        return self.text("#count")

    def complaints(self):
        """What the browser itself complains of: scripts that failed, things that the policy stopped."""
        return [entry["message"] for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE"]


@pytest.fixture
def reviewing(chromium):
    """reviewing(folder) -> a context in which that run is open in the browser."""

    @contextmanager
    def review(out, who="tester"):
        chromium.get_log("browser")
        with serving(Desk(out, who=who)) as served:
            yield Page(chromium, served)
        chromium.get("about:blank")

    yield review
    for handle in chromium.window_handles[1:]:
        chromium.switch_to.window(handle)
        chromium.close()
    chromium.switch_to.window(chromium.window_handles[0])
