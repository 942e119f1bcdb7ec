import { z } from 'zod';
import { endpointSchema, jsonMapSchema } from '../../shared/platform/env.ts';

/** The environment of sweep; the stack's `environment` is typed by it. */
export const envSchema = z.object({
  TABLE_NAME: z.string().min(1),
  STAGE_NAME: z.string().min(1),
  EVENTS_QUEUE_URL: z.url(),
  /** Actions queue's URL by provider, as JSON. */
  ACTIONS_QUEUE_URLS: jsonMapSchema,
  /** Providers that simhook knows and this stage does not have, as a JSON list: their open work would be orphaned. */
  ABSENT_PROVIDERS: z.string().transform((text, context): readonly string[] => {
    const parsed = z.array(z.string()).safeParse(text === '' ? [] : JSON.parse(text));
    if (parsed.success) return parsed.data;
    context.addIssue({ code: 'custom', message: 'must be a JSON list of provider ids' });
    return z.NEVER;
  }),
  DYNAMODB_ENDPOINT: endpointSchema,
  SQS_ENDPOINT: endpointSchema,
});
