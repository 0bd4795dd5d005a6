"""Ids of users and games: kept exactly as they came, sorted, and mapped to codes 0 … n-1.

An id column is of integers (of any width, also Decimals without a fraction, also beyond 2^63) or
of strings. Internally it is one Arrow array of ``int64``, ``decimal128(38, 0)`` or ``string``;
outside ids are Python ``int`` and ``str``.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.marts.plain import has_booleans, is_nothing, native

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

Id: TypeAlias = int | str
"""What an id is to everybody outside: a Python integer or a string."""

DECIMAL = pa.decimal128(38, 0)
UNLOADED_NULL = r"\N"
"""How Snowflake, MySQL and Postgres write a null into a text file by default."""
_EXACT_FLOAT = 2.0**53
WHOLE_NUMBER = r"(0|-?[1-9][0-9]*)(?:\.0*)?"
"""Pattern of a text that spells a whole number; its group is the number."""
_WHOLE = re.compile(WHOLE_NUMBER)


class NotAnId(ValueError):
    """The column's values cannot be ids; the message says what they are."""


def id_array(column: pa.Array) -> pa.Array:
    r"""Bring an Arrow array of ids to one of the three types, exactly.

    Parameters
    ----------
    column
        Integers, decimals, floats that are whole numbers (what pandas makes of integers with
        nulls), strings, or a dictionary of one of these. Nulls stay nulls, and a string that is empty, of
        blanks alone or ``\N`` (how warehouses unload a null) becomes one.

    Returns
    -------
    pyarrow.Array
        The ids: ``int64`` when every value fits, else ``decimal128(38, 0)``; or ``string``.

    Raises
    ------
    NotAnId
        For any other type, for fractions, and for floats too large to be exact.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return id_array(column.dictionary).take(column.indices)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _without_blanks(column.cast(pa.string()))
    if pa.types.is_null(kind):
        return column.cast(pa.int64())
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return _narrowest(column)
    if pa.types.is_floating(kind):
        return _whole(column)
    raise NotAnId(f"values of type {kind}")


def _without_blanks(column: pa.Array) -> pa.Array:
    trimmed = pc.utf8_trim_whitespace(column)
    blank = pc.or_(pc.equal(trimmed, ""), pc.equal(trimmed, UNLOADED_NULL))
    return pc.if_else(blank, None, column) if pc.any(blank).as_py() else column


def _narrowest(column: pa.Array) -> pa.Array:
    for target in (pa.int64(), DECIMAL):
        try:
            return column.cast(target)
        except pa.ArrowInvalid:
            continue
    raise NotAnId("numbers with a fraction, or of more than 38 digits")


def _whole(column: pa.Array) -> pa.Array:
    values = column.drop_null().to_numpy(zero_copy_only=False)
    if not np.all(values == np.floor(values)):  # false for NaN too
        raise NotAnId("numbers with a fraction or NaN")
    if np.any(np.abs(values) > _EXACT_FLOAT):
        raise NotAnId("floats beyond 2^53, which are no longer exact")
    return column.cast(pa.int64())


def id_array_of(values: Any) -> pa.Array:
    """Return :func:`id_array` of anything a data frame's column may hold.

    Raises
    ------
    NotAnId
        If the values are of mixed kinds, or no ids.
    """
    values = native(values)
    try:
        array = pa.Array.from_pandas(values)
    except UnicodeEncodeError:
        raise NotAnId("text with half a character (a lone surrogate)") from None
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, ArithmeticError, TypeError, ValueError):
        array = _decimals(values)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_floating(array.type) and has_booleans(values):  # which Arrow takes for numbers there
        raise NotAnId("values of mixed kinds (among them bool)")
    return id_array(array)


def _decimals(values: Iterable[Any]) -> pa.Array:
    """Convert Python numbers that overflow int64, or Decimals mixed with integers."""
    exact = [None if is_nothing(value) else value for value in values]
    odd = sorted({type(value).__name__ for value in exact if not _is_number(value)})
    if odd:
        one = len({type(value) for value in exact if value is not None}) == 1
        raise NotAnId(f"values of type {odd[0]}" if one else f"values of mixed kinds (among them {', '.join(odd)})")
    try:
        return pa.array([None if value is None else _whole_number(value) for value in exact], DECIMAL)
    except (pa.ArrowInvalid, OverflowError):
        raise NotAnId("numbers of more than 38 digits") from None


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | Decimal | np.integer) and not isinstance(value, bool))


def _whole_number(value: Any) -> Decimal:
    if isinstance(value, Decimal) and not value.is_finite():
        raise NotAnId(f"numbers that are not finite ({value})")
    if value != int(value):
        raise NotAnId("numbers with a fraction")
    return Decimal(int(value))


def meaning(id_: Id) -> Id:
    """Return what an id means, however it is spelled: a number, or a text without blanks around it.

    Number one is ``1`` in one table, ``"1"`` in the next, and ``"1.0"`` after a detour through pandas; a
    ``CHAR`` column puts blanks around it. ``"007"`` is no spelling of 7: leading zeros belong to a text.
    """
    if not isinstance(id_, str):
        return id_
    text = id_.strip()
    number = _WHOLE.fullmatch(text)
    return int(number[1]) if number else text


def rivals(ids: IdMap) -> list[list[Id]]:
    """Return the ids of one table that mean the same, group by group, such as ``[["1", "1.0"]]``."""
    if ids.kind == "integer":
        return []
    groups: dict[Id, list[Id]] = defaultdict(list)
    for id_ in ids.ids():
        groups[meaning(id_)].append(id_)
    return [group for group in groups.values() if len(group) > 1]


@dataclass(frozen=True)
class IdMap:
    """Ids in ascending order; an id's code is its place in it.

    Attributes
    ----------
    values
        Sorted, unique, without nulls; ``int64``, ``decimal128(38, 0)`` or ``string``. Strings are
        ordered by their UTF-8 bytes.
    """

    values: pa.Array

    @classmethod
    def of(cls, ids: Iterable[Any]) -> IdMap:
        """Return the map of the distinct ids among ``ids``."""
        array = ids if isinstance(ids, pa.Array) else id_array_of(list(ids))
        array = array.unique().drop_null()
        return cls(array.take(pc.sort_indices(array)))

    @classmethod
    def from_texts(cls, texts: Iterable[str], kind: str) -> IdMap:
        """Return the map of ids that were written as texts (JSON's keys), in their order.

        Parameters
        ----------
        texts
            ``str(id)`` of each, in the order of their codes.
        kind
            ``integer`` or ``string``: the ``kind`` of the map that was written.
        """
        return cls(_integers([int(text) for text in texts]) if kind == "integer" else _strings(list(texts)))

    @property
    def kind(self) -> str:
        """``integer`` or ``string``."""
        return "string" if pa.types.is_string(self.values.type) else "integer"

    def __len__(self) -> int:
        return len(self.values)

    def __contains__(self, id_: object) -> bool:
        return self.code_of(id_) is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IdMap) and self.values.equals(other.values)

    __hash__ = None  # type: ignore[assignment]

    def id_of(self, code: int) -> Id:
        """Return the id of one code."""
        return python_id(self.values[int(code)])

    def ids(self, codes: npt.ArrayLike | None = None) -> list[Id]:
        """Return the ids of ``codes``, or all of them in order."""
        chosen = self.values if codes is None else self.values.take(_integers(np.asarray(codes, dtype=np.int64)))
        return python_ids(chosen)

    def code_of(self, id_: object) -> int | None:
        """Return the code of an id, or None if it is unknown; found by halving: a dictionary of all takes memory."""
        key = key_of(id_)
        if key is None or isinstance(key, str) != (self.kind == "string"):
            return None
        code = bisect_left(range(len(self.values)), key, key=self.id_of)
        return code if code < len(self.values) and self.id_of(code) == key else None

    def codes_of(self, ids: Sequence[object]) -> npt.NDArray[np.int32]:
        """Return the codes of ``ids``, -1 where unknown; int32, shape (len(ids),)."""
        return np.array([self._codes.get(key_of(id_), -1) for id_ in ids], dtype=np.int32)

    def locate(self, other: IdMap) -> npt.NDArray[np.int32]:
        """Return this map's code of each of ``other``'s ids, -1 where unknown; int32."""
        if self.values.type != other.values.type:
            return self.codes_of(other.ids())
        codes = pc.index_in(other.values, value_set=self.values)
        return np.asarray(codes.fill_null(-1), dtype=np.int32)

    @cached_property
    def _codes(self) -> dict[object, int]:
        return {id_: code for code, id_ in enumerate(self.ids())}


# pa.array() imports pandas wherever it is installed, which costs a server half a second and 50 MB: what a
# release's ids need is made from buffers.


def _integers(numbers: Sequence[int] | npt.NDArray[np.int64]) -> pa.Array:
    """Return integers as an Arrow array: int64, or decimal128(38, 0) when one needs more."""
    try:
        kind, data = pa.int64(), np.asarray(numbers, dtype=np.int64).tobytes()
    except OverflowError:
        kind, data = DECIMAL, b"".join(number.to_bytes(16, "little", signed=True) for number in numbers)
    return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(data)])


def _strings(texts: Sequence[str]) -> pa.Array:
    """Return texts as an Arrow array of strings."""
    data = [text.encode() for text in texts]
    offsets = np.zeros(len(data) + 1, dtype=np.int64)
    np.cumsum([len(text) for text in data], out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(data))]
    return pa.Array.from_buffers(pa.large_string(), len(data), buffers).cast(pa.string())


def python_id(scalar: pa.Scalar) -> Id:
    """Return the Python value of one id."""
    value = scalar.as_py()
    return int(value) if isinstance(value, Decimal) else value


def python_ids(values: pa.Array) -> list[Any]:
    """Return the Python values of an id array; None for null."""
    if pa.types.is_decimal(values.type):
        return [None if value is None else int(value) for value in values.to_pylist()]
    return values.to_pylist()  # type: ignore[no-any-return]


def key_of(id_: object) -> int | str | Decimal | None:
    """Return what an id is looked for by: True is not the game 1, nor is 1.0, and a list is no id."""
    if isinstance(id_, bool) or not isinstance(id_, int | str | Decimal | np.integer):
        return None
    if isinstance(id_, Decimal) and not id_.is_finite():
        return None
    return int(id_) if isinstance(id_, np.integer) else id_


def encode(column: pa.Array) -> tuple[npt.NDArray[np.int32], IdMap]:
    """Split a column of ids into codes and their map.

    Returns
    -------
    codes
        int32, shape (rows,); -1 for null.
    ids
        The map of the distinct ids in ascending order.
    """
    if not pa.types.is_dictionary(column.type):
        column = id_array(column).dictionary_encode()
    return sort_codes(np.asarray(column.indices.fill_null(-1), dtype=np.int32), column.dictionary)


def sort_codes(codes: npt.NDArray[np.int32], dictionary: pa.Array) -> tuple[npt.NDArray[np.int32], IdMap]:
    """Renumber codes into a dictionary in any order so that they follow the ids' order.

    Ids that no code names are left out.

    Parameters
    ----------
    codes
        int32, shape (rows,); places in ``dictionary``, -1 for null.
    dictionary
        Distinct ids, in any order; a null among them counts as null.
    """
    values = id_array(dictionary)
    used = np.zeros(len(values) + 1, dtype=bool)
    used[codes] = True
    used[-1] = False
    used[:-1] &= np.asarray(values.is_valid())
    chosen = np.flatnonzero(used)
    present = values.take(pa.array(chosen))
    order = np.asarray(pc.sort_indices(present), dtype=np.int64)
    renumbered = np.full(len(values) + 1, -1, dtype=np.int32)
    renumbered[chosen[order]] = np.arange(len(order), dtype=np.int32)
    return renumbered[codes], IdMap(present.take(pa.array(order)))
