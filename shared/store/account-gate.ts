import type { AccountLimits } from '../core/rate-limit.ts';
import { type DurationMs, elapsed, milliseconds } from '../core/time.ts';
import type { Clock } from '../platform/clock.ts';
import type { Random } from '../platform/random.ts';
import type { Admit, ProviderProfile } from '../providers/provider.ts';
import { releaseAccountSlot, takeAccountSlots } from './rate-limiter.ts';
import type { Table } from './table.ts';

/**
 * The gate that each read-only request of a provider client passes: one slot of the account's window, shared by all
 * workers. Paid requests take theirs before the claim (functions/act), since after the claim nothing may wait.
 */
export function accountGate(
  table: Table,
  account: { readonly limits: AccountLimits; readonly profile: ProviderProfile },
  edges: { readonly clock: Clock; readonly random: Random },
): Admit {
  const { limits, profile } = account;
  return async () => {
    const token = `read:${edges.random.hex(8)}`;
    const holdFor = (profile.callTimeout * 2) as DurationMs;
    const slot = await takeAccountSlots(
      table,
      { limits, requests: 1, leavesWithin: milliseconds(0), hasWaited: false, token, holdFor },
      { clock: edges.clock, jitter: edges.random.fraction() },
    );
    if (slot.kind === 'wait')
      return { ok: false, retryAfter: elapsed(edges.clock(), slot.until), why: slot.why };
    const release =
      limits.connectionsMax === null ? noRelease : () => releaseAccountSlot(table, limits.provider, token);
    return { ok: true, release };
  };
}

const noRelease = async (): Promise<void> => undefined;
