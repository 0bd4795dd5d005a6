"""The files of a release: their names, and which half each belongs to."""

from __future__ import annotations

INDEX = "rag_index.faiss"
"""FAISS index of the catalogue's vectors."""
METADATA = "metadata.json"
"""Ids of the catalogue's games, in the order of the index."""
MODEL = "cf_model.pkl"
"""implicit's ALS object, where the users' factors are kept; nobody here unpickles it to serve."""
MAPPINGS = "cf_mappings.json"
"""Ids of users and rated games, and their rows."""
USERS = "users.arrow"
"""Ids of users in ascending order, to be mapped: the place is the row. Optional: ``cf_mappings.json`` says it too."""
ITEMS = "items.arrow"
"""Ids of rated games, as those of the users."""
FACTORS = "cf_factors.npz"
"""The factors without a pickle, and how they were trained."""
INTERACTIONS = "interactions.npz"
"""Who rated what."""
ITEM_ITEM = "item_item.npz"
"""What rated games say for others, and what is rated lately; optional: without it, factors rank alone."""
GAMES = "games.parquet"
"""The catalogue for people, filters and popularity."""
HYBRID = "hybrid.npz"
"""Factors for the whole catalogue, and what folds visitors in."""
METRICS = "metrics.json"
"""The proof of the candidate: scores, verdict and more; optional."""
USER_SCORES = "metrics.parquet"
"""What each scored user was served with, under a pseudonym; optional."""
REPORT = "report.html"
"""The page; optional."""

MANIFEST = "manifest.json"
"""What the release says about itself; written last."""
DIGEST = "manifest.sha256"
"""Digest of the manifest."""
SIGNATURE = "model.sig"
"""Signature of every other file, where a key is set; written after them."""
HMAC = "manifest.hmac"
"""What releases before format 3.2 may have in its place: read by nobody, and named by their digest."""

CONTENT_FILES = (INDEX, METADATA)
"""What the content half of a release consists of."""
CF_FILES = (MAPPINGS, FACTORS, INTERACTIONS)
"""What the CF half of a release cannot lack."""
CF_MORE = (MODEL, USERS, ITEMS, ITEM_ITEM)
"""What else it may have."""
PART_FILES = (*CONTENT_FILES, *CF_FILES, *CF_MORE, HYBRID)
"""What models save: a folder with nothing else holds parts of a release."""
OPTIONAL_FILES = frozenset({*CF_MORE, METRICS, USER_SCORES, REPORT})
"""What a release may lack."""
LOADED_FILES = (INDEX, METADATA, MAPPINGS, USERS, ITEMS, FACTORS, INTERACTIONS, ITEM_ITEM, GAMES, HYBRID)
"""What is read to serve a release; ``cf_model.pkl`` is verified, and left alone."""
PAGE_FILES = (METRICS, GAMES, INDEX, METADATA, FACTORS, INTERACTIONS, HYBRID, ITEM_ITEM, MAPPINGS, USERS, ITEMS)
"""What the page of a release is drawn from, as far as it is there."""
