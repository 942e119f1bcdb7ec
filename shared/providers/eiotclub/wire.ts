import { z } from 'zod';
import { type Money, parseMajorAmount } from '../../core/money.ts';
import { type Fields, firstText, isFields, readExactJson } from '../exact-json.ts';

// Replies are read leniently: unknown fields are ignored, a field of another shape becomes null, and every number
// is its own text (exact-json.ts), so that ids keep their digits and amounts never pass through a float.
const text = z.string().trim().min(1).nullable().catch(null);
const whole = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number)
  .nullable()
  .catch(null);
const decimal = z
  .string()
  .regex(/^\d{1,15}(\.\d{1,20})?$/)
  .transform(Number)
  .nullable()
  .catch(null);

/**
 * The envelope. `code` is a string on some pages and an integer on others: compare it as text.
 * Source: protocols/eiotclub.md, section 1.4 (D, S).
 */
const replySchema = z.object({
  code: z.string().trim().min(1).max(50),
  message: z.string().catch(''),
  data: z.unknown().optional(),
  total: whole,
});
export type ApiReply = z.infer<typeof replySchema>;

/** Null when the text isn't JSON, names a member twice, or has no readable code: then nothing is known. */
export function readReply(bodyText: string): ApiReply | null {
  const json = readExactJson(bodyText);
  if (!json.ok) return null;
  const reply = replySchema.safeParse(json.value);
  return reply.success ? reply.data : null;
}

/** One row of the order records. Source: protocols/eiotclub.md, section 4.2 (D: the page is known whole). */
const orderRecordSchema = z.object({
  orderId: text,
  outTradeNo: text,
  iccid: text,
  packageCode: text,
  packageName: text,
  gzhPackageName: text,
  packageType: text,
  /** 0 waiting, 1 in use, 2 finished. */
  state: text,
  /** 0 no, 1 refunded. */
  isRefund: text,
  /** 0 normal order, 1 renewal. */
  renew: text,
  /** Major unit (I). */
  price: text,
  currency: text,
  /** Dates have no zone: shown, never compared. */
  createDate: text,
  updateDate: text,
  startDate: text,
  endDate: text,
  totalActive: whole,
  /** 1 month, 2 day. */
  periodType: text,
  /** Unit not stated. */
  flowTotal: decimal,
  flowRemain: decimal,
  flowUsageBytes: whole,
});
export type OrderRecord = z.infer<typeof orderRecordSchema>;

/** Null when `data` isn't the documented array of objects (nothing at all counts as empty when `total` is 0). */
export function readOrderRecords(reply: ApiReply): readonly OrderRecord[] | null {
  if (reply.data === null || reply.data === undefined) return reply.total === 0 ? [] : null;
  return rowsIn(reply.data);
}

const listNames = ['list', 'records', 'rows', 'items'] as const;

/**
 * Reads the rows of `getOrderPackageDetails`, whose reply is not documented (U): field names are taken to be those
 * of the other order pages (protocols/eiotclub.md, sections 4.1 and 4.2, I). Rows may come as an array, from a page object with a list in it, or from one object that is a row itself.
 * Nothing (null or an empty object) reads as no rows. Null for anything else: nothing can be concluded.
 */
export function readOrderDetails(reply: ApiReply): readonly OrderRecord[] | null {
  const { data } = reply;
  if (data === null || data === undefined) return [];
  if (Array.isArray(data)) return rowsIn(data);
  if (!isFields(data)) return null;
  for (const name of listNames) {
    if (Object.hasOwn(data, name)) return data[name] === null ? [] : rowsIn(data[name]);
  }
  if (Object.keys(data).length === 0) return [];
  return orderIdIn(data) === null && firstText(data, ['outTradeNo']) === null ? null : rowsIn([data]);
}

function rowsIn(data: unknown): readonly OrderRecord[] | null {
  if (!Array.isArray(data) || !data.every(isFields)) return null;
  return data.map((row) => ({ ...orderRecordSchema.parse(row), orderId: orderIdIn(row) }));
}

/** Names under which order pages and callbacks show the provider's order number. Source: sections 3.2 and 4.1. */
function orderIdIn(row: Fields): string | null {
  return firstText(row, ['orderId', 'orderNumber', 'eshopOrderId']);
}

/** What an accepted order's reply tells, as far as it can be read; its shape is not documented (U). */
export interface AcceptedOrder {
  readonly orderId: string | null;
  readonly reference: string | null;
  readonly charge: Money | null;
}

/** Looks into `data`, or into its only row; several rows tell nothing, since one can't be chosen. */
export function readAcceptedOrder(reply: ApiReply): AcceptedOrder {
  const row = Array.isArray(reply.data) ? (reply.data.length === 1 ? reply.data[0] : null) : reply.data;
  if (!isFields(row)) return { orderId: null, reference: null, charge: null };
  return {
    orderId: orderIdIn(row),
    reference: firstText(row, ['outTradeNo']),
    charge: moneyOf(firstText(row, ['price']), firstText(row, ['currency'])),
  };
}

/**
 * The price of one package, from `data` or from the row that names the package; null when it can't be read.
 * A price without a currency is taken in the account's. Source: section 4.1 (reply U); field names as in 4.2 (I).
 */
export function readPackagePrice(reply: ApiReply, packageCode: string, currency: string): Money | null {
  const rows = (Array.isArray(reply.data) ? reply.data : [reply.data]).filter(isFields);
  const named = rows.filter((row) => firstText(row, ['packageCode']) === packageCode);
  const [row, ...others] = named.length > 0 ? named : rows;
  if (row === undefined || others.length > 0) return null;
  const code = firstText(row, ['packageCode']);
  if (code !== null && code !== packageCode) return null;
  return moneyOf(firstText(row, ['price']), firstText(row, ['currency']) ?? currency);
}

/** An amount in the major unit; null when it, its currency, or its decimals can't be read exactly. */
export function moneyOf(price: string | null, currency: string | null): Money | null {
  return price === null || currency === null ? null : parseMajorAmount(price, currency.toUpperCase());
}
