import { type Money, parseMajorAmount } from '../../core/money.ts';
import { type SimIdKind, type Subject, subjectOf } from '../../core/subject.ts';
import { type EpochMs, epochMs } from '../../core/time.ts';
import type { EventFacts, OrderReference, UsageAlert } from '../../core/webhook-event.ts';
import type { Callback } from '../callback.ts';
import { canonicalText, type Fields, isFields, readExactBody, textOf } from '../exact-json.ts';
import type { CallbackFact, CallbackReading, ReadContext } from '../provider.ts';

/** Rows of one notification; the page says "can cover several cards" and names no limit, so this one is ours. */
export const rowsMax = 500;

// Fields are read one by one and leniently: one that is missing or has another shape becomes null, and the
// notification is kept. Numbers arrive here as their own text (exact-json.ts).

/** Root fields of every notification. Source: protocols/eiotclub.md, section 3 (D). */
const headerIn = (root: Fields) => ({
  id: textOf(root, 'id'),
  event: textOf(root, 'event'),
  timestamp: textOf(root, 'timestamp'),
});
type Header = ReturnType<typeof headerIn>;

/**
 * What is read of a row, whatever the event: which one has what is documented in pieces, so each field is read wherever
 * it stands. Source: protocols/eiotclub.md, section 3.1 (D: the cards) and 3.2 (D: alerts and refunds; I: `currency`, and
 * the order of package events, whose field lists are cut off).
 */
const rowIn = (fields: Fields) => ({
  iccid: textOf(fields, 'iccid'),
  eid: textOf(fields, 'eid'),
  orderId: textOf(fields, 'orderId'),
  eshopOrderId: textOf(fields, 'eshopOrderId'),
  outTradeNo: textOf(fields, 'outTradeNo'),
  packageCode: textOf(fields, 'packageCode'),
  alert_type: textOf(fields, 'alert_type'),
  alert_value: textOf(fields, 'alert_value'),
  refundAmount: textOf(fields, 'refundAmount'),
  currency: textOf(fields, 'currency'),
});
type Row = ReturnType<typeof rowIn>;

type ReadFacts = (row: Row, context: ReadContext) => EventFacts;

const factsOfPackage =
  (kind: 'package-ordered' | 'package-effective' | 'package-stopped'): ReadFacts =>
  (row) => ({ kind, order: orderIn(row) });

const factsOfCard =
  (kind: 'card-stopped' | 'sim-unlocked' | 'sim-moved'): ReadFacts =>
  () => ({ kind });

/** Event names and what they mean. Source: protocols/eiotclub.md, section 3.1. */
const eventReaders: ReadonlyMap<string, ReadFacts> = new Map([
  ['FlowAlert', factsOfFlowAlert],
  ['CloudESimFlowAlert', factsOfFlowAlert],
  ['SubPkgList', factsOfPackage('package-ordered')],
  ['CloudESimSubPkgList', factsOfPackage('package-ordered')],
  ['PkgEffective', factsOfPackage('package-effective')],
  ['CloudESimPkgActivate', factsOfPackage('package-effective')],
  ['PkgQuantityList', factsOfPackage('package-stopped')],
  ['CardStopped', factsOfCard('card-stopped')],
  ['CloudESimCardStopped', factsOfCard('card-stopped')],
  ['CloudESimRefund', factsOfRefund],
  ['IMEIUnLock', factsOfCard('sim-unlocked')],
  ['CloudESimUnLock', factsOfCard('sim-unlocked')],
  ['CardMovedInIMEIPool', factsOfCard('sim-moved')],
]);

/** `alert_type`. Source: protocols/eiotclub.md, section 3.2 (D). */
const alertTypes: ReadonlyMap<string, UsageAlert> = new Map([
  ['1', 'low-data'],
  ['2', 'low-data-percent'],
  ['3', 'expiring'],
]);

function factsOfFlowAlert(row: Row): EventFacts {
  return {
    kind: 'usage-alert',
    alert: alertTypes.get(row.alert_type ?? '') ?? 'unknown',
    value: row.alert_value,
    order: orderIn(row),
  };
}

function factsOfRefund(row: Row, context: ReadContext): EventFacts {
  return {
    kind: 'refund',
    order: orderIn(row),
    refunded: amountOf(row.refundAmount, row.currency?.toUpperCase() ?? context.currency),
    refundedText: row.refundAmount,
  };
}

function amountOf(amount: string | null, currency: string): Money | null {
  return amount === null ? null : parseMajorAmount(amount, currency);
}

function orderIn(row: Row): OrderReference {
  return {
    orderId: row.orderId ?? row.eshopOrderId,
    reference: row.outTradeNo,
    packageCode: row.packageCode,
  };
}

/**
 * Reads a notification into one fact per card or order that it reports on.
 * An event name that we don't know, a row without a readable card, a missing field: all are kept. Only a body
 * that isn't one JSON object, names a member twice, or has more than {@link rowsMax} rows is refused.
 * Source: protocols/eiotclub.md, section 3.
 */
export function readCallback(callback: Callback, context: ReadContext): CallbackReading {
  const reading = readExactBody(callback.json);
  if (!reading.ok) return reading;
  if (!isFields(reading.value)) {
    return { ok: false, reason: 'not-an-object', detail: 'the body is JSON, but must be one object' };
  }
  const root = reading.value;
  const rows = rowsOf(root);
  if (rows.length > rowsMax) {
    return {
      ok: false,
      reason: 'too-many-facts',
      detail: `${rows.length} rows, at most ${rowsMax} are read`,
    };
  }
  const header = headerIn(root);
  const outside = withoutData(root);
  const factsOf = eventReaders.get(header.event ?? '');
  const facts = rows.map((row, index): CallbackFact => {
    const fields = rowIn(isFields(row) ? { ...outside, ...row } : outside);
    return {
      facts: factsOf === undefined ? { kind: 'unknown' } : factsOf(fields, context),
      providerType: header.event ?? '(no event name)',
      subject: subjectIn(fields, header.event ?? ''),
      occurredAt: momentOf(header.timestamp),
      identity: identityOf(root, header, row, index),
      identityIsUnique: header.id !== null || header.timestamp !== null,
    };
  });
  return { ok: true, facts };
}

/** The rows of `data`; a body without any reports on the card in its root. */
function rowsOf(root: Fields): readonly unknown[] {
  const data = Object.hasOwn(root, 'data') ? root.data : null;
  if (Array.isArray(data)) return data.length === 0 ? [null] : data;
  return isFields(data) ? [data] : [null];
}

function withoutData(root: Fields): Fields {
  if (!Object.hasOwn(root, 'data')) return root;
  return Object.fromEntries(Object.entries(root).filter(([name]) => name !== 'data'));
}

/** Cloud eSIM events name their card by EID, all others by ICCID; the other name counts only where that is missing. */
function subjectIn({ iccid, eid }: Row, event: string): Subject | null {
  const kinds: readonly SimIdKind[] = event.startsWith('CloudESim') ? ['eid', 'iccid'] : ['iccid', 'eid'];
  for (const kind of kinds) {
    const value = kind === 'eid' ? eid : iccid;
    if (value !== null) return subjectOf('eiotclub', kind, value);
  }
  return null;
}

/** Unix seconds, 10 digits; 13 digits are read as milliseconds. Source: section 3 (D), milliseconds (I). */
function momentOf(timestamp: string | null): EpochMs | null {
  if (timestamp === null) return null;
  if (/^\d{10}$/.test(timestamp)) return epochMs(Number(timestamp) * 1_000);
  return /^\d{13}$/.test(timestamp) ? epochMs(Number(timestamp)) : null;
}

/** Not signed, or different in each delivery, or (`data`) named by its row. */
const deliveryFields: ReadonlySet<string> = new Set(['sign', 'nonce', 'data', 'appkey', 'appKey', 'app_key']);

/**
 * Names a row for dedup: by the delivery's `id`, the event and the row's place in it; without an `id` by the
 * content, timestamp included. Only signed values count, since whoever replays a message could change the others:
 * blank members take no part in the signature, and numbers may be spelled in several ways.
 * Source: protocols/eiotclub.md, section 3 (`id` is the unique id of the request) and section 2 (what is signed).
 */
function identityOf(root: Fields, header: Header, row: unknown, index: number): string {
  if (header.id !== null) return JSON.stringify(['id', plainNumber(header.id), header.event, index]);
  const own = Object.entries(root).filter(([name, value]) => !deliveryFields.has(name) && !isBlank(value));
  return canonicalText(['content', Object.fromEntries(own), isBlank(row) ? null : row, index]);
}

function isBlank(value: unknown): boolean {
  return value === null || value === '' || ['[]', '{}'].includes(JSON.stringify(value));
}

/** One spelling for a number with a fraction or an exponent: 13.0 and 1.3e1 are 13. */
function plainNumber(spelled: string): string {
  return /^\d{1,15}(?:\.\d{1,20})?(?:e[+-]?\d{1,2})?$/i.test(spelled) ? String(Number(spelled)) : spelled;
}
