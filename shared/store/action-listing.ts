import type { ProviderId } from '../core/subject.ts';
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
): AsyncGenerator<Versioned<ActionRow>> {
  for await (const row of rowsDue(table, waitingActions(state))) {
    if (row.value.action.state.name === state) yield row;
  }
}

/** Actions that simhook still works on by itself, by shard. Read from an index, so it may lag behind writes. */
export async function* listOpen(
  table: Table,
  providers: readonly ProviderId[],
): AsyncGenerator<Versioned<ActionRow>> {
  for (const provider of providers) {
    for (const shard of shards) yield* rowsDue(table, dueActions(provider, shard));
  }
}

async function* rowsDue(table: Table, pk: string): AsyncGenerator<Versioned<ActionRow>> {
  let cursor: string | null = null;
  do {
    const page = await table.query({ from: 'due', pk, upTo: endOfTime }, { limit: pageSize, cursor });
    for (const item of page.items) yield { value: readRow('action', item), version: item.version };
    cursor = page.cursor;
  } while (cursor !== null);
}
