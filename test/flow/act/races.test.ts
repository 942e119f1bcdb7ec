import { describe, expect, it } from 'vitest';
import { act } from '../../../functions/act/act.ts';
import { topology } from '../../../infra/topology.ts';
import { type DurationMs, minutes, seconds } from '../../../shared/core/time.ts';
import type { Turns } from '../../../shared/platform/turns.ts';
import type { Table } from '../../../shared/store/table.ts';
import {
  actDeps,
  actionOf,
  cause,
  drainQueue,
  drive,
  expiredEvent,
  holdCsssOrder,
  openWorld,
  paid,
  paidCalls,
  pass,
  signed,
  sleep,
  unsigned,
  type World,
  wait,
} from './act-world.ts';

const csss = 'linksfield-csss';
const seeds = Array.from({ length: 60 }, (_, i) => i + 1);

/** Each read and write happens at a moment of its own, so that workers interleave at each of their awaits. */
function slowTable(world: World): Table {
  const { table } = world.engines;
  const later = async <T>(perform: () => Promise<T>): Promise<T> => {
    await pause(world);
    const result = await perform();
    await pause(world);
    return result;
  };
  return {
    get: (key) => later(() => table.get(key)),
    getMany: (keys) => later(() => table.getMany(keys)),
    write: (changes) => later(() => table.write(changes)),
    query: (...args) => later(() => table.query(...args)),
    close: () => table.close(),
  };
}

const pause = (world: World): Promise<void> => wait(world, world.random.integer(0, 25));

async function openRace(seed: number, proof = signed): Promise<{ world: World; actionId: string }> {
  const world = await openWorld(seed);
  holdCsssOrder(world, 1, 'ORDER_1', 'ended');
  const actionId = await cause(world, expiredEvent(world, 1, proof));
  await drainQueue(world, csss);
  world.table = slowTable(world);
  return { world, actionId };
}

const together = (world: World, actionId: string, workers: number): Promise<unknown> =>
  drive(
    world,
    Promise.allSettled(Array.from({ length: workers }, () => act(actionId, actDeps(world, csss)))),
  );

describe('workers with the same message at once', () => {
  it.each(seeds)('buy once, seed %i', async (seed) => {
    const { world, actionId } = await openRace(seed);
    await together(world, actionId, 2 + (seed % 3));
    await pass(world, minutes(2));
    expect(paidCalls(world)).toBe(1);
    expect((await actionOf(world, actionId)).state).toMatchObject({ name: 'succeeded', adopted: false });
    expect((await actionOf(world, actionId)).money).toMatchObject({ reservedMinor: 0, chargedMinor: 300 });
  });

  it.each(seeds)('buy once on a claim that has to be confirmed, seed %i', async (seed) => {
    const { world, actionId } = await openRace(seed, unsigned);
    await together(world, actionId, 2 + (seed % 2));
    await pass(world, minutes(2));
    expect(paidCalls(world)).toBe(1);
    expect((await actionOf(world, actionId)).state.name).toBe('succeeded');
  });

  it.each(seeds.slice(0, 30))('adopt a lost order once, seed %i', async (seed) => {
    const { world, actionId } = await openRace(seed);
    world.simulator.faults.add({ match: { path: paid }, fault: { kind: 'drop', commit: true } });
    await together(world, actionId, 1);
    await pass(world, 1);
    await drainQueue(world, csss);
    await sleep(world, seconds(25));
    await together(world, actionId, 3);
    await pass(world, minutes(5));
    const action = await actionOf(world, actionId);
    expect(action.state).toMatchObject({ name: 'succeeded', adopted: true });
    expect(action.ledger.map(({ kind }) => kind)).toEqual(['reserved', 'charged']);
    expect(paidCalls(world)).toBe(1);
  });
});

describe('a worker whose turn for the claim comes late', () => {
  it('claims nothing when the turns before it have used up its time, and leaves the action to the next one', async () => {
    const world = await openWorld(1);
    holdCsssOrder(world, 1, 'ORDER_1', 'ended');
    const actionId = await cause(world, expiredEvent(world));
    const deps = actDeps(world, csss);
    let left: DurationMs = topology.act.timeout;
    const inTurn: Turns = (work) => {
      left = seconds(5);
      return work();
    };
    await drive(world, act(actionId, { ...deps, inTurn, timeLeft: () => left }));
    expect(paidCalls(world)).toBe(0);
    expect(await actionOf(world, actionId)).toMatchObject({
      state: { name: 'planned' },
      attempts: 0,
      money: { reservedMinor: 0 },
    });
    await pass(world, minutes(2));
    expect(paidCalls(world)).toBe(1);
    expect((await actionOf(world, actionId)).state.name).toBe('succeeded');
  });
});
