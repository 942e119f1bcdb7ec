import { dueAt } from '../core/action.ts';
import type { ProviderId } from '../core/subject.ts';
import { after, type EpochMs } from '../core/time.ts';
import { StoreError } from './errors.ts';
import { eventGrace } from './event-store.ts';
import { actionItem, dueActions, dueEvents, eventItem, shards, waitingActions } from './item-layout.ts';
import { readRow } from './rows.ts';
import type { Item, Key, Page, Table } from './table.ts';

/** One unfinished thing that the sweep found. */
export interface DueWork {
  readonly kind: 'event' | 'action';
  readonly id: string;
  readonly correlationId: string;
  /** Groups the work of one SIM. */
  readonly group: string;
  /** When it should have been done by: not the put-off moment at which the sweep looks again. */
  readonly dueAt: EpochMs;
  readonly sweeps: number;
  readonly item: Item;
}

/** Hears of a row that is due and can't be read; the other work must not wait for it. */
export type OnUnreadable = (error: StoreError, key: Key) => void;

/** Events whose time has come: the oldest `limit` over all shards, roughly in order. May lag behind writes. */
export async function findDueEvents(
  table: Table,
  now: EpochMs,
  limit: number,
  onUnreadable: OnUnreadable,
): Promise<readonly DueWork[]> {
  return findDue(table, { partitions: shards.map(dueEvents), now, limit, onUnreadable }, (item) => {
    const { event, sweeps } = readRow('event', item);
    const group = event.subject?.key ?? event.eventId;
    return {
      kind: 'event',
      id: event.eventId,
      correlationId: event.correlationId,
      group,
      dueAt: after(event.receivedAt, eventGrace),
      sweeps,
      item,
    };
  });
}

/** Actions of a provider whose time has come. Those that are claimed are listed early, and left out until their lease ends. */
export async function findDueActions(
  table: Table,
  provider: ProviderId,
  now: EpochMs,
  limit: number,
  onUnreadable: OnUnreadable,
): Promise<readonly DueWork[]> {
  const partitions = shards.map((shard) => dueActions(provider, shard));
  return findDue(table, { partitions, now, limit, onUnreadable }, (item) => {
    const { action, sweeps } = readRow('action', item);
    const { actionId: id, correlationId, subject } = action;
    const since = dueAt(action.state) ?? dueOf(item);
    if (since > now) return null;
    return { kind: 'action', id, correlationId, group: subject.key, dueAt: since, sweeps, item };
  });
}

/** How long the longest waiting action has waited for a human, in ms; 0 when none waits. May lag behind writes. */
export async function longestWait(table: Table, state: 'held' | 'parked', now: EpochMs): Promise<number> {
  const oldest = { from: 'due', pk: waitingActions(state), upTo: now } as const;
  const { items } = await table.query(oldest, { limit: 1, cursor: null });
  const [item] = items;
  return item === undefined ? 0 : now - dueOf(item);
}

interface DueQuestion {
  readonly partitions: readonly string[];
  readonly now: EpochMs;
  readonly limit: number;
  readonly onUnreadable: OnUnreadable;
}

type ReadDue = (item: Item) => DueWork | null;

async function findDue(table: Table, question: DueQuestion, read: ReadDue): Promise<readonly DueWork[]> {
  const works = await Promise.all(question.partitions.map((pk) => findDueIn(table, pk, question, read)));
  return works.flat().slice(0, question.limit);
}

/** Pages of one partition: rows that can't be read stay in front for good, and the work behind them must be found. */
const pagesMax = 10;

async function findDueIn(
  table: Table,
  pk: string,
  { partitions, now, limit, onUnreadable }: DueQuestion,
  read: ReadDue,
): Promise<readonly DueWork[]> {
  const share = Math.max(1, Math.ceil(limit / partitions.length));
  const works: DueWork[] = [];
  let cursor: string | null = null;
  for (let pages = 0; pages < pagesMax; pages++) {
    const page: Page = await table.query({ from: 'due', pk, upTo: now }, { limit: share, cursor });
    works.push(...page.items.flatMap((item) => readOne(item, read, onUnreadable) ?? []));
    cursor = page.cursor;
    if (cursor === null || works.length >= share) break;
  }
  return works.slice(0, share);
}

function readOne(item: Item, read: ReadDue, onUnreadable: OnUnreadable): DueWork | null {
  try {
    return read(item);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'corrupt-item') throw error;
    onUnreadable(error, { pk: item.pk, sk: item.sk });
    return null;
  }
}

function dueOf(item: Item): EpochMs {
  return (item.indexes.due?.at ?? 0) as EpochMs;
}

/**
 * Puts off the next look at work that was just queued again, so that work which can't be finished does not fill the
 * queue each minute. Losing the race means that someone is at it: fine.
 */
export async function putOffSweep(table: Table, work: DueWork, until: EpochMs): Promise<void> {
  const item =
    work.kind === 'event'
      ? eventItem({ ...readRow('event', work.item), sweeps: work.sweeps + 1 }, until)
      : actionItem({ ...readRow('action', work.item), sweeps: work.sweeps + 1 }, until);
  await table.write([{ kind: 'replace', item, ifVersion: work.item.version }]);
}
