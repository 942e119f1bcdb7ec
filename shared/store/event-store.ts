import type { Action } from '../core/action.ts';
import type { Decision } from '../core/decide.ts';
import { endedOrderOf, type OrderEnd, orderEndOf } from '../core/order-end.ts';
import { orderPartId } from '../core/provider-order.ts';
import type { SimState } from '../core/sim-state.ts';
import { emptySimState } from '../core/sim-state.ts';
import { after, days, type EpochMs, minutes } from '../core/time.ts';
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
  orderEndKey,
  orderKey,
  simKey,
  toData,
} from './item-layout.ts';
import { type EventRow, type Evidence, readRow } from './rows.ts';
import type { Change, Item, Table } from './table.ts';

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

/** How facts that carry no time of their own are told from their repetitions. */
export interface Repeats {
  /** Events whose identity may come again with another meaning, such as next month's alert. */
  readonly timeless: ReadonlySet<string>;
  /** The id of a fact that comes again, made of the id that it would have had and the moment of the one before it. */
  readonly nextId: (eventId: string, since: EpochMs) => string;
}

/** The same content without a time of its own is a repetition for so long: longer than any provider repeats. */
const repetitionWindow = days(7);

/** Times that the same timeless fact can come anew within the time that events are kept. */
const repeatsMax = 20;

/** A callback whose facts may be known already, and some of which are decided as they are stored. */
export interface FactsRecord extends CallbackRecord {
  readonly repeats: Repeats;
  /** The decision on an event that needs nothing but itself and the rules; null for one that decide must look at. */
  readonly judge: (event: WebhookEvent) => Decision | null;
}

export interface RecordedEvent {
  /** The event as stored, or as it was stored before. */
  readonly event: WebhookEvent;
  readonly result: 'recorded' | 'duplicate';
  /** The decision that was stored with it; null for one that waits for decide, and for a duplicate. */
  readonly decision: Decision | null;
}

/** `recordFacts` for events whose identity is theirs alone and that all wait for decide. */
export async function recordCallback(
  table: Table,
  record: CallbackRecord,
): Promise<readonly RecordedEvent['result'][]> {
  const repeats: Repeats = { timeless: new Set(), nextId: (eventId) => eventId };
  const recorded = await recordFacts(table, { ...record, repeats, judge: () => null });
  return recorded.map(({ result }) => result);
}

/**
 * Stores a callback's events, each once: a fact that is there already is a `duplicate`. One write for a callback
 * that reports one fact. Throws StoreError; then some events may be stored, and a repeated delivery stores the rest.
 */
export async function recordFacts(table: Table, record: FactsRecord): Promise<readonly RecordedEvent[]> {
  const inline = record.events.length === 1 && record.evidence.body.byteLength <= inlineEvidenceBytesMax;
  if (!inline) {
    await table.write([
      { kind: 'insert', item: evidenceItem(record.callbackId, record.evidence, record.now) },
    ]);
  }
  const evidence = inline ? record.evidence : null;
  const [first, second] = record.events;
  if (first !== undefined && second === undefined) return [await recordFact(table, first, evidence, record)];
  const results: RecordedEvent[] = [];
  for (let i = 0; i < record.events.length; i += writesAtOnce) {
    const chunk = record.events.slice(i, i + writesAtOnce);
    results.push(...(await Promise.all(chunk.map((event) => recordFact(table, event, evidence, record)))));
  }
  return results;
}

async function recordFact(
  table: Table,
  first: WebhookEvent,
  evidence: Evidence | null,
  { repeats, judge }: Pick<FactsRecord, 'repeats' | 'judge'>,
): Promise<RecordedEvent> {
  let event = first;
  for (let repeat = 0; repeat < repeatsMax; repeat++) {
    const recorded: EventRow = { event, state: 'recorded', decisions: [], evidence, sweeps: 0 };
    const decision = judge(event);
    const item =
      decision === null
        ? eventItem(recorded, after(event.receivedAt, eventGrace))
        : eventItem(decidedRow(recorded, decision), null);
    const written = await table.write([{ kind: 'insert', item }]);
    if (written.ok) return { event, result: 'recorded', decision };
    const found = written.failed[0]?.found ?? null;
    if (found === null) return { event, result: 'duplicate', decision: null };
    const stored = readRow('event', found);
    const since = stored.event.receivedAt;
    if (!repeats.timeless.has(first.eventId) || after(since, repetitionWindow) > event.receivedAt) {
      await upgradeProof(table, { value: stored, version: found.version }, event);
      return { event: stored.event, result: 'duplicate', decision: null };
    }
    event = { ...first, eventId: repeats.nextId(event.eventId, since) };
  }
  return { event, result: 'duplicate', decision: null };
}

/** A row as it stands once a decision was made on its event, by receive or by decide. */
function decidedRow(row: EventRow, decision: Decision): EventRow {
  return { ...row, state: 'decided', decisions: [...row.decisions, decision].slice(-decisionsMax) };
}

/** Judgements that an event remembers: its own, and the latest replays. */
const decisionsMax = 20;

/** A signed copy of a fact that came unsigned first proves it. Losing the race leaves it to be confirmed by a query. */
async function upgradeProof(table: Table, stored: Versioned<EventRow>, copy: WebhookEvent): Promise<void> {
  const { event } = stored.value;
  if (event.proof.kind !== 'unsigned' || copy.proof.kind !== 'signed' || stored.version === null) return;
  const row: EventRow = { ...stored.value, event: { ...event, proof: copy.proof } };
  const sweepAt = row.state === 'decided' ? null : after(event.receivedAt, eventGrace);
  await table.write([{ kind: 'replace', item: eventItem(row, sweepAt), ifVersion: stored.version }]);
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
  return simIn(await table.get(simKey(key)), key);
}

/** The state in what was found at a SIM's key. */
export function simIn(item: Item | null, key: string): Versioned<SimState> {
  if (item === null) return { value: emptySimState(key), version: null };
  return { value: readRow('sim', item), version: item.version };
}

/** Longer order numbers are no order of ours; they would not fit a key either. */
const orderIdMax = 200;

/** The action of ours that an event reports on, by the reference that the provider echoes or by its order number. */
export async function findOwnAction(table: Table, event: WebhookEvent): Promise<string | null> {
  const order = orderOf(event.facts);
  if (order?.reference && /^[0-9a-f]{32}$/.test(order.reference)) {
    const actionId = `act_${order.reference}`;
    if ((await table.get(actionKey(actionId))) !== null) return actionId;
  }
  if (order?.orderId && order.orderId.length <= orderIdMax) {
    const { orderId } = order;
    const part = event.subject === null ? [] : [orderPartId(orderId, event.subject.simId)];
    const ties = await table.getMany([orderId, ...part].map((id) => orderKey(event.provider, id)));
    const tie = ties.find((item) => item !== null);
    if (tie) return readRow('orderTie', tie).actionId;
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
  /** The order's end that the decision acts on, so that no other telling of it acts too; null where there is none. */
  readonly end?: Versioned<OrderEnd | null> | null;
}

/** The event that acted on the end of an order, strongly consistent; a value of null when none has. */
export async function loadOrderEnd(
  table: Table,
  provider: string,
  orderId: string,
): Promise<Versioned<OrderEnd | null>> {
  const item = await table.get(orderEndKey(provider, orderId));
  if (item === null) return { value: null, version: null };
  return { value: readRow('orderEnd', item), version: item.version };
}

/** Writes a decision whole or not at all. `conflict`: someone else was first; read again and decide anew. */
export async function writeDecision(table: Table, write: DecisionWrite): Promise<'written' | 'conflict'> {
  const row = decidedRow(write.event.value, write.decision);
  const changes: Change[] = [
    replaceOrInsert(eventItem(row, null), write.event.version),
    ...write.actions.map(
      (action): Change => ({ kind: 'insert', item: actionItem({ action, notes: [], sweeps: 0 }) }),
    ),
  ];
  if (write.sim !== null) changes.push(simChange(write.sim));
  const orderId = endedOrderOf(write.event.value.event);
  if (write.end && orderId !== null) changes.push(endChange(write.event.value.event, orderId, write.end));
  return (await table.write(changes)).ok ? 'written' : 'conflict';
}

function endChange(event: WebhookEvent, orderId: string, found: Versioned<OrderEnd | null>): Change {
  const item = {
    ...orderEndKey(event.provider, orderId),
    data: toData(orderEndOf(event)),
    indexes: {},
    expiresAtSec: Math.ceil((event.receivedAt + days(100)) / 1000),
  };
  return replaceOrInsert(item, found.version);
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
