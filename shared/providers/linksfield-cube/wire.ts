import { z } from 'zod';

/*
 * What Cube sends and what it is sent. Replies are read with every number as its text (exact-json.ts): `created_at`
 * comes as a number from one call and as a string from another (protocols/linksfield.md, section 5.4).
 */

/** Source: protocols/linksfield.md, section 5.4 (renew order). */
export type RenewOrderRequest = {
  readonly items: readonly {
    readonly id: string;
    readonly quantity: number;
    readonly sim_ids: readonly string[];
  }[];
  readonly extra: Readonly<Record<string, string>>;
};

/** Source: protocols/linksfield.md, section 5.4; vector cube-v2-post-bundle. */
export type AddBundleRequest = {
  readonly bundle_id: string;
  readonly bundle_type: number;
  readonly cycles: number;
  readonly activate?: boolean;
  readonly clientToken?: string;
};

export type ListSimsQuery = {
  readonly page_no: string;
  readonly page_size: string;
  readonly status?: string;
};
export type ListBundlesQuery = ListSimsQuery;

/** `category` data, `period_type`, and months such as 2023-01. Source: vector cube-v2-get-usage-as-sent. */
export type UsageQuery = {
  readonly category: string;
  readonly period_type: string;
  readonly begin_from: string;
  readonly end_by: string;
};

/** Every reply; lists add `total_count`. Source: protocols/linksfield.md, section 5.1. */
export const envelopeSchema = z.object({
  status: z.object({ code: z.string(), message: z.string().nullish(), detail: z.unknown().optional() }),
  data: z.unknown().optional(),
  total_count: z.unknown().optional(),
});

const id = z.string().regex(/^[\w.:-]{1,64}$/);
const optionalText = z
  .string()
  .nullish()
  .transform((text) => text ?? null);
const count = z
  .string()
  .regex(/^\d{1,9}$/)
  .transform(Number);

/** Source: protocols/linksfield.md, section 5.4 (bundle fields). */
export const bundleRowSchema = z.object({
  id,
  status: optionalText,
  type: optionalText,
  cycles: optionalText,
  added_at: optionalText,
  end_at: optionalText,
});
export type BundleRow = z.infer<typeof bundleRowSchema>;

/**
 * A list with the reply's top-level `total_count`: without it nobody knows whether the list is whole. The list may
 * stand as `data` or inside it, since the pages show the fields of a row, not where the list is.
 */
export const bundleListSchema = z
  .object({
    data: z.union([
      z.array(bundleRowSchema),
      z.object({ bundles: z.array(bundleRowSchema) }).transform(({ bundles }) => bundles),
    ]),
    totalCount: count,
  })
  .transform(({ data, totalCount }) => ({ rows: data, totalCount }));

/** The fields of a SIM are not listed in what was read. */
export const simListSchema = z
  .object({
    data: z.union([
      z.array(z.record(z.string(), z.unknown())),
      z.object({ sims: z.array(z.record(z.string(), z.unknown())) }).transform(({ sims }) => sims),
    ]),
    totalCount: count,
  })
  .transform(({ data, totalCount }) => ({ rows: data, totalCount }));
export const simSchema = z.record(z.string(), z.unknown());

/** Amounts of data are bytes (inferred). Source: protocols/linksfield.md, section 5.4. */
export const usageSchema = z.object({
  usage: z.array(
    z.object({
      period: optionalText,
      update_at: optionalText,
      data: z.object({ all: optionalText }).nullish(),
    }),
  ),
});

/** `order_id` only in newer versions; older ones may send no data at all. Source: section 5.4. */
export const addBundleReplySchema = z
  .object({ order_id: id.nullish() })
  .nullish()
  .transform((data) => ({ order_id: data?.order_id ?? null }));

/** Source: protocols/linksfield.md, section 5.4 (renew order). */
export const renewReplySchema = z.object({ order_id: id, status: optionalText, created_at: optionalText });

/** Source: protocols/linksfield.md, section 5.4 (renew order, query). */
export const renewOrderSchema = z.object({
  id,
  type: optionalText,
  status: optionalText,
  items: z.array(z.object({ sim_ids: z.array(z.string()).catch([]) })).nullish(),
  accounting: z
    .object({ currency: optionalText, pay_channel: optionalText, total_amount: optionalText })
    .nullish(),
  created_at: optionalText,
  abnormal: z.array(z.unknown()).nullish(),
});

/** The body is not documented. Source: protocols/linksfield.md, section 5.4. */
export const asyncResultSchema = z.record(z.string(), z.unknown());
