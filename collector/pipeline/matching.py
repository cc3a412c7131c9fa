"""Which of several records, or of several parts, are those that are already published. Pure.

A vendor repeats records without an identity of their own, and may add parts to them. What is published is matched
first, and only the surplus is new.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from collector.model import Record
from collector.pipeline.page import digest

P = TypeVar("P")


def surplus(records: Sequence[tuple[bytes, Record[P]]], known: Sequence[bytes]) -> list[tuple[bytes, Record[P]]]:
    """Of n records of one key, those beyond the number of known ones. Known fingerprints are matched first."""
    left = Counter(known)
    unmatched = []
    for item in sorted(records, key=lambda item: item[0]):
        if left[item[0]]:
            left[item[0]] -= 1
        else:
            unmatched.append(item)
    return unmatched[: max(0, len(records) - len(known))]


def surplus_parts(parts: Sequence[bytes], published: Sequence[bytes]) -> list[int]:
    """The indexes of the parts that are not published yet. Equal parts are counted."""
    left = Counter(published)
    new = []
    for index, part in enumerate(parts):
        if left[part]:
            left[part] -= 1
        else:
            new.append(index)
    return new


def occurrences(
    records: Sequence[tuple[bytes, Record[P]]], known: Sequence[bytes], published: Sequence[Sequence[bytes]]
) -> list[tuple[int, tuple[bytes, Record[P]]]]:
    """Which occurrence each record of one key is; records that are left are new occurrences.

    A record only gains parts. So first come records with the same parts, then those that have all published parts of an
    occurrence; of several, one with the known fingerprint. A vendor that takes parts back leaves the rest to chance.
    """
    rows = dict(enumerate(sorted(records, key=lambda item: item[0])))
    parts = {row: tuple(sorted(map(digest, record.parts))) for row, (_, record) in rows.items()}
    before = {number: tuple(sorted(published[number])) for number in range(len(known))}
    found: list[tuple[int, int]] = []

    def take(pairs: Iterable[tuple[int, int]]) -> None:
        for number, row in pairs:
            found.append((number, row))
            del before[number], parts[row]

    take(
        _equal(
            {number: (known[number], each) for number, each in before.items()},
            {row: (rows[row][0], each) for row, each in parts.items()},
        )
    )
    take(_equal(before, parts))
    counted = {row: Counter(each) for row, each in parts.items()}
    take(_matched({n: [row for row in parts if Counter(each) <= counted[row]] for n, each in before.items()}))
    take(list(zip(before, parts, strict=False)))
    return [(number, rows[row]) for number, row in [*found, *enumerate(parts, len(known))]]


def _equal(numbers: Mapping[int, object], rows: Mapping[int, object]) -> list[tuple[int, int]]:
    """Pairs of a number and a row with equal values, each of both in one pair at most."""
    free = defaultdict[object, list[int]](list)
    for number in reversed(list(numbers)):
        free[numbers[number]].append(number)
    return [(free[value].pop(), row) for row, value in rows.items() if free[value]]


def _matched(candidates: Mapping[int, Sequence[int]]) -> list[tuple[int, int]]:
    """As many pairs of a number and one of its candidate rows as possible, each of both in one pair at most."""
    number_of: dict[int, int] = {}

    def has_pair(number: int, visited: set[int]) -> bool:
        for row in candidates[number]:
            if row not in visited:
                visited.add(row)
                if row not in number_of or has_pair(number_of[row], visited):
                    number_of[row] = number
                    return True
        return False

    for number in candidates:
        has_pair(number, set())
    return [(number, row) for row, number in number_of.items()]
