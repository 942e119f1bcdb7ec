import type { ProviderId } from './subject.ts';
import { type DurationMs, type EpochMs, elapsed, milliseconds, minutes } from './time.ts';

/** When callbacks of a provider came: what its silence is judged by. */
export interface Arrivals {
  readonly provider: ProviderId;
  /** The newest callback that was noticed; null for a provider that was never heard from. */
  readonly lastAt: EpochMs | null;
  /** Pauses between callbacks, oldest first, at most `gapsMax`. */
  readonly gaps: readonly DurationMs[];
  /** When the alarm about the present silence was raised; null while there is none. */
  readonly alarmedAt: EpochMs | null;
}

export type Silence =
  /** Never heard from, or too seldom to know what is usual. */
  | { readonly kind: 'not-known' }
  | { readonly kind: 'heard' }
  | {
      readonly kind: 'silent';
      readonly quietFor: DurationMs;
      readonly limit: DurationMs;
      readonly usual: DurationMs;
    };

/** Pauses that are remembered: some hours of a busy provider, weeks of a quiet one. */
export const gapsMax = 200;

/** Pauses that must be known before a silence is judged. */
const gapsMin = 10;

/** Callbacks closer together than this are one moment, so that a burst does not make every pause look long. */
const moment = minutes(1);

/** The usual pause is one that 95 of 100 keep below: the longest ones are nights and accidents. */
const usualShare = 0.95;

/** A provider whose usual pause is at most this is normally active, and is never silent for longer unnoticed. */
const activeLimit = minutes(30);

/** Below this, silence is not worth waking anyone. */
const limitMin = minutes(5);

export function noArrivals(provider: ProviderId): Arrivals {
  return { provider, lastAt: null, gaps: [], alarmedAt: null };
}

/** A pause up to this counts although callbacks within it may have gone unnoticed: it can't have been much shorter. */
const surelyShort = minutes(3);

/**
 * Notes callbacks that came, in the order of their time. `joined` is false when callbacks before the first of them may
 * have gone unnoticed, so that a long pause up to it says nothing. A silence that was alarmed about teaches nothing
 * either: it was not usual.
 */
export function learnArrivals(arrivals: Arrivals, moments: readonly EpochMs[], joined: boolean): Arrivals {
  let { lastAt } = arrivals;
  const gaps: DurationMs[] = [];
  let first = true;
  for (const at of moments) {
    if (lastAt !== null && elapsed(lastAt, at) < moment) continue;
    const gap = lastAt === null ? null : elapsed(lastAt, at);
    const counts = !first || (arrivals.alarmedAt === null && (joined || (gap ?? 0) <= surelyShort));
    if (gap !== null && counts) gaps.push(gap);
    first = false;
    // Within a moment its beginning stays, so that a steady stream has pauses of a minute, not of a millisecond.
    lastAt = at;
  }
  if (lastAt === arrivals.lastAt) return arrivals;
  return { ...arrivals, lastAt, gaps: [...arrivals.gaps, ...gaps].slice(-gapsMax), alarmedAt: null };
}

/** The pause that is usual for a provider; null while too few are known. */
export function usualGap({ gaps }: Arrivals): DurationMs | null {
  if (gaps.length < gapsMin) return null;
  const sorted = [...gaps].sort((a, b) => a - b);
  return sorted[Math.ceil(usualShare * sorted.length) - 1] ?? null;
}

/** How long a provider may be quiet before it counts as silent; null while too few pauses are known. */
export function silenceLimit(arrivals: Arrivals): DurationMs | null {
  const usual = usualGap(arrivals);
  if (usual === null) return null;
  const twice = milliseconds(2 * usual);
  const limit = usual <= activeLimit ? Math.min(twice, activeLimit) : twice;
  return milliseconds(Math.max(limit, limitMin));
}

/**
 * Whether a provider has gone silent: quiet for more than twice its usual pause, and for a normally active one always
 * within half an hour. A known limit: pauses of the night are not told from those of the day, so a provider that is
 * busy by day and quiet by night is reported each night.
 */
export function judgeSilence(arrivals: Arrivals, now: EpochMs): Silence {
  const usual = usualGap(arrivals);
  const limit = silenceLimit(arrivals);
  if (arrivals.lastAt === null || usual === null || limit === null) return { kind: 'not-known' };
  const quietFor = elapsed(arrivals.lastAt, now);
  return quietFor > limit ? { kind: 'silent', quietFor, limit, usual } : { kind: 'heard' };
}
