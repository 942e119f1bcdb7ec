/** Time as the simulator sees it. `now` is epoch milliseconds; `setTimer` returns its own cancel function. */
export interface SimulatorClock {
  readonly now: () => number;
  readonly setTimer: (delayMs: number, run: () => void) => () => void;
}

/** Node's timers hold at most a 32-bit signed number of milliseconds; a longer delay would fire at once. */
const timerMsMax = 2 ** 31 - 1;

/** The machine's clock. Its timers do not keep the process alive. */
export const realClock: SimulatorClock = {
  now: () => Date.now(),
  setTimer: (delayMs, run) => {
    const timer = setTimeout(run, Math.min(Math.max(0, delayMs), timerMsMax));
    timer.unref();
    return () => clearTimeout(timer);
  },
};

export interface ManualClock extends SimulatorClock {
  /** Moves the time and runs what falls due on the way, in the order of its due times. */
  advance(ms: number): void;
  /** Due times of the timers that wait, sorted. */
  pending(): readonly number[];
}

/** A clock that stands still until it is moved, so that tests don't sleep. */
export function createManualClock(startMs: number): ManualClock {
  let nowMs = startMs;
  let sequence = 0;
  const timers = new Map<number, { readonly dueMs: number; readonly run: () => void }>();
  const next = () =>
    [...timers]
      .sort(([idA, a], [idB, b]) => a.dueMs - b.dueMs || idA - idB)
      .find(([, t]) => t.dueMs <= nowMs);

  return {
    now: () => nowMs,
    setTimer: (delayMs, run) => {
      sequence += 1;
      const id = sequence;
      timers.set(id, { dueMs: nowMs + Math.max(0, delayMs), run });
      return () => void timers.delete(id);
    },
    advance: (ms) => {
      const endMs = nowMs + ms;
      // Each step stops at the earliest timer, so that a timer set by a timer still falls into the same advance.
      for (let steps = 0; steps < 100_000; steps += 1) {
        const dueMs = Math.min(...[...timers.values()].map((timer) => timer.dueMs));
        if (dueMs > endMs) break;
        nowMs = Math.max(nowMs, dueMs);
        const due = next();
        if (due === undefined) break;
        timers.delete(due[0]);
        due[1].run();
      }
      nowMs = endMs;
    },
    pending: () => [...timers.values()].map((timer) => timer.dueMs).sort((a, b) => a - b),
  };
}
