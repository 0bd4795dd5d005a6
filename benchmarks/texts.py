"""What the embedding model should read of a game: ways to build its text, compared by what vectors are for.

``RECSYS_REAL_DATA=FOLDER python benchmarks/texts.py [--users 12000] [--seed 0] [--only NAME ...]``

``likes``: a user is the mean embedding of the games they liked in training; NDCG@10 and Recall@20 of
the held-out ones among all rated games. ``tags``: mean Jaccard index of a game's tags and those of
its ten nearest games; a text that holds the tags itself says little by this. ``cold``: Recall@20 of
games held out whole, ranked among themselves, by content alone and by the map from text and tags to
the filter's factors (benchmarks/hybrid.py).

Each way is compared with the present recipe on the same users, games and rankings (paired bootstrap).
Vectors are kept in the usual cache: a second run is quick.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from functools import partial
from html.entities import codepoint2name
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits
from tokenizers import Tokenizer

from hybrid import LIKED, Data, cold_folds, content_scores
from recsys import metrics
from recsys.config import ContentSettings, EvaluationSettings
from recsys.embedding import open_encoder
from recsys.embedding.encoder import unit
from recsys.embedding.model import find_model
from recsys.evaluation.bootstrap import paired_difference
from recsys.evaluation.contenders import ContentProfile
from recsys.evaluation.ranking import best_columns
from recsys.evaluation.score import evaluate
from recsys.evaluation.split import split
from recsys.models.hybrid import HybridRecommender
from recsys.tags import split_tags
from recsys.text import DEFAULT_RECIPE, TextRecipe, clean_games, embedding_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    import pandas as pd

    from recsys.embedding import Encoder

    Floats = npt.NDArray[np.float32]
    Scores = dict[str, npt.NDArray[np.float64]]

PRESENT = "present recipe"
_BREAK = "¶"
"""Stands for a line break while a text is built."""


def flat(text: str) -> str:
    """Make line breaks spaces, as the package does."""
    return re.sub(f"{_BREAK}+", " ", text)


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
        found: list[list[str]] = [[] for _ in range(len(games))]
        parts = [self.parts(text) or [""] for text in games["DESCRIPTION"]]
        for fields in self.views:
            split_here = parts if "DESCRIPTION" in fields else [[""]] * len(parts)
            owner = np.repeat(np.arange(len(parts)), [len(own) for own in split_here])
            frame = games.iloc[owner].assign(DESCRIPTION=[part for own in split_here for part in own])
            for game, text in zip(owner, embedding_text(frame, TextRecipe(fields)), strict=True):
                found[game].append(self.spoil(text))
        return found


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
    return text.translate({**named, ord(_BREAK): "&#10;"})


def with_bytes(text: str) -> str:
    """Write what is not ASCII byte by byte as entities."""
    return "".join(sign if sign.isascii() else "".join(f"&#{byte};" for byte in sign.encode()) for sign in flat(text))


def with_lists(text: str) -> str:
    """Write tags as Python lists."""
    tags = r"(Categories|Mechanics): (.*?)(?=; (?:Mechanics|Description): |$)"
    return re.sub(tags, lambda found: f"{found[1]}: {split_tags([found[2]])[0]!r}", flat(text))


def with_blanks(text: str) -> str:
    """Put needless blanks, line ends, control characters and zero-width characters between the words."""
    return text.replace(" ", "  \u200b").replace(_BREAK, "\r\n\x07 \r\n")


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


def embed(way: Way, games: pd.DataFrame, encoder: Encoder) -> Floats:
    """Return unit vectors of the games, float32 (games, dimension)."""
    texts = way.texts(games)
    vectors = encoder.encode([text for own in texts for text in own])
    starts = np.cumsum([0, *(len(own) for own in texts[:-1])])
    return unit(np.add.reduceat(vectors, starts, axis=0))


def likes(data: Data, vectors: dict[str, Floats]) -> tuple[Scores, Scores]:
    """Return NDCG@10 and Recall@20 of every user, by way."""
    settings = EvaluationSettings(users=0)
    parts = split(data.ratings, settings, LIKED)
    contenders = [ContentProfile(parts.train, own, LIKED, name) for name, own in vectors.items()]
    scored = evaluate(contenders, parts, settings).contenders
    ndcg, recall = ({name: scored[name].per_user[metric] for name in vectors} for metric in ("ndcg@10", "recall@20"))
    return ndcg, recall


def agreement(tags: Sequence[Sequence[str]], vectors: dict[str, Floats]) -> Scores:
    """Return the mean Jaccard index of each game's tags and its ten neighbours', by way."""
    vocabulary = {tag: column for column, tag in enumerate(sorted({tag for own in tags for tag in own}))}
    marks = np.zeros((len(tags), len(vocabulary)), dtype=np.float32)
    for row, own in enumerate(tags):
        marks[row, [vocabulary[tag] for tag in own]] = 1
    shared = marks @ marks.T
    union = marks.sum(1)[:, None] + marks.sum(1) - shared
    jaccard = shared / np.maximum(union, 1)
    scores: Scores = {}
    for name, own in vectors.items():
        near = own @ own.T
        np.fill_diagonal(near, -np.inf)
        scores[name] = np.take_along_axis(jaccard, best_columns(near, 10), 1).mean(1).astype(np.float64)
    return scores


def cold(data: Data, vectors: dict[str, Floats]) -> tuple[Scores, Scores]:
    """Return Recall@20 of every ranking of games held out whole, by way: content alone, and the map."""
    content: dict[str, list[npt.NDArray[np.float64]]] = {name: [] for name in vectors}
    mapped: dict[str, list[npt.NDArray[np.float64]]] = {name: [] for name in vectors}
    for fold in cold_folds(data):
        for name, own in vectors.items():
            hybrid = HybridRecommender().fit(fold.model, data.codes, own, data.tags)
            taste = fold.model.user_factors[fold.users] @ hybrid.factors.T
            for found, scores in ((content, content_scores(fold, own)), (mapped, taste)):
                hits = np.take_along_axis(fold.wanted, best_columns(scores[:, fold.cold], 20), 1)
                found[name].append(metrics.recall(hits, fold.wanted.sum(1), 20))
    one, other = ({name: np.concatenate(parts) for name, parts in found.items()} for found in (content, mapped))
    return one, other


def table(columns: dict[str, Scores]) -> str:
    """Return means and paired differences from the present recipe as a Markdown table."""
    lines = ["| way | " + " | ".join(f"{title} | lead" for title in columns) + " |"]
    lines.append("| --- |" + " --- |" * (2 * len(columns)))
    for name in next(iter(columns.values())):
        cells = [name]
        for scores in columns.values():
            lead = "–" if name == PRESENT else str(paired_difference(scores[name], scores[PRESENT], 1000, 42))
            cells += [f"{scores[name].mean():.4f}", lead]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Embed, score and print."""
    tokenizer = Tokenizer.from_file(str(find_model().path / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    known = ways(tokenizer)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=12_000, help="drawn from the table")
    parser.add_argument("--seed", type=int, default=0, help="of the users")
    parser.add_argument("--only", nargs="+", choices=known, default=list(known), metavar="NAME", help="ways to compare")
    given = parser.parse_args()
    data = Data(given.users, given.seed)
    games, _ = clean_games(data.games)
    games["DESCRIPTION"] = games["DESCRIPTION"].str.replace("\n", _BREAK)
    encoder = open_encoder(ContentSettings())
    vectors = {}
    for name in dict.fromkeys([PRESENT, *given.only]):
        vectors[name] = embed(known[name], games, encoder)
        print(f"embedded: {name}", flush=True)
    with threadpool_limits(1, "blas"):
        ndcg, recall = likes(data, vectors)
        columns = {"likes: NDCG@10": ndcg, "likes: Recall@20": recall, "tags": agreement(data.tags, vectors)}
        columns["cold: content"], columns["cold: map"] = cold(data, vectors)
    sizes = ", ".join(f"{title} {len(scores[PRESENT]):,}" for title, scores in columns.items())
    print(f"{len(games):,} games; rows behind each mean: {sizes}\n{table(columns)}")


if __name__ == "__main__":
    main()
