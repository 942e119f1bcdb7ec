import { z } from 'zod';
import {
  type ApiHandler,
  type ApiReply,
  type ApiRequest,
  formatTime,
  type Handled,
  jsonHeaders,
  parseTime,
  readJsonObject,
  type Terms,
  textOf,
} from './api-handler.ts';
import {
  admit,
  type Books,
  canPay,
  expiryOf,
  findByReference,
  findPackage,
  findSim,
  freeFrom,
  majorAmount,
  type OrderRecord,
  type PackageInfo,
  packagesOf,
  phaseOf,
  placeOrder,
  type RateLimit,
  updatedAt,
  visibleOrder,
  visibleOrders,
} from './books.ts';
import { eiotclubSign, type JsonObject, type JsonValue } from './signatures.ts';

const provider = 'eiotclub';

/**
 * Codes of the provider. Source: protocols/eiotclub.md 1.5. The last five are not in the visible part of its table:
 * plausible stand-ins, so a client must not depend on them.
 */
const codes = {
  ok: '200',
  forbidden: '403',
  tooManyRequests: '501',
  ipNotAllowed: '502',
  iccidFormat: '41002',
  iccidEmpty: '41003',
  startDate: '41004',
  endDate: '41005',
  tooMany: '41007',
  foreignCard: '41008',
  packageCode: '41018',
  notOfThisCard: '41028',
  balanceTooLow: '45112',
  refundNotAllowed: '45113',
  duplicateReference: '503016',
  badParameter: '400',
  badSignature: '401',
  expiredTimestamp: '408',
  unknownPath: '404',
  unknownOrder: '404',
} as const;

export interface EiotclubSettings {
  readonly appkey: string;
  /** Secrets that a request may be signed with: more than one during a rotation. */
  readonly secrets: readonly string[];
  readonly rateLimit: RateLimit;
  /** How far `timestamp` may be off; null for no check. Source: unknown, protocols/eiotclub.md 1.1. */
  readonly timestampToleranceMs: number | null;
  /** Zone of the date strings; the pages name none. */
  readonly zoneOffsetMin: number;
  /** Asked per request: the caller's address is on the allow-list. */
  readonly ipAllowed: () => boolean;
}

interface Call {
  readonly books: Books;
  readonly settings: EiotclubSettings;
  readonly body: JsonObject;
  readonly nowMs: number;
  readonly terms: Terms;
}

interface Answer {
  readonly code: string;
  readonly message: string;
  readonly data: JsonValue;
  readonly total?: number;
}

const refuse = (code: string, message: string): Answer => ({ code, message, data: null });

/**
 * The EIOTCLUB API. Business errors come with HTTP 200 and another code (protocols/eiotclub.md 1.4); whether the live
 * service does so for signature errors too is unknown, and taken as yes.
 */
export function createEiotclub(books: Books, settings: EiotclubSettings): ApiHandler {
  return (request, nowMs, terms) => {
    const body = readJsonObject(request.bodyText);
    const refusal = guard(books, settings, { request, body, nowMs });
    if (refusal !== null || body === null) return reply(refusal ?? refuse(codes.badParameter, 'body'), body);
    const endpoint = endpoints[request.path];
    if (endpoint === undefined)
      return { ...reply(refuse(codes.unknownPath, 'not found'), body), status: 404 };
    return reply(endpoint({ books, settings, body, nowMs, terms }), body);
  };
}

function reply(answer: Answer, body: JsonObject | null): Handled {
  const bodyText = JSON.stringify({
    code: answer.code,
    message: answer.message,
    ...(answer.total === undefined ? {} : { total: answer.total }),
    data: answer.data,
  });
  return {
    status: 200,
    headers: jsonHeaders,
    bodyText,
    accepted: answer.code === codes.ok,
    code: answer.code,
    simId: body === null ? null : textOf(body, 'iccid'),
    reference: body === null ? null : textOf(body, 'outTradeNo'),
  };
}

/** System parameters of every body. Source: protocols/eiotclub.md 1.2. */
const systemSchema = z.looseObject({
  appkey: z.string(),
  timestamp: z.int().min(1_000_000_000).max(9_999_999_999),
  nonce: z.int().min(10_000).max(99_999),
  sign: z.string().regex(/^[0-9A-F]{40}$/),
});

interface Arrival {
  readonly request: ApiRequest;
  readonly body: JsonObject | null;
  readonly nowMs: number;
}

/** What stands before every endpoint, in the order in which a gateway would check it. Null lets the request in. */
function guard(books: Books, settings: EiotclubSettings, arrival: Arrival): Answer | null {
  const { request, body, nowMs } = arrival;
  if (!settings.ipAllowed()) return refuse(codes.ipNotAllowed, 'IP is not on the allow-list');
  if (request.method !== 'POST') return refuse(codes.badParameter, 'method must be POST');
  if (!(request.headers['content-type'] ?? '').startsWith('application/json'))
    return refuse(codes.badParameter, 'content type must be application/json');
  const system = systemSchema.safeParse(body);
  if (body === null || !system.success)
    return refuse(codes.badParameter, 'appkey, timestamp, nonce or sign is wrong');
  if (system.data.appkey !== settings.appkey) return refuse(codes.forbidden, 'no permission');
  if (!settings.secrets.some((secret) => eiotclubSign(body, secret, 'request') === system.data.sign))
    return refuse(codes.badSignature, 'signature error');
  const offMs = Math.abs(nowMs - system.data.timestamp * 1_000);
  if (settings.timestampToleranceMs !== null && offMs > settings.timestampToleranceMs)
    return refuse(codes.expiredTimestamp, 'timestamp expired');
  if (!admit(books, `${provider}/${settings.appkey}`, settings.rateLimit, nowMs))
    return refuse(codes.tooManyRequests, 'too many requests');
  return null;
}

const endpoints: Readonly<Record<string, (call: Call) => Answer>> = {
  '/api/v3/package/orderPackage': orderPackage,
  '/api/v3/package/packageOrderRecord': packageOrderRecord,
  '/api/v3/package/getOrderPackageDetails': getOrderPackageDetails,
  '/api/v3/package/queryPackage': queryPackage,
  '/api/v3/package/queryOrderPackageByPackageCode': queryOrderPackageByPackageCode,
  '/api/v3/package/listOrderPackageByIccid': listOrderPackageByIccid,
  '/api/v3/package/queryRefundAmount': queryRefundAmount,
  '/api/v3/package/refundPackage': refundPackage,
  '/api/v3/card/getCardsInfo': getCardsInfo,
  '/api/v3/agent/balance': agentBalance,
};

const iccidSchema = z.string().regex(/^\d{18,20}$/);

/** The card of the call, or the refusal that it deserves. */
function cardOf(call: Call): { readonly simId: string } | Answer {
  const { iccid } = call.body;
  if (iccid === undefined || iccid === null || iccid === '')
    return refuse(codes.iccidEmpty, 'iccid is empty');
  const parsed = iccidSchema.safeParse(iccid);
  if (!parsed.success) return refuse(codes.iccidFormat, 'iccid format error');
  const sim = findSim(call.books, provider, parsed.data, call.nowMs);
  return sim ?? refuse(codes.foreignCard, 'card does not belong to the operator');
}

const orderSchema = z.looseObject({
  packageCode: z.string().min(1),
  outTradeNo: z.string().min(1).max(32),
  renew: z.union([z.literal(0), z.literal(1)]).optional(),
});

/**
 * Buys a package. A package begins at once, or when the last one that the card holds runs out. Source:
 * protocols/eiotclub.md 4.1. Unknown there: the reply's data (here the provider's order id and the caller's number)
 * and the duplicate code of this endpoint (503016, as on esim/purchase).
 */
function orderPackage(call: Call): Answer {
  const { books, nowMs, terms } = call;
  const card = cardOf(call);
  if ('code' in card) return card;
  const order = orderSchema.safeParse(call.body);
  if (!order.success) return refuse(codes.badParameter, 'packageCode, outTradeNo or renew is wrong');
  const sim = findSim(books, provider, card.simId, nowMs);
  const info = findPackage(books, provider, order.data.packageCode);
  if (sim === null || info === null) return refuse(codes.packageCode, 'packageCode of the order is wrong');
  // An order that is not yet in the records holds its number all the same, as a unique key would.
  if (findByReference(books, provider, order.data.outTradeNo) !== null)
    return refuse(codes.duplicateReference, 'duplicate order number');
  if (!canPay(books, provider, info.priceMinor))
    return refuse(codes.balanceTooLow, 'account balance is too low');
  const record = placeOrder(
    books,
    {
      sim,
      info,
      kind: 'order',
      orderId: String,
      periods: 1,
      reference: order.data.outTradeNo,
      renew: order.data.renew === 1,
      startedAt: freeFrom(books, provider, sim.simId, nowMs),
    },
    nowMs,
    terms,
  );
  noteOrder(call, record);
  return {
    code: codes.ok,
    message: 'success',
    data: { orderId: record.number, outTradeNo: order.data.outTradeNo },
  };
}

/**
 * SubPkgList, and PkgEffective when the package begins at once. Source: protocols/eiotclub.md 3.1, 3.2. Unknown there:
 * the fields after packageName and packageCode, and whether PkgEffective's data is an object; both are taken from the
 * record's own names and the Cloud eSIM twin.
 */
function noteOrder(call: Call, order: OrderRecord): void {
  const dueAt = order.visibleFrom;
  const row = { ...recordRow(order, call.nowMs, call.settings), orderNumber: order.orderId };
  call.terms.notices.push({ provider, dueAt, signed: true, body: { event: 'SubPkgList', data: [row] } });
  if (phaseOf(order, call.nowMs) !== 'active') return;
  call.terms.notices.push({ provider, dueAt, signed: true, body: { event: 'PkgEffective', data: row } });
}

const stateNumber = { waiting: 0, active: 1, ended: 2 } as const;

const bytesPerMb = 1024 * 1024;

/**
 * One row of the order records: the fields of the seed in the seed's order; `outTradeNo` only where the order has one.
 * Source: seed 004, protocols/eiotclub.md 4.2. Unlimited packages show 0 as volume (unknown).
 */
export function recordRow(
  order: OrderRecord,
  nowMs: number,
  settings: Pick<EiotclubSettings, 'zoneOffsetMin'>,
): JsonObject {
  const time = (ms: number) => formatTime(ms, settings.zoneOffsetMin, 'dashes');
  const startedAt = order.startedAt ?? order.createdAt;
  const totalMb = order.dataMb ?? 0;
  return {
    orderId: order.number,
    packageName: order.packageName,
    packageCode: order.packageCode,
    iccid: order.simId,
    state: stateNumber[phaseOf(order, nowMs)],
    price: majorAmount(order.priceMinor, order.currency),
    currency: order.currency,
    createDate: time(order.createdAt),
    updateDate: time(updatedAt(order, nowMs)),
    startDate: time(startedAt),
    endDate: time(expiryOf(order, nowMs) ?? startedAt),
    flowTotal: totalMb,
    flowRemain: Math.max(0, totalMb - order.usedBytes / bytesPerMb),
    flowUsageBytes: order.usedBytes,
    gzhPackageName: order.packageName,
    totalActive: order.periodDays * order.periods,
    renew: order.renew ? 1 : 0,
    packageType: Number(order.packageType),
    isRefund: order.refundedAt === null ? 0 : 1,
    periodType: 2,
    ...(order.reference === null ? {} : { outTradeNo: order.reference }),
  };
}

const recordSchema = z.looseObject({
  state: z.int().min(0).max(2).optional(),
  stateArrStr: z.string().optional(),
  createDateStart: z.string().optional(),
  createDateEnd: z.string().optional(),
  updateDateStart: z.string().optional(),
  updateDateEnd: z.string().optional(),
  orderIdArrStr: z.string().optional(),
  page: z.int().min(1).default(1),
  pageSize: z.int().min(1).default(10),
  orderBy: z.enum(['', 'createDateDesc']).optional(),
});
type RecordQuery = z.infer<typeof recordSchema>;

/** Rows on one page at most. Source: unknown; the card lists of the same API stop at 500. */
const pageSizeMax = 500;

const listOf = (text: string | undefined): ReadonlySet<string> | null =>
  text === undefined || text === '' ? null : new Set(text.split(',').map((item) => item.trim()));

/**
 * Order records of one card. Source: seed 004. Unknown: the default page size (10 here), and what `state` together
 * with `stateArrStr` means (both must hold here, so the seed's own example finds nothing).
 */
function packageOrderRecord(call: Call): Answer {
  const card = cardOf(call);
  if ('code' in card) return card;
  const query = recordSchema.safeParse(call.body);
  if (!query.success) return refuse(codes.badParameter, 'a parameter has the wrong type');
  const zone = call.settings.zoneOffsetMin;
  const limits = (['createDateStart', 'createDateEnd', 'updateDateStart', 'updateDateEnd'] as const).map(
    (name) => {
      const text = query.data[name] ?? '';
      return { name, given: text !== '', at: parseTime(text, zone) };
    },
  );
  const wrong = limits.find((limit) => limit.given && limit.at === null);
  if (wrong !== undefined)
    return refuse(wrong.name.endsWith('Start') ? codes.startDate : codes.endDate, `${wrong.name} is wrong`);
  const [createdFrom, createdTo, updatedFrom, updatedTo] = limits.map((limit) => limit.at);
  const rows = visibleOrders(call.books, provider, card.simId, call.nowMs)
    .filter((order) => isWithin(order.createdAt, createdFrom, createdTo))
    .filter((order) => isWithin(updatedAt(order, call.nowMs), updatedFrom, updatedTo));
  return pageOf(call, rows, query.data);
}

/** Date strings hold whole seconds, so both ends include their second. */
function isWithin(at: number, from: number | null | undefined, to: number | null | undefined): boolean {
  const second = Math.floor(at / 1_000) * 1_000;
  return (typeof from !== 'number' || second >= from) && (typeof to !== 'number' || second <= to);
}

function pageOf(call: Call, orders: readonly OrderRecord[], query: RecordQuery): Answer {
  const ids = listOf(query.orderIdArrStr);
  const states = listOf(query.stateArrStr);
  const found = orders.filter((order) => {
    const state = stateNumber[phaseOf(order, call.nowMs)];
    return (
      (query.state === undefined || query.state === state) &&
      (states === null || states.has(String(state))) &&
      (ids === null || ids.has(order.orderId))
    );
  });
  const sorted = query.orderBy === 'createDateDesc' ? found.toReversed() : found;
  const pageSize = Math.min(query.pageSize, pageSizeMax);
  const page = sorted.slice((query.page - 1) * pageSize, query.page * pageSize);
  return {
    code: codes.ok,
    message: 'success',
    total: found.length,
    data: page.map((order) => recordRow(order, call.nowMs, call.settings)),
  };
}

/** At most 50 numbers in one look-up. Source: protocols/eiotclub.md 4.1. */
const lookUpMax = 50;

/**
 * Look-up by the caller's or the provider's order number. Source: protocols/eiotclub.md 4.1. Unknown: the rows, taken
 * as those of packageOrderRecord plus `orderNumber`; the code above 50 numbers; whether orderNumber equals orderId.
 */
function getOrderPackageDetails(call: Call): Answer {
  const references = listOf(textOf(call.body, 'outTradeNoArrStr') ?? '');
  const numbers = listOf(textOf(call.body, 'orderNumberArrStr') ?? '');
  const query = recordSchema.safeParse(call.body);
  if (!query.success || (references === null && numbers === null))
    return refuse(codes.badParameter, 'orderNumberArrStr or outTradeNoArrStr is needed');
  if ((references?.size ?? 0) + (numbers?.size ?? 0) > lookUpMax)
    return refuse(codes.tooMany, 'more than 50 orders');
  const asked = [
    ...[...(references ?? [])].map((reference) => findByReference(call.books, provider, reference)),
    ...[...(numbers ?? [])].map((number) => visibleOrder(call.books, provider, number, call.nowMs)),
  ];
  const orders = [...new Set(asked)].filter((order) => order !== null && order.visibleFrom <= call.nowMs);
  const known = orders.filter((order) => order !== null).sort((a, b) => a.number - b.number);
  const answer = pageOf(call, known, query.data);
  if (!Array.isArray(answer.data)) return answer;
  return {
    ...answer,
    data: answer.data.map((row: JsonObject) => ({ ...row, orderNumber: String(row.orderId) })),
  };
}

/** The order that `iccid` and `orderId` (string, the provider's number) name, or the refusal. */
function orderOf(call: Call): OrderRecord | Answer {
  const card = cardOf(call);
  if ('code' in card) return card;
  const orderId = textOf(call.body, 'orderId');
  if (orderId === null) return refuse(codes.badParameter, 'orderId must be a string');
  const order = visibleOrder(call.books, provider, orderId, call.nowMs);
  if (order === null) return refuse(codes.unknownOrder, 'order not found');
  return order.simId === card.simId ? order : refuse(codes.notOfThisCard, 'card does not have this package');
}

/** One order. Source: protocols/eiotclub.md 4.1; its fields are unknown, taken as a record row. */
function queryPackage(call: Call): Answer {
  const order = orderOf(call);
  if ('code' in order) return order;
  return { code: codes.ok, message: 'success', data: recordRow(order, call.nowMs, call.settings) };
}

/** A package on offer. Field names are unknown; those of the order records are used. */
const offerRow = (info: PackageInfo): JsonObject => ({
  packageCode: info.code,
  packageName: info.name,
  gzhPackageName: info.name,
  packageType: Number(info.type),
  price: majorAmount(info.priceMinor, info.currency),
  currency: info.currency,
  totalActive: info.days,
  periodType: 2,
  flowTotal: info.dataMb ?? 0,
});

/** One package by its code, with price. Source: protocols/eiotclub.md 4.1; the fields are unknown. */
function queryOrderPackageByPackageCode(call: Call): Answer {
  const code = textOf(call.body, 'packageCode');
  const info = code === null ? null : findPackage(call.books, provider, code);
  if (info === null) return refuse(codes.packageCode, 'package code of the order is wrong');
  return { code: codes.ok, message: 'success', data: offerRow(info) };
}

/** The packages that a card can order. Source: protocols/eiotclub.md 4.1; the fields are unknown. */
function listOrderPackageByIccid(call: Call): Answer {
  const card = cardOf(call);
  if ('code' in card) return card;
  return { code: codes.ok, message: 'success', data: packagesOf(call.books, provider).map(offerRow) };
}

const refundWindowMs = 86_400_000;

/**
 * Everything within 24 hours, later the smaller of the unused shares of days and data, rounded down to the minor unit.
 * Source: protocols/eiotclub.md 4.1, refund rules.
 */
function refundMinor(order: OrderRecord, nowMs: number): number {
  if (nowMs - order.createdAt <= refundWindowMs) return order.priceMinor;
  const startedAt = order.startedAt ?? nowMs;
  const lengthMs = (expiryOf(order, nowMs) ?? nowMs) - startedAt;
  const days = lengthMs <= 0 ? 0 : 1 - Math.max(0, nowMs - startedAt) / lengthMs;
  const data = order.dataMb === null ? 1 : 1 - order.usedBytes / (order.dataMb * bytesPerMb);
  return Math.max(0, Math.floor(order.priceMinor * Math.min(days, data)));
}

/** Estimate of a refund. The reply's fields are unknown: those of esim/queryRefundAmount (minor units) are used. */
function queryRefundAmount(call: Call): Answer {
  const order = orderOf(call);
  if ('code' in order) return order;
  const data = { amount: refundMinor(order, call.nowMs), currency: order.currency };
  return { code: codes.ok, message: 'success', data };
}

/** Gives an order back. Source: protocols/eiotclub.md 4.1. Done at once here; the SIM refund event's name is unknown. */
function refundPackage(call: Call): Answer {
  const order = orderOf(call);
  if ('code' in order) return order;
  if (textOf(call.body, 'remark') === null) return refuse(codes.badParameter, 'remark is needed');
  if (order.refundedAt !== null || phaseOf(order, call.nowMs) === 'ended')
    return refuse(codes.refundNotAllowed, 'refund not allowed in this state');
  const amountMinor = refundMinor(order, call.nowMs);
  call.books.wallets.eiotclub.balanceMinor += amountMinor;
  order.refundedAt = call.nowMs;
  order.endedAt = call.nowMs;
  const body = { event: 'PkgQuantityList', data: [{ iccid: order.simId, orderId: order.number }] };
  call.terms.notices.push({ provider, dueAt: call.nowMs, signed: true, body });
  return { code: codes.ok, message: 'success', data: null };
}

/** Card data and usage. Source: protocols/eiotclub.md 4.3; the fields are unknown. */
function getCardsInfo(call: Call): Answer {
  const card = cardOf(call);
  if ('code' in card) return card;
  const orders = visibleOrders(call.books, provider, card.simId, call.nowMs);
  const active = orders.filter((order) => phaseOf(order, call.nowMs) === 'active');
  const totalMb = active.reduce((sum, order) => sum + (order.dataMb ?? 0), 0);
  const usedBytes = active.reduce((sum, order) => sum + order.usedBytes, 0);
  const data = {
    iccid: card.simId,
    cardStatus: active.length > 0 ? 'ACTIVATED_NAME' : 'DEACTIVATED_NAME',
    flowTotal: totalMb,
    flowRemain: Math.max(0, totalMb - usedBytes / bytesPerMb),
    flowUsageBytes: usedBytes,
  };
  return { code: codes.ok, message: 'success', data };
}

/** Money that API orders can use. Source: protocols/eiotclub.md 4.3; the fields are unknown. */
function agentBalance(call: Call): Answer {
  const { balanceMinor, currency } = call.books.wallets.eiotclub;
  return {
    code: codes.ok,
    message: 'success',
    data: { balance: majorAmount(balanceMinor, currency), currency },
  };
}

/** The provider's own envelope for a refusal that a fault asks for. */
export const eiotclubError = (code: string, message: string): ApiReply => ({
  status: 200,
  headers: jsonHeaders,
  bodyText: JSON.stringify({ code, message, data: null }),
});

export const eiotclubRateLimited = (): ApiReply => eiotclubError(codes.tooManyRequests, 'too many requests');
