import { before, days, type EpochMs, utcDay } from '../core/time.ts';
import { eventsOfDay, shards } from './item-layout.ts';
import { type EventRow, readRow } from './rows.ts';
import type { Table } from './table.ts';

/** How many rows a count reads before it says "at least". */
const countMax = 10_000;

export interface EventCount {
  readonly events: number;
  readonly latest: EpochMs;
  /** False when there are more than were counted. */
  readonly complete: boolean;
}

/** Counts the events of the last days, newest day first. */
export async function countEvents(table: Table, now: EpochMs, daysBack: number): Promise<EventCount> {
  let events = 0;
  let latest = 0;
  for await (const row of eventsBackwards(table, now, daysBack)) {
    events += 1;
    latest = Math.max(latest, row.event.receivedAt);
    if (events >= countMax) return { events, latest: latest as EpochMs, complete: false };
  }
  return { events, latest: latest as EpochMs, complete: true };
}

/** Events of the last days, day by day, newest day first; within a day by shard, newest first. */
export async function* eventsBackwards(
  table: Table,
  now: EpochMs,
  daysBack: number,
): AsyncGenerator<EventRow> {
  for (let day = 0; day <= daysBack; day++) {
    for (const shard of shards) {
      yield* eventsOf(table, eventsOfDay(utcDay(before(now, days(day))), shard));
    }
  }
}

async function* eventsOf(table: Table, pk: string): AsyncGenerator<EventRow> {
  let cursor: string | null = null;
  do {
    const page = await table.query({ from: 'time', pk }, { limit: 200, cursor, descending: true });
    for (const item of page.items) yield readRow('event', item);
    cursor = page.cursor;
  } while (cursor !== null);
}
