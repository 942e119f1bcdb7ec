import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createManualClock, type ManualClock } from './clock.ts';
import { createSimulator, type Simulator, type SimulatorOptions } from './simulator.ts';
import {
  at,
  eiotclubBody,
  kindsOf,
  listAt,
  type Params,
  postEiotclub,
  postJson,
  send,
} from './test-client.ts';

const iccid = '8988308650104486856';
/** 2025-02-19 21:20:00 UTC, 05:20 on the 20th in Beijing. */
const startMs = 1_740_000_000_000;
const orderPath = '/api/v3/package/orderPackage';
const recordPath = '/api/v3/package/packageOrderRecord';
const detailsPath = '/api/v3/package/getOrderPackageDetails';

let clock: ManualClock;
let simulator: Simulator;

async function open(options: SimulatorOptions = {}): Promise<void> {
  clock = createManualClock(startMs);
  simulator = await createSimulator({ clock, ...options });
  simulator.addSim({ provider: 'eiotclub', simId: iccid });
  await simulator.listen();
}

const post = (path: string, params: Params) => postEiotclub(simulator.url, path, params);
const buy = (outTradeNo: string, more: Params = {}) =>
  post(orderPath, { iccid, packageCode: 'PKG001', outTradeNo, ...more });

beforeEach(() => open());
afterEach(() => simulator.close());

describe('seed 004, packageOrderRecord', () => {
  test('answers a row with the 21 fields of the seed, in their order and kinds', async () => {
    await buy('ref-1');
    simulator.setUsage(simulator.orders()[0]?.recordId ?? '', 1_500_000);
    const reply = await post(recordPath, { iccid });
    expect(reply.status).toBe(200);
    expect(kindsOf(reply.json)).toEqual({
      code: 'string',
      message: 'string',
      total: 'integer',
      data: 'array',
    });
    const row = at(reply.json, 'data.0');
    expect(Object.entries(kindsOf(row))).toEqual([
      ['orderId', 'integer'],
      ['packageName', 'string'],
      ['packageCode', 'string'],
      ['iccid', 'string'],
      ['state', 'integer'],
      ['price', 'integer'],
      ['currency', 'string'],
      ['createDate', 'string'],
      ['updateDate', 'string'],
      ['startDate', 'string'],
      ['endDate', 'string'],
      ['flowTotal', 'integer'],
      ['flowRemain', 'number'],
      ['flowUsageBytes', 'integer'],
      ['gzhPackageName', 'string'],
      ['totalActive', 'integer'],
      ['renew', 'integer'],
      ['packageType', 'integer'],
      ['isRefund', 'integer'],
      ['periodType', 'integer'],
      ['outTradeNo', 'string'],
    ]);
    expect(row).toMatchObject({
      iccid,
      state: 1,
      price: 5,
      currency: 'USD',
      createDate: '2025-02-20 05:20:00',
      endDate: '2025-03-22 05:20:00',
      flowUsageBytes: 1_500_000,
      renew: 0,
      isRefund: 0,
      outTradeNo: 'ref-1',
    });
  });

  test('leaves outTradeNo out of an order that has none', async () => {
    simulator.addSim({ provider: 'eiotclub', simId: iccid, packages: [{ code: 'PKG001', state: 'active' }] });
    const reply = await post(recordPath, { iccid });
    expect(Object.keys(kindsOf(at(reply.json, 'data.0')))).toHaveLength(20);
  });

  test("takes the seed's own example request", async () => {
    await buy('ref-1');
    const reply = await post(recordPath, {
      iccid,
      state: 2,
      createDateStart: '2024-07-15 16:28:06',
      createDateEnd: '2025-03-03 18:42:59',
      updateDateStart: '2025-02-10 20:23:30',
      updateDateEnd: '2025-02-10 20:23:38',
      orderIdArrStr: '10004996,10004997',
      page: 1,
      pageSize: 2,
      stateArrStr: '0,1',
    });
    expect(reply.json).toEqual({ code: '200', message: 'success', total: 0, data: [] });
  });

  describe('with three orders an hour apart, of which the first has ended and the third waits', () => {
    let ids: readonly string[];
    beforeEach(async () => {
      for (const reference of ['ref-1', 'ref-2', 'ref-3']) {
        await buy(reference);
        clock.advance(3_600_000);
      }
      ids = simulator.orders().map((order) => order.orderId);
      simulator.expireOrder(ids[0] ?? '');
      simulator.startOrder(ids[1] ?? '');
    });
    const found = async (params: Params) =>
      listAt((await post(recordPath, { iccid, ...params })).json, 'data').map((row) => at(row, 'outTradeNo'));

    test.each([
      ['no filter', {}, ['ref-1', 'ref-2', 'ref-3']],
      ['state 2', { state: 2 }, ['ref-1']],
      ['state 0', { state: 0 }, ['ref-3']],
      ['stateArrStr', { stateArrStr: '0,1' }, ['ref-2', 'ref-3']],
      ['created from', { createDateStart: '2025-02-20 06:20:00' }, ['ref-2', 'ref-3']],
      ['created to', { createDateEnd: '2025-02-20 06:20:00' }, ['ref-1', 'ref-2']],
      ['updated from', { updateDateStart: '2025-02-20 08:20:00' }, ['ref-1', 'ref-2']],
      ['updated to', { updateDateEnd: '2025-02-20 08:19:59' }, ['ref-3']],
      ['newest first', { orderBy: 'createDateDesc' }, ['ref-3', 'ref-2', 'ref-1']],
      ['empty orderBy', { orderBy: '' }, ['ref-1', 'ref-2', 'ref-3']],
      ['second page', { page: 2, pageSize: 2 }, ['ref-3']],
      ['page past the end', { page: 3, pageSize: 2 }, []],
    ])('filters by %s', async (_name, params, expected) => {
      expect(await found(params)).toEqual(expected);
    });

    test('filters by order ids', async () => {
      expect(await found({ orderIdArrStr: `${ids[0]},${ids[2]}` })).toEqual(['ref-1', 'ref-3']);
    });

    test('counts all rows in total, whatever the page', async () => {
      expect(at((await post(recordPath, { iccid, page: 2, pageSize: 2 })).json, 'total')).toBe(3);
    });

    test.each([
      ['createDateStart', '41004'],
      ['updateDateEnd', '41005'],
    ])('refuses a wrong %s', async (name, code) => {
      expect(at((await post(recordPath, { iccid, [name]: '2025-02-20' })).json, 'code')).toBe(code);
    });
  });
});

describe('orderPackage', () => {
  test('buys once and keeps the purchase in the books', async () => {
    const reply = await buy('ref-1');
    expect(reply.json).toEqual({
      code: '200',
      message: 'success',
      data: { orderId: expect.any(Number), outTradeNo: 'ref-1' },
    });
    const [purchase, ...rest] = simulator.orders();
    expect(rest).toEqual([]);
    expect(purchase).toMatchObject({
      provider: 'eiotclub',
      simId: iccid,
      packageCode: 'PKG001',
      reference: 'ref-1',
      priceMinor: 500,
      currency: 'USD',
      at: startMs,
    });
    const [request] = simulator.requests();
    expect(request).toMatchObject({
      id: purchase?.requestId,
      path: orderPath,
      verdict: 'accepted',
      code: '200',
    });
  });

  test('answers 503016 to a repeated outTradeNo and buys nothing', async () => {
    await buy('ref-1');
    expect(at((await buy('ref-1', { packageCode: 'PKG003' })).json, 'code')).toBe('503016');
    expect(simulator.orders()).toHaveLength(1);
    expect(simulator.requests({ verdict: 'rejected' })).toHaveLength(1);
  });

  test('lets a second package wait for the first', async () => {
    await buy('ref-1');
    await buy('ref-2', { renew: 1 });
    const rows = listAt((await post(recordPath, { iccid })).json, 'data');
    expect(rows.map((row) => [at(row, 'state'), at(row, 'renew')])).toEqual([
      [1, 0],
      [0, 1],
    ]);
    expect(at(rows[1], 'startDate')).toBe(at(rows[0], 'endDate'));
  });

  test.each([
    ['a card of somebody else', { iccid: '8988308650104480000' }, '41008'],
    ['an empty iccid', { iccid: '' }, '41003'],
    ['a malformed iccid', { iccid: 'abc' }, '41002'],
    ['an unknown package', { packageCode: 'NONE' }, '41018'],
    ['no outTradeNo', { outTradeNo: undefined }, '400'],
    ['33 characters of outTradeNo', { outTradeNo: 'x'.repeat(33) }, '400'],
    ['renew as text', { renew: '1' }, '400'],
  ])('refuses %s and buys nothing', async (_name, params, code) => {
    expect(at((await buy('ref-1', params)).json, 'code')).toBe(code);
    expect(simulator.orders()).toEqual([]);
  });

  test('answers 45112 when the wallet is too low', async () => {
    simulator.setBalance('eiotclub', 499);
    expect(at((await buy('ref-1')).json, 'code')).toBe('45112');
    simulator.setBalance('eiotclub', 500);
    expect(at((await buy('ref-1')).json, 'code')).toBe('200');
    expect(simulator.balance('eiotclub')).toBe(0);
  });
});

describe('look-ups', () => {
  test('finds orders by outTradeNo and by order number, and only those', async () => {
    await buy('ref-1');
    await buy('ref-2');
    const id = simulator.orders()[1]?.orderId ?? '';
    const byReference = await post(detailsPath, { outTradeNoArrStr: 'ref-1,none' });
    expect(listAt(byReference.json, 'data').map((row) => at(row, 'outTradeNo'))).toEqual(['ref-1']);
    const byNumber = await post(detailsPath, { orderNumberArrStr: id });
    expect(listAt(byNumber.json, 'data').map((row) => at(row, 'outTradeNo'))).toEqual(['ref-2']);
    expect(at((await post(detailsPath, { outTradeNoArrStr: 'none' })).json, 'data')).toEqual([]);
  });

  test('refuses no number at all and more than 50 numbers', async () => {
    expect(at((await post(detailsPath, {})).json, 'code')).toBe('400');
    const many = Array.from({ length: 51 }, (_, i) => `r${i}`).join(',');
    expect(at((await post(detailsPath, { outTradeNoArrStr: many })).json, 'code')).toBe('41007');
  });

  test('shows one order, and not under another card', async () => {
    const other = '8988308650104486857';
    simulator.addSim({ provider: 'eiotclub', simId: other });
    await buy('ref-1');
    const orderId = simulator.orders()[0]?.orderId;
    const query = '/api/v3/package/queryPackage';
    expect(at((await post(query, { iccid, orderId })).json, 'data.outTradeNo')).toBe('ref-1');
    expect(at((await post(query, { iccid: other, orderId })).json, 'code')).toBe('41028');
  });

  test('quotes price and currency, and follows a price change', async () => {
    simulator.setPrice('eiotclub', 'PKG001', 725);
    const one = await post('/api/v3/package/queryOrderPackageByPackageCode', { packageCode: 'PKG001' });
    expect(at(one.json, 'data')).toMatchObject({ packageCode: 'PKG001', price: 7.25, currency: 'USD' });
    const list = await post('/api/v3/package/listOrderPackageByIccid', { iccid });
    expect(listAt(list.json, 'data').map((row) => at(row, 'price'))).toEqual([7.25, 12]);
  });

  test('shows balance and card', async () => {
    simulator.setBalance('eiotclub', 1_000);
    await buy('ref-1');
    expect(at((await post('/api/v3/agent/balance', {})).json, 'data')).toEqual({
      balance: 5,
      currency: 'USD',
    });
    const card = await post('/api/v3/card/getCardsInfo', { iccid });
    expect(at(card.json, 'data')).toMatchObject({ iccid, cardStatus: 'ACTIVATED_NAME', flowTotal: 1024 });
  });

  test('refunds everything within a day and marks the record', async () => {
    await buy('ref-1');
    const orderId = simulator.orders()[0]?.orderId;
    const before = simulator.balance('eiotclub');
    const amount = await post('/api/v3/package/queryRefundAmount', { iccid, orderId });
    expect(at(amount.json, 'data')).toEqual({ amount: 500, currency: 'USD' });
    const refund = { iccid, orderId, remark: 'test' };
    expect(at((await post('/api/v3/package/refundPackage', refund)).json, 'code')).toBe('200');
    expect(simulator.balance('eiotclub')).toBe(before + 500);
    expect(at((await post(recordPath, { iccid })).json, 'data.0')).toMatchObject({ state: 2, isRefund: 1 });
    expect(at((await post('/api/v3/package/refundPackage', refund)).json, 'code')).toBe('45113');
  });
});

describe('the door', () => {
  test("lets the provider's published golden sample in", async () => {
    await simulator.close();
    await open({ accounts: { eiotclub: { appkey: '000001', secret: 'a1b1c1d1' } } });
    const golden = { appkey: '000001', timestamp: 1556595508, nonce: 24523, userName: 'wx', age: 24, sex: 1 };
    const url = `${simulator.url}/api/v3/agent/balance`;
    const sign = '963A56BAEBED746F2746E4D9B3B77BE0F2E171E7';
    expect(at((await postJson(url, { ...golden, sign })).json, 'code')).toBe('200');
    expect(at((await postJson(url, { ...golden, age: 25, sign })).json, 'code')).toBe('401');
  });

  test.each([
    ['a wrong secret', () => eiotclubBody({ iccid }, 'other'), '401'],
    ['a field changed after signing', () => ({ ...eiotclubBody({ iccid }), page: 2 }), '401'],
    ['a sign in lower case', () => lowerCaseSign(eiotclubBody({ iccid })), '400'],
    ['an unknown appkey', () => eiotclubBody({ iccid, appkey: '999999' }), '403'],
    ['a timestamp as text', () => eiotclubBody({ iccid, timestamp: '1740000000' }), '400'],
    ['a timestamp in milliseconds', () => eiotclubBody({ iccid, timestamp: 1_740_000_000_000 }), '400'],
    ['a nonce of four digits', () => eiotclubBody({ iccid, nonce: 9_999 }), '400'],
    ['no sign', () => ({ ...eiotclubBody({ iccid }), sign: undefined }), '400'],
  ])('refuses %s', async (_name, body, code) => {
    const reply = await postJson(`${simulator.url}${recordPath}`, body());
    expect([reply.status, at(reply.json, 'code')]).toEqual([200, code]);
    expect(simulator.requests()[0]).toMatchObject({ verdict: 'rejected', code });
  });

  test('refuses GET, a body that is no JSON, and an unknown path', async () => {
    const get = await send(`${simulator.url}${recordPath}`, { method: 'GET' });
    expect(at(get.json, 'code')).toBe('400');
    const headers = { 'content-type': 'application/json' };
    const noJson = await send(`${simulator.url}${recordPath}`, { method: 'POST', headers, body: '{' });
    expect(at(noJson.json, 'code')).toBe('400');
    expect((await post('/api/v3/package/none', {})).status).toBe(404);
  });

  test('takes a second secret during a rotation', async () => {
    await simulator.close();
    await open({ alsoAccepts: { eiotclub: ['new-secret'] } });
    const reply = await postJson(`${simulator.url}${recordPath}`, eiotclubBody({ iccid }, 'new-secret'));
    expect(at(reply.json, 'code')).toBe('200');
  });

  test('answers 502 while the address is not on the allow-list', async () => {
    simulator.setIpAllowed(false);
    expect(at((await buy('ref-1')).json, 'code')).toBe('502');
    simulator.setIpAllowed(true);
    expect(at((await buy('ref-1')).json, 'code')).toBe('200');
  });

  test('answers 501 above the rate limit, and lets in again a second later', async () => {
    await simulator.close();
    await open({ rateLimits: { eiotclub: { perSec: 2 } } });
    const codesNow = async () => at((await post(recordPath, { iccid })).json, 'code');
    expect([await codesNow(), await codesNow(), await codesNow()]).toEqual(['200', '200', '501']);
    clock.advance(999);
    expect(await codesNow()).toBe('501');
    clock.advance(1);
    expect(await codesNow()).toBe('200');
  });

  test('refuses an old timestamp when told to check it', async () => {
    await simulator.close();
    await open({ timestampToleranceMs: { eiotclub: 300_000 } });
    expect(at((await post(recordPath, { iccid })).json, 'code')).toBe('200');
    clock.advance(300_001);
    expect(at((await post(recordPath, { iccid })).json, 'code')).toBe('408');
  });
});

const lowerCaseSign = (body: Params): Params => ({ ...body, sign: String(body.sign).toLowerCase() });
