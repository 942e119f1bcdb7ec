import { type Arrivals, noArrivals } from '../core/silence.ts';
import type { ProviderId } from '../core/subject.ts';
import { type EpochMs, utcDay } from '../core/time.ts';
import { replaceOrInsert, type Versioned } from './event-store.ts';
import { arrivalsKey, eventsOfDay, shards, toData } from './item-layout.ts';
import { readRow } from './rows.ts';
import type { Item, Table } from './table.ts';

/** Newest events read per shard and look: enough to see who speaks, few enough to cost nothing. */
const newestPerShard = 10;

/** When callbacks of these providers came, as far as noticed. */
export async function loadArrivals(
  table: Table,
  providers: readonly ProviderId[],
): Promise<readonly Versioned<Arrivals>[]> {
  if (providers.length === 0) return [];
  const items = await table.getMany(providers.map(arrivalsKey));
  return providers.map((provider, i) => {
    const item = items[i] ?? null;
    if (item === null) return { value: noArrivals(provider), version: null };
    return { value: readRow('arrivals', item), version: item.version };
  });
}

/** `conflict`: another sweep was first, which noticed the same. */
export async function writeArrivals(
  table: Table,
  current: Versioned<Arrivals>,
  next: Arrivals,
): Promise<'written' | 'conflict'> {
  const item = { ...arrivalsKey(next.provider), data: toData(next), indexes: {}, expiresAtSec: null };
  return (await table.write([replaceOrInsert(item, current.version)])).ok ? 'written' : 'conflict';
}

export interface NewestCallbacks {
  /** Moments at which callbacks of each provider came, oldest first. */
  readonly moments: ReadonlyMap<ProviderId, readonly EpochMs[]>;
  /** Everything that came from this moment on was read. */
  readonly wholeFrom: EpochMs;
}

/** When the newest callbacks came: a few rows of an index, which may lag. What reconciliation found is no callback. */
export async function readNewestCallbacks(table: Table, now: EpochMs): Promise<NewestCallbacks> {
  const day = utcDay(now);
  const pages = await Promise.all(
    shards.map((shard) =>
      table.query(
        { from: 'time', pk: eventsOfDay(day, shard) },
        { limit: newestPerShard, cursor: null, descending: true },
      ),
    ),
  );
  const startOfDay = Date.parse(`${day}T00:00:00Z`) as EpochMs;
  const floors = pages.map(({ items }) => (items.length < newestPerShard ? startOfDay : receivedAt(items)));
  const events = pages.flatMap(({ items }) => items.map((item) => readRow('event', item).event));
  const callbacks = events.filter(({ proof }) => proof.kind !== 'reconciled');
  const grouped = Map.groupBy(callbacks, ({ provider }) => provider);
  const moments = new Map(
    [...grouped].map(([provider, of]) => [
      provider,
      of.map((event) => event.receivedAt).sort((a, b) => a - b),
    ]),
  );
  return { moments, wholeFrom: Math.max(...floors) as EpochMs };
}

function receivedAt(items: readonly Item[]): EpochMs {
  const last = items.at(-1);
  return last === undefined ? (0 as EpochMs) : readRow('event', last).event.receivedAt;
}
