import {
  type Action,
  type ActionState,
  type Attempt,
  attemptLogMax,
  holdsSim,
  type Json,
  type LedgerEntry,
  type LedgerKind,
  type ParkReason,
} from './action.ts';
import type { ProviderHealth, Switches } from './controls.ts';
import { stopFor } from './controls.ts';
import { type Money, money } from './money.ts';
import { type Finding, type Outcome, orderExists } from './outcome.ts';
import type { ProviderPolicy, Rule } from './policy.ts';
import { nextTry, purchaseRetry, verifyRetry } from './retry.ts';
import { commitInPeriods, type SimState } from './sim-state.ts';
import {
  after,
  before,
  type DurationMs,
  type EpochMs,
  elapsed,
  epochMs,
  milliseconds,
  minutes,
  seconds,
  utcDay,
  utcHour,
  utcMonth,
} from './time.ts';

/** How a provider behaves in time, as far as the life of an action depends on it. */
export interface ProviderTiming {
  readonly callTimeout: DurationMs;
  readonly lateCommit: DurationMs;
  readonly clockSkew: DurationMs;
}

/** How long a worker holds an action. A worker starts its call within `startWithin` of the claim or not at all. */
export interface Lease {
  readonly duration: DurationMs;
  readonly startWithin: DurationMs;
}

/** A change of the caps' counters: what the action adds to its provider's and its rule's committed sums. */
export interface CapDelta {
  readonly provider: string;
  readonly ruleId: string;
  readonly hour: string;
  readonly day: string;
  readonly month: string;
  readonly deltaMinor: number;
  /** What is added to the provider's purchases of the hour: 1 at a claim, -1 when it certainly bought nothing, else 0. */
  readonly purchases: number;
}

/** An action's next state with everything that must be written in the same transaction. */
export interface Transition {
  readonly action: Action;
  readonly sim: SimState;
  readonly cap: CapDelta | null;
}

export type Readiness =
  | { readonly kind: 'go' }
  | { readonly kind: 'wait'; readonly until: EpochMs; readonly why: string }
  | { readonly kind: 'hold'; readonly why: string }
  | { readonly kind: 'park'; readonly reason: ParkReason; readonly detail: string }
  | { readonly kind: 'ignore'; readonly why: string };

export interface ReadinessInput {
  readonly action: Action;
  readonly sim: SimState;
  readonly rule: Rule | null;
  readonly provider: ProviderPolicy;
  readonly switches: Switches;
  readonly health: ProviderHealth;
  readonly now: EpochMs;
  readonly jitter: number;
}

/** How soon a stopped action looks again: the switch works at once for new claims, and releasing it within this. */
const stopPoll = seconds(30);

/** Whether a planned action may be claimed now. The ladder goes from what is nobody's business to what costs money. */
export function judgeReadiness(input: ReadinessInput): Readiness {
  const { action, sim, now } = input;
  if (action.state.name !== 'planned') return { kind: 'ignore', why: `it is ${action.state.name}` };
  if (action.state.dueAt > now) return { kind: 'ignore', why: 'it is not due yet' };
  const stop = stopFor(input.switches, action.subject.provider, action.ruleId);
  if (stop)
    return { kind: 'wait', until: later(now, stopPoll, input.jitter), why: `stopped: ${stop.reason}` };
  const stopped = input.health.stopped;
  if (stopped && stopped.retryAt > now) {
    return {
      kind: 'wait',
      until: later(stopped.retryAt, seconds(5), input.jitter),
      why: `provider stopped: ${stopped.code}`,
    };
  }
  if (sim.openActionId !== null && sim.openActionId !== action.actionId) {
    return {
      kind: 'wait',
      until: later(now, minutes(2), input.jitter),
      why: `the SIM is held by ${sim.openActionId}`,
    };
  }
  if (input.rule === null) {
    return {
      kind: 'park',
      reason: 'rule-removed',
      detail: `the stage has no rule ${action.ruleId} any more`,
    };
  }
  if (!input.rule.enabled) {
    return { kind: 'wait', until: later(now, minutes(10), input.jitter), why: 'its rule is switched off' };
  }
  if (elapsed(action.createdAt, now) > purchaseRetry.giveUpAfter) {
    return { kind: 'park', reason: 'attempts-exhausted', detail: 'it has waited longer than 3 days' };
  }
  if (action.attempts >= purchaseRetry.triesMax) {
    return { kind: 'park', reason: 'attempts-exhausted', detail: `${action.attempts} tries of any kind` };
  }
  return judgeLimits(input);
}

function judgeLimits({ action, sim, provider, now }: ReadinessInput): Readiness {
  const window = before(now, provider.simVelocity.window);
  if (sim.claimedAt.filter((at) => at > window).length >= provider.simVelocity.max) {
    return {
      kind: 'hold',
      why: `more than ${provider.simVelocity.max} purchases for this SIM in its window`,
    };
  }
  const over = simCapExceeded(sim, provider, action.maxCost, now);
  return over === null ? { kind: 'go' } : { kind: 'park', reason: 'cap-exceeded', detail: over };
}

/** Which cap of the SIM a further reservation would exceed; null when none. */
function simCapExceeded(sim: SimState, provider: ProviderPolicy, cost: Money, now: EpochMs): string | null {
  const periods = [
    ['day', utcDay(now), provider.simCaps.dayMinor],
    ['month', utcMonth(now), provider.simCaps.monthMinor],
  ] as const;
  for (const [name, period, cap] of periods) {
    const sum = (sim.committedMinor[period] ?? 0) + cost.amountMinor;
    if (cap !== null && sum > cap)
      return `the SIM's cap for the ${name} is ${cap}, this would make it ${sum}`;
  }
  return null;
}

/** What the worker learned before the claim, with read-only questions. */
export interface Prepared {
  readonly baseline: Json;
  readonly quote: Money | null;
}

/** A quote above the most that the rule allows, as a sentence; null when the price is fine or unknown. */
export function priceAboveMax(action: Action, quote: Money | null): string | null {
  if (quote === null) return null;
  if (quote.currency !== action.maxCost.currency) {
    return `the provider quotes ${quote.currency}, the rule allows ${action.maxCost.currency}`;
  }
  if (quote.amountMinor <= action.maxCost.amountMinor) return null;
  return `the provider quotes ${quote.amountMinor}, the rule allows ${action.maxCost.amountMinor}`;
}

/**
 * Claims a planned action: reserves the most that it may cost, writes the attempt down, and takes the lease.
 * Stored before the call, so that a crash at any later moment reads as unknown. Throws for an action in any other
 * state: a second claim beside a call that may be under way would be a second purchase.
 */
export function claim(action: Action, sim: SimState, lease: Lease, now: EpochMs): Transition {
  if (action.state.name !== 'planned')
    throw new Error(`${action.actionId} is ${action.state.name}: only a planned action can be claimed`);
  const day = utcDay(now);
  const month = utcMonth(now);
  const attemptNo = action.attempts + 1;
  const leaseUntil = after(now, lease.duration);
  const claimed: Action = {
    ...inState(action, { name: 'running', leaseUntil, startedAt: now }, now),
    fence: action.fence + 1,
    attempts: attemptNo,
    verifications: 0,
    absentSince: null,
    sentWindow: { first: action.sentWindow?.first ?? now, last: leaseUntil },
    doubtBefore: action.sentWindow,
    prepared: null,
    capPeriod: { hour: utcHour(now), day, month },
    attemptLog: logged(action, {
      attemptNo,
      fence: action.fence + 1,
      kind: 'purchase',
      startedAt: now,
      endedAt: null,
      result: null,
      detail: '',
    }),
  };
  const booked = book(
    claimed,
    { kind: 'reserved', amount: action.maxCost, estimated: false, note: `attempt ${attemptNo}` },
    now,
  );
  return {
    action: booked,
    sim: {
      ...commitInPeriods(sim, [day, month], action.maxCost.amountMinor),
      openActionId: action.actionId,
      claimedAt: [...sim.claimedAt, now].slice(-20),
    },
    cap: capDelta(booked, action.maxCost.amountMinor, 1),
  };
}

export interface SettleInput {
  readonly action: Action;
  readonly sim: SimState;
  readonly rule: Rule | null;
  readonly now: EpochMs;
  readonly jitter: number;
}

/** What a paid call came to, applied to the action that was running. */
export function settle(input: SettleInput, outcome: Outcome): Transition {
  const { action, now, jitter } = input;
  const ended = endAttempt(action, outcome.kind, describe(outcome), now);
  const boughtNothing = outcome.kind === 'refused' || outcome.kind === 'retryable';
  const answered = boughtNothing ? { ...ended, sentWindow: ended.doubtBefore } : ended;
  switch (outcome.kind) {
    case 'succeeded':
      return succeed({ ...input, action: answered }, outcome.providerOrderId, outcome.charge, false);
    case 'refused':
      return outcome.refusal === 'business'
        ? refuse({ ...input, action: answered }, outcome.code, outcome.message)
        : replan({ ...input, action: answered }, after(now, minutes(15 + 5 * jitter)), false, outcome.code);
    case 'retryable': {
      const until = nextTry(purchaseRetry, {
        now,
        tries: outcome.burnsAttempt ? answered.attemptsBurned : answered.attempts,
        retryAfter: outcome.retryAfter,
        jitter,
      });
      return replan({ ...input, action: answered }, until, outcome.burnsAttempt, outcome.code);
    }
    case 'unknown':
      return toUnknown({ ...input, action: answered }, outcome.code);
    default: {
      const never: never = outcome;
      throw new Error(`unknown outcome: ${JSON.stringify(never)}`);
    }
  }
}

/** A lease that ran out while running: the worker may have called, so the outcome is unknown. */
export function expireLease(input: SettleInput): Transition {
  return toUnknown(
    { ...input, action: endAttempt(input.action, 'unknown', 'the lease ran out', input.now) },
    'lease-expired',
  );
}

/** Takes the lease for one question about an unknown outcome. */
export function claimVerification(action: Action, lease: Lease, now: EpochMs): Action {
  const code =
    action.state.name === 'unknown' || action.state.name === 'verifying' ? action.state.code : 'unknown';
  const fence = action.fence + 1;
  return {
    ...inState(action, { name: 'verifying', leaseUntil: after(now, lease.duration), code }, now),
    fence,
    verifications: action.verifications + 1,
    attemptLog: logged(action, {
      attemptNo: action.attempts,
      fence,
      kind: 'verify',
      startedAt: now,
      endedAt: null,
      result: null,
      detail: '',
    }),
  };
}

/**
 * Why no further question makes sense; null while one does. Counted when a question is begun, so that questions whose
 * worker dies end as well.
 */
export function verificationExhausted(action: Action, now: EpochMs): string | null {
  const since = action.sentWindow?.last ?? action.createdAt;
  if (action.verifications >= verifyRetry.attemptsMax) return `${action.verifications} questions were asked`;
  if (elapsed(since, now) <= verifyRetry.giveUpAfter) return null;
  return action.verifications > 0 ? 'the provider could not be asked for a day' : null;
}

/** What the provider's records say of an unknown outcome, applied to the action that was being verified. */
export function settleVerification(input: SettleInput, finding: Finding, timing: ProviderTiming): Transition {
  const action = endAttempt(input.action, finding.kind, describeFinding(finding), input.now);
  const next = { ...input, action };
  switch (finding.kind) {
    case 'found':
      return succeed(next, finding.providerOrderId, finding.charge, true);
    case 'ambiguous':
      return park(
        next,
        'several-candidates',
        `${finding.why}: ${finding.candidates.join(', ')}`.slice(0, 500),
        true,
      );
    case 'absent':
      return absent(next, timing);
    case 'unavailable':
      return askAgain(next, finding.retryAfter, finding.code);
    default: {
      const never: never = finding;
      throw new Error(`unknown finding: ${JSON.stringify(never)}`);
    }
  }
}

/**
 * What a last look before a further claim found, when an earlier request came through after all: adopted, or parked
 * when it can't be told apart.
 */
export function lastLook(
  input: SettleInput,
  finding: Extract<Finding, { kind: 'found' | 'ambiguous' }>,
): Transition {
  switch (finding.kind) {
    case 'found':
      return succeed(input, finding.providerOrderId, finding.charge, true);
    case 'ambiguous':
      return park(input, 'several-candidates', `${finding.why}: ${finding.candidates.join(', ')}`, true);
    default: {
      const never: never = finding;
      throw new Error(`unknown finding: ${JSON.stringify(never)}`);
    }
  }
}

/** The moment from which an absent order proves that none was made: nothing sent can still be committed by then. */
export function absenceProvenAt(action: Action, timing: ProviderTiming): EpochMs {
  const last = action.sentWindow?.last ?? action.createdAt;
  return after(after(after(last, timing.callTimeout), timing.lateCommit), timing.clockSkew);
}

/**
 * Time between the first and the last look at records without our order. A worker that was suspended together with
 * the whole machine may send the moment it wakes; one look at that moment would miss it (README, D6).
 */
const secondLookAfter = minutes(1);

function absent(input: SettleInput, timing: ProviderTiming): Transition {
  const { now, jitter } = input;
  const { state } = input.action;
  if (state.name === 'verifying' && state.code === orderExists)
    return askAgain(input, null, 'the provider has an order of our number and does not list it');
  const absentSince = input.action.absentSince ?? now;
  const action = { ...input.action, absentSince };
  const secondLook = after(absentSince, secondLookAfter);
  const provenAt = epochMs(Math.max(absenceProvenAt(action, timing), secondLook));
  if (now < provenAt) {
    const backoff = nextTry(verifyRetry, { now, tries: action.verifications, retryAfter: null, jitter });
    const verifyAt = epochMs(Math.min(backoff, provenAt));
    return unchanged(inState(action, unknownAgain(action, verifyAt), now), input.sim);
  }
  return replan({ ...input, action }, now, true, 'proven-absent');
}

function askAgain(input: SettleInput, retryAfter: DurationMs | null, code: string): Transition {
  const { action, now, jitter } = input;
  const exhausted = verificationExhausted(action, now);
  if (exhausted !== null) return park(input, 'cannot-verify', `${exhausted}, the last answer: ${code}`, true);
  const verifyAt = nextTry(verifyRetry, { now, tries: action.verifications, retryAfter, jitter });
  return unchanged(inState(action, unknownAgain(action, verifyAt), now), input.sim);
}

function unknownAgain(action: Action, verifyAt: EpochMs): ActionState {
  const code =
    action.state.name === 'verifying' || action.state.name === 'unknown' ? action.state.code : 'unknown';
  return { name: 'unknown', code, verifyAt };
}

function toUnknown(input: SettleInput, code: string): Transition {
  const { action, now, jitter } = input;
  const verifyAt = nextTry(verifyRetry, { now, tries: 0, retryAfter: null, jitter });
  const sent = action.sentWindow ?? { first: now, last: now };
  // A worker that answered has certainly sent everything it ever will; one that is lost may send until its lease ends.
  const last = code === 'lease-expired' ? sent.last : now;
  const unknown = {
    ...inState(action, { name: 'unknown', code, verifyAt }, now),
    sentWindow: { ...sent, last },
    verifications: 0,
  };
  return unchanged(unknown, input.sim);
}

function succeed(
  input: SettleInput,
  providerOrderId: string | null,
  charge: Money | null,
  adopted: boolean,
): Transition {
  const { action, sim, rule, now } = input;
  const amount = charge !== null && charge.currency === action.money.currency ? charge : null;
  const charged = amount ?? action.maxCost;
  const done = book(
    inState(action, { name: 'succeeded', providerOrderId, adopted }, now),
    {
      kind: 'charged',
      amount: charged,
      estimated: amount === null,
      note: providerOrderId ?? 'the provider named no order',
    },
    now,
  );
  const delta = charged.amountMinor - action.money.reservedMinor;
  const cooled =
    rule === null ? sim.cooldowns : { ...sim.cooldowns, [rule.ruleId]: after(now, rule.cooldown) };
  return {
    action: done,
    sim: { ...commitDelta(releaseLock(sim, done), done, delta), cooldowns: cooled, lastSettledAt: now },
    cap: capDelta(done, delta),
  };
}

function refuse(input: SettleInput, code: string, message: string): Transition {
  return giveBack(input, { name: 'refused', code, message: message.slice(0, 300) }, `refused: ${code}`);
}

/** Certainly not executed: the reservation goes back, and the action waits for its next try, or for a human. */
function replan(input: SettleInput, dueAt: EpochMs, burns: boolean, code: string): Transition {
  const attemptsBurned = input.action.attemptsBurned + (burns ? 1 : 0);
  const action = { ...input.action, attemptsBurned };
  if (attemptsBurned >= purchaseRetry.attemptsMax) {
    const detail = `${attemptsBurned} tries, the last one: ${code}`;
    return giveBack(
      { ...input, action },
      { name: 'parked', reason: 'attempts-exhausted', detail, mayHaveBought: false },
      code,
    );
  }
  return giveBack({ ...input, action }, { name: 'planned', dueAt }, `not executed: ${code}`);
}

/** Parks an action. `mayHaveBought` keeps its reservation and its SIM's lock until a human has looked. */
export function park(
  input: SettleInput,
  reason: ParkReason,
  detail: string,
  mayHaveBought: boolean,
): Transition {
  const state: ActionState = { name: 'parked', reason, detail: detail.slice(0, 500), mayHaveBought };
  return mayHaveBought
    ? unchanged(inState(input.action, state, input.now), input.sim)
    : giveBack(input, state, `parked: ${reason}`);
}

/** Ends or postpones an action that certainly bought nothing, releasing what it had reserved. */
export function giveBack(input: SettleInput, state: ActionState, note: string): Transition {
  const { action, sim, now } = input;
  const reserved = action.money.reservedMinor;
  const moved = inState(action, state, now);
  const released =
    reserved === 0
      ? moved
      : book(
          moved,
          {
            kind: 'released',
            amount: money(reserved, action.money.currency),
            estimated: false,
            note: note.slice(0, 200),
          },
          now,
        );
  // The SIM's lock kept all others off, so its newest claim is this one; it bought nothing and must not count.
  const claimedAt = reserved === 0 ? sim.claimedAt : sim.claimedAt.slice(0, -1);
  const free = releaseLock(commitDelta({ ...sim, claimedAt }, action, -reserved), released);
  const over = state.name === 'refused' || state.name === 'cancelled';
  return {
    action: released,
    sim: over ? { ...free, cooldowns: without(free.cooldowns, action.ruleId) } : free,
    cap: capDelta(action, -reserved, reserved === 0 ? 0 : -1),
  };
}

/** Books a refund that the provider reported. Caps are not given back by it (README, D10). */
export function bookRefund(action: Action, refunded: Money, now: EpochMs, note: string): Action {
  return book(action, { kind: 'refunded', amount: refunded, estimated: false, note }, now);
}

/**
 * Books a refund that the provider's records show without an amount: what is left of the charge, as an estimate.
 * Null when nothing is left.
 */
export function bookRefundOfRest(action: Action, now: EpochMs, note: string): Action | null {
  const left = action.money.chargedMinor - action.money.refundedMinor;
  if (left <= 0) return null;
  const amount = money(left, action.money.currency);
  return book(action, { kind: 'refunded', amount, estimated: true, note }, now);
}

/** True while the charge stands in for an amount that the provider has not named. */
export function isChargeEstimated(action: Action): boolean {
  const last = action.ledger.findLast(({ kind }) => kind === 'charged' || kind === 'corrected');
  return action.state.name === 'succeeded' && last?.estimated === true;
}

/**
 * Puts the provider's own price in the place of an estimated charge: the difference is booked, and goes to the sums of
 * the caps and of the SIM too. A price above the estimate is booked as well, since it was charged; no cap is asked.
 * Null when the charge is no estimate or the price is of another currency.
 */
export function correctCharge(action: Action, sim: SimState, price: Money, now: EpochMs): Transition | null {
  if (!isChargeEstimated(action) || price.currency !== action.money.currency) return null;
  const delta = price.amountMinor - action.money.chargedMinor;
  const corrected = book(
    action,
    {
      kind: delta < 0 ? 'corrected' : 'charged',
      amount: money(Math.abs(delta), price.currency),
      estimated: false,
      note: `the provider's records show ${price.amountMinor}`,
    },
    now,
  );
  return {
    action: corrected,
    sim: commitDelta(sim, corrected, delta),
    cap: capDelta(corrected, delta),
  };
}

/** Moves an action to a state, noting since when. */
export function inState(action: Action, state: ActionState, now: EpochMs): Action {
  return { ...action, state, stateSince: now };
}

/**
 * What a provider's answer says about its account. N refusals of the whole account (no money, no permission) in a row
 * open the breaker; an answer about one SIM or plan, yes or no, shows that the account works.
 */
export function judgeHealth(
  health: ProviderHealth,
  outcome: Outcome,
  refusalsMax: number,
  now: EpochMs,
): ProviderHealth {
  if (outcome.kind === 'succeeded' || (outcome.kind === 'refused' && outcome.refusal === 'business')) {
    return { ...health, refusalsInARow: 0, stopped: null };
  }
  if (outcome.kind !== 'refused') return health;
  const refusalsInARow = health.refusalsInARow + 1;
  if (refusalsInARow < refusalsMax) return { ...health, refusalsInARow };
  const since = health.stopped?.since ?? now;
  return {
    ...health,
    refusalsInARow,
    stopped: { since, code: outcome.code, retryAt: after(now, minutes(30)) },
  };
}

function unchanged(action: Action, sim: SimState): Transition {
  return { action, sim, cap: null };
}

function releaseLock(sim: SimState, action: Action): SimState {
  if (holdsSim(action.state) || sim.openActionId !== action.actionId) return sim;
  return { ...sim, openActionId: null };
}

function commitDelta(sim: SimState, action: Action, deltaMinor: number): SimState {
  if (action.capPeriod === null || deltaMinor === 0) return sim;
  return commitInPeriods(sim, [action.capPeriod.day, action.capPeriod.month], deltaMinor);
}

function capDelta(action: Action, deltaMinor: number, purchases: CapDelta['purchases'] = 0): CapDelta | null {
  if (action.capPeriod === null || (deltaMinor === 0 && purchases === 0)) return null;
  return {
    provider: action.subject.provider,
    ruleId: action.ruleId,
    ...action.capPeriod,
    deltaMinor,
    purchases,
  };
}

function book(
  action: Action,
  entry: {
    readonly kind: LedgerKind;
    readonly amount: Money;
    readonly estimated: boolean;
    readonly note: string;
  },
  now: EpochMs,
): Action {
  const row: LedgerEntry = { ...entry, at: now };
  const { reservedMinor, chargedMinor, refundedMinor, currency } = action.money;
  const amount = entry.amount.amountMinor;
  const sums = {
    reserved: { reservedMinor: reservedMinor + amount, chargedMinor, refundedMinor },
    released: { reservedMinor: reservedMinor - amount, chargedMinor, refundedMinor },
    charged: { reservedMinor: 0, chargedMinor: chargedMinor + amount, refundedMinor },
    corrected: { reservedMinor, chargedMinor: chargedMinor - amount, refundedMinor },
    refunded: { reservedMinor, chargedMinor, refundedMinor: refundedMinor + amount },
  }[entry.kind];
  return { ...action, money: { currency, ...sums }, ledger: [...action.ledger, row] };
}

/** What the ledger's rows add up to; equal to the action's `money` unless something is broken. */
export function sumLedger(ledger: readonly LedgerEntry[], currency: string): Action['money'] {
  let reservedMinor = 0;
  let chargedMinor = 0;
  let refundedMinor = 0;
  for (const { kind, amount } of ledger) {
    if (kind === 'reserved') reservedMinor += amount.amountMinor;
    if (kind === 'released') reservedMinor -= amount.amountMinor;
    if (kind === 'refunded') refundedMinor += amount.amountMinor;
    if (kind === 'corrected') chargedMinor -= amount.amountMinor;
    if (kind === 'charged') {
      reservedMinor = 0;
      chargedMinor += amount.amountMinor;
    }
  }
  return { currency, reservedMinor, chargedMinor, refundedMinor };
}

/** Adds a try; above the limit the oldest question goes, never a paid attempt. */
function logged(action: Action, attempt: Attempt): readonly Attempt[] {
  const log = [...action.attemptLog, attempt];
  if (log.length <= attemptLogMax) return log;
  const oldest = Math.max(
    0,
    log.findIndex(({ kind }) => kind === 'verify'),
  );
  return log.filter((_, i) => i !== oldest);
}

/** Completes the try of the present claim, also one whose lease ran out and whose answer came after all. */
function endAttempt(action: Action, result: string, detail: string, now: EpochMs): Action {
  const attemptLog = action.attemptLog.map((attempt) =>
    attempt.fence === action.fence
      ? { ...attempt, endedAt: now, result, detail: detail.slice(0, 300) }
      : attempt,
  );
  return { ...action, attemptLog };
}

function describe(outcome: Outcome): string {
  if (outcome.kind === 'succeeded') return outcome.providerOrderId ?? 'no order number in the answer';
  return `${outcome.code}: ${outcome.message}`;
}

function describeFinding(finding: Finding): string {
  switch (finding.kind) {
    case 'found':
      return `${finding.providerOrderId}, ${finding.how}`;
    case 'absent':
      return 'no such order';
    case 'ambiguous':
      return finding.why;
    case 'unavailable':
      return `${finding.code}: ${finding.message}`;
    default: {
      const never: never = finding;
      throw new Error(`unknown finding: ${JSON.stringify(never)}`);
    }
  }
}

function later(moment: EpochMs, span: DurationMs, jitter: number): EpochMs {
  return after(moment, milliseconds(span * (1 + jitter)));
}

function without(record: Readonly<Record<string, EpochMs>>, key: string): Readonly<Record<string, EpochMs>> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => name !== key));
}
