import { epochMs } from '../../shared/core/time.ts';
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
  const calls: number[] = [];
  const world = openBenchWorld({
    simulatorUrl: 'http://127.0.0.1:1',
    clock: () => epochMs(now),
    withoutCaps: true,
    wrapProvider: (provider) => {
      const instant = instantProvider(provider);
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
  const heapBefore = process.memoryUsage().rss;
  const received = await receiveAll(requests, world.system.handleHttp);
  const begun = now;
  const steps = Math.ceil((callbacks * 1_000 * 2) / providerPerSec / 125) + 10_000;
  for (let step = 0; step < steps && calls.length < callbacks; step++) {
    if (step % 480 === 0) await world.system.sweep();
    await world.system.drain();
    now += 125;
  }
  const grown = (process.memoryUsage().rss - heapBefore) / 2 ** 20;
  await world.close();
  return {
    about: `${callbacks} callbacks at once, each causing a purchase at a provider that allows ${providerPerSec} requests a second.`,
    header: ['what', 'value'],
    rows: [
      ['answered 2xx', received.good],
      ['answered anything else', callbacks - received.good],
      ['callbacks per second on the clock', round(callbacks / (received.wallMs / 1_000))],
      ['median ms to the answer, one at a time', round(percentile(received.tookMs, 0.5))],
      ['p99 ms to the answer, one at a time', round(percentile(received.tookMs, 0.99))],
      ['bought', calls.length],
      ['most purchases in any second', mostInASecond(calls)],
      ['simulated minutes until all were bought', round(((calls.at(-1) ?? begun) - begun) / 60_000)],
      ['memory grown, MiB, SQLite in memory included', round(grown)],
    ],
    notes: [
      'The answers are timed without a queue in front: receive is one function call per request, as in Lambda.',
    ],
  };
};

async function receiveAll(
  requests: readonly ReturnType<typeof alertRequest>[],
  handle: (request: ReturnType<typeof alertRequest>) => Promise<{ readonly statusCode: number }>,
): Promise<{ readonly good: number; readonly wallMs: number; readonly tookMs: readonly number[] }> {
  const tookMs: number[] = [];
  let good = 0;
  const begun = performance.now();
  for (const request of requests) {
    const sent = performance.now();
    const { statusCode } = await handle(request);
    tookMs.push(performance.now() - sent);
    if (statusCode >= 200 && statusCode < 300) good += 1;
  }
  return { good, wallMs: performance.now() - begun, tookMs };
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
