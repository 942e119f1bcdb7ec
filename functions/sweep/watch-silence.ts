import { type Arrivals, judgeSilence, learnArrivals, type Silence } from '../../shared/core/silence.ts';
import { type EpochMs, epochMs } from '../../shared/core/time.ts';
import type { Log } from '../../shared/platform/log.ts';
import {
  loadArrivals,
  type NewestCallbacks,
  readNewestCallbacks,
  writeArrivals,
} from '../../shared/store/arrivals-store.ts';
import { listEvents } from '../../shared/store/event-listing.ts';
import type { Versioned } from '../../shared/store/event-store.ts';
import type { Table } from '../../shared/store/table.ts';

/** Rows that are looked through before a provider is called silent, since others may speak so much that it is drowned. */
const scanMax = 2_000;

/** What the watch tells whoever looks on. */
export type SilenceNotice =
  | {
      readonly kind: 'silent';
      readonly provider: string;
      readonly lastAt: EpochMs;
      readonly silence: Extract<Silence, { kind: 'silent' }>;
    }
  | { readonly kind: 'heard-again'; readonly provider: string };

export interface SilenceDeps {
  readonly table: Table;
  readonly providers: readonly string[];
  readonly log: Log;
  readonly notice?: (notice: SilenceNotice) => void;
}

/**
 * Notices when a provider stops calling: nothing fails then, so nothing else would tell. Runs beside the sweep and
 * outside the receiving path, which may be what is down. One alarm per silence, and one line when it ends. Returns
 * the providers that are silent now. A store that fails costs this look only: the sweep beside it must not fail too.
 */
export async function watchSilence(now: EpochMs, deps: SilenceDeps): Promise<readonly string[]> {
  try {
    return await watchAll(now, deps);
  } catch (error) {
    deps.log('warn', 'silence not watched', { error: String(error) });
    return [];
  }
}

async function watchAll(now: EpochMs, deps: SilenceDeps): Promise<readonly string[]> {
  const [rows, newest] = await Promise.all([
    loadArrivals(deps.table, deps.providers),
    readNewestCallbacks(deps.table, now),
  ]);
  const silent: string[] = [];
  for (const row of rows) {
    if (await watchProvider(row, newest, now, deps)) silent.push(row.value.provider);
  }
  return silent;
}

async function watchProvider(
  row: Versioned<Arrivals>,
  newest: NewestCallbacks,
  now: EpochMs,
  deps: SilenceDeps,
): Promise<boolean> {
  const { provider, lastAt, alarmedAt } = row.value;
  const joined = lastAt !== null && newest.wholeFrom <= lastAt;
  let arrivals = learnArrivals(row.value, newest.moments.get(provider) ?? [], joined);
  let silence = judgeSilence(arrivals, now);
  if (silence.kind === 'silent' && alarmedAt === null) {
    const heardAt = await lastHeard(arrivals, now, deps);
    if (heardAt === 'cannot-tell') silence = { kind: 'not-known' };
    else if (heardAt !== null) {
      arrivals = learnArrivals(arrivals, [heardAt], false);
      silence = judgeSilence(arrivals, now);
    }
  }
  const alarms = silence.kind === 'silent' && arrivals.alarmedAt === null;
  const next = alarms ? { ...arrivals, alarmedAt: now } : arrivals;
  if (next === row.value) return silence.kind === 'silent';
  // Whoever writes first tells, so that two sweeps at once raise one alarm.
  if ((await writeArrivals(deps.table, row, next)) === 'written') tell(row.value, next, silence, deps);
  return silence.kind === 'silent';
}

/** The newest callback of a provider since the last one noticed, when there is one among the newest rows. */
async function lastHeard(
  { provider, lastAt }: Arrivals,
  now: EpochMs,
  { table }: SilenceDeps,
): Promise<EpochMs | null | 'cannot-tell'> {
  let read = 0;
  const range = { from: epochMs((lastAt ?? 0) + 1), to: now };
  for await (const { value } of listEvents(table, range, 'newest-first')) {
    if (value.event.provider === provider && value.event.proof.kind !== 'reconciled')
      return value.event.receivedAt;
    read += 1;
    if (read >= scanMax) return 'cannot-tell';
  }
  return null;
}

function tell(before: Arrivals, next: Arrivals, silence: Silence, deps: SilenceDeps): void {
  const { provider, lastAt } = next;
  if (silence.kind === 'silent' && next.alarmedAt !== null && lastAt !== null) {
    const { quietFor, limit, usual } = silence;
    deps.log('error', 'provider is silent', { provider, lastAt, quietFor, limit, usual });
    deps.notice?.({ kind: 'silent', provider, lastAt, silence });
  } else if (before.alarmedAt !== null && next.alarmedAt === null) {
    deps.log('info', 'provider is heard again', { provider });
    deps.notice?.({ kind: 'heard-again', provider });
  }
}
