import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createManualClock, type ManualClock } from './clock.ts';
import { createSimulator, providerOf, type Simulator } from './simulator.ts';
import { at, eiotclubBody, type Params, postEiotclub, send } from './test-client.ts';

const iccid = '8988308650104486856';
const orderPath = '/api/v3/package/orderPackage';
let clock: ManualClock;
let simulator: Simulator;

beforeEach(async () => {
  clock = createManualClock(1_740_000_000_000);
  simulator = await createSimulator({ clock, requestsMax: 3 });
  simulator.addSim({ provider: 'eiotclub', simId: iccid });
});
afterEach(() => simulator.close());

const request = (params: Params) => ({
  method: 'POST',
  path: orderPath,
  query: {},
  headers: { 'content-type': 'application/json' },
  bodyText: JSON.stringify(eiotclubBody({ iccid, packageCode: 'PKG001', ...params })),
});

describe('without HTTP', () => {
  test('handle answers as the provider does, from the same books, at the time given', () => {
    const reply = simulator.handle(request({ outTradeNo: 'ref-1' }), 1_740_000_123_000);
    expect([reply.status, at(JSON.parse(reply.bodyText), 'code')]).toEqual([200, '200']);
    expect(simulator.orders()).toMatchObject([{ reference: 'ref-1', at: 1_740_000_123_000 }]);
  });

  test('exchange plays faults as data', () => {
    simulator.faults.add({ match: {}, fault: { kind: 'hang', commit: true } });
    simulator.faults.add({ match: {}, fault: { kind: 'reset-before-body' } });
    expect(simulator.exchange(request({ outTradeNo: 'ref-1' }), clock.now())).toEqual({ kind: 'drop' });
    expect(simulator.exchange(request({ outTradeNo: 'ref-1' }), clock.now())).toEqual({ kind: 'hang' });
    expect(simulator.orders()).toHaveLength(1);
    const again = simulator.exchange(request({ outTradeNo: 'ref-1' }), clock.now());
    expect(again.kind === 'reply' && at(JSON.parse(again.reply.bodyText), 'code')).toBe('503016');
  });

  test('the same requests give the same books, byte for byte', async () => {
    const replay = async () => {
      const other = await createSimulator({ clock: createManualClock(0) });
      other.addSim({ provider: 'eiotclub', simId: iccid });
      const replies = ['ref-1', 'ref-2', 'ref-1'].map((outTradeNo, n) =>
        other.handle(request({ outTradeNo }), 1_000 * n),
      );
      return JSON.stringify([replies, other.orders(), other.requests()]);
    };
    expect(await replay()).toBe(await replay());
  });

  test('an unreachable provider is unreachable here too', async () => {
    await simulator.setReachable(false);
    expect(simulator.exchange(request({ outTradeNo: 'ref-1' }), 0)).toEqual({ kind: 'unreachable' });
    expect(simulator.requests()).toEqual([]);
  });
});

describe('books', () => {
  test('keep every purchase, and only the newest requests', () => {
    for (let n = 0; n < 5; n += 1) simulator.handle(request({ outTradeNo: `ref-${n}` }), n);
    expect(simulator.orders()).toHaveLength(5);
    expect(simulator.requests().map((row) => row.reference)).toEqual(['ref-2', 'ref-3', 'ref-4']);
    expect(simulator.orders({ reference: 'ref-3' })).toHaveLength(1);
    expect(simulator.requests({ path: '/none' })).toEqual([]);
  });

  test('file what a SIM already holds without calling it a purchase', () => {
    const [order] = simulator.addSim({
      provider: 'eiotclub',
      simId: iccid,
      packages: [{ code: 'PKG001', state: 'active', reference: 'old', usedBytes: 5 }],
    });
    expect(order).toMatchObject({ reference: 'old', startedAt: clock.now() });
    expect(simulator.orders()).toEqual([]);
    const reply = simulator.handle(request({ outTradeNo: 'old' }), clock.now());
    expect(at(JSON.parse(reply.bodyText), 'code')).toBe('503016');
  });

  test('refuse a package in another currency than the wallet', () => {
    const info = {
      provider: 'eiotclub',
      code: 'X',
      name: 'X',
      type: '2',
      priceMinor: 1,
      days: 1,
      dataMb: 1,
    } as const;
    expect(() => simulator.addPackage({ ...info, currency: 'EUR' })).toThrow('currency EUR, wallet USD');
  });
});

describe('HTTP', () => {
  test('listens on loopback, refuses connections while unreachable, and comes back on the same port', async () => {
    expect(() => simulator.url).toThrow('listen()');
    const url = await simulator.listen();
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    await simulator.setReachable(false);
    await expect(postEiotclub(url, orderPath, {})).rejects.toThrow();
    await simulator.setReachable(true);
    expect(simulator.url).toBe(url);
    expect((await postEiotclub(url, '/api/v3/agent/balance', {})).status).toBe(200);
  });

  test('answers 404 to a path of no provider', async () => {
    const url = await simulator.listen();
    expect((await send(`${url}/none`, { method: 'GET' })).status).toBe(404);
    expect(simulator.requests()).toEqual([]);
  });

  test('takes a body of 1 MiB and refuses a larger one', async () => {
    const url = await simulator.listen();
    const body = (bytes: number) => send(`${url}${orderPath}`, { method: 'POST', body: 'x'.repeat(bytes) });
    expect((await body(1024 * 1024)).status).toBe(200);
    // The rest of a large body is not read, so the caller sees either the answer or a broken connection.
    const large = await body(1024 * 1024 + 1).then(
      (reply) => reply.status,
      () => 413,
    );
    expect(large).toBe(413);
    expect(simulator.requests({ verdict: 'unhandled' })).toHaveLength(1);
  });

  test.each([
    ['/api/v3/agent/balance', 'eiotclub'],
    ['/package/orderPackage', 'linksfield-csss'],
    ['/cube/v4/package/queryOrder', 'linksfield-csss'],
    ['/cube/v4/sims', 'linksfield-cube'],
    ['/', null],
  ])('gives %s to %s', (path, provider) => {
    expect(providerOf(path)).toBe(provider);
  });
});

describe('the manual clock', () => {
  test('runs timers in the order of their due times, also those set by timers', () => {
    const ran: string[] = [];
    clock.setTimer(20, () => ran.push(`b${clock.now() - 1_740_000_000_000}`));
    clock.setTimer(10, () => {
      ran.push('a');
      clock.setTimer(5, () => ran.push('a2'));
    });
    const cancel = clock.setTimer(15, () => ran.push('never'));
    cancel();
    clock.advance(30);
    expect(ran).toEqual(['a', 'a2', 'b20']);
    expect(clock.pending()).toEqual([]);
  });
});

test('imports nothing but Node, zod, vitest and its own folder', () => {
  const folder = new URL('.', import.meta.url);
  const imports = readdirSync(folder)
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => [
      ...readFileSync(new URL(name, folder), 'utf8').matchAll(/^(?:import|export|\}).* from '([^']+)';$/gm),
    ])
    .map((match) => match[1] ?? '');
  expect(imports.length).toBeGreaterThan(20);
  expect(imports.filter((name) => !/^(node:[a-z/]+|zod|vitest|\.\/[a-z-]+\.ts)$/.test(name))).toEqual([]);
});
