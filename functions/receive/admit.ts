import type { EpochMs } from '../../shared/core/time.ts';
import type { Log } from '../../shared/platform/log.ts';
import type { SecretSource } from '../../shared/platform/secret-source.ts';
import type { ReceivingProvider } from '../../shared/policy/stage.ts';
import { callbackOf } from '../../shared/providers/callback.ts';
import type { CallbackSide } from '../../shared/providers/provider.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import { loadQuarantined, markAdmitted, type Quarantined } from '../../shared/store/quarantine-store.ts';
import type { Table } from '../../shared/store/table.ts';
import { acceptCallback, queueHints, type Route, recordAccepted } from './accept-callback.ts';

export interface AdmitDeps {
  readonly table: Table;
  readonly events: WorkQueue;
  readonly sides: readonly CallbackSide[];
  readonly providers: readonly ReceivingProvider[];
  readonly secrets: SecretSource;
  readonly log: Log;
}

export type AdmitResult =
  /** Its events are stored with the time at which it came; `fresh` of them were new, and are queued. */
  | { readonly kind: 'admitted'; readonly eventIds: readonly string[]; readonly fresh: number }
  | { readonly kind: 'already-admitted'; readonly eventIds: readonly string[] }
  /** Today's secrets and settings don't prove it either. */
  | { readonly kind: 'still-rejected'; readonly reason: string; readonly detail: string }
  | { readonly kind: 'not-found' }
  /** The stage has no such provider any more. */
  | { readonly kind: 'no-provider'; readonly provider: string };

/**
 * Verifies a quarantined callback again, with today's secrets and settings. When it is right now, its events are
 * stored as if it had been accepted when it came, and queued. None is decided here (D29): an operator's stage file may
 * have other rules than those that are deployed. Its age is judged by the rules, as of any event that was received
 * then. Idempotent: a second admission stores nothing. Throws StoreError when the store is down.
 */
export async function admit(
  quarantineId: string,
  by: string,
  now: EpochMs,
  deps: AdmitDeps,
): Promise<AdmitResult> {
  const row = await loadQuarantined(deps.table, quarantineId);
  if (row === null) return { kind: 'not-found' };
  const { provider, receivedAt, evidence, admitted } = row.value;
  if (admitted !== null) return { kind: 'already-admitted', eventIds: admitted.eventIds };
  const route = await routeOf(row.value, deps);
  if (route === null) return { kind: 'no-provider', provider };

  const callback = callbackOf(evidence.body, evidence.headers);
  const reread = () => deps.secrets.reread(provider, 'callback');
  const accepted = await acceptCallback(callback, route, receivedAt, reread);
  if (!accepted.ok) {
    const { reason, detail } = accepted.rejection;
    return { kind: 'still-rejected', reason, detail };
  }
  const { correlationId } = accepted.value.names;
  const options = { receivedAt, now, policy: null };
  const { events, fresh, undecided } = await recordAccepted(accepted.value, options, deps.table);
  const eventIds = events.map(({ eventId }) => eventId);
  // Marked after the events are stored: a crash in between leaves them stored, and the next admission says so.
  await markAdmitted(deps.table, row, { at: now, by, eventIds });
  await queueHints(undecided, { provider, correlationId }, deps);
  deps.log('info', 'quarantined callback admitted', {
    provider,
    quarantineId,
    correlationId,
    events: events.length,
    fresh,
  });
  return { kind: 'admitted', eventIds, fresh };
}

async function routeOf({ provider: id }: Quarantined, deps: AdmitDeps): Promise<Route | null> {
  const provider = deps.providers.find((each) => each.id === id);
  const side = deps.sides.find((each) => each.id === id);
  if (!provider || !side) return null;
  return { provider, side, secrets: await deps.secrets.read(id, 'callback') };
}
