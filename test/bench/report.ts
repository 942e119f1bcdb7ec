import type { Effort, Measured } from './measure.ts';
import { textTable } from './text-table.ts';

/** What a bench hands back: a table for people, kept as data. */
export interface BenchReport {
  /** What was measured and how, in a sentence or two. */
  readonly about: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
  /** What the table leaves open, such as a side that could not run here. */
  readonly notes?: readonly string[];
}

export interface BenchOptions {
  readonly effort: Effort;
  /** True for a try-out: small sizes, few rounds, numbers that mean little. */
  readonly quick: boolean;
}

export type Bench = (options: BenchOptions) => Promise<BenchReport>;

/** Three significant digits; whole numbers from 100 on. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '-';
  return value >= 100 ? String(Math.round(value)) : value.toPrecision(3);
}

/** Rows of one comparison: each contender's CPU, runs per CPU second, and its CPU relative to the named floor. */
export function comparison(
  label: string,
  measured: readonly Measured[],
  floor: string,
): readonly (readonly (string | number)[])[] {
  const base = measured.find(({ name }) => name === floor)?.cpuUs ?? Number.NaN;
  return measured.map(({ name, cpuUs, wallUs }) => [
    label,
    name,
    round(cpuUs),
    round(wallUs),
    Math.round(1_000_000 / cpuUs),
    round(cpuUs / base),
  ]);
}

export const comparisonHeader = ['case', 'contender', 'CPU µs', 'clock µs', 'per CPU s', 'CPU / floor'];

export function round(value: number): number {
  return Number(value.toPrecision(3));
}

export function printReport(name: string, report: BenchReport): string {
  const rows = report.rows.map((row) => row.map((cell) => (typeof cell === 'number' ? figure(cell) : cell)));
  const notes = (report.notes ?? []).map((note) => `  ${note}`).join('\n');
  return `\n== ${name}\n${report.about}\n\n${textTable(report.header, rows)}\n${notes === '' ? '' : `\n${notes}\n`}`;
}
