import {
  actionIdFor,
  type Decided,
  type DecideInput,
  decide,
  withoutActions,
} from '../../shared/core/decide.ts';
import { bookRefund, inState } from '../../shared/core/lifecycle.ts';
import { endedOrderOf, isSameEnd, type OrderEnd, orderEndOf } from '../../shared/core/order-end.ts';
import type { Policy } from '../../shared/core/policy.ts';
import {
  after,
  type DurationMs,
  type EpochMs,
  elapsed,
  hours,
  milliseconds,
  minutes,
  seconds,
} from '../../shared/core/time.ts';
import { isEffectOfPurchase, type WebhookEvent } from '../../shared/core/webhook-event.ts';
import { logDecision } from '../../shared/platform/decision-report.ts';
import { sha256Hex } from '../../shared/platform/digest.ts';
import type { Log } from '../../shared/platform/log.ts';
import { toMessage } from '../../shared/queue/work-item.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import { loadAction, replaceAction } from '../../shared/store/action-store.ts';
import {
  deferEvent,
  existingActions,
  findOwnAction,
  loadEvent,
  loadOrderEnd,
  loadSim,
  type Versioned,
  writeDecision,
} from '../../shared/store/event-store.ts';
import type { EventRow } from '../../shared/store/rows.ts';
import type { Table } from '../../shared/store/table.ts';

/** Races lost to other writers before the message is left to come again. */
const racesMax = 6;

export interface DecideDeps {
  readonly table: Table;
  readonly policy: Policy;
  readonly events: WorkQueue;
  /** The actions queue of a provider; null for a provider that the stage no longer has. */
  readonly actionsQueue: (provider: string) => WorkQueue | null;
  readonly log: Log;
  readonly notice?: (event: WebhookEvent, decided: Decided) => void;
}

export interface DecideOptions {
  /** A replay judges an event again that was judged already; its actions keep their ids, so it can't buy again. */
  readonly replay: boolean;
  readonly generation: number;
}

export type DecideResult =
  | { readonly kind: 'decided'; readonly decided: Decided }
  /** It may report on a purchase whose answer is still on its way: judged again at `until`. */
  | { readonly kind: 'deferred'; readonly until: EpochMs }
  | { readonly kind: 'already-decided' }
  | { readonly kind: 'unknown-event' };

/**
 * Judges one stored event by the rules and writes what comes of it in one transaction. Throws StoreError when the
 * store is down, and an Error after too many lost races: both mean that the message must come again.
 */
export async function decideEvent(
  eventId: string,
  now: EpochMs,
  deps: DecideDeps,
  options: DecideOptions,
): Promise<DecideResult> {
  for (let race = 0; race < racesMax; race++) {
    const row = await loadEvent(deps.table, eventId);
    if (row === null) return { kind: 'unknown-event' };
    if (row.value.state === 'decided' && !options.replay) return { kind: 'already-decided' };
    const ownActionId = await findOwnAction(deps.table, row.value.event);
    const until = await echoInFlight(row, ownActionId, now, deps);
    if (until !== null) return { kind: 'deferred', until };
    // Before the decision is written: after it nobody looks at the event again, and a refund would be lost with a
    // worker that dies in between. Booking the same refund twice does nothing.
    await tellOwnAction(row.value.event, ownActionId, now, deps);
    const decided = await judge({ row, ownActionId, race }, now, deps, options);
    if (decided === null) continue;
    await queueActions(decided, deps);
    deps.notice?.(row.value.event, decided);
    return { kind: 'decided', decided };
  }
  throw new Error(`${eventId} changed ${racesMax} times while it was decided; it is tried again`);
}

/** How long an event waits for the answer of a purchase that it may be the echo of, and how often it looks at first. */
const echoWait = minutes(15);
const echoPause = seconds(5);

/** A refund waits until the purchase that it belongs to is settled: longer than an unknown outcome is verified. */
const refundWait = hours(26);

/**
 * A provider's notice of an order often comes before its own answer to the call. While a paid call for the SIM is
 * under way and the notice's order is nobody's yet, its judgement waits; an outcome that is unknown is looked up now.
 * A refund waits as long as its purchase may be in doubt, since it can be booked only against a charge.
 */
async function echoInFlight(
  row: Versioned<EventRow>,
  ownActionId: string | null,
  now: EpochMs,
  deps: DecideDeps,
): Promise<EpochMs | null> {
  const { event } = row.value;
  if (row.value.state === 'decided' || !isEffectOfPurchase(event.facts)) return null;
  const isRefund = event.facts.kind === 'refund';
  const waited = elapsed(event.receivedAt, now);
  if (waited > (isRefund ? refundWait : echoWait)) return null;
  const openId =
    isRefund && ownActionId !== null ? ownActionId : await openActionOf(event, ownActionId, deps);
  const open = openId === null ? null : await loadAction(deps.table, openId);
  const name = open?.value.action.state.name;
  if (open === null || (name !== 'running' && name !== 'unknown' && name !== 'verifying')) return null;
  const pause = milliseconds(Math.max(echoPause, waited / 10));
  const until = after(now, pause);
  if ((await deferEvent(deps.table, row, until)) === 'conflict') return null;
  if (event.proof.kind !== 'unsigned') await helpAction(open.value.action.actionId, event, now, deps);
  if (pause <= hintDelayMax) await queueEventHint(event, pause, deps);
  return until;
}

/** A message can be delayed by so much; later work is found by the sweep. */
const hintDelayMax = minutes(15);

/** The open action of the event's SIM whose echo it may be; none when the order is known to be ours already. */
async function openActionOf(
  event: WebhookEvent,
  ownActionId: string | null,
  deps: DecideDeps,
): Promise<string | null> {
  if (event.subject === null || ownActionId !== null) return null;
  return (await loadSim(deps.table, event.subject.key)).value.openActionId;
}

async function queueEventHint(event: WebhookEvent, delay: DurationMs, deps: DecideDeps): Promise<void> {
  const item = { kind: 'event', id: event.eventId, correlationId: event.correlationId } as const;
  const message = toMessage(item, event.subject?.key ?? event.eventId, Math.ceil(delay / 1_000));
  // A lost hint costs a minute: the deferred event stands in the due index.
  await deps.events.send([message]).catch(() => undefined);
}

interface Judged {
  readonly row: Versioned<EventRow>;
  readonly ownActionId: string | null;
  /** From the second race on, actions that exist already are looked for: they may be what stands in the way. */
  readonly race: number;
}

/** Null when another writer was first. */
async function judge(
  { row, ownActionId, race }: Judged,
  now: EpochMs,
  deps: DecideDeps,
  options: DecideOptions,
): Promise<Decided | null> {
  const { event } = row.value;
  const sim = event.subject === null ? null : await loadSim(deps.table, event.subject.key);
  const base = { event, generation: options.generation, digest: sha256Hex };
  const input: DecideInput = {
    ...base,
    policy: deps.policy,
    sim: sim?.value ?? null,
    ownActionId,
    now,
    existingActionIds: options.replay || race > 0 ? await existing(base, deps) : new Set(),
  };
  const { decided, end } = await claimEnd(event, decide(input), deps);
  const written = await writeDecision(deps.table, {
    event: row,
    decision: decided.decision,
    actions: decided.actions,
    sim: decided.sim === null ? null : { value: decided.sim, version: sim?.version ?? null },
    end,
  });
  if (written === 'conflict') return null;
  logDecision(event, decided.decision, deps.log);
  return decided;
}

/** Which actions the rules made of the event before. */
async function existing(
  base: Parameters<typeof actionIdFor>[1],
  deps: DecideDeps,
): Promise<ReadonlySet<string>> {
  const ids = deps.policy.rules.map((rule) => actionIdFor(rule, base));
  return existingActions(deps.table, ids);
}

/**
 * An order's end may be told twice: by reconciliation, and by a callback that comes after all. Whichever is decided
 * first writes down that it acted, in the transaction of its decision; the other finds that and passes.
 */
async function claimEnd(
  event: WebhookEvent,
  decided: Decided,
  deps: DecideDeps,
): Promise<{ readonly decided: Decided; readonly end: Versioned<OrderEnd | null> | null }> {
  const orderId = decided.actions.length === 0 ? null : endedOrderOf(event);
  if (orderId === null) return { decided, end: null };
  const end = await loadOrderEnd(deps.table, event.provider, orderId);
  if (end.value === null || !isSameEnd(end.value, orderEndOf(event))) return { decided, end };
  const detail = `${end.value.eventId} told the same end of order ${orderId} and was acted on`;
  return { decided: withoutActions(decided, detail), end: null };
}

/** Hints for the workers; held actions wait for a human instead. */
async function queueActions(decided: Decided, deps: DecideDeps): Promise<void> {
  for (const action of decided.actions) {
    if (action.state.name !== 'planned') continue;
    const message = toMessage(
      { kind: 'action', id: action.actionId, correlationId: action.correlationId },
      action.subject.key,
    );
    try {
      await deps.actionsQueue(action.subject.provider)?.send([message]);
    } catch (error) {
      deps.log('warn', 'action planned but not queued, the sweep will', {
        actionId: action.actionId,
        correlationId: action.correlationId,
        error: String(error),
      });
    }
  }
}

/**
 * An event that reports on an action of ours helps it along: a refund is booked, and an order whose answer was lost
 * is looked up at once instead of at its next turn. The event itself proves nothing about money.
 */
async function tellOwnAction(
  event: WebhookEvent,
  actionId: string | null,
  now: EpochMs,
  deps: DecideDeps,
): Promise<void> {
  if (actionId === null || event.proof.kind === 'unsigned') return;
  await helpAction(actionId, event, now, deps);
}

async function helpAction(
  actionId: string,
  event: WebhookEvent,
  now: EpochMs,
  deps: DecideDeps,
): Promise<void> {
  for (let race = 0; race < racesMax; race++) {
    const row = await loadAction(deps.table, actionId);
    if (row === null) return;
    const { action } = row.value;
    const next = helped(action, event, now);
    if (next === null || (await replaceAction(deps.table, row, next)) === 'written') {
      if (next?.state.name === 'unknown') await queueActionHint(next.actionId, event, deps);
      return;
    }
  }
  throw new Error(
    `${actionId} changed ${racesMax} times while ${event.eventId} was told to it; it is tried again`,
  );
}

function helped(
  action: Parameters<typeof bookRefund>[0],
  event: WebhookEvent,
  now: EpochMs,
): typeof action | null {
  if (action.state.name === 'unknown' && action.state.verifyAt > now) {
    return inState(action, { ...action.state, verifyAt: now }, now);
  }
  if (event.facts.kind !== 'refund' || event.facts.refunded === null) return null;
  const booked = action.ledger.some((entry) => entry.kind === 'refunded' && entry.note === event.eventId);
  const left = action.money.chargedMinor - action.money.refundedMinor;
  if (
    booked ||
    event.facts.refunded.currency !== action.money.currency ||
    event.facts.refunded.amountMinor > left
  )
    return null;
  return bookRefund(action, event.facts.refunded, now, event.eventId);
}

async function queueActionHint(actionId: string, event: WebhookEvent, deps: DecideDeps): Promise<void> {
  const message = toMessage(
    { kind: 'action', id: actionId, correlationId: event.correlationId },
    event.subject?.key ?? actionId,
  );
  await deps
    .actionsQueue(event.provider)
    ?.send([message])
    .catch(() => undefined);
}
