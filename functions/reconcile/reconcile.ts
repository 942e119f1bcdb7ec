import type { Policy } from '../../shared/core/policy.ts';
import type { Subject } from '../../shared/core/subject.ts';
import { type DurationMs, type EpochMs, milliseconds, seconds } from '../../shared/core/time.ts';
import type { Log } from '../../shared/platform/log.ts';
import type { ProviderClient, ProviderProfile } from '../../shared/providers/provider.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import type { Versioned } from '../../shared/store/event-store.ts';
import {
  loadReconcileCursor,
  type ReconcileCursor,
  writeReconcileCursor,
} from '../../shared/store/reconcile-store.ts';
import type { Table } from '../../shared/store/table.ts';
import { findActiveSims } from './active-sims.ts';
import { type OrderReader, type PartialList, readOrders } from './read-orders.ts';
import { noTally, type ReconcileNotice, reconcileSim, type SimTally } from './reconcile-sim.ts';

/** Time kept back for writing down where a run stopped. */
const reserve = seconds(15);

/** Questions that one run asks a provider at most: an hour's run at half the usual limit ends before. */
const callsMax = 5_000;

/** Share of a provider's daily requests that one run may take. */
const dayShare = 0.02;

/** SIMs in a row whose lists can't be read, before a provider is left until the next run. */
const failuresMax = 5;

/** SIMs done between two writes of the cursor; a run that dies repeats them, which changes nothing. */
const cursorEvery = 20;

/** A provider with the client that reads its records. */
export interface ReconciledProvider {
  readonly id: string;
  readonly client: Pick<ProviderClient, 'listOrders'>;
  readonly profile: ProviderProfile;
}

export interface ReconcileDeps {
  readonly table: Table;
  readonly events: WorkQueue;
  readonly policy: Policy;
  readonly providers: readonly ReconciledProvider[];
  /** Lets time pass between two questions, so that most of the account's limit stays for the paid work. */
  readonly wait: (span: DurationMs) => Promise<void>;
  /** Time before the runtime ends this run. */
  readonly timeLeft: () => DurationMs;
  readonly log: Log;
  readonly notice?: (notice: ReconcileNotice) => void;
}

/** Why a provider's part of a run ended. */
export type RunEnd =
  /** Every SIM was looked at: the next run begins anew. */
  | 'done'
  /** The next run goes on where this one stopped. */
  | 'out-of-time'
  | 'out-of-calls'
  | 'provider-unavailable'
  /** The provider keeps no list of orders that can be asked for. */
  | 'no-list'
  /** Another run went on at the same time. */
  | 'overtaken'
  | 'failed';

export interface ProviderRun extends SimTally {
  readonly provider: string;
  readonly end: RunEnd;
  readonly sims: number;
  /** SIMs whose list could not be read. */
  readonly unread: number;
  readonly calls: number;
}

export interface ReconcileResult {
  readonly providers: readonly ProviderRun[];
  /** True when there are more active SIMs than a run looks for. */
  readonly truncated: boolean;
}

/**
 * Compares the providers' own order records with the ledger, for SIMs with activity, and goes on where the last run
 * stopped. Differences become findings, missed callbacks become events, estimated amounts are corrected. It never
 * buys: what it finds goes through the same rules, caps and locks as any event. A provider that fails does not keep
 * the others from being looked at; throws when the table can't be read at all.
 */
export async function reconcile(now: EpochMs, deps: ReconcileDeps): Promise<ReconcileResult> {
  const { sims, truncated } = await findActiveSims(deps.table, now);
  if (truncated) deps.log('warn', 'more active SIMs than one reconciliation looks for', {});
  const providers = await Promise.all(
    deps.providers.map(async (provider) => {
      const run = await runSafely(provider, sims.get(provider.id) ?? [], now, deps);
      deps.log('info', 'reconciled', { ...run });
      return run;
    }),
  );
  return { providers, truncated };
}

async function runSafely(
  provider: ReconciledProvider,
  sims: readonly Subject[],
  now: EpochMs,
  deps: ReconcileDeps,
): Promise<ProviderRun> {
  try {
    return await runProvider(provider, sims, now, deps);
  } catch (error) {
    deps.log('error', 'reconciliation failed', { provider: provider.id, error: String(error) });
    return { ...noTally, provider: provider.id, end: 'failed', sims: 0, unread: 0, calls: 0 };
  }
}

/** A provider's part of a run as it goes. */
interface Progress {
  tally: SimTally;
  sims: number;
  unread: number;
  failures: number;
  calls: number;
}

async function runProvider(
  provider: ReconciledProvider,
  sims: readonly Subject[],
  now: EpochMs,
  deps: ReconcileDeps,
): Promise<ProviderRun> {
  const progress: Progress = { tally: noTally, sims: 0, unread: 0, failures: 0, calls: 0 };
  const reader = readerOf(provider, progress, deps);
  let cursor = await loadReconcileCursor(deps.table, provider.id);
  const finish = async (end: RunEnd, next: ReconcileCursor): Promise<ProviderRun> => {
    const written = await writeReconcileCursor(deps.table, provider.id, cursor, next);
    const { tally, sims: done, unread, calls } = progress;
    return {
      ...tally,
      provider: provider.id,
      end: written === null ? 'overtaken' : end,
      sims: done,
      unread,
      calls,
    };
  };
  let place = cursor.value;
  for (const subject of sims.filter(({ key }) => key > place.afterSimKey)) {
    const { partial } = place;
    const from = partial?.simKey === subject.key ? partial : null;
    const step = await lookAt(subject, from, { provider, reader, progress, now, deps });
    if (step.kind === 'no-list') return finish('no-list', place);
    if (step.kind === 'interrupted') {
      const end = progress.calls >= callsOf(provider) ? 'out-of-calls' : 'out-of-time';
      return finish(end, { ...place, partial: step.partial && { ...step.partial, simKey: subject.key } });
    }
    place = { ...place, afterSimKey: subject.key, partial: null };
    if (progress.failures >= failuresMax) return finish('provider-unavailable', place);
    if ((progress.sims + progress.unread) % cursorEvery === 0) {
      const written: Versioned<ReconcileCursor> | null = await writeReconcileCursor(
        deps.table,
        provider.id,
        cursor,
        place,
      );
      if (written === null) return finish('overtaken', place);
      cursor = written;
    }
  }
  return finish('done', { afterSimKey: '', partial: null, lastPassAt: now });
}

interface LookContext {
  readonly provider: ReconciledProvider;
  readonly reader: OrderReader;
  readonly progress: Progress;
  readonly now: EpochMs;
  readonly deps: ReconcileDeps;
}

type LookStep =
  | { readonly kind: 'done' }
  | { readonly kind: 'no-list' }
  | { readonly kind: 'interrupted'; readonly partial: PartialList | null };

async function lookAt(
  subject: Subject,
  from: PartialList | null,
  { provider, reader, progress, now, deps }: LookContext,
): Promise<LookStep> {
  const list = await readOrders(subject, from, reader);
  switch (list.kind) {
    case 'no-list':
      return list;
    case 'interrupted':
      return list;
    case 'unaskable':
      progress.unread += 1;
      return { kind: 'done' };
    case 'unavailable':
      progress.unread += 1;
      progress.failures += 1;
      deps.log('warn', 'order records not read', { provider: provider.id, code: list.code });
      return { kind: 'done' };
    case 'read': {
      const tally = await reconcileSim(subject, list, now, { ...deps, profile: provider.profile });
      progress.tally = add(progress.tally, tally);
      progress.sims += 1;
      progress.failures = 0;
      return { kind: 'done' };
    }
    default: {
      const never: never = list;
      throw new Error(`unknown list result: ${JSON.stringify(never)}`);
    }
  }
}

function readerOf(provider: ReconciledProvider, progress: Progress, deps: ReconcileDeps): OrderReader {
  return {
    client: provider.client,
    pace: milliseconds(2_000 / provider.profile.requestsPerSec),
    wait: deps.wait,
    isOver: () => deps.timeLeft() < reserve || progress.calls >= callsOf(provider),
    asked: () => {
      progress.calls += 1;
    },
  };
}

function callsOf({ profile }: ReconciledProvider): number {
  const { requestsPerDay } = profile;
  return requestsPerDay === null ? callsMax : Math.min(callsMax, Math.floor(requestsPerDay * dayShare));
}

function add(a: SimTally, b: SimTally): SimTally {
  return {
    opened: a.opened + b.opened,
    mended: a.mended + b.mended,
    gone: a.gone + b.gone,
    events: a.events + b.events,
    booked: a.booked + b.booked,
    noted: a.noted + b.noted,
  };
}
