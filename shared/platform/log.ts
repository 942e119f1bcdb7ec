import type { EpochMs } from '../core/time.ts';
import type { MetricLine } from './metrics.ts';

/** What a log line may carry: ids, sizes, codes and times. Never bodies, headers, secrets or activation codes. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** What happened adds to the figures, asked for by a log that writes figures. */
export type Figures = (at: EpochMs) => readonly MetricLine[];

/** Writes one line. `message` is a fixed phrase, so that lines can be counted; what varies goes into the fields. */
export type Log = (level: LogLevel, message: string, fields: LogFields, figures?: Figures) => void;

/** JSON lines on standard output, the form that CloudWatch Logs Insights reads. */
export const jsonLog: Log = (level, message, fields) => {
  process.stdout.write(`${JSON.stringify({ level, message, ...fields })}\n`);
};

export const silentLog: Log = () => undefined;
