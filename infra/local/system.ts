import { setTimeout as sleep } from 'node:timers/promises';
import { act } from '../../functions/act/act.ts';
import type { ActDeps } from '../../functions/act/act-deps.ts';
import { type DecideDeps, decideEvent } from '../../functions/decide/decide.ts';
import { type ReceiveDeps, type ReceiveNotice, receive } from '../../functions/receive/receive.ts';
import { type ReconcileResult, reconcile } from '../../functions/reconcile/reconcile.ts';
import type { ReconcileNotice } from '../../functions/reconcile/reconcile-sim.ts';
import { sweep } from '../../functions/sweep/sweep.ts';
import { type SilenceNotice, watchSilence } from '../../functions/sweep/watch-silence.ts';
import type { Action } from '../../shared/core/action.ts';
import type { Decided } from '../../shared/core/decide.ts';
import { after, type DurationMs, elapsed } from '../../shared/core/time.ts';
import type { WebhookEvent } from '../../shared/core/webhook-event.ts';
import type { HttpLambdaEvent, HttpLambdaResult } from '../../shared/lambda/http-event.ts';
import { handleWorkBatch } from '../../shared/lambda/work-batch.ts';
import type { Clock } from '../../shared/platform/clock.ts';
import type { Log } from '../../shared/platform/log.ts';
import type { Random } from '../../shared/platform/random.ts';
import type { SecretSource } from '../../shared/platform/secret-source.ts';
import { type Turns, takeTurns } from '../../shared/platform/turns.ts';
import type { Stage, StageProvider } from '../../shared/policy/stage.ts';
import type { OpenClient, Provider } from '../../shared/providers/provider.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import { accountGate } from '../../shared/store/account-gate.ts';
import { openQuarantine } from '../../shared/store/quarantine-store.ts';
import type { Table } from '../../shared/store/table.ts';
import { topology } from '../topology.ts';
import { pollOnce, type QueueSource } from './queue-poller.ts';

/** What one machine's system stands on: the engines and the edges. */
export interface LocalWorld {
  readonly stage: Stage;
  readonly providers: readonly Provider[];
  readonly table: Table;
  readonly events: WorkQueue;
  readonly actions: ReadonlyMap<string, WorkQueue>;
  readonly secrets: SecretSource;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly watch?: Watch;
  /** Lets time pass between two free questions: real time unless a test moves its clock instead. */
  readonly wait?: (span: DurationMs) => Promise<void>;
}

/** Who looks on: the newcomer's terminal, a test. */
export interface Watch {
  received(notice: ReceiveNotice): void;
  decided(event: WebhookEvent, decided: Decided): void;
  acted(action: Action, what: string): void;
  reconciled?(notice: ReconcileNotice): void;
  silence?(notice: SilenceNotice): void;
}

export interface LocalSystem {
  handleHttp(event: HttpLambdaEvent): Promise<HttpLambdaResult>;
  /** One run of the sweep. */
  sweep(): Promise<void>;
  /** One run of the reconciliation with the providers' own records. */
  reconcile(): Promise<ReconcileResult>;
  /** Works on the queues until none has a visible message; returns how many it handled. For scripts and tests. */
  drain(): Promise<number>;
  readonly sources: readonly QueueSource[];
  readonly clients: ReadonlyMap<string, OpenClient>;
  close(): Promise<void>;
}

/** Messages that one `drain` handles at most, so that work that makes work without end shows itself. */
const drainMax = 100_000;

/** Wires the functions to one machine's engines: the composition root of the local world. */
export function openLocalSystem(world: LocalWorld): LocalSystem {
  const accounts = world.stage.providers.map((provider) => {
    const inTurn = takeTurns();
    return { provider, client: openClient(provider, inTurn, world), inTurn };
  });
  const clients = new Map(accounts.map(({ provider, client }) => [provider.id, client]));
  const sources: readonly QueueSource[] = [
    {
      name: 'events',
      queue: world.events,
      batchSize: topology.decide.batchSize,
      handler: decideHandler(world),
    },
    ...accounts.map((account) => actSource(account, world)),
  ];
  return {
    handleHttp: receiveHandler(world),
    sweep: async () => {
      const { table, events, actions, log } = world;
      await sweep(world.clock(), { table, events, actions, log });
      await watchSilence(world.clock(), {
        table,
        providers: world.stage.providers.map(({ id }) => id),
        log,
        notice: (notice) => world.watch?.silence?.(notice),
      });
    },
    reconcile: () => reconcileOnce(world, clients),
    drain: () => drain(sources),
    sources,
    clients,
    close: async () => {
      await Promise.all([...clients.values()].map((client) => client.close()));
    },
  };
}

function receiveHandler(world: LocalWorld): LocalSystem['handleHttp'] {
  const deps: ReceiveDeps = {
    table: world.table,
    events: world.events,
    sides: world.providers.map((provider) => provider.callbacks),
    providers: world.stage.providers,
    policy: world.stage.policy,
    secrets: world.secrets,
    quarantine: openQuarantine(world.table),
    log: world.log,
    notice: (notice) => {
      world.watch?.received(notice);
      for (const { event, decision } of notice.decided)
        world.watch?.decided(event, { decision, actions: [], sim: null });
    },
  };
  return async (event) => {
    try {
      return await receive(event, world.clock(), deps);
    } catch (error) {
      world.log('error', 'receive failed', {
        requestId: event.requestContext.requestId,
        error: String(error),
      });
      return { statusCode: 503, headers: { 'retry-after': '5' }, body: '' };
    }
  };
}

function reconcileOnce(
  world: LocalWorld,
  clients: ReadonlyMap<string, OpenClient>,
): Promise<ReconcileResult> {
  const { table, events, log, clock } = world;
  const wait = world.wait ?? ((span: DurationMs) => sleep(span));
  const now = clock();
  const end = after(now, topology.reconcile.timeout);
  return reconcile(now, {
    table,
    events,
    policy: world.stage.policy,
    providers: world.stage.providers.map(({ id, profile }) => ({
      id,
      profile,
      client: clientOf(clients, id),
    })),
    wait,
    timeLeft: () => elapsed(clock(), end),
    log,
    notice: (notice) => world.watch?.reconciled?.(notice),
  });
}

function decideHandler(world: LocalWorld): QueueSource['handler'] {
  const deps: DecideDeps = {
    table: world.table,
    policy: world.stage.policy,
    events: world.events,
    actionsQueue: (provider) => world.actions.get(provider) ?? null,
    log: world.log,
    notice: (event, decided) => world.watch?.decided(event, decided),
  };
  const work = async (eventId: string): Promise<void> => {
    await decideEvent(eventId, world.clock(), deps, { replay: false, generation: 1 });
  };
  return (batch) => handleWorkBatch(batch, { kind: 'event', atOnce: false, log: world.log, work });
}

interface Account {
  readonly provider: StageProvider;
  readonly client: OpenClient;
  readonly inTurn: Turns;
}

function actSource({ provider, client, inTurn }: Account, world: LocalWorld): QueueSource {
  const queue = world.actions.get(provider.id);
  if (!queue) throw new Error(`provider ${provider.id} has no actions queue`);
  const deps: Omit<ActDeps, 'timeLeft'> = {
    table: world.table,
    client,
    profile: provider.profile,
    limits: provider.limits,
    policy: world.stage.policy,
    actions: queue,
    lease: topology.lease,
    clock: world.clock,
    random: world.random,
    inTurn,
    log: world.log,
    notice: (action, what) => world.watch?.acted(action, what),
  };
  const work = (actionId: string) => act(actionId, { ...deps, timeLeft: () => topology.act.timeout });
  const handler: QueueSource['handler'] = (batch) =>
    handleWorkBatch(batch, { kind: 'action', atOnce: true, log: world.log, work });
  return { name: `actions-${provider.id}`, queue, batchSize: topology.act.batchSize, handler };
}

function openClient(stageProvider: StageProvider, inTurn: Turns, world: LocalWorld): OpenClient {
  const provider = world.providers.find((p) => p.id === stageProvider.id);
  if (!provider) throw new Error(`there is no provider ${stageProvider.id}`);
  const gate = accountGate(world.table, stageProvider, world);
  return provider.createClient({
    settings: stageProvider.settings,
    currency: stageProvider.currency,
    apiSecrets: async () => (await world.secrets.read(stageProvider.id, 'api')).keys,
    now: world.clock,
    random: world.random,
    callTimeout: stageProvider.profile.callTimeout,
    admit: () => inTurn(gate),
  });
}

function clientOf(clients: ReadonlyMap<string, OpenClient>, id: string): OpenClient {
  const client = clients.get(id);
  if (!client) throw new Error(`provider ${id} has no client`);
  return client;
}

async function drain(sources: readonly QueueSource[]): Promise<number> {
  let total = 0;
  for (;;) {
    const handled = await Promise.all(sources.map(pollOnce));
    const count = handled.reduce((sum, n) => sum + n, 0);
    if (count === 0) return total;
    total += count;
    if (total > drainMax) throw new Error(`the queues still have work after ${drainMax} messages`);
  }
}
