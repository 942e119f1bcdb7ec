import { createHmac } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { ActionKind, Json, PurchaseOrder } from '../../../../shared/core/action.ts';
import { subjectOf } from '../../../../shared/core/subject.ts';
import { epochMs, minutes, seconds } from '../../../../shared/core/time.ts';
import type { WebhookEvent } from '../../../../shared/core/webhook-event.ts';
import { seededRandom } from '../../../../shared/platform/random.ts';
import { linksfieldCsss } from '../../../../shared/providers/linksfield-csss/linksfield-csss.ts';
import { openCsssApi } from '../../../../shared/providers/linksfield-csss/linksfield-csss-api-client.ts';
import { csssSettingsSchema } from '../../../../shared/providers/linksfield-csss/plans.ts';
import { orderPagesMax } from '../../../../shared/providers/linksfield-csss/profile.ts';
import type { Admit, NamedSecret } from '../../../../shared/providers/provider.ts';
import { Secret } from '../../../../shared/signing/index.ts';
import { anyTime } from '../../../support/any-time.ts';
import { type Answer, type RecordedRequest, startServer } from './recording-server.ts';

const secretText = 'api-secret-0001';
const iccid = '89852022018041800192';
const now = epochMs(1_643_253_530_123);

/** Published reply of orderPackage. Source: seed 002. */
const ordered =
  '{"code":"0000","data":{"sign":null,"order_id":"ORDER_47452122261749760","order_start_date":null,"order_expire_date":null},"message":"成功","success":true}';

interface Setup {
  readonly answer: (request: RecordedRequest, index: number) => Answer;
  readonly settings?: Record<string, unknown>;
  readonly path?: string;
  readonly secrets?: () => Promise<readonly NamedSecret[]>;
  readonly admit?: Admit;
}

async function open({ answer, settings = {}, path = '', secrets, admit }: Setup) {
  const server = await startServer(answer);
  const deps = {
    settings: csssSettingsSchema.parse({
      baseUrl: `${server.baseUrl}${path}`,
      accessCode: 'P000270',
      ...settings,
    }),
    currency: 'USD',
    apiSecrets: secrets ?? (async () => [{ keyId: null, secret: new Secret(secretText) }]),
    now: () => now,
    random: seededRandom(1),
    callTimeout: seconds(5),
    admit: admit ?? (async () => ({ ok: true, release: async () => undefined })),
  };
  const client = linksfieldCsss.createClient(deps);
  onTestFinished(() => client.close());
  return { client, deps, requests: server.requests, server };
}

function json(body: unknown, status = 200): Answer {
  return { status, body: JSON.stringify(body) };
}

function plan(changes: Record<string, Json> = {}) {
  return {
    packageCode: 'DP20190726001274',
    packageName: 'C_M_0_P_中国20M不限速月套餐',
    packageType: '2',
    payAmount: '5.00',
    ...changes,
  };
}

function order(kind: ActionKind, changes: Partial<PurchaseOrder> = {}): PurchaseOrder {
  const subject = subjectOf('linksfield-csss', 'iccid', iccid);
  if (subject === null) throw new Error('the test ICCID must be readable');
  return {
    actionId: 'a1',
    kind,
    subject,
    plan: kind === 'renew' ? { renewPeriod: 1 } : kind === 'order-ota' ? plan({ days: 364 }) : plan(),
    reference: 'abc',
    targetOrderId: kind === 'renew' ? '202107061625560742397' : null,
    maxCost: { amountMinor: 1_000, currency: 'USD' },
    ...changes,
  };
}

/** The test's own reading of the rule: HMAC-SHA1, Base64, over compact sorted JSON of the non-empty parameters. */
function expectedSign(body: Record<string, unknown>): string {
  const kept = Object.entries(body).filter(([name, value]) => name !== 'sign' && value !== '');
  const text = JSON.stringify(Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1))));
  return createHmac('sha1', secretText).update(text).digest('base64');
}

function bodyOf(request: RecordedRequest | undefined): Record<string, unknown> {
  const body: unknown = JSON.parse(request?.bodyText ?? 'null');
  if (typeof body !== 'object' || body === null)
    throw new Error('the request has no JSON object as its body');
  return { ...body };
}

const orderRow = {
  orderCode: 'L201903020000000617',
  orderStatus: '1',
  orderPeriod: '1',
  orderDate: '20190302172719',
  expireDate: '',
  packageCode: 'DP20190726001274',
  flowUseRate: null,
  deviceId: iccid,
  device_id: iccid,
  main_iccid: null,
};

function page(rows: readonly unknown[], changes: Record<string, unknown> = {}): Answer {
  return json({
    code: '0000',
    data: {
      page: { cur_page_no: 1, page_size: 100, total_count: rows.length, total_pages: 1, ...changes },
      sign: 'x',
      package_order: rows,
      package_order_num: rows.length,
    },
    message: 'success',
    success: true,
  });
}

describe('purchase', () => {
  test('orders with the documented fields, headers and sign, in one request', async () => {
    const { client, requests } = await open({ answer: () => ({ status: 200, body: ordered }) });
    expect(await client.purchase(order('order', { plan: plan({ payType: '2' }) }), anyTime)).toEqual({
      kind: 'succeeded',
      providerOrderId: 'ORDER_47452122261749760',
      charge: null,
    });
    expect(requests).toHaveLength(1);
    const [request] = requests;
    const body = bodyOf(request);
    expect(request).toMatchObject({ method: 'POST', path: '/package/orderPackage', query: '' });
    expect(request?.headers).toMatchObject({
      'content-type': 'application/json',
      'accept-language': 'EN-US',
    });
    expect(body).toEqual({
      access_code: 'P000270',
      device_id: iccid,
      global_order: '0',
      is_open: '0',
      order_period: '1',
      package_code: 'DP20190726001274',
      package_name: 'C_M_0_P_中国20M不限速月套餐',
      package_type: '2',
      pay_amount: '5.00',
      pay_rst: '1',
      pay_type: '2',
      test_flow: '0',
      test_flow_flag: '0',
      timestamp: '1643253530',
      version: '2.0',
      sign: expectedSign(body),
    });
  });

  test('orders an OTA plan with its own fields, leaving the empty mcc unsigned', async () => {
    const { client, requests } = await open({
      answer: () =>
        json({
          code: '0000',
          data: { sim_id: iccid, order_id: 'O9', order_time: 'x' },
          message: '',
          success: true,
        }),
    });
    expect(await client.purchase(order('order-ota'), anyTime)).toMatchObject({
      kind: 'succeeded',
      providerOrderId: 'O9',
    });
    const body = bodyOf(requests[0]);
    expect(requests[0]?.path).toBe('/package/createOtaOrder');
    expect(body).toMatchObject({ days: 364, mcc: '', timing_type: '1', is_open: '0', pay_type: '2' });
    expect(body.sign).toBe(expectedSign(body));
  });

  test('renews the order that the event names', async () => {
    const { client, requests } = await open({
      answer: () =>
        json({
          code: '0000',
          data: { order_id: '202107061625560742397', order_expire_date: '2023-12-31 23:59:59', sign: 'x' },
          message: '',
          success: true,
        }),
    });
    expect(await client.purchase(order('renew'), anyTime)).toMatchObject({
      kind: 'succeeded',
      providerOrderId: '202107061625560742397',
    });
    const body = bodyOf(requests[0]);
    expect(requests[0]?.path).toBe('/package/renewPackage');
    expect(body).toEqual({
      order_id: '202107061625560742397',
      renew_period: 1,
      version: '2.0',
      access_code: 'P000270',
      timestamp: '1643253530',
      sign: expectedSign(body),
    });
  });

  test.each([
    ['a dropped connection', 'drop-connection' as Answer, 'unknown'],
    ['half a reply', 'half-a-reply' as Answer, 'unknown'],
    ['500', json({}, 500), 'unknown'],
    ['503 with Retry-After', { status: 503, body: '', headers: { 'retry-after': '1' } }, 'unknown'],
    ['a redirect', { status: 307, body: '', headers: { location: '/package/orderPackage' } }, 'unknown'],
    ['HTML', { status: 200, body: '<html>' }, 'unknown'],
    ['a good reply without an order id', json({ code: '0000', success: true, data: {} }), 'unknown'],
    ['a good reply without data', json({ code: '0000', success: true }), 'unknown'],
    [
      'an order id that is no id',
      json({ code: '0000', success: true, data: { order_id: 'a b' } }),
      'unknown',
    ],
    ['429', { status: 429, body: '', headers: { 'retry-after': '3' } }, 'retryable'],
    ['403', { status: 403, body: '' }, 'refused'],
    ['a refusal', json({ code: '2001', success: false, message: 'device not found' }), 'refused'],
  ])('sends exactly one request when the answer is %s', async (_name, answer, kind) => {
    for (const what of ['order', 'order-ota', 'renew'] as const) {
      const { client, requests } = await open({ answer: () => answer });
      const outcome = await client.purchase(order(what), anyTime);
      expect(outcome.kind).toBe(kind);
      expect(requests).toHaveLength(1);
      expect(JSON.stringify(outcome)).not.toContain(secretText);
    }
  });

  test('leaves the outcome unknown when a good reply is about another order or another SIM', async () => {
    const { client } = await open({
      answer: ({ path }) =>
        json({
          code: '0000',
          success: true,
          message: '',
          data: path.endsWith('renewPackage')
            ? { order_id: 'OTHER' }
            : { order_id: 'O1', sim_id: '89860012018111220455' },
        }),
    });
    expect(await client.purchase(order('renew'), anyTime)).toMatchObject({
      kind: 'unknown',
      code: 'other-identity',
    });
    expect(await client.purchase(order('order-ota'), anyTime)).toMatchObject({
      kind: 'unknown',
      code: 'other-identity',
    });
  });

  test('is retryable when nothing could be sent: server gone, no key, secret store down', async () => {
    const gone = await open({ answer: () => json({}) });
    await gone.server.close();
    expect(await gone.client.purchase(order('order'), anyTime)).toMatchObject({
      kind: 'retryable',
      burnsAttempt: true,
    });
    const none = await open({ answer: () => json({}), secrets: async () => [] });
    expect(await none.client.purchase(order('order'), anyTime)).toMatchObject({
      kind: 'retryable',
      code: 'no-api-key',
    });
    const down = await open({
      answer: () => json({}),
      secrets: () => Promise.reject(new Error(`store down, key ${secretText}`)),
    });
    const outcome = await down.client.purchase(order('order'), anyTime);
    expect(outcome).toMatchObject({ kind: 'retryable', code: 'no-api-key' });
    expect(JSON.stringify(outcome)).not.toContain(secretText);
    expect([...none.requests, ...down.requests]).toEqual([]);
  });

  test.each([
    ['a plan without its package', order('order', { plan: { payAmount: '1' } }), 'invalid-plan'],
    ['a plan with an unknown field', order('order', { plan: plan({ pakageName: 'x' }) }), 'invalid-plan'],
    [
      'an OTA plan that opens at once',
      order('order-ota', { plan: plan({ days: 1, isOpen: '1' }) }),
      'invalid-plan',
    ],
    ['a renewal without an order', order('renew', { targetOrderId: null }), 'no-target-order'],
    [
      'a SIM known by its IMSI',
      order('order', {
        subject: { provider: 'linksfield-csss', idKind: 'imsi', simId: '454030123456789', key: 'k' },
      }),
      'not-an-iccid',
    ],
  ])('sends nothing for %s, and prepare says so before any money is reserved', async (_name, bad, code) => {
    const { client, requests } = await open({ answer: () => json({}) });
    expect(await client.prepare(bad)).toMatchObject({ kind: 'impossible', code });
    expect(await client.purchase(bad, anyTime)).toMatchObject({ kind: 'refused', refusal: 'business', code });
    expect(requests).toEqual([]);
  });

  test('uses the newest key, milliseconds, another language and a path where the stage says so', async () => {
    const { client, requests } = await open({
      answer: () => ({ status: 200, body: ordered }),
      path: '/cube/v4',
      settings: { timestampUnit: 'milliseconds', acceptLanguage: 'zh-CN' },
      secrets: async () => [
        { keyId: null, secret: new Secret(secretText) },
        { keyId: null, secret: new Secret('older-secret') },
      ],
    });
    await client.purchase(order('order'), anyTime);
    const body = bodyOf(requests[0]);
    expect(requests[0]?.path).toBe('/cube/v4/package/orderPackage');
    expect(requests[0]?.headers['accept-language']).toBe('zh-CN');
    expect(body).toMatchObject({ timestamp: '1643253530123', sign: expectedSign(body) });
  });
});

describe('prepare and findPurchase', () => {
  test('asks nothing before an order where the stage spares the look', async () => {
    const settings = { lookBeforeOrder: false, zoneOffsetMinutes: 480 };
    const { client, requests } = await open({ answer: () => page([orderRow]), settings });
    expect(await client.prepare(order('order'))).toEqual({
      kind: 'ready',
      baseline: null,
      quote: { amountMinor: 500, currency: 'USD' },
    });
    expect(requests).toHaveLength(0);
    // A renewal makes no new order, so nothing but a look before it shows that it happened.
    await client.prepare(order('renew'));
    expect(requests).toHaveLength(1);
  });

  test('records every order of the SIM and takes the plan’s amount as the quote', async () => {
    const { client, requests } = await open({ answer: () => page([orderRow]) });
    expect(await client.prepare(order('order'))).toEqual({
      kind: 'ready',
      baseline: { orders: [{ id: 'L201903020000000617', status: '1', expireDate: '', period: '1' }] },
      quote: { amountMinor: 500, currency: 'USD' },
    });
    const body = bodyOf(requests[0]);
    expect(requests[0]?.path).toBe('/package/queryOrder');
    expect(body).toEqual({
      access_code: 'P000270',
      device_id: iccid,
      order_id: '',
      order_status: '',
      order_type: '',
      page_no: 1,
      page_size: 100,
      timestamp: '1643253530',
      version: '2.0',
      sign: expectedSign(body),
    });
  });

  test('needs the order of a renewal among the SIM’s orders, and knows no price for it', async () => {
    const { client } = await open({ answer: () => page([orderRow]) });
    expect(await client.prepare(order('renew'))).toMatchObject({
      kind: 'impossible',
      code: 'order-not-listed',
    });
    const target = order('renew', { targetOrderId: 'L201903020000000617' });
    expect(await client.prepare(target)).toMatchObject({ kind: 'ready', quote: null });
  });

  test('reads all pages, finds the one new order, and spends no purchase on the question', async () => {
    const rows = ['A', 'B', 'NEW'].map((orderCode) => ({ ...orderRow, orderCode, orderDate: '' }));
    const { client, requests } = await open({
      settings: { orderPageSize: 1 },
      answer: (_request, index) =>
        page([rows[index]], { cur_page_no: index + 1, page_size: 1, total_count: 3, total_pages: 3 }),
    });
    const finding = await client.findPurchase({
      order: order('order'),
      baseline: { orders: ['A', 'B'].map((id) => ({ id, status: '1', expireDate: '', period: '1' })) },
      sentWindow: { first: now, last: now },
      lateCommit: minutes(30),
      knownOrderIds: new Set(),
    });
    expect(finding).toMatchObject({ kind: 'found', providerOrderId: 'NEW' });
    expect(requests.map(({ path }) => path)).toEqual(Array(3).fill('/package/queryOrder'));
    expect(requests.map((request) => bodyOf(request).page_no)).toEqual([1, 2, 3]);
  });

  test.each([
    ['a page is lost', (): Answer => 'drop-connection', /./],
    ['the question is refused', () => json({ code: '2001', success: false, message: 'no' }), /2001/],
    ['a row has no order id', () => page([{ ...orderRow, orderCode: undefined }]), /unreadable-data/],
    ['a row is of another SIM', () => page([{ ...orderRow, deviceId: '1', device_id: '1' }]), /other-sim/],
    ['a row names no SIM', () => page([{ ...orderRow, deviceId: null, device_id: null }]), /other-sim/],
    ['the count says that rows are missing', () => page([orderRow], { total_count: 2 }), /records-moved/],
    ['another page comes back', () => page([orderRow], { cur_page_no: 2 }), /other-page/],
    ['the SIM has too many orders', ({ bodyText }: RecordedRequest) => endless(bodyText), /too-many-orders/],
  ])('says that nothing is known when %s', async (_name, answer, code) => {
    const { client, requests } = await open({ answer });
    const query = {
      order: order('order'),
      baseline: { orders: [] },
      sentWindow: { first: now, last: now },
      lateCommit: minutes(30),
      knownOrderIds: new Set<string>(),
    };
    const finding = await client.findPurchase(query);
    expect(finding).toMatchObject({ kind: 'unavailable', code: expect.stringMatching(code) });
    expect(await client.prepare(order('order'))).toMatchObject({ kind: 'unavailable' });
    expect(requests.length).toBeLessThanOrEqual(2 * orderPagesMax);
  });

  test('asks for a slot before each question and gives it back, and takes none for a purchase', async () => {
    const steps: string[] = [];
    const { client } = await open({
      answer: ({ path }) => {
        steps.push(path);
        return path === '/package/queryOrder' ? 'drop-connection' : { status: 200, body: ordered };
      },
      admit: async () => {
        steps.push('admit');
        return { ok: true, release: async () => void steps.push('release') };
      },
    });
    await client.prepare(order('order'));
    await client.purchase(order('order'), anyTime);
    expect(steps).toEqual(['admit', '/package/queryOrder', 'release', '/package/orderPackage']);
  });

  test('asks nothing when no slot is free, and says how long to wait', async () => {
    const { client, requests } = await open({
      answer: () => page([]),
      admit: async () => ({ ok: false, retryAfter: seconds(2), why: 'busy' }),
    });
    const refused = { kind: 'unavailable', code: 'not-admitted', message: 'busy', retryAfter: 2_000 };
    expect(await client.prepare(order('order'))).toEqual(refused);
    expect(await client.listOrders(order('order').subject, null)).toEqual(refused);
    expect(await client.probe()).toMatchObject({ ok: false });
    expect(requests).toEqual([]);
  });

  test('passes the provider’s Retry-After on', async () => {
    const { client } = await open({
      answer: () => ({ status: 429, body: '', headers: { 'retry-after': '9' } }),
    });
    expect(await client.prepare(order('order'))).toMatchObject({ kind: 'unavailable', retryAfter: 9_000 });
  });
});

function endless(bodyText: string): Answer {
  const pageNo = Number(/"page_no":(\d+)/.exec(bodyText)?.[1]);
  return page([{ ...orderRow, orderCode: `L${pageNo}` }], {
    cur_page_no: pageNo,
    total_count: 900,
    total_pages: 9,
  });
}

describe('confirm, listOrders, probe and the other calls', () => {
  function event(orderId: string): WebhookEvent {
    return {
      eventId: 'e1',
      provider: 'linksfield-csss',
      providerType: '1008',
      facts: {
        kind: 'order-status',
        status: 'expired',
        order: { orderId, reference: null, packageCode: null },
      },
      subject: subjectOf('linksfield-csss', 'iccid', iccid),
      proof: { kind: 'unsigned', why: 'no header' },
      occurredAt: null,
      receivedAt: now,
      correlationId: 'c1',
      callbackId: 'cb1',
    };
  }

  test('confirms an expiry that the records show, and asks nothing for an event without a SIM', async () => {
    const { client, requests } = await open({
      answer: () => page([{ ...orderRow, orderStatus: '2', expireDate: '2022-01-26 00:00:00' }]),
    });
    expect(await client.confirm(event('L201903020000000617'))).toMatchObject({ kind: 'confirmed' });
    expect(await client.confirm(event('FORGED'))).toMatchObject({ kind: 'unavailable' });
    const asked = requests.length;
    expect(await client.confirm({ ...event('x'), subject: null })).toMatchObject({ code: 'no-sim' });
    expect(requests).toHaveLength(asked);
  });

  test('lists orders page by page', async () => {
    const { client, requests } = await open({
      answer: () => page([orderRow], { total_count: 200, total_pages: 2 }),
    });
    expect(await client.listOrders(order('order').subject, null)).toEqual({
      kind: 'page',
      orders: [
        {
          orderId: 'L201903020000000617',
          reference: null,
          simId: iccid,
          packageCode: 'DP20190726001274',
          stateCode: '1',
          phase: 'waiting',
          createdAtText: '20190302172719',
          createdAt: null,
          endsAtText: '',
          endsAt: null,
          price: null,
          refunded: false,
          told: null,
        },
      ],
      nextCursor: '2',
    });
    expect(requests).toHaveLength(1);
    expect(await client.listOrders(order('order').subject, 'x')).toMatchObject({ code: 'bad-cursor' });
  });

  test('probes with one harmless question', async () => {
    const good = await open({ answer: () => page([], { total_count: 105, total_pages: 105 }) });
    expect(await good.client.probe()).toEqual({ ok: true, detail: '105 orders in the account' });
    expect(bodyOf(good.requests[0])).toMatchObject({ device_id: '', page_size: 1 });
    const bad = await open({ answer: () => json({ code: '4100', success: false, message: '签名错误' }) });
    expect(await bad.client.probe()).toEqual({ ok: false, detail: '4100: 签名错误' });
  });

  test('reads the remaining calls, with large numbers as they stand', async () => {
    const replies: Record<string, string> = {
      '/package/batchOrderPackages': `{"device_order":[{"error":"0000","errorMsg":"success","order_id":8944538532008160222,"device_id":${iccid}}]}`,
      '/flow/queryDeviceFlowUsage': `{"device_id":"${iccid}","order_code":"L1","order_used_flow":"0","high_flow_balance":"0","sign":"x"}`,
      '/flow/getInfoByDeviceId': '{"imsi":454030123456789}',
      '/device/syncAssetInfo': `[{"assetId":${iccid},"lifeCycle":2}]`,
    };
    const { deps, requests } = await open({
      answer: ({ path }) => ({
        status: 200,
        body: `{"code":"0000","success":true,"message":null,"data":${replies[path]}}`,
      }),
    });
    const api = openCsssApi(deps);
    onTestFinished(() => api.close());
    const { payAmount: _unused, ...fields } = plan();
    const batch = {
      deviceList: [iccid],
      package_code: fields.packageCode,
      package_name: fields.packageName,
      package_type: '2',
      order_period: '1',
      is_open: '0',
      global_order: '0',
      pay_rst: '1',
      test_flow: '0',
      test_flow_flag: '0',
    };
    expect(await api.batchOrderPackages(batch, anyTime)).toMatchObject({
      kind: 'done',
      data: { device_order: [{ order_id: '8944538532008160222', device_id: iccid }] },
    });
    expect(await api.queryDeviceFlowUsage({ device_id: iccid })).toMatchObject({
      data: { order_code: 'L1' },
    });
    expect(await api.getInfoByDeviceId({ device_id: iccid })).toMatchObject({
      data: { imsi: '454030123456789' },
    });
    expect(await api.syncAssetInfo()).toMatchObject({ data: [{ assetId: iccid, lifeCycle: '2' }] });
    for (const request of requests) expect(bodyOf(request).sign).toBe(expectedSign(bodyOf(request)));
    expect(bodyOf(requests[0]).deviceList).toEqual([iccid]);
  });
});

describe('purchase of several SIMs in one call', () => {
  const iccids = [iccid, '89852022018041800200', '89852022018041800218'] as const;
  const orders = iccids.map((simId, i) => {
    const subject = subjectOf('linksfield-csss', 'iccid', simId);
    if (subject === null) throw new Error('the test ICCID must be readable');
    return order('order', { actionId: `a${i}`, subject });
  });
  const row = (device_id: string, changes: Record<string, unknown> = {}) => ({
    error: '0000',
    errorMsg: 'success',
    order_id: `O-${device_id.slice(-3)}`,
    device_id,
    order_start_date: null,
    order_expire_date: null,
    ...changes,
  });
  const rows = (...device_order: readonly unknown[]): Answer =>
    json({ code: '0000', success: true, message: '', data: { device_order } });
  const buy = async (answer: Answer, settings: Record<string, unknown> = {}) => {
    const { client, requests } = await open({ answer: () => answer, settings });
    if (client.purchaseTogether === null) throw new Error('CSSS takes several SIMs in one call');
    return { outcomes: await client.purchaseTogether(orders, anyTime), requests };
  };

  test('sends one signed request with every SIM and the plan of them all', async () => {
    const { outcomes, requests } = await buy(rows(...iccids.map((simId) => row(simId))));
    expect(outcomes).toEqual(
      iccids.map((simId) => ({ kind: 'succeeded', providerOrderId: `O-${simId.slice(-3)}`, charge: null })),
    );
    expect(requests).toHaveLength(1);
    expect(requests[0]?.path).toBe('/package/batchOrderPackages');
    const body = bodyOf(requests[0]);
    expect(body).toMatchObject({ deviceList: iccids, package_code: 'DP20190726001274', pay_amount: '5.00' });
    expect(body).not.toHaveProperty('device_id');
    expect(body.sign).toBe(expectedSign(body));
  });

  test('lays each row on its SIM, whatever the order of the rows', async () => {
    const [a, b, c] = iccids;
    const refused = { error: '2001', errorMsg: 'device not found', order_id: null };
    const { outcomes } = await buy(rows(row(c), row(b, refused), row(a)));
    expect(outcomes).toMatchObject([
      { kind: 'succeeded', providerOrderId: `O-${a.slice(-3)}` },
      { kind: 'refused', refusal: 'business', code: '2001' },
      { kind: 'succeeded', providerOrderId: `O-${c.slice(-3)}` },
    ]);
  });

  test.each([
    ['has no row', []],
    ['has two rows', [row(iccid), row(iccid, { order_id: 'O-other' })]],
    ['has no order number', [row(iccid, { order_id: null })]],
    ['has an order number that is none', [row(iccid, { order_id: 'a b' })]],
    ['shares its order number with another SIM', [row(iccid, { order_id: 'O-200' })]],
    ['is refused in words that could mean anything', [row(iccid, { error: '2009', errorMsg: 'duplicate' })]],
  ])('leaves only the SIM unknown that %s', async (_name, own) => {
    const { outcomes } = await buy(rows(...own, row(iccids[1]), row(iccids[2])));
    expect(outcomes[0]).toMatchObject({ kind: 'unknown' });
    expect(outcomes[2]).toMatchObject({ kind: 'succeeded' });
  });

  test.each([
    ['a dropped connection', 'drop-connection' as Answer, 'unknown'],
    ['500', { status: 500, body: '' }, 'unknown'],
    ['a good reply without rows', json({ code: '0000', success: true, data: {} }), 'unknown'],
    ['429', { status: 429, body: '', headers: { 'retry-after': '3' } }, 'retryable'],
    ['403', { status: 403, body: '' }, 'refused'],
    // It may be about one SIM only, and the others may have been ordered.
    ['a refusal', json({ code: '2001', success: false, message: 'device not found' }), 'unknown'],
    ['an empty wallet', json({ code: '3001', success: false, message: 'balance is not enough' }), 'unknown'],
    ['a missing right', json({ code: '4001', success: false, message: 'permission denied' }), 'unknown'],
  ])(
    'sends one request and says the same of every SIM when the answer is %s',
    async (_name, answer, kind) => {
      const { outcomes, requests } = await buy(answer);
      expect(outcomes.map((outcome) => outcome.kind)).toEqual([kind, kind, kind]);
      expect(requests).toHaveLength(1);
      expect(JSON.stringify(outcomes)).not.toContain(secretText);
    },
  );

  test('takes a row’s code as the stage explains it', async () => {
    const unclear = row(iccid, { error: '2009', errorMsg: 'duplicate', order_id: null });
    const { outcomes } = await buy(rows(unclear, row(iccids[1]), row(iccids[2])), {
      replyCodes: { '2009': 'business' },
    });
    expect(outcomes[0]).toMatchObject({ kind: 'refused', refusal: 'business' });
  });

  test('refuses to mix plans: that would be our own mistake', async () => {
    const { client } = await open({ answer: () => rows() });
    const [first] = orders;
    if (first === undefined) throw new Error('there are orders');
    const other = { ...first, plan: plan({ payAmount: '6.00' }) };
    await expect(client.purchaseTogether?.([first, other], anyTime)).rejects.toThrow('one plan');
  });

  test('sends nothing once it is too late', async () => {
    const { client, requests } = await open({ answer: () => rows() });
    const outcomes = await client.purchaseTogether?.(orders, epochMs(now - 1));
    expect(outcomes).toMatchObject([{ kind: 'retryable', code: 'too-late' }, {}, {}]);
    expect(requests).toHaveLength(0);
  });
});

describe('settings and plans', () => {
  const parse = (value: unknown) => csssSettingsSchema.safeParse(value).success;

  test('have the documented address and the majority reading as defaults', () => {
    expect(csssSettingsSchema.parse({ accessCode: 'P000270' })).toEqual({
      baseUrl: 'https://apiv3.linksfield.net',
      accessCode: 'P000270',
      timestampUnit: 'seconds',
      acceptLanguage: 'EN-US',
      signing: { keyOrder: 'sorted', dropEmpty: true, quoteNumbers: false, nestedKeys: 'as-given' },
      orderPageSize: 100,
      zoneOffsetMinutes: null,
      lookBeforeOrder: true,
      replyCodes: {},
    });
  });

  test('spare the look before an order only with a known zone', () => {
    const spared = { accessCode: 'P1', lookBeforeOrder: false };
    expect(parse(spared)).toBe(false);
    expect(parse({ ...spared, zoneOffsetMinutes: 480 })).toBe(true);
  });

  test.each([
    {},
    { accessCode: '' },
    { accessCode: 'P', baseUrl: 'http://example.com' },
    { accessCode: 'P', timestampUnit: 'minutes' },
    { accessCode: 'P', apiSecret: 'x' },
    { accessCode: 'P', replyCodes: { '0000': 'business' } },
  ])('refuse %j', (value) => {
    expect(parse(value)).toBe(false);
  });

  test.each([
    ['order', { ...plan(), payAmount: '5.001' }],
    ['order', { ...plan(), payAmount: 5 }],
    ['order', { ...plan(), packageType: '9' }],
    ['order', { ...plan(), orderPeriod: '0' }],
    ['order-ota', plan()],
    ['order-ota', plan({ days: 0 })],
    ['renew', { renewPeriod: 0 }],
    ['renew', { renewPeriod: 1, extra: 1 }],
  ] as const)('refuse the %s plan %j', (kind, value) => {
    expect(linksfieldCsss.planSchemas[kind]?.safeParse(value).success).toBe(false);
  });
});
