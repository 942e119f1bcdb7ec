import { type Engines, openEmbeddedEngines } from '../../infra/local/engines.ts';
import { aimAtSimulator, checkStage, loadStageFile } from '../../infra/local/load-stage.ts';
import { memorySecretSource } from '../../infra/local/local-secrets.ts';
import { type LocalSystem, openLocalSystem, type Watch } from '../../infra/local/system.ts';
import type { Clock } from '../../shared/platform/clock.ts';
import { type Log, silentLog } from '../../shared/platform/log.ts';
import { seededRandom } from '../../shared/platform/random.ts';
import type { SecretSource } from '../../shared/platform/secret-source.ts';
import type { Stage, StageSecrets } from '../../shared/policy/stage.ts';
import type { Provider } from '../../shared/providers/provider.ts';
import { providers as realProviders } from '../../shared/providers/registry.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import type { Table } from '../../shared/store/table.ts';
import { simulatorDefaults } from '../provider-simulator/simulator.ts';

/** The last part of the CSSS callback path. Invented, good on this machine only. */
export const csssPathToken = '00000000000000000000000000000001';

const secrets: Readonly<Record<string, StageSecrets>> = {
  eiotclub: {
    callback: [{ keyId: null, value: simulatorDefaults.eiotclub.callbackSecret }],
    api: [{ keyId: null, value: simulatorDefaults.eiotclub.secret }],
    pathToken: null,
  },
  'linksfield-csss': {
    callback: [{ keyId: null, value: simulatorDefaults.csss.callbackSecret }],
    api: [{ keyId: null, value: simulatorDefaults.csss.secret }],
    pathToken: csssPathToken,
  },
  'linksfield-cube': {
    callback: [
      { keyId: simulatorDefaults.cube.notificationKeyId, value: simulatorDefaults.cube.notificationKey },
    ],
    api: [{ keyId: simulatorDefaults.cube.keyId, value: simulatorDefaults.cube.privateKeyPem }],
    pathToken: null,
  },
};

/** The secrets that fit a simulator which was given none of its own. */
export const simulatorSecrets: SecretSource = memorySecretSource(secrets);

/** The stage of `npm start`, aimed at a simulator. */
export function stageAt(simulatorUrl: string): Stage {
  return checkStage(aimAtSimulator(loadStageFile(null), simulatorUrl), realProviders);
}

/** Lets a bench buy without end: no caps, and breakers that stay shut. */
function uncapped(stage: Stage): Stage {
  const none = { dayMinor: null, monthMinor: null };
  const { policy } = stage;
  return {
    ...stage,
    policy: {
      ...policy,
      rules: policy.rules.map((rule) => ({ ...rule, caps: none })),
      providers: policy.providers.map((provider) => ({
        ...provider,
        caps: none,
        simCaps: none,
        purchasesPerHour: 1_000_000,
      })),
    },
  };
}

export interface BenchWorld {
  readonly stage: Stage;
  readonly table: Table;
  readonly system: LocalSystem;
  close(): Promise<void>;
}

export interface BenchOptions {
  readonly simulatorUrl: string;
  readonly clock: Clock;
  /** What it stands on; SQLite in memory when left out. */
  readonly openEngines?: (providers: readonly string[], clock: Clock) => Engines;
  /** Puts something in front of the table or the providers: counters, faults. */
  readonly wrapTable?: (table: Table) => Table;
  readonly wrapQueue?: (queue: WorkQueue) => WorkQueue;
  readonly wrapProvider?: (provider: Provider) => Provider;
  readonly watch?: Watch;
  readonly log?: Log;
  readonly withoutCaps?: boolean;
}

/** The whole system with its real functions, on the engines that it is told. */
export function openBenchWorld(options: BenchOptions): BenchWorld {
  const checked = stageAt(options.simulatorUrl);
  const stage = options.withoutCaps === true ? uncapped(checked) : checked;
  const ids = stage.providers.map(({ id }) => id);
  const engines = (options.openEngines ?? openSqliteInMemory)(ids, options.clock);
  const table = options.wrapTable?.(engines.table) ?? engines.table;
  const wrapQueue = options.wrapQueue ?? ((queue: WorkQueue) => queue);
  const system = openLocalSystem({
    stage,
    providers: realProviders.map((provider) => options.wrapProvider?.(provider) ?? provider),
    table,
    events: wrapQueue(engines.events),
    actions: new Map([...engines.actions].map(([id, queue]) => [id, wrapQueue(queue)])),
    secrets: simulatorSecrets,
    clock: options.clock,
    random: seededRandom(1),
    log: options.log ?? silentLog,
    ...(options.watch === undefined ? {} : { watch: options.watch }),
  });
  return {
    stage,
    table,
    system,
    close: async () => {
      await system.close();
      await engines.close();
    },
  };
}

export function openSqliteInMemory(providers: readonly string[], clock: Clock): Engines {
  return openEmbeddedEngines(':memory:', providers, clock);
}
