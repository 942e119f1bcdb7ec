import type { PurchaseOrder } from '../../core/action.ts';
import type { CallFailure, Outcome } from '../../core/outcome.ts';
import { orderPartId } from '../../core/provider-order.ts';
import { type Subject, subjectOf } from '../../core/subject.ts';
import type { DurationMs, EpochMs } from '../../core/time.ts';
import type { ClientDeps, OpenClient } from '../provider.ts';
import { cubeId } from './callback-wire.ts';
import { type CubeAnswer, type CubeApi, openCubeApi } from './linksfield-cube-api-client.ts';
import {
  type CubeOrderPlan,
  type CubeRenewPlan,
  type CubeSettings,
  cubeOrderPlanSchema,
  cubeRenewPlanSchema,
} from './plans.ts';
import { bundlePagesMax, pageSize } from './profile.ts';
import { baselineOf, findInBundles } from './records.ts';
import type { AddBundleRequest, BundleRow, RenewOrderRequest } from './wire.ts';

interface Context {
  readonly api: CubeApi;
  readonly settings: CubeSettings;
}

/** The calling half of Cube v4. */
export function openCubeClient(deps: ClientDeps<CubeSettings>): OpenClient {
  const context: Context = { api: openCubeApi(deps), settings: deps.settings };
  return {
    purchase: (order, startBy) => purchase(context, order, startBy),
    purchaseTogether: (orders, startBy) => purchaseTogether(context, orders, startBy),
    prepare: async (order) => {
      const job = readJob(order);
      if (job.kind === 'impossible') return job;
      const bundles = await readBundles(context, order.subject);
      // No call that tells a price before the purchase is documented.
      return bundles.kind === 'read'
        ? { kind: 'ready', baseline: baselineOf(bundles.rows), quote: null }
        : bundles;
    },
    findPurchase: async (query) => {
      const job = readJob(query.order);
      const bundles = await readBundles(context, query.order.subject);
      if (bundles.kind !== 'read') return bundles;
      return findInBundles(query, bundles.rows, job.kind === 'order' ? job.plan.bundleId : null);
    },
    confirm: async () =>
      unavailable('not-confirmable', 'Cube signs every notification: none needs confirming'),
    listOrders: async () =>
      unavailable('no-order-list', 'Cube documents no list of orders: compare in its console'),
    probe: () => probe(context),
    close: () => context.api.close(),
  };
}

/** What an order asks Cube to do, once its plan and names are known to be good. */
type Job =
  | { readonly kind: 'renew'; readonly plan: CubeRenewPlan }
  | { readonly kind: 'order'; readonly plan: CubeOrderPlan }
  | { readonly kind: 'impossible'; readonly code: string; readonly message: string };

function readJob({ kind, plan, subject }: PurchaseOrder): Job {
  if (subject.provider !== cubeId || subject.idKind !== 'iccid') {
    return impossible('not-an-iccid', `Cube calls name a SIM by its ICCID, but this is ${subject.key}`);
  }
  switch (kind) {
    case 'renew': {
      const parsed = cubeRenewPlanSchema.safeParse(plan);
      return parsed.success ? { kind, plan: parsed.data } : invalidPlan(parsed.error);
    }
    case 'order': {
      const parsed = cubeOrderPlanSchema.safeParse(plan);
      return parsed.success ? { kind, plan: parsed.data } : invalidPlan(parsed.error);
    }
    case 'order-ota':
      return impossible('no-ota-orders', 'Cube has no OTA order: use the action "order"');
    default: {
      const never: never = kind;
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
async function purchase(
  { api, settings }: Context,
  order: PurchaseOrder,
  startBy: EpochMs,
): Promise<Outcome> {
  const job = readJob(order);
  switch (job.kind) {
    case 'impossible':
      return { kind: 'refused', refusal: 'business', code: job.code, message: job.message };
    case 'renew':
      return toOutcome(await api.placeServiceOrder(renewRequest(job.plan, [order]), startBy));
    case 'order': {
      const request = bundleRequest(job.plan, order, settings);
      return toOutcome(await api.addBundle(order.subject.simId, request, startBy));
    }
    default: {
      const never: never = job;
      throw new Error(`unknown job: ${JSON.stringify(never)}`);
    }
  }
}

/**
 * One renew order for several SIMs. Cube carries it out later, some of its SIMs may fail, and the order then doesn't list
 * them; so acceptance alone is no SIM's outcome, and the order is asked once which SIMs it lists. A refusal of the whole
 * order doesn't say which SIM it is about. Source: protocols/linksfield.md, section 5.4 (renew order).
 */
async function purchaseTogether(
  { api }: Context,
  orders: readonly PurchaseOrder[],
  startBy: EpochMs,
): Promise<readonly Outcome[]> {
  const jobs = orders.map(readJob);
  const [job] = jobs;
  if (job?.kind !== 'renew' || jobs.some((other) => JSON.stringify(other) !== JSON.stringify(job)))
    throw new Error('only renewals of one plan can go in one renew order');
  const answer = await api.placeServiceOrder(renewRequest(job.plan, orders), startBy);
  if (answer.kind === 'done') {
    const orderId = answer.data.order_id;
    const listed = await readListedSims(api, orderId);
    return orders.map(({ subject }) => acceptedOutcome(orderId, subject, listed));
  }
  const outcome = wholeRefusal(answer);
  return orders.map(() => outcome);
}

/** A refused account was turned away at the door. A wallet that is empty may have paid for the first SIMs. */
function wholeRefusal(answer: CallFailure): Outcome {
  if (answer.kind !== 'refused' || answer.refusal === 'account') return answer;
  const { code, message, refusal } = answer;
  return { kind: 'unknown', code, message, ...(refusal === 'business' ? {} : { refusal }) };
}

/** Keys of the SIMs that an order lists; none while it can't be asked. */
async function readListedSims(api: CubeApi, orderId: string): Promise<ReadonlySet<string>> {
  const answer = await api.getServiceOrder(orderId);
  const simIds = answer.kind === 'done' ? (answer.data.items ?? []).flatMap(({ sim_ids }) => sim_ids) : [];
  return new Set(simIds.flatMap((simId) => subjectOf(cubeId, 'iccid', simId)?.key ?? []));
}

function acceptedOutcome(orderId: string, subject: Subject, listed: ReadonlySet<string>): Outcome {
  return listed.has(subject.key)
    ? { kind: 'succeeded', providerOrderId: orderPartId(orderId, subject.simId), charge: null }
    : {
        kind: 'unknown',
        code: 'accepted',
        message: `order ${orderId} was accepted and does not list this SIM`,
      };
}

/** No reply names the price. A bundle order of an older API version has no order number either. */
function toOutcome(answer: CubeAnswer<{ readonly order_id: string | null }>): Outcome {
  return answer.kind === 'done'
    ? { kind: 'succeeded', providerOrderId: answer.data.order_id, charge: null }
    : answer;
}

/**
 * Cube takes an equal request within 10 seconds for the same one. Our order number as `po` keeps two different
 * actions from being merged into one order. Source: protocols/linksfield.md, section 5.4 (rules).
 */
function renewRequest(plan: CubeRenewPlan, orders: readonly PurchaseOrder[]): RenewOrderRequest {
  const po = plan.po === '' ? (orders[0]?.reference ?? '') : plan.po;
  const sim_ids = orders.map(({ subject }) => subject.simId);
  return {
    items: [{ id: plan.itemId, quantity: plan.quantity, sim_ids }],
    extra: plan.remarks === '' ? { po } : { po, remarks: plan.remarks },
  };
}

function bundleRequest(plan: CubeOrderPlan, order: PurchaseOrder, settings: CubeSettings): AddBundleRequest {
  return {
    bundle_id: plan.bundleId,
    bundle_type: plan.bundleType,
    cycles: plan.cycles,
    ...(plan.activate === null ? {} : { activate: plan.activate }),
    ...(settings.sendClientToken ? { clientToken: order.reference } : {}),
  };
}

interface Unavailable {
  readonly kind: 'unavailable';
  readonly code: string;
  readonly message: string;
  readonly retryAfter: DurationMs | null;
}

function unavailable(code: string, message: string): Unavailable {
  return { kind: 'unavailable', code, message, retryAfter: null };
}

/** A question that was refused or lost can be asked again: it costs nothing. */
function toUnavailable(failure: CallFailure): Unavailable {
  const retryAfter = failure.kind === 'retryable' ? failure.retryAfter : null;
  return { kind: 'unavailable', code: failure.code, message: failure.message, retryAfter };
}

/** Every state of a bundle: an ended one may come back by a renewal. Source: section 5.4 (bundle status). */
const allStates = '0,1,2,3';

type Bundles = { readonly kind: 'read'; readonly rows: readonly BundleRow[] } | Unavailable;

/** All bundles of one SIM, or nothing: a list that may lack one proves no absence. */
async function readBundles({ api }: Context, subject: Subject): Promise<Bundles> {
  if (subject.idKind !== 'iccid') {
    return unavailable('not-an-iccid', `Cube calls name a SIM by its ICCID, but this is ${subject.key}`);
  }
  const rows: BundleRow[] = [];
  for (let pageNo = 1; pageNo <= bundlePagesMax; pageNo++) {
    const answer = await api.listBundles(subject.simId, {
      status: allStates,
      page_no: String(pageNo),
      page_size: String(pageSize),
    });
    if (answer.kind !== 'done') return toUnavailable(answer);
    rows.push(...answer.data.rows);
    const total = answer.data.totalCount;
    if (rows.length === total && areDistinct(rows)) return { kind: 'read', rows };
    if (rows.length >= total || answer.data.rows.length === 0) {
      // Bundles that appear while pages are read push others across the border between two pages.
      return unavailable('records-moved', `read ${rows.length} of ${total} bundles: ask again`);
    }
  }
  return unavailable('too-many-bundles', `the SIM has more bundles than ${bundlePagesMax} pages hold`);
}

/** A row that stands on two pages hides another one. Rows without a time can't be told apart and count as one. */
function areDistinct(rows: readonly BundleRow[]): boolean {
  return new Set(rows.map((row) => `${row.id}@${row.added_at ?? ''}`)).size === rows.length;
}

async function probe({ api }: Context): Promise<{ readonly ok: boolean; readonly detail: string }> {
  const answer = await api.listSims({ page_no: '1', page_size: '1' });
  return answer.kind === 'done'
    ? { ok: true, detail: `${answer.data.totalCount} SIMs in the account` }
    : { ok: false, detail: `${answer.code}: ${answer.message}` };
}
