import { describe, expect, it } from 'vitest';
import { money } from '../../../shared/core/money.ts';
import { ordersMax } from '../../../shared/core/reconcile.ts';
import { after, before, days, hours, minutes } from '../../../shared/core/time.ts';
import { lowData, noon } from '../core/samples.ts';
import { bought, compare, ended, heard, lost, named, order, started, stopped, usd, watch } from './books.ts';

const kinds = (comparison: ReturnType<typeof compare>) => comparison.differences.map(({ kind }) => kind);

/** Looks twice, so that what must last has lasted. */
function lasting(changes: Parameters<typeof compare>[0]) {
  const first = compare(changes);
  return compare({ ...changes, watch: first.watch }, after(noon, minutes(31)));
}

describe('an order that no action of ours placed', () => {
  it('is a difference when it was not there at the last look', () => {
    const found = compare({ orders: [order('1'), order('2')], watch: watch({ knownOrderIds: ['1'] }) });
    expect(found.differences).toMatchObject([{ kind: 'order-not-ours', orderId: '2', mended: null }]);
  });

  it('is of the past at the first look, where its time can not be placed', () => {
    const found = compare({ orders: [order('1')], events: [heard(lowData, noon)], watch: null });
    expect(kinds(found)).toEqual([]);
    expect(found.watch?.knownOrderIds).toEqual(['1']);
  });

  it('is a difference at the first look when it was placed well after our first row of the SIM', () => {
    const events = [heard(lowData, before(noon, hours(5)))];
    const at = (minutesBefore: number) => order('1', { createdAt: before(noon, minutes(minutesBefore)) });
    expect(kinds(compare({ orders: [at(60)], events, watch: null }))).toEqual(['order-not-ours']);
    expect(kinds(compare({ orders: [at(300)], events, watch: null }))).toEqual([]);
    expect(kinds(compare({ orders: [at(6_000)], events, watch: null }))).toEqual([]);
  });

  it('is a difference at the first look when it stands beside a purchase of ours: it may be bought twice', () => {
    const { action } = bought('1');
    const twin = order('2', { createdAt: after(action.createdAt, minutes(1)) });
    const orders = [order('1', { createdAt: action.createdAt }), twin];
    expect(compare({ orders, actions: [action], watch: null }).differences).toMatchObject([{ orderId: '2' }]);
  });

  it('is none when the ledger ties it, by number or by reference, or when our purchase was caused by it', () => {
    const { action } = bought('1');
    const orders = [order('1'), order('2', { reference: action.reference }), order('3'), order('4')];
    const actions = [{ ...action, targetOrderId: '4' }];
    expect(kinds(compare({ orders, actions, owners: new Map([['3', 'act_of_last_year']]) }))).toEqual([]);
  });

  it('is left open while a purchase of the SIM may have made it', () => {
    const { action: holder } = lost();
    const found = compare({ orders: [order('1')], actions: [holder], holder });
    expect(kinds(found)).toEqual([]);
    expect(found.watch?.knownOrderIds).toEqual([]);
    expect(found.whole).toBe(false);
    expect(compare({ orders: [order('1')], actions: [holder], holder, watch: null }).watch).toBeNull();
  });

  it('is listed for whoever resolves a parked purchase, when it may be its', () => {
    const { action } = lost();
    const holder = {
      ...action,
      state: { name: 'parked', reason: 'cannot-verify', detail: '', mayHaveBought: true } as const,
    };
    const orders = [
      order('old', { createdAt: before(action.createdAt, hours(3)) }),
      order('1', { createdAt: after(action.createdAt, minutes(1)) }),
      order('2'),
      order('known'),
    ];
    const known = watch({ knownOrderIds: ['known'], since: before(noon, days(30)) });
    const found = compare({ orders, actions: [holder], holder, watch: known });
    expect(found.candidates).toEqual({ actionId: action.actionId, orderIds: ['1', '2'] });
    expect(kinds(found)).toEqual([]);
  });

  it('keeps its place among the known ones when a list was cut off', () => {
    const found = compare({
      ordersWhole: false,
      watch: watch({ knownOrderIds: ['1'], sightings: { a: noon } }),
    });
    expect(found.watch).toMatchObject({ knownOrderIds: ['1'], sightings: { a: noon } });
    expect(compare({ ordersWhole: false, watch: null }).watch).toBeNull();
  });
});

describe('an order that the provider does not show', () => {
  const { action } = bought('1');

  it('is a difference once it has stayed away for half an hour', () => {
    const first = compare({ actions: [action] });
    expect(kinds(first)).toEqual([]);
    expect(kinds(compare({ actions: [action], watch: first.watch }, after(noon, minutes(29))))).toEqual([]);
    expect(lasting({ actions: [action] }).differences).toMatchObject([
      { kind: 'order-missing', orderId: '1', actionId: action.actionId },
    ]);
  });

  it('is none while the list was not read to its end, or while it may still appear', () => {
    expect(kinds(lasting({ actions: [action], ordersWhole: false }))).toEqual([]);
    const fresh = { ...action, stateSince: after(noon, minutes(20)) };
    expect(kinds(lasting({ actions: [fresh] }))).toEqual([]);
  });

  it('is known by our reference when the answer named no number, where the provider shows references', () => {
    const { action: nameless } = bought(null);
    const other = order('9', { reference: 'f'.repeat(32) });
    const known = watch({ knownOrderIds: ['9'] });
    expect(kinds(lasting({ actions: [nameless], orders: [other], watch: known }))).toEqual(['order-missing']);
    expect(kinds(lasting({ actions: [nameless], orders: [order('9')], watch: known }))).toEqual([]);
    const ours = order('1', { reference: nameless.reference });
    expect(kinds(lasting({ actions: [nameless], orders: [ours] }))).toEqual([]);
  });
});

describe('an amount', () => {
  it('that was estimated is to be corrected by the price, and is no difference', () => {
    const { action } = bought('1');
    const found = compare({ actions: [action], orders: [order('1', { price: usd(450) })] });
    expect(found.bookings).toEqual([{ kind: 'charge', actionId: action.actionId, price: usd(450) }]);
    expect(kinds(found)).toEqual([]);
  });

  it('that the provider named and now shows otherwise is a difference, and is not corrected', () => {
    const { action } = bought('1', usd(450));
    const found = compare({ actions: [action], orders: [order('1', { price: usd(480) })] });
    expect(kinds(found)).toEqual(['amount-differs']);
    expect(found.bookings).toEqual([]);
    expect(kinds(compare({ actions: [action], orders: [order('1', { price: usd(450) })] }))).toEqual([]);
  });

  it('above what the rule allows, or in another currency, is a difference', () => {
    const { action } = bought('1');
    const dear = compare({ actions: [action], orders: [order('1', { price: usd(501) })] });
    expect(kinds(dear)).toEqual(['amount-differs']);
    expect(dear.bookings).toHaveLength(1);
    const foreign = compare({ actions: [action], orders: [order('1', { price: money(450, 'EUR') })] });
    expect(kinds(foreign)).toEqual(['amount-differs']);
    expect(foreign.bookings).toEqual([]);
  });

  it('of an order that a renewal lengthened says nothing about the renewal', () => {
    const { action } = bought('1', usd(450), { targetOrderId: '1' });
    const found = compare({ actions: [action], orders: [order('1', { price: usd(900) })] });
    expect(found).toMatchObject({ differences: [], bookings: [] });
  });
});

describe('a refund in the records', () => {
  const { action } = bought('1', usd(450));
  const orders = [order('1', { refunded: true, price: usd(450) })];

  it('is booked once no callback has told of it for half an hour', () => {
    expect(compare({ actions: [action], orders }).bookings).toEqual([]);
    const found = lasting({ actions: [action], orders });
    expect(found.bookings).toEqual([{ kind: 'refund', actionId: action.actionId, orderId: '1' }]);
    expect(found.differences).toMatchObject([{ kind: 'refund-missing', mended: expect.any(String) }]);
  });

  it('is not booked again, nor when a callback told of it whose amount could not be read', () => {
    const booked = { ...action, money: { ...action.money, refundedMinor: 100 } };
    expect(lasting({ actions: [booked], orders })).toMatchObject({ bookings: [], differences: [] });
    const refund = { kind: 'refund', order: named('1'), refunded: null, refundedText: 'all of it' } as const;
    const found = lasting({ actions: [action], orders, events: [heard(refund, noon)] });
    expect(found.bookings).toEqual([]);
    expect(found.differences).toMatchObject([{ kind: 'refund-missing', mended: null }]);
  });
});

describe('a callback about an end', () => {
  const hourAgo = before(noon, hours(1));
  const mention = heard({ kind: 'package-effective', order: named('1') }, before(noon, days(2)));
  const known = watch({ knownOrderIds: ['1'] });

  it('that never came becomes an event with the time of the end and a name that stays', () => {
    const found = compare({ orders: [ended('1', hourAgo)], events: [mention], watch: known });
    expect(found.missed).toMatchObject([{ facts: stopped('1'), occurredAt: hourAgo, actionId: null }]);
    expect(found.differences).toMatchObject([{ kind: 'callback-missing', mended: expect.any(String) }]);
    const later = compare(
      { orders: [ended('1', hourAgo)], events: [mention], watch: known },
      after(noon, hours(5)),
    );
    expect(later.missed[0]?.identity).toBe(found.missed[0]?.identity);
  });

  it('may still come within half an hour', () => {
    const found = compare({
      orders: [ended('1', before(noon, minutes(29)))],
      events: [mention],
      watch: known,
    });
    expect(found).toMatchObject({ missed: [], differences: [] });
  });

  it('came when an event tells of that end, and one of an earlier end of the same order does not count', () => {
    const orders = [ended('1', hourAgo)];
    const told = compare({ orders, events: [mention, heard(stopped('1'), hourAgo)], watch: known });
    expect(told).toMatchObject({ missed: [], differences: [] });
    const monthBefore = heard(stopped('1'), before(noon, days(30)));
    const since = watch({ ...known, since: before(noon, days(40)) });
    expect(compare({ orders, events: [monthBefore], watch: since }).missed).toHaveLength(1);
  });

  it('is not made up for when the rules would not act on it any more, or when its time is not known', () => {
    const since = watch({ ...known, since: before(noon, days(40)) });
    const late = compare({ orders: [ended('1', before(noon, hours(73)))], events: [mention], watch: since });
    expect(late.missed).toEqual([]);
    expect(late.differences).toMatchObject([{ kind: 'callback-missing', mended: null }]);
    const unplaced = lasting({ orders: [ended('1', null)], events: [mention], watch: known });
    expect(unplaced.missed).toEqual([]);
    expect(unplaced.differences).toMatchObject([{ kind: 'callback-missing', mended: null }]);
  });

  it('is not made up for when the order ended before its time was over', () => {
    const early = ended('1', after(noon, days(3)));
    const found = lasting({ orders: [early], events: [mention], watch: known });
    expect(found.missed).toEqual([]);
    expect(kinds(found)).toEqual(['callback-missing']);
  });

  it('is nobody’s business when nothing of ours names the order', () => {
    expect(compare({ orders: [ended('1', hourAgo)], watch: known })).toMatchObject({
      missed: [],
      differences: [],
    });
  });

  it('lies before our time when the order ended before our first row, or before the first look', () => {
    const first = {
      events: [heard({ kind: 'usage-alert', alert: 'low-data', value: null, order: named('1') }, noon)],
    };
    const found = compare({ orders: [ended('1', hourAgo)], ...first, watch: null });
    expect(found).toMatchObject({ missed: [], differences: [] });
    const unplaced = lasting({ orders: [ended('1', null)], ...first, watch: null });
    expect(unplaced).toMatchObject({ missed: [], differences: [] });
  });

  it('is not judged when the SIM has more rows than were read', () => {
    const found = compare({
      orders: [ended('1', hourAgo)],
      events: [mention],
      watch: known,
      timelineWhole: false,
    });
    expect(found).toMatchObject({ missed: [], differences: [], whole: false });
  });
});

describe('a callback about a start', () => {
  it('that never came is made up for when the order is ours, so that it can cause no purchase', () => {
    const { action } = bought('1');
    expect(compare({ orders: [started('1')], actions: [action] }).missed).toEqual([]);
    const found = lasting({ orders: [started('1')], actions: [action] });
    expect(found.missed).toMatchObject([{ actionId: action.actionId, occurredAt: null }]);
  });

  it('is left alone when the order is not ours', () => {
    const alert = heard({ kind: 'usage-alert', alert: 'low-data', value: null, order: named('1') }, noon);
    const known = watch({ knownOrderIds: ['1'] });
    const found = lasting({ orders: [started('1')], events: [alert], watch: known });
    expect(found).toMatchObject({ missed: [], differences: [] });
  });
});

describe('the comparison', () => {
  it('gives up on a SIM with more orders than it compares, without forgetting anything', () => {
    const orders = Array.from({ length: ordersMax + 1 }, (_, i) => order(String(i)));
    expect(compare({ orders })).toMatchObject({ differences: [], watch: null, whole: false });
  });

  it('takes orders of another SIM for a list that was not answered as asked', () => {
    const found = compare({ orders: [order('1', { simId: '89852000263320817999' })] });
    expect(found).toMatchObject({ differences: [], whole: false });
  });

  it('gives the same for the same input, and changes none of it', () => {
    const books = { orders: [ended('1', before(noon, hours(1)))], watch: watch({ knownOrderIds: ['1'] }) };
    const copy = structuredClone(books);
    expect(compare(books)).toEqual(compare(books));
    expect(books).toEqual(copy);
  });
});
