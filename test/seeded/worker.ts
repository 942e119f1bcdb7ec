import { type EpochMs, epochMs } from '../../shared/core/time.ts';
import type { Random } from '../../shared/platform/random.ts';
import type { Chance } from './chance.ts';
import type { Scheduler } from './scheduler.ts';
import type { Trace } from './trace.ts';

/** What every part of a run shares. */
export interface Sim {
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  readonly random: Random;
  readonly trace: Trace;
}

/** One invocation of a function: its clock, and whether it still lives. */
export interface Worker {
  readonly name: string;
  readonly startedAt: number;
  readonly clockOffsetMs: number;
  alive: boolean;
  /** True once nobody waits for it any more: it died, or it froze and another one took its place. */
  abandoned: boolean;
  /** The actions that it works on; judged purchases are counted under them. */
  readonly actionIds: Set<string>;
  /** Stamps of the account slots that it took and has not used yet, in true time. */
  readonly slots: number[];
  /** Tells whoever started it that it will not come back, or not soon. Called at most once. */
  readonly onAbandoned: () => void;
}

export function createWorker(sim: Sim, name: string, onAbandoned: () => void): Worker {
  const skewed = sim.chance.strikes('clock-skew');
  return {
    name,
    startedAt: sim.scheduler.now(),
    clockOffsetMs: skewed ? sim.random.integer(-clockOffsetMaxMs, clockOffsetMaxMs) : 0,
    alive: true,
    abandoned: false,
    actionIds: new Set(),
    slots: [],
    onAbandoned,
  };
}

/** Machines of one cloud keep time to a few milliseconds; the sliding window of the limits needs them to. */
const clockOffsetMaxMs = 50;

export const clockOf = (sim: Sim, worker: Worker) => (): EpochMs =>
  epochMs(sim.scheduler.now() + worker.clockOffsetMs);

/** One await of production code. */
export interface Point {
  readonly what: string;
  /**
   * False between the check that a paid call is still young and its bytes: the one place where a pause of any length
   * can't be told from one after the call.
   */
  readonly mayFreeze: boolean;
}

/** Runs one await of production code under the scheduler: the seed says when it happens and whether the worker survives. */
export function step<T>(sim: Sim, worker: Worker, point: Point, perform: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    if (!worker.alive) return;
    const finish = (settle: () => void): void => {
      if (!worker.alive) return;
      if (sim.chance.strikes('crash-after', 0.08)) {
        kill(sim, worker, `crashes after ${point.what}`);
        return;
      }
      const ms = sim.random.fraction() < 0.5 ? 0 : pause(sim, worker, point);
      if (ms === 0) settle();
      else
        sim.scheduler.after(ms, () => {
          if (worker.alive) settle();
        });
    };
    sim.scheduler.after(pause(sim, worker, point), () => {
      if (!worker.alive) return;
      if (sim.chance.strikes('crash-before', 0.08)) {
        kill(sim, worker, `crashes before ${point.what}`);
        return;
      }
      sim.trace.note(sim.scheduler.now(), worker.name, point.what);
      perform().then(
        (value) => finish(() => resolve(value)),
        (error: unknown) => {
          sim.trace.note(sim.scheduler.now(), worker.name, `  fails: ${String(error)}`);
          finish(() => reject(error));
        },
      );
    });
  });
}

function pause(sim: Sim, worker: Worker, { what, mayFreeze }: Point): number {
  const { chance, random } = sim;
  if (mayFreeze && chance.strikes('freeze', 0.05)) {
    const ms = random.integer(20_000, random.fraction() < 0.5 ? 200_000 : 3 * 3_600_000);
    sim.trace.note(sim.scheduler.now(), worker.name, `freezes for ${Math.round(ms / 1_000)} s at ${what}`);
    abandon(worker);
    return ms;
  }
  if (chance.strikes('slow-step', 0.3)) return random.integer(50, 4_000);
  return random.integer(1, 8);
}

/** The worker's promises never settle again, as in a process that is gone. */
export function kill(sim: Sim, worker: Worker, why: string): void {
  if (!worker.alive) return;
  sim.trace.note(sim.scheduler.now(), worker.name, `† ${why}`);
  worker.alive = false;
  abandon(worker);
}

function abandon(worker: Worker): void {
  if (worker.abandoned) return;
  worker.abandoned = true;
  worker.onAbandoned();
}
