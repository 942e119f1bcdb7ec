import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { epochMs } from '../../shared/core/time.ts';
import { openSqliteFile } from '../../shared/platform/sqlite-file.ts';
import { openSqliteWorkQueue } from '../../shared/queue/sqlite-work-queue.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import { openSqliteTable } from '../../shared/store/sqlite-table.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { benchSettings, describeWorkQueue, type QueueBench } from './work-queue-contract.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

function testClock(startMs: number): {
  readonly now: () => ReturnType<typeof epochMs>;
  pass(ms: number): void;
} {
  let nowMs = startMs;
  return {
    now: () => epochMs(nowMs),
    pass: (ms) => {
      nowMs += ms;
    },
  };
}

function makeBench(path: string): QueueBench {
  const clock = testClock(1_800_000_000_000);
  const database = openSqliteFile(path);
  const open = (name: string, deadLetter: string | null): WorkQueue =>
    openSqliteWorkQueue({ source: database, name, deadLetter, settings: benchSettings, now: clock.now });
  return {
    queue: open('work', 'work-dead'),
    deadLetter: open('work-dead', null),
    pass: async (ms) => clock.pass(ms),
    now: clock.now,
    close: async () => database.close(),
  };
}

let files = 0;
describeWorkQueue('work queue on SQLite in memory', async () => makeBench(':memory:'));
describeWorkQueue('work queue on a SQLite file', async () => {
  files += 1;
  return makeBench(`${folder.path}/queue${files}.db`);
});

describe('work queue on SQLite', () => {
  const state: { clock: ReturnType<typeof testClock>; database: DatabaseSync } = {
    clock: testClock(0),
    database: new DatabaseSync(':memory:'),
  };
  beforeEach(() => {
    state.clock = testClock(1_800_000_000_000);
    state.database = openSqliteFile(':memory:');
  });
  afterEach(() => state.database.close());
  const open = (rest: { name?: string; retentionSec?: number; deadLetter?: string } = {}): WorkQueue =>
    openSqliteWorkQueue({
      source: state.database,
      name: rest.name ?? 'work',
      deadLetter: rest.deadLetter ?? null,
      settings: { ...benchSettings, retentionSec: rest.retentionSec ?? benchSettings.retentionSec },
      now: state.clock.now,
    });
  const text = (body: string, groupId = 'g') => ({ body, groupId, delaySec: 0 });

  it('gives a quiet SIM its turn before the backlog of a noisy one', async () => {
    const queue = open();
    for (let n = 0; n < 20; n++) {
      await queue.send(Array.from({ length: 10 }, (_, k) => text(`noisy${n * 10 + k}`, 'noisy')));
    }
    await queue.receive(3);
    await queue.send([text('quiet', 'quiet')]);
    const bodies = (await queue.receive(3)).map(({ body }) => body);
    expect(bodies).toContain('quiet');
  });

  it('hands back the group of a message', async () => {
    const queue = open();
    await queue.send([text('a', 'eiotclub:894450')]);
    expect((await queue.receive(1))[0]?.groupId).toBe('eiotclub:894450');
  });

  it('forgets messages older than the retention', async () => {
    const queue = open({ retentionSec: 60 });
    await queue.send([text('old')]);
    state.clock.pass(59_000);
    await queue.send([text('young')]);
    state.clock.pass(2_000);
    expect((await queue.receive(10)).map(({ body }) => body)).toEqual(['young']);
    expect(await queue.depth()).toEqual({ visible: 0, inFlight: 1 });
  });

  it('counts the retention of a dead letter from the moment it was first sent', async () => {
    const queue = open({ deadLetter: 'dead' });
    const dead = open({ name: 'dead', retentionSec: 100 });
    await queue.send([text('poison')]);
    for (let round = 0; round < 4; round++) {
      await queue.receive(1);
      state.clock.pass(20_000);
    }
    expect(await dead.receive(1)).toHaveLength(1);
    state.clock.pass(21_000);
    expect(await dead.receive(1)).toEqual([]);
  });

  it('ignores the receipt of a message that is visible again', async () => {
    const queue = open();
    await queue.send([text('a')]);
    const late = await queue.receive(1);
    state.clock.pass(1_001);
    await queue.acknowledge(late.map(({ receipt }) => receipt));
    expect(await queue.receive(1)).toHaveLength(1);
  });

  it('keeps queues of different names apart', async () => {
    const [one, two] = [open({ name: 'one' }), open({ name: 'two' })];
    await one.send([text('for one')]);
    expect(await two.receive(1)).toEqual([]);
    const received = await one.receive(1);
    await two.acknowledge(received.map(({ receipt }) => receipt));
    expect(await one.depth()).toEqual({ visible: 0, inFlight: 1 });
  });

  it('lives in the same file as the table, and outlives both', async () => {
    const path = `${folder.path}/shared.db`;
    const { now } = state.clock;
    const settings = benchSettings;
    const table = openSqliteTable({ path, now });
    const queue = openSqliteWorkQueue({ source: table.database, name: 'q', deadLetter: null, settings, now });
    await queue.send([text('kept')]);
    await queue.close();
    expect(await table.get({ pk: 'a', sk: 'b' })).toBeNull();
    await table.close();
    const reopened = openSqliteWorkQueue({ source: path, name: 'q', deadLetter: null, settings, now });
    expect((await reopened.receive(1)).map(({ body }) => body)).toEqual(['kept']);
    await reopened.close();
  });

  it('says that the file cannot be opened', () => {
    const open = () =>
      openSqliteWorkQueue({
        source: `${folder.path}/absent/queue.db`,
        name: 'q',
        deadLetter: null,
        settings: benchSettings,
        now: state.clock.now,
      });
    expect(open).toThrow(expect.objectContaining({ name: 'QueueError', code: 'unavailable' }));
    expect(open).toThrow(/cannot be opened/);
  });
});
