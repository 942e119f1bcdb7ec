import type { PurchaseOrder } from '../../core/action.ts';
import { type Money, parseMajorAmount } from '../../core/money.ts';
import type { CallFailure, Outcome, RefusalClass } from '../../core/outcome.ts';
import { type Subject, subjectOf } from '../../core/subject.ts';
import type { DurationMs, EpochMs } from '../../core/time.ts';
import type { ClientDeps, Confirmation, OpenClient, OrderPage, Preparation } from '../provider.ts';
import { csssId } from './callback-wire.ts';
import { type CsssAnswer, type CsssApi, openCsssApi } from './linksfield-csss-api-client.ts';
import { isAtTheDoor, rowOutcome } from './outcomes.ts';
import {
  type CsssOrderPlan,
  type CsssOtaPlan,
  type CsssSettings,
  csssOrderPlanSchema,
  csssOtaPlanSchema,
  csssRenewPlanSchema,
} from './plans.ts';
import { orderPagesMax } from './profile.ts';
import { areAllOf, baselineOf, confirmByRecords, findInRecords, providerOrderOf } from './records.ts';
import type { OrderFields, OrderRow } from './wire.ts';

interface Context {
  readonly api: CsssApi;
  readonly deps: ClientDeps<CsssSettings>;
}

/** The calling half of CSSS. */
export function openCsssClient(deps: ClientDeps<CsssSettings>): OpenClient {
  const context: Context = { api: openCsssApi(deps), deps };
  return {
    purchase: (order, startBy) => purchase(context, order, startBy),
    purchaseTogether: (orders, startBy) => purchaseTogether(context, orders, startBy),
    prepare: (order) => prepare(context, order),
    findPurchase: async (query) => {
      const records = await readRecords(context, query.order.subject);
      if (records.kind !== 'read') return records;
      const job = readJob(query.order);
      const packageCode = job.kind === 'place' ? job.plan.packageCode : null;
      return findInRecords(query, records.rows, packageCode, deps.settings);
    },
    confirm: async (event): Promise<Confirmation> => {
      if (event.subject === null)
        return unavailable('no-sim', 'the event names no SIM that can be asked for');
      const records = await readRecords(context, event.subject);
      if (records.kind !== 'read') return records;
      const { zoneOffsetMinutes } = deps.settings;
      return confirmByRecords(event.facts, records.rows, { zoneOffsetMinutes, now: deps.now() });
    },
    listOrders: (subject, cursor) => listOrders(context, subject, cursor),
    probe: () => probe(context),
    close: () => context.api.close(),
  };
}

/** What an order asks CSSS to do, once its plan and names are known to be good. */
type Job =
  | { readonly kind: 'place'; readonly ota: false; readonly plan: CsssOrderPlan }
  | { readonly kind: 'place'; readonly ota: true; readonly plan: CsssOtaPlan }
  | { readonly kind: 'renew'; readonly targetOrderId: string; readonly renewPeriod: number }
  | { readonly kind: 'impossible'; readonly code: string; readonly message: string };

function readJob(order: PurchaseOrder): Job {
  if (order.subject.provider !== csssId || order.subject.idKind !== 'iccid') {
    return impossible('not-an-iccid', `CSSS calls name a SIM by its ICCID, but this is ${order.subject.key}`);
  }
  switch (order.kind) {
    case 'order': {
      const plan = csssOrderPlanSchema.safeParse(order.plan);
      return plan.success ? { kind: 'place', ota: false, plan: plan.data } : invalidPlan(plan.error);
    }
    case 'order-ota': {
      const plan = csssOtaPlanSchema.safeParse(order.plan);
      return plan.success ? { kind: 'place', ota: true, plan: plan.data } : invalidPlan(plan.error);
    }
    case 'renew': {
      const plan = csssRenewPlanSchema.safeParse(order.plan);
      if (!plan.success) return invalidPlan(plan.error);
      return order.targetOrderId === null
        ? impossible('no-target-order', 'CSSS renews an order, and the event names none: use an order action')
        : { kind: 'renew', targetOrderId: order.targetOrderId, renewPeriod: plan.data.renewPeriod };
    }
    default: {
      const never: never = order.kind;
      throw new Error(`unknown kind of action: ${String(never)}`);
    }
  }
}

function invalidPlan(error: { readonly issues: readonly { path: PropertyKey[]; message: string }[] }): Job {
  const texts = error.issues.map(
    ({ path, message }) => `${path.map(String).join('.') || 'plan'}: ${message}`,
  );
  return impossible('invalid-plan', texts.join('; ').slice(0, 300));
}

function impossible(code: string, message: string): Extract<Job, { kind: 'impossible' }> {
  return { kind: 'impossible', code, message };
}

/** One POST, or none when the order could never have been sent. */
async function purchase({ api }: Context, order: PurchaseOrder, startBy: EpochMs): Promise<Outcome> {
  const job = readJob(order);
  switch (job.kind) {
    case 'impossible':
      return { kind: 'refused', refusal: 'business', code: job.code, message: job.message };
    case 'renew': {
      const request = { order_id: job.targetOrderId, renew_period: job.renewPeriod };
      const answer = await api.renewPackage(request, startBy);
      return toOutcome(answer, ({ order_id }) =>
        order_id === job.targetOrderId ? null : `the reply is about order ${order_id}`,
      );
    }
    case 'place': {
      const fields = { ...orderFields(job.plan), device_id: order.subject.simId };
      if (!job.ota) return toOutcome(await api.orderPackage(fields, startBy), () => null);
      const { mcc, days, timingType, payType } = job.plan;
      const ota = { ...fields, pay_type: payType, mcc, days, timing_type: timingType };
      const answer = await api.createOtaOrder(ota, startBy);
      return toOutcome(answer, ({ sim_id }) => otherSim(sim_id, order.subject));
    }
    default: {
      const never: never = job;
      throw new Error(`unknown job: ${JSON.stringify(never)}`);
    }
  }
}

/**
 * One batch order. Its answer has a row for each SIM, and only what a SIM's own row says clearly is its outcome. A
 * refusal of the whole call doesn't say which SIM it is about, nor whether others were ordered all the same.
 * Source: protocols/linksfield.md, section 3.2.
 */
async function purchaseTogether(
  { api, deps }: Context,
  orders: readonly PurchaseOrder[],
  startBy: EpochMs,
): Promise<readonly Outcome[]> {
  const jobs = orders.map(readJob);
  const [job] = jobs;
  if (job?.kind !== 'place' || job.ota || jobs.some((other) => JSON.stringify(other) !== JSON.stringify(job)))
    throw new Error('only orders of one plan can go in one batch order');
  const deviceList = orders.map(({ subject }) => subject.simId);
  const answer = await api.batchOrderPackages({ ...orderFields(job.plan), deviceList }, startBy);
  if (answer.kind === 'done') {
    return orders.map(({ subject }) => rowOutcome(answer.data.device_order, subject, deps.settings));
  }
  const outcome = wholeRefusal(answer);
  return orders.map(() => outcome);
}

/**
 * Only a request that was turned away at the door bought for nobody. The words of any other refusal don't say at which
 * SIM the call ended: a wallet may have paid for the first ones.
 */
function wholeRefusal(answer: CallFailure): Outcome {
  if (answer.kind !== 'refused' || isAtTheDoor(answer.code)) return answer;
  const { code, message, refusal } = answer;
  return { kind: 'unknown', code, message, ...(refusal === 'business' ? {} : { refusal }) };
}

/** `doubt` says why a good reply is not about this purchase; such a reply leaves the outcome unknown. */
function toOutcome<Data extends { readonly order_id: string }>(
  answer: CsssAnswer<Data>,
  doubt: (data: Data) => string | null,
): Outcome {
  if (answer.kind !== 'done') return answer;
  const reason = doubt(answer.data);
  // No reply names the price, so the charge is not known here.
  return reason === null
    ? { kind: 'succeeded', providerOrderId: answer.data.order_id, charge: null }
    : { kind: 'unknown', code: 'other-identity', message: reason };
}

/** A `sim_id` that is no ICCID says nothing (its form is not documented); another SIM's ICCID does. */
function otherSim(simId: string | null, subject: Subject): string | null {
  const replied = simId === null ? null : subjectOf(csssId, 'iccid', simId);
  return replied === null || replied.key === subject.key ? null : `the reply is about SIM ${replied.key}`;
}

function orderFields(plan: CsssOrderPlan | CsssOtaPlan): OrderFields {
  return {
    package_code: plan.packageCode,
    package_name: plan.packageName,
    package_type: plan.packageType,
    order_period: plan.orderPeriod,
    is_open: plan.isOpen,
    global_order: plan.globalOrder,
    pay_amount: plan.payAmount,
    pay_rst: plan.payRst,
    ...(plan.payType === null ? {} : { pay_type: plan.payType }),
    test_flow: plan.testFlow,
    test_flow_flag: plan.testFlowFlag,
  };
}

async function prepare(context: Context, order: PurchaseOrder): Promise<Preparation> {
  const job = readJob(order);
  if (job.kind === 'impossible') return job;
  const quote = job.kind === 'place' ? parseMajorAmount(job.plan.payAmount, context.deps.currency) : null;
  if (job.kind === 'place' && quote === null) {
    return impossible(
      'invalid-plan',
      `payAmount ${job.plan.payAmount} is no amount of ${context.deps.currency}: correct the rule's plan`,
    );
  }
  if (job.kind === 'place' && !context.deps.settings.lookBeforeOrder) {
    return { kind: 'ready', baseline: null, quote };
  }
  const records = await readRecords(context, order.subject);
  if (records.kind !== 'read') return records;
  return job.kind === 'renew' ? prepareRenewal(job.targetOrderId, records.rows) : ready(records.rows, quote);
}

function prepareRenewal(target: string, rows: readonly OrderRow[]): Preparation {
  return rows.some(({ orderCode }) => orderCode === target)
    ? ready(rows, null)
    : impossible('order-not-listed', `order ${target} is not among the ${rows.length} orders of this SIM`);
}

function ready(rows: readonly OrderRow[], quote: Money | null): Preparation {
  return { kind: 'ready', baseline: baselineOf(rows), quote };
}

interface Unavailable {
  readonly kind: 'unavailable';
  readonly code: string;
  readonly message: string;
  readonly retryAfter: DurationMs | null;
  readonly refusal?: Exclude<RefusalClass, 'business'>;
}

type Records = { readonly kind: 'read'; readonly rows: readonly OrderRow[] } | Unavailable;

/** All orders of one SIM, or nothing: a list that may lack one proves no absence. */
async function readRecords(context: Context, subject: Subject): Promise<Records> {
  const rows = new Map<string, OrderRow>();
  for (let pageNo = 1; pageNo <= orderPagesMax; pageNo++) {
    const answer = await queryPage(context, subject, pageNo);
    if (answer.kind !== 'page') return answer;
    for (const row of answer.rows) rows.set(row.orderCode, row);
    if (pageNo < answer.totalPages) continue;
    if (rows.size === answer.totalCount) return { kind: 'read', rows: [...rows.values()] };
    // Orders that appear while pages are read push others across the border between two pages.
    return unavailable('records-moved', `read ${rows.size} of ${answer.totalCount} orders: ask again`);
  }
  const limit = orderPagesMax * context.deps.settings.orderPageSize;
  return unavailable('too-many-orders', `the SIM has more than ${limit} orders: raise orderPageSize`);
}

type Page =
  | {
      readonly kind: 'page';
      readonly rows: readonly OrderRow[];
      readonly totalPages: number;
      readonly totalCount: number;
    }
  | Unavailable;

async function queryPage({ api, deps }: Context, subject: Subject, pageNo: number): Promise<Page> {
  if (subject.idKind !== 'iccid') {
    return unavailable('not-an-iccid', `CSSS calls name a SIM by its ICCID, but this is ${subject.key}`);
  }
  const answer = await api.queryOrder({
    device_id: subject.simId,
    order_id: '',
    order_status: '',
    order_type: '',
    page_no: pageNo,
    page_size: deps.settings.orderPageSize,
  });
  if (answer.kind !== 'done') return toUnavailable(answer);
  const { page, package_order: rows } = answer.data;
  if (page.cur_page_no !== pageNo && rows.length > 0) {
    return unavailable('other-page', `asked for page ${pageNo}, got page ${page.cur_page_no}`);
  }
  if (!areAllOf(subject, rows)) {
    return unavailable('other-sim', `asked for the orders of ${subject.key}, got orders of another SIM`);
  }
  return { kind: 'page', rows, totalPages: page.total_pages, totalCount: page.total_count };
}

/** A question that was refused or lost can be asked again: it costs nothing. */
function toUnavailable(failure: CallFailure): Unavailable {
  const retryAfter = failure.kind === 'retryable' ? failure.retryAfter : null;
  const { code, message } = failure;
  const answer: Unavailable = { kind: 'unavailable', code, message, retryAfter };
  return failure.kind === 'refused' && failure.refusal !== 'business'
    ? { ...answer, refusal: failure.refusal }
    : answer;
}

function unavailable(code: string, message: string): Unavailable {
  return { kind: 'unavailable', code, message, retryAfter: null };
}

/** The cursor is the number of the next page. */
async function listOrders(context: Context, subject: Subject, cursor: string | null): Promise<OrderPage> {
  const pageNo = /^[1-9]\d{0,5}$/.test(cursor ?? '1') ? Number(cursor ?? '1') : null;
  if (pageNo === null) return unavailable('bad-cursor', 'the cursor must be a page number of at least 1');
  const answer = await queryPage(context, subject, pageNo);
  if (answer.kind !== 'page') return answer;
  const { deps } = context;
  const { zoneOffsetMinutes } = deps.settings;
  return {
    kind: 'page',
    orders: answer.rows.map((row) => providerOrderOf(row, subject, { zoneOffsetMinutes, now: deps.now() })),
    nextCursor: pageNo < answer.totalPages ? String(pageNo + 1) : null,
  };
}

/** Asks for one order of the whole account: address, access code, sign and clock must all be right. */
async function probe({ api }: Context): Promise<{ readonly ok: boolean; readonly detail: string }> {
  const answer = await api.queryOrder({
    device_id: '',
    order_id: '',
    order_status: '',
    order_type: '',
    page_no: 1,
    page_size: 1,
  });
  return answer.kind === 'done'
    ? { ok: true, detail: `${answer.data.page.total_count} orders in the account` }
    : { ok: false, detail: `${answer.code}: ${answer.message}` };
}
