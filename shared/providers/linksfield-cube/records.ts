import { z } from 'zod';
import type { Json } from '../../core/action.ts';
import type { Finding } from '../../core/outcome.ts';
import type { PurchaseQuery } from '../provider.ts';
import { cubeProfile } from './profile.ts';
import type { BundleRow } from './wire.ts';

/*
 * What a SIM's bundles prove. No list of orders is documented, so a lost answer is settled by comparing the SIM's
 * bundles with those of the moment before the call. Times are milliseconds in UTC (protocols/linksfield.md,
 * section 5.1), so here they can be trusted as far as the clocks agree.
 */

const baselineSchema = z.object({
  bundles: z.array(
    z.object({
      id: z.string(),
      addedAt: z.string().nullable(),
      status: z.string().nullable(),
      cycles: z.string().nullable(),
      endAt: z.string().nullable(),
    }),
  ),
});
type BaselineBundle = z.infer<typeof baselineSchema>['bundles'][number];

/** What is kept with the action before the call. */
export function baselineOf(rows: readonly BundleRow[]): Json {
  return {
    bundles: rows.map((row) => ({
      id: row.id,
      addedAt: row.added_at,
      status: row.status,
      cycles: row.cycles,
      endAt: row.end_at,
    })),
  };
}

/** A trace of a purchase among the bundles. `sure` is false when it could come from something else. */
interface Trace {
  readonly orderId: string;
  readonly bundleId: string;
  readonly sure: boolean;
  readonly how: string;
}

/**
 * Looks for the purchase of a lost answer. `bundleId` is the plan's for an order; null for a renewal, whose item
 * (CP-…) the bundles do not name, so that any change of the SIM may be it.
 */
export function findInBundles(
  query: PurchaseQuery,
  rows: readonly BundleRow[],
  bundleId: string | null,
): Finding {
  const parsed = baselineSchema.safeParse(query.baseline);
  const before = parsed.success ? parsed.data.bundles : null;
  const all = rows
    .flatMap((row) => traceOf(row, before, query) ?? [])
    .filter(({ orderId }) => !query.knownOrderIds.has(orderId));
  const own = all.filter((trace) => bundleId === null || trace.bundleId === bundleId);
  const [only] = own;
  if (own.length > 1) return ambiguous(own, 'several changes of this SIM could be it');
  if (only === undefined) {
    // Whether a bundle's id is the plan's or its own is not documented, so another id proves nothing.
    return all.length === 0 ? { kind: 'absent' } : ambiguous(all, 'the SIM changed under another bundle id');
  }
  if (before === null)
    return ambiguous(own, 'nothing was recorded before the call, so the bundle may be older');
  if (!only.sure) return ambiguous(own, only.how);
  return { kind: 'found', providerOrderId: only.orderId, charge: null, how: only.how };
}

function ambiguous(traces: readonly Trace[], why: string): Finding {
  return { kind: 'ambiguous', candidates: traces.map(({ orderId }) => orderId), why };
}

function traceOf(
  row: BundleRow,
  before: readonly BaselineBundle[] | null,
  query: PurchaseQuery,
): Trace | null {
  const then = before?.find((old) => old.id === row.id && old.addedAt === row.added_at);
  return then === undefined ? newBundle(row, query) : grownBundle(row, then);
}

/** A bundle that was not there before. One that is older than the call came back, which a renewal may do. */
function newBundle(row: BundleRow, { sentWindow, lateCommit, order }: PurchaseQuery): Trace | null {
  const addedAt = readNumber(row.added_at);
  const { clockSkew } = cubeProfile;
  const latest = sentWindow.last + Math.max(lateCommit, cubeProfile.lateCommit) + clockSkew;
  const trace = { orderId: orderIdOf(row), bundleId: row.id };
  if (addedAt === null) return { ...trace, sure: false, how: 'a new bundle without a readable time' };
  if (addedAt > latest) return null;
  if (addedAt >= sentWindow.first - clockSkew)
    return { ...trace, sure: true, how: 'a new bundle of this SIM' };
  return order.kind === 'renew'
    ? { ...trace, sure: false, how: 'an older bundle that was not listed' }
    : null;
}

function grownBundle(row: BundleRow, then: BaselineBundle): Trace | null {
  const cycles = compare(then.cycles, row.cycles);
  const end = compare(then.endAt, row.end_at);
  if (cycles === 'same' && end === 'same') return null;
  const detail = `cycles ${then.cycles} -> ${row.cycles}, end ${then.endAt} -> ${row.end_at}`;
  // A bundle that starts gets its end at that moment, which is no sign of a purchase by itself.
  if (cycles === 'same' && then.endAt === null) return null;
  const sure = [cycles, end].includes('grew') && cycles !== 'other' && end !== 'other';
  return { orderId: `${orderIdOf(row)}x${row.cycles ?? ''}`, bundleId: row.id, sure, how: detail };
}

/** The order's own number is not among a bundle's fields, so the bundle and its time stand for it. */
function orderIdOf(row: BundleRow): string {
  return `bundle:${row.id}@${row.added_at ?? ''}`;
}

function compare(then: string | null, now: string | null): 'same' | 'grew' | 'other' {
  const [a, b] = [readNumber(then), readNumber(now)];
  if (a !== null && b !== null) return b > a ? 'grew' : b === a ? 'same' : 'other';
  return then === now ? 'same' : 'other';
}

function readNumber(text: string | null): number | null {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null;
}
