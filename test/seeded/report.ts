import type { FaultCounts, FaultKind } from './chance.ts';
import type { RunResult } from './run.ts';

/** What many runs came to. */
export interface Tally {
  seeds: number;
  steps: number;
  callbacks: number;
  actions: number;
  purchases: number;
  readonly faults: FaultCounts;
  readonly states: Record<string, number>;
  readonly failures: { readonly seed: number; readonly invariant: string; readonly detail: string }[];
}

export function emptyTally(): Tally {
  return { seeds: 0, steps: 0, callbacks: 0, actions: 0, purchases: 0, faults: {}, states: {}, failures: [] };
}

export function addRun(tally: Tally, run: RunResult): void {
  tally.seeds += 1;
  tally.steps += run.steps;
  tally.callbacks += run.callbacks;
  tally.actions += run.actions;
  tally.purchases += run.purchases;
  addCounts(tally.faults, run.faults);
  addCounts(tally.states, run.states);
  if (run.violation !== null) tally.failures.push({ seed: run.seed, ...run.violation });
}

export function addTally(sum: Tally, part: Tally): void {
  sum.seeds += part.seeds;
  sum.steps += part.steps;
  sum.callbacks += part.callbacks;
  sum.actions += part.actions;
  sum.purchases += part.purchases;
  addCounts(sum.faults, part.faults);
  addCounts(sum.states, part.states);
  sum.failures.push(...part.failures);
}

function addCounts<K extends string>(
  sums: Partial<Record<K, number>>,
  counts: Partial<Record<K, number>>,
): void {
  for (const name of Object.keys(counts) as K[]) sums[name] = (sums[name] ?? 0) + (counts[name] ?? 0);
}

/** The whole tally as lines for a terminal. */
export function tallyText(tally: Tally, elapsedSec: number): string {
  const injected = Object.values(tally.faults).reduce((sum, n) => sum + n, 0);
  const byCount = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .sort(([, a], [, b]) => b - a)
      .map(([name, n]) => `  ${String(n).padStart(10)}  ${name}`)
      .join('\n');
  return [
    `${tally.seeds} seeds in ${elapsedSec.toFixed(0)} s, ${(tally.seeds / elapsedSec).toFixed(1)} seeds/s`,
    `${tally.steps} steps, ${tally.callbacks} callbacks, ${tally.actions} actions, ${tally.purchases} orders bought`,
    `${injected} faults injected:`,
    byCount(tally.faults satisfies Partial<Record<FaultKind, number>>),
    'actions ended:',
    byCount(tally.states),
    tally.failures.length === 0 ? 'no invariant was broken' : `${tally.failures.length} SEEDS FAILED:`,
    ...tally.failures.slice(0, 20).map(({ seed, invariant, detail }) => `  ${seed}: ${invariant}: ${detail}`),
  ].join('\n');
}

export const replayCommand = (seed: number): string => `npm run simulate -- --seed ${seed}`;

/** A failed run as a person wants to read it. */
export function failureText(run: RunResult): string {
  if (run.violation === null) return [...run.trace, `seed ${run.seed}: no invariant was broken`].join('\n');
  return [
    `seed ${run.seed} breaks "${run.violation.invariant}": ${run.violation.detail}`,
    `replay: ${replayCommand(run.seed)}`,
    ...run.trace,
  ].join('\n');
}
