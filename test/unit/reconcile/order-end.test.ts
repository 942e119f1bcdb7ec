import { describe, expect, it } from 'vitest';
import { type DecideDeps, decideEvent } from '../../../functions/decide/decide.ts';
import { openEmbeddedEngines } from '../../../infra/local/engines.ts';
import { endedOrderOf, isSameEnd, type OrderEnd } from '../../../shared/core/order-end.ts';
import { after, before, days, hours, minutes } from '../../../shared/core/time.ts';
import type { WebhookEvent } from '../../../shared/core/webhook-event.ts';
import { silentLog } from '../../../shared/platform/log.ts';
import { loadEvent, loadSim, recordCallback, simChange } from '../../../shared/store/event-store.ts';
import { digest, event, noon, policy, rule, sim } from '../core/samples.ts';
import { stopped } from './books.ts';

const end = (changes: Partial<OrderEnd>): OrderEnd => ({
  eventId: 'evt_1',
  at: noon,
  exact: true,
  reconciled: false,
  ...changes,
});
const reconciled = end({ eventId: 'evt_2', reconciled: true });

describe('two tellings of an end', () => {
  it('are one when one of them was reconciled and their times are close', () => {
    expect(isSameEnd(end({}), reconciled)).toBe(true);
    expect(isSameEnd(reconciled, end({ at: after(noon, hours(11)) }))).toBe(true);
    expect(isSameEnd(reconciled, end({ at: after(noon, hours(13)) }))).toBe(false);
  });

  it('are one for longer when one names no time and counts by its arrival', () => {
    const arrival = end({ exact: false, at: after(noon, days(2)) });
    expect(isSameEnd(reconciled, arrival)).toBe(true);
    expect(isSameEnd(reconciled, { ...arrival, at: after(noon, days(4)) })).toBe(false);
  });

  it('are two when both are callbacks, and one event is never its own twin', () => {
    expect(isSameEnd(end({}), end({ eventId: 'evt_3' }))).toBe(false);
    expect(isSameEnd(reconciled, reconciled)).toBe(false);
  });

  it('concern orders that ended, and no others', () => {
    const statuses = [
      'expired',
      'ended-early',
      'cancelled',
      'paused',
      'started',
      'renewed',
      'unknown',
    ] as const;
    const order = { orderId: '1', reference: null, packageCode: null };
    const ends = statuses.filter((status) =>
      endedOrderOf(event({ facts: { kind: 'order-status', status, order } })),
    );
    expect(ends).toEqual(['expired', 'ended-early', 'cancelled']);
    expect(endedOrderOf(event({ facts: stopped('1') }))).toBe('1');
    expect(endedOrderOf(event())).toBeNull();
  });
});

/** Decides events about an order's end by a rule that would order again each time. */
function deciding() {
  const engines = openEmbeddedEngines(':memory:', ['eiotclub'], () => noon);
  const { table } = engines;
  const again = rule(
    { ruleId: 'order-again', action: 'order', cooldown: minutes(0) },
    { kind: 'package-stopped' },
  );
  const deps: DecideDeps = {
    table,
    policy: policy([again]),
    events: engines.events,
    actionsQueue: () => null,
    log: silentLog,
  };
  return {
    table,
    tell: async (name: string, changes: Partial<WebhookEvent> = {}): Promise<WebhookEvent> => {
      const told = event({ eventId: `evt_${digest(name).slice(0, 32)}`, facts: stopped('1'), ...changes });
      const evidence = { body: new Uint8Array(), headers: {}, path: '/' };
      await recordCallback(table, { callbackId: told.eventId, evidence, events: [told], now: noon });
      return told;
    },
    /** Decides, and frees the SIM again as if the purchase had been settled long ago. */
    decide: async (told: WebhookEvent, replay = false): Promise<number> => {
      const result = await decideEvent(told.eventId, noon, deps, { replay, generation: 1 });
      const row = await loadSim(table, sim().simKey);
      await table.write([simChange({ value: sim(), version: row.version })]);
      return result.kind === 'decided' ? result.decided.actions.length : -1;
    },
  };
}

const byRecords = { proof: { kind: 'reconciled', source: 'order list' } } as const;

describe('the decision about an end that is told twice', () => {
  it('acts on the reconciled event and passes the callback that comes after all', async () => {
    const { tell, decide, table } = deciding();
    expect(await decide(await tell('found', byRecords))).toBe(1);
    const late = await tell('late', { occurredAt: after(noon, minutes(3)) });
    expect(await decide(late)).toBe(0);
    const row = await loadEvent(table, late.eventId);
    expect(row?.value.decisions[0]?.verdicts).toMatchObject([{ verdict: 'pass', reason: 'already-decided' }]);
  });

  it('acts on the callback and passes the reconciled event, when the callback is decided first', async () => {
    const { tell, decide } = deciding();
    const found = await tell('found', byRecords);
    const late = await tell('late');
    expect(await decide(late)).toBe(1);
    expect(await decide(found)).toBe(0);
  });

  it('acts once when both are decided at the same time', async () => {
    const { tell, decide } = deciding();
    const both = [await tell('found', byRecords), await tell('late')];
    const acted = await Promise.all(both.map((told) => decide(told)));
    expect(acted.reduce((sum, n) => sum + n, 0)).toBe(1);
  });

  it('acts on the end of the same order a month later', async () => {
    const { tell, decide } = deciding();
    await decide(await tell('found', { ...byRecords, occurredAt: before(noon, days(30)), receivedAt: noon }));
    expect(await decide(await tell('next'))).toBe(1);
  });

  it('can be replayed without a second action and without taking itself for its twin', async () => {
    const { tell, decide } = deciding();
    const found = await tell('found', byRecords);
    expect(await decide(found)).toBe(1);
    expect(await decide(found, true)).toBe(0);
  });
});
