import { receive } from '../../functions/receive/receive.ts';
import { epochMs } from '../../shared/core/time.ts';
import { httpLambdaEventSchema } from '../../shared/lambda/http-event.ts';
import {
  asSimhookDoes,
  byHand,
  handWritten,
  type IsGenuine,
  MapPersistence,
  type Sinks,
  withMiddy,
  withPowertools,
} from './alternatives.ts';
import { alertBody, alertRequest, signedAtMs } from './http-requests.ts';
import { lambdaContext } from './lambda-context.ts';
import { type Contender, measure } from './measure.ts';
import { countingQueue, keyTable, receiveDeps } from './memory-world.ts';
import { type Bench, comparison, comparisonHeader } from './report.ts';

/** Callbacks that are signed beforehand; when they are used up the stores are emptied and they start anew. */
const requestsMade = 2_000;

/**
 * One signed low-data alert from the gateway's payload to the answer, in one process: every contender verifies it,
 * stores it once in a store that remembers keys only, and queues a hint that goes nowhere.
 */
export const receiveBench: Bench = async ({ effort }) => {
  const requests = Array.from({ length: requestsMade }, (_, i) => alertRequest(alertBody(i)));
  const measured = await measure(
    [
      overRequests('hand-written', requests, () => byHandWritten(byHand)),
      overRequests('hand-written, simhook verifies', requests, () => byHandWritten(asSimhookDoes)),
      overRequests('simhook', requests, simhookReceive),
      overRequests('middy', requests, () => {
        const { sinks, clear } = keySinks();
        const run = withMiddy(sinks);
        return { run: (request) => run({ body: request.body ?? '' }, context), clear };
      }),
      overRequests('Powertools', requests, () => byPowertools(byHand)),
      overRequests('Powertools, simhook verifies', requests, () => byPowertools(asSimhookDoes)),
    ],
    effort,
  );
  return {
    about:
      'Receiving one signed callback of about 250 bytes, in process, stores that keep keys only. simhook also keeps the raw ' +
      'message as evidence, reads numbers exactly, names a row by three digests, checks its size by the rules of DynamoDB and ' +
      'gives it index keys and a due time; all rows go to a Set of keys. Two rows verify with its library: the same safety.',
    header: comparisonHeader,
    rows: comparison('accepted', measured, 'hand-written'),
  };
};

type Request = ReturnType<typeof alertRequest>;
interface Side {
  run(request: Request): Promise<{ readonly statusCode: number }>;
  clear(): void;
}

function overRequests(name: string, requests: readonly Request[], open: () => Side): Contender {
  const side = open();
  let next = 0;
  return {
    name,
    run: async () => {
      if (next === requests.length) {
        side.clear();
        next = 0;
      }
      const request = requests[next];
      next += 1;
      if (request === undefined) throw new Error('no request is left');
      const { statusCode } = await side.run(request);
      if (statusCode !== 200) throw new Error(`${name} answered ${statusCode}`);
    },
  };
}

function byHandWritten(isGenuine: IsGenuine): Side {
  const { sinks, clear } = keySinks();
  return { run: handWritten(sinks, isGenuine), clear };
}

function byPowertools(isGenuine: IsGenuine): Side {
  const { sinks, clear } = keySinks();
  const store = new MapPersistence();
  return {
    run: withPowertools(sinks, store, context, isGenuine),
    clear: () => {
      clear();
      store.records.clear();
    },
  };
}

/** The function as its Lambda handler runs it. */
function simhookReceive(): Side {
  const { table, clear } = keyTable();
  const deps = receiveDeps(table, countingQueue());
  const now = epochMs(signedAtMs);
  return { run: (request) => receive(httpLambdaEventSchema.parse(request), now, deps), clear };
}

function keySinks(): { readonly sinks: Sinks; clear(): void } {
  const events = new Set<string>();
  const queue = countingQueue();
  return {
    clear: () => events.clear(),
    sinks: {
      insert: async (id) => {
        if (events.has(id)) return false;
        events.add(id);
        return true;
      },
      send: (body) => queue.send([{ body, groupId: 'none', delaySec: 0 }]),
    },
  };
}

const context = lambdaContext(() => 10_000);
