import type { Difference } from '../core/reconcile.ts';
import type { Subject } from '../core/subject.ts';
import { days, type EpochMs } from '../core/time.ts';
import { replaceOrInsert, type Versioned } from './event-store.ts';
import { allFindings, atMoment, findingKey, openFindings, toData } from './item-layout.ts';
import { type FindingRow, readRow } from './rows.ts';
import type { NewItem, Table } from './table.ts';

/** A difference between the provider's records and ours, open until it is gone, mended or closed by someone. */
export type Finding = FindingRow;

/** Who closes findings that went away by themselves. */
export const reconciler = 'reconcile';

/** Resolved findings are kept as long as events. */
const resolvedLife = days(100);

/** Lost races before a change is left to the next run. */
const racesMax = 4;

/** `opened`: new, or back after it had gone. `mended`: new, and done with. `seen`: known already. */
export type RecordResult = 'opened' | 'mended' | 'seen';

/** What names a difference for good. The digest is at least 32 hex digits. */
export function findingIdOf(
  subject: Subject,
  { kind, about }: Difference,
  digest: (text: string) => string,
): string {
  return `fnd_${digest(`${subject.key}\n${kind}\n${about}`).slice(0, 32)}`;
}

/**
 * Records a difference once. One that had gone and is back is opened again; one that an operator closed stays closed.
 */
export async function recordFinding(
  table: Table,
  found: {
    readonly findingId: string;
    readonly subject: Subject;
    readonly difference: Difference;
  },
  now: EpochMs,
): Promise<RecordResult> {
  const { findingId, subject, difference } = found;
  const state: Finding['state'] =
    difference.mended === null
      ? { name: 'open' }
      : { name: 'resolved', at: now, by: reconciler, how: difference.mended };
  for (let race = 0; race < racesMax; race++) {
    const row = await loadFinding(table, findingId);
    if (row !== null && !mayChange(row.value, state)) return 'seen';
    const finding: Finding = {
      ...difference,
      findingId,
      provider: subject.provider,
      simKey: subject.key,
      simId: subject.simId,
      firstSeenAt: row?.value.firstSeenAt ?? now,
      state,
    };
    const item = findingItem(finding);
    if ((await table.write([replaceOrInsert(item, row?.version ?? null)])).ok)
      return state.name === 'open' ? 'opened' : 'mended';
  }
  return 'seen';
}

function mayChange({ state }: Finding, next: Finding['state']): boolean {
  if (state.name === 'open') return next.name === 'resolved';
  return state.by === reconciler && next.name === 'open';
}

/** Closes a finding, with who and why. `conflict`: someone else changed it; `not-open`: it is closed already. */
export async function resolveFinding(
  table: Table,
  findingId: string,
  closed: { readonly at: EpochMs; readonly by: string; readonly how: string },
): Promise<'resolved' | 'not-open' | 'not-found' | 'conflict'> {
  const row = await loadFinding(table, findingId);
  if (row === null) return 'not-found';
  if (row.value.state.name !== 'open') return 'not-open';
  const item = findingItem({ ...row.value, state: { name: 'resolved', ...closed } });
  return (await table.write([replaceOrInsert(item, row.version)])).ok ? 'resolved' : 'conflict';
}

/** One finding, strongly consistent; null when there is none of that id. */
export async function loadFinding(table: Table, findingId: string): Promise<Versioned<Finding> | null> {
  const item = await table.get(findingKey(findingId));
  return item === null ? null : { value: readRow('finding', item), version: item.version };
}

/** Open findings, longest open first; `which` all gives every finding by time. Read from an index, which may lag. */
export async function* listFindings(
  table: Table,
  which: 'open' | 'all',
  upTo: EpochMs,
): AsyncGenerator<Versioned<Finding>> {
  const query =
    which === 'open'
      ? ({ from: 'due', pk: openFindings, upTo } as const)
      : ({
          from: 'time',
          pk: allFindings,
          between: [atMoment(0 as EpochMs, ' '), atMoment(upTo, '~')],
        } as const);
  let cursor: string | null = null;
  do {
    const page = await table.query(query, { limit: 100, cursor });
    for (const item of page.items) yield { value: readRow('finding', item), version: item.version };
    cursor = page.cursor;
  } while (cursor !== null);
}

function findingItem(finding: Finding): NewItem {
  const { state, firstSeenAt, findingId } = finding;
  const time = { pk: allFindings, sk: atMoment(firstSeenAt, findingId) };
  return {
    ...findingKey(findingId),
    data: toData(finding),
    indexes: state.name === 'open' ? { time, due: { pk: openFindings, at: firstSeenAt } } : { time },
    expiresAtSec: state.name === 'open' ? null : Math.ceil((state.at + resolvedLife) / 1000),
  };
}
