import { generateKeyPairSync, verify } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import { topology } from '../../../../infra/topology.ts';
import type { ActionKind, Json, PurchaseOrder } from '../../../../shared/core/action.ts';
import { subjectOf } from '../../../../shared/core/subject.ts';
import { epochMs, minutes, seconds } from '../../../../shared/core/time.ts';
import { seededRandom } from '../../../../shared/platform/random.ts';
import { linksfieldCube } from '../../../../shared/providers/linksfield-cube/linksfield-cube.ts';
import { openCubeApi } from '../../../../shared/providers/linksfield-cube/linksfield-cube-api-client.ts';
import { cubeSettingsSchema } from '../../../../shared/providers/linksfield-cube/plans.ts';
import { bundlePagesMax } from '../../../../shared/providers/linksfield-cube/profile.ts';
import type { Admit, NamedSecret } from '../../../../shared/providers/provider.ts';
import { Secret } from '../../../../shared/signing/index.ts';
import { anyTime } from '../../../support/any-time.ts';
import { type Answer, type RecordedRequest, startServer } from '../linksfield-csss/recording-server.ts';

const keys = generateKeyPairSync('rsa', {
  modulusLength: 1024,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});
const keyId = '0123456789abcdef0123456789abcdef';
const iccid = '89000100010003125832';
const now = epochMs(1_674_197_059_220);

interface Setup {
  readonly answer: (request: RecordedRequest, index: number) => Answer | Promise<Answer>;
  readonly settings?: Record<string, unknown>;
  readonly secrets?: () => Promise<readonly NamedSecret[]>;
  readonly admit?: Admit;
}

async function open({ answer, settings = {}, secrets, admit }: Setup) {
  const server = await startServer(answer);
  const deps = {
    settings: cubeSettingsSchema.parse({
      baseUrl: `${server.baseUrl}/cube/v4`,
      apiVersion: '2.1',
      ...settings,
    }),
    currency: 'USD',
    apiSecrets: secrets ?? (async () => [{ keyId, secret: new Secret(keys.privateKey) }]),
    now: () => now,
    random: seededRandom(1),
    callTimeout: seconds(5),
    admit: admit ?? (async () => ({ ok: true, release: async () => undefined })),
  };
  const client = linksfieldCube.createClient(deps);
  onTestFinished(() => client.close());
  return { client, deps, requests: server.requests, server };
}

function order(kind: ActionKind, changes: Partial<PurchaseOrder> = {}): PurchaseOrder {
  const subject = subjectOf('linksfield-cube', 'iccid', iccid);
  if (subject === null) throw new Error('the test ICCID must be readable');
  const plan: { readonly [key: string]: Json } =
    kind === 'renew' ? { itemId: 'CP-1' } : { bundleId: 'LP09823222320', bundleType: 10, cycles: 3 };
  return {
    actionId: 'a1',
    kind,
    subject,
    plan,
    reference: 'abcdef0123456789',
    targetOrderId: null,
    maxCost: { amountMinor: 1_000, currency: 'USD' },
    ...changes,
  };
}

function good(data: unknown, more: Record<string, unknown> = {}): Answer {
  return {
    status: 200,
    body: JSON.stringify({ data, status: { code: 'CB-00-0000', message: 'success', detail: null }, ...more }),
  };
}

/** The text that the test itself expects to be signed: the vector's form, written out by hand. */
function isSigned(request: RecordedRequest | undefined, canonical: string): boolean {
  const match = /^LF ([0-9a-f]{32})\/(.+)$/.exec(request?.headers.authorization ?? '');
  if (match?.[1] !== keyId) return false;
  return verify('sha1', Buffer.from(canonical), keys.publicKey, Buffer.from(match[2] ?? '', 'base64'));
}

function nonceOf(request: RecordedRequest | undefined): string {
  const nonce = request?.headers.nonce ?? '';
  expect(nonce).toMatch(/^\d{1,9}$/);
  return nonce;
}

describe('purchase', () => {
  test("waits for no other purchase of its worker: how many may be under way is the account's limit to say", async () => {
    const batch = topology.act.batchSize;
    let allAsked = (): void => undefined;
    const asked = new Promise<void>((resolve) => {
      allAsked = resolve;
    });
    const { client } = await open({
      answer: async (_request, index) => {
        if (index === batch - 1) allAsked();
        await asked;
        return good({ order_id: `O-${index}` });
      },
    });
    const purchases = Array.from({ length: batch }, () => client.purchase(order('order'), anyTime));
    const kinds = (await Promise.all(purchases)).map(({ kind }) => kind);
    expect(kinds).toEqual(Array.from({ length: batch }, () => 'succeeded'));
  });

  test('adds a bundle with the documented fields, headers and signature, in one request', async () => {
    const { client, requests } = await open({ answer: () => good({ order_id: 'O-1' }) });
    expect(await client.purchase(order('order'), anyTime)).toEqual({
      kind: 'succeeded',
      providerOrderId: 'O-1',
      charge: null,
    });
    expect(requests).toHaveLength(1);
    const [request] = requests;
    expect(request).toMatchObject({ method: 'POST', path: `/cube/v4/sims/${iccid}/bundle`, query: '' });
    expect(request?.headers).toMatchObject({
      'x-lf-signature-type': '2.0',
      'x-lf-api-version': '2.1',
      timestamp: '1674197059220',
      'accept-language': 'en-US',
      'content-type': 'application/json',
    });
    expect(JSON.parse(request?.bodyText ?? '')).toEqual({
      bundle_id: 'LP09823222320',
      bundle_type: 10,
      cycles: 3,
    });
    // Source: vector cube-v2-post-bundle.
    const canonical = `{"bundle_id":"LP09823222320","bundle_type":10,"cycles":3,"nonce":"${nonceOf(request)}","timestamp":"1674197059220","x-sign-uri":"/cube/v4/sims/${iccid}/bundle"}`;
    expect(isSigned(request, canonical)).toBe(true);
    expect(isSigned(request, canonical.replace('"cycles":3', '"cycles":4'))).toBe(false);
  });

  test('sends activate and our own order number where plan and settings say so', async () => {
    const { client, requests } = await open({
      answer: () => good(null),
      settings: { sendClientToken: true },
    });
    const plan = { bundleId: 'LP1', bundleType: 11, cycles: 1, activate: false };
    expect(await client.purchase(order('order', { plan }), anyTime)).toMatchObject({
      kind: 'succeeded',
      providerOrderId: null,
    });
    expect(JSON.parse(requests[0]?.bodyText ?? '')).toEqual({
      bundle_id: 'LP1',
      bundle_type: 11,
      cycles: 1,
      activate: false,
      clientToken: 'abcdef0123456789',
    });
  });

  test('renews with one item for one SIM, and our order number as po', async () => {
    const { client, requests } = await open({
      answer: () => good({ order_id: 'OL-1', status: 1, created_at: 1_674_197_059_000 }),
    });
    expect(await client.purchase(order('renew'), anyTime)).toMatchObject({
      kind: 'succeeded',
      providerOrderId: 'OL-1',
    });
    const [request] = requests;
    expect(request?.path).toBe('/cube/v4/orders/service');
    expect(JSON.parse(request?.bodyText ?? '')).toEqual({
      items: [{ id: 'CP-1', quantity: 1, sim_ids: [iccid] }],
      extra: { po: 'abcdef0123456789' },
    });
    const canonical = `{"extra":{"po":"abcdef0123456789"},"items":[{"id":"CP-1","quantity":1,"sim_ids":["${iccid}"]}],"nonce":"${nonceOf(request)}","timestamp":"1674197059220","x-sign-uri":"/cube/v4/orders/service"}`;
    expect(isSigned(request, canonical)).toBe(true);
  });

  test.each([
    ['a dropped connection', 'drop-connection' as Answer, 'unknown'],
    ['half a reply', 'half-a-reply' as Answer, 'unknown'],
    ['500', { status: 500, body: '' }, 'unknown'],
    ['a redirect', { status: 307, body: '', headers: { location: '/cube/v4/orders/service' } }, 'unknown'],
    ['busy', { status: 200, body: '{"status":{"code":"CB-99-9500"}}' }, 'unknown'],
    ['an order id that is no id', good({ order_id: 'a b' }), 'unknown'],
    ['429', { status: 429, body: '' }, 'retryable'],
    ['403', { status: 403, body: '' }, 'refused'],
    ['an unknown SIM', { status: 200, body: '{"status":{"code":"CB-01-0001"}}' }, 'refused'],
  ])('sends exactly one request when the answer is %s', async (_name, answer, kind) => {
    for (const what of ['order', 'renew'] as const) {
      const { client, requests } = await open({ answer: () => answer });
      const outcome = await client.purchase(order(what), anyTime);
      expect(outcome.kind).toBe(kind);
      expect(requests).toHaveLength(1);
      expect(JSON.stringify(outcome)).not.toContain('PRIVATE KEY');
    }
  });

  test('leaves a renewal without an order id unknown, since its page promises one', async () => {
    const { client } = await open({ answer: () => good(null) });
    expect(await client.purchase(order('renew'), anyTime)).toMatchObject({
      kind: 'unknown',
      code: 'unreadable-data',
    });
  });

  test.each([
    ['no key', async () => []],
    ['a key without its id', async () => [{ keyId: null, secret: new Secret(keys.privateKey) }]],
    ['a text that is no key', async () => [{ keyId, secret: new Secret('not a PRIVATE KEY') }]],
    ['a store that is down', () => Promise.reject(new Error('PRIVATE KEY'))],
  ])('sends nothing with %s and shows none of it', async (_name, secrets) => {
    const { client, requests } = await open({ answer: () => good(null), secrets });
    const outcome = await client.purchase(order('order'), anyTime);
    expect(outcome).toMatchObject({ kind: 'retryable', code: 'no-api-key' });
    expect(JSON.stringify(outcome)).not.toContain('PRIVATE KEY');
    expect(requests).toEqual([]);
  });

  test.each([
    ['an OTA order', order('order-ota'), 'no-ota-orders'],
    ['remarks with spaces', order('renew', { plan: { itemId: 'CP-1', remarks: 'a b' } }), 'invalid-plan'],
    ['an item of another kind', order('renew', { plan: { itemId: 'LP-1' } }), 'invalid-plan'],
    [
      'an unknown bundle type',
      order('order', { plan: { bundleId: 'LP1', bundleType: 12, cycles: 1 } }),
      'invalid-plan',
    ],
    [
      'a SIM known by its IMSI',
      order('order', {
        subject: { provider: 'linksfield-cube', idKind: 'imsi', simId: '454030123456789', key: 'k' },
      }),
      'not-an-iccid',
    ],
  ])('sends nothing for %s', async (_name, bad, code) => {
    const { client, requests } = await open({ answer: () => good(null) });
    expect(await client.prepare(bad)).toMatchObject({ kind: 'impossible', code });
    expect(await client.purchase(bad, anyTime)).toMatchObject({ kind: 'refused', code });
    expect(requests).toEqual([]);
  });
});

const bundle = {
  id: 'LP0',
  status: 1,
  type: 10,
  cycles: 3,
  current_cycle: 1,
  added_at: 1_600_000_000_000,
  end_at: 1_700_000_000_000,
};

describe('renewal of several SIMs in one order', () => {
  const iccids = [iccid, '89852022018041800200'] as const;
  const orders = iccids.map((simId, i) => {
    const subject = subjectOf('linksfield-cube', 'iccid', simId);
    if (subject === null) throw new Error('the test ICCID must be readable');
    return order('renew', { actionId: `a${i}`, subject, reference: `abcdef012345678${i}` });
  });

  const listing = (sim_ids: unknown): Answer =>
    good({ id: 'OL-1', status: 1, items: [{ id: 'CP-1', quantity: 1, price: 5, sim_ids }] });
  const placed = good({ order_id: 'OL-1', status: 1 });
  const buy = async (listed: Answer) => {
    const { client, requests } = await open({
      answer: ({ method }) => (method === 'POST' ? placed : listed),
    });
    return { outcomes: await client.purchaseTogether?.(orders, anyTime), requests };
  };

  test('sends one order with all SIMs, asks what it lists, and gives each its part of the one number', async () => {
    const { outcomes, requests } = await buy(listing(iccids));
    expect(outcomes).toEqual(
      iccids.map((simId) => ({ kind: 'succeeded', providerOrderId: `OL-1/${simId}`, charge: null })),
    );
    expect(requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /cube/v4/orders/service',
      'GET /cube/v4/orders/OL-1/service',
    ]);
    expect(JSON.parse(requests[0]?.bodyText ?? '')).toEqual({
      items: [{ id: 'CP-1', quantity: 1, sim_ids: iccids }],
      extra: { po: 'abcdef0123456780' },
    });
  });

  test('leaves the SIM to its own verification that an accepted order does not list', async () => {
    const { outcomes } = await buy(listing([iccids[1]]));
    expect(outcomes).toMatchObject([
      { kind: 'unknown', code: 'accepted' },
      { kind: 'succeeded', providerOrderId: `OL-1/${iccids[1]}` },
    ]);
  });

  test.each([
    ['not there yet', { status: 400, body: '{"status":{"code":"CB-99-9400"}}' } as Answer],
    ['lost', 'drop-connection' as Answer],
    ['without items', good({ id: 'OL-1', status: 1 })],
    ['unreadable in its SIMs', listing('all of them')],
  ])('leaves every SIM to its own verification when the accepted order is %s', async (_name, answer) => {
    const { outcomes } = await buy(answer);
    expect(outcomes?.map(({ kind }) => kind)).toEqual(['unknown', 'unknown']);
  });

  test.each([
    ['a dropped connection', 'drop-connection' as Answer, 'unknown'],
    ['429', { status: 429, body: '' }, 'retryable'],
    ['401', { status: 401, body: '' }, 'refused'],
    // Which SIM is not known is not said, nor what became of the others.
    ['an unknown SIM', { status: 200, body: '{"status":{"code":"CB-01-0001"}}' }, 'unknown'],
  ])('says the same of every SIM when the answer is %s', async (_name, answer, kind) => {
    const { client, requests } = await open({ answer: () => answer });
    const outcomes = await client.purchaseTogether?.(orders, anyTime);
    expect(outcomes?.map((outcome) => outcome.kind)).toEqual([kind, kind]);
    expect(requests).toHaveLength(1);
  });

  test('says of an empty wallet that it is the account’s, and nothing of any SIM: it may have paid for some', async () => {
    const { client } = await open({
      answer: () => ({ status: 400, body: '{"status":{"code":"CB-07-0001"}}' }),
      settings: { replyCodes: { 'CB-07-0001': 'wallet-empty' } },
    });
    const outcomes = await client.purchaseTogether?.(orders, anyTime);
    expect(outcomes).toMatchObject(Array(2).fill({ kind: 'unknown', refusal: 'wallet-empty' }));
  });
});

describe('questions', () => {
  test('record every bundle of the SIM, signing the query as texts', async () => {
    const { client, requests } = await open({ answer: () => good([bundle], { total_count: 1 }) });
    expect(await client.prepare(order('renew'))).toEqual({
      kind: 'ready',
      baseline: {
        bundles: [{ id: 'LP0', addedAt: '1600000000000', status: '1', cycles: '3', endAt: '1700000000000' }],
      },
      quote: null,
    });
    const [request] = requests;
    expect(request).toMatchObject({ method: 'GET', path: `/cube/v4/sims/${iccid}/bundles`, bodyText: '' });
    expect(Object.fromEntries(new URLSearchParams(request?.query))).toEqual({
      status: '0,1,2,3',
      page_no: '1',
      page_size: '100',
    });
    const canonical = `{"nonce":"${nonceOf(request)}","page_no":"1","page_size":"100","status":"0,1,2,3","timestamp":"1674197059220","x-sign-uri":"/cube/v4/sims/${iccid}/bundles"}`;
    expect(isSigned(request, canonical)).toBe(true);
  });

  test('find the one new bundle over several pages', async () => {
    const rows = [bundle, { ...bundle, id: 'LP09823222320', added_at: now + 1_000 }];
    const { client, requests } = await open({
      answer: (_request, index) => good({ bundles: [rows[index]] }, { total_count: 2 }),
    });
    const finding = await client.findPurchase({
      order: order('order'),
      baseline: {
        bundles: [{ id: 'LP0', addedAt: '1600000000000', status: '1', cycles: '3', endAt: '1700000000000' }],
      },
      sentWindow: { first: now, last: now },
      lateCommit: minutes(60),
      knownOrderIds: new Set(),
    });
    expect(finding).toMatchObject({ kind: 'found', providerOrderId: `bundle:LP09823222320@${now + 1_000}` });
    expect(requests.map(({ method }) => method)).toEqual(['GET', 'GET']);
  });

  test.each([
    ['the list has no total', () => good([bundle]), /unreadable-data/],
    ['data is no list', () => good({}, { total_count: 0 }), /unreadable-data/],
    ['a row has no id', () => good([{ ...bundle, id: null }], { total_count: 1 }), /unreadable-data/],
    [
      'rows are missing',
      (_r: RecordedRequest, i: number) => good(i === 0 ? [bundle] : [], { total_count: 2 }),
      /records-moved/,
    ],
    ['a row comes twice', () => good([bundle], { total_count: 2 }), /records-moved/],
    [
      'there are too many',
      (_r: RecordedRequest, i: number) => good([{ ...bundle, id: `L${i}` }], { total_count: 9 }),
      /too-many/,
    ],
    ['a page is lost', (): Answer => 'drop-connection', /./],
    ['the SIM is unknown', () => ({ status: 200, body: '{"status":{"code":"CB-01-0001"}}' }), /CB-01-0001/],
  ])('know nothing when %s', async (_name, answer, code) => {
    const { client, requests } = await open({ answer });
    expect(await client.prepare(order('order'))).toMatchObject({
      kind: 'unavailable',
      code: expect.stringMatching(code),
    });
    expect(requests.length).toBeLessThanOrEqual(bundlePagesMax);
  });

  test('take a slot for each request and give it back; a purchase takes none', async () => {
    const steps: string[] = [];
    const { client } = await open({
      answer: ({ method }) => {
        steps.push(method);
        return method === 'GET' ? 'drop-connection' : good({ order_id: 'O-1' });
      },
      admit: async () => {
        steps.push('admit');
        return { ok: true, release: async () => void steps.push('release') };
      },
    });
    await client.prepare(order('order'));
    await client.purchase(order('order'), anyTime);
    expect(steps).toEqual(['admit', 'GET', 'release', 'POST']);
    const busy = await open({
      answer: () => good(null),
      admit: async () => ({ ok: false, retryAfter: seconds(2), why: 'busy' }),
    });
    expect(await busy.client.prepare(order('order'))).toMatchObject({
      code: 'not-admitted',
      retryAfter: 2_000,
    });
    expect(busy.requests).toEqual([]);
  });

  test('probe with one list of one SIM; confirm and listOrders say that Cube can’t tell', async () => {
    const { client, requests } = await open({ answer: () => good([{ id: iccid }], { total_count: 7 }) });
    expect(await client.probe()).toEqual({ ok: true, detail: '7 SIMs in the account' });
    expect(requests[0]).toMatchObject({ path: '/cube/v4/sims', query: 'page_no=1&page_size=1' });
    expect(await client.listOrders(order('order').subject, null)).toMatchObject({ code: 'no-order-list' });
    expect(requests).toHaveLength(1);
    const bad = await open({ answer: () => ({ status: 403, body: '' }) });
    expect(await bad.client.probe()).toEqual({ ok: false, detail: 'http-403: HTTP status 403' });
  });

  test('read the remaining calls, with either type of created_at', async () => {
    const replies: Record<string, unknown> = {
      [`/cube/v4/sims/${iccid}`]: { id: iccid, status: 23 },
      [`/cube/v4/sims/${iccid}/usage`]: { usage: [{ period: '2023-01', update_at: 1, data: { all: 1024 } }] },
      '/cube/v4/orders/OL-1/service': {
        id: 'OL-1',
        type: 2,
        status: 1,
        items: [],
        accounting: { currency: 'USD', pay_channel: 'x', total_amount: 12.5 },
        created_at: '1674197059000',
        abnormal: [],
      },
      '/cube/v4/sims/async_result/R-1': { status: 'done' },
    };
    const { deps, requests } = await open({ answer: ({ path }) => good(replies[path]) });
    const api = openCubeApi(deps);
    onTestFinished(() => api.close());
    expect(await api.getSim(iccid)).toMatchObject({ data: { status: '23' } });
    const usage = { category: 'data', period_type: '2', begin_from: '2023-01', end_by: '2023-01' };
    expect(await api.getUsage(iccid, usage)).toMatchObject({ data: { usage: [{ data: { all: '1024' } }] } });
    expect(await api.getServiceOrder('OL-1')).toMatchObject({
      data: { created_at: '1674197059000', accounting: { total_amount: '12.5' } },
    });
    expect(await api.getAsyncResult('R-1')).toMatchObject({ kind: 'done', data: { status: 'done' } });
    // Source: vector cube-v2-get-usage-as-sent, with the name that is really sent.
    const canonical = `{"begin_from":"2023-01","category":"data","end_by":"2023-01","nonce":"${nonceOf(requests[1])}","period_type":"2","timestamp":"1674197059220","x-sign-uri":"/cube/v4/sims/${iccid}/usage"}`;
    expect(isSigned(requests[1], canonical)).toBe(true);
  });
});

describe('settings', () => {
  test('have the documented address as default', () => {
    expect(cubeSettingsSchema.parse({})).toEqual({
      baseUrl: 'https://api.linksfield.net/cube/v4',
      apiVersion: null,
      acceptLanguage: 'en-US',
      signing: 'compact',
      sendClientToken: false,
      replyCodes: {},
    });
  });

  test.each([
    { baseUrl: 'http://example.com' },
    { apiVersion: 'a b' },
    { privateKey: 'x' },
    { replyCodes: { 'CB-00-0000': 'business' } },
  ])('refuse %j', (value) => {
    expect(cubeSettingsSchema.safeParse(value).success).toBe(false);
  });
});
