import { generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createManualClock, type ManualClock } from './clock.ts';
import { createSimulator, type Simulator, type SimulatorOptions } from './simulator.ts';
import { at, callCube, cubeHeaders, kindsOf, listAt, type Params, send } from './test-client.ts';

const simA = '89248044404413065327';
const simB = '89248044404413065328';
const startMs = 1_686_707_689_000;

let clock: ManualClock;
let simulator: Simulator;

async function open(options: SimulatorOptions = {}): Promise<void> {
  clock = createManualClock(startMs);
  simulator = await createSimulator({ clock, ...options });
  for (const simId of [simA, simB]) simulator.addSim({ provider: 'linksfield-cube', simId });
  await simulator.listen();
}

const call = (method: string, path: string, more: { query?: Record<string, string>; body?: Params } = {}) =>
  callCube(simulator.url, { method, path: `/cube/v4${path}`, nowMs: clock.now(), ...more });
const get = (path: string, query: Record<string, string> = {}) => call('GET', path, { query });
const order = (simIds: readonly string[], more: Params = {}) =>
  call('POST', '/orders/service', {
    body: {
      items: [{ id: 'CP-6HPXRQI88QSM', quantity: 2, sim_ids: simIds }],
      extra: { po: '1235215555', remarks: '续费本地测试' },
      ...more,
    },
  });
const bundle = (simId: string, more: Params = {}) =>
  call('POST', `/sims/${simId}/bundle`, {
    body: { bundle_id: 'LP09823222320', bundle_type: 10, cycles: 3, ...more },
  });
const codeOf = (reply: { json: unknown }) => at(reply.json, 'status.code');

beforeEach(() => open());
afterEach(() => simulator.close());

describe('POST /orders/service', () => {
  test('answers order id, status 1 and created_at as a number', async () => {
    const reply = await order([simA]);
    expect(reply.json).toEqual({
      data: { status: 1, created_at: startMs, order_id: expect.stringMatching(/^OL-[0-9A-Z]{12}$/) },
      status: { code: 'CB-00-0000', message: 'success', detail: null },
    });
  });

  test('buys once for each SIM, and leaves out a SIM that it cannot renew', async () => {
    const reply = await order([simA, simB, '89248044404413060000']);
    const orderId = at(reply.json, 'data.order_id');
    expect(simulator.orders()).toMatchObject([
      { simId: simA, orderId, priceMinor: 200 },
      { simId: simB, orderId, priceMinor: 200 },
    ]);
    const queried = await get(`/orders/${String(orderId)}/service`);
    expect(at(queried.json, 'data')).toEqual({
      id: orderId,
      type: 2,
      status: 1,
      items: [{ id: 'CP-6HPXRQI88QSM', quantity: 2, price: 100, sim_ids: [simA, simB] }],
      accounting: { currency: 'CNY', pay_channel: 1, total_amount: 400 },
      extra: { po: '1235215555', remarks: '续费本地测试' },
      created_at: String(startMs),
      abnormal: [],
    });
  });

  test('takes an equal request within 10 seconds as the same, and buys again after that', async () => {
    const first = at((await order([simA])).json, 'data.order_id');
    clock.advance(10_000);
    expect(at((await order([simA])).json, 'data.order_id')).toBe(first);
    expect(simulator.orders()).toHaveLength(1);
    clock.advance(1);
    expect(at((await order([simA])).json, 'data.order_id')).not.toBe(first);
    expect(simulator.orders()).toHaveLength(2);
  });

  test('takes a request that differs in its remarks as another', async () => {
    await order([simA]);
    await order([simA], { extra: { po: '1', remarks: 'again' } });
    expect(simulator.orders()).toHaveLength(2);
  });

  test('lists the bundle only when the background work is done', async () => {
    await order([simA]);
    expect(at((await get(`/sims/${simA}/bundles`)).json, 'data')).toEqual([]);
    clock.advance(3_000);
    expect(listAt((await get(`/sims/${simA}/bundles`)).json, 'data')).toMatchObject([
      { id: 'CP-6HPXRQI88QSM', status: 1, cycles: 2 },
    ]);
  });

  test.each([
    ['no items', { items: [] }, 400, 'CB-99-9400'],
    [
      'quantity as text',
      { items: [{ id: 'CP-6HPXRQI88QSM', quantity: '2', sim_ids: [simA] }] },
      400,
      'CB-99-9400',
    ],
    ['an unknown plan', { items: [{ id: 'CP-NONE', quantity: 1, sim_ids: [simA] }] }, 200, 'CB-02-0003'],
    [
      'only unknown SIMs',
      { items: [{ id: 'CP-6HPXRQI88QSM', quantity: 1, sim_ids: ['1'] }] },
      200,
      'CB-01-0001',
    ],
  ])('refuses %s', async (_name, more, http, code) => {
    const reply = await order([simA], more);
    expect([reply.status, codeOf(reply)]).toEqual([http, code]);
    expect(simulator.orders()).toEqual([]);
  });

  test('refuses what the wallet cannot pay for all SIMs together', async () => {
    simulator.setBalance('linksfield-cube', 399);
    expect(codeOf(await order([simA, simB]))).toBe('CB-02-9999');
    expect(simulator.orders()).toEqual([]);
  });

  test('knows nothing of an order that was never made', async () => {
    expect((await get('/orders/OL-NONE/service')).status).toBe(400);
  });
});

describe('bundles', () => {
  test('adds one and shows it with the 15 documented fields', async () => {
    const reply = await bundle(simA);
    expect(at(reply.json, 'data.order_id')).toBe(simulator.orders()[0]?.orderId);
    expect(simulator.orders()).toMatchObject([
      { simId: simA, packageCode: 'LP09823222320', priceMinor: 600 },
    ]);
    await bundle(simA);
    const listed = await get(`/sims/${simA}/bundles`, { page_no: '1', page_size: '100' });
    expect(at(listed.json, 'total_count')).toBe(2);
    expect(kindsOf(at(listed.json, 'data.0'))).toEqual({
      id: 'string',
      status: 'integer',
      type: 'integer',
      use: 'integer',
      data_limit: 'integer',
      period_unit: 'integer',
      period_number: 'integer',
      cycles: 'integer',
      current_cycle: 'integer',
      current_cycle_start_at: 'integer',
      current_cycle_end_at: 'integer',
      current_cycle_usage: 'integer',
      added_at: 'integer',
      start_at: 'integer',
      end_at: 'integer',
    });
    expect(at(listed.json, 'data.1')).toMatchObject({
      status: 0,
      current_cycle: null,
      current_cycle_start_at: null,
      current_cycle_usage: null,
      start_at: null,
      end_at: null,
    });
  });

  test('filters by a list of states, and pages', async () => {
    for (let n = 0; n < 3; n += 1) await bundle(simA);
    const count = async (query: Record<string, string>) =>
      listAt((await get(`/sims/${simA}/bundles`, query)).json, 'data').length;
    expect(await count({ status: '0' })).toBe(2);
    expect(await count({ status: '0,1,2' })).toBe(3);
    expect(await count({ status: '3' })).toBe(0);
    expect(await count({ page_no: '2', page_size: '2' })).toBe(1);
    expect((await get(`/sims/${simA}/bundles`, { status: '7' })).status).toBe(400);
    expect((await get(`/sims/${simA}/bundles`, { page_size: '101' })).status).toBe(400);
  });

  test('refuses wrong types, unknown plans and SIMs', async () => {
    expect((await bundle(simA, { bundle_type: '10' })).status).toBe(400);
    expect(codeOf(await bundle(simA, { bundle_id: 'NONE' }))).toBe('CB-02-0003');
    expect(codeOf(await bundle('89248044404413060000'))).toBe('CB-01-0001');
    expect(simulator.orders()).toEqual([]);
  });
});

describe('SIMs', () => {
  test('lists them with status filter, pages and total_count', async () => {
    simulator.addSim({ provider: 'linksfield-cube', simId: '89248044404413065329', status: 30 });
    await bundle(simA);
    const all = await get('/sims', { page_no: '1', page_size: '2' });
    expect(at(all.json, 'total_count')).toBe(3);
    expect(listAt(all.json, 'data').map((sim) => at(sim, 'sim_id'))).toEqual([simA, simB]);
    expect(at(all.json, 'data.0.sim_service.bundles.0.id')).toBe('LP09823222320');
    expect(listAt((await get('/sims', { status: '30' })).json, 'data')).toHaveLength(1);
    expect((await get('/sims', { page_size: '0' })).status).toBe(400);
  });

  test('shows one SIM with only the bundle in use', async () => {
    await bundle(simA);
    await bundle(simA);
    const reply = await get(`/sims/${simA}`);
    expect(at(reply.json, 'data')).toMatchObject({ sim_id: simA, status: 23 });
    expect(listAt(reply.json, 'data.sim_service.bundles')).toMatchObject([{ status: 1 }]);
    expect(codeOf(await get('/sims/89248044404413060000'))).toBe('CB-01-0001');
  });

  test('reports usage, and refuses the category_type of the page with the slip', async () => {
    await bundle(simA);
    simulator.setUsage(simulator.orders()[0]?.recordId ?? '', 4_096);
    const query = { category: 'data', period_type: '2', begin_from: '2023-06', end_by: '2023-06' };
    const reply = await get(`/sims/${simA}/usage`, query);
    expect(at(reply.json, 'data.usage')).toEqual([
      { period: '2023-06', update_at: startMs, data: { all: 4_096 } },
    ]);
    const { category: _category, ...rest } = query;
    expect((await get(`/sims/${simA}/usage`, { ...rest, category_type: 'data' })).status).toBe(400);
  });
});

describe('background actions', () => {
  test('locks the SIM until the action is done, then shows result and effect', async () => {
    simulator.addSim({ provider: 'linksfield-cube', simId: simA, status: 30 });
    const begun = await call('PUT', `/sims/${simA}/resume`, { body: {} });
    const requestId = String(at(begun.json, 'data.request_id'));
    expect(codeOf(await call('PUT', `/sims/${simA}/reset`, { body: {} }))).toBe('CB-01-0111');
    expect(codeOf(await bundle(simA))).toBe('CB-01-0111');
    expect(at((await get(`/sims/async_result/${requestId}`)).json, 'data.result')).toBe('processing');
    clock.advance(3_000);
    expect(at((await get(`/sims/async_result/${requestId}`)).json, 'data.result')).toBe('success');
    expect(at((await get(`/sims/${simA}`)).json, 'data.status')).toBe(23);
    expect(codeOf(await bundle(simA))).toBe('CB-00-0000');
  });

  test('cancels the plan in use and starts the next with keep_alive', async () => {
    await bundle(simA);
    await bundle(simA);
    const orderId = simulator.orders()[0]?.orderId;
    await call('PUT', `/sims/${simA}/cancel`, { body: { order_id: orderId, keep_alive: true } });
    clock.advance(3_000);
    const states = listAt((await get(`/sims/${simA}/bundles`)).json, 'data').map((row) => at(row, 'status'));
    expect(states).toEqual([3, 1]);
  });

  test('activates a SIM that is pre-active and has a bundle, and no other', async () => {
    expect(codeOf(await call('POST', `/sims/${simA}/activate`, { body: {} }))).toBe('CB-01-0101');
    simulator.addSim({ provider: 'linksfield-cube', simId: simB, status: 10 });
    expect(codeOf(await call('POST', `/sims/${simB}/activate`, { body: {} }))).toBe('CB-01-0102');
    await bundle(simB);
    expect(codeOf(await call('POST', `/sims/${simB}/activate`, { body: {} }))).toBe('CB-00-0000');
    clock.advance(3_000);
    expect(at((await get(`/sims/${simB}`)).json, 'data.status')).toBe(23);
  });

  test('suspends and resets', async () => {
    expect(codeOf(await call('PUT', `/sims/${simA}/suspend/v2`, { body: {} }))).toBe('CB-00-0000');
    clock.advance(3_000);
    expect(at((await get(`/sims/${simA}`)).json, 'data.status')).toBe(30);
    expect(codeOf(await call('PUT', `/sims/${simA}/reset`, { body: {} }))).toBe('CB-00-0000');
  });
});

describe('the door', () => {
  const path = `/cube/v4/sims/${simA}`;
  const other = generateKeyPairSync('rsa', {
    modulusLength: 1024,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const good = () => cubeHeaders({ method: 'GET', path, nowMs: clock.now() });

  test.each([
    ['no Authorization', () => ({ ...good(), authorization: '' }), 401, 'CB-99-9401'],
    ['an Authorization of another form', () => ({ ...good(), authorization: 'Bearer x' }), 403, 'CB-99-9403'],
    [
      'another key',
      () => cubeHeaders({ method: 'GET', path, nowMs: clock.now(), privateKeyPem: other.privateKey }),
      403,
      'CB-99-9403',
    ],
    ['another nonce than the signed one', () => ({ ...good(), nonce: '8' }), 403, 'CB-99-9403'],
    ['signature type 1.0', () => ({ ...good(), 'x-lf-signature-type': '1.0' }), 403, 'CB-99-9403'],
    ['a timestamp in seconds', () => ({ ...good(), timestamp: '1686707689' }), 400, 'CB-99-9400'],
    [
      'a path without the prefix in the signed text',
      () => cubeHeaders({ method: 'GET', path: `/sims/${simA}`, nowMs: clock.now() }),
      403,
      'CB-99-9403',
    ],
    [
      'a timestamp more than 10 minutes off',
      () => cubeHeaders({ method: 'GET', path, nowMs: clock.now() - 600_001 }),
      403,
      'CB-99-9403',
    ],
  ])('refuses %s', async (_name, headers, http, code) => {
    const reply = await send(`${simulator.url}${path}`, { method: 'GET', headers: headers() });
    expect([reply.status, codeOf(reply)]).toEqual([http, code]);
    expect(at(reply.json, 'data')).toBeNull();
    expect(simulator.requests()).toMatchObject([{ verdict: 'rejected', code, provider: 'linksfield-cube' }]);
  });

  test('lets a timestamp 10 minutes off in, and a second key during a rotation', async () => {
    await simulator.close();
    await open({ alsoAccepts: { 'linksfield-cube': [other.publicKey] } });
    const late = cubeHeaders({ method: 'GET', path, nowMs: clock.now() - 600_000 });
    expect((await send(`${simulator.url}${path}`, { method: 'GET', headers: late })).status).toBe(200);
    const rotated = cubeHeaders({ method: 'GET', path, nowMs: clock.now(), privateKeyPem: other.privateKey });
    expect((await send(`${simulator.url}${path}`, { method: 'GET', headers: rotated })).status).toBe(200);
  });

  test('refuses a missing nonce and a body changed after signing', async () => {
    const { nonce: _nonce, ...rest } = good();
    const without = await send(`${simulator.url}${path}`, { method: 'GET', headers: rest });
    expect([without.status, codeOf(without)]).toEqual([400, 'CB-99-9402']);
    const orderPath = '/cube/v4/orders/service';
    const body = { items: [{ id: 'CP-6HPXRQI88QSM', quantity: 1, sim_ids: [simA] }] };
    const headers = cubeHeaders({ method: 'POST', path: orderPath, body, nowMs: clock.now() });
    const changed = JSON.stringify(body).replace('"quantity":1', '"quantity":9');
    const reply = await send(`${simulator.url}${orderPath}`, { method: 'POST', headers, body: changed });
    expect(reply.status).toBe(403);
    expect(simulator.orders()).toEqual([]);
  });

  test('answers 404 to an unknown path and 429 above the limits of second and day', async () => {
    expect((await get('/none')).status).toBe(404);
    await simulator.close();
    await open({ rateLimits: { 'linksfield-cube': { perSec: 2, perDay: 3 } } });
    const statuses = async (n: number) => {
      const seen: number[] = [];
      for (let i = 0; i < n; i += 1) seen.push((await get('/sims')).status);
      return seen;
    };
    expect(await statuses(3)).toEqual([200, 200, 429]);
    clock.advance(1_000);
    expect(await statuses(2)).toEqual([200, 429]);
    clock.advance(86_400_000);
    expect(await statuses(1)).toEqual([200]);
  });

  test('answers 429 to a fourth request in flight', async () => {
    simulator.faults.add({ match: { path }, times: 3, fault: { kind: 'slow', afterMs: 1_000 } });
    const slow = [1, 2, 3].map(() => get(`/sims/${simA}`));
    await expect.poll(() => simulator.requests().length).toBe(3);
    expect((await get(`/sims/${simA}`)).status).toBe(429);
    clock.advance(1_000);
    expect((await Promise.all(slow)).map((reply) => reply.status)).toEqual([200, 200, 200]);
    await expect.poll(() => simulator.books.inFlight['linksfield-cube']).toBe(0);
    expect((await get(`/sims/${simA}`)).status).toBe(200);
  });
});
