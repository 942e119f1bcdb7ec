import type { Action } from '../../shared/core/action.ts';
import { healthy, noStops } from '../../shared/core/controls.ts';
import { type Decided, decide } from '../../shared/core/decide.ts';
import {
  claim,
  judgeReadiness,
  type Lease,
  park,
  settle,
  type Transition,
} from '../../shared/core/lifecycle.ts';
import type { Money } from '../../shared/core/money.ts';
import { type Policy, type ProviderPolicy, providerPolicyOf, type Rule } from '../../shared/core/policy.ts';
import { emptySimState, type SimState } from '../../shared/core/sim-state.ts';
import { type EpochMs, milliseconds } from '../../shared/core/time.ts';
import type { WebhookEvent } from '../../shared/core/webhook-event.ts';
import { sha256Hex } from '../../shared/platform/digest.ts';

/** What the rules would have made of one event. */
export type SimulatedVerdict =
  | { readonly kind: 'pass'; readonly why: string }
  /** A rule asked for it, and a cap or a breaker was in the way. */
  | { readonly kind: 'stopped'; readonly ruleId: string; readonly why: string }
  | {
      readonly kind: 'buys';
      readonly ruleId: string;
      readonly actionId: string;
      readonly cost: Money;
      /** True when a human would have had to approve it. */
      readonly needsApproval: boolean;
    };

export interface RulesSimulation {
  /** Events in the order of their time. `ownActionId`: the real action that the event reports on. */
  step(event: WebhookEvent, ownActionId: string | null): SimulatedVerdict;
}

/** The simulated worker takes no time. */
const lease: Lease = { duration: milliseconds(1), startWithin: milliseconds(1) };

/**
 * Runs rules over events as if each purchase succeeded at once for the most that it may cost, and each approval was
 * given. It starts without any history, and keeps the state of those SIMs only for which it bought.
 */
export function simulateRules(policy: Policy): RulesSimulation {
  const sims = new Map<string, SimState>();
  const sums = new Map<string, number>();
  return {
    step: (event, ownActionId) => {
      const now = event.receivedAt;
      const key = event.subject?.key ?? null;
      const sim = key === null ? null : (sims.get(key) ?? emptySimState(key));
      const decided = decide({
        event,
        policy,
        sim,
        ownActionId,
        now,
        digest: sha256Hex,
        generation: 1,
        existingActionIds: new Set(),
      });
      const [action] = decided.actions;
      if (action === undefined || decided.sim === null || key === null) return pass(decided);
      const bought = buy(action, decided.sim, { policy, sums, now });
      sims.set(key, bought.sim);
      return bought.verdict;
    },
  };
}

function pass(decided: Decided): SimulatedVerdict {
  const near = decided.decision.verdicts.find(
    (each) => each.verdict === 'pass' && each.reason !== 'no-match',
  );
  return {
    kind: 'pass',
    why: near?.verdict === 'pass' ? `${near.ruleId}: ${near.reason}` : 'no rule speaks for it',
  };
}

interface Market {
  readonly policy: Policy;
  readonly sums: Map<string, number>;
  readonly now: EpochMs;
}

/** Judges, claims and settles one action with the core's own functions. */
function buy(
  decided: Action,
  sim: SimState,
  market: Market,
): { readonly verdict: SimulatedVerdict; readonly sim: SimState } {
  const { policy, sums, now } = market;
  const { actionId, ruleId, maxCost } = decided;
  const rule = policy.rules.find((each) => each.ruleId === ruleId) ?? null;
  const provider = providerPolicyOf(policy, decided.subject.provider);
  if (provider === null) throw new Error(`rule ${ruleId} has no provider in its stage`);
  const action: Action = { ...decided, state: { name: 'planned', dueAt: now } };
  const input = { action, sim, rule, now, jitter: 0 };
  const ready = judgeReadiness({ ...input, provider, switches: noStops, health: healthy(provider.provider) });
  const claimed = ready.kind === 'go' ? claim(action, sim, lease, now) : null;
  const why = claimed === null ? whyNot(ready) : capInTheWay(claimed, { rule, provider, sums });
  if (claimed === null || why !== null) {
    // As in life, what is parked frees the SIM and keeps the rule's cool-down.
    const parked = park(input, 'cap-exceeded', why ?? 'not ready', false);
    return { verdict: { kind: 'stopped', ruleId, why: why ?? 'not ready' }, sim: parked.sim };
  }
  addUp(claimed, sums);
  const outcome = { kind: 'succeeded', providerOrderId: null, charge: maxCost } as const;
  const settled = settle({ ...input, action: claimed.action, sim: claimed.sim }, outcome);
  const needsApproval = decided.state.name === 'held';
  return { verdict: { kind: 'buys', ruleId, actionId, cost: maxCost, needsApproval }, sim: settled.sim };
}

function whyNot(ready: ReturnType<typeof judgeReadiness>): string {
  switch (ready.kind) {
    case 'park':
      return ready.detail;
    case 'go':
      return 'ready';
    default:
      return ready.why;
  }
}

/** Which cap of the rule or the provider the claim would pass; null when none. */
function capInTheWay(
  { cap }: Transition,
  limits: {
    readonly rule: Rule | null;
    readonly provider: ProviderPolicy;
    readonly sums: ReadonlyMap<string, number>;
  },
): string | null {
  if (cap === null) return null;
  const { rule, provider, sums } = limits;
  const counters = [
    [`provider ${cap.provider}`, cap.day, provider.caps.dayMinor],
    [`provider ${cap.provider}`, cap.month, provider.caps.monthMinor],
    [`rule ${cap.ruleId}`, cap.day, rule?.caps.dayMinor ?? null],
    [`rule ${cap.ruleId}`, cap.month, rule?.caps.monthMinor ?? null],
  ] as const;
  for (const [who, period, atMost] of counters) {
    const sum = (sums.get(`${who} ${period}`) ?? 0) + cap.deltaMinor;
    if (atMost !== null && sum > atMost)
      return `the cap of ${who} for ${period} is ${atMost}, this would make it ${sum}`;
  }
  return null;
}

function addUp({ cap }: Transition, sums: Map<string, number>): void {
  if (cap === null) return;
  for (const who of [`provider ${cap.provider}`, `rule ${cap.ruleId}`]) {
    for (const period of [cap.day, cap.month]) {
      const key = `${who} ${period}`;
      sums.set(key, (sums.get(key) ?? 0) + cap.deltaMinor);
    }
  }
}
