import { act } from '../../functions/act/act.ts';
import { decideEvent } from '../../functions/decide/decide.ts';
import { receive } from '../../functions/receive/receive.ts';
import { type SweepDeps, sweep } from '../../functions/sweep/sweep.ts';
import { pollOnce } from '../../infra/local/queue-poller.ts';
import { topology } from '../../infra/topology.ts';
import { holdsSim } from '../../shared/core/action.ts';
import { noStops } from '../../shared/core/controls.ts';
import { durationMs, epochMs, hours } from '../../shared/core/time.ts';
import { handleWorkBatch } from '../../shared/lambda/work-batch.ts';
import { silentLog } from '../../shared/platform/log.ts';
import { type Random, seededRandom } from '../../shared/platform/random.ts';
import { takeTurns } from '../../shared/platform/turns.ts';
import type { Stage, StageProvider } from '../../shared/policy/stage.ts';
import { callbackSides, findProvider } from '../../shared/providers/registry.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import { accountGate } from '../../shared/store/account-gate.ts';
import { loadSwitches, writeSwitches } from '../../shared/store/control-store.ts';
import { limitKey, waitingActions } from '../../shared/store/item-layout.ts';
import { openQuarantine } from '../../shared/store/quarantine-store.ts';
import { readRow } from '../../shared/store/rows.ts';
import type { Change, Table } from '../../shared/store/table.ts';
import type { ApiRequest } from '../provider-simulator/api-handler.ts';
import type { ProviderName } from '../provider-simulator/books.ts';
import type { CallbackMessage } from '../provider-simulator/callbacks.ts';
import type { Exchange } from '../provider-simulator/faults.ts';
import {
  csssCallbackMd5,
  eiotclubSign,
  type JsonObject,
  printJson,
} from '../provider-simulator/signatures.ts';
import { createSimulator, type Simulator } from '../provider-simulator/simulator.ts';
import { type Chance, createChance, type FaultCounts } from './chance.ts';
import { openSeededEngines, type SeededEngines } from './engines.ts';
import { faultyQueue, faultyTable, type IndexMemory } from './faulty-engines.ts';
import { faultyHttp } from './faulty-http.ts';
import { apiKeys, callbackKeys, pathToken, type Rotation, secretsOf } from './keys.ts';
import type { Mutation } from './mutations.ts';
import {
  boughtOnVerifiedClaim,
  capsHoldInTheBooks,
  createJudge,
  everyActionEndsKnown,
  everyAnswerStoredOnce,
  everyEventDecided,
  everyRequestHasSlot,
  factIn,
  fail,
  isGrant,
  isStored,
  type Judge,
  ledgerAgrees,
  limitsKept,
  oneOrderPerCause,
  onWritten,
  punctualMs,
  storedOnceAtTheEnd,
  type Violation,
} from './oracle.ts';
import { createScheduler } from './scheduler.ts';
import { drawStage, type StageDraw, stageOf } from './stages.ts';
import { createTrace } from './trace.ts';
import { clockOf, createWorker, kill, type Sim, step, type Worker } from './worker.ts';
import { hookUrl, horizonMax, startBurst, startWorkload, type Workload } from './workload.ts';

export interface RunOptions {
  readonly mutation?: Mutation;
  /** Lets providers commit later than their profiles say; CSSS, which takes no order number, may then sell twice. */
  readonly breaksPromises?: boolean;
  /** Instead of the seed's own events: so many usage alerts for as many SIMs at once, without any fault. */
  readonly burst?: number;
  /** How the operator set the limits; drawn by the seed unless given. */
  readonly stage?: StageDraw;
  /** Workers on each queue; 2 unless given. */
  readonly workers?: number;
  /** Lines of the trace in the result; 60 unless given, and only for a run that failed. */
  readonly traceLines?: number;
  /** Trace every worker, not only those that touched what broke, and a run that did not fail too. */
  readonly traceAll?: boolean;
}

export interface RunResult {
  readonly seed: number;
  readonly violation: Violation | null;
  readonly trace: readonly string[];
  readonly faults: FaultCounts;
  readonly steps: number;
  readonly purchases: number;
  /** Virtual time from the start to the last purchase, in ms. */
  readonly lastPurchaseMs: number;
  readonly actions: number;
  readonly callbacks: number;
  readonly states: Readonly<Record<string, number>>;
}

/** Steps of one run at most: a run that needs more does not drain. */
const stepsMax = 150_000;
/** Virtual time after the faults within which everything must drain. Actions are given up after 3 days. */
const drainMax = hours(4 * 24);

interface World extends Sim {
  readonly stage: Stage;
  readonly judge: Judge;
  readonly engines: SeededEngines;
  readonly real: {
    readonly table: Table;
    readonly memory: IndexMemory;
    readonly onWritten: (changes: readonly Change[], worker: Worker) => void;
  };
  readonly simulator: Simulator;
  readonly rotation: Rotation;
  readonly mutation: Mutation | null;
  readonly providerSkewMs: number;
  readonly breaksPromises: boolean;
  readonly functionTimeouts: boolean;
  readonly refundOf: Map<string, { readonly orderId: string; readonly amountMinor: number }>;
  readonly wake: Map<string, () => void>;
  readonly startMs: number;
  readonly stepsMax: number;
  readonly counters: { workers: number; callbacks: number };
  armSweep: (dueAtMs: number) => void;
}

/** Plays one seed from its first callback until everything has drained, or until an invariant breaks. */
export async function runSeed(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const world = await createWorld(seed, options);
  const { scheduler, chance, judge, random } = world;
  const start = scheduler.now();
  const horizonMs = random.integer(600_000, horizonMax);
  startPollers(world, options.workers ?? 2);
  startSweeps(world);
  if (options.burst !== undefined) chance.calm();
  const load: Workload = {
    scheduler,
    random,
    chance,
    simulator: world.simulator,
    claim: (identity, claim) => void judge.claims.set(identity, claim),
    refunded: (id, orderId, amountMinor) => void world.refundOf.set(id, { orderId, amountMinor }),
    post: (path, body, headers) =>
      void deliver(world, {
        url: `${hookUrl}${path}`,
        headers: { 'content-type': 'application/json', ...headers },
        bodyText: printJson(body),
      }).catch(() => undefined),
    horizonMs,
  };
  if (options.burst !== undefined) startBurst(load, options.burst);
  else {
    startWorkload(load);
    startWeather(world, horizonMs);
  }
  const broken = (): boolean => judge.violation !== null || scheduler.steps() > world.stepsMax;
  await scheduler.runUntil(() => broken() || scheduler.now() - start > horizonMs);
  if (!broken()) await calmDown(world);
  // A machine that still sleeps works on nothing: seed 1795334170 slept for two hours beyond the last fault.
  const calmAt = Math.max(scheduler.now(), scheduler.wokeAt());
  await scheduler.runUntil(() => broken() || scheduler.now() - calmAt > decisionBound);
  if (!broken()) everyEventDecided(judge, `${decisionBound / 60_000} minutes after the last fault`);
  await scheduler.runUntil(() => broken() || scheduler.now() - calmAt > drainMax);
  if (judge.violation === null) await judgeTheEnd(world);
  await world.engines.table.close();
  return resultOf(seed, world, options);
}

/** The sweep looks at stuck work every half hour at the latest; deferred echoes wait for a quarter of an hour. */
const decisionBound = hours(1.5);

async function createWorld(seed: number, options: RunOptions): Promise<World> {
  const random = seededRandom(seed);
  const startMs = startMoment(random);
  const scheduler = createScheduler(startMs, random);
  const chance = createChance(random);
  const trace = createTrace(startMs);
  const stage = stageOf(options.stage ?? drawStage(random));
  const judge = createJudge(stage.policy);
  const rotation: Rotation = { stored: false, signing: false };
  const engines = openSeededEngines(
    stage.providers.map(({ id }) => id),
    () => epochMs(scheduler.now()),
  );
  const sim: Sim = { scheduler, chance, random, trace };
  const holder: { world: World | null } = { world: null };
  const simulator = await createSimulator({
    clock: { now: () => scheduler.now(), setTimer: (ms, run) => scheduler.outside(ms, run) },
    unknownSims: 'refuse',
    alsoAccepts: {
      eiotclub: [apiKeys.eiotclub.fresh],
      'linksfield-csss': [apiKeys['linksfield-csss'].fresh],
    },
    callbacks: {
      urls: {
        eiotclub: `${hookUrl}/callbacks/eiotclub`,
        'linksfield-csss': `${hookUrl}/callbacks/linksfield-csss/${pathToken}`,
      },
      resignEachTry: random.fraction() < 0.5,
    },
    callbackSender: (message) => {
      if (holder.world === null) throw new Error('a callback was sent before the world stood');
      return carry(holder.world, message);
    },
  });
  const world: World = {
    ...sim,
    stage,
    judge,
    engines,
    real: {
      table: engines.table,
      memory: { before: new Map() },
      onWritten: (changes, worker) => noteWritten(world, changes, worker),
    },
    simulator,
    rotation,
    mutation: options.mutation ?? null,
    providerSkewMs: chance.strikes('clock-skew') ? random.integer(-240_000, 240_000) : 0,
    breaksPromises: options.breaksPromises ?? false,
    functionTimeouts: random.fraction() < 0.5,
    refundOf: new Map(),
    wake: new Map(),
    startMs,
    stepsMax: options.burst === undefined ? stepsMax : 2_000_000,
    counters: { workers: 0, callbacks: 0 },
    armSweep: () => undefined,
  };
  holder.world = world;
  return world;
}

/** Mostly some ordinary hour, often close to the end of a day or a month, where the caps' periods change. */
function startMoment(random: Random): number {
  const day = Date.UTC(2026, 10, random.fraction() < 0.3 ? 30 : random.integer(1, 29));
  return random.fraction() < 0.4
    ? day + 86_400_000 - random.integer(0, 3 * 3_600_000)
    : day + random.integer(0, 80_000_000);
}

// ---- workers ----

function newWorker(world: World, name: string, onAbandoned: () => void): Worker {
  world.counters.workers += 1;
  return createWorker(world, `${name}#${world.counters.workers}`, onAbandoned);
}

function tableOf(world: World, worker: Worker): Table {
  const table = faultyTable(world, worker, world.real);
  return world.mutation?.table?.(table) ?? table;
}

function queueOf(world: World, worker: Worker, name: string, queue: WorkQueue): WorkQueue {
  return faultyQueue(world, worker, { name, queue, onSent: () => world.wake.get(name)?.() });
}

function noteWritten(world: World, changes: readonly Change[], worker: Worker): void {
  onWritten(world.judge, changes);
  for (const change of changes) {
    if (change.kind !== 'insert' && change.kind !== 'replace') continue;
    const { item } = change;
    if (item.indexes.due !== undefined && !item.indexes.due.pk.startsWith('WAITING'))
      world.armSweep(item.indexes.due.at);
    for (const { id } of world.stage.providers) {
      const key = limitKey(id);
      if (item.pk !== key.pk || item.sk !== key.sk) continue;
      const window = readRow('limit', { ...item, version: 1 });
      if (isGrant(world.judge, id, window))
        worker.slots.push((window.grants.at(-1) ?? 0) - worker.clockOffsetMs);
    }
  }
}

function startPollers(world: World, workersPerQueue: number): void {
  const { engines, stage } = world;
  const queues: readonly [string, WorkQueue, 'event' | 'action', StageProvider | null][] = [
    ['events', engines.events, 'event', null],
    ...stage.providers.flatMap((provider): [string, WorkQueue, 'action', StageProvider][] => {
      const queue = engines.actions.get(provider.id);
      return queue === undefined ? [] : [[`actions-${provider.id}`, queue, 'action', provider]];
    }),
  ];
  for (const [name, queue, kind, provider] of queues) {
    const slots = Array.from({ length: workersPerQueue }, () =>
      openSlot(world, { name, queue, kind, provider }),
    );
    world.wake.set(name, () => {
      for (const slot of slots) slot.wake();
    });
  }
}

interface Source {
  readonly name: string;
  readonly queue: WorkQueue;
  readonly kind: 'event' | 'action';
  readonly provider: StageProvider | null;
}

/** One place in which invocations follow each other; a lost one is replaced after a while. */
function openSlot(world: World, source: Source): { wake(): void } {
  const { scheduler, random } = world;
  let busy = false;
  let cancelNap: () => void = () => undefined;
  let napUntil = Number.POSITIVE_INFINITY;
  const next = (ms: number): void => {
    busy = false;
    nap(scheduler.now() + ms);
  };
  const nap = (until: number): void => {
    cancelNap();
    napUntil = until;
    cancelNap = scheduler.after(until - scheduler.now(), invoke);
  };
  const sleep = (): void => {
    busy = false;
    const visibleAt = world.engines.nextVisible(source.name);
    napUntil = Number.POSITIVE_INFINITY;
    cancelNap();
    if (visibleAt !== null) nap(Math.max(visibleAt, scheduler.now() + random.integer(1, 200)));
  };
  const invoke = (): void => {
    if (busy) return;
    busy = true;
    napUntil = Number.POSITIVE_INFINITY;
    const worker = newWorker(world, source.name, () => next(random.integer(100, 5_000)));
    invocation(world, source, worker).then(
      (handled) => {
        if (!worker.alive || worker.abandoned) return;
        worker.alive = false;
        if (handled > 0) next(random.integer(0, 20));
        else sleep();
      },
      () => {
        if (worker.alive && !worker.abandoned) next(random.integer(200, 2_000));
      },
    );
  };
  return {
    wake: () => {
      const visibleAt = world.engines.nextVisible(source.name);
      if (!busy && visibleAt !== null && visibleAt < napUntil) nap(Math.max(visibleAt, scheduler.now() + 1));
    },
  };
}

function invocation(world: World, source: Source, worker: Worker): Promise<number> {
  const { provider, kind } = source;
  const isAct = provider !== null;
  const timeout = isAct ? topology.act.timeout : topology.decide.timeout;
  if (world.functionTimeouts)
    world.scheduler.after(timeout, () => {
      if (!worker.alive) return;
      world.chance.count('function-timeout');
      kill(world, worker, 'is ended by its time-out');
    });
  const work = provider === null ? decider(world, worker) : actor(world, worker, provider);
  return pollOnce({
    name: source.name,
    queue: queueOf(world, worker, source.name, source.queue),
    batchSize: isAct ? topology.act.batchSize : topology.decide.batchSize,
    handler: (batch) => handleWorkBatch(batch, { kind, atOnce: isAct, log: silentLog, work }),
  });
}

function decider(world: World, worker: Worker): (eventId: string) => Promise<void> {
  const deps = {
    table: tableOf(world, worker),
    policy: world.stage.policy,
    events: queueOf(world, worker, 'events', world.engines.events),
    actionsQueue: (id: string) => {
      const queue = world.engines.actions.get(id);
      return queue === undefined ? null : queueOf(world, worker, `actions-${id}`, queue);
    },
    log: silentLog,
  };
  return async (eventId) => {
    await decideEvent(eventId, clockOf(world, worker)(), deps, { replay: false, generation: 1 });
  };
}

function actor(world: World, worker: Worker, provider: StageProvider): (actionId: string) => Promise<void> {
  const table = tableOf(world, worker);
  const queue = world.engines.actions.get(provider.id);
  const whole = findProvider(provider.id);
  if (queue === undefined || whole === null) throw new Error(`provider ${provider.id} is not whole`);
  const edges = { clock: clockOf(world, worker), random: world.random };
  const secrets = secretsOf(world.rotation, world.random);
  const gate = accountGate(table, provider, edges);
  const inTurn = takeTurns();
  const client = whole.createClient({
    settings: provider.settings,
    currency: provider.currency,
    apiSecrets: () =>
      step(
        world,
        worker,
        { what: 'read the API secrets', mayFreeze: false },
        async () => (await secrets.read(provider.id, 'api')).keys,
      ),
    now: edges.clock,
    random: world.random,
    callTimeout: provider.profile.callTimeout,
    admit: world.mutation?.ungated
      ? async () => ({ ok: true, release: async () => undefined })
      : () => inTurn(gate),
    openHttp: faultyHttp(world, worker, wireOf(world)),
  });
  const deps = {
    table,
    client: world.mutation?.client?.(client) ?? client,
    profile: world.mutation?.profile?.(provider.profile) ?? provider.profile,
    limits: provider.limits,
    policy: world.stage.policy,
    actions: queueOf(world, worker, `actions-${provider.id}`, queue),
    lease: topology.lease,
    ...edges,
    inTurn,
    timeLeft: () =>
      durationMs(
        Math.max(
          0,
          topology.act.timeout - (world.functionTimeouts ? world.scheduler.now() - worker.startedAt : 0),
        ),
      ),
    log: silentLog,
  };
  return (actionId) => {
    worker.actionIds.add(actionId);
    return act(actionId, deps);
  };
}

function wireOf(world: World): Parameters<typeof faultyHttp>[2] {
  const lateOf = (id: string): number => findProvider(id)?.profile.lateCommit ?? 0;
  return {
    simulator: world.simulator,
    providerSkewMs: () => world.providerSkewMs,
    lateCommitMs: {
      eiotclub: lateOf('eiotclub'),
      'linksfield-csss': lateOf('linksfield-csss'),
      'linksfield-cube': lateOf('linksfield-cube'),
    },
    breaksPromises: world.breaksPromises,
    onSend: (worker, provider) => spendSlot(world, worker, provider),
    onArrival: (worker, request, play) => arrive(world, worker, request, play),
  };
}

/** A request that leaves at once after its slot counts against the limits; one that was held up does not. */
function spendSlot(world: World, worker: Worker, provider: ProviderName): void {
  const slotAt = worker.slots.shift();
  everyRequestHasSlot(world.judge, provider, slotAt);
  if (slotAt === undefined || world.scheduler.now() - slotAt > punctualMs) return;
  const perSec = world.stage.providers.find(({ id }) => id === provider)?.limits.requestsPerSec ?? 0;
  limitsKept(world.judge, provider, world.scheduler.now(), perSec);
}

/** Counts what a request bought under the action that its worker was on. */
function arrive(world: World, worker: Worker, _request: ApiRequest, play: () => Exchange): Exchange {
  const { simulator, judge } = world;
  const before = simulator.books.purchases.length;
  const exchange = play();
  for (const purchase of simulator.books.purchases.slice(before)) {
    const actionId = buyerOf(judge, worker, purchase.simId);
    const bought = { purchase, actionId };
    judge.purchases.push(bought);
    world.trace.note(
      world.scheduler.now(),
      purchase.provider,
      `  SOLD ${purchase.orderId} for ${purchase.simId}, ${actionId}`,
    );
    if (keepsMoney(world, purchase.provider)) oneOrderPerCause(judge, bought);
    boughtOnVerifiedClaim(judge, bought);
    if (!world.breaksPromises) capsHoldInTheBooks(judge);
  }
  return exchange;
}

/**
 * Whose purchase an order is: of the actions that its worker is on, the one for that SIM; when there are several, or
 * the worker took another's SIM along, the action that holds the SIM, else the SIM's newest.
 */
function buyerOf(judge: Judge, { actionIds }: Worker, simId: string): string | null {
  const own = [...judge.actions.values()].filter(({ subject }) => subject.simId === simId);
  const [worked, ...others] = own.filter(({ actionId }) => actionIds.has(actionId));
  if (worked !== undefined && others.length === 0) return worked.actionId;
  const holder = own.find(({ state }) => holdsSim(state)) ?? own.at(-1);
  return holder?.actionId ?? null;
}

/** EIOTCLUB refuses a second order of one number, so there not even a broken promise may cost money twice. */
const keepsMoney = (world: World, provider: string): boolean =>
  !world.breaksPromises || provider === 'eiotclub';

// ---- the sweep ----

function startSweeps(world: World): void {
  const { scheduler, chance, random } = world;
  const every = topology.sweep.every;
  let armedAt = Number.POSITIVE_INFINITY;
  let cancel: () => void = () => undefined;
  const armAt = (dueAt: number): void => {
    // A sweep that finds nothing changes nothing, so only those are played at which something is due.
    const at = Math.ceil((Math.max(dueAt, scheduler.now()) + 1) / every) * every;
    if (at >= armedAt) return;
    cancel();
    armedAt = at;
    cancel = scheduler.after(at - scheduler.now(), run);
  };
  const run = (): void => {
    armedAt = Number.POSITIVE_INFINITY;
    if (!chance.strikes('sweep-skipped')) sweepOnce(world);
    if (chance.strikes('sweep-twice')) scheduler.after(random.integer(0, 50), () => sweepOnce(world));
    scheduler.after(every - 1_000, rearm);
  };
  const rearm = (): void => {
    const dueAt = world.engines.nextDue();
    if (dueAt !== null) armAt(dueAt);
  };
  world.armSweep = armAt;
}

function sweepOnce(world: World): void {
  const worker = newWorker(world, 'sweep', () => undefined);
  if (world.functionTimeouts)
    world.scheduler.after(topology.sweep.timeout, () => kill(world, worker, 'is ended by its time-out'));
  const deps: SweepDeps = {
    table: tableOf(world, worker),
    events: queueOf(world, worker, 'events', world.engines.events),
    actions: new Map(
      [...world.engines.actions].map(([id, queue]) => [id, queueOf(world, worker, `actions-${id}`, queue)]),
    ),
    log: silentLog,
  };
  const run = (using: SweepDeps): Promise<unknown> => sweep(clockOf(world, worker)(), using);
  const swept = world.mutation?.sweep === undefined ? run(deps) : world.mutation.sweep(run, deps);
  swept.catch(() => undefined);
}

// ---- callbacks ----

/** One message on its way from the provider to us, with what happens to messages. */
async function carry(world: World, message: CallbackMessage): Promise<number> {
  const { chance, random, scheduler } = world;
  const signed = resign(world, message);
  if (chance.strikes('callback-lost')) throw new Error('the callback was lost');
  const delays = [
    chance.strikes('callback-late') ? random.integer(1_000, 2 * 3_600_000) : random.integer(1, 50),
  ];
  if (chance.strikes('callback-twice')) delays.push(random.integer(1, 5_000));
  const statuses = await Promise.all(
    delays.map(
      (ms) =>
        new Promise<number>((resolve, reject) => {
          scheduler.outside(ms, () => deliver(world, signed).then(resolve, reject));
        }),
    ),
  );
  if (chance.strikes('callback-answer-lost')) throw new Error('the answer was lost');
  return statuses[0] ?? 0;
}

/** After a rotation the provider signs with the new key. */
function resign({ rotation }: World, message: CallbackMessage): CallbackMessage {
  if (!rotation.signing) return message;
  const body: JsonObject = JSON.parse(message.bodyText);
  if (message.url.includes('eiotclub')) {
    const { sign: _old, ...rest } = body;
    const sign = eiotclubSign(rest, callbackKeys.eiotclub.fresh, 'callback');
    return { ...message, bodyText: printJson({ ...rest, sign }) };
  }
  if (message.headers['x-lf-md5'] === undefined) return message;
  const md5 = csssCallbackMd5(body, callbackKeys['linksfield-csss'].fresh, 'of-bytes');
  return { ...message, headers: { ...message.headers, 'x-lf-md5': md5 } };
}

/** The provider waits this long for an answer. */
const callbackTimeoutMs = 5_000;

/** One HTTP request to receive; rejects when no answer comes in time. */
function deliver(world: World, message: CallbackMessage): Promise<number> {
  const { scheduler, judge } = world;
  world.counters.callbacks += 1;
  if (scheduler.isSuspended()) return Promise.reject(new Error('nobody listens'));
  return new Promise((resolve, reject) => {
    const worker = newWorker(world, 'receive', () => undefined);
    scheduler.outside(callbackTimeoutMs, () => reject(new Error('no answer in time')));
    answer(world, worker, message).then(
      (status) => {
        if (!worker.alive) return;
        const identity = factIn(message.bodyText);
        if (status >= 200 && status < 300 && identity !== null) {
          everyAnswerStoredOnce(judge, identity);
          const refund = world.refundOf.get(identity);
          if (refund !== undefined) noteRefund(world, identity, refund);
          const claim = judge.claims.get(identity);
          if (claim?.what === 'forged')
            fail(judge, '6 nothing-bought-on-an-unverified-claim', `${identity} is forged and was accepted`);
        }
        resolve(status);
      },
      (error: unknown) => reject(error),
    );
  });
}

function noteRefund(
  world: World,
  id: string,
  refund: { readonly orderId: string; readonly amountMinor: number },
): void {
  world.refundOf.delete(id);
  const { refunds } = world.judge;
  refunds.set(refund.orderId, (refunds.get(refund.orderId) ?? 0) + refund.amountMinor);
}

async function answer(world: World, worker: Worker, message: CallbackMessage): Promise<number> {
  const secrets = secretsOf(world.rotation, world.random);
  const table = tableOf(world, worker);
  const side = world.mutation?.side;
  const path = new URL(message.url).pathname;
  const result = await receive(
    {
      version: '2.0',
      rawPath: path,
      headers: { ...message.headers },
      body: message.bodyText,
      isBase64Encoded: false,
      requestContext: { requestId: worker.name, http: { method: 'POST' } },
    },
    clockOf(world, worker)(),
    {
      table: world.mutation?.receiveTable?.(table) ?? table,
      events: queueOf(world, worker, 'events', world.engines.events),
      sides: side === undefined ? callbackSides : callbackSides.map(side),
      providers: world.stage.providers,
      policy: world.mutation?.receivePolicy?.(world.stage.policy) ?? world.stage.policy,
      secrets: {
        read: (provider, purpose) =>
          step(world, worker, { what: 'read the callback secrets', mayFreeze: true }, () =>
            secrets.read(provider, purpose),
          ),
        reread: (provider, purpose) =>
          step(world, worker, { what: 'read the callback secrets anew', mayFreeze: true }, () =>
            secrets.reread(provider, purpose),
          ),
      },
      quarantine: openQuarantine(table),
      log: silentLog,
    },
  );
  return result.statusCode;
}

// ---- what else goes on ----

/** Things that happen to the whole, a few times in a run: operators, prices, wallets, keys, power cuts. */
function startWeather(world: World, horizonMs: number): void {
  const { scheduler, random, chance, simulator } = world;
  const sometimes = (kind: Parameters<Chance['strikes']>[0], run: () => void): void => {
    for (let i = 0; i < 3; i++) {
      scheduler.outside(random.integer(0, horizonMs), () => {
        if (chance.strikes(kind, 2)) run();
      });
    }
  };
  const then = (msMax: number, run: () => void): void =>
    void scheduler.outside(random.integer(1_000, msMax), run);
  sometimes('operator-stop', () => {
    void setStop(world, random.integer(0, 2));
    then(30 * 60_000, () => void clearStops(world));
  });
  sometimes('operator-replay', () => replay(world));
  sometimes('price-change', () =>
    simulator.setPrice('eiotclub', 'PKG001', [400, 500, 600][random.integer(0, 2)] ?? 500),
  );
  sometimes('wallet-empty', () => {
    const provider = random.fraction() < 0.5 ? 'eiotclub' : 'linksfield-csss';
    simulator.setBalance(provider, 0);
    then(60 * 60_000, () => simulator.setBalance(provider, 100_000_000));
  });
  // Functions in the cloud are ended, not suspended; the machine of the local world can be.
  sometimes('machine-suspended', () => {
    if (world.functionTimeouts || scheduler.isSuspended()) return;
    const ms = random.integer(30_000, random.fraction() < 0.5 ? 300_000 : 3 * 3_600_000);
    world.trace.note(scheduler.now(), 'weather', `the machine sleeps for ${Math.round(ms / 1_000)} s`);
    scheduler.suspend(ms);
  });
  sometimes('secret-rotation', () => {
    world.rotation.stored = true;
    then(10 * 60_000, () => {
      world.rotation.signing = true;
    });
  });
}

async function setStop({ real, scheduler, trace, stage, random }: World, which: number): Promise<void> {
  const stop = { since: epochMs(scheduler.now()), by: 'operator', reason: 'a drill' };
  const current = await loadSwitches(real.table);
  const provider = stage.providers[random.integer(0, stage.providers.length - 1)]?.id ?? 'eiotclub';
  const next =
    which === 0
      ? { ...current.value, all: stop }
      : which === 1
        ? { ...current.value, providers: { [provider]: stop } }
        : { ...current.value, rules: { 'renew-low-data': stop } };
  const what = ['everything', `provider ${provider}`, 'a rule'][which] ?? '';
  await writeSwitches(real.table, current, next, {
    at: stop.since,
    by: stop.by,
    did: 'paused',
    what,
    reason: stop.reason,
  });
  trace.note(scheduler.now(), 'operator', `stops ${what}`);
}

async function clearStops({ real, scheduler, trace }: World): Promise<void> {
  await writeSwitches(real.table, await loadSwitches(real.table), noStops, {
    at: epochMs(scheduler.now()),
    by: 'operator',
    did: 'resumed',
    what: 'everything',
    reason: 'the drill is over',
  });
  trace.note(scheduler.now(), 'operator', 'lets all go on');
}

/** An operator has an old event judged again. */
function replay(world: World): void {
  const ids = [...world.judge.events.keys()];
  const eventId = ids[world.random.integer(0, ids.length - 1)];
  if (eventId === undefined) return;
  const worker = newWorker(world, 'replay', () => undefined);
  const deps = {
    table: tableOf(world, worker),
    policy: world.stage.policy,
    events: queueOf(world, worker, 'events', world.engines.events),
    actionsQueue: () => null,
    log: silentLog,
  };
  decideEvent(eventId, clockOf(world, worker)(), deps, { replay: true, generation: 1 }).catch(
    () => undefined,
  );
}

async function calmDown(world: World): Promise<void> {
  const { chance, simulator, trace, scheduler } = world;
  trace.note(scheduler.now(), 'weather', 'no more faults');
  chance.calm();
  simulator.setBalance('eiotclub', 100_000_000);
  simulator.setBalance('linksfield-csss', 100_000_000);
  await clearStops(world);
}

// ---- the end ----

async function judgeTheEnd(world: World): Promise<void> {
  const { judge, scheduler, real } = world;
  const left = world.engines.leftOver();
  if (scheduler.steps() > world.stepsMax)
    fail(judge, '9 everything-drains', `more than ${world.stepsMax} steps`);
  if (!scheduler.isIdle() || left !== null)
    fail(judge, '9 everything-drains', left ?? 'work goes on for ever');
  storedOnceAtTheEnd(judge);
  everyEventDecided(judge, 'at the end');
  const waiting = new Set<string>();
  for (const state of ['held', 'parked'] as const) {
    const page = await real.table.query(
      { from: 'due', pk: waitingActions(state), upTo: Number.MAX_SAFE_INTEGER },
      { limit: 1_000, cursor: null },
    );
    for (const item of page.items) waiting.add(readRow('action', item).action.actionId);
  }
  everyActionEndsKnown(judge, waiting);
  // A store's answer may be lost after it has stored: the callback is then refused, and its refund booked all the same.
  for (const [id, refund] of [...world.refundOf]) if (isStored(judge, id)) noteRefund(world, id, refund);
  ledgerAgrees(judge, (provider) => keepsMoney(world, provider));
}

/** Ids of ours, of SIMs and of orders, as they stand in the text of a violation. */
const idPattern = /act_[0-9a-f]{32}|evt_[0-9a-f]{32}|\b8985\d{15}\b|ORDER_\w+/g;

function resultOf(seed: number, world: World, options: RunOptions): RunResult {
  const { judge, chance, scheduler, trace } = world;
  const states: Record<string, number> = {};
  for (const { state } of judge.actions.values()) {
    const name = state.name === 'parked' ? `parked ${state.reason}` : state.name;
    states[name] = (states[name] ?? 0) + 1;
  }
  return {
    seed,
    violation: judge.violation,
    trace:
      judge.violation === null && !options.traceAll
        ? []
        : trace.lines(
            options.traceLines ?? 60,
            options.traceAll ? [] : (judge.violation?.detail.match(idPattern) ?? []),
          ),
    faults: chance.counts,
    steps: scheduler.steps(),
    purchases: judge.purchases.length,
    lastPurchaseMs:
      Math.max(0, ...judge.purchases.map(({ purchase }) => purchase.at - world.providerSkewMs)) -
      world.startMs,
    actions: judge.actions.size,
    callbacks: world.counters.callbacks,
    states,
  };
}
