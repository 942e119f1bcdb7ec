import type { Random } from '../../shared/platform/random.ts';
import { readStage, type Stage } from '../../shared/policy/stage.ts';
import { providers } from '../../shared/providers/registry.ts';

/** How one run's operator set the limits. */
export interface StageDraw {
  readonly caps: 'wide' | 'tight';
  readonly velocity: number;
  readonly purchasesPerHour: number;
  readonly approval: boolean;
  readonly requestsPerSec: number;
  /** Whether CSSS orders that are due together leave in one call. */
  readonly coalesce: boolean;
}

const made = new Map<string, Stage>();

export function drawStage(random: Random): StageDraw {
  const pick = <T>(...values: readonly [T, ...T[]]): T =>
    values[random.integer(0, values.length - 1)] ?? values[0];
  return {
    caps: pick('wide', 'wide', 'tight'),
    velocity: pick(3, 20),
    purchasesPerHour: pick(1_000, 1_000, 2),
    approval: pick(false, false, false, false, true),
    requestsPerSec: pick(10, 10, 2),
    coalesce: pick(false, true),
  };
}

/** The stage of a run: EIOTCLUB renewals on usage alerts, CSSS orders on expiry, CSSS OTA orders on reminders. */
export function stageOf(draw: StageDraw): Stage {
  const key = JSON.stringify(draw);
  const known = made.get(key);
  if (known) return known;
  const reading = readStage(inputOf(draw), { fileName: 'seeded', text: null }, providers);
  if (!reading.ok) throw new Error(reading.problems.join('\n'));
  made.set(key, reading.stage);
  return reading.stage;
}

function inputOf(draw: StageDraw): unknown {
  const { caps, velocity, purchasesPerHour, approval, requestsPerSec, coalesce } = draw;
  const breakers = { simPurchases: velocity, purchasesPerHour, refusalsInARow: 3 };
  const limits = { requestsPerSec };
  const tight = caps === 'tight';
  return {
    name: 'seeded',
    providers: {
      eiotclub: {
        currency: 'USD',
        settings: { baseUrl: 'http://127.0.0.1:1', appkey: '000001' },
        breakers,
        limits,
        caps: {
          sim: { day: tight ? '10.00 USD' : '100.00 USD' },
          provider: { day: tight ? '15.00 USD' : '50000.00 USD', month: '90000.00 USD' },
        },
      },
      'linksfield-csss': {
        currency: 'CNY',
        settings: { baseUrl: 'http://127.0.0.1:1', accessCode: 'P000270' },
        callbacks: { acceptUnsigned: true },
        breakers,
        limits,
        caps: { sim: { day: '200.00 CNY' }, provider: { day: tight ? '105.00 CNY' : '2000.00 CNY' } },
      },
    },
    rules: [
      {
        id: 'renew-low-data',
        provider: 'eiotclub',
        when: { kind: 'usage-alert', alerts: ['low-data', 'low-data-percent', 'expiring'] },
        do: { kind: 'renew', plan: { packageCode: 'PKG001' } },
        maxCost: '5.00 USD',
        cooldown: '2h',
        approval,
        caps: tight ? { day: '10.00 USD' } : {},
      },
      {
        id: 'order-again-after-expiry',
        provider: 'linksfield-csss',
        when: { kind: 'order-status', statuses: ['expired'] },
        do: {
          kind: 'order',
          plan: {
            packageCode: 'DP20190726001274',
            packageName: 'C_M_0_P_20M',
            packageType: '2',
            payAmount: '3.00',
          },
        },
        maxCost: '3.00 CNY',
        cooldown: '2h',
        coalesce,
      },
      {
        id: 'ota-plan-when-none-is-left',
        provider: 'linksfield-csss',
        when: { kind: 'plan-reminder', warnings: ['no-plan', 'expired'] },
        do: {
          kind: 'order-ota',
          plan: {
            packageCode: 'DP20201218003915',
            packageName: 'T_T_T_0_P_S_100G',
            packageType: '1',
            payAmount: '99.00',
            days: 364,
          },
        },
        maxCost: '99.00 CNY',
        cooldown: '2h',
      },
    ],
  };
}
