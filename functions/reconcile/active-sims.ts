import type { Subject } from '../../shared/core/subject.ts';
import { before, days, type EpochMs } from '../../shared/core/time.ts';
import { orderOf } from '../../shared/core/webhook-event.ts';
import { listActions, listEvents } from '../../shared/store/event-listing.ts';
import type { Table } from '../../shared/store/table.ts';

/** SIMs with an action of ours within this are compared: a month's plan, its end, and some days. */
const actionsBack = days(35);

/** SIMs with a notification about an order within this are compared too. */
const eventsBack = days(3);

/** Rows of each kind that one run reads to find SIMs, newest first. */
export const rowsMax = 10_000;

export interface ActiveSims {
  /** By provider, sorted by key. */
  readonly sims: ReadonlyMap<string, readonly Subject[]>;
  /** True when there are more rows than are read, so that the longest quiet SIMs are left out. */
  readonly truncated: boolean;
}

/** The SIMs that there is something to compare about. */
export async function findActiveSims(table: Table, now: EpochMs): Promise<ActiveSims> {
  const found = new Map<string, Subject>();
  let actions = 0;
  for await (const { value } of listActions(
    table,
    { from: before(now, actionsBack), to: now },
    'newest-first',
  )) {
    const { subject } = value.action;
    found.set(subject.key, found.get(subject.key) ?? subject);
    actions += 1;
    if (actions >= rowsMax) break;
  }
  let events = 0;
  for await (const { value } of listEvents(
    table,
    { from: before(now, eventsBack), to: now },
    'newest-first',
  )) {
    const { subject, facts } = value.event;
    const order = orderOf(facts);
    if (subject !== null && (order?.orderId || order?.reference))
      found.set(subject.key, found.get(subject.key) ?? subject);
    events += 1;
    if (events >= rowsMax) break;
  }
  const sims = Map.groupBy(found.values(), ({ provider }) => provider);
  for (const list of sims.values()) list.sort((a, b) => (a.key < b.key ? -1 : 1));
  return { sims, truncated: actions >= rowsMax || events >= rowsMax };
}
