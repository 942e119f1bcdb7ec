import { z } from 'zod';
import { endpointSchema, jsonListSchema, jsonMapSchema } from '../../shared/platform/env.ts';

/** The environment of sweep; the stack's `environment` is typed by it. */
export const envSchema = z.object({
  TABLE_NAME: z.string().min(1),
  STAGE_NAME: z.string().min(1),
  EVENTS_QUEUE_URL: z.url(),
  /** Actions queue's URL by provider, as JSON. */
  ACTIONS_QUEUE_URLS: jsonMapSchema,
  /** Providers that simhook knows and this stage does not have, as a JSON list: their open work would be orphaned. */
  ABSENT_PROVIDERS: jsonListSchema,
  DYNAMODB_ENDPOINT: endpointSchema,
  SQS_ENDPOINT: endpointSchema,
});
