import { after, days, type EpochMs, epochMs, hours, minutes } from '../core/time.ts';
import { replaceOrInsert, type Versioned } from './event-store.ts';
import { atMoment, quarantinedKey, quarantinedOf, quarantineHourKey, toData } from './item-layout.ts';
import { type QuarantinedRow, readRow } from './rows.ts';
import type { NewItem, Table } from './table.ts';

/** What the quarantine keeps at most, so that a flood of forged callbacks costs nothing. */
export const quarantineLimits = {
  /** Longer bodies are not kept. The longest that a single fact of any provider has is far below. */
  bodyBytesMax: 16 * 1024,
  /** Callbacks kept per provider and hour: enough to explain a wrong secret, few enough to read. */
  perHourMax: 30,
  keep: days(14),
  /** After a write that was refused, this process writes nothing for the provider for so long. */
  pause: minutes(1),
  /** Ids that one process remembers as kept, per provider. */
  knownMax: 200,
} as const;

/** A callback that was refused with 401, kept as evidence. */
export type Quarantined = QuarantinedRow;

/** `known`: kept before. `too-large`, `full` and `paused`: not kept. */
export type KeepResult = 'kept' | 'known' | 'too-large' | 'full' | 'paused';

export interface Quarantine {
  /** Throws StoreError when the store is down; then nothing is tried again for a minute. */
  keep(callback: Quarantined): Promise<KeepResult>;
}

/** What one process remembers of a provider's quarantine. */
interface Memory {
  readonly openedHour: string | null;
  readonly closedUntil: EpochMs;
  readonly known: readonly string[];
}

const fresh: Memory = { openedHour: null, closedUntil: epochMs(0), known: [] };

/**
 * Opens the quarantine for one process. The bound is a counter of the hour in the table. Once it refuses, the
 * process remembers that until the hour is over, so a flood of forged callbacks costs one refused write a process
 * and hour; any other refused write costs the provider's quarantine a minute's pause in this process.
 */
export function openQuarantine(table: Table): Quarantine {
  const memories = new Map<string, Memory>();
  return {
    keep: async (callback) => {
      const { provider, quarantineId, receivedAt } = callback;
      const memory = memories.get(provider) ?? fresh;
      if (callback.evidence.body.byteLength > quarantineLimits.bodyBytesMax) return 'too-large';
      if (memory.known.includes(quarantineId)) return 'known';
      if (receivedAt < memory.closedUntil) return 'paused';
      const hour = hourOf(receivedAt);
      const paused = { ...memory, closedUntil: after(receivedAt, quarantineLimits.pause) };
      memories.set(provider, paused);
      if (memory.openedHour !== hour) await openHour(table, provider, hour, receivedAt);
      const result = await insert(table, callback, hour);
      const known = [quarantineId, ...memory.known].slice(0, quarantineLimits.knownMax);
      const next = {
        kept: { openedHour: hour, closedUntil: memory.closedUntil, known },
        known: { ...paused, openedHour: hour, known },
        full: { openedHour: hour, closedUntil: endOfHour(receivedAt), known: memory.known },
      }[result];
      memories.set(provider, next);
      return result;
    },
  };
}

/** Makes the hour's counter with an expiry, which a counter that `add` makes does not have. */
async function openHour(table: Table, provider: string, hour: string, now: EpochMs): Promise<void> {
  const key = quarantineHourKey(provider, hour);
  if ((await table.get(key)) !== null) return;
  const expiresAtSec = Math.ceil((now + days(2)) / 1000);
  await table.write([{ kind: 'insert', item: { ...key, data: { kept: 0 }, indexes: {}, expiresAtSec } }]);
}

async function insert(table: Table, callback: Quarantined, hour: string): Promise<'kept' | 'known' | 'full'> {
  const written = await table.write([
    { kind: 'insert', item: quarantinedItem(callback) },
    {
      kind: 'add',
      key: quarantineHourKey(callback.provider, hour),
      adds: [{ attribute: 'kept', delta: 1, atMost: quarantineLimits.perHourMax }],
    },
  ]);
  if (written.ok) return 'kept';
  return written.failed.some(({ index }) => index === 1) ? 'full' : 'known';
}

function quarantinedItem(row: Quarantined): NewItem {
  return {
    ...quarantinedKey(row.quarantineId),
    data: toData(row),
    indexes: {
      time: { pk: quarantinedOf(row.provider), sk: atMoment(row.receivedAt, row.quarantineId) },
    },
    expiresAtSec: Math.ceil((row.receivedAt + quarantineLimits.keep) / 1000),
  };
}

/** One quarantined callback; null when there is none of that id, or when its 14 days are over. */
export async function loadQuarantined(
  table: Table,
  quarantineId: string,
): Promise<Versioned<Quarantined> | null> {
  const item = await table.get(quarantinedKey(quarantineId));
  return item === null ? null : { value: readRow('quarantined', item), version: item.version };
}

/** A provider's quarantined callbacks, newest first. Read from an index, so the newest may be missing for a moment. */
export async function* listQuarantined(
  table: Table,
  provider: string,
  range: { readonly from: EpochMs; readonly to: EpochMs },
): AsyncGenerator<Versioned<Quarantined>> {
  // `~` sorts after every id, so that the last millisecond is included whole.
  const between = [atMoment(range.from, ' '), atMoment(range.to, '~')] as const;
  const query = { from: 'time', pk: quarantinedOf(provider), between } as const;
  let cursor: string | null = null;
  do {
    const page = await table.query(query, { limit: 100, cursor, descending: true });
    for (const item of page.items) yield { value: readRow('quarantined', item), version: item.version };
    cursor = page.cursor;
  } while (cursor !== null);
}

/** Notes that a quarantined callback was admitted. `conflict`: someone else did at the same time, which is the same. */
export async function markAdmitted(
  table: Table,
  row: Versioned<Quarantined>,
  admitted: NonNullable<Quarantined['admitted']>,
): Promise<'written' | 'conflict'> {
  const item = quarantinedItem({ ...row.value, admitted });
  return (await table.write([replaceOrInsert(item, row.version)])).ok ? 'written' : 'conflict';
}

/** `2026-11-22T10`, in UTC. */
function hourOf(moment: EpochMs): string {
  return new Date(moment).toISOString().slice(0, 13);
}

function endOfHour(moment: EpochMs): EpochMs {
  return epochMs((Math.floor(moment / hours(1)) + 1) * hours(1));
}
