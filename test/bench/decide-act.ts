import { pollOnce, type QueueSource } from '../../infra/local/queue-poller.ts';
import { type EpochMs, epochMs } from '../../shared/core/time.ts';
import { frozenItems } from '../support/frozen-items.ts';
import { openMemoryEngines } from '../support/memory-engines.ts';
import { type Recording, recordTable } from './bare-sqlite.ts';
import { alertBody, alertRequest, signedAtMs } from './http-requests.ts';
import { type BenchOptions, type BenchWorld, openBenchWorld, openSqliteInMemory } from './local-world.ts';
import { median } from './measure.ts';
import { instantProvider } from './metered-flow.ts';
import { type Bench, round } from './report.ts';

/**
 * Judging events and carrying out their actions, each SIM its own, with a provider that answers at once: on a store in
 * the program's own memory, and on the embedded engines without a file. The clock moves on by itself, so that the
 * provider's 10 requests a second don't stop it. One store after the other: a function has one store, and code that V8
 * has made fast for one is slower on two.
 */
export const decideActBench: Bench = async ({ effort, quick }) => {
  const events = quick ? 50 : 1_000;
  const rounds = Math.max(2, effort.rounds);
  const inMemory = await warmRounds(quick ? 1 : 30, rounds, () => oneRound(events, sharedMemory));
  await oneRound(events, { ...sharedMemory, wrapTable: frozenItems });
  const { replay } = await recordedRound(events);
  const onSqlite = await warmRounds(1, rounds, async () => ({
    ...(await oneRound(events, { openEngines: openSqliteInMemory })),
    bare: await cpuPer(events, async () => replay()),
  }));
  const sqliteRatio = median(onSqlite.map(({ decide, act, bare }) => (decide + act) / bare));
  return {
    about: `Receive, decide and act for ${events} events, each causing one purchase; instant provider.`,
    header: ['stage', 'CPU µs per event', 'per CPU s'],
    rows: [
      ...stageRows('memory', inMemory),
      ...stageRows('SQLite without a file', onSqlite),
      row('floor of SQLite: the same statements, bare', median(onSqlite.map(({ bare }) => bare))),
    ],
    notes: [
      `On SQLite, decide + act is ${round(sqliteRatio)} x the floor. The floor has the reads and writes of receive in it too, and none of the queues.`,
      'In memory, items are shared, not copied; one more round, not measured, has bought the same with all of them frozen.',
    ],
  };
};

const sharedMemory: Pick<BenchOptions, 'openEngines'> = {
  openEngines: (providers, clock) => openMemoryEngines(providers, clock, 'shared'),
};

/** The rounds after the first ones, while which V8 still compiles: as `receive` does for 30,000 callbacks. */
async function warmRounds<T>(warmUp: number, rounds: number, turn: () => Promise<T>): Promise<readonly T[]> {
  for (let i = 0; i < warmUp; i++) await turn();
  const measured: T[] = [];
  for (let i = 0; i < rounds; i++) measured.push(await turn());
  return measured;
}

interface RoundCpu {
  readonly receive: number;
  readonly decide: number;
  readonly act: number;
}

type Row = readonly (string | number)[];

function stageRows(store: string, rounds: readonly RoundCpu[]): readonly Row[] {
  return [
    row(`${store}: receive`, median(rounds.map(({ receive }) => receive))),
    row(`${store}: decide`, median(rounds.map(({ decide }) => decide))),
    row(`${store}: act`, median(rounds.map(({ act }) => act))),
    row(`${store}: decide + act`, median(rounds.map(({ decide, act }) => decide + act))),
  ];
}

function row(name: string, us: number): Row {
  return [name, round(us), Math.round(1_000_000 / us)];
}

/** One round whose reads and writes are kept. */
async function recordedRound(events: number): Promise<Recording> {
  const recording = recordTable();
  await oneRound(events, { openEngines: openSqliteInMemory, wrapTable: recording.wrap });
  return recording;
}

async function oneRound(
  events: number,
  engines: Pick<BenchOptions, 'openEngines' | 'wrapTable'>,
): Promise<RoundCpu> {
  const clock = movingClock();
  const world = openBenchWorld({
    simulatorUrl: 'http://127.0.0.1:1',
    clock,
    wrapProvider: (provider) => instantProvider(provider, { asks: false }),
    ...engines,
    withoutCaps: true,
  });
  const requests = Array.from({ length: events }, (_, i) => alertRequest(alertBody(i)));
  const [eventsSource, ...actions] = world.system.sources;
  if (eventsSource === undefined) throw new Error('there is no events queue');
  const receive = await cpuPer(events, async () => {
    for (const request of requests) await world.system.handleHttp(request);
  });
  const decide = await cpuPer(events, () => pollEmpty([eventsSource]));
  const act = await cpuPer(events, () => pollEmpty(actions));
  await assertBought(world, events);
  await world.close();
  return { receive, decide, act };
}

/** Each look at the clock moves it by 25 ms: an action looks often enough to get its slot, and its lease lives. */
function movingClock(): () => EpochMs {
  let now = signedAtMs;
  return () => {
    now += 25;
    return epochMs(now);
  };
}

async function pollEmpty(sources: readonly QueueSource[]): Promise<void> {
  for (const source of sources) {
    let handled = 1;
    while (handled > 0) handled = await pollOnce(source);
  }
}

async function cpuPer(runs: number, work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / runs;
}

/** A bench that did not do the work measures nothing. */
async function assertBought(world: BenchWorld, events: number): Promise<void> {
  const sums = await world.table.query(
    { from: 'partition', pk: 'CAPS#eiotclub' },
    { limit: 10, cursor: null },
  );
  const totals = sums.items.filter(({ sk }) => sk.startsWith('MONTH#')).map(({ data }) => data.total);
  const spent = totals.reduce<number>((sum, total) => sum + Number(total), 0);
  if (spent !== events * 500) throw new Error(`bought for ${spent} cents, not for ${events * 500}`);
}
