import type { Action, ActionStateName, SentWindow } from '../../shared/core/action.ts';
import {
  claim,
  claimVerification,
  expireLease,
  giveBack,
  inState,
  judgeHealth,
  judgeReadiness,
  type Lease,
  lastLook,
  type Prepared,
  park,
  priceAboveMax,
  type SettleInput,
  settle,
  settleVerification,
  type Transition,
  verificationExhausted,
} from '../../shared/core/lifecycle.ts';
import type { Finding, Outcome } from '../../shared/core/outcome.ts';
import { type Policy, providerPolicyOf, type Rule } from '../../shared/core/policy.ts';
import type { AccountLimits } from '../../shared/core/rate-limit.ts';
import { nextTry, purchaseRetry } from '../../shared/core/retry.ts';
import type { SimState } from '../../shared/core/sim-state.ts';
import { after, type DurationMs, type EpochMs, elapsed, minutes, seconds } from '../../shared/core/time.ts';
import type { Clock } from '../../shared/platform/clock.ts';
import type { Log } from '../../shared/platform/log.ts';
import type { Random } from '../../shared/platform/random.ts';
import type { Confirmation, ProviderClient, ProviderProfile } from '../../shared/providers/provider.ts';
import { toMessage } from '../../shared/queue/work-item.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import {
  knownOrders,
  loadAction,
  postpone,
  replaceAction,
  type TransitionResult,
  type TransitionWrite,
  writeTransition,
} from '../../shared/store/action-store.ts';
import { loadHealth, loadSwitches, writeHealth } from '../../shared/store/control-store.ts';
import { loadEvent, loadSim, type Versioned } from '../../shared/store/event-store.ts';
import { releaseAccountSlot, takeAccountSlots } from '../../shared/store/rate-limiter.ts';
import type { ActionRow } from '../../shared/store/rows.ts';
import type { Table } from '../../shared/store/table.ts';

/** Races lost to other writers before the message is left to come again. */
const racesMax = 8;

/** A worker that waits less than this for a slot is told to come back after this, since queues count in seconds. */
const hintDelaySecMax = 900;

export interface ActDeps {
  readonly table: Table;
  readonly client: ProviderClient;
  readonly profile: ProviderProfile;
  readonly limits: AccountLimits;
  readonly policy: Policy;
  /** The provider's own actions queue, for hints to come back. */
  readonly actions: WorkQueue;
  readonly lease: Lease;
  readonly clock: Clock;
  readonly random: Random;
  /** Time before the runtime ends this unit of work; a claim needs enough of it for the whole call. */
  readonly timeLeft: () => DurationMs;
  readonly log: Log;
  readonly notice?: (action: Action, what: string) => void;
}

/**
 * Works on one action until it has to wait or is over: confirm, prepare, claim, call, settle; or, when the outcome of
 * a call is unknown, ask the provider's records. Throws when the store is down or races are lost: the message then
 * comes again, which is safe, because every step starts from the stored state.
 */
export async function act(actionId: string, deps: ActDeps): Promise<void> {
  const row = await loadAction(deps.table, actionId);
  if (row === null) {
    deps.log('warn', 'message names an action that is not stored', { actionId });
    return;
  }
  const now = deps.clock();
  const { state } = row.value.action;
  switch (state.name) {
    case 'planned':
      return purchase(row, deps);
    case 'running':
      return state.leaseUntil <= now ? expire(row, deps) : undefined;
    case 'unknown':
      return state.verifyAt <= now ? verify(row, deps) : undefined;
    case 'verifying':
      return state.leaseUntil <= now ? verify(row, deps) : undefined;
    case 'held':
    case 'parked':
    case 'succeeded':
    case 'refused':
    case 'cancelled':
      return undefined;
    default: {
      const never: never = state;
      throw new Error(`unknown state: ${JSON.stringify(never)}`);
    }
  }
}

// ---- a planned action: up to the paid call ----

async function purchase(row: Versioned<ActionRow>, deps: ActDeps): Promise<void> {
  const { action } = row.value;
  const sim = await loadSim(deps.table, action.subject.key);
  if (!(await mayGoOn(row, sim.value, deps))) return;
  const confirmed = await confirmClaim(row, deps);
  if (confirmed === null) return;
  const prepared = await askBefore(confirmed, deps);
  if (prepared === null) return;
  if (deps.timeLeft() < deps.profile.callTimeout + deps.lease.startWithin) {
    return waitUntil(confirmed, after(deps.clock(), seconds(1)), 'too little time left for a call', deps);
  }
  const token = `${action.actionId}:${action.fence + 1}`;
  const slot = await takeSlot(token, deps);
  if (slot.kind === 'wait') return waitUntil(withPrepared(confirmed, prepared), slot.until, slot.why, deps);
  try {
    const running = await claimAction(confirmed, prepared, deps);
    if (running !== null) await callAndSettle(running, deps);
  } finally {
    if (deps.limits.connectionsMax !== null)
      await releaseAccountSlot(deps.table, deps.limits.provider, token);
  }
}

/** Applies what the switches, the breaker, the rule, the SIM's lock and its caps say; true when a claim may go on. */
async function mayGoOn(row: Versioned<ActionRow>, sim: SimState, deps: ActDeps): Promise<boolean> {
  const { action } = row.value;
  const now = deps.clock();
  const provider = providerPolicyOf(deps.policy, action.subject.provider);
  if (provider === null) {
    await waitUntil(row, after(now, minutes(10)), 'the stage has no such provider any more', deps);
    return false;
  }
  const [switches, health] = await Promise.all([
    loadSwitches(deps.table),
    loadHealth(deps.table, action.subject.provider),
  ]);
  const readiness = judgeReadiness({
    action,
    sim,
    rule: ruleOf(action, deps),
    provider,
    switches: switches.value,
    health: health.value,
    now,
    jitter: deps.random.fraction(),
  });
  switch (readiness.kind) {
    case 'go':
      return true;
    case 'ignore':
      return false;
    case 'wait':
      await waitUntil(row, readiness.until, readiness.why, deps);
      return false;
    case 'hold':
      await replaceAndTell(row, inState(action, { name: 'held', reason: readiness.why }, now), deps);
      return false;
    case 'park':
      await change(row, deps, (input) => park(input, readiness.reason, readiness.detail, false));
      return false;
    default: {
      const never: never = readiness;
      throw new Error(`unknown readiness: ${JSON.stringify(never)}`);
    }
  }
}

/** An unsigned callback spends only after the provider's own records have borne it out. */
async function confirmClaim(row: Versioned<ActionRow>, deps: ActDeps): Promise<Versioned<ActionRow> | null> {
  const { action } = row.value;
  if (!action.needsConfirmation) return row;
  const event = await loadEvent(deps.table, action.eventId);
  if (event === null) {
    await change(row, deps, (input) =>
      park(input, 'claim-not-confirmed', 'the event is not stored any more', false),
    );
    return null;
  }
  const { proof } = event.value.event;
  const confirmation: Confirmation =
    proof.kind === 'unsigned'
      ? await deps.client.confirm(event.value.event)
      : { kind: 'confirmed', detail: 'a signed copy came' };
  const now = deps.clock();
  switch (confirmation.kind) {
    case 'confirmed': {
      const next = { ...action, needsConfirmation: false };
      if ((await replaceAction(deps.table, row, next)) === 'conflict') return null;
      deps.notice?.(next, `confirmed by the provider: ${confirmation.detail}`);
      // Exactly the row that we wrote: one read again could be claimed by another worker already, and its version
      // would let us claim it a second time.
      return { value: { ...row.value, action: next, sweeps: 0 }, version: (row.version ?? 0) + 1 };
    }
    case 'denied':
      await change(row, deps, (input) =>
        giveBack(
          input,
          {
            name: 'cancelled',
            reason: `the provider's records deny it: ${confirmation.detail}`.slice(0, 300),
          },
          'denied',
        ),
      );
      return null;
    case 'unavailable': {
      if (elapsed(action.createdAt, now) > unconfirmedMax) {
        await change(row, deps, (input) => park(input, 'claim-not-confirmed', confirmation.message, false));
        return null;
      }
      await waitUntil(
        row,
        again(action, confirmation.retryAfter, now, deps),
        `not confirmed yet: ${confirmation.code}`,
        deps,
      );
      return null;
    }
    default: {
      const never: never = confirmation;
      throw new Error(`unknown confirmation: ${JSON.stringify(never)}`);
    }
  }
}

/** How long a claim may stay unconfirmed before a human is asked. */
const unconfirmedMax = minutes(6 * 60);

/** How long the answers of the questions before a call are good while it waits for its slot. */
const preparedFor = minutes(2);

type PreparedAction = NonNullable<Action['prepared']>;

/** The questions before the call, or their answers of a moment ago; null when the action can't go on now. */
async function askBefore(row: Versioned<ActionRow>, deps: ActDeps): Promise<PreparedAction | null> {
  const { action } = row.value;
  const now = deps.clock();
  if (action.prepared !== null && action.prepared.until > now) return action.prepared;
  const prepared = await prepare(row, deps);
  if (prepared === null || !(await lookOnceMore(row, deps))) return null;
  return { until: after(now, preparedFor), baseline: prepared.baseline };
}

function withPrepared(row: Versioned<ActionRow>, prepared: PreparedAction): Versioned<ActionRow> {
  return { ...row, value: { ...row.value, action: { ...row.value.action, prepared } } };
}

/** Reads the price and what the provider's records show before the call. */
async function prepare(row: Versioned<ActionRow>, deps: ActDeps): Promise<Prepared | null> {
  const { action } = row.value;
  const preparation = await deps.client.prepare(action);
  switch (preparation.kind) {
    case 'ready': {
      const tooDear = priceAboveMax(action, preparation.quote);
      if (tooDear !== null) {
        await change(row, deps, (input) => park(input, 'price-above-max', tooDear, false));
        return null;
      }
      if (preparation.quote === null && ruleOf(action, deps)?.unknownPrice === 'park') {
        await change(row, deps, (input) =>
          park(input, 'price-unknown', 'the provider names no price', false),
        );
        return null;
      }
      return preparation;
    }
    case 'impossible':
      await change(row, deps, (input) =>
        park(input, 'invalid-plan', `${preparation.code}: ${preparation.message}`, false),
      );
      return null;
    case 'unavailable': {
      const { refusal, code, message } = preparation;
      if (refusal !== undefined) await noteHealth(action, { kind: 'refused', refusal, code, message }, deps);
      const until = again(action, preparation.retryAfter, deps.clock(), deps);
      await waitUntil(row, until, `the provider can't be asked: ${code}`, deps);
      return null;
    }
    default: {
      const never: never = preparation;
      throw new Error(`unknown preparation: ${JSON.stringify(never)}`);
    }
  }
}

/**
 * Before a further claim: an earlier request whose order was absent may have come through after all while the action
 * waited. It is asked for with the baseline of that time; true when there is nothing and the claim may go on.
 */
async function lookOnceMore(row: Versioned<ActionRow>, deps: ActDeps): Promise<boolean> {
  const { action } = row.value;
  if (action.sentWindow === null) return true;
  const finding = await find(action, action.sentWindow, deps);
  if (finding.kind === 'unavailable') {
    const until = again(action, finding.retryAfter, deps.clock(), deps);
    await waitUntil(row, until, `an earlier request can't be looked up: ${finding.code}`, deps);
    return false;
  }
  if (finding.kind === 'absent') return true;
  const result = await writeNext(row, deps, (input) => lastLook(input, finding));
  if (result.kind === 'order-taken') {
    const why = 'the found order belongs to another action, whose index entry is late';
    await waitUntil(row, after(deps.clock(), minutes(1)), why, deps);
  }
  return false;
}

/**
 * Reserves and takes the lease. Switches, breaker and limits are judged once more, on the very SIM state that the claim
 * is guarded by, so that what came up while the provider was asked still holds.
 */
async function claimAction(
  row: Versioned<ActionRow>,
  prepared: PreparedAction,
  deps: ActDeps,
): Promise<Versioned<ActionRow> | null> {
  const { action } = row.value;
  const sim = await loadSim(deps.table, action.subject.key);
  if (!(await mayGoOn(row, sim.value, deps))) return null;
  const provider = providerPolicyOf(deps.policy, action.subject.provider);
  if (provider === null) return null;
  const now = deps.clock();
  const transition = claim({ ...action, baseline: prepared.baseline }, sim.value, deps.lease, now);
  const caps = { provider, rule: ruleOf(action, deps) };
  const result = await writeTransition(deps.table, { row, sim, transition, caps });
  switch (result.kind) {
    case 'written':
      deps.notice?.(transition.action, 'claimed');
      return loadFresh(action.actionId, transition.action.fence, deps);
    case 'cap-exceeded':
      await overCap(row, result, deps);
      return null;
    case 'conflict':
    case 'order-taken':
      await hint(action, after(now, seconds(1)), deps);
      return null;
    default: {
      const never: never = result;
      throw new Error(`unknown result: ${JSON.stringify(never)}`);
    }
  }
}

async function overCap(
  row: Versioned<ActionRow>,
  result: Extract<TransitionResult, { kind: 'cap-exceeded' }>,
  deps: ActDeps,
): Promise<void> {
  if (result.scope === 'provider-hour') {
    return waitUntil(row, after(deps.clock(), minutes(5 + 10 * deps.random.fraction())), result.detail, deps);
  }
  await change(row, deps, (input) => park(input, 'cap-exceeded', result.detail, false));
}

/** The action as just claimed by us; null when it was overtaken already. */
async function loadFresh(
  actionId: string,
  fence: number,
  deps: ActDeps,
): Promise<Versioned<ActionRow> | null> {
  const row = await loadAction(deps.table, actionId);
  return row !== null && row.value.action.fence === fence && row.value.action.state.name === 'running'
    ? row
    : null;
}

// ---- the paid call ----

async function callAndSettle(row: Versioned<ActionRow>, deps: ActDeps): Promise<void> {
  const { action } = row.value;
  if (action.state.name !== 'running')
    throw new Error(`${action.actionId} is ${action.state.name}, not running`);
  // The lease protects only while it is young: a worker that was frozen in between must not call any more.
  const late = elapsed(action.state.startedAt, deps.clock()) > deps.lease.startWithin;
  const outcome: Outcome = late
    ? {
        kind: 'retryable',
        code: 'too-late',
        message: 'the worker was held up before the call',
        retryAfter: null,
        burnsAttempt: false,
      }
    : await deps.client.purchase(action);
  await settleOutcome(action, outcome, deps);
  await noteHealth(action, outcome, deps);
}

/**
 * Writes what came of the call. A worker whose fence is old writes nothing. One whose lease ran out, but whom nobody
 * has overtaken, may still tell a clear answer.
 */
async function settleOutcome(called: Action, outcome: Outcome, deps: ActDeps): Promise<void> {
  const states = outcome.kind === 'unknown' ? (['running'] as const) : (['running', 'unknown'] as const);
  const settled = await changeOwned(called.actionId, called.fence, states, deps, (input) =>
    settle(input, outcome),
  );
  if (settled.kind === 'order-taken') {
    const taken = `the provider answered with order ${outcome.kind === 'succeeded' ? outcome.providerOrderId : ''}, which another action has`;
    await changeOwned(called.actionId, called.fence, states, deps, (input) =>
      park(input, 'several-candidates', taken, true),
    );
    return;
  }
  if (settled.kind === 'overtaken') {
    deps.log('warn', 'late answer not written, the provider will be asked', {
      actionId: called.actionId,
      correlationId: called.correlationId,
      outcome: outcome.kind,
    });
  }
}

/** Counts refusals of the whole account, so that an empty wallet stops all actions with one alarm. */
async function noteHealth(action: Action, outcome: Outcome, deps: ActDeps): Promise<void> {
  const provider = providerPolicyOf(deps.policy, action.subject.provider);
  if (provider === null) return;
  for (let race = 0; race < racesMax; race++) {
    const health = await loadHealth(deps.table, action.subject.provider);
    const next = judgeHealth(health.value, outcome, provider.refusalsInARow, deps.clock());
    const same = next.refusalsInARow === health.value.refusalsInARow && next.stopped === health.value.stopped;
    if (same || (await writeHealth(deps.table, health, next)) === 'written') {
      if (next.stopped !== null && next.stopped !== health.value.stopped) {
        const first = health.value.stopped === null;
        deps.log(
          first ? 'error' : 'warn',
          first ? 'provider stopped: it refuses in a row' : 'provider still refuses',
          {
            provider: action.subject.provider,
            code: next.stopped.code,
          },
        );
      }
      return;
    }
  }
}

// ---- an unknown outcome ----

async function expire(row: Versioned<ActionRow>, deps: ActDeps): Promise<void> {
  await change(row, deps, (input) => expireLease(input));
}

async function verify(row: Versioned<ActionRow>, deps: ActDeps): Promise<void> {
  const { action } = row.value;
  const exhausted = verificationExhausted(action, deps.clock());
  if (exhausted !== null) return change(row, deps, (input) => park(input, 'cannot-verify', exhausted, true));
  const verifying = claimVerification(action, deps.lease, deps.clock());
  if ((await replaceAction(deps.table, row, verifying)) === 'conflict') return;
  const finding = await find(verifying, verifying.sentWindow, deps);
  const settled = await changeOwned(action.actionId, verifying.fence, ['verifying'], deps, (input) =>
    settleVerification(input, finding, deps.profile),
  );
  if (settled.kind === 'order-taken') {
    // The index was late: the order belongs to another action. Ask again once it has caught up.
    const later: Finding = {
      kind: 'unavailable',
      code: 'order-taken',
      message: 'the found order belongs to another action',
      retryAfter: null,
    };
    await changeOwned(action.actionId, verifying.fence, ['verifying'], deps, (input) =>
      settleVerification(input, later, deps.profile),
    );
  }
}

async function find(action: Action, sentWindow: SentWindow | null, deps: ActDeps): Promise<Finding> {
  if (sentWindow === null) throw new Error(`${action.actionId} is looked up but was never sent`);
  const knownOrderIds = await knownOrders(deps.table, action);
  return deps.client.findPurchase({ order: action, baseline: action.baseline, sentWindow, knownOrderIds });
}

// ---- writing ----

type OwnedResult = { readonly kind: 'written' | 'overtaken' | 'order-taken' };

/** Applies a change as long as the action is still ours: same fence, same state. Lost races are read again. */
async function changeOwned(
  actionId: string,
  fence: number,
  states: readonly ActionStateName[],
  deps: ActDeps,
  next: (input: SettleInput) => Transition,
): Promise<OwnedResult> {
  for (let race = 0; race < racesMax; race++) {
    const row = await loadAction(deps.table, actionId);
    if (row === null || row.value.action.fence !== fence || !states.includes(row.value.action.state.name)) {
      return { kind: 'overtaken' };
    }
    const result = await writeNext(row, deps, next);
    if (result.kind === 'written' || result.kind === 'order-taken') return { kind: result.kind };
  }
  throw new Error(
    `${actionId} changed ${racesMax} times while it was settled; its lease will run out and it is verified`,
  );
}

/** Applies a change once; a lost race is left to whoever won it. */
async function change(
  row: Versioned<ActionRow>,
  deps: ActDeps,
  next: (input: SettleInput) => Transition,
): Promise<void> {
  await writeNext(row, deps, next);
}

async function writeNext(
  row: Versioned<ActionRow>,
  deps: ActDeps,
  next: (input: SettleInput) => Transition,
): Promise<TransitionResult> {
  const { action } = row.value;
  const sim = await loadSim(deps.table, action.subject.key);
  const now = deps.clock();
  const transition = next({
    action,
    sim: sim.value,
    rule: ruleOf(action, deps),
    now,
    jitter: deps.random.fraction(),
  });
  const write: TransitionWrite = { row, sim, transition, caps: null };
  const result = await writeTransition(deps.table, write);
  if (result.kind === 'written') await tell(transition.action, deps);
  return result;
}

async function replaceAndTell(row: Versioned<ActionRow>, action: Action, deps: ActDeps): Promise<void> {
  if ((await replaceAction(deps.table, row, action)) === 'written') await tell(action, deps);
}

/** Gives an action a due time; the message that brought us here is done. */
async function waitUntil(
  row: Versioned<ActionRow>,
  until: EpochMs,
  why: string,
  deps: ActDeps,
): Promise<void> {
  const { action } = row.value;
  const next = postpone(action, until, deps.clock());
  if ((await replaceAction(deps.table, row, next)) === 'conflict') return;
  deps.log('info', 'action waits', {
    actionId: action.actionId,
    correlationId: action.correlationId,
    until,
    why,
  });
  await hint(next, until, deps);
}

async function tell(action: Action, deps: ActDeps): Promise<void> {
  const { state } = action;
  deps.log(state.name === 'parked' ? 'warn' : 'info', `action ${state.name}`, {
    actionId: action.actionId,
    eventId: action.eventId,
    correlationId: action.correlationId,
    provider: action.subject.provider,
    ruleId: action.ruleId,
    attempts: action.attempts,
    providerOrderId: state.name === 'succeeded' ? state.providerOrderId : null,
    reason: 'reason' in state ? state.reason : 'code' in state ? state.code : null,
  });
  deps.notice?.(action, state.name);
  if (state.name === 'planned') await hint(action, state.dueAt, deps);
  if (state.name === 'unknown') await hint(action, state.verifyAt, deps);
}

/**
 * A delayed message for work that is due within a quarter of an hour; the due index holds the truth, so a hint that
 * is lost costs a minute at most.
 */
async function hint(action: Action, at: EpochMs, deps: ActDeps): Promise<void> {
  const delaySec = Math.max(0, Math.ceil((at - deps.clock()) / 1_000));
  if (delaySec > hintDelaySecMax) return;
  const { actionId, correlationId, subject } = action;
  try {
    await deps.actions.send([
      toMessage({ kind: 'action', id: actionId, correlationId }, subject.key, delaySec),
    ]);
  } catch (error) {
    deps.log('warn', 'hint not sent, the sweep will', { actionId, correlationId, error: String(error) });
  }
}

async function takeSlot(token: string, deps: ActDeps): ReturnType<typeof takeAccountSlots> {
  const holdFor = (deps.profile.callTimeout * 2) as DurationMs;
  const request = { limits: deps.limits, now: deps.clock(), requests: 1, token, holdFor };
  return takeAccountSlots(deps.table, request, deps.random.fraction());
}

function again(action: Action, retryAfter: DurationMs | null, now: EpochMs, deps: ActDeps): EpochMs {
  const tries = Math.floor(Math.log2(1 + elapsed(action.createdAt, now) / purchaseRetry.base));
  return nextTry(purchaseRetry, { now, tries, retryAfter, jitter: deps.random.fraction() });
}

function ruleOf(action: Action, deps: ActDeps): Rule | null {
  return deps.policy.rules.find((rule) => rule.ruleId === action.ruleId) ?? null;
}
