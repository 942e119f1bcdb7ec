import type { Action } from '../../shared/core/action.ts';
import {
  giveBack,
  inState,
  judgeReadiness,
  lastLook,
  type Prepared,
  park,
  priceAboveMax,
} from '../../shared/core/lifecycle.ts';
import { notAdmitted } from '../../shared/core/outcome.ts';
import { providerPolicyOf } from '../../shared/core/policy.ts';
import type { SimState } from '../../shared/core/sim-state.ts';
import { after, type DurationMs, type EpochMs, elapsed, hours, minutes } from '../../shared/core/time.ts';
import type { Confirmation } from '../../shared/providers/provider.ts';
import { replaceAction } from '../../shared/store/action-store.ts';
import { loadStanding } from '../../shared/store/control-store.ts';
import { loadEvent, type Versioned } from '../../shared/store/event-store.ts';
import type { ActionRow } from '../../shared/store/rows.ts';
import type { ActDeps } from './act-deps.ts';
import { again, change, replaceAndTell, ruleOf, waitUntil, writeNext } from './change-action.ts';
import { findPurchase } from './find-purchase.ts';
import { noteHealth } from './provider-health.ts';

/**
 * Applies what the switches, the breaker, the rule, the SIM's lock and its caps say: the SIM that was judged, when a
 * claim may go on; null when it may not.
 */
export async function judgedSim(
  row: Versioned<ActionRow>,
  deps: ActDeps,
): Promise<Versioned<SimState> | null> {
  const { action } = row.value;
  const now = deps.clock();
  const provider = providerPolicyOf(deps.policy, action.subject.provider);
  if (provider === null) {
    await waitUntil(row, after(now, minutes(10)), 'the stage has no such provider any more', deps);
    return null;
  }
  const { sim, switches, health } = await loadStanding(deps.table, action.subject);
  const readiness = judgeReadiness({
    action,
    sim: sim.value,
    rule: ruleOf(action, deps),
    provider,
    switches,
    health,
    now,
    jitter: deps.random.fraction(),
  });
  switch (readiness.kind) {
    case 'go':
      return sim;
    case 'ignore':
      return null;
    case 'wait':
      await waitUntil(row, readiness.until, readiness.why, deps);
      return null;
    case 'hold':
      await replaceAndTell(row, inState(action, { name: 'held', reason: readiness.why }, now), deps);
      return null;
    case 'park':
      await change(row, deps, (input) => park(input, readiness.reason, readiness.detail, false));
      return null;
    default: {
      const never: never = readiness;
      throw new Error(`unknown readiness: ${JSON.stringify(never)}`);
    }
  }
}

/** How long a claim may stay unconfirmed before a human is asked. */
const unconfirmedMax = minutes(6 * 60);

/** An unsigned callback spends only after the provider's own records have borne it out. */
export async function confirmClaim(
  row: Versioned<ActionRow>,
  deps: ActDeps,
): Promise<Versioned<ActionRow> | null> {
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

/** How long the answers of the questions before a call are good while it waits for its slot. */
const preparedFor = minutes(2);

export type PreparedAction = NonNullable<Action['prepared']>;

/** An action whose questions before the call are answered. */
export interface Ready {
  readonly row: Versioned<ActionRow>;
  readonly prepared: PreparedAction;
}

/** The questions before the call, or their answers of a moment ago; null when the action can't go on now. */
export async function askBefore(row: Versioned<ActionRow>, deps: ActDeps): Promise<PreparedAction | null> {
  const { action } = row.value;
  const now = deps.clock();
  if (action.prepared !== null && action.prepared.until > now) return action.prepared;
  const prepared = await prepare(row, deps);
  if (prepared === null || !(await lookOnceMore(row, deps))) return null;
  return { until: after(now, preparedFor), baseline: prepared.baseline };
}

export function withPrepared(row: Versioned<ActionRow>, prepared: PreparedAction): Versioned<ActionRow> {
  return { ...row, value: { ...row.value, action: { ...row.value.action, prepared } } };
}

/** A line of 14,000 actions is done by then; whoever still waits asks for more requests than it is ever given in a row. */
const promisesHoldFor = hours(1);

/**
 * A question that our own gate held back comes at the very time that it was promised: later, its slot would be lost to
 * all. Only the first question does: one of several requests that came back so soon would use up what it waits for.
 */
function askAgainAt(
  action: Action,
  { code, retryAfter }: { readonly code: string; readonly retryAfter: DurationMs | null },
  deps: ActDeps,
): EpochMs {
  const now = deps.clock();
  const isPromised = code === notAdmitted && elapsed(action.createdAt, now) <= promisesHoldFor;
  return isPromised && retryAfter !== null ? after(now, retryAfter) : again(action, retryAfter, now, deps);
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
      const until = askAgainAt(action, preparation, deps);
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
  const finding = await findPurchase(action, action.sentWindow, deps);
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
