import { before, days, type EpochMs, epochMs, utcDay } from '../core/time.ts';
import { StoreError } from './errors.ts';
import type { Versioned } from './event-store.ts';
import { actionsOfDay, atMoment, eventsOfDay, shards } from './item-layout.ts';
import { type ActionRow, type EventRow, type RowName, type RowOf, readRow } from './rows.ts';
import type { Item, Table } from './table.ts';

/** How many rows a count reads before it says "at least". */
const countMax = 10_000;

/** Rows held at once per shard: listings of any length run in bounded memory. */
const pageSize = 200;

const dayMs = days(1);

/** From one moment to another, both included. */
export interface TimeRange {
  readonly from: EpochMs;
  readonly to: EpochMs;
}

export type Direction = 'oldest-first' | 'newest-first';

/** Hears of a row that can't be read and is left out. Where nobody listens, such a row throws StoreError. */
export type OnUnreadable = (error: StoreError) => void;

export interface EventCount {
  readonly events: number;
  readonly latest: EpochMs;
  /** False when there are more than were counted. */
  readonly complete: boolean;
}

/** Counts the events of the last days, newest first. */
export async function countEvents(table: Table, now: EpochMs, daysBack: number): Promise<EventCount> {
  let events = 0;
  let latest = 0;
  // Events of a clock that runs ahead count too, up to a day.
  const range = { from: before(now, days(daysBack)), to: epochMs(now + dayMs) };
  for await (const row of listEvents(table, range, 'newest-first')) {
    events += 1;
    latest = Math.max(latest, row.value.event.receivedAt);
    if (events >= countMax) return { events, latest: latest as EpochMs, complete: false };
  }
  return { events, latest: latest as EpochMs, complete: true };
}

/** Events by the moment they were received. Read from an index, so the newest may be missing for a moment. */
export function listEvents(
  table: Table,
  range: TimeRange,
  direction: Direction,
  onUnreadable?: OnUnreadable,
): AsyncGenerator<Versioned<EventRow>> {
  return listRows(table, { row: 'event', partitionOf: eventsOfDay, range, direction }, onUnreadable);
}

/** Actions by the moment they were planned. Read from an index, so the newest may be missing for a moment. */
export function listActions(
  table: Table,
  range: TimeRange,
  direction: Direction,
  onUnreadable?: OnUnreadable,
): AsyncGenerator<Versioned<ActionRow>> {
  return listRows(table, { row: 'action', partitionOf: actionsOfDay, range, direction }, onUnreadable);
}

interface Listing<N extends RowName> {
  readonly row: N;
  readonly partitionOf: (day: string, shard: number) => string;
  readonly range: TimeRange;
  readonly direction: Direction;
}

async function* listRows<N extends RowName>(
  table: Table,
  listing: Listing<N>,
  onUnreadable: OnUnreadable | undefined,
): AsyncGenerator<Versioned<RowOf<N>>> {
  const { from, to } = listing.range;
  if (from > to) return;
  const first = Math.floor(from / dayMs);
  const last = Math.floor(to / dayMs);
  const newestFirst = listing.direction === 'newest-first';
  for (let step = 0; step <= last - first; step++) {
    const day = utcDay(epochMs((newestFirst ? last - step : first + step) * dayMs));
    const runs = shards.map((shard) => itemsOf(table, listing.partitionOf(day, shard), listing));
    for await (const item of merged(runs, newestFirst)) {
      const row = readOr(() => readRow(listing.row, item), onUnreadable);
      if (row !== null) yield { value: row, version: item.version };
    }
  }
}

/** What `read` gives; null for a row that can't be read, when somebody listens. */
export function readOr<T>(read: () => T, onUnreadable: OnUnreadable | undefined): T | null {
  try {
    return read();
  } catch (error) {
    if (onUnreadable === undefined || !(error instanceof StoreError) || error.code !== 'corrupt-item')
      throw error;
    onUnreadable(error);
    return null;
  }
}

async function* itemsOf(
  table: Table,
  pk: string,
  { range, direction }: Pick<Listing<RowName>, 'range' | 'direction'>,
): AsyncGenerator<Item> {
  // `~` sorts after every id, so that the last millisecond is included whole.
  const between = [atMoment(range.from, ' '), atMoment(range.to, '~')] as const;
  const descending = direction === 'newest-first';
  let cursor: string | null = null;
  do {
    const page = await table.query({ from: 'time', pk, between }, { limit: pageSize, cursor, descending });
    yield* page.items;
    cursor = page.cursor;
  } while (cursor !== null);
}

interface Head {
  readonly run: AsyncGenerator<Item>;
  item: Item | null;
}

/** Merges runs that are sorted already: the next item is the least (or greatest) head. */
async function* merged(runs: readonly AsyncGenerator<Item>[], descending: boolean): AsyncGenerator<Item> {
  const heads = await Promise.all(runs.map(async (run): Promise<Head> => ({ run, item: await nextOf(run) })));
  for (;;) {
    let chosen: Head | null = null;
    for (const head of heads) {
      if (head.item === null) continue;
      if (chosen?.item == null || isEarlier(head.item, chosen.item) !== descending) chosen = head;
    }
    if (chosen?.item == null) return;
    yield chosen.item;
    chosen.item = await nextOf(chosen.run);
  }
}

async function nextOf(run: AsyncGenerator<Item>): Promise<Item | null> {
  const next = await run.next();
  return next.done === true ? null : next.value;
}

function isEarlier(a: Item, b: Item): boolean {
  return (a.indexes.time?.sk ?? '') < (b.indexes.time?.sk ?? '');
}
