import { z } from 'zod';
import { baseUrlSchema } from '../base-url.ts';

const settingsShape = z.strictObject({
  baseUrl: baseUrlSchema.default('https://apiv3.linksfield.net'),
  /** The partner code, such as P000270. */
  accessCode: z.string().min(1).max(64),
  /** The overview's table shows milliseconds, eight examples show seconds: section 2. */
  timestampUnit: z.enum(['seconds', 'milliseconds']).default('seconds'),
  /** Language of the texts in replies: section 2. */
  acceptLanguage: z.enum(['zh-CN', 'EN-US']).default('EN-US'),
  /** How requests are signed where the pages leave it open: section 1, "Advice". */
  signing: z
    .strictObject({
      keyOrder: z.enum(['sorted', 'as-given']).default('sorted'),
      dropEmpty: z.boolean().default(true),
      quoteNumbers: z.boolean().default(false),
      nestedKeys: z.enum(['as-given', 'sorted']).default('as-given'),
    })
    .prefault({}),
  /** Rows that are asked for at once; the largest that CSSS accepts is not documented. */
  orderPageSize: z.int().min(1).max(500).default(100),
  /** Minutes that the provider's local times are ahead of UTC (480 for Beijing); null while nobody has told. */
  zoneOffsetMinutes: z.int().min(-720).max(840).nullable().default(null),
  /**
   * Whether the SIM's orders are read before a new one is placed. Without that look a lost answer is told from older
   * orders by time alone, so it can be spared only with a known zone. It halves the requests of an order, and with
   * `coalesce` makes them a twentieth; an order that a human placed for the SIM within the minutes of a lost answer is
   * then taken for ours (once too little, never twice).
   */
  lookBeforeOrder: z.boolean().default(true),
  /**
   * Reply codes whose meaning Linksfield has told you, since the page of status codes could not be read
   * (section 2). `unknown` makes simhook ask for the order; the others say that nothing was bought, and why.
   */
  replyCodes: z
    .record(z.string().regex(/^\S{1,32}$/), z.enum(['business', 'wallet-empty', 'account', 'unknown']))
    .refine((codes) => !Object.hasOwn(codes, '0000'), { error: '0000 is success and can mean nothing else' })
    .default({}),
});

/**
 * CSSS in a stage file.
 *
 * `baseUrl` may hold a path, which is put before every call: the Chinese pages show the CSSS calls under
 * `https://api-uat.io.linksfield.net/cube/v4`.
 * Source: protocols/linksfield.md, sections 0 and 2; seed 001.
 */
export const csssSettingsSchema = settingsShape.refine(
  ({ lookBeforeOrder, zoneOffsetMinutes }) => lookBeforeOrder || zoneOffsetMinutes !== null,
  {
    path: ['lookBeforeOrder'],
    error: 'can be false only with zoneOffsetMinutes, since a lost answer is then found by its time',
  },
);
export type CsssSettings = z.infer<typeof csssSettingsSchema>;

const flag = z.enum(['0', '1']);
const digits = z.string().regex(/^\d{1,12}$/, { error: 'must be a whole number in digits, such as "1"' });

const orderFields = {
  packageCode: z.string().min(1).max(64),
  packageName: z.string().min(1).max(256),
  /** 0 unlimited daily, 1 daily, 2 monthly, 3 three months, 4 six months, 5 yearly. */
  packageType: z.enum(['0', '1', '2', '3', '4', '5']),
  /** Number of periods. */
  orderPeriod: digits.refine((text) => Number(text) >= 1, { error: 'must be at least 1' }).default('1'),
  /** 1 for a "host number" plan. */
  globalOrder: flag.default('0'),
  /** The price in the major unit, two decimals at most; it is sent and taken as the quote. */
  payAmount: z.string().regex(/^\d{1,9}(\.\d{1,2})?$/, { error: 'must be an amount such as "5" or "5.00"' }),
  /** 1 unpaid, 2 paid. */
  payRst: z.enum(['1', '2']).default('1'),
  testFlow: digits.default('0'),
  testFlowFlag: flag.default('0'),
};

/** 0 iPay88, 1 WeChat Pay, 2 Alipay. */
const payType = z.enum(['0', '1', '2']);

/**
 * What a rule says to place an order. Defaults are the values of the provider's example.
 * Source: protocols/linksfield.md, section 3.1; seed 002.
 */
export const csssOrderPlanSchema = z.strictObject({
  ...orderFields,
  /** 1 starts the plan at once; OTA SIMs must use 0. */
  isOpen: flag.default('0'),
  /** Left out of the request when null. */
  payType: payType.nullable().default(null),
});
export type CsssOrderPlan = z.infer<typeof csssOrderPlanSchema>;

/**
 * What a rule says to place an OTA order. The meanings of `timingType` are not documented.
 * Source: protocols/linksfield.md, section 3.5; seed 003.
 */
export const csssOtaPlanSchema = z.strictObject({
  ...orderFields,
  isOpen: z.literal('0', { error: 'an OTA order must have isOpen "0"' }).default('0'),
  payType: payType.default('2'),
  /** Country code, or empty. */
  mcc: z
    .string()
    .regex(/^(\d{3})?$/)
    .default(''),
  days: z.int().min(1).max(3660),
  timingType: z.string().min(1).max(16).default('1'),
});
export type CsssOtaPlan = z.infer<typeof csssOtaPlanSchema>;

/** What a rule says to extend the order that the event names. Source: protocols/linksfield.md, section 3.3. */
export const csssRenewPlanSchema = z.strictObject({ renewPeriod: z.int().min(1).max(120).default(1) });
export type CsssRenewPlan = z.infer<typeof csssRenewPlanSchema>;
