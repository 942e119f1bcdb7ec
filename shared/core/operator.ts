import type { Action } from './action.ts';
import { actionIdFor, lockSim, plannedAction } from './decide.ts';
import {
  absenceProvenAt,
  giveBack,
  inState,
  type ProviderTiming,
  park,
  type SettleInput,
  settleVerification,
  type Transition,
} from './lifecycle.ts';
import type { Money } from './money.ts';
import type { Policy } from './policy.ts';
import { purchaseRetry } from './retry.ts';
import type { SimState } from './sim-state.ts';
import { type EpochMs, elapsed } from './time.ts';

/** Why an operator's wish is refused. Whatever could buy twice is. */
export type OperatorRefusal =
  | 'wrong-state'
  | 'may-have-bought'
  | 'sim-busy'
  | 'too-old'
  | 'too-early'
  | 'wrong-currency'
  | 'rule-gone';

/** Why not, and what to do instead. */
export interface Refused {
  readonly ok: false;
  readonly reason: OperatorRefusal;
  readonly detail: string;
}

/** What an operator's wish comes to: the next state, or why not. */
export type OperatorVerdict = { readonly ok: true; readonly transition: Transition } | Refused;

/**
 * Lets a held action go on. The SIM's velocity breaker counts from here, since a human has now looked at this SIM's
 * purchases; otherwise it would hold the action again at once.
 */
export function approve(input: SettleInput): OperatorVerdict {
  const { action, sim, now } = input;
  if (action.state.name !== 'held') {
    return no('wrong-state', `it is ${action.state.name}; only a held action waits for approval`);
  }
  const stale = tooOld(input) ?? simBusy(input);
  if (stale !== null) return stale;
  return {
    ok: true,
    transition: {
      action: inState(action, { name: 'planned', dueAt: now }, now),
      sim: { ...sim, openActionId: action.actionId, claimedAt: [] },
      cap: null,
    },
  };
}

/** Ends an action that certainly has bought nothing. One whose call may be under way is refused. */
export function cancel(input: SettleInput, reason: string): OperatorVerdict {
  const { state } = input.action;
  switch (state.name) {
    case 'planned':
    case 'held':
      return cancelled(input, reason);
    case 'parked':
      return state.mayHaveBought ? mayHaveBought() : cancelled(input, reason);
    case 'running':
    case 'unknown':
    case 'verifying':
      return no(
        'may-have-bought',
        `it is ${state.name}: its call may have reached the provider. Wait until simhook has asked the provider; it then succeeds, is planned again, or is parked for you`,
      );
    case 'succeeded':
    case 'refused':
    case 'cancelled':
      return no('wrong-state', `it is over already: ${state.name}`);
    default: {
      const never: never = state;
      throw new Error(`unknown state: ${JSON.stringify(never)}`);
    }
  }
}

function cancelled(input: SettleInput, reason: string): OperatorVerdict {
  const state = { name: 'cancelled', reason: `by an operator: ${reason}`.slice(0, 300) } as const;
  return { ok: true, transition: giveBack(input, state, 'cancelled by an operator') };
}

/** Plans a parked action that bought nothing anew, with its tries counted from 0, and takes its SIM's lock again. */
export function retry(input: SettleInput): OperatorVerdict {
  const { action, sim, now } = input;
  const { state } = action;
  if (state.name !== 'parked') {
    return no('wrong-state', `it is ${state.name}; only a parked action can be retried by hand`);
  }
  if (state.mayHaveBought) return mayHaveBought();
  const stale = tooOld(input) ?? simBusy(input);
  if (stale !== null) return stale;
  return {
    ok: true,
    transition: {
      action: { ...inState(action, { name: 'planned', dueAt: now }, now), attemptsBurned: 0 },
      sim: { ...sim, openActionId: action.actionId },
      cap: null,
    },
  };
}

export interface BoughtClaim {
  readonly providerOrderId: string;
  /** What the provider charged; null books the most that it may have cost, as an estimate. */
  readonly charge: Money | null;
}

/** A human found the order of a parked action in the provider's records: adopted, and the reservation is a charge. */
export function resolveBought(
  input: SettleInput,
  claim: BoughtClaim,
  timing: ProviderTiming,
): OperatorVerdict {
  const refused = notInDoubt(input.action);
  if (refused !== null) return refused;
  const { currency } = input.action.money;
  if (claim.charge !== null && claim.charge.currency !== currency) {
    return no(
      'wrong-currency',
      `the charge is in ${claim.charge.currency}, but this action is booked in ${currency}`,
    );
  }
  const finding = { kind: 'found', ...claim, how: 'an operator found it' } as const;
  return { ok: true, transition: settleVerification(input, finding, timing) };
}

/**
 * A human found no order of a parked action in the provider's records. It stays parked, now without a reservation and
 * without its SIM's lock, to be retried or cancelled. Refused while the provider may still commit what was sent.
 */
export function resolveNotBought(
  input: SettleInput,
  reason: string,
  timing: ProviderTiming,
): OperatorVerdict {
  const refused = notInDoubt(input.action);
  if (refused !== null) return refused;
  const provenAt = absenceProvenAt(input.action, timing);
  if (input.now < provenAt) {
    return no(
      'too-early',
      `the provider may still take what was sent until ${new Date(provenAt).toISOString()}: look again then`,
    );
  }
  return { ok: true, transition: park(input, 'operator', `not bought, says an operator: ${reason}`, false) };
}

export interface BuyAgainInput {
  /** The action that is over. */
  readonly action: Action;
  readonly sim: SimState;
  readonly policy: Policy;
  readonly now: EpochMs;
  readonly digest: (text: string) => string;
}

/** A further action with its SIM's state, or why there is none. */
export type BuyAgainVerdict =
  | { readonly ok: true; readonly action: Action; readonly sim: SimState }
  | Refused;

/**
 * A deliberate second purchase for the same cause: the next generation, of what the rule says now. The operator's word
 * stands in for the approval and for the rule's cool-down, which begins anew; the SIM's lock, the caps, the velocity
 * breaker, the stops and the confirmation of an unsigned claim hold as ever. The same action gives the same further
 * one, so that a command that is repeated buys nothing more.
 */
export function buyAgain({ action, sim, policy, now, digest }: BuyAgainInput): BuyAgainVerdict {
  const open = notOver(action);
  if (open !== null) return open;
  const rule = policy.rules.find(
    ({ ruleId, provider }) => ruleId === action.ruleId && provider === action.subject.provider,
  );
  if (rule === undefined || !rule.enabled) {
    const why =
      rule === undefined ? `the stage has no rule ${action.ruleId}` : `rule ${action.ruleId} is off`;
    return no('rule-gone', `${why}, so nothing says what to buy: bring the rule back first`);
  }
  if (sim.openActionId !== null)
    return no('sim-busy', `its SIM is held by ${sim.openActionId}: let that one end first`);
  const { eventId, subject, targetOrderId, correlationId, needsConfirmation } = action;
  const generation = action.generation + 1;
  const actionId = actionIdFor(rule, { event: { eventId }, generation, digest });
  const next = plannedAction(
    rule,
    {
      actionId,
      eventId,
      subject,
      targetOrderId,
      policyVersion: policy.version,
      generation,
      correlationId,
      needsConfirmation,
    },
    now,
  );
  return { ok: true, action: next, sim: lockSim(sim, rule, actionId, now) };
}

function notOver({ state }: Action): Refused | null {
  switch (state.name) {
    case 'succeeded':
    case 'refused':
    case 'cancelled':
      return null;
    case 'parked':
      return state.mayHaveBought
        ? mayHaveBought()
        : no('wrong-state', 'it is parked and bought nothing: retry it, a second one is not needed');
    default:
      return no('wrong-state', `it is ${state.name}; only an action that is over can be bought again`);
  }
}

/** Only a parked action that may have bought is in doubt. */
function notInDoubt(action: Action): OperatorVerdict | null {
  const { state } = action;
  if (state.name !== 'parked')
    return no('wrong-state', `it is ${state.name}; only a parked action is resolved by hand`);
  if (state.mayHaveBought) return null;
  return no('wrong-state', 'it is parked, but certainly bought nothing: retry or cancel it');
}

function mayHaveBought(): Refused {
  return no(
    'may-have-bought',
    "its purchase may exist: look for it in the provider's own records, then resolve it as bought (with the order number) or as not bought",
  );
}

function tooOld({ action, now }: SettleInput): OperatorVerdict | null {
  if (elapsed(action.createdAt, now) <= purchaseRetry.giveUpAfter) return null;
  const days = purchaseRetry.giveUpAfter / 86_400_000;
  return no('too-old', `it was decided more than ${days} days ago and would be parked again: cancel it`);
}

function simBusy({ action, sim }: SettleInput): OperatorVerdict | null {
  if (sim.openActionId === null || sim.openActionId === action.actionId) return null;
  return no('sim-busy', `its SIM is held by ${sim.openActionId}: let that one end first, or cancel this one`);
}

function no(reason: OperatorRefusal, detail: string): Refused {
  return { ok: false, reason, detail };
}
