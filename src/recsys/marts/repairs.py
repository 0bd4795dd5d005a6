"""Repairs of text as catalogues really hold it, each of a named kind so that it can be counted."""

from __future__ import annotations

import html
import re
from enum import StrEnum
from functools import cache, lru_cache
from html.entities import html5, name2codepoint
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Repair(StrEnum):
    """Kinds of repair, as reports name them."""

    BYTES = "UTF-8 bytes as entities"
    ENTITIES = "HTML entities"
    CONTROL = "control characters"
    ZERO_WIDTH = "zero-width characters"
    WHITESPACE = "whitespace"
    LISTS = "lists as text"
    MISSING = "missing values as text"


_LATIN_NAMES = {name: code for name, code in name2codepoint.items() if 0x80 <= code <= 0xFF}


def _named(low: int, high: int) -> str:
    return "|".join(name for name, code in _LATIN_NAMES.items() if low <= code <= high)


# A byte of UTF-8, written as a decimal or hexadecimal number, by its Latin-1 name, or as that character itself.
_REST = rf"(?:&(?:#(?:12[89]|1[3-8]\d|19[01])|#[xX][89abAB][0-9a-fA-F]|{_named(0x80, 0xBF)});|[\x80-\xbf])"
_LEADS = (
    (rf"#(?:19[4-9]|2[01]\d|22[0-3])|#[xX](?:[cC][2-9a-fA-F]|[dD][0-9a-fA-F])|{_named(0xC2, 0xDF)}", "\xc2-\xdf", 1),
    (rf"#(?:22[4-9]|23\d)|#[xX][eE][0-9a-fA-F]|{_named(0xE0, 0xEF)}", "\xe0-\xef", 2),
    (rf"#24[0-4]|#[xX][fF][0-4]|{_named(0xF0, 0xF4)}", "\xf0-\xf4", 3),
)
# Two patterns, since each starts with what the engine can search for quickly.
_SEQUENCE_OF_ENTITIES = re.compile("&(?:" + "|".join(f"(?:{lead});{_REST}{{{n}}}" for lead, _, n in _LEADS) + ")")
_SEQUENCE_OF_CHARACTERS = re.compile("|".join(f"[{lead}]{_REST}{{{n}}}" for _, lead, n in _LEADS))
_BYTE = re.compile(r"&[^;]+;|[\x80-\xff]")
# A semicolon is required: html.unescape alone would turn "this&notes" into "this¬es".
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_ESCAPED_AMPERSANDS = re.compile(r"&(?:amp;|#38;|#x26;)+", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_ZERO_WIDTH = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]+")
# Joiners belong to scripts beyond Latin and to emoji, where they change what is drawn.
_JOINERS = re.compile("(?<![\u0300-\U0010ffff])[\u200c\u200d]+|[\u200c\u200d]+(?![\u0300-\U0010ffff])")
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\u2028\u2029]")
# A single space is no match: replacing each by itself would be most of the work.
_BLANKS = re.compile(r"(?: [^\S\n]|[^\S\n ])[^\S\n]*")
_AROUND_LINE_ENDS = re.compile(r" \n ?|\n ")
_EMPTY_LINES = re.compile(r"\n{3,}")
_ANY_BLANKS = re.compile(r"(?: \s|[^\S ])\s*")


def clean_text(text: str, *, single_line: bool = False) -> tuple[str, frozenset[Repair]]:
    """Repair one text.

    HTML entities are decoded, however often they were escaped, and so is UTF-8 that was written
    byte by byte as entities (``&#227;&#129;&#130;`` is あ). Control and zero-width characters go,
    runs of blanks become one space, and more than one empty line becomes one. The result is a
    fixed point: cleaning it again changes nothing.

    Parameters
    ----------
    text
        Any string, lone surrogates included.
    single_line
        Make line breaks spaces too, as names and tags need.

    Returns
    -------
    tuple[str, frozenset[Repair]]
        The text, and the kinds of what was repaired; empty where nothing was.
    """
    if is_clean(text, single_line=single_line):
        return text, frozenset()
    kinds: set[Repair] = set()
    before = None
    while text != before:
        before = text
        for kind, repaired in _repairs(text, single_line=single_line):
            if repaired != text:
                kinds.add(kind)
                text = repaired
        if is_clean(text, single_line=single_line):
            break
    return text, frozenset(kinds)


def is_clean(text: str, *, single_line: bool = False) -> bool:
    """Tell quickly that there is nothing to repair: a few scans in C decide for most texts of a catalogue.

    False says only that :func:`clean_text` has to look closer.
    """
    lines = text.replace("\n", "") if not single_line and "\n" in text else text
    if "&" in text or "  " in text or not lines.isprintable() or text[:1].isspace() or text[-1:].isspace():
        return False
    return lines is text or not (" \n" in text or "\n " in text or "\n\n\n" in text)


def _repairs(text: str, *, single_line: bool) -> Iterator[tuple[Repair, str]]:
    if "&" in text:
        text = _ESCAPED_AMPERSANDS.sub("&", text)
        yield Repair.ENTITIES, text
    text = _decode_bytes(text)
    yield Repair.BYTES, text
    if "&" in text:
        text = _ENTITY.sub(_decode_entity, text)
        yield Repair.ENTITIES, text
    if not text.replace("\n", "").isprintable():
        text = _CONTROL.sub(_without_control, text)
        yield Repair.CONTROL, text
        text = _JOINERS.sub("", _ZERO_WIDTH.sub("", text))
        yield Repair.ZERO_WIDTH, text
        text = text if single_line else _LINE_ENDS.sub("\n", text)
    if single_line:
        yield Repair.WHITESPACE, _ANY_BLANKS.sub(" ", text).strip()
    else:
        text = _AROUND_LINE_ENDS.sub("\n", _BLANKS.sub(" ", text))
        yield Repair.WHITESPACE, _EMPTY_LINES.sub("\n\n", text).strip()


def _decode_entity(match: re.Match[str]) -> str:
    return _unescaped(match[0])


@lru_cache(maxsize=4096)
def _unescaped(entity: str) -> str:
    return html.unescape(entity) if entity[1] == "#" or entity[1:] in html5 else entity


def _without_control(match: re.Match[str]) -> str:
    r"""Drop a control character, or read it as the Windows-1252 sign that it usually is (``\\x92`` is ’)."""
    if "\x1c" <= match[0] <= "\x1f":
        return " "
    return bytes([ord(match[0])]).decode("cp1252", "ignore") if "\x80" <= match[0] <= "\x9f" else ""


def _decode_bytes(text: str) -> str:
    """Decode UTF-8 that was written byte by byte: as entities, or as characters U+0080 to U+00F4.

    A sequence of bytes counts when one of them is a C1 control (0x80 to 0x9F), which no text
    holds by itself. Without one it could be Latin-1 as well: then every byte must be a number, and
    none a no-break space or guillemet, which do follow accented letters in French, unless
    elsewhere in the text a sequence with a control proves the writer's habit.
    """
    proven, doubted = False, False

    def decode(match: re.Match[str]) -> str:
        nonlocal proven, doubted
        sequence = _read_sequence(match[0])
        proven = proven or sequence.trust == "certain"
        doubted = doubted or sequence.trust == "doubtful"
        return sequence.text if sequence.trust in {"certain", "likely"} or (proven and sequence.text) else match[0]

    if "&" in text:
        text = _SEQUENCE_OF_ENTITIES.sub(decode, text)
        if proven and doubted:
            text = _SEQUENCE_OF_ENTITIES.sub(decode, text)
    return text if text.isascii() else _SEQUENCE_OF_CHARACTERS.sub(decode, text)


class _Sequence(NamedTuple):
    """A sequence of bytes read as UTF-8, and how sure it is that this was meant."""

    text: str
    trust: Literal["certain", "likely", "doubtful", "none"]


@cache
def _read_sequence(written: str) -> _Sequence:
    """Read a sequence; there are few more of them than characters, so that the cache is bounded."""
    units = _BYTE.findall(written)
    values = bytes(_byte_value(unit) for unit in units)
    try:
        text = values.decode()
    except UnicodeDecodeError:
        return _Sequence("", "none")
    if any(0x80 <= value <= 0x9F for value in values):
        return _Sequence(text, "certain")
    if not all(unit.startswith("&#") for unit in units):
        return _Sequence("", "none")
    return _Sequence(text, "doubtful" if set(values[1:]) & {0xA0, 0xAB, 0xBB} else "likely")


def _byte_value(unit: str) -> int:
    if unit.startswith(("&#x", "&#X")):
        return int(unit[3:-1], 16)
    if unit.startswith("&#"):
        return int(unit[2:-1])
    return _LATIN_NAMES[unit[1:-1]] if unit.startswith("&") else ord(unit)
