import { type EpochMs, epochMs } from '../../shared/core/time.ts';
import { timelineOf } from '../../shared/store/item-layout.ts';
import { alertBody, alertRequest, signedAtMs } from './http-requests.ts';
import { type BenchWorld, openBenchWorld } from './local-world.ts';
import { median } from './measure.ts';
import { type Bench, round } from './report.ts';

/** What is measured at each size; each of its own, so that a sweep's work is not a receive's. */
const probes = 300;

/**
 * Cost of receive, of a sweep that finds little due, and of one SIM's timeline, with 1,000 to 100,000 stored events,
 * on SQLite in memory. What should not grow with the table must not.
 */
export const scaleBench: Bench = async ({ quick, million }) => {
  const sizes = quick ? [200, 1_000] : [1_000, 10_000, 100_000, ...(million ? [1_000_000] : [])];
  const measured = [];
  for (const size of sizes) measured.push({ size, ...(await measureAt(size)) });
  const [first] = measured;
  return {
    about: `CPU µs of one operation with so many events in the table, median of ${probes}; the ratio is to the smallest.`,
    header: ['events', 'receive', 'ratio', 'sweep', 'ratio', 'timeline of a SIM', 'ratio'],
    rows: measured.map(({ size, receive, sweep, timeline }) => [
      size,
      round(receive),
      round(receive / (first?.receive ?? receive)),
      round(sweep),
      round(sweep / (first?.sweep ?? sweep)),
      round(timeline),
      round(timeline / (first?.timeline ?? timeline)),
    ]),
    notes: ['1,000,000 events are measured with --million only.'],
  };
};

async function measureAt(
  size: number,
): Promise<{ readonly receive: number; readonly sweep: number; readonly timeline: number }> {
  let now = signedAtMs;
  const clock = (): EpochMs => epochMs(now);
  const world = openBenchWorld({ simulatorUrl: 'http://127.0.0.1:1', clock });
  // Ten events a SIM, as a reseller's table has them; stored in the same minute, none due yet.
  const sims = Math.ceil(size / 10);
  for (let i = 0; i < size; i++) await world.system.handleHttp(alertRequest(alertBody(i, sims)));
  const fresh = Array.from({ length: probes }, (_, i) => alertRequest(alertBody(size + i, sims)));
  let next = 0;
  const receive = await medianCpu(async () => {
    const request = fresh[next];
    next += 1;
    if (request !== undefined) await world.system.handleHttp(request);
  });
  const subject = `eiotclub:iccid:89852${String(10_000_000_000_000 + 5).slice(1)}`;
  const timeline = await medianCpu(() => readTimeline(world, subject));
  now += 1;
  const sweep = await medianCpu(() => world.system.sweep());
  await world.close();
  return { receive, sweep, timeline };
}

async function readTimeline(world: BenchWorld, simKey: string): Promise<void> {
  const page = await world.table.query(
    { from: 'sim', pk: timelineOf(simKey) },
    { limit: 20, cursor: null, descending: true },
  );
  if (page.items.length < 5) throw new Error(`the timeline has ${page.items.length} rows`);
}

async function medianCpu(work: () => Promise<void>): Promise<number> {
  const samples: number[] = [];
  for (let i = 0; i < probes; i++) {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    samples.push(user + system);
  }
  return median(samples);
}
