import { describe, expect, it } from 'vitest';
import { hours, minutes, seconds, utcDay } from '../../../shared/core/time.ts';
import { loadAction, loadCapSums } from '../../../shared/store/action-store.ts';
import { loadHealth } from '../../../shared/store/control-store.ts';
import { loadSim } from '../../../shared/store/event-store.ts';
import {
  actionOf,
  cause,
  changeProvider,
  expiredEvent,
  holdCsssOrder,
  lowDataEvent,
  now,
  openWorld,
  paid,
  paidCalls,
  pass,
  simOf,
  type World,
} from './act-world.ts';

const five = [1, 2, 3, 4, 5];

async function openStrict(): Promise<World> {
  const world = await openWorld();
  changeProvider(world, 'eiotclub', { refusalsInARow: 5 });
  return world;
}

const stoppedLines = (world: World, level: string): number =>
  world.logged.filter((line) => line.level === level && line.message.startsWith('provider st')).length;

describe('refusals in a row', () => {
  it('of single SIMs do not stop the provider', async () => {
    const world = await openStrict();
    const fault = { kind: 'refuse', code: '41028', message: 'card does not have this package' } as const;
    world.simulator.faults.add({ match: { path: paid }, times: 5, fault });
    const ids = [];
    for (const n of five) ids.push(await cause(world, lowDataEvent(world, n)));
    await pass(world, minutes(2));
    for (const id of ids) expect((await actionOf(world, id)).state.name).toBe('refused');

    await cause(world, lowDataEvent(world, 6));
    await pass(world, minutes(1));
    expect(world.simulator.orders()).toHaveLength(1);
    const health = await loadHealth(world.engines.table, 'eiotclub');
    expect(health.value).toMatchObject({ refusalsInARow: 0, stopped: null });
    expect(stoppedLines(world, 'error')).toBe(0);
  });

  it('of the whole account are counted anew after an answer about one SIM', async () => {
    const world = await openStrict();
    world.simulator.setBalance('eiotclub', 0);
    for (const n of [1, 2, 3, 4]) await cause(world, lowDataEvent(world, n));
    await pass(world, minutes(1));
    const fault = { kind: 'refuse', code: '41028', message: 'card does not have this package' } as const;
    world.simulator.faults.add({ match: { path: paid }, fault });
    await cause(world, lowDataEvent(world, 5));
    await pass(world, minutes(1));
    expect((await loadHealth(world.engines.table, 'eiotclub')).value.refusalsInARow).toBe(0);
  });

  it('for an empty wallet stop all calls with one error line, and a success after half an hour opens them', async () => {
    const world = await openStrict();
    world.simulator.setBalance('eiotclub', 0);
    const ids = [];
    for (const n of five) ids.push(await cause(world, lowDataEvent(world, n)));
    await pass(world, minutes(1));
    expect(paidCalls(world)).toBe(5);
    expect(stoppedLines(world, 'error')).toBe(1);
    const health = await loadHealth(world.engines.table, 'eiotclub');
    expect(health.value.stopped).toMatchObject({ code: '45112' });

    const other = await cause(world, lowDataEvent(world, 6));
    await pass(world, minutes(28));
    expect(paidCalls(world)).toBe(5);
    expect((await actionOf(world, other)).state.name).toBe('planned');

    world.simulator.setBalance('eiotclub', 1_000_000);
    await pass(world, minutes(25));
    expect(world.simulator.orders()).toHaveLength(6);
    expect((await loadHealth(world.engines.table, 'eiotclub')).value).toMatchObject({
      refusalsInARow: 0,
      stopped: null,
    });
    expect(stoppedLines(world, 'error')).toBe(1);
    for (const id of [...ids, other])
      expect(await actionOf(world, id)).toMatchObject({ state: { name: 'succeeded' }, attemptsBurned: 0 });
  });

  it('that go on are probed each half hour with a single call', async () => {
    const world = await openStrict();
    world.simulator.setBalance('eiotclub', 0);
    for (const n of five) await cause(world, lowDataEvent(world, n));
    await pass(world, hours(4));
    const probes = paidCalls(world) - 5;
    expect(probes).toBeGreaterThanOrEqual(6);
    expect(probes).toBeLessThanOrEqual(8);
    expect(stoppedLines(world, 'error')).toBe(1);
    expect(stoppedLines(world, 'warn')).toBe(probes);
  });
});

// Hundreds of calls in virtual time: seconds on a busy machine.
describe.each(['eiotclub', 'linksfield-csss'] as const)(
  'a rate limit of %s',
  { timeout: 60_000 },
  (provider) => {
    async function openLimited(): Promise<{ readonly world: World; readonly actionId: string }> {
      const world = await openWorld();
      changeProvider(world, provider, { purchasesPerHour: 1 });
      for (const n of [1, 2]) holdCsssOrder(world, n, `ORDER_${n}`, 'ended');
      const { simId } = simOf(world, provider);
      world.simulator.faults.add({
        match: ({ path, bodyText }) => paid.test(path) && bodyText.includes(simId),
        times: Number.POSITIVE_INFINITY,
        fault: { kind: 'rate-limit', retryAfterSec: null },
      });
      return { world, actionId: await cause(world, causeOf(world, 1)) };
    }
    const causeOf = (world: World, n: number) =>
      provider === 'eiotclub' ? lowDataEvent(world, n) : expiredEvent(world, n);

    it('for an hour is tried with growing pauses and takes nothing from the hour', async () => {
      const { world, actionId } = await openLimited();
      await pass(world, minutes(58));
      const action = await actionOf(world, actionId);
      expect(action).toMatchObject({ state: { name: 'planned' }, attemptsBurned: 0, sentWindow: null });
      expect(action.attempts).toBe(paidCalls(world));
      expect(action.attempts).toBeGreaterThan(8);
      expect(action.attempts).toBeLessThan(40);
      const starts = action.attemptLog.map(({ startedAt }) => startedAt);
      const span = (from: number, to: number): number => (starts.at(to) ?? 0) - (starts.at(from) ?? 0);
      expect(span(-4, -1)).toBeGreaterThan(5 * span(0, 3));
      const sums = await loadCapSums(world.engines.table, provider, utcDay(now(world)));
      expect(sums).toMatchObject({ total: 0, 'hour:12': 0 });

      const other = await cause(world, causeOf(world, 2));
      await pass(world, seconds(45));
      expect((await actionOf(world, other)).state.name).toBe('succeeded');
      expect(world.simulator.orders()).toHaveLength(1);
    });

    it('without an end is given up after a hundred tries, and the stored item stays small', async () => {
      const { world, actionId } = await openLimited();
      await pass(world, hours(20));
      const action = await actionOf(world, actionId);
      expect(action.state).toEqual({
        name: 'parked',
        reason: 'attempts-exhausted',
        detail: '100 tries of any kind',
        mayHaveBought: false,
      });
      expect(paidCalls(world)).toBe(100);
      const row = await loadAction(world.engines.table, actionId);
      expect(JSON.stringify(row?.value).length).toBeLessThan(64 * 1024);
      const sim = await loadSim(world.engines.table, action.subject.key);
      expect(sim.value).toMatchObject({ openActionId: null, claimedAt: [] });
      expect(world.simulator.orders()).toEqual([]);
    });
  },
);
