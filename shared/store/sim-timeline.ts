import type { EpochMs } from '../core/time.ts';
import { type Direction, type OnUnreadable, readOr, type TimeRange } from './event-listing.ts';
import type { Versioned } from './event-store.ts';
import { atMoment, timelineOf } from './item-layout.ts';
import { type ActionRow, type EventRow, readRow } from './rows.ts';
import type { Item, Table } from './table.ts';

/** One row of a SIM's timeline. */
export type TimelineRow =
  | { readonly kind: 'event'; readonly at: EpochMs; readonly row: Versioned<EventRow> }
  | { readonly kind: 'action'; readonly at: EpochMs; readonly row: Versioned<ActionRow> };

const pageSize = 200;

/**
 * Events and actions of one SIM by time: an event by when it was received, an action by when it was planned. Read
 * from an index, so the newest may be missing for a moment.
 */
export async function* simTimeline(
  table: Table,
  simKey: string,
  range: TimeRange,
  direction: Direction,
  onUnreadable?: OnUnreadable,
): AsyncGenerator<TimelineRow> {
  const between = [atMoment(range.from, ' '), atMoment(range.to, '~')] as const;
  const descending = direction === 'newest-first';
  let cursor: string | null = null;
  do {
    const page = await table.query(
      { from: 'sim', pk: timelineOf(simKey), between },
      { limit: pageSize, cursor, descending },
    );
    for (const item of page.items) {
      const row = readOr(() => readTimelineRow(item), onUnreadable);
      if (row !== null) yield row;
    }
    cursor = page.cursor;
  } while (cursor !== null);
}

function readTimelineRow(item: Item): TimelineRow {
  const { version } = item;
  if (item.sk === 'ACTION') {
    const value = readRow('action', item);
    return { kind: 'action', at: value.action.createdAt, row: { value, version } };
  }
  const value = readRow('event', item);
  return { kind: 'event', at: value.event.receivedAt, row: { value, version } };
}
