"""A map of games: vectors of many dimensions laid out on a plane, neighbours beside neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from recsys.report.neighbours import nearest

if TYPE_CHECKING:
    import numpy.typing as npt

    Points = npt.NDArray[np.float32]

NEIGHBOURS = 15
"""Games that pull on a game."""
LANDMARKS = 200
"""Games that push it away, drawn anew for each sweep; with fewer games, all of them."""
SWEEPS = 240
_EARLY = 80
_EXAGGERATION = 8.0
"""Neighbours pull so much harder in the first sweeps, while groups find their places."""


def project(vectors: Points, seed: int = 0) -> Points:
    """Lay points out so that near ones stay near: t-SNE with a sampled repulsion.

    The forces are those of t-SNE (van der Maaten & Hinton, "Visualizing Data using t-SNE", 2008)
    on the graph of each point's nearest neighbours, all with one weight. What pushes points apart
    is estimated from a few landmarks in each sweep, so that a sweep is linear in the points.

    Parameters
    ----------
    vectors
        float32, (points, dimensions): unit rows; near is a high inner product.
    seed
        Of the landmarks: the same vectors and seed give the same map.

    Returns
    -------
    numpy.ndarray
        float32, (points, 2), centred, along its principal axes; the wider one first.
    """
    places = _principal_axes(vectors)
    if len(places) <= 2:
        return places
    places *= np.float32(1e-2 / max(float(places.std()), 1e-12))
    edges = _edges(vectors)
    draws = np.random.default_rng(seed)
    velocity = np.zeros_like(places)
    rate = np.float32(len(places) / _EXAGGERATION)
    for sweep in range(SWEEPS):
        early = sweep < _EARLY
        pull = _attraction(places, edges) * np.float32(_EXAGGERATION if early else 1)
        landmarks = draws.choice(len(places), min(LANDMARKS, len(places)), replace=False)
        push = _repulsion(places, places[landmarks])
        velocity *= np.float32(0.5 if early else 0.8)
        velocity += rate * np.float32(4) * (push - pull)
        places += velocity
        places -= places.mean(axis=0)
    return _principal_axes(places)


class _Edges(NamedTuple):
    """Directed neighbours i → j of the graph, both ways; ``weight`` sums to 1 over all."""

    start: npt.NDArray[np.intp]
    end: npt.NDArray[np.intp]
    weight: np.float32


def _principal_axes(vectors: Points) -> Points:
    centred = vectors - vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    found = np.zeros((len(vectors), 2), dtype=np.float32)
    chosen = axes[:2]
    # An axis has no sign of its own: the largest coordinate is made positive, the same in every run.
    largest = np.abs(chosen).argmax(axis=1)
    chosen = chosen * np.sign(chosen[np.arange(len(chosen)), largest])[:, None]
    found[:, : len(chosen)] = centred @ chosen.T
    return found


def _edges(vectors: Points) -> _Edges:
    everyone = np.arange(len(vectors))
    near = nearest(vectors, everyone, min(NEIGHBOURS, len(vectors) - 1))
    start, end = np.repeat(everyone, near.shape[1]), near.ravel()
    start, end = start[end >= 0], end[end >= 0]
    return _Edges(np.append(start, end), np.append(end, start), np.float32(1 / max(2 * len(start), 1)))


def _attraction(places: Points, edges: _Edges) -> Points:
    apart = places[edges.start] - places[edges.end]
    apart *= (edges.weight / (1 + np.square(apart).sum(axis=1)))[:, None]
    return _summed(edges.start, apart, len(places))


def _summed(rows: npt.NDArray[np.intp], values: Points, length: int) -> Points:
    return np.stack([np.bincount(rows, values[:, axis], length) for axis in (0, 1)], axis=1).astype(np.float32)


def _repulsion(places: Points, landmarks: Points) -> Points:
    near = np.square(places[:, :1] - landmarks[:, 0])
    near += np.square(places[:, 1:] - landmarks[:, 1])
    near += 1
    np.reciprocal(near, out=near)
    total = near.sum(dtype=np.float64)
    near *= near
    # Σ near² (place - landmark), as one product. Both sums run over the same landmarks: their
    # number, and its share of all points, cancel out.
    pushed = near @ np.column_stack((landmarks, np.ones(len(landmarks), dtype=np.float32)))
    force: Points = ((places * pushed[:, 2:] - pushed[:, :2]) / total).astype(np.float32)
    return force
