"""What a run needs of the machine: packages, processor, memory, encoder, model, cache."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from recsys.doctor.findings import Seen
from recsys.errors import MissingExtra, RecsysError

if TYPE_CHECKING:
    from recsys.doctor.case import Case
    from recsys.release.standing import Standing

LIBRARIES = (
    "numpy", "scipy", "pandas", "pyarrow", "duckdb", "faiss-cpu", "implicit", "numba", "openvino", "torch",
    "snowflake-connector-python",
)  # fmt: skip
"""Those whose version decides what a run does."""

TRAINING = ("duckdb", "implicit", "numba", "pandas", "scipy", "threadpoolctl")
"""What training imports of the extra ``train``; encoder, model and page have checks of their own."""
SNOWFLAKE = ("cryptography", "snowflake.connector")
"""What reading from Snowflake imports of the extra ``snowflake``."""


def versions(_: Case) -> Seen:
    """Say which versions are at work."""
    from recsys import __version__
    from recsys.pipeline.provenance import versions as installed

    found = {"recsys": __version__, **installed(LIBRARIES)}
    return Seen(", ".join(f"{name} {version}" for name, version in found.items()), dict(found))


def packages(case: Case) -> Seen:
    """Look whether what a run imports is installed; nothing is imported."""
    needed: dict[str, tuple[str, tuple[str, ...]]] = {"train": ("training", TRAINING)}
    if case.settings.source.url == "snowflake":
        needed["snowflake"] = ("reading from Snowflake", SNOWFLAKE)
    for extra, (purpose, modules) in needed.items():
        if missing := [name for name in modules if not _is_there(name)]:
            raise MissingExtra(extra, f"{purpose} (there is no {', '.join(missing)})")
    return Seen(f"{' and '.join(needed)}: what a run imports of these extras is installed")


def _is_there(module: str) -> bool:
    package = module.partition(".")[0]
    return find_spec(package) is not None and find_spec(module) is not None


def processor(_: Case) -> Seen:
    """Describe the processor, and what of it speeds up an encoder."""
    from recsys.embedding.hardware import probe

    hardware = probe()
    skills = {"AMX": hardware.amx, "AVX512-BF16": hardware.avx512_bf16, "a GPU": hardware.cuda or hardware.mps}
    special = [name for name, there in skills.items() if there]
    cores = f"{hardware.cores} {'core' if hardware.cores == 1 else 'cores'} for this process"
    kind = f" ({hardware.vendor} family {hardware.family})" if hardware.vendor else ""
    which = f"{hardware.name or 'unknown'}{kind}"
    text = f"{which}, {cores}, with {', '.join(special) or 'neither AMX, AVX512-BF16 nor a GPU'}"
    facts = {"name": hardware.name, "vendor": hardware.vendor, "family": hardware.family, "cores": hardware.cores}
    return Seen(text, {**facts, "skills": special})


def memory(_: Case) -> Seen:
    """Say how much memory a run may take."""
    from recsys.system.memory import usable_memory

    usable = usable_memory()
    facts: dict[str, object] = {"available_bytes": usable.available, "container_limit_bytes": usable.limit}
    if usable.available is None:
        return Seen("the system does not say how much is available", facts, applies=False)
    bound = "" if usable.limit is None else f", within the {usable.limit / 1e9:.1f} GB of the container"
    return Seen(f"{usable.available / 1e9:.1f} GB available{bound}", facts)


def encoder(case: Case) -> Seen:
    """Say how texts would be encoded."""
    from recsys.embedding.plan import computed_in
    from recsys.pipeline.encoding import open_encoder

    case.encoder = open_encoder(case.settings.content, _standing(case))
    plan = case.encoder.plan
    threads = "1 thread" if plan.threads == 1 else f"{plan.threads} threads"
    text = f"{plan.engine} in {plan.precision} on {plan.device}, {threads}; why {plan.precision}: {plan.because}"
    if (computed := computed_in(plan)) != plan.precision:
        text += f"; {plan.engine} computes new texts in {computed} on this processor"
    chosen = {"engine": plan.engine, "precision": plan.precision, "device": plan.device, "threads": plan.threads}
    return Seen(f"{text} (--bench measures the ways there are)", {**chosen, "because": plan.because})


def _standing(case: Case) -> Standing | None:
    """Return what a run may replace; None where that cannot be told, which another check says."""
    from recsys.release.standing import Standing

    try:
        return Standing.of(case.store)
    except RecsysError:
        return None


def model(case: Case) -> Seen:
    """Look for the embedding model, and compare its bytes with those that were pinned."""
    from recsys.embedding.model import DIGESTS, MODEL, REVISION, identify, look_for_model

    named = case.settings.content.model
    found, revision = look_for_model(named), identify(named).revision
    pinned = revision == REVISION
    digest = DIGESTS["model.safetensors"] if pinned else revision.removeprefix("sha256:")
    facts: dict[str, object] = {
        "origin": None if found is None else found.origin,
        "revision": revision,
        "sha256": digest,
    }
    if found is None:
        return Seen(f"{MODEL} is not here yet, and the model hub answers: the first run fetches it", facts)
    which = f"{MODEL}, as pinned" if pinned else "another model than the default"
    return Seen(f"{which}, from the {found.origin} {found.path} (SHA-256 {digest[:12]}…)", facts)


def cache(case: Case) -> Seen:
    """Look into the cache of vectors, and whether a run could add some."""
    from recsys.embedding import open_cache
    from recsys.release.durable import prove_writable

    vectors = open_cache(case.settings.content)
    if vectors is None:
        return Seen("turned off (content.cache_mb = 0): every run encodes every text", applies=False)
    held = vectors.info()
    prove_writable(held.path.parent)
    size = f"{held.vectors:,} vectors, {held.size / 1e6:,.1f} of {held.limit / 1e6:,.0f} MB, writable"
    facts = {"path": str(held.path), "vectors": held.vectors, "bytes": held.size, "limit_bytes": held.limit}
    return Seen(f"{size}: {held.path}", dict(facts))


def page(_: Case) -> Seen:
    """Look whether a release would have its page; a run does without."""
    from recsys.report import can_render

    if can_render():
        return Seen("what draws the page of a release is installed")
    return Seen(f"a release would have none: {MissingExtra('report', 'the page of a release')}", applies=False)
