import { z } from 'zod';
import { endpointSchema, jsonMapSchema } from '../../shared/platform/env.ts';

/** The environment of decide; the stack's `environment` is typed by it. */
export const envSchema = z.object({
  TABLE_NAME: z.string().min(1),
  EVENTS_QUEUE_URL: z.url(),
  /** Actions queue's URL by provider, as JSON. */
  ACTIONS_QUEUE_URLS: jsonMapSchema,
  DYNAMODB_ENDPOINT: endpointSchema,
  SQS_ENDPOINT: endpointSchema,
});
