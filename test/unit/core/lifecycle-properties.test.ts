import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Action, dueAt, holdsSim } from '../../../shared/core/action.ts';
import { healthy, noStops } from '../../../shared/core/controls.ts';
import { decide } from '../../../shared/core/decide.ts';
import {
  claim,
  claimVerification,
  expireLease,
  giveBack,
  judgeReadiness,
  park,
  settle,
  settleVerification,
  sumLedger,
  type Transition,
} from '../../../shared/core/lifecycle.ts';
import type { Finding, Outcome } from '../../../shared/core/outcome.ts';
import type { SimState } from '../../../shared/core/sim-state.ts';
import {
  after,
  days,
  type EpochMs,
  milliseconds,
  minutes,
  utcDay,
  utcMonth,
} from '../../../shared/core/time.ts';
import { event, given, lease, noon, policy, providerPolicy, rule, sim, timing, usd } from './samples.ts';

/** One SIM with all actions that ever were for it, and the counters of the caps as the store would hold them. */
interface World {
  now: EpochMs;
  sim: SimState;
  events: number;
  readonly actions: Map<string, Action>;
  readonly caps: Map<string, number>;
}

const charge = fc.option(fc.integer({ min: 0, max: 900 }).map(usd));

const outcome: fc.Arbitrary<Outcome> = fc.oneof(
  fc.record({
    kind: fc.constant('succeeded' as const),
    providerOrderId: fc.constantFrom('A', 'B', null),
    charge,
  }),
  fc.record({
    kind: fc.constant('refused' as const),
    refusal: fc.constantFrom('business' as const, 'wallet-empty' as const, 'account' as const),
    code: fc.constant('41001'),
    message: fc.constant('no'),
  }),
  fc.record({
    kind: fc.constant('retryable' as const),
    code: fc.constant('429'),
    message: fc.constant('slow down'),
    retryAfter: fc.option(fc.constant(minutes(3))),
    burnsAttempt: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('unknown' as const),
    code: fc.constant('timeout'),
    message: fc.constant(''),
  }),
);

const finding: fc.Arbitrary<Finding> = fc.oneof(
  { arbitrary: fc.constant({ kind: 'absent' as const }), weight: 4 },
  fc.record({
    kind: fc.constant('found' as const),
    providerOrderId: fc.constant('C'),
    charge,
    how: fc.constant('x'),
  }),
  fc.record({
    kind: fc.constant('ambiguous' as const),
    candidates: fc.constant(['C', 'D']),
    why: fc.constant('x'),
  }),
  fc.record({
    kind: fc.constant('unavailable' as const),
    code: fc.constant('http-500'),
    message: fc.constant(''),
    retryAfter: fc.constant(null),
  }),
);

type Step =
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'event' }
  | { readonly do: 'work'; readonly outcome: Outcome; readonly finding: Finding; readonly dies: boolean }
  | { readonly do: 'operator'; readonly cancel: boolean };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 20 * 60_000 }) }),
  fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: days(2) }) }),
  fc.record({ do: fc.constant('event' as const) }),
  {
    arbitrary: fc.record({ do: fc.constant('work' as const), outcome, finding, dies: fc.boolean() }),
    weight: 5,
  },
  fc.record({ do: fc.constant('operator' as const), cancel: fc.boolean() }),
);

const theRule = rule({ cooldown: minutes(1) }, { maxEventAge: days(9_999) });
const thePolicy = policy([theRule]);
const provider = providerPolicy({ simVelocity: { max: 3, window: days(1) } });

function apply(world: World, transition: Transition): void {
  const { action, cap } = transition;
  const before = world.actions.get(action.actionId);
  expect(action.fence).toBeGreaterThanOrEqual(before?.fence ?? 0);
  expect(action.ledger.slice(0, before?.ledger.length ?? 0)).toEqual(before?.ledger ?? []);
  world.actions.set(action.actionId, action);
  world.sim = transition.sim;
  if (cap === null) return;
  for (const period of [cap.day, cap.month]) {
    world.caps.set(period, (world.caps.get(period) ?? 0) + cap.deltaMinor);
  }
}

function run(world: World, one: Step, jitter: number): void {
  switch (one.do) {
    case 'pass':
      world.now = after(world.now, milliseconds(one.ms));
      return;
    case 'event': {
      world.events += 1;
      const decided = decide(
        given({
          event: event({ eventId: `evt_${world.events}` }),
          policy: thePolicy,
          sim: world.sim,
          now: world.now,
        }),
      );
      for (const action of decided.actions) world.actions.set(action.actionId, action);
      world.sim = decided.sim ?? world.sim;
      return;
    }
    case 'work':
      for (const action of world.actions.values()) work(world, action, one, jitter);
      return;
    case 'operator': {
      const open = [...world.actions.values()].find((action) => action.actionId === world.sim.openActionId);
      if (open === undefined || open.state.name === 'running' || open.state.name === 'verifying') return;
      const certain = open.state.name === 'planned' || open.state.name === 'held';
      const input = { action: open, sim: world.sim, rule: theRule, now: world.now, jitter };
      if (one.cancel) apply(world, giveBack(input, { name: 'cancelled', reason: 'operator' }, 'cancelled'));
      else apply(world, park(input, 'operator', 'look', !certain));
      return;
    }
  }
}

/** What a worker does with a message for the action, with an answer or without one (it dies in mid-call). */
function work(world: World, action: Action, one: Extract<Step, { do: 'work' }>, jitter: number): void {
  const input = { action, sim: world.sim, rule: theRule, now: world.now, jitter };
  const { state } = action;
  if (state.name === 'planned') {
    const readiness = judgeReadiness({ ...input, provider, switches: noStops, health: healthy('eiotclub') });
    if (readiness.kind === 'park') apply(world, park(input, readiness.reason, readiness.detail, false));
    if (readiness.kind !== 'go') return;
    const claimed = claim(action, world.sim, lease, world.now);
    apply(world, claimed);
    if (one.dies) return;
    apply(world, settle({ ...input, action: claimed.action, sim: world.sim }, one.outcome));
  } else if (state.name === 'running' && state.leaseUntil <= world.now) {
    apply(world, expireLease(input));
  } else if (
    (state.name === 'unknown' && state.verifyAt <= world.now) ||
    (state.name === 'verifying' && state.leaseUntil <= world.now)
  ) {
    const verifying = claimVerification(action, lease, world.now);
    apply(world, { action: verifying, sim: world.sim, cap: null });
    if (!one.dies) apply(world, settleVerification({ ...input, action: verifying }, one.finding, timing));
  }
}

const mayHoldMoney = new Set(['running', 'unknown', 'verifying']);

function check(world: World): void {
  const holders: string[] = [];
  const committed = new Map<string, number>();
  for (const action of world.actions.values()) {
    expect(sumLedger(action.ledger, 'USD')).toEqual(action.money);
    expect(action.money.reservedMinor).toBeGreaterThanOrEqual(0);
    const doubtful = action.state.name === 'parked' && action.state.mayHaveBought;
    const reserves = mayHoldMoney.has(action.state.name) || doubtful;
    expect([action.state.name, action.money.reservedMinor]).toEqual([action.state.name, reserves ? 500 : 0]);
    if (holdsSim(action.state)) holders.push(action.actionId);
    if (holdsSim(action.state) && action.state.name !== 'held' && !doubtful) {
      expect(dueAt(action.state)).not.toBeNull();
    }
    if (action.attempts === 0) expect(action.sentWindow).toBeNull();
    // A call may be under way, or one was whose answer nobody has: then there must be a window to ask about.
    if (reserves) expect(action.sentWindow).not.toBeNull();
    const sum = action.money.reservedMinor + action.money.chargedMinor;
    for (const period of action.capPeriod === null ? [] : [action.capPeriod.day, action.capPeriod.month]) {
      committed.set(period, (committed.get(period) ?? 0) + sum);
    }
  }
  expect(holders).toEqual(world.sim.openActionId === null ? [] : [world.sim.openActionId]);
  for (const [period, sum] of world.caps) expect([period, sum]).toEqual([period, committed.get(period) ?? 0]);
  for (const period of [utcDay(world.now), utcMonth(world.now)]) {
    expect([period, world.sim.committedMinor[period] ?? 0]).toEqual([period, committed.get(period) ?? 0]);
  }
}

describe('any sequence of events, workers, crashes and operators', () => {
  it('keeps ledger, reservation, caps and lock in step', () => {
    const reached = new Set<string>();
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 5, maxLength: 80 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (steps, jitter) => {
          const world: World = { now: noon, sim: sim(), events: 0, actions: new Map(), caps: new Map() };
          for (const one of [{ do: 'event' } as const, ...steps]) {
            run(world, one, jitter);
            check(world);
            for (const { state } of world.actions.values()) reached.add(state.name);
          }
        },
      ),
      { numRuns: 400 },
    );
    // The property says nothing about states that its steps never reach.
    expect([...reached].sort()).toEqual([
      'cancelled',
      'parked',
      'planned',
      'refused',
      'running',
      'succeeded',
      'unknown',
      'verifying',
    ]);
  });
});
