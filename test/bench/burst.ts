import { type EpochMs, epochMs } from '../../shared/core/time.ts';
import type { Clock } from '../../shared/platform/clock.ts';
import { keyOf } from '../../shared/store/change-rules.ts';
import { limitKey } from '../../shared/store/item-layout.ts';
import { openMemoryEngines } from '../support/memory-engines.ts';
import { alertBody, alertRequest, signedAtMs } from './http-requests.ts';
import { openBenchWorld } from './local-world.ts';
import { percentile } from './measure.ts';
import { instantProvider } from './metered-flow.ts';
import { type Bench, round } from './report.ts';

/** Requests that the provider allows in any second. Source: protocols/eiotclub.md, section 1. */
const providerPerSec = 10;

/**
 * Callbacks that all arrive at once, each of which makes the rule buy. They are received in real time; the work at
 * the provider is then done on a clock that jumps, since it takes a quarter of an hour and more.
 */
export const burstBench: Bench = async ({ quick }) => {
  const callbacks = quick ? 200 : 10_000;
  const requests = Array.from({ length: callbacks }, (_, i) => alertRequest(alertBody(i)));
  let now = signedAtMs;
  // Each look at the clock takes a millisecond, as a worker's steps do: else all would ask in one and the same moment.
  const clock = (): EpochMs => {
    now += 1;
    return epochMs(now);
  };
  const calls: number[] = [];
  const limit = limitKey('eiotclub');
  let asked = 0;
  const world = openBenchWorld({
    simulatorUrl: 'http://127.0.0.1:1',
    clock,
    openEngines: openMemoryEngines,
    withoutCaps: true,
    wrapTable: (table) => ({
      ...table,
      write: (changes) => {
        if (changes.some((change) => keyOf(change).sk === limit.sk)) asked += 1;
        return table.write(changes);
      },
    }),
    wrapProvider: (provider) => {
      const instant = instantProvider(provider, { asks: false });
      return {
        ...instant,
        createClient: (deps) => {
          const client = instant.createClient(deps);
          const purchase: typeof client.purchase = (order, startBy) => {
            calls.push(now);
            return client.purchase(order, startBy);
          };
          return { ...client, purchase };
        },
      };
    },
  });
  const idle = process.memoryUsage.rss();
  const received = await receiveAll(requests, world.system.handleHttp);
  const peaks = { receive: process.memoryUsage.rss(), work: 0 };
  const begun = now;
  const steps = Math.ceil((callbacks * 1_000 * 2) / providerPerSec / 125) + 10_000;
  for (let step = 0; step < steps && calls.length < callbacks; step++) {
    if (step % 480 === 0) await world.system.sweep();
    await world.system.drain();
    peaks.work = Math.max(peaks.work, process.memoryUsage.rss());
    now += 125;
  }
  const mib = (peak: number): number => Math.round((peak - idle) / 2 ** 20);
  await world.close();
  const onSqlite = await receivedOnSqlite(requests, clock);
  return {
    about: `${callbacks} callbacks at once, each causing a purchase at a provider that allows ${providerPerSec} requests a second.`,
    header: ['what', 'value'],
    rows: [
      ['answered 2xx', received.good],
      ['answered anything else', callbacks - received.good],
      ['callbacks per second on the clock', round(callbacks / (received.wallMs / 1_000))],
      ['p99 ms from the burst to the answer, one process', p99(received)],
      ['the same on SQLite in memory', p99(onSqlite)],
      ['median ms to the answer, one at a time', round(percentile(received.tookMs, 0.5))],
      ['p99 ms to the answer, one at a time', round(percentile(received.tookMs, 0.99))],
      ['bought', calls.length],
      ['most purchases in any second', mostInASecond(calls)],
      ['simulated minutes until all were bought', round(((calls.at(-1) ?? begun) - begun) / 60_000)],
      ['the same at the pace that the limit allows', round((callbacks * 1.25) / providerPerSec / 60)],
      ['questions for a slot per purchase', round(asked / callbacks)],
      ['peak memory while receiving, MiB above idle', mib(peaks.receive)],
      ['peak memory while buying, MiB above idle', mib(peaks.work)],
    ],
    notes: [
      'One process answers one after the other; in Lambda each request has its own, so its answer takes the time of one.',
      'Rows and messages are in that memory too. The pace that the limit allows: 10 requests in each 1.25 seconds (README, D7).',
    ],
  };
};

type Request = ReturnType<typeof alertRequest>;

interface Received {
  readonly good: number;
  readonly wallMs: number;
  readonly tookMs: readonly number[];
  readonly answeredMs: readonly number[];
}

const p99 = ({ answeredMs }: Received): number => Math.round(percentile(answeredMs, 0.99));

async function receivedOnSqlite(requests: readonly Request[], clock: Clock): Promise<Received> {
  const world = openBenchWorld({ simulatorUrl: 'http://127.0.0.1:1', clock });
  const received = await receiveAll(requests, world.system.handleHttp);
  await world.close();
  return received;
}

async function receiveAll(
  requests: readonly Request[],
  handle: (request: Request) => Promise<{ readonly statusCode: number }>,
): Promise<Received> {
  const tookMs: number[] = [];
  const answeredMs: number[] = [];
  let good = 0;
  const begun = performance.now();
  for (const request of requests) {
    const sent = performance.now();
    const { statusCode } = await handle(request);
    tookMs.push(performance.now() - sent);
    answeredMs.push(performance.now() - begun);
    if (statusCode >= 200 && statusCode < 300) good += 1;
  }
  return { good, wallMs: performance.now() - begun, tookMs, answeredMs };
}

function mostInASecond(moments: readonly number[]): number {
  let from = 0;
  let most = 0;
  for (const [index, moment] of moments.entries()) {
    while (moment - (moments[from] ?? moment) >= 1_000) from += 1;
    most = Math.max(most, index - from + 1);
  }
  return most;
}
