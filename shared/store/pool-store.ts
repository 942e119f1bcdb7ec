import { emptyPool, type Pool } from '../core/coalesce.ts';
import type { ProviderId } from '../core/subject.ts';
import { replaceOrInsert, type Versioned } from './event-store.ts';
import { poolKey, toData } from './item-layout.ts';
import { readRow } from './rows.ts';
import type { Table } from './table.ts';

/** Where actions gather that may leave in one call. */
export interface PoolPlace {
  readonly provider: ProviderId;
  /** Names rule, kind and plan: only actions that buy the same for the same rule go together. */
  readonly poolId: string;
}

export async function loadPool(table: Table, { provider, poolId }: PoolPlace): Promise<Versioned<Pool>> {
  const item = await table.get(poolKey(provider, poolId));
  if (item === null) return { value: emptyPool, version: null };
  return { value: readRow('pool', item), version: item.version };
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
