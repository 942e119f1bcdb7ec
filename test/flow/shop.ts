import { openEmbeddedEngines } from '../../infra/local/engines.ts';
import { type HttpFront, openHttpFront } from '../../infra/local/http-front.ts';
import { memorySecretSource } from '../../infra/local/local-secrets.ts';
import { type LocalSystem, type LocalWorld, openLocalSystem } from '../../infra/local/system.ts';
import type { Action } from '../../shared/core/action.ts';
import type { Decided } from '../../shared/core/decide.ts';
import { sumLedger } from '../../shared/core/lifecycle.ts';
import { type EpochMs, epochMs } from '../../shared/core/time.ts';
import type { WebhookEvent } from '../../shared/core/webhook-event.ts';
import type { LogFields } from '../../shared/platform/log.ts';
import { seededRandom } from '../../shared/platform/random.ts';
import { readStage, type StageInput } from '../../shared/policy/stage.ts';
import { providers } from '../../shared/providers/registry.ts';
import { loadAction } from '../../shared/store/action-store.ts';
import { loadSim } from '../../shared/store/event-store.ts';
import type { Table } from '../../shared/store/table.ts';
import { createManualClock, type ManualClock } from '../provider-simulator/clock.ts';
import { createSimulator, type Simulator, simulatorDefaults } from '../provider-simulator/simulator.ts';

export const start = Date.UTC(2026, 0, 14, 12);
export const pathToken = 'path-token-of-the-flow-test-0001';

type RuleInput = StageInput['rules'][number];
type ProviderInput = StageInput['providers'][string];

export const renewLowData: RuleInput = {
  id: 'renew-low-data',
  provider: 'eiotclub',
  when: { kind: 'usage-alert', alerts: ['low-data', 'low-data-percent', 'expiring'] },
  do: { kind: 'renew', plan: { packageCode: 'PKG001' } },
  maxCost: '5.00 USD',
  cooldown: '12h',
};

export const orderAgain: RuleInput = {
  id: 'order-again',
  provider: 'linksfield-csss',
  when: { kind: 'order-status', statuses: ['expired'] },
  do: {
    kind: 'order',
    plan: {
      packageCode: 'DP20190726001274',
      packageName: 'monthly 20M',
      packageType: '2',
      payAmount: '3.00',
    },
  },
  maxCost: '3.00 CNY',
  cooldown: '1d',
};

export const orderOta: RuleInput = {
  id: 'ota-plan',
  provider: 'linksfield-csss',
  when: { kind: 'plan-reminder', warnings: ['no-plan', 'expired'] },
  do: {
    kind: 'order-ota',
    plan: {
      packageCode: 'DP20201218003915',
      packageName: '100G a year',
      packageType: '1',
      payAmount: '99.00',
      days: 364,
    },
  },
  maxCost: '99.00 CNY',
  cooldown: '7d',
};

export interface ShopOptions {
  readonly rules?: readonly RuleInput[];
  readonly eiotclub?: Partial<ProviderInput>;
  readonly csss?: Partial<ProviderInput>;
  /** Puts something between the functions and the table. */
  readonly wrapTable?: (table: Table) => Table;
}

/** The whole system on in-memory engines, a provider simulator behind real HTTP, and one clock for both. */
export interface Shop {
  readonly simulator: Simulator;
  readonly system: LocalSystem;
  readonly world: LocalWorld;
  readonly front: HttpFront;
  readonly clock: ManualClock;
  readonly table: Table;
  readonly decided: { readonly event: WebhookEvent; readonly decided: Decided }[];
  readonly told: { readonly action: Action; readonly what: string }[];
  readonly logged: { readonly message: string; readonly fields: LogFields }[];
  now(): EpochMs;
  /** Lets time pass in steps; after each step callbacks arrive, the sweep runs once a minute, the queues are worked off. */
  pass(ms: number, stepMs?: number): Promise<void>;
  /** The only action for a SIM, as it is stored now; its ledger must add up. */
  actionOf(simId: string): Promise<Action>;
  /** Asks EIOTCLUB's simulator to raise an alert. */
  alert(iccid: string, alertType?: number): void;
  close(): Promise<void>;
}

function stageOf(options: ShopOptions, baseUrl: string): StageInput {
  return {
    name: 'flow',
    providers: {
      eiotclub: {
        currency: 'USD',
        settings: { baseUrl, appkey: simulatorDefaults.eiotclub.appkey },
        ...options.eiotclub,
      },
      'linksfield-csss': {
        currency: 'CNY',
        settings: { baseUrl, accessCode: simulatorDefaults.csss.accessCode, zoneOffsetMinutes: 480 },
        callbacks: { acceptUnsigned: true },
        ...options.csss,
      },
    },
    rules: [...(options.rules ?? [renewLowData, orderAgain, orderOta])],
  };
}

const key = (value: string) => [{ keyId: null, value }];

const secretsOfSimulator = {
  eiotclub: {
    callback: key(simulatorDefaults.eiotclub.callbackSecret),
    api: key(simulatorDefaults.eiotclub.secret),
    pathToken: null,
  },
  'linksfield-csss': {
    callback: key(simulatorDefaults.csss.callbackSecret),
    api: key(simulatorDefaults.csss.secret),
    pathToken,
  },
};

export async function openShop(options: ShopOptions = {}): Promise<Shop> {
  const clock = createManualClock(start);
  const now = () => epochMs(clock.now());
  const simulator = await createSimulator({
    clock,
    rateLimits: { eiotclub: { perSec: 10 }, 'linksfield-csss': { perSec: 10 } },
  });
  const baseUrl = await simulator.listen();
  const reading = readStage(stageOf(options, baseUrl), { fileName: 'flow', text: null }, providers);
  if (!reading.ok) throw new Error(reading.problems.join('\n'));
  const engines = openEmbeddedEngines(
    ':memory:',
    reading.stage.providers.map((p) => p.id),
    now,
  );
  const decided: Shop['decided'] = [];
  const told: Shop['told'] = [];
  const logged: Shop['logged'] = [];
  const table = options.wrapTable?.(engines.table) ?? engines.table;
  const world: LocalWorld = {
    stage: reading.stage,
    providers,
    table,
    events: engines.events,
    actions: engines.actions,
    secrets: memorySecretSource(secretsOfSimulator),
    clock: now,
    random: seededRandom(7),
    log: (_level, message, fields) => void logged.push({ message, fields }),
    watch: {
      received: () => undefined,
      decided: (event, one) => void decided.push({ event, decided: one }),
      acted: (action, what) => void told.push({ action, what }),
    },
  };
  const system = openLocalSystem(world);
  const front = await openHttpFront({ port: 0, host: '127.0.0.1' }, system.handleHttp);
  simulator.callbacks.setUrl('eiotclub', `${front.url}/callbacks/eiotclub`);
  simulator.callbacks.setUrl('linksfield-csss', `${front.url}/callbacks/linksfield-csss/${pathToken}`);

  const settle = async (): Promise<void> => {
    // Work makes callbacks and callbacks make work: both are quiet at the end of a round that handled nothing.
    for (let rounds = 0; rounds < 50; rounds++) {
      clock.advance(0);
      await simulator.callbacks.settled();
      if ((await system.drain()) === 0) return;
    }
    throw new Error('the system found no rest');
  };
  let swept = start;
  return {
    simulator,
    system,
    world,
    front,
    clock,
    table: engines.table,
    decided,
    told,
    logged,
    now,
    pass: async (ms, stepMs = 1_000) => {
      const end = clock.now() + ms;
      await settle();
      while (clock.now() < end) {
        clock.advance(Math.min(stepMs, end - clock.now()));
        if (clock.now() >= swept + 60_000) {
          swept = clock.now();
          await system.sweep();
        }
        await settle();
      }
    },
    actionOf: async (simId) => {
      const ids = new Set(
        told.filter(({ action }) => action.subject.simId === simId).map(({ action }) => action.actionId),
      );
      for (const { decided: one } of decided) {
        for (const action of one.actions) if (action.subject.simId === simId) ids.add(action.actionId);
      }
      const [id, ...others] = ids;
      if (id === undefined || others.length > 0) throw new Error(`${ids.size} actions for ${simId}`);
      const row = await loadAction(engines.table, id);
      if (row === null) throw new Error(`${id} is not stored`);
      const { action } = row.value;
      const sums = sumLedger(action.ledger, action.money.currency);
      if (JSON.stringify(sums) !== JSON.stringify(action.money))
        throw new Error(`the ledger of ${id} does not add up`);
      return action;
    },
    alert: (iccid, alertType = 1) => {
      simulator.emit('eiotclub', { event: 'FlowAlert', iccid, alert_type: alertType, alert_value: '98.5' });
    },
    close: async () => {
      await front.close();
      await simulator.close();
      await system.close();
      await engines.close();
    },
  };
}

/** True while a paid action keeps others off this SIM. */
export async function isLocked(shop: Shop, action: Action): Promise<boolean> {
  return (await loadSim(shop.table, action.subject.key)).value.openActionId !== null;
}
