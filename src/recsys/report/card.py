"""The model card of a release, as Hugging Face has it: YAML for machines, then Markdown for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys.embedding.model import MODEL
from recsys.report.page import require_extra

if TYPE_CHECKING:
    from recsys.release.manifest import Manifest
    from recsys.release.metrics import Estimate, Metrics


def model_card(manifest: Manifest, metrics: Metrics | None) -> str:
    """Return the model card of a release.

    Parameters
    ----------
    manifest
        What it says about itself.
    metrics
        What proves it; None where it has none.

    Returns
    -------
    str
        Markdown with YAML before it. The same release has the same card.

    Raises
    ------
    MissingExtra
        If the extra ``report`` is not installed.
    """
    require_extra()
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("recsys.report"),
        autoescape=jinja2.select_autoescape(("html",)),  # this is Markdown
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template("card.md").render(
        release=manifest.release,
        encoder=manifest.content.section("content").get("model") or MODEL,
        games=f"{manifest.content.rows.get('games', 0):,}",
        ratings=f"{manifest.cf.rows.get('ratings', 0):,}",
        users=f"{manifest.cf.rows.get('users', 0):,}",
        data=_data(manifest, metrics),
        quality=_quality(metrics),
        making=_making(manifest),
    )
    return f"{page.strip()}\n"


def _data(manifest: Manifest, metrics: Metrics | None) -> str:
    lines = []
    for name, half in (("games", manifest.content), ("ratings", manifest.cf)):
        rows = ", ".join(f"{count:,} {what}" for what, count in half.rows.items())
        lines.append(f"- {name}: {rows}; fingerprint `{half.fingerprint}`")
    if metrics is not None and metrics.drift is not None and metrics.drift.accepted:
        lines.append(f"- the data had drifted since the release before, which was accepted: {metrics.drift.accepted}")
    return "\n".join(lines)


def _quality(metrics: Metrics | None) -> str:
    if metrics is None:
        return "Nothing was measured."
    scored = metrics.evaluation
    columns = (f"ndcg@{scored.k}", f"recall@{2 * scored.k}", f"hit_rate@{scored.k}", "coverage")
    lines = [f"| {scored.users or 0:,} people | {' | '.join(columns)} |", f"| --- |{' ---: |' * len(columns)}"]
    for name, row in scored.contenders.items():
        lines.append(f"| {name} | {' | '.join(_score(row.get(column)) for column in columns)} |")
    lines += ["", "On ratings that were held out; in brackets 95% intervals by the bootstrap over people."]
    if verdict := metrics.verdict:
        anyway = f" Published anyway: {verdict.override}." if verdict.override else ""
        lines += ["", f"The gate: {verdict.reason}.{anyway}"]
    return "\n".join(lines)


def _making(manifest: Manifest) -> str:
    lines = []
    for name, half in (("content", manifest.content), ("cf", manifest.cf)):
        settings = ", ".join(f"`{key}={value}`" for key, value in half.section(name).items())
        libraries = ", ".join(f"{library} {version}" for library, version in half.libraries.items())
        lines += [f"- {name}: {settings}", f"- {name} with {libraries}; code `{half.code[:12]}`"]
    return "\n".join([*lines, *([f"- commit `{manifest.commit}`"] if manifest.commit else [])])


def _score(score: Estimate | float | None) -> str:
    if score is None or isinstance(score, float):
        return "–" if score is None else f"{score:.1%}"
    return "–" if score.value is None else f"{score.value:.4f} ({score.low:.4f} to {score.high:.4f})"
