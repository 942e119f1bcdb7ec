export interface AgeLimits {
  readonly nowMs: number;
  readonly maxAgeMs: number;
  readonly maxFutureMs: number;
}

/**
 * Judges a signed time, in epoch milliseconds, apart from the check of the bytes: a good signature on an old message
 * is still good, and the caller decides what that means. A time further ahead than the clocks may differ is refused
 * too, since it could be replayed until it comes. Schemes without a time (null) are always fresh: dedup protects them.
 */
export function judgeAge(
  signedAtMs: number | null,
  limits: AgeLimits,
): 'fresh' | 'stale-timestamp' | 'future-timestamp' {
  if (signedAtMs === null) return 'fresh';
  if (signedAtMs - limits.nowMs > limits.maxFutureMs) return 'future-timestamp';
  // Written so that a number that isn't one (NaN) fails closed.
  return limits.nowMs - signedAtMs <= limits.maxAgeMs ? 'fresh' : 'stale-timestamp';
}
