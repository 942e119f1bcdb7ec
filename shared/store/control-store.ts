import {
  healthy,
  noStops,
  type ProviderHealth,
  type StopChange,
  type Switches,
  stopChangesMax,
} from '../core/controls.ts';
import type { SimState } from '../core/sim-state.ts';
import type { ProviderId, Subject } from '../core/subject.ts';
import { StoreError } from './errors.ts';
import type { Versioned } from './event-store.ts';
import { replaceOrInsert, simIn } from './event-store.ts';
import { healthKey, simKey, stopHistoryKey, switchesKey, toData } from './item-layout.ts';
import { readRow } from './rows.ts';
import type { Change, Item, Table } from './table.ts';

/** The stop switches, strongly consistent, for whoever turns or shows them. */
export async function loadSwitches(table: Table): Promise<Versioned<Switches>> {
  return switchesIn(await table.get(switchesKey));
}

function switchesIn(item: Item | null): Versioned<Switches> {
  if (item === null) return { value: noStops, version: null };
  return { value: readRow('switches', item), version: item.version };
}

/** What a purchase is judged by before its claim: its SIM, the stop switches, its provider's account. */
export interface Standing {
  readonly sim: Versioned<SimState>;
  readonly switches: Switches;
  readonly health: ProviderHealth;
}

/** Reads in one request, strongly consistent, what stands for or against a purchase: so a stop works at the next claim. */
export async function loadStanding(table: Table, { provider, key }: Subject): Promise<Standing> {
  const [sim = null, switches = null, health = null] = await table.getMany([
    simKey(key),
    switchesKey,
    healthKey(provider),
  ]);
  return {
    sim: simIn(sim, key),
    switches: switchesIn(switches).value,
    health: healthIn(health, provider).value,
  };
}

/**
 * Stores the switches and who turned them; `conflict` when someone else turned one in between. A history that can't be
 * read is left as it is, and nothing is noted: damage to a log must not keep anyone from stopping.
 */
export async function writeSwitches(
  table: Table,
  current: Versioned<Switches>,
  next: Switches,
  change: StopChange,
): Promise<'written' | 'conflict'> {
  const item = { ...switchesKey, data: toData(next), indexes: {}, expiresAtSec: null };
  const noted = await historyChange(table, change);
  return (await table.write([replaceOrInsert(item, current.version), ...noted])).ok ? 'written' : 'conflict';
}

/** Who turned the stops, oldest first; the newest `stopChangesMax` changes. */
export async function loadStopHistory(table: Table): Promise<Versioned<readonly StopChange[]>> {
  const item = await table.get(stopHistoryKey);
  if (item === null) return { value: [], version: null };
  return { value: readRow('stopHistory', item).changes, version: item.version };
}

async function historyChange(table: Table, change: StopChange): Promise<readonly Change[]> {
  const history = await loadStopHistory(table).catch((error: unknown) => {
    if (error instanceof StoreError && error.code === 'corrupt-item') return null;
    throw error;
  });
  if (history === null) return [];
  const changes = [...history.value, change].slice(-stopChangesMax);
  const item = { ...stopHistoryKey, data: toData({ changes }), indexes: {}, expiresAtSec: null };
  return [replaceOrInsert(item, history.version)];
}

/** What is known of a provider's account. */
export async function loadHealth(table: Table, provider: ProviderId): Promise<Versioned<ProviderHealth>> {
  return healthIn(await table.get(healthKey(provider)), provider);
}

function healthIn(item: Item | null, provider: ProviderId): Versioned<ProviderHealth> {
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

/** Closes a provider's breaker by hand, and notes who did; `conflict` when its health changed in between. */
export async function freeProvider(
  table: Table,
  current: Versioned<ProviderHealth>,
  change: StopChange,
): Promise<'written' | 'conflict'> {
  const { provider } = current.value;
  const item = { ...healthKey(provider), data: toData(healthy(provider)), indexes: {}, expiresAtSec: null };
  const noted = await historyChange(table, change);
  return (await table.write([replaceOrInsert(item, current.version), ...noted])).ok ? 'written' : 'conflict';
}
