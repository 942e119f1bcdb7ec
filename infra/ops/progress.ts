import type { EpochMs } from '../../shared/core/time.ts';
import type { OpsWorld } from './world.ts';

/** Nothing is shown for work that is shorter than this, and no more often than this. */
const quietMs = 1_000;

export interface Progress {
  /** Says how far the work is; drawn at most once a second. */
  at(done: number, total?: number): void;
  /** Wipes the line. */
  end(): void;
}

/** Shows progress on standard error: a bar over one line on a terminal, a line each ten seconds elsewhere. */
export function startProgress(world: OpsWorld, label: string): Progress {
  const { terminal, clock } = world;
  const start = clock();
  let last = start;
  let drawn = false;
  const every = terminal.redraws ? quietMs : 10 * quietMs;
  return {
    at: (done, total) => {
      const now = clock();
      if (now - last < every) return;
      last = now;
      const text = progressText(label, { done, total: total ?? null, start, now });
      terminal.complain(terminal.redraws ? `\r\u001b[2K${text}` : `${text}\n`);
      drawn = terminal.redraws;
    },
    end: () => {
      if (drawn) terminal.complain('\r\u001b[2K');
      drawn = false;
    },
  };
}

/** `replaying [=====>    ] 48 %, 480 of 1000, 120/s`. */
export function progressText(
  label: string,
  state: {
    readonly done: number;
    readonly total: number | null;
    readonly start: EpochMs;
    readonly now: EpochMs;
  },
): string {
  const { done, total, start, now } = state;
  const rate = Math.round((done * 1_000) / Math.max(1, now - start));
  if (total === null || total === 0) return `${label} … ${done}, ${rate}/s`;
  const share = Math.min(1, done / total);
  const filled = Math.round(share * 20);
  const bar = `${'='.repeat(filled)}${' '.repeat(20 - filled)}`;
  return `${label} [${bar}] ${Math.floor(share * 100)} %, ${done} of ${total}, ${rate}/s`;
}
