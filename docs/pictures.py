"""Draw the pictures of the README: ``python docs/pictures.py`` (or ``make pictures``), with Chromium and its driver.

They show a release of the built-in sample, which is trained for them: the page to try it, and the map of its report.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

if TYPE_CHECKING:
    from collections.abc import Iterator

PICTURES = Path(__file__).parent / "pictures"
RECSYS = (sys.executable, "-m", "recsys")
LIKED = ("Venetian Harbour", "Eternal Axis")
"""Games of the sample: the one that is most like each is liked."""


def main() -> None:
    """Train the sample into a folder of its own, and draw."""
    PICTURES.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        subprocess.run([*RECSYS, "train", "--source", "sample", "--output", folder], check=True)
        with _browser() as browser, _served(folder) as address:
            _open(browser, (Path(folder) / "v1" / "report.html").as_uri(), width=900)
            _draw(browser, PICTURES / "map.png", "#map .card")
            _open(browser, address, width=660)
            _ask(browser)
            _draw(browser, PICTURES / "page.png", "body", "#games li:nth-child(6)")


@contextmanager
def _browser() -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    # In a container Chromium has neither its sandbox nor much shared memory.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    browser = Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield browser
    finally:
        browser.quit()


@contextmanager
def _served(models: str) -> Iterator[str]:
    command = [*RECSYS, "serve", "--models", models, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def _open(browser: Chrome, address: str, width: int) -> None:
    size = {"width": width, "height": 700, "deviceScaleFactor": 1, "mobile": False}
    light = {"name": "prefers-color-scheme", "value": "light"}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [light]})
    browser.get(address)


def _ask(browser: Chrome) -> None:
    """Like two games on the page, and ask for what suits somebody who likes both."""
    for name in LIKED:
        box = browser.find_element("id", "search")
        box.clear()
        box.send_keys(name, Keys.ENTER)
        _wait(browser, "title", f"Similar to {name}")
        browser.find_element("css selector", "#games button[aria-label^=Like]").click()
    browser.find_element("id", "search").clear()
    browser.find_element("id", "from").click()
    _wait(browser, "title", "For somebody who likes")
    _wait(browser, "games", "because of")


def _wait(browser: Chrome, element: str, text: str) -> None:
    WebDriverWait(browser, 60).until(lambda page: text in page.find_element("id", element).text)


def _draw(browser: Chrome, path: Path, *elements: str) -> None:
    """Draw one element, wherever it is on the page and however high; where a second one is named, down to that one."""
    place = browser.execute_script(
        "const [whole, last] = [arguments[0], arguments[1] ?? arguments[0]].map("
        "selector => document.querySelector(selector).getBoundingClientRect());"
        "return {x: whole.x, y: whole.y, width: whole.width, height: last.bottom - whole.y, scale: 1}",
        *elements,
    )
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"clip": place, "captureBeyondViewport": True})
    path.write_bytes(base64.b64decode(shot["data"]))


if __name__ == "__main__":
    main()
