import { z } from 'zod';

/*
 * What CSSS sends and what it is sent. Replies are read with every number as its text (exact-json.ts), so that an
 * id is the same whether it comes quoted or not. Unknown members and codes pass; a member that says which SIM or
 * which order must be there.
 */

/** Fields of an order call. Source: protocols/linksfield.md, section 3.1; seed 002. */
export interface OrderFields {
  readonly package_code: string;
  readonly package_name: string;
  readonly package_type: string;
  readonly order_period: string;
  readonly is_open: string;
  readonly global_order: string;
  readonly pay_amount: string;
  readonly pay_rst: string;
  readonly pay_type?: string;
  readonly test_flow: string;
  readonly test_flow_flag: string;
}

export type OrderPackageRequest = OrderFields & { readonly device_id: string };

/** Source: protocols/linksfield.md, section 3.2. */
export type BatchOrderRequest = Omit<OrderFields, 'pay_amount'> & {
  readonly deviceList: readonly string[];
  readonly pay_amount?: string;
};

/** Source: protocols/linksfield.md, section 3.5; seed 003. */
export type OtaOrderRequest = OrderPackageRequest & {
  readonly pay_type: string;
  readonly mcc?: string;
  readonly days: number;
  readonly timing_type: string;
};

/** Source: protocols/linksfield.md, section 3.3. */
export interface RenewRequest {
  readonly order_id: string;
  readonly renew_period: number;
}

/** Empty filters match everything. Source: protocols/linksfield.md, section 3.4; seeds 000 and 001. */
export interface QueryOrderRequest {
  readonly device_id: string;
  readonly order_id: string;
  readonly order_status: string;
  readonly order_type: string;
  readonly page_no: number;
  readonly page_size: number;
}

/** Every reply. Source: protocols/linksfield.md, section 2. */
export const envelopeSchema = z.object({
  code: z.string(),
  success: z.boolean(),
  message: z.string().nullish(),
  data: z.unknown().optional(),
});

const orderId = z.string().regex(/^[\w.:-]{1,64}$/);

/** Whether a text can be an order number of CSSS. */
export const isOrderId = (text: string): boolean => orderId.safeParse(text).success;

const optionalText = z
  .string()
  .nullish()
  .transform((text) => text ?? null);
const count = z
  .string()
  .regex(/^\d{1,9}$/)
  .transform(Number);

/** Source: protocols/linksfield.md, section 3.1; seed 002. */
export const orderReplySchema = z.object({
  order_id: orderId,
  order_start_date: optionalText,
  order_expire_date: optionalText,
});

/** One row a SIM; an order stands only where `error` is 0000. Source: protocols/linksfield.md, section 3.2. */
export const batchReplySchema = z.object({
  device_order: z.array(
    z.object({
      device_id: z.string(),
      error: z.string(),
      errorMsg: optionalText,
      order_id: optionalText,
      order_start_date: optionalText,
      order_expire_date: optionalText,
    }),
  ),
});

export type BatchRow = z.infer<typeof batchReplySchema>['device_order'][number];

/** Source: protocols/linksfield.md, section 3.3. */
export const renewReplySchema = z.object({ order_id: orderId, order_expire_date: optionalText });

/** Source: protocols/linksfield.md, section 3.5; seed 003. */
export const otaReplySchema = z.object({ order_id: orderId, sim_id: optionalText, order_time: optionalText });

/** One order of the records. The SIM stands twice, and once more as `main_iccid`. Source: section 3.4. */
export const orderRowSchema = z.object({
  orderCode: orderId,
  orderStatus: optionalText,
  orderPeriod: optionalText,
  orderDate: optionalText,
  expireDate: optionalText,
  packageCode: optionalText,
  deviceId: optionalText,
  device_id: optionalText,
  main_iccid: optionalText,
});
export type OrderRow = z.infer<typeof orderRowSchema>;

/** Source: protocols/linksfield.md, section 3.4; seeds 000 and 001. */
export const queryOrderReplySchema = z.object({
  page: z.object({ cur_page_no: count, page_size: count, total_count: count, total_pages: count }),
  package_order: z.array(orderRowSchema),
});
export type QueryOrderReply = z.infer<typeof queryOrderReplySchema>;

/** Units are not documented. Source: protocols/linksfield.md, section 3.6. */
export const usageReplySchema = z.object({
  device_id: z.string(),
  order_code: optionalText,
  order_used_flow: optionalText,
  high_flow_balance: optionalText,
});

/** Only the purpose is documented: the IMSI in use and its remaining data. Source: section 3, the table. */
export const deviceInfoReplySchema = z.record(z.string(), z.unknown());

/** Two of eight members are readable. Source: protocols/linksfield.md, section 3.6. */
export const assetReplySchema = z.array(z.object({ assetId: z.string(), lifeCycle: optionalText }));

/**
 * A local time of CSSS as milliseconds, taken as if it were UTC; null when it is none. The caller allows for the
 * zone, which is not documented. Both spellings occur: yyyyMMddHHmmss and yyyy-MM-dd HH:mm:ss.
 * Source: protocols/linksfield.md, sections 3.3 and 3.4.
 */
export function readLocalTime(text: string | null): number | null {
  const iso = (text ?? '').trim().replace(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/, '$1-$2-$3 $4:$5:$6');
  if (!/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/.test(iso)) return null;
  const moment = Date.parse(`${iso.replace(' ', 'T')}Z`);
  return Number.isNaN(moment) ? null : moment;
}
