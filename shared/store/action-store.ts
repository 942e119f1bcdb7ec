import type { Action } from '../core/action.ts';
import { type CapDelta, inState, type Transition } from '../core/lifecycle.ts';
import type { ProviderPolicy, Rule } from '../core/policy.ts';
import type { SimState } from '../core/sim-state.ts';
import type { EpochMs } from '../core/time.ts';
import { replaceOrInsert, simChange, type Versioned } from './event-store.ts';
import {
  actionItem,
  actionKey,
  capDayKey,
  capMonthKey,
  orderKey,
  timelineOf,
  toData,
} from './item-layout.ts';
import { type ActionRow, type OperatorNote, readRow } from './rows.ts';
import type { Addition, Change, Item, Page, Table } from './table.ts';

/** An action as it was read, with the moment at which the due index lists it; null when it does not. */
export interface StoredAction extends Versioned<ActionRow> {
  readonly listedAt: EpochMs | null;
}

/** One action, strongly consistent; null when there is none of that id. */
export async function loadAction(table: Table, actionId: string): Promise<StoredAction | null> {
  const item = await table.get(actionKey(actionId));
  if (item === null) return null;
  const { due } = item.indexes;
  const listedAt = due === undefined ? null : (due.at as EpochMs);
  return { value: readRow('action', item), version: item.version, listedAt };
}

export interface TransitionWrite {
  /** Without `listedAt` the action's entry in the due index is moved by each claim. */
  readonly row: Versioned<ActionRow> & { readonly listedAt?: EpochMs | null };
  readonly sim: Versioned<SimState>;
  readonly transition: Transition;
  /** Caps that a growing sum must keep to; null for bookings that only correct or give back. */
  readonly caps: { readonly provider: ProviderPolicy; readonly rule: Rule | null } | null;
  readonly note?: OperatorNote;
}

export type TransitionResult =
  | { readonly kind: 'written' }
  /** The action or its SIM changed in between: read again. */
  | { readonly kind: 'conflict' }
  /** The provider's order number is tied to another action already. */
  | { readonly kind: 'order-taken' }
  /** A cap of the provider or the rule would be passed. */
  | { readonly kind: 'cap-exceeded'; readonly scope: CapScope; readonly detail: string };

export type CapScope = 'provider-hour' | 'provider-day' | 'provider-month' | 'rule-day' | 'rule-month';

/**
 * Writes an action's next state with the SIM's state, the caps' counters and the order's tie, whole or not at all.
 * The version guards are the fence: a worker that was overtaken can't write.
 */
export async function writeTransition(table: Table, write: TransitionWrite): Promise<TransitionResult> {
  const { transition } = write;
  const notes = write.note ? [...write.row.value.notes, write.note] : write.row.value.notes;
  const changes: Change[] = [
    replaceOrInsert(
      actionItem({ action: transition.action, notes, sweeps: 0 }, placeKept(write)),
      write.row.version,
    ),
  ];
  if (transition.sim !== write.sim.value)
    changes.push(simChange({ value: transition.sim, version: write.sim.version }));
  const caps = transition.cap === null ? [] : capChanges(transition.cap, write.caps);
  const ties = tieChanges(write.row.value.action, transition.action);
  changes.push(...caps, ...ties);
  const written = await table.write(changes);
  if (written.ok) return { kind: 'written' };
  if (written.failed.every(({ index }) => index >= changes.length - ties.length))
    return { kind: 'order-taken' };
  const cap = written.failed.find(({ index }) => changes[index]?.kind === 'add');
  const onlyCaps = written.failed.every(({ index }) => changes[index]?.kind === 'add');
  if (!cap || !onlyCaps || transition.cap === null || write.caps === null) return { kind: 'conflict' };
  return describeCap(transition.cap, write.caps, changes[cap.index], cap.found);
}

export interface FurtherPurchase {
  /** The action that is over, with what it is noted with. */
  readonly before: Versioned<ActionRow>;
  readonly noteBefore: OperatorNote;
  readonly action: Action;
  readonly note: OperatorNote;
  /** The SIM as it was found, and as it is locked by the new action. */
  readonly sim: Versioned<SimState>;
  readonly simLocked: SimState;
}

/** Writes a deliberate further purchase: the new action, its SIM's lock and both notes, whole or not at all. */
export async function writeFurtherPurchase(
  table: Table,
  write: FurtherPurchase,
): Promise<'written' | 'conflict'> {
  const { before } = write;
  const noted = { ...before.value, notes: [...before.value.notes, write.noteBefore] };
  const written = await table.write([
    { kind: 'insert', item: actionItem({ action: write.action, notes: [write.note], sweeps: 0 }) },
    replaceOrInsert(actionItem(noted), before.version),
    simChange({ value: write.simLocked, version: write.sim.version }),
  ]);
  return written.ok ? 'written' : 'conflict';
}

/**
 * A claim leaves the action where the due index lists it, since moving the entry costs two index writes, doubled in a
 * transaction. It then stands there too early, and the sweep sees in the row that the lease still runs. A later place
 * can't stay: a worker that dies would be noticed too late.
 */
function placeKept({ row, transition }: TransitionWrite): EpochMs | null {
  const { state } = transition.action;
  const listedAt = row.listedAt ?? null;
  return state.name === 'running' && listedAt !== null && listedAt <= state.leaseUntil ? listedAt : null;
}

/** Replaces an action without touching money or its SIM. `conflict`: it changed in between. */
export async function replaceAction(
  table: Table,
  row: Versioned<ActionRow>,
  action: Action,
): Promise<'written' | 'conflict'> {
  const item = actionItem({ ...row.value, action, sweeps: 0 });
  return (await table.write([replaceOrInsert(item, row.version)])).ok ? 'written' : 'conflict';
}

/** Puts off a planned action. */
export function postpone(action: Action, until: EpochMs, now: EpochMs): Action {
  return inState(action, { name: 'planned', dueAt: until }, now);
}

const ruleAttribute = (ruleId: string): string => `rule:${ruleId}`;
const hourAttribute = (hour: string): string => `hour:${hour}`;

function capChanges(cap: CapDelta, limits: TransitionWrite['caps']): readonly Change[] {
  const grows = cap.deltaMinor > 0 && limits !== null;
  const sums = (ruleMax: number | null, providerMax: number | null): readonly Addition[] => [
    { attribute: 'total', delta: cap.deltaMinor, atMost: grows ? providerMax : null },
    { attribute: ruleAttribute(cap.ruleId), delta: cap.deltaMinor, atMost: grows ? ruleMax : null },
  ];
  const hourMax = cap.purchases > 0 ? (limits?.provider.purchasesPerHour ?? null) : null;
  const hour: readonly Addition[] =
    cap.purchases === 0
      ? []
      : [{ attribute: hourAttribute(cap.hour), delta: cap.purchases, atMost: hourMax }];
  const day = sums(limits?.rule?.caps.dayMinor ?? null, limits?.provider.caps.dayMinor ?? null);
  const month = sums(limits?.rule?.caps.monthMinor ?? null, limits?.provider.caps.monthMinor ?? null);
  return [
    { kind: 'add', key: capDayKey(cap.provider, cap.day), adds: [...day, ...hour] },
    { kind: 'add', key: capMonthKey(cap.provider, cap.month), adds: month },
  ];
}

/** Says which counter of the failed change was full; the found item shows the sums as they were. */
function describeCap(
  cap: CapDelta,
  limits: NonNullable<TransitionWrite['caps']>,
  change: Change | undefined,
  found: Item | null,
): TransitionResult {
  const sums = found === null ? {} : readRow('capSums', found);
  const isDay = change?.kind === 'add' && change.key.sk.startsWith('DAY#');
  const period = isDay ? 'day' : 'month';
  const hourSum = sums[hourAttribute(cap.hour)] ?? 0;
  if (isDay && hourSum + 1 > limits.provider.purchasesPerHour) {
    return {
      kind: 'cap-exceeded',
      scope: 'provider-hour',
      detail: `${hourSum} purchases in hour ${cap.hour}, at most ${limits.provider.purchasesPerHour}`,
    };
  }
  const ruleCap = isDay ? limits.rule?.caps.dayMinor : limits.rule?.caps.monthMinor;
  const ruleSum = (sums[ruleAttribute(cap.ruleId)] ?? 0) + cap.deltaMinor;
  if (ruleCap !== null && ruleCap !== undefined && ruleSum > ruleCap) {
    return {
      kind: 'cap-exceeded',
      scope: `rule-${period}`,
      detail: `the rule's cap for the ${period} is ${ruleCap}, this would make it ${ruleSum}`,
    };
  }
  const providerCap = isDay ? limits.provider.caps.dayMinor : limits.provider.caps.monthMinor;
  const sum = (sums.total ?? 0) + cap.deltaMinor;
  return {
    kind: 'cap-exceeded',
    scope: `provider-${period}`,
    detail: `the provider's cap for the ${period} is ${providerCap}, this would make it ${sum}`,
  };
}

/** Ties a provider's order to the action, once its number is known, so that its callbacks find their way back. */
function tieChanges(before: Action, next: Action): readonly Change[] {
  if (next.state.name !== 'succeeded' || before.state.name === 'succeeded') return [];
  const orderId = next.state.providerOrderId;
  // An extended order belongs to the action that first placed it; the extension has no number of its own.
  if (orderId === null || orderId === next.targetOrderId) return [];
  const item = {
    ...orderKey(next.subject.provider, orderId),
    data: toData({ actionId: next.actionId }),
    indexes: {},
    expiresAtSec: null,
  };
  return [{ kind: 'insert', item }];
}

/** Sums of a cap period as stored: `total`, `rule:<id>` and, for days, `hour:<hh>`. */
export async function loadCapSums(
  table: Table,
  provider: string,
  period: string,
): Promise<Readonly<Record<string, number>>> {
  const key = period.length === 10 ? capDayKey(provider, period) : capMonthKey(provider, period);
  const item = await table.get(key);
  return item === null ? {} : readRow('capSums', item);
}

/**
 * Orders of a SIM that the ledger ties to other actions than this one: of its newest 1,000 rows, since older orders
 * stand in the baseline. Read from an index, so it may lag; the tie's own guard has the last word (`order-taken`).
 */
export async function knownOrders(table: Table, action: Action): Promise<ReadonlySet<string>> {
  const known = new Set<string>();
  let cursor: string | null = null;
  for (let pages = 0; pages < 10; pages++) {
    const page: Page = await table.query(
      { from: 'sim', pk: timelineOf(action.subject.key) },
      { limit: 100, cursor, descending: true },
    );
    for (const item of page.items.filter((row) => row.sk === 'ACTION')) {
      const other = readRow('action', item).action;
      if (other.actionId === action.actionId || other.state.name !== 'succeeded') continue;
      if (other.state.providerOrderId !== null) known.add(other.state.providerOrderId);
    }
    cursor = page.cursor;
    if (cursor === null) break;
  }
  return known;
}
