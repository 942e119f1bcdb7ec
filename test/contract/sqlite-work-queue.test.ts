import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqliteFile } from '../../shared/platform/sqlite-file.ts';
import { openSqliteWorkQueue } from '../../shared/queue/sqlite-work-queue.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import { openSqliteTable } from '../../shared/store/sqlite-table.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { testClock } from '../support/test-clock.ts';
import {
  benchSettings,
  describeEmbeddedWorkQueue,
  describeWorkQueue,
  type QueueBench,
  type Retentions,
} from './work-queue-contract.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

function makeBench(path: string, retentions: Partial<Retentions> = {}): QueueBench {
  const { retentionSec, deadRetentionSec } = retentions;
  const clock = testClock(1_800_000_000_000);
  const database = openSqliteFile(path);
  const open = (
    name: string,
    deadLetter: string | null,
    retention: number = benchSettings.retentionSec,
  ): WorkQueue =>
    openSqliteWorkQueue({
      source: database,
      name,
      deadLetter,
      settings: { ...benchSettings, retentionSec: retention },
      now: clock.now,
    });
  return {
    queue: open('work', 'work-dead', retentionSec),
    deadLetter: open('work-dead', null, deadRetentionSec),
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

describeEmbeddedWorkQueue('work queue on SQLite, beyond the port', async (retentions) =>
  makeBench(':memory:', retentions),
);

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
  const open = (name: string): WorkQueue =>
    openSqliteWorkQueue({
      source: state.database,
      name,
      deadLetter: null,
      settings: benchSettings,
      now: state.clock.now,
    });
  const text = (body: string, groupId = 'g') => ({ body, groupId, delaySec: 0 });

  it('keeps queues of different names apart', async () => {
    const [one, two] = [open('one'), open('two')];
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
