import type { Action } from '../core/action.ts';
import type { Decision } from '../core/decide.ts';
import type { SimState } from '../core/sim-state.ts';
import { emptySimState } from '../core/sim-state.ts';
import { after, type EpochMs, minutes } from '../core/time.ts';
import type { WebhookEvent } from '../core/webhook-event.ts';
import { orderOf } from '../core/webhook-event.ts';
import { keysMax } from './change-rules.ts';
import {
  actionItem,
  actionKey,
  eventItem,
  eventKey,
  evidenceItem,
  evidenceKey,
  orderKey,
  simKey,
  toData,
} from './item-layout.ts';
import { type EventRow, type Evidence, readRow } from './rows.ts';
import type { Change, Table } from './table.ts';

/** A row with the version that a later write must still find; null for a row that does not exist yet. */
export interface Versioned<T> {
  readonly value: T;
  readonly version: number | null;
}

/** Evidence above this size gets a row of its own, so that a decision does not rewrite it. */
const inlineEvidenceBytesMax = 4096;

/** How long the queue has before the sweep looks after an event. */
export const eventGrace = minutes(2);

/** Facts of one callback written at once; the next ones wait their turn. */
const writesAtOnce = 8;

export interface CallbackRecord {
  readonly callbackId: string;
  readonly evidence: Evidence;
  readonly events: readonly WebhookEvent[];
  readonly now: EpochMs;
}

/**
 * Stores a callback's events, each once: a fact that is there already is a `duplicate`. One write for a callback
 * that reports one fact. Throws StoreError; then some events may be stored, and a repeated delivery stores the rest.
 */
export async function recordCallback(
  table: Table,
  record: CallbackRecord,
): Promise<readonly ('recorded' | 'duplicate')[]> {
  const inline = record.events.length === 1 && record.evidence.body.byteLength <= inlineEvidenceBytesMax;
  if (!inline) {
    await table.write([
      { kind: 'insert', item: evidenceItem(record.callbackId, record.evidence, record.now) },
    ]);
  }
  const results: ('recorded' | 'duplicate')[] = [];
  for (let i = 0; i < record.events.length; i += writesAtOnce) {
    const chunk = record.events.slice(i, i + writesAtOnce);
    results.push(
      ...(await Promise.all(
        chunk.map((event) => recordEvent(table, event, inline ? record.evidence : null)),
      )),
    );
  }
  return results;
}

async function recordEvent(
  table: Table,
  event: WebhookEvent,
  evidence: Evidence | null,
): Promise<'recorded' | 'duplicate'> {
  const row: EventRow = { event, state: 'recorded', decisions: [], evidence, sweeps: 0 };
  const written = await table.write([
    { kind: 'insert', item: eventItem(row, after(event.receivedAt, eventGrace)) },
  ]);
  return written.ok ? 'recorded' : 'duplicate';
}

/** One event, strongly consistent; null when there is none of that id. */
export async function loadEvent(table: Table, eventId: string): Promise<Versioned<EventRow> | null> {
  const item = await table.get(eventKey(eventId));
  return item === null ? null : { value: readRow('event', item), version: item.version };
}

/** The callback's bytes and headers; null when they are older than the time that evidence is kept. */
export async function loadEvidence(table: Table, row: EventRow): Promise<Evidence | null> {
  if (row.evidence !== null) return row.evidence;
  const item = await table.get(evidenceKey(row.event.callbackId));
  return item === null ? null : readRow('evidence', item);
}

/** A SIM's state; an empty one for a SIM that was never seen. */
export async function loadSim(table: Table, key: string): Promise<Versioned<SimState>> {
  const item = await table.get(simKey(key));
  if (item === null) return { value: emptySimState(key), version: null };
  return { value: readRow('sim', item), version: item.version };
}

/** The action of ours that an event reports on, by the reference that the provider echoes or by its order number. */
export async function findOwnAction(table: Table, event: WebhookEvent): Promise<string | null> {
  const order = orderOf(event.facts);
  if (order?.reference && /^[0-9a-f]{32}$/.test(order.reference)) {
    const actionId = `act_${order.reference}`;
    if ((await table.get(actionKey(actionId))) !== null) return actionId;
  }
  if (order?.orderId) {
    const tie = await table.get(orderKey(event.provider, order.orderId));
    if (tie !== null) return readRow('orderTie', tie).actionId;
  }
  return null;
}

/** Which of these actions exist. */
export async function existingActions(
  table: Table,
  actionIds: readonly string[],
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (let i = 0; i < actionIds.length; i += keysMax) {
    const chunk = actionIds.slice(i, i + keysMax);
    const items = await table.getMany(chunk.map(actionKey));
    for (const item of items) {
      if (item !== null) found.add(readRow('action', item).action.actionId);
    }
  }
  return found;
}

export interface DecisionWrite {
  readonly event: Versioned<EventRow>;
  readonly decision: Decision;
  readonly actions: readonly Action[];
  /** The SIM with its state after the decision; null when the decision leaves it alone. */
  readonly sim: Versioned<SimState> | null;
}

/** Writes a decision whole or not at all. `conflict`: someone else was first; read again and decide anew. */
export async function writeDecision(table: Table, write: DecisionWrite): Promise<'written' | 'conflict'> {
  const row: EventRow = {
    ...write.event.value,
    state: 'decided',
    decisions: [...write.event.value.decisions, write.decision].slice(-20),
  };
  const changes: Change[] = [
    replaceOrInsert(eventItem(row, null), write.event.version),
    ...write.actions.map(
      (action): Change => ({ kind: 'insert', item: actionItem({ action, notes: [], sweeps: 0 }) }),
    ),
  ];
  if (write.sim !== null) changes.push(simChange(write.sim));
  return (await table.write(changes)).ok ? 'written' : 'conflict';
}

/** Puts off an event's judgement; it stays in the due index. */
export async function deferEvent(
  table: Table,
  event: Versioned<EventRow>,
  until: EpochMs,
): Promise<'written' | 'conflict'> {
  const item = eventItem(event.value, until);
  return (await table.write([replaceOrInsert(item, event.version)])).ok ? 'written' : 'conflict';
}

/** The guarded write of a SIM's state. */
export function simChange(sim: Versioned<SimState>): Change {
  const item = { ...simKey(sim.value.simKey), data: toData(sim.value), indexes: {}, expiresAtSec: null };
  return replaceOrInsert(item, sim.version);
}

export function replaceOrInsert(item: Parameters<typeof insert>[0], version: number | null): Change {
  return version === null ? insert(item) : { kind: 'replace', item, ifVersion: version };
}

const insert = (item: Extract<Change, { kind: 'insert' }>['item']): Change => ({ kind: 'insert', item });
