import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { epochMs } from '../../shared/core/time.ts';
import { encodeCursor } from '../../shared/store/page-cursor.ts';
import { openSqliteTable, type SqliteTable } from '../../shared/store/sqlite-table.ts';
import type { NewItem } from '../../shared/store/table.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());
const now = () => epochMs(1_800_000_000_000);
let files = 0;
const newPath = (): string => {
  files += 1;
  return `${folder.path}/table${files}.db`;
};
const open = (path: string): SqliteTable => openSqliteTable({ path, now });
const item = (sk: string, rest: Partial<NewItem> = {}): NewItem => ({
  pk: 'race',
  sk,
  data: { n: 1 },
  indexes: {},
  expiresAtSec: null,
  ...rest,
});

/** A program of test/support in a process of its own. */
function start(program: string, ...args: readonly string[]): { child: ChildProcess; lines: Interface } {
  const path = fileURLToPath(new URL(`../support/${program}`, import.meta.url));
  const child = spawn(process.execPath, [path, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  return { child, lines: createInterface({ input: child.stdout }) };
}

describe('a SQLite file with several users', () => {
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  it('lets one of two connections that replace the same version win', async () => {
    const path = newPath();
    const [one, two] = [open(path), open(path)];
    await one.write([{ kind: 'insert', item: item('a') }]);
    for (let version = 1; version <= 50; version++) {
      const results = await Promise.all(
        [one, two].map((table, n) =>
          table.write([{ kind: 'replace', item: item('a', { data: { by: n } }), ifVersion: version }]),
        ),
      );
      expect(results.filter(({ ok }) => ok)).toHaveLength(1);
    }
    expect((await two.get(item('a')))?.version).toBe(51);
    await one.close();
    await two.close();
  });

  it('lets one of three processes that replace the same version win, round after round', async () => {
    const path = newPath();
    const table = open(path);
    await table.write([{ kind: 'insert', item: item('a') }]);
    const racers = ['x', 'y', 'z'].map((name) => ({ name, ...start('replace-racer.ts', path, name) }));
    children.push(...racers.map(({ child }) => child));
    await Promise.all(racers.map(({ lines }) => once(lines, 'line')));
    for (let version = 1; version <= 30; version++) {
      const answers = racers.map(({ lines }) => once(lines, 'line'));
      for (const { child } of racers) child.stdin?.write(`${version}\n`);
      const results = (await Promise.all(answers)).map(([line]) => String(line));
      expect(results.toSorted()).toEqual(['lost', 'lost', 'won']);
      const winner = racers[results.indexOf('won')]?.name;
      expect(await table.get(item('a'))).toMatchObject({ version: version + 1, data: { by: winner } });
    }
    await table.close();
  });

  it('keeps every acknowledged write of a process that is killed', async () => {
    const path = newPath();
    const { child, lines } = start('insert-until-killed.ts', path);
    children.push(child);
    let acknowledged = 0;
    lines.on('line', (line) => {
      acknowledged = Number(line);
      if (acknowledged === 40) child.kill('SIGKILL');
    });
    await once(lines, 'close');
    expect(acknowledged).toBeGreaterThanOrEqual(40);
    const table = open(path);
    const keys = Array.from({ length: acknowledged }, (_, n) => ({ pk: 'kept', sk: String(n + 1) }));
    for (const key of keys) expect(await table.get(key)).not.toBeNull();
    await table.close();
  });

  it('opens a new file from several processes at once', async () => {
    const path = newPath();
    const racers = ['x', 'y', 'z', 'w'].map((name) => start('replace-racer.ts', path, name));
    children.push(...racers.map(({ child }) => child));
    const ready = await Promise.all(racers.map(({ lines }) => once(lines, 'line')));
    expect(ready.map(([line]) => line)).toEqual(['ready', 'ready', 'ready', 'ready']);
  });

  it('keeps what was written when it is closed and opened again', async () => {
    const path = newPath();
    const first = open(path);
    const made = item('a', {
      data: { body: Uint8Array.from([0, 255]) },
      indexes: { sim: { pk: 's', sk: '1' } },
    });
    await first.write([{ kind: 'insert', item: made }]);
    await first.close();
    await first.close();
    const second = open(path);
    expect(await second.get(made)).toEqual({ ...made, version: 1 });
    await second.close();
  });
});

describe('a SQLite file in trouble', () => {
  it('says that its folder is missing', () => {
    expect(() => open(`${folder.path}/absent/table.db`)).toThrow(
      expect.objectContaining({
        name: 'StoreError',
        code: 'unavailable',
        message: expect.stringMatching(/cannot be opened/),
      }),
    );
  });

  it('says that it is a folder', () => {
    const path = newPath();
    mkdirSync(path);
    expect(() => open(path)).toThrow(expect.objectContaining({ name: 'StoreError', code: 'unavailable' }));
  });

  it('says that it is not a database', () => {
    const path = newPath();
    writeFileSync(path, 'not a database, '.repeat(500));
    expect(() => open(path)).toThrow(
      expect.objectContaining({
        name: 'StoreError',
        message: expect.stringMatching(/damaged or is not a SQLite/),
      }),
    );
  });

  it('says that the disk is full, writes nothing then, and works again when there is room', async () => {
    const table = open(newPath());
    const pages = table.database.prepare('PRAGMA page_count').get()?.page_count;
    table.database.exec(`PRAGMA max_page_count = ${Number(pages) + 4}`);
    const large = item('large', { data: { text: 'x'.repeat(300_000) } });
    const write = (): Promise<unknown> =>
      table.write([
        { kind: 'insert', item: item('small') },
        { kind: 'insert', item: large },
      ]);
    await expect(write()).rejects.toMatchObject({
      name: 'StoreError',
      code: 'unavailable',
      message: expect.stringMatching(/disk .* is full/),
    });
    expect(await table.get(item('small'))).toBeNull();
    table.database.exec('PRAGMA max_page_count = 100000');
    expect(await write()).toEqual({ ok: true });
    await table.close();
  });

  it('says that another process holds it', async () => {
    const path = newPath();
    const table = open(path);
    table.database.exec('PRAGMA busy_timeout = 20');
    const holder = new DatabaseSync(path);
    holder.exec('BEGIN IMMEDIATE');
    const write = table.write([{ kind: 'insert', item: item('a') }]);
    await expect(write).rejects.toMatchObject({
      name: 'StoreError',
      code: 'unavailable',
      message: expect.stringMatching(/locked by another process/),
    });
    expect(await table.get(item('a'))).toBeNull();
    holder.exec('ROLLBACK');
    holder.close();
    expect(await table.write([{ kind: 'insert', item: item('a') }])).toEqual({ ok: true });
    await table.close();
  });

  it('reports a row whose data is not JSON as corrupt', async () => {
    const table = open(newPath());
    await table.write([{ kind: 'insert', item: item('a') }]);
    for (const data of ['{"n":', '[]', '7', '{"$bytes":7}', '{"a":{"$bytes":"AA==","b":1}}']) {
      table.database.prepare('UPDATE items SET data = ?').run(data);
      await expect(table.get(item('a'))).rejects.toMatchObject({ name: 'StoreError', code: 'corrupt-item' });
    }
    await table.close();
  });
});

describe('a SQLite table', () => {
  it('deletes what has expired when it is told to, and nothing else', async () => {
    const table = open(':memory:');
    const nowSec = now() / 1000;
    await table.write([
      { kind: 'insert', item: item('old', { expiresAtSec: nowSec - 1 }) },
      { kind: 'insert', item: item('now', { expiresAtSec: nowSec }) },
      { kind: 'insert', item: item('later', { expiresAtSec: nowSec + 1 }) },
      { kind: 'insert', item: item('never') },
    ]);
    expect(table.purgeExpired()).toBe(1);
    expect(table.purgeExpired(nowSec + 100)).toBe(2);
    expect(table.purgeExpired(nowSec + 100)).toBe(0);
    const page = await table.query({ from: 'partition', pk: 'race' }, { limit: 10, cursor: null });
    expect(page.items.map(({ sk }) => sk)).toEqual(['never']);
    await table.close();
  });

  it('fills large pages, also in a file', async () => {
    const table = open(newPath());
    expect(table.database.prepare('PRAGMA page_size').get()).toEqual({ page_size: 16_384 });
    await table.close();
  });

  it.each([false, true])('goes on from where the page before ended (descending: %s)', async (descending) => {
    // Found when a dry run over 100,000 events took half a minute: each page began at the range's start again.
    const table = open(':memory:');
    const size = 40_000;
    table.database.exec(`
      WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${size - 1})
      INSERT INTO items (pk, sk, version, data, time_pk, time_sk)
      SELECT 'P' || i, 'x', 1, '{}', 'T', printf('%06d', i) FROM n`);
    const at = (i: number) => ({ indexPk: 'T', indexSk: String(i).padStart(6, '0'), pk: `P${i}`, sk: 'x' });
    const fastest = async (i: number): Promise<number> => {
      const times: number[] = [];
      for (let n = 0; n < 9; n++) {
        const started = performance.now();
        const page = await table.query(
          { from: 'time', pk: 'T', between: ['0', '9'] },
          { limit: 5, cursor: encodeCursor(at(i)), descending },
        );
        times.push(performance.now() - started);
        expect(page.items[0]?.sk).toBe('x');
        expect(page.items[0]?.indexes.time?.sk).toBe(at(i + (descending ? -1 : 1)).indexSk);
      }
      return Math.min(...times);
    };
    const [early, late] = descending ? [size - 10, 10] : [10, size - 10];
    expect((await fastest(late)) / (await fastest(early))).toBeLessThan(8);
    await table.close();
  });

  it('uses an index for every kind of query', () => {
    const table = open(':memory:');
    const plan = (where: string): string =>
      JSON.stringify(table.database.prepare(`EXPLAIN QUERY PLAN SELECT * FROM items WHERE ${where}`).all());
    expect(plan("due_pk = 'a' AND due_at >= 0 AND due_at <= 5 ORDER BY due_at, pk, sk")).toMatch(
      /items_due(?!.*TEMP)/,
    );
    expect(plan("sim_pk = 'a' AND sim_sk >= 'a' ORDER BY sim_sk DESC, pk DESC, sk DESC")).toMatch(
      /items_sim(?!.*TEMP)/,
    );
    expect(plan('expires_at < 5')).toMatch(/items_expiry/);
    table.database.close();
  });
});
