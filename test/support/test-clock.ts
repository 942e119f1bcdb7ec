import { type EpochMs, epochMs } from '../../shared/core/time.ts';

/** A clock that stands still until it is told that time passes. */
export function testClock(startMs: number): { readonly now: () => EpochMs; pass(ms: number): void } {
  let nowMs = startMs;
  return {
    now: () => epochMs(nowMs),
    pass: (ms) => {
      nowMs += ms;
    },
  };
}
