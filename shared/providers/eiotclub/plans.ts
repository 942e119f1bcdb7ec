import { z } from 'zod';
import { baseUrlSchema } from '../base-url.ts';

/** The provider's part of a stage file. */
export const settingsSchema = z.strictObject({
  /** Source: protocols/eiotclub.md, section 1.1 (D): the only server; there is no sandbox. */
  baseUrl: baseUrlSchema.default('https://oapi.eiotclub.com'),
  /** Null: the API secret's key id is the appkey, so that both rotate together. */
  appkey: z.string().min(1).max(100).nullable().default(null),
  /**
   * Whether a `renew` action sends `renew: 1`. The field is in the provider's SDK and not among the documented
   * request fields. Source: protocols/eiotclub.md, section 4.1, "Renewing" (S, I).
   */
  sendRenewFlag: z.boolean().default(true),
  /** Whether the price is asked before each purchase. Source of the endpoint: section 4.1 (S). */
  quote: z.enum(['ask', 'off']).default('ask'),
  /**
   * States for which `getOrderPackageDetails` is asked, one request each; empty asks once without a state.
   * The SDK makes `state` mandatory, the page does not show it. Source: section 4.1 (D, S).
   */
  detailsStates: z.array(z.int().min(0).max(9)).max(3).default([0, 1, 2]),
  /**
   * Minutes that the provider's dates are ahead of UTC (480 for Beijing); null while nobody has told. Source: section
   * 4.2 names no zone (U).
   */
  zoneOffsetMinutes: z.int().min(-720).max(840).nullable().default(null),
});
export type EiotclubSettings = z.infer<typeof settingsSchema>;

/** What a rule must say to buy. Source: protocols/eiotclub.md, section 4.1 (orderPackage). */
export const planSchema = z.strictObject({
  packageCode: z.string().regex(/^[\x21-\x7e]{1,100}$/, 'must be 1 to 100 visible ASCII characters'),
});
export type EiotclubPlan = z.infer<typeof planSchema>;
