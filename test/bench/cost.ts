import { type Metered, runMeteredFlow } from './metered-flow.ts';
import { assumptions, prices, services } from './prices.ts';
import { type Bench, round } from './report.ts';

/** What one piece of work asks of AWS. */
interface Usage {
  readonly httpApi: number;
  readonly writeUnits: number;
  readonly readUnits: number;
  readonly sqs: number;
  readonly lambdaRequests: number;
  readonly lambdaMs: number;
  readonly logBytes: number;
  readonly eventBridge: number;
}

/**
 * Dollars per million callbacks, from calls and units that are counted while the real functions run, and from prices
 * and assumptions in prices.ts. The Powertools build is counted from its documented calls: an idempotency record
 * put and updated, the event put, a message sent; no indexes, no evidence, no second look at a purchase. Source of the
 * calls: Powertools for AWS Lambda (TypeScript), Idempotency: a conditional put before and an update after.
 */
export const costBench: Bench = async () => {
  const flow = await runMeteredFlow();
  const { eventsPerBatch, receiveMs, decideMsPerEvent, actMs, logBytes } = assumptions;
  const stages: Readonly<Record<string, Usage>> = {
    'receive, new': usageOf(flow.accepted, {
      httpApi: 1,
      batch: 1,
      ms: receiveMs,
      logBytes: logBytes.receive,
    }),
    'receive, duplicate': usageOf(flow.duplicate, {
      httpApi: 1,
      batch: 1,
      ms: receiveMs,
      logBytes: logBytes.receive,
    }),
    'decide, no action': usageOf(flow.passed, {
      httpApi: 0,
      batch: eventsPerBatch,
      ms: decideMsPerEvent,
      logBytes: logBytes.decide,
    }),
    'decide, one action': usageOf(flow.decided, {
      httpApi: 0,
      batch: eventsPerBatch,
      ms: decideMsPerEvent,
      logBytes: logBytes.decide,
    }),
    'act, answered at once': usageOf(flow.acted, { httpApi: 0, batch: 1, ms: actMs, logBytes: logBytes.act }),
  };
  const sum = (...names: readonly string[]): Usage =>
    names.map((name) => stages[name] ?? zero).reduce(add, zero);
  const powertools: Usage = {
    ...zero,
    httpApi: 1,
    writeUnits: 3,
    sqs: 1,
    lambdaRequests: 1,
    lambdaMs: receiveMs,
    logBytes: logBytes.receive + logBytes.invocation,
  };
  // Receives, puts the event on a bus, and a second function behind a rule takes it from there, once.
  const eventBridge: Usage = {
    ...powertools,
    sqs: 0,
    eventBridge: 1,
    lambdaRequests: 2,
    lambdaMs: 2 * receiveMs,
    logBytes: 2 * powertools.logBytes,
  };
  // The least that AWS asks for: one request, one write of a KB without an index, one send, one invocation.
  const floor: Usage = {
    ...zero,
    httpApi: 1,
    writeUnits: 1,
    sqs: 1,
    lambdaRequests: 1,
    lambdaMs: receiveMs,
    logBytes: logBytes.invocation,
  };
  const all: Readonly<Record<string, Usage>> = {
    ...stages,
    'callback without action': sum('receive, new', 'decide, no action'),
    'callback with one action': sum('receive, new', 'decide, one action', 'act, answered at once'),
    'floor: one write, one send, nothing else': floor,
    'Powertools build, receive only': powertools,
    'EventBridge and Powertools, receive and consume': eventBridge,
  };
  return {
    about: `US dollars per million, prices of ${prices.asOf}, ${prices.region}, no free tier. Assumed: ${describeAssumptions()}.`,
    header: ['stage', 'HTTP API', 'write units', 'read units', 'SQS', 'EventBridge', 'Lambda', 'logs', 'sum'],
    rows: Object.entries(all).map(([name, usage]) => [name, ...dollarsPerMillion(usage).map(round)]),
    notes: [
      ...Object.entries(all).map(
        ([name, { writeUnits, readUnits, sqs }]) =>
          `${name}: ${writeUnits} write units, ${readUnits} read units, ${round(sqs)} SQS requests`,
      ),
      `Svix takes a million messages in a month for $${round((1_000_000 - services.svix.included) * services.svix.perMessage)} and hands them on.`,
      `Hookdeck begins at $${services.hookdeck.perMonth} a month with ${services.hookdeck.included} events; what further ones cost was not to be found.`,
    ],
  };
};

const zero: Usage = {
  httpApi: 0,
  writeUnits: 0,
  readUnits: 0,
  sqs: 0,
  lambdaRequests: 0,
  lambdaMs: 0,
  logBytes: 0,
  eventBridge: 0,
};

function add(a: Usage, b: Usage): Usage {
  return {
    httpApi: a.httpApi + b.httpApi,
    writeUnits: a.writeUnits + b.writeUnits,
    readUnits: a.readUnits + b.readUnits,
    sqs: a.sqs + b.sqs,
    lambdaRequests: a.lambdaRequests + b.lambdaRequests,
    lambdaMs: a.lambdaMs + b.lambdaMs,
    logBytes: a.logBytes + b.logBytes,
    eventBridge: a.eventBridge + b.eventBridge,
  };
}

function usageOf(
  { table, queue }: Metered,
  how: { readonly httpApi: number; readonly batch: number; readonly ms: number; readonly logBytes: number },
): Usage {
  return {
    httpApi: how.httpApi,
    writeUnits: table.writeUnits,
    readUnits: table.readUnits,
    sqs: queue.sends + (queue.receives + queue.acknowledges) / how.batch,
    lambdaRequests: 1 / how.batch,
    lambdaMs: how.ms,
    logBytes: how.logBytes + assumptions.logBytes.invocation / how.batch,
    eventBridge: 0,
  };
}

function dollarsPerMillion(usage: Usage): readonly number[] {
  const { items } = prices;
  const million = 1_000_000;
  const parts = [
    usage.httpApi * items.httpApiRequest,
    usage.writeUnits * items.dynamoWriteUnit,
    usage.readUnits * items.dynamoReadUnit,
    usage.sqs * items.sqsRequest,
    usage.eventBridge * items.eventBridgeEvent,
    usage.lambdaRequests * items.lambdaRequest +
      (usage.lambdaMs / 1_000) * assumptions.memoryGb * items.lambdaGbSecondArm,
    (usage.logBytes * items.logGigabyte) / 1e9,
  ].map((dollars) => dollars * million);
  return [...parts, parts.reduce((total, part) => total + part, 0)];
}

function describeAssumptions(): string {
  const { receiveMs, decideMsPerEvent, actMs, memoryGb, eventsPerBatch } = assumptions;
  return `receive ${receiveMs} ms, decide ${decideMsPerEvent} ms an event in batches of ${eventsPerBatch}, act ${actMs} ms, ${memoryGb} GB`;
}
