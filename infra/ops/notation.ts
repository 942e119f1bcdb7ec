import { type Money, parseMajorAmount } from '../../shared/core/money.ts';
import { before, type DurationMs, type EpochMs, epochMs } from '../../shared/core/time.ts';
import { durationSchema } from '../../shared/policy/notation.ts';
import { misused } from './failure.ts';

/** A duration such as `2h` or `7d`; throws OpsError `usage`. */
export function readDuration(option: string, text: string): DurationMs {
  const parsed = durationSchema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw misused(`${option} is "${text}", but a duration is a number with a unit: 250ms, 90s, 30m, 12h or 7d`);
}

/** A moment: `2h` (that long ago), `2026-11-22`, `2026-11-22T05:00Z`, or epoch milliseconds. Times are UTC. */
export function readMoment(option: string, text: string, now: EpochMs): EpochMs {
  if (text === 'now') return now;
  const ago = durationSchema.safeParse(text);
  if (ago.success) return before(now, ago.data);
  if (/^\d{13}$/.test(text)) return epochMs(Number(text));
  const iso = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?)Z?)?$/.exec(text);
  const value = iso === null ? Number.NaN : Date.parse(`${iso[1]}T${iso[2] ?? '00:00'}Z`);
  if (Number.isSafeInteger(value) && value >= 0) return epochMs(value);
  throw misused(
    `${option} is "${text}", but a time is a span back from now (2h, 7d), a UTC day (2026-11-22), a UTC time (2026-11-22T05:00Z) or epoch milliseconds`,
  );
}

/** A whole number between two bounds; throws OpsError `usage`. */
export function readWhole(
  option: string,
  text: string,
  range: { readonly min: number; readonly max: number },
): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= range.min && value <= range.max) return value;
  throw misused(`${option} is "${text}", but it must be a whole number from ${range.min} to ${range.max}`);
}

/** An amount such as `5.00 USD`; throws OpsError `usage`. */
export function readMoney(option: string, text: string): Money {
  const match = /^(\d{1,12}(?:\.\d{1,4})?) ([A-Z]{3})$/.exec(text);
  const amount = match?.[1] && match[2] ? parseMajorAmount(match[1], match[2]) : null;
  if (amount !== null) return amount;
  throw misused(`${option} is "${text}", but an amount is a number and a currency, such as "5.00 USD"`);
}

/** `2026-11-22 05:13:48Z`. */
export function showMoment(moment: EpochMs): string {
  return `${new Date(moment).toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

/** ISO 8601 for machines; null stays null. */
export function isoMoment(moment: EpochMs | null): string | null {
  return moment === null ? null : new Date(moment).toISOString();
}

/** A span as people say it: `3 s`, `12 min`, `5 h`, `3 d`. */
export function showSpan(ms: number): string {
  const steps = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'min'],
    [1_000, 's'],
  ] as const;
  for (const [size, unit] of steps) {
    if (ms >= size) return `${Math.floor(ms / size)} ${unit}`;
  }
  return `${Math.round(ms)} ms`;
}
