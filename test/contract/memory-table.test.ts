import { describe, expect, it } from 'vitest';
import { epochMs } from '../../shared/core/time.ts';
import { seededRandom } from '../../shared/platform/random.ts';
import { openSqliteTable } from '../../shared/store/sqlite-table.ts';
import type { Change, Item, Key, NewItem, Query, Table } from '../../shared/store/table.ts';
import { frozenItems } from '../support/frozen-items.ts';
import { memoryTable } from '../support/memory-table.ts';
import { describeTable } from './table-contract.ts';

describeTable('table in memory', async () => memoryTable());

describe('table in memory beside SQLite', () => {
  it('answers alike to 4,000 random writes, its items copied or shared, and lists alike what they left', async () => {
    const tables: readonly Table[] = [
      memoryTable(),
      memoryTable('shared'),
      openSqliteTable({ path: ':memory:', now: () => epochMs(0) }),
    ];
    const random = seededRandom(7);
    const upTo = (n: number): number => Math.floor(random.fraction() * n);
    const versions = new Map<string, number>();
    for (let round = 0; round < 4_000; round++) {
      const changes = randomChanges(upTo, versions);
      const [result, ...others] = await Promise.all(tables.map((table) => table.write(changes)));
      for (const other of others) expect(other).toEqual(result);
      if (result?.ok === true) note(changes, versions);
    }
    // More than one chunk of the lists behind it, and then chunks that are emptied.
    expect(versions.size).toBeGreaterThan(1_000);
    await expectAlike(tables);
    for (const [text, version] of [...versions].filter(([text]) => !keyFrom(text).sk.startsWith('3'))) {
      const change: Change = { kind: 'delete', key: keyFrom(text), ifVersion: version };
      for (const table of tables) expect(await table.write([change])).toEqual({ ok: true });
    }
    await expectAlike(tables);
    await Promise.all(tables.map((table) => table.close()));
  });
});

describe('frozen items', () => {
  const key = { pk: 'A', sk: 'A' };

  it('lets nobody change an item that was written, read, listed or found in the way', async () => {
    const table = frozenItems(memoryTable());
    const data = { list: [{ n: 1 }] };
    const item = { ...key, data, indexes: { sim: { pk: 'sim', sk: '1' } }, expiresAtSec: null };
    await table.write([{ kind: 'insert', item }]);
    const again = await table.write([{ kind: 'insert', item }]);
    const { items } = await table.query({ from: 'sim', pk: 'sim' }, { limit: 1, cursor: null });
    const met = [item, await table.get(key), ...(await table.getMany([key])), ...items];
    if (!again.ok) met.push(...again.failed.map(({ found }) => found));
    expect(met).toHaveLength(5);
    for (const part of met.flatMap(partsOf)) expect(part).toSatisfy(Object.isFrozen);
  });
});

/** A value and all objects and lists in it. */
function partsOf(value: unknown): readonly object[] {
  if (typeof value !== 'object' || value === null) return [];
  return [value, ...Object.values(value).flatMap(partsOf)];
}

async function expectAlike([table, ...others]: readonly Table[]): Promise<void> {
  if (table === undefined || others.length === 0) throw new Error('there must be tables to compare');
  for (const query of queries) {
    for (const descending of [false, true]) {
      const listed = await listAll(table, query, descending);
      for (const other of others) expect(await listAll(other, query, descending)).toEqual(listed);
    }
  }
}

const keyText = ({ pk, sk }: Key): string => `${pk}|${sk}`;

function keyFrom(text: string): Key {
  const [pk = '', sk = ''] = text.split('|');
  return { pk, sk };
}

const partitions = ['A', 'B\u{1f6f0}', 'B\uffee'] as const;

const queries: readonly Query[] = [
  ...partitions.map((pk): Query => ({ from: 'partition', pk })),
  { from: 'partition', pk: 'A', prefix: '7' },
  { from: 'due', pk: 'due', upTo: 400 },
  { from: 'sim', pk: 'sim', between: ['2', '6\uffee'] },
  { from: 'time', pk: 'time' },
];

function randomChanges(
  upTo: (n: number) => number,
  versions: ReadonlyMap<string, number>,
): readonly Change[] {
  const keys = new Map<string, Key>();
  for (let n = upTo(3); n >= 0; n--) {
    const key = { pk: partitions[upTo(3)] ?? 'A', sk: `${upTo(700)}${['', '\u{1f6f0}', '\uffee'][upTo(3)]}` };
    keys.set(keyText(key), key);
  }
  return [...keys].map(([text, key]): Change => {
    const version = versions.get(text) ?? null;
    // Now and then a guard fails.
    if (upTo(20) === 0) return { kind: 'check', key, ifVersion: version === null ? 1 : null };
    if (version === null) return { kind: 'insert', item: randomItem(key, upTo) };
    if (upTo(6) === 0) return { kind: 'delete', key, ifVersion: version };
    if (upTo(4) === 0) return { kind: 'add', key, adds: [{ attribute: 'n', delta: 1, atMost: 5 }] };
    return { kind: 'replace', item: randomItem(key, upTo), ifVersion: version };
  });
}

/** Listed in some of the indexes, where many stand at the same place. */
function randomItem(key: Key, upTo: (n: number) => number): NewItem {
  return {
    ...key,
    data: { n: upTo(3), body: Uint8Array.of(upTo(256)) },
    indexes: {
      ...(upTo(2) === 0 ? { due: { pk: 'due', at: upTo(500) } } : {}),
      ...(upTo(2) === 0 ? { sim: { pk: 'sim', sk: `${upTo(9)}${['\u{1f6f0}', '\uffee'][upTo(2)]}` } } : {}),
      ...(upTo(2) === 0 ? { time: { pk: 'time', sk: String(upTo(5_000)) } } : {}),
    },
    expiresAtSec: null,
  };
}

function note(changes: readonly Change[], versions: Map<string, number>): void {
  for (const change of changes) {
    if (change.kind === 'insert') versions.set(keyText(change.item), 1);
    if (change.kind === 'replace') versions.set(keyText(change.item), change.ifVersion + 1);
    if (change.kind === 'delete') versions.delete(keyText(change.key));
  }
}

async function listAll(table: Table, query: Query, descending: boolean): Promise<readonly Item[]> {
  const items: Item[] = [];
  for (let page = 0, cursor: string | null = null; page < 2_000; page++) {
    const next = await table.query(query, { limit: 7, cursor, descending });
    items.push(...next.items);
    cursor = next.cursor;
    if (cursor === null) return items;
  }
  throw new Error(`${query.from} ${query.pk} has no end`);
}
