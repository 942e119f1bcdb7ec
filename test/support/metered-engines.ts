import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import { keyOf } from '../../shared/store/change-rules.ts';
import { storedForm } from '../../shared/store/packed-data.ts';
import type { Change, IndexName, Item, Key, NewItem, Table } from '../../shared/store/table.ts';
import { indexSchemas } from '../../shared/store/table-schema.ts';

/** What DynamoDB would have been asked and would have charged. */
export interface Meter {
  /** API calls by kind. A query of an index reads its items with a further call. */
  readonly calls: { get: number; getMany: number; query: number; write: number; transaction: number };
  writeUnits: number;
  readUnits: number;
  /** Each write or transaction, in order: what it changed, and its units. */
  readonly writes: { readonly what: readonly string[]; readonly units: number }[];
}

export function newMeter(): Meter {
  return {
    calls: { get: 0, getMany: 0, query: 0, write: 0, transaction: 0 },
    writeUnits: 0,
    readUnits: 0,
    writes: [],
  };
}

/**
 * A table that counts what DynamoDB would charge in on-demand units, computed from the items themselves:
 * - a write of an item costs a unit per started KB of its larger version, before or after; a refused one the same;
 * - each index whose keys the write adds, removes or moves costs a unit per started KB of the entry, moving twice;
 * - a transaction costs double, indexes included (DynamoDB Local reports it so, with ReturnConsumedCapacity);
 * - a strongly consistent read costs a unit per started 4 KB, of an absent item one; an index query half of that.
 * Source: DynamoDB developer guide, "DynamoDB on-demand capacity mode", "Global secondary indexes: provisioned
 * throughput considerations", "DynamoDB transactions: capacity management".
 */
export function meteredTable(inner: Table, meter: Meter): Table {
  return {
    get: async (key) => {
      const item = await inner.get(key);
      meter.calls.get += 1;
      meter.readUnits += readUnits(item);
      return item;
    },
    getMany: async (keys) => {
      const items = await inner.getMany(keys);
      meter.calls.getMany += 1;
      for (const item of items) meter.readUnits += readUnits(item);
      return items;
    },
    query: async (query, options) => {
      const page = await inner.query(query, options);
      meter.calls.query += 1;
      meter.readUnits += 0.5 * Math.max(1, Math.ceil((page.items.length * 200) / 4_096));
      if (query.from !== 'partition' && page.items.length > 0) {
        meter.calls.getMany += Math.ceil(page.items.length / 100);
        for (const item of page.items) meter.readUnits += readUnits(item);
      }
      return page;
    },
    write: async (changes) => {
      const before = await Promise.all(changes.map((change) => inner.get(keyOf(change))));
      const result = await inner.write(changes);
      const after = await Promise.all(changes.map((change) => inner.get(keyOf(change))));
      const factor = isTransaction(changes) ? 2 : 1;
      if (factor === 2) meter.calls.transaction += 1;
      else meter.calls.write += 1;
      const units = changes.map((_, i) => factor * changeUnits(before[i] ?? null, after[i] ?? null));
      const total = units.reduce((sum, one) => sum + one, 0);
      meter.writeUnits += total;
      const what = changes.map((change, i) => `${change.kind} ${nameOf(keyOf(change))} ${units[i]}`);
      meter.writes.push({ what, units: total });
      return result;
    },
    close: () => inner.close(),
  };
}

/** One insert, replace, add or check goes as a single call; everything else as a transaction (dynamo-write.ts). */
function isTransaction(changes: readonly Change[]): boolean {
  return changes.length > 1 || changes[0]?.kind === 'delete';
}

function nameOf({ pk, sk }: Key): string {
  return `${pk.split('#')[0]}/${sk.split('#')[0]}`;
}

function readUnits(item: Item | null): number {
  return item === null ? 1 : Math.max(1, Math.ceil(storedForm(item).bytes / 4_096));
}

function changeUnits(before: Item | null, after: Item | null): number {
  const bytes = Math.max(sizeOf(before), sizeOf(after));
  let units = Math.max(1, Math.ceil(bytes / 1_024));
  for (const index of Object.keys(indexSchemas) as IndexName[]) {
    const old = entryOf(before, index);
    const now = entryOf(after, index);
    if (old === now) continue;
    units += (old === null ? 0 : entryUnits(old)) + (now === null ? 0 : entryUnits(now));
  }
  return units;
}

function sizeOf(item: NewItem | null): number {
  return item === null ? 0 : storedForm(item).bytes;
}

/** The keys of an index entry as one text; null when the index does not list the item. Indexes hold keys only. */
function entryOf(item: Item | null, index: IndexName): string | null {
  const keys = item?.indexes[index];
  if (item === null || keys === undefined) return null;
  return [item.pk, item.sk, keys.pk, 'at' in keys ? keys.at : keys.sk].join('\n');
}

function entryUnits(entry: string): number {
  return Math.max(1, Math.ceil(Buffer.byteLength(entry) / 1_024));
}

/** What SQS would have been asked. */
export interface QueueMeter {
  sends: number;
  receives: number;
  acknowledges: number;
}

export function newQueueMeter(): QueueMeter {
  return { sends: 0, receives: 0, acknowledges: 0 };
}

/** A queue that counts its calls; each is one SQS request. Receives that find nothing are not counted. */
export function meteredQueue(inner: WorkQueue, meter: QueueMeter): WorkQueue {
  return {
    ...inner,
    send: async (messages) => {
      meter.sends += 1;
      await inner.send(messages);
    },
    receive: async (max) => {
      const messages = await inner.receive(max);
      if (messages.length > 0) meter.receives += 1;
      return messages;
    },
    acknowledge: async (receipts) => {
      meter.acknowledges += 1;
      await inner.acknowledge(receipts);
    },
  };
}
