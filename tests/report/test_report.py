"""The page of a release: complete, self-contained, discreet about users, and the same again."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import threading
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from factories import tables
from factories.report_releases import ATTACK, CANARY, Nights, games, ratings, train, two_nights
from recsys.cli import run
from recsys.errors import ArtifactCorrupt, MissingExtra, QualityGateFailed
from recsys.report import Facts, render_report, require_extra
from recsys.report.sections import SECTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from selenium.webdriver import Chrome

LIMIT = 2_000_000
"""Bytes that a page may have."""


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    """Return two releases of two nights."""
    return two_nights(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(nights: Nights) -> str:
    """Return the page that the second night published."""
    return (nights.second / "report.html").read_text(encoding="utf-8")


class _Reader(HTMLParser):
    """Collects what a page consists of: elements, sections that are missing something, and plain text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sections: list[str] = []
        self.missing: list[str] = []
        self.addresses: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        if tag == "section":
            self.sections.append(str(given["id"]))
        if given.get("class") == "missing":
            self.missing.append(self.sections[-1])
        self.addresses += [str(given[name]) for name in ("href", "src", "xlink:href") if name in given]


def test_every_section_is_there_in_order(page: str) -> None:
    """The second night's page lacks search and scenarios, not asked for, and newcomers: 40 games are too few."""
    read = _Reader(page)
    assert read.sections == [name for name, *_ in SECTIONS]
    assert read.missing == ["newcomers", "scenarios", "search"]


def test_the_page_is_one_small_file_that_asks_for_nothing(page: str) -> None:
    """It has no script, its links lead into the page itself, and the browser is told to fetch nothing."""
    read = _Reader(page)
    assert len(page.encode()) < LIMIT
    assert "script" not in read.tags
    assert all(address.startswith(("#", "data:,")) for address in read.addresses)
    assert "default-src 'none'" in page
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_names_are_shown_and_never_run(page: str) -> None:
    """A game called like a script stands on the page as text, in lists as well as in charts."""
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(") >= 3


def test_users_appear_under_hashes_alone(nights: Nights, page: str) -> None:
    """No id stands on the page, and no hash that somebody could make from a guessed id alone."""
    assert CANARY not in page
    aliases = re.findall(r'<p class="who"><code>([0-9a-f]{8})</code>', page)
    assert len(set(aliases)) == 5
    ids = [id_.encode() for id_ in nights.ratings["USER_ID"].unique()]
    guessed = {hashlib.new(kind, id_).hexdigest()[:8] for kind in ("md5", "sha1", "sha256") for id_ in ids}
    guessed |= {hashlib.blake2b(id_, digest_size=4).hexdigest() for id_ in ids}
    assert not guessed & set(aliases)


def test_the_same_page_can_be_made_again(nights: Nights, page: str, tmp_path: Path) -> None:
    """``recsys report`` renders, from a release's own files, what the run had put into the release."""
    out = tmp_path / "again.html"
    assert run(["report", nights.second.name, "--out", str(out), "--models", str(nights.models)]) == 0
    assert out.read_text(encoding="utf-8") == page


def test_what_is_no_plain_file_is_written_to_and_stays(nights: Nights, page: str, tmp_path: Path) -> None:
    """A pipe (and so a device such as /dev/null) takes the page; a link leads to the file that is written."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to("target.html")
    told: list[str] = []
    reader = threading.Thread(target=lambda: told.append(pipe.read_text(encoding="utf-8")), daemon=True)
    reader.start()
    for out in (pipe, link):
        assert run(["report", nights.second.name, "--out", str(out), "--models", str(nights.models)]) == 0
    reader.join(60)
    assert told == [page]
    assert pipe.is_fifo()
    assert link.is_symlink()
    assert (tmp_path / "target.html").read_text(encoding="utf-8") == page
    os.mkfifo(tmp_path / "unread")  # not waited for
    assert run(["report", nights.second.name, "--out", str(tmp_path / "unread"), "--models", str(nights.models)]) == 73
    assert run(["report", nights.second.name, "--out", "s3://bucket/page", "--models", str(nights.models)]) == 78
    assert run(["report", nights.second.name, "--out", str(tmp_path), "--models", str(nights.models)]) == 73


def test_a_release_that_is_not_sound_has_no_page(nights: Nights, tmp_path: Path) -> None:
    """A byte that was changed after publishing is an error, not a page."""
    copy = tmp_path / nights.second.name
    shutil.copytree(nights.second, copy)
    (copy / "metrics.json").write_text((copy / "metrics.json").read_text().replace("0.", "1."))
    with pytest.raises(ArtifactCorrupt):
        render_report(copy)


def test_an_unknown_release_ends_with_its_code(nights: Nights, tmp_path: Path) -> None:
    """``recsys report`` of a release that is not there exits 76 and writes nothing."""
    out = tmp_path / "none.html"
    assert run(["report", "nobody", "--out", str(out), "--models", str(nights.models)]) == 76
    assert not out.exists()


def test_a_first_release_has_nothing_to_compare_with(nights: Nights) -> None:
    """Its page says so in the three sections that compare, and shows all others."""
    first = _Reader((nights.first / "report.html").read_text(encoding="utf-8"))
    assert first.missing == ["changes", "newcomers", "scenarios", "drift", "moved", "search"]


def test_the_changes_are_named(page: str) -> None:
    """The setting, the counts and the games that differ from the release before stand on the page."""
    changes = page.partition('<section id="changes">')[2].partition("</section>")[0]
    assert re.search(r"cf\.seed</th><td[^>]*>\d+</td><td[^>]*><b>7</b>", changes)
    assert re.search(r"games in the catalogue</th><td[^>]*>38</td><td[^>]*><b>40</b>", changes)
    assert "New (2)" in changes
    assert "Game 138" in changes
    assert "Game 139" in changes


def test_scores_are_those_that_were_measured(nights: Nights, page: str) -> None:
    """Every contender's deciding score and its interval stand in the table as metrics.json has them."""
    told = json.loads((nights.second / "metrics.json").read_text())
    metric = told["verdict"]["metric"]
    for row in told["evaluation"]["contenders"].values():
        value, low, high = (f"{row[metric][key]:.3f}" for key in ("value", "low", "high"))
        assert re.search(rf"{value}<small>{low} – {high}</small>", page)


def test_what_is_missing_is_named(nights: Nights, tmp_path: Path) -> None:
    """Without metrics.json the models are shown all the same; with it alone, the scores are."""
    for name in ("games.parquet", "rag_index.faiss", "cf_factors.npz", "interactions.npz", "cf_mappings.json"):
        shutil.copy(nights.second / name, tmp_path)
    expected = [
        "verdict", "scores", "segments", "changes", "curve", "exposure", "newcomers", "scenarios", "resources", "drift",
        "moved",
    ]  # fmt: skip
    assert _Reader(render_report(tmp_path).decode()).missing == [*expected, "users", "search"]
    shutil.copy(nights.second / "hybrid.npz", tmp_path)  # which folds users in
    models = _Reader(render_report(tmp_path).decode())
    assert models.missing == [*expected, "search"]
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(nights.second / "metrics.json", alone)
    scores = _Reader(render_report(alone).decode())
    assert scores.missing == [
        "changes",
        "newcomers",
        "scenarios",
        "resources",
        "moved",
        "known",
        "users",
        "map",
        "search",
    ]


def test_metrics_of_another_version_break_nothing(nights: Nights, tmp_path: Path) -> None:
    """Where metrics.json lacks a key deep inside, the section says which, and the others stay."""
    told = json.loads((nights.second / "metrics.json").read_text())
    del told["exposure"]["shown"], told["gains"]
    (tmp_path / "metrics.json").write_text(json.dumps(told))
    page = render_report(tmp_path, facts=Facts("another")).decode()
    assert "exposure" in _Reader(page).missing
    assert "&#39;shown&#39; is missing" in page
    assert "scores" not in _Reader(page).missing


def test_a_refused_candidate_has_a_page(tmp_path: Path) -> None:
    """Its page lies beside its metrics, says that it was refused, and gives the reason."""
    with pytest.raises(QualityGateFailed):
        train(tmp_path, games(), ratings(), gate={"floor": 0.99}, evaluation={"resamples": 200})
    (kept,) = (tmp_path / "refused").iterdir()
    page = (kept / "report.html").read_text(encoding="utf-8")
    assert "✕ Refused" in page
    assert "below gate.floor 0.99" in page
    missing = _Reader(page).missing
    assert {"scores", "exposure", "resources"}.isdisjoint(missing)
    assert "curve" in missing
    assert "Nobody asked for it: evaluation.learning_curve = true" in page


def test_segments_are_shown_with_what_falls(nights: Nights, tmp_path: Path) -> None:
    """Each with its people, scores and leads; one that surely falls is marked, a small one has its number alone."""
    told = json.loads((nights.second / "metrics.json").read_text())
    assert {segment["of"] for segment in told["segments"]["found"]} >= {"activity", "popularity of the games"}
    row = {"of": "activity", "name": "3–11 ratings", "users": 4224, "scores": {"cf": 0.3, "current recipe": 0.31}}
    told["segments"] |= {
        "metric": "ndcg@10",
        "found": [
            {**row, "leads": {"current recipe": {"value": -0.0321, "low": -0.051, "high": -0.0131}}},
            {
                **row,
                "name": "12–17 ratings",
                "leads": {"current recipe": {"value": 0.0211, "low": -0.01, "high": 0.05}},
            },
            {"of": "newcomers", "name": "up to 5 ratings", "users": 59, "scores": {}, "leads": {}},
        ],
    }
    (tmp_path / "metrics.json").write_text(json.dumps(told))
    page = render_report(tmp_path).decode()
    assert "segments" not in _Reader(page).missing
    assert '3–11 ratings</th><td class="number">4,224</td>' in page
    assert "<b>−3.2%</b> ↓<small>−5.1% – −1.3%</small>" in page
    assert "<b>+2.1%</b><small>−1.0% – +5.0%</small>" in page
    assert 'up to 5 ratings</th><td class="number">59</td>' in page


def test_a_search_of_settings_is_shown(nights: Nights, tmp_path: Path) -> None:
    """Every trial is a point with its settings, and the best ones stand in a table."""
    told = json.loads((nights.second / "metrics.json").read_text())
    recipe = {"factors": 64, "regularization": 0.35, "unobserved": 3.0, "confidence": "graded"}
    trials = [
        {"stage": stage, "recipe": {**recipe, "factors": factors}, "ndcg": 0.2 + factors / 1000, "ratings": 1}
        for stage, factors in (("scales", 16), ("scales", 32), ("factors", 64))
    ]
    search = {
        "winner": recipe,
        "trials": trials,
        "rule": 0.2,
        "best": 0.264,
        "used": 0.2345,
        "seconds": 3.2,
        "complete": True,
    }
    told["tuning"] = {"search": search, "because": "no earlier search is remembered", "age": 0, "score": 0.2}
    (tmp_path / "metrics.json").write_text(json.dumps(told))
    page = render_report(tmp_path).decode()
    assert "search" not in _Reader(page).missing
    assert page.count("<title>trial ") == 3
    assert "factors 64, regularization 0.35, unobserved 3, confidence graded" in page
    assert "The rule without any search: 0.2000; the settings that were in use: 0.2345; the winner: 0.2640." in page


def _told(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


def _newcomers() -> dict[str, Any]:
    """Return what metrics.json says of newcomers, with made scores."""
    models = {name: _told(value) for name, value in (("hybrid", 0.4), ("content", 0.25), ("tags", 0.2713))}
    row = {"rankings": 4321, "models": models, "leads": {"content": _told(0.15), "tags": _told(0.1287)}}
    profiles = [
        {
            "liked": size,
            "rankings": 987,
            "models": {"hybrid": _told(0.4), "cf": _told(0.2 + size / 100)},
            "leads": {"cf": _told(0.2 - size / 100)},
        }
        for size in range(1, 6)
    ]
    return {
        "sample": {"ratings": 250_000, "users": 9_000, "games": 880},
        "cold_games": {"metric": "recall@20", "folds": 5, "held_out": row, "all": row},
        "short_profiles": {"metric": "ndcg@10", "seeds": 5, "profiles": profiles},
    }


def test_newcomers_are_shown(nights: Nights, tmp_path: Path) -> None:
    """Every score and lead stands in a table with its interval, and each length of profile is drawn."""
    told = json.loads((nights.second / "metrics.json").read_text())
    told["newcomers"] = _newcomers()
    (tmp_path / "metrics.json").write_text(json.dumps(told))
    page = render_report(tmp_path).decode()
    section = page.partition('<section id="newcomers">')[2].partition("</section>")[0]
    assert "newcomers" not in _Reader(page).missing
    assert section.count("0.271<small>0.261 – 0.281</small>") == 2
    assert section.count("lead +0.129</small><small>[+0.119, +0.139]") == 2
    assert "4,321 users rank them" in section
    for size in range(1, 6):
        assert f"<title>cf, {size} liked: {0.2 + size / 100:.4f}, 95% interval" in section
        assert f"<b>+{0.2 - size / 100:.3f}</b>" in section


@pytest.mark.parametrize(
    ("changed", "shown", "reason"),
    [
        ({"cold_games": {"missing": "Few games."}}, True, "Few games."),
        ({"short_profiles": {"missing": "Few people."}}, True, "Few people."),
        ({"cold_games": {"missing": "Few games."}, "short_profiles": {"missing": "Few people."}}, False, "Few games."),
        (None, False, "evaluation.newcomers is off."),
    ],
)
def test_what_newcomers_lack_is_said(
    nights: Nights,
    tmp_path: Path,
    changed: dict[str, Any] | None,
    shown: bool,  # noqa: FBT001 - a parameter of the test
    reason: str,
) -> None:
    """A row that could not be measured says why beside the other; without any the section does."""
    told = json.loads((nights.second / "metrics.json").read_text())
    told["newcomers"] = {"missing": reason} if changed is None else {**_newcomers(), **changed}
    (tmp_path / "metrics.json").write_text(json.dumps(told))
    page = render_report(tmp_path).decode()
    assert reason in page
    assert ("newcomers" not in _Reader(page).missing) == shown


def test_the_missing_extra_is_named() -> None:
    """Where a package is not installed, the error names the extra before anything else is done."""
    with pytest.raises(MissingExtra, match=r"recsys-releases\[report\]"):
        require_extra(find=lambda name: None if name == "vl_convert" else name)


@pytest.fixture(scope="module")
def browser(needs_tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Return headless Chromium that keeps a log of its console and of every request."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(needs_tool("chromium"))
    for switch in (
        "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync", f"user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):  # fmt: skip
        options.add_argument(f"--{switch}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(needs_tool("chromedriver"))))
    yield driver
    driver.quit()


def _open(browser: Chrome, page: Path, width: int, scheme: str) -> list[str]:
    """Open a page at a width, light or dark, and return the address of every request that it made."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size: dict[str, Any] = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(page.as_uri())
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    # The tab that the browser starts with loads resources of its own.
    return [request["request"]["url"] for request in sent if request["documentURL"] == page.as_uri()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_browser(browser: Chrome, nights: Nights, width: int, scheme: str, tmp_path: Path) -> None:
    """On a desktop and on a phone, light and dark: no error, no request leaves, nothing sticks out, all is drawn."""
    page = nights.second / "report.html"
    requests = _open(browser, page, width, scheme)
    assert page.as_uri() in requests
    assert {url for url in requests if not url.startswith("data:")} == {page.as_uri()}
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    heights = browser.execute_script("return [...document.querySelectorAll('section')].map(s => s.offsetHeight)")
    assert len(heights) == len(SECTIONS)
    assert min(heights) > 60
    drawn = browser.execute_script(
        "return [...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect().width * s.children.length)"
    )
    assert len(drawn) == 8
    assert min(drawn) > 100
    red, green, blue = map(int, re.findall(r"\d+", _colour(browser))[:3])
    assert (red + green + blue < 3 * 60) == (scheme == "dark")
    assert browser.save_screenshot(str(tmp_path / f"{width}-{scheme}.png"))


def _colour(browser: Chrome) -> str:
    return str(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))


def test_a_point_of_the_map_tells_its_name(browser: Chrome, nights: Nights) -> None:
    """Every game of the map is a circle whose title, what a browser shows on hover, is its name."""
    _open(browser, nights.second / "report.html", 1280, "light")
    names = browser.execute_script(
        "return [...document.querySelectorAll('#map svg circle title')].map(title => title.textContent)"
    )
    assert len(names) == tables.GAMES
    assert any(name.startswith(ATTACK) for name in names)


def test_a_run_can_ask_whether_its_page_can_be_drawn() -> None:
    """Where one of the packages is missing it cannot, and nothing is raised."""
    from recsys.report import can_render

    assert can_render(lambda _: object())
    assert not can_render(lambda name: None if name == "vl_convert" else object())
