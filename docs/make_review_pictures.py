"""Renew the README's pictures of the review from the bundled samples: python docs/make_review_pictures.py

Needs the test extra, chromium and its driver.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from selenium import webdriver

from omrgrade.review.desk import Desk
from omrgrade.review.serve import serving

ROOT = Path(__file__).parent.parent
SIZE = 1000, 640
SHOTS = {  # picture -> keys pressed before it is taken
    "review-doubt.png": "",
    "review-page.png": " ",
    "review-wall.png": "6",
}


def main() -> None:
    """Grade the samples, open the review, take the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["-k", "samples/key.csv", "-r", "samples/roster.csv", "-o", f"{folder}/graded", "-q"]
        grade = ["grade", "samples/scans", "-t", "mixed-letter", *arguments]
        subprocess.run([sys.executable, "-m", "omrgrade", *grade], cwd=ROOT, check=True)
        with serving(Desk(f"{folder}/graded", who="teacher")) as served:
            browser = open_browser(f"{folder}/profile")
            browser.get(served.address)
            wait(browser)
            for name, keys in SHOTS.items():
                if name == "review-wall.png":
                    browser.execute_script("byId('sheet').close(); show('wall')")
                for key in keys:
                    browser.switch_to.active_element.send_keys(key)
                    wait(browser)
                browser.save_screenshot(folder + "/shot.png")
                Image.open(folder + "/shot.png").convert("RGB").quantize(48).save(
                    ROOT / "docs" / name, optimize=True
                )
            browser.quit()


def open_browser(profile: str) -> webdriver.Chrome:
    """Debian's chromium, headless."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--hide-scrollbars", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", f"--user-data-dir={profile}", f"--window-size={SIZE[0]},{SIZE[1] + 143}",
    ):  # fmt: skip
        options.add_argument(flag)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))


def wait(browser: webdriver.Chrome) -> None:
    """Until every picture is there."""
    code = """const tell = arguments[0];
    const pictures = () => [...document.querySelectorAll('main img, dialog[open] img')];
    const loading = () => document.body.textContent.includes('Loading');
    const look = () => loading() || !pictures().every((one) => one.naturalWidth)
      ? setTimeout(look, 50) : setTimeout(tell, 200);
    queue.then(look);"""
    browser.execute_async_script(code)


if __name__ == "__main__":
    main()
