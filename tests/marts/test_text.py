"""Text repairs, tags and what the embedding model reads."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recsys.errors import DataContractError
from recsys.marts.repairs import Repair, clean_text, is_clean
from recsys.marts.tags import TAGS_WITH_COMMAS, game_tags, parse_tags, split_tags
from recsys.marts.text import TextRecipe, clean_games, embedding_text

if TYPE_CHECKING:
    from pathlib import Path

DIRTY = st.text(
    st.sampled_from(
        [*"ab Zé\n\t\r;&#x", "\u00a0", "\u200b", "\u200d", "न", "\x00", "\x81", "\ud800", "ã", "»", "\u2028"]
    )
)
ENTITIES = st.lists(
    st.sampled_from(["&amp;", "amp;", "&#227;", "&#129;", "&#130;", "&acirc;", "&#10;", "&eacute;", "&nbsp;", "&#160;"])
).map("".join)


def as_byte_entities(text: str) -> str:
    """Write text beyond ASCII byte by byte as numbers, the way some exports do."""
    return "".join(ch if ch.isascii() else "".join(f"&#{b};" for b in ch.encode()) for ch in text)


@pytest.fixture(scope="module")
def raw_games(real_data: Path) -> pd.DataFrame:
    """Return the uncleaned catalogue rows of real games."""
    return pd.read_parquet(real_data / "games_raw_sample.parquet")


@pytest.mark.parametrize(
    ("dirty", "clean", "kinds"),
    [
        ("Tom &amp; Jerry&#39;s", "Tom & Jerry's", {Repair.ENTITIES}),
        ("&amp;amp;quot;x&amp;#34;", '"x"', {Repair.ENTITIES}),
        ("caf&eacute;&nbsp;&raquo;", "café »", {Repair.ENTITIES, Repair.WHITESPACE}),
        ("caf&#233;&#160;&#187;", "café »", {Repair.ENTITIES, Repair.WHITESPACE}),
        ("1990&#150;1995", "1990–1995", {Repair.ENTITIES}),
        ("&#227;&#129;&#130;", "あ", {Repair.BYTES}),
        ("&amp;#227;&amp;#129;&amp;#130;", "あ", {Repair.BYTES, Repair.ENTITIES}),
        ("&#xE3;&#x81;&#X82;", "あ", {Repair.BYTES}),
        ("it&acirc;&#128;&#153;s", "it’s", {Repair.BYTES}),
        ("a â\x80\x9chidden\xe2\x80\x9d move", "a “hidden” move", {Repair.BYTES}),
        ("&#228;&#186;&#186;", "人", {Repair.BYTES}),
        ("&mu;&#207;&#140;&nu;&omicron;&sigmaf;", "μόνος", {Repair.BYTES, Repair.ENTITIES}),
        ("&#240;&#159;&#142;&#178;", "🎲", {Repair.BYTES}),
        ("don\x92t \x00st\x07op", "don’t stop", {Repair.CONTROL}),
        ("N\x81\x81ürnberg", "Nürnberg", {Repair.CONTROL}),
        ("half\ud83d", "half", {Repair.CONTROL}),
        ("zero\u200bwidth\ufeff sp\u00ady", "zerowidth spy", {Repair.ZERO_WIDTH}),
        ("a\u200db \u200c\u200d न\u200d", "ab न", {Repair.ZERO_WIDTH, Repair.WHITESPACE}),
        ("  a \t b\r\n \r\n\r\n\u2028c\u00a0d ", "a b\n\nc d", {Repair.WHITESPACE}),
    ],
)
def test_each_repair(dirty: str, clean: str, kinds: set[Repair]) -> None:
    """Each kind of damage becomes what was meant, and is named."""
    assert clean_text(dirty) == (clean, frozenset(kinds))


@pytest.mark.parametrize(
    "text",
    [
        "R&D;, AT&T and this&notes=1",
        "Two lines,\nthen\n\na paragraph: naïve café » «É»",
        "家族で遊ぶ 🎲 نیم\u200cفاصله 👨\u200d👩\u200d👧",
        "Ã la carte, à ©",
        "",
    ],
)
def test_clean_text_is_left_alone(text: str) -> None:
    """Ampersands, accents, joiners of other scripts and paragraphs are no damage."""
    assert clean_text(text) == (text, frozenset())


@given(text=st.one_of(st.text(), st.lists(st.one_of(DIRTY, ENTITIES)).map("".join)), single_line=st.booleans())
@example(text="&\x00amp;lt;", single_line=False)
@example(text="\u200d\u200da\u200d", single_line=False)
@example(text="&#194;&#194;&#160;", single_line=True)
def test_cleaning_is_a_fixed_point(*, text: str, single_line: bool) -> None:
    """What was cleaned is clean: a second pass finds nothing and names nothing."""
    once, kinds = clean_text(text, single_line=single_line)
    assert clean_text(once, single_line=single_line) == (once, frozenset())
    assert (once == text) == (not kinds)
    once.encode()


@given(st.text(st.characters(min_codepoint=0x100, exclude_categories=["C", "Z"]), min_size=1))
def test_byte_entities_decode_to_the_text_they_spell(text: str) -> None:
    """Any text beyond Latin-1 written byte by byte comes back, once or twice escaped."""
    expected = clean_text(text)[0]
    spelled = "&#226;&#128;&#147;" + as_byte_entities(text)
    assert clean_text(spelled)[0] == "–" + expected
    assert clean_text(spelled.replace("&", "&amp;"))[0] == "–" + expected


@given(st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="&"), min_size=1))
def test_escaped_text_decodes_as_the_standard_library_does(text: str) -> None:
    """Text escaped for HTML any number of times comes back; the oracle is ``html``."""
    assert clean_text(html.escape(html.escape(text)))[0] == clean_text(text)[0]


def test_worst_real_rows_are_readable(raw_games: pd.DataFrame) -> None:
    """The rows with the most byte-wise entities hold the Japanese, Russian and Chinese that was meant."""
    games = clean_games(raw_games)[0].set_index("GAME_ID")
    assert games.DESCRIPTION[193681].startswith("In the game of ブタバベル (ButaBabel), you are a pig")
    assert "Pawlitics: Politicats vs. Candidogs / 選汪與喵：爭風奪罐 is" in games.DESCRIPTION[397139]
    assert games.MECHANICS[284378] == "Action Points, Hand Management, Variable Phase Order, Worker Placement"


def test_no_damage_is_left_in_real_rows(raw_games: pd.DataFrame) -> None:
    """No entity, control character, half-decoded byte or list as text remains, and repairs are counted."""
    games, repaired = clean_games(raw_games)
    texts = pd.concat([games[name] for name in ("NAME", "DESCRIPTION", "CATEGORIES", "MECHANICS")])
    assert not texts.str.contains(r"&#\d+;|&[a-z]+;|[\x00-\x09\x0b-\x1f\x7f-\x9f]|^\['").any()
    assert not games.DESCRIPTION.str.contains("[ÂÃâãäåæçèé][\xa0-\xbf]{1,2}").any()
    assert repaired[Repair.BYTES] > 1000
    assert repaired[Repair.LISTS] == raw_games[["CATEGORIES", "MECHANICS"]].notna().sum().sum()
    assert clean_games(games)[1].total() == 0


def test_missing_text_is_empty_text() -> None:
    """None, NaN and NA become empty texts; the name "nan" stays, and nothing counts as repaired."""
    games = pd.DataFrame(
        {
            "NAME": ["nan", "b", "c"],
            "DESCRIPTION": [None, np.nan, pd.NA],
            "CATEGORIES": [None, "x", np.nan],
            "MECHANICS": [""] * 3,
        },
        index=[5, 3, 4],
    )
    cleaned, repaired = clean_games(games)
    assert cleaned.to_dict("list") == {
        "NAME": ["nan", "b", "c"],
        "DESCRIPTION": [""] * 3,
        "CATEGORIES": ["", "x", ""],
        "MECHANICS": [""] * 3,
    }
    assert list(cleaned.index) == [5, 3, 4]
    assert repaired.total() == 0


def test_a_games_tags_are_its_categories_and_its_mechanics() -> None:
    """Categories come first; a game may have none of either."""
    assert game_tags(["Dice, Fantasy", ""], ["Deck, Bag, and Pool Building", ""]) == [
        ["Dice", "Fantasy", "Deck, Bag, and Pool Building"],
        [],
    ]


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("['Economic', 'Negotiation']", ["Economic", "Negotiation"]),
        (
            """["Children's Game", 'Deck, Bag, and Pool Building']""",
            ["Children's Game", "Deck, Bag, and Pool Building"],
        ),
        ('["Économie", null, 7]', ["Économie", "7"]),
        ("['say \\'x\\'', \"tab\\\\\"]", ["say 'x'", "tab\\"]),
        (" [] ", []),
        ("['a', ['b']]", None),
        ("[redacted]", None),
        ("['a'", None),
        ("[__import__('os').system('true')]", None),
        ("[" * 5000 + "]" * 5000, None),
        ("Economic, Negotiation", None),
    ],
)
def test_lists_as_text_are_read_exactly(text: str, tags: list[str] | None) -> None:
    """Python and JSON lists give their tags; anything else is no list, and nothing is executed."""
    assert parse_tags(text) == tags


@given(st.lists(st.text()))
def test_any_python_list_of_strings_is_read_back(tags: list[str]) -> None:
    """Whatever quotes, commas and escapes the tags hold, ``repr`` is undone."""
    assert parse_tags(repr(tags)) == tags


def test_tag_entities_are_decoded_inside_the_list() -> None:
    """A quote written as an entity does not end its tag, and both repairs are named."""
    games = pd.DataFrame({"MECHANICS": ["['Prisoner&#39;s Dilemma', 'Print &amp; Play']", "[&quot;Dice&quot;]"]})
    cleaned, repaired = clean_games(games)
    assert list(cleaned.MECHANICS) == ["Prisoner's Dilemma, Print & Play", "Dice"]
    assert repaired == {Repair.LISTS: 2, Repair.ENTITIES: 2}


def test_list_columns_are_joined() -> None:
    """A column of real lists, as Parquet may hold, becomes the same text."""
    games = pd.DataFrame({"CATEGORIES": [np.array(["Dice", "Party  Game"], object), ["Math"], []]})
    assert list(clean_games(games)[0].CATEGORIES) == ["Dice, Party Game", "Math", ""]


def test_known_tags_with_commas_stay_whole() -> None:
    """Each mechanic with commas survives joining, also beside the tag that it begins with."""
    for tag in TAGS_WITH_COMMAS:
        assert split_tags([f"Bingo, Worker Placement, {tag}, Zone of Control"]) == [
            ["Bingo", "Worker Placement", tag, "Zone of Control"]
        ]


def test_unknown_tags_with_commas_are_learned_from_the_column() -> None:
    """Pieces that never occur apart are one tag where a conjunction or the order gives them away."""
    cells = [
        "Auction, Stocks, Bonds, and Shares, Trains",
        "Stocks, Bonds, and Shares",
        "Party, Stocks, Bonds, and Shares",
    ]
    filler = ["Auction, Party, Trains", "Auction, Trains", "Party, Trains", "Auction, Party"] * 4
    tags = split_tags(cells + filler, known=())
    assert tags[0] == ["Auction", "Stocks, Bonds, and Shares", "Trains"]
    assert tags[3] == ["Auction", "Party", "Trains"]


def test_tags_that_go_together_stay_apart() -> None:
    """Two tags in order that always share a game are still two tags."""
    assert split_tags(["Deduction, Hidden Roles"] * 20) == [["Deduction", "Hidden Roles"]] * 20


def test_tags_with_commas_are_learned_from_lists_in_the_column() -> None:
    """A cell given as a list teaches the others."""
    assert split_tags(["['Rock, Paper, Scissors']", "Dice, Rock, Paper, Scissors", ""], known=()) == [
        ["Rock, Paper, Scissors"],
        ["Dice", "Rock, Paper, Scissors"],
        [],
    ]


def test_joined_real_tags_split_back(raw_games: pd.DataFrame) -> None:
    """Joining and splitting the real lists gives them back, all of them."""
    for column in ("CATEGORIES", "MECHANICS"):
        lists = [parse_tags(cell) or [] for cell in raw_games[column].dropna()]
        assert split_tags([", ".join(tags) for tags in lists]) == lists


def test_embedding_text_puts_short_fields_first() -> None:
    """Name and tags come before the description, each with its prefix; empty fields are left out."""
    games = pd.DataFrame(
        {
            "GAME_ID": [13, 7],
            "NAME": ["Catan", "Go"],
            "DESCRIPTION": ["Trade &amp; build.\n\nWin.", None],
            "CATEGORIES": ["['Economic', 'Negotiation']", ""],
            "MECHANICS": ["Trading", None],
        },
        index=[4, 2],
    )
    texts = embedding_text(games)
    assert texts.to_dict() == {
        4: "Name: Catan; Categories: Economic, Negotiation; Mechanics: Trading; Description: Trade & build. Win.",
        2: "Name: Go",
    }
    assert texts.name == "embedding_text"


def test_recipe_orders_and_chooses_fields() -> None:
    """A recipe decides which fields are read, and in which order."""
    games = pd.DataFrame(
        {"NAME": ["Go"], "DESCRIPTION": ["Old."], "CATEGORIES": ["Abstract"], "MECHANICS": ["Enclosure"]}
    )
    recipe = TextRecipe(fields=("NAME", "DESCRIPTION"))
    assert list(embedding_text(games, recipe)) == ["Name: Go; Description: Old."]


def test_missing_field_is_named() -> None:
    """A frame without a field of the recipe is refused with the name of the column."""
    with pytest.raises(DataContractError, match="MECHANICS, DESCRIPTION"):
        embedding_text(pd.DataFrame({"NAME": ["Go"], "CATEGORIES": ["Abstract"]}))


def test_quick_check_agrees_with_the_repairs() -> None:
    """What the quick check calls clean, every repair leaves alone."""
    for text in ("a  b", " a", "a\u00a0b", "a\n b", "a &amp; b", "a\u200bb", "a\tb", "a\n\n\nb", "a\n"):
        assert not is_clean(text)
    assert is_clean("a\nb")
    assert not is_clean("a\nb", single_line=True)
