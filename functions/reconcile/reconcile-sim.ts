import { bookRefundOfRest, correctCharge } from '../../shared/core/lifecycle.ts';
import type { Policy } from '../../shared/core/policy.ts';
import type { ProviderOrder } from '../../shared/core/provider-order.ts';
import {
  type Booking,
  type Comparison,
  compareSim,
  type MissedCallback,
  type ReconcileTerms,
  type SimBooks,
} from '../../shared/core/reconcile.ts';
import type { Subject } from '../../shared/core/subject.ts';
import { before, type DurationMs, days, type EpochMs, hours, milliseconds } from '../../shared/core/time.ts';
import type { WebhookEvent } from '../../shared/core/webhook-event.ts';
import { sha256Hex } from '../../shared/platform/digest.ts';
import type { Log } from '../../shared/platform/log.ts';
import type { ProviderProfile } from '../../shared/providers/provider.ts';
import { toMessage } from '../../shared/queue/work-item.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import { loadAction, replaceAction, writeTransition } from '../../shared/store/action-store.ts';
import { loadSim, recordCallback, type Versioned } from '../../shared/store/event-store.ts';
import {
  type Finding,
  findingIdOf,
  loadFinding,
  reconciler,
  recordFinding,
  resolveFinding,
} from '../../shared/store/finding-store.ts';
import {
  loadOrderWatch,
  loadOwners,
  readTimeline,
  writeOrderWatch,
} from '../../shared/store/reconcile-store.ts';
import type { ActionRow } from '../../shared/store/rows.ts';
import type { Table } from '../../shared/store/table.ts';

/** How far back a SIM's own rows are read: further than SIMs are looked for, so that no event seems to be missing. */
const timelineBack = days(45);

/** Rules act on events of at most this age when a provider has no rule that says otherwise. */
const defaultEventAge = hours(72);

/** What reconciliation tells whoever watches. */
export type ReconcileNotice =
  | { readonly kind: 'finding'; readonly what: 'opened' | 'mended' | 'gone'; readonly finding: Finding }
  | { readonly kind: 'event'; readonly event: WebhookEvent }
  | {
      readonly kind: 'booked';
      readonly what: Booking['kind'];
      readonly actionId: string;
      readonly simId: string;
    };

export interface SimDeps {
  readonly table: Table;
  readonly events: WorkQueue;
  readonly policy: Policy;
  readonly profile: ProviderProfile;
  readonly log: Log;
  readonly notice?: (notice: ReconcileNotice) => void;
}

/** What one SIM's comparison came to. */
export interface SimTally {
  readonly opened: number;
  readonly mended: number;
  readonly gone: number;
  readonly events: number;
  readonly booked: number;
  readonly noted: number;
}

export const noTally: SimTally = { opened: 0, mended: 0, gone: 0, events: 0, booked: 0, noted: 0 };

/**
 * Compares one SIM's orders with the ledger and does what follows. Everything is written so that a repeated run, or
 * two runs at once, come to the same: events and findings have ids of their cause, bookings are judged again under
 * the action's version. What is remembered of the SIM is written last, so that a run that dies is repeated whole.
 */
export async function reconcileSim(
  subject: Subject,
  list: { readonly orders: readonly ProviderOrder[]; readonly whole: boolean },
  now: EpochMs,
  deps: SimDeps,
): Promise<SimTally> {
  const { table } = deps;
  const timelineFrom = before(now, timelineBack);
  const [timeline, sim, watch, owners] = await Promise.all([
    readTimeline(table, subject, timelineFrom),
    loadSim(table, subject.key),
    loadOrderWatch(table, subject.key),
    loadOwners(table, subject.provider, list.orders),
  ]);
  const holder = sim.value.openActionId === null ? null : await loadAction(table, sim.value.openActionId);
  const books: SimBooks = {
    subject,
    orders: list.orders,
    ordersWhole: list.whole,
    actions: timeline.actions,
    events: timeline.events,
    timelineWhole: timeline.whole,
    timelineFrom,
    owners,
    holder: holder?.value.action ?? null,
    watch: watch.value,
  };
  const comparison = compareSim(books, termsOf(subject, now, deps));
  const booked = await applyBookings(comparison.bookings, now, deps);
  const events = await recordMissed(subject, comparison.missed, now, { books, deps });
  const noted = await noteCandidates(holder, comparison.candidates, now, deps);
  const findings = await applyFindings(subject, comparison, now, { books, deps });
  if (comparison.watch !== null) {
    const next = { ...comparison.watch, openFindings: findings.open };
    if (JSON.stringify(next) !== JSON.stringify(watch.value))
      await writeOrderWatch(table, subject.key, watch, next, now);
  }
  const { opened, mended, gone } = findings;
  return { opened, mended, gone, events, booked, noted };
}

function termsOf(subject: Subject, now: EpochMs, { policy, profile }: SimDeps): ReconcileTerms {
  const ages = policy.rules
    .filter((rule) => rule.enabled && rule.provider === subject.provider)
    .map((rule) => rule.when.maxEventAge);
  const settleTime = milliseconds(profile.callTimeout + profile.lateCommit + profile.clockSkew);
  const maxEventAge = ages.length === 0 ? defaultEventAge : (Math.max(...ages) as DurationMs);
  return { now, settleTime, maxEventAge };
}

// ---- money ----

async function applyBookings(bookings: readonly Booking[], now: EpochMs, deps: SimDeps): Promise<number> {
  let booked = 0;
  for (const booking of bookings) {
    const row = await loadAction(deps.table, booking.actionId);
    // A lost race is left to the next run, which judges anew.
    if (row === null || !(await applyBooking(row, booking, now, deps.table))) continue;
    booked += 1;
    const { subject, correlationId } = row.value.action;
    deps.log('info', 'ledger corrected by the provider records', {
      actionId: booking.actionId,
      correlationId,
      provider: subject.provider,
      what: booking.kind,
    });
    deps.notice?.({ kind: 'booked', what: booking.kind, actionId: booking.actionId, simId: subject.simId });
  }
  return booked;
}

async function applyBooking(
  row: Versioned<ActionRow>,
  booking: Booking,
  now: EpochMs,
  table: Table,
): Promise<boolean> {
  const { action } = row.value;
  if (booking.kind === 'refund') {
    if (action.money.refundedMinor > 0) return false;
    const next = bookRefundOfRest(action, now, `the records show order ${booking.orderId} as refunded`);
    return next !== null && (await replaceAction(table, row, next)) === 'written';
  }
  const sim = await loadSim(table, action.subject.key);
  const transition = correctCharge(action, sim.value, booking.price, now);
  if (transition === null) return false;
  return (await writeTransition(table, { row, sim, transition, caps: null })).kind === 'written';
}

// ---- callbacks that never came ----

interface Context {
  readonly books: SimBooks;
  readonly deps: SimDeps;
}

async function recordMissed(
  subject: Subject,
  missed: readonly MissedCallback[],
  now: EpochMs,
  { books, deps }: Context,
): Promise<number> {
  let recorded = 0;
  for (const callback of missed) {
    const action = books.actions.find(({ actionId }) => actionId === callback.actionId);
    const event = toEvent(subject, callback, now, action?.correlationId ?? null);
    const evidence = {
      body: Buffer.from(JSON.stringify(callback.order)),
      headers: { 'content-type': 'application/json' },
      path: 'reconcile',
    };
    const { callbackId, correlationId, eventId } = event;
    const [result] = await recordCallback(deps.table, { callbackId, evidence, events: [event], now });
    if (result !== 'recorded') continue;
    recorded += 1;
    deps.log('warn', 'callback never came, found in the provider records', {
      eventId,
      correlationId,
      provider: subject.provider,
      kind: event.facts.kind,
      orderId: callback.order.orderId,
    });
    deps.notice?.({ kind: 'event', event });
    // A lost hint costs a minute: the event stands in the due index.
    await deps.events
      .send([toMessage({ kind: 'event', id: eventId, correlationId }, subject.key)])
      .catch(() => undefined);
  }
  return recorded;
}

function toEvent(
  subject: Subject,
  { order, facts, occurredAt, identity }: MissedCallback,
  now: EpochMs,
  correlationId: string | null,
): WebhookEvent {
  const digest = sha256Hex(`${subject.provider}\n${identity}\n`);
  return {
    eventId: `evt_${digest.slice(0, 32)}`,
    provider: subject.provider,
    providerType: `order record, state ${order.stateCode}`,
    facts,
    subject,
    proof: { kind: 'reconciled', source: 'order list' },
    occurredAt,
    receivedAt: now,
    correlationId: correlationId ?? `cor_${digest.slice(0, 16)}`,
    callbackId: `cbk_${digest.slice(0, 32)}`,
  };
}

// ---- purchases that wait for a human ----

/** Tells whoever resolves a parked purchase which orders it may have made, as the records show them now. */
async function noteCandidates(
  holder: Versioned<ActionRow> | null,
  candidates: Comparison['candidates'],
  now: EpochMs,
  { table }: SimDeps,
): Promise<number> {
  if (holder === null || candidates === null) return 0;
  const { orderIds } = candidates;
  const reason =
    orderIds.length === 0
      ? 'the records show no order that could be it'
      : `the records show ${orderIds.length} that could be it: ${orderIds.slice(0, 10).join(', ')}`;
  const isOurs = (note: ActionRow['notes'][number]): boolean =>
    note.by === reconciler && note.did === 'looked for its order';
  const { action, notes } = holder.value;
  if (notes.some((note) => isOurs(note) && note.reason === reason)) return 0;
  const note = { at: now, by: reconciler, did: 'looked for its order', reason };
  const row = {
    ...holder,
    value: { ...holder.value, notes: [...notes.filter((each) => !isOurs(each)), note] },
  };
  return (await replaceAction(table, row, action)) === 'written' ? 1 : 0;
}

// ---- findings ----

async function applyFindings(
  subject: Subject,
  comparison: Comparison,
  now: EpochMs,
  { books, deps }: Context,
): Promise<{
  readonly opened: number;
  readonly mended: number;
  readonly gone: number;
  readonly open: readonly string[];
}> {
  const seen = new Set<string>();
  const open: string[] = [];
  const count = { opened: 0, mended: 0, gone: 0 };
  for (const difference of comparison.differences) {
    const findingId = findingIdOf(subject, difference, sha256Hex);
    seen.add(findingId);
    const result = await recordFinding(deps.table, { findingId, subject, difference }, now);
    if (difference.mended === null) open.push(findingId);
    if (result === 'seen') continue;
    count[result] += 1;
    await tell(findingId, result, deps);
  }
  for (const findingId of books.watch?.openFindings ?? []) {
    if (seen.has(findingId)) continue;
    if (!comparison.whole) {
      open.push(findingId);
      continue;
    }
    const closed = { at: now, by: reconciler, how: 'the difference is gone' };
    if ((await resolveFinding(deps.table, findingId, closed)) !== 'resolved') continue;
    count.gone += 1;
    await tell(findingId, 'gone', deps);
  }
  return { ...count, open };
}

async function tell(findingId: string, what: 'opened' | 'mended' | 'gone', deps: SimDeps): Promise<void> {
  const row = await loadFinding(deps.table, findingId);
  if (row === null) return;
  const finding = row.value;
  const { provider, kind, orderId, actionId } = finding;
  const fields = { findingId, provider, kind, orderId, actionId };
  if (what === 'opened') deps.log('error', 'provider and ledger differ', fields);
  else deps.log('info', `finding ${what}`, fields);
  deps.notice?.({ kind: 'finding', what, finding });
}
