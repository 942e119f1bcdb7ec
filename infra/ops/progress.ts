import type { EpochMs } from '../../shared/core/time.ts';
import type { OpsWorld } from './world.ts';

/** Nothing is shown for work that is shorter than this, and no more often than this. */
const quietMs = 1_000;

/** How much there is: so many in all, or everything up to a moment, of which the work has come to `at`. */
export type Reach = { readonly total: number } | { readonly at: EpochMs; readonly to: EpochMs };

export interface Progress {
  /** Says how far the work is; drawn at most once a second. */
  at(done: number, reach: Reach): void;
  /** Wipes the line. */
  end(): void;
}

interface ProgressWorld {
  readonly terminal: Pick<OpsWorld['terminal'], 'redraws' | 'complain'>;
  readonly clock: OpsWorld['clock'];
}

/** Shows progress on standard error: a bar over one line on a terminal, a line each ten seconds elsewhere. */
export function startProgress({ terminal, clock }: ProgressWorld, label: string): Progress {
  const start = clock();
  let last = start;
  let first: EpochMs | null = null;
  let drawn = false;
  const every = terminal.redraws ? quietMs : 10 * quietMs;
  return {
    at: (done, reach) => {
      // What comes before the first one found is no work, however long ago the range begins.
      if ('at' in reach) first ??= reach.at;
      const now = clock();
      if (now - last < every) return;
      last = now;
      const text = progressText(label, { done, ...shareOf(done, reach, first), start, now });
      terminal.complain(terminal.redraws ? `\r\u001b[2K${text}` : `${text}\n`);
      drawn = terminal.redraws;
    },
    end: () => {
      if (drawn) terminal.complain('\r\u001b[2K');
      drawn = false;
    },
  };
}

function shareOf(done: number, reach: Reach, first: EpochMs | null): { share: number; total: number | null } {
  if ('total' in reach) return { share: done / Math.max(1, reach.total), total: reach.total };
  const from = first ?? reach.at;
  return { share: (reach.at - from) / Math.max(1, reach.to - from), total: null };
}

/** `redriving [=====     ] 48 %, 480 of 1000, 120/s`; without a total the share is that of the time. */
export function progressText(
  label: string,
  state: {
    readonly done: number;
    readonly share: number;
    readonly total: number | null;
    readonly start: EpochMs;
    readonly now: EpochMs;
  },
): string {
  const { done, total, start, now } = state;
  const rate = Math.round((done * 1_000) / Math.max(1, now - start));
  const share = Math.min(1, Math.max(0, state.share));
  const filled = Math.round(share * 20);
  const bar = `${'='.repeat(filled)}${' '.repeat(20 - filled)}`;
  const count = total === null ? `${done} so far` : `${done} of ${total}`;
  return `${label} [${bar}] ${Math.floor(share * 100)} %, ${count}, ${rate}/s`;
}
