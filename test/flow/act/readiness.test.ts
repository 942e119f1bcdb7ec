import { describe, expect, it } from 'vitest';
import { hours, milliseconds, minutes, utcDay } from '../../../shared/core/time.ts';
import { loadCapSums } from '../../../shared/store/action-store.ts';
import { loadSim, simChange } from '../../../shared/store/event-store.ts';
import {
  actionOf,
  cause,
  changeProvider,
  changeRule,
  lowDataEvent,
  now,
  openWorld,
  paidCalls,
  pass,
  simOf,
  stop,
  type World,
} from './act-world.ts';

const ruleId = 'renew-low-data';
const priceQuery = '/api/v3/package/queryOrderPackageByPackageCode';

describe('a rule that changed while its action waited', () => {
  it('parks the action without any request when it was removed, and frees the SIM', async () => {
    const world = await openWorld();
    const actionId = await cause(world, lowDataEvent(world));
    const rules = world.policy.rules.filter((rule) => rule.ruleId !== ruleId);
    world.policy = { ...world.policy, rules };
    await pass(world, minutes(5));
    expect((await actionOf(world, actionId)).state).toEqual({
      name: 'parked',
      reason: 'rule-removed',
      detail: `the stage has no rule ${ruleId} any more`,
      mayHaveBought: false,
    });
    expect(world.simulator.requests()).toEqual([]);
    const sim = await loadSim(world.engines.table, simOf(world, 'eiotclub').key);
    expect(sim.value.openActionId).toBeNull();
  });

  it('makes the action wait without any request while it is switched off', async () => {
    const world = await openWorld();
    const actionId = await cause(world, lowDataEvent(world));
    changeRule(world, ruleId, { enabled: false });
    await pass(world, hours(2));
    expect((await actionOf(world, actionId)).state.name).toBe('planned');
    expect(world.simulator.requests()).toEqual([]);

    changeRule(world, ruleId, { enabled: true });
    await pass(world, minutes(25));
    expect((await actionOf(world, actionId)).state.name).toBe('succeeded');
    expect(world.simulator.orders()).toHaveLength(1);
  });
});

describe('a stop switch', () => {
  it('set while the price is asked still prevents the call, and released lets it go on', async () => {
    const world = await openWorld();
    const actionId = await cause(world, lowDataEvent(world));
    let asked = 0;
    world.wire.onArrival = async (path) => {
      if (path === priceQuery && ++asked === 1) await stop(world, true);
    };
    await pass(world, minutes(10));
    expect(asked).toBe(1);
    expect(paidCalls(world)).toBe(0);
    const waiting = await actionOf(world, actionId);
    expect(waiting).toMatchObject({ state: { name: 'planned' }, attempts: 0, ledger: [] });

    await stop(world, false);
    await pass(world, minutes(3));
    expect(world.simulator.orders()).toHaveLength(1);
  });
});

describe('a SIM that another action took while the price was asked', () => {
  it('is not bought for', async () => {
    const world = await openWorld();
    const actionId = await cause(world, lowDataEvent(world));
    const { key } = simOf(world, 'eiotclub');
    world.wire.onArrival = async () => {
      const sim = await loadSim(world.engines.table, key);
      if (sim.value.openActionId !== actionId) return;
      const taken = { ...sim.value, openActionId: `act_${'f'.repeat(32)}` };
      await world.engines.table.write([simChange({ value: taken, version: sim.version })]);
    };
    await pass(world, minutes(5));
    expect(paidCalls(world)).toBe(0);
    expect((await actionOf(world, actionId)).state.name).toBe('planned');
  });
});

describe('a price', () => {
  const noPrice = (world: World): void =>
    void world.simulator.faults.add({
      match: { path: priceQuery },
      times: Number.POSITIVE_INFINITY,
      fault: { kind: 'error-body', code: '200', message: 'success', commit: false },
    });

  it('that the provider does not name parks the action of a rule that asks for it', async () => {
    const world = await openWorld();
    changeRule(world, ruleId, { unknownPrice: 'park' });
    noPrice(world);
    const actionId = await cause(world, lowDataEvent(world));
    await pass(world, minutes(5));
    expect((await actionOf(world, actionId)).state).toMatchObject({
      name: 'parked',
      reason: 'price-unknown',
      mayHaveBought: false,
    });
    expect(paidCalls(world)).toBe(0);
  });

  it('that the provider does not name is no obstacle for a rule that trusts its maximum', async () => {
    const world = await openWorld();
    noPrice(world);
    const actionId = await cause(world, lowDataEvent(world));
    await pass(world, minutes(1));
    expect((await actionOf(world, actionId)).state.name).toBe('succeeded');
  });

  it('that a rule asks for and gets does not park', async () => {
    const world = await openWorld();
    changeRule(world, ruleId, { unknownPrice: 'park' });
    const actionId = await cause(world, lowDataEvent(world));
    await pass(world, minutes(1));
    expect((await actionOf(world, actionId)).state.name).toBe('succeeded');
  });

  it('above the maximum of the rule parks the action, one cent is enough', async () => {
    const world = await openWorld();
    world.simulator.setPrice('eiotclub', 'PKG001', 501);
    const actionId = await cause(world, lowDataEvent(world));
    await pass(world, minutes(5));
    expect((await actionOf(world, actionId)).state).toEqual({
      name: 'parked',
      reason: 'price-above-max',
      detail: 'the provider quotes 501, the rule allows 500',
      mayHaveBought: false,
    });
    expect(paidCalls(world)).toBe(0);
  });
});

describe('a cap', () => {
  type Tighten = (world: World) => void;
  const of = (day: number | null, month: number | null) => ({ dayMinor: day, monthMinor: month });
  const caps: readonly (readonly [string, Tighten, string])[] = [
    [
      'rule and day',
      (world) => changeRule(world, ruleId, { caps: of(999, null) }),
      "the rule's cap for the day is 999, this would make it 1000",
    ],
    [
      'rule and month',
      (world) => changeRule(world, ruleId, { caps: of(null, 999) }),
      "the rule's cap for the month is 999, this would make it 1000",
    ],
    [
      'provider and day',
      (world) => changeProvider(world, 'eiotclub', { caps: of(999, null) }),
      "the provider's cap for the day is 999, this would make it 1000",
    ],
    [
      'provider and month',
      (world) => changeProvider(world, 'eiotclub', { caps: of(null, 999) }),
      "the provider's cap for the month is 999, this would make it 1000",
    ],
  ];

  it.each(caps)('per %s parks the purchase that would pass it, and spends nothing', async (_, set, text) => {
    const world = await openWorld();
    set(world);
    const first = await cause(world, lowDataEvent(world, 1));
    const second = await cause(world, lowDataEvent(world, 2));
    await pass(world, minutes(2));
    const states = await Promise.all([first, second].map(async (id) => (await actionOf(world, id)).state));
    expect(states.map(({ name }) => name).toSorted()).toEqual(['parked', 'succeeded']);
    expect(states.find(({ name }) => name === 'parked')).toEqual({
      name: 'parked',
      reason: 'cap-exceeded',
      detail: text,
      mayHaveBought: false,
    });
    expect(world.simulator.orders()).toHaveLength(1);
    const sums = await loadCapSums(world.engines.table, 'eiotclub', utcDay(now(world)));
    expect(sums).toMatchObject({ total: 500, [`rule:${ruleId}`]: 500, 'hour:12': 1 });
  });

  const simCaps = [
    ['day', of(999, null)],
    ['month', of(null, 999)],
  ] as const;
  it.each(simCaps)('per SIM and %s parks its second purchase and no other SIM', async (period, simCap) => {
    const world = await openWorld();
    changeProvider(world, 'eiotclub', { simCaps: simCap });
    changeRule(world, ruleId, { cooldown: milliseconds(0) });
    const first = await cause(world, lowDataEvent(world, 1));
    await pass(world, minutes(2));
    const second = await cause(world, lowDataEvent(world, 1));
    const other = await cause(world, lowDataEvent(world, 2));
    await pass(world, minutes(2));
    expect((await actionOf(world, first)).state.name).toBe('succeeded');
    expect((await actionOf(world, other)).state.name).toBe('succeeded');
    expect((await actionOf(world, second)).state).toMatchObject({
      name: 'parked',
      reason: 'cap-exceeded',
      detail: `the SIM's cap for the ${period} is 999, this would make it 1000`,
    });
    expect(world.simulator.orders()).toHaveLength(2);
  });

  it('that is reached exactly is not passed', async () => {
    const world = await openWorld();
    changeProvider(world, 'eiotclub', { caps: of(1_000, 1_000) });
    for (const n of [1, 2]) await cause(world, lowDataEvent(world, n));
    await pass(world, minutes(2));
    expect(world.simulator.orders()).toHaveLength(2);
  });

  it('on purchases of an hour makes the next one wait for the next hour', async () => {
    const world = await openWorld();
    changeProvider(world, 'eiotclub', { purchasesPerHour: 1 });
    for (const n of [1, 2]) await cause(world, lowDataEvent(world, n));
    await pass(world, minutes(59));
    expect(world.simulator.orders()).toHaveLength(1);
    await pass(world, minutes(30));
    expect(world.simulator.orders()).toHaveLength(2);
  });
});
