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
  textOf,
} from './api-handler.ts';
import {
  admit,
  type Books,
  canPay,
  expiryOf,
  extendOrder,
  findPackage,
  findSim,
  type OrderRecord,
  type PackageInfo,
  phaseOf,
  placeOrder,
  priceOf,
  type RateLimit,
  type SimCard,
  simsOf,
  visibleOrder,
  visibleOrders,
  visiblePeriods,
} from './books.ts';
import { csssSign, type JsonObject, type JsonValue } from './signatures.ts';

const provider = 'linksfield-csss';

/**
 * `0000` is the only documented code (protocols/linksfield.md 2). The others are plausible stand-ins, so a client must
 * take every one of them as a failure and nothing more.
 */
const codes = {
  ok: '0000',
  parameter: '1001',
  signature: '1002',
  accessCode: '1003',
  timestamp: '1004',
  device: '2001',
  packageCode: '2002',
  order: '2003',
  orderState: '2004',
  ota: '2005',
  balance: '2006',
  tooManyRequests: '9429',
  unknownPath: '9404',
} as const;

export interface CsssSettings {
  readonly accessCode: string;
  /** Secrets that a request may be signed with: more than one during a rotation. */
  readonly secrets: readonly string[];
  readonly rateLimit: RateLimit;
  /** How far `timestamp` may be off; null for no check. Source: unknown, protocols/linksfield.md 2. */
  readonly timestampToleranceMs: number | null;
  /** Zone of the date strings; the pages name none. */
  readonly zoneOffsetMin: number;
  /** Whether order status callbacks carry `x-lf-md5`. Documented as not yet: protocols/linksfield.md 4. */
  readonly signOrderStatus: boolean;
}

interface Call {
  readonly books: Books;
  readonly settings: CsssSettings;
  readonly body: JsonObject;
  readonly nowMs: number;
  readonly terms: Terms;
}

type Answer =
  | { readonly ok: true; readonly data: JsonValue }
  | { readonly ok: false; readonly code: string; readonly message: string };

const refuse = (code: string, message: string): Answer => ({ ok: false, code, message });

/** The CSSS API, mounted at `/` and, as seed 001 shows it, under `/cube/v4`. */
export function createCsss(books: Books, settings: CsssSettings): ApiHandler {
  return (request, nowMs, terms) => {
    const body = readJsonObject(request.bodyText);
    const refusal = guard(books, settings, { request, body, nowMs });
    if (refusal !== null || body === null)
      return reply(refusal ?? refuse(codes.parameter, 'body'), request, body);
    const endpoint = endpoints[request.path.replace(/^\/cube\/v4/, '')];
    const call = { books, settings, body, nowMs, terms };
    return reply(
      endpoint === undefined ? refuse(codes.unknownPath, 'not found') : endpoint(call),
      request,
      body,
    );
  };
}

/** Envelope and messages. Source: protocols/linksfield.md 2: Chinese unless the caller asks for English. */
function reply(answer: Answer, request: ApiRequest, body: JsonObject | null): Handled {
  const english = /^en/i.test(request.headers['accept-language'] ?? 'zh-CN');
  const code = answer.ok ? codes.ok : answer.code;
  const bodyText = JSON.stringify({
    code,
    data: answer.ok ? answer.data : null,
    message: answer.ok ? (english ? 'success' : '成功') : answer.message,
    success: answer.ok,
  });
  return {
    status: code === codes.tooManyRequests ? 429 : code === codes.unknownPath ? 404 : 200,
    headers: jsonHeaders,
    bodyText,
    accepted: answer.ok,
    code,
    simId: body === null ? null : textOf(body, 'device_id'),
    reference: null,
  };
}

/** Common parameters; `timestamp` in seconds or, as the overview's table has it, milliseconds. Source: 1 and 2. */
const commonSchema = z.looseObject({
  version: z.literal('2.0'),
  access_code: z.string(),
  timestamp: z.string().regex(/^(\d{10}|\d{13})$/),
  sign: z.string().length(28),
});

interface Arrival {
  readonly request: ApiRequest;
  readonly body: JsonObject | null;
  readonly nowMs: number;
}

function guard(books: Books, settings: CsssSettings, arrival: Arrival): Answer | null {
  const { request, body, nowMs } = arrival;
  if (request.method !== 'POST') return refuse(codes.parameter, 'method must be POST');
  if (!(request.headers['content-type'] ?? '').startsWith('application/json'))
    return refuse(codes.parameter, 'content type must be application/json');
  const common = commonSchema.safeParse(body);
  if (body === null || !common.success)
    return refuse(codes.parameter, 'version, access_code, timestamp or sign is wrong');
  if (common.data.access_code !== settings.accessCode) return refuse(codes.accessCode, 'unknown access_code');
  if (!settings.secrets.some((secret) => csssSign(body, secret) === common.data.sign))
    return refuse(codes.signature, 'sign error');
  const sentMs = Number(common.data.timestamp) * (common.data.timestamp.length === 10 ? 1_000 : 1);
  if (settings.timestampToleranceMs !== null && Math.abs(nowMs - sentMs) > settings.timestampToleranceMs)
    return refuse(codes.timestamp, 'timestamp out of range');
  if (!admit(books, `${provider}/${settings.accessCode}`, settings.rateLimit, nowMs))
    return refuse(codes.tooManyRequests, 'too many requests');
  return null;
}

const endpoints: Readonly<Record<string, (call: Call) => Answer>> = {
  '/package/orderPackage': orderPackage,
  '/package/batchOrderPackages': batchOrderPackages,
  '/package/renewPackage': renewPackage,
  '/package/queryOrder': queryOrder,
  '/package/createOtaOrder': createOtaOrder,
  '/device/syncAssetInfo': syncAssetInfo,
  '/flow/queryDeviceFlowUsage': queryDeviceFlowUsage,
  '/flow/getInfoByDeviceId': getInfoByDeviceId,
};

const flag = z.enum(['0', '1']);

/** Order fields that all three order calls share. Source: seeds 002 and 003, protocols/linksfield.md 3.1. */
const planShape = {
  global_order: flag,
  is_open: flag,
  order_period: z.string().regex(/^[1-9]\d{0,2}$/),
  package_code: z.string().min(1),
  package_name: z.string().min(1),
  package_type: z.enum(['0', '1', '2', '3', '4', '5']),
  pay_rst: z.enum(['1', '2']),
  test_flow: z.string().min(1),
  test_flow_flag: flag,
};
const payAmount = z.string().regex(/^\d+(\.\d{1,2})?$/);
const payType = z.enum(['0', '1', '2']);

const orderSchema = z.looseObject({
  ...planShape,
  device_id: z.string().min(1),
  pay_amount: payAmount,
  pay_type: payType.or(z.literal('')).optional(),
});
const batchSchema = z.looseObject({
  ...planShape,
  deviceList: z.array(z.string().min(1)).min(1).max(1_000),
  pay_amount: payAmount.optional(),
  pay_type: payType.or(z.literal('')).optional(),
});
const otaSchema = z.looseObject({
  ...planShape,
  device_id: z.string().min(1),
  pay_amount: payAmount,
  pay_type: payType,
  mcc: z.string().optional(),
  days: z.int().min(1),
  timing_type: z.string().min(1),
});

/** The path of the wrong field, so that a test's failure says which it was. */
const wrongField = (error: z.ZodError): Answer =>
  refuse(codes.parameter, `parameter error: ${error.issues.map((issue) => issue.path.join('.')).join(', ')}`);

interface Plan {
  readonly package_code: string;
  readonly order_period: string;
  readonly is_open: string;
}

/** The SIM and package of an order, or why it can't be had. OTA SIMs must send is_open 0. Source: 3.1. */
function qualify(
  call: Call,
  simId: string,
  plan: Plan,
): { readonly sim: SimCard; readonly info: PackageInfo } | Extract<Answer, { ok: false }> {
  const sim = findSim(call.books, provider, simId, call.nowMs);
  const info = findPackage(call.books, provider, plan.package_code);
  if (sim === null) return { ok: false, code: codes.device, message: 'device does not exist' };
  if (info === null) return { ok: false, code: codes.packageCode, message: 'package does not exist' };
  if (sim.ota && plan.is_open === '1')
    return { ok: false, code: codes.ota, message: 'OTA device: is_open must be 0' };
  if (!canPay(call.books, provider, priceOf({ info, periods: Number(plan.order_period) })))
    return { ok: false, code: codes.balance, message: 'balance is not enough' };
  return { sim, info };
}

/** So that the numbers look like seed 002's, 17 digits: above what a JSON number can hold exactly. */
const orderIdBase = 47_452_122_251_744_764n;

const orderIdOf = (number: number): string => `ORDER_${orderIdBase + BigInt(number)}`;

function buy(call: Call, simId: string, plan: Plan, kind: 'order' | 'order-ota'): OrderRecord | Answer {
  const { books, nowMs, terms } = call;
  const fit = qualify(call, simId, plan);
  if ('ok' in fit) return fit;
  const startedAt = plan.is_open === '1' ? nowMs : null;
  const periods = Number(plan.order_period);
  const order = { ...fit, kind, orderId: orderIdOf, periods, reference: null, renew: false, startedAt };
  const record = placeOrder(books, order, nowMs, terms);
  const code = { ota: '1007', other: '1005' }[kind === 'order-ota' ? 'ota' : 'other'];
  for (const status of startedAt === null ? ['1000'] : ['1000', code])
    terms.notices.push(
      orderStatusNotice(record, { code: status, at: record.visibleFrom, imsi: fit.sim.imsi }, call.settings),
    );
  return record;
}

/**
 * An order status change. The codes are documented (protocols/linksfield.md 4), the body's field names are not: these
 * follow the SMS callback of the same page (partner_code, sim_id, imsi, times as ms strings).
 */
export function orderStatusNotice(
  order: OrderRecord,
  change: { readonly code: string; readonly at: number; readonly imsi: string | null },
  settings: Pick<CsssSettings, 'signOrderStatus' | 'accessCode'>,
): Terms['notices'][number] {
  return {
    provider,
    dueAt: change.at,
    signed: settings.signOrderStatus,
    body: {
      partner_code: settings.accessCode,
      sim_id: order.simId,
      imsi: change.imsi,
      order_id: order.orderId,
      package_code: order.packageCode,
      status: change.code,
      occurred_at: String(change.at),
    },
  };
}

/** Start and end of an order that runs, null before. Source: seed 002; the format is renewPackage's. */
function orderDates(
  call: Call,
  order: OrderRecord,
): { readonly start: string | null; readonly end: string | null } {
  const text = (ms: number | null) =>
    ms === null ? null : formatTime(ms, call.settings.zoneOffsetMin, 'dashes');
  return { start: text(order.startedAt), end: text(expiryOf(order, call.nowMs)) };
}

/** Orders a plan for one SIM. Source: seed 002, protocols/linksfield.md 3.1. */
function orderPackage(call: Call): Answer {
  const plan = orderSchema.safeParse(call.body);
  if (!plan.success) return wrongField(plan.error);
  const order = buy(call, plan.data.device_id, plan.data, 'order');
  if ('ok' in order) return order;
  const dates = orderDates(call, order);
  const data = {
    sign: null,
    order_id: order.orderId,
    order_start_date: dates.start,
    order_expire_date: dates.end,
  };
  return { ok: true, data };
}

/**
 * Orders a plan for many SIMs, each on its own. Source: protocols/linksfield.md 3.2. Whether one unfit SIM stops the
 * whole order is ambiguous there; here the others go through, so a caller must read each row.
 */
function batchOrderPackages(call: Call): Answer {
  const plan = batchSchema.safeParse(call.body);
  if (!plan.success) return wrongField(plan.error);
  const rows = plan.data.deviceList.map((simId) => {
    const order = buy(call, simId, plan.data, 'order');
    if ('ok' in order) {
      const [error, errorMsg] = order.ok ? [codes.ok, 'success'] : [order.code, order.message];
      return {
        error,
        errorMsg,
        order_id: null,
        device_id: simId,
        order_start_date: null,
        order_expire_date: null,
      };
    }
    const { start, end } = orderDates(call, order);
    const dates = { order_start_date: start, order_expire_date: end };
    return { error: codes.ok, errorMsg: 'success', order_id: order.orderId, device_id: simId, ...dates };
  });
  return { ok: true, data: { device_order: rows } };
}

const renewSchema = z.looseObject({ order_id: z.string().min(1), renew_period: z.int().min(1).max(999) });

/**
 * Lengthens an order that runs or waits. The reply repeats the request's sign. Source: protocols/linksfield.md 3.3.
 * An order that has not begun has no end yet: the empty string (unknown). 1009 is sent only for one that runs: 4.
 */
function renewPackage(call: Call): Answer {
  const { books, nowMs, terms } = call;
  const renewal = renewSchema.safeParse(call.body);
  if (!renewal.success) return wrongField(renewal.error);
  const order = visibleOrder(books, provider, renewal.data.order_id, nowMs);
  if (order === null) return refuse(codes.order, 'order does not exist');
  if (phaseOf(order, nowMs) === 'ended') return refuse(codes.orderState, 'order has ended');
  const perPeriod =
    findPackage(books, provider, order.packageCode)?.priceMinor ?? order.priceMinor / order.periods;
  const priceMinor = Math.round(perPeriod * renewal.data.renew_period);
  if (!canPay(books, provider, priceMinor)) return refuse(codes.balance, 'balance is not enough');
  extendOrder(books, order, { periods: renewal.data.renew_period, priceMinor, at: nowMs }, terms);
  const visibleFrom = Math.max(nowMs, terms.visibleFrom);
  const imsi = findSim(books, provider, order.simId, nowMs)?.imsi ?? null;
  if (phaseOf(order, nowMs) === 'active' && Number.isFinite(visibleFrom))
    terms.notices.push(orderStatusNotice(order, { code: '1009', at: visibleFrom, imsi }, call.settings));
  // The reply speaks of the order as the renewal makes it, even when the records show that only later.
  const end = orderDates({ ...call, nowMs: Number.isFinite(visibleFrom) ? visibleFrom : nowMs }, order).end;
  return {
    ok: true,
    data: { order_id: order.orderId, order_expire_date: end ?? '', sign: call.body.sign ?? null },
  };
}

const querySchema = z.looseObject({
  page_no: z.int().min(1),
  page_size: z.int().min(1).max(1_000),
  device_id: z.string().optional(),
  order_id: z.string().optional(),
  order_status: z.string().optional(),
  order_type: z.string().optional(),
});

/** 1 and 2 are inferred from examples, 3 is a guess. Source: protocols/linksfield.md 3.4. */
const orderStatus = { waiting: '1', active: '2', ended: '3' } as const;

const matches = (filter: string | undefined, value: string): boolean =>
  filter === undefined || filter === '' || filter === value;

/** Order records, oldest first. Source: seeds 000 and 001. `order_type` is taken as packageType (unknown). */
function queryOrder(call: Call): Answer {
  const query = querySchema.safeParse(call.body);
  if (!query.success) return wrongField(query.error);
  const { page_no, page_size, device_id, order_id, order_status, order_type } = query.data;
  const simId = device_id === undefined || device_id === '' ? null : device_id;
  const found = visibleOrders(call.books, provider, simId, call.nowMs).filter(
    (order) =>
      matches(order_id, order.orderId) &&
      matches(order_status, orderStatus[phaseOf(order, call.nowMs)]) &&
      matches(order_type, order.packageType),
  );
  const rows = found
    .slice((page_no - 1) * page_size, page_no * page_size)
    .map((order) => orderRow(call, order));
  const page = {
    cur_page_no: page_no,
    page_size,
    total_count: found.length,
    total_pages: Math.ceil(found.length / page_size),
  };
  const [secret = ''] = call.settings.secrets;
  // How a reply's sign is made is unknown; the request's rule over the reply's data gives one of the right form.
  const sign = csssSign({ page, package_order: rows, package_order_num: rows.length }, secret);
  return { ok: true, data: { page, sign, package_order: rows, package_order_num: rows.length } };
}

/** The 22 fields of the seed, in its order. buyType is unknown and always the example's "2". */
function orderRow(call: Call, order: OrderRecord): JsonObject {
  const { nowMs } = call;
  const digits = (ms: number | null) =>
    ms === null ? '' : formatTime(ms, call.settings.zoneOffsetMin, 'digits');
  const usedMb = String(Math.floor(order.usedBytes / (1024 * 1024)));
  return {
    buyType: '2',
    expireDate: digits(expiryOf(order, nowMs)),
    flow: order.dataMb === null ? '-1' : String(order.dataMb),
    orderCode: order.orderId,
    orderStatus: orderStatus[phaseOf(order, nowMs)],
    orderDate: digits(order.createdAt),
    orderPeriod: String(visiblePeriods(order, nowMs)),
    packageCode: order.packageCode,
    packageName: order.packageName,
    packageType: order.packageType,
    usedFlow: usedMb,
    flowUseRate: null,
    orderUsedFlow: usedMb,
    supplierCode: null,
    refuelingPackageList: [],
    hasTestFlow: '0',
    profileList: null,
    isFlowPlus: null,
    deviceId: order.simId,
    device_id: order.simId,
    activeDate: digits(order.startedAt),
    main_iccid: null,
  };
}

/** Orders an OTA day plan. Source: seed 003; `order_time` has no example, its format is renewPackage's. */
function createOtaOrder(call: Call): Answer {
  const plan = otaSchema.safeParse(call.body);
  if (!plan.success) return wrongField(plan.error);
  const order = buy(call, plan.data.device_id, plan.data, 'order-ota');
  if ('ok' in order) return order;
  const order_time = formatTime(order.createdAt, call.settings.zoneOffsetMin, 'dashes');
  return { ok: true, data: { sim_id: order.simId, order_id: order.orderId, order_time } };
}

/**
 * SIMs that have a plan in use: 8 fields, of which assetId and lifeCycle are documented and the other six are guesses.
 * Source: protocols/linksfield.md 3.6.
 */
function syncAssetInfo(call: Call): Answer {
  const rows = simsOf(call.books, provider).flatMap((sim) => {
    const active = activeOrder(call, sim.simId);
    if (active === null) return [];
    const dates = orderDates(call, active);
    return [
      {
        assetId: sim.simId,
        lifeCycle: '2',
        imsi: sim.imsi,
        msisdn: null,
        packageCode: active.packageCode,
        packageName: active.packageName,
        activeDate: dates.start,
        expireDate: dates.end,
      },
    ];
  });
  return { ok: true, data: rows };
}

const activeOrder = (call: Call, simId: string): OrderRecord | null =>
  visibleOrders(call.books, provider, simId, call.nowMs).find(
    (order) => phaseOf(order, call.nowMs) === 'active',
  ) ?? null;

const deviceSchema = z.looseObject({ device_id: z.string().min(1) });

/** The SIM that the call names, or the refusal. */
function deviceOf(call: Call): SimCard | Answer {
  const device = deviceSchema.safeParse(call.body);
  if (!device.success) return wrongField(device.error);
  return (
    findSim(call.books, provider, device.data.device_id, call.nowMs) ?? refuse(codes.device, 'unknown device')
  );
}

/** Usage in the current order cycle. Source: protocols/linksfield.md 3.6; units unknown, MB here. */
function queryDeviceFlowUsage(call: Call): Answer {
  const sim = deviceOf(call);
  if ('ok' in sim) return sim;
  const order = activeOrder(call, sim.simId);
  if (order === null) return refuse(codes.order, 'no order in use');
  const usedMb = Math.floor(order.usedBytes / (1024 * 1024));
  return {
    ok: true,
    data: {
      device_id: sim.simId,
      order_code: order.orderId,
      order_used_flow: String(usedMb),
      high_flow_balance: String(Math.max(0, (order.dataMb ?? usedMb) - usedMb)),
      sign: null,
    },
  };
}

/** IMSI in use and its remaining data at the operator. Source: protocols/linksfield.md 3; field names are guesses. */
function getInfoByDeviceId(call: Call): Answer {
  const sim = deviceOf(call);
  if ('ok' in sim) return sim;
  const order = activeOrder(call, sim.simId);
  if (order === null) return refuse(codes.order, 'no order in use');
  const usedMb = Math.floor(order.usedBytes / (1024 * 1024));
  const remain_flow = String(Math.max(0, (order.dataMb ?? usedMb) - usedMb));
  return { ok: true, data: { device_id: sim.simId, imsi: sim.imsi, remain_flow, sign: null } };
}

/** The provider's own envelope for a refusal that a fault asks for. */
export const csssError = (code: string, message: string, status = 200): ApiReply => ({
  status,
  headers: jsonHeaders,
  bodyText: JSON.stringify({ code, data: null, message, success: false }),
});

export const csssRateLimited = (): ApiReply => csssError(codes.tooManyRequests, 'too many requests', 429);
