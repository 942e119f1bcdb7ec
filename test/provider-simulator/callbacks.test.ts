import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createManualClock, type ManualClock } from './clock.ts';
import { verbatim } from './signatures.ts';
import { createSimulator, type Simulator, type SimulatorOptions, simulatorDefaults } from './simulator.ts';
import { at, callCube, eiotclubSignOf, listAt, type Params, postCsss, postEiotclub } from './test-client.ts';

const startMs = 1_740_000_000_000;
const eiotclubSim = '8988308650104486856';
const csssSim = '89852022018041800192';
const cubeSim = '89248044404413065327';

/** A receiver that keeps what it gets and answers the next status of `answers`, 200 when there is none. */
interface Receiver {
  readonly url: string;
  readonly got: { readonly headers: IncomingHttpHeaders; readonly text: string; readonly json: unknown }[];
  answers: number[];
  close(): Promise<void>;
}

async function openReceiver(): Promise<Receiver> {
  const got: Receiver['got'][number][] = [];
  const receiver: Omit<Receiver, 'url' | 'close'> = { got, answers: [] };
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      const json: unknown = JSON.parse(text);
      got.push({ headers: request.headers, text, json });
      response.writeHead(receiver.answers.shift() ?? 200).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return Object.assign(receiver, {
    url: `http://127.0.0.1:${port}/callback`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

let clock: ManualClock;
let simulator: Simulator;
let receiver: Receiver;

async function open(options: SimulatorOptions = {}): Promise<void> {
  clock = createManualClock(startMs);
  const urls = { eiotclub: receiver.url, 'linksfield-csss': receiver.url, 'linksfield-cube': receiver.url };
  simulator = await createSimulator({ clock, ...options, callbacks: { urls, ...options.callbacks } });
  simulator.addSim({ provider: 'eiotclub', simId: eiotclubSim });
  simulator.addSim({ provider: 'linksfield-csss', simId: csssSim, imsi: '454001234567890' });
  simulator.addSim({ provider: 'linksfield-cube', simId: cubeSim });
  await simulator.listen();
}

async function reopen(options: SimulatorOptions): Promise<void> {
  await simulator.close();
  await open(options);
}

beforeEach(async () => {
  receiver = await openReceiver();
  await open();
});
afterEach(async () => {
  await simulator.close();
  await receiver.close();
});

const buyEiotclub = (outTradeNo: string) =>
  postEiotclub(simulator.url, '/api/v3/package/orderPackage', {
    iccid: eiotclubSim,
    packageCode: 'PKG001',
    outTradeNo,
  });

const buyCsss = (more: Params = {}) =>
  postCsss(simulator.url, '/package/orderPackage', {
    device_id: csssSim,
    global_order: '0',
    is_open: '0',
    order_period: '1',
    package_code: 'DP20190726001274',
    package_name: 'x',
    package_type: '2',
    pay_amount: '0',
    pay_rst: '1',
    test_flow: '0',
    test_flow_flag: '0',
    ...more,
  });

describe('EIOTCLUB', () => {
  test('tells of a purchase by SubPkgList and PkgEffective, signed in the body', async () => {
    const reply = await buyEiotclub('ref-1');
    await simulator.callbacks.settled();
    expect(receiver.got.map((one) => at(one.json, 'event')).sort()).toEqual(['PkgEffective', 'SubPkgList']);
    const list = receiver.got.find((one) => at(one.json, 'event') === 'SubPkgList');
    expect(at(list?.json, 'data.0')).toMatchObject({
      packageCode: 'PKG001',
      iccid: eiotclubSim,
      outTradeNo: 'ref-1',
      orderId: at(reply.json, 'data.orderId'),
    });
    expect(at(list?.json, 'timestamp')).toBe(startMs / 1_000);
    expect(at(list?.json, 'sign')).toMatch(/^[0-9A-F]{40}$/);
    // The nested list is one value: its own text, cut from the raw body.
    const raw = /"data":(\[.*\]),"sign"/.exec(list?.text ?? '')?.[1];
    const root = { data: raw, event: 'SubPkgList', id: at(list?.json, 'id'), nonce: at(list?.json, 'nonce') };
    const signed = { ...root, timestamp: startMs / 1_000 };
    expect(at(list?.json, 'sign')).toBe(eiotclubSignOf(signed, simulatorDefaults.eiotclub.callbackSecret));
  });

  test('sends FlowAlert on demand, with a sign over every root field', async () => {
    simulator.emit('eiotclub', {
      event: 'FlowAlert',
      iccid: eiotclubSim,
      alert_type: 1,
      alert_value: '98.5',
    });
    await simulator.callbacks.settled();
    const [alert] = receiver.got;
    expect(alert?.json).toMatchObject({ event: 'FlowAlert', alert_type: 1, alert_value: '98.5' });
    expect(typeof at(alert?.json, 'id')).toBe('string');
    const fields: Params = JSON.parse(alert?.text ?? '{}');
    expect(fields.sign).toBe(eiotclubSignOf(fields, simulatorDefaults.eiotclub.callbackSecret));
  });

  test('sends a number in the spelling asked for', async () => {
    simulator.emit('eiotclub', { event: 'X', data: [{ flowTotal: verbatim('1024.0') }] });
    await simulator.callbacks.settled();
    expect(receiver.got[0]?.text).toContain('"flowTotal":1024.0}');
  });

  test('tells of an ended package, and of the card when it was the last', async () => {
    await buyEiotclub('ref-1');
    await buyEiotclub('ref-2');
    await simulator.callbacks.settled();
    const events = async (orderId: string) => {
      receiver.got.length = 0;
      simulator.expireOrder(orderId);
      await simulator.callbacks.settled();
      return receiver.got.map((one) => at(one.json, 'event')).sort();
    };
    const [first, second] = simulator.orders().map((order) => order.orderId);
    expect(await events(first ?? '')).toEqual(['PkgQuantityList']);
    expect(await events(second ?? '')).toEqual(['CardStopped', 'PkgQuantityList']);
  });
});

describe('CSSS', () => {
  const codes = () => receiver.got.map((one) => at(one.json, 'status'));

  test('tells of created, started, renewed and expired orders, unsigned as documented', async () => {
    const orderId = String(at((await buyCsss()).json, 'data.order_id'));
    await postCsss(simulator.url, '/package/renewPackage', { order_id: orderId, renew_period: 1 });
    await simulator.callbacks.settled();
    // 1009 is sent only for an order in use, and this one still waits.
    expect(codes()).toEqual(['1000']);
    simulator.startOrder(orderId);
    await simulator.callbacks.settled();
    await postCsss(simulator.url, '/package/renewPackage', { order_id: orderId, renew_period: 1 });
    await simulator.callbacks.settled();
    simulator.expireOrder(orderId);
    await simulator.callbacks.settled();
    expect(codes()).toEqual(['1000', '1005', '1009', '1008']);
    expect(receiver.got[0]?.json).toMatchObject({
      sim_id: csssSim,
      imsi: '454001234567890',
      order_id: orderId,
    });
    expect(receiver.got.every((one) => one.headers['x-lf-md5'] === undefined)).toBe(true);
  });

  test('tells of an OTA start by 1007', async () => {
    const ota = { mcc: '', days: 364, timing_type: '1', pay_type: '2' };
    const { device_id, ...rest } = {
      device_id: csssSim,
      global_order: '0',
      is_open: '0',
      order_period: '1',
      package_code: 'DP20201218003915',
      package_name: 'x',
      package_type: '1',
      pay_amount: '0',
      pay_rst: '1',
      test_flow: '0',
      test_flow_flag: '0',
    };
    const reply = await postCsss(simulator.url, '/package/createOtaOrder', { device_id, ...rest, ...ota });
    simulator.startOrder(String(at(reply.json, 'data.order_id')));
    await simulator.callbacks.settled();
    expect(codes().sort()).toEqual(['1000', '1007']);
  });

  test.each([
    ['of-bytes', 24],
    ['of-hex', 44],
  ] as const)('signs other callbacks with x-lf-md5 %s', async (encoding, length) => {
    await reopen({ csssMd5Encoding: encoding });
    const body = {
      text_message: '发送短信内容',
      sim_id: csssSim,
      imsi: '454001234567890',
      message_type: 'Binary',
      partner_code: 'P123456',
      received_at: '1642385160000',
    };
    simulator.emit('linksfield-csss', body);
    await simulator.callbacks.settled();
    const md5 = String(receiver.got[0]?.headers['x-lf-md5']);
    expect(md5).toHaveLength(length);
    const text = `imsi=454001234567890&message_type=Binary&partner_code=P123456&received_at=1642385160000&sim_id=${csssSim}&text_message=发送短信内容&${simulatorDefaults.csss.callbackSecret}`;
    const digest = createHash('md5').update(text).digest();
    const expected =
      encoding === 'of-bytes'
        ? digest.toString('base64')
        : Buffer.from(digest.toString('hex')).toString('base64');
    expect(md5).toBe(expected);
    expect(receiver.got[0]?.headers['x-lf-delivery']).toBeDefined();
  });

  test('signs order status changes too when told to', async () => {
    await reopen({ signCsssOrderStatus: true });
    await buyCsss();
    await simulator.callbacks.settled();
    expect(receiver.got[0]?.headers['x-lf-md5']).toHaveLength(24);
  });
});

describe('Cube', () => {
  const proven = (one: Receiver['got'][number] | undefined) => {
    const timestamp = String(one?.headers['x-lf-timestamp']);
    const top: Params = JSON.parse(one?.text ?? '{}');
    const message = JSON.stringify(
      Object.fromEntries(Object.entries(top).sort(([a], [b]) => (a < b ? -1 : 1))),
    );
    const key = Buffer.from(simulatorDefaults.cube.notificationKey, 'hex');
    const sign = createHmac('sha1', key).update(`${message}1.0:HMAC-SHA1:${timestamp}`).digest('base64');
    return one?.headers['x-lf-signature'] === `${simulatorDefaults.cube.notificationKeyId}/${sign}`;
  };

  test('tells of a recharge when its bundle is there, with the x-lf headers', async () => {
    const body = { items: [{ id: 'CP-6HPXRQI88QSM', quantity: 1, sim_ids: [cubeSim] }] };
    const path = '/cube/v4/orders/service';
    const reply = await callCube(simulator.url, { method: 'POST', path, body, nowMs: clock.now() });
    await simulator.callbacks.settled();
    expect(receiver.got).toEqual([]);
    clock.advance(3_000);
    await simulator.callbacks.settled();
    expect(receiver.got[0]?.json).toMatchObject({
      event_type: 'recharge_success',
      sim_id: cubeSim,
      order_id: at(reply.json, 'data.order_id'),
    });
    expect(receiver.got[0]?.headers).toMatchObject({
      'x-lf-notification-version': '1.0',
      'x-lf-algo': 'HMAC-SHA1',
      'x-lf-timestamp': String(startMs + 3_000),
    });
    expect(proven(receiver.got[0])).toBe(true);
  });

  test('tells of the end of a background action', async () => {
    const path = `/cube/v4/sims/${cubeSim}/reset`;
    await callCube(simulator.url, { method: 'PUT', path, body: {}, nowMs: clock.now() });
    clock.advance(3_000);
    await simulator.callbacks.settled();
    expect(receiver.got[0]?.json).toMatchObject({ event_type: 'async_api_callback', sub_type: 'Reset' });
    expect(proven(receiver.got[0])).toBe(true);
  });
});

describe('delivery', () => {
  const alert = () => simulator.emit('eiotclub', { event: 'CardStopped', iccid: eiotclubSim });
  const settled = () => simulator.callbacks.settled();

  test('repeats on its schedule until a 2xx, the same bytes each time', async () => {
    receiver.answers = [500, 302, 404];
    const delivery = alert();
    await settled();
    for (const [pauseMs, count] of [
      [1_000, 2],
      [5_000, 3],
      [30_000, 4],
    ] as const) {
      clock.advance(pauseMs - 1);
      await settled();
      expect(receiver.got).toHaveLength(count - 1);
      clock.advance(1);
      await settled();
      expect(receiver.got).toHaveLength(count);
    }
    expect(new Set(receiver.got.map((one) => one.text)).size).toBe(1);
    expect(delivery.state).toBe('delivered');
    expect(delivery.tries.map((made) => made.status)).toEqual([500, 302, 404, 200]);
    expect(clock.pending()).toEqual([]);
  });

  test('gives up after the last pause', async () => {
    await reopen({
      callbacks: { retryDelaysMs: { eiotclub: [10], 'linksfield-csss': [], 'linksfield-cube': [] } },
    });
    receiver.answers = [500, 500];
    const delivery = alert();
    await settled();
    clock.advance(10);
    await settled();
    expect(delivery.state).toBe('given-up');
    expect([receiver.got.length, clock.pending().length]).toEqual([2, 0]);
  });

  test('tries a Cube notification 30 times within 24 hours', async () => {
    receiver.answers = Array.from({ length: 30 }, () => 500);
    const delivery = simulator.emit('linksfield-cube', { event_type: 'x' });
    await settled();
    for (let n = 0; n < 29; n += 1) {
      clock.advance(86_400_000 / 29);
      await settled();
    }
    expect([delivery.tries.length, delivery.state]).toEqual([30, 'given-up']);
    expect(clock.now() - startMs).toBeLessThanOrEqual(86_400_000);
  });

  test('counts a refused connection as a failed try', async () => {
    const { url } = receiver;
    await receiver.close();
    const delivery = simulator.emit('eiotclub', { event: 'X' }, { url });
    await settled();
    expect(delivery.tries).toMatchObject([{ status: null }]);
    expect(clock.pending()).toHaveLength(1);
    receiver = await openReceiver();
  });

  test('signs each try afresh when told to, with the same id', async () => {
    await reopen({ callbacks: { resignEachTry: true } });
    receiver.answers = [500];
    alert();
    await settled();
    clock.advance(1_000);
    await settled();
    const [first, second] = receiver.got.map((one) => one.json);
    expect(at(first, 'id')).toBe(at(second, 'id'));
    expect([at(first, 'timestamp'), at(second, 'timestamp')]).toEqual([1_740_000_000, 1_740_000_001]);
    expect(at(first, 'sign')).not.toBe(at(second, 'sign'));
  });

  test('sends duplicates after a 2xx when told to', async () => {
    await reopen({ callbacks: { repeatsAfterSuccess: 2 } });
    alert();
    await settled();
    expect(receiver.got).toHaveLength(3);
    expect(new Set(receiver.got.map((one) => one.text)).size).toBe(1);
  });

  test('delays the first try, and sends nothing by itself when told not to', async () => {
    await reopen({ callbacks: { delayMs: 500, automatic: false } });
    await buyEiotclub('ref-1');
    alert();
    await settled();
    expect(receiver.got).toEqual([]);
    clock.advance(500);
    await settled();
    expect(receiver.got.map((one) => at(one.json, 'event'))).toEqual(['CardStopped']);
  });

  test('reorders: holds messages back and sends the newest first', async () => {
    const order: string[] = [];
    await reopen({
      callbacks: { reorderBy: 3 },
      callbackSender: async (message) => {
        order.push(String(at(JSON.parse(message.bodyText), 'event')));
        return 200;
      },
    });
    for (const event of ['A', 'B']) simulator.emit('eiotclub', { event });
    expect(order).toEqual([]);
    simulator.emit('eiotclub', { event: 'C' });
    await settled();
    expect(order).toEqual(['C', 'B', 'A']);
    simulator.emit('eiotclub', { event: 'D' });
    simulator.callbacks.flush();
    await settled();
    expect(order).toEqual(['C', 'B', 'A', 'D']);
  });

  test('sends a spoilt or missing signature when told to', async () => {
    simulator.emit('eiotclub', { event: 'X', sign: 'F'.repeat(40) });
    simulator.emit('linksfield-cube', { event_type: 'x' }, { signed: false });
    simulator.emit('linksfield-csss', { sim_id: csssSim }, { headers: { 'x-lf-md5': 'AAAA' } });
    await settled();
    const find = (test: (one: Receiver['got'][number]) => boolean) => receiver.got.filter(test).length;
    expect(find((one) => at(one.json, 'sign') === 'F'.repeat(40))).toBe(1);
    expect(
      find((one) => one.text.includes('event_type') && one.headers['x-lf-signature'] === undefined),
    ).toBe(1);
    expect(find((one) => one.headers['x-lf-md5'] === 'AAAA')).toBe(1);
  });

  test('says so when there is no address to send to', () => {
    simulator.callbacks.setUrl('eiotclub', null);
    expect(() => alert()).toThrow('No callback URL for eiotclub');
  });

  test('tells of a late commit only when the order shows', async () => {
    simulator.faults.add({
      match: { provider: 'eiotclub' },
      fault: { kind: 'commit-late', afterMs: 60_000, answer: 'http-500' },
    });
    await buyEiotclub('ref-1');
    await settled();
    expect(receiver.got).toEqual([]);
    clock.advance(60_000);
    await settled();
    expect(listAt({ all: receiver.got }, 'all')).toHaveLength(2);
  });
});
