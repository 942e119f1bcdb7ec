import { describe, expect, it } from 'vitest';
import { type SilenceNotice, watchSilence } from '../../../functions/sweep/watch-silence.ts';
import { after, type EpochMs, epochMs, minutes } from '../../../shared/core/time.ts';
import type { WebhookEvent } from '../../../shared/core/webhook-event.ts';
import { recordCallback } from '../../../shared/store/event-store.ts';
import { openSqliteTable } from '../../../shared/store/sqlite-table.ts';
import { digest, event, noon } from '../core/samples.ts';

function watching(providers: readonly string[] = ['eiotclub', 'linksfield-csss']) {
  const table = openSqliteTable({ path: ':memory:', now: () => noon });
  const notices: SilenceNotice[] = [];
  const logged: string[] = [];
  let now: EpochMs = noon;
  let count = 0;
  return {
    notices,
    logged,
    now: () => now,
    hear: async (provider: string, changes: Partial<WebhookEvent> = {}): Promise<void> => {
      count += 1;
      const eventId = `evt_${digest(String(count)).slice(0, 32)}`;
      const evidence = { body: new Uint8Array(), headers: {}, path: '/' };
      const events = [event({ eventId, provider, receivedAt: now, ...changes })];
      await recordCallback(table, { callbackId: eventId, evidence, events, now });
    },
    pass: (count: number) => {
      now = after(now, minutes(count));
    },
    look: () =>
      watchSilence(now, {
        table,
        providers,
        log: (level, message) => void logged.push(`${level} ${message}`),
        notice: (notice) => void notices.push(notice),
      }),
  };
}

async function usual(world: ReturnType<typeof watching>): Promise<void> {
  for (let i = 0; i < 30; i++) {
    await world.hear('eiotclub');
    await world.look();
    world.pass(4);
  }
}

describe('the silence watch', () => {
  it('raises one alarm when a provider stops calling, and one line when it is heard again', async () => {
    const world = watching();
    await usual(world);
    const silent: (readonly string[])[] = [];
    for (let i = 0; i < 10; i++) {
      silent.push(await world.look());
      world.pass(2);
    }
    expect(silent.slice(0, 3)).toEqual([[], [], []]);
    expect(silent.slice(3).every((list) => list[0] === 'eiotclub' && list.length === 1)).toBe(true);
    expect(world.logged).toEqual(['error provider is silent']);

    await world.hear('eiotclub');
    expect(await world.look()).toEqual([]);
    expect(world.logged).toEqual(['error provider is silent', 'info provider is heard again']);
    expect(world.notices.map(({ kind }) => kind)).toEqual(['silent', 'heard-again']);
  });

  it('does not take what reconciliation found for a sign of life', async () => {
    const world = watching();
    await usual(world);
    world.pass(20);
    await world.hear('eiotclub', { proof: { kind: 'reconciled', source: 'order list' } });
    expect(await world.look()).toEqual(['eiotclub']);
  });

  it('says nothing of a provider that was never heard from', async () => {
    const world = watching();
    await usual(world);
    for (let i = 0; i < 10; i++) {
      await world.hear('eiotclub');
      expect(await world.look()).toEqual([]);
      world.pass(4);
    }
    expect(world.logged).toEqual([]);
  });

  it('hears a provider that a louder one drowns in the newest rows', async () => {
    const world = watching();
    await usual(world);
    for (let minute = 0; minute < 40; minute += 4) {
      await world.hear('eiotclub');
      for (let i = 0; i < 100; i++)
        await world.hear('linksfield-csss', { receivedAt: epochMs(world.now() + i) });
      world.pass(4);
      expect(await world.look()).toEqual([]);
    }
    expect(world.logged).toEqual([]);
  });

  it('learns from a provider that sends more than one look reads', async () => {
    const world = watching();
    for (let minute = 0; minute < 20; minute++) {
      for (let i = 0; i < 100; i++)
        await world.hear('eiotclub', { receivedAt: epochMs(world.now() + i * 100) });
      world.pass(1);
      await world.look();
    }
    world.pass(6);
    expect(await world.look()).toEqual(['eiotclub']);
  });

  it('does not fail the sweep when the table does', async () => {
    const logged: string[] = [];
    const table = openSqliteTable({ path: ':memory:', now: () => noon });
    await table.close();
    const log = (level: string, message: string) => void logged.push(`${level} ${message}`);
    expect(await watchSilence(noon, { table, providers: ['eiotclub'], log })).toEqual([]);
    expect(logged).toEqual(['warn silence not watched']);
  });

  it('goes on over midnight', async () => {
    const world = watching();
    world.pass(11 * 60 + 30);
    await usual(world);
    expect(world.logged).toEqual([]);
  });
});
