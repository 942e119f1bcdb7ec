import { describe, expect, it } from 'vitest';
import { hours, minutes, seconds } from '../../../shared/core/time.ts';
import { loadSim } from '../../../shared/store/event-store.ts';
import { record } from '../../unit/store/store-world.ts';
import {
  actionOf,
  cause,
  decideNow,
  expiredEvent,
  holdCsssOrder,
  openWorld,
  paidCalls,
  pass,
  signed,
  simOf,
  unsigned,
  type World,
} from './act-world.ts';

const queryOrder = '/package/queryOrder';
const questions = (world: World): number => world.simulator.requests({ path: queryOrder }).length;
const confirmations = (world: World): readonly string[] =>
  world.noticed.map(({ what }) => what).filter((what) => what.startsWith('confirmed'));

describe('an unsigned claim', () => {
  it('that the records bear out is asked about once more than a signed one', async () => {
    const world = await openWorld();
    for (const n of [1, 2]) holdCsssOrder(world, n, `ORDER_${n}`, 'ended');
    await cause(world, expiredEvent(world, 1, unsigned));
    await pass(world, seconds(30));
    expect(questions(world)).toBe(2);
    expect(confirmations(world)).toHaveLength(1);
    await cause(world, expiredEvent(world, 2, signed));
    await pass(world, seconds(30));
    expect(questions(world)).toBe(3);
    expect(world.simulator.orders()).toHaveLength(2);
  });

  it('whose signed copy arrives before its turn is confirmed without a question', async () => {
    const world = await openWorld();
    holdCsssOrder(world, 1, 'ORDER_1', 'ended');
    const claim = expiredEvent(world, 1, unsigned);
    const actionId = await cause(world, claim);
    expect((await actionOf(world, actionId)).needsConfirmation).toBe(true);
    expect(await record(world.engines.table, { ...claim, proof: signed })).toEqual(['duplicate']);
    await pass(world, seconds(30));
    expect(confirmations(world)).toEqual(['confirmed by the provider: a signed copy came']);
    // The only question is the one for the baseline.
    expect(questions(world)).toBe(1);
    expect((await actionOf(world, actionId)).state.name).toBe('succeeded');
    expect(world.simulator.orders()).toHaveLength(1);
  });

  it('whose signed copy arrives between a failed question and the next is confirmed without one', async () => {
    const world = await openWorld();
    holdCsssOrder(world, 1, 'ORDER_1', 'ended');
    const fault = { kind: 'http-error', status: 503, commit: false } as const;
    world.simulator.faults.add({ match: { path: queryOrder }, fault });
    const claim = expiredEvent(world, 1, unsigned);
    const actionId = await cause(world, claim);
    await pass(world, 1);
    expect((await actionOf(world, actionId)).state.name).toBe('planned');
    await record(world.engines.table, { ...claim, proof: signed });
    await pass(world, minutes(3));
    expect(confirmations(world)).toEqual(['confirmed by the provider: a signed copy came']);
    expect(world.simulator.orders()).toHaveLength(1);
  });

  it('that the records deny is cancelled, and neither its lock nor its cool-down stays', async () => {
    const world = await openWorld();
    holdCsssOrder(world, 1, 'ORDER_1', 'active');
    const actionId = await cause(world, expiredEvent(world, 1, unsigned));
    const { key } = simOf(world, 'linksfield-csss');
    const before = await loadSim(world.engines.table, key);
    expect(before.value.openActionId).toBe(actionId);
    expect(Object.keys(before.value.cooldowns)).toHaveLength(1);
    await pass(world, minutes(5));
    expect((await actionOf(world, actionId)).state).toMatchObject({ name: 'cancelled' });
    const sim = await loadSim(world.engines.table, key);
    expect(sim.value).toMatchObject({ openActionId: null, cooldowns: {}, committedMinor: {} });
    expect(paidCalls(world)).toBe(0);
  });

  it('that was false does not stand in the way of the true one, when the order really ends', async () => {
    const world = await openWorld();
    holdCsssOrder(world, 1, 'ORDER_1', 'active');
    const forged = await cause(world, expiredEvent(world, 1, unsigned));
    await pass(world, hours(2));
    expect((await actionOf(world, forged)).state.name).toBe('cancelled');
    world.simulator.expireOrder('ORDER_1');
    const fact = expiredEvent(world, 1, unsigned);
    await record(world.engines.table, fact);
    expect(await decideNow(world, fact)).toHaveLength(1);
    await pass(world, minutes(5));
    expect(world.simulator.orders()).toHaveLength(1);
  });

  it('that nobody can bear out or deny is parked after hours, without a call', async () => {
    const world = await openWorld();
    const actionId = await cause(world, expiredEvent(world, 1, unsigned));
    await pass(world, hours(5));
    expect((await actionOf(world, actionId)).state.name).toBe('planned');
    await pass(world, hours(2));
    expect((await actionOf(world, actionId)).state).toMatchObject({
      name: 'parked',
      reason: 'claim-not-confirmed',
      mayHaveBought: false,
    });
    expect(paidCalls(world)).toBe(0);
  });
});
