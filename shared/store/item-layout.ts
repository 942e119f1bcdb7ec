import type { Action } from '../core/action.ts';
import { dueAt, holdsSim } from '../core/action.ts';
import type { ProviderId } from '../core/subject.ts';
import { days, type EpochMs, utcDay } from '../core/time.ts';
import type { ActionRow, EventRow } from './rows.ts';
import type { IndexKeys, Item, Key, NewItem, Value } from './table.ts';

/**
 * Where each kind of item lives: its keys, its places in the indexes, its time to live.
 * Partition keys are spread (`shardOf`) wherever many writers would meet.
 */

/** Shards of the time and due indexes. A DynamoDB partition takes 1,000 writes a second; the design burst is 1,000. */
export const shardCount = 4;
export const shards: readonly number[] = Array.from({ length: shardCount }, (_, i) => i);

/** Shard by the last hex digit of an id, which is a digest and so evenly spread. */
export function shardOf(id: string): number {
  return Number.parseInt(id.slice(-1), 16) % shardCount;
}

export const eventKey = (eventId: string): Key => ({ pk: `EVENT#${eventId}`, sk: 'EVENT' });
export const evidenceKey = (callbackId: string): Key => ({ pk: `CALLBACK#${callbackId}`, sk: 'EVIDENCE' });
export const actionKey = (actionId: string): Key => ({ pk: `ACTION#${actionId}`, sk: 'ACTION' });
export const simKey = (key: string): Key => ({ pk: `SIM#${key}`, sk: 'STATE' });
export const orderKey = (provider: ProviderId, orderId: string): Key => ({
  pk: `ORDER#${provider}#${orderId}`,
  sk: 'TIE',
});
/** Which event acted on the end of an order. */
export const orderEndKey = (provider: ProviderId, orderId: string): Key => ({
  pk: `ORDER#${provider}#${orderId}`,
  sk: 'END',
});
export const capDayKey = (provider: ProviderId, day: string): Key => ({
  pk: `CAPS#${provider}`,
  sk: `DAY#${day}`,
});
export const capMonthKey = (provider: ProviderId, month: string): Key => ({
  pk: `CAPS#${provider}`,
  sk: `MONTH#${month}`,
});
export const switchesKey: Key = { pk: 'SWITCHES', sk: 'SWITCHES' };
/** Beside the switches, which are read before each claim and so stay small. */
export const stopHistoryKey: Key = { pk: 'SWITCHES', sk: 'HISTORY' };
export const healthKey = (provider: ProviderId): Key => ({ pk: `PROVIDER#${provider}`, sk: 'HEALTH' });
export const limitKey = (provider: ProviderId): Key => ({ pk: `PROVIDER#${provider}`, sk: 'LIMIT' });
/** Actions that gather to leave in one call. */
export const poolKey = (provider: ProviderId, poolId: string): Key => ({
  pk: `PROVIDER#${provider}`,
  sk: `POOL#${poolId}`,
});

export const quarantinedKey = (quarantineId: string): Key => ({
  pk: `QUARANTINE#${quarantineId}`,
  sk: 'QUARANTINE',
});
/**
 * Counts what the quarantine of a provider took in one hour (`2026-11-22T10`). Not beside the provider's health and
 * limits: receive may write under QUARANTINE# and must not under PROVIDER# (infra/aws/service-stack.ts).
 */
export const quarantineHourKey = (provider: ProviderId, hour: string): Key => ({
  pk: `QUARANTINE#${provider}`,
  sk: `HOUR#${hour}`,
});

export const findingKey = (findingId: string): Key => ({ pk: `FINDING#${findingId}`, sk: 'FINDING' });
/** How far the reconciliation of a provider got. */
export const reconcileCursorKey = (provider: ProviderId): Key => ({
  pk: `RECONCILE#${provider}`,
  sk: 'CURSOR',
});
/** What reconciliation remembers of one SIM's orders. */
export const orderWatchKey = (simKeyText: string): Key => ({ pk: `RECONCILE#${simKeyText}`, sk: 'WATCH' });
/** When callbacks of a provider usually come. */
export const arrivalsKey = (provider: ProviderId): Key => ({ pk: `PROVIDER#${provider}`, sk: 'ARRIVALS' });

export const dueEvents = (shard: number): string => `EVENTS#${shard}`;
export const dueActions = (provider: ProviderId, shard: number): string => `ACTIONS#${provider}#${shard}`;
/** Actions that wait for a human, listed in the due index by the moment at which they began to. */
export const waitingActions = (state: 'held' | 'parked'): string => `WAITING#${state}`;
export const eventsOfDay = (day: string, shard: number): string => `EVENTS#${day}#${shard}`;
export const actionsOfDay = (day: string, shard: number): string => `ACTIONS#${day}#${shard}`;
/** Not sharded: the quarantine takes a few callbacks an hour at most. */
export const quarantinedOf = (provider: ProviderId): string => `QUARANTINE#${provider}`;
/** Differences that nobody has looked at, in the due index by the moment at which they were first seen. */
export const openFindings = 'FINDINGS#open';
/** Every finding by time. Not sharded: a difference is written when it appears and when it goes, not at each look. */
export const allFindings = 'FINDINGS';
export const timelineOf = (simKeyText: string): string => `SIM#${simKeyText}`;

/** Sort key of a moment: fixed width, so that text order is time order. */
export const atMoment = (moment: EpochMs, id: string): string => `${String(moment).padStart(14, '0')}#${id}`;

/** Events and evidence are kept 100 days: longer than the 90 that failed work needs. Money rows are kept for good. */
const eventLife = days(100);

/** A row as item data. Rows are plain JSON plus bytes; what can't be stored is refused by the table itself. */
export function toData(row: object): Item['data'] {
  return row as { readonly [attribute: string]: Value };
}

/** An event's item. `sweepAt` is when the sweep looks after it; null once it is decided. */
export function eventItem(row: EventRow, sweepAt: EpochMs | null): NewItem {
  const { event } = row;
  const shard = shardOf(event.eventId);
  const at = atMoment(event.receivedAt, event.eventId);
  const indexes: IndexKeys = {
    ...(sweepAt === null ? {} : { due: { pk: dueEvents(shard), at: sweepAt } }),
    ...(event.subject === null ? {} : { sim: { pk: timelineOf(event.subject.key), sk: at } }),
    time: { pk: eventsOfDay(utcDay(event.receivedAt), shard), sk: at },
  };
  return {
    ...eventKey(event.eventId),
    data: toData(row),
    indexes,
    expiresAtSec: Math.ceil((event.receivedAt + eventLife) / 1000),
  };
}

/** An action's item. `sweepAt` overrides the state's own due time, to space out repeated sweeps. */
export function actionItem(row: ActionRow, sweepAt: EpochMs | null = null): NewItem {
  const { action } = row;
  const at = atMoment(action.createdAt, action.actionId);
  const due = duePlace(action, sweepAt);
  return {
    ...actionKey(action.actionId),
    data: toData(row),
    indexes: {
      ...(due === null ? {} : { due }),
      sim: { pk: timelineOf(action.subject.key), sk: at },
      time: { pk: actionsOfDay(utcDay(action.createdAt), shardOf(action.actionId)), sk: at },
    },
    expiresAtSec: null,
  };
}

function duePlace(action: Action, sweepAt: EpochMs | null): NonNullable<IndexKeys['due']> | null {
  const { state } = action;
  if (state.name === 'held' || state.name === 'parked') {
    return { pk: waitingActions(state.name), at: action.stateSince };
  }
  const at = sweepAt ?? dueAt(state);
  if (at === null) {
    if (holdsSim(state)) throw new Error(`an action in state ${state.name} must have a due time`);
    return null;
  }
  return { pk: dueActions(action.subject.provider, shardOf(action.actionId)), at };
}

/** Evidence in a row of its own. */
export function evidenceItem(callbackId: string, evidence: object, receivedAt: EpochMs): NewItem {
  return {
    ...evidenceKey(callbackId),
    data: toData(evidence),
    indexes: {},
    expiresAtSec: Math.ceil((receivedAt + eventLife) / 1000),
  };
}
