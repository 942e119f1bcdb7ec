import type { EpochMs } from '../core/time.ts';
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';

export type MetricUnit = 'Count' | 'Milliseconds' | 'Seconds' | 'None';

/** Figures of one moment under one set of dimensions. Never a SIM or an id: each new value would be a paid metric. */
export interface MetricLine {
  readonly at: EpochMs;
  readonly dimensions: Readonly<Record<string, string>>;
  readonly values: readonly { readonly name: string; readonly value: number; readonly unit: MetricUnit }[];
}

export type Metrics = (line: MetricLine) => void;

/** Where all figures stand in CloudWatch. */
export const metricNamespace = 'simhook';

/**
 * Figures as embedded metric format lines on standard output: CloudWatch Logs turns them into metrics, so that no
 * function needs a right or a call for it. `stage` is a dimension of every figure.
 * Source: CloudWatch user guide, "Specification: Embedded metric format".
 */
export function emfMetrics(stage: string, write: (line: string) => void): Metrics {
  return (line) => {
    for (const document of emfDocuments(stage, {}, [line])) write(`${JSON.stringify(document)}\n`);
  };
}

/**
 * A log whose lines are the figures of what they tell at the same time: CloudWatch bills each byte, and an embedded
 * metric document may have any further members. Figures whose dimensions say otherwise than the line's fields, or that
 * stand in it already, get a line of their own. Same source, "Target members".
 */
export function measuringLog(stage: string, clock: Clock, write: (line: string) => void): Log {
  return (level, message, fields, figures) => {
    const line = { level, message, ...fields };
    const lines = figures?.(clock()) ?? [];
    for (const document of emfDocuments(stage, line, lines)) write(`${JSON.stringify(document)}\n`);
  };
}

type Members = Readonly<Record<string, string | number | boolean | null | undefined>>;

interface Document {
  readonly members: Members;
  readonly lines: readonly MetricLine[];
}

/** `first` with the figures that fit into it, and further documents for those that don't. */
function emfDocuments(stage: string, first: Members, lines: readonly MetricLine[]): readonly object[] {
  const documents: Document[] = [{ members: first, lines: [] }];
  for (const line of lines) {
    const place = documents.findIndex((document) => fits(document, line, stage));
    const { members, lines: there } = documents[place] ?? { members: {}, lines: [] };
    const values = Object.fromEntries(line.values.map(({ name, value }) => [name, value]));
    const grown = { members: { ...members, stage, ...line.dimensions, ...values }, lines: [...there, line] };
    documents.splice(place < 0 ? documents.length : place, 1, grown);
  }
  return documents.map(({ members, lines: its }) => (its.length === 0 ? members : emfDocument(members, its)));
}

function fits({ members, lines }: Document, { at, dimensions, values }: MetricLine, stage: string): boolean {
  const same = Object.entries({ stage, ...dimensions }).every(
    ([name, value]) => members[name] === undefined || members[name] === value,
  );
  const isFree = values.every(({ name }) => members[name] === undefined && dimensions[name] === undefined);
  return same && isFree && lines.every((line) => line.at === at);
}

function emfDocument(members: Members, lines: readonly MetricLine[]): object {
  const byDimensions = Map.groupBy(lines, ({ dimensions }) => Object.keys(dimensions).join('\n'));
  const directives = [...byDimensions.values()].map((its) => ({
    Namespace: metricNamespace,
    Dimensions: [['stage', ...Object.keys(its[0]?.dimensions ?? {})]],
    Metrics: its.flatMap(({ values }) => values.map(({ name, unit }) => ({ Name: name, Unit: unit }))),
  }));
  return { ...members, _aws: { Timestamp: lines[0]?.at, CloudWatchMetrics: directives } };
}

/** Writes a line to standard output, past the runtime's own wrapping of console messages. */
export const toStandardOutput = (line: string): void => {
  process.stdout.write(line);
};
