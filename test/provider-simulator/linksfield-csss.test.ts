import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createManualClock, type ManualClock } from './clock.ts';
import { createSimulator, type Simulator, type SimulatorOptions } from './simulator.ts';
import { at, csssBody, kindsOf, listAt, type Params, postCsss, postJson } from './test-client.ts';

const iccid = '89852022018041800192';
/** 2022-01-27 03:18:50 UTC, 11:18:50 in Beijing: the timestamp of seed 002. */
const startMs = 1_643_253_530_000;

const order: Params = {
  device_id: iccid,
  global_order: '0',
  is_open: '0',
  order_period: '1',
  package_code: 'DP20190726001274',
  package_name: 'C_M_0_P_中国20M不限速月套餐',
  package_type: '2',
  pay_amount: '0',
  pay_rst: '1',
  pay_type: '2',
  test_flow: '0',
  test_flow_flag: '0',
};
const query: Params = {
  device_id: '',
  order_id: '',
  order_status: '',
  order_type: '',
  page_no: 1,
  page_size: 2,
};

let clock: ManualClock;
let simulator: Simulator;

async function open(options: SimulatorOptions = {}): Promise<void> {
  clock = createManualClock(startMs);
  simulator = await createSimulator({ clock, ...options });
  simulator.addSim({ provider: 'linksfield-csss', simId: iccid, imsi: '454001234567890' });
  await simulator.listen();
}

const post = (path: string, params: Params) => postCsss(simulator.url, path, params);
const buy = async (more: Params = {}) => (await post('/package/orderPackage', { ...order, ...more })).json;
const rows = async (more: Params = {}) =>
  listAt(
    (await post('/package/queryOrder', { ...query, page_size: 100, ...more })).json,
    'data.package_order',
  );

beforeEach(() => open());
afterEach(() => simulator.close());

/** The 22 fields of one order, with the kinds of the seed's example. */
const orderFields = [
  ['buyType', 'string'],
  ['expireDate', 'string'],
  ['flow', 'string'],
  ['orderCode', 'string'],
  ['orderStatus', 'string'],
  ['orderDate', 'string'],
  ['orderPeriod', 'string'],
  ['packageCode', 'string'],
  ['packageName', 'string'],
  ['packageType', 'string'],
  ['usedFlow', 'string'],
  ['flowUseRate', 'null'],
  ['orderUsedFlow', 'string'],
  ['supplierCode', 'null'],
  ['refuelingPackageList', 'array'],
  ['hasTestFlow', 'string'],
  ['profileList', 'null'],
  ['isFlowPlus', 'null'],
  ['deviceId', 'string'],
  ['device_id', 'string'],
  ['activeDate', 'string'],
  ['main_iccid', 'null'],
];

describe.each([
  ['seed 000', ''],
  ['seed 001, under the Cube host', '/cube/v4'],
])('queryOrder: %s', (_seed, prefix) => {
  test('answers 22 fields an order, with the names and kinds of the seed', async () => {
    for (let n = 0; n < 3; n += 1) await buy();
    const reply = await postCsss(simulator.url, `${prefix}/package/queryOrder`, query);
    expect(reply.status).toBe(200);
    const envelope = { code: 'string', data: 'object', message: 'string', success: 'boolean' };
    expect(kindsOf(reply.json)).toEqual(envelope);
    expect(reply.json).toMatchObject({ code: '0000', message: '成功', success: true });
    expect(kindsOf(at(reply.json, 'data'))).toEqual({
      page: 'object',
      sign: 'string',
      package_order: 'array',
      package_order_num: 'integer',
    });
    expect(at(reply.json, 'data.page')).toEqual({
      cur_page_no: 1,
      page_size: 2,
      total_count: 3,
      total_pages: 2,
    });
    expect(at(reply.json, 'data.package_order_num')).toBe(2);
    const first = at(reply.json, 'data.package_order.0');
    expect(Object.entries(kindsOf(first))).toEqual(orderFields);
    expect(first).toMatchObject({
      buyType: '2',
      expireDate: '',
      activeDate: '',
      flow: '20',
      orderStatus: '1',
      orderDate: '20220127111850',
      orderPeriod: '1',
      packageCode: 'DP20190726001274',
      packageType: '2',
      usedFlow: '0',
      deviceId: iccid,
      device_id: iccid,
    });
  });
});

describe('queryOrder filters and pages', () => {
  const other = '89852022018041800193';
  let first: unknown;
  beforeEach(async () => {
    simulator.addSim({ provider: 'linksfield-csss', simId: other });
    first = at(await buy(), 'data.order_id');
    clock.advance(1_000);
    await buy({ is_open: '1' });
    await buy({ device_id: other, package_code: 'DP20201218003915' });
  });

  test.each([
    ['device_id', { device_id: other }, ['1']],
    ['order_status', { order_status: '2' }, ['2']],
    ['order_type', { order_type: '1' }, ['1']],
    ['nothing', {}, ['1', '2', '1']],
    ['page 2 of 2', { page_no: 2, page_size: 2 }, ['1']],
    ['a page past the end', { page_no: 9 }, []],
    ['an unknown SIM', { device_id: '89852022018041800999' }, []],
  ])('by %s', async (_name, filter, expected) => {
    expect((await rows(filter)).map((row) => at(row, 'orderStatus'))).toEqual(expected);
  });

  test('by order_id', async () => {
    expect((await rows({ order_id: first })).map((row) => at(row, 'orderCode'))).toEqual([first]);
  });

  test('shows an order ended as status 3, with its dates', async () => {
    const started = simulator.orders()[1]?.orderId ?? '';
    clock.advance(5_000);
    simulator.expireOrder(started);
    const [row] = await rows({ order_id: started });
    expect(row).toMatchObject({
      orderStatus: '3',
      activeDate: '20220127111851',
      expireDate: '20220127111856',
    });
  });
});

describe('seed 002, orderPackage', () => {
  test('answers the fields and kinds of the seed to its example request', async () => {
    const reply = await buy();
    expect(kindsOf(reply)).toEqual({
      code: 'string',
      data: 'object',
      message: 'string',
      success: 'boolean',
    });
    expect(Object.entries(kindsOf(at(reply, 'data')))).toEqual([
      ['sign', 'null'],
      ['order_id', 'string'],
      ['order_start_date', 'null'],
      ['order_expire_date', 'null'],
    ]);
    expect(at(reply, 'data.order_id')).toMatch(/^ORDER_\d{17}$/);
    expect(simulator.orders()).toMatchObject([
      { kind: 'order', simId: iccid, priceMinor: 300, currency: 'CNY', orderId: at(reply, 'data.order_id') },
    ]);
  });

  test('says success in English when asked', async () => {
    const reply = await postJson(`${simulator.url}/package/orderPackage`, csssBody(order), {
      'accept-language': 'EN-US',
    });
    expect(at(reply.json, 'message')).toBe('success');
  });

  test('dates an order that is opened at once', async () => {
    expect(at(await buy({ is_open: '1' }), 'data')).toMatchObject({
      order_start_date: '2022-01-27 11:18:50',
      order_expire_date: '2022-02-26 11:18:50',
    });
  });

  test('buys twice for the same body: there is no idempotency key', async () => {
    await buy();
    await buy();
    expect(simulator.orders()).toHaveLength(2);
  });

  test.each(Object.keys(order).filter((name) => name !== 'pay_type'))(
    'refuses a body without %s',
    async (name) => {
      const { [name]: _left, ...rest } = order;
      const reply = await post('/package/orderPackage', rest);
      expect(reply.json).toMatchObject({ code: '1001', data: null, success: false });
      expect(simulator.orders()).toEqual([]);
    },
  );

  test.each([
    ['order_period as a number', { order_period: 1 }, '1001'],
    ['is_open as a boolean', { is_open: true }, '1001'],
    ['pay_amount with three decimals', { pay_amount: '1.234' }, '1001'],
    ['an unknown SIM', { device_id: '89852022018041800999' }, '2001'],
    ['an unknown package', { package_code: 'NONE' }, '2002'],
  ])('refuses %s', async (_name, more, code) => {
    expect(await buy(more)).toMatchObject({ code, success: false });
    expect(simulator.orders()).toEqual([]);
  });

  test('refuses is_open 1 on an OTA SIM, and any order that the wallet cannot pay', async () => {
    simulator.addSim({ provider: 'linksfield-csss', simId: iccid, ota: true });
    expect(at(await buy({ is_open: '1' }), 'code')).toBe('2005');
    simulator.setBalance('linksfield-csss', 599);
    expect(at(await buy({ order_period: '2' }), 'code')).toBe('2006');
    expect(simulator.orders()).toEqual([]);
  });
});

describe('seed 003, createOtaOrder', () => {
  const simId = '89852202101130001670';
  /** Byte for byte the seed's example, with its `\u4e2d` escapes; only timestamp and sign are new. */
  const ota: Params = {
    device_id: simId,
    global_order: '0',
    is_open: '0',
    order_period: '1',
    package_code: 'DP20201218003915',
    package_name: 'T_T_T_0_P_S_\u4e2d\u56fd100G/365\u5929\u5957\u9910',
    package_type: '1',
    pay_amount: '0',
    pay_rst: '1',
    pay_type: '2',
    test_flow: '0',
    test_flow_flag: '0',
    mcc: '',
    days: 364,
    timing_type: '1',
  };
  beforeEach(async () => {
    await simulator.close();
    await open({ accounts: { csss: { accessCode: 'QY-000001' } } });
    simulator.addSim({ provider: 'linksfield-csss', simId, ota: true });
  });
  const buyOta = (more: Params = {}) =>
    post('/package/createOtaOrder', { ...ota, access_code: 'QY-000001', ...more });

  test('answers the fields and kinds of the seed, and the order shows in queryOrder', async () => {
    const reply = await buyOta();
    expect(Object.entries(kindsOf(at(reply.json, 'data')))).toEqual([
      ['sim_id', 'string'],
      ['order_id', 'string'],
      ['order_time', 'string'],
    ]);
    expect(at(reply.json, 'data')).toMatchObject({ sim_id: simId, order_time: '2022-01-27 11:18:50' });
    const found = await rows({ access_code: 'QY-000001', device_id: simId });
    expect(found.map((row) => at(row, 'orderCode'))).toEqual([at(reply.json, 'data.order_id')]);
    expect(simulator.orders()).toMatchObject([{ kind: 'order-ota', priceMinor: 9_900 }]);
  });

  test('takes a body whose Chinese is escaped: the sign covers the text, not the spelling', async () => {
    const body = JSON.stringify(csssBody({ ...ota, access_code: 'QY-000001' }));
    const escaped = body.replaceAll(
      /[^\x20-\x7e]/g,
      (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
    expect(escaped).toContain('\\u4e2d');
    const headers = { 'content-type': 'application/json' };
    const reply = await fetch(`${simulator.url}/package/createOtaOrder`, {
      method: 'POST',
      headers,
      body: escaped,
    });
    expect(at(await reply.json(), 'code')).toBe('0000');
  });

  test.each([
    ['days as text', { days: '364' }],
    ['no timing_type', { timing_type: undefined }],
    ['no pay_type', { pay_type: undefined }],
  ])('refuses %s', async (_name, more) => {
    expect(at((await buyOta(more)).json, 'code')).toBe('1001');
  });
});

describe('batchOrderPackages', () => {
  const batch = (deviceList: readonly string[]) => {
    const { device_id: _one, ...rest } = order;
    return post('/package/batchOrderPackages', { ...rest, deviceList });
  };

  test('answers a row a SIM, and refuses the unfit one alone', async () => {
    const reply = await batch([iccid, '89852022018041800999']);
    const [good, bad] = listAt(reply.json, 'data.device_order');
    expect(Object.keys(kindsOf(good)).sort()).toEqual(
      ['error', 'errorMsg', 'order_id', 'device_id', 'order_start_date', 'order_expire_date'].sort(),
    );
    expect(good).toMatchObject({ error: '0000', errorMsg: 'success', device_id: iccid });
    expect(bad).toMatchObject({ error: '2001', order_id: null });
    expect(simulator.orders().map((purchase) => purchase.simId)).toEqual([iccid]);
    expect(await rows()).toHaveLength(1);
  });

  test('refuses an empty list', async () => {
    expect(at((await batch([])).json, 'code')).toBe('1001');
  });
});

describe('renewPackage', () => {
  const renew = (params: Params) => post('/package/renewPackage', params);

  test('lengthens an order that runs, repeats the sign, and counts as a purchase', async () => {
    const orderId = at(await buy({ is_open: '1' }), 'data.order_id');
    const body = csssBody({ order_id: orderId, renew_period: 2 });
    const reply = await postJson(`${simulator.url}/package/renewPackage`, body);
    expect(at(reply.json, 'data')).toEqual({
      order_id: orderId,
      order_expire_date: '2022-04-27 11:18:50',
      sign: body.sign,
    });
    expect(await rows()).toMatchObject([{ orderPeriod: '3', expireDate: '20220427111850' }]);
    expect(simulator.orders()).toMatchObject([
      { kind: 'order' },
      { kind: 'renew', orderId, priceMinor: 600 },
    ]);
  });

  test('lengthens an order that waits, which has no end yet', async () => {
    const orderId = at(await buy(), 'data.order_id');
    const reply = await renew({ order_id: orderId, renew_period: 1 });
    expect(at(reply.json, 'data.order_expire_date')).toBe('');
    expect(await rows()).toMatchObject([{ orderPeriod: '2' }]);
  });

  test.each([
    ['renew_period as text', { renew_period: '1' }, '1001'],
    ['an unknown order', { order_id: 'ORDER_1', renew_period: 1 }, '2003'],
  ])('refuses %s', async (_name, params, code) => {
    const orderId = at(await buy(), 'data.order_id');
    expect(at((await renew({ order_id: orderId, ...params })).json, 'code')).toBe(code);
    expect(simulator.orders({ kind: 'renew' })).toEqual([]);
  });

  test('refuses an order that has ended, or that the wallet cannot pay', async () => {
    const orderId = String(at(await buy({ is_open: '1' }), 'data.order_id'));
    simulator.setBalance('linksfield-csss', 299);
    expect(at((await renew({ order_id: orderId, renew_period: 1 })).json, 'code')).toBe('2006');
    clock.advance(31 * 86_400_000);
    expect(at((await renew({ order_id: orderId, renew_period: 1 })).json, 'code')).toBe('2004');
    expect(simulator.orders({ kind: 'renew' })).toEqual([]);
  });
});

describe('SIMs and usage', () => {
  test('lists only SIMs with a plan in use, 8 fields each', async () => {
    expect(at((await post('/device/syncAssetInfo', {})).json, 'data')).toEqual([]);
    await buy({ is_open: '1' });
    const [row] = listAt((await post('/device/syncAssetInfo', {})).json, 'data');
    expect(Object.keys(kindsOf(row))).toHaveLength(8);
    expect(row).toMatchObject({ assetId: iccid, lifeCycle: '2' });
  });

  test('reports usage of the current order cycle and what is left', async () => {
    const orderId = String(at(await buy({ is_open: '1' }), 'data.order_id'));
    simulator.setUsage(orderId, 7 * 1024 * 1024);
    expect(at((await post('/flow/queryDeviceFlowUsage', { device_id: iccid })).json, 'data')).toEqual({
      device_id: iccid,
      order_code: orderId,
      order_used_flow: '7',
      high_flow_balance: '13',
      sign: null,
    });
    const info = await post('/flow/getInfoByDeviceId', { device_id: iccid });
    expect(at(info.json, 'data')).toMatchObject({ imsi: '454001234567890', remain_flow: '13' });
  });

  test('makes an unknown SIM when told to', async () => {
    await simulator.close();
    await open({ unknownSims: 'create' });
    expect(at(await buy({ device_id: '89852022018041800555' }), 'code')).toBe('0000');
  });
});

describe('the door', () => {
  const path = '/package/queryOrder';
  test.each([
    ['a wrong secret', () => csssBody(query, 'other'), '1002'],
    ['a field changed after signing', () => ({ ...csssBody(query), page_no: 2 }), '1002'],
    ['an unknown access_code', () => csssBody({ ...query, access_code: 'P999999' }), '1003'],
    ['version 1.0', () => csssBody({ ...query, version: '1.0' }), '1001'],
    ['a timestamp as a number', () => csssBody({ ...query, timestamp: 1_643_253_530 }), '1001'],
    ['a hex sign', () => ({ ...csssBody(query), sign: 'a'.repeat(40) }), '1001'],
    ['no page_size', () => csssBody({ page_no: 1 }), '1001'],
    ['page_size as text', () => csssBody({ ...query, page_size: '2' }), '1001'],
  ])('refuses %s', async (_name, body, code) => {
    const reply = await postJson(`${simulator.url}${path}`, body());
    expect(reply.json).toMatchObject({ code, data: null, success: false });
    expect(simulator.requests({ provider: 'linksfield-csss' })).toMatchObject([
      { verdict: 'rejected', code },
    ]);
  });

  test('takes a timestamp in milliseconds as well, and refuses an old one when told to', async () => {
    await simulator.close();
    await open({ timestampToleranceMs: { 'linksfield-csss': 60_000 } });
    expect(at((await post(path, { ...query, timestamp: String(startMs) })).json, 'code')).toBe('0000');
    clock.advance(60_001);
    expect(at((await post(path, query)).json, 'code')).toBe('1004');
  });

  test('answers 429 above the rate limit', async () => {
    await simulator.close();
    await open({ rateLimits: { 'linksfield-csss': { perSec: 1 } } });
    expect((await post(path, query)).status).toBe(200);
    const limited = await post(path, query);
    expect([limited.status, at(limited.json, 'success')]).toEqual([429, false]);
  });
});
