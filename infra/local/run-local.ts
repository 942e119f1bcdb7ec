import type { Clock } from '../../shared/platform/clock.ts';
import { jsonLog, type Log } from '../../shared/platform/log.ts';
import type { Random } from '../../shared/platform/random.ts';
import type { Stage, StageSecrets } from '../../shared/policy/stage.ts';
import type { Provider } from '../../shared/providers/provider.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import { countEvents } from '../../shared/store/event-listing.ts';
import { topology } from '../topology.ts';
import type { DataFolder } from './data-folder.ts';
import { type Engines, openEmbeddedEngines } from './engines.ts';
import { type HttpFront, openHttpFront } from './http-front.ts';
import { aimAtSimulator, checkStage, loadStageFile } from './load-stage.ts';
import { type LocalSecrets, loadLocalSecrets, memorySecretSource } from './local-secrets.ts';
import { narrator, type Print } from './narrator.ts';
import { withProgress } from './progress.ts';
import { startPoller } from './queue-poller.ts';
import { announceRunning } from './running-system.ts';
import { sampleCallback } from './sample-callback.ts';
import { type Lookout, lookout, playScene } from './scene.ts';
import { type SimulatorProcess, startSimulator } from './simulator-process.ts';
import { type LocalSystem, openLocalSystem } from './system.ts';

export interface LocalRun {
  readonly port: number;
  readonly host: string;
  readonly stageFile: string | null;
  readonly simulator: boolean;
  readonly exit: boolean;
  readonly verbose: boolean;
  /** `embedded` is the SQLite file; `wire` is DynamoDB and SQS over their protocols. */
  readonly engine: 'embedded' | 'wire';
  readonly dynamodbEndpoint: string | null;
  readonly sqsEndpoint: string | null;
  readonly folder: DataFolder;
  readonly providers: readonly Provider[];
  readonly clock: Clock;
  readonly random: Random;
  readonly print: Print;
}

/** How long an idle queue is left alone; whoever sends in this process wakes it at once. */
const idleMs = 200;

/** Workers on each queue, so that a slow answer of a provider does not hold up the next SIM. */
const workersPerQueue = 4;

/** Runs the system until Ctrl-C, or until the scene's end with `exit`. Returns the exit code. */
export async function runLocal(run: LocalRun): Promise<number> {
  const { folder } = run;
  const localSecrets = loadLocalSecrets(folder.file('secrets.json'), run.random);
  const warn = (text: string): void => void process.stderr.write(text);
  const simulator = run.simulator
    ? await withProgress(
        'starting the provider simulator',
        startSimulator({ secrets: localSecrets, optionsFile: folder.file('simulator.json') }),
        warn,
      )
    : null;
  try {
    const file = loadStageFile(run.stageFile);
    const stage = checkStage(simulator === null ? file : aimAtSimulator(file, simulator.url), run.providers);
    const engines = await withProgress('opening the store and the queues', openEngines(run, stage), warn);
    try {
      return await serve(run, { stage, engines, simulator, localSecrets });
    } finally {
      await engines.close();
    }
  } finally {
    await simulator?.stop();
  }
}

async function openEngines(run: LocalRun, stage: Stage): Promise<Engines> {
  const providers = stage.providers.map((provider) => provider.id);
  if (run.engine === 'embedded')
    return openEmbeddedEngines(run.folder.file('simhook.db'), providers, run.clock);
  // Loaded only when asked for: the wire engines are development dependencies.
  const { openWireEngines } = await import('./wire-engines.ts');
  return openWireEngines({ dynamodb: run.dynamodbEndpoint, sqs: run.sqsEndpoint }, providers, run.random);
}

interface Parts {
  readonly stage: Stage;
  readonly engines: Engines;
  readonly simulator: SimulatorProcess | null;
  readonly localSecrets: LocalSecrets;
}

async function serve(run: LocalRun, parts: Parts): Promise<number> {
  const { stage, engines } = parts;
  const secrets = secretsOf(stage, parts.localSecrets);
  const watch = lookout(narrator(run.print, run.clock));
  const log: Log = run.verbose ? jsonLog : quietLog;
  const wakers: (() => void)[] = [];
  const wakeAll = (): void => {
    for (const wake of wakers) wake();
  };
  const system = openLocalSystem({
    stage,
    providers: run.providers,
    table: engines.table,
    events: waking(engines.events, wakeAll),
    actions: new Map([...engines.actions].map(([id, queue]) => [id, waking(queue, wakeAll)])),
    secrets: memorySecretSource(secrets),
    clock: run.clock,
    random: run.random,
    log,
    watch,
  });
  const front = await openHttpFront({ port: run.port, host: run.host }, system.handleHttp);
  const pollers = system.sources
    .flatMap((source) => Array.from({ length: workersPerQueue }, () => source))
    .map((source) =>
      startPoller(source, {
        idleMs,
        onError: (error) => log('error', 'queue not reached', { queue: source.name, error: String(error) }),
      }),
    );
  wakers.push(...pollers.map((poller) => poller.wake));
  const stopSchedules = startSchedules(system, engines, log);
  const unannounce = announceRunning(run.folder.path, {
    pid: process.pid,
    url: front.url,
    simulatorUrl: parts.simulator?.url ?? null,
  });
  try {
    await greet(run, parts, front, secrets);
    return await live(run, { ...parts, front, watch, secrets });
  } finally {
    unannounce();
    stopSchedules();
    await front.close();
    await Promise.all(pollers.map((poller) => poller.stop()));
    await system.close();
    run.print(`stopped; what happened is kept in ${run.folder.path}`);
  }
}

/** Plays the scene when there is a simulator, then stays until Ctrl-C. */
async function live(
  run: LocalRun,
  parts: Parts & {
    readonly front: HttpFront;
    readonly watch: Lookout;
    readonly secrets: Readonly<Record<string, StageSecrets>>;
  },
): Promise<number> {
  const { simulator, front, watch, secrets } = parts;
  const interrupted = untilInterrupted();
  if (simulator !== null && run.stageFile === null) {
    for (const provider of parts.stage.providers) {
      await simulator.call('setCallbackUrl', provider.id, addressOf(front, provider, secrets));
    }
    try {
      const scene = playScene({ simulator, lookout: watch, print: run.print, now: run.clock() });
      const played = await Promise.race([scene.then(() => true), interrupted.then(() => false)]);
      // Whoever asked for the scene alone must not take an interrupted one for a whole one.
      if (!played) return run.exit ? 1 : 0;
    } catch (error) {
      run.print(`\nthe scene stopped: ${error instanceof Error ? error.message : error}`);
      if (run.exit) return 1;
    }
    if (run.exit) return 0;
  } else if (run.exit) {
    return 0;
  }
  run.print(
    sampleCallback({
      front: front.url,
      data: run.folder.path,
      stage: parts.stage,
      secrets,
      now: run.clock(),
      random: run.random,
    }),
  );
  await interrupted;
  return 0;
}

async function greet(
  run: LocalRun,
  parts: Parts,
  front: HttpFront,
  secrets: Readonly<Record<string, StageSecrets>>,
): Promise<void> {
  const { stage, engines, simulator } = parts;
  run.print(`simhook, stage "${stage.name}" (rules ${stage.policy.version}), data in ${run.folder.path}`);
  for (const provider of stage.providers) {
    run.print(`  callbacks of ${provider.id.padEnd(16)} POST ${addressOf(front, provider, secrets)}`);
  }
  if (simulator !== null) run.print(`  provider simulator            ${simulator.url}`);
  const found = await countEvents(engines.table, run.clock(), 30);
  if (found.events > 0) {
    const more = found.complete ? '' : ' at least';
    run.print(
      `  found${more} ${found.events} events of the last 30 days, the latest of ${new Date(found.latest).toISOString()}`,
    );
  }
}

function addressOf(
  front: HttpFront,
  provider: { readonly id: string; readonly callbackPath: string },
  secrets: Readonly<Record<string, StageSecrets>>,
): string {
  const token = secrets[provider.id]?.pathToken;
  return `${front.url}${provider.callbackPath}${token ? `/${token}` : ''}`;
}

/** Secrets that the stage brings along go before the machine's own. */
function secretsOf(stage: Stage, local: LocalSecrets): Readonly<Record<string, StageSecrets>> {
  return Object.fromEntries(
    stage.providers.flatMap(({ id }) => {
      const set = stage.secrets[id] ?? local[id];
      return set ? [[id, set]] : [];
    }),
  );
}

function startSchedules(system: LocalSystem, engines: Engines, log: Log): () => void {
  const sweepTimer = setInterval(() => {
    system.sweep().catch((error: unknown) => log('error', 'sweep failed', { error: String(error) }));
  }, topology.sweep.every);
  const reconcileTimer = setInterval(() => {
    system.reconcile().catch((error: unknown) => log('error', 'reconcile failed', { error: String(error) }));
  }, topology.reconcile.every);
  const purgeTimer = setInterval(() => engines.purge(), 10 * topology.sweep.every);
  return () => {
    clearInterval(sweepTimer);
    clearInterval(reconcileTimer);
    clearInterval(purgeTimer);
  };
}

/** Wakes the pollers after a send, as an event source mapping would notice a message. */
function waking(queue: WorkQueue, wake: () => void): WorkQueue {
  return {
    ...queue,
    send: async (messages) => {
      await queue.send(messages);
      wake();
    },
  };
}

function untilInterrupted(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
}

/** On the terminal the narrator speaks; only trouble is added to it. */
const quietLog: Log = (level, message, fields) => {
  if (level === 'error') process.stderr.write(`${message} ${JSON.stringify(fields)}\n`);
};
