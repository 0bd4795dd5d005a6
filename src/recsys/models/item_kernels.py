"""The loops of the item-item half, in plain Python for numba to compile; see :mod:`recsys.models.item_item`."""

from __future__ import annotations

from typing import Any

import numpy as np


def gram_rows(
    games: Any,
    place: Any,
    game_ptr: Any,
    game_users: Any,
    game_data: Any,
    user_ptr: Any,
    user_games: Any,
    user_data: Any,
    scale: Any,
    gram: Any,
) -> None:
    """Add up rows of G: for each game, over the users who rated it and all that they rated.

    Parameters
    ----------
    games, place
        int32: the game of each row, and the column of each game (-1 for none).
    game_ptr, game_users, game_data, user_ptr, user_games, user_data
        Confidences by game and by user: int64, int32, float32.
    scale
        float32, (users,): the weight of each user.
    gram
        float32, (rows, columns), zeros.
    """
    for row in range(len(games)):
        out = gram[row]
        for at in range(game_ptr[games[row]], game_ptr[games[row] + 1]):
            user = game_users[at]
            weight = scale[user] * game_data[at]
            for entry in range(user_ptr[user], user_ptr[user + 1]):
                other = place[user_games[entry]]
                if other >= 0:
                    out[other] += weight * user_data[entry]


def add_rows(
    rows: Any, weights: Any, indptr: Any, indices: Any, values: Any, whole_at: Any, whole: Any, summed: Any
) -> None:
    """Add up weighted rows of a CSR matrix, entry by entry: rounded as numpy rounds, in the order of ``np.bincount``.

    Parameters
    ----------
    rows, weights
        Which rows, and float32 for each.
    indptr, indices, values
        The matrix: int64, int32, float32.
    whole_at, whole
        Some rows with their zeros, float32 (n, columns), and where each row is among them; -1 for the others.
    summed
        float64, (columns,), zeros.
    """
    columns = len(summed)
    for place in range(len(rows)):
        weight, at = weights[place], whole_at[rows[place]]
        if at >= 0:
            row = whole[at]
            for column in range(columns):
                summed[column] += row[column] * weight
            continue
        for entry in range(indptr[rows[place]], indptr[rows[place] + 1]):
            summed[indices[entry]] += values[entry] * weight


def find_words(rows: Any, columns: Any, indptr: Any, indices: Any, values: Any, words: Any) -> None:
    """Look up entries of a CSR matrix, whose rows are sorted.

    Parameters
    ----------
    rows, columns
        Which.
    indptr, indices, values
        The matrix: int64, int32, float32.
    words
        float32, (columns, rows), zeros.
    """
    for place in range(len(rows)):
        start, end = indptr[rows[place]], indptr[rows[place] + 1]
        for number in range(len(columns)):
            low, high = start, end
            while low < high:
                middle = (low + high) // 2
                if indices[middle] < columns[number]:
                    low = middle + 1
                else:
                    high = middle
            if low < end and indices[low] == columns[number]:
                words[number, place] = values[low]


def solve_games(
    rows: Any,
    own: Any,
    features: Any,
    gram: Any,
    closeness: Any,
    ridge: Any,
    columns: Any,
    values: Any,
) -> None:
    """Regress games on their nearest features.

    Parameters
    ----------
    rows
        float32, (games, features): G of each game with the features.
    own
        int32, (games,): the feature that a game is itself; -1 for none.
    features
        int32, (features,): their games.
    gram
        float32, (features, features): G of the features.
    closeness
        float32, (features,): 1/√G_ii.
    ridge
        λ ḡ.
    columns, values
        int32 and float32, (games, neighbours): the games that speak for each, and how much.
    """
    n_features, number = len(features), columns.shape[1]
    near = np.empty(n_features, np.float32)
    chosen = np.empty(number, np.int64)
    matrix = np.empty((number, number), np.float32)
    solved = np.empty(number, np.float32)
    for game in range(len(rows)):
        row = rows[game]
        for i in range(n_features):
            near[i] = row[i] * closeness[i]
        if own[game] >= 0:
            near[own[game]] = 0
        edge = np.partition(near, n_features - number)[n_features - number]
        size = 0
        for i in range(n_features):  # above the edge first; on it the lower ones
            if near[i] > edge and near[i] > 0:
                chosen[size] = i
                size += 1
        for i in range(n_features):
            if size == number:
                break
            if near[i] == edge and near[i] > 0:
                chosen[size] = i
                size += 1
        # Cholesky, column by column: the inner loops run over rows of memory.
        for i in range(size):
            for j in range(i + 1):
                matrix[i, j] = gram[chosen[i], chosen[j]]
            matrix[i, i] += ridge
            solved[i] = row[chosen[i]]
        for i in range(size):
            for j in range(i):
                total = np.float32(0)
                for k in range(j):
                    total += matrix[i, k] * matrix[j, k]
                matrix[i, j] = (matrix[i, j] - total) / matrix[j, j]
            total = np.float32(0)
            for k in range(i):
                total += matrix[i, k] * matrix[i, k]
            matrix[i, i] = np.sqrt(matrix[i, i] - total)
            total = np.float32(0)
            for k in range(i):
                total += matrix[i, k] * solved[k]
            solved[i] = (solved[i] - total) / matrix[i, i]
        for i in range(size - 1, -1, -1):
            solved[i] /= matrix[i, i]
            for k in range(i):
                solved[k] -= matrix[i, k] * solved[i]
        for i in range(size):
            columns[game, i] = features[chosen[i]]
            values[game, i] = solved[i]
