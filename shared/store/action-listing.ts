import type { ProviderId } from '../core/subject.ts';
import { type OnUnreadable, readOr } from './event-listing.ts';
import type { Versioned } from './event-store.ts';
import { dueActions, shards, waitingActions } from './item-layout.ts';
import { type ActionRow, readRow } from './rows.ts';
import type { Table } from './table.ts';

const pageSize = 200;

/** Later than any moment that an action can be due. */
const endOfTime = Number.MAX_SAFE_INTEGER;

/** Actions that wait for a human, longest waiting first. Read from an index, so it may lag behind writes. */
export async function* listWaiting(
  table: Table,
  state: 'held' | 'parked',
  onUnreadable?: OnUnreadable,
): AsyncGenerator<Versioned<ActionRow>> {
  for await (const row of rowsDue(table, waitingActions(state), onUnreadable)) {
    if (row.value.action.state.name === state) yield row;
  }
}

/** Actions that simhook still works on by itself, by shard. Read from an index, so it may lag behind writes. */
export async function* listOpen(
  table: Table,
  providers: readonly ProviderId[],
  onUnreadable?: OnUnreadable,
): AsyncGenerator<Versioned<ActionRow>> {
  for (const provider of providers) {
    for (const shard of shards) yield* rowsDue(table, dueActions(provider, shard), onUnreadable);
  }
}

async function* rowsDue(
  table: Table,
  pk: string,
  onUnreadable: OnUnreadable | undefined,
): AsyncGenerator<Versioned<ActionRow>> {
  let cursor: string | null = null;
  do {
    const page = await table.query({ from: 'due', pk, upTo: endOfTime }, { limit: pageSize, cursor });
    for (const item of page.items) {
      const value = readOr(() => readRow('action', item), onUnreadable);
      if (value !== null) yield { value, version: item.version };
    }
    cursor = page.cursor;
  } while (cursor !== null);
}
