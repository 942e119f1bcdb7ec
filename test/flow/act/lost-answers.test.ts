import { describe, expect, it } from 'vitest';
import { act } from '../../../functions/act/act.ts';
import { hours, minutes, seconds } from '../../../shared/core/time.ts';
import {
  actDeps,
  actionOf,
  cause,
  drainQueue,
  drive,
  expiredEvent,
  holdCsssOrder,
  lowDataEvent,
  openWorld,
  paid,
  paidCalls,
  pass,
  sleep,
  stop,
  type World,
} from './act-world.ts';

const csss = 'linksfield-csss';

const lose = (world: World, provider: 'eiotclub' | 'linksfield-csss', afterMs: number): void =>
  void world.simulator.faults.add({
    match: { provider, path: paid },
    fault: { kind: 'commit-late', afterMs, answer: 'hang' },
  });

/** A verified claim on a SIM whose old order is over. */
async function openCsss(): Promise<{ readonly world: World; readonly actionId: string }> {
  const world = await openWorld();
  holdCsssOrder(world, 1, 'ORDER_1', 'ended');
  return { world, actionId: await cause(world, expiredEvent(world)) };
}

describe('an order whose answer was lost', () => {
  it('is adopted after a wait, when it came into the records only after its absence was proven', async () => {
    const { world, actionId } = await openCsss();
    lose(world, csss, hours(2));
    await pass(world, seconds(30));
    expect((await actionOf(world, actionId)).state.name).toBe('unknown');
    await stop(world, true);

    await pass(world, hours(1.5));
    const waiting = await actionOf(world, actionId);
    expect(waiting.state.name).toBe('planned');
    expect(waiting.ledger.map(({ kind }) => kind)).toEqual(['reserved', 'released']);
    await pass(world, hours(1.5));
    expect(paidCalls(world)).toBe(1);

    await stop(world, false);
    await pass(world, minutes(5));
    const [order, ...more] = world.simulator.orders();
    expect(more).toEqual([]);
    const { state, money } = await actionOf(world, actionId);
    expect(state).toEqual({ name: 'succeeded', providerOrderId: order?.orderId, adopted: true });
    expect(money).toMatchObject({ reservedMinor: 0, chargedMinor: 300 });
    expect(paidCalls(world)).toBe(1);
  });

  it('is adopted by its first question when it is in the records at once', async () => {
    const { world, actionId } = await openCsss();
    lose(world, csss, 0);
    await pass(world, minutes(3));
    expect((await actionOf(world, actionId)).state).toMatchObject({ name: 'succeeded', adopted: true });
    expect(paidCalls(world)).toBe(1);
  });

  it('is bought once more only after the time in which it could still be committed', async () => {
    const { world, actionId } = await openCsss();
    world.simulator.faults.add({ match: { path: paid }, fault: { kind: 'hang', commit: false } });
    await pass(world, minutes(40));
    expect(paidCalls(world)).toBe(1);
    await pass(world, minutes(20));
    expect(world.simulator.orders()).toHaveLength(1);
    expect((await actionOf(world, actionId)).state).toMatchObject({ name: 'succeeded', adopted: false });
  });

  it('keeps the SIM and its question when the last look before a further call fails', async () => {
    const { world, actionId } = await openCsss();
    lose(world, csss, hours(2));
    await pass(world, seconds(30));
    await stop(world, true);
    await pass(world, hours(2.5));
    await stop(world, false);
    // The question before the claim is answered, the one about the earlier request is not.
    let questions = 0;
    world.simulator.faults.add({
      match: ({ path }) => path.endsWith('/queryOrder') && ++questions > 1 && questions < 6,
      times: Number.POSITIVE_INFINITY,
      fault: { kind: 'http-error', status: 503, commit: false },
    });
    await pass(world, minutes(45));
    expect(questions).toBeGreaterThan(5);
    expect((await actionOf(world, actionId)).state).toMatchObject({ name: 'succeeded', adopted: true });
    expect(paidCalls(world)).toBe(1);
  });
});

describe("a human's own order at the provider", () => {
  it('is never taken for ours when it was placed after a certain refusal and before a lost try', async () => {
    const { world, actionId } = await openCsss();
    world.simulator.setBalance(csss, 0);
    await pass(world, minutes(1));
    const refused = await actionOf(world, actionId);
    expect(refused).toMatchObject({ state: { name: 'planned' }, attempts: 1, sentWindow: null });

    world.simulator.setBalance(csss, 1_000_000);
    holdCsssOrder(world, 1, 'ORDER_OF_A_HUMAN', 'active');
    world.simulator.faults.add({ match: { path: paid }, fault: { kind: 'hang', commit: false } });
    await pass(world, minutes(25));
    expect(paidCalls(world)).toBe(2);
    expect(JSON.stringify((await actionOf(world, actionId)).baseline)).toContain('ORDER_OF_A_HUMAN');

    await pass(world, hours(1));
    const [order, ...more] = world.simulator.orders();
    expect(more).toEqual([]);
    expect((await actionOf(world, actionId)).state).toEqual({
      name: 'succeeded',
      providerOrderId: order?.orderId,
      adopted: false,
    });
    expect(order?.orderId).not.toBe('ORDER_OF_A_HUMAN');
    expect(paidCalls(world)).toBe(3);
  });

  it('beside our own lost order leaves the choice to a human', async () => {
    const { world, actionId } = await openCsss();
    lose(world, csss, 0);
    world.wire.onArrival = async (path) => {
      if (paid.test(path)) holdCsssOrder(world, 1, 'ORDER_OF_A_HUMAN', 'active');
    };
    await pass(world, minutes(3));
    const { state, money } = await actionOf(world, actionId);
    expect(state).toMatchObject({ name: 'parked', reason: 'several-candidates', mayHaveBought: true });
    expect(money.reservedMinor).toBe(300);
    expect(paidCalls(world)).toBe(1);
  });
});

describe('an answer that is read after the lease ran out', () => {
  const stalls = (world: World, ms: number): void => {
    world.wire.stallMs = (path) => (paid.test(path) ? ms : 0);
  };

  /** A worker that freezes between the provider's answer and reading it. */
  async function openFrozen(
    ms: number,
  ): Promise<{ readonly world: World; readonly actionId: string; readonly worker: Promise<void> }> {
    const world = await openWorld();
    const actionId = await cause(world, lowDataEvent(world));
    await drainQueue(world, 'eiotclub');
    stalls(world, ms);
    const worker = act(actionId, actDeps(world, 'eiotclub'));
    await sleep(world, seconds(1));
    expect(paidCalls(world)).toBe(1);
    return { world, actionId, worker };
  }

  it('is written when nobody has looked at the action since', async () => {
    const { world, actionId, worker } = await openFrozen(seconds(200));
    await drive(world, worker);
    expect((await actionOf(world, actionId)).state).toMatchObject({ name: 'succeeded', adopted: false });
    expect(world.simulator.orders()).toHaveLength(1);
  });

  it('is written when the action is unknown already and nobody has asked the provider', async () => {
    const { world, actionId, worker } = await openFrozen(seconds(100));
    await sleep(world, seconds(95));
    await drive(world, act(actionId, actDeps(world, 'eiotclub')));
    expect((await actionOf(world, actionId)).state.name).toBe('unknown');
    await drive(world, worker);
    expect((await actionOf(world, actionId)).state).toMatchObject({ name: 'succeeded', adopted: false });
    expect((await actionOf(world, actionId)).fence).toBe(1);
    const [attempt, ...more] = (await actionOf(world, actionId)).attemptLog;
    expect(attempt).toMatchObject({ result: 'succeeded', detail: world.simulator.orders()[0]?.orderId });
    expect(more).toEqual([]);
  });

  it('is written as a refusal when nobody has asked the provider', async () => {
    const world = await openWorld();
    const actionId = await cause(world, lowDataEvent(world));
    stalls(world, seconds(100));
    const fault = { kind: 'refuse', code: '41028', message: 'card does not have this package' } as const;
    world.simulator.faults.add({ match: { path: paid }, fault });
    const worker = act(actionId, actDeps(world, 'eiotclub'));
    await sleep(world, seconds(95));
    await drive(world, act(actionId, actDeps(world, 'eiotclub')));
    await drive(world, worker);
    expect((await actionOf(world, actionId)).state).toMatchObject({ name: 'refused', code: '41028' });
    expect((await actionOf(world, actionId)).money.reservedMinor).toBe(0);
  });

  it('is not written once a question has begun, whose answer decides', async () => {
    const { world, actionId, worker } = await openFrozen(minutes(5));
    // The records can't be read before the frozen worker wakes: the question is open then.
    world.simulator.faults.add({
      match: ({ path }) => /getOrderPackageDetails|packageOrderRecord/.test(path),
      times: 30,
      fault: { kind: 'http-error', status: 503, commit: false },
    });
    await pass(world, minutes(4.5));
    const asked = await actionOf(world, actionId);
    expect(asked.state.name).toBe('unknown');
    expect(asked.fence).toBeGreaterThan(1);
    await drive(world, worker);
    expect((await actionOf(world, actionId)).state.name).toBe('unknown');
    expect(world.logged.map(({ message }) => message)).toContain(
      'late answer not written, the provider will be asked',
    );
    await pass(world, hours(2));
    const done = await actionOf(world, actionId);
    expect(done.state).toMatchObject({ name: 'succeeded', adopted: true });
    expect(done.money).toMatchObject({ reservedMinor: 0, chargedMinor: 500 });
    expect(paidCalls(world)).toBe(1);
  });
});
