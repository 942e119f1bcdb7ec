import { createHash } from 'node:crypto';
import { hours } from '../../shared/core/time.ts';
import type { Random } from '../../shared/platform/random.ts';
import type { JsonObject } from '../provider-simulator/signatures.ts';
import type { Simulator } from '../provider-simulator/simulator.ts';
import type { Chance } from './chance.ts';
import type { Scheduler } from './scheduler.ts';

/** What one callback claims, and whether it is so. */
export interface Claim {
  /** False for a message that nobody at the provider sent, or that says what is not so at the time of asking. */
  readonly genuine: () => boolean;
  readonly what: string;
}

export interface Workload {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly chance: Chance;
  readonly simulator: Simulator;
  /** Notes what the next callbacks claim, by the text that identifies their fact. */
  readonly claim: (identity: string, claim: Claim) => void;
  readonly refunded: (callbackId: string, orderId: string, amountMinor: number) => void;
  /** Sends bytes to the callback address as anybody could. */
  readonly post: (path: string, body: JsonObject, headers: Readonly<Record<string, string>>) => void;
  readonly horizonMs: number;
}

export const hookUrl = 'http://hook.invalid';
const genuine = (what: string): Claim => ({ genuine: () => true, what });

/** Alerts for many SIMs in the same second. */
export function startBurst(load: Workload, sims: number): void {
  for (let i = 0; i < sims; i++) {
    const iccid = `898523${String(1_000_000_000_000 + i * 7)}`;
    const body = { event: 'FlowAlert', id: `simb${i}`, iccid, alert_type: 1, alert_value: '9' };
    load.simulator.addSim({ provider: 'eiotclub', simId: iccid });
    load.claim(body.id, genuine('a usage alert'));
    load.scheduler.outside(load.random.integer(0, 1_000), () => void load.simulator.emit('eiotclub', body));
  }
}

interface Cards {
  readonly eiotclub: readonly string[];
  readonly csss: readonly string[];
  readonly ota: readonly string[];
}

/** Makes the SIMs and plans the events of the whole run. */
export function startWorkload(load: Workload): void {
  const cards = addCards(load);
  const events = load.random.integer(3, 14);
  for (let i = 0; i < events; i++) {
    load.scheduler.outside(load.random.integer(0, load.horizonMs), () => happen(load, cards, i));
  }
}

function addCards({ random, simulator }: Workload): Cards {
  const ids = (prefix: string, count: number): readonly string[] =>
    Array.from({ length: count }, (_, i) => `${prefix}${String(1_000_000_000_000 + i * 7)}`);
  const cards = {
    eiotclub: ids('898520', random.integer(1, 4)),
    csss: ids('898521', random.integer(1, 5)),
    ota: ids('898522', random.integer(0, 2)),
  };
  for (const simId of cards.eiotclub)
    simulator.addSim({ provider: 'eiotclub', simId, packages: [{ code: 'PKG001', state: 'active' }] });
  for (const simId of cards.csss)
    simulator.addSim({
      provider: 'linksfield-csss',
      simId,
      packages: [{ code: 'DP20190726001274', state: 'active', orderId: `ORDER_HELD_${simId}` }],
    });
  for (const simId of cards.ota) simulator.addSim({ provider: 'linksfield-csss', simId, ota: true });
  return cards;
}

function happen(load: Workload, cards: Cards, number: number): void {
  const { random } = load;
  const one = (list: readonly string[]): string | undefined => list[random.integer(0, list.length - 1)];
  const [eiotclub, csss, ota] = [one(cards.eiotclub), one(cards.csss), one(cards.ota)];
  const kind = random.integer(0, 11);
  if (kind <= 3 && eiotclub) alertBurst(load, eiotclub, number);
  else if (kind <= 6 && csss)
    for (const simId of random.fraction() < 0.4 ? cards.csss : [csss]) expire(load, simId);
  else if (kind <= 7 && ota) remind(load, ota, number);
  else if (kind === 8) unasked(load, cards, number);
  else if (kind === 9 && eiotclub) forge(load, eiotclub, number);
  else if (kind === 10 && csss) lie(load, csss, number);
  else if (eiotclub) refund(load, eiotclub, number);
}

/** 75 %, 90 % and "one day left" in a few seconds, in any number, and now and then delivered again. */
function alertBurst(load: Workload, iccid: string, number: number): void {
  const { random, scheduler, simulator } = load;
  const spreadMs = random.fraction() < 0.5 ? 3_000 : 10 * 60_000;
  for (let i = 0; i < random.integer(1, 3); i++) {
    const body = { event: 'FlowAlert', id: `simx${number}y${i}`, iccid, alert_type: 1 + i, alert_value: '9' };
    load.claim(body.id, genuine('a usage alert'));
    const times = random.fraction() < 0.3 ? 2 : 1;
    for (let n = 0; n < times; n++)
      scheduler.outside(random.integer(0, spreadMs), () => void simulator.emit('eiotclub', body));
  }
}

/** The oldest order in use ends; CSSS says so without a signature. */
function expire(load: Workload, simId: string): void {
  const { simulator, scheduler } = load;
  const running = [...simulator.books.orders.values()].find(
    (order) => order.simId === simId && order.endedAt === null && order.visibleFrom <= scheduler.now(),
  );
  if (running === undefined) return;
  load.claim(`${running.orderId}/1008/${scheduler.now()}`, genuine('an order that ended'));
  simulator.expireOrder(running.orderId);
}

function remind(load: Workload, simId: string, number: number): void {
  const expireTime = `2026-11-${10 + number} 00:00:00`;
  load.claim(`${simId}/${expireTime}/1`, genuine('a reminder'));
  const device = { deviceId: simId, expireTime, warningCode: '1' };
  load.simulator.emit('linksfield-csss', { devices: [device] });
}

/** What no rule asks for: an event that nobody knows, one of another kind, an alert of a type that nobody knows. */
function unasked(load: Workload, cards: Cards, number: number): void {
  const id = `simu${number}`;
  load.claim(id, genuine('an event that no rule asks for'));
  const kinds = [
    { event: 'NewFeature', level: 3 },
    { event: 'CardStopped' },
    { event: 'FlowAlert', alert_type: 7, alert_value: '9' },
  ];
  load.simulator.emit('eiotclub', { id, iccid: cards.eiotclub[0] ?? '', ...kinds[number % kinds.length] });
}

/** A usage alert with a signature that nobody who knows the secret made. */
function forge(load: Workload, iccid: string, number: number): void {
  load.chance.count('forged-callback');
  const id = `simf${number}`;
  load.claim(id, { genuine: () => false, what: 'forged' });
  const sign = createHash('sha1').update(id).digest('hex').toUpperCase();
  const timestamp = Math.floor(load.scheduler.now() / 1_000);
  const body = {
    event: 'FlowAlert',
    id,
    timestamp,
    nonce: 12_345,
    iccid,
    alert_type: 1,
    alert_value: '1',
    sign,
  };
  load.post('/callbacks/eiotclub', body, {});
}

/** An unsigned order status that is not so: the order runs, or does not exist. Its sender knows the secret path. */
function lie(load: Workload, simId: string, number: number): void {
  load.chance.count('false-callback');
  const { scheduler, simulator, random } = load;
  const running = [...simulator.books.orders.values()].find(
    (order) => order.simId === simId && order.endedAt === null,
  );
  const order_id =
    running !== undefined && random.fraction() < 0.8 ? running.orderId : `ORDER_NONE_${number}`;
  // A millisecond off, so that it can't be the same fact as a true one.
  const at = scheduler.now() + 1;
  const hasEnded = (): boolean =>
    running !== undefined && order_id === running.orderId && running.endedAt !== null;
  load.claim(`${order_id}/1008/${at}`, { genuine: hasEnded, what: 'not so' });
  load.simulator.emit(
    'linksfield-csss',
    {
      partner_code: 'P000270',
      sim_id: simId,
      imsi: null,
      order_id,
      package_code: 'DP20190726001274',
      status: '1008',
      occurred_at: String(at),
    },
    { signed: false },
  );
}

/** The provider gives one of our orders back and says so. */
function refund(load: Workload, simId: string, number: number): void {
  const { simulator, random } = load;
  const bought = simulator.orders({ provider: 'eiotclub', simId });
  const order = bought[random.integer(0, bought.length - 1)];
  if (order === undefined || order.visibleFrom > load.scheduler.now()) return;
  const id = `simr${number}`;
  load.claim(id, genuine('a refund'));
  load.refunded(id, order.orderId, 100);
  simulator.emit('eiotclub', {
    event: 'CloudESimRefund',
    id,
    iccid: simId,
    orderId: order.orderId,
    orderAmount: '5.00',
    refundAmount: '1.00',
    currency: 'USD',
    ...(random.fraction() < 0.5 ? { outTradeNo: order.reference } : {}),
  });
}

/** Longest time over which events happen; faults end with it. */
export const horizonMax = hours(8);
