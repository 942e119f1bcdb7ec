import type { Action, PurchaseOrder } from './action.ts';
import { noMatch, type Pass, passVerdict } from './no-match.ts';
import type { Policy, Rule } from './policy.ts';
import type { SimState } from './sim-state.ts';
import { after, before, type EpochMs, elapsed, minutes } from './time.ts';
import { isEffectOfPurchase, orderOf, type WebhookEvent } from './webhook-event.ts';

/** Why a rule did not act. */
export type PassReason =
  | 'disabled'
  | 'no-match'
  | 'too-old'
  | 'own-purchase'
  | 'no-sim'
  | 'cooling-down'
  | 'sim-has-open-action'
  | 'already-decided';

export type RuleVerdict =
  | { readonly ruleId: string; readonly verdict: 'act'; readonly actionId: string }
  | {
      readonly ruleId: string;
      readonly verdict: 'pass';
      readonly reason: PassReason;
      readonly detail: string;
    };

/** What the rules, at one version, made of an event. */
export interface Decision {
  readonly policyVersion: string;
  readonly decidedAt: EpochMs;
  /** The action of ours that this event reports on; null when it reports on none. */
  readonly ownActionId: string | null;
  readonly verdicts: readonly RuleVerdict[];
}

export interface DecideInput {
  readonly event: WebhookEvent;
  readonly policy: Policy;
  readonly sim: SimState | null;
  /** The action of ours that the event's order number or reference belongs to. */
  readonly ownActionId: string | null;
  readonly now: EpochMs;
  /** Digest of a text as lower-case hex, at least 32 digits. */
  readonly digest: (text: string) => string;
  /** 1, or higher for a deliberate second purchase by an operator. */
  readonly generation: number;
  /** Actions of this event that exist already: a replay can't make them again. */
  readonly existingActionIds: ReadonlySet<string>;
}

export interface Decided {
  readonly decision: Decision;
  readonly actions: readonly Action[];
  /** The SIM's state after the decision; null when it does not change. */
  readonly sim: SimState | null;
}

/** Echoes of a purchase (its order and start notices) arrive within this time after it was settled. */
const echoTime = minutes(60);

/**
 * Judges an event by the rules: a function of its input. The first rule that acts takes the SIM's lock, so at most
 * one action comes of an event, and none while another paid action of that SIM is open.
 */
export function decide(input: DecideInput): Decided {
  const verdicts: RuleVerdict[] = [];
  const actions: Action[] = [];
  let sim = input.sim;
  for (const rule of input.policy.rules.filter((r) => r.provider === input.event.provider)) {
    const pass = reasonToPass(rule, input, sim);
    if (pass) {
      verdicts.push(passVerdict(rule, pass));
      continue;
    }
    const action = planAction(rule, input);
    actions.push(action);
    verdicts.push({ ruleId: rule.ruleId, verdict: 'act', actionId: action.actionId });
    sim = sim === null ? null : lockSim(sim, rule, action.actionId, input.now);
  }
  const { policy, now, ownActionId } = input;
  return {
    decision: { policyVersion: policy.version, decidedAt: now, ownActionId, verdicts },
    actions,
    sim: actions.length > 0 ? sim : null,
  };
}

/** The decision that is left when another event has told the same cause already: what would act passes. */
export function withoutActions(decided: Decided, detail: string): Decided {
  const verdicts = decided.decision.verdicts.map(
    (verdict): RuleVerdict =>
      verdict.verdict === 'act'
        ? { ruleId: verdict.ruleId, verdict: 'pass', reason: 'already-decided', detail }
        : verdict,
  );
  return { decision: { ...decided.decision, verdicts }, actions: [], sim: null };
}

/** The ladder of checks, cheapest and most telling first; null means that the rule acts. */
function reasonToPass(rule: Rule, input: DecideInput, sim: SimState | null): Pass | null {
  const { event, now } = input;
  const mismatch = noMatch(rule, event);
  if (mismatch) return mismatch;
  if (!rule.enabled) return { reason: 'disabled', detail: 'the rule is switched off in the stage' };
  const age = elapsed(event.occurredAt ?? event.receivedAt, now);
  if (age > rule.when.maxEventAge) {
    return { reason: 'too-old', detail: `${age} ms old, at most ${rule.when.maxEventAge} ms` };
  }
  // Only a judgement that is not the first one has any.
  const made = input.existingActionIds.size > 0 ? actionIdFor(rule, input) : null;
  if (made !== null && input.existingActionIds.has(made)) return { reason: 'already-decided', detail: made };
  if (event.subject === null || sim === null)
    return { reason: 'no-sim', detail: 'the notification names no SIM' };
  const own = ownPurchase(input, sim);
  if (own) return { reason: 'own-purchase', detail: own };
  const coolingUntil = sim.cooldowns[rule.ruleId];
  if (coolingUntil !== undefined && coolingUntil > now) {
    return { reason: 'cooling-down', detail: `until ${new Date(coolingUntil).toISOString()}` };
  }
  if (sim.openActionId !== null) return { reason: 'sim-has-open-action', detail: sim.openActionId };
  return null;
}

/**
 * Whether our own purchase caused this event, which then must not spend. The order number proves it; an effect that
 * arrives for this SIM just after one of our actions settled is taken for its echo, because the number may have
 * been lost with the answer.
 */
function ownPurchase(input: DecideInput, sim: SimState): string | null {
  if (!isEffectOfPurchase(input.event.facts)) return null;
  if (input.ownActionId !== null) return `it reports on ${input.ownActionId}`;
  const settled = sim.lastSettledAt;
  if (settled !== null && settled >= before(input.now, echoTime))
    return 'a purchase of ours was settled just before';
  return null;
}

/** The id of the action that a rule makes of an event: the same cause always gives the same id. */
export function actionIdFor(
  rule: Pick<Rule, 'ruleId'>,
  input: Pick<DecideInput, 'generation' | 'digest'> & { readonly event: Pick<WebhookEvent, 'eventId'> },
): string {
  return `act_${input.digest(`${rule.ruleId}\n${input.event.eventId}\n${input.generation}`).slice(0, 32)}`;
}

function planAction(rule: Rule, input: DecideInput): Action {
  const { event, now } = input;
  if (event.subject === null)
    throw new Error(`rule ${rule.ruleId} can't act on ${event.eventId}: it has no SIM`);
  const action = plannedAction(
    rule,
    {
      actionId: actionIdFor(rule, input),
      eventId: event.eventId,
      subject: event.subject,
      targetOrderId: orderOf(event.facts)?.orderId ?? null,
      policyVersion: input.policy.version,
      generation: input.generation,
      correlationId: event.correlationId,
      needsConfirmation: event.proof.kind === 'unsigned',
    },
    now,
  );
  return rule.approval
    ? { ...action, state: { name: 'held', reason: 'the rule asks for approval' } }
    : action;
}

/** What makes an action: the event, whose SIM, which generation. */
export type Cause = Pick<
  Action,
  | 'actionId'
  | 'eventId'
  | 'subject'
  | 'targetOrderId'
  | 'policyVersion'
  | 'generation'
  | 'correlationId'
  | 'needsConfirmation'
>;

/** A fresh action that buys what the rule says, planned for now, with nothing tried and nothing booked. */
export function plannedAction(rule: Rule, cause: Cause, now: EpochMs): Action {
  const order: PurchaseOrder = {
    actionId: cause.actionId,
    kind: rule.action,
    subject: cause.subject,
    plan: rule.plan,
    reference: cause.actionId.slice('act_'.length),
    targetOrderId: cause.targetOrderId,
    maxCost: rule.maxCost,
  };
  return {
    ...order,
    ruleId: rule.ruleId,
    policyVersion: cause.policyVersion,
    eventId: cause.eventId,
    generation: cause.generation,
    correlationId: cause.correlationId,
    createdAt: now,
    state: { name: 'planned', dueAt: now },
    stateSince: now,
    fence: 0,
    attemptsBurned: 0,
    attempts: 0,
    verifications: 0,
    sentWindow: null,
    doubtBefore: null,
    absentSince: null,
    baseline: null,
    prepared: null,
    needsConfirmation: cause.needsConfirmation,
    money: { currency: rule.maxCost.currency, reservedMinor: 0, chargedMinor: 0, refundedMinor: 0 },
    ledger: [],
    attemptLog: [],
    capPeriod: null,
  };
}

/** The SIM with its lock in the hand of an action, and the rule's cool-down running. */
export function lockSim(sim: SimState, rule: Rule, actionId: string, now: EpochMs): SimState {
  return {
    ...sim,
    openActionId: actionId,
    cooldowns: { ...liveCooldowns(sim, now), [rule.ruleId]: after(now, rule.cooldown) },
  };
}

function liveCooldowns(sim: SimState, now: EpochMs): SimState['cooldowns'] {
  return Object.fromEntries(Object.entries(sim.cooldowns).filter(([, until]) => until > now));
}
