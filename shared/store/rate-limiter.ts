import { emptyWindow, type Grant, type GrantRequest, releaseSlot, takeSlots } from '../core/rate-limit.ts';
import type { ProviderId } from '../core/subject.ts';
import { after, type EpochMs, elapsed, milliseconds, minutes, seconds } from '../core/time.ts';
import type { Clock } from '../platform/clock.ts';
import { replaceOrInsert } from './event-store.ts';
import { limitKey, toData } from './item-layout.ts';
import { readRow } from './rows.ts';
import type { Table } from './table.ts';

/** Lost races for the window before the caller is told to come back. */
const racesMax = 8;

/**
 * A slot that is older than this when it is written was taken by a worker that stood still, and others may have
 * forgotten it by now: another one is taken. It is what the window is longer than the provider's second.
 */
const freshFor = milliseconds(250);

/** How far waiters are spread beyond the slot that they are promised: the first time, and when they come again. */
const spreadMax = minutes(1);
const spreadAgain = seconds(2);

export type SlotResult =
  | { readonly kind: 'granted' }
  | { readonly kind: 'wait'; readonly until: EpochMs; readonly why: string };

/**
 * Takes request slots of a provider account, shared by all workers through the table. Someone who must wait is
 * promised a slot, which is stored too, so that waiters are spread out.
 */
export async function takeAccountSlots(
  table: Table,
  asked: Omit<GrantRequest, 'now'>,
  { clock, jitter }: { readonly clock: Clock; readonly jitter: number },
): Promise<SlotResult> {
  const key = limitKey(asked.limits.provider);
  let item = await table.get(key);
  for (let race = 0; race < racesMax; race++) {
    const request: GrantRequest = { ...asked, now: clock() };
    const grant: Grant = takeSlots(item === null ? emptyWindow : readRow('limit', item), request);
    const next = { ...key, data: toData(grant.window), indexes: {}, expiresAtSec: null };
    const written = await table.write([replaceOrInsert(next, item?.version ?? null)]);
    if (!written.ok) {
      // The refusal shows what was found, so nothing is read again.
      item = written.failed[0]?.found ?? null;
      continue;
    }
    if (grant.kind === 'granted') {
      if (elapsed(request.now, clock()) <= freshFor) return { kind: 'granted' };
      item = await table.get(key);
      continue;
    }
    return { kind: 'wait', until: spread(grant.until, request, jitter), why: grant.why };
  }
  const until = after(clock(), milliseconds(1_000 + 2_000 * jitter));
  return { kind: 'wait', until, why: 'too many workers ask for slots at once' };
}

/**
 * Hints come after whole seconds, so those who asked in the same moment would come back in the same moment of a
 * second, all of them, and find slots for some. The longer the line, the wider they are spread.
 */
function spread(until: EpochMs, { now, hasWaited }: GrantRequest, jitter: number): EpochMs {
  const width = hasWaited ? spreadAgain : Math.min(spreadMax, elapsed(now, until) / 4);
  return after(until, milliseconds(Math.round(width * jitter)));
}

/** Gives a connection back; losing the race is harmless, since a token that is not given back runs out by itself. */
export async function releaseAccountSlot(table: Table, provider: ProviderId, token: string): Promise<void> {
  const key = limitKey(provider);
  for (let race = 0; race < racesMax; race++) {
    const item = await table.get(key);
    if (item === null) return;
    const window = readRow('limit', item);
    if (!(token in window.inFlight)) return;
    const next = { ...key, data: toData(releaseSlot(window, token)), indexes: {}, expiresAtSec: null };
    if ((await table.write([{ kind: 'replace', item: next, ifVersion: item.version }])).ok) return;
  }
}
