import { type Subject, subjectOf } from '../../core/subject.ts';
import { type EpochMs, epochMs } from '../../core/time.ts';
import type { EventFacts, OrderReference } from '../../core/webhook-event.ts';
import type { JsonBody } from '../../signing/index.ts';
import { canonicalText, type Fields, isFields, readExactBody, textOf } from '../exact-json.ts';
import type { CallbackFact, CallbackReading } from '../provider.ts';

export const cubeId = 'linksfield-cube';

/** More facts than this in one notification are refused: a list needs a limit. */
export const factsMax = 500;

/**
 * Where a value may stand. No payload is published, so the names are those of the documented calls (sections 5.4
 * and 4), plus the usual names for the kind of an event.
 */
const names = {
  iccid: ['sim_id', 'simId', 'iccid', 'ICCID', 'device_id', 'deviceId'],
  imsi: ['imsi', 'IMSI'],
  order: ['order_id', 'orderId'],
  bundle: ['bundle_id', 'bundleId'],
  type: [
    'event_type',
    'eventType',
    'event',
    'notification_type',
    'notificationType',
    'sub_type',
    'subType',
    'type',
    'topic',
    'name',
  ],
  operation: [
    'operation',
    'action',
    'sub_type',
    'subType',
    'api',
    'event_type',
    'eventType',
    'event',
    'type',
  ],
  request: ['request_id', 'requestId'],
  result: ['result', 'result_code', 'resultCode', 'status', 'code'],
  simStatus: ['sim_status', 'simStatus', 'new_status', 'newStatus', 'life_cycle', 'lifeCycle'],
  smsText: ['text_message', 'textMessage', 'message_type', 'messageType'],
  usagePercent: ['usage_percent', 'usagePercent', 'percent', 'percentage', 'usage_rate', 'usageRate'],
  usageLeft: ['remaining', 'remaining_data', 'remainingData', 'balance', 'left'],
  usageOther: ['usage', 'current_cycle_usage', 'threshold', 'used'],
  time: [
    'event_time',
    'eventTime',
    'occurred_at',
    'occurredAt',
    'created_at',
    'createdAt',
    'updated_at',
    'updatedAt',
    'received_at',
    'finished_at',
    'timestamp',
    'time',
  ],
} as const;

/**
 * Members that differ between two deliveries of one fact: a resend from the console has the same content under a
 * new transaction id. Source: protocols/linksfield.md, section 6 (manual resend).
 */
const notContent: ReadonlySet<string> = new Set([
  'sign',
  'signature',
  'nonce',
  'transaction_id',
  'transactionid',
]);

/** One fact's members: the innermost object first. */
type Scopes = readonly Fields[];

/**
 * Reads the body of any Cube notification into facts. What is not recognised becomes an `unknown` fact, so that
 * nothing signed is dropped. Fails for bodies that are no JSON object, that name a member twice, or that hold more
 * than `factsMax` facts.
 * Source: protocols/linksfield.md, section 6 (events known; their payloads are not).
 */
export function readCubeNotification(body: JsonBody): CallbackReading {
  const reading = readExactBody(body);
  if (!reading.ok) return reading;
  if (!isFields(reading.value)) {
    return { ok: false, reason: 'not-an-object', detail: 'expected a JSON object' };
  }
  const items = itemsOf(reading.value);
  if (items.length > factsMax) {
    return {
      ok: false,
      reason: 'too-many-facts',
      detail: `${items.length} facts, allowed are ${factsMax}: ask the provider for smaller lists`,
    };
  }
  const facts = items.map(readFact);
  return { ok: true, facts: [...new Map(facts.map((fact) => [fact.identity, fact])).values()] };
}

/** `data` may hold one object or a list of them, and `sim_ids` a list of SIMs: one fact each. */
function itemsOf(top: Fields): readonly Scopes[] {
  const data = Object.hasOwn(top, 'data') ? top.data : null;
  const rest = without(top, 'data');
  const scopes: readonly Scopes[] =
    Array.isArray(data) && data.length > 0 && data.every(isFields)
      ? data.map((item) => [item, rest])
      : isFields(data)
        ? [[data, rest]]
        : [[top]];
  return scopes.flatMap(bySim);
}

function bySim(scopes: Scopes): readonly Scopes[] {
  const holder = scopes.find((fields) => Object.hasOwn(fields, 'sim_ids'));
  const simIds = holder?.sim_ids;
  const isList = Array.isArray(simIds) && simIds.length > 0 && simIds.every((id) => typeof id === 'string');
  if (holder === undefined || !isList) return [scopes];
  const rest = scopes.map((fields) => (fields === holder ? without(fields, 'sim_ids') : fields));
  return simIds.map((simId): Scopes => [{ sim_id: simId }, ...rest]);
}

function without(fields: Fields, name: string): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([each]) => each !== name));
}

function readFact(scopes: Scopes): CallbackFact {
  const type = first(scopes, names.type);
  const facts = recognise(scopes, type ?? '');
  return {
    facts,
    providerType: (type ?? (facts.kind === 'unknown' ? 'unrecognised' : facts.kind)).slice(0, 64),
    subject: readSubject(scopes),
    occurredAt: readMoment(scopes),
    identity: `${facts.kind} ${canonicalText(scopes.map(contentOf))}`,
    identityIsUnique: first(scopes, names.time) !== null,
  };
}

/** Milliseconds in UTC: section 5.1. Any of the time members will do. */
function readMoment(scopes: Scopes): EpochMs | null {
  const found = all(scopes, names.time).find((text) => /^\d{13}$/.test(text));
  return found === undefined ? null : epochMs(Number(found));
}

/** From the most telling sign to the least: members of a documented call before words in the event's name. */
function recognise(scopes: Scopes, type: string): EventFacts {
  const order = readOrder(scopes);
  if (/sms/i.test(type) || first(scopes, names.smsText) !== null) {
    return /deliver|downlink|report|receipt/i.test(type)
      ? { kind: 'sms-delivered' }
      : { kind: 'sms-received', encoding: 'unknown' };
  }
  const requestId = first(scopes, names.request);
  if (requestId !== null || /async/i.test(type)) {
    return {
      kind: 'async-result',
      requestId,
      operation: first(scopes, names.operation),
      result: first(scopes, names.result),
    };
  }
  if (/recharge|top[-_ ]?up/i.test(type)) return { kind: 'recharge', order };
  // What the status values of a renew order mean is not documented, so the status stays unknown.
  if (/renew/i.test(type) || /^OL-/.test(order.orderId ?? '')) {
    return { kind: 'order-status', status: 'unknown', order };
  }
  const simStatus = first(scopes, names.simStatus);
  if (simStatus !== null || /sim[-_ ]?(?:status|state)|life[-_ ]?cycle/i.test(type)) {
    return { kind: 'sim-status', status: simStatus ?? first(scopes, ['status']) ?? 'unknown' };
  }
  return asUsageAlert(scopes, type, order) ?? { kind: 'unknown' };
}

/** A percentage or a remaining amount counts as such by its name (inferred); anything else stays `unknown`. */
function asUsageAlert(scopes: Scopes, type: string, order: OrderReference): EventFacts | null {
  const percent = first(scopes, names.usagePercent);
  if (percent !== null) return { kind: 'usage-alert', alert: 'low-data-percent', value: percent, order };
  const left = first(scopes, names.usageLeft);
  if (left !== null) return { kind: 'usage-alert', alert: 'low-data', value: left, order };
  const value = first(scopes, names.usageOther);
  return value !== null || /usage|threshold/i.test(type)
    ? { kind: 'usage-alert', alert: 'unknown', value, order }
    : null;
}

/** Two different numbers give none: an order must never be guessed. */
function readOrder(scopes: Scopes): OrderReference {
  return { orderId: agreed(scopes, names.order), reference: null, packageCode: agreed(scopes, names.bundle) };
}

/** The ICCID that all members agree on, else the IMSI. Members that name two SIMs give none. */
function readSubject(scopes: Scopes): Subject | null {
  const subjects = all(scopes, names.iccid).flatMap((text) => subjectOf(cubeId, 'iccid', text) ?? []);
  const [one] = subjects;
  if (one !== undefined) return subjects.every(({ key }) => key === one.key) ? one : null;
  const imsi = agreed(scopes, names.imsi);
  return imsi === null ? null : subjectOf(cubeId, 'imsi', imsi);
}

function contentOf(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !notContent.has(name.toLowerCase())));
}

function all(scopes: Scopes, wanted: readonly string[]): readonly string[] {
  return scopes.flatMap((fields) => wanted.flatMap((name) => textOf(fields, name) ?? []));
}

function first(scopes: Scopes, wanted: readonly string[]): string | null {
  return all(scopes, wanted)[0] ?? null;
}

function agreed(scopes: Scopes, wanted: readonly string[]): string | null {
  const texts = new Set(all(scopes, wanted));
  const [only] = texts;
  return texts.size === 1 && only !== undefined ? only : null;
}
