import { healthy, noStops, type ProviderHealth, type Switches } from '../core/controls.ts';
import type { ProviderId } from '../core/subject.ts';
import type { Versioned } from './event-store.ts';
import { replaceOrInsert } from './event-store.ts';
import { healthKey, switchesKey, toData } from './item-layout.ts';
import { readRow } from './rows.ts';
import type { Table } from './table.ts';

/** The stop switches, strongly consistent: read before each claim, so that a stop works at once. */
export async function loadSwitches(table: Table): Promise<Versioned<Switches>> {
  const item = await table.get(switchesKey);
  if (item === null) return { value: noStops, version: null };
  return { value: readRow('switches', item), version: item.version };
}

/** Stores the switches; `conflict` when someone else turned one in between. */
export async function writeSwitches(
  table: Table,
  current: Versioned<Switches>,
  next: Switches,
): Promise<'written' | 'conflict'> {
  const item = { ...switchesKey, data: toData(next), indexes: {}, expiresAtSec: null };
  return (await table.write([replaceOrInsert(item, current.version)])).ok ? 'written' : 'conflict';
}

/** What is known of a provider's account. */
export async function loadHealth(table: Table, provider: ProviderId): Promise<Versioned<ProviderHealth>> {
  const item = await table.get(healthKey(provider));
  if (item === null) return { value: healthy(provider), version: null };
  return { value: readRow('health', item), version: item.version };
}

export async function writeHealth(
  table: Table,
  current: Versioned<ProviderHealth>,
  next: ProviderHealth,
): Promise<'written' | 'conflict'> {
  const item = { ...healthKey(next.provider), data: toData(next), indexes: {}, expiresAtSec: null };
  return (await table.write([replaceOrInsert(item, current.version)])).ok ? 'written' : 'conflict';
}
