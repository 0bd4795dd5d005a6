"""Ways to build a game's text: orders of the fields, cuts of the description, and cleaning undone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from html.entities import codepoint2name
from typing import TYPE_CHECKING

import numpy as np

from recsys.marts.tags import split_tags
from recsys.marts.text import DEFAULT_RECIPE, TextRecipe, embedding_text

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from tokenizers import Tokenizer

PRESENT = "present recipe"
BREAK = "¶"
"""Stands for a line break while a text is built."""


def flat(text: str) -> str:
    """Make line breaks spaces, as the package does."""
    return re.sub(f"{BREAK}+", " ", text)


@dataclass(frozen=True)
class Way:
    """A way to build a game's vector, which is the mean over its texts."""

    views: tuple[tuple[str, ...], ...] = (DEFAULT_RECIPE.fields,)
    """Fields of each text."""
    parts: Callable[[str], list[str]] = lambda text: [text]
    """Cuts a description; each part makes a text of its own."""
    spoil: Callable[[str], str] = flat
    """Changes the finished text."""

    def texts(self, games: pd.DataFrame) -> list[list[str]]:
        """Return the texts of each game."""
        spoilt: list[list[str]] = [[] for _ in range(len(games))]
        parts = [self.parts(text) or [""] for text in games["DESCRIPTION"]]
        for fields in self.views:
            split_here = parts if "DESCRIPTION" in fields else [[""]] * len(parts)
            owner = np.repeat(np.arange(len(parts)), [len(own) for own in split_here])
            frame = games.iloc[owner].assign(DESCRIPTION=[part for own in split_here for part in own])
            for game, text in zip(owner, embedding_text(frame, TextRecipe(fields)), strict=True):
                spoilt[game].append(self.spoil(text))
        return spoilt


def first_tokens(tokenizer: Tokenizer, number: int, text: str) -> list[str]:
    """Return the text up to a number of tokens."""
    return chunks(tokenizer, number, text)[:1]


def chunks(tokenizer: Tokenizer, number: int, text: str) -> list[str]:
    """Cut a text every so many tokens."""
    ends = [end for _, end in tokenizer.encode(text, add_special_tokens=False).offsets][number - 1 :: number]
    starts = [0, *ends]
    return [part for start, end in zip(starts, [*ends, len(text)], strict=True) if (part := text[start:end])]


def first_sentences(number: int, text: str) -> list[str]:
    """Return the first sentences of a text."""
    return [" ".join(re.split(r"(?<=[.!?])\s+", text)[:number])]


def without_prefixes(text: str) -> str:
    """Take the fields' names away."""
    return flat(re.sub(r"(^|; )(?:Name|Categories|Mechanics|Description): ", r"\1", text))


def with_entities(text: str) -> str:
    """Write every sign that HTML has a name for, and line breaks, as entities: as raw catalogues have them."""
    named = {code: f"&{name};" for code, name in codepoint2name.items()}
    return text.translate({**named, ord(BREAK): "&#10;"})


def with_bytes(text: str) -> str:
    """Write what is not ASCII byte by byte as entities."""
    return "".join(sign if sign.isascii() else "".join(f"&#{byte};" for byte in sign.encode()) for sign in flat(text))


def with_lists(text: str) -> str:
    """Write tags as Python lists."""
    tags = r"(Categories|Mechanics): (.*?)(?=; (?:Mechanics|Description): |$)"
    return re.sub(tags, lambda match: f"{match[1]}: {split_tags([match[2]])[0]!r}", flat(text))


def with_blanks(text: str) -> str:
    """Put needless blanks, line ends, control characters and zero-width characters between the words."""
    return text.replace(" ", "  \u200b").replace(BREAK, "\r\n\x07 \r\n")


def ways(tokenizer: Tokenizer) -> dict[str, Way]:
    """Return what is compared, by name."""
    name, tags, description = ("NAME",), ("CATEGORIES", "MECHANICS"), ("DESCRIPTION",)
    shorts = name + tags
    return {
        PRESENT: Way(),
        "description second": Way((name + description + tags,)),
        "description second, 180 tokens": Way((name + description + tags,), partial(first_tokens, tokenizer, 180)),
        "description first": Way((description + shorts,)),
        "without name": Way((tags + description,)),
        "without tags": Way((name + description,)),
        "description alone": Way((description,)),
        "without description": Way((shorts,)),
        "without prefixes": Way(spoil=without_prefixes),
        "description: 64 tokens": Way(parts=partial(first_tokens, tokenizer, 64)),
        "description: 128 tokens": Way(parts=partial(first_tokens, tokenizer, 128)),
        "description: 2 sentences": Way(parts=partial(first_sentences, 2)),
        "description: 5 sentences": Way(parts=partial(first_sentences, 5)),
        "mean of chunks of 160 tokens": Way(parts=partial(chunks, tokenizer, 160)),
        "without tags, mean of chunks of 160 tokens": Way((name + description,), parts=partial(chunks, tokenizer, 160)),
        "mean of short fields and description": Way((shorts, description)),
        "entities left": Way(spoil=with_entities),
        "entities of bytes left": Way(spoil=with_bytes),
        "lists left": Way(spoil=with_lists),
        "blanks and control characters left": Way(spoil=with_blanks),
    }
