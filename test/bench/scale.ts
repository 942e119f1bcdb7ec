import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedEngines } from '../../infra/local/engines.ts';
import { pollOnce } from '../../infra/local/queue-poller.ts';
import { inState } from '../../shared/core/lifecycle.ts';
import { subjectOf } from '../../shared/core/subject.ts';
import { after, before, days, epochMs, hours, milliseconds } from '../../shared/core/time.ts';
import { loadAction } from '../../shared/store/action-store.ts';
import { loadEvent } from '../../shared/store/event-store.ts';
import { actionItem, eventItem, timelineOf } from '../../shared/store/item-layout.ts';
import type { ActionRow, EventRow } from '../../shared/store/rows.ts';
import { openSqliteTable } from '../../shared/store/sqlite-table.ts';
import { type Change, changesMax, type NewItem } from '../../shared/store/table.ts';
import { alertBody, alertRequest, signedAtMs } from './http-requests.ts';
import { type BenchWorld, openBenchWorld } from './local-world.ts';
import { median } from './measure.ts';
import { type Bench, round } from './report.ts';

/** Each size has one turn a round. */
const rounds = 15;
const perTurn = { receive: 40, sweep: 4, timeline: 40 } as const;

/** A reseller's table: ten events a SIM, and one SIM in ten with an action that waits. */
const eventsPerSim = 10;
const eventsPerAction = 100;

/**
 * Cost of receive, of a sweep that finds nothing due, and of one SIM's timeline, with 1,000 to 1,000,000 stored events
 * and their open actions, on SQLite files as `npm start` has them. All sizes are open at once and take turns, so that a
 * machine that is busy for a while is busy for all of them. Not in memory: there SQLite ends a transaction by walking
 * through its page cache, now and then through all of it, which costs as much as the rest of receive at 200,000 rows
 * and nothing at a million.
 */
export const scaleBench: Bench = async ({ quick }) => {
  const sizes = quick ? [200, 1_000] : [1_000, 10_000, 100_000, 1_000_000];
  const tables: Sized[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'simhook-scale-'));
  for (const size of sizes) tables.push(await openSized(size, join(folder, `${size}.db`)));
  for (let turn = 0; turn < (quick ? 3 : rounds); turn++) {
    const shift = turn % tables.length;
    for (const sized of [...tables.slice(shift), ...tables.slice(0, shift)]) await takeTurn(sized);
  }
  const [first] = tables;
  const ratio = (sized: Sized, what: keyof Costs): number =>
    round(median(sized.costs[what].map((us, i) => us / (first?.costs[what][i] ?? us))));
  for (const { world } of tables) await world.close();
  rmSync(folder, { recursive: true });
  return {
    about: `CPU µs of one operation with so many events in the table, median of ${rounds} turns; the ratio is to the smallest, turn by turn.`,
    header: ['events', 'receive', 'ratio', 'sweep', 'ratio', 'timeline of a SIM', 'ratio'],
    rows: tables.map((sized) => [
      sized.size,
      round(median(sized.costs.receive)),
      ratio(sized, 'receive'),
      round(median(sized.costs.sweep)),
      ratio(sized, 'sweep'),
      round(median(sized.costs.timeline)),
      ratio(sized, 'timeline'),
    ]),
  };
};

interface Costs {
  readonly receive: number[];
  readonly sweep: number[];
  readonly timeline: number[];
}

interface Sized {
  readonly size: number;
  readonly world: BenchWorld;
  readonly costs: Costs;
  /** Callbacks sent so far: each turn's are new. */
  sent: number;
}

const subjectAt = (sim: number) =>
  subjectOf('eiotclub', 'iccid', `89852${String(10_000_000_000_000 + sim).slice(1)}`);

async function openSized(size: number, path: string): Promise<Sized> {
  const world = openBenchWorld({
    simulatorUrl: 'http://127.0.0.1:1',
    clock: () => epochMs(signedAtMs),
    openEngines: (ids, clock) => openEmbeddedEngines(path, ids, clock),
  });
  await fill(path, size, await templateOf(world));
  return { size, world, costs: { receive: [], sweep: [], timeline: [] }, sent: 0 };
}

/** Through a connection of its own that does not wait for the disk. */
async function fill(path: string, size: number, template: Template): Promise<void> {
  const table = openSqliteTable({ path, now: () => epochMs(signedAtMs) });
  table.database.exec('PRAGMA synchronous = OFF');
  let changes: Change[] = [];
  const flush = async (): Promise<void> => {
    if (changes.length > 0) await table.write(changes);
    changes = [];
  };
  for (let i = 0; i < size; i++) {
    changes.push(...itemsAt(i, size, template).map((item): Change => ({ kind: 'insert', item })));
    if (changes.length >= changesMax - 1) await flush();
  }
  await flush();
  await table.close();
}

interface Template {
  readonly event: EventRow;
  readonly action: ActionRow;
}

/** One event with its planned action, as the real functions store them. */
async function templateOf(world: BenchWorld): Promise<Template> {
  await world.system.handleHttp(alertRequest(alertBody(0)));
  const [events] = world.system.sources;
  if (events !== undefined) await pollOnce(events);
  const subject = subjectAt(0);
  const page = await world.table.query(
    { from: 'sim', pk: timelineOf(subject?.key ?? '') },
    { limit: 10, cursor: null },
  );
  const idOf = (kind: string): string => page.items.find(({ sk }) => sk === kind)?.pk.split('#')[1] ?? '';
  const event = await loadEvent(world.table, idOf('EVENT'));
  const action = await loadAction(world.table, idOf('ACTION'));
  if (event === null || action === null) throw new Error('the callback made no event with an action');
  return { event: event.value, action: action.value };
}

/** A decided event of the last month, and for some an action that waits for an hour more. */
function itemsAt(index: number, size: number, { event, action }: Template): readonly NewItem[] {
  const digest = createHash('md5').update(String(index)).digest('hex');
  const subject = subjectAt(index % Math.ceil(size / eventsPerSim));
  if (subject === null) throw new Error(`event ${index} has no SIM`);
  const eventId = `evt_${digest}`;
  const receivedAt = before(event.event.receivedAt, milliseconds(Math.floor(days(30) * (1 - index / size))));
  const stored = eventItem({ ...event, event: { ...event.event, eventId, subject, receivedAt } }, null);
  if (index % eventsPerAction !== 0) return [stored];
  const waiting = inState(
    { ...action.action, actionId: `act_${digest}`, subject, eventId },
    { name: 'planned', dueAt: after(epochMs(signedAtMs), hours(1)) },
    epochMs(signedAtMs),
  );
  return [stored, actionItem({ ...action, action: waiting })];
}

async function takeTurn(sized: Sized): Promise<void> {
  const { world, size, costs } = sized;
  const sims = Math.ceil(size / eventsPerSim);
  const requests = Array.from({ length: perTurn.receive }, (_, i) =>
    alertRequest(alertBody(size + sized.sent + i, sims)),
  );
  sized.sent += perTurn.receive;
  costs.receive.push(
    await cpuPer(perTurn.receive, async (i) => {
      const request = requests[i];
      if (request !== undefined) await world.system.handleHttp(request);
    }),
  );
  // SIMs all over the table, so that no page of it is in the processor's cache for having just been read.
  costs.timeline.push(
    await cpuPer(perTurn.timeline, (i) => readTimeline(world, (i * 7_919 + sized.sent) % sims)),
  );
  costs.sweep.push(await cpuPer(perTurn.sweep, () => world.system.sweep()));
}

async function readTimeline(world: BenchWorld, sim: number): Promise<void> {
  const page = await world.table.query(
    { from: 'sim', pk: timelineOf(subjectAt(sim)?.key ?? '') },
    { limit: 20, cursor: null, descending: true },
  );
  if (page.items.length < 5) throw new Error(`the timeline has ${page.items.length} rows`);
}

async function cpuPer(runs: number, work: (run: number) => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  for (let i = 0; i < runs; i++) await work(i);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / runs;
}
