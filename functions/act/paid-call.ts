import type { Action } from '../../shared/core/action.ts';
import { claim, park, type SettleInput, settle, type Transition } from '../../shared/core/lifecycle.ts';
import type { Outcome } from '../../shared/core/outcome.ts';
import { providerPolicyOf } from '../../shared/core/policy.ts';
import {
  after,
  type DurationMs,
  type EpochMs,
  epochMs,
  milliseconds,
  minutes,
  seconds,
} from '../../shared/core/time.ts';
import { type TransitionResult, writeTransition } from '../../shared/store/action-store.ts';
import type { Versioned } from '../../shared/store/event-store.ts';
import { takeAccountSlots } from '../../shared/store/rate-limiter.ts';
import type { ActionRow } from '../../shared/store/rows.ts';
import type { ActDeps } from './act-deps.ts';
import { judgedSim, type PreparedAction } from './before-call.ts';
import { change, changeOwned, hint, ruleOf, type WrittenRow, waitUntil } from './change-action.ts';
import { noteHealth } from './provider-health.ts';

/** Whether so many calls, one after the other, can still be made and answered before the runtime ends this worker. */
export function isTimeFor(calls: number, deps: ActDeps): boolean {
  return deps.timeLeft() >= calls * deps.profile.callTimeout + deps.lease.startWithin;
}

/** Leaves the rest to a worker with more time. Null, as from a claim that was not made. */
export async function comeBackSoon(waiting: Versioned<ActionRow>, deps: ActDeps): Promise<null> {
  // With its answers, or a provider that is slow to give them would be asked for ever.
  const soon = after(deps.clock(), seconds(1));
  await waitUntil(waiting, soon, 'too little time left for a call', deps);
  return null;
}

/** Names an action's call among those in flight. */
export function slotToken({ actionId, fence }: Action): string {
  return `${actionId}:${fence + 1}`;
}

/** Takes the account's slot of one paid request for an action, which leaves within `leavesWithin`. */
export async function takeSlot(
  action: Action,
  leavesWithin: DurationMs,
  deps: ActDeps,
): ReturnType<typeof takeAccountSlots> {
  const holdFor = milliseconds(deps.profile.callTimeout * 2);
  const request = {
    limits: deps.limits,
    requests: 1,
    leavesWithin,
    // Answers are kept while an action waits for its slot, and until its claim.
    hasWaited: action.prepared !== null,
    token: slotToken(action),
    holdFor,
  };
  return takeAccountSlots(deps.table, request, { clock: deps.clock, jitter: deps.random.fraction() });
}

/**
 * Reserves and takes the lease. Switches, breaker and limits are judged once more, on the very SIM state that the claim
 * is guarded by, so that what came up while the provider was asked still holds.
 */
export async function claimAction(
  row: Versioned<ActionRow>,
  prepared: PreparedAction,
  deps: ActDeps,
): Promise<WrittenRow | null> {
  const { action } = row.value;
  const sim = await judgedSim(row, deps);
  if (sim === null) return null;
  const provider = providerPolicyOf(deps.policy, action.subject.provider);
  if (provider === null) return null;
  const now = deps.clock();
  const transition = claim({ ...action, baseline: prepared.baseline }, sim.value, deps.lease, now);
  const caps = { provider, rule: ruleOf(action, deps) };
  const result = await writeTransition(deps.table, { row, sim, transition, caps });
  switch (result.kind) {
    case 'written':
      deps.notice?.(transition.action, 'claimed');
      // Exactly the row that we wrote, as in confirmClaim.
      return {
        value: { ...row.value, action: transition.action, sweeps: 0 },
        version: (row.version ?? 0) + 1,
        sim: { value: transition.sim, version: (sim.version ?? 0) + 1 },
      };
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

/**
 * Makes the paid call of the actions that were just claimed, one request for all of them, and settles each. `sendBy` is
 * an earlier end of the time to send than the leases give; null where there is none.
 */
export async function callAndSettle(
  rows: readonly WrittenRow[],
  sendBy: EpochMs | null,
  deps: ActDeps,
): Promise<void> {
  const claims = rows.map((row) => claimOf(row, deps));
  const startBy = epochMs(
    Math.min(...claims.map((claim) => claim.startBy), sendBy ?? Number.MAX_SAFE_INTEGER),
  );
  const outcomes = await callOnce(
    claims.map(({ action }) => action),
    startBy,
    deps,
  );
  let failure: unknown = null;
  for (const [i, { action }] of claims.entries()) {
    // One that can't be settled now is verified when its lease has run out; the others must not share that.
    await settleOutcome(action, outcomes[i] ?? noOutcome, deps, rows[i]).catch((error: unknown) => {
      failure ??= error;
    });
  }
  const [first] = claims;
  if (first) await noteHealth(first.action, tellingOutcome(outcomes), deps);
  if (failure !== null) throw failure;
}

/** The lease protects only while it is young: a worker that was frozen in between must not call any more. */
function claimOf({ value }: Versioned<ActionRow>, deps: ActDeps): { action: Action; startBy: EpochMs } {
  const { action } = value;
  if (action.state.name !== 'running')
    throw new Error(`${action.actionId} is ${action.state.name}, not running`);
  return { action, startBy: after(action.state.startedAt, deps.lease.startWithin) };
}

async function callOnce(
  actions: readonly Action[],
  startBy: EpochMs,
  deps: ActDeps,
): Promise<readonly Outcome[]> {
  if (deps.clock() > startBy) return actions.map(() => tooLate);
  const [first] = actions;
  if (first !== undefined && actions.length === 1) return [await deps.client.purchase(first, startBy)];
  if (deps.client.purchaseTogether === null)
    throw new Error(`the client takes one SIM per call, not ${actions.length}`);
  deps.log('info', 'one call for several SIMs', {
    provider: first?.subject.provider ?? null,
    ruleId: first?.ruleId ?? null,
    actionIds: actions.map(({ actionId }) => actionId).join(' '),
  });
  return deps.client.purchaseTogether(actions, startBy);
}

const tooLate: Outcome = {
  kind: 'retryable',
  code: 'too-late',
  message: 'the worker was held up before the call',
  retryAfter: null,
  burnsAttempt: false,
};

/** A client that leaves a SIM out says nothing about it. */
const noOutcome: Outcome = { kind: 'unknown', code: 'no-outcome', message: 'the answer left this SIM out' };

/** What a call says about the account: an answer about one SIM shows that it works; else the first refusal counts. */
function tellingOutcome(outcomes: readonly Outcome[]): Outcome {
  const works = (outcome: Outcome): boolean =>
    outcome.kind === 'succeeded' || (outcome.kind === 'refused' && outcome.refusal === 'business');
  const told = outcomes.map(asToldOfAccount);
  return told.find(works) ?? told.find(({ kind }) => kind === 'refused') ?? told[0] ?? noOutcome;
}

/** A whole call that was refused leaves its SIMs unknown, and still says that the account does not work. */
function asToldOfAccount(outcome: Outcome): Outcome {
  if (outcome.kind !== 'unknown' || outcome.refusal === undefined) return outcome;
  const { refusal, code, message } = outcome;
  return { kind: 'refused', refusal, code, message };
}

/**
 * Writes what came of the call. A worker whose fence is old writes nothing. One whose lease ran out, but whom nobody
 * has overtaken, may still tell a clear answer.
 */
export async function settleOutcome(
  called: Action,
  outcome: Outcome,
  deps: ActDeps,
  known: WrittenRow | null = null,
): Promise<void> {
  const states = outcome.kind === 'unknown' ? (['running'] as const) : (['running', 'unknown'] as const);
  const next = (input: SettleInput): Transition => settle(input, outcome);
  const settled = await changeOwned(called.actionId, called.fence, states, deps, next, known);
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
