import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { PurchaseOrder } from '../../../../shared/core/action.ts';
import { type SimIdKind, type Subject, subjectOf } from '../../../../shared/core/subject.ts';
import { epochMs, milliseconds, minutes } from '../../../../shared/core/time.ts';
import type { EventFacts, WebhookEvent } from '../../../../shared/core/webhook-event.ts';
import { seededRandom } from '../../../../shared/platform/random.ts';
import { eiotclub } from '../../../../shared/providers/eiotclub/eiotclub.ts';
import { openEiotclubApi } from '../../../../shared/providers/eiotclub/eiotclub-api-client.ts';
import type { EiotclubSettings } from '../../../../shared/providers/eiotclub/plans.ts';
import { detailsStatesMax, recordPagesMax } from '../../../../shared/providers/eiotclub/profile.ts';
import type { ClientDeps, OpenClient } from '../../../../shared/providers/provider.ts';
import { Secret } from '../../../../shared/signing/index.ts';
import { anyTime } from '../../../support/any-time.ts';
import { type FaultServer, type ReceivedRequest, replyBytes, startFaultServer } from '../fault-server.ts';
import { signByHand } from './sign-by-hand.ts';

const now = epochMs(Date.UTC(2026, 10, 22, 12, 0, 0, 999));
const secretText = 'test-secret-not-real';
const iccid = '8988308650104486856';
const reference = '0123456789abcdef0123456789abcdef';

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

type Answer = string | object | ((socket: Socket) => void);
interface Service {
  readonly server: FaultServer;
  readonly client: OpenClient;
  readonly bodies: () => readonly Record<string, string | number>[];
}

/** Answers each request from `answer`, given its path and body; objects go out as JSON with HTTP 200. */
async function serve(
  answer: (path: string, body: Record<string, string | number>, index: number) => Answer,
  changed: Partial<EiotclubSettings> = {},
  deps: Partial<ClientDeps<EiotclubSettings>> = {},
): Promise<Service> {
  const server = await startFaultServer({
    onRequest: (request, socket, index) => {
      const reply = answer(request.path, parsed(request), index);
      if (typeof reply === 'function') reply(socket);
      else socket.end(typeof reply === 'string' ? reply : replyBytes(200, JSON.stringify(reply)));
    },
  });
  opened.push(server);
  const client = eiotclub.createClient({ ...depsFor(server.baseUrl, changed), ...deps });
  opened.push(client);
  return { server, client, bodies: () => server.requests.map(parsed) };
}

function depsFor(baseUrl: string, changed: Partial<EiotclubSettings> = {}): ClientDeps<EiotclubSettings> {
  return {
    settings: eiotclub.settingsSchema.parse({ baseUrl, ...changed }),
    currency: 'USD',
    apiSecrets: async () => [
      { keyId: '000001', secret: new Secret(secretText) },
      { keyId: 'old', secret: new Secret('older-secret') },
    ],
    now: () => now,
    random: seededRandom(7),
    callTimeout: milliseconds(2_000),
    admit: async () => ({ ok: true, release: async () => undefined }),
  };
}

function parsed(request: ReceivedRequest): Record<string, string | number> {
  return JSON.parse(request.body);
}

function subject(kind: SimIdKind = 'iccid', id = iccid): Subject {
  const found = subjectOf('eiotclub', kind, id);
  if (found === null) throw new Error('the test needs a readable SIM');
  return found;
}

const order: PurchaseOrder = {
  actionId: 'act-1',
  kind: 'order',
  subject: subject(),
  plan: { packageCode: 'PKG001' },
  reference,
  targetOrderId: null,
  maxCost: { amountMinor: 1_000, currency: 'USD' },
};
const query = {
  order,
  baseline: null,
  sentWindow: { first: now, last: now },
  lateCommit: minutes(10),
  knownOrderIds: new Set<string>(),
};
const record = (changed: object = {}) => ({
  orderId: 10004996,
  packageName: '1GB',
  packageCode: 'PKG001',
  iccid,
  state: 1,
  price: 2.3,
  currency: 'USD',
  createDate: '2026-11-20 10:00:00',
  updateDate: '2026-11-21 10:00:00',
  startDate: '2026-11-20 10:00:00',
  endDate: '2026-12-20 10:00:00',
  flowTotal: 1024,
  flowRemain: 50,
  flowUsageBytes: 974 * 1_048_576,
  isRefund: 0,
  renew: 0,
  outTradeNo: reference,
  ...changed,
});
const ok = (data: unknown, more: object = {}) => ({ code: '200', message: 'ok', data, ...more });
const page = (rows: readonly unknown[], total = rows.length) => ok(rows, { total });

describe('the paid request', () => {
  it('carries every field and the signature of the newest key, once', async () => {
    const { server, client, bodies } = await serve(() => ok({ orderId: 10004996, outTradeNo: reference }));
    expect(await client.purchase({ ...order, kind: 'renew' }, anyTime)).toEqual({
      kind: 'succeeded',
      providerOrderId: '10004996',
      charge: null,
    });
    expect(server.requests).toHaveLength(1);
    expect(server.requests[0]).toMatchObject({ method: 'POST', path: '/api/v3/package/orderPackage' });
    expect(server.requests[0]?.headers).toMatchObject({
      'content-type': 'application/json;charset=utf-8',
      accept: 'application/json',
    });
    const [body = {}] = bodies();
    const { sign, nonce, ...rest } = body;
    expect(rest).toEqual({
      iccid,
      packageCode: 'PKG001',
      outTradeNo: reference,
      renew: 1,
      appkey: '000001',
      timestamp: Date.UTC(2026, 10, 22, 12) / 1_000,
    });
    expect(nonce).toBeGreaterThanOrEqual(10_000);
    expect(nonce).toBeLessThanOrEqual(99_999);
    expect(sign).toBe(signByHand(body, secretText));
  });

  it('sends renew for renewals only, and only when the stage wants it', async () => {
    const without = await serve(() => ok({}), { sendRenewFlag: false });
    await without.client.purchase({ ...order, kind: 'renew' }, anyTime);
    const plain = await serve(() => ok({}));
    await plain.client.purchase(order, anyTime);
    for (const { bodies } of [without, plain]) expect(bodies()[0]).not.toHaveProperty('renew');
  });

  it('takes the appkey from the settings before the key id', async () => {
    const { client, bodies } = await serve(() => ok({}), { appkey: 'from-settings' });
    await client.purchase(order, anyTime);
    expect(bodies()[0]).toMatchObject({ appkey: 'from-settings' });
  });

  it('sends the same outTradeNo in every attempt', async () => {
    const { client, bodies } = await serve((_, __, index) => (index === 0 ? { code: 500 } : ok({})));
    await client.purchase(order, anyTime);
    await client.purchase(order, anyTime);
    expect(bodies().map((body) => body.outTradeNo)).toEqual([reference, reference]);
  });

  it.each([
    ['an object', { orderId: 7 }, '7', null],
    [
      'an object with a number beyond 2^53',
      '{"code":"200","data":{"orderId":9007199254740993}}',
      '9007199254740993',
      null,
    ],
    ['another name', { orderNumber: 'N-7' }, 'N-7', null],
    [
      'one row',
      [{ orderId: '7', price: 12.3, currency: 'usd' }],
      '7',
      { amountMinor: 1_230, currency: 'USD' },
    ],
    ['several rows', [{ orderId: '7' }, { orderId: '8' }], null, null],
    ['nothing', null, null, null],
    ['a text', 'accepted', null, null],
  ])('reads the order id from %s', async (_, data, providerOrderId, charge) => {
    const reply = typeof data === 'string' && data.startsWith('{') ? replyBytes(200, data) : ok(data);
    const { client } = await serve(() => reply);
    expect(await client.purchase(order, anyTime)).toEqual({ kind: 'succeeded', providerOrderId, charge });
  });

  it('does not take a success for another order number as its own', async () => {
    const { client } = await serve(() => ok({ orderId: 7, outTradeNo: 'someone-else' }));
    expect(await client.purchase(order, anyTime)).toMatchObject({ kind: 'unknown', code: 'other-reference' });
  });

  it.each([
    ['41018', { kind: 'refused', refusal: 'business', code: '41018', message: 'why' }],
    ['45112', { kind: 'refused', refusal: 'wallet-empty', code: '45112', message: 'why' }],
    ['502', { kind: 'refused', refusal: 'account', code: '502', message: 'why' }],
    ['501', { kind: 'retryable', code: '501', message: 'why', retryAfter: null, burnsAttempt: false }],
    ['503016', { kind: 'unknown', code: 'order-exists', message: '503016: why' }],
    ['500', { kind: 'unknown', code: '500', message: 'why' }],
    ['77777', { kind: 'unknown', code: '77777', message: 'why' }],
  ])('code %s', async (code, outcome) => {
    const { client, server } = await serve(() => ({ code, message: 'why' }));
    expect(await client.purchase(order, anyTime)).toEqual(outcome);
    expect(server.requests).toHaveLength(1);
  });

  it('honours Retry-After of HTTP 429 in both forms', async () => {
    const { client } = await serve((_, __, index) =>
      replyBytes(429, '', { 'retry-after': index === 0 ? '7' : 'Sun, 22 Nov 2026 12:00:31 GMT' }),
    );
    expect(await client.purchase(order, anyTime)).toMatchObject({
      kind: 'retryable',
      burnsAttempt: false,
      retryAfter: 7_000,
    });
    expect(await client.purchase(order, anyTime)).toMatchObject({ kind: 'retryable', retryAfter: 30_001 });
  });
});

describe('one request under every fault', () => {
  const faults: readonly [string, Answer][] = [
    ['a reset before the reply', (socket) => void socket.resetAndDestroy()],
    ['a close before the reply', (socket) => void socket.end()],
    ['half a reply', 'HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"code":"200"'],
    ['a reply without JSON', replyBytes(200, '<html>')],
    ['a reply over the limit', replyBytes(200, `{"code":"200","x":"${'y'.repeat(1_100_000)}"}`)],
    ['a redirect', replyBytes(307, '', { location: '/api/v3/package/orderPackage' })],
    ['HTTP 500', replyBytes(500, '{"code":"500"}')],
    ['HTTP 503 with Retry-After', replyBytes(503, '', { 'retry-after': '1' })],
    ['HTTP 408', replyBytes(408, '')],
    ['code 500', { code: '500' }],
  ];
  it.each(faults)('%s leaves the outcome unknown and sends nothing more', async (_, answer) => {
    const { client, server } = await serve(() => answer);
    expect((await client.purchase(order, anyTime)).kind).toBe('unknown');
    await client.close();
    expect(server.requests).toHaveLength(1);
    expect(server.connections).toHaveLength(1);
  });

  it('a refused connection is retryable, since nothing was sent', async () => {
    const { client, server } = await serve(() => ok({}));
    await server.close();
    expect(await client.purchase(order, anyTime)).toMatchObject({
      kind: 'retryable',
      code: 'ECONNREFUSED',
      burnsAttempt: true,
    });
  });
});

describe('what is refused before anything is sent', () => {
  const bad: readonly [string, Partial<PurchaseOrder>, string][] = [
    ['an OTA order', { kind: 'order-ota' }, 'no-ota-orders'],
    ['a Cloud eSIM', { subject: subject('eid', 'E1') }, 'not-an-iccid'],
    ['a SIM of another provider', { subject: { ...subject(), provider: 'other' } }, 'not-an-iccid'],
    ['a plan without a package', { plan: {} }, 'invalid-plan'],
    ['a plan with an unknown field', { plan: { packageCode: 'P', price: 1 } }, 'invalid-plan'],
    ['a reference of 33 characters', { reference: 'a'.repeat(33) }, 'invalid-reference'],
  ];
  it.each(bad)('%s', async (_, changed, code) => {
    const { client, server } = await serve(() => ok({}));
    expect(await client.purchase({ ...order, ...changed }, anyTime)).toMatchObject({
      kind: 'refused',
      refusal: 'business',
      code,
    });
    expect(await client.prepare({ ...order, ...changed })).toMatchObject({ kind: 'impossible', code });
    expect(server.connections).toHaveLength(0);
  });

  it.each([
    ['no-secret', async () => []],
    ['no-appkey', async () => [{ keyId: null, secret: new Secret('x') }]],
    ['secrets-unavailable', () => Promise.reject(new Error(`denied: ${secretText}`))],
  ])('%s is retryable and names no secret', async (code, apiSecrets) => {
    const { client, server } = await serve(() => ok({}), {}, { apiSecrets });
    const outcome = await client.purchase(order, anyTime);
    expect(outcome).toMatchObject({ kind: 'retryable', code });
    expect(JSON.stringify(outcome)).not.toContain(secretText);
    expect(server.connections).toHaveLength(0);
  });
});

describe('the account limits', () => {
  it('lets every request but the paid one pass admission, and gives each slot back', async () => {
    let admitted = 0;
    let released = 0;
    const admit = async () => {
      admitted += 1;
      const release = async () => {
        released += 1;
      };
      return { ok: true, release } as const;
    };
    const { client, server } = await serve(() => ({ code: '500' }), {}, { admit });
    await client.purchase(order, anyTime);
    expect(admitted).toBe(0);
    await client.prepare(order);
    await client.findPurchase(query);
    await client.listOrders(subject(), null);
    await client.probe();
    expect(admitted).toBe(server.requests.length - 1);
    expect(released).toBe(admitted);
  });

  it('sends nothing that was not admitted, and says when to come back', async () => {
    const admit = async () => ({ ok: false, retryAfter: milliseconds(300), why: 'full' }) as const;
    const { client, server } = await serve(() => ok({}), {}, { admit });
    const later = { kind: 'unavailable', code: 'not-admitted', message: 'full', retryAfter: 300 };
    expect(await client.prepare(order)).toEqual(later);
    expect(await client.findPurchase(query)).toEqual(later);
    expect(await client.listOrders(subject(), null)).toEqual(later);
    expect(server.connections).toHaveLength(0);
  });

  it('ends a call that hangs at the time-out of the stage, with one request sent', async () => {
    const { client, server } = await serve(() => () => undefined, {}, { callTimeout: milliseconds(200) });
    expect(await client.purchase(order, anyTime)).toMatchObject({ kind: 'unknown', code: 'deadline' });
    expect(server.requests).toHaveLength(1);
  });
});

describe('redaction', () => {
  it('keeps the secret and the signature out of every message, even when the provider echoes them', async () => {
    const { client, bodies } = await serve((_, body) => ({
      code: '403',
      message: `sign ${body.sign} wrong, secret=${secretText}, got ${JSON.stringify(body)}`,
    }));
    const said = JSON.stringify([
      await client.purchase(order, anyTime),
      await client.prepare(order),
      await client.findPurchase(query),
      await client.listOrders(subject(), null),
      await client.probe(),
    ]);
    expect(bodies().length).toBeGreaterThan(4);
    expect(said).not.toContain(secretText);
    for (const { sign } of bodies()) expect(said).not.toContain(String(sign));
  });
});

describe('prepare', () => {
  const cases: readonly [string, object, object][] = [
    [
      'an object',
      ok({ packageCode: 'PKG001', price: 2.3, currency: 'EUR' }),
      { amountMinor: 230, currency: 'EUR' },
    ],
    [
      'a price as text, in the account currency',
      ok({ price: '2.30' }),
      { amountMinor: 230, currency: 'USD' },
    ],
    [
      'the row of the package',
      ok([
        { packageCode: 'OTHER', price: 1 },
        { packageCode: 'PKG001', price: 9.99 },
      ]),
      { amountMinor: 999, currency: 'USD' },
    ],
  ];
  it.each(cases)('reads the quote from %s', async (_, reply, quote) => {
    const { client, server, bodies } = await serve(() => reply);
    expect(await client.prepare(order)).toEqual({ kind: 'ready', baseline: null, quote });
    expect(server.requests.map(({ path }) => path)).toEqual([
      '/api/v3/package/queryOrderPackageByPackageCode',
    ]);
    expect(bodies()[0]).toMatchObject({ packageCode: 'PKG001' });
  });

  it.each([
    ['no price', ok({})],
    ['no data', ok(null)],
    ['another package', ok({ packageCode: 'OTHER', price: 1 })],
    ['several nameless rows', ok([{ price: 1 }, { price: 2 }])],
    ['a price that is no exact amount', ok({ price: 2.345 })],
  ])('gives no quote for %s', async (_, reply) => {
    const { client } = await serve(() => reply);
    expect(await client.prepare(order)).toEqual({ kind: 'ready', baseline: null, quote: null });
  });

  it('asks nothing when the stage turns quotes off', async () => {
    const { client, server } = await serve(() => ok({}), { quote: 'off' });
    expect(await client.prepare(order)).toMatchObject({ kind: 'ready', quote: null });
    expect(server.connections).toHaveLength(0);
  });

  it.each([
    ['41018', 'impossible'],
    ['502', 'unavailable'],
    ['501', 'unavailable'],
    ['500', 'unavailable'],
  ])('code %s is %s', async (code, kind) => {
    const { client } = await serve(() => ({ code, message: 'm' }));
    expect(await client.prepare(order)).toMatchObject({ kind, code });
  });
});

describe('findPurchase', () => {
  const details = '/api/v3/package/getOrderPackageDetails';
  const records = '/api/v3/package/packageOrderRecord';
  const found = {
    kind: 'found',
    providerOrderId: '10004996',
    charge: { amountMinor: 230, currency: 'USD' },
    how: 'outTradeNo',
  };

  it('asks by our own number in each state, and takes the exact match', async () => {
    const { client, server, bodies } = await serve((_, body) =>
      ok(body.state === 1 ? [record(), record({ outTradeNo: 'x' })] : []),
    );
    expect(await client.findPurchase(query)).toEqual(found);
    expect(server.requests.map(({ path }) => path)).toEqual([details, details, details]);
    expect(bodies().map((body) => [body.outTradeNoArrStr, body.state, body.page])).toEqual([
      [reference, 0, 1],
      [reference, 1, 1],
      [reference, 2, 1],
    ]);
    for (const body of bodies()) expect(body.sign).toBe(signByHand(body, secretText));
  });

  it('asks once without a state when the stage says so', async () => {
    const { client, bodies } = await serve(() => ok([record()]), { detailsStates: [] });
    expect(await client.findPurchase(query)).toEqual(found);
    expect(bodies()).toHaveLength(1);
    expect(bodies()[0]).not.toHaveProperty('state');
  });

  it.each([
    ['a page object', ok({ list: [record()], total: 1 })],
    ['one object', ok(record())],
  ])('reads details from %s', async (_, reply) => {
    const { client } = await serve(() => reply);
    expect(await client.findPurchase(query)).toEqual(found);
  });

  const settle = async (
    detailsReply: Answer,
    recordsReply: (pageNo: number) => Answer,
    knownOrderIds: ReadonlySet<string> = new Set(),
  ) => {
    const service = await serve((path, body) =>
      path === details ? detailsReply : recordsReply(Number(body.page)),
    );
    return { ...service, finding: await service.client.findPurchase({ ...query, knownOrderIds }) };
  };
  const others = (count: number, from = 0) =>
    Array.from({ length: count }, (_, i) => record({ orderId: 1 + from + i, outTradeNo: `x${from + i}` }));

  it('says absent only after both records were read to their end without it', async () => {
    const { finding, server, bodies } = await settle(ok([]), () => page(others(2)));
    expect(finding).toEqual({ kind: 'absent' });
    expect(server.requests.at(-1)?.path).toBe(records);
    expect(bodies().at(-1)).toMatchObject({ iccid, page: 1, orderBy: 'createDateDesc' });
  });

  it.each([
    ['null', ok(null)],
    ['an empty object', ok({})],
    ['an empty list in a page object', ok({ list: [], total: 0 })],
  ])('reads %s as no details', async (_, reply) => {
    expect((await settle(reply, () => page([]))).finding).toEqual({ kind: 'absent' });
  });

  it('reads page after page, to the total', async () => {
    const { finding, server } = await settle(ok([]), (no) =>
      page(no < 3 ? others(100, no * 100) : others(5, 900), 205),
    );
    expect(finding).toEqual({ kind: 'absent' });
    expect(server.requests.filter(({ path }) => path === records)).toHaveLength(3);
  });

  it('finds it on a later page though the details are empty', async () => {
    const { finding } = await settle(ok([]), (no) =>
      no === 1 ? page(others(100), 101) : page([record()], 101),
    );
    expect(finding).toEqual(found);
  });

  it.each([
    ['details that refuse', { code: '41001', message: 'm' }, page([])],
    ['details without their number', ok([record({ outTradeNo: null })]), page([])],
    ['details of an unknown shape', ok({ surprise: 1 }), page([])],
    ['details as a text', ok('none'), page([])],
    ['records that fail', ok([]), { code: '500' }],
    ['records of an unknown shape', ok([]), ok({ list: [] })],
    ['records without data', ok([]), ok(null, { total: 3 })],
    ['records with a row that is no object', ok([]), page(['x'])],
    ['records with a row without an id', ok([]), page([record({ orderId: null, outTradeNo: null })])],
    ['records that end before their total', ok([]), page([], 7)],
    ['records that repeat one page', ok([]), page(others(100), 300)],
    ['records without a total that never end', ok([]), ok(others(100))],
  ])('cannot tell from %s', async (_, detailsReply, recordsReply) => {
    const { finding } = await settle(detailsReply, () => recordsReply);
    expect(finding.kind).toBe('unavailable');
  });

  it('stops at its bound of pages', async () => {
    const { finding, server } = await settle(ok([]), (no) => page(others(100, no * 100), 100_000));
    expect(finding.kind).toBe('unavailable');
    expect(server.requests).toHaveLength(detailsStatesMax + recordPagesMax);
  });

  it('trusts a positive record though the details fail', async () => {
    const { finding } = await settle({ code: '500' }, () => page([record({ isRefund: 1 })]));
    expect(finding).toEqual({ ...found, how: 'outTradeNo, refunded' });
  });

  it.each([
    ['two orders with our number', [record(), record({ orderId: 2 })], ['10004996', '2']],
    ['an order without an id', [record({ orderId: null })], []],
    ['our number on another SIM', [record({ iccid: '89852000263320817044' })], ['10004996']],
  ])('is ambiguous with %s', async (_, rows, candidates) => {
    expect((await settle(ok(rows), () => page([]))).finding).toMatchObject({ kind: 'ambiguous', candidates });
    expect((await settle(ok([]), () => page(rows))).finding).toMatchObject({ kind: 'ambiguous', candidates });
  });

  it('is ambiguous when the ledger ties the order to another action', async () => {
    const { finding } = await settle(ok([record()]), () => page([]), new Set(['10004996']));
    expect(finding).toMatchObject({ kind: 'ambiguous' });
  });

  it('takes one order shown twice for one order', async () => {
    expect((await settle(ok([record(), record({ state: 2 })]), () => page([]))).finding).toEqual(found);
  });

  it('compares our number exactly', async () => {
    const near = [record({ outTradeNo: reference.toUpperCase() }), record({ outTradeNo: `${reference}0` })];
    expect(
      (await settle(ok([]), () => page([near[0], record({ ...near[1], orderId: 2 })]))).finding.kind,
    ).toBe('absent');
  });
});

describe('confirm', () => {
  const noOrder = { orderId: null, reference: null, packageCode: null };
  const alert = (kind: 'low-data' | 'low-data-percent' | 'expiring'): EventFacts => ({
    kind: 'usage-alert',
    alert: kind,
    value: '98',
    order: noOrder,
  });
  const of = (orderId: string) => ({ ...noOrder, orderId });
  const event = (facts: EventFacts, who: Subject | null = subject()): WebhookEvent => ({
    eventId: 'e',
    provider: 'eiotclub',
    providerType: 'X',
    facts,
    subject: who,
    proof: { kind: 'unsigned', why: 'test' },
    occurredAt: null,
    receivedAt: now,
    correlationId: 'c',
    callbackId: 'cb',
  });
  const gigabytes = { flowTotal: 100, flowRemain: 50, flowUsageBytes: 50 * 1_073_741_824 };
  const plenty = { flowRemain: 1000, flowUsageBytes: 24 * 1_048_576 };
  const cases: readonly [string, EventFacts, readonly object[], string][] = [
    ['low data, 50 MB left', alert('low-data'), [record()], 'confirmed'],
    [
      'low data, nothing left',
      alert('low-data'),
      [record({ flowRemain: 0, flowUsageBytes: null })],
      'confirmed',
    ],
    ['low data, 50 that turn out to be gigabytes', alert('low-data'), [record(gigabytes)], 'denied'],
    [
      'low data, 50 of an unknown unit',
      alert('low-data'),
      [record({ flowUsageBytes: 12_345 })],
      'unavailable',
    ],
    ['low data, 1000 MB left', alert('low-data'), [record(plenty)], 'denied'],
    [
      'low data, 300 MB left, near enough for late figures',
      alert('low-data'),
      [record({ flowRemain: 300, flowUsageBytes: 724 * 1_048_576 })],
      'unavailable',
    ],
    ['low share, 5 %', alert('low-data-percent'), [record()], 'confirmed'],
    ['low share, 98 %', alert('low-data-percent'), [record(plenty)], 'denied'],
    ['low share, 30 %', alert('low-data-percent'), [record({ flowRemain: 307 })], 'unavailable'],
    [
      'low share, one of two packages',
      alert('low-data-percent'),
      [record(plenty), record({ orderId: 2 })],
      'confirmed',
    ],
    ['low share of a package that waits', alert('low-data-percent'), [record({ state: 0 })], 'unavailable'],
    ['ends in 3 days', alert('expiring'), [record({ endDate: '2026-11-25 12:00:00' })], 'confirmed'],
    ['ends in 28 days', alert('expiring'), [record()], 'denied'],
    [
      'ends in 7 days, give or take a zone',
      alert('expiring'),
      [record({ endDate: '2026-11-29 12:00:00' })],
      'unavailable',
    ],
    ['ends at an unreadable time', alert('expiring'), [record({ endDate: 'soon' })], 'unavailable'],
    ['no records', alert('low-data'), [], 'unavailable'],
    ['card stopped, all finished', { kind: 'card-stopped' }, [record({ state: 2 })], 'confirmed'],
    ['card stopped, one in use', { kind: 'card-stopped' }, [record()], 'denied'],
    ['card stopped, one waits', { kind: 'card-stopped' }, [record({ state: 0 })], 'unavailable'],
    [
      'package stopped',
      { kind: 'package-stopped', order: of('10004996') },
      [record({ state: 2 })],
      'confirmed',
    ],
    ['package still in use', { kind: 'package-stopped', order: of('10004996') }, [record()], 'denied'],
    [
      'another package stopped',
      { kind: 'package-stopped', order: of('5') },
      [record({ state: 2 })],
      'unavailable',
    ],
    ['package ordered', { kind: 'package-ordered', order: of('10004996') }, [record()], 'confirmed'],
    ['package waits', { kind: 'package-effective', order: of('10004996') }, [record({ state: 0 })], 'denied'],
    [
      'refunded',
      { kind: 'refund', order: of('10004996'), refunded: null, refundedText: null },
      [record({ isRefund: 1 })],
      'confirmed',
    ],
    [
      'not refunded',
      { kind: 'refund', order: of('10004996'), refunded: null, refundedText: null },
      [record()],
      'denied',
    ],
    ['moved', { kind: 'sim-moved' }, [record()], 'unavailable'],
  ];
  it.each(cases)('%s', async (_, facts, rows, kind) => {
    const { client, server } = await serve(() => page(rows));
    expect((await client.confirm(event(facts))).kind).toBe(kind);
    expect(server.requests).toHaveLength(1);
  });

  it('denies nothing from a part of the records', async () => {
    const { client } = await serve(() => page([record(plenty)], 2));
    expect(await client.confirm(event(alert('low-data')))).toMatchObject({
      kind: 'unavailable',
      code: 'cannot-tell',
    });
  });

  it('says cannot-tell without a card, and passes a failure on', async () => {
    const { client, server } = await serve(() => ({ code: '501', message: 'slow down' }));
    expect(await client.confirm(event(alert('low-data'), null))).toMatchObject({
      kind: 'unavailable',
      code: 'cannot-tell',
    });
    expect(server.connections).toHaveLength(0);
    expect(await client.confirm(event(alert('low-data')))).toMatchObject({
      kind: 'unavailable',
      code: '501',
    });
  });
});

describe('listOrders and probe', () => {
  it('pages through a card, oldest first, with text ids and exact amounts', async () => {
    const rows = [
      record(),
      record({ orderId: 2, outTradeNo: undefined, isRefund: 1, price: 0.1 }),
      record({ orderId: 3 }),
    ];
    const { client, bodies } = await serve((_, body) =>
      page(body.page === 1 ? rows.slice(0, 2) : rows.slice(2), 3),
    );
    const first = await client.listOrders(subject(), null);
    expect(first).toMatchObject({
      kind: 'page',
      nextCursor: '2.2',
      orders: [
        {
          orderId: '10004996',
          reference,
          simId: iccid,
          packageCode: 'PKG001',
          stateCode: '1',
          price: { amountMinor: 230 },
          refunded: false,
        },
        { orderId: '2', reference: null, price: { amountMinor: 10, currency: 'USD' }, refunded: true },
      ],
    });
    expect(await client.listOrders(subject(), '2.2')).toMatchObject({
      nextCursor: null,
      orders: [{ orderId: '3' }],
    });
    expect(bodies()[0]).not.toHaveProperty('orderBy');
  });

  it('ends at an empty page even when the total says otherwise', async () => {
    const { client } = await serve(() => page([], 9));
    expect(await client.listOrders(subject(), null)).toMatchObject({
      kind: 'page',
      orders: [],
      nextCursor: null,
    });
  });

  it.each([
    ['a bad cursor', subject(), 'x', page([])],
    ['an EID', subject('eid', 'E1'), null, page([])],
    ['a row without an id', subject(), null, page([record({ orderId: null })])],
    ['a failure', subject(), null, { code: '500' }],
  ])('is unavailable for %s', async (_, who, cursor, reply) => {
    const { client } = await serve(() => reply);
    expect(await client.listOrders(who, cursor)).toMatchObject({ kind: 'unavailable' });
  });

  it('probes with the balance query', async () => {
    const good = await serve(() => ok({ balance: 1 }));
    expect(await good.client.probe()).toMatchObject({ ok: true });
    expect(good.server.requests.map(({ path }) => path)).toEqual(['/api/v3/agent/balance']);
    const bad = await serve(() => ({ code: 502, message: 'ip not allowed' }));
    expect(await bad.client.probe()).toEqual({ ok: false, detail: '502: ip not allowed' });
  });
});

describe('the other endpoints', () => {
  it('send their documented fields and return the envelope', async () => {
    const server = await startFaultServer({
      onRequest: (_, socket) => socket.end(replyBytes(200, '{"code":200,"data":{"id":8988308650104486856}}')),
    });
    opened.push(server);
    const api = openEiotclubApi(depsFor(server.baseUrl));
    opened.push(api);
    const envelope = { kind: 'ok', value: { code: '200', data: { id: '8988308650104486856' } } };
    expect(await api.queryPackage({ iccid, orderId: '7' })).toMatchObject(envelope);
    expect(await api.listOrderPackageByIccid({ iccid })).toMatchObject(envelope);
    expect(await api.getCardsInfo({ iccid })).toMatchObject(envelope);
    const sent = server.requests.map((request) => {
      const { appkey, timestamp, nonce, sign, ...fields } = parsed(request);
      return [request.path, fields];
    });
    expect(sent).toEqual([
      ['/api/v3/package/queryPackage', { iccid, orderId: '7' }],
      ['/api/v3/package/listOrderPackageByIccid', { iccid }],
      ['/api/v3/card/getCardsInfo', { iccid }],
    ]);
  });

  it('send every request field of the order records as given', async () => {
    const server = await startFaultServer({
      onRequest: (_, socket) => socket.end(replyBytes(200, '{"code":"200","data":[],"total":0}')),
    });
    opened.push(server);
    const api = openEiotclubApi(depsFor(server.baseUrl));
    opened.push(api);
    const request = {
      iccid,
      state: 2,
      createDateStart: '2024-07-15 16:28:06',
      createDateEnd: '2025-03-03 18:42:59',
      updateDateStart: '2025-02-10 20:23:30',
      updateDateEnd: '2025-02-10 20:23:38',
      orderIdArrStr: '10004996,10004997',
      page: 1,
      pageSize: 2,
      orderBy: 'createDateDesc',
      stateArrStr: '0,1',
    } as const;
    expect(await api.packageOrderRecord(request)).toEqual({ kind: 'ok', value: [], total: 0 });
    const [sent] = server.requests;
    const body = sent === undefined ? {} : parsed(sent);
    expect(body).toMatchObject(request);
    expect(body.sign).toBe(signByHand(body, secretText));
  });
});

describe('settings and plans', () => {
  it('fills in the documented defaults', () => {
    expect(eiotclub.settingsSchema.parse({})).toEqual({
      baseUrl: 'https://oapi.eiotclub.com',
      appkey: null,
      sendRenewFlag: true,
      quote: 'ask',
      detailsStates: [0, 1, 2],
      zoneOffsetMinutes: null,
    });
  });

  it.each([
    { baseUrl: 'http://oapi.eiotclub.com' },
    { baseURL: 'https://x.example' },
    { detailsStates: [0, 1, 2, 3] },
  ])('refuses the settings %j', (settings) => {
    expect(eiotclub.settingsSchema.safeParse(settings).success).toBe(false);
  });

  it.each([
    {},
    { packageCode: '' },
    { packageCode: 1 },
    { packageCode: 'a b' },
    { packageCode: 'P', quantity: 2 },
  ])('refuses the plan %j', (plan) => {
    expect(eiotclub.planSchemas.order?.safeParse(plan).success).toBe(false);
    expect(eiotclub.planSchemas['order-ota']).toBeNull();
  });
});
