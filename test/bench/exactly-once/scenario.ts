import type { CallbackSender } from '../../provider-simulator/callbacks.ts';
import { createManualClock, type ManualClock } from '../../provider-simulator/clock.ts';
import { createSimulator, type Simulator } from '../../provider-simulator/simulator.ts';

/** What goes wrong around one paid call. Each strikes after the provider has accepted. */
export const faults = [
  /** The handler throws after the provider has accepted, before anything is written down. */
  'throws-after-acceptance',
  /** The provider has accepted, and the runtime ends the function while it still waits for the answer. */
  'times-out-in-mid-call',
  /** The answer is there, but the write that would record it fails. */
  'success-not-written',
] as const;
export type Fault = (typeof faults)[number];

/** `once`: the first try is struck. `persists`: every try is, until nobody tries any more or an hour is over. */
export const persistences = ['once', 'persists'] as const;
/** `never` is the control: nothing goes wrong, and everybody buys once. */
export type Persistence = (typeof persistences)[number] | 'never';

/**
 * CSSS has no idempotency key at all. EIOTCLUB refuses a second order with the same `outTradeNo`, which all
 * approaches here derive from the message, so it stays the same in every try.
 * Source: protocols/linksfield.md, section 3.1; protocols/eiotclub.md, section 2.
 */
export const caseProviders = ['linksfield-csss', 'eiotclub'] as const;
export type CaseProvider = (typeof caseProviders)[number];

export interface Case {
  readonly provider: CaseProvider;
  readonly fault: Fault;
  readonly persistence: Persistence;
}

/** What is left when nothing moves any more. */
export interface Result {
  /** Purchases in the provider's books. */
  readonly purchases: number;
  /** Those whose order number stands in a durable record of the approach. */
  readonly recorded: number;
  /** How the work itself ended, in the approach's own terms. */
  readonly end: 'succeeded' | 'failed' | 'dead-letter' | 'stuck';
  /** Tries of the paid call. */
  readonly calls: number;
  /** How often the fault struck; a case in which it never did proves nothing. */
  readonly struck: number;
}

export interface OpenApproach {
  run(what: Case): Promise<Result>;
  close(): Promise<void>;
}

export interface Approach {
  readonly name: string;
  readonly configuration: string;
  open(): Promise<OpenApproach>;
}

/** The SIM that everybody buys for. */
export const simIds: Readonly<Record<CaseProvider, string>> = {
  'linksfield-csss': '89852021234567890110',
  eiotclub: '89852021234567890128',
};

/** The CSSS order that runs out and is to be ordered again. */
export const heldCsssOrder = 'ORDER_20260503000000001';

/** 2026-06-01 12:00 UTC: far from the end of a day or month. */
export const startMs = Date.UTC(2026, 5, 1, 12);

export interface ProviderWorld {
  readonly simulator: Simulator;
  readonly clock: ManualClock;
  readonly url: string;
  purchases(provider: CaseProvider): readonly string[];
  close(): Promise<void>;
}

/** A provider that really listens on HTTP, with one SIM at each and books that count what was sold. */
export async function openProviderWorld(callbackSender?: CallbackSender): Promise<ProviderWorld> {
  const clock = createManualClock(startMs);
  const simulator = await createSimulator({
    clock,
    callbacks: { automatic: callbackSender !== undefined },
    ...(callbackSender === undefined ? {} : { callbackSender }),
  });
  const held = { state: 'active' as const, createdAt: startMs - 29 * 86_400_000 };
  simulator.addSim({
    provider: 'linksfield-csss',
    simId: simIds['linksfield-csss'],
    packages: [{ ...held, code: 'DP20190726001274', orderId: heldCsssOrder }],
  });
  simulator.addSim({
    provider: 'eiotclub',
    simId: simIds.eiotclub,
    packages: [{ ...held, code: 'PKG001' }],
  });
  const url = await simulator.listen();
  return {
    simulator,
    clock,
    url,
    purchases: (provider) =>
      simulator.orders({ provider, simId: simIds[provider] }).map(({ orderId }) => orderId),
    close: () => simulator.close(),
  };
}

export interface Striker {
  /** Whether this try is struck; asked once a try. */
  strikes(): boolean;
  readonly struck: number;
}

/** Strikes the first try, or every one until `over` says that the fault has passed. */
export function striker(persistence: Persistence, over: () => boolean = () => false): Striker {
  let struck = 0;
  return {
    strikes: () => {
      const hit = persistence !== 'never' && !over() && (persistence === 'persists' || struck === 0);
      if (hit) struck += 1;
      return hit;
    },
    get struck() {
      return struck;
    },
  };
}

/** One line for people: who knows what was bought, and how the work ended. */
export function describeResult({ purchases, recorded, end }: Result): string {
  const unknown = purchases - recorded;
  const ends = {
    succeeded: 'settled',
    failed: 'failed run',
    'dead-letter': 'dead letter',
    stuck: 'tried again and again',
  }[end];
  if (unknown === 0) return ends;
  return `${ends}, ${unknown} of ${purchases} in no record`;
}
