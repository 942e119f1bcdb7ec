import { z } from 'zod';
import { baseUrlSchema } from '../base-url.ts';

/**
 * Cube v4 in a stage file. The path of `baseUrl` is part of what is signed.
 * Source: protocols/linksfield.md, sections 0, 5.1 and 5.2.
 */
export const cubeSettingsSchema = z.strictObject({
  baseUrl: baseUrlSchema.default('https://api.linksfield.net/cube/v4'),
  /** Header X-LF-Api-Version. Without it Cube uses the earlier of its two live versions, so set it. */
  apiVersion: z
    .string()
    .regex(/^[\w.-]{1,32}$/)
    .nullable()
    .default(null),
  acceptLanguage: z.enum(['en-US', 'zh-CN']).default('en-US'),
  /** `no-spaces` signs as the official Python sample does: section 5.2, "Trap". */
  signing: z.enum(['compact', 'no-spaces']).default('compact'),
  /** True when the API version has `clientToken` on POST /sims/{id}/bundle: section 5.4. */
  sendClientToken: z.boolean().default(false),
  /**
   * Reply codes whose meaning Linksfield has told you, since the published list is cut off (section 5.5).
   * `unknown` makes simhook look for the purchase; the others say that nothing was bought, and why.
   */
  replyCodes: z
    .record(z.string().regex(/^\S{1,32}$/), z.enum(['business', 'wallet-empty', 'account', 'unknown']))
    .refine((codes) => !Object.hasOwn(codes, 'CB-00-0000'), {
      error: 'CB-00-0000 is success and can mean nothing else',
    })
    .default({}),
});
export type CubeSettings = z.infer<typeof cubeSettingsSchema>;

/** Signed texts without spaces are the same under both readings of the signing rule: section 5.2, "Trap". */
const textWithoutSpaces = z
  .string()
  .regex(/^\S{0,64}$/, { error: 'must have at most 64 characters, no spaces' });

/**
 * What a rule says to renew a SIM's plan. `po` is simhook's own order number where it is left out.
 * Source: protocols/linksfield.md, section 5.4 (renew order).
 */
export const cubeRenewPlanSchema = z.strictObject({
  itemId: z.string().regex(/^CP-[\w-]{1,60}$/, { error: 'must be an item id such as CP-123' }),
  quantity: z.int().min(1).max(100).default(1),
  po: textWithoutSpaces.default(''),
  remarks: textWithoutSpaces.default(''),
});
export type CubeRenewPlan = z.infer<typeof cubeRenewPlanSchema>;

/** What a rule says to add a bundle: 10 is basic, 11 an add-on. Source: protocols/linksfield.md, section 5.4. */
export const cubeOrderPlanSchema = z.strictObject({
  bundleId: z.string().regex(/^[\w-]{1,64}$/),
  bundleType: z.union([z.literal(10), z.literal(11)]),
  cycles: z.int().min(1).max(120),
  /** Newer API versions only; left out of the request when null. */
  activate: z.boolean().nullable().default(null),
});
export type CubeOrderPlan = z.infer<typeof cubeOrderPlanSchema>;
