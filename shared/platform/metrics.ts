import type { EpochMs } from '../core/time.ts';

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
  return ({ at, dimensions, values }) => {
    const named = { stage, ...dimensions };
    const line = {
      _aws: {
        Timestamp: at,
        CloudWatchMetrics: [
          {
            Namespace: metricNamespace,
            Dimensions: [Object.keys(named)],
            Metrics: values.map(({ name, unit }) => ({ Name: name, Unit: unit })),
          },
        ],
      },
      ...named,
      ...Object.fromEntries(values.map(({ name, value }) => [name, value])),
    };
    write(`${JSON.stringify(line)}\n`);
  };
}

/** Writes a line to standard output, past the runtime's own wrapping of console messages. */
export const toStandardOutput = (line: string): void => {
  process.stdout.write(line);
};
