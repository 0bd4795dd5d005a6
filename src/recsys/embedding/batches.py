"""Texts to token batches: tokenized ahead of the model, sorted by length, cut by a token budget."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from numpy.typing import NDArray
    from tokenizers import Tokenizer

_WINDOW = 1024
"""Texts tokenized at once, while the model works on the window before."""


@dataclass(frozen=True)
class TokenBatch:
    """Texts of similar length, padded to the longest.

    Attributes
    ----------
    places
        intp, (rows,): where each text stood in the input.
    token_ids, mask
        int64, (rows, longest): token ids, zero where padded, and 1 where they are not.
    """

    places: NDArray[np.intp]
    token_ids: NDArray[np.int64]
    mask: NDArray[np.int64]


class Tokenization:
    """The model's own tokenizer, cutting at the model's length and padding to the longest of a batch.

    Parameters
    ----------
    folder
        The model's folder.
    max_tokens
        Texts are cut to this many tokens, the two at the ends included.
    """

    def __init__(self, folder: Path, max_tokens: int) -> None:
        # The thread pool below is the parallelism: without this the library warns at every fork.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from tokenizers import Tokenizer

        self._tokenizer: Tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        # The file itself asks for 128 tokens and for padding every text to them.
        self._tokenizer.enable_truncation(max_tokens)
        self._tokenizer.no_padding()

    def batches(self, texts: Sequence[str], budget: int, workers: int = 1) -> Iterator[TokenBatch]:
        """Yield every text once, in batches of at most ``budget`` tokens, padding included.

        The longest texts come first: what does not fit into memory shows at once.

        Parameters
        ----------
        texts
            What to tokenize.
        budget
            Tokens in a batch.
        workers
            Threads that tokenize ahead, a window each. They decide no batch.
        """
        order = sorted(range(len(texts)), key=lambda place: -len(texts[place]))
        windows = [order[start : start + _WINDOW] for start in range(0, len(order), _WINDOW)]
        with ThreadPoolExecutor(workers, thread_name_prefix="tokenizing") as ahead:
            waiting: deque[Future[list[list[int]]]] = deque()
            coming = iter(windows)
            for window in windows:
                for later in islice(coming, workers + 1 - len(waiting)):
                    waiting.append(ahead.submit(self._tokenize, [texts[place] for place in later]))
                yield from _cut(window, waiting.popleft().result(), budget)

    def _tokenize(self, texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(texts)]


def _cut(places: list[int], tokens: list[list[int]], budget: int) -> Iterator[TokenBatch]:
    order = sorted(range(len(tokens)), key=lambda row: -len(tokens[row]))
    start = 0
    while start < len(order):
        longest = len(tokens[order[start]])
        rows = order[start : start + max(1, budget // longest)]
        yield _padded([places[row] for row in rows], [tokens[row] for row in rows])
        start += len(rows)


def _padded(places: list[int], tokens: list[list[int]]) -> TokenBatch:
    shape = (len(tokens), max(map(len, tokens)))
    token_ids, mask = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for row, ids in enumerate(tokens):
        token_ids[row, : len(ids)] = ids
        mask[row, : len(ids)] = 1
    return TokenBatch(np.array(places, dtype=np.intp), token_ids, mask)
