import { emptyPool, type Pool } from '../core/coalesce.ts';
import type { ProviderId } from '../core/subject.ts';
import { StoreError } from './errors.ts';
import { replaceOrInsert, type Versioned } from './event-store.ts';
import { poolKey, toData } from './item-layout.ts';
import { readRow } from './rows.ts';
import type { Item, Table } from './table.ts';

/** Where actions gather that may leave in one call. */
export interface PoolPlace {
  readonly provider: ProviderId;
  /** Names rule, kind and plan: only actions that buy the same for the same rule go together. */
  readonly poolId: string;
}

/** A pool that can't be read is empty: it is a hint, and damage to it must not stop what the rule buys. */
export async function loadPool(table: Table, { provider, poolId }: PoolPlace): Promise<Versioned<Pool>> {
  const item = await table.get(poolKey(provider, poolId));
  if (item === null) return { value: emptyPool, version: null };
  return { value: readable(item) ?? emptyPool, version: item.version };
}

function readable(item: Item): Pool | null {
  try {
    return readRow('pool', item);
  } catch (error) {
    if (error instanceof StoreError && error.code === 'corrupt-item') return null;
    throw error;
  }
}

/** `conflict`: another worker changed the pool in between. */
export async function writePool(
  table: Table,
  { provider, poolId }: PoolPlace,
  current: Versioned<Pool>,
  next: Pool,
): Promise<'written' | 'conflict'> {
  const item = { ...poolKey(provider, poolId), data: toData(next), indexes: {}, expiresAtSec: null };
  return (await table.write([replaceOrInsert(item, current.version)])).ok ? 'written' : 'conflict';
}
