import { type Action, holdsSim } from '../../shared/core/action.ts';
import { sumLedger } from '../../shared/core/lifecycle.ts';
import type { Policy } from '../../shared/core/policy.ts';
import type { LimitWindow } from '../../shared/core/rate-limit.ts';
import type { SimState } from '../../shared/core/sim-state.ts';
import { type EventRow, readRow } from '../../shared/store/rows.ts';
import type { Change, Item } from '../../shared/store/table.ts';
import type { Purchase } from '../provider-simulator/books.ts';
import type { Claim } from './workload.ts';

/** The invariants of a run, by name. Source: issue 3, "Proof". */
export const invariants = [
  '1 every-2xx-stored-once',
  '2 decided-in-bounded-time',
  '3 one-order-per-action-and-cause',
  '4 caps-never-exceeded',
  '5 every-action-ends-known',
  '6 nothing-bought-on-an-unverified-claim',
  '7 one-open-action-per-sim',
  '8 ledger-and-provider-agree',
  '9 everything-drains',
  '10 provider-limits-kept',
  '11 decided-unseen-only-what-no-rule-asks-for',
] as const;
export type Invariant = (typeof invariants)[number];

export interface Violation {
  readonly invariant: Invariant;
  readonly detail: string;
}

/** One purchase in the provider's books with the action that a worker was on when its request left. */
export interface Attributed {
  readonly purchase: Purchase;
  readonly actionId: string | null;
}

/** All that the judge knows: the store as it was written, and the provider's books. Never asks production code. */
export interface Judge {
  readonly policy: Policy;
  readonly actions: Map<string, Action>;
  readonly events: Map<string, EventRow>;
  readonly sims: Map<string, SimState>;
  /** Counters of the caps as written: `provider period` to attribute to sum. */
  readonly capSums: Map<string, Map<string, number>>;
  readonly purchases: Attributed[];
  /** What each callback that was sent claims, by the text that identifies its fact. */
  readonly claims: Map<string, Claim>;
  /** Facts that were answered 2xx, by that text. */
  readonly answered: Set<string>;
  readonly windows: Map<string, LimitWindow>;
  /** Arrivals of requests that left when they were allowed to, by provider. */
  readonly arrivals: Map<string, number[]>;
  readonly inFlight: Map<string, number>;
  /** Refunds that were reported by a callback answered 2xx: provider order id to minor units. */
  readonly refunds: Map<string, number>;
  violation: Violation | null;
}

export function createJudge(policy: Policy): Judge {
  return {
    policy,
    actions: new Map(),
    events: new Map(),
    sims: new Map(),
    capSums: new Map(),
    purchases: [],
    claims: new Map(),
    answered: new Set(),
    windows: new Map(),
    arrivals: new Map(),
    inFlight: new Map(),
    refunds: new Map(),
    violation: null,
  };
}

export function fail(judge: Judge, invariant: Invariant, detail: string): void {
  judge.violation ??= { invariant, detail };
}

// ---- what was written ----

/** Takes a write into the judge's own picture and checks what can be checked at once. */
export function onWritten(judge: Judge, changes: readonly Change[]): void {
  for (const change of changes) {
    if (change.kind === 'add' && change.key.pk.startsWith('CAPS#')) addUp(judge, change);
    if (change.kind !== 'insert' && change.kind !== 'replace') continue;
    const item: Item = { ...change.item, version: 1 };
    if (item.pk.startsWith('ACTION#')) {
      const { action } = readRow('action', item);
      judge.actions.set(action.actionId, action);
      oneOpenActionPerSim(judge, action);
      capsNeverExceeded(judge, action);
      moneyIsSumOfLedger(judge, action);
    } else if (item.pk.startsWith('EVENT#')) {
      const row = readRow('event', item);
      if (change.kind === 'insert') decidedUnseenRightly(judge, row);
      judge.events.set(row.event.eventId, row);
    } else if (item.pk.startsWith('SIM#')) {
      const sim = readRow('sim', item);
      judge.sims.set(sim.simKey, sim);
    }
  }
}

function addUp(judge: Judge, { key, adds }: Extract<Change, { kind: 'add' }>): void {
  const name = `${key.pk.slice('CAPS#'.length)} ${key.sk.replace(/^[A-Z]+#/, '')}`;
  const sums = judge.capSums.get(name) ?? new Map<string, number>();
  for (const { attribute, delta } of adds) sums.set(attribute, (sums.get(attribute) ?? 0) + delta);
  judge.capSums.set(name, sums);
}

// ---- 1 ----

/** A fact is in the store when its answer goes out, and stands there once. */
export function everyAnswerStoredOnce(judge: Judge, identity: string): void {
  judge.answered.add(identity);
  const rows = rowsOf(judge, identity);
  if (rows.length !== 1)
    fail(judge, '1 every-2xx-stored-once', `${identity} was answered 2xx and is stored ${rows.length} times`);
}

function rowsOf(judge: Judge, identity: string): readonly EventRow[] {
  return [...judge.events.values()].filter((row) => identityOf(row) === identity);
}

/** Whether a fact is in the store, whatever was answered. */
export const isStored = (judge: Judge, identity: string): boolean => rowsOf(judge, identity).length > 0;

/** The text that the workload gave the fact: it stands in the callback's body. */
export function identityOf(row: EventRow): string | null {
  const text = row.evidence === null ? '' : Buffer.from(row.evidence.body).toString('utf8');
  return factIn(text);
}

/** EIOTCLUB's `id`; for CSSS the members that make the fact. Read by hand, not by the code under test. */
export function factIn(bodyText: string): string | null {
  const id = /"id":"(sim[0-9a-z]+)"/.exec(bodyText);
  if (id?.[1] !== undefined) return id[1];
  const status = /"order_id":"([^"]+)".*"status":"(\d+)","occurred_at":"(\d+)"/.exec(bodyText);
  if (status) return `${status[1]}/${status[2]}/${status[3]}`;
  const reminder = /"deviceId":"(\d+)","expireTime":"([^"]*)","warningCode":"(\d)"/.exec(bodyText);
  return reminder ? `${reminder[1]}/${reminder[2]}/${reminder[3]}` : null;
}

export function storedOnceAtTheEnd(judge: Judge): void {
  for (const identity of judge.answered) everyAnswerStoredOnce(judge, identity);
}

// ---- 2 ----

export function everyEventDecided(judge: Judge, when: string): void {
  for (const row of judge.events.values()) {
    if (row.state !== 'decided')
      fail(
        judge,
        '2 decided-in-bounded-time',
        `${row.event.eventId} (${row.event.facts.kind}) is not decided ${when}`,
      );
  }
}

// ---- 3 ----

/** Purchases per action, per event, and per SIM and rule within the rule's cool-down. */
export function oneOrderPerCause(judge: Judge, latest: Attributed): void {
  const problem = secondOrder(judge, latest);
  if (problem !== null) fail(judge, '3 one-order-per-action-and-cause', problem);
}

function secondOrder(judge: Judge, { purchase, actionId }: Attributed): string | null {
  const action = actionOf(judge, actionId);
  if (action === null) return `order ${purchase.orderId} was bought for no stored action`;
  const same = judge.purchases.filter((bought) => bought.actionId === actionId);
  if (same.length > 1)
    return `${actionId} bought ${same.map((bought) => bought.purchase.orderId).join(', ')}`;
  const cooldown = judge.policy.rules.find(({ ruleId }) => ruleId === action.ruleId)?.cooldown ?? 0;
  for (const bought of judge.purchases) {
    const other = actionOf(judge, bought.actionId);
    if (other === null || other.actionId === actionId) continue;
    const both = `${bought.purchase.orderId} and ${purchase.orderId}`;
    if (other.eventId === action.eventId) return `${action.eventId} bought ${both}`;
    const near = Math.abs(bought.purchase.at - purchase.at) < cooldown - 60_000;
    if (near && other.ruleId === action.ruleId && other.subject.key === action.subject.key)
      return `${action.subject.key} got ${both} in one cool-down`;
  }
  return null;
}

const actionOf = (judge: Judge, actionId: string | null): Action | null =>
  actionId === null ? null : (judge.actions.get(actionId) ?? null);

// ---- 4 ----

/** An order at a price above the rule's most is the provider's doing: it is booked in truth and judged at that most. */
const committed = ({ money, maxCost }: Action): number =>
  money.reservedMinor + Math.min(money.chargedMinor, maxCost.amountMinor);

function capsNeverExceeded(judge: Judge, changed: Action): void {
  const { capPeriod, subject } = changed;
  const provider = judge.policy.providers.find((p) => p.provider === subject.provider);
  if (capPeriod === null || provider === undefined) return;
  const rule = judge.policy.rules.find(({ ruleId }) => ruleId === changed.ruleId);
  for (const unit of ['day', 'month'] as const) {
    const period = capPeriod[unit];
    const during = [...judge.actions.values()].filter(
      (a) => a.subject.provider === subject.provider && a.capPeriod?.[unit] === period,
    );
    const sum = (some: readonly Action[]): number =>
      some.reduce((total, action) => total + committed(action), 0);
    const cap = `${unit}Minor` as const;
    const checks = [
      ['provider', provider.caps[cap], sum(during)],
      ['rule', rule?.caps[cap] ?? null, sum(during.filter((a) => a.ruleId === changed.ruleId))],
      ['SIM', provider.simCaps[cap], sum(during.filter((a) => a.subject.key === subject.key))],
    ] as const;
    for (const [what, most, total] of checks) {
      if (most !== null && total > most)
        fail(
          judge,
          '4 caps-never-exceeded',
          `${what} of ${changed.actionId}: ${total} in ${period}, at most ${most}`,
        );
    }
  }
}

/** The same caps against the provider's books, whatever the ledger says. */
export function capsHoldInTheBooks(judge: Judge): void {
  for (const provider of judge.policy.providers) {
    const days = new Map<string, number>();
    for (const { purchase, actionId } of judge.purchases) {
      const action = actionId === null ? null : (judge.actions.get(actionId) ?? null);
      if (action === null || action.capPeriod === null || purchase.provider !== provider.provider) continue;
      const { day } = action.capPeriod;
      days.set(day, (days.get(day) ?? 0) + Math.min(purchase.priceMinor, action.maxCost.amountMinor));
    }
    for (const [day, total] of days) {
      if (provider.caps.dayMinor !== null && total > provider.caps.dayMinor)
        fail(
          judge,
          '4 caps-never-exceeded',
          `${provider.provider} sold for ${total} on ${day}, at most ${provider.caps.dayMinor}`,
        );
    }
  }
}

// ---- 5 ----

export function everyActionEndsKnown(judge: Judge, listedAsWaiting: ReadonlySet<string>): void {
  const name = '5 every-action-ends-known';
  for (const { actionId, state } of judge.actions.values()) {
    switch (state.name) {
      case 'succeeded':
      case 'refused':
      case 'cancelled':
        break;
      case 'parked':
      case 'held':
        if (state.reason === '' || !listedAsWaiting.has(actionId))
          fail(judge, name, `${actionId} is ${state.name} and no list of waiting work shows it`);
        break;
      default:
        fail(judge, name, `${actionId} is still ${state.name}`);
    }
  }
}

// ---- 6 ----

export function boughtOnVerifiedClaim(judge: Judge, { purchase, actionId }: Attributed): void {
  const action = actionOf(judge, actionId);
  const row = action === null ? undefined : judge.events.get(action.eventId);
  const identity = row === undefined ? null : identityOf(row);
  const claim = identity === null ? undefined : judge.claims.get(identity);
  if (claim?.genuine() === true) return;
  const why = claim === undefined ? 'that nobody sent' : `, which is ${claim.what}`;
  const detail = `order ${purchase.orderId} was bought on the claim ${identity ?? ''}${why}`;
  fail(judge, '6 nothing-bought-on-an-unverified-claim', detail);
}

// ---- 7 ----

function oneOpenActionPerSim(judge: Judge, changed: Action): void {
  const open = [...judge.actions.values()].filter(
    (a) => a.subject.key === changed.subject.key && holdsSim(a.state),
  );
  if (open.length > 1)
    fail(
      judge,
      '7 one-open-action-per-sim',
      `${changed.subject.key}: ${open.map((a) => `${a.actionId} ${a.state.name}`).join(', ')}`,
    );
}

// ---- 8 ----

const ledgerName = '8 ledger-and-provider-agree';

function moneyIsSumOfLedger(judge: Judge, action: Action): void {
  const sums = sumLedger(action.ledger, action.money.currency);
  if (JSON.stringify(sums) !== JSON.stringify(action.money))
    fail(
      judge,
      ledgerName,
      `${action.actionId}: rows add up to ${JSON.stringify(sums)}, money is ${JSON.stringify(action.money)}`,
    );
}

/** At the end: what was bought is booked, what is booked was bought, and the counters are the sums of the actions. */
export function ledgerAgrees(judge: Judge, isJudged: (provider: string) => boolean = () => true): void {
  for (const action of judge.actions.values()) {
    if (!isJudged(action.subject.provider)) continue;
    const bought = judge.purchases.find(({ actionId }) => actionId === action.actionId)?.purchase ?? null;
    const problem =
      action.state.name === 'succeeded'
        ? disagreesOnSuccess(judge, action, bought)
        : disagreesOnNone(action, bought);
    if (problem !== null)
      fail(judge, ledgerName, `${action.actionId} is ${action.state.name}, but ${problem}`);
  }
  countersAreSums(judge);
}

function disagreesOnSuccess(judge: Judge, action: Action, bought: Purchase | null): string | null {
  const { state, money } = action;
  if (bought === null) return 'nothing was bought';
  const orderId = state.name === 'succeeded' ? state.providerOrderId : null;
  if (orderId !== null && orderId !== bought.orderId)
    return `order ${bought.orderId} was bought, not ${orderId}`;
  const charged = action.ledger.filter(({ kind }) => kind === 'charged');
  if (charged.length !== 1) return `it has ${charged.length} charges`;
  const right = charged[0]?.estimated === true ? action.maxCost.amountMinor : bought.priceMinor;
  if (money.chargedMinor !== right) return `${right} should be booked, and ${money.chargedMinor} is`;
  if (money.reservedMinor !== 0) return `${money.reservedMinor} is still reserved`;
  const refunded = judge.refunds.get(bought.orderId) ?? 0;
  return money.refundedMinor === refunded
    ? null
    : `${refunded} was refunded and ${money.refundedMinor} is booked`;
}

function disagreesOnNone(action: Action, bought: Purchase | null): string | null {
  const { state, money, maxCost } = action;
  const mayHaveBought = state.name === 'parked' && state.mayHaveBought;
  if (bought !== null && !mayHaveBought && !isHiddenFor(action, bought))
    return `order ${bought.orderId} was bought`;
  if (money.chargedMinor !== 0) return `${money.chargedMinor} is booked as charged`;
  const reserved = mayHaveBought ? maxCost.amountMinor : 0;
  return money.reservedMinor === reserved ? null : `${money.reservedMinor} is reserved`;
}

/** An order that the provider hides for ever and never spoke of in any answer: a human has it, and nobody can know. */
function isHiddenFor({ state, attemptLog }: Action, { visibleFrom }: Purchase): boolean {
  const wasTold = attemptLog.some(({ detail }) => detail.includes('503016'));
  return visibleFrom === Number.POSITIVE_INFINITY && state.name === 'parked' && !wasTold;
}

function countersAreSums(judge: Judge): void {
  const expected = new Map<string, number>();
  const add = (name: string, amount: number): void =>
    void expected.set(name, (expected.get(name) ?? 0) + amount);
  for (const { capPeriod, subject, ruleId, money } of judge.actions.values()) {
    for (const period of capPeriod === null ? [] : [capPeriod.day, capPeriod.month]) {
      const sum = money.reservedMinor + money.chargedMinor;
      add(`${subject.provider} ${period} total`, sum);
      add(`${subject.provider} ${period} rule:${ruleId}`, sum);
      add(`${subject.key} ${period}`, sum);
    }
  }
  const stored = new Map<string, number>();
  for (const [period, sums] of judge.capSums)
    for (const [attribute, sum] of sums)
      if (!attribute.startsWith('hour:')) stored.set(`${period} ${attribute}`, sum);
  for (const sim of judge.sims.values())
    for (const [period, sum] of Object.entries(sim.committedMinor))
      stored.set(`${sim.simKey} ${period}`, sum);
  for (const name of new Set([...expected.keys(), ...stored.keys()])) {
    const [is, should] = [stored.get(name) ?? 0, expected.get(name) ?? 0];
    if (is !== should)
      fail(judge, ledgerName, `the counter "${name}" is ${is}, its actions add up to ${should}`);
  }
}

// ---- 10 ----

const limitsName = '10 provider-limits-kept';

/** A request that arrives within this of its slot counts against the limit; one that was held up on the way can't. */
export const punctualMs = 150;

export function limitsKept(judge: Judge, provider: string, arrivedAt: number, perSec: number): void {
  const recent = [...(judge.arrivals.get(provider) ?? []), arrivedAt].filter((at) => at > arrivedAt - 1_000);
  judge.arrivals.set(provider, recent);
  if (recent.length > perSec)
    fail(judge, limitsName, `${provider} got ${recent.length} requests within a second, at most ${perSec}`);
}

export function everyRequestHasSlot(judge: Judge, provider: string, slotAt: number | undefined): void {
  if (slotAt === undefined) fail(judge, limitsName, `${provider} got a request that took no slot`);
}

/** Whether a written window holds one grant more than the one before it. */
export function isGrant(judge: Judge, provider: string, window: LimitWindow): boolean {
  const before = judge.windows.get(provider);
  judge.windows.set(provider, window);
  const counted = before !== undefined && before.day === window.day ? before.dayCount : 0;
  return window.dayCount === counted + 1;
}

// ---- 11 ----

/** An event that is stored as decided was never looked at with its SIM: no rule may ask for it, and it names no order. */
function decidedUnseenRightly(judge: Judge, { state, event }: EventRow): void {
  if (state !== 'decided') return;
  const { facts, provider } = event;
  const told = 'alert' in facts ? facts.alert : 'warning' in facts ? facts.warning : 'any';
  const rule = judge.policy.rules.find((one) => one.provider === provider && one.when.kind === facts.kind);
  const isAsked = rule !== undefined && told !== 'unknown';
  const order = 'order' in facts ? (facts.order.orderId ?? facts.order.reference) : null;
  if (isAsked || order !== null)
    fail(
      judge,
      '11 decided-unseen-only-what-no-rule-asks-for',
      `${event.eventId} (${facts.kind} ${told}, order ${order}) was stored as decided`,
    );
}
