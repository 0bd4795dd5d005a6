"""The recommender: a release behind a few questions, replaced as a whole by the next release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys.errors import ArgumentError, NotInModel
from recsys.release.keys import PublicKeys
from recsys.release.place import place_at
from recsys.serving import questions
from recsys.serving.current import Current
from recsys.serving.encoder import Queries
from recsys.serving.names import certain
from recsys.serving.options import ListOptions
from recsys.serving.visitors import Visitor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from recsys.embedding import Encoder
    from recsys.marts.ids import Id
    from recsys.serving.answers import Answer, Explanation, Suggestion, Way
    from recsys.serving.filters import Filter
    from recsys.serving.rules import RulesGiven
    from recsys.serving.snapshot import Snapshot

    Conditions = Iterable[Filter | str] | Filter | str


class Recommender:
    """Answers from one release at a time; any number of threads may ask at once.

    Each answer comes from one release as a whole and carries its name, also while :meth:`reload`
    moves on. Nothing is ever written.

    Parameters
    ----------
    path, public_keys, encoder, eager, wait, apart
        The arguments of :func:`recsys.load`.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        public_keys: Sequence[Path | str] | None = None,
        encoder: Encoder | None = None,
        eager: bool = False,
        wait: bool = False,
        apart: bool = False,
    ) -> None:
        keys = None if public_keys is None else PublicKeys(public_keys)
        self._current = Current(
            place_at(path, keys or PublicKeys.from_environment()), keys, eager=eager, wait=wait, apart=apart
        )
        self._queries = Queries(encoder)

    def __repr__(self) -> str:
        """Return which release answers, and its size."""
        if not self.is_loaded:
            return f"Recommender({str(self.path)!r}, nothing loaded)"
        at = self.snapshot
        return f"Recommender(release {at.name}: {len(at.catalogue):,} games, {len(at.people.users):,} users)"

    @property
    def path(self) -> Path:
        """Where releases are loaded from."""
        return self._current.path

    @property
    def current(self) -> Current:
        """What knows which release answers now, and how the next one takes its place."""
        return self._current

    @property
    def is_loaded(self) -> bool:
        """Whether a release answers; False only before the first one where ``wait`` was asked for."""
        return self._current.is_loaded

    @property
    def release(self) -> str:
        """Name of the release that answers now."""
        return self._current.snapshot.name

    @property
    def snapshot(self) -> Snapshot:
        """The release that answers now; code that holds it keeps it after a :meth:`reload`."""
        return self._current.snapshot

    @property
    def scenarios(self) -> Mapping[str, Mapping[str, object]]:
        """The scenarios of the release that answers now: rules by name."""
        return self._current.snapshot.shelf.scenarios

    def reload(self) -> bool:
        """Move to the release that the path leads to now.

        Questions are answered from the old one until the new one is verified and loaded, and from
        then on from the new one.

        Returns
        -------
        bool
            Whether it is another release than before.

        Raises
        ------
        ReleaseNotFound, ArtifactCorrupt, IncompatibleArtifact
            If the new one is not sound; the old one goes on answering.
        """
        return self._current.reload()

    def similar(
        self,
        game_id: Id,
        k: int = 10,
        *,
        by: Way = "blend",
        filters: Conditions = (),
        collapse: bool = False,
        rules: RulesGiven = None,
        scenario: str | None = None,
    ) -> Answer:
        """Return the games that are most like one, without it.

        Parameters
        ----------
        game_id
            A game of the catalogue.
        k
            How many at most.
        by
            ``taste``: liked by the same people (cosine of factors); ``content``: described alike
            (cosine of embeddings); ``blend``: both, by how many ratings there are. For a game with
            too few ratings a blend is content alone, and says so.
        filters
            Conditions that every game meets, such as ``["tag=Economic", "N_RATINGS>=100"]``.
        collapse
            Show one edition of a game only.
        rules
            What else the list must hold, may hold, and prefers: :class:`recsys.serving.Rules`, or a mapping of its
            fields such as ``{"exclude": [822], "boost": {"tag=Economic": 0.5}}``.
        scenario
            Name of one of the release's scenarios; ``rules`` are added to its rules, and win where both say something.

        Raises
        ------
        NotInModel
            If the catalogue does not have the game; by taste, also if it has too few ratings.
        ArgumentError
            If an argument has a value that is not described here.
        """
        return questions.similar(
            self._current.snapshot, game_id, by, ListOptions(k, filters, collapse, rules=rules, scenario=scenario)
        )

    def recommend(
        self,
        user_id: Id,
        k: int = 10,
        *,
        by: Way = "taste",
        filters: Conditions = (),
        collapse: bool = False,
        why: bool = False,
        rules: RulesGiven = None,
        scenario: str | None = None,
    ) -> Answer:
        """Return games for a user, none of which they have rated.

        A user that the release does not know gets the most rated games, labelled ``popularity``.

        Parameters
        ----------
        user_id
            Any user.
        k, filters, collapse, rules, scenario
            The options of :meth:`similar`.
        by
            ``taste``: the user's factors; ``content``: games described like those that the user
            likes; ``blend``: factors for all games, also those without ratings, and the texts (see
            :mod:`recsys.models.hybrid`).
        why
            Name the liked games that speak for each.

        Raises
        ------
        ArgumentError
            If an argument has a value that is not described here.
        """
        at = self._current.snapshot
        return _for_user(at, user_id, by, ListOptions(k, filters, collapse, why, rules, scenario))

    def recommend_from(
        self,
        liked_game_ids: Iterable[Id] = (),
        k: int = 10,
        *,
        ratings: Mapping[Id, float] | None = None,
        dislikes: Iterable[Id] = (),
        by: Way = "blend",
        filters: Conditions = (),
        collapse: bool = False,
        why: bool = False,
        rules: RulesGiven = None,
        scenario: str | None = None,
    ) -> Answer:
        """Return games for somebody who is no user: by what they like, rated and dislike, without those games.

        What of it moved the scores, and what did not and why, is the answer's ``used``.

        Parameters
        ----------
        liked_game_ids
            Games of the catalogue that they like; without these and ratings, the most rated games are returned,
            labelled so.
        k, by, filters, collapse, why, rules, scenario
            The options of :meth:`recommend`. By taste, the factors are those that training would give to a
            user with these likes and ratings, for the objective that the release was trained with.
        ratings
            Their ratings by game id, such as ``{13: 9, 822: 2}``, on the scale of the release's ratings: each counts as
            it would have in training, and from the release's ``like_threshold`` on it is a like.
        dislikes
            Games that they do not like: they speak against games that are alike. A game is named in one of the three.

        Raises
        ------
        NotInModel
            If the catalogue does not have one of the games.
        ArgumentTypeError
            If likes or dislikes are no list of ids, or ratings no mapping to numbers; it is a ``TypeError`` too.
        ArgumentError
            If an argument has a value that is not described here.
        """
        visitor = Visitor(liked_game_ids, {} if ratings is None else ratings, dislikes)
        options = ListOptions(k, filters, collapse, why, rules, scenario)
        return questions.recommend_from(self._current.snapshot, visitor, by, options)

    def similar_batch(
        self,
        game_ids: Iterable[Id],
        k: int = 10,
        *,
        by: Way = "blend",
        filters: Conditions = (),
        collapse: bool = False,
        rules: RulesGiven = None,
        scenario: str | None = None,
    ) -> list[Answer]:
        """Return :meth:`similar` of each game, all from one release."""
        at, options = self._current.snapshot, ListOptions(k, filters, collapse, rules=rules, scenario=scenario)
        return [questions.similar(at, id_, by, options) for id_ in game_ids]

    def recommend_batch(
        self,
        user_ids: Iterable[Id],
        k: int = 10,
        *,
        by: Way = "taste",
        filters: Conditions = (),
        collapse: bool = False,
        why: bool = False,
        rules: RulesGiven = None,
        scenario: str | None = None,
    ) -> list[Answer]:
        """Return :meth:`recommend` for each user, all from one release."""
        at, options = self._current.snapshot, ListOptions(k, filters, collapse, why, rules, scenario)
        return [_for_user(at, id_, by, options) for id_ in user_ids]

    def recommend_from_batch(
        self,
        liked_game_ids: Iterable[Iterable[Id] | Visitor],
        k: int = 10,
        *,
        by: Way = "blend",
        filters: Conditions = (),
        collapse: bool = False,
        why: bool = False,
        rules: RulesGiven = None,
        scenario: str | None = None,
    ) -> list[Answer]:
        """Return :meth:`recommend_from` for each set of liked games or :class:`Visitor`, all from one release."""
        at, options = self._current.snapshot, ListOptions(k, filters, collapse, why, rules, scenario)
        return [questions.recommend_from(at, Visitor.of(each), by, options) for each in liked_game_ids]

    def explain(self, user_id: Id, game_id: Id) -> Explanation:
        """Return which of the games that a user likes speak for a game.

        Raises
        ------
        NotInModel
            If the release does not know the user or the game.
        """
        at = self._current.snapshot
        profile = at.people.user(user_id)
        if profile is None:
            raise NotInModel(
                f"user {user_id!r} is not among the {len(at.people.users):,} users of release {at.name}"
                + at.people.hint(user_id)
            )
        return questions.explain(at, profile, game_id)

    def search(
        self,
        text: str,
        k: int = 10,
        *,
        filters: Conditions = (),
        collapse: bool = False,
        rules: RulesGiven = None,
        scenario: str | None = None,
    ) -> Answer:
        """Return the games whose descriptions are nearest to a text.

        Raises
        ------
        MissingExtra
            If the text cannot be embedded: it names the extra to install.
        ModelNotFound
            If the embedding model is not there and cannot be fetched.
        IncompatibleArtifact
            If the release was embedded by another model.
        ArgumentError
            If the text is empty, or another argument is none.
        """
        at, options = self._current.snapshot, ListOptions(k, filters, collapse, rules=rules, scenario=scenario)
        if not text.strip():
            raise ArgumentError("the text to search for is empty")
        return questions.search(at, self._queries.vector(text, at.manifest), options)

    def find(self, name: str, k: int = 10) -> Sequence[Suggestion]:
        """Return the games whose names resemble ``name``, most alike first, then most rated.

        The score is 1 for the same name but for case, accents and punctuation.
        """
        return self._current.snapshot.named(name, k)

    def is_certain(self, found: Sequence[Suggestion]) -> bool:
        """Say whether the first of what :meth:`find` returned is meant: the name itself, or nearly and nothing else."""
        return certain([game.score for game in found])


def _for_user(at: Snapshot, user_id: object, by: Way, options: ListOptions) -> Answer:
    profile = at.people.user(user_id)
    unknown = "" if profile else f"{at.people.unknown(user_id)}: the most rated games"
    return questions.recommend(at, profile, by, options, unknown=unknown)
