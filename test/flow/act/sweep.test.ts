import { describe, expect, it } from 'vitest';
import type { SweepResult } from '../../../functions/sweep/sweep.ts';
import { hours, minutes, seconds } from '../../../shared/core/time.ts';
import { parseWorkItem } from '../../../shared/queue/work-item.ts';
import type { WorkQueue } from '../../../shared/queue/work-queue.ts';
import { eventGrace } from '../../../shared/store/event-store.ts';
import { actionKey, dueActions, dueEvents, eventKey, shards } from '../../../shared/store/item-layout.ts';
import { record } from '../../unit/store/store-world.ts';
import {
  actionOf,
  cause,
  drainQueue,
  expiredEvent,
  holdCsssOrder,
  lowDataEvent,
  now,
  openWorld,
  type ProviderName,
  pass,
  sleep,
  sweepNow,
  type World,
} from './act-world.ts';

const idsIn = async (queue: WorkQueue | undefined): Promise<readonly string[]> =>
  ((await queue?.receive(10)) ?? []).map(({ body }) => {
    const parsed = parseWorkItem(body);
    return parsed.ok ? parsed.item.id : parsed.detail;
  });

const refusing = (queue: WorkQueue): WorkQueue => ({
  ...queue,
  send: async () => {
    throw new Error('the queue is down');
  },
});

/** An action of each provider, planned, whose message was lost. */
async function openTwo(): Promise<{ readonly world: World; readonly ids: Record<ProviderName, string> }> {
  const world = await openWorld();
  holdCsssOrder(world, 1, 'ORDER_1', 'ended');
  const ids = {
    eiotclub: await cause(world, lowDataEvent(world)),
    'linksfield-csss': await cause(world, expiredEvent(world)),
  };
  for (const provider of ['eiotclub', 'linksfield-csss'] as const) await drainQueue(world, provider);
  await sleep(world, minutes(1));
  return { world, ids };
}

/** A row in the due index that no version of the program can read. */
async function corrupt(world: World, kind: 'event' | 'action', shard: number): Promise<void> {
  const id = `${kind === 'event' ? 'evt' : 'act'}_${'0'.repeat(31)}${shard}`;
  const key = kind === 'event' ? eventKey(id) : actionKey(id);
  const pk = kind === 'event' ? dueEvents(shard) : dueActions('eiotclub', shard);
  const at = now(world) - minutes(10);
  const item = { ...key, data: { nonsense: true }, indexes: { due: { pk, at } }, expiresAtSec: null };
  expect((await world.engines.table.write([{ kind: 'insert', item }])).ok).toBe(true);
}

describe('the sweep', () => {
  it('reports an event that nobody decided with its true age, at each time that it looks after it', async () => {
    const world = await openWorld();
    const fact = lowDataEvent(world);
    await record(world.engines.table, fact);
    const found: { readonly at: number; readonly result: SweepResult }[] = [];
    for (let minute = 0; minute < 180; minute++) {
      await sleep(world, minutes(1));
      const result = await sweepNow(world);
      if (result.events > 0) found.push({ at: now(world), result });
    }
    expect(found.length).toBeGreaterThan(5);
    for (const { at, result } of found) expect(result.oldestMs).toBe(at - fact.receivedAt - eventGrace);
    expect(found.at(-1)?.result.oldestMs).toBeGreaterThan(hours(2.4));
    expect(await idsIn(world.engines.events)).toContain(fact.eventId);
  });

  it('leaves an action to its own message at first: in the same moment it would only cost the worker its write', async () => {
    const world = await openWorld();
    const actionId = await cause(world, lowDataEvent(world));
    expect((await sweepNow(world)).actions).toBe(0);
    await sleep(world, seconds(14));
    expect((await sweepNow(world)).actions).toBe(0);
    await sleep(world, seconds(1));
    expect((await sweepNow(world)).actions).toBe(1);
    expect(await idsIn(world.engines.actions.get('eiotclub'))).toEqual([actionId, actionId]);
  });

  it('reports an action that nobody works on with its true age', async () => {
    const { world, ids } = await openTwo();
    const { createdAt } = await actionOf(world, ids.eiotclub);
    let oldest = 0;
    for (let minute = 0; minute < 180; minute++) {
      await sleep(world, minutes(1));
      const result = await sweepNow(world);
      if (result.actions > 0) expect(result.oldestMs).toBe(now(world) - createdAt);
      oldest = Math.max(oldest, result.oldestMs);
    }
    expect(oldest).toBeGreaterThan(hours(2.4));
  });

  it('finds work whose message was lost, and the purchase is made', async () => {
    const { world, ids } = await openTwo();
    await pass(world, minutes(2));
    for (const id of Object.values(ids)) expect((await actionOf(world, id)).state.name).toBe('succeeded');
    expect(world.simulator.orders()).toHaveLength(2);
  });

  it('goes on past rows that can not be read, and names them in an error line', async () => {
    const { world, ids } = await openTwo();
    const fact = lowDataEvent(world, 2);
    await record(world.engines.table, fact);
    await sleep(world, minutes(20));
    for (const shard of shards) {
      await corrupt(world, 'event', shard);
      await corrupt(world, 'action', shard);
    }
    const result = await sweepNow(world);
    expect(result).toMatchObject({ events: 1, actions: 2 });
    expect(await idsIn(world.engines.events)).toEqual([fact.eventId]);
    expect(await idsIn(world.actions.get('eiotclub'))).toEqual([ids.eiotclub]);
    expect(await idsIn(world.actions.get('linksfield-csss'))).toEqual([ids['linksfield-csss']]);
    const errors = world.logged.filter(({ level }) => level === 'error');
    expect(errors).toHaveLength(2 * shards.length);
    expect(errors.map(({ fields }) => fields.key)).toContain(`EVENT#evt_${'0'.repeat(32)} EVENT`);
  });

  it.each(['eiotclub', 'linksfield-csss'] as const)(
    'serves the other provider while the queue of %s fails, says so, and catches up after it',
    async (broken) => {
      const { world, ids } = await openTwo();
      const other = broken === 'eiotclub' ? 'linksfield-csss' : 'eiotclub';
      const queue = world.actions.get(broken);
      if (queue === undefined) throw new Error(`no queue of ${broken}`);
      world.actions.set(broken, refusing(queue));
      await expect(sweepNow(world)).rejects.toThrow('a part of the sweep failed');
      expect(await idsIn(world.actions.get(other))).toEqual([ids[other]]);
      expect(world.logged.filter(({ level }) => level === 'error')).toHaveLength(1);

      world.actions.set(broken, queue);
      await sleep(world, seconds(60));
      await sweepNow(world);
      expect(await idsIn(queue)).toEqual([ids[broken]]);
    },
  );

  it('serves the actions while the queue of the events fails', async () => {
    const { world, ids } = await openTwo();
    await record(world.engines.table, lowDataEvent(world, 2));
    await sleep(world, minutes(3));
    const events = refusing(world.engines.events);
    const failing = { ...world, engines: { ...world.engines, events } };
    await expect(sweepNow(failing)).rejects.toThrow('a part of the sweep failed');
    expect(await idsIn(world.actions.get('eiotclub'))).toEqual([ids.eiotclub]);
    expect(await idsIn(world.engines.events)).toEqual([]);
  });

  it('does not put the same undone work into the queue each minute', async () => {
    const { world } = await openTwo();
    let sent = 0;
    for (let minute = 0; minute < 180; minute++) {
      await sleep(world, minutes(1));
      sent += (await sweepNow(world)).actions;
    }
    expect(sent).toBeLessThanOrEqual(2 * 11);
    expect(sent).toBeGreaterThanOrEqual(2 * 7);
  });
});
