import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openEmbeddedEngines } from '../../../infra/local/engines.ts';
import { type HttpFront, openHttpFront } from '../../../infra/local/http-front.ts';
import { memorySecretSource } from '../../../infra/local/local-secrets.ts';
import { type LocalSystem, openLocalSystem } from '../../../infra/local/system.ts';
import { runCli } from '../../../infra/ops/cli.ts';
import type { OpsWorld } from '../../../infra/ops/world.ts';
import { type EpochMs, epochMs } from '../../../shared/core/time.ts';
import { silentLog } from '../../../shared/platform/log.ts';
import { seededRandom } from '../../../shared/platform/random.ts';
import { readStage, type StageInput } from '../../../shared/policy/stage.ts';
import { providers } from '../../../shared/providers/registry.ts';
import { createManualClock, type ManualClock } from '../../provider-simulator/clock.ts';
import { createSimulator, type Simulator, simulatorDefaults } from '../../provider-simulator/simulator.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

export const start = Date.UTC(2026, 0, 14, 12);

/** What a command line printed and returned. */
export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** The JSON documents of --json, one a line. */
  readonly json: readonly Record<string, unknown>[];
}

/**
 * A local system on a data folder, with a provider simulator behind real HTTP, and the operators' command line beside
 * it on the same files, as in life. One clock for all.
 */
export interface OpsShop {
  readonly simulator: Simulator;
  readonly system: LocalSystem;
  readonly engines: ReturnType<typeof openEmbeddedEngines>;
  readonly front: HttpFront;
  readonly clock: ManualClock;
  readonly folder: string;
  readonly stageFile: string;
  now(): EpochMs;
  /** Runs a command line. `--data`, `--stage-file` are added. */
  run(...argv: string[]): Promise<Said>;
  /** The same with a world of its own: another signal, another answer of standard input. */
  runIn(changes: Partial<OpsWorld>, ...argv: string[]): Promise<Said>;
  /** Lets time pass: callbacks arrive, the sweep runs each minute, the queues are worked off. */
  pass(ms: number, stepMs?: number): Promise<void>;
  /** Starts the system and the command line anew with another stage, on the same data. */
  restage(options: OpsShopOptions): Promise<void>;
  /** A SIM that runs low: EIOTCLUB's simulator says so. */
  alert(iccid: string): Promise<void>;
  /** Purchases that the simulator made for a SIM. */
  bought(iccid: string): number;
  close(): Promise<void>;
}

export interface OpsShopOptions {
  readonly rule?: Partial<StageInput['rules'][number]>;
  readonly eiotclub?: Partial<StageInput['providers'][string]>;
}

const key = (value: string) => [{ keyId: null, value }];

export function stageInput(baseUrl: string, options: OpsShopOptions = {}): StageInput {
  return {
    name: 'flow',
    providers: {
      eiotclub: {
        currency: 'USD',
        settings: { baseUrl, appkey: simulatorDefaults.eiotclub.appkey },
        secrets: {
          callback: key(simulatorDefaults.eiotclub.callbackSecret),
          api: key(simulatorDefaults.eiotclub.secret),
          pathToken: null,
        },
        ...options.eiotclub,
      },
    },
    rules: [
      {
        id: 'renew-low-data',
        provider: 'eiotclub',
        when: { kind: 'usage-alert', alerts: ['low-data', 'low-data-percent', 'expiring'] },
        do: { kind: 'renew', plan: { packageCode: 'PKG001' } },
        maxCost: '5.00 USD',
        cooldown: '12h',
        ...options.rule,
      },
    ],
  };
}

export async function openOpsShop(options: OpsShopOptions = {}): Promise<OpsShop> {
  const clock = createManualClock(start);
  const now = () => epochMs(clock.now());
  const folder = temporaryFolder();
  const simulator = await createSimulator({
    clock,
    unknownSims: 'create',
    rateLimits: { eiotclub: { perSec: 10 } },
  });
  const baseUrl = await simulator.listen();
  const stageFile = join(folder.path, 'stage.json');
  const engines = openEmbeddedEngines(join(folder.path, 'simhook.db'), ['eiotclub'], now);
  const random = seededRandom(11);
  const openSystem = (changes: OpsShopOptions): LocalSystem => {
    const input = stageInput(baseUrl, changes);
    writeFileSync(stageFile, JSON.stringify(input));
    const reading = readStage(input, { fileName: 'flow', text: null }, providers);
    if (!reading.ok) throw new Error(reading.problems.join('\n'));
    return openLocalSystem({
      stage: reading.stage,
      providers,
      table: engines.table,
      events: engines.events,
      actions: engines.actions,
      secrets: memorySecretSource(reading.stage.secrets),
      clock: now,
      random,
      log: silentLog,
    });
  };
  let system = openSystem(options);
  const front = await openHttpFront({ port: 0, host: '127.0.0.1' }, (event) => system.handleHttp(event));
  simulator.callbacks.setUrl('eiotclub', `${front.url}/callbacks/eiotclub`);
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 3; i++) {
      await simulator.callbacks.settled();
      await system.drain();
    }
  };
  const runIn: OpsShop['runIn'] = (changes, ...argv) =>
    runOnce(['--data', folder.path, '--stage-file', stageFile, ...argv], { clock: now, random, ...changes });
  return {
    simulator,
    get system() {
      return system;
    },
    engines,
    front,
    clock,
    folder: folder.path,
    stageFile,
    now,
    run: (...argv) => runIn({}, ...argv),
    runIn,
    pass: async (ms, stepMs = 60_000) => {
      const end = clock.now() + ms;
      await settle();
      while (clock.now() < end) {
        clock.advance(Math.min(stepMs, end - clock.now()));
        await system.sweep();
        await settle();
      }
    },
    restage: async (changes) => {
      await system.close();
      system = openSystem(changes);
    },
    alert: async (iccid) => {
      simulator.emit('eiotclub', { event: 'FlowAlert', iccid, alert_type: 1, alert_value: '98.5' });
      await simulator.callbacks.settled();
    },
    bought: (iccid) => simulator.orders({ provider: 'eiotclub', simId: iccid }).length,
    close: async () => {
      await front.close();
      await system.close();
      await simulator.close();
      await engines.close();
      folder.remove();
    },
  };
}

/** Runs one command line in this process and collects what it says. */
export async function runOnce(
  argv: readonly string[],
  changes: Partial<OpsWorld> & Pick<OpsWorld, 'clock' | 'random'>,
): Promise<Said> {
  let out = '';
  let err = '';
  const code = await runCli(argv, {
    terminal: {
      write: async (text) => {
        out += text;
      },
      complain: (text) => {
        err += text;
      },
      colour: false,
      redraws: false,
      columns: null,
    },
    providers,
    user: 'operator',
    signal: new AbortController().signal,
    sleep: async () => undefined,
    readStdin: async () => new Uint8Array(),
    ...changes,
  });
  const lines = argv.includes('--json') ? out.split('\n').filter((line) => line !== '') : [];
  return { code, out, err, json: lines.map((line): Record<string, unknown> => JSON.parse(line)) };
}
