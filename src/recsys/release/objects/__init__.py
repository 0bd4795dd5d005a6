"""Releases in an object store: ``s3://bucket/prefix``.

::

    v1.json                    the state: which release is current, who publishes, whether publishing is held
    releases/RUN/manifest.json written last: without it, what lies there is no release
    releases/RUN/...           immutable
    refused/RUN/...            what is known about refused candidates
    log.jsonl                  the log, as in a folder
    .probe                     what shows that the store honours conditions

An object store has no rename, no link and no lock. It has one thing: an object that is replaced only if it still is
what was read (``If-Match``), or made only if there is none (``If-None-Match``). So all that must not contradict itself
lies in one object, ``v1.json``, and each change of it is one such step. A publisher that lost its lease, or a hold that
came in between, makes the step fail: it is not a matter of who was slow.

Readers copy a release once into a folder of this machine, compare every digest, and read it there as they read any
other (:mod:`recsys.release.objects.mirror`).
"""

from __future__ import annotations

from recsys.release.objects.storage import ObjectStorage

__all__ = ["ObjectStorage"]
