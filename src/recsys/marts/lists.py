"""Lists of tags that were printed to text: read whole, or not at all."""

from __future__ import annotations

import ast
import json
import re
import warnings
from typing import Any

from recsys.marts.cells import NotText, entry_text, text_of

_BRACKETS = {"[": "]", "(": ")"}
_STRING = r"""[bBuU]?(?:'(?:[^'\\\n]|\\.)*+'|"(?:[^"\\\n]|\\.)*+")"""
_NUMBER = r"-?(?:0|[1-9]\d*)(?:\.\d*)?(?:[eE][-+]?\d+)?"
_ENTRY = re.compile(
    rf"(?P<string>{_STRING})|(?P<null>None|null|nan|NaN|undefined|<NA>)|(?P<number>{_NUMBER})", re.DOTALL
)
_GAP = re.compile(r"\s*(,?)\s*")


def parse_tags(text: str) -> list[str] | None:
    r"""Read a list given as text, to its last character.

    JSON, with Snowflake's ``undefined`` for a null entry; lists and tuples as Python prints them
    (``"['Economic', \\"Children's Game\\", None]"``); arrays as numpy does (``"['Economic' 'Dice']"``).
    A tuple has a comma, ``('A',)``; nothing is executed. Null entries are left out; numbers become text, 7.0 as ``7``.

    Returns
    -------
    list[str] | None
        The tags, or None if the text as a whole is no such list: where it is cut off, or holds lists,
        objects or booleans.
    """
    text = text.strip()
    if len(text) < 2 or _BRACKETS.get(text[0]) != text[-1]:
        return None
    if text.startswith("['") and text.endswith("']") and not ('"' in text or "\\" in text):
        tags = text[2:-2].split("', '")
        # No quote but those around the tags: this is the whole list, without looking at each entry.
        if text.count("'") == 2 * len(tags):
            return tags
    try:
        return _json_entries(text) if text[0] == "[" else _entries(text)
    except ValueError:
        return None


def _json_entries(text: str) -> list[str] | None:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return _entries(text)
    return [tag for entry in parsed if (tag := entry_text(entry)) is not None]


def _entries(text: str) -> list[str] | None:
    inside = text[1:-1].strip()
    tags: list[str] = []
    gaps: list[str] = []
    at = 0
    while at < len(inside):
        entry = _ENTRY.match(inside, at)
        if entry is None:
            return None
        tags += _tags_of(entry)
        gap = _GAP.match(inside, entry.end())
        assert gap is not None
        gaps.append(gap[0])
        at = gap.end()
    return tags if _are_apart(gaps, commas=text[0] == "(") else None


def _are_apart(gaps: list[str], *, commas: bool) -> bool:
    """Tell whether what follows each entry separates them all in one way; a tuple's need commas.

    Entries that touch are none: ``'Children''s Game'`` doubles a quote, as SQL has it. A comma here
    and a blank there may be a comma forgotten.
    """
    between = {gap.strip() for gap in gaps[:-1]} | {gap.strip() for gap in gaps[-1:] if gap}
    return "" not in gaps[:-1] and len(between) < 2 and (between == {","} or not commas or not gaps)


def _tags_of(entry: re.Match[str]) -> list[str]:
    if entry["null"]:
        return []
    if entry["number"]:
        value: Any = float(entry[0]) if set(entry[0]) & set(".eE") else int(entry[0])
        tag = entry_text(value)
        return [] if tag is None else [tag]
    return [_string(entry["string"])]


def _string(token: str) -> str:
    if "\\" not in token and token[0] in "'\"":
        return token[1:-1]
    try:
        return text_of(json.loads(token))
    except ValueError:
        pass
    try:
        with warnings.catch_warnings():
            # Stray backslashes in tags are worth no warning about Python source.
            warnings.simplefilter("ignore", SyntaxWarning)
            return text_of(ast.literal_eval(token))
    except (ValueError, SyntaxError) as error:
        raise NotText(str(error)) from None
