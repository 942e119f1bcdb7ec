import { after, type DurationMs, days, type EpochMs, hours, milliseconds, minutes, seconds } from './time.ts';

/** How tries are spaced. One layer of retries exists in the whole system: this one. */
export interface RetryPolicy {
  readonly base: DurationMs;
  readonly ceiling: DurationMs;
  /** Tries that count, in all. */
  readonly attemptsMax: number;
  /** Tries of any kind, rate limits included, so that an action's log stays small. */
  readonly triesMax: number;
  /** An action that is still waiting after this long is parked instead of tried again. */
  readonly giveUpAfter: DurationMs;
}

export const purchaseRetry: RetryPolicy = {
  base: seconds(5),
  ceiling: minutes(10),
  attemptsMax: 6,
  triesMax: 100,
  giveUpAfter: days(3),
};

/** Questions about an unknown outcome: soon at first, since most answers are there at once. */
export const verifyRetry: RetryPolicy = {
  base: seconds(10),
  ceiling: minutes(10),
  attemptsMax: 200,
  triesMax: 200,
  giveUpAfter: hours(24),
};

/**
 * When to try again: full jitter between 0 and the doubling step, so that many SIMs do not come back together;
 * never sooner than the provider asked for. Source: AWS Architecture Blog, "Exponential Backoff And Jitter".
 */
export function nextTry(
  policy: RetryPolicy,
  state: {
    readonly now: EpochMs;
    readonly tries: number;
    readonly retryAfter: DurationMs | null;
    readonly jitter: number;
  },
): EpochMs {
  const step = Math.min(policy.ceiling, policy.base * 2 ** Math.min(state.tries, 20));
  const least = Math.max(milliseconds(250), state.retryAfter ?? 0);
  return after(state.now, milliseconds(least + state.jitter * step));
}
