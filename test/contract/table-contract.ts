import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { StoreError } from '../../shared/store/errors.ts';
import { itemBytes } from '../../shared/store/item-size.ts';
import {
  type Addition,
  changesMax,
  type Item,
  itemBytesMax,
  type NewItem,
  type Page,
  type Query,
  type Table,
  type Value,
} from '../../shared/store/table.ts';

/** What every table must do. `makeTable` is called once; each test works in partitions of its own. */
export function describeTable(name: string, makeTable: () => Promise<Table>): void {
  describe(name, () => {
    const state: { table: Table | null; test: number } = { table: null, test: 0 };
    beforeAll(async () => {
      state.table = await makeTable();
    });
    afterAll(async () => {
      await state.table?.close();
    });
    beforeEach(() => {
      state.test += 1;
    });
    const bench: Bench = {
      table: () => {
        if (state.table === null) throw new Error('the table was not made');
        return state.table;
      },
      pk: (label = 'A') => `${state.test}#${label}`,
    };
    describeChanges(bench);
    describeAdds(bench);
    describeGuards(bench);
    describeRaces(bench);
    describeValues(bench);
    describeSizes(bench);
    describePartitionQueries(bench);
    describeIndexQueries(bench);
    describePages(bench);
    describeMisuse(bench);
  });
}

interface Bench {
  table(): Table;
  /** A partition (or index partition) that only this test uses. */
  pk(label?: string): string;
}

function item(pk: string, sk: string, rest: Partial<NewItem> = {}): NewItem {
  return { pk, sk, data: { n: 1 }, indexes: {}, expiresAtSec: null, ...rest };
}

const add = (attribute: string, delta: number, atMost: number | null = null): readonly Addition[] => [
  { attribute, delta, atMost },
];

async function insert(bench: Bench, ...items: readonly NewItem[]): Promise<void> {
  for (const each of items) {
    expect(await bench.table().write([{ kind: 'insert', item: each }])).toEqual({ ok: true });
  }
}

/** Index reads may lag on AWS, so the expectation is asked again for a while; locally it holds at once. */
async function soon(expectation: () => Promise<void>): Promise<void> {
  await vi.waitFor(expectation, { timeout: 10_000, interval: 50 });
}

function describeChanges(bench: Bench): void {
  describe('changes', () => {
    it('gives back an inserted item with version 1', async () => {
      const pk = bench.pk();
      const made = item(pk, 'a', {
        data: { state: 'planned' },
        indexes: { due: { pk, at: 5 }, sim: { pk, sk: 's' }, time: { pk, sk: 't' } },
        expiresAtSec: 1_900_000_000,
      });
      await insert(bench, made);
      expect(await bench.table().get({ pk, sk: 'a' })).toEqual({ ...made, version: 1 });
    });

    it('finds nothing where nothing was written', async () => {
      expect(await bench.table().get({ pk: bench.pk(), sk: 'a' })).toBeNull();
    });

    it('reads many items in the order of the keys, with null for what is absent', async () => {
      const pk = bench.pk();
      await insert(bench, item(pk, 'a'), item(pk, 'b'), item(bench.pk('B'), 'a'));
      const keys = [
        { pk, sk: 'b' },
        { pk, sk: 'none' },
        { pk: bench.pk('B'), sk: 'a' },
        { pk, sk: 'a' },
      ];
      const found = await bench.table().getMany(keys);
      expect(found.map((each) => each && `${each.pk}/${each.sk}`)).toEqual([
        `${pk}/b`,
        null,
        `${bench.pk('B')}/a`,
        `${pk}/a`,
      ]);
      expect(await bench.table().getMany([])).toEqual([]);
    });

    it('reads the same key twice when it is asked for twice', async () => {
      const pk = bench.pk();
      await insert(bench, item(pk, 'a'));
      const found = await bench.table().getMany([
        { pk, sk: 'a' },
        { pk, sk: 'a' },
      ]);
      expect(found.map((each) => each?.sk)).toEqual(['a', 'a']);
    });

    it('reads 100 items at once', async () => {
      const pk = bench.pk();
      const sks = Array.from({ length: 100 }, (_, n) => `k${n}`);
      await bench.table().write(sks.map((sk) => ({ kind: 'insert', item: item(pk, sk) })));
      const found = await bench.table().getMany(sks.map((sk) => ({ pk, sk })));
      expect(found.map((each) => each?.sk)).toEqual(sks);
    });

    it('replaces the whole item and grows its version by one', async () => {
      const pk = bench.pk();
      await insert(bench, item(pk, 'a', { data: { old: 1, both: 1 }, expiresAtSec: 9 }));
      const next = item(pk, 'a', { data: { both: 2 } });
      expect(await bench.table().write([{ kind: 'replace', item: next, ifVersion: 1 }])).toEqual({
        ok: true,
      });
      expect(await bench.table().get({ pk, sk: 'a' })).toEqual({ ...next, version: 2 });
    });

    it('deletes an item of the version that was asked for', async () => {
      const pk = bench.pk();
      await insert(bench, item(pk, 'a'));
      expect(await bench.table().write([{ kind: 'delete', key: { pk, sk: 'a' }, ifVersion: 1 }])).toEqual({
        ok: true,
      });
      expect(await bench.table().get({ pk, sk: 'a' })).toBeNull();
    });

    it('starts again at version 1 when a deleted item is inserted anew', async () => {
      const pk = bench.pk();
      await insert(bench, item(pk, 'a'));
      await bench.table().write([{ kind: 'replace', item: item(pk, 'a'), ifVersion: 1 }]);
      await bench.table().write([{ kind: 'delete', key: { pk, sk: 'a' }, ifVersion: 2 }]);
      await insert(bench, item(pk, 'a'));
      expect((await bench.table().get({ pk, sk: 'a' }))?.version).toBe(1);
    });

    it('does several kinds of change in one write', async () => {
      const pk = bench.pk();
      await insert(bench, item(pk, 'changed'), item(pk, 'seen'), item(pk, 'gone'));
      const result = await bench.table().write([
        { kind: 'insert', item: item(pk, 'new') },
        { kind: 'replace', item: item(pk, 'changed', { data: { n: 2 } }), ifVersion: 1 },
        { kind: 'check', key: { pk, sk: 'seen' }, ifVersion: 1 },
        { kind: 'check', key: { pk, sk: 'absent' }, ifVersion: null },
        { kind: 'delete', key: { pk, sk: 'gone' }, ifVersion: 1 },
        { kind: 'add', key: { pk, sk: 'count' }, adds: add('used', 7) },
      ]);
      expect(result).toEqual({ ok: true });
      const page = await bench.table().query({ from: 'partition', pk }, { limit: 10, cursor: null });
      expect(page.items.map(({ sk, version, data }) => ({ sk, version, data }))).toEqual([
        { sk: 'changed', version: 2, data: { n: 2 } },
        { sk: 'count', version: 1, data: { used: 7 } },
        { sk: 'new', version: 1, data: { n: 1 } },
        { sk: 'seen', version: 1, data: { n: 1 } },
      ]);
    });

    it('still gives back an item whose expiry has passed, since expiry is a hint', async () => {
      const pk = bench.pk();
      // Older than five years would not count as expired for DynamoDB, so any moment in the past will do.
      await insert(bench, item(pk, 'a', { expiresAtSec: 1_700_000_000 }));
      expect((await bench.table().get({ pk, sk: 'a' }))?.expiresAtSec).toBe(1_700_000_000);
    });
  });
}

function describeAdds(bench: Bench): void {
  describe('adds', () => {
    const key = (): { pk: string; sk: string } => ({ pk: bench.pk(), sk: 'count' });
    const addOne = (adds: readonly Addition[]) => bench.table().write([{ kind: 'add', key: key(), adds }]);

    it('makes the item with version 1 and nothing else', async () => {
      expect(await addOne(add('used', 5))).toEqual({ ok: true });
      expect(await bench.table().get(key())).toEqual({
        ...key(),
        version: 1,
        data: { used: 5 },
        indexes: {},
        expiresAtSec: null,
      });
    });

    it('adds up, also below zero, and leaves version, indexes and other data alone', async () => {
      const made = item(key().pk, 'count', {
        data: { used: 1, note: 'kept' },
        indexes: { sim: { pk: bench.pk('sim'), sk: 'x' } },
        expiresAtSec: 99,
      });
      await insert(bench, made);
      await addOne(add('used', 10));
      await addOne(add('used', -25));
      await addOne(add('other', 0));
      const found = await bench.table().get(key());
      expect(found).toEqual({ ...made, version: 1, data: { used: -14, note: 'kept', other: 0 } });
    });

    it('keeps a replace with the version read before the add from failing', async () => {
      await insert(bench, item(key().pk, 'count', { data: { used: 1 } }));
      await addOne(add('used', 1));
      const next = item(key().pk, 'count', { data: { used: 0 } });
      expect(await bench.table().write([{ kind: 'replace', item: next, ifVersion: 1 }])).toEqual({
        ok: true,
      });
    });

    it('reaches the limit exactly and refuses one more', async () => {
      expect(await addOne(add('used', 6, 10))).toEqual({ ok: true });
      expect(await addOne(add('used', 4, 10))).toEqual({ ok: true });
      const refused = await addOne(add('used', 1, 10));
      expect(refused).toMatchObject({ ok: false, failed: [{ index: 0, found: { data: { used: 10 } } }] });
      expect((await bench.table().get(key()))?.data).toEqual({ used: 10 });
    });

    it('refuses a first sum above the limit and makes no item', async () => {
      expect(await addOne(add('used', 11, 10))).toEqual({ ok: false, failed: [{ index: 0, found: null }] });
      expect(await bench.table().get(key())).toBeNull();
    });

    it('refuses a sum above the limit when the item exists without the counter', async () => {
      await insert(bench, item(key().pk, 'count', { data: { other: 1 } }));
      expect(await addOne(add('used', 11, 10))).toMatchObject({ ok: false });
      expect(await addOne(add('used', 10, 10))).toEqual({ ok: true });
    });

    it('adds to every counter or, when one has no room, to none', async () => {
      const both = (delta: number): readonly Addition[] => [
        { attribute: 'day', delta, atMost: 100 },
        { attribute: 'month', delta, atMost: 150 },
        { attribute: 'count', delta: 1, atMost: null },
      ];
      expect(await addOne(both(80))).toEqual({ ok: true });
      expect(await addOne(both(30))).toMatchObject({ ok: false });
      expect(await addOne(both(20))).toEqual({ ok: true });
      expect((await bench.table().get(key()))?.data).toEqual({ day: 100, month: 100, count: 2 });
    });

    it('does not mistake a counter named like a key for the key', async () => {
      await addOne([
        { attribute: 'pk', delta: 1, atMost: 5 },
        { attribute: 'version', delta: 7, atMost: null },
      ]);
      expect(await bench.table().get(key())).toMatchObject({
        ...key(),
        version: 1,
        data: { pk: 1, version: 7 },
      });
    });

    it('reports a counter that holds text as a corrupt item', async () => {
      await insert(bench, item(key().pk, 'count', { data: { used: 'seven' } }));
      await expect(addOne(add('used', 1))).rejects.toMatchObject({
        name: 'StoreError',
        code: 'corrupt-item',
      });
      await expect(addOne(add('used', 1, 10))).rejects.toMatchObject({ code: 'corrupt-item' });
    });
  });
}

function describeGuards(bench: Bench): void {
  describe('guards', () => {
    it('refuses to insert over an item and shows what it found', async () => {
      const pk = bench.pk();
      await insert(bench, item(pk, 'a', { data: { by: 'first' } }));
      const result = await bench
        .table()
        .write([{ kind: 'insert', item: item(pk, 'a', { data: { by: 'second' } }) }]);
      expect(result).toEqual({
        ok: false,
        failed: [{ index: 0, found: { ...item(pk, 'a', { data: { by: 'first' } }), version: 1 } }],
      });
      expect((await bench.table().get({ pk, sk: 'a' }))?.data).toEqual({ by: 'first' });
    });

    it('refuses an insert that equals the stored item, as long as nothing was lost on the way', async () => {
      const pk = bench.pk();
      await insert(bench, item(pk, 'a'));
      expect(await bench.table().write([{ kind: 'insert', item: item(pk, 'a') }])).toMatchObject({
        ok: false,
      });
    });

    it('refuses to replace another version, and what is absent', async () => {
      const pk = bench.pk();
      await insert(bench, item(pk, 'a'));
      const stale = await bench.table().write([{ kind: 'replace', item: item(pk, 'a'), ifVersion: 2 }]);
      expect(stale).toMatchObject({ ok: false, failed: [{ index: 0, found: { version: 1 } }] });
      const absent = await bench.table().write([{ kind: 'replace', item: item(pk, 'b'), ifVersion: 1 }]);
      expect(absent).toEqual({ ok: false, failed: [{ index: 0, found: null }] });
      expect(await bench.table().get({ pk, sk: 'b' })).toBeNull();
    });

    it('refuses to delete another version, and what is absent', async () => {
      const pk = bench.pk();
      await insert(bench, item(pk, 'a'));
      const stale = await bench.table().write([{ kind: 'delete', key: { pk, sk: 'a' }, ifVersion: 2 }]);
      expect(stale).toMatchObject({ ok: false, failed: [{ index: 0, found: { version: 1 } }] });
      const absent = await bench.table().write([{ kind: 'delete', key: { pk, sk: 'b' }, ifVersion: 1 }]);
      expect(absent).toEqual({ ok: false, failed: [{ index: 0, found: null }] });
      expect(await bench.table().get({ pk, sk: 'a' })).not.toBeNull();
    });

    it('checks a version or an absence without writing anything', async () => {
      const pk = bench.pk();
      await insert(bench, item(pk, 'a'));
      const check = (sk: string, ifVersion: number | null) =>
        bench.table().write([{ kind: 'check', key: { pk, sk }, ifVersion }]);
      expect(await check('a', 1)).toEqual({ ok: true });
      expect(await check('b', null)).toEqual({ ok: true });
      expect(await check('a', 2)).toMatchObject({ ok: false, failed: [{ index: 0, found: { version: 1 } }] });
      expect(await check('a', null)).toMatchObject({
        ok: false,
        failed: [{ index: 0, found: { version: 1 } }],
      });
      expect(await check('b', 1)).toEqual({ ok: false, failed: [{ index: 0, found: null }] });
      expect(await bench.table().get({ pk, sk: 'b' })).toBeNull();
    });

    it('checks several items together', async () => {
      const pk = bench.pk();
      await insert(bench, item(pk, 'a'));
      const result = await bench.table().write([
        { kind: 'check', key: { pk, sk: 'a' }, ifVersion: 1 },
        { kind: 'check', key: { pk, sk: 'b' }, ifVersion: null },
      ]);
      expect(result).toEqual({ ok: true });
    });

    it('names every change whose guard failed, with the item found, and leaves nothing of the others', async () => {
      const pk = bench.pk();
      await insert(bench, item(pk, 'old', { data: { n: 1 } }), item(pk, 'count', { data: { used: 9 } }));
      const result = await bench.table().write([
        { kind: 'insert', item: item(pk, 'new') },
        { kind: 'insert', item: item(pk, 'old', { data: { n: 2 } }) },
        { kind: 'add', key: { pk, sk: 'free' }, adds: add('used', 1) },
        { kind: 'add', key: { pk, sk: 'count' }, adds: add('used', 2, 10) },
        { kind: 'replace', item: item(pk, 'absent'), ifVersion: 3 },
      ]);
      expect(result).toMatchObject({
        ok: false,
        failed: [
          { index: 1, found: { sk: 'old', data: { n: 1 } } },
          { index: 3, found: { sk: 'count', data: { used: 9 } } },
          { index: 4, found: null },
        ],
      });
      const page = await bench.table().query({ from: 'partition', pk }, { limit: 10, cursor: null });
      expect(page.items.map(({ sk, data }) => [sk, data])).toEqual([
        ['count', { used: 9 }],
        ['old', { n: 1 }],
      ]);
    });

    it('writes 100 changes or none of them', async () => {
      const pk = bench.pk();
      const inserts = Array.from({ length: changesMax }, (_, n) => ({
        kind: 'insert' as const,
        item: item(pk, `k${n}`),
      }));
      await insert(bench, item(pk, 'k99', { data: { first: true } }));
      expect(await bench.table().write(inserts)).toMatchObject({ ok: false, failed: [{ index: 99 }] });
      expect(await bench.table().get({ pk, sk: 'k0' })).toBeNull();
      await bench.table().write([{ kind: 'delete', key: { pk, sk: 'k99' }, ifVersion: 1 }]);
      expect(await bench.table().write(inserts)).toEqual({ ok: true });
    });
  });
}

function describeRaces(bench: Bench): void {
  describe('races', () => {
    const wins = (results: readonly { readonly ok: boolean }[]): number =>
      results.filter(({ ok }) => ok).length;

    it('lets one of two inserts at once win', async () => {
      const pk = bench.pk();
      const results = await Promise.all(
        [1, 2].map((n) => bench.table().write([{ kind: 'insert', item: item(pk, 'a', { data: { n } }) }])),
      );
      expect(wins(results)).toBe(1);
      expect((await bench.table().get({ pk, sk: 'a' }))?.data.n).toBe(results.findIndex(({ ok }) => ok) + 1);
    });

    it('lets one of five replaces of the same version at once win', async () => {
      const pk = bench.pk();
      await insert(bench, item(pk, 'a'));
      const results = await Promise.all(
        [1, 2, 3, 4, 5].map((n) =>
          bench.table().write([{ kind: 'replace', item: item(pk, 'a', { data: { n } }), ifVersion: 1 }]),
        ),
      );
      expect(wins(results)).toBe(1);
      const found = await bench.table().get({ pk, sk: 'a' });
      expect(found).toMatchObject({ version: 2, data: { n: results.findIndex(({ ok }) => ok) + 1 } });
    });

    it('never passes the limit with 20 adds at once, and refuses no more of them than it must', async () => {
      const key = { pk: bench.pk(), sk: 'count' };
      const results = await Promise.all(
        Array.from({ length: 20 }, () =>
          bench.table().write([{ kind: 'add', key, adds: add('used', 3, 40) }]),
        ),
      );
      expect(wins(results)).toBe(13);
      expect((await bench.table().get(key))?.data).toEqual({ used: 39 });
    });

    it('never passes the limit when 20 adds are parts of larger writes', async () => {
      const pk = bench.pk();
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          bench.table().write([
            { kind: 'insert', item: item(pk, `claim${n}`) },
            { kind: 'add', key: { pk, sk: 'count' }, adds: add('used', 3, 40) },
          ]),
        ),
      );
      expect(wins(results)).toBe(13);
      const page = await bench
        .table()
        .query({ from: 'partition', pk, prefix: 'claim' }, { limit: 50, cursor: null });
      expect(page.items).toHaveLength(13);
      expect((await bench.table().get({ pk, sk: 'count' }))?.data).toEqual({ used: 39 });
    });
  });
}

function describeValues(bench: Bench): void {
  describe('values', () => {
    const roundTrip = async (data: Item['data']): Promise<Item['data'] | undefined> => {
      const pk = bench.pk();
      await insert(bench, item(pk, 'a', { data }));
      return (await bench.table().get({ pk, sk: 'a' }))?.data;
    };

    it.each<readonly [string, Value]>([
      ['an empty text', ''],
      ['text in other scripts', 'žluťoučký 漢字 العربية'],
      ['emoji, also joined ones', '🛰️👩‍👩‍👧‍👦'],
      ['control characters and a zero', 'a\u0000b\u001f\u2028'],
      ['a 19-digit number as text', '8944538532008160222'],
      ['a zero', 0],
      ['a negative number', -17],
      ['a fraction', 0.1],
      ['the largest whole number', Number.MAX_SAFE_INTEGER],
      ['a very large number', 1.5e100],
      ['a very small number', 1.5e-100],
      ['true', true],
      ['false', false],
      ['null', null],
      ['an empty list', []],
      ['an empty object', {}],
      ['nested lists and objects', { a: [1, 'x', [null, { b: [true, { c: {} }] }]], 'odd name . # $': 1 }],
    ])('keeps %s', async (_name, value) => {
      expect(await roundTrip({ value })).toEqual({ value });
    });

    it('keeps every byte, alone and inside lists and objects', async () => {
      const bytes = Uint8Array.from({ length: 256 }, (_, n) => n);
      const data = { body: bytes, none: new Uint8Array(), deep: [{ body: bytes.slice(0, 3) }] };
      const found = await roundTrip(data);
      expect(found).toEqual(data);
      expect(found?.body).toBeInstanceOf(Uint8Array);
    });

    it('keeps only the bytes of a view into a larger buffer', async () => {
      const view = Buffer.from('xxbodyxx').subarray(2, 6);
      expect(await roundTrip({ body: view })).toEqual({ body: new TextEncoder().encode('body') });
    });

    it('does not mistake data that looks like its own notation for it', async () => {
      const data = {
        $bytes: 'AAAA',
        deep: { $bytes: 'AAAA' },
        $$bytes: [{ $bytes: { $bytes: 1 } }],
        S: 'text',
        map: { N: '1', B: 'AA==' },
        d_d_: 1,
      };
      expect(await roundTrip(data)).toEqual(data);
    });

    it('keeps attributes named like those of the row', async () => {
      const data = { pk: 1, sk: 2, version: 99, expiresAt: 'x', duePk: 'y', writeId: null };
      expect(await roundTrip(data)).toEqual(data);
    });

    it('keeps a member named __proto__ as plain data', async () => {
      const value: Value = JSON.parse('{"__proto__":{"admin":true},"constructor":1}');
      const found = await roundTrip({ value });
      expect(JSON.stringify(found?.value)).toContain('"__proto__":{"admin":true}');
      expect(Object.getPrototypeOf(found?.value)).toBe(Object.prototype);
    });

    it('keeps such a member beside bytes, in lists and further in', async () => {
      const value: Value = JSON.parse('{"__proto__":{"admin":true},"constructor":1}');
      const beside = { nested: value, body: Uint8Array.from([1, 2]), list: [1, { body: new Uint8Array(1) }] };
      const whole = await roundTrip({ beside });
      expect(whole).toEqual({ beside });
      expect(JSON.stringify(whole)).toContain('"__proto__":{"admin":true}');
    });

    it('replaces half a surrogate pair by U+FFFD, as UTF-8 does', async () => {
      expect(await roundTrip({ text: 'a\ud800b' })).toEqual({ text: 'a\ufffdb' });
    });

    it('keeps what is stored apart from what was handed in', async () => {
      const pk = bench.pk();
      const data = { list: ['a'], deep: { by: 'first' }, body: Uint8Array.from([1, 2]) };
      const indexes = { due: { pk, at: 5 } };
      await insert(bench, item(pk, 'a', { data, indexes }));
      data.list.push('b');
      data.deep.by = 'second';
      data.body[0] = 9;
      indexes.due.at = 6;
      expect(await bench.table().get({ pk, sk: 'a' })).toMatchObject({
        data: { list: ['a'], deep: { by: 'first' }, body: Uint8Array.from([1, 2]) },
        indexes: { due: { pk, at: 5 } },
      });
    });

    it.each<readonly [string, Item['data']]>([
      ['plain data', { list: ['a'], deep: { by: 'first' } }],
      ['data with bytes', { list: ['a'], deep: { by: 'first' }, body: Uint8Array.from([1, 2]) }],
    ])('keeps stored %s apart from what was handed out, by each way of reading', async (_name, data) => {
      const pk = bench.pk();
      const made = item(pk, 'a', { data, indexes: { sim: { pk, sk: 's' } } });
      await insert(bench, made);
      const refused = await bench.table().write([{ kind: 'insert', item: made }]);
      const read = [
        await bench.table().get({ pk, sk: 'a' }),
        ...(await bench.table().getMany([{ pk, sk: 'a' }])),
        ...(await bench.table().query({ from: 'partition', pk }, { limit: 1, cursor: null })).items,
        refused.ok ? null : (refused.failed[0]?.found ?? null),
      ];
      expect(read).toHaveLength(4);
      for (const found of read) {
        expect(found).toEqual({ ...made, version: 1 });
        // An engine may hand out what can't be changed.
        for (const part of [found, found?.data, found?.data.deep, found?.indexes.sim]) {
          Reflect.set(Object(part), 'by', 'a reader');
        }
        Reflect.set(Object(found?.data.list), 0, 'b');
        const body = found?.data.body;
        if (body instanceof Uint8Array) body[0] = 9;
      }
      expect(await bench.table().get({ pk, sk: 'a' })).toEqual({ ...made, version: 1 });
    });

    it.each([
      ['NaN', Number.NaN],
      ['infinity', Number.POSITIVE_INFINITY],
      ['a number beyond what DynamoDB holds', 1e300],
    ])('refuses %s', async (_name, value) => {
      await expect(roundTrip({ value })).rejects.toThrow(RangeError);
    });

    it('refuses what is not a value, such as a date or undefined', async () => {
      const loose: Record<string, unknown>[] = [{ value: new Date(0) }, { value: undefined }, { value: 1n }];
      for (const data of loose) {
        await expect(roundTrip(data as Item['data'])).rejects.toThrow(TypeError);
      }
    });
  });
}

function describeSizes(bench: Bench): void {
  describe('sizes', () => {
    const sized = (pk: string, bytes: number): NewItem => {
      const empty = item(pk, 'a', { data: { text: '' } });
      return { ...empty, data: { text: 'x'.repeat(bytes - itemBytes(empty)) } };
    };
    const tooLarge: Partial<StoreError> = { name: 'StoreError', code: 'item-too-large', retryable: false };

    it('stores an item of exactly 400 KB and refuses one byte more, on insert and on replace', async () => {
      const pk = bench.pk();
      const over = sized(pk, itemBytesMax + 1);
      await expect(bench.table().write([{ kind: 'insert', item: over }])).rejects.toMatchObject(tooLarge);
      expect(await bench.table().get({ pk, sk: 'a' })).toBeNull();
      const under = sized(pk, itemBytesMax);
      await insert(bench, under);
      expect((await bench.table().get({ pk, sk: 'a' }))?.data).toEqual(under.data);
      await expect(
        bench.table().write([{ kind: 'replace', item: over, ifVersion: 1 }]),
      ).rejects.toMatchObject(tooLarge);
      expect((await bench.table().get({ pk, sk: 'a' }))?.version).toBe(1);
    });

    it('counts bytes, not characters', async () => {
      const text = '漢'.repeat(140_000);
      await expect(
        bench.table().write([{ kind: 'insert', item: item(bench.pk(), 'a', { data: { text } }) }]),
      ).rejects.toMatchObject(tooLarge);
    });

    it('stores 256 KiB of bytes', async () => {
      const pk = bench.pk();
      const body = new Uint8Array(256 * 1024).fill(0xfe);
      await insert(bench, item(pk, 'a', { data: { body } }));
      const found = (await bench.table().get({ pk, sk: 'a' }))?.data.body;
      expect(found instanceof Uint8Array && Buffer.compare(found, body)).toBe(0);
    });

    it('refuses more than 4 MB in one write and writes nothing of it', async () => {
      const pk = bench.pk();
      const body = new Uint8Array(399_000);
      const changes = Array.from({ length: 11 }, (_, n) => ({
        kind: 'insert' as const,
        item: item(pk, `k${n}`, { data: { body } }),
      }));
      await expect(bench.table().write(changes)).rejects.toMatchObject(tooLarge);
      expect(await bench.table().get({ pk, sk: 'k0' })).toBeNull();
    });

    it('reads many large items at once', async () => {
      const pk = bench.pk();
      const body = new Uint8Array(390_000).fill(1);
      const sks = Array.from({ length: 50 }, (_, n) => `k${n}`);
      await insert(bench, ...sks.map((sk) => item(pk, sk, { data: { body } })));
      const found = await bench.table().getMany(sks.map((sk) => ({ pk, sk })));
      expect(found.map((each) => each?.sk)).toEqual(sks);
    });
  });
}

/** Reads all pages, and fails when they don't end. */
async function allOf(
  table: Table,
  query: Query,
  limit: number,
  descending = false,
): Promise<readonly Item[]> {
  const items: Item[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < 200; page++) {
    const next: Page = await table.query(query, { limit, cursor, descending });
    expect(next.items.length).toBeLessThanOrEqual(limit);
    items.push(...next.items);
    cursor = next.cursor;
    if (cursor === null) return items;
  }
  throw new Error(`more than 200 pages of ${query.from} ${query.pk}`);
}

const sortKeys = (items: readonly Item[]): readonly string[] => items.map(({ sk }) => sk);

function describePartitionQueries(bench: Bench): void {
  describe('queries of a partition', () => {
    it('lists one partition by sort key, in the order of UTF-8 bytes', async () => {
      const pk = bench.pk();
      const sks = ['b', 'a', 'B', '10', '9', 'é', '🛰', '\uffee', 'a#1'];
      await insert(bench, ...sks.map((sk) => item(pk, sk)), item(bench.pk('B'), 'other'));
      const sorted = sks.toSorted((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)));
      expect(sortKeys(await allOf(bench.table(), { from: 'partition', pk }, 100))).toEqual(sorted);
      expect(sortKeys(await allOf(bench.table(), { from: 'partition', pk }, 2, true))).toEqual(
        sorted.toReversed(),
      );
    });

    it('lists only sort keys with the prefix', async () => {
      const pk = bench.pk();
      const sks = ['ATT#1', 'ATT#2', 'ATT', 'ATT$', 'ATU', 'ATS', 'ATT#\u{10ffff}z', 'att#1', 'ATT#%'];
      await insert(bench, ...sks.map((sk) => item(pk, sk)));
      expect(sortKeys(await allOf(bench.table(), { from: 'partition', pk, prefix: 'ATT#' }, 2))).toEqual([
        'ATT#%',
        'ATT#1',
        'ATT#2',
        'ATT#\u{10ffff}z',
      ]);
    });

    it('shows a write at once, and not what was deleted', async () => {
      const pk = bench.pk();
      await insert(bench, item(pk, 'a'), item(pk, 'b'));
      await bench.table().write([{ kind: 'delete', key: { pk, sk: 'a' }, ifVersion: 1 }]);
      expect(sortKeys(await allOf(bench.table(), { from: 'partition', pk }, 10))).toEqual(['b']);
    });

    it('answers an empty page for an empty partition', async () => {
      const page = await bench
        .table()
        .query({ from: 'partition', pk: bench.pk() }, { limit: 5, cursor: null });
      expect(page).toEqual({ items: [], cursor: null });
    });

    it('lists more than a page of large items', async () => {
      const pk = bench.pk();
      const body = new Uint8Array(300_000);
      const sks = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'];
      await insert(bench, ...sks.map((sk) => item(pk, sk, { data: { body } })));
      expect(sortKeys(await allOf(bench.table(), { from: 'partition', pk }, 1000))).toEqual(sks);
    });
  });
}

function describeIndexQueries(bench: Bench): void {
  describe('queries of an index', () => {
    const dueItem = (sk: string, at: number): NewItem =>
      item(bench.pk(), sk, { indexes: { due: { pk: bench.pk('due'), at } } });

    it('lists what is due up to and including a moment, oldest first', async () => {
      await insert(bench, dueItem('c', 1_700_000_003_000), dueItem('a', 1_700_000_001_000));
      await insert(bench, dueItem('late', 1_700_000_003_001), dueItem('b', 999), item(bench.pk(), 'not-due'));
      const query: Query = { from: 'due', pk: bench.pk('due'), upTo: 1_700_000_003_000 };
      await soon(async () => {
        expect(sortKeys(await allOf(bench.table(), query, 2))).toEqual(['b', 'a', 'c']);
      });
      expect(sortKeys(await allOf(bench.table(), query, 10, true))).toEqual(['c', 'a', 'b']);
      expect(await allOf(bench.table(), { ...query, pk: bench.pk('other') }, 10)).toEqual([]);
    });

    it('gives whole items, with their data and all their indexes', async () => {
      const made = item(bench.pk(), 'a', {
        data: { body: Uint8Array.from([1, 2]), note: 'x' },
        indexes: {
          due: { pk: bench.pk('due'), at: 5 },
          sim: { pk: bench.pk('sim'), sk: '1' },
          time: { pk: bench.pk('time'), sk: '2' },
        },
        expiresAtSec: 2_000_000_000,
      });
      await insert(bench, made);
      const queries: readonly Query[] = [
        { from: 'due', pk: bench.pk('due'), upTo: 5 },
        { from: 'sim', pk: bench.pk('sim') },
        { from: 'time', pk: bench.pk('time') },
      ];
      for (const query of queries) {
        await soon(async () => {
          expect(await allOf(bench.table(), query, 10)).toEqual([{ ...made, version: 1 }]);
        });
      }
    });

    it('drops an item from an index when it is replaced without it, or deleted', async () => {
      await insert(bench, dueItem('stays', 1), dueItem('leaves', 2), dueItem('dies', 3), dueItem('moves', 4));
      const query: Query = { from: 'due', pk: bench.pk('due'), upTo: 100 };
      await soon(async () => {
        expect(await allOf(bench.table(), query, 10)).toHaveLength(4);
      });
      const result = await bench.table().write([
        { kind: 'replace', item: item(bench.pk(), 'leaves'), ifVersion: 1 },
        { kind: 'delete', key: { pk: bench.pk(), sk: 'dies' }, ifVersion: 1 },
        { kind: 'replace', item: dueItem('moves', 500), ifVersion: 1 },
      ]);
      expect(result).toEqual({ ok: true });
      await soon(async () => {
        expect(sortKeys(await allOf(bench.table(), query, 10))).toEqual(['stays']);
      });
      await soon(async () => {
        expect(sortKeys(await allOf(bench.table(), { ...query, upTo: 500 }, 10))).toEqual(['stays', 'moves']);
      });
    });

    it.each(['sim', 'time'] as const)(
      'lists the %s index between two sort keys, both included',
      async (from) => {
        const pk = bench.pk('line');
        const sks = ['2026-01', '2026-02', '2026-03', '2026-04'];
        await insert(
          bench,
          ...sks.map((sk, n) => item(bench.pk(), `i${n}`, { indexes: { [from]: { pk, sk } } })),
        );
        const between: readonly [string, string] = ['2026-02', '2026-03'];
        await soon(async () => {
          expect(sortKeys(await allOf(bench.table(), { from, pk, between }, 10))).toEqual(['i1', 'i2']);
        });
        expect(sortKeys(await allOf(bench.table(), { from, pk, between }, 1, true))).toEqual(['i2', 'i1']);
        expect(sortKeys(await allOf(bench.table(), { from, pk }, 3))).toEqual(['i0', 'i1', 'i2', 'i3']);
        expect(await allOf(bench.table(), { from, pk, between: ['2026-03', '2026-02'] }, 3)).toEqual([]);
      },
    );
  });
}

function describePages(bench: Bench): void {
  describe('pages', () => {
    it.each([
      ['a partition', 'partition', false],
      ['a partition', 'partition', true],
      ['the due index', 'due', false],
      ['the due index', 'due', true],
      ['the sim index', 'sim', false],
      ['the sim index', 'sim', true],
    ] as const)('reads %s (%s, descending: %s) in pages, each item once', async (_name, from, descending) => {
      const pk = bench.pk();
      const label = (n: number): string => String(n).padStart(3, '0');
      const items = Array.from({ length: 23 }, (_, n) =>
        item(pk, label(n), { indexes: { due: { pk, at: n }, sim: { pk, sk: label(n) } } }),
      );
      await bench.table().write(items.map((each) => ({ kind: 'insert', item: each })));
      const query: Query = from === 'due' ? { from, pk, upTo: 1000 } : { from, pk };
      const expected = items.map(({ sk }) => sk);
      for (const limit of [1, 5, 23, 24, 1000]) {
        await soon(async () => {
          expect(sortKeys(await allOf(bench.table(), query, limit, descending))).toEqual(
            descending ? expected.toReversed() : expected,
          );
        });
      }
    });

    it('lists items of one moment each exactly once', async () => {
      const pk = bench.pk();
      const sks = Array.from({ length: 12 }, (_, n) => `k${n}`);
      await bench
        .table()
        .write(
          sks.map((sk) => ({ kind: 'insert', item: item(pk, sk, { indexes: { due: { pk, at: 7 } } }) })),
        );
      await soon(async () => {
        const found = sortKeys(await allOf(bench.table(), { from: 'due', pk, upTo: 7 }, 5));
        expect(found.toSorted()).toEqual(sks.toSorted());
      });
    });

    it('goes on behind the cursor when the item it ended at is gone', async () => {
      const pk = bench.pk();
      await insert(bench, ...['a', 'b', 'c'].map((sk) => item(pk, sk)));
      const first = await bench.table().query({ from: 'partition', pk }, { limit: 2, cursor: null });
      await bench.table().write([{ kind: 'delete', key: { pk, sk: 'b' }, ifVersion: 1 }]);
      const rest = await bench.table().query({ from: 'partition', pk }, { limit: 2, cursor: first.cursor });
      expect(sortKeys(rest.items)).toEqual(['c']);
    });

    it('refuses a cursor that is garbage or belongs to another query', async () => {
      const pk = bench.pk();
      await insert(bench, ...['a', 'b'].map((sk) => item(pk, sk)));
      const { cursor } = await bench.table().query({ from: 'partition', pk }, { limit: 1, cursor: null });
      expect(cursor).not.toBeNull();
      for (const query of [
        { from: 'partition', pk: bench.pk('B') },
        { from: 'due', pk, upTo: 1 },
      ] as const) {
        await expect(bench.table().query(query, { limit: 1, cursor })).rejects.toThrow(RangeError);
      }
      await expect(
        bench.table().query({ from: 'partition', pk }, { limit: 1, cursor: 'nonsense' }),
      ).rejects.toThrow(RangeError);
    });
  });
}

function describeMisuse(bench: Bench): void {
  describe('misuse', () => {
    it.each([0, -1, 1.5, 1001])('refuses a page of %s items', async (limit) => {
      await expect(
        bench.table().query({ from: 'partition', pk: bench.pk() }, { limit, cursor: null }),
      ).rejects.toThrow(RangeError);
    });

    it('refuses a write of no or of 101 changes, and one that names an item twice', async () => {
      const pk = bench.pk();
      const inserts = Array.from({ length: 101 }, (_, n) => ({
        kind: 'insert' as const,
        item: item(pk, `k${n}`),
      }));
      await expect(bench.table().write([])).rejects.toThrow(RangeError);
      await expect(bench.table().write(inserts)).rejects.toThrow(RangeError);
      await expect(
        bench.table().write([
          { kind: 'insert', item: item(pk, 'a') },
          { kind: 'check', key: { pk, sk: 'a' }, ifVersion: null },
        ]),
      ).rejects.toThrow(RangeError);
      expect(await bench.table().get({ pk, sk: 'a' })).toBeNull();
    });

    it('refuses empty, overlong and ill-formed keys', async () => {
      const pk = bench.pk();
      for (const bad of [
        { pk: '', sk: 'a' },
        { pk, sk: '' },
        { pk: 'x'.repeat(2049), sk: 'a' },
        { pk, sk: 'é'.repeat(513) },
        { pk, sk: 'a\ud800' },
      ]) {
        await expect(bench.table().get(bad)).rejects.toThrow(RangeError);
        await expect(bench.table().write([{ kind: 'insert', item: item(bad.pk, bad.sk) }])).rejects.toThrow(
          RangeError,
        );
      }
    });

    it('refuses an add of fractions, of the same counter twice, and of no counter', async () => {
      const key = { pk: bench.pk(), sk: 'a' };
      for (const adds of [
        add('used', 0.5),
        add('used', 1, 2.5),
        [...add('used', 1), ...add('used', 2)],
        [],
      ]) {
        await expect(bench.table().write([{ kind: 'add', key, adds }])).rejects.toThrow(RangeError);
      }
    });

    it('refuses more than 100 keys at once', async () => {
      const keys = Array.from({ length: 101 }, (_, n) => ({ pk: bench.pk(), sk: `k${n}` }));
      await expect(bench.table().getMany(keys)).rejects.toThrow(RangeError);
    });
  });
}
