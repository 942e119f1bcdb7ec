import type { Action } from '../core/action.ts';
import { sumLedger } from '../core/lifecycle.ts';
import { before, days, type EpochMs, epochMs } from '../core/time.ts';
import { loadCapSums } from './action-store.ts';
import { listActions, type OnUnreadable } from './event-listing.ts';
import type { Table } from './table.ts';

/** Two sums that should be equal and are not. */
export interface LedgerDifference {
  /** Whose: an action's id, or a provider's counter of a period such as `eiotclub 2026-11 rule:renew`. */
  readonly place: string;
  /** What the bookings add up to, in minor units. */
  readonly booked: number;
  readonly stored: number;
}

export interface LedgerAudit {
  readonly actions: number;
  readonly differences: readonly LedgerDifference[];
}

/** An action may be claimed for the last time so long after it was planned. */
const claimedLater = days(40);

/**
 * Adds up every booking of a UTC month (`2026-11`) and compares: each action's ledger with its sums, and all actions
 * with the counters that hold the caps. Purchases that go on meanwhile can show as a difference: audit again.
 */
export async function auditLedger(
  table: Table,
  options: { readonly month: string; readonly providers: readonly string[]; readonly now: EpochMs },
  onUnreadable?: OnUnreadable,
): Promise<LedgerAudit> {
  const differences: LedgerDifference[] = [];
  const booked = new Map<string, number>();
  const start = epochMs(Date.parse(`${options.month}-01T00:00:00Z`));
  let actions = 0;
  const range = { from: before(start, claimedLater), to: options.now };
  for await (const { value } of listActions(table, range, 'oldest-first', onUnreadable)) {
    actions += 1;
    differences.push(...ownDifferences(value.action));
    addCommitted(booked, value.action, options.month);
  }
  for (const provider of options.providers) {
    differences.push(...(await counterDifferences(table, provider, options.month, booked)));
  }
  return { actions, differences };
}

function ownDifferences(action: Action): readonly LedgerDifference[] {
  const sums = sumLedger(action.ledger, action.money.currency);
  const fields = ['reservedMinor', 'chargedMinor', 'refundedMinor'] as const;
  return fields
    .filter((field) => sums[field] !== action.money[field])
    .map((field) => ({
      place: `${action.actionId} ${field}`,
      booked: sums[field],
      stored: action.money[field],
    }));
}

function addCommitted(booked: Map<string, number>, action: Action, month: string): void {
  const { capPeriod, money, ruleId, subject } = action;
  if (capPeriod === null || capPeriod.month !== month) return;
  const sum = money.reservedMinor + money.chargedMinor;
  for (const period of [capPeriod.month, capPeriod.day]) {
    for (const counter of ['total', `rule:${ruleId}`]) {
      const place = `${subject.provider} ${period} ${counter}`;
      booked.set(place, (booked.get(place) ?? 0) + sum);
    }
  }
}

async function counterDifferences(
  table: Table,
  provider: string,
  month: string,
  booked: ReadonlyMap<string, number>,
): Promise<readonly LedgerDifference[]> {
  const differences: LedgerDifference[] = [];
  const daysOfMonth = Array.from({ length: 31 }, (_, i) => `${month}-${String(i + 1).padStart(2, '0')}`);
  for (const period of [month, ...daysOfMonth]) {
    const stored = await loadCapSums(table, provider, period);
    const counters = new Set(Object.keys(stored).filter((name) => !name.startsWith('hour:')));
    for (const place of booked.keys()) {
      const [owner, when, counter] = place.split(' ');
      if (owner === provider && when === period && counter !== undefined) counters.add(counter);
    }
    for (const counter of counters) {
      const place = `${provider} ${period} ${counter}`;
      const [expected, found] = [booked.get(place) ?? 0, stored[counter] ?? 0];
      if (expected !== found) differences.push({ place, booked: expected, stored: found });
    }
  }
  return differences;
}
