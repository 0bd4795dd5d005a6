"""A column of ids, held as codes while its batches arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.marts.ids import DECIMAL, IdMap, NotAnId, python_ids, sort_codes

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

_GROUP = 1 << 20
"""Values of a column that are encoded at once."""
_PART = 1 << 17
"""Codes that are renumbered at once."""
_NULL = -(2**31)
"""Stands for null among integers of 32 bits."""


def widens(before: pa.DataType, kind: pa.DataType) -> bool:
    """Tell whether a column of integers goes over to decimals."""
    return bool(pa.types.is_integer(before) and pa.types.is_decimal(kind))


def categories(ids: IdMap) -> pd.Index[Any]:
    """Return a map's ids as the categories of a categorical column."""
    import pandas as pd

    exact = pa.types.is_decimal(ids.values.type)
    index = pd.Index(python_ids(ids.values), dtype=object) if exact else pd.Index(ids.values.to_pandas())
    return cast("pd.Index[Any]", index)


class Grown:
    """An array that grows at its end in place, so that its values are held once.

    Parameters
    ----------
    kind
        Its type.
    """

    def __init__(self, kind: npt.DTypeLike) -> None:
        self._held: npt.NDArray[Any] = np.empty(0, kind)
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def append(self, values: npt.NDArray[Any]) -> None:
        """Copy values to the end."""
        end = self._rows + len(values)
        if end > len(self._held):
            # No view of it outlives a statement. The system moves the pages of a large one and copies none.
            self._held.resize(end + end // 8 + _GROUP // 16, refcheck=False)
        self._held[self._rows : end] = values
        self._rows = end

    def taken(self) -> npt.NDArray[Any]:
        """Return the array; nothing is appended any more."""
        self._held.resize(self._rows, refcheck=False)
        return self._held


class Codes:
    """A column of ids, held as codes.

    Batches are encoded in groups with a dictionary each: one for each batch would hold nearly every
    id again in each of them, and waiting for the last one would hold every value. Integers of 32 bits take no
    more room than codes: they are held as they are, and where they lie close together, none is ever hashed.
    """

    def __init__(self) -> None:
        self.values: list[pa.Array] = []
        self.codes = Grown(np.int32)
        self.groups: list[tuple[int, pa.Array]] = []
        """Number of values, and dictionary."""
        self.raw = True
        """Whether ``codes`` are the ids themselves, ``_NULL`` for null."""
        self.least, self.greatest = 2**31 - 1, _NULL

    def append(self, values: pa.Array) -> None:
        """Take the values of one batch."""
        if not len(values):
            return  # a group of nothing but empty batches would have no dictionary
        values = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
        if self.raw and self._append_raw(values):
            return
        if self.raw:
            self._leave_raw()
        if self.values and widens(self.values[0].type, values.type):
            self._encode()
        self.values.append(values)
        if sum(map(len, self.values)) >= _GROUP:
            self._encode()

    def series(self) -> pd.Series:
        """Return the column: categorical, or as it came if its values cannot be ids. Nothing is appended any more."""
        import pandas as pd

        if self.raw and len(self.codes) and not self._is_dense():
            self._leave_raw()
        if self.values:
            self._encode()
        if not len(self.codes):
            return pd.Series(pd.Categorical([]))
        codes = self.codes.taken()
        if self.raw:
            ids = self._counted(codes)
        else:
            unified = self._unified()
            dictionary = unified.chunk(unified.num_chunks - 1).dictionary
            try:
                renumbered, ids = sort_codes(
                    np.concatenate([np.asarray(part.indices) for part in unified.chunks]), dictionary
                )
            except NotAnId:
                return self._decoded(codes)
            self._renumber(codes, renumbered)
        return pd.Series(pd.Categorical.from_codes(codes, categories=categories(ids), validate=False))

    def _append_raw(self, values: pa.Array) -> bool:
        """Hold integers as they are, if all of them are of 32 bits; return whether they are."""
        kind = values.type
        if not (pa.types.is_integer(kind) or (pa.types.is_decimal128(kind) and kind.scale == 0)):
            return False
        try:
            numbers = values.cast(pa.int64()).cast(pa.int32())
        except pa.ArrowInvalid:
            return False
        ends = pc.min_max(numbers).as_py()
        if ends["min"] is not None:
            if ends["min"] == _NULL:
                return False
            self.least, self.greatest = min(self.least, ends["min"]), max(self.greatest, ends["max"])
        self.codes.append(np.asarray(numbers.fill_null(_NULL)))
        return True

    def _leave_raw(self) -> None:
        """Encode the integers that are held, group by group, in their place."""
        self.raw = False
        held, self.codes = self.codes.taken(), Grown(np.int32)
        for start in range(0, len(held), _GROUP):
            part = held[start : start + _GROUP]
            self.values = [pa.array(part, mask=part == _NULL).cast(pa.int64())]
            self._encode()

    def _is_dense(self) -> bool:
        """Tell whether a table of all numbers between the least id and the greatest takes less than the codes."""
        return self.greatest - self.least < max(len(self.codes) // 2, _GROUP // 16)

    def _counted(self, codes: npt.NDArray[np.int32]) -> IdMap:
        """Turn integers into codes in place, without hashing; return their map."""
        parts = [codes[start : start + _PART] for start in range(0, len(codes), _PART)]
        used = np.zeros(max(self.greatest - self.least + 1, 0), dtype=bool)
        for part in parts:
            used[part[part != _NULL] - np.int32(self.least)] = True
        places = np.cumsum(used, dtype=np.int32) - np.int32(1)
        for part in parts:
            known = part != _NULL
            part[known] = places[part[known] - np.int32(self.least)]
            part[~known] = -1
        return IdMap(pa.array(np.flatnonzero(used) + self.least, pa.int64()))

    def _encode(self) -> None:
        """Turn the values that wait into a group."""
        encoded = pa.chunked_array(self.values).dictionary_encode()
        self.values = []
        for chunk in encoded.chunks:
            self.codes.append(np.asarray(chunk.indices.fill_null(-1)))
        self.groups.append((len(encoded), encoded.chunk(0).dictionary))

    def _unified(self) -> pa.ChunkedArray:
        """Return each group's dictionary as codes into one that all share."""
        kind = self._kind()
        each = [
            pa.DictionaryArray.from_arrays(np.arange(len(dictionary), dtype=np.int32), dictionary.cast(kind))
            for _, dictionary in self.groups
        ]
        return pa.chunked_array(each).unify_dictionaries()

    def _kind(self) -> pa.DataType:
        """Return the type that holds every group's ids."""
        kinds = {dictionary.type for _, dictionary in self.groups}
        return kinds.pop() if len(kinds) == 1 else DECIMAL

    def _renumber(self, codes: npt.NDArray[np.int32], renumbered: npt.NDArray[np.int32]) -> None:
        """Turn each group's codes into the final ones in place.

        Parameters
        ----------
        codes
            Of all values, -1 for null.
        renumbered
            The final code of each entry of each group's dictionary, one group after the other.
        """
        start = begin = 0
        for rows, dictionary in self.groups:
            own = np.append(renumbered[begin : begin + len(dictionary)], np.int32(-1))
            begin += len(dictionary)
            for place in range(start, start + rows, _PART):
                part = codes[place : min(place + _PART, start + rows)]
                part[:] = own[part]
            start += rows

    def _decoded(self, codes: npt.NDArray[np.int32]) -> pd.Series:
        """Return the values as they came."""
        kind, start, parts = self._kind(), 0, []
        for rows, dictionary in self.groups:
            part = codes[start : start + rows]
            parts.append(dictionary.take(pa.array(part, mask=part < 0)).cast(kind))
            start += rows
        return cast("pd.Series[Any]", pa.chunked_array(parts).to_pandas())
