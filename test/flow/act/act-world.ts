import { z } from 'zod';
import { act } from '../../../functions/act/act.ts';
import type { ActDeps } from '../../../functions/act/act-deps.ts';
import { decideEvent } from '../../../functions/decide/decide.ts';
import { type SweepResult, sweep } from '../../../functions/sweep/sweep.ts';
import { topology } from '../../../infra/topology.ts';
import type { Action } from '../../../shared/core/action.ts';
import { noStops } from '../../../shared/core/controls.ts';
import { sumLedger } from '../../../shared/core/lifecycle.ts';
import type { Policy, ProviderPolicy, Rule } from '../../../shared/core/policy.ts';
import { type Subject, subjectOf } from '../../../shared/core/subject.ts';
import { type EpochMs, epochMs } from '../../../shared/core/time.ts';
import type { Proof, WebhookEvent } from '../../../shared/core/webhook-event.ts';
import type { LogFields, LogLevel } from '../../../shared/platform/log.ts';
import { type Random, seededRandom } from '../../../shared/platform/random.ts';
import { takeTurns } from '../../../shared/platform/turns.ts';
import type { Stage } from '../../../shared/policy/stage.ts';
import type { HttpRequest, HttpResult, OpenHttp } from '../../../shared/providers/http-client.ts';
import { linksfieldCsss } from '../../../shared/providers/linksfield-csss/linksfield-csss.ts';
import { findProvider } from '../../../shared/providers/registry.ts';
import { parseWorkItem } from '../../../shared/queue/work-item.ts';
import type { WorkQueue } from '../../../shared/queue/work-queue.ts';
import { Secret } from '../../../shared/signing/index.ts';
import { accountGate } from '../../../shared/store/account-gate.ts';
import { loadAction } from '../../../shared/store/action-store.ts';
import { loadSwitches, writeSwitches } from '../../../shared/store/control-store.ts';
import type { Table } from '../../../shared/store/table.ts';
import type { Exchange } from '../../provider-simulator/faults.ts';
import { createSimulator, type Simulator } from '../../provider-simulator/simulator.ts';
import { openSeededEngines, type SeededEngines } from '../../seeded/engines.ts';
import { apiKeys } from '../../seeded/keys.ts';
import { createScheduler, type Scheduler } from '../../seeded/scheduler.ts';
import { stageOf } from '../../seeded/stages.ts';
import { digest, event, lowData, noon } from '../../unit/core/samples.ts';
import { record } from '../../unit/store/store-world.ts';

export type ProviderName = keyof typeof apiKeys;

/** What happens to requests on their way; a test replaces what it needs. */
export interface Wire {
  /** Runs when a request has reached the provider, before it is answered. */
  onArrival: (path: string) => Promise<void>;
  /** How long the worker stands still between the answer and reading it, in ms. */
  stallMs: (path: string) => number;
  /** The worker throws where it would send, or waits for ever. */
  broken: (path: string) => 'throws' | 'silent' | null;
}

/** act and sweep on real engines in memory and on the real provider clients, all in virtual time. */
export interface World {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly simulator: Simulator;
  readonly engines: SeededEngines;
  readonly stage: Stage;
  readonly wire: Wire;
  readonly logged: { readonly level: LogLevel; readonly message: string; readonly fields: LogFields }[];
  readonly noticed: { readonly actionId: string; readonly what: string }[];
  /** Requests that reached the provider. */
  readonly sent: { readonly path: string; readonly bodyText: string }[];
  /** What the functions see: the stage's policy, the table and the queues unless a test puts something in between. */
  policy: Policy;
  /** Settings of CSSS that differ from the stage's. */
  csssSettings: object;
  table: Table;
  readonly actions: Map<string, WorkQueue>;
}

export async function openWorld(seed = 1): Promise<World> {
  const random = seededRandom(seed);
  const scheduler = createScheduler(noon, random);
  const stage = stageOf({
    caps: 'wide',
    velocity: 3,
    purchasesPerHour: 1_000,
    approval: false,
    requestsPerSec: 10,
    coalesce: false,
  });
  const ids = stage.providers.map(({ id }) => id);
  const engines = openSeededEngines(ids, () => epochMs(scheduler.now()));
  const simulator = await createSimulator({
    clock: { now: () => scheduler.now(), setTimer: (ms, run) => scheduler.after(ms, run) },
  });
  return {
    scheduler,
    random,
    simulator,
    engines,
    stage,
    wire: { onArrival: async () => undefined, stallMs: () => 0, broken: () => null },
    logged: [],
    noticed: [],
    sent: [],
    policy: stage.policy,
    csssSettings: {},
    table: engines.table,
    actions: new Map(engines.actions),
  };
}

export const now = (world: World): EpochMs => epochMs(world.scheduler.now());

// ---- causes ----

/** The n-th SIM of a provider, which the provider knows. */
export function simOf(world: World, provider: ProviderName, n = 1): Subject {
  const subject = subjectOf(provider, 'iccid', `8985200026332081${String(n).padStart(3, '0')}`);
  if (subject === null) throw new Error('the sample is no ICCID');
  if (!world.simulator.books.sims.has(`${provider}/${subject.simId}`))
    world.simulator.addSim({ provider, simId: subject.simId });
  return subject;
}

let causes = 0;

/** A signed EIOTCLUB alert that asks for PKG001. */
export function lowDataEvent(world: World, n = 1, changes: Partial<WebhookEvent> = {}): WebhookEvent {
  causes += 1;
  return event({
    eventId: `evt_${digest(`low-data ${causes}`).slice(0, 32)}`,
    subject: simOf(world, 'eiotclub', n),
    facts: lowData,
    occurredAt: now(world),
    receivedAt: now(world),
    correlationId: `cor_${causes}`,
    ...changes,
  });
}

export const unsigned: Proof = { kind: 'unsigned', why: 'no header' };
export const signed: Proof = { kind: 'signed', scheme: 'linksfield-csss', variant: 'of-bytes' };

export const csssPlan = 'DP20190726001274';

/** Tells that CSSS's order `ORDER_<n>` of the n-th SIM has expired; a rule orders the next one. */
export function expiredEvent(world: World, n = 1, proof: Proof = signed): WebhookEvent {
  const order = { orderId: `ORDER_${n}`, reference: null, packageCode: csssPlan };
  const subject = simOf(world, 'linksfield-csss', n);
  const facts = { kind: 'order-status', status: 'expired', order } as const;
  return lowDataEvent(world, n, {
    provider: 'linksfield-csss',
    providerType: '1008',
    subject,
    facts,
    proof,
  });
}

/** Puts an order into CSSS's records that is no purchase of ours, placed so long ago. */
export function holdCsssOrder(
  world: World,
  n: number,
  orderId: string,
  state: 'active' | 'ended',
  ageMs = 0,
): void {
  const { simId } = simOf(world, 'linksfield-csss', n);
  const createdAt = world.scheduler.now() - ageMs;
  const packages = [{ code: csssPlan, state, orderId, createdAt }];
  world.simulator.addSim({ provider: 'linksfield-csss', simId, packages });
}

/** Stores and judges an event; the id of the only action that comes of it. */
export async function cause(world: World, fact: WebhookEvent): Promise<string> {
  await record(world.engines.table, fact);
  const decided = await decideNow(world, fact);
  const [action, ...more] = decided;
  if (action === undefined || more.length > 0) throw new Error(`${decided.length} actions instead of one`);
  return action.actionId;
}

/** The actions that come of a stored event. */
export async function decideNow(world: World, fact: WebhookEvent): Promise<readonly Action[]> {
  const deps = {
    table: world.engines.table,
    policy: world.policy,
    events: world.engines.events,
    actionsQueue: (id: string) => world.actions.get(id) ?? null,
    log: () => undefined,
  };
  const result = await decideEvent(fact.eventId, now(world), deps, { replay: false, generation: 1 });
  return result.kind === 'decided' ? result.decided.actions : [];
}

// ---- policy and switches ----

export function changeRule(world: World, ruleId: string, changes: Partial<Rule>): void {
  const rules = world.policy.rules.map((rule) => (rule.ruleId === ruleId ? { ...rule, ...changes } : rule));
  world.policy = { ...world.policy, rules };
}

export function changeProvider(world: World, provider: ProviderName, changes: Partial<ProviderPolicy>): void {
  const providers = world.policy.providers.map((one) =>
    one.provider === provider ? { ...one, ...changes } : one,
  );
  world.policy = { ...world.policy, providers };
}

export async function stop(world: World, on: boolean): Promise<void> {
  const switches = await loadSwitches(world.engines.table);
  const all = on ? { since: now(world), by: 'test', reason: 'for a test' } : null;
  const change = {
    at: now(world),
    by: 'test',
    did: on ? 'paused' : 'resumed',
    what: 'everything',
    reason: '',
  } as const;
  const written = await writeSwitches(world.engines.table, switches, { ...noStops, all }, change);
  if (written !== 'written') throw new Error('the switches changed in between');
}

// ---- workers ----

export function actDeps(world: World, id: string): ActDeps {
  const provider = world.stage.providers.find((one) => one.id === id);
  const whole = findProvider(id);
  const queue = world.actions.get(id);
  if (provider === undefined || whole === null || queue === undefined)
    throw new Error(`the stage has no ${id}`);
  const edges = { clock: () => now(world), random: world.random };
  const key = Object.entries(apiKeys).find(([name]) => name === id)?.[1].old ?? '';
  const inTurn = takeTurns();
  const gate = accountGate(world.table, provider, edges);
  const client = whole.createClient({
    settings: id === 'linksfield-csss' ? withChanges(provider.settings, world) : provider.settings,
    currency: provider.currency,
    apiSecrets: async () => [{ keyId: null, secret: new Secret(key) }],
    now: edges.clock,
    random: world.random,
    callTimeout: provider.profile.callTimeout,
    admit: () => inTurn(gate),
    openHttp: httpOf(world),
  });
  return {
    table: world.table,
    client,
    profile: provider.profile,
    limits: provider.limits,
    policy: world.policy,
    actions: queue,
    lease: topology.lease,
    ...edges,
    inTurn,
    timeLeft: () => topology.act.timeout,
    log: (level, message, fields) => void world.logged.push({ level, message, fields }),
    notice: ({ actionId }, what) => void world.noticed.push({ actionId, what }),
  };
}

function withChanges(settings: unknown, world: World): unknown {
  return linksfieldCsss.settingsSchema.parse({
    ...z.object({}).loose().parse(settings),
    ...world.csssSettings,
  });
}

/** For workers under test: resolves when virtual time has come so far. */
export const wait = (world: World, ms: number): Promise<void> =>
  new Promise((resolve) => {
    world.scheduler.after(ms, resolve);
  });

/** Lets virtual time go on until `work` is over. Throws when it waits for something that will never happen. */
export async function drive<T>(world: World, work: Promise<T>): Promise<T> {
  let over = false;
  const end = (): void => {
    over = true;
  };
  work.then(end, end);
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
  await world.scheduler.runUntil(() => over);
  if (!over) throw new Error('the work under test waits for ever');
  return work;
}

/** Lets time pass for workers that a test has started, without sweep and queues. */
export const sleep = (world: World, ms: number): Promise<void> => drive(world, wait(world, ms));

/** One invocation, which the runtime ends after its time-out. */
export async function invoke(
  world: World,
  provider: string,
  actionId: string,
): Promise<'done' | 'failed' | 'ended'> {
  let cancel = (): void => undefined;
  const ended = new Promise<'ended'>((resolve) => {
    cancel = world.scheduler.after(topology.act.timeout, () => resolve('ended'));
  });
  const work = act(actionId, actDeps(world, provider)).then(
    () => 'done' as const,
    () => 'failed' as const,
  );
  const result = await drive(world, Promise.race([work, ended]));
  cancel();
  return result;
}

/** Works the actions queues off; a message whose worker failed or was ended comes again, as in production. */
async function workOff(world: World): Promise<void> {
  for (const [provider, queue] of world.actions) {
    for (let batches = 0; batches < 100; batches++) {
      const messages = await queue.receive(10);
      if (messages.length === 0) break;
      for (const { body, receipt } of messages) {
        const parsed = parseWorkItem(body);
        if (!parsed.ok) throw new Error(parsed.detail);
        if ((await invoke(world, provider, parsed.item.id)) === 'done') await queue.acknowledge([receipt]);
      }
    }
  }
}

/** Loses the messages of a queue: the test starts the workers itself. */
export async function drainQueue(world: World, provider: ProviderName): Promise<void> {
  const queue = world.actions.get(provider);
  const messages = (await queue?.receive(10)) ?? [];
  if (messages.length > 0) await queue?.acknowledge(messages.map(({ receipt }) => receipt));
}

export function sweepNow(world: World): Promise<SweepResult> {
  return sweep(now(world), {
    table: world.table,
    events: world.engines.events,
    actions: world.actions,
    log: (level, message, fields) => void world.logged.push({ level, message, fields }),
  });
}

/**
 * Lets time pass as in production: a message is worked on when it can be seen, and the sweep runs each minute. Minutes
 * in which nothing is due are skipped, since a sweep that finds nothing changes nothing.
 */
export async function pass(world: World, ms: number): Promise<void> {
  const end = world.scheduler.now() + ms;
  await workOff(world);
  while (world.scheduler.now() < end) {
    const target = Math.min(end, nextMoment(world));
    world.scheduler.after(target - world.scheduler.now(), () => undefined);
    await world.scheduler.runUntil(() => world.scheduler.now() >= target);
    if (isDue(world)) await sweepNow(world).catch(() => undefined);
    await workOff(world);
  }
}

const everyMs = topology.sweep.every;
const minuteOf = (at: number): number => Math.ceil((at - noon) / everyMs) * everyMs + noon;

function isDue(world: World): boolean {
  const at = world.scheduler.now();
  return minuteOf(at) === at && (world.engines.nextDue() ?? Number.POSITIVE_INFINITY) <= at;
}

/** When the next message can be seen or the next sweep finds something: a second from now at the earliest. */
function nextMoment(world: World): number {
  const earliest = world.scheduler.now() + 1;
  const due = world.engines.nextDue();
  const sweepAt = due === null ? [] : [minuteOf(Math.max(due, earliest))];
  const visible = [...world.actions.keys()].flatMap((id) => world.engines.nextVisible(`actions-${id}`) ?? []);
  return Math.min(...sweepAt, ...visible.map((at) => Math.max(at, earliest + 999)), Number.MAX_SAFE_INTEGER);
}

/** The action as stored, whose money must be what its ledger adds up to. */
export async function actionOf(world: World, actionId: string): Promise<Action> {
  const row = await loadAction(world.engines.table, actionId);
  if (row === null) throw new Error(`${actionId} is not stored`);
  const { action } = row.value;
  const sums = sumLedger(action.ledger, action.money.currency);
  if (JSON.stringify(sums) !== JSON.stringify(action.money))
    throw new Error(`money ${JSON.stringify(action.money)}, ledger ${JSON.stringify(sums)}`);
  return action;
}

// ---- the way to the provider ----

export const paid = /\/(orderPackage|batchOrderPackages|renewPackage|createOtaOrder)$/;

/** Paid requests that reached the provider, whatever came of them. */
export const paidCalls = (world: World): number =>
  world.simulator.requests().filter(({ path }) => paid.test(path)).length;

function httpOf(world: World): OpenHttp {
  return () => ({
    send: (request, { deadlineMs }) => send(world, request, deadlineMs),
    close: async () => undefined,
  });
}

async function send(world: World, request: HttpRequest, deadlineMs: number): Promise<HttpResult> {
  const { method, path, headers, body } = request;
  const broken = world.wire.broken(path);
  if (broken === 'throws') throw new Error('the worker dies here');
  if (broken === 'silent') return new Promise(() => undefined);
  await wait(world, 20);
  world.sent.push({ path, bodyText: body ?? '' });
  await world.wire.onArrival(path);
  const exchange = world.simulator.exchange(
    { method, path, query: { ...request.query }, headers: { ...headers }, bodyText: body ?? '' },
    world.scheduler.now(),
  );
  const { result, afterMs } = answerOf(exchange, deadlineMs);
  await wait(world, afterMs + world.wire.stallMs(path));
  return result;
}

const lost = (code: string): HttpResult => ({ kind: 'lost', code, message: 'no complete answer came' });

function answerOf(
  exchange: Exchange,
  deadlineMs: number,
): { readonly result: HttpResult; readonly afterMs: number } {
  switch (exchange.kind) {
    case 'hang':
      return { result: lost('deadline'), afterMs: deadlineMs };
    case 'drop':
      return { result: lost('ECONNRESET'), afterMs: 20 };
    case 'unreachable':
      return { result: { kind: 'not-sent', code: 'ECONNREFUSED', message: 'nobody listens' }, afterMs: 0 };
    case 'reply':
      if (exchange.delayMs >= deadlineMs) return { result: lost('deadline'), afterMs: deadlineMs };
      return { result: { kind: 'reply', ...exchange.reply }, afterMs: exchange.delayMs + 20 };
    default: {
      const never: never = exchange;
      throw new Error(`unknown exchange: ${JSON.stringify(never)}`);
    }
  }
}
