import { type Metered, runMeteredFlow } from './metered-flow.ts';
import { accessLogSample, assumptions, prices, services } from './prices.ts';
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
 * Dollars per million callbacks, from calls, units and log bytes that are counted while the real functions run, and
 * from prices and assumptions in prices.ts. The Powertools build is counted from its documented calls: an idempotency
 * record put and updated, the event put, a message sent; no indexes, no evidence, no second look at a purchase; its log
 * is taken to be as long as ours. Source of the calls: Powertools for AWS Lambda (TypeScript), Idempotency: a
 * conditional put before and an update after.
 */
export const costBench: Bench = async () => {
  const flow = await runMeteredFlow();
  const { eventsPerBatch, actionsPerBatch, receiveMs, decideMsPerEvent } = assumptions;
  const receive = { httpApi: 1, batch: 1, ms: receiveMs };
  const decide = { httpApi: 0, batch: eventsPerBatch, ms: decideMsPerEvent };
  const stages = {
    'receive, new': usageOf(flow.accepted, receive),
    'receive, duplicate': usageOf(flow.duplicate, receive),
    'receive, no rule can match': usageOf(flow.unmatched, receive),
    'decide, a rule passes': usageOf(flow.passed, decide),
    'decide, one action': usageOf(flow.decided, decide),
    'act, one by itself': usageOf(flow.acted, { httpApi: 0, batch: 1, ms: actMsOf(1) }),
    'act, in a full batch': usageOf(flow.acted, {
      httpApi: 0,
      batch: actionsPerBatch,
      ms: actMsOf(actionsPerBatch),
    }),
  };
  const sum = (...names: readonly (keyof typeof stages)[]): Usage =>
    names.map((name) => stages[name]).reduce(add, zero);
  const powertools: Usage = {
    ...stages['receive, new'],
    writeUnits: 3,
    readUnits: 0,
    sqs: 1,
  };
  // Receives, puts the event on a bus, and a second function behind a rule takes it from there, once.
  const eventBridge: Usage = {
    ...powertools,
    sqs: 0,
    eventBridge: 1,
    lambdaRequests: 2,
    lambdaMs: 2 * receiveMs,
    logBytes: powertools.logBytes + stages['decide, a rule passes'].logBytes,
  };
  // The least that AWS asks for: one request, one write of a KB without an index, one send, one invocation, no log.
  const floor: Usage = { ...zero, httpApi: 1, writeUnits: 1, sqs: 1, lambdaRequests: 1, lambdaMs: receiveMs };
  const all: Readonly<Record<string, Usage>> = {
    ...stages,
    'callback that no rule can match': stages['receive, no rule can match'],
    'callback that a rule asks for and passes': sum('receive, new', 'decide, a rule passes'),
    'callback with one purchase, in full batches': sum(
      'receive, new',
      'decide, one action',
      'act, in a full batch',
    ),
    'callback with one purchase, by itself': sum('receive, new', 'decide, one action', 'act, one by itself'),
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
        ([name, { writeUnits, readUnits, sqs, logBytes }]) =>
          `${name}: ${writeUnits} write units, ${readUnits} read units, ${round(sqs)} SQS requests, ${Math.round(logBytes)} bytes of log`,
      ),
      ...Object.entries<Metered>({ ...flow }).map(
        ([name, { table }]) => `${name} writes ${describeWrites(table)}`,
      ),
      'A purchase that comes alone is billed alone; batches are full only while purchases wait.',
      `Svix takes a million messages in a month for $${round(monthOf(services.svix))} and hands them on.`,
      `Hookdeck takes a million events in a month for $${round(monthOf(services.hookdeck))} and hands them on; what an event costs is second-hand.`,
    ],
  };
};

/** Each write or transaction with what it changes and the units of each. */
function describeWrites({ writes }: Metered['table']): string {
  return writes.map(({ what, units }) => `${units} (${what.join(', ')})`).join(', then ');
}

/** Billed milliseconds per purchase of an invocation that makes so many: they wait for the provider at once. */
function actMsOf(together: number): number {
  return (assumptions.actMs + (together - 1) * assumptions.actMsPerTurn) / together;
}

/** Dollars for a million messages in one month. */
function monthOf({ perMonth, included, perMessage }: (typeof services)[keyof typeof services]): number {
  return perMonth + (1_000_000 - included) * perMessage;
}

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
  { table, queue, logLines }: Metered,
  how: { readonly httpApi: number; readonly batch: number; readonly ms: number },
): Usage {
  const lines = logLines.reduce((bytes, line) => bytes + line, 0);
  return {
    httpApi: how.httpApi,
    writeUnits: table.writeUnits,
    readUnits: table.readUnits,
    sqs: queue.sends + (queue.receives + queue.acknowledges) / how.batch,
    lambdaRequests: 1 / how.batch,
    lambdaMs: how.ms,
    logBytes: lines + how.httpApi * accessLogBytes,
    eventBridge: 0,
  };
}

const accessLogBytes = Buffer.byteLength(JSON.stringify(accessLogSample)) + 1;

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
  const { receiveMs, decideMsPerEvent, actMs, actMsPerTurn, memoryGb, eventsPerBatch, actionsPerBatch } =
    assumptions;
  return `receive ${receiveMs} ms, decide ${decideMsPerEvent} ms an event in batches of ${eventsPerBatch}, act ${actMs} ms in batches of ${actionsPerBatch} that wait at once with ${actMsPerTurn} ms more for each further one, ${memoryGb} GB`;
}
