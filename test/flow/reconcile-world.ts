import type { ReconcileNotice } from '../../functions/reconcile/reconcile-sim.ts';
import { openEmbeddedEngines } from '../../infra/local/engines.ts';
import { memorySecretSource } from '../../infra/local/local-secrets.ts';
import { type LocalSystem, openLocalSystem } from '../../infra/local/system.ts';
import type { Action } from '../../shared/core/action.ts';
import { epochMs, minutes, seconds } from '../../shared/core/time.ts';
import { silentLog } from '../../shared/platform/log.ts';
import { seededRandom } from '../../shared/platform/random.ts';
import { readStage, type StageInput } from '../../shared/policy/stage.ts';
import { providers } from '../../shared/providers/registry.ts';
import { listActions } from '../../shared/store/event-listing.ts';
import { type Finding, listFindings } from '../../shared/store/finding-store.ts';
import type { Table } from '../../shared/store/table.ts';
import { createManualClock } from '../provider-simulator/clock.ts';
import { createSimulator, type Simulator, simulatorDefaults } from '../provider-simulator/simulator.ts';

export const start = Date.UTC(2026, 10, 22, 10);
const pathToken = 'a-path-token-of-enough-length';

/** What a test may set otherwise. */
export interface WorldOptions {
  readonly rules: StageInput['rules'];
  readonly orderPageSize?: number;
  readonly eiotclubZone?: number;
}

export interface FlowWorld {
  readonly system: LocalSystem;
  readonly simulator: Simulator;
  readonly table: Table;
  readonly notices: ReconcileNotice[];
  /** True: the provider's callbacks never arrive, and are given up. */
  lost: boolean;
  /** How far the clock moves while reconcile waits between two questions; its own pace unless set. */
  waitMs: number | null;
  now(): number;
  /** Lets time pass, with a sweep each minute and the queues worked on. */
  pass(minutes: number): Promise<void>;
  /** Works on the queues, a few seconds at a time. */
  work(): Promise<void>;
  actions(): Promise<readonly Action[]>;
  findings(which?: 'open' | 'all'): Promise<readonly Finding[]>;
  close(): Promise<void>;
}

/** The whole system against a simulator over HTTP, both on one clock that a test moves. */
export async function openWorld(options: WorldOptions): Promise<FlowWorld> {
  const clock = createManualClock(start);
  const world: { value: FlowWorld | null } = { value: null };
  const simulator = await createSimulator({
    clock,
    rateLimits: { eiotclub: { perSec: 10 }, 'linksfield-csss': { perSec: 10 } },
    callbacks: {
      urls: {
        eiotclub: `http://127.0.0.1/callbacks/eiotclub/${pathToken}`,
        'linksfield-csss': `http://127.0.0.1/callbacks/linksfield-csss/${pathToken}`,
      },
      retryDelaysMs: { eiotclub: [], 'linksfield-csss': [], 'linksfield-cube': [] },
    },
    callbackSender: async ({ url, headers, bodyText }) => {
      const { value } = world;
      if (value === null || value.lost) throw new Error('lost on the way');
      const path = new URL(url).pathname;
      const result = await value.system.handleHttp({
        version: '2.0',
        rawPath: path,
        headers: { ...headers },
        body: bodyText,
        isBase64Encoded: false,
        requestContext: { requestId: 'req', http: { method: 'POST' } },
      });
      return result.statusCode;
    },
  });
  await simulator.listen();
  const now = () => epochMs(clock.now());
  const stage = stageOf(simulator.url, options);
  const engines = openEmbeddedEngines(
    ':memory:',
    stage.providers.map(({ id }) => id),
    now,
  );
  const notices: ReconcileNotice[] = [];
  const system = openLocalSystem({
    stage,
    providers,
    table: engines.table,
    events: engines.events,
    actions: engines.actions,
    secrets: memorySecretSource(secrets),
    clock: now,
    random: seededRandom(7),
    log: silentLog,
    watch: {
      received: () => undefined,
      decided: () => undefined,
      acted: () => undefined,
      reconciled: (notice) => void notices.push(notice),
    },
    wait: async (span) => clock.advance(world.value?.waitMs ?? span),
  });
  const work = async (): Promise<void> => {
    for (let i = 0; i < 4; i++) {
      await simulator.callbacks.settled();
      await system.drain();
      clock.advance(seconds(3));
    }
  };
  const flow: FlowWorld = {
    system,
    simulator,
    table: engines.table,
    notices,
    lost: false,
    waitMs: null,
    now: () => clock.now(),
    work,
    pass: async (count) => {
      const end = clock.now() + minutes(count);
      while (clock.now() < end) {
        await system.sweep();
        await work();
        clock.advance(Math.min(minutes(5), Math.max(0, end - clock.now())));
      }
    },
    actions: async () => {
      const rows: Action[] = [];
      const range = { from: epochMs(start - 1), to: now() };
      for await (const row of listActions(engines.table, range, 'oldest-first')) rows.push(row.value.action);
      return rows;
    },
    findings: async (which = 'all') => {
      const rows: Finding[] = [];
      for await (const row of listFindings(engines.table, which, now())) rows.push(row.value);
      return rows;
    },
    close: async () => {
      await system.close();
      await simulator.close();
      await engines.close();
    },
  };
  world.value = flow;
  return flow;
}

const key = (value: string) => [{ keyId: null, value }];
const secrets = {
  eiotclub: {
    callback: key(simulatorDefaults.eiotclub.callbackSecret),
    api: key(simulatorDefaults.eiotclub.secret),
    pathToken,
  },
  'linksfield-csss': {
    callback: key(simulatorDefaults.csss.callbackSecret),
    api: key(simulatorDefaults.csss.secret),
    pathToken,
  },
};

function stageOf(url: string, options: WorldOptions) {
  const input: StageInput = {
    name: 'flow',
    providers: {
      eiotclub: {
        currency: 'USD',
        settings: {
          baseUrl: url,
          appkey: simulatorDefaults.eiotclub.appkey,
          zoneOffsetMinutes: options.eiotclubZone ?? null,
        },
        caps: { provider: { day: '100.00 USD' } },
      },
      'linksfield-csss': {
        currency: 'CNY',
        settings: {
          baseUrl: url,
          accessCode: simulatorDefaults.csss.accessCode,
          zoneOffsetMinutes: 480,
          orderPageSize: options.orderPageSize ?? 100,
        },
        callbacks: { acceptUnsigned: true },
        caps: { provider: { day: '2000.00 CNY' } },
      },
    },
    rules: options.rules,
  };
  const reading = readStage(input, { fileName: 'flow', text: null }, providers);
  if (!reading.ok) throw new Error(reading.problems.join('\n'));
  return reading.stage;
}

/** EIOTCLUB's way of buying: low data renews. The package costs 5.00. */
export const renewLowData: StageInput['rules'][number] = {
  id: 'renew-low-data',
  provider: 'eiotclub',
  when: { kind: 'usage-alert' },
  do: { kind: 'renew', plan: { packageCode: 'PKG001' } },
  maxCost: '7.00 USD',
  cooldown: '12h',
};

/** CSSS's way of buying: an order that expired is placed again. The cool-down is too short to help. */
export const orderAgain: StageInput['rules'][number] = {
  id: 'order-again',
  provider: 'linksfield-csss',
  when: { kind: 'order-status', statuses: ['expired'] },
  do: {
    kind: 'order',
    plan: {
      packageCode: 'DP20190726001274',
      packageName: 'C_M_0_P_中国20M不限速月套餐',
      packageType: '2',
      payAmount: '3.00',
    },
  },
  maxCost: '3.00 CNY',
  cooldown: '1m',
};
