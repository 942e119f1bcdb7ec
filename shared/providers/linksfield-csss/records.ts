import { z } from 'zod';
import type { Json } from '../../core/action.ts';
import type { Finding } from '../../core/outcome.ts';
import type { OrderPhase, ProviderOrder } from '../../core/provider-order.ts';
import { type Subject, subjectOf } from '../../core/subject.ts';
import { type EpochMs, epochMs } from '../../core/time.ts';
import type { EventFacts, OrderReference, PlanWarning } from '../../core/webhook-event.ts';
import type { Confirmation, PurchaseQuery } from '../provider.ts';
import { csssId } from './callback-wire.ts';
import { csssProfile, unknownZoneMargin } from './profile.ts';
import { type OrderRow, readLocalTime } from './wire.ts';

/*
 * What CSSS's order records prove. CSSS takes no order number of ours, so a lost answer is settled by comparing
 * the SIM's orders with those of the moment before the call (protocols/linksfield.md, sections 3.3 and 3.4).
 * Pure functions over rows that were read to their end.
 */

const baselineSchema = z.object({
  orders: z.array(
    z.object({
      id: z.string(),
      status: z.string().nullable(),
      expireDate: z.string().nullable(),
      period: z.string().nullable(),
    }),
  ),
});

type BaselineOrder = z.infer<typeof baselineSchema>['orders'][number];

/** How CSSS's local times are to be placed; the offset is null while nobody knows the zone. */
export interface LocalTimes {
  readonly zoneOffsetMinutes: number | null;
}

/** True when every row names this SIM. A foreign row means that the question was not answered as asked. */
export function areAllOf(subject: Subject, rows: readonly OrderRow[]): boolean {
  return rows.every((row) =>
    [row.deviceId, row.device_id, row.main_iccid].some(
      (text) => text !== null && subjectOf(csssId, subject.idKind, text)?.key === subject.key,
    ),
  );
}

/** What is kept with the action before the call. */
export function baselineOf(rows: readonly OrderRow[]): Json {
  return {
    orders: rows.map((row) => ({
      id: row.orderCode,
      status: row.orderStatus,
      expireDate: row.expireDate,
      period: row.orderPeriod,
    })),
  };
}

/** Looks for the purchase of a lost answer among the SIM's orders as they are now. */
export function findInRecords(
  query: PurchaseQuery,
  rows: readonly OrderRow[],
  packageCode: string | null,
  times: LocalTimes,
): Finding {
  const parsed = baselineSchema.safeParse(query.baseline);
  const before = parsed.success ? parsed.data.orders : null;
  return query.order.kind === 'renew'
    ? findRenewal(query.order.targetOrderId, rows, before)
    : findNewOrder(query, rows, before, { packageCode, ...times });
}

function findNewOrder(
  query: PurchaseQuery,
  rows: readonly OrderRow[],
  before: readonly BaselineOrder[] | null,
  wanted: LocalTimes & { readonly packageCode: string | null },
): Finding {
  const old = new Set(before?.map(({ id }) => id));
  const inAnyZone = rows.filter(
    (row) =>
      !old.has(row.orderCode) &&
      !query.knownOrderIds.has(row.orderCode) &&
      // A row without a package code can't be told apart, so it stays in.
      (row.packageCode === null || row.packageCode === wanted.packageCode) &&
      !isOutside(row, query, { zoneOffsetMinutes: null }),
  );
  const candidates = inAnyZone.filter((row) => !isOutside(row, query, wanted));
  const ids = candidates.map((row) => row.orderCode);
  const [only] = candidates;
  if (only === undefined) {
    if (inAnyZone.length === 0) return { kind: 'absent' };
    // The zone is what the operator says. Were it wrong, this order would be ours, and a second one would be bought.
    return {
      kind: 'ambiguous',
      candidates: inAnyZone.map((row) => row.orderCode),
      why: 'a new order whose time fits in another zone than the stage names',
    };
  }
  if (candidates.length > 1) {
    return { kind: 'ambiguous', candidates: ids, why: 'several new orders of this SIM could be it' };
  }
  if (only.packageCode === null) {
    return { kind: 'ambiguous', candidates: ids, why: 'the new order names no package' };
  }
  if (before === null && !isProvenByTime(only, wanted)) {
    return {
      kind: 'ambiguous',
      candidates: ids,
      why: 'nothing was recorded before the call, so the order may be older',
    };
  }
  return {
    kind: 'found',
    providerOrderId: only.orderCode,
    charge: null,
    how: 'the only new order of this SIM and package',
  };
}

/** Excludes by time only what no zone, clock difference or late commit can explain. Unreadable times stay in. */
function isOutside(row: OrderRow, { sentWindow, lateCommit }: PurchaseQuery, times: LocalTimes): boolean {
  const local = readLocalTime(row.orderDate);
  if (local === null) return false;
  const { at, margin } = place(local, times);
  return (
    at < sentWindow.first - csssProfile.clockSkew - margin ||
    at > sentWindow.last + Math.max(lateCommit, csssProfile.lateCommit) + csssProfile.clockSkew + margin
  );
}

/** With a known zone, an order that passed `isOutside` was placed while the request was on its way. */
function isProvenByTime(row: OrderRow, times: LocalTimes): boolean {
  return times.zoneOffsetMinutes !== null && readLocalTime(row.orderDate) !== null;
}

function place(local: number, { zoneOffsetMinutes }: LocalTimes): { at: number; margin: number } {
  return zoneOffsetMinutes === null
    ? { at: local, margin: unknownZoneMargin }
    : { at: local - zoneOffsetMinutes * 60_000, margin: 0 };
}

/** A renewal makes no new order: it moves the end of the old one. */
function findRenewal(
  target: string | null,
  rows: readonly OrderRow[],
  before: readonly BaselineOrder[] | null,
): Finding {
  const now = rows.find((row) => row.orderCode === target);
  const then = before?.find(({ id }) => id === target);
  if (target === null || now === undefined) {
    return {
      kind: 'unavailable',
      code: 'order-not-listed',
      message: `order ${target ?? '(none)'} is not among the SIM's orders`,
      retryAfter: null,
    };
  }
  if (then === undefined) {
    return {
      kind: 'ambiguous',
      candidates: [target],
      why: 'nothing was recorded of this order before the call',
    };
  }
  const end = compareTexts(then.expireDate, now.expireDate, readLocalTime);
  const periods = compareTexts(then.period, now.orderPeriod, readCount);
  if (end === 'same' && periods === 'same') return { kind: 'absent' };
  const grew = [end, periods].includes('grew') && ![end, periods].includes('other');
  if (grew) {
    const how = `end ${then.expireDate} -> ${now.expireDate}, periods ${then.period} -> ${now.orderPeriod}`;
    return { kind: 'found', providerOrderId: target, charge: null, how };
  }
  return {
    kind: 'ambiguous',
    candidates: [target],
    why: 'the order changed in another way than by a renewal',
  };
}

function compareTexts(
  then: string | null,
  now: string | null,
  read: (text: string | null) => number | null,
): 'same' | 'grew' | 'other' {
  const [a, b] = [read(then), read(now)];
  if (a !== null && b !== null) return b > a ? 'grew' : b === a ? 'same' : 'other';
  return (then ?? '').trim() === (now ?? '').trim() ? 'same' : 'other';
}

function readCount(text: string | null): number | null {
  return text !== null && /^\d{1,6}$/.test(text) ? Number(text) : null;
}

/** "1" not yet enabled and "2" in use are inferred; other states are not known. Source: section 3.4. */
const inUse = '2';
const notYetEnabled = '1';

/** Reminders of an expiry come at most 7 days ahead. Source: protocols/linksfield.md, section 4. */
const reminderAheadMs = 7 * 86_400_000;

/** Judges an unsigned claim by the SIM's orders. What the records can't tell is `unavailable`, never a yes. */
export function confirmByRecords(
  facts: EventFacts,
  rows: readonly OrderRow[],
  context: LocalTimes & { readonly now: EpochMs },
): Confirmation {
  if (facts.kind === 'order-status' && (facts.status === 'expired' || facts.status === 'ended-early')) {
    const row = rows.find(({ orderCode }) => orderCode === facts.order.orderId);
    return row === undefined
      ? cannotTell('order-not-listed', `the SIM has no order ${facts.order.orderId ?? '(none named)'}`)
      : confirmEnd(facts.status, row, rows, context);
  }
  if (facts.kind === 'plan-reminder') return confirmReminder(facts.warning, rows, context);
  return cannotTell('not-confirmable', `the order records say nothing about ${facts.kind}`);
}

/** An order that ended longer ago than this is history: a claim that it ended now is not borne out by it. */
const recentEndMs = 7 * 86_400_000;

function confirmEnd(
  claim: 'expired' | 'ended-early',
  row: OrderRow,
  rows: readonly OrderRow[],
  context: LocalTimes & { readonly now: EpochMs },
): Confirmation {
  const end = endOf(row, context);
  const detail = `order ${row.orderCode}: status ${row.orderStatus ?? 'none'}, expires ${row.expireDate || 'never stated'}`;
  const running = rows.find(
    (other) => other !== row && other.orderStatus === inUse && endOf(other, context) === 'future',
  );
  if (running !== undefined)
    return { kind: 'denied', detail: `${detail}; order ${running.orderCode} is in use` };
  if (end === 'past') {
    const longAgo = endOf(row, { ...context, now: context.now - recentEndMs }) === 'past';
    return longAgo ? cannotTell('ended-long-ago', detail) : { kind: 'confirmed', detail };
  }
  if (end === 'future' && row.orderStatus === inUse) return { kind: 'denied', detail };
  // An order that left both known states is over, unless it is said to have expired and its end is still to come:
  // it may then be paused, which is another state that nobody has listed.
  const left = row.orderStatus !== null && row.orderStatus !== inUse && row.orderStatus !== notYetEnabled;
  return left && (claim === 'ended-early' || end !== 'future')
    ? { kind: 'confirmed', detail }
    : cannotTell('cannot-tell', detail);
}

function confirmReminder(
  warning: PlanWarning,
  rows: readonly OrderRow[],
  context: LocalTimes & { readonly now: EpochMs },
): Confirmation {
  const running = rows.filter((row) => row.orderStatus === inUse && endOf(row, context) === 'future');
  const detail = `${rows.length} orders, ${running.length} of them in use`;
  switch (warning) {
    case 'no-plan':
      if (rows.length === 0) return { kind: 'confirmed', detail };
      return running.length > 0 ? { kind: 'denied', detail } : cannotTell('cannot-tell', detail);
    case 'expired':
      if (running.length > 0) return { kind: 'denied', detail };
      return rows.some((row) => endOf(row, context) === 'past')
        ? { kind: 'confirmed', detail }
        : cannotTell('cannot-tell', detail);
    case 'expiring': {
      const used = rows.filter((row) => row.orderStatus === inUse);
      if (used.length === 0 || used.some((row) => endOf(row, context) === 'unreadable')) {
        return cannotTell('cannot-tell', detail);
      }
      const later = { ...context, now: context.now + reminderAheadMs };
      const allSoon = used.every((row) => endOf(row, later) === 'past');
      return { kind: allSoon ? 'confirmed' : 'denied', detail };
    }
    default:
      return cannotTell('not-confirmable', `the order records say nothing about the warning ${warning}`);
  }
}

/**
 * One row for reconciliation. CSSS shows no price and no refund. Its local times count only with a zone that the
 * stage names, except that an end which lies in the past in every zone is past.
 */
export function providerOrderOf(
  row: OrderRow,
  subject: Subject,
  context: LocalTimes & { readonly now: EpochMs },
): ProviderOrder {
  const { orderCode: orderId, packageCode } = row;
  const phase = phaseOf(row, context);
  return {
    orderId,
    reference: null,
    simId: row.deviceId ?? row.device_id ?? subject.simId,
    packageCode,
    stateCode: row.orderStatus ?? '',
    phase,
    createdAtText: row.orderDate,
    createdAt: momentOf(row.orderDate, context),
    endsAtText: row.expireDate,
    endsAt: momentOf(row.expireDate, context),
    price: null,
    refunded: false,
    told: toldBy(phase, { orderId, reference: null, packageCode }),
  };
}

/** What other states mean is not known, but an end that is past for certain is an end. Source: section 3.4 (I). */
function phaseOf(row: OrderRow, context: LocalTimes & { readonly now: EpochMs }): OrderPhase {
  const local = readLocalTime(row.expireDate);
  const { at, margin } = place(local ?? 0, context);
  if (local !== null && at + margin + csssProfile.clockSkew < context.now) return 'ended';
  if (row.orderStatus === notYetEnabled) return 'waiting';
  return row.orderStatus === inUse ? 'active' : 'unknown';
}

/** Codes 1005 and 1008. Source: protocols/linksfield.md, section 4 (order status change). */
function toldBy(phase: OrderPhase, order: OrderReference): EventFacts | null {
  if (phase === 'active') return { kind: 'order-status', status: 'started', order };
  return phase === 'ended' ? { kind: 'order-status', status: 'expired', order } : null;
}

function momentOf(text: string | null, times: LocalTimes): EpochMs | null {
  const local = readLocalTime(text);
  if (local === null || times.zoneOffsetMinutes === null) return null;
  const { at } = place(local, times);
  return at < 0 ? null : epochMs(at);
}

/** An end within the zone's margin counts as past: the callback comes at that very moment. */
function endOf(
  row: OrderRow,
  context: LocalTimes & { readonly now: number },
): 'past' | 'future' | 'unreadable' {
  const local = readLocalTime(row.expireDate);
  if (local === null) return 'unreadable';
  const { at, margin } = place(local, context);
  return at <= context.now + margin + csssProfile.clockSkew ? 'past' : 'future';
}

function cannotTell(code: string, message: string): Confirmation {
  return { kind: 'unavailable', code, message, retryAfter: null };
}
