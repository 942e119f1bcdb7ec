import type { PurchaseOrder } from '../../core/action.ts';
import { type Finding, type Outcome, orderExists } from '../../core/outcome.ts';
import type { Subject } from '../../core/subject.ts';
import type { EpochMs } from '../../core/time.ts';
import { orderOf, type WebhookEvent } from '../../core/webhook-event.ts';
import type {
  ClientDeps,
  Confirmation,
  OpenClient,
  OrderPage,
  Preparation,
  PurchaseQuery,
} from '../provider.ts';
import {
  type ApiAnswer,
  type EiotclubApi,
  type OrderPackageRequest,
  openEiotclubApi,
} from './eiotclub-api-client.ts';
import { duplicateReferenceCode } from './outcomes.ts';
import { type EiotclubSettings, planSchema } from './plans.ts';
import { recordPageSize, recordPagesMax } from './profile.ts';
import { findByReference, judgeClaim, providerOrderOf } from './records.ts';
import { type OrderRecord, readAcceptedOrder, readPackagePrice } from './wire.ts';

/** The calling half of EIOTCLUB. */
export function createClient(deps: ClientDeps<EiotclubSettings>): OpenClient {
  const api = openEiotclubApi(deps);
  return {
    purchaseTogether: null,
    purchase: (order, startBy) => purchase(api, { order, startBy }, deps.settings),
    prepare: (order) => prepare(api, order, deps),
    findPurchase: (query) => findPurchase(api, query, deps.settings),
    confirm: (event) => confirm(api, event, deps),
    listOrders: (subject, cursor) => listOrders(api, { subject, cursor }, deps.settings),
    probe: async () => {
      const result = await api.agentBalance();
      return result.kind === 'ok'
        ? { ok: true, detail: 'the balance query answers with success' }
        : { ok: false, detail: `${result.answer.code}: ${result.answer.message}` };
    },
    close: () => api.close(),
  };
}

type Checked =
  | { readonly ok: true; readonly request: OrderPackageRequest }
  | { readonly ok: false; readonly code: string; readonly message: string };

/** What can be known to be wrong before anything is sent. Source: protocols/eiotclub.md, section 4.1. */
function checkOrder(order: PurchaseOrder, settings: EiotclubSettings): Checked {
  const { subject, reference, kind } = order;
  if (kind === 'order-ota')
    return { ok: false, code: 'no-ota-orders', message: 'eiotclub sells no OTA plans: use order' };
  if (subject.provider !== 'eiotclub' || subject.idKind !== 'iccid') {
    const message = `orders need an ICCID of eiotclub, but the SIM is an ${subject.idKind} of ${subject.provider}`;
    return { ok: false, code: 'not-an-iccid', message };
  }
  if (!/^[0-9a-z]{1,32}$/.test(reference)) {
    const message = `outTradeNo must be 1 to 32 of [0-9a-z], but has ${reference.length} characters`;
    return { ok: false, code: 'invalid-reference', message };
  }
  const plan = planSchema.safeParse(order.plan);
  if (!plan.success) {
    const [issue] = plan.error.issues;
    return {
      ok: false,
      code: 'invalid-plan',
      message: `plan ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`,
    };
  }
  const { packageCode } = plan.data;
  const request = { iccid: subject.simId, packageCode, outTradeNo: reference };
  return {
    ok: true,
    request: kind === 'renew' && settings.sendRenewFlag ? { ...request, renew: 1 } : request,
  };
}

async function purchase(
  api: EiotclubApi,
  { order, startBy }: { readonly order: PurchaseOrder; readonly startBy: EpochMs },
  settings: EiotclubSettings,
): Promise<Outcome> {
  const checked = checkOrder(order, settings);
  if (!checked.ok)
    return { kind: 'refused', refusal: 'business', code: checked.code, message: checked.message };
  return outcomeOf(await api.orderPackage(checked.request, startBy), order);
}

function outcomeOf(answer: ApiAnswer, order: PurchaseOrder): Outcome {
  const { meaning, code, message, retryAfter, reply } = answer;
  switch (meaning.kind) {
    case 'done': {
      const accepted = reply === null ? null : readAcceptedOrder(reply);
      if (accepted === null) return { kind: 'unknown', code: 'unreadable-reply', message };
      if (accepted.reference !== null && accepted.reference !== order.reference) {
        return {
          kind: 'unknown',
          code: 'other-reference',
          message: 'success for an order number that is not ours',
        };
      }
      return { kind: 'succeeded', providerOrderId: accepted.orderId, charge: accepted.charge };
    }
    case 'refused':
      return { kind: 'refused', refusal: meaning.refusal, code, message };
    case 'not-executed':
      return { kind: 'retryable', code, message, retryAfter, burnsAttempt: meaning.burnsAttempt };
    case 'unknown':
      // Source: protocols/eiotclub.md, section 4.1, outTradeNo: the number is taken, by an order of ours.
      return code === duplicateReferenceCode
        ? { kind: 'unknown', code: orderExists, message: `${code}: ${message}` }
        : { kind: 'unknown', code, message };
    default: {
      const never: never = meaning;
      throw new Error(`unknown meaning: ${JSON.stringify(never)}`);
    }
  }
}

/**
 * Asks the package's price. The reply's shape is not documented: a price that can't be read gives no quote.
 * A refusal of this SIM or package is final; an account's trouble is not this order's.
 */
async function prepare(
  api: EiotclubApi,
  order: PurchaseOrder,
  { settings, currency }: ClientDeps<EiotclubSettings>,
): Promise<Preparation> {
  const checked = checkOrder(order, settings);
  if (!checked.ok) return { kind: 'impossible', code: checked.code, message: checked.message };
  // The reference alone tells our order from all others, so no picture of the past is needed.
  if (settings.quote === 'off') return { kind: 'ready', baseline: null, quote: null };
  const { packageCode } = checked.request;
  const result = await api.queryOrderPackageByPackageCode({ packageCode });
  if (result.kind === 'ok') {
    return { kind: 'ready', baseline: null, quote: readPackagePrice(result.value, packageCode, currency) };
  }
  const { meaning, code, message } = result.answer;
  if (meaning.kind !== 'refused') return unavailable(result.answer);
  if (meaning.refusal === 'business') return { kind: 'impossible', code, message };
  return { ...unavailable(result.answer), refusal: meaning.refusal };
}

/**
 * Looks an order up by our reference: first the endpoint made for it, then the card's order records.
 * Found in either is found, since nobody else can know the reference. Absent needs both to be readable to
 * their end and empty of it. Source: protocols/eiotclub.md, section 4.1, outTradeNo, and section 6.
 */
async function findPurchase(
  api: EiotclubApi,
  query: PurchaseQuery,
  settings: EiotclubSettings,
): Promise<Finding> {
  const { order, knownOrderIds } = query;
  const details = await readDetails(api, order.reference, settings);
  const inDetails = findByReference(details.rows, order, knownOrderIds);
  if (inDetails !== null) return inDetails;
  const records = await readRecords(api, order.subject.simId);
  const inRecords = findByReference(records.rows, order, knownOrderIds);
  if (inRecords !== null) return inRecords;
  return details.problem ?? records.problem ?? { kind: 'absent' };
}

interface Rows {
  readonly rows: readonly OrderRecord[];
  /** Why these may not be all rows; null when they are. */
  readonly problem: Unavailable | null;
}

async function readDetails(api: EiotclubApi, reference: string, settings: EiotclubSettings): Promise<Rows> {
  const rows: OrderRecord[] = [];
  const states = settings.detailsStates.length === 0 ? [null] : settings.detailsStates;
  for (const state of states) {
    const result = await api.getOrderPackageDetails({
      outTradeNoArrStr: reference,
      page: 1,
      pageSize: recordPageSize,
      ...(state === null ? {} : { state }),
    });
    if (result.kind === 'failed') return { rows, problem: unavailable(result.answer) };
    rows.push(...result.value);
  }
  // A row that doesn't show its reference could be ours or not, so it stands in the way of "absent".
  const unnamed = rows.some((row) => row.outTradeNo === null);
  return { rows, problem: unnamed ? cannotRead('an order in the reply has no outTradeNo') : null };
}

/** Newest first, page by page, until as many different orders were seen as the provider counts. */
async function readRecords(api: EiotclubApi, iccid: string): Promise<Rows> {
  const seen = new Map<string, OrderRecord>();
  const rows = (): OrderRecord[] => [...seen.values()];
  for (let page = 1; page <= recordPagesMax; page++) {
    const result = await api.packageOrderRecord({
      iccid,
      page,
      pageSize: recordPageSize,
      orderBy: 'createDateDesc',
    });
    if (result.kind === 'failed') return { rows: rows(), problem: unavailable(result.answer) };
    const before = seen.size;
    for (const row of result.value) {
      if (row.orderId === null)
        return { rows: [...rows(), row], problem: cannotRead('a record has no order id') };
      seen.set(rowName(row), row);
    }
    if (result.total === null && result.value.length === 0) return { rows: rows(), problem: null };
    if (result.total !== null && seen.size >= result.total) return { rows: rows(), problem: null };
    if (seen.size === before) {
      return {
        rows: rows(),
        problem: cannotRead(`${seen.size} records came, ${result.total ?? 'more'} are counted`),
      };
    }
  }
  return { rows: rows(), problem: cannotRead(`the card has records beyond ${recordPagesMax} pages`) };
}

/** Tells rows apart without fields that change while pages are read, such as usage. */
function rowName(row: OrderRecord): string {
  return JSON.stringify([row.orderId, row.outTradeNo, row.packageCode, row.createDate, row.startDate]);
}

/**
 * Asks the card's order records, whose fields are documented; those of getCardsInfo are not (U), so nothing
 * can be concluded from them.
 */
async function confirm(
  api: EiotclubApi,
  event: WebhookEvent,
  { now }: ClientDeps<EiotclubSettings>,
): Promise<Confirmation> {
  const { subject, facts } = event;
  if (subject === null || subject.provider !== 'eiotclub' || subject.idKind !== 'iccid') {
    return cannotTell('only cards with an ICCID can be asked about');
  }
  const orderId = orderOf(facts)?.orderId ?? null;
  const result = await api.packageOrderRecord({
    iccid: subject.simId,
    page: 1,
    pageSize: recordPageSize,
    orderBy: 'createDateDesc',
    ...(orderId === null || facts.kind === 'usage-alert' ? {} : { orderIdArrStr: orderId }),
  });
  if (result.kind === 'failed') return unavailable(result.answer);
  const complete = result.total !== null && result.value.length >= result.total;
  const judgement = judgeClaim(facts, { rows: result.value, complete }, now());
  if (judgement === 'cannot-tell') return cannotTell(`the order records don't settle a ${facts.kind}`);
  return { kind: judgement, detail: `packageOrderRecord, ${result.value.length} rows` };
}

/** Oldest first, so that new orders appear behind the cursor's page. The cursor is `<page>.<rows so far>`. */
async function listOrders(
  api: EiotclubApi,
  { subject, cursor }: { readonly subject: Subject; readonly cursor: string | null },
  { zoneOffsetMinutes }: EiotclubSettings,
): Promise<OrderPage> {
  if (subject.provider !== 'eiotclub' || subject.idKind !== 'iccid') {
    return cannotTell('only cards with an ICCID have package orders');
  }
  const match = /^(\d{1,4})\.(\d{1,7})$/.exec(cursor ?? '1.0');
  if (match === null)
    return cannotRead(`the cursor must be <page>.<rows>, but was ${JSON.stringify(cursor)}`);
  const page = Number(match[1]);
  const result = await api.packageOrderRecord({ iccid: subject.simId, page, pageSize: recordPageSize });
  if (result.kind === 'failed') return unavailable(result.answer);
  const orders = result.value.flatMap((row) => providerOrderOf(row, subject, zoneOffsetMinutes) ?? []);
  if (orders.length !== result.value.length) return cannotRead('a record has no order id');
  const soFar = Number(match[2]) + orders.length;
  const more = orders.length > 0 && (result.total === null || soFar < result.total);
  return { kind: 'page', orders, nextCursor: more ? `${page + 1}.${soFar}` : null };
}

type Unavailable = Extract<Finding, { kind: 'unavailable' }>;

function unavailable({ code, message, retryAfter }: ApiAnswer): Unavailable {
  return { kind: 'unavailable', code, message, retryAfter };
}

function cannotRead(message: string): Unavailable {
  return { kind: 'unavailable', code: 'unreadable-records', message, retryAfter: null };
}

function cannotTell(message: string): Unavailable {
  return { kind: 'unavailable', code: 'cannot-tell', message, retryAfter: null };
}
