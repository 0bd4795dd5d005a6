"""The page, in a real browser: headless Chromium over a running service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from factories.served import publish
from standins.server import running, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from selenium.webdriver import Chrome

WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def browser(needs_tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Return a headless Chromium on the page of a running service."""
    chromium, driver = needs_tool("chromium"), needs_tool("chromedriver")
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    models = tmp_path_factory.mktemp("models")
    publish(models)
    options = ChromeOptions()
    options.binary_location = str(chromium)
    # In a container Chromium has neither its sandbox nor much shared memory.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with running("-m", "standins.word_server", models, log=models / "log") as (_, address):
        browser = Chrome(options=options, service=Service(str(driver)))
        try:
            browser.address = address
            yield browser
        finally:
            browser.quit()


@pytest.fixture
def page(browser: Chrome) -> Iterator[Chrome]:
    """Return the page, freshly loaded; at the end of the test its console must hold no error."""
    browser.get(browser.address)
    until(lambda: "43 games" in text(browser, "#health"))
    yield browser
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def find(page: Chrome, selector: str) -> list[Any]:
    """Return the elements of a CSS selector."""
    return list(page.find_elements("css selector", selector))


def text(page: Chrome, selector: str) -> str:
    """Return what a person reads there."""
    return str(find(page, selector)[0].text)


def listed(page: Chrome) -> list[str]:
    """Return the ids of the games that are listed, in one step: the list may change underneath."""
    return list(page.execute_script("return [...document.querySelectorAll('#games .id')].map(id => id.textContent)"))


def press(page: Chrome, *keys: str) -> None:
    """Press keys, wherever the focus is: no element is touched otherwise."""
    from selenium.webdriver import ActionChains

    ActionChains(page).send_keys(*keys).perform()


def test_a_search_by_keyboard_alone(page: Chrome) -> None:
    """Type a part of a name, choose with the arrows, press Enter: the games that are like it are listed."""
    from selenium.webdriver.common.keys import Keys

    press(page, "night")  # the search box has the focus from the start
    until(lambda: find(page, "#names li"))
    assert text(page, "#names li[aria-selected=true]").startswith("Night Mail")
    press(page, Keys.ARROW_DOWN)
    assert "Search descriptions for “night”" in [each.text for each in find(page, "#names li")]
    press(page, Keys.ARROW_UP, Keys.ENTER)
    until(lambda: len(find(page, "#games li")) == 10)
    assert text(page, "#title") == "Similar to Night Mail"
    assert "too few ratings" in text(page, "#note")
    assert "Trains" in text(page, "#games li .game")
    assert not find(page, "#names")[0].is_displayed()


def test_words_search_the_descriptions(page: Chrome) -> None:
    """Text that is no name is searched for in the descriptions, by the same box and Enter."""
    from selenium.webdriver.common.keys import Keys

    press(page, "all about wordplay")
    until(lambda: find(page, "#names li"))
    press(page, Keys.ENTER)
    until(lambda: find(page, "#games li"))
    assert text(page, "#title") == "Described like “all about wordplay”"
    assert "Wordplay" in text(page, "#games li .game")


def test_enter_never_takes_what_was_suggested_for_another_text(page: Chrome) -> None:
    """With a slow service: what is typed after the suggestions came is what counts."""
    from selenium.webdriver.common.keys import Keys

    press(page, "night")
    until(lambda: find(page, "#names li"))
    slow = "new Promise(go => setTimeout(() => go(real(...all)), 500))"
    page.execute_script(f"const real = window.fetch; window.fetch = (...all) => {slow}")
    press(page, " and trains", Keys.ENTER)
    until(lambda: find(page, "#games li"))
    assert text(page, "#title") == "Described like “night and trains”"


def test_a_name_and_two_enters_before_the_suggestions_came(page: Chrome) -> None:
    """The game of that name is shown, as it is for somebody who waits."""
    from selenium.webdriver.common.keys import Keys

    slow = "new Promise(go => setTimeout(() => go(real(...all)), 300))"
    page.execute_script(f"const real = window.fetch; window.fetch = (...all) => {slow}")
    press(page, "night mail", Keys.ENTER, Keys.ENTER)
    until(lambda: find(page, "#games li"))
    assert text(page, "#title") == "Similar to Night Mail"


def test_liked_games_are_recommended_from(page: Chrome) -> None:
    """With Tab and Enter alone: like a game of the list, then ask for what suits somebody who likes it."""
    from selenium.webdriver.common.keys import Keys

    press(page, "economic game 104")
    until(lambda: "104" in text(page, "#names li") if find(page, "#names li") else False)
    press(page, Keys.ENTER)
    until(lambda: find(page, "#games li"))
    find(page, "#games li .actions button")[1].send_keys(Keys.ENTER)
    until(lambda: find(page, "#from"))
    find(page, "#from")[0].send_keys(Keys.ENTER)
    until(lambda: text(page, "#title").startswith("For somebody who likes The Economic Game"))
    until(lambda: "because of" in text(page, "#games li"))


def test_rules_are_tried(page: Chrome) -> None:
    """What stands under "Rules" holds for the list that is shown; what is no rule is told in the service's words."""
    from selenium.webdriver.common.keys import Keys

    press(page, "night mail")
    until(lambda: find(page, "#names li"))
    press(page, Keys.ENTER)
    until(lambda: len(find(page, "#games li")) == 10)
    third = listed(page)[2]
    find(page, "#rules summary")[0].click()
    find(page, "#pin")[0].send_keys(third, Keys.ENTER)
    until(lambda: listed(page)[:1] == [third])
    find(page, "#pin")[0].clear()
    find(page, "#exclude")[0].send_keys(third, Keys.ENTER)
    until(lambda: third not in listed(page))
    find(page, "#diversity")[0].send_keys("2", Keys.ENTER)
    until(lambda: "diversity" in text(page, "#note"))
    (entry,) = [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"]
    assert "422" in entry["message"]


def test_a_wrong_question_is_explained(page: Chrome) -> None:
    """What the service refuses is told in its words, and the page goes on."""
    from selenium.webdriver.common.keys import Keys

    find(page, "#filter")[0].send_keys("tag=Econmic")
    find(page, "#user")[0].send_keys("3", Keys.ENTER)
    until(lambda: "did you mean Economic" in text(page, "#note"))
    # The browser itself reports the status 422; that is the one error there is.
    (entry,) = [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"]
    assert "422" in entry["message"]
    find(page, "#filter")[0].clear()
    find(page, "#filter")[0].send_keys("tag=Economic", Keys.ENTER)
    until(lambda: len(find(page, "#games li")) > 3)


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(page: Chrome, width: str) -> None:
    """On a desktop and on a phone the page scrolls down, never sideways."""
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": WIDTHS[width][0], "height": WIDTHS[width][1], "deviceScaleFactor": 1, "mobile": False},
    )
    press(page, "all about trains\n")
    until(lambda: len(find(page, "#games li")) == 10)
    inner, outer = page.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert inner <= outer == WIDTHS[width][0]


def test_the_page_runs_only_its_own_script(page: Chrome) -> None:
    """Its policy keeps out what is injected: an inline script does not run."""
    page.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.injected = 1'; document.body.append(s)"
    )
    assert page.execute_script("return window.injected") is None
    assert "Content Security Policy" in str(page.get_log("browser"))


def test_the_page_asks_for_the_token_of_the_server(browser: Chrome, tmp_path: Path) -> None:
    """With a token set: once it is typed, the page works as ever, also after it is loaded again; in no address."""
    from selenium.webdriver.common.keys import Keys

    publish(tmp_path)
    command = ("-m", "recsys", "serve", "--models", tmp_path, "--port", "0")
    with running(*command, log=tmp_path / "log", RECSYS_SERVE_TOKEN="a-token-of-some-length") as (_, address):
        browser.get(address)
        until(find(browser, "#token")[0].is_displayed)
        find(browser, "#token")[0].send_keys("a-token-of-some-length", Keys.ENTER)
        until(lambda: "43 games" in text(browser, "#health"))
        assert not find(browser, "#token")[0].is_displayed()
        browser.refresh()
        until(lambda: "43 games" in text(browser, "#health"))
        find(browser, "#user")[0].send_keys("3", Keys.ENTER)
        until(lambda: len(find(browser, "#games li")) > 3)
        assert "token" not in browser.current_url
    errors = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert [message for message in errors if "401" not in message] == []


def test_the_docs_show_the_routes(browser: Chrome) -> None:
    """Without another site, under their policy, with nothing to complain about."""
    browser.get(f"{browser.address}/docs")
    until(lambda: len(find(browser, ".opblock")) > 8)
    assert "/similar/{game_id}" in browser.page_source.replace("\u200b", "")
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
