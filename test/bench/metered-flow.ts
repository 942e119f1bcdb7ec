import { pollOnce } from '../../infra/local/queue-poller.ts';
import type { Outcome } from '../../shared/core/outcome.ts';
import { epochMs } from '../../shared/core/time.ts';
import { measuringLog } from '../../shared/platform/metrics.ts';
import type { Provider } from '../../shared/providers/provider.ts';
import {
  type Meter,
  meteredQueue,
  meteredTable,
  newMeter,
  newQueueMeter,
  type QueueMeter,
} from '../support/metered-engines.ts';
import { alertBody, alertRequest, cardMovedBody, signedAtMs } from './http-requests.ts';
import { openBenchWorld } from './local-world.ts';

/** What one stage of the flow asked of the engines, and what it wrote to its log. */
export interface Metered {
  readonly table: Meter;
  readonly queue: QueueMeter;
  /** Bytes of each line, figures included, as CloudWatch takes them in. */
  readonly logLines: number[];
}

export interface MeteredFlow {
  /** A callback that is new. */
  readonly accepted: Metered;
  /** The same callback again. */
  readonly duplicate: Metered;
  /** A callback that is new, and that no rule can match. */
  readonly unmatched: Metered;
  /** Judging an event that a rule asks for, but passes: its SIM was served already. */
  readonly passed: Metered;
  /** Judging the event that causes the purchase. */
  readonly decided: Metered;
  /** From the planned action to its settled end, the answer coming at once. */
  readonly acted: Metered;
}

/**
 * Answers of a provider that sells at once. The wire is not what is counted here; `asks` adds the question before a
 * call, such as EIOTCLUB's price, with the slot that it takes.
 */
export function instantProvider(provider: Provider, { asks }: { readonly asks: boolean }): Provider {
  let orders = 0;
  return {
    ...provider,
    createClient: (deps) => ({
      ...provider.createClient(deps),
      prepare: async () => {
        const admission = asks ? await deps.admit() : null;
        if (admission?.ok === true) await admission.release();
        return { kind: 'ready', baseline: null, quote: null };
      },
      purchase: async (order): Promise<Outcome> => {
        orders += 1;
        return { kind: 'succeeded', providerOrderId: String(10_000_000 + orders), charge: order.maxCost };
      },
    }),
  };
}

/** Sends EIOTCLUB alerts through the whole system and counts, stage by stage, what DynamoDB and SQS would charge. */
export async function runMeteredFlow(): Promise<MeteredFlow> {
  let meters = newMeters();
  const world = openBenchWorld({
    simulatorUrl: 'http://127.0.0.1:1',
    clock: () => epochMs(signedAtMs),
    wrapTable: (table) => switching(table, () => meters),
    wrapQueue: (queue) => ({
      ...queue,
      send: (messages) => meteredQueue(queue, meters.queue).send(messages),
      receive: (max) => meteredQueue(queue, meters.queue).receive(max),
      acknowledge: (receipts) => meteredQueue(queue, meters.queue).acknowledge(receipts),
    }),
    wrapProvider: (provider) => instantProvider(provider, { asks: true }),
    log: measuringLog(
      'production',
      () => epochMs(signedAtMs),
      (line) => void meters.logLines.push(Buffer.byteLength(line)),
    ),
  });
  const measured = async (work: () => Promise<unknown>): Promise<Metered> => {
    meters = newMeters();
    await work();
    return meters;
  };
  const [events, ...actions] = world.system.sources;
  const poll = async (sources: typeof world.system.sources): Promise<void> => {
    for (const source of sources) await pollOnce(source);
  };
  // The first purchase of a day makes the counters' rows; a later one is the common case.
  for (const index of [0, 1]) {
    await world.system.handleHttp(alertRequest(alertBody(index)));
    await world.system.drain();
  }
  const request = alertRequest(alertBody(2));
  const flow = {
    accepted: await measured(() => world.system.handleHttp(request)),
    duplicate: await measured(() => world.system.handleHttp(request)),
    decided: await measured(() => poll(events === undefined ? [] : [events])),
    acted: await measured(() => poll(actions)),
  };
  await measured(() => world.system.handleHttp(alertRequest(alertBody(2 + 3, 3))));
  const passed = await measured(() => poll(events === undefined ? [] : [events]));
  const unmatched = await measured(() => world.system.handleHttp(alertRequest(cardMovedBody(6))));
  await world.close();
  return { ...flow, passed, unmatched };
}

const newMeters = (): Metered => ({ table: newMeter(), queue: newQueueMeter(), logLines: [] });

function switching(table: Parameters<typeof meteredTable>[0], current: () => Metered) {
  return {
    get: (key) => meteredTable(table, current().table).get(key),
    getMany: (keys) => meteredTable(table, current().table).getMany(keys),
    write: (changes) => meteredTable(table, current().table).write(changes),
    query: (query, options) => meteredTable(table, current().table).query(query, options),
    close: () => table.close(),
  } satisfies typeof table;
}
