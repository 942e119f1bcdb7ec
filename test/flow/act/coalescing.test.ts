import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { act } from '../../../functions/act/act.ts';
import { topology } from '../../../infra/topology.ts';
import type { Action } from '../../../shared/core/action.ts';
import { type DurationMs, days, hours, minutes, seconds } from '../../../shared/core/time.ts';
import type { Turns } from '../../../shared/platform/turns.ts';
import { loadHealth } from '../../../shared/store/control-store.ts';
import { StoreError } from '../../../shared/store/errors.ts';
import type { Fault } from '../../provider-simulator/faults.ts';
import {
  actDeps,
  actionOf,
  cause,
  changeProvider,
  changeRule,
  csssPlan,
  drainQueue,
  drive,
  expiredEvent,
  holdCsssOrder,
  now,
  openWorld,
  paidCalls,
  pass,
  simOf,
  sleep,
  stop,
  type World,
} from './act-world.ts';

const csss = 'linksfield-csss';
const ruleId = 'order-again-after-expiry';

/** A world whose rule lets four SIMs share a call, with so many actions planned at the same moment. */
async function openShop(sims: number, simsPerCall = 4): Promise<{ world: World; actionIds: string[] }> {
  const world = await openWorld();
  changeRule(world, ruleId, { simsPerCall });
  const actionIds: string[] = [];
  for (let n = 1; n <= sims; n++) {
    holdCsssOrder(world, n, `ORDER_${n}`, 'ended', days(40));
    actionIds.push(await cause(world, expiredEvent(world, n)));
  }
  return { world, actionIds };
}

const pools = { from: 'partition', pk: `PROVIDER#${csss}`, prefix: 'POOL#' } as const;
const batchPath = /batchOrderPackages$/;
const batchSchema = z.looseObject({ deviceList: z.array(z.string()) });

/** The bodies of the calls for several SIMs. */
const batchBodies = (world: World) =>
  world.sent
    .filter(({ path }) => batchPath.test(path))
    .map(({ bodyText }) => batchSchema.parse(JSON.parse(bodyText)));

const batches = (world: World) => batchBodies(world).map(({ deviceList }) => deviceList);

const actionsOf = (world: World, ids: readonly string[]): Promise<Action[]> =>
  Promise.all(ids.map((id) => actionOf(world, id)));

/** What the provider sold to a SIM since the world began. */
const boughtFor = (world: World, n: number): number =>
  world.simulator.books.purchases.filter(({ simId }) => simId === simOf(world, csss, n).simId).length;

function onBatch(world: World, fault: Fault, times = 1): void {
  world.simulator.faults.add({ match: ({ path }) => batchPath.test(path), times, fault });
}

const dueOf = ({ state }: Action): number => (state.name === 'planned' ? state.dueAt : 0);

const names = (actions: readonly Action[]): readonly string[] => actions.map(({ state }) => state.name);

describe('actions of one rule that are due together', () => {
  it('leave in one call, and each SIM has its own order, claim and charge', async () => {
    const { world, actionIds } = await openShop(4);
    await pass(world, minutes(1));
    const actions = await actionsOf(world, actionIds);
    expect(names(actions)).toEqual(['succeeded', 'succeeded', 'succeeded', 'succeeded']);
    expect(batches(world)).toHaveLength(1);
    expect(paidCalls(world)).toBe(1);
    const orders = actions.map(({ state }) => (state.name === 'succeeded' ? state.providerOrderId : null));
    expect(new Set(orders).size).toBe(4);
    for (const [i, action] of actions.entries()) {
      expect(boughtFor(world, i + 1)).toBe(1);
      expect(action).toMatchObject({ attempts: 1, fence: 1, money: { chargedMinor: 300, reservedMinor: 0 } });
    }
  });

  it('go by themselves where the rule does not ask for sharing', async () => {
    const { world, actionIds } = await openShop(4, 1);
    await pass(world, minutes(1));
    expect(names(await actionsOf(world, actionIds))).toEqual(Array(4).fill('succeeded'));
    expect(batches(world)).toHaveLength(0);
    expect(paidCalls(world)).toBe(4);
  });

  it('leave in calls of at most as many SIMs as one takes, and the rest a little later', async () => {
    const { world, actionIds } = await openShop(9);
    await pass(world, minutes(3));
    expect(names(await actionsOf(world, actionIds))).toEqual(Array(9).fill('succeeded'));
    expect(Math.max(...batches(world).map((sims) => sims.length))).toBe(4);
    expect(batches(world).flat()).toHaveLength(new Set(batches(world).flat()).size);
    for (let n = 1; n <= 9; n++) expect(boughtFor(world, n)).toBe(1);
  });

  it('go as a plain order when nobody else came', async () => {
    const { world, actionIds } = await openShop(1);
    await pass(world, seconds(20));
    expect(names(await actionsOf(world, actionIds))).toEqual(['succeeded']);
    expect(batches(world)).toHaveLength(0);
    expect(paidCalls(world)).toBe(1);
  });

  it('do not mix with those of another plan', async () => {
    const { world, actionIds } = await openShop(2);
    const rule = world.policy.rules.find((one) => one.ruleId === ruleId);
    changeRule(world, ruleId, { plan: { ...rule?.plan, payAmount: '2.50' } });
    for (const n of [3, 4]) {
      holdCsssOrder(world, n, `ORDER_${n}`, 'ended', days(40));
      actionIds.push(await cause(world, expiredEvent(world, n)));
    }
    await pass(world, minutes(1));
    expect(names(await actionsOf(world, actionIds))).toEqual(Array(4).fill('succeeded'));
    expect(batches(world).map((sims) => sims.length)).toEqual([2, 2]);
  });
});

describe('a call for several SIMs whose answer is lost', () => {
  it.each([
    ['a hang after it was carried out', { kind: 'hang', commit: true }],
    ['a dropped connection after it was carried out', { kind: 'drop', commit: true }],
    ['a 500 after it was carried out', { kind: 'http-error', status: 500, commit: true }],
    ['an unreadable answer', { kind: 'malformed-json', commit: true }],
  ] as const)('is looked up SIM by SIM and adopted: %s', async (_name, fault) => {
    const { world, actionIds } = await openShop(4);
    onBatch(world, fault);
    await pass(world, minutes(60));
    for (const { state } of await actionsOf(world, actionIds))
      expect(state).toMatchObject({ name: 'succeeded', adopted: true });
    expect(paidCalls(world)).toBe(1);
    for (let n = 1; n <= 4; n++) expect(boughtFor(world, n)).toBe(1);
  });

  it('is tried again SIM by SIM once each absence is proven, never together a second time', async () => {
    const { world, actionIds } = await openShop(4);
    onBatch(world, { kind: 'hang', commit: false });
    await pass(world, minutes(120));
    for (const action of await actionsOf(world, actionIds)) {
      expect(action.state).toMatchObject({ name: 'succeeded', adopted: false });
      expect(action.attempts).toBe(2);
    }
    expect(batches(world)).toHaveLength(1);
    expect(paidCalls(world)).toBe(5);
    for (let n = 1; n <= 4; n++) expect(boughtFor(world, n)).toBe(1);
  });

  it('leaves each SIM to its own verification when the worker dies before the answer', async () => {
    const { world, actionIds } = await openShop(4);
    world.wire.stallMs = (path) => (batchPath.test(path) ? minutes(5) : 0);
    await pass(world, minutes(4));
    world.wire.stallMs = () => 0;
    await pass(world, minutes(60));
    expect(names(await actionsOf(world, actionIds))).toEqual(Array(4).fill('succeeded'));
    expect(paidCalls(world)).toBe(1);
    for (let n = 1; n <= 4; n++) expect(boughtFor(world, n)).toBe(1);
  });
});

describe('a call for several SIMs', () => {
  it('is refused for one SIM and carried out for the others, as each row says', async () => {
    const { world, actionIds } = await openShop(4);
    const unfit = simOf(world, csss, 2);
    world.simulator.books.sims.delete(`${csss}/${unfit.simId}`);
    await pass(world, minutes(1));
    expect(names(await actionsOf(world, actionIds))).toEqual([
      'succeeded',
      'refused',
      'succeeded',
      'succeeded',
    ]);
    const refused = (await actionsOf(world, actionIds))[1];
    expect(refused?.money).toMatchObject({ reservedMinor: 0, chargedMinor: 0 });
  });

  it('that is refused as a whole proves nothing about any SIM: each is looked up and goes alone', async () => {
    const { world, actionIds } = await openShop(4);
    onBatch(world, { kind: 'refuse', code: '2001', message: 'device not found' });
    await pass(world, minutes(2));
    expect(new Set(names(await actionsOf(world, actionIds)))).toEqual(new Set(['unknown']));
    await pass(world, minutes(120));
    expect(names(await actionsOf(world, actionIds))).toEqual(Array(4).fill('succeeded'));
    expect(batches(world)).toHaveLength(1);
  });

  it('that an empty wallet ended half-way buys for nobody twice, and still counts against the account', async () => {
    const { world, actionIds } = await openShop(4);
    changeProvider(world, csss, { refusalsInARow: 1 });
    onBatch(world, { kind: 'error-body', code: '3001', message: 'balance is not enough', commit: true });
    await pass(world, minutes(120));
    for (const { state } of await actionsOf(world, actionIds))
      expect(state).toMatchObject({ name: 'succeeded', adopted: true });
    expect((await loadHealth(world.engines.table, csss)).value.stopped).toMatchObject({ code: '3001' });
    expect(paidCalls(world)).toBe(1);
    for (let n = 1; n <= 4; n++) expect(boughtFor(world, n)).toBe(1);
  });

  it('leaves with those that are claimed when the store fails at a further claim', async () => {
    const { world, actionIds } = await openShop(4);
    const [, , third = ''] = actionIds;
    const { table } = world.engines;
    world.table = {
      ...table,
      write: async (changes) => {
        const claims =
          changes.length > 2 && changes.some((one) => 'item' in one && one.item.pk.endsWith(third));
        if (claims && batches(world).length === 0) throw new StoreError('unavailable', 'throttled');
        return table.write(changes);
      },
    };
    await pass(world, minutes(3));
    expect(names(await actionsOf(world, actionIds))).toEqual(Array(4).fill('succeeded'));
    for (const { verifications } of await actionsOf(world, actionIds)) expect(verifications).toBe(0);
    for (let n = 1; n <= 4; n++) expect(boughtFor(world, n)).toBe(1);
  });

  it('is not shared by actions of a kind that the rule buys no more', async () => {
    const { world, actionIds } = await openShop(0);
    changeRule(world, ruleId, { action: 'renew', plan: { renewPeriod: 1 }, simsPerCall: 1 });
    for (const n of [1, 2]) {
      holdCsssOrder(world, n, `ORDER_${n}`, 'active', days(1));
      actionIds.push(await cause(world, expiredEvent(world, n)));
    }
    changeRule(world, ruleId, { action: 'order', simsPerCall: 4 });
    await pass(world, minutes(3));
    expect(names(await actionsOf(world, actionIds))).toEqual(['succeeded', 'succeeded']);
    expect(batches(world)).toHaveLength(0);
    for (const { verifications } of await actionsOf(world, actionIds)) expect(verifications).toBe(0);
  });

  it('is made also after the row of the pool was damaged', async () => {
    const { world, actionIds } = await openShop(1);
    await pass(world, seconds(1));
    const [pool] = (await world.engines.table.query(pools, { limit: 10, cursor: null })).items;
    if (pool === undefined) throw new Error('there is a pool');
    const damaged = { ...pool, data: { members: 'all' } };
    await world.engines.table.write([{ kind: 'replace', item: damaged, ifVersion: pool.version }]);
    await pass(world, minutes(2));
    expect(names(await actionsOf(world, actionIds))).toEqual(['succeeded']);
  });

  it('does not make later actions wait as long as one that found no slot for the day', async () => {
    const { world, actionIds } = await openShop(1);
    const [first = ''] = actionIds;
    await drainQueue(world, csss);
    const deps = actDeps(world, csss);
    const used = { ...deps, limits: { ...deps.limits, requestsPerDay: 1 } };
    await drive(world, act(first, used));
    await sleep(world, seconds(6));
    await drive(world, act(first, used));
    expect(dueOf(await actionOf(world, first))).toBeGreaterThan(now(world) + hours(1));
    // The operator has raised the limit.
    await drainQueue(world, csss);
    holdCsssOrder(world, 2, 'ORDER_2', 'ended', days(40));
    const second = await cause(world, expiredEvent(world, 2));
    await pass(world, minutes(5));
    expect(names([await actionOf(world, second)])).toEqual(['succeeded']);
  });

  it('asks nothing again that was asked just before, when too little time is left', async () => {
    const { world, actionIds } = await openShop(1);
    const [actionId = ''] = actionIds;
    await drainQueue(world, csss);
    const hurried = { ...actDeps(world, csss), timeLeft: () => seconds(5) };
    await drive(world, act(actionId, hurried));
    const asked = world.sent.length;
    await pass(world, minutes(1));
    expect(names(await actionsOf(world, actionIds))).toEqual(['succeeded']);
    expect([asked, world.sent.length - paidCalls(world)]).toEqual([1, 1]);
  });

  it('is not made when the turns before it have used up the time, and loses no SIM', async () => {
    const { world, actionIds } = await openShop(3);
    let left: DurationMs = topology.act.timeout;
    for (const actionId of actionIds) {
      const inTurn: Turns = (work) => {
        left = seconds(5);
        return work();
      };
      left = topology.act.timeout;
      await drive(world, act(actionId, { ...actDeps(world, csss), inTurn, timeLeft: () => left }));
      await sleep(world, seconds(3));
    }
    expect(paidCalls(world)).toBe(0);
    await pass(world, minutes(2));
    expect(names(await actionsOf(world, actionIds))).toEqual(['succeeded', 'succeeded', 'succeeded']);
    for (let n = 1; n <= 3; n++) expect(boughtFor(world, n)).toBe(1);
  });

  it('comes back within seconds when no claim was made in time', async () => {
    const { world, actionIds } = await openShop(1);
    const slowly: Turns = async (work) => {
      const done = await work();
      await sleep(world, seconds(3));
      return done;
    };
    for (let round = 0; round < 2; round++) {
      await drainQueue(world, csss);
      await drive(world, act(actionIds[0] ?? '', { ...actDeps(world, csss), inTurn: slowly }));
      await sleep(world, seconds(6));
    }
    expect(paidCalls(world)).toBe(0);
    expect(world.logged.at(-1)?.fields).toMatchObject({ why: 'no claim was made in time' });
    expect(await world.actions.get(csss)?.receive(10)).toHaveLength(1);
  });

  it('that the rate limit turned away frees every SIM at once', async () => {
    const { world, actionIds } = await openShop(4);
    onBatch(world, { kind: 'rate-limit', retryAfterSec: 5 });
    await pass(world, minutes(10));
    for (const action of await actionsOf(world, actionIds)) {
      expect(action.state.name).toBe('succeeded');
      expect(action.verifications).toBe(0);
    }
    for (let n = 1; n <= 4; n++) expect(boughtFor(world, n)).toBe(1);
  });

  it('leaves out a SIM for which no cap has room', async () => {
    const { world, actionIds } = await openShop(4);
    changeProvider(world, csss, { caps: { dayMinor: 900, monthMinor: null } });
    await pass(world, minutes(1));
    const states = names(await actionsOf(world, actionIds));
    expect(states.filter((name) => name === 'succeeded')).toHaveLength(3);
    expect(states.filter((name) => name === 'parked')).toHaveLength(1);
    expect(batches(world).map((sims) => sims.length)).toEqual([3]);
  });

  it('waits while the operator has stopped everything', async () => {
    const { world, actionIds } = await openShop(3);
    await pass(world, seconds(2));
    await stop(world, true);
    await pass(world, minutes(3));
    expect(paidCalls(world)).toBe(0);
    await stop(world, false);
    await pass(world, minutes(3));
    expect(names(await actionsOf(world, actionIds))).toEqual(Array(3).fill('succeeded'));
  });

  it('buys once for each SIM when many workers lead at once', async () => {
    const { world, actionIds } = await openShop(6);
    await drainQueue(world, csss);
    for (let round = 0; round < 4; round++) {
      const workers = [...actionIds, ...actionIds].map((id) => act(id, actDeps(world, csss)));
      await drive(world, Promise.allSettled(workers));
      await pass(world, seconds(7));
    }
    await pass(world, minutes(5));
    expect(names(await actionsOf(world, actionIds))).toEqual(Array(6).fill('succeeded'));
    for (let n = 1; n <= 6; n++) expect(boughtFor(world, n)).toBe(1);
  });

  it('names the plan of the rule', async () => {
    const { world } = await openShop(4);
    await pass(world, minutes(1));
    expect(batchBodies(world)).toMatchObject([{ package_code: csssPlan, pay_amount: '3.00' }]);
  });
});

describe('orders without a look before them', () => {
  const spared = { lookBeforeOrder: false, zoneOffsetMinutes: 480 };

  it('leave in one request for all SIMs', async () => {
    const { world, actionIds } = await openShop(4);
    world.csssSettings = spared;
    await pass(world, minutes(1));
    expect(names(await actionsOf(world, actionIds))).toEqual(Array(4).fill('succeeded'));
    expect(world.sent).toHaveLength(1);
  });

  it('are told from older ones by their time when the answer is lost', async () => {
    const { world, actionIds } = await openShop(4);
    world.csssSettings = spared;
    onBatch(world, { kind: 'hang', commit: true });
    await pass(world, minutes(60));
    for (const { state } of await actionsOf(world, actionIds))
      expect(state).toMatchObject({ name: 'succeeded', adopted: true });
    for (let n = 1; n <= 4; n++) expect(boughtFor(world, n)).toBe(1);
  });

  it('park instead of buying twice when the stage names the wrong zone', async () => {
    const { world, actionIds } = await openShop(4);
    world.csssSettings = { ...spared, zoneOffsetMinutes: 0 };
    onBatch(world, { kind: 'hang', commit: true });
    await pass(world, minutes(120));
    for (const { state } of await actionsOf(world, actionIds))
      expect(state).toMatchObject({ name: 'parked', reason: 'several-candidates', mayHaveBought: true });
    for (let n = 1; n <= 4; n++) expect(boughtFor(world, n)).toBe(1);
  });
});

describe('many actions at once', () => {
  // Found by a bench: questions that our own gate held back came again up to minutes after their promised slot.
  it('use four fifths of the requests that the provider allows', async () => {
    const { world, actionIds } = await openShop(200, 1);
    changeProvider(world, csss, { caps: { dayMinor: null, monthMinor: null } });
    const begun = world.scheduler.now();
    await pass(world, minutes(5));
    const { purchases } = world.simulator.books;
    expect(purchases).toHaveLength(actionIds.length);
    // A look and a purchase each, eight requests a second (README, D7).
    const best = (2 * actionIds.length * 1_000) / 8;
    expect(Math.max(...purchases.map(({ at }) => at)) - begun).toBeLessThan(best / 0.8);
  });
});
