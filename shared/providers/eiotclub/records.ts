import type { PurchaseOrder } from '../../core/action.ts';
import type { Finding } from '../../core/outcome.ts';
import type { OrderPhase, ProviderOrder } from '../../core/provider-order.ts';
import { type Subject, subjectOf } from '../../core/subject.ts';
import { days, type EpochMs, epochMs, hours } from '../../core/time.ts';
import type { EventFacts, OrderReference, UsageAlert } from '../../core/webhook-event.ts';
import { moneyOf, type OrderRecord } from './wire.ts';

/**
 * Looks for the order that carries our reference; null when no row does.
 * Only the exact reference counts. Dates are never compared, since their zone is not known
 * (protocols/eiotclub.md, section 5, U). What can't be told apart is ambiguous and never guessed.
 */
export function findByReference(
  rows: readonly OrderRecord[],
  order: PurchaseOrder,
  knownOrderIds: ReadonlySet<string>,
): Finding | null {
  const ours = rows.filter((row) => row.outTradeNo === order.reference);
  const [first] = ours;
  if (first === undefined) return null;
  const candidates = [...new Set(ours.flatMap((row) => row.orderId ?? []))];
  const ambiguous = (why: string): Finding => ({ kind: 'ambiguous', candidates, why });
  const [orderId, ...others] = candidates;
  if (orderId === undefined) return ambiguous('an order with our reference has no order id');
  if (others.length > 0) return ambiguous('several orders carry our reference');
  if (knownOrderIds.has(orderId)) return ambiguous('the order belongs to another action already');
  if (ours.some((row) => isOfOtherSim(row, order.subject))) {
    return ambiguous('an order with our reference is on another SIM');
  }
  const row = ours.find((one) => one.price !== null) ?? first;
  const how = ours.some((one) => one.isRefund === '1') ? 'outTradeNo, refunded' : 'outTradeNo';
  return { kind: 'found', providerOrderId: orderId, charge: moneyOf(row.price, row.currency), how };
}

function isOfOtherSim(row: OrderRecord, subject: Subject): boolean {
  return row.iccid !== null && subjectOf(subject.provider, 'iccid', row.iccid)?.key !== subject.key;
}

/**
 * One row for reconciliation; null when it has no order id, and so can't be matched to anything. Dates count only
 * with a zone that the stage names.
 */
export function providerOrderOf(
  row: OrderRecord,
  subject: Subject,
  zoneOffsetMinutes: number | null,
): ProviderOrder | null {
  if (row.orderId === null) return null;
  const { orderId, outTradeNo: reference, packageCode } = row;
  const phase = phases.get(row.state ?? '') ?? 'unknown';
  const order = { orderId, reference, packageCode };
  return {
    ...order,
    simId: row.iccid ?? subject.simId,
    stateCode: row.state ?? '',
    phase,
    createdAtText: row.createDate,
    createdAt: placeDate(row.createDate, zoneOffsetMinutes),
    endsAtText: row.endDate,
    endsAt: phase === 'waiting' ? null : placeDate(row.endDate, zoneOffsetMinutes),
    price: moneyOf(row.price, row.currency),
    refunded: row.isRefund === '1',
    told: toldBy(phase, order),
  };
}

/** Source: protocols/eiotclub.md, section 4.2 (state). */
const phases: ReadonlyMap<string, OrderPhase> = new Map([
  ['0', 'waiting'],
  ['1', 'active'],
  ['2', 'ended'],
]);

/** `PkgEffective` and `PkgQuantityList`. Source: protocols/eiotclub.md, section 3.1. */
function toldBy(phase: OrderPhase, order: OrderReference): EventFacts | null {
  if (phase === 'active') return { kind: 'package-effective', order };
  return phase === 'ended' ? { kind: 'package-stopped', order } : null;
}

/** A date without a zone, read with the zone given; null without one or for a text of another form. */
function placeDate(text: string | null, zoneOffsetMinutes: number | null): EpochMs | null {
  const local = readDate(text);
  if (local === null || zoneOffsetMinutes === null) return null;
  const moment = local - zoneOffsetMinutes * 60_000;
  return moment < 0 ? null : epochMs(moment);
}

/** A date's figures as if they were UTC; null for a text of another form. */
function readDate(text: string | null): number | null {
  const match = /^(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}:\d{2})$/.exec(text ?? '');
  const moment = match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2]}Z`);
  return Number.isNaN(moment) ? null : moment;
}

/** Whether the records bear out a claim, contradict it, or can't tell. */
export type Judgement = 'confirmed' | 'denied' | 'cannot-tell';

/**
 * Judges a notification's claim by the card's order records. `complete` says whether these are all of them:
 * only then can something that is missing contradict a claim.
 * Source: protocols/eiotclub.md, section 4.2 (states) and section 3.1 (what each event claims).
 */
export function judgeClaim(
  facts: EventFacts,
  records: { readonly rows: readonly OrderRecord[]; readonly complete: boolean },
  now: EpochMs,
): Judgement {
  const { rows, complete } = records;
  switch (facts.kind) {
    case 'usage-alert':
      return judgeAlert(facts.alert, records, now);
    case 'card-stopped':
      if (rows.some((row) => row.state === '1' && (row.flowRemain ?? 0) > 0)) return 'denied';
      return complete && rows.length > 0 && rows.every((row) => row.state === '2')
        ? 'confirmed'
        : 'cannot-tell';
    case 'package-ordered':
      return judgeOrder(facts.order.orderId, rows, () => 'confirmed');
    case 'package-effective':
      return judgeOrder(facts.order.orderId, rows, (row) =>
        byState(row, { '0': 'denied', '1': 'confirmed', '2': 'confirmed' }),
      );
    case 'package-stopped':
      return judgeOrder(facts.order.orderId, rows, (row) =>
        byState(row, { '0': 'denied', '1': 'denied', '2': 'confirmed' }),
      );
    case 'refund':
      return judgeOrder(facts.order.orderId, rows, (row) =>
        row.isRefund === '1' ? 'confirmed' : row.isRefund === '0' ? 'denied' : 'cannot-tell',
      );
    default:
      return 'cannot-tell';
  }
}

function judgeOrder(
  orderId: string | null,
  rows: readonly OrderRecord[],
  judge: (row: OrderRecord) => Judgement,
): Judgement {
  const row = orderId === null ? undefined : rows.find((one) => one.orderId === orderId);
  return row === undefined ? 'cannot-tell' : judge(row);
}

function byState(row: OrderRecord, states: Readonly<Record<'0' | '1' | '2', Judgement>>): Judgement {
  const { state } = row;
  return state === '0' || state === '1' || state === '2' ? states[state] : 'cannot-tell';
}

/** One package in use that is low bears the alert out; all of them far from it contradict it. */
function judgeAlert(
  alert: UsageAlert,
  { rows, complete }: { readonly rows: readonly OrderRecord[]; readonly complete: boolean },
  now: EpochMs,
): Judgement {
  const judgements = rows.filter((row) => row.state === '1').map((row) => judgePackage(alert, row, now));
  if (judgements.includes('confirmed')) return 'confirmed';
  const allDeny = judgements.length > 0 && judgements.every((one) => one === 'denied');
  return complete && allDeny ? 'denied' : 'cannot-tell';
}

/** Limits of the alerts. Source: protocols/eiotclub.md, section 3.2 (100 M, 10 %, 7 days; M read as 2^20 bytes, I). */
const lowBytes = 100 * 1_048_576;
const lowShare = 0.1;
const soon = days(7);
/** Above the limit by this factor, even usage that lags behind contradicts the alert (own choice). */
const farAbove = 5;

function judgePackage(alert: UsageAlert, row: OrderRecord, now: EpochMs): Judgement {
  switch (alert) {
    case 'low-data-percent':
      if (row.flowTotal === null || row.flowRemain === null || row.flowTotal <= 0) return 'cannot-tell';
      return against(row.flowRemain / row.flowTotal, lowShare);
    case 'low-data': {
      const bytes = remainingBytes(row);
      return bytes === null ? 'cannot-tell' : against(bytes, lowBytes);
    }
    case 'expiring':
      return judgeEnd(row.endDate, now);
    case 'unknown':
      return 'cannot-tell';
    default: {
      const never: never = alert;
      throw new Error(`unknown alert: ${String(never)}`);
    }
  }
}

function against(value: number, limit: number): Judgement {
  if (value < limit) return 'confirmed';
  return value > limit * farAbove ? 'denied' : 'cannot-tell';
}

/**
 * Bytes that remain; null when the unit can't be told. The unit of flowTotal and flowRemain is not stated
 * (section 5, I), but flowUsageBytes is in bytes: what is used, in both, gives the unit.
 */
function remainingBytes(row: OrderRecord): number | null {
  if (row.flowRemain === 0) return 0;
  if (row.flowTotal === null || row.flowRemain === null || row.flowUsageBytes === null) return null;
  const used = row.flowTotal - row.flowRemain;
  if (used <= 0) return null;
  const bytesPerUnit = row.flowUsageBytes / used;
  const unit = [1, 1e3, 1024, 1e6, 1024 ** 2, 1e9, 1024 ** 3].find(
    (one) => Math.abs(bytesPerUnit / one - 1) < 0.01,
  );
  return unit === undefined ? null : row.flowRemain * unit;
}

/** The end date has no zone: only what holds from UTC-12 to UTC+14 counts. */
function judgeEnd(endDate: string | null, now: EpochMs): Judgement {
  const end = readDate(endDate);
  if (end === null) return 'cannot-tell';
  if (end + hours(12) - now < soon) return 'confirmed';
  return end - hours(14) - now > soon ? 'denied' : 'cannot-tell';
}
