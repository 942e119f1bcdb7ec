/** A moment: milliseconds since 1970-01-01T00:00:00Z. Always a value that was read at an edge. */
export type EpochMs = number & { readonly __unit: 'epoch-ms' };

/** A span of time in milliseconds. */
export type DurationMs = number & { readonly __unit: 'duration-ms' };

export function epochMs(value: number): EpochMs {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`a moment must be whole milliseconds since 1970, but was ${value}`);
  }
  return value as EpochMs;
}

export function durationMs(value: number): DurationMs {
  if (!Number.isFinite(value) || value < 0) {
    throw new RangeError(`a duration must be a number of milliseconds of at least 0, but was ${value}`);
  }
  return Math.round(value) as DurationMs;
}

export const milliseconds = (n: number): DurationMs => durationMs(n);
export const seconds = (n: number): DurationMs => durationMs(n * 1_000);
export const minutes = (n: number): DurationMs => durationMs(n * 60_000);
export const hours = (n: number): DurationMs => durationMs(n * 3_600_000);
export const days = (n: number): DurationMs => durationMs(n * 86_400_000);

export function after(moment: EpochMs, span: DurationMs): EpochMs {
  return epochMs(moment + span);
}

/** The moment `span` before `moment`, never before 1970. */
export function before(moment: EpochMs, span: DurationMs): EpochMs {
  return epochMs(Math.max(0, moment - span));
}

/** Time from `earlier` to `later`; 0 when the order is the other way round. */
export function elapsed(earlier: EpochMs, later: EpochMs): DurationMs {
  return durationMs(Math.max(0, later - earlier));
}

/** The UTC day of a moment, `2026-11-22`. Caps and spend are counted by UTC day (README, D9). */
export function utcDay(moment: EpochMs): string {
  const day = Math.floor(moment / 86_400_000);
  if (day !== latestDay.day) latestDay = { day, text: new Date(moment).toISOString().slice(0, 10) };
  return latestDay.text;
}

/** Printing a date takes longer than storing an event otherwise does, and nearly all moments are of one day. */
let latestDay: { readonly day: number; readonly text: string } = { day: Number.NaN, text: '' };

/** The UTC hour of a moment's day, `05`. */
export function utcHour(moment: EpochMs): string {
  const hour = Math.floor(moment / 3_600_000) % 24;
  return hour < 10 ? `0${hour}` : String(hour);
}

/** The UTC month of a moment, `2026-11`. */
export function utcMonth(moment: EpochMs): string {
  return utcDay(moment).slice(0, 7);
}
