import { describe, expect, it } from 'vitest';
import { days, hours, minutes, seconds } from '../../../shared/core/time.ts';
import { loadAction } from '../../../shared/store/action-store.ts';
import {
  actionOf,
  cause,
  expiredEvent,
  holdCsssOrder,
  lowDataEvent,
  now,
  openWorld,
  paid,
  paidCalls,
  pass,
  type World,
} from './act-world.ts';

const providers = ['eiotclub', 'linksfield-csss'] as const;
const question = /\/(getOrderPackageDetails|packageOrderRecord|queryOrder)$/;

/** An order that was made, and whose answer was lost. */
async function openLost(
  provider: (typeof providers)[number],
): Promise<{ readonly world: World; readonly actionId: string }> {
  const world = await openWorld();
  holdCsssOrder(world, 1, 'ORDER_1', 'ended');
  world.simulator.faults.add({ match: { path: paid }, fault: { kind: 'drop', commit: true } });
  const fact = provider === 'eiotclub' ? lowDataEvent(world) : expiredEvent(world);
  const actionId = await cause(world, fact);
  return { world, actionId };
}

// Hundreds of calls in virtual time: seconds on a busy machine.
describe.each(providers)('questions to %s', { timeout: 60_000 }, (provider) => {
  it.each(['throws', 'silent'] as const)(
    'whose worker dies each time (%s) end within a day, at a human, with the money still reserved',
    async (how) => {
      const { world, actionId } = await openLost(provider);
      let dead = 0;
      world.wire.broken = (path) => {
        if (!question.test(path) || paidCalls(world) === 0) return null;
        dead += 1;
        return how;
      };
      await pass(world, hours(25));
      const action = await actionOf(world, actionId);
      expect(action.state).toMatchObject({ name: 'parked', reason: 'cannot-verify', mayHaveBought: true });
      expect(action.money.reservedMinor).toBeGreaterThan(0);
      expect(dead).toBeGreaterThan(10);
      expect(dead).toBeLessThanOrEqual(200);
      const row = await loadAction(world.engines.table, actionId);
      expect(JSON.stringify(row?.value).length).toBeLessThan(64 * 1024);
      await pass(world, days(1));
      expect(world.simulator.orders()).toHaveLength(1);
      expect(paidCalls(world)).toBe(1);
    },
  );

  it('that can not be answered end within a day and are not asked faster than every ten minutes', async () => {
    const { world, actionId } = await openLost(provider);
    const fault = { kind: 'http-error', status: 503, commit: false } as const;
    world.simulator.faults.add({
      match: ({ path }) => question.test(path) && paidCalls(world) > 0,
      times: Number.POSITIVE_INFINITY,
      fault,
    });
    await pass(world, hours(26));
    const action = await actionOf(world, actionId);
    expect(action.state).toMatchObject({ name: 'parked', reason: 'cannot-verify', mayHaveBought: true });
    expect(action.verifications).toBeLessThanOrEqual(200);
    const parkedAfter = action.stateSince - action.createdAt;
    expect(parkedAfter).toBeLessThan(hours(25));
    await pass(world, hours(2));
    expect(paidCalls(world)).toBe(1);
  });

  it('go on after workers that died, and find the order', async () => {
    const { world, actionId } = await openLost(provider);
    world.wire.broken = (path) => (question.test(path) && paidCalls(world) > 0 ? 'throws' : null);
    await pass(world, minutes(20));
    expect((await actionOf(world, actionId)).state.name).toBe('verifying');
    world.wire.broken = () => null;
    await pass(world, minutes(40));
    expect((await actionOf(world, actionId)).state).toMatchObject({ name: 'succeeded', adopted: true });
    expect(paidCalls(world)).toBe(1);
  });
});

describe('a worker that dies in the paid call', () => {
  it('leaves an unknown outcome, which is looked up and adopted', async () => {
    const world = await openWorld();
    const actionId = await cause(world, lowDataEvent(world));
    world.wire.onArrival = async (path) => {
      if (!paid.test(path)) return;
      // The provider takes the order, and the worker is gone before its answer.
      world.wire.stallMs = (stalled) => (paid.test(stalled) ? days(30) : 0);
    };
    await pass(world, minutes(6));
    const action = await actionOf(world, actionId);
    expect(action.state).toMatchObject({ name: 'succeeded', adopted: true });
    expect(action.attemptLog[0]).toMatchObject({ kind: 'purchase', result: 'unknown' });
    expect(world.simulator.orders()).toHaveLength(1);
    expect(action.stateSince - now(world)).toBeLessThanOrEqual(0);
  });

  it('before it sends leaves an unknown outcome too, and buys only after its absence is proven', async () => {
    const world = await openWorld();
    const actionId = await cause(world, lowDataEvent(world));
    world.wire.broken = (path) => (paid.test(path) ? 'throws' : null);
    await pass(world, seconds(30));
    world.wire.broken = () => null;
    await pass(world, minutes(14));
    expect(paidCalls(world)).toBe(0);
    await pass(world, minutes(20));
    expect((await actionOf(world, actionId)).state).toMatchObject({ name: 'succeeded', adopted: false });
    expect(world.simulator.orders()).toHaveLength(1);
  });
});
