import type { Random } from '../../shared/platform/random.ts';

interface Entry {
  at: number;
  /** Order among entries of the same moment: drawn by the seed, so that each seed interleaves otherwise. */
  readonly rank: number;
  readonly run: () => void;
  /** Happens in the world outside, so it goes on while our machine sleeps. */
  readonly outside: boolean;
  cancelled: boolean;
}

/** Virtual time: a heap of what is to happen. Nothing in a run waits for a real timer. */
export interface Scheduler {
  now(): number;
  /** Runs `run` after `ms` of virtual time; returns its own cancel function. */
  after(ms: number, run: () => void): () => void;
  /** The same for what happens outside of our machine: it does not wait while that sleeps. */
  outside(ms: number, run: () => void): () => void;
  /** Works entry by entry until `stop` says so or nothing is left; returns the number of steps so far. */
  runUntil(stop: () => boolean): Promise<number>;
  steps(): number;
  /** True when nothing is left to happen. */
  isIdle(): boolean;
  /** Our whole machine sleeps: nothing of ours runs for `ms`, and what was due then falls due at the wake. */
  suspend(ms: number): void;
  isSuspended(): boolean;
  /** When it last woke; 0 when it never slept. */
  wokeAt(): number;
}

export function createScheduler(startMs: number, random: Random): Scheduler {
  const heap: Entry[] = [];
  let nowMs = startMs;
  let steps = 0;
  let asleepUntil = 0;
  const isBefore = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.rank < b.rank);
  const swap = (i: number, j: number): void => {
    const [a, b] = [heap[i], heap[j]];
    if (a === undefined || b === undefined) throw new Error(`the heap has no entries ${i} and ${j}`);
    heap[i] = b;
    heap[j] = a;
  };
  const goesFirst = (i: number, j: number): boolean => {
    const [a, b] = [heap[i], heap[j]];
    return a !== undefined && b !== undefined && isBefore(a, b);
  };
  const push = (entry: Entry): void => {
    heap.push(entry);
    let i = heap.length - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!goesFirst(i, parent)) return;
      swap(i, parent);
      i = parent;
    }
  };
  const pop = (): Entry | null => {
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined) return null;
    if (heap.length === 0) return first;
    heap[0] = last;
    for (let i = 0; ; ) {
      const left = 2 * i + 1;
      const child = goesFirst(left + 1, left) ? left + 1 : left;
      if (!goesFirst(child, i)) return first;
      swap(i, child);
      i = child;
    }
  };
  const add = (ms: number, run: () => void, outside: boolean): (() => void) => {
    const at = nowMs + Math.max(0, Math.round(ms));
    const entry: Entry = { at, rank: random.fraction(), run, outside, cancelled: false };
    push(entry);
    return () => {
      entry.cancelled = true;
    };
  };
  return {
    now: () => nowMs,
    after: (ms, run) => add(ms, run, false),
    outside: (ms, run) => add(ms, run, true),
    runUntil: async (stop) => {
      while (!stop()) {
        const entry = pop();
        if (entry === null) break;
        if (entry.cancelled) continue;
        if (!entry.outside && entry.at < asleepUntil) {
          entry.at = asleepUntil;
          push(entry);
          continue;
        }
        nowMs = Math.max(nowMs, entry.at);
        steps += 1;
        entry.run();
        await microtasksDone();
      }
      return steps;
    },
    steps: () => steps,
    isIdle: () => heap.every((entry) => entry.cancelled),
    suspend: (ms) => {
      asleepUntil = nowMs + ms;
    },
    isSuspended: () => nowMs < asleepUntil,
    wokeAt: () => asleepUntil,
  };
}

/** Everything that hangs on a resolved promise has run before the next entry begins. */
function microtasksDone(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
