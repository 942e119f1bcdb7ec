import { type Subject, subjectOf } from '../../core/subject.ts';
import { type EpochMs, epochMs } from '../../core/time.ts';
import type {
  EventFacts,
  OrderReference,
  OrderStatus,
  PlanWarning,
  UsageAlert,
} from '../../core/webhook-event.ts';
import type { JsonBody } from '../../signing/index.ts';
import {
  agreedText,
  canonicalText,
  type Fields,
  firstText,
  isFields,
  readExactBody,
  textOf,
} from '../exact-json.ts';
import type { CallbackFact, CallbackReading } from '../provider.ts';

export const csssId = 'linksfield-csss';

/** More facts than this in one callback are refused: the weekly reminder lists SIMs, and a list needs a limit. */
export const factsMax = 500;

/**
 * What the codes of an order status change mean. 1006 and 1011 are not listed by the provider.
 * Source: protocols/linksfield.md, section 4 (E/api-42599706).
 */
const orderStatusByCode: ReadonlyMap<string, OrderStatus> = new Map([
  ['1000', 'created'],
  ['1001', 'ended-early'],
  ['1002', 'cancelled'],
  ['1003', 'paused'],
  ['1004', 'restarted'],
  ['1005', 'started'],
  ['1007', 'started'],
  ['1008', 'expired'],
  ['1009', 'renewed'],
  ['1010', 'cycles-reduced'],
  ['1012', 'imsi-redownloaded'],
]);

/** Source: protocols/linksfield.md, section 4 (plan reminder, E/api-42599743). */
const warningByCode: ReadonlyMap<string, PlanWarning> = new Map([
  ['1', 'no-plan'],
  ['2', 'expiring'],
  ['3', 'expired'],
  ['4', 'trial-used'],
]);

/**
 * Where a value may stand. The bodies of order status and usage alert are not published, so the names are those
 * of the documented calls and callbacks (sections 3 and 4) in both of the provider's spellings.
 */
const names = {
  iccid: ['device_id', 'deviceId', 'sim_id', 'simId', 'iccid', 'ICCID', 'assetId'],
  imsi: ['imsi', 'IMSI'],
  order: ['order_id', 'orderId', 'order_code', 'orderCode'],
  packageCode: ['package_code', 'packageCode'],
  code: [
    'status',
    'code',
    'order_status',
    'orderStatus',
    'status_code',
    'statusCode',
    'event_type',
    'eventType',
    'notify_type',
    'notifyType',
    'change_type',
    'changeType',
    'type',
    'event',
    'operate_type',
    'operateType',
  ],
  time: [
    'received_at',
    'receivedAt',
    'event_time',
    'eventTime',
    'occurred_at',
    'notify_time',
    'notifyTime',
    'operate_time',
    'operateTime',
    'change_time',
    'changeTime',
    'update_time',
    'updateTime',
    'create_time',
    'createTime',
    'delivered_at',
    'deliveryTime',
    'delivery_time',
    'timestamp',
    'time',
  ],
  usageRate: ['flowUseRate', 'flow_use_rate', 'use_rate', 'useRate', 'percent', 'usage_rate', 'usageRate'],
  usageLeft: [
    'high_flow_balance',
    'flow_balance',
    'flowBalance',
    'remain_flow',
    'remainFlow',
    'surplus_flow',
    'surplusFlow',
  ],
  usageOther: [
    'order_used_flow',
    'orderUsedFlow',
    'used_flow',
    'usedFlow',
    'threshold',
    'warning_flow',
    'warningFlow',
  ],
  smsText: ['text_message', 'textMessage'],
  smsType: ['message_type', 'messageType'],
  smsDelivery: [
    'delivered_at',
    'deliveredAt',
    'delivery_status',
    'deliveryStatus',
    'sms_status',
    'smsStatus',
    'send_status',
    'sendStatus',
  ],
  recharge: ['recharge_id', 'rechargeId', 'recharge_amount', 'rechargeAmount', 'recharge_time'],
} as const;

/** Members that differ between two deliveries of one fact, or that prove instead of tell. */
const notContent: ReadonlySet<string> = new Set(['sign', 'signature', 'nonce', 'x-lf-md5', 'x-lf-delivery']);

/**
 * Reads the body of any CSSS callback into facts. What is not recognised becomes an `unknown` fact, so that
 * nothing signed is dropped. Fails for bodies that are no JSON object (or list of objects), that name a member
 * twice, or that hold more than `factsMax` facts.
 * Source: protocols/linksfield.md, section 4.
 */
export function readCsssCallback(body: JsonBody): CallbackReading {
  const reading = readExactBody(body);
  if (!reading.ok) return reading;
  const items = itemsOf(reading.value);
  if (items === null) {
    return { ok: false, reason: 'not-an-object', detail: 'expected a JSON object or a list of JSON objects' };
  }
  if (items.length > factsMax) {
    return {
      ok: false,
      reason: 'too-many-facts',
      detail: `${items.length} facts, allowed are ${factsMax}: ask the provider for smaller lists`,
    };
  }
  const facts = items.map(({ fields, isDevice }) => (isDevice ? readReminder(fields) : readSingle(fields)));
  return { ok: true, facts: withoutRepeats(facts) };
}

interface Item {
  readonly fields: Fields;
  readonly isDevice: boolean;
}

/** The MD5 rule speaks of arrays of objects, so a list at the top is a documented form too. */
function itemsOf(value: unknown): readonly Item[] | null {
  const tops = Array.isArray(value) ? value : [value];
  if (tops.length === 0 || !tops.every(isFields)) return null;
  return tops.flatMap((top): readonly Item[] => {
    const devices = Object.hasOwn(top, 'devices') ? top.devices : null;
    if (!Array.isArray(devices) || devices.length === 0 || !devices.every(isFields)) {
      return [{ fields: top, isDevice: false }];
    }
    return devices.map((fields) => ({ fields, isDevice: true }));
  });
}

/** The same row twice in one list is the same fact. */
function withoutRepeats(facts: readonly CallbackFact[]): readonly CallbackFact[] {
  return [...new Map(facts.map((fact) => [fact.identity, fact])).values()];
}

function readReminder(fields: Fields): CallbackFact {
  const warningCode = textOf(fields, 'warningCode');
  const expiresAt = textOf(fields, 'expireTime');
  return {
    facts: {
      kind: 'plan-reminder',
      warning: warningByCode.get(warningCode ?? '') ?? 'unknown',
      expiresAt,
    },
    providerType: `plan-reminder:${short(warningCode ?? 'none')}`,
    subject: readSubject(fields),
    occurredAt: null,
    identity: contentOf(fields),
    // A reminder is repeated every week; only the expiry that it warns of sets this term apart from the last.
    identityIsUnique: expiresAt !== null,
  };
}

function readSingle(fields: Fields): CallbackFact {
  const { facts, providerType } = recognise(fields);
  return {
    facts,
    providerType,
    subject: readSubject(fields),
    occurredAt: readMoment(firstText(fields, names.time)),
    identity: contentOf(fields),
    identityIsUnique: firstText(fields, names.time) !== null,
  };
}

interface Recognised {
  readonly facts: EventFacts;
  readonly providerType: string;
}

/** SMS first: their members are documented, and an SMS may carry any text in a member named `type`. */
function recognise(fields: Fields): Recognised {
  return (
    asSms(fields) ??
    asOrderStatus(fields) ??
    asRecharge(fields) ??
    asUsageAlert(fields) ?? {
      facts: { kind: 'unknown' },
      providerType: short(firstText(fields, names.code) ?? 'unrecognised'),
    }
  );
}

/** Source: protocols/linksfield.md, section 4 (E/api-42599701). Downlink and plain uplink bodies are unpublished. */
function asSms(fields: Fields): Recognised | null {
  if (firstText(fields, names.smsDelivery) !== null) {
    return { facts: { kind: 'sms-delivered' }, providerType: 'sms-downlink' };
  }
  const messageType = firstText(fields, names.smsType);
  const encoding = encodings.get(messageType?.toLowerCase() ?? '') ?? 'unknown';
  // A blank text counts too: members that sort after it are not proven by the MD5, so a body that holds it must
  // never be read as anything but an SMS (signing/csss-callback.ts).
  const hasText = names.smsText.some((name) => Object.hasOwn(fields, name));
  if (!hasText && encoding === 'unknown') return null;
  const providerType = messageType === null ? 'sms-uplink' : `sms-uplink:${short(messageType)}`;
  return { facts: { kind: 'sms-received', encoding }, providerType };
}

/** "Binary" is documented; that the other kind is called "Text" is inferred from the page's name. */
const encodings: ReadonlyMap<string, 'binary' | 'text'> = new Map([
  ['binary', 'binary'],
  ['text', 'text'],
]);

/** Codes that contradict each other give the status `unknown`: money must not move on one half of a riddle. */
function asOrderStatus(fields: Fields): Recognised | null {
  const codes = new Set(
    names.code.flatMap((name) => textOf(fields, name) ?? []).filter((text) => /^10\d\d$/.test(text)),
  );
  const [code] = codes;
  if (code === undefined) return null;
  const status = codes.size === 1 ? (orderStatusByCode.get(code) ?? 'unknown') : 'unknown';
  return {
    facts: { kind: 'order-status', status, order: readOrder(fields) },
    providerType: [...codes].sort().join('+'),
  };
}

function asRecharge(fields: Fields): Recognised | null {
  const type = firstText(fields, names.code);
  const named = type !== null && /recharge/i.test(type);
  if (!named && firstText(fields, names.recharge) === null) return null;
  return {
    facts: { kind: 'recharge', order: readOrder(fields) },
    providerType: named ? short(type) : 'recharge',
  };
}

/**
 * The body is unpublished: what speaks of used or remaining data is a usage alert. A rate counts as a percentage
 * and a balance as an amount of data, by their names (inferred); anything else stays `unknown`.
 */
function asUsageAlert(fields: Fields): Recognised | null {
  const alert = usageAlertOf(fields);
  if (alert === null) return null;
  return {
    facts: { kind: 'usage-alert', ...alert, order: readOrder(fields) },
    providerType: short(firstText(fields, names.code) ?? 'usage-alert'),
  };
}

function usageAlertOf(fields: Fields): { readonly alert: UsageAlert; readonly value: string } | null {
  const rate = firstText(fields, names.usageRate);
  if (rate !== null) return { alert: 'low-data-percent', value: rate };
  const left = firstText(fields, names.usageLeft);
  if (left !== null) return { alert: 'low-data', value: left };
  const other = firstText(fields, names.usageOther);
  return other === null ? null : { alert: 'unknown', value: other };
}

/** Two different order numbers under two names give none: a renewal must not go to a guessed order. */
function readOrder(fields: Fields): OrderReference {
  return {
    orderId: agreedText(fields, names.order),
    reference: null,
    packageCode: agreedText(fields, names.packageCode),
  };
}

/** The ICCID that all members agree on, else the IMSI. Members that name two SIMs give none. */
function readSubject(fields: Fields): Subject | null {
  const subjects = names.iccid.flatMap((name) => {
    const text = textOf(fields, name);
    return text === null ? [] : (subjectOf(csssId, 'iccid', text) ?? []);
  });
  const [first] = subjects;
  if (first !== undefined) return subjects.every(({ key }) => key === first.key) ? first : null;
  const imsi = agreedText(fields, names.imsi);
  return imsi === null ? null : subjectOf(csssId, 'imsi', imsi);
}

/** Epoch milliseconds (13 digits) or seconds (10). Times without a zone can't be placed and give null. */
function readMoment(text: string | null): EpochMs | null {
  if (text === null) return null;
  if (/^\d{13}$/.test(text)) return epochMs(Number(text));
  return /^\d{10}$/.test(text) ? epochMs(Number(text) * 1_000) : null;
}

/**
 * What the signature covers, as one text: no blank members, since they may be added without breaking it, and values as
 * the text that was signed, since a number and its digits in quotes share one. A wrapped row and a plain one share it
 * too. Otherwise a captured callback could be dressed up as a new fact.
 */
function contentOf(fields: Fields): string {
  const signed = Object.entries(fields).filter(
    ([name, value]) => value !== null && value !== '' && !notContent.has(name.toLowerCase()),
  );
  return canonicalText(
    Object.fromEntries(
      signed.map(([name, value]) => [name, typeof value === 'object' ? canonicalText(value) : String(value)]),
    ),
  );
}

/** Provider types become log fields and metric values, so they stay short. */
function short(text: string): string {
  return text.slice(0, 64);
}
