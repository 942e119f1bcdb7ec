import { createConnection } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createManualClock, type ManualClock } from './clock.ts';
import type { Fault } from './faults.ts';
import { createSimulator, type Simulator } from './simulator.ts';
import {
  at,
  callCube,
  eiotclubBody,
  listAt,
  type Params,
  postCsss,
  postEiotclub,
  type Received,
  send,
} from './test-client.ts';

const iccid = '8988308650104486856';
const orderPath = '/api/v3/package/orderPackage';
let clock: ManualClock;
let simulator: Simulator;

beforeEach(async () => {
  clock = createManualClock(1_740_000_000_000);
  simulator = await createSimulator({ clock });
  simulator.addSim({ provider: 'eiotclub', simId: iccid });
  await simulator.listen();
});
afterEach(() => simulator.close());

const order = (outTradeNo = 'ref-1'): Params => ({ iccid, packageCode: 'PKG001', outTradeNo });
const buy = (outTradeNo?: string): Promise<Received> =>
  postEiotclub(simulator.url, orderPath, order(outTradeNo));
const inRecords = async (): Promise<number> =>
  listAt((await postEiotclub(simulator.url, '/api/v3/package/packageOrderRecord', { iccid })).json, 'data')
    .length;
const strike = (fault: Fault) => simulator.faults.add({ match: { path: orderPath }, fault });
/** Waits, without a clock, until the simulator has seen this many requests. */
const seen = (count: number) => expect.poll(() => simulator.requests().length).toBe(count);
/** Purchases and records after the fault. */
const books = async () => ({ bought: simulator.orders().length, shown: await inRecords() });

describe.each([true, false])('with commit %s', (commit) => {
  const expected = commit ? { bought: 1, shown: 1 } : { bought: 0, shown: 0 };

  test('hang: never answers', async () => {
    strike({ kind: 'hang', commit });
    const giveUp = new AbortController();
    const headers = { 'content-type': 'application/json' };
    const init = {
      method: 'POST',
      headers,
      body: JSON.stringify(eiotclubBody(order())),
      signal: giveUp.signal,
    };
    const call = send(`${simulator.url}${orderPath}`, init);
    await seen(1);
    clock.advance(3_600_000);
    giveUp.abort();
    await expect(call).rejects.toThrow();
    expect(await books()).toEqual(expected);
  });

  test('drop: resets the connection after reading the request', async () => {
    strike({ kind: 'drop', commit });
    await expect(buy()).rejects.toThrow();
    expect(await books()).toEqual(expected);
    expect(simulator.requests()[0]).toMatchObject({
      fault: 'drop',
      verdict: commit ? 'accepted' : 'unhandled',
    });
  });

  test('http-error: answers 503', async () => {
    strike({ kind: 'http-error', status: 503, commit });
    expect((await buy()).status).toBe(503);
    expect(await books()).toEqual(expected);
  });

  test('malformed-json: answers 200 with a body that does not parse', async () => {
    strike({ kind: 'malformed-json', commit });
    const reply = await buy();
    expect([reply.status, reply.json]).toEqual([200, undefined]);
    expect(reply.text.startsWith('{')).toBe(true);
    expect(await books()).toEqual(expected);
  });

  test('truncated: announces the whole body and sends a part', async () => {
    strike({ kind: 'truncated', bytes: 5, commit });
    await expect(buy()).rejects.toThrow();
    expect(await books()).toEqual(expected);
  });

  test('html: answers a page', async () => {
    strike({ kind: 'html', status: 502, commit });
    const reply = await buy();
    expect([reply.status, reply.headers.get('content-type')]).toEqual([502, 'text/html']);
    expect(reply.text).toContain('<html>');
    expect(await books()).toEqual(expected);
  });

  test('error-body: answers 200 with a code of failure', async () => {
    strike({ kind: 'error-body', code: '500', message: 'operation failed, try later', commit });
    const reply = await buy();
    expect([reply.status, at(reply.json, 'code')]).toEqual([200, '500']);
    expect(await books()).toEqual(expected);
  });

  test('huge-body: answers more than anybody should read', async () => {
    strike({ kind: 'huge-body', bytes: 3_000_000, commit });
    expect((await buy()).text.length).toBeGreaterThan(3_000_000);
    expect(await books()).toEqual(expected);
  });
});

test('slow: answers after its time, having bought at once', async () => {
  strike({ kind: 'slow', afterMs: 30_000 });
  let answered = false;
  const call = buy().then((reply) => {
    answered = true;
    return reply;
  });
  await seen(1);
  expect(simulator.orders()).toHaveLength(1);
  clock.advance(29_999);
  expect(await inRecords()).toBe(1);
  expect(answered).toBe(false);
  clock.advance(1);
  expect(at((await call).json, 'code')).toBe('200');
});

test('slow-drip: sends the good answer in small pieces', async () => {
  strike({ kind: 'slow-drip', bytes: 20, everyMs: 1_000 });
  const call = buy();
  await seen(1);
  let steps = 0;
  for (; clock.pending().length > 0 && steps < 100; steps += 1) clock.advance(1_000);
  expect(steps).toBeGreaterThan(2);
  expect(at((await call).json, 'code')).toBe('200');
});

test.each([
  ['good', 200],
  ['http-500', 500],
] as const)(
  'commit-late: bought at once, in the records only after its time; answer %s',
  async (answer, status) => {
    strike({ kind: 'commit-late', afterMs: 60_000, answer });
    expect((await buy()).status).toBe(status);
    expect(await books()).toEqual({ bought: 1, shown: 0 });
    clock.advance(59_999);
    expect(await books()).toEqual({ bought: 1, shown: 0 });
    // A second attempt with the same number in the meantime is refused, not sold.
    expect(at((await buy()).json, 'code')).toBe('503016');
    clock.advance(1);
    expect(await books()).toEqual({ bought: 1, shown: 1 });
  },
);

test('commit-late: can drop the connection instead of answering', async () => {
  strike({ kind: 'commit-late', afterMs: 1_000, answer: 'drop' });
  await expect(buy()).rejects.toThrow();
  expect(await books()).toEqual({ bought: 1, shown: 0 });
});

test('commit-late: a CSSS renewal lengthens the order only after its time', async () => {
  const simId = '89852022018041800192';
  const [held] = simulator.addSim({
    provider: 'linksfield-csss',
    simId,
    packages: [{ code: 'DP20190726001274', state: 'active', orderId: 'L1' }],
  });
  const path = '/package/renewPackage';
  simulator.faults.add({ match: { path }, fault: { kind: 'commit-late', afterMs: 1_000, answer: 'good' } });
  await postCsss(simulator.url, path, { order_id: held?.orderId, renew_period: 1 });
  const query = { page_no: 1, page_size: 10, device_id: simId };
  const periods = async () =>
    at(
      (await postCsss(simulator.url, '/package/queryOrder', query)).json,
      'data.package_order.0.orderPeriod',
    );
  expect(await periods()).toBe('1');
  clock.advance(1_000);
  expect(await periods()).toBe('2');
  expect(simulator.orders()).toHaveLength(1);
});

test.each([
  [true, 1],
  [false, 0],
])('forget-order: answers well, shows nothing; charged %s', async (charged, bought) => {
  const before = simulator.balance('eiotclub');
  strike({ kind: 'forget-order', charged });
  expect(at((await buy()).json, 'code')).toBe('200');
  clock.advance(365 * 86_400_000);
  expect(await books()).toEqual({ bought, shown: 0 });
  expect(simulator.balance('eiotclub')).toBe(before - 500 * bought);
});

test('forget-order: an uncharged Cube order is not remembered as an equal request either', async () => {
  const simId = '89248044404413065327';
  simulator.addSim({ provider: 'linksfield-cube', simId });
  const path = '/cube/v4/orders/service';
  simulator.faults.add({ match: { path }, fault: { kind: 'forget-order', charged: false } });
  const body = { items: [{ id: 'CP-6HPXRQI88QSM', quantity: 1, sim_ids: [simId] }] };
  const post = () => callCube(simulator.url, { method: 'POST', path, body, nowMs: clock.now() });
  const first = at((await post()).json, 'data.order_id');
  expect(simulator.orders()).toEqual([]);
  expect(at((await post()).json, 'data.order_id')).not.toBe(first);
  expect(simulator.orders()).toHaveLength(1);
});

test("refuse and rate-limit: the provider's own refusals, nothing bought", async () => {
  strike({ kind: 'refuse', code: '41050', message: 'does not fit' });
  strike({ kind: 'rate-limit', retryAfterSec: 7 });
  expect(at((await buy()).json, 'code')).toBe('41050');
  const limited = await buy();
  expect([at(limited.json, 'code'), limited.headers.get('retry-after')]).toEqual(['501', '7']);
  expect(await books()).toEqual({ bought: 0, shown: 0 });
});

test.each([
  ['linksfield-csss', '/package/orderPackage'],
  ['linksfield-cube', '/cube/v4/orders/service'],
] as const)('rate-limit: %s answers 429', async (provider, path) => {
  simulator.faults.add({ match: { provider }, fault: { kind: 'rate-limit', retryAfterSec: null } });
  const reply = await send(`${simulator.url}${path}`, { method: 'POST', body: '{}' });
  expect([reply.status, reply.headers.get('retry-after')]).toEqual([429, null]);
});

test('redirect: 307, and whoever follows it buys at the new address', async () => {
  strike({ kind: 'redirect', location: `${simulator.url}${orderPath}` });
  const reply = await buy();
  expect([reply.status, reply.headers.get('location')]).toEqual([307, `${simulator.url}${orderPath}`]);
  expect(await books()).toEqual({ bought: 0, shown: 0 });
});

test('reset-before-body: the connection goes before the body is read', async () => {
  strike({ kind: 'reset-before-body' });
  const { hostname, port } = new URL(simulator.url);
  const head = `POST ${orderPath} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n`;
  const code = await new Promise((resolve) => {
    const socket = createConnection(Number(port), hostname, () => socket.write(head));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    socket.on('close', () => resolve('closed'));
    socket.resume();
  });
  // Not one byte of the body was sent, so only the head can have caused it.
  expect(code).toBe('ECONNRESET');
  expect(simulator.requests()).toMatchObject([{ fault: 'reset-before-body', verdict: 'unhandled' }]);
});

describe('rules', () => {
  test('strike the next N fitting requests and leave others alone', async () => {
    const rule = simulator.faults.add({
      match: { provider: 'eiotclub', path: /orderPackage$/, method: 'POST' },
      times: 2,
      fault: { kind: 'http-error', status: 500, commit: false },
    });
    expect(await inRecords()).toBe(0);
    expect(rule.remaining()).toBe(2);
    expect([(await buy()).status, (await buy()).status, (await buy()).status]).toEqual([500, 500, 200]);
    expect(rule.remaining()).toBe(0);
  });

  test('can look into the request, in the order of adding, and be removed', async () => {
    const rule = simulator.faults.add({
      match: (request) => request.bodyText.includes('ref-2'),
      times: Number.POSITIVE_INFINITY,
      fault: { kind: 'http-error', status: 500, commit: false },
    });
    simulator.faults.add({ match: {}, fault: { kind: 'html', status: 502, commit: false } });
    expect((await buy('ref-2')).status).toBe(500);
    expect((await buy('ref-1')).status).toBe(502);
    expect((await buy('ref-1')).status).toBe(200);
    rule.remove();
    expect((await buy('ref-2')).status).toBe(200);
    simulator.faults.add({ match: {}, fault: { kind: 'html', status: 502, commit: false } });
    simulator.faults.clear();
    expect((await buy('ref-3')).status).toBe(200);
  });

  test('a committed fault on a refused request buys nothing', async () => {
    strike({ kind: 'http-error', status: 500, commit: true });
    simulator.setBalance('eiotclub', 0);
    expect((await buy()).status).toBe(500);
    expect(simulator.requests()[0]).toMatchObject({ verdict: 'rejected', code: '45112' });
    expect(simulator.orders()).toEqual([]);
  });
});
