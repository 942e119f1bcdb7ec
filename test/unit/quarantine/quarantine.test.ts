import { describe, expect, it } from 'vitest';
import { admit } from '../../../functions/receive/admit.ts';
import { days, hours, minutes } from '../../../shared/core/time.ts';
import { loadEvent } from '../../../shared/store/event-store.ts';
import { quarantinedKey, quarantineHourKey } from '../../../shared/store/item-layout.ts';
import { loadQuarantined, openQuarantine, quarantineLimits } from '../../../shared/store/quarantine-store.ts';
import { alert, receiving, start } from './receiving.ts';

describe('a callback that is refused with 401', () => {
  it('is kept with its bytes, its evidence headers, the reason and the time, for 14 days', async () => {
    const world = receiving();
    const body = JSON.stringify(alert(1, 'wrong-secret', start));

    expect((await world.post(body)).statusCode).toBe(401);

    const [row, ...others] = await world.kept();
    expect(others).toEqual([]);
    expect(row).toMatchObject({
      provider: 'eiotclub',
      reason: 'wrong-signature',
      receivedAt: start,
      admitted: null,
    });
    expect(Buffer.from(row?.evidence.body ?? []).toString()).toBe(body);
    expect(row?.evidence.headers).toEqual({ 'content-type': 'application/json' });
    const item = await world.table.get(quarantinedKey(row?.quarantineId ?? ''));
    expect(item?.expiresAtSec).toBe((start + days(14)) / 1000);
  });

  it('is kept when its time is stale and when it has no signature', async () => {
    const world = receiving();
    await world.post(alert(1, 'right-secret', start));
    world.advance(days(4));
    expect((await world.post(alert(2, 'right-secret', start))).statusCode).toBe(401);
    world.advance(minutes(1));
    expect((await world.post({ devices: [] }, 'linksfield-csss')).statusCode).toBe(401);

    expect((await world.kept()).map((row) => row.reason)).toEqual(['stale-timestamp']);
    expect((await world.kept('linksfield-csss')).map((row) => row.reason)).toEqual(['missing-signature']);
  });

  it('is kept once however often it is delivered', async () => {
    const world = receiving();
    for (let i = 0; i < 5; i++) await world.post(alert(1, 'wrong-secret', start));
    expect(await world.kept()).toHaveLength(1);
    expect(world.table.writes.filter(({ result }) => !result.ok)).toEqual([]);
  });

  it('is not kept when it came with a wrong path token or to an unknown path', async () => {
    const world = receiving();
    expect((await world.post(alert(1, 'wrong-secret', start), 'eiotclub', 'guessed')).statusCode).toBe(404);
    expect((await world.post(alert(1, 'wrong-secret', start), 'nobody')).statusCode).toBe(404);
    expect(world.table.writes).toEqual([]);
  });

  it('is not kept when its body is longer than 16 KiB', async () => {
    const world = receiving();
    const long = alert(1, 'wrong-secret', start, { filler: 'x'.repeat(quarantineLimits.bodyBytesMax) });
    expect((await world.post(long)).statusCode).toBe(401);
    expect(world.table.writes).toEqual([]);
  });

  it('gets the same 401 while the store is down, which is then left alone for a minute', async () => {
    const world = receiving();
    world.table.down = true;
    const answer = await world.post(alert(1, 'wrong-secret', start));
    expect(answer).toEqual({ statusCode: 401, headers: {}, body: '' });
    expect(world.notices.at(-1)).toMatchObject({ status: 401, reason: 'wrong-signature' });

    world.table.down = false;
    await world.post(alert(2, 'wrong-secret', start));
    expect(await world.kept()).toEqual([]);
    world.advance(minutes(1));
    await world.post(alert(3, 'wrong-secret', world.now()));
    expect(await world.kept()).toHaveLength(1);
  });

  it('never shows its bytes or headers in the log', async () => {
    const world = receiving();
    await world.post(alert(1, 'wrong-secret', start));
    expect(JSON.stringify(world.logged)).not.toMatch(/89852000263320817044|secret-of-someone/);
  });
});

describe('a flood of forged callbacks', () => {
  it('fills the hour up to its bound and then costs one refused write in that hour', async () => {
    const world = receiving();
    for (let i = 0; i < quarantineLimits.perHourMax + 500; i++) {
      expect((await world.post(alert(i, 'wrong-secret', start))).statusCode).toBe(401);
    }
    expect(await world.kept()).toHaveLength(quarantineLimits.perHourMax);
    expect(world.table.writes.filter(({ result }) => !result.ok)).toHaveLength(1);

    world.advance(hours(1));
    await world.post(alert(9_999, 'wrong-secret', world.now()));
    expect(await world.kept()).toHaveLength(quarantineLimits.perHourMax + 1);
  });

  it('is bounded over all processes together, each paying one refused write', async () => {
    const world = receiving();
    for (let i = 0; i < quarantineLimits.perHourMax; i++) await world.post(alert(i, 'wrong-secret', start));
    const others = Array.from({ length: 3 }, () => openQuarantine(world.table));
    const [row] = await world.kept();
    if (row === undefined) throw new Error('nothing was kept');
    for (const other of others) {
      for (let i = 0; i < 10; i++) {
        const result = await other.keep({ ...row, quarantineId: `qua_other_${i}` });
        expect(result).toBe(i === 0 ? 'full' : 'paused');
      }
    }
    expect(world.table.writes.filter(({ result }) => !result.ok)).toHaveLength(3);
  });

  it('of one repeated message costs a process that did not keep it one refused write', async () => {
    const world = receiving();
    await world.post(alert(1, 'wrong-secret', start));
    const [row] = await world.kept();
    if (row === undefined) throw new Error('nothing was kept');
    const other = openQuarantine(world.table);
    const results = [];
    for (let i = 0; i < 5; i++) results.push(await other.keep({ ...row, receivedAt: world.now() }));
    expect(results).toEqual(['known', 'known', 'known', 'known', 'known']);
    expect(world.table.writes.filter(({ result }) => !result.ok)).toHaveLength(1);
  });

  it('does not keep an accepted callback out', async () => {
    const world = receiving();
    for (let i = 0; i < 100; i++) await world.post(alert(i, 'wrong-secret', start));
    expect((await world.post(alert(1_000, 'right-secret', start))).statusCode).toBe(200);
  });

  it('leaves counters that expire', async () => {
    const world = receiving();
    await world.post(alert(1, 'wrong-secret', start));
    const counter = await world.table.get(quarantineHourKey('eiotclub', '2026-11-22T10'));
    expect(counter?.data).toEqual({ kept: 1 });
    expect(counter?.expiresAtSec).toBe((start + days(2)) / 1000);
  });
});

describe('admitting', () => {
  async function refusedThenRotated() {
    const world = receiving();
    await world.post(alert(1, 'new-secret', start));
    const [row] = await world.kept();
    if (row === undefined) throw new Error('nothing was kept');
    world.advance(hours(5));
    return { world, id: row.quarantineId };
  }

  it('stores the events with their original time and queues them, once the secret is right', async () => {
    const { world, id } = await refusedThenRotated();
    world.keys.eiotclub = 'new-secret';

    const result = await admit(id, 'ada', world.now(), world.deps);

    expect(result).toMatchObject({ kind: 'admitted', fresh: 1 });
    const eventId = result.kind === 'admitted' ? (result.eventIds[0] ?? '') : '';
    const row = await loadEvent(world.table, eventId);
    expect(row?.value).toMatchObject({
      state: 'recorded',
      event: { receivedAt: start, facts: { kind: 'usage-alert' }, proof: { kind: 'signed' } },
    });
    const messages = await world.engines.events.receive(10);
    expect(messages.map(({ body }) => JSON.parse(body))).toMatchObject([{ kind: 'event', id: eventId }]);
    const kept = await loadQuarantined(world.table, id);
    expect(kept?.value.admitted).toEqual({ at: world.now(), by: 'ada', eventIds: [eventId] });
  });

  it('leaves what no rule can match to decide too, since the rules at hand may not be those that are deployed', async () => {
    const { world, id } = await refusedThenRotated();
    world.keys.eiotclub = 'new-secret';
    const deps = { ...world.deps, policy: { version: 'v2', rules: [] } };
    const result = await admit(id, 'ada', world.now(), deps);
    expect(result).toMatchObject({ kind: 'admitted', fresh: 1 });
    const row = await loadEvent(world.table, result.kind === 'admitted' ? (result.eventIds[0] ?? '') : '');
    expect(row?.value).toMatchObject({ state: 'recorded', event: { receivedAt: start }, decisions: [] });
    expect((await world.engines.events.depth()).visible).toBe(1);
  });

  it('gives the events that an accepted delivery gives, so that a later retry of the provider is a duplicate', async () => {
    const { world, id } = await refusedThenRotated();
    world.keys.eiotclub = 'new-secret';
    await admit(id, 'ada', world.now(), world.deps);
    await world.post(alert(1, 'new-secret', start));
    expect(world.notices.at(-1)).toMatchObject({ status: 200, duplicates: 1 });
  });

  it('stores and queues nothing the second time', async () => {
    const { world, id } = await refusedThenRotated();
    world.keys.eiotclub = 'new-secret';
    const first = await admit(id, 'ada', world.now(), world.deps);
    const again = await admit(id, 'bob', world.now(), world.deps);
    expect(again).toEqual({
      kind: 'already-admitted',
      eventIds: first.kind === 'admitted' ? first.eventIds : [],
    });
    expect((await world.engines.events.depth()).visible).toBe(1);
  });

  it('stores nothing twice when the first admission died before it was noted', async () => {
    const { world, id } = await refusedThenRotated();
    world.keys.eiotclub = 'new-secret';
    const before = await loadQuarantined(world.table, id);
    const first = await admit(id, 'ada', world.now(), world.deps);
    const item = await world.table.get(quarantinedKey(id));
    if (before === null || item === null) throw new Error('nothing was kept');
    const undone = { ...item, data: { ...item.data, admitted: null } };
    await world.table.write([{ kind: 'replace', item: undone, ifVersion: item.version }]);
    expect(await admit(id, 'ada', world.now(), world.deps)).toEqual({
      kind: 'admitted',
      eventIds: first.kind === 'admitted' ? first.eventIds : [],
      fresh: 0,
    });
  });

  it('refuses what is still not proven, and what was already too old when it came', async () => {
    const { world, id } = await refusedThenRotated();
    expect(await admit(id, 'ada', world.now(), world.deps)).toMatchObject({
      kind: 'still-rejected',
      reason: 'wrong-signature',
    });

    world.advance(days(10));
    await world.post(alert(2, 'right-secret', start));
    const stale = (await world.kept()).find((row) => row.reason === 'stale-timestamp');
    expect(await admit(stale?.quarantineId ?? '', 'ada', world.now(), world.deps)).toMatchObject({
      kind: 'still-rejected',
      reason: 'stale-timestamp',
    });
    expect((await world.engines.events.depth()).visible).toBe(0);
  });

  it('admits a callback whose signed time was good when it came, however late that is noticed', async () => {
    const { world, id } = await refusedThenRotated();
    world.advance(days(12));
    world.keys.eiotclub = 'new-secret';
    expect(await admit(id, 'ada', world.now(), world.deps)).toMatchObject({ kind: 'admitted', fresh: 1 });
  });

  it('says when there is no such callback or no such provider any more', async () => {
    const { world, id } = await refusedThenRotated();
    expect(await admit('qua_none', 'ada', world.now(), world.deps)).toEqual({ kind: 'not-found' });
    const deps = { ...world.deps, providers: [] };
    expect(await admit(id, 'ada', world.now(), deps)).toEqual({ kind: 'no-provider', provider: 'eiotclub' });
  });

  it('admits an unsigned callback as unsigned once the stage accepts those', async () => {
    const world = receiving();
    await world.post(
      { devices: [{ deviceId: '89852000263320817044', warningCode: '1' }] },
      'linksfield-csss',
    );
    const [row] = await world.kept('linksfield-csss');
    const [first, second] = world.deps.providers;
    if (row === undefined || first === undefined || second === undefined) throw new Error('nothing was kept');
    const open = { ...second, callbacks: { ...second.callbacks, acceptUnsigned: true } };
    const result = await admit(row.quarantineId, 'ada', world.now(), {
      ...world.deps,
      providers: [first, open],
    });
    const event = await loadEvent(world.table, result.kind === 'admitted' ? (result.eventIds[0] ?? '') : '');
    expect(event?.value.event.proof.kind).toBe('unsigned');
  });
});
