import type { Action } from './action.ts';
import { isChargeEstimated } from './lifecycle.ts';
import { formatMoney, type Money, money } from './money.ts';
import { phaseToldBy, type ToldPhase } from './order-end.ts';
import type { ProviderOrder } from './provider-order.ts';
import { type Subject, subjectOf } from './subject.ts';
import { after, before, type DurationMs, type EpochMs, elapsed, epochMs, hours, minutes } from './time.ts';
import { type EventFacts, orderOf, type WebhookEvent } from './webhook-event.ts';

/** What the provider's records and ours disagree about. */
export const differenceKinds = [
  /** An order of the SIM that no action of ours placed, placed since we watch the SIM. */
  'order-not-ours',
  /** An order that an action of ours placed and that the provider's records don't show. */
  'order-missing',
  /** The provider's price is not what we booked, or is above what the rule allows. */
  'amount-differs',
  /** The provider's records show a refund that no callback told of. */
  'refund-missing',
  /** The provider's records show a start or an end that no callback told of. */
  'callback-missing',
] as const;
export type DifferenceKind = (typeof differenceKinds)[number];

export interface Difference {
  readonly kind: DifferenceKind;
  /** What the difference is about: with its kind and SIM it names the difference for good. */
  readonly about: string;
  readonly orderId: string | null;
  readonly actionId: string | null;
  readonly detail: string;
  /** What reconciliation does about it itself; null when a human has to look. */
  readonly mended: string | null;
}

/** What reconciliation remembers of a SIM's orders from look to look. */
export interface OrderWatch {
  /** From when on an order that is not ours is a difference: the first that we stored of the SIM. */
  readonly since: EpochMs;
  /** Orders that are not ours and were there before. */
  readonly knownOrderIds: readonly string[];
  /** When something was first seen that must last before it counts; 0 for what was told already. */
  readonly sightings: Readonly<Record<string, EpochMs>>;
  readonly openFindings: readonly string[];
}

/** One SIM, as we and as the provider know it. Ours was read after the provider's, so that it is not older. */
export interface SimBooks {
  readonly subject: Subject;
  readonly orders: readonly ProviderOrder[];
  /** True when the provider's list was read to its end. */
  readonly ordersWhole: boolean;
  readonly actions: readonly Action[];
  readonly events: readonly WebhookEvent[];
  /** True when the SIM's timeline was read to `timelineFrom`. */
  readonly timelineWhole: boolean;
  readonly timelineFrom: EpochMs;
  /** Action of each order that the ledger knows, by its number or by our reference. */
  readonly owners: ReadonlyMap<string, string>;
  /** The action that holds the SIM; null when none does. */
  readonly holder: Action | null;
  /** Null at the first look. */
  readonly watch: OrderWatch | null;
}

export interface ReconcileTerms {
  readonly now: EpochMs;
  /** How long after a call an order may appear in the records, clock differences included. */
  readonly settleTime: DurationMs;
  /** The oldest event that any rule of the provider acts on. */
  readonly maxEventAge: DurationMs;
}

/** A callback that never came, as an event to be judged by the rules. */
export interface MissedCallback {
  readonly order: ProviderOrder;
  readonly facts: EventFacts;
  readonly occurredAt: EpochMs | null;
  readonly actionId: string | null;
  /** The same for the same start or end, however often it is found. */
  readonly identity: string;
}

export type Booking =
  | { readonly kind: 'charge'; readonly actionId: string; readonly price: Money }
  | { readonly kind: 'refund'; readonly actionId: string; readonly orderId: string };

export interface Comparison {
  readonly differences: readonly Difference[];
  readonly bookings: readonly Booking[];
  readonly missed: readonly MissedCallback[];
  /** Orders that a parked purchase may have made. */
  readonly candidates: { readonly actionId: string; readonly orderIds: readonly string[] } | null;
  /** What to remember; null leaves things as they are. `openFindings` is the caller's to fill. */
  readonly watch: OrderWatch | null;
  /** True when everything was read, so that a difference which did not show is gone. */
  readonly whole: boolean;
}

/** How long something must last before it counts: callbacks are repeated, and pages move while they are read. */
export const lastingTime = minutes(30);

/** Orders remembered per SIM; a SIM with more is not compared. */
export const ordersMax = 500;

/** Own timestamps and the provider's are compared with this much room. */
const clockRoom = minutes(10);

/** Already told, or from before we watched. */
const told = epochMs(0);

/** Compares one SIM's orders at the provider with the ledger: a function of its input. It decides on no purchase. */
export function compareSim(books: SimBooks, terms: ReconcileTerms): Comparison {
  const orders = books.orders.filter((order) => isOfSim(order, books.subject));
  const whole = books.ordersWhole && books.timelineWhole && orders.length === books.orders.length;
  if (orders.length > ordersMax) return nothing;
  const since = books.watch?.since ?? firstStored(books, terms.now);
  const look: Look = { ...books, orders, whole, terms, since, sightings: {} };
  const ownership = compareOwnership(look);
  const parts = [
    ownership.differences,
    missingOrders(look),
    ...orders.map((order) => compareOrder(look, order)),
  ];
  const callbacks = compareCallbacks(look);
  const found = parts.flat();
  // A first picture that is not whole, or that may hold an order of a purchase in flight, would make it one of the past.
  const postponed = books.watch === null && (mayOwnMore(books.holder) || !books.ordersWhole);
  const earlier = books.watch?.sightings ?? {};
  return {
    differences: [...found.flatMap(({ difference }) => difference ?? []), ...callbacks.differences],
    bookings: found.flatMap(({ booking }) => booking ?? []),
    missed: callbacks.missed,
    candidates: ownership.candidates,
    watch: postponed
      ? null
      : {
          since,
          knownOrderIds: ownership.known,
          sightings: whole ? look.sightings : { ...earlier, ...look.sightings },
          openFindings: books.watch?.openFindings ?? [],
        },
    whole: whole && !mayOwnMore(books.holder),
  };
}

const nothing: Comparison = {
  differences: [],
  bookings: [],
  missed: [],
  candidates: null,
  watch: null,
  whole: false,
};

/** One comparison under way. `sightings` is filled as it goes and stays inside `compareSim`. */
interface Look extends SimBooks {
  readonly whole: boolean;
  readonly terms: ReconcileTerms;
  readonly since: EpochMs;
  readonly sightings: Record<string, EpochMs>;
}

interface Found {
  readonly difference?: Difference;
  readonly booking?: Booking;
}

function isOfSim(order: ProviderOrder, subject: Subject): boolean {
  const { provider, idKind, key, simId } = subject;
  return order.simId === simId || subjectOf(provider, idKind, order.simId)?.key === key;
}

function firstStored({ actions, events }: SimBooks, now: EpochMs): EpochMs {
  return epochMs(
    Math.min(now, ...actions.map((action) => action.createdAt), ...events.map((event) => event.receivedAt)),
  );
}

// ---- whose order it is ----

function ownerOf(look: SimBooks, order: ProviderOrder): string | null {
  const tied = look.owners.get(order.orderId);
  if (tied !== undefined) return tied;
  const own = look.actions.find(
    (action) =>
      (order.reference !== null && action.reference === order.reference) ||
      (action.state.name === 'succeeded' &&
        action.state.providerOrderId === order.orderId &&
        !isExtension(action)),
  );
  return own?.actionId ?? null;
}

/** A renewal that lengthened an order which was there before has no order of its own. */
function isExtension(action: Action): boolean {
  return (
    action.state.name === 'succeeded' &&
    action.targetOrderId !== null &&
    action.state.providerOrderId === action.targetOrderId
  );
}

/** True while a purchase of this SIM may have made an order that the ledger does not know yet. */
function mayOwnMore(holder: Action | null): boolean {
  return holder !== null && holder.sentWindow !== null;
}

function compareOwnership(look: Look): {
  readonly differences: readonly Found[];
  readonly known: readonly string[];
  readonly candidates: Comparison['candidates'];
} {
  const { holder, watch, since } = look;
  const foreign = look.orders.filter((order) => ownerOf(look, order) === null);
  const pastUntil = watch === null ? firstPastUntil(look) : before(since, clockRoom);
  const isPast = ({ orderId, createdAt }: ProviderOrder): boolean => {
    if (watch?.knownOrderIds.includes(orderId)) return true;
    // What caused a purchase was there before it.
    if (look.actions.some(({ targetOrderId }) => targetOrderId === orderId)) return true;
    return createdAt === null ? watch === null : createdAt < pastUntil;
  };
  const past = foreign.filter(isPast);
  const fresh = foreign.filter((order) => !isPast(order));
  const all = [...(watch?.knownOrderIds ?? []), ...past.map(({ orderId }) => orderId)];
  const known = [...new Set(all)].slice(-2 * ordersMax);
  if (mayOwnMore(holder)) {
    const open = watch === null ? foreign : fresh;
    return { differences: [], known, candidates: candidatesOf(holder, open) };
  }
  return { differences: fresh.map((order) => notOurs(look, order)), known, candidates: null };
}

/**
 * At the first look, an order from before our first row of the SIM, or around it, is of the past: its own notice may
 * be that row. Around a purchase of ours nothing is, since an order too many must show.
 */
function firstPastUntil({ actions, since }: Look): EpochMs {
  const purchases = actions.filter(({ attempts }) => attempts > 0).map(({ createdAt }) => createdAt);
  return epochMs(Math.min(after(since, clockRoom), ...purchases.map((at) => before(at, clockRoom))));
}

const parkedUnknown: ReadonlySet<string> = new Set(['cannot-verify', 'several-candidates']);

function candidatesOf(holder: Action | null, orders: readonly ProviderOrder[]): Comparison['candidates'] {
  if (holder?.state.name !== 'parked' || !parkedUnknown.has(holder.state.reason)) return null;
  const earliest = before(holder.sentWindow?.first ?? holder.createdAt, clockRoom);
  const possible = orders.filter(({ createdAt }) => createdAt === null || createdAt >= earliest);
  return { actionId: holder.actionId, orderIds: possible.map(({ orderId }) => orderId) };
}

function notOurs(look: Look, order: ProviderOrder): Found {
  const event = look.events.find((each) => namesOrder(each, order));
  const heard = event === undefined ? 'no callback told of it' : `${event.eventId} told of it`;
  const price = order.price === null ? '' : `, ${formatMoney(order.price)}`;
  const detail = `order ${order.orderId} (${order.packageCode ?? 'no package named'}${price}, placed ${
    order.createdAtText ?? 'at an unknown time'
  }) was not placed by simhook; ${heard}`;
  return {
    difference: {
      kind: 'order-not-ours',
      about: order.orderId,
      orderId: order.orderId,
      actionId: null,
      detail,
      mended: null,
    },
  };
}

function namesOrder(event: WebhookEvent, order: ProviderOrder): boolean {
  const named = orderOf(event.facts);
  if (named === null) return false;
  return named.orderId === order.orderId || (named.reference !== null && named.reference === order.reference);
}

// ---- orders that they don't know ----

function missingOrders(look: Look): readonly Found[] {
  if (!look.ordersWhole) return [];
  const owned = new Set(look.orders.map((order) => ownerOf(look, order)));
  const listed = new Set(look.orders.map(({ orderId }) => orderId));
  const echoesReferences = look.orders.some(({ reference }) => reference !== null);
  return look.actions.flatMap((action) => {
    const { state, actionId } = action;
    if (state.name !== 'succeeded' || owned.has(actionId)) return [];
    if (state.providerOrderId === null && !echoesReferences) return [];
    if (state.providerOrderId !== null && listed.has(state.providerOrderId)) return [];
    if (after(action.stateSince, look.terms.settleTime) > look.terms.now) return [];
    if (!hasLasted(look, `missing#${actionId}`)) return [];
    const name = state.providerOrderId ?? `with our number ${action.reference}`;
    const detail = `order ${name} of ${actionId} is not among the ${look.orders.length} orders that the provider shows for this SIM`;
    const orderId = state.providerOrderId;
    return [
      { difference: { kind: 'order-missing', about: actionId, orderId, actionId, detail, mended: null } },
    ];
  });
}

/** True when this was seen before and has lasted; what is seen for the first time is noted. */
function hasLasted(look: Look, name: string): boolean {
  const first = look.watch?.sightings[name] ?? look.terms.now;
  look.sightings[name] = first;
  return elapsed(first, look.terms.now) >= lastingTime;
}

// ---- amounts and refunds of one order ----

function compareOrder(look: Look, order: ProviderOrder): readonly Found[] {
  const actionId = ownerOf(look, order);
  const action = look.actions.find((each) => each.actionId === actionId);
  if (action === undefined || action.state.name !== 'succeeded') return [];
  return [...compareAmount(action, order), ...compareRefund(look, action, order)];
}

function compareAmount(action: Action, order: ProviderOrder): readonly Found[] {
  const { price, orderId } = order;
  if (price === null) return [];
  const { actionId, money: booked, maxCost } = action;
  const differs = (detail: string): Found => ({
    difference: { kind: 'amount-differs', about: orderId, orderId, actionId, detail, mended: null },
  });
  const charged = money(booked.chargedMinor, booked.currency);
  if (price.currency !== booked.currency)
    return [differs(`the provider shows ${formatMoney(price)}, we booked ${formatMoney(charged)}`)];
  const tooDear =
    price.amountMinor > maxCost.amountMinor
      ? [differs(`the provider charged ${formatMoney(price)}, the rule allows ${formatMoney(maxCost)}`)]
      : [];
  if (isChargeEstimated(action)) return [{ booking: { kind: 'charge', actionId, price } }, ...tooDear];
  if (price.amountMinor === booked.chargedMinor) return tooDear;
  return [differs(`the provider shows ${formatMoney(price)}, we booked ${formatMoney(charged)}`)];
}

function compareRefund(look: Look, action: Action, order: ProviderOrder): readonly Found[] {
  const { orderId } = order;
  const { actionId } = action;
  if (!order.refunded || action.money.chargedMinor === 0) return [];
  // Once booked as an estimate it stays a mended difference; a callback's own booking is none.
  if (action.money.refundedMinor > 0) return [];
  if (!hasLasted(look, `refund#${orderId}`)) return [];
  const event = look.events.find((each) => each.facts.kind === 'refund' && namesOrder(each, order));
  const difference = { kind: 'refund-missing', about: orderId, orderId, actionId } as const;
  if (event !== undefined) {
    const detail = `order ${orderId} is refunded and ${event.eventId} told of it, but its amount could not be booked`;
    return [{ difference: { ...difference, detail, mended: null } }];
  }
  return [
    {
      booking: { kind: 'refund', actionId, orderId },
      difference: {
        ...difference,
        detail: `order ${orderId} is refunded and no callback told of it`,
        mended: 'booked as a refund of the whole charge, as an estimate: the records show no amount',
      },
    },
  ];
}

// ---- callbacks that never came ----

function compareCallbacks(look: Look): {
  readonly differences: readonly Difference[];
  readonly missed: readonly MissedCallback[];
} {
  const results = look.timelineWhole ? look.orders.map((order) => missedOf(look, order)) : [];
  return {
    differences: results.flatMap((result) => result?.difference ?? []),
    missed: results.flatMap((result) => result?.missed ?? []),
  };
}

interface Missed {
  readonly difference: Difference | null;
  readonly missed: MissedCallback | null;
}

/**
 * Whether a callback about the order's present phase is missing, and whether it may be made up for. Only orders of
 * ours, or that a stored event names; only an end with a time that can be placed, since the rules judge its age.
 */
function missedOf(look: Look, order: ProviderOrder): Missed | null {
  const phase = order.told === null ? null : phaseToldBy(order.told);
  if (order.told === null || phase === null) return null;
  const name = `${order.orderId}#${phase}#${order.endsAtText ?? ''}`;
  const actionId = ownerOf(look, order);
  if (isTold(look, order, { phase, name, actionId })) {
    look.sightings[name] = told;
    return null;
  }
  if (!isInvolved(look, order, actionId) || (phase === 'started' && actionId === null)) return null;
  const endedAt = endOf(order, phase, look.terms.now);
  const lasted = hasLasted(look, name);
  if (endedAt === null ? !lasted : elapsed(endedAt, look.terms.now) < lastingTime) return null;
  const identity = `reconciled\n${name}`;
  const mendable =
    phase === 'started' || (endedAt !== null && elapsed(endedAt, look.terms.now) <= look.terms.maxEventAge);
  const difference: Difference = {
    kind: 'callback-missing',
    about: name,
    orderId: order.orderId,
    actionId,
    detail: `order ${order.orderId} has ${phase} (state ${order.stateCode}, end ${order.endsAtText ?? 'not shown'}) and no callback told of it`,
    mended: mendable ? 'made up for by an event found in the records' : null,
  };
  if (!mendable) return { difference, missed: null };
  return {
    difference,
    missed: { order, facts: order.told, occurredAt: endedAt, actionId, identity },
  };
}

/** When the order ended; null when that is not known, such as for one that ended before its time was over. */
function endOf(order: ProviderOrder, phase: ToldPhase, now: EpochMs): EpochMs | null {
  return phase === 'ended' && order.endsAt !== null && order.endsAt <= now ? order.endsAt : null;
}

/** An event about this order's phase may come from before its present end by as much as clocks and zones differ. */
const toldBefore = hours(12);

function isTold(
  look: Look,
  order: ProviderOrder,
  { phase, name, actionId }: { phase: ToldPhase; name: string; actionId: string | null },
): boolean {
  if (look.watch?.sightings[name] === told) return true;
  const endedAt = endOf(order, phase, look.terms.now);
  const heard = look.events.some(
    (event) =>
      namesOrder(event, order) &&
      phaseToldBy(event.facts) === phase &&
      (endedAt === null || (event.occurredAt ?? event.receivedAt) >= before(endedAt, toldBefore)),
  );
  if (heard) return true;
  // Before the first look, what was told lies too far back to be found: only what is certainly newer can be missing.
  if (endedAt !== null) return endedAt < epochMs(Math.max(look.since, look.timelineFrom));
  return look.watch === null && !look.actions.some((action) => action.actionId === actionId);
}

function isInvolved(look: Look, order: ProviderOrder, actionId: string | null): boolean {
  return (
    actionId !== null ||
    look.actions.some((action) => action.targetOrderId === order.orderId) ||
    look.events.some((event) => namesOrder(event, order))
  );
}
