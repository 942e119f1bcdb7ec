import type { EpochMs } from './time.ts';

/** What simhook remembers of one SIM: the lock, the cool-downs, what was spent, and its latest purchases. */
export interface SimState {
  readonly simKey: string;
  /** The one open paid action; null when the SIM is free. */
  readonly openActionId: string | null;
  /** Per rule, until when it may not act for this SIM again. */
  readonly cooldowns: Readonly<Record<string, EpochMs>>;
  /** Reserved and charged per UTC day and month, in minor units; only recent periods are kept. */
  readonly committedMinor: Readonly<Record<string, number>>;
  /** When purchases were claimed that were made or may have been, newest last; bounded. For the velocity breaker. */
  readonly claimedAt: readonly EpochMs[];
  /** When the last action of this SIM was settled; its echoes may still be on their way. */
  readonly lastSettledAt: EpochMs | null;
}

export function emptySimState(simKey: string): SimState {
  return {
    simKey,
    openActionId: null,
    cooldowns: {},
    committedMinor: {},
    claimedAt: [],
    lastSettledAt: null,
  };
}

/** Of a month, `2026-11`, and of a day, `2026-11-22`. */
const periodLengths = [7, 10] as const;
const periodsKept = 4;

/** Adds to what is committed in a period, keeping the newest 4 days and months each so that the row stays small. */
export function commitInPeriods(sim: SimState, periods: readonly string[], deltaMinor: number): SimState {
  const sums: Record<string, number> = { ...sim.committedMinor };
  for (const period of periods) sums[period] = (sums[period] ?? 0) + deltaMinor;
  const newestFirst = Object.keys(sums).sort().reverse();
  const committedMinor: Record<string, number> = {};
  for (const length of periodLengths) {
    const kept = newestFirst.filter((period) => period.length === length && sums[period] !== 0);
    for (const period of kept.slice(0, periodsKept)) committedMinor[period] = sums[period] ?? 0;
  }
  return { ...sim, committedMinor };
}
