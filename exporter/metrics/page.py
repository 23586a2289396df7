"""The page: text kept per miner, joined family by family when it is asked for.

The engine's thread renders a miner when it has polled it (`PageStore.publish`); any number of scraping threads join
what is there (`PageStore.write`). A row past its `expires_at` shows its durable families only, and ``miner_up 0``: an
engine that hangs never shows an old value as new.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Final

from exporter.engine.fleet import MinerRecord
from exporter.metrics.catalog import RenderOptions
from exporter.metrics.render import Fault, MinerPage, Renderer
from exporter.metrics.spec import MetricSpec, openmetrics_header, text_header

log = logging.getLogger(__name__)

#: Rows joined at once: bounds how long one join keeps other threads waiting.
_ROWS: Final = 4096
#: The same for chip families, which hold hundreds of samples per row.
_CHIP_ROWS: Final = 64

#: From this many rows on, the scraping thread lets others run after each piece: without it the event loop waits for
#: the interpreter's switch interval (5 ms) again and again.
_LARGE: Final = 1000
_PAUSE: Final = 0.0001

END: Final = b"# EOF\n"


@functools.lru_cache(maxsize=8)
def _renderer(options: RenderOptions) -> Renderer:
    return Renderer(options)


def render(record: MinerRecord, options: RenderOptions, previous: MinerPage | None = None) -> MinerPage:
    """Render one record; `previous` must come from the same options."""
    return _renderer(options).render(record, previous)


class PageStore:
    """The pages of all miners. The engine's thread publishes, any number of threads read.

    Args:
        options: what of the catalogue is shown.
        on_fault: told of every sample that is left out (`SelfMetrics.exposition_fault`).
        specs: the families, for tests.
    """

    def __init__(
        self,
        options: RenderOptions | None = None,
        *,
        on_fault: Callable[[Fault], None] | None = None,
        specs: Sequence[MetricSpec[Any]] | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._pages: dict[int, MinerPage] = {}
        self._records: dict[int, MinerRecord] = {}  # what each page was made of
        self._holders: dict[str, int] = {}  # the miner of each key
        self._on_fault = on_fault
        self._specs = specs
        self._renderer = Renderer(options or RenderOptions(), specs=specs, on_fault=on_fault)

    @property
    def options(self) -> RenderOptions:
        return self._renderer.options

    # --- writing ------------------------------------------------------------------------------------------------

    def publish(self, record: MinerRecord) -> None:
        """Render `record` and show it from now on; a retired one (`enabled` false) disappears.

        Another miner's row of the same key gives way: one series told twice spoils a whole scrape.
        """
        if not record.enabled:
            self.remove(record.id)
            return
        while True:
            with self._lock:
                renderer, previous = self._renderer, self._pages.get(record.id)
            page = renderer.render(record, previous)
            with self._lock:
                # New options may have come meanwhile; a page under the old ones does not fit any more.
                if renderer is self._renderer:
                    self._show(record, page)
                    return

    def remove(self, miner_id: int) -> None:
        with self._lock:
            self._drop(miner_id)

    def configure(self, options: RenderOptions, records: Iterable[MinerRecord] = ()) -> None:
        """Show all miners under new options (another collector, other label names), all at once; from any thread.

        Args:
            records: miners that are not shown yet. Those that are need not be given.
        """
        renderer = Renderer(options, specs=self._specs, on_fault=self._on_fault)
        with self._lock:
            shown = dict(self._records)
        wanted = {record.id: record for record in records if record.enabled} | shown
        pages = {miner_id: renderer.render(record) for miner_id, record in wanted.items()}
        with self._lock:
            now = {**{known: wanted[known] for known in wanted.keys() - shown.keys()}, **self._records}
            self._renderer, self._pages, self._records, self._holders = renderer, {}, {}, {}
            for miner_id, record in sorted(now.items()):
                page = pages[miner_id] if wanted.get(miner_id) is record else renderer.render(record)
                self._show(record, page)

    def _show(self, record: MinerRecord, page: MinerPage) -> None:
        holder, before = self._holders.get(page.key), self._pages.get(record.id)
        if before is not None and before.key != page.key:
            self._holders.pop(before.key, None)
        if holder is not None and holder != record.id:
            log.warning("miner %s: the row of miner %d gives way to that of miner %d", page.key, holder, record.id)
            self._drop(holder)
        self._pages[record.id] = page
        self._records[record.id] = record
        self._holders[page.key] = record.id

    def _drop(self, miner_id: int) -> None:
        page = self._pages.pop(miner_id, None)
        if page is not None:
            del self._records[miner_id]
            self._holders.pop(page.key, None)

    # --- reading ------------------------------------------------------------------------------------------------

    def write(
        self,
        openmetrics: bool,
        now_monotonic: float,
        *,
        names: Collection[str] = (),
        miner_id: int | None = None,
        end: bool = True,
    ) -> Iterator[bytes]:
        """Yield the page in pieces, family by family; a family without a sample is left out.

        Args:
            openmetrics: OpenMetrics 1.0.0 instead of the text format 0.0.4; only the headers differ.
            now_monotonic: `time.monotonic()` of the scrape.
            names: only these families (samples' names, ``name[]`` of the query); all where empty.
            miner_id: only this miner.
            end: close an OpenMetrics page with ``# EOF``.
        """
        with self._lock:
            renderer = self._renderer
            if miner_id is None:
                rows = list(self._pages.values())
            else:
                rows = [self._pages[miner_id]] if miner_id in self._pages else []
        _let_others_run(rows)
        durable = [row.durable if now_monotonic < row.expires_at else (row.down, *row.durable[1:]) for row in rows]
        _let_others_run(rows)
        live = [row.live for row in rows if row.live and now_monotonic < row.expires_at]
        _let_others_run(rows)
        del rows
        yield from _columns(renderer.durable_specs, durable, openmetrics, names)
        yield from _columns(renderer.live_specs, live, openmetrics, names)
        if openmetrics and end:
            yield END

    def __contains__(self, miner_id: int) -> bool:
        return miner_id in self._pages

    def __len__(self) -> int:
        return len(self._pages)


def _let_others_run(rows: Sequence[object]) -> None:
    if len(rows) >= _LARGE:
        time.sleep(_PAUSE)


def _columns(
    specs: Sequence[MetricSpec[Any]], rows: list[tuple[bytes, ...]], openmetrics: bool, names: Collection[str]
) -> Iterator[bytes]:
    """Join `rows` column by column, each family behind its header."""
    for spec, column in zip(specs, zip(*rows, strict=True), strict=bool(rows)):
        if names and spec.name not in names:
            continue
        limit = _CHIP_ROWS if spec.optional else _ROWS
        header = _header(spec, openmetrics)
        for start in range(0, len(column), limit):
            body = b"".join(column if len(column) <= limit else column[start : start + limit])
            if body:
                yield header + body if header else body
                header = b""
                _let_others_run(column)


@functools.lru_cache(maxsize=512)
def _header(spec: MetricSpec[Any], openmetrics: bool) -> bytes:
    if openmetrics:
        return openmetrics_header(spec.name, spec.type, spec.unit, spec.help)
    return text_header(spec.name, spec.type, spec.help)
