import type { Random } from '../../shared/platform/random.ts';

/** What can be injected, by name; the counts of a run are kept under these names. */
export const faultKinds = [
  'crash-before',
  'crash-after',
  'freeze',
  'slow-step',
  'store-throttled',
  'store-answer-lost',
  'store-conflict',
  'index-late',
  'queue-refused',
  'queue-answer-lost',
  'queue-duplicate',
  'connect-refused',
  'request-stuck',
  'provider-hang',
  'provider-drop',
  'provider-slow',
  'provider-5xx',
  'provider-5xx-after-commit',
  'provider-unreadable',
  'provider-rate-limit',
  'provider-refusal',
  'provider-late-records',
  'provider-forgets',
  'answer-after-timeout',
  'callback-lost',
  'callback-late',
  'callback-twice',
  'callback-answer-lost',
  'sweep-twice',
  'sweep-skipped',
  'function-timeout',
  'machine-suspended',
  'clock-skew',
  'secret-rotation',
  'operator-stop',
  'operator-replay',
  'price-change',
  'wallet-empty',
  'forged-callback',
  'false-callback',
] as const;
export type FaultKind = (typeof faultKinds)[number];
export type FaultCounts = Partial<Record<FaultKind, number>>;

/**
 * How often each fault strikes in one run. A seed draws for each kind whether it takes part at all and how strongly:
 * runs in which a few kinds are frequent reach states that an even mix of all kinds never does.
 */
export interface Chance {
  /** True when the fault strikes here; counted. False for ever after `calm`. */
  strikes(kind: FaultKind, factor?: number): boolean;
  /** Counts a fault that was planned rather than drawn. */
  count(kind: FaultKind): void;
  /** No fault strikes any more. */
  calm(): void;
  isCalm(): boolean;
  readonly counts: FaultCounts;
}

export function createChance(random: Random): Chance {
  const counts: FaultCounts = {};
  const takesPart = [0.25, 0.5, 0.9][random.integer(0, 2)] ?? 0.5;
  const rates = new Map<FaultKind, number>(
    faultKinds.map((kind) => {
      const on = random.fraction() < takesPart;
      const strength = [0.01, 0.04, 0.15, 0.4][random.integer(0, 3)] ?? 0.04;
      return [kind, on ? strength : 0];
    }),
  );
  let calmed = false;
  const count = (kind: FaultKind): void => {
    counts[kind] = (counts[kind] ?? 0) + 1;
  };
  return {
    strikes: (kind, factor = 1) => {
      if (calmed) return false;
      const rate = rates.get(kind) ?? 0;
      if (rate === 0 || random.fraction() >= rate * factor) return false;
      count(kind);
      return true;
    },
    count,
    calm: () => {
      calmed = true;
    },
    isCalm: () => calmed,
    counts,
  };
}
