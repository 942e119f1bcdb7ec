import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../shared/platform/random.ts';
import { makeDynamoClient } from '../../shared/store/dynamo-client.ts';
import { triesMax } from '../../shared/store/dynamo-retry.ts';
import { createDynamoTable } from '../../shared/store/dynamo-setup.ts';
import { dynamoTable } from '../../shared/store/dynamo-table.ts';
import type { Change, NewItem, Table } from '../../shared/store/table.ts';
import {
  describeWithEngine,
  dynamoDbLocalProblem,
  type Engine,
  engineAccess,
  startDynamoDbLocal,
} from '../support/engines.ts';
import { type Fault, type FaultyProxy, serviceError, startFaultyProxy } from '../support/faulty-proxy.ts';
import { describeTable } from './table-contract.ts';

const tableName = 'simhook-contract';
let seed = 1;

function openTable(endpoint: string, sleep: (ms: number) => Promise<void> = async () => undefined): Table {
  // Marks and tokens must differ between tables, as they do with real chance.
  seed += 1;
  const client = makeDynamoClient({ ...engineAccess, endpoint });
  return dynamoTable({ client, tableName, random: seededRandom(seed), sleep });
}

describeWithEngine('table on DynamoDB Local', dynamoDbLocalProblem(), () => {
  const state: { engine: Engine | null } = { engine: null };
  const engine = (): Engine => {
    if (state.engine === null) throw new Error('DynamoDB Local was not started');
    return state.engine;
  };
  beforeAll(async () => {
    state.engine = await startDynamoDbLocal();
    const client = makeDynamoClient({ ...engineAccess, endpoint: engine().endpoint });
    await createDynamoTable(client, tableName);
    await createDynamoTable(client, tableName);
    client.destroy();
  });
  afterAll(async () => {
    await state.engine?.stop();
  });
  describeTable('table on DynamoDB Local', async () => openTable(engine().endpoint));
  describeFaults(() => engine().endpoint);
});

function item(sk: string, data: NewItem['data'] = { n: 1 }): NewItem {
  return { pk: 'faults', sk, data, indexes: {}, expiresAtSec: null };
}

const throttled = serviceError(400, 'ThrottlingException');
const broken = serviceError(500, 'InternalServerError');
const conflict: Fault = {
  kind: 'answer',
  status: 400,
  body: JSON.stringify({
    __type: 'com.amazonaws.dynamodb.v20120810#TransactionCanceledException',
    Message: 'Transaction cancelled',
    CancellationReasons: [{ Code: 'None' }, { Code: 'TransactionConflict', Message: 'conflict' }],
  }),
};
const lost: Fault = { kind: 'lose-answer' };

interface Workbench {
  /** Behind the proxy. */
  readonly table: Table;
  readonly proxy: FaultyProxy;
  /** Straight to the engine: another client. */
  readonly other: Table;
  /** Pauses that the table asked for, in ms. */
  readonly pauses: number[];
}

function describeFaults(endpoint: () => string): void {
  describe('DynamoDB table when calls fail', () => {
    const state: { bench: Workbench | null; test: number } = { bench: null, test: 0 };
    const bench = (): Workbench => {
      if (state.bench === null) throw new Error('the bench was not made');
      return state.bench;
    };
    const sk = (label = 'a'): string => `${state.test}-${label}`;
    beforeAll(async () => {
      const proxy = await startFaultyProxy(endpoint());
      const pauses: number[] = [];
      const sleep = async (ms: number): Promise<void> => {
        pauses.push(ms);
      };
      state.bench = { proxy, pauses, table: openTable(proxy.endpoint, sleep), other: openTable(endpoint()) };
    });
    beforeEach(() => {
      state.test += 1;
      bench().pauses.length = 0;
      bench().proxy.plan();
    });
    afterAll(async () => {
      await state.bench?.table.close();
      await state.bench?.other.close();
      await state.bench?.proxy.stop();
    });
    describeThrottling(bench, sk);
    describeLostPuts(bench, sk);
    describeLostOthers(bench, sk);
    describeReads(bench, sk);
  });
}

function describeThrottling(bench: () => Workbench, sk: (label?: string) => string): void {
  it.each([
    ['throttling', throttled],
    ['a 500', broken],
    ['a refused request', { kind: 'lose-request' } as const],
    ['a throughput exception', serviceError(400, 'ProvisionedThroughputExceededException')],
    ['a transaction conflict', serviceError(400, 'TransactionConflictException')],
  ])('inserts after %s', async (_name, fault) => {
    const { table, proxy, other, pauses } = bench();
    proxy.plan(fault, fault);
    expect(await table.write([{ kind: 'insert', item: item(sk()) }])).toEqual({ ok: true });
    expect(proxy.seen).toEqual(['PutItem', 'PutItem', 'PutItem']);
    expect(pauses).toHaveLength(2);
    expect((await other.get({ pk: 'faults', sk: sk() }))?.version).toBe(1);
  });

  it('repeats a transaction that met a conflict, as one transaction', async () => {
    const { table, proxy, other } = bench();
    proxy.plan(conflict, conflict);
    const result = await table.write([
      { kind: 'insert', item: item(sk()) },
      {
        kind: 'add',
        key: { pk: 'faults', sk: sk('count') },
        adds: [{ attribute: 'n', delta: 1, atMost: null }],
      },
    ]);
    expect(result).toEqual({ ok: true });
    expect(proxy.seen).toHaveLength(3);
    expect((await other.get({ pk: 'faults', sk: sk('count') }))?.data).toEqual({ n: 1 });
  });

  it('gives up on lasting throttling after 8 tries, with growing pauses, and says so', async () => {
    const { table, proxy, other, pauses } = bench();
    proxy.plan(...Array.from({ length: 50 }, () => throttled));
    const write = table.write([{ kind: 'insert', item: item(sk()) }]);
    await expect(write).rejects.toMatchObject({ name: 'StoreError', code: 'unavailable', retryable: true });
    await expect(write).rejects.toThrow(/8 times.*ThrottlingException.*nothing was written/);
    expect(proxy.seen).toHaveLength(triesMax);
    expect(pauses).toHaveLength(triesMax - 1);
    for (const [n, ms] of pauses.entries()) expect(ms).toBeLessThanOrEqual(Math.min(1_000, 25 * 2 ** n));
    expect(Math.max(...pauses)).toBeGreaterThan(100);
    expect(await other.get({ pk: 'faults', sk: sk() })).toBeNull();
  });

  it.each<readonly [string, (sk: string) => (table: Table) => Promise<unknown>]>([
    ['get', (sk) => (table) => table.get({ pk: 'faults', sk })],
    ['getMany', (sk) => (table) => table.getMany([{ pk: 'faults', sk }])],
    ['query', () => (table) => table.query({ from: 'partition', pk: 'faults' }, { limit: 1, cursor: null })],
    [
      'query',
      () => (table) => table.query({ from: 'due', pk: 'faults', upTo: 1 }, { limit: 1, cursor: null }),
    ],
    [
      'check',
      (sk) => (table) => table.write([{ kind: 'check', key: { pk: 'faults', sk }, ifVersion: null }]),
    ],
  ])('repeats a %s that was throttled, and gives up when it lasts', async (_name, call) => {
    const { table, proxy } = bench();
    proxy.plan(throttled, lost, broken);
    await call(sk())(table);
    expect(proxy.seen).toHaveLength(4);
    proxy.plan(...Array.from({ length: 50 }, () => throttled));
    await expect(call(sk())(table)).rejects.toMatchObject({ code: 'unavailable' });
    expect(proxy.seen).toHaveLength(triesMax);
  });

  it('does not repeat what is refused for good', async () => {
    const { table, proxy } = bench();
    proxy.plan(serviceError(400, 'AccessDeniedException'));
    await expect(table.get({ pk: 'faults', sk: sk() })).rejects.toMatchObject({ code: 'unavailable' });
    expect(proxy.seen).toEqual(['GetItem']);
  });
}

function describeLostPuts(bench: () => Workbench, sk: (label?: string) => string): void {
  const insert = (label: string, data?: NewItem['data']): Change => ({
    kind: 'insert',
    item: item(label, data),
  });
  const replace = (label: string, ifVersion: number, data?: NewItem['data']): Change => ({
    kind: 'replace',
    item: item(label, data),
    ifVersion,
  });

  it('knows its own insert again when the answer was lost', async () => {
    const { table, proxy, other } = bench();
    proxy.plan(lost);
    expect(await table.write([insert(sk())])).toEqual({ ok: true });
    expect(proxy.seen).toEqual(['PutItem', 'PutItem']);
    expect((await other.get({ pk: 'faults', sk: sk() }))?.version).toBe(1);
  });

  it('knows its own replace again when the answer was lost', async () => {
    const { table, proxy, other } = bench();
    await other.write([insert(sk())]);
    proxy.plan(lost, lost);
    expect(await table.write([replace(sk(), 1, { n: 2 })])).toEqual({ ok: true });
    expect(await other.get({ pk: 'faults', sk: sk() })).toMatchObject({ version: 2, data: { n: 2 } });
  });

  it('still reports a duplicate when the equal item in its place was written by another', async () => {
    const { table, proxy, other } = bench();
    await other.write([insert(sk())]);
    proxy.plan({ kind: 'lose-request' }, lost);
    expect(await table.write([insert(sk())])).toMatchObject({
      ok: false,
      failed: [{ index: 0, found: { version: 1 } }],
    });
  });

  it('still loses a race for a version when the first try never arrived', async () => {
    const { table, proxy, other } = bench();
    await other.write([insert(sk())]);
    await other.write([replace(sk(), 1, { n: 'other' })]);
    proxy.plan(lost);
    expect(await table.write([replace(sk(), 1, { n: 'other' })])).toMatchObject({
      ok: false,
      failed: [{ found: { version: 2 } }],
    });
  });

  it('does not claim to know when its own write may have been overwritten meanwhile', async () => {
    const { table, proxy, other } = bench();
    const meanwhile = async (): Promise<void> => {
      expect(await other.write([replace(sk(), 1, { n: 'other' })])).toEqual({ ok: true });
    };
    proxy.plan({ kind: 'lose-answer-after', meanwhile });
    const write = table.write([insert(sk())]);
    await expect(write).rejects.toMatchObject({ code: 'unavailable' });
    await expect(write).rejects.toThrow(/read it to see/);
  });

  it('knows its own insert although a counter of the item was added to meanwhile', async () => {
    const { table, proxy, other } = bench();
    const adds = [{ attribute: 'n', delta: 1, atMost: null }];
    const meanwhile = async (): Promise<void> => {
      await other.write([{ kind: 'add', key: { pk: 'faults', sk: sk() }, adds }]);
    };
    proxy.plan({ kind: 'lose-answer-after', meanwhile });
    expect(await table.write([insert(sk())])).toEqual({ ok: true });
  });

  it('says that the write may have happened when every answer was lost', async () => {
    const { table, proxy, other } = bench();
    proxy.plan(...Array.from({ length: 50 }, () => lost));
    await expect(table.write([insert(sk())])).rejects.toThrow(/the write may have happened/);
    expect((await other.get({ pk: 'faults', sk: sk() }))?.version).toBe(1);
  });
}

function describeLostOthers(bench: () => Workbench, sk: (label?: string) => string): void {
  const key = (label: string) => ({ pk: 'faults', sk: label });
  const addTo = (label: string): Change => ({
    kind: 'add',
    key: key(label),
    adds: [{ attribute: 'n', delta: 1, atMost: 5 }],
  });

  it('carries a transaction out once when its answer was lost', async () => {
    const { table, proxy, other } = bench();
    proxy.plan(lost, lost);
    expect(await table.write([{ kind: 'insert', item: item(sk()) }, addTo(sk('count'))])).toEqual({
      ok: true,
    });
    expect(proxy.seen).toEqual(['TransactWriteItems', 'TransactWriteItems', 'TransactWriteItems']);
    expect((await other.get(key(sk('count'))))?.data).toEqual({ n: 1 });
  });

  it('carries two equal transactions out twice', async () => {
    const { table } = bench();
    const write = (): Promise<unknown> => table.write([addTo(sk('one')), addTo(sk('two'))]);
    expect(await write()).toEqual({ ok: true });
    expect(await write()).toEqual({ ok: true });
    expect((await table.get(key(sk('one'))))?.data).toEqual({ n: 2 });
  });

  it('counts an add once when its answer was lost', async () => {
    const { table, proxy, other } = bench();
    proxy.plan(lost);
    expect(await table.write([addTo(sk())])).toEqual({ ok: true });
    expect(proxy.seen).toEqual(['UpdateItem', 'GetItem']);
    expect((await other.get(key(sk())))?.data).toEqual({ n: 1 });
  });

  it('does not repeat an add when nobody can tell whether it was carried out', async () => {
    const { table, proxy, other } = bench();
    proxy.plan({ kind: 'lose-request' });
    await expect(table.write([addTo(sk())])).rejects.toMatchObject({ code: 'unavailable' });
    expect(await other.get(key(sk()))).toBeNull();
    const meanwhile = async (): Promise<void> => {
      await other.write([addTo(sk())]);
    };
    proxy.plan({ kind: 'lose-answer-after', meanwhile });
    await expect(table.write([addTo(sk())])).rejects.toMatchObject({ code: 'unavailable' });
    expect((await other.get(key(sk())))?.data).toEqual({ n: 2 });
  });

  it('repeats an add that was throttled', async () => {
    const { table, proxy } = bench();
    proxy.plan(throttled, throttled);
    expect(await table.write([addTo(sk())])).toEqual({ ok: true });
    expect((await table.get(key(sk())))?.data).toEqual({ n: 1 });
  });

  it('reports a delete as done when its answer was lost', async () => {
    const { table, proxy, other } = bench();
    await other.write([{ kind: 'insert', item: item(sk()) }]);
    proxy.plan(lost);
    expect(await table.write([{ kind: 'delete', key: key(sk()), ifVersion: 1 }])).toEqual({ ok: true });
    expect(await other.get(key(sk()))).toBeNull();
  });

  it('reports a delete as failed when another has deleted the item', async () => {
    const { table, proxy, other } = bench();
    await other.write([{ kind: 'insert', item: item(sk()) }]);
    await other.write([{ kind: 'delete', key: key(sk()), ifVersion: 1 }]);
    proxy.plan(lost);
    expect(await table.write([{ kind: 'delete', key: key(sk()), ifVersion: 1 }])).toMatchObject({
      ok: false,
    });
  });

  it('reports guards that failed in a transaction whose answer was lost', async () => {
    const { table, proxy, other } = bench();
    await other.write([{ kind: 'insert', item: item(sk()) }]);
    proxy.plan(lost);
    const result = await table.write([addTo(sk('count')), { kind: 'insert', item: item(sk()) }]);
    expect(result).toMatchObject({ ok: false, failed: [{ index: 1, found: { version: 1 } }] });
    expect(await other.get(key(sk('count')))).toBeNull();
  });
}

function describeReads(bench: () => Workbench, sk: (label?: string) => string): void {
  it('asks again for the keys that a batch left unread', async () => {
    const { table, proxy, other, pauses } = bench();
    const sks = ['a', 'b', 'c'].map(sk);
    for (const each of sks) await other.write([{ kind: 'insert', item: item(each) }]);
    const none = (body: string): string => {
      const left = sks.map((each) => ({ pk: { S: 'faults' }, sk: { S: each } }));
      expect(body).toContain('"Responses"');
      return JSON.stringify({
        Responses: {},
        UnprocessedKeys: { [tableName]: { Keys: left, ConsistentRead: true } },
      });
    };
    proxy.plan({ kind: 'rewrite', rewrite: none });
    const found = await table.getMany(sks.map((each) => ({ pk: 'faults', sk: each })));
    expect(found.map((each) => each?.sk)).toEqual(sks);
    expect(pauses).toHaveLength(1);
    proxy.plan(...Array.from({ length: 50 }, () => ({ kind: 'rewrite', rewrite: none }) as const));
    await expect(table.getMany(sks.map((each) => ({ pk: 'faults', sk: each })))).rejects.toThrow(
      /left 3 of 3/,
    );
    expect(proxy.seen).toHaveLength(triesMax);
  });

  it.each([
    ['without a version', '{"Item":{"pk":{"S":"faults"},"sk":{"S":"x"}}}'],
    ['with a version that is text', '{"Item":{"pk":{"S":"faults"},"sk":{"S":"x"},"version":{"S":"1"}}}'],
    ['with a set in it', '{"Item":{"pk":{"S":"f"},"sk":{"S":"x"},"version":{"N":"1"},"d_a":{"SS":["a"]}}}'],
  ])('reports a row %s as corrupt', async (_name, body) => {
    const { table, proxy } = bench();
    proxy.plan({ kind: 'answer', status: 200, body });
    await expect(table.get({ pk: 'faults', sk: 'x' })).rejects.toMatchObject({
      name: 'StoreError',
      code: 'corrupt-item',
      retryable: false,
    });
  });

  it('repeats a read whose answer is not readable', async () => {
    const { table, proxy } = bench();
    proxy.plan(
      { kind: 'answer', status: 200, body: '<html>' },
      { kind: 'answer', status: 502, body: 'bad gateway' },
    );
    expect(await table.get({ pk: 'faults', sk: sk() })).toBeNull();
    expect(proxy.seen).toHaveLength(3);
  });

  it('leaves out what an index lists but the table no longer holds', async () => {
    const { table, proxy, other } = bench();
    const due = (label: string, at: number): NewItem => ({
      ...item(sk(label)),
      indexes: { due: { pk: sk('due'), at } },
    });
    await other.write(
      ['gone', 'moved', 'stays'].map((label, n) => ({ kind: 'insert', item: due(label, n) })),
    );
    const listed = JSON.stringify({
      Items: ['gone', 'moved', 'stays'].map((label, n) => ({
        pk: { S: 'faults' },
        sk: { S: sk(label) },
        duePk: { S: sk('due') },
        dueAt: { N: String(n) },
      })),
      Count: 3,
    });
    await other.write([
      { kind: 'delete', key: { pk: 'faults', sk: sk('gone') }, ifVersion: 1 },
      { kind: 'replace', item: due('moved', 900), ifVersion: 1 },
    ]);
    proxy.plan({ kind: 'answer', status: 200, body: listed });
    const page = await table.query({ from: 'due', pk: sk('due'), upTo: 100 }, { limit: 10, cursor: null });
    expect(page.items.map((each) => each.sk)).toEqual([sk('stays')]);
    expect(proxy.seen).toEqual(['Query', 'BatchGetItem']);
  });
}
