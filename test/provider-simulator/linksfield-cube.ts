import { z } from 'zod';
import {
  type ApiHandler,
  type ApiReply,
  type ApiRequest,
  formatTime,
  type Handled,
  jsonHeaders,
  readJsonObject,
  type Terms,
} from './api-handler.ts';
import {
  admit,
  type Books,
  type CubeOrder,
  canPay,
  expiryOf,
  findPackage,
  findSim,
  freeFrom,
  nextNumber,
  type OrderRecord,
  type PackageInfo,
  phaseOf,
  placeOrder,
  priceOf,
  type RateLimit,
  type SimCard,
  settleAsync,
  simsOf,
  visibleOrders,
} from './books.ts';
import { cubeSigningTexts, cubeVerify, type JsonObject, type JsonValue, sortedJson } from './signatures.ts';

const provider = 'linksfield-cube';
const prefix = '/cube/v4';
const dayMs = 86_400_000;

/**
 * Source: protocols/linksfield.md 5.1 and 5.5. The last three have no documented code: 429 is documented as an HTTP
 * status only, and nothing is said about an empty wallet or an unknown order.
 */
const codes = {
  ok: 'CB-00-0000',
  badParameter: 'CB-99-9400',
  noAuthorization: 'CB-99-9401',
  missingParameter: 'CB-99-9402',
  notAuthorised: 'CB-99-9403',
  unknownSim: 'CB-01-0001',
  otaSim: 'CB-01-0004',
  alreadyActive: 'CB-01-0101',
  noValidBundle: 'CB-01-0102',
  noBundleInUse: 'CB-01-0105',
  wrongStatus: 'CB-01-0107',
  stillRunning: 'CB-01-0111',
  terminated: 'CB-01-0204',
  unknownBundle: 'CB-02-0003',
  tooManyRequests: 'CB-99-9429',
  balance: 'CB-02-9999',
  unknownPath: 'CB-99-9404',
} as const;

export interface CubeSettings {
  readonly keyId: string;
  /** Public keys that a request may be signed for: more than one during a rotation. */
  readonly publicKeys: readonly string[];
  readonly rateLimit: RateLimit;
  /** Requests in flight at once; null for no limit. */
  readonly connectionsMax: number | null;
  readonly timestampToleranceMs: number;
  /** How long a background action runs: the SIM is locked, and a service order's bundles are not listed yet. */
  readonly asyncMs: number;
}

interface Call {
  readonly books: Books;
  readonly settings: CubeSettings;
  readonly request: ApiRequest;
  readonly body: JsonObject;
  /** The path's parameters, in order. */
  readonly ids: readonly string[];
  readonly nowMs: number;
  readonly terms: Terms;
}

type Answer =
  | { readonly ok: true; readonly data: JsonValue; readonly total?: number; readonly simId?: string }
  | { readonly ok: false; readonly http: number; readonly code: string; readonly message: string };
type Refusal = Extract<Answer, { ok: false }>;

/** HTTP status of a refusal that is not about parameters, keys or limits is unknown: 200 here. Source: 5.1. */
const refuse = (code: string, message: string, http = 200): Refusal => ({ ok: false, http, code, message });

/** The Cube v4 API. */
export function createCube(books: Books, settings: CubeSettings): ApiHandler {
  return (request, nowMs, terms) => {
    settleAsync(books, nowMs);
    const body = request.bodyText === '' ? {} : readJsonObject(request.bodyText);
    const refusal = guard(books, settings, { request, body, nowMs });
    if (refusal !== null || body === null)
      return reply(refusal ?? refuse(codes.badParameter, 'body', 400), request);
    const path = request.path.slice(prefix.length);
    for (const [method, pattern, endpoint] of routes) {
      const match = method === request.method ? pattern.exec(path) : null;
      if (match === null) continue;
      const ids = match.slice(1).map(decodeURIComponent);
      return reply(endpoint({ books, settings, request, body, ids, nowMs, terms }), request);
    }
    return reply(refuse(codes.unknownPath, 'not found', 404), request);
  };
}

/** Envelope. Source: protocols/linksfield.md 5.1; `total_count` stands at top level, on lists only. */
function reply(answer: Answer, request: ApiRequest): Handled {
  const chinese = /^zh/i.test(request.headers['accept-language'] ?? 'en-US');
  const code = answer.ok ? codes.ok : answer.code;
  const bodyText = JSON.stringify({
    data: answer.ok ? answer.data : null,
    status: { code, message: answer.ok ? (chinese ? '成功' : 'success') : answer.message, detail: null },
    ...(answer.ok && answer.total !== undefined ? { total_count: answer.total } : {}),
  });
  return {
    status: answer.ok ? 200 : answer.http,
    headers: jsonHeaders,
    bodyText,
    accepted: answer.ok,
    code,
    simId: /^\/cube\/v4\/sims\/(\d+)/.exec(request.path)?.[1] ?? null,
    reference: null,
  };
}

interface Arrival {
  readonly request: ApiRequest;
  readonly body: JsonObject | null;
  readonly nowMs: number;
}

/** Source: protocols/linksfield.md 5.1: limits 429, Authorization missing 401, signature wrong 403, parameters 400. */
function guard(books: Books, settings: CubeSettings, arrival: Arrival): Refusal | null {
  const { request, body, nowMs } = arrival;
  if (settings.connectionsMax !== null && books.inFlight[provider] > settings.connectionsMax)
    return refuse(codes.tooManyRequests, 'too many connections', 429);
  const authorization = request.headers.authorization;
  if (authorization === undefined || authorization === '')
    return refuse(codes.noAuthorization, 'Authorization is missing', 401);
  const [, keyId, signature] = /^LF ([0-9a-f]{32})\/([A-Za-z0-9+/]+={0,2})$/.exec(authorization) ?? [];
  const { timestamp, nonce } = request.headers;
  if (timestamp === undefined || nonce === undefined)
    return refuse(codes.missingParameter, 'header timestamp or nonce is missing', 400);
  if (!/^\d{13}$/.test(timestamp) || !/^\d+$/.test(nonce))
    return refuse(codes.badParameter, 'header timestamp or nonce is wrong', 400);
  // Without the header the default depends on the API's age, and version 1 is withdrawn: sending it is a must here.
  if (request.headers['x-lf-signature-type'] !== '2.0')
    return refuse(codes.notAuthorised, 'signature type must be 2.0', 403);
  if (Math.abs(nowMs - Number(timestamp)) > settings.timestampToleranceMs)
    return refuse(codes.notAuthorised, 'timestamp out of range', 403);
  if (body === null) return refuse(codes.badParameter, 'body is not a JSON object', 400);
  if (request.method !== 'GET' && !(request.headers['content-type'] ?? '').startsWith('application/json'))
    return refuse(codes.badParameter, 'content type must be application/json', 400);
  const texts = cubeSigningTexts({ path: request.path, query: request.query, timestamp, nonce, body });
  const signed =
    keyId === settings.keyId && settings.publicKeys.some((key) => cubeVerify(texts, signature ?? '', key));
  if (!signed) return refuse(codes.notAuthorised, 'signature is wrong', 403);
  if (!admit(books, `${provider}/${settings.keyId}`, settings.rateLimit, nowMs))
    return refuse(codes.tooManyRequests, 'too many requests', 429);
  return null;
}

const routes: readonly (readonly [string, RegExp, (call: Call) => Answer])[] = [
  ['GET', /^\/sims$/, listSims],
  ['GET', /^\/sims\/async_result\/([^/]+)$/, asyncResult],
  ['GET', /^\/sims\/([^/]+)$/, getSim],
  ['GET', /^\/sims\/([^/]+)\/bundles$/, listBundles],
  ['POST', /^\/sims\/([^/]+)\/bundle$/, addBundle],
  ['GET', /^\/sims\/([^/]+)\/usage$/, usage],
  ['POST', /^\/sims\/([^/]+)\/activate$/, activate],
  ['PUT', /^\/sims\/([^/]+)\/suspend\/v2$/, suspend],
  ['PUT', /^\/sims\/([^/]+)\/resume$/, resume],
  ['PUT', /^\/sims\/([^/]+)\/reset$/, reset],
  ['PUT', /^\/sims\/([^/]+)\/cancel$/, cancel],
  ['POST', /^\/orders\/service$/, createServiceOrder],
  ['GET', /^\/orders\/([^/]+)\/service$/, getServiceOrder],
];

function simOf(call: Call): SimCard | Refusal {
  return (
    findSim(call.books, provider, call.ids[0] ?? '', call.nowMs) ?? refuse(codes.unknownSim, 'SIM unknown')
  );
}

const pageSchema = z.object({
  page_no: z.coerce.number().int().min(1).default(1),
  page_size: z.coerce.number().int().min(1).max(100).default(10),
  status: z.string().optional(),
});

/** SIMs of the organisation. Source: protocols/linksfield.md 5.4; the shape is that of its page's example. */
function listSims(call: Call): Answer {
  const query = pageSchema.safeParse(call.request.query);
  if (!query.success) return refuse(codes.badParameter, 'status, page_no or page_size is wrong', 400);
  const { page_no, page_size, status } = query.data;
  const found = simsOf(call.books, provider).filter(
    (sim) => status === undefined || status === String(sim.status),
  );
  const data = found.slice((page_no - 1) * page_size, page_no * page_size).map((sim) => ({
    sim_id: sim.simId,
    status: sim.status,
    sim_service: { contract: contractOf(sim), bundles: bundlesOf(call, sim, ['active']) },
  }));
  return { ok: true, data, total: found.length };
}

/** The contract's length is invented: five years. */
const contractOf = (sim: SimCard) => ({ start_at: sim.addedAt, end_at: sim.addedAt + 5 * 365 * dayMs });

/** One SIM; only the bundle in use is listed. Source: protocols/linksfield.md 5.4; shape of its page's example. */
function getSim(call: Call): Answer {
  const sim = simOf(call);
  if ('ok' in sim) return sim;
  const contract = contractOf(sim);
  const data = {
    sim_id: sim.simId,
    imei: null,
    delivery_note_no: null,
    device_name: null,
    notes: null,
    status: sim.status,
    tags: [],
    tech: sim.ota ? 2 : 1,
    physical_specs: { type: 2, form_factor: null },
    profile: [{ imsi: sim.imsi, msisdn: null, apn: null, eid: null, euicc_status: null }],
    sim_service: {
      type: 1,
      contract: { start_at: contract.start_at, expire_at: contract.end_at, end_at: contract.end_at },
      testdata: { status: -1, limit: null, usage: null },
      global_overage_policy: [],
      bundles: bundlesOf(call, sim, ['active']),
    },
  };
  return { ok: true, data };
}

const bundleStatus = { waiting: 0, active: 1, ended: 3 } as const;

const bundlesOf = (call: Call, sim: SimCard, phases: readonly string[]): readonly JsonObject[] =>
  visibleOrders(call.books, provider, sim.simId, call.nowMs)
    .filter((order) => phases.includes(phaseOf(order, call.nowMs)))
    .map((order) => bundleRow(order, call.nowMs));

const bytesPerMb = 1024 * 1024;

/** Fields and their nulls. Source: protocols/linksfield.md 5.4, and the example of api-92038411. A period is a day. */
function bundleRow(order: OrderRecord, nowMs: number): JsonObject {
  const phase = phaseOf(order, nowMs);
  const start = phase === 'waiting' ? null : order.startedAt;
  const cycleMs = order.periodDays * dayMs;
  const cycle = start === null ? null : Math.min(order.periods, Math.floor((nowMs - start) / cycleMs) + 1);
  const cycleStart = start === null || cycle === null ? null : start + (cycle - 1) * cycleMs;
  return {
    id: order.packageCode,
    status: bundleStatus[phase],
    type: 1,
    use: 3,
    data_limit: order.dataMb === null ? -1 : order.dataMb * bytesPerMb,
    period_unit: 1,
    period_number: order.periodDays,
    cycles: order.periods,
    current_cycle: cycle,
    current_cycle_start_at: cycleStart,
    current_cycle_end_at: cycleStart === null ? null : cycleStart + cycleMs,
    current_cycle_usage: start === null ? null : order.usedBytes,
    added_at: order.createdAt,
    start_at: start,
    end_at: start === null ? null : expiryOf(order, nowMs),
  };
}

/** Bundles of a SIM in every state. Source: protocols/linksfield.md 5.4. */
function listBundles(call: Call): Answer {
  const sim = simOf(call);
  if ('ok' in sim) return sim;
  const query = pageSchema.safeParse(call.request.query);
  const wanted = call.request.query.status?.split(',') ?? ['0', '1', '2', '3'];
  if (!query.success || wanted.some((status) => !/^[0-3]$/.test(status)))
    return refuse(codes.badParameter, 'status, page_no or page_size is wrong', 400);
  const { page_no, page_size } = query.data;
  const phases = (['waiting', 'active', 'ended'] as const).filter((p) =>
    wanted.includes(String(bundleStatus[p])),
  );
  const found = bundlesOf(call, sim, phases);
  return { ok: true, data: found.slice((page_no - 1) * page_size, page_no * page_size), total: found.length };
}

const bundleSchema = z.looseObject({
  bundle_id: z.string().min(1),
  bundle_type: z.union([z.literal(10), z.literal(11)]),
  cycles: z.int().min(1).max(999),
  activate: z.boolean().optional(),
  clientToken: z.string().max(64).optional(),
});

/**
 * Adds a bundle to a SIM. Source: protocols/linksfield.md 5.4. Unknown: whether `clientToken` makes a repeat harmless;
 * here it does not, which is the harder case for a caller.
 */
function addBundle(call: Call): Answer {
  const { books, nowMs, terms } = call;
  const sim = simOf(call);
  if ('ok' in sim) return sim;
  const asked = bundleSchema.safeParse(call.body);
  if (!asked.success) return refuse(codes.badParameter, 'bundle_id, bundle_type or cycles is wrong', 400);
  const blocked = lockOf(call, sim) ?? endedOf(sim);
  if (blocked !== null) return blocked;
  const info = findPackage(books, provider, asked.data.bundle_id);
  if (info === null) return refuse(codes.unknownBundle, 'plan unknown');
  const periods = asked.data.cycles;
  if (!canPay(books, provider, priceOf({ info, periods })))
    return refuse(codes.balance, 'balance is not enough');
  const free = freeFrom(books, provider, sim.simId, nowMs);
  const startedAt = asked.data.activate === false ? null : free;
  const order = { sim, info, kind: 'order' as const, periods, reference: null, renew: false, startedAt };
  const record = placeOrder(books, { ...order, orderId: (number) => `OB-${number}` }, nowMs, terms);
  noteRecharge(call, record);
  return { ok: true, data: { order_id: record.orderId } };
}

/** Refusal while an asynchronous action runs on the SIM. Source: protocols/linksfield.md 5.4. */
function lockOf(call: Call, sim: SimCard): Refusal | null {
  const running = [...call.books.asyncActions.values()].some((a) => !a.done && a.simId === sim.simId);
  return running ? refuse(codes.stillRunning, 'earlier request still running') : null;
}

const endedOf = (sim: SimCard): Refusal | null =>
  sim.status >= 40 ? refuse(codes.terminated, 'not for expired or terminated SIMs') : null;

const usageSchema = z.object({
  category: z.literal('data'),
  period_type: z.enum(['1', '2']),
  begin_from: z.string().regex(/^\d{4}-\d{2}(-\d{2})?$/),
  end_by: z.string().regex(/^\d{4}-\d{2}(-\d{2})?$/),
});

/** Usage of the current month or day, as one row. Source: protocols/linksfield.md 5.4; update_at is taken as ms. */
function usage(call: Call): Answer {
  const sim = simOf(call);
  if ('ok' in sim) return sim;
  const query = usageSchema.safeParse(call.request.query);
  if (!query.success)
    return refuse(codes.badParameter, 'category, period_type, begin_from or end_by is wrong', 400);
  const all = visibleOrders(call.books, provider, sim.simId, call.nowMs).reduce(
    (sum, o) => sum + o.usedBytes,
    0,
  );
  const period = formatTime(call.nowMs, 0, 'dashes').slice(0, query.data.period_type === '2' ? 7 : 10);
  const inside = period >= query.data.begin_from && period <= query.data.end_by;
  const rows = inside ? [{ period, update_at: call.nowMs, data: { all } }] : [];
  return { ok: true, data: { usage: rows } };
}

/** Starts a background action: lock, later effect, later callback. The reply's name of the id is inferred from 5.4. */
function begin(
  call: Call,
  sim: SimCard,
  action: { operation: string; apply: (sim: SimCard) => void },
): Answer {
  const locked = lockOf(call, sim);
  if (locked !== null) return locked;
  const requestId = `RQ-${nextNumber(call.books).toString().padStart(10, '0')}`;
  const dueAt = call.nowMs + call.settings.asyncMs;
  call.books.asyncActions.set(requestId, { requestId, simId: sim.simId, dueAt, done: false, ...action });
  call.terms.notices.push({
    provider,
    dueAt,
    signed: true,
    body: asyncBody({
      requestId,
      simId: sim.simId,
      operation: action.operation,
      number: nextNumber(call.books),
      dueAt,
    }),
  });
  return { ok: true, data: { request_id: requestId } };
}

/** Async API callback. Source: protocols/linksfield.md 6 names it and its sub-types; every field here is a guess. */
const asyncBody = (a: {
  requestId: string;
  simId: string;
  operation: string;
  number: number;
  dueAt: number;
}) => ({
  transaction_id: `TX-${a.number}`,
  event_type: 'async_api_callback',
  sub_type: a.operation,
  request_id: a.requestId,
  sim_id: a.simId,
  result: 'success',
  occurred_at: a.dueAt,
});

const becomes = (status: number) => (sim: SimCard) => {
  sim.status = status;
};

/** Source: protocols/linksfield.md 5.4: not for OTA SIMs; codes 0101, 0102 from 5.5. */
function activate(call: Call): Answer {
  const sim = simOf(call);
  if ('ok' in sim) return sim;
  if (sim.ota) return refuse(codes.otaSim, 'not for OTA SIMs');
  if (sim.status === 23) return refuse(codes.alreadyActive, 'already active');
  if (sim.status !== 10) return refuse(codes.wrongStatus, 'wrong status');
  if (bundlesOf(call, sim, ['waiting', 'active']).length === 0)
    return refuse(codes.noValidBundle, 'no valid bundle');
  return begin(call, sim, { operation: 'Activate', apply: becomes(23) });
}

function changeStatus(call: Call, change: { from: number; to: number; operation: string }): Answer {
  const sim = simOf(call);
  if ('ok' in sim) return sim;
  if (sim.status !== change.from) return refuse(codes.wrongStatus, 'wrong status');
  return begin(call, sim, { operation: change.operation, apply: becomes(change.to) });
}

/** The method of suspend and reset is not documented; PUT, as resume's. Source: protocols/linksfield.md 5.4. */
function suspend(call: Call): Answer {
  return changeStatus(call, { from: 23, to: 30, operation: 'Suspend v2' });
}

function resume(call: Call): Answer {
  return changeStatus(call, { from: 30, to: 23, operation: 'Resume' });
}

function reset(call: Call): Answer {
  const sim = simOf(call);
  if ('ok' in sim) return sim;
  return begin(call, sim, { operation: 'Reset', apply: () => undefined });
}

const cancelSchema = z.looseObject({ order_id: z.string().optional(), keep_alive: z.boolean().optional() });

/** Ends one plan, or all without `order_id`; `keep_alive` starts the next one. Source: protocols/linksfield.md 5.4. */
function cancel(call: Call): Answer {
  const sim = simOf(call);
  if ('ok' in sim) return sim;
  const asked = cancelSchema.safeParse(call.body);
  if (!asked.success) return refuse(codes.badParameter, 'order_id or keep_alive is wrong', 400);
  const { order_id, keep_alive = false } = asked.data;
  const open = visibleOrders(call.books, provider, sim.simId, call.nowMs).filter(
    (order) => phaseOf(order, call.nowMs) !== 'ended',
  );
  const ended = open.filter((order) => order_id === undefined || order.orderId === order_id);
  if (ended.length === 0) return refuse(codes.noBundleInUse, 'no bundle in use');
  const dueAt = call.nowMs + call.settings.asyncMs;
  const next = keep_alive ? open.find((order) => !ended.includes(order)) : undefined;
  const apply = () => {
    for (const order of ended) order.endedAt = dueAt;
    if (next !== undefined && (next.startedAt ?? dueAt) >= dueAt) next.startedAt = dueAt;
  };
  return begin(call, sim, { operation: 'Cancel', apply });
}

/** Result of a background action. Source: protocols/linksfield.md 5.4; the body is unknown. */
function asyncResult(call: Call): Answer {
  const action = call.books.asyncActions.get(call.ids[0] ?? '');
  if (action === undefined) return refuse(codes.badParameter, 'unknown request_id', 400);
  const { requestId, simId, operation, done } = action;
  const data = { request_id: requestId, sim_id: simId, operation, result: done ? 'success' : 'processing' };
  return { ok: true, data };
}

const serviceSchema = z.looseObject({
  items: z
    .array(
      z.looseObject({
        id: z.string().min(1),
        quantity: z.int().min(1).max(999),
        sim_ids: z.array(z.string().min(1)).min(1).max(1_000),
      }),
    )
    .min(1)
    .max(100),
  extra: z.looseObject({ po: z.string().nullish(), remarks: z.string().nullish() }).nullish(),
});
type ServiceOrder = z.infer<typeof serviceSchema>;

/** An equal request this soon after the first gets the first one's order id. Source: protocols/linksfield.md 5.4. */
const equalRequestMs = 10_000;

/**
 * Renews plans for many SIMs. Source: protocols/linksfield.md 5.4. Asynchronous: the bundles are listed only after
 * `asyncMs`. SIMs that can't be renewed are left out without a word; if none is left, the order is refused (inferred).
 */
function createServiceOrder(call: Call): Answer {
  const { books, nowMs, terms } = call;
  const asked = serviceSchema.safeParse(call.body);
  if (!asked.success) return refuse(codes.badParameter, 'items or extra is wrong', 400);
  const text = sortedJson(call.body);
  forgetOldRequests(call);
  const recent = books.cubeRecent.get(text);
  const first = recent === undefined ? undefined : books.cubeOrders.get(recent.orderId);
  if (first !== undefined) return orderAnswer(first);
  const lines = linesOf(call, asked.data);
  if ('ok' in lines) return lines;
  const totalMinor = lines.reduce(
    (sum, l) => sum + priceOf({ info: l.info, periods: l.quantity }) * l.sims.length,
    0,
  );
  if (!canPay(books, provider, totalMinor)) return refuse(codes.balance, 'balance is not enough');
  const order: CubeOrder = {
    orderId: `OL-${(10_004_995 + nextNumber(books)).toString(36).toUpperCase().padStart(12, '0')}`,
    items: lines.map((line) => ({
      id: line.info.code,
      quantity: line.quantity,
      priceMinor: line.info.priceMinor,
      simIds: line.sims.map((sim) => sim.simId),
    })),
    currency: books.wallets[provider].currency,
    totalMinor,
    extra: { po: asked.data.extra?.po ?? null, remarks: asked.data.extra?.remarks ?? null },
    createdAt: nowMs,
    visibleFrom: terms.visibleFrom,
  };
  books.cubeOrders.set(order.orderId, order);
  books.cubeRecent.set(text, { orderId: order.orderId, at: nowMs });
  for (const line of lines) for (const sim of line.sims) placeServiceBundle(call, order, { ...line, sim });
  return orderAnswer(order);
}

/** Keeps the memory of equal requests as short as the window; it is in the order of time. */
function forgetOldRequests(call: Call): void {
  for (const [text, recent] of call.books.cubeRecent) {
    if (call.nowMs - recent.at <= equalRequestMs) return;
    call.books.cubeRecent.delete(text);
  }
}

interface Line {
  readonly info: PackageInfo;
  readonly quantity: number;
  readonly sims: readonly SimCard[];
}

function linesOf(call: Call, order: ServiceOrder): readonly Line[] | Refusal {
  const lines: Line[] = [];
  for (const item of order.items) {
    const info = findPackage(call.books, provider, item.id);
    if (info === null) return refuse(codes.unknownBundle, 'plan unknown');
    const sims = [...new Set(item.sim_ids)]
      .map((simId) => findSim(call.books, provider, simId, call.nowMs))
      .filter((sim) => sim !== null)
      .filter((sim) => sim.status < 40);
    lines.push({ info, quantity: item.quantity, sims });
  }
  const any = lines.some((line) => line.sims.length > 0);
  return any ? lines : refuse(codes.unknownSim, 'no SIM of the order can be renewed');
}

function placeServiceBundle(
  call: Call,
  order: CubeOrder,
  line: Omit<Line, 'sims'> & { readonly sim: SimCard },
): void {
  const { books, nowMs, terms } = call;
  const startedAt = freeFrom(books, provider, line.sim.simId, nowMs);
  const record = placeOrder(
    books,
    {
      sim: line.sim,
      info: line.info,
      kind: 'order',
      // One record a SIM and line, so the id of the whole order is its stem.
      orderId: (number) => `${order.orderId}/${number}`,
      periods: line.quantity,
      reference: null,
      renew: true,
      startedAt,
      visibleFrom: nowMs + call.settings.asyncMs,
    },
    nowMs,
    terms,
  );
  noteRecharge(call, record);
}

/** `created_at` is a number here and a string in the query. Source: protocols/linksfield.md 5.4. */
const orderAnswer = (order: CubeOrder): Answer => ({
  ok: true,
  data: { status: 1, created_at: order.createdAt, order_id: order.orderId },
});

/** One renew order. Source: protocols/linksfield.md 5.4. Prices are in minor units there by the look of it (inferred). */
function getServiceOrder(call: Call): Answer {
  const order = call.books.cubeOrders.get(call.ids[0] ?? '');
  if (order === undefined || order.visibleFrom > call.nowMs)
    return refuse(codes.badParameter, 'order unknown', 400);
  const items = order.items.map((item) => ({
    id: item.id,
    quantity: item.quantity,
    price: item.priceMinor,
    sim_ids: item.simIds,
  }));
  const data = {
    id: order.orderId,
    type: 2,
    status: 1,
    items,
    accounting: { currency: order.currency, pay_channel: 1, total_amount: order.totalMinor },
    extra: order.extra,
    created_at: String(order.createdAt),
    abnormal: [],
  };
  return { ok: true, data };
}

/** Recharge success. Source: protocols/linksfield.md 6 names it; every field here is a guess. */
function noteRecharge(call: Call, order: OrderRecord): void {
  const body = {
    transaction_id: `TX-${nextNumber(call.books)}`,
    event_type: 'recharge_success',
    order_id: order.orderId.split('/')[0] ?? order.orderId,
    sim_id: order.simId,
    bundle_id: order.packageCode,
    amount: String(order.priceMinor),
    currency: order.currency,
    occurred_at: order.createdAt,
  };
  call.terms.notices.push({ provider, dueAt: order.visibleFrom, signed: true, body });
}

/** The provider's own envelope for a refusal that a fault asks for. */
export const cubeError = (code: string, message: string, status: number): ApiReply => ({
  status,
  headers: jsonHeaders,
  bodyText: JSON.stringify({ data: null, status: { code, message, detail: null } }),
});

export const cubeRateLimited = (): ApiReply => cubeError(codes.tooManyRequests, 'too many requests', 429);
