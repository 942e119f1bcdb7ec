import type { Action } from '../core/action.ts';
import type { OrderWatch } from '../core/reconcile.ts';
import type { Subject } from '../core/subject.ts';
import { days, type EpochMs } from '../core/time.ts';
import type { WebhookEvent } from '../core/webhook-event.ts';
import { replaceOrInsert, type Versioned } from './event-store.ts';
import {
  actionKey,
  atMoment,
  orderKey,
  orderWatchKey,
  reconcileCursorKey,
  timelineOf,
  toData,
} from './item-layout.ts';
import { type ReconcileCursorRow, readRow } from './rows.ts';
import type { Table } from './table.ts';

export type ReconcileCursor = ReconcileCursorRow;

const noCursor: ReconcileCursor = { afterSimKey: '', partial: null, lastPassAt: null };

/** Pages of a SIM's timeline that one look reads. */
const timelinePagesMax = 10;

/** Keys of one read. */
const keysAtOnce = 100;

/** A SIM without activity for so long is forgotten; then its next look is a first one. */
const watchLife = days(120);

/** How far the reconciliation of a provider got; at the beginning for one that never ran. */
export async function loadReconcileCursor(
  table: Table,
  provider: string,
): Promise<Versioned<ReconcileCursor>> {
  const item = await table.get(reconcileCursorKey(provider));
  if (item === null) return { value: noCursor, version: null };
  return { value: readRow('reconcileCursor', item), version: item.version };
}

/** Stores how far it got; null when another run stored its own in between. */
export async function writeReconcileCursor(
  table: Table,
  provider: string,
  current: Versioned<ReconcileCursor>,
  next: ReconcileCursor,
): Promise<Versioned<ReconcileCursor> | null> {
  const item = { ...reconcileCursorKey(provider), data: toData(next), indexes: {}, expiresAtSec: null };
  const written = await table.write([replaceOrInsert(item, current.version)]);
  return written.ok ? { value: next, version: (current.version ?? 0) + 1 } : null;
}

/** What is remembered of a SIM's orders; a value of null before the first look. */
export async function loadOrderWatch(table: Table, simKey: string): Promise<Versioned<OrderWatch | null>> {
  const item = await table.get(orderWatchKey(simKey));
  if (item === null) return { value: null, version: null };
  return { value: readRow('orderWatch', item), version: item.version };
}

export async function writeOrderWatch(
  table: Table,
  simKey: string,
  current: Versioned<OrderWatch | null>,
  next: OrderWatch,
  now: EpochMs,
): Promise<'written' | 'conflict'> {
  const expiresAtSec = Math.ceil((now + watchLife) / 1000);
  const item = { ...orderWatchKey(simKey), data: toData(next), indexes: {}, expiresAtSec };
  return (await table.write([replaceOrInsert(item, current.version)])).ok ? 'written' : 'conflict';
}

export interface Timeline {
  readonly events: readonly WebhookEvent[];
  readonly actions: readonly Action[];
  readonly whole: boolean;
}

/** A SIM's events and actions since `from`, newest first. Read from an index, so the newest may be missing. */
export async function readTimeline(table: Table, subject: Subject, from: EpochMs): Promise<Timeline> {
  const events: WebhookEvent[] = [];
  const actions: Action[] = [];
  const between = [atMoment(from, ' '), '~'] as const;
  const query = { from: 'sim', pk: timelineOf(subject.key), between } as const;
  let cursor: string | null = null;
  for (let pages = 0; pages < timelinePagesMax; pages++) {
    const page = await table.query(query, { limit: 100, cursor, descending: true });
    for (const item of page.items) {
      if (item.sk === 'EVENT') events.push(readRow('event', item).event);
      if (item.sk === 'ACTION') actions.push(readRow('action', item).action);
    }
    cursor = page.cursor;
    if (cursor === null) return { events, actions, whole: true };
  }
  return { events, actions, whole: false };
}

/** Which action the ledger ties an order to, by its number or by our own reference. Strongly consistent. */
export async function loadOwners(
  table: Table,
  provider: string,
  orders: readonly { readonly orderId: string; readonly reference: string | null }[],
): Promise<ReadonlyMap<string, string>> {
  const owners = new Map<string, string>();
  for (let i = 0; i < orders.length; i += keysAtOnce) {
    const chunk = orders.slice(i, i + keysAtOnce);
    const ties = await table.getMany(chunk.map(({ orderId }) => orderKey(provider, orderId)));
    chunk.forEach(({ orderId }, at) => {
      const tie = ties[at];
      if (tie) owners.set(orderId, readRow('orderTie', tie).actionId);
    });
    const referenced = chunk.flatMap(({ orderId, reference }) =>
      reference !== null && /^[0-9a-f]{32}$/.test(reference) && !owners.has(orderId)
        ? [{ orderId, actionId: `act_${reference}` }]
        : [],
    );
    const found = await table.getMany(referenced.map(({ actionId }) => actionKey(actionId)));
    referenced.forEach(({ orderId, actionId }, at) => {
      if (found[at]) owners.set(orderId, actionId);
    });
  }
  return owners;
}
