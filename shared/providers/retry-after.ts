import { type DurationMs, durationMs, type EpochMs } from '../core/time.ts';

/** Longest wait that a provider may ask for; a longer one is cut, so that a broken header can't stop the work. */
const waitMaxMs = 3_600_000;

/**
 * Reads a Retry-After header: whole seconds or an HTTP date. Null when it is missing or unreadable.
 * Source: RFC 9110, section 10.2.3.
 */
export function readRetryAfter(value: string | undefined, now: EpochMs): DurationMs | null {
  const text = value?.trim() ?? '';
  if (/^\d{1,9}$/.test(text)) return durationMs(Math.min(Number(text) * 1_000, waitMaxMs));
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(text)) return null;
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : durationMs(Math.min(Math.max(0, at - now), waitMaxMs));
}
