"""Match a day that is in memory: seconds of work for a million lines, so it runs in a thread."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date

from data_pipeline.domain.layouts import read_file
from data_pipeline.domain.matching import FileLine, LedgerLine
from data_pipeline.domain.reconciliation import Reconciliation, reconcile
from data_pipeline.domain.settlement import FIRST_LINE, SettlementFile
from data_pipeline.domain.terms import ChannelTerms
from data_pipeline.store.settlement_files import KeptFile


def match_day(
    file: KeptFile,
    read: SettlementFile,
    ledger: Sequence[LedgerLine],
    neighbours: Mapping[date, bytes | None],
    terms: ChannelTerms | None = None,
) -> Reconciliation:
    """Reconcile the file's day; of the neighbouring days' files only what may be a counterpart comes along."""
    with collection_paused():
        lines = [*_numbered(read), *_counterparts(file, read, ledger, neighbours)]
        return reconcile(
            file.settled_on, file.channel, ledger, lines, file_made_at=file.fetched_at, terms=terms
        )


@contextmanager
def collection_paused() -> Iterator[None]:
    """Millions of small values without one cycle: looking for cycles among them took two thirds of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _counterparts(
    file: KeptFile,
    read: SettlementFile,
    ledger: Sequence[LedgerLine],
    neighbours: Mapping[date, bytes | None],
) -> Iterator[FileLine]:
    """Lines of other days that name an operation which either side of this day names, too."""
    keys = {line.channel_key for line in ledger} | {line.channel_key for line in read.lines}
    references = {line.channel_reference for line in ledger}
    for day, raw in neighbours.items():
        other = read_file(raw, channel=file.channel, day=day) if raw else None
        if isinstance(other, SettlementFile):
            for numbered in _numbered(other):
                if numbered.line.channel_key in keys or numbered.line.channel_reference in references:
                    yield numbered


def _numbered(read: SettlementFile) -> Iterator[FileLine]:
    return (FileLine(number, line) for number, line in enumerate(read.lines, start=FIRST_LINE))
